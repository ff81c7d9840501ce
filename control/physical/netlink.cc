// SPDX-License-Identifier: Apache-2.0
#include "control/physical/netlink.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/base/log.h"

namespace sluice::physical {
namespace {

SLUICE_LOG_MODULE(netlink);

constexpr int64_t kPauseMs = 50;
constexpr unsigned kMaxAttributes = 64;

struct Attributes {
    const nlattr* by_type[kMaxAttributes] = {};
    const nlattr* operator[](unsigned type) const { return by_type[type]; }
};

int take_attribute(const nlattr* attribute, void* data) {
    const unsigned type = mnl_attr_get_type(attribute);
    if (type < kMaxAttributes) {
        static_cast<Attributes*>(data)->by_type[type] = attribute;
    }
    return MNL_CB_OK;
}

std::optional<IpAddress> address_of(const nlattr* attribute, unsigned family) {
    const size_t length = family == AF_INET6 ? 16 : 4;
    if (!attribute || mnl_attr_get_payload_len(attribute) != length) {
        return std::nullopt;
    }
    IpAddress address{family == AF_INET6, {}};
    std::memcpy(address.bytes.data(), mnl_attr_get_payload(attribute), length);
    return address;
}

std::string device_name(unsigned index) {
    char name[IF_NAMESIZE] = {};
    return if_indextoname(index, name) ? name : "";
}

int take_address(const nlmsghdr* message, void* data) {
    const auto* header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
    Attributes attributes;
    mnl_attr_parse(message, sizeof *header, take_attribute, &attributes);
    const nlattr* local = attributes[IFA_LOCAL] ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
    const auto address = address_of(local, header->ifa_family);
    if (address && header->ifa_scope != RT_SCOPE_HOST) {
        static_cast<KernelState*>(data)->addresses.emplace_back(
            device_name(header->ifa_index), IpPrefix{*address, header->ifa_prefixlen});
    }
    return MNL_CB_OK;
}

/// The ways of a route with several.
void take_ways(const nlattr* attribute, const Route& common, unsigned family, KernelState* state) {
    constexpr unsigned kMaxWeight = 16;
    const auto* way = static_cast<const rtnexthop*>(mnl_attr_get_payload(attribute));
    int left = mnl_attr_get_payload_len(attribute);
    while (RTNH_OK(way, left)) {
        Attributes attributes;
        const auto* first = reinterpret_cast<const nlattr*>(RTNH_DATA(way));
        mnl_attr_parse_payload(first, way->rtnh_len - sizeof *way, take_attribute, &attributes);
        Route route = common;
        route.where = device_name(static_cast<unsigned>(way->rtnh_ifindex));
        route.gateway = address_of(attributes[RTA_GATEWAY], family);
        route.weight = static_cast<uint8_t>(std::min<unsigned>(way->rtnh_hops + 1u, kMaxWeight));
        if (!(way->rtnh_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN))) {
            state->routes.push_back(std::move(route));
        }
        left -= static_cast<int>(NLMSG_ALIGN(way->rtnh_len));
        way = RTNH_NEXT(way);
    }
}

int take_route(const nlmsghdr* message, void* data) {
    const auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    Attributes attributes;
    mnl_attr_parse(message, sizeof *header, take_attribute, &attributes);
    auto* state = static_cast<KernelState*>(data);
    if (header->rtm_type != RTN_UNICAST || header->rtm_table != RT_TABLE_MAIN ||
        (header->rtm_flags & RTM_F_CLONED) != 0) {
        return MNL_CB_OK;
    }
    Route route;
    route.prefix.address.ip6 = header->rtm_family == AF_INET6;
    route.prefix.length = header->rtm_dst_len;
    if (const auto address = address_of(attributes[RTA_DST], header->rtm_family)) {
        route.prefix.address = *address;
    }
    if (attributes[RTA_PRIORITY]) {
        route.metric = mnl_attr_get_u32(attributes[RTA_PRIORITY]);
    }
    if (attributes[RTA_MULTIPATH]) {
        take_ways(attributes[RTA_MULTIPATH], route, header->rtm_family, state);
    } else if (attributes[RTA_OIF]) {
        route.where = device_name(mnl_attr_get_u32(attributes[RTA_OIF]));
        route.gateway = address_of(attributes[RTA_GATEWAY], header->rtm_family);
        state->routes.push_back(std::move(route));
    }
    return MNL_CB_OK;
}

int take_link(const nlmsghdr* message, void* data) {
    const auto* header = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
    if (header->ifi_flags & IFF_UP) {
        static_cast<KernelState*>(data)->up.insert(
            device_name(static_cast<unsigned>(header->ifi_index)));
    }
    return MNL_CB_OK;
}

int take_neighbor(const nlmsghdr* message, void* data) {
    const auto* header = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
    Attributes attributes;
    mnl_attr_parse(message, sizeof *header, take_attribute, &attributes);
    constexpr unsigned kUsable = NUD_PERMANENT | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE;
    const nlattr* hardware = attributes[NDA_LLADDR];
    const auto address = address_of(attributes[NDA_DST], header->ndm_family);
    if (!address || !hardware || mnl_attr_get_payload_len(hardware) != 6 ||
        (header->ndm_state & kUsable) == 0) {
        return MNL_CB_OK;
    }
    Mac mac;
    std::memcpy(mac.bytes.data(), mnl_attr_get_payload(hardware), 6);
    static_cast<KernelState*>(data)->neighbors.push_back(
        {device_name(static_cast<unsigned>(header->ndm_ifindex)), *address, mac});
    return MNL_CB_OK;
}

/// One dump over a socket of its own: no events get in between.
bool dump(uint16_t type, unsigned family, mnl_cb_t callback, KernelState* state) {
    mnl_socket* socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        if (socket) {
            mnl_socket_close(socket);
        }
        return false;
    }
    std::vector<char> buffer(32768);
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = type;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request->nlmsg_seq = 1;
    // struct ifaddrmsg, rtmsg and ndmsg all begin with the family.
    const size_t size = type == RTM_GETLINK ? sizeof(ifinfomsg) : sizeof(rtmsg);
    auto* header = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, size));
    header->rtm_family = static_cast<unsigned char>(family);
    bool is_good = mnl_socket_sendto(socket, request, request->nlmsg_len) >= 0;
    for (int more = MNL_CB_OK; is_good && more > MNL_CB_STOP;) {
        const ssize_t length = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
        is_good = length >= 0;
        if (is_good) {
            more = mnl_cb_run(buffer.data(), static_cast<size_t>(length), 1,
                              mnl_socket_get_portid(socket), callback, state);
            is_good = more >= 0;
        }
    }
    mnl_socket_close(socket);
    return is_good;
}

}  // namespace

