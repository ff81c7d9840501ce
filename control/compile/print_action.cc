// SPDX-License-Identifier: Apache-2.0
#include "control/compile/lex_number.h"
#include "control/compile/lex_string.h"
#include "control/compile/print.h"

namespace sluice::lang {

namespace {

template <typename T>
requires std::is_base_of_v<Plain, T> std::string arguments(const T&) {
    return std::is_same_v<T, BfdMsg> ? "()" : "";
}
template <typename T>
requires std::is_base_of_v<Block, T> std::string arguments(const T& block) {
    if (std::is_same_v<T, CtCommitV2> && block.body.actions.empty() && !block.body.explicit_drop) {
        return "";
    }
    const std::string inner = print(block.body);
    return inner.empty() ? " { }" : " { " + inner + " }";
}

const char* zone_text(Zone zone) {
    return zone == Zone::kDnat ? "(dnat)" : zone == Zone::kSnat ? "(snat)" : "";
}
const char* proto_text(L4Proto proto) {
    return proto == L4Proto::kTcp ? "tcp" : proto == L4Proto::kUdp ? "udp" : "sctp";
}
std::string address_text(const IpAddress& address) {
    return address.v6 ? print_ipv6(address.value) : print_ipv4(address.value);
}
std::string bracketed(const IpAddress& address) {
    return address.v6 ? "[" + address_text(address) + "]" : address_text(address);
}
std::string hash_text(const std::vector<std::string>& fields) {
    std::string joined;
    for (size_t i = 0; i < fields.size(); ++i) {
        joined += (i == 0 ? "" : ",") + fields[i];
    }
    return "; hash_fields=" + quote(joined);
}

std::string list(std::initializer_list<FieldUse> fields) {
    std::string out;
    for (const FieldUse& field : fields) {
        out += (out.empty() ? "" : ", ") + print(field);
    }
    return "(" + out + ")";
}

std::string arguments(const Next& next) {
    if (!next.pipeline && !next.table) {
        return "";
    }
    if (!next.pipeline) {
        return "(" + std::to_string(*next.table) + ")";
    }
    std::string out = *next.pipeline == Pipeline::kIngress ? "ingress" : "egress";
    out = "(pipeline=" + out;
    return next.table ? out + ", table=" + std::to_string(*next.table) + ")" : out + ")";
}
std::string arguments(const Push& push) {
    return list({push.field});
}
std::string arguments(const Pop& pop) {
    return list({pop.field});
}
std::string arguments(const CtNext& action) {
    return zone_text(action.zone);
}
std::string arguments(const CtCommitToZone& action) {
    return zone_text(action.zone);
}
std::string arguments(const CtCommitNat& action) {
    return zone_text(action.zone);
}
std::string arguments(const CtCommitV1& commit) {
    std::string out;
    if (commit.mark) {
        out += "ct_mark=" + print(Constant(*commit.mark));
    }
    if (commit.label) {
        out += (out.empty() ? "" : ", ") + ("ct_label=" + print(Constant(*commit.label)));
    }
    return "(" + out + ")";
}

std::string arguments(const Nat& nat) {
    std::string out;
    if (nat.address) {
        out = address_text(*nat.address);
    } else if (nat.address_template) {
        out = "^" + nat.address_template->name;
    } else {
        return "";
    }
    if (nat.ports) {
        out += "," + std::to_string(nat.ports->low);
        if (nat.ports->high != nat.ports->low) {
            out += "-" + std::to_string(nat.ports->high);
        }
    }
    return "(" + out + ")";
}

std::string backend_text(const Backend& backend) {
    std::string out = backend.port_name ? quote(backend.port_name->text) + ":" : "";
    if (backend.port == 0 && !backend.port_name) {
        return out + address_text(backend.address);
    }
    out += bracketed(backend.address);
    return backend.port == 0 ? out : out + ":" + std::to_string(backend.port);
}
std::string backend_text(const TemplateName& variable) {
    return "^" + variable.name;
}

std::string arguments(const LoadBalance& lb) {
    if (lb.backends.empty() && lb.hash_fields.empty() && lb.flag == LbFlag::kNone) {
        return "";
    }
    std::string out = "(backends=";
    for (size_t i = 0; i < lb.backends.size(); ++i) {
        out += i == 0 ? "" : ",";
        out += std::visit([](const auto& b) { return backend_text(b); }, lb.backends[i]);
    }
    if (!lb.hash_fields.empty()) {
        out += hash_text(lb.hash_fields);
    }
    if (lb.flag != LbFlag::kNone) {
        out += lb.flag == LbFlag::kSkipSnat ? "; skip_snat" : "; force_snat";
    }
    return out + ")";
}

std::string arguments(const Select& select) {
    std::string members;
    for (const Select::Member& member : select.members) {
        members += members.empty() ? "" : ", ";
        members += std::to_string(member.id) + "=" + std::to_string(member.weight);
    }
    if (select.hash_fields.empty()) {
        return "(" + members + ")";
    }
    return "(values=(" + members + ")" + hash_text(select.hash_fields) + ")";
}

std::string arguments(const MacLookup& a) {
    return list({a.port, a.ip});
}
std::string arguments(const MacStore& a) {
    return list({a.port, a.ip, a.mac});
}
std::string arguments(const MacTest& a) {
    return list({a.port, a.ip, a.mac});
}
std::string arguments(const IpTest& a) {
    return list({a.port, a.ip});
}
std::string arguments(const PutFdb& a) {
    return list({a.port, a.mac});
}
std::string arguments(const GetFdb& a) {
    return list({a.mac});
}
std::string arguments(const GetRemoteFdb& a) {
    return list({a.mac});
}
std::string arguments(const LookupFdb& a) {
    return list({a.port, a.mac});
}
std::string arguments(const ChkEvpnArp& a) {
    return list({a.ip});
}
std::string arguments(const HandleSvcCheck& a) {
    return list({a.port});
}
std::string arguments(const ResultAction&) {
    return "()";
}
std::string arguments(const CheckPktLarger& a) {
    return "(" + std::to_string(a.length) + ")";
}
std::string arguments(const Mirror& a) {
    return "(" + quote(a.port.text) + ")";
}
std::string arguments(const SetQueue& a) {
    return "(" + std::to_string(a.queue) + ")";
}
std::string arguments(const RelayCheck& a) {
    return "(" + address_text(a.relay) + ", " + address_text(a.server) + ")";
}
std::string arguments(const BindVport& a) {
    return "(" + quote(a.vport.text) + ", " + print(a.parent) + ")";
}
std::string arguments(const SetMeter& a) {
    std::string out = "(" + std::to_string(a.rate_kbps);
    return a.burst_kbps ? out + ", " + std::to_string(*a.burst_kbps) + ")" : out + ")";
}

std::string options_text(const std::vector<Option>& options) {
    std::string out;
    for (const Option& option : options) {
        out += (out.empty() ? "" : ", ") + option.name + " = " + print(option.value);
    }
    return out;
}
std::string arguments(const Options& a) {
    return "(" + options_text(a.options) + ")";
}
std::string arguments(const TriggerEvent& a) {
    std::string out = "(event = " + quote(a.event);
    if (a.meter) {
        out += ", meter = " + quote(*a.meter);
    }
    return out + (a.options.empty() ? "" : ", ") + options_text(a.options) + ")";
}

std::string arguments(const Log& log) {
    static constexpr const char* kVerdicts[] = {"allow", "drop", "reject", "pass"};
    static constexpr const char* kSeverities[] = {"alert", "warning", "notice", "info", "debug"};
    std::string out = "(";
    if (log.name) {
        out += "name=" + quote(*log.name) + ", ";
    }
    out += std::string("verdict=") + kVerdicts[static_cast<size_t>(log.verdict)];
    out += std::string(", severity=") + kSeverities[static_cast<size_t>(log.severity)];
    if (log.meter) {
        out += ", meter=" + quote(*log.meter);
    }
    return out + ")";
}

std::string arguments(const FwdGroup& group) {
    std::string out = group.liveness ? "(liveness=\"true\", childports=" : "(childports=";
    for (size_t i = 0; i < group.child_ports.size(); ++i) {
        out += (i == 0 ? "" : ", ") + quote(group.child_ports[i].text);
    }
    return out + ")";
}

std::string arguments(const CommitEcmpNh& a) {
    return std::string("(ipv6 = ") + (a.ipv6 ? "\"true\"" : "\"false\"") +
           ", proto = " + proto_text(a.proto) + ")";
}

std::string endpoint_text(const Endpoint& endpoint) {
    return endpoint.port == 0 ? address_text(endpoint.address)
                              : bracketed(endpoint.address) + ":" + std::to_string(endpoint.port);
}
std::string arguments(const CommitLbAff& a) {
    std::string out =
        "(vip = " + quote(endpoint_text(a.vip)) + ", backend = " + quote(endpoint_text(a.backend));
    if (a.proto) {
        out += std::string(", proto = ") + proto_text(*a.proto);
    }
    return out + ", timeout = " + std::to_string(a.timeout_s) + ")";
}

std::string arguments(const Sample& sample) {
    std::string out = "(probability=" + std::to_string(sample.probability) +
                      ",collector_set=" + std::to_string(sample.collector_set) +
                      ",obs_domain=" + std::to_string(sample.obs_domain);
    if (sample.use_cookie) {
        out += ",obs_point=$cookie";
    } else if (sample.obs_point) {
        const auto* number = std::get_if<Number>(&*sample.obs_point);
        out += ",obs_point=" + (number != nullptr ? std::to_string(number->value)
                                                  : print(std::get<FieldUse>(*sample.obs_point)));
    }
    return out + ")";
}

std::string statement(const Load& a, const char*) {
    return print(a.dst) + " = " + print(a.value);
}
std::string statement(const Move& a, const char*) {
    return print(a.dst) + " = " + print(a.src);
}
std::string statement(const OvnFieldMove& a, const char*) {
    return print(a.dst) + " = " + print(a.src);
}
std::string statement(const OvnFieldLoad& a, const char*) {
    return print(a.dst) + " = " + print(Constant(a.value));
}
std::string statement(const Exchange& a, const char*) {
    return print(a.dst) + " <-> " + print(a.src);
}
template <typename T>
std::string statement(const T& action, const char* name) {
    if constexpr (requires { action.dst; }) {
        return print(action.dst) + " = " + name + arguments(action);
    } else {
        return name + arguments(action);
    }
}

/// In the order of ActionNode.
constexpr const char* kNames[] = {
    "output",
    "next",
    "=",
    "=",
    "push",
    "pop",
    "<->",
    "ip.ttl--",
    "ct_next",
    "ct_commit",
    "ct_commit",
    "ct_commit_to_zone",
    "ct_dnat",
    "ct_snat",
    "ct_dnat_in_czone",
    "ct_snat_in_czone",
    "ct_lb",
    "ct_lb_mark",
    "ct_lb_mark_local",
    "select",
    "ct_clear",
    "ct_commit_nat",
    "clone",
    "arp",
    "icmp4",
    "icmp4_error",
    "icmp6",
    "igmp",
    "tcp_reset",
    "nd_na",
    "nd_na_router",
    "get_arp",
    "put_arp",
    "lookup_arp",
    "lookup_arp_ip",
    "get_nd",
    "put_nd",
    "lookup_nd",
    "lookup_nd_ip",
    "put_dhcp_opts",
    "put_dhcpv6_opts",
    "dhcp_relay_req_chk",
    "dhcp_relay_resp_chk",
    "set_queue",
    "dns_lookup",
    "log",
    "put_nd_ra_opts",
    "nd_ns",
    "set_meter",
    "=",
    "=",
    "check_pkt_larger",
    "trigger_event",
    "bind_vport",
    "handle_svc_check",
    "fwd_group",
    "handle_dhcpv6_reply",
    "icmp6_error",
    "reject",
    "chk_lb_hairpin",
    "chk_lb_hairpin_reply",
    "ct_snat_to_vip",
    "handle_bfd_msg",
    "sctp_abort",
    "put_fdb",
    "get_fdb",
    "get_remote_fdb",
    "lookup_fdb",
    "check_in_port_sec",
    "check_out_port_sec",
    "commit_ecmp_nh",
    "chk_ecmp_nh_mac",
    "chk_ecmp_nh",
    "commit_lb_aff",
    "chk_lb_aff",
    "sample",
    "mac_cache_use",
    "ct_nw_dst",
    "ct_ip6_dst",
    "ct_tp_dst",
    "ct_proto",
    "flood_remote",
    "ct_state_save",
    "mirror",
    "chk_evpn_arp",
};
static_assert(std::size(kNames) == std::variant_size_v<ActionNode>);

}  // namespace

const char* action_name(const Action& action) {
    return kNames[action.node.index()];
}

std::string print(const Action& action) {
    const char* name = action_name(action);
    return std::visit([name](const auto& node) { return statement(node, name); }, action.node) +
           ";";
}

std::string print(const ActionList& list) {
    if (list.explicit_drop) {
        return "drop;";
    }
    std::string out;
    for (const Action& action : list.actions) {
        out += (out.empty() ? "" : " ") + print(action);
    }
    return out;
}

}  // namespace sluice::lang
