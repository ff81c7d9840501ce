// SPDX-License-Identifier: Apache-2.0
// Making connections, and writing their marks.
#include <algorithm>

#include "datapath/conntrack/table.h"
#include "lib/program/state.h"

namespace sluice {
namespace {

uint64_t wide(const uint32_t* words) {
    return uint64_t{words[0]} << 32 | words[1];
}

// Under the connection's lock. True when something changed.
bool write_marks(CtConn* conn, const CtMarks& m) {
    const uint32_t mark = conn->mark.load(std::memory_order_relaxed);
    const uint32_t new_mark = (mark & ~m.mark_mask) | (m.mark & m.mark_mask);
    uint64_t label[2];
    bool same = new_mark == mark;
    for (unsigned i = 0; i < 2; ++i) {
        const uint64_t old = conn->dir[i].label.load(std::memory_order_relaxed);
        const uint64_t mask = wide(m.label_mask + 2 * i);
        label[i] = (old & ~mask) | (wide(m.label + 2 * i) & mask);
        same = same && label[i] == old;
    }
    if (same) {
        return false;
    }
    const uint32_t version = conn->version.load(std::memory_order_relaxed);
    conn->version.store(version + 1, std::memory_order_release);
    conn->mark.store(new_mark, std::memory_order_release);
    conn->dir[0].label.store(label[0], std::memory_order_release);
    conn->dir[1].label.store(label[1], std::memory_order_release);
    conn->version.store(version + 2, std::memory_order_release);
    return true;
}

// Marks of a connection that exists, into the view as well. False when it is gone.
bool mark_existing(const CtMarks& marks, CtView* view, CtCommit* result) {
    CtConn* conn = view->conn;
    SpinGuard guard(conn->lock);
    if (!conn->is(view->generation)) {
        return false;
    }
    *result = write_marks(conn, marks) ? CtCommit::kDone : CtCommit::kSame;
    view->version = conn->version.load(std::memory_order_relaxed);
    view->mark = conn->mark.load(std::memory_order_relaxed);
    for (unsigned i = 0; i < 2; ++i) {
        const uint64_t w = conn->dir[i].label.load(std::memory_order_relaxed);
        view->label[2 * i] = static_cast<uint32_t>(w >> 32);
        view->label[2 * i + 1] = static_cast<uint32_t>(w);
    }
    return true;
}

void fill(CtConn* conn, const CtKey& key, const PacketFacts& facts, const CtCommitArgs& args,
          uint32_t bytes, uint64_t now_ms) {
    conn->store_key(0, key);
    conn->store_key(1, ct_reverse(key));
    CtState state;
    const CtTimeout timeout = ct_open(key.proto(), key.is_v6(), facts, &state);
    conn->store_state(state);
    conn->timeout.store(static_cast<uint8_t>(timeout), std::memory_order_relaxed);
    conn->deadline_ms.store(now_ms + ct_timeout_ms(timeout), std::memory_order_release);
    conn->proto.store(key.proto(), std::memory_order_release);
    const bool translates = args.nat.kind == CtNat::kSrc || args.nat.kind == CtNat::kDst;
    conn->nat.store(static_cast<uint8_t>(translates ? args.nat.kind : CtNat::kNone),
                    std::memory_order_release);
    conn->mark.store(0, std::memory_order_release);
    conn->dir[0].label.store(0, std::memory_order_release);
    conn->dir[1].label.store(0, std::memory_order_release);
    write_marks(conn, args.marks);
    for (unsigned d = 0; d < 2; ++d) {
        conn->set_counters(d, d == 0, d == 0 ? bytes : 0);
    }
}

CtCommit outcome(CtLink link) {
    return link == CtLink::kLinked         ? CtCommit::kDone
           : link == CtLink::kReverseTaken ? CtCommit::kNoNatPort
                                           : CtCommit::kFull;
}

}  // namespace

CtLink Conntrack::Impl::create(const CtKey& key, const PacketFacts& facts, const CtCommitArgs& args,
                               uint32_t bytes, uint64_t now_ms, CtConn** made) {
    CtConn* conn = allocate(now_ms);
    if (!conn) {
        return CtLink::kNoRoom;
    }
    fill(conn, key, facts, args, bytes, now_ms);
    const auto nat = static_cast<CtNat>(conn->nat.load(std::memory_order_relaxed));
    // Armed before it can be found, so that whoever touches it first has the last word.
    arm(conn, conn->deadline_ms.load(std::memory_order_relaxed), true);
    if (nat == CtNat::kNone) {
        remove_expired(ct_reverse(key), now_ms);  // or answers would not be linked
    }
    const CtLink result =
        nat == CtNat::kNone ? link(conn, false) : link_translated(conn, args.nat, now_ms);
    if (result != CtLink::kLinked) {
        release(conn);
        return result;
    }
    count(CtCounters::kCreated);
    *made = conn;
    return result;
}

CtCommit Conntrack::commit(const CtTuple& tuple, const PacketFacts& facts, const CtCommitArgs& args,
                           uint64_t now_ms, CtView* view, uint32_t bytes) {
    CtCommit result = CtCommit::kSame;
    if (view->conn && !view->reopens && !impl_->is_expired(*view->conn, now_ms) &&
        mark_existing(args.marks, view, &result)) {
        const bool wants_nat = args.nat.kind != CtNat::kNone;
        view->ct_state |= wants_nat && view->has_nat ? view->nat_state : 0;
        return result;
    }
    lookup(tuple, facts, now_ms, view);
    return open(tuple, facts, args, now_ms, view, bytes);
}

CtCommit Conntrack::open(const CtTuple& tuple, const PacketFacts& facts, const CtCommitArgs& args,
                         uint64_t now_ms, CtView* view, uint32_t bytes) {
    const bool wants_nat = args.nat.kind != CtNat::kNone;
    Impl& impl = *impl_;
    const CtKey key = ct_key_of(tuple);
    CtTuple plain = tuple;
    CtCommit result = CtCommit::kSame;
    for (unsigned tries = 0; tries < 4; ++tries) {
        if (tries != 0) {
            lookup(plain, facts, now_ms, view);
        }
        if (view->reopens) {
            impl.remove(view->conn, view->generation, CtCounters::kExpired);
            plain.natted = 0;
            continue;
        }
        if (view->conn) {
            touch(*view, facts, bytes, now_ms);
            if (!mark_existing(args.marks, view, &result)) {
                continue;
            }
            view->ct_state |= wants_nat && view->has_nat ? view->nat_state : 0;
            return result;
        }
        if (view->ct_state & ct::kInv) {
            return CtCommit::kInvalid;
        }
        if (!impl.enter_zone(tuple.zone)) {
            impl.count(CtCounters::kRefusedLimit);
            return CtCommit::kLimit;
        }
        CtConn* conn = nullptr;
        const CtLink link = impl.create(key, facts, args, bytes, now_ms, &conn);
        if (link == CtLink::kLinked) {
            impl.describe_new(conn, tuple, view);
            return CtCommit::kDone;
        }
        impl.leave_zone(tuple.zone);
        if (link != CtLink::kTaken) {
            impl.count(link == CtLink::kNoRoom ? CtCounters::kRefusedFull
                                               : CtCounters::kNatExhausted);
            return outcome(link);
        }
        // An expired one is in the way, or another worker was faster.
        impl.remove_expired(key, now_ms);
        plain.natted = 0;
    }
    impl.count(CtCounters::kRefusedFull);
    return CtCommit::kFull;
}

bool Conntrack::Impl::remove_expired(const CtKey& key, uint64_t now_ms) {
    const CtFound found = find(key, hash(key));
    return found.conn && is_expired(*found.conn, now_ms) &&
           remove(found.conn, found.generation, CtCounters::kExpired, now_ms);
}

void Conntrack::Impl::describe_new(CtConn* conn, const CtTuple& tuple, CtView* view) const {
    const CtFound found{conn, conn->generation.load(std::memory_order_acquire), 0};
    view->conn = conn;
    view->generation = found.generation;
    view->is_reply = false;
    load_marks(*conn, view);
    const auto nat = static_cast<CtNat>(conn->nat.load(std::memory_order_acquire));
    view->nat_state = nat_state_of(nat, false);
    view->has_nat = view->nat_state != 0;
    view->ct_state = ct::kTrk | ct::kNew | view->nat_state;
    describe_nat(found, tuple, view);
}

}  // namespace sluice