struct KernelWatch::Impl {
    EventLoop* loop;
    std::function<void(KernelState)> on_state;
    mnl_socket* events = nullptr;
    EventLoop::TimerId timer = 0;

    void read_all() {
        timer = 0;
        KernelState state;
        bool is_good = dump(RTM_GETLINK, AF_UNSPEC, take_link, &state);
        for (const unsigned family : {AF_INET, AF_INET6}) {
            is_good = is_good && dump(RTM_GETADDR, family, take_address, &state) &&
                      dump(RTM_GETROUTE, family, take_route, &state) &&
                      dump(RTM_GETNEIGH, family, take_neighbor, &state);
        }
        if (is_good) {
            on_state(std::move(state));
        } else {
            // A dump that a change interrupted; the change's own event brings us back, or this:
            timer = loop->add_timer(1000, [this] { read_all(); });
        }
    }

    void on_event() {
        char buffer[8192];
        while (mnl_socket_recvfrom(events, buffer, sizeof buffer) > 0 || errno == ENOBUFS) {
        }
        if (timer == 0) {
            timer = loop->add_timer(kPauseMs, [this] { read_all(); });
        }
    }
};

KernelWatch::KernelWatch(EventLoop* loop, std::function<void(KernelState)> on_state)
    : impl_(new Impl{loop, std::move(on_state)}) {}

KernelWatch::~KernelWatch() {
    impl_->loop->cancel_timer(impl_->timer);
    if (impl_->events) {
        impl_->loop->remove_fd(mnl_socket_get_fd(impl_->events));
        mnl_socket_close(impl_->events);
    }
}

Result<void> KernelWatch::start() {
    impl_->events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    constexpr unsigned kGroups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                                 RTMGRP_IPV6_ROUTE | RTMGRP_NEIGH | RTMGRP_LINK;
    if (!impl_->events || mnl_socket_bind(impl_->events, kGroups, MNL_SOCKET_AUTOPID) < 0) {
        return Error{std::string("netlink: ") + std::strerror(errno)};
    }
    auto added = impl_->loop->add_fd(mnl_socket_get_fd(impl_->events), Io::kRead,
                                     [this](uint32_t) { impl_->on_event(); });
    if (!added) {
        return added;
    }
    impl_->read_all();
    return {};
}

}  // namespace sluice::physical
