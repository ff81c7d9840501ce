// SPDX-License-Identifier: Apache-2.0
// The short way of established connections against the long one: two tables, the same packets.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>
#include <random>

#include "datapath/conntrack/glance.h"
#include "lib/program/state.h"

using namespace sluice;

namespace {

constexpr uint16_t kSyn = 2, kRst = 4, kAck = 16, kPsh = 8;

std::unique_ptr<Conntrack> make() {
    ConntrackConfig config;
    config.max_connections = 64;
    config.seed = 42;
    config.max_fragments_kb = 64;
    return Conntrack::create(config).value();
}

CtTuple tuple(uint8_t proto) {
    CtTuple t{};
    t.src[3] = 1;
    t.dst[3] = 2;
    t.src_port = 1000;
    t.dst_port = 80;
    t.proto = proto;
    t.zone = 1;
    return t;
}

CtTuple reverse(CtTuple t) {
    std::swap_ranges(t.src, t.src + 4, t.dst);
    std::swap(t.src_port, t.dst_port);
    return t;
}

PacketFacts facts_of(uint16_t flags, uint32_t seq, uint32_t ack, uint32_t payload = 0,
                     uint16_t window = 1000) {
    PacketFacts f{};
    f.is_valid = true;
    f.tcp_wscale = flags & kSyn ? 3 : 0xff;
    f.tcp_flags = flags;
    f.tcp_seq = seq;
    f.tcp_ack = ack;
    f.tcp_window = window;
    f.payload_len = payload;
    return f;
}

CtView see(Conntrack& ct, const CtTuple& t, const PacketFacts& f, uint64_t now) {
    CtView view;
    ct.lookup(t, f, now, &view);
    ct.touch(view, f, 100, now);
    return view;
}

CtConn* establish(Conntrack& ct, const CtTuple& t) {
    CtView view;
    REQUIRE(ct.commit(t, facts_of(kSyn, 1000, 0), {}, 0, &view) == CtCommit::kDone);
    see(ct, reverse(t), facts_of(kSyn | kAck, 5000, 1001), 0);
    const CtView open = see(ct, t, facts_of(kAck, 1001, 5001), 0);
    REQUIRE(open.ct_state == (ct::kTrk | ct::kEst));
    return open.conn;
}

struct Ends {
    uint32_t next[2] = {1001, 5001};
};

/// Mostly what a connection sends; now and then old, far off, or with another flag.
PacketFacts segment(std::mt19937* rng, Ends* ends, unsigned dir) {
    const uint32_t payload = (*rng)() % 4 ? (*rng)() % 1400 : 0;
    uint32_t seq = ends->next[dir];
    uint32_t ack = ends->next[!dir];
    const unsigned kind = (*rng)() % 32;
    if (kind == 0) {
        seq += 1u << 30;
    } else if (kind == 1) {
        ack += 1u << 20;
    } else if (kind == 2) {
        seq -= (*rng)() % 5000;
    } else {
        ends->next[dir] += payload;
    }
    const uint16_t flags = kind == 3 ? kAck | kPsh : kind == 4 ? kRst : kAck;
    return facts_of(kind == 4 ? kRst : flags, kind == 4 ? seq + (1u << 29) : seq, ack, payload,
                    static_cast<uint16_t>((*rng)()));
}

/// True when the glance was enough.
bool take_short_way(Conntrack& ct, const CtStep& step, const CtTuple& t, const PacketFacts& f,
                    uint64_t now) {
    const QuickFacts quick{f.tcp_seq, f.tcp_ack, f.payload_len, f.tcp_flags, f.tcp_window, t.proto};
    CtGlance glance;
    // Other flags are what read_quick_facts() keeps away.
    const bool is_plain = t.proto != 6 || (f.tcp_flags & ~kPsh) == kAck;
    if (is_plain && ct_glance(step, quick, now, &glance)) {
        REQUIRE(ct_settle(step, glance, 100));
        return true;
    }
    see(ct, t, f, now);
    return false;
}

void check_same(const CtConn& a, const CtConn& b) {
    for (unsigned d = 0; d < 2; ++d) {
        REQUIRE(a.window[d].load() == b.window[d].load());
        REQUIRE(a.packets_of(d) == b.packets_of(d));
        REQUIRE(a.bytes_of(d) == b.bytes_of(d));
    }
    REQUIRE(a.peers.load() == b.peers.load());
    REQUIRE(b.deadline_ms.load() <= a.deadline_ms.load());
    REQUIRE(a.deadline_ms.load() - b.deadline_ms.load() < kGrain_ms);
}

CtStep step_of(const CtView& view) {
    return {view.conn, view.generation, view.version, view.ct_state, view.is_reply};
}

}  // namespace

