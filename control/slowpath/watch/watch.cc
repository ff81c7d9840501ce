// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/watch.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <random>

#include "control/compile/punt_args.h"
#include "control/slowpath/watch/acl_log.h"
#include "control/slowpath/watch/events.h"
#include "lib/base/log.h"
#include "lib/program/packet_meta.h"
#include "lib/program/pipeline.h"

SLUICE_LOG_MODULE(watch);

namespace sluice::watch {
namespace {

using C = SlowPathCounter;

int64_t wall_us() {
    using namespace std::chrono;
    return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

std::function<uint32_t()> random_source() {
    return [engine = std::mt19937(std::random_device()())]() mutable {
        return static_cast<uint32_t>(engine());
    };
}

const FlowInfo* flow_of(const Punt& punt) {
    const auto& flows = punt.pipeline.flows;
    return flows && punt.meta.flow < flows->size() ? (*flows)[punt.meta.flow].get() : nullptr;
}

/// The action that punted, if it is a T.
template <typename T>
std::shared_ptr<const T> action_of(const Punt& punt) {
    const auto args = compile::PuntArgsTable::instance().find(punt.meta.args);
    const T* node = args ? std::get_if<T>(&args->node) : nullptr;
    return {args, node};
}

}  // namespace

/// What waits for control; shared with deliveries under way.
struct Watch::Box : std::enable_shared_from_this<Watch::Box> {
    Box(EventLoop* loop, Sink sink) : control_loop(loop), deliver_to(std::move(sink)) {}

    template <typename Fill>
    void add(Fill fill) {
        const std::lock_guard lock(mutex);
        fill(waiting);
        if (!posted && !closed) {
            posted = true;
            control_loop->post([box = shared_from_this()] { box->deliver(); });
        }
    }
    void deliver() {
        Report report;
        {
            const std::lock_guard lock(mutex);
            posted = false;
            if (closed) {
                return;
            }
            report = std::exchange(waiting, {});
        }
        deliver_to(report);
    }
    void close() {
        const std::lock_guard lock(mutex);
        closed = true;
    }

