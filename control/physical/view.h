// SPDX-License-Identifier: Apache-2.0
// What the physical model is computed from, and the pieces of a Pipeline that come out.
//
// Every builder is a pure function of a View: the same view gives equal parts, whichever changes
// led to it. The increments are in control/publish, which decides what to call again.
// Threads: control builds; the parts are immutable afterwards.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/chassis/attachments.h"
#include "control/chassis/binding.h"
#include "control/chassis/ct_zones.h"
#include "control/physical/mirrors.h"
#include "control/physical/tunnel_sets.h"
#include "control/physical/tunnels.h"
#include "control/sb/mirror.h"
#include "lib/program/pipeline.h"

namespace sluice::physical {

struct View {
    const sb::Mirror& mirror;
    const chassis::Attachments& attachments;
    const chassis::BindingPlan& plan;
    const chassis::Identity& identity;
    const Tunnels& tunnels;
    /// Index in Pipeline::datapaths of every local datapath.
    const std::unordered_map<Uuid, uint32_t>& datapath_index;
    const chassis::CtZones& zones;
    const Mirrors* mirrors = nullptr;  ///< null: none
    const TunnelSets* sets = nullptr;  ///< same

    const sb::Chassis* self() const { return mirror.chassis_by_name(identity.name); }
};

/// The logical ports of one datapath.
struct PortsPart {
    std::deque<LogicalPort> ports;
    std::vector<std::unique_ptr<const PortSecurity>> security;
    std::deque<SpecialPort> special;
    /// Physical ports and tags that it is bridged to.
    std::vector<std::pair<PortId, uint16_t>> bridged;
    FlatMap<uint32_t, const LogicalPort*> by_key;
    std::vector<uint32_t> peers;      ///< datapaths behind its patch ports, ascending
    std::vector<std::string> errors;  ///< port_security that does not parse
};
std::shared_ptr<const PortsPart> build_ports(const View& view, const Uuid& datapath);

struct GroupsPart {
    std::deque<Group> groups;
    FlatMap<uint32_t, const Group*> by_key;
};
std::shared_ptr<const GroupsPart> build_groups(const View& view, const Uuid& datapath,
                                               const PortsPart& ports);

std::shared_ptr<const Neighbors> build_neighbors(const View& view, const Uuid& datapath);

/// Equal for workers; pointers are followed.
bool equal(const PortsPart& a, const PortsPart& b);
bool equal(const GroupsPart& a, const GroupsPart& b);
bool equal(const Neighbors& a, const Neighbors& b);

/// The localnet port of a datapath that is served here (lowest key if several); null if none.
const sb::PortBinding* localnet_of(const View& view, const Uuid& datapath);
/// Whether packets can enter the ingress pipeline from this port on this chassis.
bool can_enter(const View& view, const sb::PortBinding& port);
/// Whether the egress pipeline is run for this port on this chassis: what is not so is sent on by
/// the output stage, or dropped there.
bool can_leave(const View& view, const sb::PortBinding& port);
/// Physical port and tag of a port that is here; false when it is not.
bool locate(const View& view, const sb::PortBinding& port, PortId* id, uint16_t* tag);

}  // namespace sluice::physical