TEST_CASE("a glance says and does what review and touch do: TCP", "[glance]") {
    std::mt19937 rng(7);
    size_t glances = 0;
    size_t invalid = 0;
    for (unsigned round = 0; round < 200; ++round) {
        auto slow = make();
        auto quick = make();
        const CtTuple t = tuple(6);
        CtConn* const a = establish(*slow, t);
        CtConn* const b = establish(*quick, t);
        CtStep steps[2];
        for (unsigned dir = 0; dir < 2; ++dir) {
            CtView view;
            quick->lookup(dir ? reverse(t) : t,
                          facts_of(kAck, dir ? 5001 : 1001, dir ? 1001 : 5001), 1, &view);
            steps[dir] = step_of(view);
        }
        Ends ends;
        uint64_t now = 1;
        for (unsigned i = 0; i < 300; ++i) {
            now += rng() % 90;
            const unsigned dir = rng() % 2;
            const CtTuple way = dir ? reverse(t) : t;
            const PacketFacts f = segment(&rng, &ends, dir);
            CtView told;
            slow->lookup(way, f, now, &told);
            slow->touch(told, f, 100, now);
            invalid += (told.ct_state & ct::kInv) != 0;
            if (take_short_way(*quick, steps[dir], way, f, now)) {
                ++glances;
                REQUIRE(told.ct_state == (ct::kTrk | ct::kEst | (dir ? ct::kRpl : 0u)));
            }
            check_same(*a, *b);
        }
    }
    CHECK(glances > 40000);
    CHECK(invalid > 1000);
}

TEST_CASE("a glance sees what has changed since", "[glance]") {
    auto ct = make();
    const CtTuple t = tuple(6);
    CtConn* const conn = establish(*ct, t);
    CtView view;
    const PacketFacts f = facts_of(kAck, 1001, 5001);
    ct->lookup(t, f, 1, &view);
    const CtStep step = step_of(view);
    const QuickFacts quick{1001, 5001, 0, kAck, 1000, 6};
    CtGlance glance;
    REQUIRE(ct_glance(step, quick, 1, &glance));
    SECTION("another mark") {
        CtCommitArgs args;
        args.marks.mark = 1;
        args.marks.mark_mask = 1;
        ct->commit(t, f, args, 1, &view);
        CHECK_FALSE(ct_glance(step, quick, 1, &glance));
    }
    SECTION("expired") {
        CHECK_FALSE(ct_glance(step, quick, conn->deadline_ms.load(), &glance));
    }
    SECTION("gone") {
        ct->flush({});
        CHECK_FALSE(ct_glance(step, quick, 1, &glance));
    }
    SECTION("another worker moved the window first") {
        const QuickFacts data{1001, 5001, 50, kAck, 1000, 6};
        REQUIRE(ct_glance(step, data, 1, &glance));
        see(*ct, t, facts_of(kAck, 1001, 5001, 200), 1);
        const uint64_t window = conn->window[0].load();
        CHECK_FALSE(ct_settle(step, glance, 100));
        CHECK(conn->window[0].load() == window);
    }
}

TEST_CASE("UDP: a glance once both ends have spoken", "[glance]") {
    auto slow = make();
    auto quick = make();
    const CtTuple t = tuple(17);
    const PacketFacts f = facts_of(0, 0, 0, 10);
    CtView view;
    REQUIRE(slow->commit(t, f, {}, 0, &view) == CtCommit::kDone);
    const CtView a = see(*slow, reverse(t), f, 1);
    view = {};
    REQUIRE(quick->commit(t, f, {}, 0, &view) == CtCommit::kDone);
    CtStep unanswered = step_of(view);
    unanswered.ct_state = ct::kTrk | ct::kEst;
    CtGlance glance;
    CHECK_FALSE(ct_glance(unanswered, {0, 0, 10, 0, 0, 17}, 0, &glance));
    const CtView b = see(*quick, reverse(t), f, 1);
    for (uint64_t now = 2; now < 4000; now += 37) {
        see(*slow, reverse(t), f, now);
        REQUIRE(take_short_way(*quick, step_of(b), reverse(t), f, now));
        check_same(*a.conn, *b.conn);
    }
}
