// SPDX-License-Identifier: Apache-2.0
// Which worker polls which queue, as the local database wants it.
#include <fmt/format.h>

#include <charconv>

#include "control/control_plane_impl.h"
#include "lib/base/log.h"
#include "lib/program/bond_report.h"

namespace sluice {
namespace {

SLUICE_LOG_MODULE(control);

/// "0:3,1:7": queue to core.
Result<std::map<unsigned, unsigned>> parse_affinity(const std::string& text) {
    std::map<unsigned, unsigned> cores;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end) {
        unsigned queue = 0;
        unsigned core = 0;
        const auto first = std::from_chars(at, end, queue);
        if (first.ec != std::errc() || first.ptr == end || *first.ptr != ':') {
            return Error{fmt::format(
                "other_config:pmd-rxq-affinity \"{}\" is not a list like 0:3,1:7", text)};
        }
        const auto second = std::from_chars(first.ptr + 1, end, core);
        const bool is_end = second.ptr == end || *second.ptr == ',';
        if (second.ec != std::errc() || !is_end) {
            return Error{fmt::format(
                "other_config:pmd-rxq-affinity \"{}\" is not a list like 0:3,1:7", text)};
        }
        cores[queue] = core;
        at = second.ptr == end ? end : second.ptr + 1;
    }
    return cores;
}

/// Of a port; of a bond what its members say of their own queues.
Result<std::map<unsigned, unsigned>> affinity_of(const vswitch::WantedPort& port,
                                                 const std::optional<BondReport>& bond) {
    Result<std::map<unsigned, unsigned>> cores = parse_affinity(port.rxq_affinity);
    for (const BondMemberReport& member : bond ? bond->members : std::vector<BondMemberReport>()) {
        const auto text = port.member_affinity.find(member.name);
        if (!cores || text == port.member_affinity.end() || member.n_rxq == 0) {
            continue;
        }
        const Result<std::map<unsigned, unsigned>> own = parse_affinity(text->second);
        if (!own) {
            return own.error().with_context("member " + member.name);
        }
        for (const auto& [queue, core] : *own) {
            if (queue >= member.n_rxq) {
                return Error{
                    fmt::format("member {}: there is no receive queue {} to run on core {}",
                                member.name, queue, core)};
            }
            (*cores)[member.first_rxq + queue] = core;
        }
    }
    return cores;
}

PlacementPolicy policy_of(const sb::StringMap& config, std::vector<std::string>* problems) {
    PlacementPolicy policy;
    const std::string& way = sb::get(config, "pmd-rxq-assign");
    if (way == "roundrobin") {
        policy.mode = PlacementMode::kRoundRobin;
    } else if (way == "cycles") {
        policy.mode = PlacementMode::kCycles;
    } else if (!way.empty() && way != "group") {
        problems->push_back(fmt::format(
            "other_config:pmd-rxq-assign={} is none of group, cycles and roundrobin: group", way));
    }
    policy.isolates = sb::get(config, "pmd-rxq-isolate") != "false";
    if (!sb::get(config, "pmd-cpu-mask").empty()) {
        problems->emplace_back(
            "other_config:pmd-cpu-mask is not followed: workers run where --cores says");
    }
    if (sb::get(config, "pmd-auto-lb") == "true") {
        problems->emplace_back(
            "other_config:pmd-auto-lb is not followed: queues are placed anew when ports come or "
            "go, "
            "and by dpif-netdev/pmd-rxq-rebalance");
    }
    return policy;
}

}  // namespace

void ControlPlane::Impl::place() {
    static const sb::StringMap kNone;
    std::vector<std::string> problems;
    ports.set_placement(policy_of(ovs && contents() ? contents()->other_config : kNone, &problems));
    pin_errors.clear();
    for (const vswitch::WantedPort& port : plugger.wanted()) {
        const PortId id = plugger.id(port.spec.name);
        if (id == kNoPort) {
            continue;
        }
        Result<std::map<unsigned, unsigned>> cores =
            affinity_of(port, port.member_affinity.empty() ? std::nullopt : ports.bond(id));
        Result<void> pinned = cores ? ports.pin_queues(id, *cores) : Result<void>(cores.error());
        if (!pinned) {
            pin_errors[port.spec.name] = pinned.error().message;
            problems.push_back(pinned.error().message);
        }
    }
    for (const std::string& problem : problems) {
        if (told_problems.insert(problem).second) {
            LOG_WARN("{}", problem);
        }
    }
    if (Retire moves = ports.move_queues()) {
        hooks.ports_changed({std::move(moves)});
        hooks.ports_changed({});
    }
}

}  // namespace sluice
