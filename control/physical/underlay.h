// SPDX-License-Identifier: Apache-2.0
// UnderlayModel: addresses, routes and neighbours of the network that carries the tunnels.
//
// Facts come from four sides: options and unixctl (static), the kernel by netlink, the slow path
// (learnt neighbours), and the ports themselves (MAC, MTU). A fact names a place: a port, the
// bridge it is in, or the kernel device it is; it takes effect when a device of that name is there.
// resolve() answers how to reach an address: longest prefix over connected and given routes, then
// the next hop's neighbour. What had no neighbour, or an old one, is in wanted() until it is known.
// A learnt neighbour is asked for again after kRefreshMs and forgotten after kForgetMs; static and
// kernel ones are not. On a device where the kernel is the host (af_xdp), it resolves: the next
// hops there are in kernel_hops(), for NeighborUse (neighbor_use.h), and nothing is learnt.
//
// Threads: control. Time is given by the caller (milliseconds, monotonic).
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/control_plane.h"
#include "lib/base/result.h"
#include "lib/net/addr.h"
#include "lib/program/ports.h"
#include "lib/program/tunnel.h"

namespace sluice::physical {

/// An address of either family; IPv4 in the first four bytes.
struct IpAddress {
    bool ip6 = false;
    std::array<uint8_t, 16> bytes{};
    auto operator<=>(const IpAddress&) const = default;
    Ip4 v4() const {
        return Ip4{uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 |
                   bytes[3]};
    }
    Ip6 v6() const { return Ip6{bytes}; }
    unsigned bits() const { return ip6 ? 128 : 32; }
};
IpAddress to_address(const Ip4& ip);
IpAddress to_address(const Ip6& ip);
std::optional<IpAddress> parse_address(std::string_view text);
std::string to_string(const IpAddress& address);

struct IpPrefix {
    IpAddress address;  ///< host bits kept
    unsigned length = 0;
    bool contains(const IpAddress& other) const;
    auto operator<=>(const IpPrefix&) const = default;
};
std::optional<IpPrefix> parse_prefix(std::string_view text);
std::string to_string(const IpPrefix& prefix);

struct Device {
    std::string name;         ///< of the port
    std::string bridge;       ///< "" if none
    std::string kernel_name;  ///< "" if it is no kernel device
    PortId port = kNoPort;
    uint64_t mac = 0;
    uint16_t mtu = 1500;
    PortId exception = kNoPort;   ///< the kernel's leg: a device with the bridge's name
    bool kernel_is_host = false;  ///< the device is the kernel's own leg: it resolves next hops
    bool operator==(const Device&) const = default;
    bool is(const std::string& where) const {
        return where == name || where == bridge || where == kernel_name;
    }
};

struct Route {
    IpPrefix prefix;
    std::string where;
    std::optional<IpAddress> gateway;
    uint32_t metric = 0;  ///< of routes to the same prefix, the lowest counts; equal ones share
    uint8_t weight = 1;   ///< share
    bool operator==(const Route&) const = default;
};

struct NeighborFact {
    std::string where;
    IpAddress ip;
    Mac mac;
    bool operator==(const NeighborFact&) const = default;
};

/// What the kernel says, whole.
struct KernelState {
    std::vector<std::pair<std::string, IpPrefix>> addresses;  ///< device, address
    std::vector<Route> routes;
    std::vector<NeighborFact> neighbors;
    std::set<std::string> up;  ///< devices that are set up
    bool operator==(const KernelState&) const = default;
};

/// Where tunnel packets for us arrive; 0: not a type of ours.
struct TunnelPorts {
    uint16_t geneve = 6081;  ///< UDP
    uint16_t vxlan = 0;      ///< UDP
    uint16_t stt = 0;        ///< TCP
};

struct NextHop {
    Tunnel::State state = Tunnel::State::kNoRoute;
    PortId port = kNoPort;
    uint64_t src_mac = 0;
    uint64_t dst_mac = 0;
    IpAddress src;
    uint16_t mtu = 1500;
    /// Ways that are as good, ready ones only, each as often as it weighs; empty: there is one.
    std::vector<TunnelHop> ways;
};

class UnderlayModel {
public:
    static constexpr int64_t kRefreshMs = 30'000;
    static constexpr int64_t kForgetMs = 120'000;
    static constexpr size_t kMaxLearned = 65'536;

    /// True when something that resolve() looks at changed; the same for the others below.
    bool set_devices(std::vector<Device> devices);
    bool set_kernel(KernelState state);
    Result<void> add_address(const std::string& where, const std::string& prefix);
    /// Several with the same prefix and different gateways share what goes there.
    Result<void> add_route(const std::string& prefix, const std::string& where,
                           const std::string& gateway);
    Result<void> del_route(const std::string& prefix);
    Result<void> set_neighbor(const std::string& where, const std::string& ip,
                              const std::string& mac);
    Result<void> del_neighbor(const std::string& where, const std::string& ip);
    bool learned(PortId port, const IpAddress& ip, const Mac& mac, int64_t now_ms);
    /// True when a learnt neighbour went out of date.
    bool expire(int64_t now_ms);

    /// Addresses among `own` of the right family are preferred as source.
    NextHop resolve(const IpAddress& remote, const std::vector<IpAddress>& own);
    void set_tunnel_ports(const TunnelPorts& ports) { tunnel_ports_ = ports; }
    /// Call before a round of resolve(): next hops no longer asked for leave wanted().
    void begin_round() {
        asked_.clear();
        kernel_hops_.clear();
    }
    std::vector<ResolveRequest> wanted(int64_t now_ms) const;
    /// Next hops of this round that the kernel is to resolve and to keep: (device, address), and
    /// whether it knows them.
    using KernelHops = std::map<std::pair<std::string, IpAddress>, bool>;
    const KernelHops& kernel_hops() const { return kernel_hops_; }

    /// Our side of the network on a port; nullopt when no address is on it.
    std::optional<Underlay> underlay_of(PortId port) const;
    const std::vector<Device>& devices() const { return devices_; }
    std::vector<std::string> describe_routes() const;
    std::vector<std::string> describe_neighbors() const;

private:
    struct Key {
        PortId port;
        IpAddress ip;
        auto operator<=>(const Key&) const = default;
    };
    struct Learned {
        Mac mac;
        int64_t seen_ms;
    };

    const Device* device(const std::string& where) const;
    const Device* device(PortId port) const;
    std::vector<IpPrefix> addresses_of(const Device& device) const;
    std::optional<Mac> neighbor(const Device& device, const IpAddress& ip,
                                bool* is_permanent) const;
    struct Way {
        const Device* device;
        IpAddress hop;
        uint8_t weight;
    };
    std::vector<Way> ways_to(const IpAddress& remote) const;
    IpAddress source(const Device& device, const IpAddress& next_hop,
                     const std::vector<IpAddress>& own) const;

    TunnelPorts tunnel_ports_;
    std::vector<Device> devices_;
    std::vector<std::pair<std::string, IpPrefix>> addresses_;
    std::vector<Route> routes_;
    std::vector<NeighborFact> neighbors_;
    KernelState kernel_;
    std::map<Key, Learned> learned_;
    std::map<Key, IpAddress> asked_;  ///< next hops of this round, with the source to ask from
    KernelHops kernel_hops_;
};

}  // namespace sluice::physical
