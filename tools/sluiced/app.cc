// SPDX-License-Identifier: Apache-2.0
#include "tools/sluiced/app.h"

#include <fmt/format.h>

#include "control/capture/commands.h"
#include "lib/base/log.h"
#include "lib/program/steering.h"
#include "tools/daemon/paths.h"
#include "tools/host/eal.h"
#include "tools/sluiced/version.h"

SLUICE_LOG_MODULE(sluiced);

namespace sluice {
namespace {

ControlOptions control_options(const Options& o) {
    ControlOptions c;
    c.ovs_remote = o.no_db ? "" : o.db;
    c.sb_remote = o.sb;
    c.chassis_name = o.system_id;
    if (!o.encap_ip.empty()) {
        c.external_ids["ovn-encap-ip"] = o.encap_ip;
        c.external_ids["ovn-encap-type"] = o.encap_type;
    }
    c.tls = TlsFiles{o.private_key, o.certificate, o.ca_cert};
    for (const PortOption& port : o.ports) {
        c.ports.push_back(
            ConfiguredPort{port.spec, port.iface_id, port.physnet, port.underlay, port.addresses});
    }
    c.system_is_dummy = o.dummy;
    c.kernel_underlay = !o.dummy;
    c.zones_file = o.zones_file;
    c.legacy_geneve_tx = o.legacy_geneve;
    return c;
}

/// "A B C" -> words; an option value with `least` to `most` of them.
Result<std::vector<std::string>> words_of(const std::string& option, const std::string& text,
                                          size_t least, size_t most, const char* form) {
    std::vector<std::string> words;
    size_t at = 0;
    while (at < text.size()) {
        const size_t end = std::min(text.find(' ', at), text.size());
        if (end > at) {
            words.push_back(text.substr(at, end - at));
        }
        at = end + 1;
    }
    if (words.size() < least || words.size() > most) {
        return Error{fmt::format("{} \"{}\": expected {}", option, text, form)};
    }
    return words;
}

}  // namespace

App::App(EventLoop& loop, const Options& options)
    : loop_(loop), options_(options), started_ms_(EventLoop::now_ms()) {}

App::~App() {
    loop_.cancel_timer(reclaim_timer_);
    server_.reset();
    captures_.reset();
    if (slow_path_) {
        slow_path_->stop();
    }
    if (host_) {
        host_->stop_threads();
    }
    control_.reset();
    watch_.reset();
    slow_path_.reset();
    host_.reset();
}

Result<void> App::start() {
    HostConfig config;
    config.workers = options_.workers;
    config.cores = options_.cores;
    config.mbufs = options_.mbufs;
    config.cache_entries = options_.cache_entries;
    config.connections = options_.conntrack_connections;
    config.fragments_kb = options_.conntrack_fragments_kb;
    config.idle.nap_us = options_.idle_sleep_us;
    Result<std::unique_ptr<Host>> host = Host::create(config);
    if (!host) {
        return host.error();
    }
    host_ = std::move(*host);
    if (Result<void> made = make_control(); !made) {
        return made;
    }
    make_slow_path();
    if (Result<void> made = make_server(); !made) {
        return made;
    }
    host_->start_threads();
    slow_path_->start();
    reclaim_timer_ = loop_.add_periodic(100, [this] { host_->reclaim(); });
    if (Result<void> started = control_->start(); !started) {
        return started;
    }
    for (const std::string& text : options_.routes) {
        const auto words = words_of("--route", text, 2, 3, "\"PREFIX PORT [GATEWAY]\"");
        if (!words) {
            return words.error();
        }
        Result<void> added =
            control_->add_route((*words)[0], (*words)[1], words->size() > 2 ? (*words)[2] : "");
        if (!added) {
            return added.error().with_context("--route");
        }
    }
    for (const std::string& text : options_.neighbors) {
        const auto words = words_of("--neighbor", text, 3, 3, "\"PORT IP MAC\"");
        if (!words) {
            return words.error();
        }
        Result<void> set = control_->set_neighbor((*words)[0], (*words)[1], (*words)[2]);
        if (!set) {
            return set.error().with_context("--neighbor");
        }
    }
    LOG_INFO("sluiced {} runs with {} worker{}", kVersion, options_.workers,
             options_.workers > 1 ? "s" : "");
    return {};
}

Result<void> App::make_control() {
    ControlHooks hooks;
    hooks.reserve_flows = [this](uint32_t count) { host_->reserve_flows(count); };
    hooks.publish = [this](std::unique_ptr<const Pipeline> pipeline) {
        host_->publish_pipeline(std::move(pipeline));
    };
    hooks.ports_changed = [this](std::vector<Retire> retired) {
        host_->publish_ports(std::move(retired));
    };
    hooks.after_grace = [this](std::function<void()> then) {
        host_->rcu().retire(std::move(then));
    };
    hooks.flow_counter = [this](uint32_t flow) {
        std::pair<uint64_t, uint64_t> sum;
        host_->flow_total(flow, &sum.first, &sum.second);
        return sum;
    };
    hooks.steer = [this](PortId port, const Steering& steering) {
        if (Result<void> done = host_->ports().steer(port, steering); !done) {
            LOG_WARN_RL("port {}: {}", port, done.error().message);
        }
    };
    hooks.watch = [this](std::shared_ptr<const watch::Config> config) {
        if (watch_) {
            watch_->configure(std::move(config));
        }
    };
    hooks.announce = [this](std::shared_ptr<const announce::Config> config) {
        announce_->configure(std::move(config));
    };
    hooks.services = [this](std::shared_ptr<const ServiceTables> tables) {
        services_->set_tables(std::move(tables));
    };
    hooks.conntrack = host_->conntrack();
    hooks.resolve = [this](const std::vector<ResolveRequest>& wanted) {
        if (slow_path_) {
            slow_path_->resolve(wanted);
        }
    };
    control_ = std::make_unique<ControlPlane>(loop_, host_->ports(), control_options(options_),
                                              std::move(hooks));
    return {};
}

void App::make_slow_path() {
    SlowPathConfig config;
    for (unsigned i = 0; i < host_->n_workers(); ++i) {
        config.mailboxes.push_back(host_->mailbox(i));
    }
    config.pipeline = &host_->published_pipeline();
    config.rcu = &host_->rcu();
    config.reader_id = host_->slow_path_reader();
    config.pool = host_->copy_pool();
    config.control_loop = &loop_;
    config.announce = !options_.dummy;  // a comparison with the reference wants a quiet wire
    ControlPlane& control = *control_;
    SlowPathSinks sinks;
    sinks.put_arp = [&control](uint32_t datapath, uint32_t port, const Ip4& ip, const Mac& mac) {
        control.learn_mac(datapath, port, ip, mac);
    };
    sinks.put_nd = [&control](uint32_t datapath, uint32_t port, const Ip6& ip, const Mac& mac) {
        control.learn_mac(datapath, port, ip, mac);
    };
    sinks.mac_use4 = [&control](uint32_t datapath, uint32_t port, const Ip4& ip, const Mac& mac) {
        control.mac_used(datapath, port, ip, mac);
    };
    sinks.mac_use6 = [&control](uint32_t datapath, uint32_t port, const Ip6& ip, const Mac& mac) {
        control.mac_used(datapath, port, ip, mac);
    };
    sinks.put_fdb = [&control](uint32_t datapath, uint32_t port, const Mac& mac) {
        control.learn_fdb(datapath, port, mac);
    };
    sinks.fdb_use = [&control](uint32_t datapath, uint32_t port, const Mac& mac) {
        control.fdb_used(datapath, port, mac);
    };
    sinks.neighbor4 = [&control](PortId port, const Ip4& ip, const Mac& mac) {
        control.neighbor_learned(port, ip, mac);
    };
    sinks.neighbor6 = [&control](PortId port, const Ip6& ip, const Mac& mac) {
        control.neighbor_learned(port, ip, mac);
    };
    sinks.tunnel_wanted = [&control](uint32_t tunnel) { control.tunnel_wanted(tunnel); };
    sinks.activated = [&control](uint32_t datapath, uint32_t port) {
        control.port_activated(datapath, port);
    };
    slow_path_ = std::make_unique<SlowPath>(std::move(config), std::move(sinks));
    services_ = std::make_unique<Services>(slow_path_.get());
    announce_ = std::make_unique<announce::Announce>(
        *slow_path_, loop_, [&control](const announce::LearnedPrefix& learned) {
            control.prefix_delegated(learned.name, announce::to_string(learned.prefix));
        });
    watch_ = std::make_unique<watch::Watch>(
        *slow_path_, loop_, [&control](const watch::Report& report) { control.watched(report); });
}

Result<void> App::make_server() {
    const std::string path = unixctl_path(options_.unixctl, "sluiced");
    if (path == "none") {
        return {};
    }
    Result<std::unique_ptr<rpc::Server>> server =
        rpc::Server::listen(loop_, path, fmt::format("sluiced {}", kVersion));
    if (!server) {
        return server.error();
    }
    server_ = std::move(*server);
    rpc::BuiltinHooks hooks;
    hooks.exit = [this](bool restart, const rpc::Reply& reply) { exit(restart, reply); };
    hooks.coverage = [this] {
        std::vector<rpc::Coverage> list;
        for (size_t i = 0; i < static_cast<size_t>(Counter::kCount); ++i) {
            const Counter counter = static_cast<Counter>(i);
            list.push_back({counter_name(counter), host_->total(counter)});
        }
        for (size_t i = 1; i < static_cast<size_t>(Drop::kCount); ++i) {
            const Drop drop = static_cast<Drop>(i);
            list.push_back({fmt::format("drop_{}", drop_name(drop)), host_->total(drop)});
        }
        return list;
    };
    rpc::add_builtin_commands(*server_, std::move(hooks));
    rpc::add_report_commands(*server_, report_sources(*this));
    rpc::add_bond_commands(*server_, [this] { return bonds(*this); });
    rpc::add_conntrack_commands(*server_, conntrack_sources(*this));
    captures_ = std::make_unique<capture::Captures>(loop_, capture_hooks(*this));
    capture::add_commands(*server_, *captures_);
    add_commands(*server_, *this);
    return {};
}

void App::exit(bool restart, const rpc::Reply& reply) {
    if (exiting_) {
        return;
    }
    exiting_ = true;
    control_->shutdown(restart, [this, reply] {
        reply.ok();
        loop_.stop();
    });
}

void App::exit(bool restart) {
    if (!exiting_) {
        exiting_ = true;
        control_->shutdown(restart, [this] { loop_.stop(); });
    }
}

void App::after_workers_turned(std::function<void()> done) {
    std::vector<uint64_t> goals;
    for (unsigned i = 0; i < host_->n_workers(); ++i) {
        goals.push_back(host_->counters(i).get(Counter::k_polls) + 4);
    }
    auto check = std::make_shared<std::function<void()>>();
    std::weak_ptr<std::function<void()>> weak = check;
    *check = [this, goals, done = std::move(done), weak, keep = check]() mutable {
        for (unsigned i = 0; i < host_->n_workers(); ++i) {
            if (host_->counters(i).get(Counter::k_polls) < goals[i]) {
                loop_.add_timer(1, [again = weak.lock()] { (*again)(); });
                return;
            }
        }
        done();
        keep.reset();
    };
    (*check)();
}

}  // namespace sluice
