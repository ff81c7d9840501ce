// SPDX-License-Identifier: Apache-2.0
// Pipeline: the root of everything a worker may look at, published as a whole.
//
// What. Control builds a Pipeline from the compiled logical flows and the physical model and swaps
// it in through Published<Pipeline> (lib/rcu/published.h); workers read it under one RCU guard per
// burst. Nothing reachable from it changes after publication. Parts that did not change are shared
// with the pipeline before it (shared_ptr in `keep`), so the cost of a publish follows the change.
//
// Generations. Every publish has a sequence number. A Datapath remembers the publish in which
// anything it holds last changed (flows, ports, groups, neighbours); `physical_generation` does the
// same for tunnels, entries and physical ports. A cached program, made at publish `born`, is good
// while no datapath it crossed and no physical part has a newer generation.
//
// Threads. Written by control before publication; read by workers and (through their own reader
// registration) by the slow path and trace.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/limits.h"
#include "lib/net/addr.h"
#include "lib/program/action.h"
#include "lib/program/evpn.h"
#include "lib/program/flat_map.h"
#include "lib/program/key.h"
#include "lib/program/load_balancer.h"
#include "lib/program/mirror_sink.h"
#include "lib/program/neighbors.h"
#include "lib/program/port_security.h"
#include "lib/program/special_ports.h"
#include "lib/program/state.h"
#include "lib/program/tunnel.h"

