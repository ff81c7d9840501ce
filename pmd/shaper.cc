// SPDX-License-Identifier: Apache-2.0
#include "pmd/shaper.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <algorithm>

#include "lib/program/packet_meta.h"

namespace sluice::pmd {

namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;
constexpr uint64_t kBitsPerByte = 8;
/// A guarantee is kept over this part of a second, if the queue has no larger burst.
constexpr uint64_t kSureFraction = 20;

uint64_t wall_ns() {
    const uint64_t hz = rte_get_tsc_hz();
    const uint64_t now = rte_rdtsc();
    return now / hz * kNsPerSecond + now % hz * kNsPerSecond / hz;
}

/// How long `bits` take at `rate` bit/s.
uint64_t time_of(uint64_t bits, uint64_t rate) {
    return rate ? bits / rate * kNsPerSecond + bits % rate * kNsPerSecond / rate : 0;
}

}  // namespace

Shaper::Shaper(const std::vector<TxQueue>& inner, std::vector<PortQueue> queues,
               uint64_t (*now_ns)())
    : settings_(std::move(queues)),
      now_ns_(now_ns ? now_ns : wall_ns),
      rates_(std::make_unique<Rate[]>(settings_.size())) {
    for (const TxQueue& queue : inner) {
        Lane& lane = lanes_.emplace_back(Lane{this, queue, {}});
        lane.rings.resize(settings_.size());
        for (Ring& ring : lane.rings) {
            ring.slots = std::make_unique<Waiting[]>(kWaiting);
        }
    }
}

Shaper::~Shaper() {
    for (Lane& lane : lanes_) {
        for (Ring& ring : lane.rings) {
            for (; ring.count; --ring.count) {
                rte_pktmbuf_free(ring.slots[ring.head++ % kWaiting].packet);
            }
        }
    }
}

int Shaper::index_of(uint32_t id) const {
    for (size_t i = 0; id != 0 && i < settings_.size(); ++i) {
        if (settings_[i].id == id) {
            return static_cast<int>(i);
        }
    }
    return -1;
}

uint64_t Shaper::reserve(unsigned queue, uint32_t bytes, uint64_t now) {
    const PortQueue& q = settings_[queue];
    const uint64_t credit = time_of(q.burst_bits, q.max_bps);
    const uint64_t cost = time_of(bytes * kBitsPerByte, q.max_bps);
    std::atomic<uint64_t>& paid = rates_[queue].paid_ns;
    uint64_t before = paid.load(std::memory_order_relaxed);
    for (;;) {
        const uint64_t start = std::max(before, now);
        if (paid.compare_exchange_weak(before, start + cost, std::memory_order_relaxed)) {
            return start > now + credit ? start - credit : now;
        }
    }
}

void Shaper::drop(rte_mbuf* packet) {
    rte_pktmbuf_free(packet);
    dropped_.fetch_add(1, std::memory_order_relaxed);
}

uint64_t Shaper::sure_bits(unsigned queue, uint64_t now) const {
    const PortQueue& q = settings_[queue];
    const uint64_t depth = std::max(q.burst_bits, q.min_bps / kSureFraction);
    const uint64_t ahead = rates_[queue].sure_ns.load(std::memory_order_relaxed);
    const uint64_t used =
        ahead > now ? (ahead - now) / 1000 * q.min_bps / (kNsPerSecond / 1000) : 0;
    return used < depth ? depth - used : 0;
}

void Shaper::use_sure_bits(unsigned queue, uint64_t bits, uint64_t now) {
    std::atomic<uint64_t>& sure = rates_[queue].sure_ns;
    const uint64_t cost = time_of(bits, settings_[queue].min_bps);
    uint64_t before = sure.load(std::memory_order_relaxed);
    while (!sure.compare_exchange_weak(before, std::max(before, now) + cost,
                                       std::memory_order_relaxed)) {
    }
}

bool Shaper::offer(Lane* lane, unsigned queue, bool is_sure, uint64_t now) {
    Ring& ring = lane->rings[queue];
    for (;;) {
        rte_mbuf* ready[kMaxPortBurst];
        const uint64_t sure = is_sure ? sure_bits(queue, now) : ~uint64_t{0};
        uint64_t bits[kMaxPortBurst + 1] = {0};
        unsigned n = 0;
        for (; n < kMaxPortBurst && n < ring.count; ++n) {
            const Waiting& next = ring.slots[(ring.head + n) % kWaiting];
            bits[n + 1] = bits[n] + next.packet->pkt_len * kBitsPerByte;
            if (next.at_ns > now || bits[n + 1] > sure) {
                break;
            }
            ready[n] = next.packet;
        }
        const unsigned sent = n ? lane->inner.tx(ready, static_cast<uint16_t>(n)) : 0;
        ring.head = (ring.head + sent) % kWaiting;
        ring.count -= sent;
        if (is_sure && sent) {
            use_sure_bits(queue, bits[sent], now);
        }
        if (sent < n || n == 0) {
            return sent == n;
        }
    }
}

void Shaper::hold(Lane* lane, unsigned queue, rte_mbuf* packet, uint64_t now) {
    Ring& ring = lane->rings[queue];
    if (ring.count == kWaiting) {
        drop(packet);  // before it costs the others their turn
        return;
    }
    ring.slots[(ring.head + ring.count) % kWaiting] = {packet,
                                                       reserve(queue, packet->pkt_len, now)};
    ++ring.count;
}

void Shaper::release(Lane* lane, rte_mbuf** straight, unsigned n, uint64_t now) {
    const auto queues = static_cast<unsigned>(settings_.size());
    bool has_room = true;
    for (unsigned q = 0; q < queues && has_room; ++q) {
        has_room = settings_[q].min_bps == 0 || offer(lane, q, true, now);
    }
    const unsigned sent = n ? lane->inner.tx(straight, static_cast<uint16_t>(n)) : 0;
    for (unsigned i = sent; i < n; ++i) {
        drop(straight[i]);
    }
    lane->turn = queues ? (lane->turn + 1) % queues : 0;
    has_room = has_room && sent == n;
    for (unsigned i = 0; i < queues && has_room; ++i) {
        has_room = offer(lane, (lane->turn + i) % queues, false, now);
    }
}

uint16_t Shaper::burst(void* ctx, rte_mbuf** packets, uint16_t n) {
    auto* lane = static_cast<Lane*>(ctx);
    Shaper& shaper = *lane->shaper;
    const uint64_t now = shaper.now_ns_();
    rte_mbuf* straight[kMaxPortBurst];
    unsigned n_straight = 0;
    for (unsigned i = 0; i < n; ++i) {
        const int queue = shaper.index_of(meta_of(packets[i]).queue);
        if (queue < 0) {
            straight[n_straight++] = packets[i];
        } else {
            shaper.hold(lane, static_cast<unsigned>(queue), packets[i], now);
        }
    }
    shaper.release(lane, straight, n_straight, now);
    return n;
}

}  // namespace sluice::pmd
