// SPDX-License-Identifier: Apache-2.0
// The part of af_xdp that workers run.
#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "pmd/af_xdp.h"
#include "pmd/finish_sums.h"

namespace sluice::pmd {
namespace {

constexpr uint32_t kMore = 1;          // XDP_PKT_CONTD: the frame goes on in the next descriptor
constexpr unsigned kSentPerCall = 16;  // the kernel sends at least that many in a call

void drop_partial(AfXdpRx& rx) {
    rte_pktmbuf_free(rx.head);
    rx.head = rx.tail = nullptr;
}

/// Appends bytes to the frame under way. False when the pool is empty.
bool append(AfXdpRx& rx, const uint8_t* bytes, uint32_t length) {
    while (length > 0 || !rx.head) {
        if (!rx.tail || rte_pktmbuf_tailroom(rx.tail) == 0) {
            rte_mbuf* piece = rte_pktmbuf_alloc(rx.pool);
            if (!piece) {
                return false;
            }
            if (rx.head) {
                rx.tail->next = piece;
                ++rx.head->nb_segs;
            } else {
                rx.head = piece;
            }
            rx.tail = piece;
        }
        const auto part = std::min<uint32_t>(length, rte_pktmbuf_tailroom(rx.tail));
        rte_memcpy(rte_pktmbuf_mtod_offset(rx.tail, uint8_t*, rx.tail->data_len), bytes, part);
        rx.tail->data_len = static_cast<uint16_t>(rx.tail->data_len + part);
        rx.head->pkt_len += part;
        bytes += part;
        length -= part;
    }
    return true;
}

/// One descriptor. The frame if this was its end, else nullptr.
rte_mbuf* take(AfXdpRx& rx, const xdp_desc& descriptor) {
    const bool is_last = !(descriptor.options & kMore);
    if (rx.is_veth && is_last && !rx.head) {
        finish_sums(rx.socket->at(descriptor.addr), descriptor.len);
    }
    if (!rx.is_skipping && !append(rx, rx.socket->at(descriptor.addr), descriptor.len)) {
        drop_partial(rx);
        QueueCounters::bump(rx.counters.dropped, 1);
        rx.is_skipping = true;
    }
    if (!is_last) {
        return nullptr;
    }
    if (rx.is_skipping) {
        rx.is_skipping = false;
        return nullptr;
    }
    rte_mbuf* whole = rx.head;
    rx.head = rx.tail = nullptr;
    return whole;
}

void reclaim_sent(XdpSocket& socket) {
    XdpRing& ring = socket.completion;
    const uint32_t n = ring.waiting();
    for (uint32_t i = 0; i < n; ++i) {
        socket.free_tx.push_back(ring.address(ring.own++));
    }
    if (n) {
        ring.publish_consumed();
    }
}

/// Has the kernel send what is in the ring; a call may stop half way.
void kick(XdpSocket& socket) {
    XdpRing& ring = socket.tx;
    uint32_t tries = (socket.tx.size - ring.free()) / kSentPerCall + 2;
    while (ring.needs_wakeup() && ring.free() != ring.size && tries-- > 0) {
        if (sendto(socket.fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 && errno != EAGAIN) {
            break;  // the device is down or full: what is in the ring waits
        }
    }
}

enum class Put : uint8_t { kDone, kNoRoom, kTooLarge };

Put put(XdpSocket& socket, const rte_mbuf* m) {
    const unsigned chunk = socket.chunk_size();
    const uint32_t n = (m->pkt_len + chunk - 1) / chunk;
    if (m->pkt_len > socket.max_frame() || n == 0) {
        return Put::kTooLarge;
    }
    if (socket.free_tx.size() < n || socket.tx.free() < n) {
        return Put::kNoRoom;
    }
    uint32_t offset = 0;
    for (uint32_t i = 0; i < n; ++i) {
        const uint32_t part = std::min<uint32_t>(chunk, m->pkt_len - offset);
        xdp_desc& descriptor = socket.tx.descriptor(socket.tx.own++);
        descriptor.addr = socket.free_tx.back();
        socket.free_tx.pop_back();
        uint8_t* to = socket.at(descriptor.addr);
        if (const void* from = rte_pktmbuf_read(m, offset, part, to); from != to) {
            rte_memcpy(to, from, part);
        }
        descriptor.len = part;
        descriptor.options = i + 1 < n ? kMore : 0;
        offset += part;
    }
    return Put::kDone;
}

uint16_t send(AfXdpTx& tx, rte_mbuf** pkts, uint16_t n) {
    XdpSocket& socket = *tx.socket;
    uint64_t packets = 0;
    uint64_t bytes = 0;
    uint16_t done = 0;
    reclaim_sent(socket);
    for (bool has_kicked = false; done < n;) {
        const Put result = put(socket, pkts[done]);
        if (result == Put::kNoRoom) {
            if (std::exchange(has_kicked, true)) {
                QueueCounters::bump(tx.counters.dropped, static_cast<uint64_t>(n - done));
                break;
            }
            socket.tx.publish_produced();
            kick(socket);
            reclaim_sent(socket);
            continue;
        }
        if (result == Put::kTooLarge) {
            QueueCounters::bump(tx.counters.errors, 1);
        } else {
            ++packets;
            bytes += pkts[done]->pkt_len;
        }
        ++done;
    }
    socket.tx.publish_produced();
    kick(socket);
    tx.counters.count(packets, bytes);
    return done;
}

}  // namespace

uint16_t af_xdp_rx_burst(void* queue, rte_mbuf** pkts, uint16_t n) {
    AfXdpRx& rx = *static_cast<AfXdpRx*>(queue);
    XdpSocket& socket = *rx.socket;
    const uint32_t waiting = socket.rx.waiting();
    if (waiting == 0) {
        if (socket.fill_ring.needs_wakeup()) {
            recvfrom(socket.fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
        }
        return 0;
    }
    uint16_t got = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < waiting && got < n; ++i) {
        const xdp_desc descriptor = socket.rx.descriptor(socket.rx.own++);
        if (rte_mbuf* m = take(rx, descriptor)) {
            bytes += m->pkt_len;
            pkts[got++] = m;
        }
        // The kernel takes any address inside of the chunk for the chunk.
        socket.fill_ring.address(socket.fill_ring.own++) = descriptor.addr;
    }
    socket.rx.publish_consumed();
    socket.fill_ring.publish_produced();
    rx.counters.count(got, bytes);
    return got;
}

uint16_t af_xdp_tx_burst(void* queue, rte_mbuf** pkts, uint16_t n) {
    AfXdpTx& tx = *static_cast<AfXdpTx*>(queue);
    if (n == 0) {
        return 0;
    }
    if (tx.is_shared) {
        rte_spinlock_lock(&tx.socket->tx_lock);
    }
    const uint16_t done = send(tx, pkts, n);
    if (tx.is_shared) {
        rte_spinlock_unlock(&tx.socket->tx_lock);
    }
    rte_pktmbuf_free_bulk(pkts, done);
    return done;
}

}  // namespace sluice::pmd