namespace sluice {

class Table;  // lib/program/table.h: compiled classifier of one logical table

enum PipelineSide : uint8_t { kIngress = 0, kEgress = 1 };

/// How the output stage reaches a logical port from here. Decided by control, so that a worker
/// never looks at Port_Binding types.
enum class Reach : uint8_t {
    kUnbound,   ///< nowhere: drop unbound_port
    kVif,       ///< local physical port `port`, tag `vlan_tci` pushed if non-zero (VIF, container,
                ///< localport, localnet, l2gateway)
    kPatch,     ///< re-enter ingress of datapath `peer_datapath` with inport `peer_key`
    kTunnel,    ///< on another chassis: one encapsulated copy through `tunnel`
    kLocalnet,  ///< on another chassis but the switch has a localnet port: go out by `via_key`
    kRedirect,  ///< chassisredirect active here: continue with outport = `via_key`
    kNoTunnel,  ///< on another chassis without a tunnel to it: drop remote_no_tunnel
};

struct LogicalPort {
    uint32_t key;
    Reach reach = Reach::kUnbound;
    bool is_localport = false;   ///< traffic from it never leaves the chassis
    bool is_localnet = false;    ///< localnet or l2gateway
    uint16_t port = 0xffff;      ///< PortId for kVif
    uint16_t vlan_tci = 0;       ///< 0x1000 | vid, or 0
    uint32_t peer_datapath = 0;  ///< index in Pipeline::datapaths for kPatch
    uint32_t peer_key = 0;
    uint32_t tunnel = 0;       ///< for kTunnel: index in Pipeline::tunnels, or TunnelSet::kTarget |
                               ///< number of the set whose first live tunnel it is
    bool is_ramp = false;      ///< behind a VTEP gateway: the tunnel carries the datapath alone
    uint32_t via_key = 0;      ///< for kLocalnet and kRedirect
    uint16_t ct_zone = 0;      ///< conntrack zone; 0: none of its own
    uint64_t mirrors_in = 0;   ///< bits: Pipeline::mirrors that get a copy of what comes from it
    uint64_t mirrors_out = 0;  ///< and of what is sent out of it
    const PortSecurity* security = nullptr;  ///< null: none
    const SpecialPort* special = nullptr;    ///< null: as most ports
};

/// Multicast group, precompiled into flat replication lists.
struct Group {
    uint32_t key;
    /// Patch ports and localports: delivered here first, but only when the packet did not come by
    /// tunnel (the chassis that sent it has served its own patch ports already).
    std::vector<uint32_t> here;
    std::vector<uint32_t> local;  ///< port keys delivered here (VIF, localnet, redirect), last
    /// One copy per remote chassis, outport = the group's key; not when it came by tunnel.
    std::vector<uint32_t> tunnels;
    /// One copy per VTEP gateway, without outport; as above.
    std::vector<uint32_t> ramps;
    /// Ports on other chassis that each need their own copy with outport = the port's key (remote
    /// ports of transit switches).
    std::vector<uint32_t> remote_ports;
};

/// One logical datapath as compiled for this chassis.
struct Datapath {
    uint32_t key = 0;         ///< Datapath_Binding.tunnel_key
    uint32_t index = 0;       ///< in Pipeline::datapaths; stable while the datapath exists
    uint64_t generation = 0;  ///< publish in which it last changed
    bool is_switch = true;
    Uuid uuid;
    std::string name;
    uint16_t dnat_zone = 0;  ///< conntrack zones of a router (and of a switch's common steps)
    uint16_t snat_zone = 0;
    uint16_t common_zone = 0;  ///< of ct_snat_in_czone and its like; 0: the DNAT zone
    /// tables[side][n]: the compiled table to run for logical table n, already skipping tables that
    /// the optimiser removed; never null (past the last flow: a table that drops with no_match).
    std::array<std::array<const Table*, limits::kMaxTables>, 2> tables{};
    FlatMap<uint32_t, const LogicalPort*> ports;
    FlatMap<uint32_t, const Group*> groups;
    std::shared_ptr<const Neighbors> neighbors;  ///< never null
    std::shared_ptr<const LbHairpins> hairpins;  ///< null: no load balancer
    std::shared_ptr<const Evpn> evpn;            ///< null: no EVPN
    ClassReads reads[2];  ///< bits its own tables and actions look at, per side
    std::vector<std::shared_ptr<const void>> keep;  ///< owners of tables, ports, groups
};

/// Where a packet enters the logical network from a physical port.
struct EntryPoint {
    uint32_t id;            ///< unique over the life of the process for a given meaning
    uint32_t datapath;      ///< index
    uint32_t inport;        ///< key
    uint32_t flags;         ///< initial State flags (flag::kFromLocalnet ...)
    bool strip_vlan;        ///< the tag named the container or localnet port: remove it
    const KeyMasks* masks;  ///< what tables reachable from here look at
    uint16_t source = 0;    ///< which of our tunnel addresses it uses; see Pipeline::tunnels_from
    const SpecialEntry* special = nullptr;  ///< null: as most
};

/// A VTEP gateway and a switch that it serves. Its packets name the switch alone (VNI), so they
/// enter the ingress pipeline by the gateway's port, as those of a VIF do.
struct RampEntry {
    Ip6 remote;  ///< its address; IPv4 as ::ffff:a.b.c.d
    const EntryPoint* entry;
};

/// What arrives on one physical port.
struct PortEntry {
    /// Frames whose tag has no entry in `tagged`, and untagged ones. A VIF takes any tag.
    std::vector<const EntryPoint*> untagged;
    bool untagged_takes_tags = true;  ///< false for localnet: only untagged and VID 0 frames
    FlatMap<uint16_t, const std::vector<const EntryPoint*>*> tagged;  ///< by VID
    const Underlay* underlay = nullptr;  ///< tunnel traffic is looked for first when set
    /// The kernel's side of this underlay port: all that comes from here leaves there as it is.
    uint16_t forward_to = 0xffff;
};

/// Names for people: traces, drops, flow counters. Never read on the hot path.
struct FlowInfo {
    Uuid uuid;
    std::string stage_name;  ///< external_ids:stage-name, e.g. ls_in_l2_lkup
    uint8_t side;
    uint8_t table;
    uint16_t priority;
    std::shared_ptr<const std::string> match;
    std::shared_ptr<const std::string> actions;
    /// Counted under this id before the flow had it: readers of FlowCounters subtract.
    uint64_t base_packets = 0;
    uint64_t base_bytes = 0;
};

/// A Meter row of the Southbound (or one that an action describes). Its tokens live in the data
/// path, under `id`, for as long as the id is in use.
struct MeterSpec {
    struct Band {
        uint64_t rate;   ///< kbit/s or packets/s
        uint64_t burst;  ///< kbit or packets; 0: as Open vSwitch chooses
        bool operator==(const Band&) const = default;
    };
    uint32_t id = 0;  ///< unique over the life of the process for a given meaning
    bool is_packets = false;
    std::vector<Band> bands;  ///< a packet that exceeds any is dropped
    bool operator==(const MeterSpec&) const = default;
};

struct Pipeline {
    uint64_t sequence = 0;             ///< of this publish, counts from 1
    uint64_t physical_generation = 0;  ///< publish in which entries, ports or tunnels last changed
    std::vector<const Datapath*> datapaths;     ///< by index; null where a datapath went away
    FlatMap<uint32_t, const Datapath*> by_key;  ///< tunnel_key -> datapath
    std::vector<const PortEntry*> entries;      ///< by PortId; null: port_no_entry
    std::vector<const Tunnel*> tunnels;         ///< by tunnel index; null where one went away
    /// (tunnel << 32 | EntryPoint::source) -> the tunnel with the same end that starts at that one
    /// of our addresses. Empty unless ports ask for addresses of their own.
    FlatMap<uint64_t, uint32_t> tunnels_from;
    /// Smallest Tunnel::room: frames up to this length fit every tunnel.
    uint32_t tunnel_room = 0xffffffffu;
    FlatMap<uint32_t, const std::vector<RampEntry>*> ramps;  ///< VTEP gateways, by VNI
    std::vector<const MirrorSink*> mirrors;     ///< by number; null where one went away
    std::vector<const TunnelSet*> tunnel_sets;  ///< by number; null where one went away
    const KeyMasks* tunnel_masks = nullptr;     ///< cache masks of packets that came by tunnel
    std::vector<uint32_t>
        pkt_lens;  ///< sorted lengths of check_pkt_larger(), at most kMaxLenClasses
    bool too_many_pkt_lens = false;  ///< more than that: the cache is not used
    std::vector<std::shared_ptr<const MeterSpec>> meters;  ///< by index of PuntSpec::meter
    bool legacy_geneve_rx = true;                          ///< accept class 0xffff type 0 too
    uint32_t flow_count = 0;                               ///< flow ids in use are below this
    std::shared_ptr<const std::vector<std::shared_ptr<const FlowInfo>>> flows;  ///< by flow id
    std::vector<std::shared_ptr<const void>> keep;

    const Datapath* datapath(uint32_t index) const {
        return index < datapaths.size() ? datapaths[index] : nullptr;
    }
};

}  // namespace sluice
