// SPDX-License-Identifier: Apache-2.0
// The part of dummy that workers run.
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "pmd/dummy.h"

namespace sluice::pmd {
namespace {

uint16_t receive_from_stream(DummyState& state, rte_mbuf** pkts, uint16_t n) {
    uint16_t got = 0;
    while (got < n) {
        const size_t length = state.stream->receive(state.bytes.data());
        if (length == 0) {
            break;
        }
        state.frame.start(state.bytes.data(), length, RxHints{});
        switch (state.frame.next(state.pool, &pkts[got])) {
        case RxStep::kPacket: ++got; break;
        case RxStep::kNoBuffer: QueueCounters::bump(state.rx_counters.dropped, 1); break;
        default: QueueCounters::bump(state.rx_counters.errors, 1); break;
        }
    }
    return got;
}

uint64_t bytes_of(rte_mbuf* const* pkts, unsigned n) {
    uint64_t bytes = 0;
    for (unsigned i = 0; i < n; ++i) {
        bytes += pkts[i]->pkt_len;
    }
    return bytes;
}

}  // namespace

uint16_t dummy_rx_burst(void* context, rte_mbuf** pkts, uint16_t n) {
    DummyState& state = *static_cast<DummyState*>(context);
    auto got = static_cast<uint16_t>(
        rte_ring_dequeue_burst(state.in.get(), reinterpret_cast<void**>(pkts), n, nullptr));
    if (state.stream) {
        got = static_cast<uint16_t>(
            got + receive_from_stream(state, pkts + got, static_cast<uint16_t>(n - got)));
    }
    if (got == 0) {
        return 0;
    }
    state.rx_counters.count(got, bytes_of(pkts, got));
    for (const auto& file : state.rx_files) {
        file->append({pkts, got});
    }
    if (state.both_file) {
        state.both_file->append({pkts, got});
    }
    return got;
}

uint16_t dummy_tx_burst(void* context, rte_mbuf** pkts, uint16_t n) {
    DummyTx& tx = *static_cast<DummyTx*>(context);
    DummyState& state = *tx.state;
    unsigned taken = n;
    if (state.out) {
        taken = rte_ring_free_count(state.out.get()) < n ? rte_ring_free_count(state.out.get()) : n;
    }
    if (state.stream) {
        taken = state.stream->send({pkts, taken});
    }
    for (const auto& file : state.tx_files) {
        file->append({pkts, taken});
    }
    tx.counters.count(taken, bytes_of(pkts, taken));
    unsigned kept = 0;
    if (state.out) {
        kept = rte_ring_enqueue_burst(state.out.get(), reinterpret_cast<void* const*>(pkts), taken,
                                      nullptr);
    }
    rte_pktmbuf_free_bulk(pkts + kept, taken - kept);
    QueueCounters::bump(tx.counters.dropped, n - taken);
    return static_cast<uint16_t>(taken);
}

}  // namespace sluice::pmd
