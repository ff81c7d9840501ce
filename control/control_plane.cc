// SPDX-License-Identifier: Apache-2.0
#include "control/control_plane.h"

#include <algorithm>

#include "control/chassis/liveness.h"
#include "control/control_plane_impl.h"
#include "lib/base/log.h"

namespace sluice {
namespace {

SLUICE_LOG_MODULE(control_plane);

constexpr int64_t kTickMs = 1000;
constexpr uint64_t kStatsTicks = 5;
constexpr int64_t kLearnMs = 10;  // how long learnt addresses wait for company
constexpr int64_t kShutdownMs = 2000;

}  // namespace

ControlPlane::Impl::Impl(EventLoop& event_loop, PortControl& port_control, ControlOptions opts,
                         ControlHooks hks)
    : loop(event_loop),
      ports(port_control),
      options(std::move(opts)),
      hooks(std::move(hks)),
      plugger(&port_control),
      observations(&mirror, [this] { schedule(); }),
      builder(&mirror, &underlay) {}

ControlPlane::Impl::~Impl() {
    loop.cancel_timer(tick_timer);
    loop.cancel_timer(wake_timer);
}

Result<void> ControlPlane::Impl::start() {
    for (const ConfiguredPort& port : options.ports) {
        for (const std::string& address : port.addresses) {
            if (const auto added = underlay.add_address(port.spec.name, address); !added) {
                return added.error().with_context("port " + port.spec.name);
            }
        }
    }
    if (!options.ovs_remote.empty()) {
        ovs =
            std::make_unique<vswitch::Database>(&loop, options.ovs_remote, [this] { schedule(); });
        if (const auto started = ovs->start(); !started) {
            return started.error().with_context("local database " + options.ovs_remote);
        }
    }
    if (options.kernel_underlay) {
        kernel =
            std::make_unique<physical::KernelWatch>(&loop, [this](physical::KernelState state) {
                if (underlay.set_kernel(std::move(state))) {
                    schedule();
                }
            });
        if (const auto started = kernel->start(); !started) {
            LOG_WARN("the kernel's addresses and routes are not followed: {}",
                     started.error().message);
        }
    }
    tick_timer = loop.add_periodic(kTickMs, [this] { tick(); });
    run();
    for (const ConfiguredPort& port : options.ports) {
        if (const std::string& error = plugger.error(port.spec.name); !error.empty()) {
            return Error{"port " + port.spec.name + ": " + error};
        }
    }
    if (sb && sb->status().state == ovsdb::ClientState::kIdle) {
        return Error{"Southbound remote \"" + session_remote + "\" cannot be used, see the log"};
    }
    return {};
}

void ControlPlane::Impl::schedule() {
    if (is_scheduled || is_stopping) {
        return;
    }
    is_scheduled = true;
    loop.add_timer(0, [this, still = std::weak_ptr<bool>(alive)] {
        if (!still.expired()) {
            run();
        }
    });
}

void ControlPlane::Impl::schedule_in(int64_t delay_ms) {
    const int64_t at_ms = EventLoop::now_ms() + delay_ms;
    if (wake_timer != 0 && wake_at_ms <= at_ms) {
        return;
    }
    loop.cancel_timer(wake_timer);
    wake_at_ms = at_ms;
    wake_timer = loop.add_timer(delay_ms, [this] {
        wake_timer = 0;
        schedule();
    });
}

void ControlPlane::Impl::tick() {
    if (++ticks % kStatsTicks == 0) {
        stats.clear();
        for (const PortId id : ports.list()) {
            if (const auto value = ports.stats(id)) {
                stats[id] = *value;
            }
        }
    }
    // Links, neighbours that age, ports that could not be opened: looked at once a second.
    schedule();
}

void ControlPlane::Impl::shutdown(bool restart, std::function<void()> done) {
    is_stopping = true;
    const auto once = std::make_shared<std::function<void()>>(std::move(done));
    const auto finish = [once] {
        if (*once) {
            std::exchange(*once, nullptr)();
        }
    };
    if (restart || !sb || !sb->synced()) {
        loop.add_timer(0, finish);
        return;
    }
    loop.add_timer(kShutdownMs, finish);
    const chassis::Identity identity{settings.chassis, settings.hostname};
    claims->release_all(identity, [this, finish, name = settings.chassis] {
        registrar->remove(name, [this, finish] { loop.add_timer(0, finish); });
    });
}

ControlPlane::ControlPlane(EventLoop& loop, PortControl& ports, ControlOptions options,
                           ControlHooks hooks)
    : impl_(std::make_unique<Impl>(loop, ports, std::move(options), std::move(hooks))) {}
ControlPlane::~ControlPlane() = default;

Result<void> ControlPlane::start() {
    return impl_->start();
}

void ControlPlane::shutdown(bool restart, std::function<void()> done) {
    impl_->shutdown(restart, std::move(done));
}

void ControlPlane::learn_mac(uint32_t datapath_key, uint32_t port_key, const Ip4& ip,
                             const Mac& mac) {
    if (impl_->learning &&
        impl_->learning->learn_mac(datapath_key, port_key, physical::to_address(ip), mac)) {
        flush_learning();
    }
}

void ControlPlane::learn_mac(uint32_t datapath_key, uint32_t port_key, const Ip6& ip,
                             const Mac& mac) {
    if (impl_->learning &&
        impl_->learning->learn_mac(datapath_key, port_key, physical::to_address(ip), mac)) {
        flush_learning();
    }
}

void ControlPlane::mac_used(uint32_t datapath_key, uint32_t port_key, const Ip4& ip,
                            const Mac& mac) {
    if (impl_->learning &&
        impl_->learning->use_mac(datapath_key, port_key, physical::to_address(ip), mac)) {
        flush_learning();
    }
}

void ControlPlane::mac_used(uint32_t datapath_key, uint32_t port_key, const Ip6& ip,
                            const Mac& mac) {
    if (impl_->learning &&
        impl_->learning->use_mac(datapath_key, port_key, physical::to_address(ip), mac)) {
        flush_learning();
    }
}

void ControlPlane::learn_fdb(uint32_t datapath_key, uint32_t port_key, const Mac& mac) {
    if (impl_->learning && impl_->learning->learn_fdb(datapath_key, port_key, mac)) {
        flush_learning();
    }
}

void ControlPlane::fdb_used(uint32_t datapath_key, uint32_t port_key, const Mac& mac) {
    if (impl_->learning && impl_->learning->use_fdb(datapath_key, port_key, mac)) {
        flush_learning();
    }
}

void ControlPlane::port_activated(uint32_t datapath_key, uint32_t port_key) {
    if (impl_->learning &&
        impl_->learning->activate(datapath_key, port_key, impl_->settings.chassis)) {
        flush_learning();
    }
}

void ControlPlane::flush_learning() {
    if (impl_->is_learning_scheduled) {
        return;
    }
    impl_->is_learning_scheduled = true;
    impl_->loop.add_timer(kLearnMs, [this, still = std::weak_ptr<bool>(impl_->alive)] {
        if (!still.expired()) {
            impl_->is_learning_scheduled = false;
            impl_->learning->flush();
        }
    });
}

void ControlPlane::neighbor_learned(PortId port, const Ip4& ip, const Mac& mac) {
    impl_->underlay.learned(port, physical::to_address(ip), mac, EventLoop::now_ms());
    impl_->schedule();
}

void ControlPlane::neighbor_learned(PortId port, const Ip6& ip, const Mac& mac) {
    impl_->underlay.learned(port, physical::to_address(ip), mac, EventLoop::now_ms());
    impl_->schedule();
}

void ControlPlane::prefix_delegated(const std::string& port, const std::string& list) {
    impl_->prefixes.take(port, list);
    impl_->schedule();
}

void ControlPlane::watched(const watch::Report& report) {
    impl_->observations.take(report);
    if (report.tunnels) {
        impl_->tunnel_bfd = *report.tunnels;
        impl_->live = chassis::live_chassis(impl_->tunnel_bfd);
    }
    impl_->schedule();
}

void ControlPlane::tunnel_wanted(uint32_t) {
    // Next hops of all tunnels are asked for anyway; this makes it at once instead of in a tick.
    impl_->schedule();
}

Result<void> ControlPlane::add_address(const std::string& where, const std::string& prefix) {
    impl_->schedule();
    return impl_->underlay.add_address(where, prefix);
}

Result<void> ControlPlane::add_route(const std::string& prefix, const std::string& where,
                                     const std::string& gateway) {
    impl_->schedule();
    return impl_->underlay.add_route(prefix, where, gateway);
}

Result<void> ControlPlane::del_route(const std::string& prefix) {
    impl_->schedule();
    return impl_->underlay.del_route(prefix);
}

Result<void> ControlPlane::set_neighbor(const std::string& where, const std::string& ip,
                                        const std::string& mac) {
    impl_->schedule();
    return impl_->underlay.set_neighbor(where, ip, mac);
}

Result<void> ControlPlane::del_neighbor(const std::string& where, const std::string& ip) {
    impl_->schedule();
    return impl_->underlay.del_neighbor(where, ip);
}

std::vector<std::string> ControlPlane::describe_routes() const {
    return impl_->underlay.describe_routes();
}

std::vector<std::string> ControlPlane::describe_neighbors() const {
    return impl_->underlay.describe_neighbors();
}

const Pipeline* ControlPlane::current() const {
    return impl_->current;
}

std::vector<std::string> ControlPlane::flow_errors() const {
    std::vector<std::string> list;
    for (const auto& [uuid, text] : impl_->told_flow_errors) {
        list.push_back(text);
    }
    return list;
}

ControlStatus ControlPlane::status() const {
    const Impl& i = *impl_;
    ControlStatus out;
    out.chassis = i.settings.chassis;
    out.sb_remote = i.sb ? i.sb->status().remote : i.settings.sb_remote;
    out.sb_state = i.sb ? ovsdb::to_string(i.sb->status().state) : "not configured";
    out.ovs_remote = i.options.ovs_remote;
    out.ovs_state = i.ovs ? ovsdb::to_string(i.ovs->client().status().state) : "";
    out.nb_cfg = i.registrar ? i.registrar->acknowledged() : 0;
    out.publishes = i.publishes;
    out.local_datapaths = i.builder.local_datapaths().size();
    out.logical_flows = i.builder.flows().size();
    out.flow_errors = i.told_flow_errors.size();
    out.last_build_ms = i.last_build_ms;
    return out;
}

std::vector<MirrorStatus> ControlPlane::mirror_status() const {
    return impl_->mirror_status();
}

std::vector<PortBindingStatus> ControlPlane::port_status() const {
    return impl_->port_status();
}

std::string ControlPlane::logical_port_name(uint32_t datapath_key, uint32_t port_key) const {
    const sb::DatapathBinding* datapath = impl_->mirror.datapath_by_key(datapath_key);
    const sb::PortBinding* port =
        datapath ? impl_->mirror.port_by_key(datapath->uuid, port_key) : nullptr;
    return port ? port->logical_port : "";
}

std::string ControlPlane::tunnel_name(uint32_t tunnel) const {
    return impl_->builder.tunnels().name(tunnel);
}

std::vector<uint32_t> ControlPlane::flows_of(uint32_t datapath_key) const {
    std::vector<uint32_t> ids;
    if (const sb::DatapathBinding* datapath = impl_->mirror.datapath_by_key(datapath_key)) {
        for (const compile::Flow* flow : impl_->builder.flows().flows_of(datapath->uuid)) {
            ids.push_back(flow->id);
        }
    }
    return ids;
}

void ControlPlane::rebuild() {
    impl_->builder.rebuild();
    impl_->schedule();
}

}  // namespace sluice
