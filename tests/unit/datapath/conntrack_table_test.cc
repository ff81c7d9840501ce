// SPDX-License-Identifier: Apache-2.0
// The connection table under pressure: full, flooded, aimed at, expired a million times over.
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <set>

#include "datapath/conntrack/conntrack.h"
#include "lib/program/state.h"

using namespace sluice;

namespace {

constexpr uint16_t kSyn = 2, kAck = 16;

CtTuple tuple(uint32_t src, uint32_t dst, uint16_t src_port, uint16_t dst_port, uint8_t proto = 6,
              uint16_t zone = 1) {
    CtTuple t{};
    t.src[3] = src;
    t.dst[3] = dst;
    t.src_port = src_port;
    t.dst_port = dst_port;
    t.proto = proto;
    t.zone = zone;
    return t;
}
CtTuple reverse(CtTuple t) {
    std::swap_ranges(t.src, t.src + 4, t.dst);
    std::swap(t.src_port, t.dst_port);
    return t;
}
PacketFacts tcp(uint16_t flags, uint32_t seq, uint32_t ack = 0) {
    PacketFacts f{};
    f.is_valid = true;
    f.tcp_wscale = 0xff;
    f.tcp_flags = flags;
    f.tcp_seq = seq;
    f.tcp_ack = ack;
    f.tcp_window = 65535;
    return f;
}
PacketFacts plain() {
    return tcp(0, 0);
}
std::unique_ptr<Conntrack> make(uint32_t size, unsigned workers = 1) {
    ConntrackConfig config;
    config.max_connections = size;
    config.seed = 42;
    config.workers = workers;
    config.max_fragments_kb = 64;
    return Conntrack::create(config).value();
}
CtView see(Conntrack& ct, const CtTuple& t, const PacketFacts& f, uint64_t now) {
    CtView view;
    ct.lookup(t, f, now, &view);
    ct.touch(view, f, 100, now);
    return view;
}
void establish(Conntrack& ct, const CtTuple& t, uint64_t now) {
    CtView view;
    REQUIRE(ct.commit(t, tcp(kSyn, 1000), {}, now, &view) == CtCommit::kDone);
    see(ct, reverse(t), tcp(kSyn | kAck, 5000, 1001), now);
    REQUIRE(see(ct, t, tcp(kAck, 1001, 5001), now).ct_state == (ct::kTrk | ct::kEst));
}

}  // namespace

TEST_CASE("a handshake is new, answered, established", "[conntrack]") {
    auto ct = make(16);
    const CtTuple t = tuple(1, 2, 1000, 80);
    CtView view;
    ct->lookup(t, tcp(kSyn, 1), 0, &view);
    CHECK(view.ct_state == (ct::kTrk | ct::kNew));
    CHECK(view.conn == nullptr);
    CHECK(ct->commit(t, tcp(kSyn, 1), {}, 0, &view) == CtCommit::kDone);
    CHECK(see(*ct, t, tcp(kSyn, 1), 0).ct_state == (ct::kTrk | ct::kNew));
    CHECK(see(*ct, reverse(t), tcp(kSyn | kAck, 7, 2), 0).ct_state ==
          (ct::kTrk | ct::kEst | ct::kRpl));
    CHECK(see(*ct, t, tcp(kAck, 2, 8), 0).ct_state == (ct::kTrk | ct::kEst));
    // 200000 past what the other end allows
    CHECK(see(*ct, t, tcp(kAck, 200000, 8), 0).ct_state == (ct::kTrk | ct::kEst));
    PacketFacts data = tcp(kAck, 200000, 8);
    data.payload_len = 1;
    CHECK(see(*ct, t, data, 0).ct_state == (ct::kTrk | ct::kInv));
    CHECK(ct->stats().out_of_window == 1);
    std::vector<CtEntry> all;
    ct->dump({}, [&](const CtEntry& e) { all.push_back(e); });
    REQUIRE(all.size() == 1);
    CHECK(std::string(all[0].state) == "ESTABLISHED");
    CHECK(all[0].packets[0] == 4);
    CHECK(all[0].packets[1] == 1);
    CHECK(all[0].timeout_s == 24 * 60 * 60);
    // Another zone knows nothing of it.
    CHECK(see(*ct, tuple(1, 2, 1000, 80, 6, 2), tcp(kSyn | kAck, 1), 0).ct_state ==
          (ct::kTrk | ct::kInv));
}

