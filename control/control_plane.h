// SPDX-License-Identifier: Apache-2.0
// ControlPlane: everything between the two databases and the published pipeline, as one object.
//
// What. It follows the local Open_vSwitch database (or ports given by options), registers the
// chassis, follows the Southbound database, claims ports, compiles and publishes. It opens no
// device and touches no packet: ports are opened through PortControl (lib/program/ports.h), tables
// are swapped by the composer through ControlHooks. What the slow path learns comes in by learn_*
// and neighbor_learned().
//
// Order of a change of ports. A port that comes: PortControl::add, then ports_changed, then the
// pipeline that uses it, and only then is it polled (PortControl::hold). A port that goes: the
// pipeline without it, then PortControl::remove, then ports_changed with its Retire closure, which
// the composer calls after a grace period.
//
// Threads: all of it on the thread of its EventLoop, calls in and hooks out. Other threads come in
// by EventLoop::post.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "lib/net/addr.h"
#include "lib/program/conntrack_control.h"
#include "lib/program/pipeline.h"
#include "lib/program/ports.h"

namespace sluice::watch {
struct Config;
struct Report;
}  // namespace sluice::watch

namespace sluice {

struct Steering;       // lib/program/steering.h
struct ServiceTables;  // control/slowpath/services/tables.h
namespace announce {
struct Config;  // control/slowpath/announce/config.h
}

/// A port given by options instead of an Interface row.
struct ConfiguredPort {
    PortSpec spec;
    std::string iface_id;                ///< logical port it is plugged into, "" if none
    std::string physnet;                 ///< network_name of localnet ports it serves, "" if none
    bool underlay = false;               ///< tunnels may leave through it
    std::vector<std::string> addresses;  ///< "192.168.0.1/24", for underlay ports
};

struct TlsFiles {
    std::string private_key;
    std::string certificate;
    std::string ca_cert;
};

struct ControlOptions {
    std::string ovs_remote;    ///< local Open_vSwitch database, "" for none
    std::string sb_remote;     ///< "" takes external_ids:ovn-remote
    std::string chassis_name;  ///< "" takes external_ids:system-id
    /// Takes the place of, and where both are present overrides, Open_vSwitch external_ids:
    /// ovn-encap-ip, ovn-encap-type, ovn-bridge-mappings, hostname, ovn-monitor-all ...
    std::map<std::string, std::string> external_ids;
    TlsFiles tls;
    std::vector<ConfiguredPort> ports;
    bool system_is_dummy = false;   ///< Interfaces of type system and "" become dummy ports
    bool legacy_geneve_tx = false;  ///< send the option form of class 0xffff type 0
    /// Where conntrack zones are remembered without a local database; "": nowhere.
    std::string zones_file;
    bool kernel_underlay = true;  ///< follow addresses, routes and neighbours by netlink
};

/// What has to be resolved on an underlay port now: a next hop, or one that is due for refresh.
struct ResolveRequest {
    PortId port;
    uint64_t src_mac;
    bool ip6;
    Ip4 src4, target4;
    Ip6 src6, target6;
};

struct ControlHooks {
    /// Every worker's FlowCounters::reserve(count), before a pipeline with such ids is published.
    std::function<void(uint32_t count)> reserve_flows;
    /// Published<Pipeline>::swap.
    std::function<void(std::unique_ptr<const Pipeline>)> publish;
    /// Publish PortControl::snapshot(); call the closures after a grace period.
    std::function<void(std::vector<Retire>)> ports_changed;
    /// The full list whenever it changes; the slow path asks each with backoff until it is gone
    /// from the list. May be empty.
    std::function<void(const std::vector<ResolveRequest>&)> resolve;
    /// What a port that the kernel shares is to hand to us (lib/program/steering.h): said again
    /// each round, after publish. May be empty.
    std::function<void(PortId, const Steering&)> steer;
    /// What the slow path is to watch (watch::Watch::configure), whenever it differs. May be empty.
    std::function<void(std::shared_ptr<const watch::Config>)> watch;
    /// DHCP options and DNS records, whenever they change: Services::set_tables. May be empty.
    std::function<void(std::shared_ptr<const ServiceTables>)> services;
    /// What the slow path is to announce (announce::Announce::configure), whenever it differs. May
    /// be empty.
    std::function<void(std::shared_ptr<const announce::Config>)> announce;
    /// RcuDomain::retire. With flow_counter it lets ids of logical flows be used again; without
    /// the two they only grow.
    std::function<void(std::function<void()>)> after_grace;
    /// Sum over workers of FlowCounters::read: packets, bytes.
    std::function<std::pair<uint64_t, uint64_t>(uint32_t flow)> flow_counter;
    /// The connection table, for zones that change owner and backends that go. May be null.
    ConntrackControl* conntrack = nullptr;
};

/// For people: `status` and tests.
struct ControlStatus {
    std::string chassis;
    std::string sb_remote, sb_state;    ///< the remote in use; connected, connecting ...
    std::string ovs_remote, ovs_state;  ///< "" without a local database
    int64_t nb_cfg = 0;                 ///< last acknowledged
    uint64_t publishes = 0;
    uint64_t local_datapaths = 0;
    uint64_t logical_flows = 0;
    uint64_t flow_errors = 0;
    double last_build_ms = 0;
};

struct PortBindingStatus {
    std::string name;          ///< of the physical port
    PortId id = kNoPort;       ///< kNoPort when it could not be opened
    std::string role;          ///< vif, underlay, localnet, kernel, unused
    std::string logical_port;  ///< iface-id
    std::string error;
};

/// A Mirror that ports of this chassis name.
struct MirrorStatus {
    std::string name;
    std::string type;
    std::string filter;
    std::string sink;
    int64_t index = 0;
    PortId port = kNoPort;                   ///< where copies leave
    std::string state;                       ///< ready, waiting (no way to the sink yet), refused
    std::vector<std::string> logical_ports;  ///< here
};

struct ZoneStatus {
    std::string user;  ///< logical port, or a datapath's UUID (or name) with _dnat or _snat
    uint16_t zone = 0;
    std::optional<uint32_t> limit;  ///< by ct-zone-limit
};

class ControlPlane {
public:
    ControlPlane(EventLoop& loop, PortControl& ports, ControlOptions options, ControlHooks hooks);
    ~ControlPlane();
    ControlPlane(const ControlPlane&) = delete;
    ControlPlane& operator=(const ControlPlane&) = delete;