    EventLoop* const control_loop;
    const Sink deliver_to;  ///< called on the control thread
    std::mutex mutex;       ///< guards what follows
    Report waiting;
    bool posted = false;
    bool closed = false;
};

Watch::Watch(SlowPath& slow, EventLoop& control_loop, Sink sink)
    : slow_(slow),
      box_(std::make_shared<Box>(&control_loop, std::move(sink))),
      services_(random_source()),
      bfd_(random_source()),
      tunnels_(random_source()),
      ipfix_([this](const std::string& target, const std::vector<uint8_t>& message) {
          return udp_.send(target, message);
      }) {
    const auto set = [&](PuntReason reason, void (Watch::*handler)(const Punt&)) {
        slow.set_handler(reason, [this, handler](const Punt& punt) { (this->*handler)(punt); });
    };
    set(PuntReason::kIgmp, &Watch::on_igmp);
    set(PuntReason::kSvcCheck, &Watch::on_service);
    set(PuntReason::kBfd, &Watch::on_bfd);
    set(PuntReason::kTunnelBfd, &Watch::on_tunnel_bfd);
    set(PuntReason::kEvent, &Watch::on_event);
    set(PuntReason::kBindVport, &Watch::on_vport);
    set(PuntReason::kLog, &Watch::on_log);
    set(PuntReason::kSample, &Watch::on_sample);
    slow.set_deadlines([this](int64_t now_ms) { run_tunnels(now_ms); });
}

Watch::~Watch() {
    box_->close();
}

void Watch::configure(std::shared_ptr<const Config> config) {
    slow_.loop().post([this, config = std::move(config)] { take(*config); });
}

void Watch::take(const Config& config) {
    const int64_t now_ms = EventLoop::now_ms();
    LOG_DBG("watching {} switches, {} services, {} BFD sessions; {} collector sets",
            config.switches.size(), config.services.size(), config.bfd.size(),
            config.collectors.size());
    if (snooper_.configure(config.switches, now_ms)) {
        report_groups();
    }
    services_.configure(config.services);
    if (bfd_.configure(config.bfd, now_ms)) {
        report_bfd();
    }
    if (tunnels_.configure(config.tunnels, now_ms)) {
        report_tunnels();
    }
    ipfix_.configure(config.collectors, now_ms, wall_us());
    run();
}

void Watch::run() {
    const int64_t now_ms = EventLoop::now_ms();
    std::vector<Snooper::Query> queries;
    if (snooper_.run(now_ms, &queries)) {
        report_groups();
    }
    for (Snooper::Query& query : queries) {
        send_local(query.datapath, query.flood_key, std::move(query.frame));
    }
    std::vector<ServiceMonitors::Probe> probes;
    if (services_.run(now_ms, &probes)) {
        report_services();
    }
    send_probes(std::move(probes));
    std::vector<Bfd::Packet> packets;
    if (bfd_.run(now_ms, &packets)) {
        report_bfd();
    }
    send_bfd(std::move(packets));
    ipfix_.run(now_ms, wall_us());
    arm();
}

void Watch::arm() {
    const int64_t next_ms =
        std::min({snooper_.next_ms(), services_.next_ms(), bfd_.next_ms(), ipfix_.next_ms()});
    if (timer_ != 0 && armed_ms_ <= next_ms) {
        return;
    }
    slow_.loop().cancel_timer(timer_);
    timer_ = 0;
    if (next_ms == INT64_MAX) {
        return;
    }
    armed_ms_ = next_ms;
    const int64_t delay_ms = std::max<int64_t>(next_ms - EventLoop::now_ms(), 1);
    timer_ = slow_.loop().add_timer(delay_ms, [this] {
        timer_ = 0;
        run();
    });
}

void Watch::send_local(uint32_t datapath, uint32_t outport, std::vector<uint8_t> frame) {
    Injection injection;
    injection.kind = InjectKind::kOutputLocal;
    injection.datapath = datapath;
    injection.outport = outport;
    injection.flags = flag::kLocalOnly;
    injection.frame = std::move(frame);
    slow_.send(injection);
}

void Watch::send_probes(std::vector<ServiceMonitors::Probe> probes) {
    for (ServiceMonitors::Probe& probe : probes) {
        send_local(probe.datapath, probe.port, std::move(probe.frame));
    }
}

void Watch::send_bfd(std::vector<Bfd::Packet> packets) {
    for (Bfd::Packet& packet : packets) {
        Injection injection;
        injection.kind = InjectKind::kIngress;
        injection.datapath = packet.datapath;
        injection.inport = packet.port;
        injection.frame = std::move(packet.frame);
        slow_.send(injection);
    }
}

void Watch::send_tunnel_bfd(std::vector<TunnelBfd::Packet> packets) {
    for (TunnelBfd::Packet& packet : packets) {
        Injection injection;
        injection.kind = InjectKind::kTunnel;
        injection.outport = packet.tunnel;
        injection.frame = std::move(packet.frame);
        slow_.send(injection);
    }
}

void Watch::run_tunnels(int64_t now_ms) {
    std::vector<TunnelBfd::Packet> packets;
    if (tunnels_.run(now_ms, &packets)) {
        report_tunnels();
    }
    send_tunnel_bfd(std::move(packets));
}

void Watch::report_groups() {
    box_->add([&](Report& report) { report.groups = snooper_.groups(); });
}

void Watch::report_services() {
    box_->add([&](Report& report) { report.services = services_.states(); });
}

void Watch::report_bfd() {
    box_->add([&](Report& report) { report.bfd = bfd_.states(); });
}

void Watch::report_tunnels() {
    box_->add([&](Report& report) { report.tunnels = tunnels_.states(); });
}

void Watch::on_igmp(const Punt& punt) {
    const PuntMeta& meta = punt.meta;
    const Snooper::Outcome out = snooper_.take(meta.datapath(), meta.inport(), punt.frame,
                                               read_headers(punt.frame), punt.now_ms);
    if (out.malformed) {
        slow_.count(C::k_punt_malformed);
        return;
    }
    if (out.changed) {
        report_groups();
        arm();
    }
    if (out.forward_key != 0) {
        Injection injection;
        injection.kind = InjectKind::kOutput;
        injection.datapath = meta.datapath();
        injection.inport = meta.inport();
        injection.outport = out.forward_key;
        injection.frame.assign(punt.frame.begin(), punt.frame.end());
        slow_.send(injection, punt.worker);
    }
}

void Watch::on_service(const Punt& punt) {
    std::vector<ServiceMonitors::Probe> probes;
    if (!services_.take(punt.meta.datapath(), punt.meta.inport(), punt.frame,
                        read_headers(punt.frame), punt.now_ms, &probes)) {
        slow_.count(C::k_punt_unhandled);
        return;
    }
    send_probes(std::move(probes));
    run();  // it may be online now
}

void Watch::on_bfd(const Punt& punt) {
    std::vector<Bfd::Packet> packets;
    const Bfd::Outcome out = bfd_.take(punt.frame, read_headers(punt.frame), punt.now_ms, &packets);
    if (!out.known) {
        slow_.count(C::k_punt_unhandled);
        return;
    }
    if (out.changed) {
        report_bfd();
    }
    send_bfd(std::move(packets));
    arm();
}

void Watch::on_tunnel_bfd(const Punt& punt) {
    const auto address = [&](unsigned slot) {
        Ip6 ip;
        for (unsigned i = 0; i < 16; ++i) {
            ip.bytes[i] = static_cast<uint8_t>(punt.meta.logical[slot + i / 4] >> (24 - i % 4 * 8));
        }
        return ip;
    };
    const TunnelBfd::Ends ends = {static_cast<TunnelType>(punt.meta.logical[TunnelBfdWords::kType]),
                                  address(TunnelBfdWords::kSource),
                                  address(TunnelBfdWords::kTarget)};
    std::vector<TunnelBfd::Packet> packets;
    const TunnelBfd::Outcome out =
        tunnels_.take(punt.frame, read_headers(punt.frame), ends, punt.now_ms, &packets);
    if (!out.known) {
        slow_.count(C::k_punt_unhandled);
        return;
    }
    if (out.changed) {
        report_tunnels();
    }
    send_tunnel_bfd(std::move(packets));
}

void Watch::on_event(const Punt& punt) {
    const auto action = action_of<lang::TriggerEvent>(punt);
    const auto event = action ? event_of(*action) : std::nullopt;
    if (!event) {
        slow_.count(C::k_punt_unhandled);
        return;
    }
    box_->add([&](Report& report) {
        auto& list = report.events;
        if (std::find(list.begin(), list.end(), *event) != list.end()) {
            return;
        }
        if (list.size() < kMaxWaiting) {
            list.push_back(*event);
        } else {
            slow_.count(C::k_learn_lost);
        }
    });
}

void Watch::on_vport(const Punt& punt) {
    const auto args = compile::PuntArgsTable::instance().find(punt.meta.args);
    const auto claim = args ? claim_of(*args, punt.meta) : std::nullopt;
    if (!claim) {
        slow_.count(C::k_punt_unhandled);
        return;
    }
    box_->add([&](Report& report) {
        for (VportClaim& waiting : report.vports) {
            if (waiting.datapath == claim->datapath && waiting.vport == claim->vport) {
                waiting.parent = claim->parent;
                return;
            }
        }
        if (report.vports.size() < kMaxWaiting) {
            report.vports.push_back(*claim);
        } else {
            slow_.count(C::k_learn_lost);
        }
    });
}

void Watch::on_log(const Punt& punt) {
    const auto action = action_of<lang::Log>(punt);
    if (!action) {
        slow_.count(C::k_punt_unhandled);
        return;
    }
    const FlowInfo* flow = flow_of(punt);
    write_acl_log(*action, flow && flow->side == kEgress, punt.frame);
}

void Watch::on_sample(const Punt& punt) {
    const auto action = action_of<lang::Sample>(punt);
    if (!action) {
        slow_.count(C::k_punt_unhandled);
        return;
    }
    const FlowInfo* flow = flow_of(punt);
    uint32_t cookie = 0;
    for (unsigned i = 0; flow && i < 4; ++i) {
        cookie = cookie << 8 | flow->uuid.bytes[i];
    }
    PacketSample sample = sample_of(*action, punt.meta, cookie);
    sample.frame_len = punt.frame.size();
    if (!ipfix_.sample(sample, read_headers(punt.frame), punt.now_ms, wall_us())) {
        slow_.count(C::k_punt_unhandled);
        return;
    }
    arm();
}

}  // namespace sluice::watch