TEST_CASE("timeouts follow the state", "[conntrack]") {
    auto ct = make(16);
    const CtTuple t = tuple(1, 2, 1000, 53, 17);
    CtView view;
    ct->commit(t, plain(), {}, 1000, &view);
    CHECK(see(*ct, t, plain(), 60999).conn);
    CHECK_FALSE(see(*ct, t, plain(), 60999 + 60000).conn);
    CHECK(ct->stats().used == 1);  // nobody has swept
    view = {};
    ct->commit(t, plain(), {}, 200000, &view);
    CHECK(ct->stats().used == 1);  // the dead one gave way
    CHECK(see(*ct, reverse(t), plain(), 200000).ct_state == (ct::kTrk | ct::kEst | ct::kRpl));
    CHECK(see(*ct, t, plain(), 229999).conn);
    CHECK_FALSE(see(*ct, t, plain(), 229999 + 30000).conn);
}

TEST_CASE("a SYN on a closed connection begins another", "[conntrack]") {
    auto ct = make(16);
    const CtTuple t = tuple(1, 2, 1000, 80);
    establish(*ct, t, 0);
    see(*ct, t, tcp(4, 1001), 0);  // RST
    CtView view;
    ct->lookup(t, tcp(kSyn, 90000), 0, &view);
    CHECK(view.reopens);
    CHECK(view.ct_state == (ct::kTrk | ct::kNew));
    const uint32_t generation = view.generation;
    CtConn* conn = view.conn;
    CHECK_FALSE(ct->review(conn, generation, false, tcp(kSyn, 90000), 0, &view));
    view = {};
    CHECK(ct->commit(t, tcp(kSyn, 90000), {}, 0, &view) == CtCommit::kDone);
    CHECK(ct->stats().used == 1);
    CHECK_FALSE(ct->review(conn, generation, false, tcp(kAck, 1), 0, &view));
}

TEST_CASE("a SYN flood on a full table leaves live connections alone", "[conntrack][attack]") {
    constexpr uint32_t kSize = 20000, kLive = 15000;
    auto ct = make(kSize);
    const uint64_t bound = ct->stats().memory_bytes;
    struct Known {
        CtConn* conn;
        uint32_t generation;
    };
    std::vector<Known> live;
    for (uint32_t i = 0; i < kLive; ++i) {
        establish(*ct, tuple(i, 9, 1000, 80), 1000);
        CtView view;
        ct->lookup(tuple(i, 9, 1000, 80), tcp(kAck, 1001, 5001), 1000, &view);
        live.push_back({view.conn, view.generation});
    }
    for (uint32_t i = 0; i < 300000; ++i) {
        CtView view;
        const CtCommit r =
            ct->commit(tuple(0x80000000 + i, 9, static_cast<uint16_t>(1 + i % 60000), 80),
                       tcp(kSyn, i), {}, 1001 + i / 1000, &view);
        REQUIRE(r == CtCommit::kDone);  // the one before gives way
        const Known& known = live[i % kLive];
        REQUIRE(
            ct->review(known.conn, known.generation, false, tcp(kAck, 1001, 5001), 1001, &view));
        REQUIRE(view.ct_state == (ct::kTrk | ct::kEst));
        ct->touch(view, tcp(kAck, 1001, 5001), 60, 1001);
    }
    const CtStats s = ct->stats();
    CHECK(s.used == kSize);
    CHECK(s.evicted == 300000 - (kSize - kLive));
    CHECK(s.memory_bytes == bound);
    // Filled with live ones there is nothing to give way: refused and counted.
    auto full = make(64);
    for (uint32_t i = 0; i < 64; ++i) {
        establish(*full, tuple(i, 9, 1000, 80), 0);
    }
    CtView view;
    CHECK(full->commit(tuple(100, 9, 1000, 80), tcp(kSyn, 1), {}, 0, &view) == CtCommit::kFull);
    CHECK(view.ct_state == (ct::kTrk | ct::kNew));
    CHECK(view.conn == nullptr);
    CHECK(full->stats().refused_full == 1);
    CHECK(full->stats().evicted == 0);
    // ... until one expires, swept or not.
    CHECK(full->commit(tuple(100, 9, 1000, 80), tcp(kSyn, 1), {}, 86400001, &view) ==
          CtCommit::kDone);
}

