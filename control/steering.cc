// SPDX-License-Identifier: Apache-2.0
#include "control/steering.h"

#include <algorithm>

namespace sluice {

Steering steering_of(const PortEntry* entry, const std::vector<physical::IpAddress>& encap_ips) {
    Steering steering;
    if (!entry) {
        return steering;
    }
    const auto is_encap = [&](const physical::IpAddress& address) {
        return std::find(encap_ips.begin(), encap_ips.end(), address) != encap_ips.end();
    };
    if (const Underlay* underlay = entry->underlay) {
        steering.geneve_port = underlay->geneve_port;
        steering.vxlan_port = underlay->vxlan_port;
        steering.stt_port = underlay->stt_port;
        for (const Underlay::Address4& address : underlay->ip4) {
            if (is_encap(physical::to_address(Ip4{address.ip}))) {
                steering.ip4.push_back(Ip4{address.ip});
            }
        }
        for (const Underlay::Address6& address : underlay->ip6) {
            if (is_encap(physical::to_address(address.ip))) {
                steering.ip6.push_back(address.ip);
            }
        }
    }
    steering.untagged = !entry->untagged.empty();
    entry->tagged.for_each([&](uint16_t vid, const std::vector<const EntryPoint*>*) {
        steering.vlans.push_back(vid);
    });
    std::sort(steering.vlans.begin(), steering.vlans.end());
    return steering;
}

}  // namespace sluice
