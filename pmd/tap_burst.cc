// SPDX-License-Identifier: Apache-2.0
// The part of tap that workers run.
#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "pmd/take_frames.h"
#include "pmd/tap.h"

namespace sluice::pmd {
namespace {

constexpr unsigned kMaxPieces = 64;

/// False if there is nothing to read.
bool start_frame(TapRx& rx) {
    const uint64_t now = rte_rdtsc();
    if (now < rx.next_read) {
        return false;
    }
    const ssize_t got = read(rx.fd, rx.bytes.data(), rx.bytes.size());
    if (got < 0) {
        rx.next_read = now + (rx.idle_cycles << rx.n_empty);  // EAGAIN, or it is down or gone
        rx.n_empty = std::min(rx.n_empty + 1, TapRx::kMostDoublings);
        return false;
    }
    rx.next_read = 0;
    rx.n_empty = 0;
    RxHints hints;
    if (static_cast<size_t>(got) <= sizeof hints.vnet) {
        QueueCounters::bump(rx.counters.errors, 1);
        return true;
    }
    std::memcpy(&hints.vnet, rx.bytes.data(), sizeof hints.vnet);
    rx.frame.start(rx.bytes.data() + sizeof hints.vnet,
                   static_cast<size_t>(got) - sizeof hints.vnet, hints);
    return true;
}

/// Sends one packet; errno says why not.
bool write_packet(int fd, const rte_mbuf* m) {
    VnetTx header;
    std::array<iovec, kMaxPieces> pieces;
    if (m->nb_segs + 2u > pieces.size() || !make_vnet_tx(m, &header)) {
        errno = EINVAL;
        return false;
    }
    int n = 0;
    pieces[static_cast<size_t>(n++)] = {&header.vnet, sizeof header.vnet};
    if (header.copied) {
        pieces[static_cast<size_t>(n++)] = {header.headers.data(), header.copied};
    }
    size_t skip = header.copied;
    for (const rte_mbuf* seg = m; seg; seg = seg->next) {
        if (seg->data_len > skip) {
            pieces[static_cast<size_t>(n++)] = {rte_pktmbuf_mtod_offset(seg, uint8_t*, skip),
                                                seg->data_len - skip};
        }
        skip = 0;
    }
    return writev(fd, pieces.data(), n) >= 0;
}

}  // namespace

uint16_t tap_rx_burst(void* queue, rte_mbuf** pkts, uint16_t n) {
    TapRx& rx = *static_cast<TapRx*>(queue);
    return take_frames(
        rx.frame, rx.pool, rx.counters, pkts, n, [&rx] { return start_frame(rx); }, [] {});
}

uint16_t tap_tx_burst(void* queue, rte_mbuf** pkts, uint16_t n) {
    TapTx& tx = *static_cast<TapTx*>(queue);
    uint16_t done = 0;
    uint64_t sent = 0;
    uint64_t bytes = 0;
    for (; done < n; ++done) {
        if (write_packet(tx.fd, pkts[done])) {
            bytes += pkts[done]->pkt_len;
            ++sent;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            QueueCounters::bump(tx.counters.dropped, static_cast<uint64_t>(n - done));
            break;
        } else {
            // EIO, EBADFD: the device is down or gone. Others (EINVAL): not sendable.
            const bool is_lost = errno == EIO || errno == EBADFD;
            QueueCounters::bump(is_lost ? tx.counters.dropped : tx.counters.errors, 1);
        }
    }
    tx.counters.count(sent, bytes);
    rte_pktmbuf_free_bulk(pkts, done);
    return done;
}

}  // namespace sluice::pmd
