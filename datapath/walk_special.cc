// SPDX-License-Identifier: Apache-2.0
// Output to ports that are not like the others (lib/program/special_ports.h).
#include <algorithm>

#include "datapath/walk.h"

namespace sluice {

/// The other chassis that have the port get a copy each.
template <bool kTrace>
void Walker<kTrace>::output_copies(const LogicalPort& port, bool remote) {
    if (SLUICE_LIKELY(!port.special || port.special->copies.empty()) || !remote ||
        (f_.s.w[kSlotFlags] & flag::kLocalOnly) || from_localport()) {
        return;
    }
    for (const uint32_t tunnel : port.special->copies) {
        output_tunnel(tunnel, false, true);
    }
}

/// From a port that is on several chassis, everything to other chassis goes by tunnel: a physical
/// switch would not know where the sender is. True when the packet went that way.
template <bool kTrace>
bool Walker<kTrace>::output_from_spread(const SpecialPort& port) {
    const LogicalPort* const* in = f_.datapath->ports.find(f_.s.w[kSlotInport]);
    if (port.tunnel == SpecialPort::kNoTunnel || !in || !(*in)->special ||
        !(*in)->special->is_on_several) {
        return false;
    }
    output_tunnel(port.tunnel, false, true);
    return true;
}

/// False when the packet is not to leave by the port.
template <bool kTrace>
bool Walker<kTrace>::prepare_special(const SpecialPort& port) {
    if (port.is_silent) {
        drop(Drop::k_port_silent);
        return false;
    }
    const auto& macs = port.router_macs;
    if (port.chassis_mac != 0 &&
        std::find(macs.begin(), macs.end(), f_.s.mac(kSlotEthSrc)) != macs.end()) {
        f_.write(kSlotEthSrc, 0xffff, static_cast<uint32_t>(port.chassis_mac >> 32));
        f_.write(kSlotEthSrc + 1, ~0u, static_cast<uint32_t>(port.chassis_mac));
    }
    return true;
}

template void Walker<false>::output_copies(const LogicalPort&, bool);
template void Walker<true>::output_copies(const LogicalPort&, bool);
template bool Walker<false>::output_from_spread(const SpecialPort&);
template bool Walker<true>::output_from_spread(const SpecialPort&);
template bool Walker<false>::prepare_special(const SpecialPort&);
template bool Walker<true>::prepare_special(const SpecialPort&);

}  // namespace sluice
