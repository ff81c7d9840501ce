// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/bfd.h"

#include <catch2/catch.hpp>
#include <deque>
#include <random>

#include "control/slowpath/watch/igmp.h"
#include "control/slowpath/wire.h"
#include "tests/unit/control/slowpath/watch_frames.h"

namespace sluice::watch {
namespace {

using S = BfdState;

BfdParams params(uint32_t disc, bool strict) {
    return {disc, 100, 50, 3, strict};
}

// Made with scapy: up, discriminators 1 and 2, times 1 s and 2 s, multiplier 5.
constexpr const char* kUpBytes = "20c005180000000100000002000f4240001e848000000000";

TEST_CASE("control packets are read and written as RFC 5880 has them") {
    const auto m = BfdMessage::parse(hex(kUpBytes));
    REQUIRE(m);
    CHECK(m->state == S::kUp);
    CHECK(m->mult == 5);
    CHECK(m->my_disc == 1);
    CHECK(m->your_disc == 2);
    CHECK(m->min_tx_us == 1'000'000);
    CHECK(m->min_rx_us == 2'000'000);
    CHECK(m->bytes() == hex(kUpBytes));
}

TEST_CASE("what RFC 5880 6.8.6 wants discarded is discarded") {
    const auto without = [](size_t at, uint8_t value) {
        Frame bytes = hex(kUpBytes);
        bytes[at] = value;
        return !BfdMessage::parse(bytes);
    };
    CHECK(without(0, 0x00));         // version 0
    CHECK(without(1, 0xc0 | 0x04));  // authentication
    CHECK(without(1, 0xc0 | 0x01));  // multipoint
    CHECK(without(1, 0xc0 | 0x30));  // poll and final
    CHECK(without(2, 0));            // no multiplier
    CHECK(without(3, 23));           // too short
    CHECK(without(3, 25));           // longer than the packet
    CHECK(without(7, 0));            // no discriminator
    CHECK(without(11, 0));           // up, but not towards anybody
    CHECK_FALSE(BfdMessage::parse(Frame(23)));
}

/// Two sessions and a wire with a delay and a fault.
struct Pair {
    explicit Pair(bool strict)
        : a(params(1, strict), S::kDown, 0), b(params(2, strict), S::kDown, 0) {}
    void run(int64_t until_ms) {
        for (; now < until_ms; ++now) {
            step(a, &to_b);
            step(b, &to_a);
            deliver(a, &to_a, &to_b);
            deliver(b, &to_b, &to_a);
        }
    }
    using Wire = std::deque<std::pair<int64_t, BfdMessage>>;
    void step(BfdSession& session, Wire* wire) {
        if (const auto m = session.run(now, static_cast<uint32_t>(random()))) {
            sent.push_back({now, *m});
            if (!cut) {
                wire->push_back({now + 5, *m});
            }
        }
    }
    void deliver(BfdSession& session, Wire* from, Wire* back) {
        while (!from->empty() && from->front().first <= now) {
            const auto bytes = from->front().second.bytes();
            from->pop_front();
            if (const auto answer = session.take(*BfdMessage::parse(bytes), now)) {
                CHECK(answer->final);
                back->push_back({now + 5, *answer});
            }
        }
    }
    BfdSession a, b;
    Wire to_a, to_b;
    std::vector<std::pair<int64_t, BfdMessage>> sent;
    std::mt19937 random{5};
    int64_t now = 0;
    bool cut = false;
};

TEST_CASE("two sessions come up, notice silence and come up again") {
    for (const bool strict : {false, true}) {
        Pair pair(strict);
        pair.run(3000);
        CHECK(pair.a.state() == S::kUp);
        CHECK(pair.b.state() == S::kUp);
        pair.cut = true;
        // Three times max(peer's tx, our rx) after the last packet, which was up to 100 ms ago.
        pair.run(3000 + 195);
        CHECK(pair.a.state() == S::kUp);
        CHECK(pair.b.state() == S::kUp);
        pair.run(3000 + 311);
        CHECK(pair.a.state() == S::kDown);
        CHECK(pair.b.state() == S::kDown);
        CHECK(pair.a.diag() == 1);  // control detection time expired
        pair.cut = false;
        pair.run(7000);
        CHECK(pair.a.state() == S::kUp);
        CHECK(pair.b.state() == S::kUp);
    }
}

TEST_CASE("intervals are those agreed upon, up to a quarter shorter") {
    Pair pair(true);
    pair.run(4000);
    pair.sent.clear();
    pair.run(20000);
    int64_t last = 0;
    for (const auto& [at, m] : pair.sent) {
        if (m.my_disc != 1) {
            continue;
        }
        if (last != 0) {
            CHECK(at - last >= 75);
            CHECK(at - last <= 101);
        }
        last = at;
    }
}

TEST_CASE("a strict session is slow until it is up, and polls for new times") {
    Pair pair(true);
    BfdSession alone(params(9, true), S::kDown, 0);
    const auto first = alone.run(0, 0);
    REQUIRE(first);
    CHECK(first->min_tx_us == 1'000'000);
    CHECK(alone.next_ms() == 1000);
    BfdSession ovn(params(9, false), S::kDown, 0);
    CHECK(ovn.run(0, 0)->min_tx_us == 100'000);
    CHECK(ovn.next_ms() == 100);
    pair.run(4000);
    BfdParams slower = params(1, true);
    slower.min_tx_ms = 400;
    pair.a.set_params(slower);
    pair.sent.clear();
    pair.run(4200);
    const auto polls = [&] {
        return std::count_if(pair.sent.begin(), pair.sent.end(),
                             [](const auto& entry) { return entry.second.poll; });
    };
    CHECK(polls() == 1);  // the answer ends it
    pair.run(6000);
    CHECK(polls() == 1);
    CHECK(pair.b.state() == S::kUp);
}

TEST_CASE("a session that is administratively down is silent and its peer goes down") {
    Pair pair(true);
    pair.run(3000);
    BfdMessage m;
    m.state = S::kAdminDown;
    m.mult = 3;
    m.my_disc = 2;
    m.your_disc = 1;
    m.min_tx_us = m.min_rx_us = 50'000;
    pair.a.take(m, 3000);
    CHECK(pair.a.state() == S::kDown);
    CHECK(pair.a.diag() == 3);  // neighbor signaled session down
    pair.a.set_admin_down(true);
    CHECK(pair.a.next_ms() == INT64_MAX);
    CHECK_FALSE(pair.a.run(99999, 0));
    CHECK_FALSE(pair.a.take(m, 99999));
    pair.a.set_admin_down(false);
    CHECK(pair.a.state() == S::kDown);
}

TEST_CASE("demand mode of the peer stops periodic packets") {
    Pair pair(true);
    pair.run(3000);
    auto m = *BfdMessage::parse(hex(kUpBytes));
    m.demand = true;
    m.my_disc = 2;
    m.your_disc = 1;
    pair.a.take(m, 3000);
    CHECK_FALSE(pair.a.run(4000, 0));
    m.demand = false;
    pair.a.take(m, 4000);
    CHECK(pair.a.run(4000, 0));
}

BfdConfig route(bool v6) {
    BfdConfig c;
    c.row = Uuid{{9}};
    c.datapath = 4;
    c.port = 2;
    c.src_mac = *parse_mac("00:00:00:00:ff:01");
    c.src_ip = v6 ? *parse_ip6("fd00::1") : mapped(*parse_ip4("10.0.0.1"));
    c.dst_ip = v6 ? *parse_ip6("fd00::2") : mapped(*parse_ip4("10.0.0.2"));
    c.src_port = 49152;
    c.params = params(7, false);
    return c;
}

/// A peer's packet to route()'s session.
Frame from_peer(bool v6, const BfdMessage& m) {
    wire::Writer w;
    if (v6) {
        w.ethernet({}, {}, 0x86dd).u32(0x60000000).u16(32).u8(17).u8(255);
        w.ip6(*parse_ip6("fd00::2")).ip6(*parse_ip6("fd00::1"));
    } else {
        w.ethernet({}, {}, 0x0800).u32(0x45000034).u32(0).u8(255).u8(17).u16(0);
        w.u32(0x0a000002).u32(0x0a000001);
    }
    w.u16(50000).u16(3784).u16(32).u16(0).bytes(m.bytes());
    return w.take();
}

TEST_CASE("sessions of static routes answer by packets of the router port") {
    for (const bool v6 : {false, true}) {
        Bfd bfd([] { return 0u; });
        CHECK(bfd.configure({route(v6)}, 0));
        std::vector<Bfd::Packet> packets;
        bfd.run(0, &packets);
        REQUIRE(packets.size() == 1);
        CHECK(packets[0].datapath == 4);
        CHECK(packets[0].port == 2);
        const Frame& f = packets[0].frame;
        const Headers h = read_headers(f);
        CHECK(h.ttl == 255);
        CHECK(h.l4_src == 49152);
        CHECK(h.l4_dst == 3784);
        CHECK(h.dst == wire::kBroadcast);
        if (v6) {
            CHECK(wire::fold(wire::add(wire::Bytes(f).subspan(54),
                                       wire::pseudo6(h.ip6_src, h.ip6_dst, 32, 17))) == 0);
        } else {
            CHECK(wire::fold(wire::add(wire::Bytes(f).subspan(14, 20))) == 0);
        }
        auto m = *BfdMessage::parse(hex(kUpBytes));
        m.my_disc = 77;
        m.your_disc = 7;
        m.state = S::kInit;
        m.poll = true;
        packets.clear();
        const Frame in = from_peer(v6, m);
        const auto out = bfd.take(in, read_headers(in), 10, &packets);
        CHECK(out.known);
        CHECK(out.changed);
        REQUIRE(packets.size() == 1);
        const auto answer = BfdMessage::parse(wire::Bytes(packets[0].frame).last(24));
        REQUIRE(answer);
        CHECK(answer->final);
        CHECK(answer->state == S::kUp);
        CHECK(answer->your_disc == 77);
        CHECK(bfd.states() == std::vector<BfdStatus>{{route(v6).row, S::kUp}});
        m.your_disc = 8;
        const Frame stranger = from_peer(v6, m);
        CHECK_FALSE(bfd.take(stranger, read_headers(stranger), 11, &packets).known);
    }
}

TEST_CASE("rows come, change and go") {
    Bfd bfd([] { return 0u; });
    BfdConfig c = route(false);
    c.admin_down = true;
    bfd.configure({c}, 0);
    CHECK(bfd.states()[0].state == S::kAdminDown);
    CHECK(bfd.next_ms() == INT64_MAX);
    c.admin_down = false;
    CHECK(bfd.configure({c}, 1));
    CHECK(bfd.states()[0].state == S::kDown);
    CHECK_FALSE(bfd.configure({c}, 2));
    CHECK(bfd.configure({}, 3));
    CHECK(bfd.states().empty());
}

}  // namespace
}  // namespace sluice::watch
