// SPDX-License-Identifier: Apache-2.0
// The stages between the pipelines: output (remote, local, loopback check), logical-to-physical.
#include <bit>
#include <cstring>

#include "datapath/walk.h"

namespace sluice {

template <bool kTrace>
bool Walker<kTrace>::from_localport() const {
    const LogicalPort* const* in = f_.datapath->ports.find(f_.s.w[kSlotInport]);
    return in && (*in)->is_localport;
}

template <bool kTrace>
bool Walker<kTrace>::is_from_ramp() const {
    return (f_.s.w[kSlotFlags] & (flag::kFromRamp | flag::kLoopback)) == flag::kFromRamp;
}

/// `remote`: the remote part comes first; packets from a tunnel have been through it elsewhere.
template <bool kTrace>
void Walker<kTrace>::output(bool remote) {
    const uint32_t key = f_.s.w[kSlotOutport];
    if (key == 0) {
        drop(Drop::k_no_outport);
        return;
    }
    if (SLUICE_UNLIKELY(is_from_ramp())) {
        remote = false;  // a VTEP gateway serves its own ends; only answers go into tunnels
    }
    const Frame saved = f_;
    const uint32_t flow = flow_;
    if (key < kFirstGroupKey || (key & Evpn::kVtepBit)) {
        output_port(key, remote, false);
    } else if (const Group* const* group = f_.datapath->groups.find(key)) {
        output_group(**group, remote);
    } else {
        drop(Drop::k_unknown_outport);
    }
    f_ = saved;
    flow_ = flow;
}

template <bool kTrace>
void Walker<kTrace>::output_members(const std::vector<uint32_t>& members, bool remote) {
    const Frame saved = f_;
    const uint32_t flow = flow_;
    for (const uint32_t member : members) {
        f_.s.w[kSlotOutport] = member;
        output_port(member, remote, true);
        f_ = saved;
        flow_ = flow;
    }
}

/// `remote`: false for packets that came by tunnel, of which only the local part is left to do.
template <bool kTrace>
void Walker<kTrace>::output_group(const Group& group, bool remote) {
    const bool tunnels = remote && !from_localport();
    record(
        TraceRecord::Kind::kReplicate, group.key,
        static_cast<uint32_t>(
            group.local.size() + (remote ? group.here.size() : 0) +
            (tunnels ? group.tunnels.size() + group.ramps.size() + group.remote_ports.size() : 0)));
    if (remote) {
        output_members(group.here, false);
    }
    if (tunnels) {
        for (const uint32_t tunnel : group.tunnels) {
            output_tunnel(tunnel, false, true);
        }
        for (const uint32_t ramp : group.ramps) {
            if (!is_own_ramp(ramp)) {
                output_tunnel(ramp, true, true);
            }
        }
        output_members(group.remote_ports, true);
    }
    output_members(group.local, false);
}

template <bool kTrace>
void Walker<kTrace>::output_port(uint32_t key, bool remote, bool in_group) {
    // A chassisredirect port may lead to a port that is reached by localnet: two steps at most.
    for (unsigned steps = 0; steps < 4; ++steps) {
        const LogicalPort* const* found = f_.datapath->ports.find(key);
        if (!found) {
            break;
        }
        const LogicalPort& port = **found;
        switch (port.reach) {
        case Reach::kVif:
        case Reach::kPatch:
            output_copies(port, remote);
            deliver(port, in_group);
            return;
        case Reach::kTunnel:
            output_tunnel(port.tunnel, port.is_ramp, remote);
            output_copies(port, remote);
            return;
        case Reach::kUnbound: drop(Drop::k_unbound_port); return;
        case Reach::kNoTunnel: drop(Drop::k_remote_no_tunnel); return;
        case Reach::kLocalnet:
            if (SLUICE_UNLIKELY(remote && port.special && output_from_spread(*port.special))) {
                return;
            }
            [[fallthrough]];
        case Reach::kRedirect:
            if (SLUICE_UNLIKELY(port.peer_key != 0)) {
                output_bridged(port);
                return;
            }
            key = port.via_key;
            f_.s.w[kSlotOutport] = key;
            break;
        }
    }
    drop(Drop::k_unknown_outport);
}

/// The gateway that a packet came from has served its own ends.
template <bool kTrace>
bool Walker<kTrace>::is_own_ramp(uint32_t tunnel) const {
    if (SLUICE_LIKELY(!(f_.s.w[kSlotFlags] & flag::kFromRamp))) {
        return false;
    }
    const LogicalPort* const* in = f_.datapath->ports.find(f_.s.w[kSlotInport]);
    return in && (*in)->is_ramp && (*in)->tunnel == tunnel;
}

/// `is_ramp`: to a VTEP gateway, which knows no ports.
template <bool kTrace>
void Walker<kTrace>::output_tunnel(uint32_t tunnel, bool is_ramp, bool remote) {
    if (!remote) {
        // It came by a tunnel and is not for this chassis.
        drop(is_from_ramp() ? Drop::k_ramp_to_tunnel : Drop::k_unbound_port);
        return;
    }
    if (from_localport()) {
        drop(Drop::k_localport_remote);
        return;
    }
    if (SLUICE_UNLIKELY(source_ != 0)) {
        const uint32_t* from = pipeline_.tunnels_from.find(uint64_t{tunnel} << 32 | source_);
        tunnel = from ? *from : tunnel;
    }
    record(TraceRecord::Kind::kTunnel, tunnel);
    const uint32_t outport = f_.s.w[kSlotOutport];
    f_.s.w[kSlotOutport] = is_ramp ? 0 : outport;
    emit_tunnel(f_, prefix_, tunnel, &out_);
    f_.s.w[kSlotOutport] = outport;
}

template <bool kTrace>
void Walker<kTrace>::deliver(const LogicalPort& port, bool in_group) {
    if (port.key == f_.s.w[kSlotInport] && !(f_.s.w[kSlotFlags] & flag::kLoopback)) {
        if (!in_group) {  // a group that holds the sender is the rule, not a loss
            drop(Drop::k_loopback);
        }
        return;
    }
    if (port.is_localnet && (f_.s.w[kSlotFlags] & flag::kLocalOnly || from_localport())) {
        drop(Drop::k_localport_remote);
        return;
    }
    record(TraceRecord::Kind::kDeliver);
    std::memset(&f_.s.w[kSlotXxreg0], 0, (kSlotPktMark - kSlotXxreg0) * sizeof(uint32_t));
    run(kEgress, 0);
}

template <bool kTrace>
void Walker<kTrace>::logical_to_physical() {
    const LogicalPort* const* found = f_.datapath->ports.find(f_.s.w[kSlotOutport]);
    if (!found) {
        drop(Drop::k_unknown_outport);
        return;
    }
    const LogicalPort& port = **found;
    const uint64_t source = f_.s.mac(kSlotEthSrc);
    if (SLUICE_UNLIKELY(port.special != nullptr) && !prepare_special(*port.special)) {
        return;
    }
    if (port.reach == Reach::kVif) {
        if (SLUICE_UNLIKELY(port.is_localnet) && !leaves_by_wire(port)) {
            f_.s.set_mac(kSlotEthSrc, source);
            return;
        }
        if constexpr (kTrace) {
            record(TraceRecord::Kind::kOutput);
            trace_->records.back().port = port.port;
        }
        emit_output(f_, prefix_, port, &out_);
        mirror(port, port.mirrors_out);
        f_.s.set_mac(kSlotEthSrc, source);  // of this copy alone
    } else if (port.reach == Reach::kPatch) {
        reenter(port);
    } else {
        drop(Drop::k_unbound_port);
    }
}

/// What a port sends is copied as it is, whatever becomes of it; packets of our own have no port.
template <bool kTrace>
void Walker<kTrace>::mirror_received(const PacketKey& key) {
    const LogicalPort* const* in = f_.datapath->ports.find(f_.s.w[kSlotInport]);
    if (in && (*in)->mirrors_in != 0 && (*in)->port == key.in_port) {
        mirror(**in, (*in)->mirrors_in);
    }
}

template <bool kTrace>
void Walker<kTrace>::mirror(const LogicalPort& port, uint64_t mirrors) {
    mirrors &= ~mirrored_;
    mirrored_ |= mirrors;
    for (; SLUICE_UNLIKELY(mirrors != 0); mirrors &= mirrors - 1) {
        const auto number = static_cast<uint32_t>(std::countr_zero(mirrors));
        record(TraceRecord::Kind::kMirror, number);
        emit_mirror(f_, prefix_, port, number, &out_);
    }
}

template <bool kTrace>
void Walker<kTrace>::reenter(const LogicalPort& port) {
    const Datapath* peer = pipeline_.datapath(port.peer_datapath);
    if (!peer) {
        drop(Drop::k_unbound_port);
        return;
    }
    if (f_.reentries >= limits::kMaxReentries || total_reentries_ >= kMaxTotalReentries) {
        drop(Drop::k_too_many_reentries);
        return;
    }
    const Frame saved = f_;
    const uint32_t flow = flow_;
    ++f_.reentries;
    ++total_reentries_;
    forget_ct();
    const uint32_t mark = f_.s.w[kSlotPktMark];
    std::memset(f_.s.w, 0, kSlotEthSrc * sizeof(uint32_t));
    std::memset(f_.s.w + kSlotCtProto, 0, kCtOriginalWords * sizeof(uint32_t));
    f_.s.w[kSlotPktMark] = mark;
    f_.s.w[kSlotDatapath] = peer->key;
    f_.s.w[kSlotInport] = port.peer_key;
    f_.datapath = peer;
    out_.cross(peer->index);
    record(TraceRecord::Kind::kReenter);
    run(kIngress, 0);
    f_ = saved;
    flow_ = flow;
}

template bool Walker<false>::from_localport() const;
template bool Walker<true>::from_localport() const;
template void Walker<false>::output_members(const std::vector<uint32_t>&, bool);
template void Walker<true>::output_members(const std::vector<uint32_t>&, bool);
template void Walker<false>::mirror_received(const PacketKey&);
template void Walker<true>::mirror_received(const PacketKey&);
template void Walker<false>::output(bool);
template void Walker<true>::output(bool);
template void Walker<false>::logical_to_physical();
template void Walker<true>::logical_to_physical();

}  // namespace sluice
