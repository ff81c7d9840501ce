// SPDX-License-Identifier: Apache-2.0
// The part of af_packet that workers run.
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <rte_mbuf.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "pmd/af_packet.h"
#include "pmd/take_frames.h"

namespace sluice::pmd {
namespace {

constexpr unsigned kMaxIovecs = 512;
constexpr int kTransientTries = 3;  // a pending socket error is told once and then forgotten

tpacket2_hdr* slot_at(const AfPacketRx& rx) {
    return reinterpret_cast<tpacket2_hdr*>(rx.ring + size_t{rx.head} * rx.frame_size);
}

void release_slot(AfPacketRx& rx) {
    std::atomic_ref<uint32_t>(slot_at(rx)->tp_status)
        .store(TP_STATUS_KERNEL, std::memory_order_release);
    rx.head = rx.head + 1 == rx.n_frames ? 0 : rx.head + 1;
}

void drop_frame(AfPacketRx& rx) {
    QueueCounters::bump(rx.counters.dropped, 1);
    release_slot(rx);
}

RxHints tag_hints(const tpacket2_hdr& slot, uint32_t status) {
    RxHints hints;
    if (status & TP_STATUS_VLAN_VALID) {
        hints.has_tag = true;
        hints.tci = slot.tp_vlan_tci;
        hints.tpid = status & TP_STATUS_VLAN_TPID_VALID ? slot.tp_vlan_tpid : ETH_P_8021Q;
    }
    return hints;
}

/// The whole of a frame that did not fit its slot.
void start_large(AfPacketRx& rx, RxHints hints) {
    ssize_t got = -1;
    for (int i = 0; i < kTransientTries && got < 0; ++i) {
        got = recv(rx.fd, rx.large.data(), rx.large.size(), MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno == EAGAIN) {
            break;
        }
    }
    if (got <= static_cast<ssize_t>(sizeof hints.vnet) ||
        static_cast<size_t>(got) > rx.large.size()) {
        drop_frame(rx);
        return;
    }
    std::memcpy(&hints.vnet, rx.large.data(), sizeof hints.vnet);
    rx.frame.start(rx.large.data() + sizeof hints.vnet,
                   static_cast<size_t>(got) - sizeof hints.vnet, hints);
    release_slot(rx);
}

/// False if the ring is empty. A frame that is lost leaves rx.frame inactive.
bool start_frame(AfPacketRx& rx) {
    tpacket2_hdr* slot = slot_at(rx);
    const uint32_t status =
        std::atomic_ref<uint32_t>(slot->tp_status).load(std::memory_order_acquire);
    if (!(status & TP_STATUS_USER)) {
        return false;
    }
    RxHints hints = tag_hints(*slot, status);
    if (status & TP_STATUS_COPY) {
        start_large(rx, hints);
    } else if (slot->tp_snaplen < slot->tp_len) {
        drop_frame(rx);  // larger than a slot, and the socket's queue was full
    } else {
        const uint8_t* frame = reinterpret_cast<const uint8_t*>(slot) + slot->tp_mac;
        std::memcpy(&hints.vnet, frame - sizeof hints.vnet, sizeof hints.vnet);
        rx.frame.start(frame, slot->tp_snaplen, hints);
        rx.holds_slot = true;
    }
    return true;
}

/// What one sendmmsg() takes.
struct Batch {
    std::array<mmsghdr, kMaxPortBurst> messages;
    std::array<VnetTx, kMaxPortBurst> headers;
    std::array<iovec, kMaxIovecs> iovecs;
    unsigned n_iovecs = 0;
    unsigned n = 0;
};

/// False if there is no room left for the packet.
bool add_to_batch(Batch& batch, const rte_mbuf* m) {
    if (batch.n_iovecs + m->nb_segs + 2u > kMaxIovecs) {
        return false;
    }
    VnetTx& header = batch.headers[batch.n];
    if (!make_vnet_tx(m, &header)) {
        header.vnet.csum_start = UINT16_MAX;  // has the kernel refuse it; counted as an error
        header.copied = 0;
    }
    iovec* first = &batch.iovecs[batch.n_iovecs];
    iovec* v = first;
    *v++ = {&header.vnet, sizeof header.vnet};
    if (header.copied) {
        *v++ = {header.headers.data(), header.copied};
    }
    size_t skip = header.copied;
    for (const rte_mbuf* seg = m; seg; seg = seg->next) {
        if (seg->data_len > skip) {
            *v++ = {rte_pktmbuf_mtod_offset(seg, uint8_t*, skip), seg->data_len - skip};
        }
        skip = 0;
    }
    mmsghdr& message = batch.messages[batch.n++];
    message = mmsghdr{};
    message.msg_hdr.msg_iov = first;
    message.msg_hdr.msg_iovlen = static_cast<size_t>(v - first);
    batch.n_iovecs += static_cast<unsigned>(v - first);
    return true;
}

/// Sends the batch made of pkts[0..batch.n). Returns how many are done with: sent or refused for
/// good. Fewer than batch.n means that the device takes no more for now.
uint16_t send_batch(AfPacketTx& tx, Batch& batch, rte_mbuf** pkts) {
    unsigned done = 0;
    uint64_t sent = 0;
    uint64_t bytes = 0;
    while (done < batch.n) {
        const int r = sendmmsg(tx.fd, &batch.messages[done], batch.n - done, MSG_DONTWAIT);
        if (r > 0) {
            for (unsigned end = done + static_cast<unsigned>(r); done < end; ++done) {
                bytes += pkts[done]->pkt_len;
                ++sent;
            }
        } else if (errno == EAGAIN || errno == EINTR) {
            break;
        } else {
            // ENOBUFS, ENETDOWN: lost on the way. Others (EMSGSIZE, EINVAL): not sendable.
            const bool is_lost = errno == ENOBUFS || errno == ENETDOWN || errno == ENXIO;
            QueueCounters::bump(is_lost ? tx.counters.dropped : tx.counters.errors, 1);
            ++done;
        }
    }
    tx.counters.count(sent, bytes);
    rte_pktmbuf_free_bulk(pkts, done);
    return static_cast<uint16_t>(done);
}

}  // namespace

uint16_t af_packet_rx_burst(void* queue, rte_mbuf** pkts, uint16_t n) {
    AfPacketRx& rx = *static_cast<AfPacketRx*>(queue);
    return take_frames(
        rx.frame, rx.pool, rx.counters, pkts, n, [&rx] { return start_frame(rx); },
        [&rx] {
            if (!rx.frame.active() && rx.holds_slot) {
                rx.holds_slot = false;
                release_slot(rx);
            }
        });
}

uint16_t af_packet_tx_burst(void* queue, rte_mbuf** pkts, uint16_t n) {
    AfPacketTx& tx = *static_cast<AfPacketTx*>(queue);
    Batch batch;
    uint16_t done = 0;
    while (done < n) {
        batch.n = 0;
        batch.n_iovecs = 0;
        while (done + batch.n < n && batch.n < kMaxPortBurst &&
               add_to_batch(batch, pkts[done + batch.n])) {
        }
        if (batch.n == 0) {  // a chain of more pieces than any batch takes
            QueueCounters::bump(tx.counters.errors, 1);
            rte_pktmbuf_free(pkts[done++]);
            continue;
        }
        const uint16_t taken = send_batch(tx, batch, pkts + done);
        done = static_cast<uint16_t>(done + taken);
        if (taken < batch.n) {
            QueueCounters::bump(tx.counters.dropped, static_cast<uint64_t>(n - done));
            break;
        }
    }
    return done;
}

}  // namespace sluice::pmd
