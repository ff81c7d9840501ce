// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <rte_mbuf.h>

#include "datapath/admit.h"
#include "datapath/edit.h"
#include "datapath/parse_plain.h"
#include "datapath/stages.h"
#include "datapath/super_frame.h"
#include "datapath/trace.h"
#include "datapath/tunnel/liveness.h"
#include "datapath/worker_ctx.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

using Entries = std::vector<const EntryPoint*>;

/// The entries that a frame with this tag belongs to, or null.
const Entries* entries_of(const PortEntry& port, const PacketKey& key) {
    const bool tagged = key.kinds & kind::kVlan;
    const uint16_t vid = ntohs(key.vlan_tci) & wire::kVlanVid;
    if (tagged && vid != 0) {
        if (const Entries* const* found = port.tagged.find(vid)) {
            return *found;
        }
    }
    const bool plain = !tagged || vid == 0 || port.untagged_takes_tags;
    return plain && !port.untagged.empty() ? &port.untagged : nullptr;
}

bool has_logical(const PortEntry& port) {
    return !port.untagged.empty() || port.tagged.size() != 0;
}

Item* next_item(WorkerCtx& ctx) {
    if (ctx.n_items == WorkerCtx::kMaxItems) {
        forward_items(ctx);
    }
    return &ctx.items[ctx.n_items++];
}

/// A connection that line 0 of the key tells. What is no IP at all has none and does not matter.
bool is_plain_l4(const PacketKey& key) {
    if (!(key.kinds & (kind::kIp4 | kind::kIp6))) {
        return true;
    }
    return (key.kinds & kind::kL4) && key.ip_frag == 0 &&
           (key.ip_proto == wire::kProtoTcp || key.ip_proto == wire::kProtoUdp);
}

/// The item has its key: whether it is the one of the item before, else where the cache has it.
void place_key(WorkerCtx& ctx, Item* item) {
    const Item* before = item == ctx.items ? nullptr : item - 1;
    item->repeats =
        before && before->mask == item->mask && FlowCache::is_same(before->key, item->key);
    if (item->repeats) {
        item->hash = before->hash;
        return;
    }
    item->hash = ctx.cache.hash(item->key);
    ctx.cache.prefetch_set(item->hash);
}

/// Fills what the key says about the entry, and whether the cache may be asked.
void finish_item(WorkerCtx& ctx, Item* item) {
    const Pipeline& pipeline = *ctx.pipeline;
    PacketKey& key = meta_of(item->m).key;
    const uint8_t len_class = len_class_of(pipeline, wire_length(item->m, key));
    const bool bypass = pipeline.too_many_pkt_lens || ctx.trace || !ctx.cache.enabled() ||
                        (item->mask && item->mask->reads_nd && (key.kinds & kind::kNd)) ||
                        (item->mask && item->mask->reads_ct && !is_plain_l4(key));
    if (bypass) {
        item->mask = nullptr;
    }
    item->entry = nullptr;
    item->repeats = false;
    if (item->mask) {
        FlowCache::mask_key(key, *item->mask, len_class, &item->key);
        place_key(ctx, item);
    }
    key.len_class = len_class;
}

void enter(WorkerCtx& ctx, rte_mbuf* m, const EntryPoint& entry) {
    const Datapath* datapath = ctx.pipeline->datapath(entry.datapath);
    if (!datapath) {
        ctx.drop_packet(m, Drop::k_port_no_entry);
        return;
    }
    if (SLUICE_UNLIKELY(entry.special != nullptr) && !admit(ctx, m, entry, *datapath)) {
        return;
    }
    PacketKey& key = meta_of(m).key;
    if (entry.strip_vlan && (key.kinds & kind::kVlan)) {
        edit::pop_vlan(m, &key);
    }
    key.context = context_of_entry(entry.id);
    Item* item = next_item(ctx);
    item->m = m;
    item->start = {WalkStart::Kind::kIngress, datapath, entry.inport, 0, entry.flags, entry.source};
    item->mask = entry.masks ? mask_for(*entry.masks, key) : nullptr;
    finish_item(ctx, item);
}

