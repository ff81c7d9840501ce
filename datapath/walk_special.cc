// SPDX-License-Identifier: Apache-2.0
// Output to ports that are not like the others (lib/program/special_ports.h).
#include <algorithm>

#include "datapath/walk.h"
#include "lib/net/wire.h"
#include "lib/program/shared_wire.h"

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

/// To a gateway on another chassis by the physical network that the router is on: straight out of
/// the switch's localnet port, from the router's MAC.
template <bool kTrace>
void Walker<kTrace>::output_bridged(const LogicalPort& port) {
    const Datapath* peer = pipeline_.datapath(port.peer_datapath);
    if (!peer || !port.special) {
        drop(Drop::k_unbound_port);
        return;
    }
    const Frame saved = f_;
    f_.write(kSlotEthSrc, 0xffff, static_cast<uint32_t>(port.special->chassis_mac >> 32));
    f_.write(kSlotEthSrc + 1, ~0u, static_cast<uint32_t>(port.special->chassis_mac));
    f_.datapath = peer;
    f_.s.w[kSlotDatapath] = peer->key;
    f_.s.w[kSlotOutport] = port.peer_key;
    out_.cross(peer->index);
    logical_to_physical();
    f_ = saved;
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

/// Gives a frame for the wire to the other switches that share it. False when it is for one of them
/// alone.
template <bool kTrace>
bool Walker<kTrace>::leaves_by_wire(const LogicalPort& port) {
    const PortEntry* entry =
        port.port < pipeline_.entries.size() ? pipeline_.entries[port.port] : nullptr;
    const std::vector<const EntryPoint*>* list = entry ? &entry->untagged : nullptr;
    if (entry && port.vlan_tci) {
        const auto* tagged = entry->tagged.find(port.vlan_tci & wire::kVlanVid);
        list = tagged ? *tagged : nullptr;
    }
    const SharedWire* shared = list && list->size() > 1 ? shared_wire_of(*list->front()) : nullptr;
    if (SLUICE_LIKELY(!shared)) {
        return true;
    }
    const auto cross = [&](const EntryPoint& to) {
        LogicalPort patch{};
        patch.peer_datapath = to.datapath;
        patch.peer_key = to.inport;
        if (to.datapath != f_.datapath->index || to.inport != port.key) {
            reenter(patch);
        }
    };
    const uint64_t dst = f_.s.mac(kSlotEthDst);
    if (dst >> 40 & 1) {
        for (const EntryPoint* to : *list) {
            cross(*to);
        }
        return true;
    }
    const EntryPoint* const* known = shared->macs->find(dst);
    if (!known || (*known)->datapath == f_.datapath->index) {
        return true;
    }
    cross(**known);
    return false;
}

template void Walker<false>::output_copies(const LogicalPort&, bool);
template void Walker<true>::output_copies(const LogicalPort&, bool);
template bool Walker<false>::output_from_spread(const SpecialPort&);
template bool Walker<true>::output_from_spread(const SpecialPort&);
template void Walker<false>::output_bridged(const LogicalPort&);
template void Walker<true>::output_bridged(const LogicalPort&);
template bool Walker<false>::prepare_special(const SpecialPort&);
template bool Walker<true>::prepare_special(const SpecialPort&);
template bool Walker<false>::leaves_by_wire(const LogicalPort&);
template bool Walker<true>::leaves_by_wire(const LogicalPort&);

}  // namespace sluice
