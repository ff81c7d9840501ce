// SPDX-License-Identifier: Apache-2.0
#include "control/physical/underlay.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "lib/program/steering.h"

namespace sluice::physical {

bool UnderlayModel::set_devices(std::vector<Device> devices) {
    if (devices == devices_) {
        return false;
    }
    std::erase_if(learned_, [&](const auto& entry) {
        return std::none_of(devices.begin(), devices.end(),
                            [&](const Device& d) { return d.port == entry.first.port; });
    });
    devices_ = std::move(devices);
    return true;
}

bool UnderlayModel::set_kernel(KernelState state) {
    if (state == kernel_) {
        return false;
    }
    kernel_ = std::move(state);
    return true;
}

Result<void> UnderlayModel::add_address(const std::string& where, const std::string& prefix) {
    const auto parsed = parse_prefix(prefix);
    if (!parsed) {
        return Error{fmt::format("\"{}\" is not an address like 192.168.0.1/24", prefix)};
    }
    const std::pair entry{where, *parsed};
    if (std::find(addresses_.begin(), addresses_.end(), entry) == addresses_.end()) {
        addresses_.push_back(entry);
    }
    return {};
}

Result<void> UnderlayModel::add_route(const std::string& prefix, const std::string& where,
                                      const std::string& gateway) {
    const auto parsed = parse_prefix(prefix);
    if (!parsed) {
        return Error{fmt::format("\"{}\" is not a prefix like 10.0.0.0/8", prefix)};
    }
    Route route{*parsed, where, std::nullopt};
    if (!gateway.empty()) {
        route.gateway = parse_address(gateway);
        if (!route.gateway || route.gateway->ip6 != parsed->address.ip6) {
            return Error{fmt::format("\"{}\" is not a gateway address for {}", gateway, prefix)};
        }
    }
    std::erase_if(routes_, [&](const Route& r) {
        return r.prefix == route.prefix &&
               (!r.gateway || !route.gateway || r.gateway == route.gateway);
    });
    routes_.push_back(std::move(route));
    return {};
}

Result<void> UnderlayModel::del_route(const std::string& prefix) {
    const auto parsed = parse_prefix(prefix);
    if (!parsed ||
        std::erase_if(routes_, [&](const Route& r) { return r.prefix == *parsed; }) == 0) {
        return Error{fmt::format("there is no route \"{}\" that was added by hand", prefix)};
    }
    return {};
}

Result<void> UnderlayModel::set_neighbor(const std::string& where, const std::string& ip,
                                         const std::string& mac) {
    const auto address = parse_address(ip);
    const auto hardware = parse_mac(mac);
    if (!address) {
        return Error{fmt::format("\"{}\" is not an IP address", ip)};
    }
    if (!hardware) {
        return Error{fmt::format("\"{}\" is not a MAC address", mac)};
    }
    std::erase_if(neighbors_,
                  [&](const NeighborFact& n) { return n.where == where && n.ip == *address; });
    neighbors_.push_back({where, *address, *hardware});
    return {};
}

Result<void> UnderlayModel::del_neighbor(const std::string& where, const std::string& ip) {
    const auto address = parse_address(ip);
    if (!address || std::erase_if(neighbors_, [&](const NeighborFact& n) {
                        return n.where == where && n.ip == *address;
                    }) == 0) {
        return Error{fmt::format("there is no neighbour {} on {} that was set by hand", ip, where)};
    }
    return {};
}

bool UnderlayModel::learned(PortId port, const IpAddress& ip, const Mac& mac, int64_t now_ms) {
    const Device* d = device(port);
    if (!d || d->kernel_is_host || mac.is_multicast() || mac.is_zero()) {
        return false;
    }
    const Key key{port, ip};
    const auto it = learned_.find(key);
    if (it != learned_.end()) {
        const bool is_news = it->second.mac != mac;
        it->second = {mac, now_ms};
        return is_news;
    }
    const auto own = addresses_of(*d);
    const bool on_link = asked_.contains(key) || std::any_of(own.begin(), own.end(), [&](auto& p) {
                             return p.contains(ip);
                         });
    if (!on_link || learned_.size() >= kMaxLearned) {
        return false;
    }
    learned_[key] = {mac, now_ms};
    return asked_.contains(key);
}

bool UnderlayModel::expire(int64_t now_ms) {
    return std::erase_if(learned_, [&](const auto& entry) {
               return now_ms - entry.second.seen_ms >= kForgetMs;
           }) > 0;
}

const Device* UnderlayModel::device(const std::string& where) const {
    const auto it = std::find_if(devices_.begin(), devices_.end(),
                                 [&](const Device& d) { return !where.empty() && d.is(where); });
    return it == devices_.end() ? nullptr : &*it;
}

const Device* UnderlayModel::device(PortId port) const {
    const auto it = std::find_if(devices_.begin(), devices_.end(),
                                 [&](const Device& d) { return d.port == port; });
    return it == devices_.end() ? nullptr : &*it;
}

std::vector<IpPrefix> UnderlayModel::addresses_of(const Device& d) const {
    std::vector<IpPrefix> found;
    for (const auto* list : {&addresses_, &kernel_.addresses}) {
        for (const auto& [where, prefix] : *list) {
            if (device(where) == &d &&
                std::find(found.begin(), found.end(), prefix) == found.end()) {
                found.push_back(prefix);
            }
        }
    }
    return found;
}

std::optional<Mac> UnderlayModel::neighbor(const Device& d, const IpAddress& ip,
                                           bool* is_permanent) const {
    *is_permanent = true;
    for (const NeighborFact& fact : neighbors_) {
        if (fact.ip == ip && device(fact.where) == &d) {
            return fact.mac;
        }
    }
    if (const auto it = learned_.find({d.port, ip}); it != learned_.end()) {
        *is_permanent = false;
        return it->second.mac;
    }
    for (const NeighborFact& fact : kernel_.neighbors) {
        if (fact.ip == ip && device(fact.where) == &d) {
            return fact.mac;
        }
    }
    return std::nullopt;
}

IpAddress UnderlayModel::source(const Device& d, const IpAddress& next_hop,
                                const std::vector<IpAddress>& own) const {
    const auto addresses = addresses_of(d);
    const IpAddress* any_own = nullptr;
    for (const IpAddress& address : own) {
        if (address.ip6 != next_hop.ip6) {
            continue;
        }
        any_own = any_own ? any_own : &address;
        if (std::any_of(addresses.begin(), addresses.end(),
                        [&](const IpPrefix& p) { return p.address == address; })) {
            return address;
        }
    }
    if (any_own) {
        return *any_own;
    }
    for (const IpPrefix& prefix : addresses) {
        if (prefix.contains(next_hop)) {
            return prefix.address;
        }
    }
    return {next_hop.ip6, {}};
}

/// The longest prefix, of those the lowest metric; all that are left share.
std::vector<UnderlayModel::Way> UnderlayModel::ways_to(const IpAddress& remote) const {
    std::vector<Way> best;
    std::pair<int, uint32_t> best_rank{-1, 0};  // length, inverted metric
    const auto offer = [&](const Route& route, int source_rank) {
        const Device* d = device(route.where);
        if (!d || d->port == kNoPort || !route.prefix.contains(remote)) {
            return;
        }
        // What was given by hand comes before what the kernel says, of the same length.
        const std::pair rank{static_cast<int>(route.prefix.length) * 4 + source_rank,
                             ~route.metric};
        if (rank < best_rank) {
            return;
        }
        if (rank > best_rank) {
            best.clear();
            best_rank = rank;
        }
        const Way way{d, route.gateway.value_or(remote), route.weight};
        const bool is_known = std::any_of(best.begin(), best.end(), [&](const Way& w) {
            return w.device == d && w.hop == way.hop;
        });
        if (!is_known) {
            best.push_back(way);
        }
    };
    for (const Route& route : routes_) {
        offer(route, 3);
    }
    for (const auto& [where, prefix] : addresses_) {
        offer({prefix, where, std::nullopt}, 2);
    }
    for (const auto& [where, prefix] : kernel_.addresses) {
        offer({prefix, where, std::nullopt}, 1);
    }
    for (const Route& route : kernel_.routes) {
        offer(route, 0);
    }
    return best;
}

NextHop UnderlayModel::resolve(const IpAddress& remote, const std::vector<IpAddress>& own) {
    NextHop result;
    const std::vector<Way> ways = ways_to(remote);
    std::vector<TunnelHop> ready;
    for (const Way& way : ways) {
        const Device& d = *way.device;
        const IpAddress src = source(d, way.hop, own);
        bool is_permanent = false;
        const auto mac = neighbor(d, way.hop, &is_permanent);
        if (d.kernel_is_host) {
            kernel_hops_[{d.kernel_name, way.hop}] = mac.has_value();
        } else if (!is_permanent || !mac) {
            asked_[{d.port, way.hop}] = src;
        }
        const bool is_first = result.port == kNoPort;
        result.mtu = is_first ? d.mtu : std::min(result.mtu, d.mtu);
        if (is_first || (mac && result.state != Tunnel::State::kReady)) {
            result.port = d.port;
            result.src_mac = d.mac;
            result.src = src;
            result.state = mac ? Tunnel::State::kReady : Tunnel::State::kUnresolved;
            result.dst_mac = mac ? mac->to_u64() : 0;
        }
        if (mac) {
            TunnelHop hop{};
            std::memcpy(hop.macs, mac->bytes.data(), 6);
            std::memcpy(hop.macs + 6, Mac::from_u64(d.mac).bytes.data(), 6);
            hop.port = d.port;
            ready.insert(ready.end(), way.weight, hop);
        }
    }
    const bool has_choice = std::any_of(ready.begin(), ready.end(),
                                        [&](const TunnelHop& h) { return !(h == ready[0]); });
    result.ways = has_choice ? std::move(ready) : std::vector<TunnelHop>();
    return result;
}

std::vector<ResolveRequest> UnderlayModel::wanted(int64_t now_ms) const {
    std::vector<ResolveRequest> list;
    for (const auto& [key, src] : asked_) {
        const auto it = learned_.find(key);
        if (it != learned_.end() && now_ms - it->second.seen_ms < kRefreshMs) {
            continue;
        }
        const Device* d = device(key.port);
        if (!d) {
            continue;
        }
        ResolveRequest request{};
        request.port = key.port;
        request.src_mac = d->mac;
        request.ip6 = key.ip.ip6;
        if (key.ip.ip6) {
            request.src6 = src.v6();
            request.target6 = key.ip.v6();
        } else {
            request.src4 = src.v4();
            request.target4 = key.ip.v4();
        }
        list.push_back(request);
    }
    return list;
}

std::optional<Underlay> UnderlayModel::underlay_of(PortId port) const {
    const Device* d = device(port);
    const auto addresses = d ? addresses_of(*d) : std::vector<IpPrefix>();
    const bool has_kernel = d && d->exception != kNoPort && kernel_.up.contains(d->bridge);
    if (addresses.empty() && !has_kernel) {
        return std::nullopt;
    }
    Underlay underlay{};
    underlay.mac = d->mac;
    underlay.geneve_port = tunnel_ports_.geneve;
    underlay.vxlan_port = tunnel_ports_.vxlan;
    underlay.stt_port = tunnel_ports_.stt;
    underlay.exception = d->kernel_is_host ? kKernelIsHost : has_kernel ? d->exception : kNoPort;
    for (const IpPrefix& prefix : addresses) {
        const auto length = static_cast<uint8_t>(prefix.length);
        if (prefix.address.ip6) {
            underlay.ip6.push_back({prefix.address.v6(), length});
        } else {
            underlay.ip4.push_back({prefix.address.v4().value, length});
        }
    }
    return underlay;
}

std::vector<std::string> UnderlayModel::describe_routes() const {
    std::vector<std::string> lines;
    for (const auto& [where, prefix] : addresses_) {
        lines.push_back(fmt::format("Address: {} dev {}", to_string(prefix), where));
    }
    for (const auto& [where, prefix] : kernel_.addresses) {
        if (device(where)) {
            lines.push_back(fmt::format("Kernel address: {} dev {}", to_string(prefix), where));
        }
    }
    const auto add = [&](const char* kind, const Route& route) {
        lines.push_back(fmt::format("{}: {} dev {}{}{}", kind, to_string(route.prefix), route.where,
                                    route.gateway ? " GW " + to_string(*route.gateway) : "",
                                    route.metric ? fmt::format(" metric {}", route.metric) : ""));
    };
    for (const Route& route : routes_) {
        add("User", route);
    }
    for (const Route& route : kernel_.routes) {
        if (device(route.where)) {
            add("Kernel", route);
        }
    }
    return lines;
}

std::vector<std::string> UnderlayModel::describe_neighbors() const {
    std::vector<std::string> lines;
    for (const NeighborFact& fact : neighbors_) {
        lines.push_back(fmt::format("{} {} {} static", to_string(fact.ip),
                                    sluice::to_string(fact.mac), fact.where));
    }
    for (const auto& [key, entry] : learned_) {
        const Device* d = device(key.port);
        lines.push_back(fmt::format("{} {} {} learned", to_string(key.ip),
                                    sluice::to_string(entry.mac), d ? d->name : "?"));
    }
    for (const NeighborFact& fact : kernel_.neighbors) {
        if (device(fact.where)) {
            lines.push_back(fmt::format("{} {} {} kernel", to_string(fact.ip),
                                        sluice::to_string(fact.mac), fact.where));
        }
    }
    return lines;
}

}  // namespace sluice::physical