/// True when the packet's way ends at the underlay (tunnel, host, dropped).
bool took_underlay(WorkerCtx& ctx, rte_mbuf* m, const PortEntry& port, PortId id) {
    Item* const item = next_item(ctx);
    const uint16_t begin = m->data_off;
    const UnderlayVerdict verdict = receive_underlay(ctx, m, *port.underlay, item);
    if (SLUICE_LIKELY(verdict == UnderlayVerdict::kTunnel)) {
        // STT may hand over another packet than came.
        const auto outer = static_cast<uint16_t>(item->m == m ? m->data_off - begin : 0);
        if (ctx.config.joins && !ctx.trace && join(ctx, item, outer)) {
            --ctx.n_items;
            return true;
        }
        finish_item(ctx, item);
        return true;
    }
    --ctx.n_items;
    switch (verdict) {
    case UnderlayVerdict::kTunnel:
    case UnderlayVerdict::kDropped: return true;
    case UnderlayVerdict::kHost: to_host(ctx, m, *port.underlay, id); return true;
    case UnderlayVerdict::kBoth:
        if (!has_logical(port)) {
            to_host(ctx, m, *port.underlay, id);
            return true;
        }
        if (rte_mbuf* copy = ctx.copy(m)) {
            to_host(ctx, copy, *port.underlay, id);
        }
        return false;
    case UnderlayVerdict::kOther:
        if (has_logical(port)) {
            return false;
        }
        ctx.drop_packet(m, Drop::k_underlay_not_ours);
        return true;
    }
    return true;
}

void trace_receive(WorkerCtx& ctx, const rte_mbuf* m, PortId port) {
    TraceRecord record{.kind = TraceRecord::Kind::kReceive};
    record.port = port;
    record.key = meta_of(const_cast<rte_mbuf*>(m)).key;
    ctx.trace->records.push_back(std::move(record));
}

WalkStart::Kind start_of(InjectKind inject) {
    switch (inject) {
    case InjectKind::kOutput: return WalkStart::Kind::kOutput;
    case InjectKind::kOutputLocal: return WalkStart::Kind::kOutputLocal;
    case InjectKind::kEgress: return WalkStart::Kind::kEgress;
    case InjectKind::kResume: return WalkStart::Kind::kResume;
    default: return WalkStart::Kind::kIngress;
    }
}

void one_to_logical(WorkerCtx& ctx, rte_mbuf* m, PortId id) {
    PacketKey& key = meta_of(m).key;
    key.in_port = id;
    key.context = 0;
    if (!parse_packet(m, &key)) {
        ctx.drop_packet(m, Drop::k_runt_frame);
        return;
    }
    key.in_port = id;
    meta_of(m).queue = 0;
    if (SLUICE_UNLIKELY(ctx.trace != nullptr)) {
        trace_receive(ctx, m, id);
    }
    const auto& ports = ctx.pipeline->entries;
    const PortEntry* port = id < ports.size() ? ports[id] : nullptr;
    if (!port) {
        ctx.drop_packet(m, Drop::k_port_no_entry);
        return;
    }
    if (SLUICE_UNLIKELY(port->forward_to != kNoPort)) {
        transmit(ctx, m, port->forward_to);
        return;
    }
    if (port->underlay && took_underlay(ctx, m, *port, id)) {
        return;
    }
    const Entries* entries = entries_of(*port, key);
    if (!entries) {
        ctx.drop_packet(m, key.kinds & kind::kVlan ? Drop::k_vlan_no_entry : Drop::k_port_no_entry);
        return;
    }
    for (size_t i = 1; i < entries->size(); ++i) {
        if (rte_mbuf* copy = ctx.copy(m)) {
            enter(ctx, copy, *(*entries)[i]);
        }
    }
    enter(ctx, m, *(*entries)[0]);
}

