// SPDX-License-Identifier: Apache-2.0
#include "datapath/capture.h"

#include <pcap/bpf.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "datapath/tunnel/geneve.h"
#include "datapath/tunnel/vxlan.h"
#include "datapath/worker_ctx.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

using namespace wire;

/// Where in the logical network a frame is: keys, 0 unknown.
struct Place {
    uint32_t datapath = 0;
    uint32_t inport = 0;
    uint32_t outport = 0;
};

/// What a frame's first segment says of its tunnel.
struct OuterView {
    const uint8_t* payload = nullptr;  ///< behind the UDP header; null: no UDP
    uint32_t left = 0;
    uint16_t udp_port = 0;
    uint16_t vid = 0;
};

OuterView read_outer(const rte_mbuf* m) {
    OuterView view;
    const auto* p = rte_pktmbuf_mtod(m, const uint8_t*);
    const uint32_t len = m->data_len;
    uint32_t at = kEthLen;
    if (len < at + kVlanLen) {
        return view;
    }
    uint16_t type = get16(p + 12);
    if (type == kTypeVlan) {
        view.vid = get16(p + 14) & kVlanVid;
        type = get16(p + 16);
        at += kVlanLen;
    }
    uint8_t proto = 0;
    if (type == kTypeIp4 && len >= at + kIp4MinLen && (get16(p + at + 6) & 0x1fff) == 0) {
        proto = p[at + 9];
        at += (p[at] & 15u) * 4u;
    } else if (type == kTypeIp6 && len >= at + kIp6Len) {
        proto = p[at + 6];
        at += kIp6Len;
    }
    if (proto == kProtoUdp && len >= at + kUdpLen) {
        view.udp_port = get16(p + at + 2);
        view.payload = p + at + kUdpLen;
        view.left = len - at - kUdpLen;
    }
    return view;
}

/// The coordinates that a tunnel packet carries.
bool read_tunnel(const OuterView& outer, const Underlay& underlay, Place* place) {
    constexpr uint32_t kGeneveHead = 8;
    if (!outer.payload || outer.left < kGeneveHead) {
        return false;
    }
    const uint8_t* p = outer.payload;
    if (outer.udp_port == underlay.geneve_port) {
        place->datapath = get24(p + 4);
        const uint32_t end = std::min(kGeneveHead + (p[0] & 63u) * 4, outer.left);
        for (uint32_t at = kGeneveHead; at + 8 <= end; at += 4 + (p[at + 3] & 31u) * 4) {
            const bool ovn = get16(p + at) == kOptClassOvn && p[at + 2] == kOptTypeOvn;
            const bool old = get16(p + at) == kOptClassLegacy && p[at + 2] == kOptTypeLegacy;
            if ((ovn || old) && (p[at + 3] & 31) == 1) {
                place->inport = get32(p + at + 4) >> 16 & 0x7fff;
                place->outport = get32(p + at + 4) & 0xffff;
            }
        }
        return true;
    }
    if (outer.udp_port == underlay.vxlan_port) {
        const VxlanCoordinates where = split_vni(get24(p + 4));
        place->datapath = where.datapath;
        place->outport = where.outport;
        return true;
    }
    return false;
}

const EntryPoint* entry_of(const PortEntry& port, uint16_t vid) {
    if (vid) {
        if (const std::vector<const EntryPoint*>* const* found = port.tagged.find(vid)) {
            return (*found)->empty() ? nullptr : (**found)[0];
        }
        if (!port.untagged_takes_tags) {
            return nullptr;
        }
    }
    return port.untagged.empty() ? nullptr : port.untagged[0];
}

Place place_on_port(const WorkerCtx& ctx, const rte_mbuf* m, PortId port,
                    CaptureDirection direction) {
    Place place;
    const auto& entries = ctx.pipeline->entries;
    const PortEntry* known = port < entries.size() ? entries[port] : nullptr;
    if (!known) {
        return place;
    }
    const OuterView outer = read_outer(m);
    if (known->underlay && read_tunnel(outer, *known->underlay, &place)) {
        return place;
    }
    const EntryPoint* entry = entry_of(*known, outer.vid);
    const Datapath* datapath = entry ? ctx.pipeline->datapath(entry->datapath) : nullptr;
    if (datapath) {
        place.datapath = datapath->key;
        (direction == kCaptureRx ? place.inport : place.outport) = entry->inport;
    }
    return place;
}

void copy_bytes(const rte_mbuf* m, uint32_t len, uint8_t* to) {
    for (; m && len; m = m->next) {
        const uint32_t n = std::min<uint32_t>(m->data_len, len);
        std::memcpy(to, rte_pktmbuf_mtod(m, const uint8_t*), n);
        to += n;
        len -= n;
    }
}

bool passes(CaptureFilter filter, CaptureLane& lane, const rte_mbuf* m) {
    if (!filter) {
        return true;
    }
    const auto* data = rte_pktmbuf_mtod(m, const uint8_t*);
    uint32_t here = m->data_len;
    if (SLUICE_UNLIKELY(m->nb_segs > 1)) {
        here = std::min<uint32_t>(m->pkt_len, sizeof lane.head);
        copy_bytes(m, here, lane.head);
        data = lane.head;
    }
    return bpf_filter(filter, data, m->pkt_len, here) != 0;
}

