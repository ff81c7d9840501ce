// SPDX-License-Identifier: Apache-2.0
// The inside of ControlPlane: its collaborators and the one function that runs them in order.
//
// Whatever happens (a row, a port, a neighbour, a timer) ends in schedule(); run() then does one
// round: settings, ports that come, sessions, pipeline, ports that go, what we write. Rounds are
// cheap when nothing changed, so nobody has to know exactly what a change touches.
// Threads: control.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/chassis/announce_config.h"
#include "control/chassis/claims.h"
#include "control/chassis/learning.h"
#include "control/chassis/observations.h"
#include "control/chassis/registrar.h"
#include "control/control_plane.h"
#include "control/ovsdb/client.h"
#include "control/physical/neighbor_use.h"
#include "control/physical/netlink.h"
#include "control/physical/underlay.h"
#include "control/publish.h"
#include "control/sb/conditions.h"
#include "control/sb/mirror.h"
#include "control/vswitch/database.h"
#include "control/vswitch/plugger.h"
#include "control/vswitch/settings.h"

namespace sluice {

struct ControlPlane::Impl {
    Impl(EventLoop& event_loop, PortControl& port_control, ControlOptions opts, ControlHooks hks);
    ~Impl();

    Result<void> start();
    void schedule();
    void schedule_in(int64_t delay_ms);
    void run();
    void tick();
    void shutdown(bool restart, std::function<void()> done);

    // One round, in this order.
    void refresh_settings();
    void plug();
    void fit_local_interfaces(std::vector<vswitch::WantedPort>* wanted);
    void refresh_underlay();
    void connect();
    void publish();
    void shape();
    void place();
    void steer();
    void watch();
    void announce();
    void restore_zones();
    void empty_assigned_zones();
    void drain_released();
    void keep_zones();
    void unplug();
    /// What the session is to monitor, with the columns that the database has.
    std::map<sb::Table, ovsdb::Condition> conditions_now();
    void set_conditions();
    void write_southbound();
    void report_interfaces();

    void open_session();
    void take(const ovsdb::Update& update);
    chassis::Attachments attachments();
    BuildInputs inputs();
    void log_errors();
    void recycle_flow_ids();
    vswitch::InterfaceState interface_state(const vswitch::WantedPort& port);
    vswitch::InterfaceState member_state(const vswitch::WantedPort& port,
                                         const std::optional<BondReport>& bond,
                                         const std::string& name, int64_t ofport);
    std::optional<bool> installed_state(const vswitch::WantedPort& port) const;
    std::vector<PortBindingStatus> port_status() const;
    std::vector<MirrorStatus> mirror_status() const;
    const vswitch::Contents* contents() const { return ovs ? &ovs->contents() : nullptr; }
    bool is_sb_known() const { return mirror_known; }
    /// The mirror has all rows of what is local now.
    bool is_complete() const;

    EventLoop& loop;
    PortControl& ports;
    const ControlOptions options;
    const ControlHooks hooks;

    vswitch::Settings settings;
    std::unique_ptr<vswitch::Database> ovs;
    vswitch::Plugger plugger;
    std::map<std::string, std::string> pin_errors;   ///< by port: why its queues are not pinned
    std::map<std::string, std::string> iface_owner;  ///< iface-id -> interface that came first
    physical::UnderlayModel underlay;
    std::unique_ptr<physical::KernelWatch> kernel;
    physical::NeighborUse neighbor_use;

    sb::Mirror mirror;
    bool mirror_known = false;
    bool session_is_new = false;  ///< the next update is the first of another session
    std::string session_remote;
    ovsdb::TlsFiles session_tls;
    uint64_t conditions_in_force = 0;
    uint64_t conditions_wanted = 0;  ///< number of the last that was asked for
    std::map<sb::Table, ovsdb::Condition> conditions;
    chassis::Observations observations;
    std::shared_ptr<const announce::Config> announcing;
    chassis::DelegatedPrefixes prefixes;
    std::shared_ptr<const watch::Config> watching;   ///< what the slow path was told last
    std::vector<watch::TunnelBfdStatus> tunnel_bfd;  ///< what it said last
    std::set<std::string> live;                      ///< chassis that answer, by that
    PipelineBuilder builder;
    std::unique_ptr<ovsdb::Client> sb;
    std::unique_ptr<chassis::Registrar> registrar;
    std::unique_ptr<chassis::PortClaims> claims;
    std::unique_ptr<chassis::Learning> learning;

    const Pipeline* current = nullptr;
    uint64_t publishes = 0;
    double last_build_ms = 0;
    std::vector<ResolveRequest> resolving;
    std::map<PortId, PortStats> stats;
    std::map<Uuid, std::string> told_flow_errors;
    std::set<std::string> told_problems;

    bool are_zones_restored = false;
    bool was_complete = false;  ///< at the end of the round before
    sb::StringMap kept_zones;   ///< in options.zones_file
    std::map<uint16_t, uint32_t> zone_limits;

    bool is_scheduled = false;
    bool is_stopping = false;
    bool is_learning_scheduled = false;
    uint64_t ticks = 0;
    EventLoop::TimerId tick_timer = 0;
    EventLoop::TimerId wake_timer = 0;
    int64_t wake_at_ms = 0;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);  ///< for closures that outlive us
};

}  // namespace sluice
