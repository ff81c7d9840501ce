// SPDX-License-Identifier: Apache-2.0
#include <rte_mbuf.h>

#include "datapath/capture.h"
#include "datapath/stages.h"
#include "datapath/super_frame.h"
#include "datapath/trace.h"
#include "datapath/worker_ctx.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

void flush_port(WorkerCtx& ctx, PortId id) {
    TxBuffer& buffer = ctx.tx[id];
    const Port& port = (*ctx.ports)[id];
    uint32_t sent = 0;
    uint64_t bytes = 0;
    if (port && ctx.config.id < port.n_txq) {
        if (SLUICE_UNLIKELY(ctx.capture != nullptr)) {
            capture_burst(ctx, buffer.pkts, buffer.n, id, kCaptureTx);
        }
        uint64_t sizes[limits::kBurst];  // a sent packet is not ours to look at any more
        for (uint32_t i = 0; i < buffer.n; ++i) {
            sizes[i] = buffer.pkts[i]->pkt_len;
        }
        sent = port.tx[ctx.config.id].tx(buffer.pkts, static_cast<uint16_t>(buffer.n));
        for (uint32_t i = 0; i < sent; ++i) {
            bytes += sizes[i];
        }
    }
    ctx.counters->add(Counter::k_tx_packets, sent);
    ctx.counters->add(Counter::k_tx_bytes, bytes);
    for (uint32_t i = sent; i < buffer.n; ++i) {
        ctx.drop_packet(buffer.pkts[i], port ? Drop::k_tx_full : Drop::k_tx_port_gone);
    }
    buffer.n = 0;
}

bool is_too_long(const rte_mbuf* m, const Port& port) {
    const bool tagged = wire::get16(rte_pktmbuf_mtod(m, const uint8_t*) + 12) == wire::kTypeVlan;
    return port.mtu && m->pkt_len > port.mtu + wire::kEthLen + (tagged ? wire::kVlanLen : 0);
}

void trace_frame(WorkerCtx& ctx, const rte_mbuf* m, PortId port) {
    TraceRecord record{.kind = TraceRecord::Kind::kFrame};
    record.port = port;
    for (const rte_mbuf* s = m; s; s = s->next) {
        const auto* p = rte_pktmbuf_mtod(s, const uint8_t*);
        record.frame.insert(record.frame.end(), p, p + s->data_len);
    }
    ctx.trace->records.push_back(std::move(record));
}

void enqueue(WorkerCtx& ctx, rte_mbuf* m, PortId id) {
    if (SLUICE_UNLIKELY(ctx.trace != nullptr)) {
        trace_frame(ctx, m, id);
    }
    TxBuffer& buffer = ctx.tx[id];
    if (buffer.n == 0) {
        ctx.touched[ctx.n_touched++] = id;
    }
    buffer.pkts[buffer.n++] = m;
    if (buffer.n == limits::kBurst) {
        flush_port(ctx, id);
        --ctx.n_touched;
        for (unsigned i = 0; i < ctx.n_touched; ++i) {
            if (ctx.touched[i] == id) {
                ctx.touched[i] = ctx.touched[ctx.n_touched];
                break;
            }
        }
    }
}

/// Whole if the port can cut it, else in pieces. Queues with a rate count packets of wire size.
void transmit_super(WorkerCtx& ctx, rte_mbuf* m, PortId id, const Port& port) {
    SuperLayout layout;
    if (read_super(m, &layout) && port.mtu &&
        layout.payload - layout.l3 + segment_of(m) > port.mtu) {
        ctx.drop_packet(m, Drop::k_too_long);
        return;
    }
    if (meta_of(m).queue == 0 && offload_super(m, port)) {
        ctx.counters->add(Counter::k_super_frames);
        ctx.counters->add(id, PortWork::k_tx_super);
        enqueue(ctx, m, id);
        return;
    }
    SuperCutter cutter(ctx, m);
    while (rte_mbuf* piece = cutter.next()) {
        transmit(ctx, piece, id);
    }
    ctx.counters->add(id, PortWork::k_tx_soft_cut, cutter.pieces());
}

}  // namespace

void transmit(WorkerCtx& ctx, rte_mbuf* m, PortId id) {
    const Port& port = (*ctx.ports)[id];
    if (SLUICE_UNLIKELY(!port)) {
        ctx.drop_packet(m, Drop::k_tx_port_gone);
        return;
    }
    if (SLUICE_UNLIKELY(is_super(m))) {
        transmit_super(ctx, m, id, port);
        return;
    }
    if (SLUICE_UNLIKELY(m->pkt_len > port.mtu + wire::kEthLen) && is_too_long(m, port)) {
        ctx.drop_packet(m, Drop::k_too_long);
        return;
    }
    if (SLUICE_UNLIKELY(m->nb_segs > 1) && !port.has(kPortTxMultiSeg) &&
        rte_pktmbuf_linearize(m) != 0) {
        ctx.drop_packet(m, Drop::k_not_applicable);
        return;
    }
    enqueue(ctx, m, id);
}

void flush_transmit(WorkerCtx& ctx) {
    for (unsigned i = 0; i < ctx.n_touched; ++i) {
        flush_port(ctx, ctx.touched[i]);
    }
    ctx.n_touched = 0;
    for (const PortId id : ctx.ports->shaped()) {
        const Port& port = (*ctx.ports)[id];
        if (ctx.config.id < port.n_txq) {
            port.tx[ctx.config.id].tx(nullptr, 0);
        }
    }
}

}  // namespace sluice