TEST_CASE("keys that look alike spread over the table", "[conntrack][attack]") {
    // Differences that fool linear hashes: single bits, pairs that cancel in a CRC or an XOR of
    // source and destination, counters in each field.
    auto ct = make(1u << 16);
    uint32_t refused = 0;
    const auto add = [&](const CtTuple& t) {
        CtView view;
        refused += ct->commit(t, tcp(kSyn, 1), {}, 0, &view) != CtCommit::kDone;
    };
    for (uint32_t i = 0; i < 1u << 14; ++i) {
        const auto p = static_cast<uint16_t>(i + 1);
        add(tuple(i << 8, i << 8, p, p));
        add(tuple(0x0a000001, 0x0a000001 ^ i << 16, 1, 1, 17));
        add(tuple(i, ~i, 7, 7, 50));
    }
    CHECK(refused == 0);
    CHECK(ct->stats().used == 3u << 14);
    CHECK(ct->stats().longest_chain <= 28);
}

TEST_CASE("ten million expired connections leave no trace", "[conntrack][attack]") {
    auto ct = make(100000, 2);
    const uint64_t bound = ct->stats().memory_bytes;
    uint64_t now = 0;
    CtView view;
    uint64_t removed = 0;
    for (uint32_t round = 0; round < 100; ++round) {
        for (uint32_t i = 0; i < 100000; ++i) {
            view = {};
            REQUIRE(ct->commit(tuple(i, round, 5, 6, 17), plain(), {}, now, &view) ==
                    CtCommit::kDone);
        }
        CHECK(ct->sweep(0, now + 59000, 1000) == 0);
        now += 120000;
        for (unsigned worker = 0; worker < 2; ++worker) {
            while (const unsigned n = ct->sweep(worker, now, 5000)) {
                removed += n;
            }
        }
        REQUIRE(ct->stats().used == 0);
    }
    CHECK(removed == 10000000);
    CHECK(ct->stats().expired == 10000000);
    CHECK(ct->stats().evicted == 0);
    CHECK(ct->stats().memory_bytes == bound);
}

TEST_CASE("limits count connections of a zone", "[conntrack]") {
    auto ct = make(100);
    ct->set_default_limit(3);
    ct->set_zone_limit(2, 5);
    for (const auto& [zone, limit] : {std::pair(1, 3), std::pair(2, 5), std::pair(3, 3)}) {
        for (int i = 0; i < 8; ++i) {
            CtView view;
            const CtCommit r = ct->commit(
                tuple(static_cast<uint32_t>(i), 2, 1, 1, 17, static_cast<uint16_t>(zone)), plain(),
                {}, 0, &view);
            CHECK(r == (i < limit ? CtCommit::kDone : CtCommit::kLimit));
        }
    }
    CHECK(ct->stats().refused_limit == 5 + 3 + 5);
    CtFilter filter;
    filter.zone = 2;
    CHECK(ct->flush(filter) == 5);
    CtView view;
    CHECK(ct->commit(tuple(1, 2, 1, 1, 17, 2), plain(), {}, 0, &view) == CtCommit::kDone);
}

TEST_CASE("marks change under their masks, with a new version", "[conntrack]") {
    auto ct = make(16);
    const CtTuple t = tuple(1, 2, 3, 4, 17);
    CtCommitArgs args;
    args.marks.mark = 0x50;
    args.marks.mark_mask = 0xf0;
    args.marks.label[0] = 0x80000000;
    args.marks.label_mask[0] = 0xffffffff;
    CtView view;
    CHECK(ct->commit(t, plain(), args, 0, &view) == CtCommit::kDone);
    CHECK(view.mark == 0x50);
    const uint32_t version = view.version;
    CHECK(ct->commit(t, plain(), args, 0, &view) == CtCommit::kSame);
    CHECK(view.version == version);
    args = {};
    args.marks.mark = 0x3;
    args.marks.mark_mask = 0x3;
    CHECK(ct->commit(t, plain(), args, 0, &view) == CtCommit::kDone);
    CHECK(view.version != version);
    CHECK(view.mark == 0x53);
    CHECK(view.label[0] == 0x80000000);
    const uint32_t state = view.ct_state;
    // The step before knew the connection: nothing is judged anew.
    CHECK(ct->commit(reverse(t), plain(), args, 0, &view) == CtCommit::kSame);
    CHECK(view.ct_state == state);
    view = {};
    CHECK(ct->commit(reverse(t), plain(), args, 0, &view) == CtCommit::kSame);
    CHECK(view.ct_state == (ct::kTrk | ct::kEst | ct::kRpl));
}

