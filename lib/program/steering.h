// SPDX-License-Identifier: Apache-2.0
// Steering: what a NIC that the kernel goes on using is to hand to us.
//
// What. A port whose driver shares its device with the kernel (af_xdp) does not get every frame,
// but those that this value describes: tunnel packets for our encap addresses, and what localnet
// ports on the device must see. The kernel stays the host there: it has the addresses, answers ARP,
// ND and ping, keeps routes and neighbours, and runs whatever else lives on the NIC (ssh, BGP).
//
// How it travels. Control derives one for each port from its settings and the published pipeline
// and hands it out by ControlHooks::steer; the composer passes it to pmd::Ports::steer(). It is
// complete each time and said as often as one likes: the driver changes only what differs.
//
// Threads: a value; control thread.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/net/addr.h"

namespace sluice {

struct Steering {
    uint16_t geneve_port = 0;  ///< UDP; 0: not spoken, the kernel's own business
    uint16_t vxlan_port = 0;   ///< UDP; same
    uint16_t stt_port = 0;     ///< TCP; same
    std::vector<Ip4> ip4;      ///< tunnel packets to these addresses are ours
    std::vector<Ip6> ip6;
    std::vector<uint16_t> vlans;  ///< VIDs of localnet ports: all such frames are ours
    bool untagged = false;        ///< a localnet port without a tag is served

    bool operator==(const Steering&) const = default;
};

/// In Underlay::exception: the kernel is the host on this device without any leg of its own,
/// because only what is ours is handed to us.
inline constexpr uint16_t kKernelIsHost = 0xfffe;

}  // namespace sluice
