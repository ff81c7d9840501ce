// SPDX-License-Identifier: Apache-2.0
#include "control/vswitch/wanted_bond.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace sluice::vswitch {
namespace {

constexpr int64_t kMostDelayMs = 3'600'000;
constexpr int64_t kLeastRebalanceMs = 1000;
constexpr int64_t kMiimonMs = 200;
constexpr int64_t kLeastMiimonMs = 100;

int64_t number(const StringMap& map, const char* key, int64_t fallback) {
    const std::string& text = sb::get(map, key);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return !text.empty() && error == std::errc() && end == text.data() + text.size() ? value
                                                                                     : fallback;
}

/// Where Open vSwitch would take its default, nothing is said.
void say_in_range(const StringMap& from, const char* key, int64_t least, int64_t most,
                  const char* argument, std::map<std::string, std::string>* args) {
    const int64_t value = number(from, key, least - 1);
    if (value >= least && value <= most) {
        (*args)[argument] = std::to_string(value);
    }
}

void say_lacp(const BridgePort& port, const Bridge& bridge,
              std::map<std::string, std::string>* args) {
    const StringMap& config = port.other_config;
    if (port.lacp.empty() || port.lacp == "off") {
        return;
    }
    (*args)["lacp"] = port.lacp;
    if (sb::get(config, "lacp-time") == "fast") {
        (*args)["lacp-time"] = "fast";
    }
    if (sb::get(config, "lacp-fallback-ab") == "true") {
        (*args)["lacp-fallback-ab"] = "yes";
    }
    say_in_range(config, "lacp-system-priority", 1, 65535, "system-priority", args);
    for (const std::string& id :
         {sb::get(config, "lacp-system-id"), sb::get(bridge.other_config, "hwaddr")}) {
        const auto mac = parse_mac(id);
        if (mac && !mac->is_zero() && !mac->is_multicast()) {
            args->try_emplace("system-id", to_string(*mac));
        }
    }
}

std::string member_text(const Interface& interface, const PortSpec& spec) {
    PortSpec member = spec;
    member.args.erase("mtu");
    say_in_range(interface.other_config, "lacp-port-id", 1, 65535, "lacp-port-id", &member.args);
    say_in_range(interface.other_config, "lacp-port-priority", 1, 65535, "lacp-port-priority",
                 &member.args);
    say_in_range(interface.other_config, "lacp-aggregation-key", 1, 65535, "lacp-aggregation-key",
                 &member.args);
    return to_string(member).substr(member.name.size() + 1);
}

void say_bond(const BridgePort& port, const std::vector<const Interface*>& interfaces,
              std::map<std::string, std::string>* args) {
    const StringMap& config = port.other_config;
    (*args)["mode"] = port.bond_mode.empty() ? "active-backup" : port.bond_mode;
    (*args)["updelay"] = std::to_string(std::clamp<int64_t>(port.updelay_ms, 0, kMostDelayMs));
    (*args)["downdelay"] = std::to_string(std::clamp<int64_t>(port.downdelay_ms, 0, kMostDelayMs));
    const int64_t rebalance = number(config, "bond-rebalance-interval", -1);
    if (rebalance >= 0) {
        (*args)["rebalance"] =
            std::to_string(rebalance ? std::clamp(rebalance, kLeastRebalanceMs, kMostDelayMs) : 0);
    }
    say_in_range(config, "bond-hash-basis", 0, UINT32_MAX, "hash-basis", args);
    if (sb::get(config, "bond-detect-mode") == "miimon") {
        const int64_t interval = number(config, "bond-miimon-interval", kMiimonMs);
        (*args)["detect-ms"] =
            std::to_string(std::clamp<int64_t>(interval, kLeastMiimonMs, 60'000));
    }
    if (sb::get(config, "all-members-active") == "true") {
        (*args)["all-members-active"] = "yes";
    }
    const std::string& primary = sb::get(config, "bond-primary");
    const bool is_member = std::any_of(interfaces.begin(), interfaces.end(),
                                       [&](const Interface* i) { return i->name == primary; });
    if (is_member) {
        (*args)["primary"] = primary;
    }
}

}  // namespace

WantedPort joined_port(const BridgePort& port, const Bridge& bridge,
                       const std::vector<const Interface*>& interfaces,
                       const std::vector<WantedPort>& members) {
    WantedPort out = members.front();
    out.spec = {port.name, "bond", {}};
    out.interface = Uuid{};
    out.kernel_name.clear();
    out.rxq_affinity.clear();
    out.bond = port.uuid;
    out.error.clear();
    say_bond(port, interfaces, &out.spec.args);
    say_lacp(port, bridge, &out.spec.args);
    int64_t mtu = 0;
    size_t n_members = 0;
    for (size_t i = 0; i < members.size(); ++i) {
        const WantedPort& member = members[i];
        out.members.emplace_back(member.interface, member.spec.name);
        const std::string& name = member.spec.name;
        if (member.is_shared) {
            out.member_errors[name] =
                fmt::format("type {} cannot be in a bond", interfaces[i]->type);
            continue;
        }
        if (!member.error.empty()) {
            out.member_errors[name] = member.error;
            continue;
        }
        if (!member.rxq_affinity.empty()) {
            out.member_affinity[name] = member.rxq_affinity;
        }
        out.is_egress |= member.is_egress;
        out.iface_id = out.iface_id.empty() ? member.iface_id : out.iface_id;
        out.spec.args["member." + name] = member_text(*interfaces[i], member.spec);
        n_members += 1;
        if (const int64_t wanted = interfaces[i]->mtu_request) {
            mtu = mtu ? std::min(mtu, wanted) : wanted;
        }
    }
    if (n_members == 0) {
        out.error = out.member_errors.begin()->second;
    }
    if (out.member_errors.contains(out.spec.arg("primary"))) {
        out.spec.args.erase("primary");
    }
    if (mtu) {
        out.spec.args["mtu"] = std::to_string(mtu);
    }
    out.is_shared = false;
    return out;
}

}  // namespace sluice::vswitch
