// SPDX-License-Identifier: Apache-2.0
#include "control/physical/neighbor_use.h"

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>

#include "lib/base/log.h"

namespace sluice::physical {
namespace {

SLUICE_LOG_MODULE(neighbors);

}  // namespace

NeighborUse::~NeighborUse() {
    if (socket_) {
        mnl_socket_close(socket_);
    }
}

void NeighborUse::use(const UnderlayModel::KernelHops& hops, int64_t now_ms) {
    std::erase_if(told_ms_, [&](const auto& entry) { return !hops.contains(entry.first); });
    for (const auto& [hop, is_known] : hops) {
        const auto told = told_ms_.find(hop);
        if (told != told_ms_.end() && now_ms - told->second < (is_known ? kKnownMs : kUnknownMs)) {
            continue;
        }
        told_ms_[hop] = now_ms;
        if (!tell_kernel(hop.first, hop.second)) {
            LOG_WARN_RL("asking the kernel for the MAC address of {} on {}: {}",
                        to_string(hop.second), hop.first, std::strerror(errno));
        }
    }
}

bool NeighborUse::tell_kernel(const std::string& device, const IpAddress& ip) {
    if (!socket_) {
        socket_ = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (!socket_ || mnl_socket_bind(socket_, 0, MNL_SOCKET_AUTOPID) < 0) {
            return false;
        }
    }
    char buffer[256];
    while (mnl_socket_recvfrom(socket_, buffer, sizeof buffer) > 0) {
        // Errors of earlier requests: the device may be gone. The next round tries again.
    }
    nlmsghdr* message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = RTM_NEWNEIGH;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
    auto* header = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ndmsg)));
    header->ndm_family = ip.ip6 ? AF_INET6 : AF_INET;
    header->ndm_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
    header->ndm_state = NUD_NONE;
    header->ndm_flags = NTF_USE;
    mnl_attr_put(message, NDA_DST, ip.bits() / 8, ip.bytes.data());
    return mnl_socket_sendto(socket_, message, message->nlmsg_len) >= 0;
}

}  // namespace sluice::physical