bool is_asked_for(const CaptureSpec& spec, const Place& place) {
    if (spec.datapath && spec.datapath != place.datapath) {
        return false;
    }
    if (spec.logical.empty()) {
        return true;
    }
    const uint64_t high = uint64_t{place.datapath} << 32;
    for (const uint64_t wanted : spec.logical) {
        if ((place.inport && wanted == (high | place.inport)) ||
            (place.outport && wanted == (high | place.outport))) {
            return true;
        }
    }
    return false;
}

/// Neither sampled out nor beyond the rate.
bool may_copy(const WorkerCtx& ctx, const CaptureSpec& spec, CaptureLane& lane) {
    if (lane.until_sample) {
        --lane.until_sample;
        lane.sampled_out.add(1);
        return false;
    }
    lane.until_sample = spec.sample - 1;
    if (!spec.cycles_per_packet) {
        return true;
    }
    lane.rate_clock = std::max(lane.rate_clock, ctx.now);
    if (lane.rate_clock - ctx.now > spec.burst_cycles) {
        lane.over_rate.add(1);
        ctx.counters->add(Counter::k_capture_over_rate);
        return false;
    }
    lane.rate_clock += spec.cycles_per_packet;
    return true;
}

/// A packet that the filter let pass: is it copied, and where is it? The cheaper question first.
bool choose(const WorkerCtx& ctx, const CaptureSpec& spec, CaptureLane& lane, const rte_mbuf* m,
            PortId port, CaptureDirection direction, Place* place) {
    if (spec.datapath || !spec.logical.empty()) {
        *place = place_on_port(ctx, m, port, direction);
        return is_asked_for(spec, *place) && may_copy(ctx, spec, lane);
    }
    if (!may_copy(ctx, spec, lane)) {
        return false;
    }
    *place = place_on_port(ctx, m, port, direction);
    return true;
}

void copy_packet(WorkerCtx& ctx, const CaptureSpec& spec, CaptureLane& lane, const rte_mbuf* m,
                 CaptureRecord record) {
    const uint32_t cap_len = std::min(m->pkt_len, spec.snaplen);
    const uint32_t size = (sizeof record + cap_len + 7) & ~7u;
    uint8_t* to = lane.ring.reserve(size);
    if (!to) {
        lane.ring_full.add(1);
        ctx.counters->add(Counter::k_capture_ring_full);
        return;
    }
    record.size = size;
    record.cap_len = cap_len;
    record.orig_len = m->pkt_len;
    record.tsc = ctx.now;
    std::memcpy(to, &record, sizeof record);
    copy_bytes(m, cap_len, to + sizeof record);
    lane.ring.commit();
    lane.copied.add(1);
    ctx.counters->add(Counter::k_captured);
}

bool wants_port(const CaptureSpec& spec, PortId port) {
    return spec.any_port || (port < spec.ports.size() && spec.ports[port]);
}

}  // namespace

void capture_burst(WorkerCtx& ctx, rte_mbuf* const* pkts, unsigned n, PortId port,
                   CaptureDirection direction) {
    for (const CaptureSet::Item& item : ctx.capture->items) {
        const CaptureSpec& spec = item.spec;
        if (!(spec.directions & direction) || !wants_port(spec, port)) {
            continue;
        }
        CaptureLane& lane = *item.tap->lanes[ctx.config.id];
        lane.seen.add(n);
        for (unsigned i = 0; i < n; ++i) {
            const rte_mbuf* m = pkts[i];
            Place place;
            if (!passes(spec.filter, lane, m) ||
                !choose(ctx, spec, lane, m, port, direction, &place)) {
                continue;
            }
            CaptureRecord record{};
            record.flow = kNoFlow;
            record.entered = direction == kCaptureTx ? meta_of(pkts[i]).key.context : 0;
            record.datapath = place.datapath;
            record.inport = place.inport;
            record.outport = place.outport;
            record.port = port;
            record.direction = direction;
            copy_packet(ctx, spec, lane, m, record);
        }
    }
}

void capture_drop(WorkerCtx& ctx, rte_mbuf* m, Drop reason, uint32_t flow, uint32_t datapath,
                  uint32_t inport) {
    const PortId port = meta_of(m).key.in_port;
    for (const CaptureSet::Item& item : ctx.capture->items) {
        const CaptureSpec& spec = item.spec;
        if (!(spec.directions & kCaptureDrop) || !wants_port(spec, port)) {
            continue;
        }
        CaptureLane& lane = *item.tap->lanes[ctx.config.id];
        lane.seen.add(1);
        Place place{datapath, inport, 0};
        if (!datapath) {
            place = place_on_port(ctx, m, port, kCaptureRx);
        }
        if (passes(spec.filter, lane, m) && is_asked_for(spec, place) &&
            may_copy(ctx, spec, lane)) {
            CaptureRecord record{};
            record.flow = flow;
            record.datapath = place.datapath;
            record.inport = place.inport;
            record.outport = place.outport;
            record.port = port;
            record.direction = kCaptureDrop;
            record.reason = static_cast<uint8_t>(reason);
            copy_packet(ctx, spec, lane, m, record);
        }
    }
}

}  // namespace sluice
