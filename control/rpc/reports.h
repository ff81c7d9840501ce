// SPDX-License-Identifier: Apache-2.0
// Reports: what the daemon tells about itself, as data, as JSON and as text for people.
//
// What. The daemon fills a plain struct; to_json() makes the stable form for programs (README.md
// has the shapes), from_json() reads it back in sluicectl, to_text() makes the table for people,
// the same one by `sluicectl ports` and `ovs-appctl -t sluiced port/show`.
// Design. Pure functions. A struct has the numbers, never text made from them: rates, units and
// alignment are to_text()'s business.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "control/rpc/server.h"
#include "lib/base/result.h"

namespace sluice::rpc {

struct StatusReport {
    struct Worker {
        int64_t worker = 0;
        int64_t core = -1;  ///< -1: not pinned
        uint64_t rx_packets = 0;
        uint64_t tx_packets = 0;
        uint64_t polls = 0;
        uint64_t idle_polls = 0;
        uint64_t busy_cycles = 0;
    };
    std::string version;
    int64_t pid = 0;
    int64_t uptime_s = 0;
    std::string chassis;
    std::string sb_remote;
    std::string sb_state;
    std::string ovs_remote;  ///< "" without a local database
    std::string ovs_state;
    int64_t nb_cfg = 0;
    uint64_t publishes = 0;
    double last_build_ms = 0;
    uint64_t datapaths = 0;
    uint64_t logical_flows = 0;
    std::vector<std::string> flow_errors;  ///< one text per flow that did not compile
    uint64_t ports = 0;
    uint64_t tunnels = 0;
    uint64_t tunnels_ready = 0;
    uint64_t drops = 0;
    uint64_t tsc_hz = 0;  ///< of busy_cycles
    std::vector<Worker> workers;
};

struct PortReport {
    /// A receive queue: who polls it, and what it has cost so far.
    struct Queue {
        int64_t worker = 0;
        int64_t core = -1;    ///< -1: the worker is not pinned
        bool pinned = false;  ///< placed by configuration
        uint64_t packets = 0;
        uint64_t cycles = 0;  ///< from receiving its packets to sending them
    };
    struct Count {
        std::string name;
        uint64_t value = 0;
    };
    struct Row {
        std::string name;
        int64_t id = -1;  ///< PortId; -1: could not be opened, see error
        std::string driver;
        std::string role;          ///< vif, underlay, localnet, unused
        std::string logical_port;  ///< iface-id
        std::string mac;
        int64_t mtu = 0;
        bool link_up = false;
        std::vector<int64_t> rx_workers;  ///< which worker polls queue i
        uint64_t rx_packets = 0, rx_bytes = 0, rx_dropped = 0, rx_errors = 0;
        uint64_t tx_packets = 0, tx_bytes = 0, tx_dropped = 0, tx_errors = 0;
        std::string error;
        std::vector<Queue> queues;
        int64_t numa_node = -1;             ///< of the device; -1: unknown, or no matter
        std::vector<std::string> offloads;  ///< what the port does by itself
        std::vector<Count> counts;          ///< offloads used, fallbacks and what the driver counts
    };
    std::vector<Row> rows;
};

struct TunnelReport {
    struct Row {
        int64_t id = 0;
        std::string chassis;  ///< the remote one
        std::string type;     ///< geneve, vxlan, stt
        std::string option;   ///< Geneve option form: ovn, legacy; "" for other types
        std::string local_ip;
        std::string remote_ip;
        std::string port;        ///< underlay port
        std::string next_hop;    ///< its MAC; "" while unresolved
        std::string state;       ///< ready, no_route, unresolved
        std::string bfd;         ///< down, init, up; "" where none runs
        uint64_t bfd_flaps = 0;  ///< times it went up or down
        int64_t mtu = 0;
    };
    std::vector<Row> rows;
};

struct MirrorReport {
    struct Row {
        std::string name;
        std::string type;    ///< gre, erspan, local
        std::string filter;  ///< from-lport, to-lport, both
        std::string sink;    ///< an address, or the mirror-id of an interface
        int64_t index = 0;
        std::string port;   ///< physical port that copies leave by
        std::string state;  ///< ready, waiting, refused
        std::vector<std::string> logical_ports;
    };
    std::vector<Row> rows;
};

struct DatapathReport {
    struct Port {
        int64_t key = 0;
        std::string name;
        std::string reach;  ///< vif, patch, tunnel, localnet, redirect, unbound, no_tunnel
        std::string where;  ///< physical port, peer, or remote chassis
    };
    struct Row {
        int64_t key = 0;
        std::string name;
        std::string uuid;
        std::string type;         ///< switch, router
        uint64_t generation = 0;  ///< publish in which it last changed
        uint64_t groups = 0;
        uint64_t neighbors = 0;  ///< MAC bindings and FDB entries
        std::vector<Port> ports;
    };
    std::vector<Row> rows;
};

struct FlowReport {
    struct Row {
        std::string datapath;  ///< name, or several names joined by ','
        std::string uuid;
        std::string side;  ///< ingress, egress
        int64_t table = 0;
        std::string stage;  ///< ls_in_l2_lkup
        int64_t priority = 0;
        std::string match;
        std::string actions;
        uint64_t packets = 0;
        uint64_t bytes = 0;
    };
    std::vector<Row> rows;
};

struct DropReport {
    /// A logical flow that drops, with what it has dropped.
    struct Flow {
        std::string uuid;
        std::string stage;
        std::string match;
        uint64_t packets = 0;
    };
    struct Row {
        std::string name;
        std::string help;
        uint64_t packets = 0;
        std::vector<Flow> flows;  ///< samples, largest first
    };
    std::vector<Row> rows;  ///< all reasons, those without packets too
};

struct CacheReport {
    struct Row {
        int64_t worker = 0;
        uint64_t entries = 0;  ///< room
        uint64_t used = 0;
        uint64_t hits = 0, misses = 0, bypassed = 0, stale = 0, evicted = 0;
    };
    std::vector<Row> rows;
};

struct CounterReport {
    struct Row {
        std::string name;
        std::string help;
        uint64_t total = 0;
        std::vector<uint64_t> by_worker;  ///< may be empty (slow path, control)
    };
    std::vector<Row> rows;
};

std::string to_json(const StatusReport& report);
std::string to_json(const PortReport& report);
std::string to_json(const TunnelReport& report);
std::string to_json(const MirrorReport& report);
std::string to_json(const DatapathReport& report);
std::string to_json(const FlowReport& report);
std::string to_json(const DropReport& report);
std::string to_json(const CacheReport& report);
std::string to_json(const CounterReport& report);

/// Members that are absent keep their default (an older daemon), unknown ones are passed over (a
/// newer one); a member of a wrong type is an error.
Result<void> from_json(std::string_view json, StatusReport* report);
Result<void> from_json(std::string_view json, PortReport* report);
Result<void> from_json(std::string_view json, TunnelReport* report);
Result<void> from_json(std::string_view json, MirrorReport* report);
Result<void> from_json(std::string_view json, DatapathReport* report);
Result<void> from_json(std::string_view json, FlowReport* report);
Result<void> from_json(std::string_view json, DropReport* report);
Result<void> from_json(std::string_view json, CacheReport* report);
Result<void> from_json(std::string_view json, CounterReport* report);

struct TextStyle {
    bool colour = false;  ///< ANSI; for terminals
    bool all = false;     ///< rows that are zero too (drops, counters, flows)
};

std::string to_text(const StatusReport& report, const TextStyle& style = {});
std::string to_text(const PortReport& report, const TextStyle& style = {});
std::string to_text(const TunnelReport& report, const TextStyle& style = {});
std::string to_text(const MirrorReport& report, const TextStyle& style = {});
std::string to_text(const DatapathReport& report, const TextStyle& style = {});
std::string to_text(const FlowReport& report, const TextStyle& style = {});
std::string to_text(const DropReport& report, const TextStyle& style = {});
std::string to_text(const CacheReport& report, const TextStyle& style = {});
std::string to_text(const CounterReport& report, const TextStyle& style = {});

/// Where the reports come from. `filter` is a datapath's name, UUID or tunnel key, "" for all.
struct ReportSources {
    std::function<StatusReport()> status;
    std::function<PortReport()> ports;
    std::function<TunnelReport()> tunnels;
    std::function<MirrorReport()> mirrors;
    std::function<Result<DatapathReport>(const std::string& filter)> datapaths;
    std::function<Result<FlowReport>(const std::string& filter)> flows;
    std::function<DropReport()> drops;
    std::function<CacheReport()> cache;
    std::function<CounterReport()> counters;
};

/// For every source: sluice/status, sluice/ports, sluice/tunnels, sluice/mirrors,
/// sluice/datapaths [DATAPATH], sluice/flows [DATAPATH], sluice/drops, sluice/cache,
/// sluice/counters (JSON) and status, port/show, tunnel/show, mirror/show, datapath/show,
/// flow/show, drop/show, cache/show, counter/show (text; datapath, flow, drop and counter take
/// --all). Sources that are not set get no command.
void add_report_commands(Server& server, const ReportSources& sources);

}  // namespace sluice::rpc
