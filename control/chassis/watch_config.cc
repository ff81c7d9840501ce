// SPDX-License-Identifier: Apache-2.0
#include "control/chassis/watch_config.h"

#include <algorithm>
#include <charconv>

#include "lib/base/log.h"

namespace sluice::chassis {
namespace {

SLUICE_LOG_MODULE(watch_config);

using watch::mapped;

constexpr int64_t kTableSize = 2048;
constexpr int64_t kIdleTimeoutS = 300;
// Open vSwitch takes nothing beyond these.
constexpr uint32_t kLeastTableSize = 10;
constexpr uint32_t kMostTableSize = 1'000'000;
constexpr uint32_t kLeastIdleS = 15;
constexpr uint32_t kMostIdleS = 3600;

std::string_view next_word(std::string_view* text) {
    const size_t start = std::min(text->find_first_not_of(' '), text->size());
    const size_t end = std::min(text->find(' ', start), text->size());
    const std::string_view word = text->substr(start, end - start);
    text->remove_prefix(end);
    return word;
}

/// IPv4 addresses as mapped ones.
std::optional<Ip6> parse_any(std::string_view text) {
    if (const auto ip4 = parse_ip4(text)) {
        return mapped(*ip4);
    }
    return parse_ip6(text);
}

int option_number(const sb::StringMap& options, std::string_view key, int otherwise) {
    const std::string& text = sb::get(options, key);
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? value : otherwise;
}

uint32_t group_key(const sb::Mirror& mirror, const Uuid& datapath, std::string_view name) {
    for (const Uuid& uuid : mirror.groups_of(datapath)) {
        const sb::MulticastGroup* group = mirror.multicast_groups.find(uuid);
        if (group && group->name == name) {
            return group->tunnel_key;
        }
    }
    return 0;
}

watch::SnoopConfig switch_of(const sb::Mirror& mirror, const sb::IpMulticast& row,
                             const sb::DatapathBinding& datapath) {
    watch::SnoopConfig c;
    c.datapath = datapath.tunnel_key;
    c.enabled = row.enabled;
    const auto number = [](const std::optional<int64_t>& value, int64_t otherwise) {
        return static_cast<uint32_t>(std::clamp<int64_t>(value.value_or(otherwise), 0, INT32_MAX));
    };
    c.table_size = std::clamp(number(row.table_size, kTableSize), kLeastTableSize, kMostTableSize);
    const uint32_t idle_s = number(row.idle_timeout, kIdleTimeoutS);
    c.idle_timeout_s = std::clamp(idle_s, kLeastIdleS, kMostIdleS);
    c.query_interval_s = number(row.query_interval, std::max(idle_s / 2, 1u));
    c.seq_no = static_cast<uint32_t>(row.seq_no);
    c.querier.max_resp_s = number(row.query_max_resp, 1);
    c.flood_key = group_key(mirror, datapath.uuid, "_MC_flood");
    c.mrouter_key = group_key(mirror, datapath.uuid, "_MC_mrouter_flood");
    c.flood_l2_key = group_key(mirror, datapath.uuid, "_MC_flood_l2");
    const auto mac = parse_mac(row.eth_src);
    if (!row.enabled || !row.querier) {
        return c;
    }
    if (!mac) {
        LOG_WARN_RL("no multicast querier on {}: \"{}\" is no Ethernet source", datapath.name(),
                    row.eth_src);
        return c;
    }
    c.querier.eth_src = *mac;
    if (const auto ip = parse_ip4(row.ip4_src)) {
        c.querier4 = true;
        c.querier.ip4_src = *ip;
    }
    if (const auto ip = parse_ip6(row.ip6_src)) {
        c.querier6 = true;
        c.querier.ip6_src = *ip;
    }
    return c;
}

/// The MAC that has this address; of a port without addresses, its first.
std::optional<Mac> mac_of(const sb::PortBinding& port, const Ip6& ip) {
    for (const std::string& text : port.mac) {
        const auto addresses = parse_port_addresses(text);
        if (!addresses) {
            continue;
        }
        const bool is_v4 = watch::is_mapped(ip);
        const bool has_none = is_v4 ? addresses->ip4.empty() : addresses->ip6.empty();
        const bool has_it =
            is_v4
                ? std::count(addresses->ip4.begin(), addresses->ip4.end(), watch::unmapped(ip)) > 0
                : std::count(addresses->ip6.begin(), addresses->ip6.end(), ip) > 0;
        if (has_it || has_none) {
            return addresses->mac;
        }
    }
    return std::nullopt;
}

std::optional<watch::ServiceConfig> service_of(const sb::Mirror& mirror, const BindingPlan& plan,
                                               const sb::ServiceMonitor& row) {
    const sb::PortBinding* port = mirror.port(row.logical_port);
    const sb::DatapathBinding* datapath = port ? mirror.datapaths.find(port->datapath) : nullptr;
    const auto claim = port ? plan.claims.find(port->uuid) : plan.claims.end();
    const auto ip = parse_any(row.ip);
    const auto src_ip = parse_any(row.src_ip);
    const auto src_mac = parse_mac(row.src_mac);
    const bool is_ours = row.type.empty() || row.type == "load-balancer";
    const bool is_known = row.protocol.empty() || row.protocol == "tcp" || row.protocol == "udp";
    if (!datapath || claim == plan.claims.end() || claim->second.additional || !ip || !src_ip ||
        !src_mac || !is_ours || !is_known || watch::is_mapped(*ip) != watch::is_mapped(*src_ip)) {
        return std::nullopt;
    }
    const auto mac = mac_of(*port, *ip);
    if (!mac) {
        return std::nullopt;
    }
    watch::ServiceConfig c;
    c.row = row.uuid;
    c.datapath = datapath->tunnel_key;
    c.port = port->tunnel_key;
    c.ip = *ip;
    c.l4_port = row.port;
    c.udp = row.protocol == "udp";
    c.port_mac = *mac;
    c.src_mac = *src_mac;
    c.src_ip = *src_ip;
    c.interval_ms = int64_t{option_number(row.options, "interval", 5)} * 1000;
    c.timeout_ms = int64_t{option_number(row.options, "timeout", 3)} * 1000;
    c.success_count = option_number(row.options, "success_count", 1);
    c.failure_count = option_number(row.options, "failure_count", 1);
    return c;
}

bool is_resident(const sb::Mirror& mirror, const BindingPlan& plan, const sb::PortBinding& port) {
    if (port.type == sb::PortType::kL3Gateway) {
        return plan.has(port.uuid);
    }
    const sb::PortBinding* redirect = mirror.port("cr-" + port.logical_port);
    return redirect && plan.has(redirect->uuid);
}

std::optional<watch::BfdConfig> bfd_of(const sb::Mirror& mirror, const BindingPlan& plan,
                                       const Identity& identity, const sb::Bfd& row) {
    const sb::PortBinding* port = mirror.port(row.logical_port);
    const sb::DatapathBinding* datapath = port ? mirror.datapaths.find(port->datapath) : nullptr;
    const auto dst = parse_any(row.dst_ip);
    if (!datapath || !dst || row.disc == 0 || !mirror.port(port->option("peer")) ||
        !is_resident(mirror, plan, *port) ||
        (!row.chassis_name.empty() && row.chassis_name != identity.name)) {
        return std::nullopt;
    }
    watch::BfdConfig c;
    c.row = row.uuid;
    c.datapath = datapath->tunnel_key;
    c.port = port->tunnel_key;
    c.dst_ip = *dst;
    for (const std::string& text : port->mac) {
        const auto addresses = parse_port_addresses(text);
        if (!addresses) {
            continue;
        }
        const bool is_v4 = watch::is_mapped(*dst);
        if (is_v4 && !addresses->ip4.empty()) {
            c.src_ip = mapped(addresses->ip4.front());
        } else if (!is_v4 && !addresses->ip6.empty()) {
            c.src_ip = addresses->ip6.front();
        } else {
            continue;
        }
        c.src_mac = addresses->mac;
        break;
    }
    if (c.src_mac.is_zero()) {
        return std::nullopt;
    }
    c.src_port = row.src_port;
    c.params = {row.disc, row.min_tx, row.min_rx, row.detect_mult, false};
    c.admin_down = row.status == "admin_down";
    return c;
}

}  // namespace

std::optional<PortAddresses> parse_port_addresses(std::string_view text) {
    const auto mac = parse_mac(next_word(&text));
    if (!mac) {
        return std::nullopt;
    }
    PortAddresses out;
    out.mac = *mac;
    for (std::string_view word; !(word = next_word(&text)).empty();) {
        if (const auto ip4 = parse_ip4_prefix(word)) {
            out.ip4.push_back(ip4->address);
        } else if (const auto ip6 = parse_ip6_prefix(word)) {
            out.ip6.push_back(ip6->address);
        }
    }
    return out;
}

watch::Config watch_config(const sb::Mirror& mirror, const BindingPlan& plan,
                           const std::set<Uuid>& local, const Identity& identity) {
    watch::Config out;
    for (const auto& [uuid, row] : mirror.ip_multicast.rows()) {
        const sb::DatapathBinding* datapath = mirror.datapaths.find(row->datapath);
        if (datapath && local.contains(datapath->uuid)) {
            out.switches.push_back(switch_of(mirror, *row, *datapath));
        }
    }
    for (const auto& [uuid, row] : mirror.service_monitors.rows()) {
        if (auto service = service_of(mirror, plan, *row)) {
            out.services.push_back(*service);
        }
    }
    for (const auto& [uuid, row] : mirror.bfd.rows()) {
        if (auto session = bfd_of(mirror, plan, identity, *row)) {
            out.bfd.push_back(*session);
        }
    }
    // The rows have no order, equal contents must compare equal.
    std::sort(out.switches.begin(), out.switches.end(),
              [](const auto& a, const auto& b) { return a.datapath < b.datapath; });
    std::sort(out.services.begin(), out.services.end(),
              [](const auto& a, const auto& b) { return a.row < b.row; });
    std::sort(out.bfd.begin(), out.bfd.end(),
              [](const auto& a, const auto& b) { return a.row < b.row; });
    return out;
}

}  // namespace sluice::chassis
