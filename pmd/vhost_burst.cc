// SPDX-License-Identifier: Apache-2.0
// The part of vhost that workers run.
#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_net.h>
#include <rte_tcp.h>
#include <rte_vhost.h>

#include <bit>
#include <cstring>
#include <utility>

#include "lib/program/packet_sum.h"
#include "pmd/vhost.h"

namespace sluice::pmd {
namespace {

constexpr uint64_t kGuestCsum = uint64_t{1} << 1;
constexpr uint64_t kGuestTso4 = uint64_t{1} << 7;
constexpr uint64_t kGuestTso6 = uint64_t{1} << 8;
constexpr uint64_t kMergeable = uint64_t{1} << 15;
constexpr uint16_t kLookAgain = 64;    ///< empty turns until a silent ring is looked at
constexpr uint16_t kGivenUpAfter = 8;  ///< looks in a row at which it offered what never comes
/// Bytes taken of a guest at once: as much as stays in the cache until it is sent. Frames of 64 KB,
/// 32 at a time, went through memory and through all buffers of the pool: twice the cycles a byte.
constexpr int64_t kBurstBytes = 128 << 10;
constexpr unsigned kSpare = 128;  ///< buffers with which nobody can say that we have none

/// Marks a queue as being inside the library, for as long as it lives.
class Inside {
public:
    explicit Inside(std::atomic<uint32_t>* busy) : busy_(busy) {
        busy->store(1, std::memory_order_seq_cst);
    }
    ~Inside() { busy_->store(0, std::memory_order_release); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

private:
    std::atomic<uint32_t>* busy_;
};

/// Where the transport header of a frame is, by its own bytes.
struct L4 {
    size_t at = 0;
    size_t l3_len = 0;
    size_t end = 0;  ///< of the headers
    bool is_tcp = false;
    bool is_ip6 = false;
};

bool find_l4(const rte_mbuf* m, L4* l4) {
    rte_net_hdr_lens lens{};
    const uint32_t type =
        rte_net_get_ptype(m, &lens, RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK | RTE_PTYPE_L4_MASK);
    const uint32_t protocol = type & RTE_PTYPE_L4_MASK;
    l4->at = size_t{lens.l2_len} + lens.l3_len;
    l4->l3_len = lens.l3_len;
    l4->end = l4->at + lens.l4_len;
    l4->is_tcp = protocol == RTE_PTYPE_L4_TCP;
    l4->is_ip6 = RTE_ETH_IS_IPV6_HDR(type);
    return (l4->is_tcp || protocol == RTE_PTYPE_L4_UDP) && l4->end <= m->data_len &&
           l4->at + (l4->is_tcp ? 18 : 8) <= m->data_len;
}

/// Turns the sum over the pseudo header into the checksum. False: there is nothing like it.
bool complete_checksum(rte_mbuf* m) {
    L4 l4;
    if (!find_l4(m, &l4)) {
        return false;
    }
    uint16_t sum = 0;
    if (!sum_packet(m, static_cast<uint32_t>(l4.at), m->pkt_len - static_cast<uint32_t>(l4.at),
                    &sum)) {
        return false;
    }
    sum = static_cast<uint16_t>(~sum);
    if (sum == 0 && !l4.is_tcp) {
        sum = 0xffff;
    }
    std::memcpy(rte_pktmbuf_mtod_offset(m, uint8_t*, l4.at + (l4.is_tcp ? 16 : 6)), &sum,
                sizeof sum);
    return true;
}

/// Whether a frame is TCP with something to cut, of a size that can be.
bool is_cuttable(const rte_mbuf* m, uint16_t segment, L4* l4) {
    return m->pkt_len <= kMaxGsoFrame && segment != 0 && find_l4(m, l4) && l4->is_tcp &&
           l4->end - l4->at >= sizeof(rte_tcp_hdr);
}

/// Whether it may go up whole: it says its own length, has more than one segment, and any device
/// can cut it (no congestion window reduced). What the guest says is not believed.
bool is_super(const rte_mbuf* m, uint16_t segment, const L4& l4) {
    const auto* l3 = rte_pktmbuf_mtod_offset(m, const uint8_t*, l4.at - l4.l3_len);
    const uint8_t* length = l3 + (l4.is_ip6 ? 4 : 2);
    const size_t l3_length =
        (size_t{length[0]} << 8 | length[1]) + (l4.is_ip6 ? sizeof(rte_ipv6_hdr) : size_t{0});
    constexpr uint8_t kCwr = 0x80;
    return l3_length + l4.at - l4.l3_len == m->pkt_len && m->pkt_len > l4.end + segment &&
           (l3[l4.l3_len + 13] & kCwr) == 0;
}

/// The frame's bytes, to be cut from there. False: not one that can be cut.
bool start_cutting(const rte_mbuf* m, uint16_t segment, uint8_t* bytes, RxFrame* frame) {
    L4 l4;
    if (!is_cuttable(m, segment, &l4)) {
        return false;
    }
    RxHints hints;
    hints.vnet.flags = kVnetNeedsCsum;
    hints.vnet.gso_type = l4.is_ip6 ? kVnetGsoTcp6 : kVnetGsoTcp4;
    hints.vnet.gso_size = segment;
    hints.vnet.hdr_len = static_cast<uint16_t>(l4.end);
    hints.vnet.csum_start = static_cast<uint16_t>(l4.at);
    hints.vnet.csum_offset = 16;
    const void* whole = rte_pktmbuf_read(m, 0, m->pkt_len, bytes);
    if (whole != bytes) {
        std::memcpy(bytes, whole, m->pkt_len);
    }
    frame->start(bytes, m->pkt_len, hints);
    return true;
}

void give_up(VhostRx& rx, VhostFault fault) {
    VhostFault none = VhostFault::kNone;
    if (rx.link->fault.compare_exchange_strong(none, fault, std::memory_order_relaxed)) {
        rx.link->faults.fetch_add(1, std::memory_order_relaxed);
    }
}

/// Nothing came from this ring, again. There may be nothing, or nothing that can be read: then the
/// library takes no step, however often it is asked.
void look_at_silent(VhostRx& rx, int vid, unsigned pair, VhostRing& ring, bool has_moved) {
    const uint32_t offered = rte_vhost_rx_queue_count(vid, static_cast<uint16_t>(2 * pair + 1));
    const uint32_t size = rx.link->size[2 * pair + 1].load(std::memory_order_relaxed);
    if (offered == 0 || has_moved) {
        ring.stuck = 0;
    } else if (size != 0 && (offered & 0xffff) > size) {
        give_up(rx, VhostFault::kIndex);
    } else if (rte_mempool_avail_count(rx.pool) > kSpare && ++ring.stuck >= kGivenUpAfter) {
        give_up(rx, VhostFault::kUnreadable);
    }
}

/// Counts what the library took off a ring and did not hand over, and finds rings that are stuck.
void watch_ring(VhostRx& rx, int vid, unsigned pair, uint16_t got) {
    VhostRing& ring = rx.rings[pair];
    if (got == 0 && ++ring.empty % kLookAgain != 0) {
        return;
    }
    uint16_t now = 0;
    uint16_t used = 0;
    if (rte_vhost_get_vring_base(vid, static_cast<uint16_t>(2 * pair + 1), &now, &used) != 0) {
        return;
    }
    const auto taken = static_cast<uint16_t>(now - ring.seen);
    const bool is_known = !std::exchange(ring.is_new, false);
    ring.seen = now;
    if (is_known && taken > got) {
        auto& counter = rte_mempool_empty(rx.pool) ? rx.counters.dropped : rx.counters.errors;
        QueueCounters::bump(counter, static_cast<uint64_t>(taken - got));
    }
    if (got == 0) {
        look_at_silent(rx, vid, pair, ring, taken != 0);
    } else {
        ring.stuck = 0;
    }
}

/// Takes frames off one ring until there are `n` in all or enough bytes. Returns how many came.
uint16_t take_from_ring(VhostRx& rx, int vid, unsigned pair, uint16_t n, int64_t* bytes_left) {
    VhostRing& ring = rx.rings[pair];
    const uint32_t size = rx.link->size[2 * pair + 1].load(std::memory_order_relaxed);
    uint16_t all = 0;
    while (size && *bytes_left > 0 && rx.n_waiting < n) {
        const auto room = std::min<uint32_t>(static_cast<uint32_t>(n - rx.n_waiting), size);
        const auto wanted = static_cast<uint16_t>(
            std::clamp<uint32_t>(static_cast<uint32_t>(*bytes_left) / ring.longest, 1, room));
        rte_mbuf** to = &rx.waiting[rx.n_waiting];
        const uint16_t got =
            rte_vhost_dequeue_burst(vid, static_cast<uint16_t>(2 * pair + 1), rx.pool, to, wanted);
        uint32_t longest = 0;
        for (uint16_t i = 0; i < got; ++i) {
            *bytes_left -= to[i]->pkt_len;
            longest = std::max(longest, to[i]->pkt_len);
        }
        ring.longest = got ? std::max(longest, 1u) : ring.longest;
        rx.n_waiting = static_cast<uint16_t>(rx.n_waiting + got);
        all = static_cast<uint16_t>(all + got);
        if (got < wanted) {
            break;
        }
    }
    return all;
}

/// One turn over the guest's queues that are ours: fills `waiting`.
void take_from_guest(VhostRx& rx, uint16_t n) {
    rx.first_waiting = rx.n_waiting = 0;
    const Inside inside(&rx.busy);
    const int vid = rx.link->vid.load(std::memory_order_seq_cst);
    if (vid < 0 || rx.link->fault.load(std::memory_order_relaxed) != VhostFault::kNone) {
        return;
    }
    const uint32_t connection = rx.link->connections.load(std::memory_order_relaxed);
    if (connection != rx.connection) {
        rx.connection = connection;
        rx.rings.fill(VhostRing());
    }
    const uint64_t all = rx.link->from_guest.load(std::memory_order_acquire) & rx.pairs;
    uint64_t left = std::rotr(all, static_cast<int>(rx.next_pair));
    int64_t bytes_left = kBurstBytes;
    while (left && rx.n_waiting < n && bytes_left > 0) {
        const auto skip = static_cast<unsigned>(std::countr_zero(left));
        const unsigned pair = (rx.next_pair + skip) % kMaxVhostPairs;
        left &= left - 1;
        const uint16_t got = take_from_ring(rx, vid, pair, n, &bytes_left);
        watch_ring(rx, vid, pair, got);
    }
    rx.next_pair = (rx.next_pair + 1) % kMaxVhostPairs;
}

/// A frame as the rest of the program wants it; null: it is being cut, or it is malformed.
rte_mbuf* finish(VhostRx& rx, rte_mbuf* m) {
    const uint64_t flags = m->ol_flags;
    const uint16_t segment = m->tso_segsz;
    m->ol_flags = 0;
    m->tx_offload = 0;
    if (flags & RTE_MBUF_F_RX_LRO) {
        L4 l4;
        if (rx.keeps_super && is_cuttable(m, segment, &l4) && is_super(m, segment, l4)) {
            m->ol_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
            m->tso_segsz = segment;
            return m;
        }
        if (!start_cutting(m, segment, rx.bytes.get(), &rx.frame)) {
            QueueCounters::bump(rx.counters.errors, 1);
        }
        rte_pktmbuf_free(m);
        return nullptr;
    }
    if ((flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE) {
        if (!complete_checksum(m)) {
            QueueCounters::bump(rx.counters.errors, 1);
            rte_pktmbuf_free(m);
            return nullptr;
        }
        QueueCounters::bump(rx.soft_checksum, 1);
        m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    }
    return m;
}

void next_piece(VhostRx& rx, rte_mbuf** pkts, uint16_t* got) {
    switch (rx.frame.next(rx.pool, &pkts[*got])) {
    case RxStep::kPacket:
        ++*got;
        QueueCounters::bump(rx.soft_cut, 1);
        break;
    case RxStep::kNoBuffer: QueueCounters::bump(rx.counters.dropped, 1); break;
    case RxStep::kMalformed: QueueCounters::bump(rx.counters.errors, 1); break;
    case RxStep::kNone: break;
    }
}

/// Says to the guest what an mbuf's flags ask for, as far as it understands; does the rest.
/// False: it has to be cut first.
bool fit_for_guest(VhostTx& tx, rte_mbuf* m, uint64_t features, bool* is_sendable) {
    *is_sendable = true;
    if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) {
        const uint64_t needed = m->ol_flags & RTE_MBUF_F_TX_IPV6 ? kGuestTso6 : kGuestTso4;
        if (!(features & needed)) {
            return false;
        }
        VnetTx fixed;
        *is_sendable = make_vnet_tx(m, &fixed);
        if (*is_sendable && fixed.copied) {
            std::memcpy(rte_pktmbuf_mtod(m, uint8_t*), fixed.headers.data(), fixed.copied);
        }
        return true;
    }
    if ((m->ol_flags & RTE_MBUF_F_TX_L4_MASK) && !(features & kGuestCsum)) {
        *is_sendable = complete_checksum(m);
        QueueCounters::bump(tx.soft_checksum, 1);
        m->ol_flags &= ~RTE_MBUF_F_TX_L4_MASK;
    }
    return true;
}

/// The guest's queue for a worker: enabled pair `worker` modulo their number. -1: none.
int queue_for(uint64_t pairs, unsigned worker) {
    if (pairs == 0) {
        return -1;
    }
    for (unsigned skip = worker % static_cast<unsigned>(std::popcount(pairs)); skip > 0; --skip) {
        pairs &= pairs - 1;
    }
    return 2 * std::countr_zero(pairs);
}

/// Sends a packet in pieces, to a guest that takes no large ones. Always done with it.
void send_pieces(VhostTx& tx, int vid, int queue, rte_mbuf* m) {
    if (!start_cutting(m, m->tso_segsz, tx.bytes.get(), &tx.frame)) {
        QueueCounters::bump(tx.counters.errors, 1);
        return;
    }
    while (tx.frame.active()) {
        rte_mbuf* piece = nullptr;
        const RxStep step = tx.frame.next(tx.pool, &piece);
        if (step == RxStep::kPacket) {
            piece->ol_flags = 0;
            QueueCounters::bump(tx.soft_cut, 1);
            const uint16_t taken =
                rte_vhost_enqueue_burst(vid, static_cast<uint16_t>(queue), &piece, 1);
            if (taken) {
                tx.counters.count(1, piece->pkt_len);
            } else {
                QueueCounters::bump(tx.counters.dropped, 1);
            }
            rte_pktmbuf_free(piece);
        } else if (step != RxStep::kNone) {
            QueueCounters::bump(tx.counters.dropped, 1);
        }
    }
}

/// Packets that go as they are. Returns how many the guest took; the library takes 32 at a time.
uint16_t send_run(VhostTx& tx, int vid, int queue, rte_mbuf** pkts, uint16_t n, bool one_by_one) {
    uint16_t taken = 0;
    while (taken < n) {
        const auto left = static_cast<uint16_t>(n - taken);
        const uint16_t more = rte_vhost_enqueue_burst(
            vid, static_cast<uint16_t>(queue), pkts + taken, one_by_one ? uint16_t{1} : left);
        if (more == 0) {
            break;
        }
        taken = static_cast<uint16_t>(taken + more);
    }
    uint64_t bytes = 0;
    for (uint16_t i = 0; i < taken; ++i) {
        bytes += pkts[i]->pkt_len;
    }
    tx.counters.count(taken, bytes);
    return taken;
}

}  // namespace

uint16_t vhost_rx_burst(void* queue, rte_mbuf** pkts, uint16_t n) {
    VhostRx& rx = *static_cast<VhostRx*>(queue);
    if (rx.first_waiting == rx.n_waiting && !rx.frame.active()) {
        if (rx.link->vid.load(std::memory_order_relaxed) < 0) {
            return 0;
        }
        take_from_guest(rx, std::min<uint16_t>(n, kMaxPortBurst));
    }
    uint16_t got = 0;
    while (got < n) {
        if (rx.frame.active()) {
            next_piece(rx, pkts, &got);
        } else if (rx.first_waiting < rx.n_waiting) {
            if (rte_mbuf* m = finish(rx, rx.waiting[rx.first_waiting++])) {
                pkts[got++] = m;
            }
        } else {
            break;
        }
    }
    uint64_t bytes = 0;
    for (uint16_t i = 0; i < got; ++i) {
        bytes += pkts[i]->pkt_len;
    }
    if (got) {
        rx.counters.count(got, bytes);
    }
    return got;
}

uint16_t vhost_tx_burst(void* queue, rte_mbuf** pkts, uint16_t n) {
    VhostTx& tx = *static_cast<VhostTx*>(queue);
    const Inside inside(&tx.busy);
    const int vid = tx.link->vid.load(std::memory_order_seq_cst);
    const bool is_up =
        vid >= 0 && tx.link->fault.load(std::memory_order_relaxed) == VhostFault::kNone;
    const int ring =
        !is_up ? -1 : queue_for(tx.link->to_guest.load(std::memory_order_acquire), tx.worker);
    if (ring < 0) {
        QueueCounters::bump(tx.counters.dropped, n);
        return 0;
    }
    const uint64_t features = tx.link->features.load(std::memory_order_relaxed);
    // See the header: what one call may use of the ring.
    const bool one_by_one =
        (features & kMergeable) ||
        tx.link->size[static_cast<unsigned>(ring)].load(std::memory_order_relaxed) < kMaxPortBurst;
    uint16_t done = 0;
    while (done < n) {
        uint16_t run = 0;
        bool is_whole = true;
        bool is_sendable = true;
        while (done + run < n) {
            is_whole = fit_for_guest(tx, pkts[done + run], features, &is_sendable);
            if (!is_whole || !is_sendable) {
                break;
            }
            ++run;
        }
        if (run) {
            const uint16_t taken = send_run(tx, vid, ring, pkts + done, run, one_by_one);
            rte_pktmbuf_free_bulk(pkts + done, taken);
            done = static_cast<uint16_t>(done + taken);
            if (taken < run) {
                QueueCounters::bump(tx.counters.dropped, static_cast<uint64_t>(n - done));
                return done;
            }
        }
        if (done < n && !is_whole) {
            send_pieces(tx, vid, ring, pkts[done]);
            rte_pktmbuf_free(pkts[done++]);
        } else if (done < n && !is_sendable) {
            QueueCounters::bump(tx.counters.errors, 1);
            rte_pktmbuf_free(pkts[done++]);
        }
    }
    return done;
}

}  // namespace sluice::pmd
