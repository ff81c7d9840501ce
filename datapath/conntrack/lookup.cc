// SPDX-License-Identifier: Apache-2.0
// What a packet is (lookup, review) and what it does to its connection (touch).
#include <algorithm>

#include "datapath/conntrack/table.h"
#include "lib/net/wire.h"
#include "lib/program/state.h"

namespace sluice {
namespace {

// ct_state of a packet of this connection, NAT left out. kReopen gives new.
uint32_t state_of(const CtConn& conn, uint8_t proto, bool is_v6, bool reply,
                  const PacketFacts& facts, CtVerdict* verdict) {
    const uint32_t rpl = reply ? ct::kRpl : 0;
    *verdict = CtVerdict::kEstablished;
    if (facts.has_inner) {
        return ct::kTrk | ct::kRel | rpl;
    }
    CtState state;
    CtTimeout timeout;
    conn.load_state(&state);
    *verdict = ct_advance(proto, is_v6, reply, facts, &state, &timeout);
    switch (*verdict) {
    case CtVerdict::kInvalid:
    case CtVerdict::kOutOfWindow: return ct::kTrk | ct::kInv;
    case CtVerdict::kEstablished: return ct::kTrk | ct::kEst | rpl;
    case CtVerdict::kNew:
    case CtVerdict::kReopen: break;
    }
    return ct::kTrk | ct::kNew;
}

void copy4(uint32_t* to, const uint32_t* from) {
    for (unsigned i = 0; i < 4; ++i) {
        to[i] = from[i];
    }
}

}  // namespace

// The NAT that a packet of this direction gets, as ct_state says it.
uint32_t Conntrack::Impl::nat_state_of(CtNat nat, bool reply) {
    if (nat == CtNat::kNone) {
        return 0;
    }
    return (nat == CtNat::kSrc) != reply ? ct::kSnat : ct::kDnat;
}

void Conntrack::Impl::load_marks(const CtConn& conn, CtView* view) {
    uint32_t before;
    do {
        before = conn.version.load(std::memory_order_acquire);
        view->mark = conn.mark.load(std::memory_order_acquire);
        for (unsigned i = 0; i < 2; ++i) {
            const uint64_t w = conn.dir[i].label.load(std::memory_order_acquire);
            view->label[2 * i] = static_cast<uint32_t>(w >> 32);
            view->label[2 * i + 1] = static_cast<uint32_t>(w);
        }
    } while ((before & 1) || conn.version.load(std::memory_order_acquire) != before);
    view->version = before;
}

void Conntrack::Impl::describe_nat(const CtFound& found, const CtTuple& tuple, CtView* view) const {
    CtKey key[2];
    found.conn->load_key(0, &key[0]);
    found.conn->load_key(1, &key[1]);
    view->original = ct_tuple_of(key[0]);
    const CtKey& other = key[!view->is_reply];
    if (!view->is_related) {
        view->translated = ct_tuple_of(ct_reverse(other));
        return;
    }
    // The quoted packet went the other way. Of the outer addresses NAT owns one.
    view->translated = ct_tuple_of(other);
    copy4(view->outer_src, tuple.src);
    copy4(view->outer_dst, tuple.dst);
    if (view->nat_state & ct::kSnat) {
        copy4(view->outer_src, view->translated.dst);
    } else if (view->nat_state & ct::kDnat) {
        copy4(view->outer_dst, view->translated.src);
    }
}

void Conntrack::Impl::count_verdict(CtVerdict verdict) const {
    if (SLUICE_UNLIKELY(verdict == CtVerdict::kInvalid || verdict == CtVerdict::kOutOfWindow)) {
        count(CtCounters::kInvalid);
        if (verdict == CtVerdict::kOutOfWindow) {
            count(CtCounters::kOutOfWindow);
        }
    }
}

void Conntrack::Impl::judge(const CtFound& found, const CtKey& key, const CtTuple& tuple,
                            const PacketFacts& facts, CtView* view) const {
    const CtConn& conn = *found.conn;
    view->conn = found.conn;
    view->generation = found.generation;
    view->is_related = facts.has_inner;
    view->is_reply = (found.dir != 0) != (tuple.natted != 0);
    CtVerdict verdict;
    view->ct_state = state_of(conn, key.proto(), key.is_v6(), view->is_reply, facts, &verdict);
    const auto nat = static_cast<CtNat>(conn.nat.load(std::memory_order_acquire));
    if (verdict == CtVerdict::kReopen) {
        view->reopens = true;
        view->original = tuple;
        return;
    }
    count_verdict(verdict);
    load_marks(conn, view);
    view->nat_state = nat_state_of(nat, view->is_reply);
    // A judgement of inv forgets that NAT was done: it is done again, to the same effect.
    const bool done = tuple.natted && !(view->ct_state & ct::kInv);
    view->has_nat = view->nat_state != 0 && !done;
    view->ct_state |= done ? view->nat_state : 0;
    describe_nat(found, tuple, view);
}

void Conntrack::lookup(const CtTuple& tuple, const PacketFacts& facts, uint64_t now_ms,
                       CtView* view) const {
    *view = CtView{};
    view->original = tuple;
    // Whom an error is sent to must have sent what it quotes, also when flows have changed whom.
    const bool strays = facts.has_inner && !std::equal(tuple.dst, tuple.dst + 4, facts.inner.src);
    if (SLUICE_UNLIKELY(!facts.is_valid || strays)) {
        impl_->count(CtCounters::kInvalid);
        if (facts.bad_checksum) {
            impl_->count(CtCounters::kBadChecksum);
        }
        view->ct_state = ct::kTrk | ct::kInv;
        view->original = CtTuple{};
        return;
    }
    CtKey key = ct_key_of(tuple);
    if (facts.has_inner) {
        key = ct_key_of(facts.inner);
        key.w[4] |= uint64_t{tuple.zone} << 32;
        key = ct_reverse(key);
    }
    if (tuple.natted) {
        key = ct_reverse(key);
    }
    // Twice when the connection became another one under our eyes.
    for (unsigned tries = 0; tries < 2; ++tries) {
        const CtFound found = impl_->find(key, impl_->hash(key));
        if (!found.conn || impl_->is_expired(*found.conn, now_ms)) {
            break;
        }
        impl_->judge(found, key, tuple, facts, view);
        if (SLUICE_LIKELY(found.conn->is(found.generation))) {
            return;
        }
        *view = CtView{};
        view->original = tuple;
    }
    const bool opens =
        !facts.has_inner && ct_may_open(tuple.proto, tuple.is_v6, facts, impl_->config.tcp_loose);
    view->ct_state = ct::kTrk | (opens ? ct::kNew : ct::kInv);
    if (!opens) {
        impl_->count(CtCounters::kInvalid);
    }
}

void Conntrack::prefetch(const CtTuple& tuple) const {
    const CtKey key = ct_key_of(tuple);
    __builtin_prefetch(&impl_->buckets[impl_->hash(key) & impl_->bucket_mask], 1);
}

bool Conntrack::review(CtConn* conn, uint32_t generation, bool is_reply, const PacketFacts& facts,
                       uint64_t now_ms, CtView* view) const {
    if (SLUICE_UNLIKELY(!conn->is(generation) || impl_->is_expired(*conn, now_ms) ||
                        !facts.is_valid)) {
        return false;
    }
    const uint8_t proto = conn->proto.load(std::memory_order_acquire);
    bool is_v6 = false;
    if (SLUICE_UNLIKELY(proto == wire::kProtoIcmp || proto == wire::kProtoIcmp6 ||
                        facts.has_inner)) {
        CtKey key;
        conn->load_key(is_reply, &key);
        is_v6 = key.is_v6();
        CtKey asked = key;
        if (facts.has_inner) {
            asked = ct_key_of(facts.inner);
            asked.w[4] |= uint64_t{key.zone()} << 32;
            asked = ct_reverse(asked);
        } else if (ct_is_icmp(proto, is_v6)) {
            asked.set_src_port(facts.icmp_id);
            asked.set_dst_port(facts.icmp_type);
        }
        if (asked != key) {
            return false;
        }
    }
    CtVerdict verdict;
    view->ct_state = state_of(*conn, proto, is_v6, is_reply, facts, &verdict);
    if (SLUICE_UNLIKELY(verdict == CtVerdict::kReopen)) {
        return false;
    }
    impl_->count_verdict(verdict);
    view->conn = conn;
    view->generation = generation;
    view->is_reply = is_reply;
    view->is_related = facts.has_inner;
    view->reopens = false;
    Impl::load_marks(*conn, view);
    view->nat_state =
        Impl::nat_state_of(static_cast<CtNat>(conn->nat.load(std::memory_order_acquire)), is_reply);
    view->has_nat = view->nat_state != 0;
    return conn->is(generation);
}

void Conntrack::touch(const CtView& view, const PacketFacts& facts, uint32_t bytes,
                      uint64_t now_ms) {
    CtConn* conn = view.conn;
    if (!conn || view.is_related || !conn->is(view.generation)) {
        return;
    }
    if (SLUICE_UNLIKELY(view.reopens)) {
        impl_->remove(conn, view.generation, CtCounters::kExpired);
        return;
    }
    SpinGuard guard(conn->lock);
    if (!conn->is(view.generation)) {
        return;
    }
    const uint8_t proto = conn->proto.load(std::memory_order_relaxed);
    const bool is_v6 = proto == wire::kProtoIcmp6 &&
                       conn->dir[0].key[4].load(std::memory_order_relaxed) >> 56 != 0;
    CtState state;
    CtTimeout timeout;
    conn->load_state(&state);
    const CtVerdict verdict = ct_advance(proto, is_v6, view.is_reply, facts, &state, &timeout);
    if (verdict != CtVerdict::kEstablished && verdict != CtVerdict::kNew) {
        return;
    }
    conn->store_state(state);
    conn->add_packet(view.is_reply, bytes);
    if (timeout == CtTimeout::kKeep) {
        return;
    }
    const uint64_t deadline = now_ms + ct_timeout_ms(timeout);
    conn->deadline_ms.store(deadline, std::memory_order_release);
    if (static_cast<uint8_t>(timeout) != conn->timeout.load(std::memory_order_relaxed)) {
        conn->timeout.store(static_cast<uint8_t>(timeout), std::memory_order_relaxed);
        impl_->arm(conn, deadline, !ct_is_alive(proto, is_v6, state));
    }
}

}  // namespace sluice