TEST_CASE("source NAT keeps ports until they clash", "[conntrack][nat]") {
    auto ct = make(1000);
    CtCommitArgs args;
    args.nat.kind = CtNat::kSrc;
    args.nat.low[3] = args.nat.high[3] = 99;
    std::set<uint16_t> ports;
    for (uint32_t i = 0; i < 50; ++i) {
        CtView view;
        REQUIRE(ct->commit(tuple(10 + i, 2, 65530, 80), tcp(kSyn, 1), args, 0, &view) ==
                CtCommit::kDone);
        CHECK(view.ct_state == (ct::kTrk | ct::kNew | ct::kSnat));
        CHECK(view.translated.src[3] == 99);
        // 65530 ... 65535, 1024 ...
        CHECK(view.translated.src_port == (i < 6 ? 65530 + i : 1024 + i - 6));
        ports.insert(view.translated.src_port);
        // The answer finds its way back.
        CtView answer;
        ct->lookup(reverse(view.translated), tcp(kSyn | kAck, 1, 2), 0, &answer);
        CHECK(answer.ct_state == (ct::kTrk | ct::kEst | ct::kRpl));
        CHECK(answer.has_nat);
        CHECK(answer.nat_state == ct::kDnat);
        CHECK(answer.translated.dst[3] == 10 + i);
        CHECK(answer.translated.dst_port == 65530);
    }
    CHECK(ports.size() == 50);
}

TEST_CASE("a range of ports can be used up", "[conntrack][nat]") {
    auto ct = make(1000);
    CtCommitArgs args;
    args.nat.kind = CtNat::kSrc;
    args.nat.low[3] = args.nat.high[3] = 99;
    args.nat.port_low = 5000;
    args.nat.port_high = 5009;
    std::set<uint16_t> ports;
    CtView view;
    for (uint32_t i = 0; i < 10; ++i) {
        view = {};
        REQUIRE(ct->commit(tuple(10 + i, 2, 1, 80), tcp(kSyn, 1), args, 0, &view) ==
                CtCommit::kDone);
        ports.insert(view.translated.src_port);
    }
    CHECK(ports.size() == 10);
    CHECK(*ports.begin() == 5000);
    CHECK(*ports.rbegin() == 5009);
    view = {};
    CHECK(ct->commit(tuple(30, 2, 1, 80), tcp(kSyn, 1), args, 0, &view) == CtCommit::kNoNatPort);
    CHECK(view.ct_state == (ct::kTrk | ct::kNew));
    CHECK(view.conn == nullptr);
    CHECK(ct->stats().nat_exhausted == 1);
    CHECK(ct->stats().used == 10);
    // Another destination has ports of its own.
    CHECK(ct->commit(tuple(30, 3, 1, 80), tcp(kSyn, 1), args, 0, &view) == CtCommit::kDone);
}

TEST_CASE("addresses of a range are chosen evenly", "[conntrack][nat]") {
    auto ct = make(5000);
    CtCommitArgs args;
    args.nat.kind = CtNat::kDst;
    args.nat.is_v6 = true;
    args.nat.low[0] = args.nat.high[0] = 0xfd000000;
    args.nat.low[2] = 0x1;
    args.nat.low[3] = 0xfffffffe;  // crosses a word
    args.nat.high[2] = 0x2;
    args.nat.high[3] = 0x1;
    std::map<std::pair<uint32_t, uint32_t>, unsigned> seen;
    for (uint32_t i = 0; i < 4000; ++i) {
        CtTuple t = tuple(i, 2, 1000, 80);
        t.is_v6 = 1;
        CtView view;
        REQUIRE(ct->commit(t, tcp(kSyn, 1), args, 0, &view) == CtCommit::kDone);
        ++seen[{view.translated.dst[2], view.translated.dst[3]}];
        CHECK(view.translated.dst_port == 80);
    }
    REQUIRE(seen.size() == 4);
    CHECK(seen.begin()->first == std::pair(1u, 0xfffffffeu));
    for (const auto& [address, n] : seen) {
        CHECK(n > 800);
    }
}