/// A port that is one VIF, and what its packets have in common.
struct PlainPort {
    WalkStart start;
    const KeyMasks* masks;
    uint64_t context;
};

/// False when packets of the port must be looked at one by one.
bool is_plain(const WorkerCtx& ctx, PortId id, PlainPort* out) {
    const Pipeline& pipeline = *ctx.pipeline;
    const PortEntry* port = id < pipeline.entries.size() ? pipeline.entries[id] : nullptr;
    if (!port || port->underlay || port->untagged.size() != 1 || pipeline.too_many_pkt_lens ||
        SLUICE_UNLIKELY(ctx.trace != nullptr) || !ctx.cache.enabled()) {
        return false;
    }
    const EntryPoint& entry = *port->untagged[0];
    if (SLUICE_UNLIKELY(entry.special != nullptr)) {
        return false;
    }
    const Datapath* datapath = pipeline.datapath(entry.datapath);
    out->start = {WalkStart::Kind::kIngress, datapath, entry.inport, 0, entry.flags, entry.source};
    out->masks = entry.masks;
    out->context = context_of_entry(entry.id);
    return datapath && entry.masks;
}

/// Reads the frame and takes its cache key. False: an unusual one.
bool take_key(const WorkerCtx& ctx, rte_mbuf* m, PortId id, const PlainPort& port, Item* item) {
    PacketMeta& meta = meta_of(m);
    PacketKey& key = meta.key;
    const auto* data = rte_pktmbuf_mtod(m, const uint8_t*);
    const uint8_t len_class = len_class_of(*ctx.pipeline, m->data_len);
    PacketClass packet_class;
    if (SLUICE_UNLIKELY(m->nb_segs != 1 || is_super(m) ||
                        !parse_plain(data, m->data_len, len_class, &key, &packet_class))) {
        return false;
    }
    key.context = port.context;
    key.in_port = id;
    meta.queue = 0;
    item->mask = &port.masks->at(packet_class);
    FlowCache::mask_key(key, *item->mask, len_class, &item->key);
    return true;
}

void plain_to_logical(WorkerCtx& ctx, rte_mbuf** pkts, unsigned n, PortId id,
                      const PlainPort& port) {
    const Item* before = nullptr;
    for (unsigned i = 0; i < n; ++i) {
        if (SLUICE_UNLIKELY(ctx.n_items == WorkerCtx::kMaxItems)) {
            forward_items(ctx);
            before = nullptr;
        }
        Item* item = &ctx.items[ctx.n_items];
        if (SLUICE_UNLIKELY(!take_key(ctx, pkts[i], id, port, item))) {
            one_to_logical(ctx, pkts[i], id);
            before = nullptr;
            continue;
        }
        ++ctx.n_items;
        item->m = pkts[i];
        item->entry = nullptr;
        item->start = port.start;
        item->repeats = before && FlowCache::is_same(before->key, item->key);
        if (item->repeats) {
            item->hash = before->hash;
        } else {
            item->hash = ctx.cache.hash(item->key);
            ctx.cache.prefetch_set(item->hash);
        }
        before = item;
    }
}

/// False when packets of the port must be looked at one by one.
bool is_plain_underlay(const WorkerCtx& ctx, PortId id, PlainUnderlay* out) {
    const Pipeline& pipeline = *ctx.pipeline;
    const PortEntry* port = id < pipeline.entries.size() ? pipeline.entries[id] : nullptr;
    if (!port || !port->underlay || port->forward_to != kNoPort || pipeline.too_many_pkt_lens ||
        SLUICE_UNLIKELY(ctx.trace != nullptr) || !ctx.cache.enabled()) {
        return false;
    }
    const Underlay& underlay = *port->underlay;
    if (underlay.mac == 0 || underlay.ip4.empty()) {
        return false;
    }
    *out = {__builtin_bswap64(underlay.mac) >> 16, __builtin_bswap32(underlay.ip4[0].ip),
            __builtin_bswap16(underlay.geneve_port)};
    return true;
}

