// SPDX-License-Identifier: Apache-2.0
#include "tools/host/offline_host.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/program_options.hpp>
#include <cstdlib>

#include "tools/host/eal.h"
#include "tools/host/port_option.h"

namespace sluice {
namespace {

namespace po = boost::program_options;

Result<void> add_port(OfflineHost* host, const PortOption& option) {
    Result<PortId> id = host->host->ports().add(option.spec);
    if (!id) {
        return id.error().with_context("port " + option.spec.name);
    }
    OfflinePort port;
    port.name = option.spec.name;
    port.id = *id;
    port.mac = host->host->ports().mac(*id);
    port.mtu = host->host->ports().mtu(*id);
    if (!option.mac.empty()) {
        port.mac = *parse_mac(option.mac);
    }
    port.iface_id = option.iface_id;
    port.physnet = option.physnet;
    port.underlay = option.underlay;
    port.addresses = option.addresses;
    host->ports.push_back(port);
    return {};
}

Result<void> add_ports(OfflineHost* host, const std::vector<std::string>& texts, bool underlay) {
    for (const std::string& text : texts) {
        Result<PortOption> option = parse_port_option(text, underlay);
        if (!option) {
            return option.error();
        }
        if (Result<void> added = add_port(host, *option); !added) {
            return added;
        }
    }
    return {};
}

Result<void> add_unnamed(OfflineHost* host, const std::vector<std::string>& bound_here) {
    for (const std::string& lport : bound_here) {
        bool named = false;
        for (const OfflinePort& port : host->ports) {
            named |= port.iface_id == lport;
        }
        if (named) {
            continue;
        }
        PortOption option;
        option.spec.name = lport;
        option.spec.driver = "dummy";
        option.iface_id = lport;
        if (Result<void> added = add_port(host, option); !added) {
            return added;
        }
    }
    return {};
}

Result<OfflineRequest> make_request(const OfflineOptions& options, const std::string& file) {
    OfflineRequest request;
    request.db_file = file;
    request.chassis = options.chassis;
    request.legacy_geneve_tx = options.legacy_geneve;
    for (const std::string& text : options.neighbors) {
        const size_t at = text.find('=');
        const auto mac = parse_mac(at == std::string::npos ? "" : text.substr(at + 1));
        if (!mac) {
            return Error{"--neighbor " + text + ": expected IP=MAC"};
        }
        request.neighbors[text.substr(0, at)] = *mac;
    }
    return request;
}

/// Removes the temporary copy of a live database when it goes.
struct Southbound {
    std::string file;
    bool temporary = false;
    ~Southbound() {
        if (temporary) {
            unlink(file.c_str());
        }
    }
};

}  // namespace

po::options_description OfflineOptions::describe() {
    po::options_description all("The chassis");
    all.add_options()("sb", po::value(&sb)->required()->value_name("FILE|REMOTE"),
                      "Southbound database: a .db file (no server needed) or a live remote")(
        "chassis", po::value(&chassis)->value_name("NAME"), "chassis to be (default hv1)")(
        "port", po::value(&ports)->composing()->value_name("SPEC"),
        "NAME=DRIVER,key=value,...,iface-id=LOGICAL_PORT")(
        "underlay", po::value(&underlays)->composing()->value_name("SPEC"),
        "NAME=DRIVER,...,ip=ADDRESS/LEN[,mac=MAC]")(
        "neighbor", po::value(&neighbors)->composing()->value_name("IP=MAC"),
        "MAC of an underlay next hop (others: 02:bb:00:00:00:01)")(
        "legacy-geneve", po::bool_switch(&legacy_geneve),
        "send the older Geneve option (class 0xffff, type 0)");
    return all;
}

PortId OfflineHost::port_id(const std::string& name) const {
    for (const OfflinePort& port : ports) {
        if (port.name == name) {
            return port.id;
        }
    }
    return kNoPort;
}

void OfflineHost::settle(int64_t now_ms) {
    host->rcu().online(0);
    bool is_busy = true;
    while (is_busy) {
        is_busy = false;
        while (host->worker(0).run_once() != 0) {
            is_busy = true;
        }
        is_busy |= slow_path && slow_path->poll_once(now_ms);
        loop.run_once(0);
    }
    host->rcu().offline(0);
}

std::string OfflineHost::port_name(PortId id) const {
    for (const OfflinePort& port : ports) {
        if (port.id == id) {
            return port.name;
        }
    }
    return fmt::format("port{}", id);
}

std::string OfflineHost::logical_port_name(uint32_t datapath_key, uint32_t port_key) const {
    const auto datapath = offline.port_names.find(datapath_key);
    if (datapath != offline.port_names.end()) {
        const auto port = datapath->second.find(port_key);
        if (port != datapath->second.end()) {
            return port->second;
        }
    }
    return std::to_string(port_key);
}

Result<std::string> southbound_file(const std::string& sb) {
    struct stat info;
    if (stat(sb.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
        return sb;
    }
    if (sb.find(':') == std::string::npos) {
        return Error{"--sb " + sb + ": no such file"};
    }
    if (sb.find_first_of("'\\\n") != std::string::npos) {
        return Error{"--sb " + sb + ": not a remote"};
    }
    char path[] = "/tmp/sluice-sb-XXXXXX";
    const int fd = mkstemp(path);
    if (fd < 0) {
        return Error{"cannot make a temporary file"};
    }
    close(fd);
    const std::string command =
        fmt::format("ovsdb-client --timeout=20 backup '{}' OVN_Southbound > {}", sb, path);
    if (std::system(command.c_str()) != 0) {
        unlink(path);
        return Error{"--sb " + sb +
                     ": could not read OVN_Southbound from it (is ovsdb-client "
                     "installed and the server up?)"};
    }
    return std::string(path);
}

namespace {

void make_slow_path(OfflineHost* host) {
    SlowPathConfig config;
    config.mailboxes.push_back(host->host->mailbox(0));
    config.pipeline = &host->host->published_pipeline();
    config.rcu = &host->host->rcu();
    config.reader_id = host->host->slow_path_reader();
    config.pool = host->host->copy_pool();
    config.control_loop = &host->loop;
    config.announce = false;
    host->slow_path = std::make_unique<SlowPath>(std::move(config), SlowPathSinks{});
    host->services = std::make_unique<Services>(host->slow_path.get());
    host->services->set_tables(host->offline.services);
}

}  // namespace

Result<std::unique_ptr<OfflineHost>> open_offline(const OfflineOptions& options,
                                                  const HostConfig& config, unsigned memory_mb,
                                                  bool huge, bool dummy_for_unnamed) {
    Result<std::string> file = southbound_file(options.sb);
    if (!file) {
        return file.error();
    }
    const Southbound southbound{*file, *file != options.sb};
    Result<OfflineRequest> request = make_request(options, southbound.file);
    if (!request) {
        return request.error();
    }
    EalConfig eal;
    eal.memory_mb = memory_mb;
    eal.huge = huge;
    eal.cores = config.cores;
    if (Result<void> started = start_eal(eal); !started) {
        return started.error();
    }
    auto result = std::make_unique<OfflineHost>();
    Result<std::unique_ptr<Host>> host = Host::create(config);
    if (!host) {
        return host.error();
    }
    result->host = std::move(*host);
    for (const auto& [list, underlay] :
         {std::pair(&options.ports, false), std::pair(&options.underlays, true)}) {
        if (Result<void> added = add_ports(result.get(), *list, underlay); !added) {
            return added.error();
        }
    }
    if (dummy_for_unnamed) {
        Result<OfflinePipeline> first = build_pipeline(*request);
        if (!first) {
            return first.error();
        }
        if (Result<void> added = add_unnamed(result.get(), first->bound_here); !added) {
            return added.error();
        }
    }
    request->ports = result->ports;
    Result<OfflinePipeline> built = build_pipeline(*request);
    if (!built) {
        return built.error();
    }
    result->offline = std::move(*built);
    result->host->publish_ports();
    result->host->publish_pipeline(std::move(result->offline.pipeline));
    if (result->host->mailbox(0)) {
        make_slow_path(result.get());
    }
    return result;
}

}  // namespace sluice
