// SPDX-License-Identifier: Apache-2.0
#include "control/compile/actions.h"
#include "control/compile/ast_equal.h"

namespace sluice::lang {

namespace {

using lang::same;

template <typename T>
requires std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_same_v<T, std::string>
bool same(const T& a, const T& b) {
    return a == b;
}
bool same(const Number& a, const Number& b) {
    return a.value == b.value;
}
bool same(const IpAddress& a, const IpAddress& b) {
    return a.v6 == b.v6 && a.value == b.value;
}
bool same(const Endpoint& a, const Endpoint& b) {
    return same(a.address, b.address) && a.port == b.port;
}
bool same(const PortRange& a, const PortRange& b) {
    return a.low == b.low && a.high == b.high;
}
bool same(const Select::Member& a, const Select::Member& b) {
    return a.id == b.id && a.weight == b.weight;
}
bool same(const Option& a, const Option& b) {
    return a.name == b.name && same(a.value, b.value);
}
bool same(const std::variant<Number, FieldUse>& a, const std::variant<Number, FieldUse>& b);

template <typename T>
bool same(const std::optional<T>& a, const std::optional<T>& b) {
    return a.has_value() == b.has_value() && (!a || same(*a, *b));
}
template <typename T>
bool same(const std::vector<T>& a, const std::vector<T>& b);

bool same(const Backend& a, const Backend& b) {
    return same(a.port_name, b.port_name) && same(a.address, b.address) && a.port == b.port;
}

/// Variants other than Constant: the same alternative with the same content.
template <typename V>
bool same_variant(const V& a, const V& b) {
    return a.index() == b.index() &&
           std::visit(
               [&b](const auto& x) { return same(x, std::get<std::decay_t<decltype(x)>>(b)); }, a);
}
bool same(const std::variant<Number, FieldUse>& a, const std::variant<Number, FieldUse>& b) {
    return same_variant(a, b);
}
bool same(const std::variant<Backend, TemplateName>& a,
          const std::variant<Backend, TemplateName>& b) {
    return same_variant(a, b);
}

template <typename T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
    if (a.size() != b.size()) {
        return false;
    }
    for (size_t i = 0; i < a.size(); ++i) {
        if (!same(a[i], b[i])) {
            return false;
        }
    }
    return true;
}

// One per shape and per kind with operands of its own.
bool node(const Plain&, const Plain&) {
    return true;
}
bool node(const Block& a, const Block& b) {
    return equal(a.body, b.body);
}
bool node(const ResultAction& a, const ResultAction& b) {
    return same(a.dst, b.dst);
}
bool node(const FieldPair& a, const FieldPair& b) {
    return same(a.dst, b.dst) && same(a.src, b.src);
}
bool node(const MacLookup& a, const MacLookup& b) {
    return same(a.port, b.port) && same(a.ip, b.ip);
}
bool node(const MacStore& a, const MacStore& b) {
    return same(a.port, b.port) && same(a.ip, b.ip) && same(a.mac, b.mac);
}
bool node(const MacTest& a, const MacTest& b) {
    return same(a.dst, b.dst) && same(a.port, b.port) && same(a.ip, b.ip) && same(a.mac, b.mac);
}
bool node(const IpTest& a, const IpTest& b) {
    return same(a.dst, b.dst) && same(a.port, b.port) && same(a.ip, b.ip);
}
bool node(const Options& a, const Options& b) {
    return same(a.dst, b.dst) && same(a.options, b.options);
}
bool node(const Nat& a, const Nat& b) {
    return same(a.address, b.address) && same(a.address_template, b.address_template) &&
           same(a.ports, b.ports);
}
bool node(const LoadBalance& a, const LoadBalance& b) {
    return same(a.backends, b.backends) && same(a.hash_fields, b.hash_fields) && a.flag == b.flag;
}
bool node(const RelayCheck& a, const RelayCheck& b) {
    return same(a.dst, b.dst) && same(a.relay, b.relay) && same(a.server, b.server);
}
bool node(const Next& a, const Next& b) {
    return a.pipeline == b.pipeline && a.table == b.table;
}
bool node(const Load& a, const Load& b) {
    return same(a.dst, b.dst) && same(a.value, b.value);
}
bool node(const Push& a, const Push& b) {
    return same(a.field, b.field);
}
bool node(const Pop& a, const Pop& b) {
    return same(a.field, b.field);
}
bool node(const CtNext& a, const CtNext& b) {
    return a.zone == b.zone;
}
bool node(const CtCommitToZone& a, const CtCommitToZone& b) {
    return a.zone == b.zone;
}
bool node(const CtCommitNat& a, const CtCommitNat& b) {
    return a.zone == b.zone;
}
bool node(const CtCommitV1& a, const CtCommitV1& b) {
    return same(a.mark, b.mark) && same(a.label, b.label);
}
bool node(const Select& a, const Select& b) {
    return same(a.dst, b.dst) && same(a.members, b.members) && same(a.hash_fields, b.hash_fields);
}
bool node(const SetQueue& a, const SetQueue& b) {
    return a.queue == b.queue;
}
bool node(const Log& a, const Log& b) {
    return a.name == b.name && a.verdict == b.verdict && a.severity == b.severity &&
           a.meter == b.meter;
}
bool node(const SetMeter& a, const SetMeter& b) {
    return a.rate_kbps == b.rate_kbps && a.burst_kbps == b.burst_kbps;
}
bool node(const OvnFieldLoad& a, const OvnFieldLoad& b) {
    return same(a.dst, b.dst) && same(a.value, b.value);
}
bool node(const OvnFieldMove& a, const OvnFieldMove& b) {
    return same(a.dst, b.dst) && same(a.src, b.src);
}
bool node(const CheckPktLarger& a, const CheckPktLarger& b) {
    return same(a.dst, b.dst) && a.length == b.length;
}
bool node(const TriggerEvent& a, const TriggerEvent& b) {
    return a.event == b.event && a.meter == b.meter && same(a.options, b.options);
}
bool node(const BindVport& a, const BindVport& b) {
    return same(a.vport, b.vport) && same(a.parent, b.parent);
}
bool node(const HandleSvcCheck& a, const HandleSvcCheck& b) {
    return same(a.port, b.port);
}
bool node(const FwdGroup& a, const FwdGroup& b) {
    return a.liveness == b.liveness && same(a.child_ports, b.child_ports);
}
bool node(const PutFdb& a, const PutFdb& b) {
    return same(a.port, b.port) && same(a.mac, b.mac);
}
bool node(const GetFdb& a, const GetFdb& b) {
    return same(a.dst, b.dst) && same(a.mac, b.mac);
}
bool node(const GetRemoteFdb& a, const GetRemoteFdb& b) {
    return same(a.dst, b.dst) && same(a.mac, b.mac);
}
bool node(const LookupFdb& a, const LookupFdb& b) {
    return same(a.dst, b.dst) && same(a.port, b.port) && same(a.mac, b.mac);
}
bool node(const CommitEcmpNh& a, const CommitEcmpNh& b) {
    return a.ipv6 == b.ipv6 && a.proto == b.proto;
}
bool node(const CommitLbAff& a, const CommitLbAff& b) {
    return same(a.vip, b.vip) && same(a.backend, b.backend) && a.proto == b.proto &&
           a.timeout_s == b.timeout_s;
}
bool node(const Sample& a, const Sample& b) {
    return a.probability == b.probability && a.collector_set == b.collector_set &&
           a.obs_domain == b.obs_domain && same(a.obs_point, b.obs_point) &&
           a.use_cookie == b.use_cookie;
}
bool node(const Mirror& a, const Mirror& b) {
    return same(a.port, b.port);
}
bool node(const ChkEvpnArp& a, const ChkEvpnArp& b) {
    return same(a.dst, b.dst) && same(a.ip, b.ip);
}

}  // namespace

bool equal(const ActionList& a, const ActionList& b) {
    if (a.explicit_drop != b.explicit_drop || a.actions.size() != b.actions.size()) {
        return false;
    }
    for (size_t i = 0; i < a.actions.size(); ++i) {
        const ActionNode& x = a.actions[i].node;
        const ActionNode& y = b.actions[i].node;
        if (x.index() != y.index() ||
            !std::visit(
                [&y](const auto& n) { return node(n, std::get<std::decay_t<decltype(n)>>(y)); },
                x)) {
            return false;
        }
    }
    return true;
}

}  // namespace sluice::lang
