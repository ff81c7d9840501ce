// SPDX-License-Identifier: Apache-2.0
// NeighborUse: has the kernel resolve next hops that only we send to.
//
// Where the kernel is the host on an underlay device (af_xdp), ARP and ND answers go to it, and it
// would ignore answers to questions that it never asked. So it has to ask: a neighbour entry that
// is "used" (RTM_NEWNEIGH with NTF_USE, what `ip neigh ... use` sends) is resolved, and one gone
// stale is verified, just as if the kernel had sent a packet. The result comes back by KernelWatch.
// Unknown next hops are used once a second, known ones every half minute, so a next hop that moved
// without a word is noticed. Threads: control.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "control/physical/underlay.h"

struct mnl_socket;

namespace sluice::physical {

class NeighborUse {
public:
    static constexpr int64_t kUnknownMs = 1000;
    static constexpr int64_t kKnownMs = 30'000;

    NeighborUse() = default;
    ~NeighborUse();
    NeighborUse(const NeighborUse&) = delete;
    NeighborUse& operator=(const NeighborUse&) = delete;

    /// All next hops in use now, and whether the kernel knows them. To be called again about once a
    /// second.
    void use(const UnderlayModel::KernelHops& hops, int64_t now_ms);

private:
    bool tell_kernel(const std::string& device, const IpAddress& ip);

    mnl_socket* socket_ = nullptr;
    std::map<std::pair<std::string, IpAddress>, int64_t> told_ms_;
};

}  // namespace sluice::physical