void plain_from_underlay(WorkerCtx& ctx, rte_mbuf** pkts, unsigned n, PortId id,
                         const PlainUnderlay& underlay) {
    constexpr unsigned kLine = 64;  // where inner addresses and ports are
    for (unsigned i = 0; i < n; ++i) {
        __builtin_prefetch(rte_pktmbuf_mtod_offset(pkts[i], const void*, kLine));
    }
    for (unsigned i = 0; i < n; ++i) {
        if (ctx.joins.n && join_as_before(ctx, pkts[i])) {
            continue;
        }
        Item* const item = next_item(ctx);
        const uint16_t begin = pkts[i]->data_off;
        if (SLUICE_UNLIKELY(!receive_plain_tunnel(ctx, pkts[i], underlay, item))) {
            --ctx.n_items;
            one_to_logical(ctx, pkts[i], id);
            continue;
        }
        meta_of(pkts[i]).key.in_port = id;
        const auto outer = static_cast<uint16_t>(pkts[i]->data_off - begin);
        if (ctx.config.joins && join(ctx, item, outer)) {
            --ctx.n_items;
            continue;
        }
        item->entry = nullptr;
        place_key(ctx, item);
    }
}

}  // namespace

void physical_to_logical(WorkerCtx& ctx, rte_mbuf** pkts, unsigned n, PortId id) {
    PlainPort port;
    if (SLUICE_LIKELY(is_plain(ctx, id, &port))) {
        plain_to_logical(ctx, pkts, n, id, port);
        return;
    }
    PlainUnderlay underlay;
    if (is_plain_underlay(ctx, id, &underlay)) {
        plain_from_underlay(ctx, pkts, n, id, underlay);
        return;
    }
    for (unsigned i = 0; i < n; ++i) {
        if (ctx.joins.n && join_as_before(ctx, pkts[i])) {
            continue;
        }
        one_to_logical(ctx, pkts[i], id);
    }
}

void inject(WorkerCtx& ctx, rte_mbuf* m) {
    PacketMeta& meta = meta_of(m);
    ctx.counters->add(Counter::k_injected);
    meta.queue = 0;
    meta.key.context = 0;
    meta.key.in_port = kNoPort;
    if (meta.inject == InjectKind::kToPort) {
        transmit(ctx, m, meta.punt.port);
        return;
    }
    if (meta.inject == InjectKind::kFromPort) {
        one_to_logical(ctx, m, meta.punt.port);
        return;
    }
    const PuntMeta& punt = meta.punt;
    if (meta.inject == InjectKind::kTunnel) {
        if (parse_packet(m, &meta.key)) {
            send_with_key_zero(ctx, m, punt.outport());
        } else {
            ctx.drop_packet(m, Drop::k_runt_frame);
        }
        return;
    }
    const Datapath* const* datapath = ctx.pipeline->by_key.find(punt.datapath());
    if (!datapath) {
        ctx.drop_packet(m, Drop::k_unknown_datapath, punt.datapath(), punt.inport());
        return;
    }
    if (!parse_packet(m, &meta.key)) {
        ctx.drop_packet(m, Drop::k_runt_frame);
        return;
    }
    meta.key.in_port = punt.port;
    meta.key.pkt_mark = punt.logical[kSlotPktMark];
    Item* item = next_item(ctx);
    item->m = m;
    const auto kind = start_of(meta.inject);
    item->start = {kind, *datapath, punt.inport(),
                   kind == WalkStart::Kind::kIngress ? 0 : punt.outport(), punt.flags()};
    item->mask = nullptr;
    finish_item(ctx, item);
}

}  // namespace sluice
