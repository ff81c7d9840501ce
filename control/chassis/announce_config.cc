// SPDX-License-Identifier: Apache-2.0
#include "control/chassis/announce_config.h"

#include <algorithm>
#include <charconv>

#include "control/chassis/watch_config.h"
#include "control/slowpath/services/names.h"
#include "control/slowpath/services/router_advertisement.h"
#include "lib/base/log.h"

namespace sluice::chassis {
namespace {

SLUICE_LOG_MODULE(announce_config);

using announce::Config;
using sb::PortType;

constexpr int64_t kMaxIntervalS = 600;
constexpr Mac kAllNodesMac{{0x33, 0x33, 0, 0, 0, 1}};
constexpr Ip6 kAllNodes{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
constexpr char kResident[] = "is_chassis_resident(\"";

int64_t number(const sb::StringMap& options, std::string_view key, int64_t otherwise) {
    const std::string& text = sb::get(options, key);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? value : otherwise;
}

struct Builder {
    const sb::Mirror& mirror;
    const BindingPlan& plan;
    Config out;

    bool is_resident(std::string_view port) const {
        const sb::PortBinding* row = mirror.port(port);
        return row && plan.has(row->uuid);
    }
    void add_switch(const sb::DatapathBinding& datapath);
    void add_vif(const sb::PortBinding& port, uint32_t datapath);
    void add_nat(const sb::PortBinding& port, const std::string& text, uint32_t datapath);
    void add_router_port(const sb::PortBinding& port);
    void add_prefixes(const sb::PortBinding& port, const sb::PortBinding& peer, uint32_t datapath);
};

void Builder::add_vif(const sb::PortBinding& port, uint32_t datapath) {
    for (const std::string& text : port.mac) {
        if (const auto addresses = parse_port_addresses(text)) {
            const Ip4 ip = addresses->ip4.empty() ? Ip4() : addresses->ip4.front();
            out.garps.push_back({port.logical_port, addresses->mac, ip, datapath, port.tunnel_key});
            return;
        }
    }
}

// "MAC IP... [is_chassis_resident("PORT")]"
void Builder::add_nat(const sb::PortBinding& port, const std::string& text, uint32_t datapath) {
    const size_t condition = text.find(kResident);
    if (condition != std::string::npos) {
        const size_t start = condition + sizeof kResident - 1;
        if (!is_resident(std::string_view(text).substr(start, text.find('"', start) - start))) {
            return;
        }
    } else if (port.type == PortType::kPatch) {
        return;  // who should announce it is not said
    }
    const auto addresses = parse_port_addresses(std::string_view(text).substr(0, condition));
    for (size_t i = 0; addresses && i < addresses->ip4.size(); ++i) {
        const Ip4 ip = addresses->ip4[i];
        out.garps.push_back({port.logical_port + '-' + to_string(ip), addresses->mac, ip, datapath,
                             port.tunnel_key});
    }
}

void Builder::add_switch(const sb::DatapathBinding& datapath) {
    for (const Uuid& uuid : mirror.ports_of(datapath.uuid)) {
        const sb::PortBinding* port = mirror.ports.find(uuid);
        const bool is_here = plan.has(uuid);
        if (!port) {
            continue;
        }
        if (port->type == PortType::kVif && is_here && !port->is_container()) {
            add_vif(*port, datapath.tunnel_key);
        }
        if (port->type == PortType::kPatch || (port->type == PortType::kL3Gateway && is_here)) {
            for (const std::string& text : port->nat_addresses) {
                add_nat(*port, text, datapath.tunnel_key);
            }
            if (const std::string& old = port->option("nat-addresses");
                port->nat_addresses.empty() && !old.empty()) {
                add_nat(*port, old, datapath.tunnel_key);
            }
        }
    }
}

std::optional<std::vector<uint8_t>> advertisement(const sb::PortBinding& port) {
    using services::Advertisement;
    const std::string& mode = port.option("ipv6_ra_address_mode");
    const auto mac = parse_mac(port.option("ipv6_ra_src_eth"));
    const auto source = parse_ip6(port.option("ipv6_ra_src_addr"));
    const bool is_known =
        mode == "slaac" || mode == "dhcpv6_stateful" || mode == "dhcpv6_stateless";
    if (!is_known || !mac || !source) {
        return std::nullopt;
    }
    Advertisement out;
    out.mode(mode == "slaac" ? Advertisement::Mode::kSlaac
                             : (mode == "dhcpv6_stateful" ? Advertisement::Mode::kStateful
                                                          : Advertisement::Mode::kStateless));
    out.preference(port.option("ipv6_ra_prf"));
    out.source(*mac);
    if (const int64_t mtu = number(port.options, "ipv6_ra_mtu", 0); mtu > 0) {
        out.mtu(static_cast<uint32_t>(mtu));
    }
    for (const std::string& text : services::split(port.option("ipv6_ra_prefixes"), ' ')) {
        const auto prefix = parse_ip6_prefix(text);
        if (!prefix) {
            return std::nullopt;
        }
        out.prefix(prefix->address, prefix->length);
    }
    if (const std::string& text = port.option("ipv6_ra_rdnss"); !text.empty()) {
        const auto resolver = parse_ip6(text);
        if (!resolver) {
            return std::nullopt;
        }
        out.resolver(*resolver);
    }
    const std::string& search = port.option("ipv6_ra_dnssl");
    if ((!search.empty() && !out.search_list(search)) ||
        !out.routes(port.option("ipv6_ra_route_info"))) {
        return std::nullopt;
    }
    wire::Writer frame;
    frame.ethernet(kAllNodesMac, *mac, wire::kEthIp6).u32(0x60000000).u16(0).u8(wire::kIcmp6);
    frame.u8(255).ip6(*source).ip6(kAllNodes).bytes(out.take());
    std::vector<uint8_t> bytes = frame.take();
    services::Layers at;
    at.network = wire::kEthLen;
    at.transport = wire::kEthLen + wire::kIp6Len;
    at.ip6 = true;
    at.protocol = wire::kIcmp6;
    services::finish_icmp6(&bytes, at);
    return bytes;
}

// RFC 4861, 6.2.1, in the whole seconds of OVN.
int64_t default_min_interval(int64_t max_s) {
    return max_s >= 9 ? max_s / 3 : max_s * 3 / 4;
}

void Builder::add_prefixes(const sb::PortBinding& port, const sb::PortBinding& peer,
                           uint32_t datapath) {
    const bool is_here = port.type == PortType::kL3Gateway ? plan.has(port.uuid)
                                                           : is_resident("cr-" + port.logical_port);
    std::optional<PortAddresses> from;
    for (size_t i = 0; i < port.mac.size() && !from; ++i) {
        from = parse_port_addresses(port.mac[i]);
    }
    if (!is_here || !from) {
        return;
    }
    Ip6 source = {{0xfe, 0x80}};
    const auto& m = from->mac.bytes;
    const uint8_t eui[] = {
        static_cast<uint8_t>(m[0] ^ 2), m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};
    std::copy(std::begin(eui), std::end(eui), source.bytes.begin() + 8);
    if (!from->ip6.empty()) {
        source = from->ip6.front();
    }
    for (const Uuid& uuid : mirror.ports_of(port.datapath)) {
        const sb::PortBinding* other = mirror.ports.find(uuid);
        const auto own = other && !other->mac.empty() ? parse_port_addresses(other->mac.front())
                                                      : std::optional<PortAddresses>();
        if (own && !other->option("peer").empty() &&
            sb::get_bool(other->options, "ipv6_prefix", false)) {
            out.prefixes.push_back({other->logical_port, own->mac, from->mac, source, datapath,
                                    peer.tunnel_key,
                                    announce::parse_pd_list(other->option("ipv6_ra_pd_list"))});
        }
    }
}

void Builder::add_router_port(const sb::PortBinding& port) {
    const bool is_gateway = port.type == PortType::kL3Gateway;
    const sb::PortBinding* peer = mirror.port(port.option("peer"));
    const sb::DatapathBinding* datapath = peer ? mirror.datapaths.find(peer->datapath) : nullptr;
    if (!datapath || (!is_gateway && port.type != PortType::kPatch)) {
        return;
    }
    if (sb::get_bool(port.options, "ipv6_ra_send_periodic", false) &&
        (!is_gateway || plan.has(port.uuid))) {
        const int64_t max_s = number(port.options, "ipv6_ra_max_interval", kMaxIntervalS);
        const int64_t min_s =
            number(port.options, "ipv6_ra_min_interval", default_min_interval(max_s));
        if (auto frame = advertisement(port)) {
            out.routers.push_back({port.logical_port, datapath->tunnel_key, peer->tunnel_key, min_s,
                                   max_s, *std::move(frame)});
        } else {
            LOG_WARN_RL("router port {}: its ipv6_ra_* options cannot be used", port.logical_port);
        }
    }
    if (sb::get_bool(port.options, "ipv6_prefix_delegation", false)) {
        add_prefixes(port, *peer, datapath->tunnel_key);
    }
}

bool is_on_wire(const sb::Mirror& mirror, const Uuid& datapath,
                const std::set<std::string>& physnets) {
    const sb::UuidSet& ports = mirror.ports_of(datapath);
    return std::any_of(ports.begin(), ports.end(), [&](const Uuid& uuid) {
        const sb::PortBinding* port = mirror.ports.find(uuid);
        return port && port->type == PortType::kLocalnet &&
               physnets.contains(port->option("network_name"));
    });
}

}  // namespace

Config announce_config(const sb::Mirror& mirror, const BindingPlan& plan,
                       const std::set<Uuid>& local, const std::set<std::string>& physnets) {
    Builder builder{mirror, plan, {}};
    for (const Uuid& uuid : local) {
        const sb::DatapathBinding* datapath = mirror.datapaths.find(uuid);
        if (!datapath) {
            continue;
        }
        if (datapath->is_switch()) {
            const bool is_silent = sb::get_bool(datapath->external_ids, "disable_garp_rarp", false);
            if (!is_silent && is_on_wire(mirror, uuid, physnets)) {
                builder.add_switch(*datapath);
            }
            continue;
        }
        for (const Uuid& port : mirror.ports_of(uuid)) {
            if (const sb::PortBinding* row = mirror.ports.find(port)) {
                builder.add_router_port(*row);
            }
        }
    }
    Config out = std::move(builder.out);
    const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
    std::sort(out.garps.begin(), out.garps.end(), by_name);
    std::sort(out.routers.begin(), out.routers.end(), by_name);
    std::sort(out.prefixes.begin(), out.prefixes.end(), by_name);
    return out;
}

std::vector<LocalLesson> lessons_of(const sb::Mirror& mirror, const announce::GarpConfig& garp) {
    std::vector<LocalLesson> out;
    const sb::DatapathBinding* datapath = mirror.datapath_by_key(garp.datapath);
    if (!datapath || garp.ip.value == 0) {
        return out;
    }
    for (const Uuid& uuid : mirror.ports_of(datapath->uuid)) {
        const sb::PortBinding* port = mirror.ports.find(uuid);
        const sb::PortBinding* peer =
            port && port->tunnel_key != garp.port ? mirror.port(port->option("peer")) : nullptr;
        const sb::DatapathBinding* router = peer ? mirror.datapaths.find(peer->datapath) : nullptr;
        if (!router) {
            continue;
        }
        const bool only_known =
            !sb::get_bool(router->external_ids, "always_learn_from_arp_request", true);
        if (!only_known || mirror.mac_binding(peer->logical_port, to_string(garp.ip))) {
            out.push_back({router->tunnel_key, peer->tunnel_key, garp.ip, garp.mac});
        }
    }
    return out;
}

void DelegatedPrefixes::attach(ovsdb::Client* client) {
    client_ = client;
    is_busy_ = false;
    ++session_;
}

void DelegatedPrefixes::reconcile(const sb::Mirror& mirror, const std::function<void()>& on_done) {
    if (is_busy_ || !client_ || !client_->synced()) {
        return;
    }
    ovsdb::Transaction txn;
    for (const auto& [name, list] : wanted_) {
        const sb::PortBinding* port = mirror.port(name);
        if (port && port->option("ipv6_ra_pd_list") != list) {
            txn.set_map_keys("Port_Binding", port->uuid, "options", {{"ipv6_ra_pd_list", list}});
        }
    }
    if (txn.empty()) {
        return;
    }
    is_busy_ = true;
    client_->commit(txn, [this, session = session_, on_done](const ovsdb::TxnResult& result) {
        if (session != session_) {
            return;
        }
        is_busy_ = false;
        if (result.outcome == ovsdb::TxnResult::Outcome::kFailed) {
            LOG_ERR("the Southbound database refuses a delegated prefix: {}", result.error);
            wanted_.clear();
            return;
        }
        on_done();
    });
}

}  // namespace sluice::chassis