    /// Opens the configured ports, starts the database sessions. Later trouble is retried and
    /// logged; an Error here is one of configuration (bad remote, bad address, bad port).
    Result<void> start();
    /// Removes (or with `restart` keeps) the Chassis rows and releases the ports, then calls
    /// `done`; gives up waiting for the databases after two seconds.
    void shutdown(bool restart, std::function<void()> done);

    /// What the slow path learnt. Repeats are welcome.
    void learn_mac(uint32_t datapath_key, uint32_t port_key, const Ip4& ip, const Mac& mac);
    void learn_mac(uint32_t datapath_key, uint32_t port_key, const Ip6& ip, const Mac& mac);
    void mac_used(uint32_t datapath_key, uint32_t port_key, const Ip4& ip, const Mac& mac);
    void mac_used(uint32_t datapath_key, uint32_t port_key, const Ip6& ip, const Mac& mac);
    void learn_fdb(uint32_t datapath_key, uint32_t port_key, const Mac& mac);
    void fdb_used(uint32_t datapath_key, uint32_t port_key, const Mac& mac);
    void neighbor_learned(PortId port, const Ip4& ip, const Mac& mac);
    void neighbor_learned(PortId port, const Ip6& ip, const Mac& mac);
    /// A prefix was delegated to a router port: "IAID:PREFIX/LENGTH".
    void prefix_delegated(const std::string& port, const std::string& list);
    /// What watching found: goes into the Southbound database.
    void watched(const watch::Report& report);
    /// A packet wanted this tunnel (index in Pipeline::tunnels) and found it unresolved.
    void tunnel_wanted(uint32_t tunnel);
    /// A port of several chassis announced itself on this one.
    void port_activated(uint32_t datapath_key, uint32_t port_key);

    /// Underlay by hand (unixctl). `where` names a port or a bridge of the local database.
    Result<void> add_address(const std::string& where, const std::string& prefix);
    Result<void> add_route(const std::string& prefix, const std::string& where,
                           const std::string& gateway);
    Result<void> del_route(const std::string& prefix);
    Result<void> set_neighbor(const std::string& where, const std::string& ip,
                              const std::string& mac);
    Result<void> del_neighbor(const std::string& where, const std::string& ip);
    std::vector<std::string> describe_routes() const;
    std::vector<std::string> describe_neighbors() const;

    /// The pipeline published last; null before the first.
    const Pipeline* current() const;
    /// One text per logical flow that did not compile.
    std::vector<std::string> flow_errors() const;
    ControlStatus status() const;
    std::vector<PortBindingStatus> port_status() const;
    std::vector<MirrorStatus> mirror_status() const;
    /// Conntrack zones by user.
    std::vector<ZoneStatus> zones() const;
    /// Name of a logical port, of a remote chassis by tunnel index: "" if unknown.
    std::string logical_port_name(uint32_t datapath_key, uint32_t port_key) const;
    std::string tunnel_name(uint32_t tunnel) const;
    /// State of BFD over a tunnel and how often it went up or down; "" where none runs.
    std::pair<std::string, uint64_t> tunnel_bfd(uint32_t tunnel) const;
    /// All of it, as bfd/show of Open vSwitch has it.
    std::vector<std::string> describe_tunnel_bfd() const;
    /// Ids of the logical flows of a local datapath (index into Pipeline::flows).
    std::vector<uint32_t> flows_of(uint32_t datapath_key) const;
    /// Compiles everything anew. For tests and for people who doubt.
    void rebuild();

private:
    struct Impl;
    void flush_learning();
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
