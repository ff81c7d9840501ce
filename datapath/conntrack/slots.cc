// SPDX-License-Identifier: Apache-2.0
// Slots of connections: taking, giving back, evicting, and the sweep that finds the expired.
#include <algorithm>

#include "datapath/conntrack/table.h"

namespace sluice {
namespace {

constexpr uint32_t kMayEvict = 1;
constexpr unsigned kCheckShift = 8;        // units of 256 ms
constexpr unsigned kEvictScan = 65536;     // slots looked at to find one that may go
constexpr uint64_t kEvictRestMs = 100;     // after the whole table was looked at for nothing
constexpr unsigned kEvictCandidates = 16;  // of which the one closest to its end goes
constexpr uint64_t kPassMs = 1000;
constexpr unsigned kLooksPerRemoval = 64;

uint32_t check_of(uint64_t deadline_ms, bool may_evict) {
    const auto v = static_cast<uint32_t>(deadline_ms >> kCheckShift) << 1;
    return (v ? v : 2) | (may_evict ? kMayEvict : 0);
}

// How long until it is due, in units of a check; negative when it is.
int32_t remaining(uint32_t check, uint64_t now_ms) {
    return static_cast<int32_t>((check & ~kMayEvict) -
                                (static_cast<uint32_t>(now_ms >> kCheckShift) << 1));
}

}  // namespace

void Conntrack::Impl::arm(CtConn* conn, uint64_t deadline_ms, bool may_evict) {
    checks[index_of(conn)].store(check_of(deadline_ms, may_evict), std::memory_order_relaxed);
}

CtConn* Conntrack::Impl::pop_free() {
    uint64_t head = free_list.load(std::memory_order_acquire);
    for (;;) {
        const auto top = static_cast<uint32_t>(head);
        if (top == 0) {
            break;
        }
        CtConn* conn = &conns[top - 1];
        const uint64_t next = conn->dir[0].next_free.load(std::memory_order_relaxed);
        if (free_list.compare_exchange_weak(head, ((head >> 32) + 1) << 32 | next,
                                            std::memory_order_acq_rel)) {
            return conn;
        }
    }
    uint32_t n = fresh.load(std::memory_order_relaxed);
    while (n < config.max_connections) {
        if (fresh.compare_exchange_weak(n, n + 1, std::memory_order_acq_rel)) {
            return &conns[n];
        }
    }
    return nullptr;
}

CtConn* Conntrack::Impl::allocate(uint64_t now_ms) {
    CtConn* conn = pop_free();
    for (unsigned tries = 0; !conn && tries < 4 && evict(now_ms); ++tries) {
        conn = pop_free();  // somebody else may have been faster
    }
    if (conn) {
        used.fetch_add(1, std::memory_order_relaxed);
    }
    return conn;
}

void Conntrack::Impl::release(CtConn* conn) {
    checks[index_of(conn)].store(0, std::memory_order_relaxed);
    used.fetch_sub(1, std::memory_order_relaxed);
    uint64_t head = free_list.load(std::memory_order_relaxed);
    uint64_t mine;
    do {
        conn->dir[0].next_free.store(static_cast<uint32_t>(head), std::memory_order_relaxed);
        mine = ((head >> 32) + 1) << 32 | (index_of(conn) + 1);
    } while (!free_list.compare_exchange_weak(head, mine, std::memory_order_acq_rel,
                                              std::memory_order_relaxed));
}

bool Conntrack::Impl::evict(uint64_t now_ms) {
    const uint32_t size = fresh.load(std::memory_order_relaxed);
    if (size == 0 || now_ms < evict_rest_ms.load(std::memory_order_relaxed)) {
        return false;
    }
    const uint32_t scan = std::min<uint32_t>(size, kEvictScan);
    uint32_t at = evict_cursor.load(std::memory_order_relaxed) % size;
    CtConn* best = nullptr;
    uint32_t generation = 0;
    int32_t best_remaining = 0;
    unsigned candidates = 0;
    for (uint32_t n = 0; n < scan && candidates < kEvictCandidates; ++n, ++at) {
        at = at == size ? 0 : at;
        const uint32_t check = checks[at].load(std::memory_order_relaxed);
        const int32_t left = remaining(check, now_ms);
        if (check == 0 || (left > 0 && !(check & kMayEvict))) {
            continue;
        }
        CtConn* conn = &conns[at];
        const uint32_t g = conn->generation.load(std::memory_order_acquire);
        if (!(g & 1)) {
            continue;
        }
        if (is_expired(*conn, now_ms) && remove(conn, g, CtCounters::kExpired, now_ms)) {
            evict_cursor.store(at, std::memory_order_relaxed);
            return true;
        }
        if ((check & kMayEvict) && (!best || left < best_remaining)) {
            best = conn;
            generation = g;
            best_remaining = left;
        }
        candidates += check & kMayEvict;
    }
    evict_cursor.store(at, std::memory_order_relaxed);
    if (best) {
        evict_barren.store(0, std::memory_order_relaxed);
        return remove(best, generation, CtCounters::kEvicted);
    }
    const uint32_t barren = evict_barren.load(std::memory_order_relaxed) + scan;
    evict_barren.store(barren < size ? barren : 0, std::memory_order_relaxed);
    if (barren >= size) {
        evict_rest_ms.store(now_ms + kEvictRestMs, std::memory_order_relaxed);
    }
    return false;
}

unsigned Conntrack::Impl::sweep(unsigned worker, uint64_t now_ms, unsigned budget) {
    Sweeper& s = sweepers[worker];
    last_now.store(now_ms, std::memory_order_relaxed);
    if (s.is_resting) {
        if (now_ms < s.pass_ms + kPassMs) {
            return 0;
        }
        s.is_resting = false;
        s.pass_ms = now_ms;
        s.position = worker * kBlock;
    }
    const uint32_t end = fresh.load(std::memory_order_acquire);
    const auto others = static_cast<uint32_t>(sweepers.size() - 1) * kBlock;
    uint64_t looks = uint64_t{budget} * kLooksPerRemoval;
    unsigned removed = 0;
    for (; s.position < end && looks && removed < budget; --looks) {
        const uint32_t at = s.position++;
        if (s.position % kBlock == 0) {
            s.position += others;
        }
        const uint32_t check = checks[at].load(std::memory_order_relaxed);
        if (SLUICE_LIKELY(check == 0 || remaining(check, now_ms) > 0)) {
            continue;
        }
        CtConn* conn = &conns[at];
        const uint32_t g = conn->generation.load(std::memory_order_acquire);
        const uint64_t deadline = conn->deadline_ms.load(std::memory_order_acquire);
        if (!(g & 1)) {
            continue;
        }
        if (now_ms >= deadline) {
            removed += remove(conn, g, CtCounters::kExpired, now_ms);
        } else {
            // Unless somebody else told meanwhile that it comes earlier.
            uint32_t seen = check;
            checks[at].compare_exchange_strong(seen, check_of(deadline, check & kMayEvict),
                                               std::memory_order_relaxed);
        }
    }
    s.is_resting = s.position >= end;
    return removed;
}

}  // namespace sluice
