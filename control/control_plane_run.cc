// SPDX-License-Identifier: Apache-2.0
// One round of the control plane.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <tuple>

#include "control/chassis/liveness.h"
#include "control/chassis/watch_config.h"
#include "control/control_plane_impl.h"
#include "control/physical/qos_queues.h"
#include "control/service_tables.h"
#include "control/steering.h"
#include "control/vswitch/local_mirrors.h"
#include "lib/base/log.h"

namespace sluice {
namespace {

SLUICE_LOG_MODULE(control);

bool equal(const ResolveRequest& a, const ResolveRequest& b) {
    return std::tie(a.port, a.src_mac, a.ip6, a.src4, a.target4, a.src6, a.target6) ==
           std::tie(b.port, b.src_mac, b.ip6, b.src4, b.target4, b.src6, b.target6);
}

}  // namespace

void ControlPlane::Impl::run() {
    is_scheduled = false;
    if (is_stopping) {
        return;
    }
    refresh_settings();
    plug();
    refresh_underlay();
    connect();
    if (is_sb_known()) {
        publish();
        watch();
        announce();
    }
    unplug();
    place();
    if (ports.end_holds()) {
        hooks.ports_changed({});
    }
    if (is_sb_known()) {
        set_conditions();
        write_southbound();
    }
    report_interfaces();
    keep_zones();
    // Who was not among what the database told may go once it has told all: one more round.
    if (is_complete() && !std::exchange(was_complete, true)) {
        schedule();
    }
    was_complete = is_complete();
}

void ControlPlane::Impl::refresh_settings() {
    static const sb::StringMap kNone;
    if (ovs && !ovs->is_known()) {
        return;
    }
    settings = vswitch::make_settings(ovs ? contents()->external_ids : kNone, options.external_ids,
                                      options.chassis_name);
    settings.encap.legacy_option = options.legacy_geneve_tx;
    if (!options.sb_remote.empty()) {
        settings.sb_remote = options.sb_remote;
    }
    std::vector<std::string> problems = settings.problems;
    if (settings.chassis.empty()) {
        problems.push_back("no chassis name: set external_ids:system-id (or --system-id)");
    } else if (settings.sb_remote.empty()) {
        problems.push_back("no Southbound database: set external_ids:ovn-remote (or --sb)");
    } else if (settings.encap_types.empty() || settings.encap_ips.empty()) {
        problems.push_back(
            "not registered: set external_ids:ovn-encap-type and ovn-encap-ip (or --encap-ip)");
    }
    for (const std::string& problem : problems) {
        if (told_problems.insert(problem).second) {
            LOG_WARN("{}", problem);
        }
    }
    // Not before somebody configured us: who does may want to make the bridge himself.
    if (ovs && !settings.chassis.empty() && !settings.sb_remote.empty()) {
        ovs->create_bridge(settings.bridge, settings.bridge_datapath_type);
    }
}

void ControlPlane::Impl::plug() {
    if (ovs && !ovs->is_known()) {
        return;
    }
    auto wanted =
        vswitch::wanted_ports(contents(), settings, options.ports, options.system_is_dummy);
    const size_t n_wanted = wanted.ports.size();
    fit_local_interfaces(&wanted.ports);
    const bool is_waiting = wanted.ports.size() != n_wanted;
    if (plugger.open(std::move(wanted.ports), EventLoop::now_ms())) {
        hooks.ports_changed({});
        if (is_waiting) {
            schedule();
        }
    }
}

/// A bridge's local interface looks like its port, and comes after it.
void ControlPlane::Impl::fit_local_interfaces(std::vector<vswitch::WantedPort>* wanted) {
    const auto waits = [&](vswitch::WantedPort& local) {
        if (!local.is_exception) {
            return false;
        }
        for (const vswitch::WantedPort& port : *wanted) {
            const PortId id = plugger.id(port.spec.name);
            if (port.is_exception || port.bridge != local.bridge || id == kNoPort) {
                continue;
            }
            local.spec.args["mac"] = to_string(port.mac.is_zero() ? ports.mac(id) : port.mac);
            local.spec.args["mtu"] = std::to_string(ports.mtu(id));
            return false;
        }
        // While its port is opened anew, what is there stays, with the addresses it was given.
        const PortSpec* const open = plugger.open_spec(local.spec.name);
        const bool has_port =
            std::any_of(wanted->begin(), wanted->end(), [&](const vswitch::WantedPort& port) {
                return !port.is_exception && port.bridge == local.bridge && port.error.empty();
            });
        if (open && has_port) {
            local.spec = *open;
            return false;
        }
        return true;
    };
    std::vector<vswitch::WantedPort> kept;
    for (vswitch::WantedPort& port : *wanted) {
        if (!waits(port)) {
            kept.push_back(port);
        }
    }
    *wanted = std::move(kept);
}

void ControlPlane::Impl::unplug() {
    const bool again = plugger.has_replacements();
    std::vector<Retire> closures = plugger.close();
    if (!closures.empty()) {
        hooks.ports_changed(std::move(closures));
    }
    if (again) {
        schedule();
    }
}

void ControlPlane::Impl::refresh_underlay() {
    std::vector<physical::Device> devices;
    std::set<std::string> configured;
    for (const ConfiguredPort& port : options.ports) {
        if (port.underlay) {
            configured.insert(port.spec.name);
        }
    }
    for (const vswitch::WantedPort& port : plugger.wanted()) {
        const PortId id = plugger.id(port.spec.name);
        if (id == kNoPort || port.is_integration || port.is_exception) {
            continue;
        }
        if (port.bridge.empty() && !configured.contains(port.spec.name)) {
            continue;
        }
        const Mac mac = port.mac.is_zero() ? ports.mac(id) : port.mac;
        devices.push_back(
            {port.spec.name, port.bridge, port.kernel_name, id, mac.to_u64(), ports.mtu(id)});
        devices.back().kernel_is_host = port.is_shared;
    }
    for (const vswitch::WantedPort& port : plugger.wanted()) {
        const auto first =
            std::find_if(devices.begin(), devices.end(),
                         [&](const physical::Device& d) { return d.bridge == port.bridge; });
        if (port.is_exception && first != devices.end()) {
            first->exception = plugger.id(port.spec.name);
        }
    }
    underlay.set_devices(std::move(devices));
    underlay.expire(EventLoop::now_ms());
}

chassis::Attachments ControlPlane::Impl::attachments() {
    chassis::Attachments here;
    std::map<std::string, std::vector<const vswitch::WantedPort*>> by_iface;
    std::map<std::string, std::vector<const vswitch::WantedPort*>> by_bridge;
    for (const vswitch::WantedPort& port : plugger.wanted()) {
        if (!port.iface_id.empty() && plugger.is_being_replaced(port.spec.name)) {
            by_iface[port.iface_id].push_back(&port);  // stays ours, with its zone
        }
        if (plugger.id(port.spec.name) == kNoPort) {
            continue;
        }
        if (!port.mirror_id.empty()) {
            here.mirror_targets.try_emplace(port.mirror_id, plugger.id(port.spec.name));
        }
        if (!port.iface_id.empty()) {
            by_iface[port.iface_id].push_back(&port);
        }
        if (!port.is_integration && !port.is_exception && !port.bridge.empty()) {
            by_bridge[port.bridge].push_back(&port);
        }
        if (!port.physnet.empty()) {
            here.physnets[port.physnet] = plugger.id(port.spec.name);
        }
    }
    std::erase_if(iface_owner, [&](const auto& entry) { return !by_iface.contains(entry.first); });
    for (const auto& [iface_id, list] : by_iface) {
        std::string& owner = iface_owner[iface_id];
        auto first = std::find_if(list.begin(), list.end(),
                                  [&](const auto* port) { return port->spec.name == owner; });
        first = first == list.end() ? list.begin() : first;
        owner = (*first)->spec.name;
        for (const vswitch::WantedPort* port : list) {
            const std::string text =
                fmt::format("interface {}: iface-id {} is in use by interface {} already; ignored",
                            port->spec.name, iface_id, owner);
            if (port != *first && told_problems.insert(text).second) {
                LOG_WARN("{}", text);
            }
        }
        here.vifs[iface_id] = {plugger.id(owner), owner, (*first)->encap_ip};
    }
    for (const auto& [network, bridge] : settings.bridge_mappings) {
        const auto it = by_bridge.find(bridge);
        if (it == by_bridge.end()) {
            continue;
        }
        here.physnets[network] = plugger.id(it->second.front()->spec.name);
        const std::string text =
            fmt::format("bridge {} of network {} has several ports; only {} is used", bridge,
                        network, it->second.front()->spec.name);
        if (it->second.size() > 1 && told_problems.insert(text).second) {
            LOG_WARN("{}", text);
        }
    }
    if (ovs && contents()) {
        here.mirrors =
            vswitch::local_mirrors(*contents(), settings, plugger.wanted(),
                                   [this](const std::string& name) { return plugger.id(name); });
    }
    return here;
}

BuildInputs ControlPlane::Impl::inputs() {
    return {
        {settings.chassis, settings.hostname}, attachments(), settings.encap, settings.zone_range,
        was_complete && is_complete(),         live};
}

void ControlPlane::Impl::connect() {
    if (settings.sb_remote.empty() || settings.chassis.empty()) {
        return;
    }
    ovsdb::TlsFiles tls{options.tls.private_key, options.tls.certificate, options.tls.ca_cert};
    if (ovs && !contents()->certificate.empty()) {
        tls = {contents()->private_key, contents()->certificate, contents()->ca_cert};
    }
    const auto same_tls = [&] {
        return tls.private_key == session_tls.private_key &&
               tls.certificate == session_tls.certificate && tls.ca_cert == session_tls.ca_cert;
    };
    if (!sb || !same_tls()) {
        session_remote = settings.sb_remote;
        session_tls = tls;
        open_session();
        return;
    }
    sb->set_probe_interval(settings.probe_interval_ms);
    if (session_remote != settings.sb_remote) {
        session_remote = settings.sb_remote;
        LOG_INFO("Southbound remote is now {}", session_remote);
        if (const auto set = sb->set_remotes(session_remote); !set) {
            LOG_ERR("ovn-remote: {}", set.error().message);
        }
    }
}

void ControlPlane::Impl::open_session() {
    ovsdb::ClientOptions client_options;
    client_options.database = "OVN_Southbound";
    client_options.remotes = session_remote;
    client_options.tls = session_tls;
    client_options.tables = sb::table_specs();
    client_options.probe_interval_ms = settings.probe_interval_ms;
    // A session that takes another's place asks at once for all that is in use, so that no pipeline
    // is made of half a database.
    conditions = conditions_now();
    for (const auto& [table, condition] : conditions) {
        client_options.tables[table].condition = condition;
    }
    const auto again = [this] { schedule(); };
    // A session is replaced whole (other TLS files): what it wrote last is asked for again.
    observations.attach(nullptr);
    prefixes.attach(nullptr);
    registrar.reset();
    claims.reset();
    learning.reset();
    sb = std::make_unique<ovsdb::Client>(
        &loop, std::move(client_options),
        ovsdb::Client::Callbacks{[this](const ovsdb::Update& update) { take(update); },
                                 [this](const ovsdb::Status&) { schedule(); }});
    registrar = std::make_unique<chassis::Registrar>(sb.get(), &mirror, again);
    claims = std::make_unique<chassis::PortClaims>(sb.get(), &mirror, again);
    learning = std::make_unique<chassis::Learning>(sb.get(), &mirror, again);
    observations.attach(sb.get());
    prefixes.attach(sb.get());
    session_is_new = true;
    conditions_in_force = conditions_wanted = 0;
    if (const auto started = sb->start(); !started) {
        LOG_ERR("Southbound remote {}: {}", session_remote, started.error().message);
    }
}

void ControlPlane::Impl::take(const ovsdb::Update& update) {
    if (session_is_new) {
        session_is_new = false;
        if (mirror_known) {
            mirror = sb::Mirror();
            builder.forget();
        }
    }
    mirror.apply(update);
    conditions_in_force = update.condition_seq;
    mirror_known = true;
    schedule();
}

bool ControlPlane::Impl::is_complete() const {
    return sb && sb->synced() && conditions_in_force >= conditions_wanted;
}

void ControlPlane::Impl::publish() {
    const auto start = std::chrono::steady_clock::now();
    if (hooks.services && service_tables_changed(mirror)) {
        hooks.services(make_service_tables(mirror));  // before flows that need them
    }
    restore_zones();
    auto pipeline = builder.update(inputs());
    mirror.forget_changes();
    empty_assigned_zones();
    if (pipeline) {
        if (hooks.reserve_flows) {
            hooks.reserve_flows(pipeline->flow_count);
        }
        current = pipeline.get();
        ++publishes;
        hooks.publish(std::move(pipeline));
        log_errors();
        last_build_ms =
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                .count();
        LOG_DBG("published {} in {:.1f} ms", current->sequence, last_build_ms);
    }
    shape();
    steer();
    recycle_flow_ids();
    drain_released();
    auto wanted = underlay.wanted(EventLoop::now_ms());
    if (hooks.resolve &&
        !std::equal(wanted.begin(), wanted.end(), resolving.begin(), resolving.end(), equal)) {
        resolving = std::move(wanted);
        hooks.resolve(resolving);
    }
}

/// Gives the interfaces on the way out of the node the queues that logical ports ask for.
void ControlPlane::Impl::shape() {
    const auto queues = physical::qos_queues(mirror, builder.plan(), builder.local_datapaths());
    std::vector<Retire> closures;
    for (const vswitch::WantedPort& port : plugger.wanted()) {
        const PortId id = plugger.id(port.spec.name);
        if (id == kNoPort) {
            continue;
        }
        Result<Retire> changed =
            ports.set_queues(id, port.is_egress ? queues : std::vector<PortQueue>());
        if (!changed) {
            LOG_WARN_RL("queues of {}: {}", port.spec.name, changed.error().message);
        } else if (*changed) {
            closures.push_back(std::move(*changed));
        }
    }
    if (!closures.empty()) {
        hooks.ports_changed(std::move(closures));
    }
}

/// Devices that the kernel shares: what of theirs is ours, and who resolves next hops.
void ControlPlane::Impl::steer() {
    for (const vswitch::WantedPort& port : plugger.wanted()) {
        const PortId id = plugger.id(port.spec.name);
        if (!port.is_shared || id == kNoPort || !hooks.steer) {
            continue;
        }
        const PortEntry* entry =
            current && id < current->entries.size() ? current->entries[id] : nullptr;
        hooks.steer(id, steering_of(entry, settings.encap.ips));
    }
    neighbor_use.use(underlay.kernel_hops(), EventLoop::now_ms());
}

void ControlPlane::Impl::watch() {
    if (!hooks.watch) {
        return;
    }
    watch::Config config = chassis::watch_config(mirror, builder.plan(), builder.local_datapaths(),
                                                 {settings.chassis, settings.hostname});
    // Who answers gets packets: not before they can be forwarded.
    if (!tunnel_bfd.empty() || (is_complete() && was_complete && current)) {
        config.tunnels = chassis::tunnel_bfd_config(mirror, builder.tunnels(), settings.chassis);
    }
    const vswitch::Bridge* bridge = ovs ? contents()->bridge(settings.bridge) : nullptr;
    for (size_t i = 0; bridge && i < contents()->collectors.size(); ++i) {
        const vswitch::Collectors& set = contents()->collectors[i];
        if (set.bridge == bridge->uuid) {
            config.collectors.push_back(
                {set.id, set.targets, set.active_timeout_s, set.max_flows, set.virtual_obs_id});
        }
    }
    std::sort(config.collectors.begin(), config.collectors.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    if (!watching || !(*watching == config)) {
        watching = std::make_shared<const watch::Config>(std::move(config));
        hooks.watch(watching);
    }
}

void ControlPlane::Impl::announce() {
    if (!hooks.announce) {
        return;
    }
    std::set<std::string> physnets;
    for (const auto& [network, port] : attachments().physnets) {
        physnets.insert(network);
    }
    announce::Config config =
        chassis::announce_config(mirror, builder.plan(), builder.local_datapaths(), physnets);
    config.garp_longest_s = settings.garp_longest_s;
    if (announcing && *announcing == config) {
        return;
    }
    std::set<std::string> known;
    for (size_t i = 0; announcing && i < announcing->garps.size(); ++i) {
        known.insert(announcing->garps[i].name);
    }
    for (const announce::GarpConfig& garp : config.garps) {
        for (const chassis::LocalLesson& lesson : known.contains(garp.name)
                                                      ? std::vector<chassis::LocalLesson>()
                                                      : chassis::lessons_of(mirror, garp)) {
            learning->learn_mac(lesson.datapath, lesson.port, physical::to_address(lesson.ip),
                                lesson.mac);
        }
    }
    learning->flush();
    announcing = std::make_shared<const announce::Config>(std::move(config));
    hooks.announce(announcing);
}

void ControlPlane::Impl::recycle_flow_ids() {
    auto ids = builder.flows().take_retired();
    if (ids.empty() || !hooks.after_grace || !hooks.flow_counter) {
        return;
    }
    hooks.after_grace([this, ids = std::move(ids), still = std::weak_ptr<bool>(alive)] {
        if (still.expired()) {
            return;
        }
        for (const uint32_t id : ids) {
            const auto [packets, bytes] = hooks.flow_counter(id);
            builder.flows().recycle(id, packets, bytes);
        }
    });
}

void ControlPlane::Impl::log_errors() {
    auto errors = builder.flow_errors();
    for (const auto& [uuid, text] : errors) {
        const auto it = told_flow_errors.find(uuid);
        if (it == told_flow_errors.end() || it->second != text) {
            LOG_WARN_RL("{}", text);
        }
    }
    told_flow_errors = std::move(errors);
    for (const std::string& text : builder.port_errors()) {
        if (told_problems.insert(text).second) {
            LOG_INFO("{}", text);
        }
    }
}

std::map<sb::Table, ovsdb::Condition> ControlPlane::Impl::conditions_now() {
    sb::Interest interest;
    interest.everything = settings.monitor_all;
    interest.chassis = settings.chassis;
    const bool is_known = sb && sb->schema();
    if (is_known) {
        for (const vswitch::WantedPort& port : plugger.wanted()) {
            if (!port.iface_id.empty()) {
                interest.iface_ids.insert(port.iface_id);
            }
        }
        interest.datapaths = builder.local_datapaths();
    }
    auto now = sb::conditions(interest, mirror);
    for (auto& [table, condition] : now) {
        if (is_known) {
            const std::string& name = sb->replica().spec(table).name;
            std::erase_if(condition.clauses, [&](const ovsdb::Clause& clause) {
                return !sb->schema()->has_column(name, clause.column);
            });
        }
    }
    return now;
}

void ControlPlane::Impl::set_conditions() {
    for (auto& [table, condition] : conditions_now()) {
        ovsdb::Condition& known = conditions[table];
        if (known != condition) {
            known = condition;
            conditions_wanted = sb->set_condition(table, condition);
        }
    }
}

void ControlPlane::Impl::write_southbound() {
    if (!sb->synced()) {
        return;
    }
    const vswitch::Bridge* bridge = ovs ? contents()->bridge(settings.bridge) : nullptr;
    const std::string& type =
        bridge && !bridge->datapath_type.empty() ? bridge->datapath_type : std::string("netdev");
    observations.reconcile(builder.plan(), {settings.chassis, settings.hostname});
    prefixes.reconcile(mirror, [this] { schedule(); });
    registrar->reconcile(settings, type, fmt::format("{}", fmt::join(vswitch::kIfaceTypes, ",")),
                         EventLoop::now_ms());
    const bool is_ready = is_complete() && current;
    const int64_t wait_ms = claims->reconcile(builder.plan(), {settings.chassis, settings.hostname},
                                              is_ready, EventLoop::now_ms());
    if (wait_ms > 0) {
        schedule_in(wait_ms);
    }
    if (const sb::SbGlobal* global = mirror.global(); global && is_ready) {
        registrar->acknowledge(settings.chassis, global->nb_cfg);
    }
}

}  // namespace sluice
