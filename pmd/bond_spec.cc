// SPDX-License-Identifier: Apache-2.0
#include "pmd/bond_spec.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::pmd {
namespace {

constexpr std::string_view kMemberPrefix = "member.";
constexpr unsigned kMostDelayMs = 3'600'000;

Result<BondMode> mode_of(const PortSpec& spec) {
    const std::string& text = spec.arg("mode");
    for (const BondMode mode :
         {BondMode::kActiveBackup, BondMode::kBalanceSlb, BondMode::kBalanceTcp}) {
        if (text == name_of(mode) || (text.empty() && mode == BondMode::kActiveBackup)) {
            return mode;
        }
    }
    return Error{fmt::format(
        "port {}: mode={} is none of active-backup, balance-slb and balance-tcp", spec.name, text)};
}

Result<LacpMode> lacp_of(const PortSpec& spec) {
    const std::string& text = spec.arg("lacp");
    for (const LacpMode mode : {LacpMode::kOff, LacpMode::kActive, LacpMode::kPassive}) {
        if (text == name_of(mode) || (text.empty() && mode == LacpMode::kOff)) {
            return mode;
        }
    }
    return Error{
        fmt::format("port {}: lacp={} is none of off, active and passive", spec.name, text)};
}

/// Takes args[key] out of the member's own arguments.
Result<uint16_t> take_number(PortSpec* member, const char* key, unsigned fallback, unsigned least) {
    const Result<unsigned> number = number_arg(*member, key, fallback, least, 65535);
    if (!number) {
        return number.error();
    }
    member->args.erase(key);
    return static_cast<uint16_t>(*number);
}

Result<BondSpec::Member> parse_member(const std::string& name, const std::string& text) {
    const Result<PortSpec> parsed = parse_port_spec(name + "=" + text);
    if (!parsed) {
        return parsed.error();
    }
    BondSpec::Member member{*parsed, {}};
    if (member.spec.driver == "bond") {
        return Error{fmt::format("port {}: a bond cannot be a member of a bond", name)};
    }
    if (member.spec.driver == "af_xdp") {
        return Error{
            fmt::format("port {}: af_xdp cannot be a member of a bond: what it shares with the "
                        "kernel is steered by port. Use af_packet or pci",
                        name)};
    }
    const Result<uint16_t> port = take_number(&member.spec, "lacp-port-id", 0, 0);
    const Result<uint16_t> priority = take_number(&member.spec, "lacp-port-priority", 65535, 1);
    const Result<uint16_t> key = take_number(&member.spec, "lacp-aggregation-key", 0, 0);
    if (!port || !priority || !key) {
        return !port ? port.error() : !priority ? priority.error() : key.error();
    }
    member.lacp = {*port, *priority, *key};
    return member;
}

Result<void> parse_members(const PortSpec& spec, BondSpec* out) {
    for (const auto& [key, value] : spec.args) {
        if (!key.starts_with(kMemberPrefix)) {
            continue;
        }
        Result<BondSpec::Member> member = parse_member(key.substr(kMemberPrefix.size()), value);
        if (!member) {
            return member.error().with_context("port " + spec.name);
        }
        out->members.push_back(std::move(*member));
    }
    if (out->members.empty() || out->members.size() > kMostMembers) {
        return Error{fmt::format("port {}: a bond has 1 to {} members, written member.NAME=DRIVER",
                                 spec.name, kMostMembers)};
    }
    out->primary = spec.arg("primary");
    if (!out->primary.empty() && !spec.args.contains(std::string(kMemberPrefix) + out->primary)) {
        return Error{fmt::format("port {}: primary={} is no member", spec.name, out->primary)};
    }
    return {};
}

}  // namespace

std::string_view name_of(LacpMode mode) {
    switch (mode) {
    case LacpMode::kOff: return "off";
    case LacpMode::kActive: return "active";
    case LacpMode::kPassive: return "passive";
    }
    return "";
}

Result<BondSpec> parse_bond_spec(const PortSpec& spec) {
    BondSpec out;
    const Result<BondMode> mode = mode_of(spec);
    const Result<LacpMode> lacp = lacp_of(spec);
    if (!mode || !lacp) {
        return mode ? lacp.error() : mode.error();
    }
    out.rules.mode = *mode;
    out.lacp = *lacp;
    const std::string& time = spec.arg("lacp-time");
    if (!time.empty() && time != "slow" && time != "fast") {
        return Error{
            fmt::format("port {}: lacp-time={} is neither slow nor fast", spec.name, time)};
    }
    out.is_fast = time == "fast";
    const Result<bool> fallback = flag_arg(spec, "lacp-fallback-ab", false);
    const Result<bool> all_active = flag_arg(spec, "all-members-active", false);
    const Result<unsigned> updelay = number_arg(spec, "updelay", 0, 0, kMostDelayMs);
    const Result<unsigned> downdelay = number_arg(spec, "downdelay", 0, 0, kMostDelayMs);
    const Result<unsigned> rebalance = number_arg(spec, "rebalance", 10'000, 0, kMostDelayMs);
    const Result<unsigned> detect = number_arg(spec, "detect-ms", 20, 1, 60'000);
    const Result<unsigned> basis = number_arg(spec, "hash-basis", 0, 0, UINT32_MAX);
    const Result<unsigned> priority = number_arg(spec, "system-priority", 65534, 1, 65535);
    for (const Result<unsigned>* number :
         {&updelay, &downdelay, &rebalance, &detect, &basis, &priority}) {
        if (!*number) {
            return number->error();
        }
    }
    const Result<std::optional<Mac>> system = mac_arg(spec, "system-id");
    const Result<std::optional<Mac>> mac = mac_arg(spec, "mac");
    if (!fallback || !all_active) {
        return fallback ? all_active.error() : fallback.error();
    }
    if (!system || !mac) {
        return system ? mac.error() : system.error();
    }
    out.rules.falls_back = *fallback;
    out.rules.all_receive = *all_active;
    out.rules.updelay_ms = *updelay;
    out.rules.downdelay_ms = *downdelay;
    out.rebalance_ms = *rebalance;
    out.detect_ms = *detect;
    out.basis = *basis;
    out.system_priority = static_cast<uint16_t>(*priority);
    out.system = *system;
    out.mac = *mac;
    if (Result<void> members = parse_members(spec, &out); !members) {
        return members.error();
    }
    return out;
}

}  // namespace sluice::pmd
