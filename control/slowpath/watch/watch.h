// SPDX-License-Identifier: Apache-2.0
// Watch: what the hypervisor keeps an eye on, as one object on the slow-path thread.
//
// What. Multicast snooping with querier, health checks of load-balancer backends, BFD of static
// routes, controller events, claims of virtual ports, ACL logs and IPFIX samples: everything that
// watches packets and tells somebody, and changes none of them. It takes the punts of its reasons,
// runs the engines of this folder (pure: told bytes and times, they say what to send and what is
// so), injects what they send and hands what they found to control.
//
// Design. Control gives a complete Config whenever it differs; the engines keep what is the same.
// What goes back is a Report: complete lists where the database should say what is so (groups,
// services, BFD), events where something happened. Reports wait in one bounded box until control
// comes, newer lists taking the place of older ones. One timer of the slow path's loop is armed for
// whatever is due first.
//
// Threads: made and configured by control; the engines belong to the slow-path thread; the sink
// runs on the control thread, and after close() no more.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/slowpath/slowpath.h"
#include "control/slowpath/watch/bfd.h"
#include "control/slowpath/watch/ipfix.h"
#include "control/slowpath/watch/snooping.h"
#include "control/slowpath/watch/svc_monitor.h"
#include "control/slowpath/watch/tunnel_bfd.h"

namespace sluice::watch {

struct Config {
    std::vector<SnoopConfig> switches;
    std::vector<ServiceConfig> services;
    std::vector<BfdConfig> bfd;
    std::vector<TunnelBfdConfig> tunnels;
    std::vector<CollectorSet> collectors;
    bool operator==(const Config&) const = default;
};

/// For Controller_Event: type and event_info.
struct Event {
    std::string type;
    std::map<std::string, std::string> info;
    auto operator<=>(const Event&) const = default;
};

/// A virtual port was seen behind a VIF.
struct VportClaim {
    uint32_t datapath = 0;
    uint32_t vport = 0;   ///< key of the virtual port
    uint32_t parent = 0;  ///< key of the VIF
    auto operator<=>(const VportClaim&) const = default;
};

struct Report {
    std::optional<std::vector<GroupState>> groups;
    std::optional<std::vector<ServiceState>> services;
    std::optional<std::vector<BfdStatus>> bfd;
    std::optional<std::vector<TunnelBfdStatus>> tunnels;
    std::vector<Event> events;
    std::vector<VportClaim> vports;
};

class Watch {
public:
    static constexpr size_t kMaxWaiting = 1000;  ///< events, claims

    using Sink = std::function<void(const Report&)>;

    /// Registers its handlers: before slow.start(). `slow` must outlive it or be stopped first.
    Watch(SlowPath& slow, EventLoop& control_loop, Sink sink);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    void configure(std::shared_ptr<const Config> config);

private:
    struct Box;

    void on_igmp(const Punt& punt);
    void on_service(const Punt& punt);
    void on_bfd(const Punt& punt);
    void on_tunnel_bfd(const Punt& punt);
    void run_tunnels(int64_t now_ms);
    void on_event(const Punt& punt);
    void on_vport(const Punt& punt);
    void on_log(const Punt& punt);
    void on_sample(const Punt& punt);
    void take(const Config& config);
    void run();
    void arm();
    void send_local(uint32_t datapath, uint32_t outport, std::vector<uint8_t> frame);
    void send_probes(std::vector<ServiceMonitors::Probe> probes);
    void send_bfd(std::vector<Bfd::Packet> packets);
    void send_tunnel_bfd(std::vector<TunnelBfd::Packet> packets);
    void report_groups();
    void report_services();
    void report_bfd();
    void report_tunnels();

    SlowPath& slow_;
    std::shared_ptr<Box> box_;
    Snooper snooper_;
    ServiceMonitors services_;
    Bfd bfd_;
    TunnelBfd tunnels_;
    UdpSender udp_;
    Ipfix ipfix_;
    EventLoop::TimerId timer_ = 0;
    int64_t armed_ms_ = 0;
};

}  // namespace sluice::watch
