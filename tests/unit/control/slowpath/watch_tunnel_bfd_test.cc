// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/tunnel_bfd.h"

#include <catch2/catch.hpp>
#include <deque>
#include <random>

#include "control/slowpath/watch/igmp.h"
#include "control/slowpath/wire.h"
#include "tests/unit/control/slowpath/watch_frames.h"

namespace sluice::watch {
namespace {

using S = BfdState;
using Life = TunnelLife::State;

// What Open vSwitch 3.1 sent through a tunnel at first: down, min_tx 1 s, min_rx 500 ms, mult 4.
constexpr const char* kReference =
    "002320000001b2a4b800477a080045c0003400000000ff1164fba9fe0101a9fe0100c0000ec80020000020400418"
    "ad74a8c800000000000f42400007a12000000000";
constexpr size_t kBfdAt = 42;

Ip6 ip(const char* text) {
    return mapped(*parse_ip4(text));
}

TunnelBfdConfig config(uint32_t tunnel, const char* local, const char* remote) {
    TunnelBfdConfig c;
    c.tunnel = tunnel;
    c.name = remote;
    c.chassis = std::string("chassis of ") + remote;
    c.local = ip(local);
    c.remote = ip(remote);
    c.min_tx_ms = c.min_rx_ms = 100;
    c.life = std::make_shared<TunnelLife>();
    return c;
}

std::function<uint32_t()> numbers(unsigned seed) {
    return [engine = std::mt19937(seed)]() mutable { return static_cast<uint32_t>(engine()); };
}

/// Two chassis, and a wire between them that can be cut.
struct Wire {
    TunnelBfdConfig config_a = config(4, "10.0.0.1", "10.0.0.2");
    TunnelBfdConfig config_b = config(7, "10.0.0.2", "10.0.0.1");
    TunnelBfd a{numbers(1)}, b{numbers(2)};
    std::deque<std::vector<uint8_t>> to_a, to_b;
    int64_t now = 0;
    bool is_cut = false;
    bool a_sleeps = false;

    Wire() {
        a.configure({config_a}, 0);
        b.configure({config_b}, 0);
    }
    void turn(TunnelBfd& end, const TunnelBfdConfig& c, std::deque<std::vector<uint8_t>>* in,
              std::deque<std::vector<uint8_t>>* out) {
        std::vector<TunnelBfd::Packet> packets;
        for (; !in->empty(); in->pop_front()) {
            const auto& frame = in->front();
            CHECK(end.take(frame, read_headers(frame), {c.type, c.remote, c.local}, now, &packets)
                      .known);
        }
        end.run(now, &packets);
        for (auto& packet : packets) {
            CHECK(packet.tunnel == c.tunnel);
            if (!is_cut) {
                out->push_back(std::move(packet.frame));
            }
        }
    }
    void run(int64_t until_ms) {
        for (; now < until_ms; ++now) {
            if (!a_sleeps) {
                turn(a, config_a, &to_a, &to_b);
            }
            turn(b, config_b, &to_b, &to_a);
        }
    }
    Life life_a() const { return config_a.life->state.load(); }
    Life life_b() const { return config_b.life->state.load(); }
};

TEST_CASE("the first message is the reference's, byte for byte", "[tunnel_bfd]") {
    TunnelBfd bfd([] { return 0xad74a8c8u; });
    TunnelBfdConfig c = config(3, "192.168.0.1", "192.168.0.2");
    c.min_tx_ms = 300;
    c.min_rx_ms = 500;
    c.mult = 4;
    bfd.configure({c}, 0);
    std::vector<TunnelBfd::Packet> packets;
    bfd.run(0, &packets);
    REQUIRE(packets.size() == 1);
    Frame wanted = hex(kReference);
    const Frame& frame = packets[0].frame;
    CHECK((frame.at(6) & 3) == 2);  // a unicast address that nobody was given
    std::copy_n(frame.begin() + 6, 6, wanted.begin() + 6);
    CHECK(frame == wanted);
}

TEST_CASE("tunnels come up, and are dead after three intervals of silence", "[tunnel_bfd]") {
    Wire wire;
    CHECK(wire.life_a() == Life::kDown);  // watched, and nobody has answered
    wire.run(4000);
    CHECK(wire.life_a() == Life::kUp);
    CHECK(wire.life_b() == Life::kUp);
    CHECK(wire.a.states()[0].detection_ms == 300);
    CHECK(wire.a.states()[0].tx_ms == 100);
    CHECK(wire.a.states()[0].remote_disc == wire.b.states()[0].disc);
    wire.is_cut = true;
    wire.run(4190);  // the last message was at most 100 ms old
    CHECK(wire.life_a() == Life::kUp);
    wire.run(4305);
    CHECK(wire.life_a() == Life::kDown);
    CHECK(wire.life_b() == Life::kDown);
    wire.is_cut = false;
    wire.run(8000);
    CHECK(wire.life_a() == Life::kUp);
    CHECK(wire.a.states()[0].flaps == 3);
}

TEST_CASE("a change of state is told at once, not at the next slow interval", "[tunnel_bfd]") {
    Wire wire;
    wire.run(1200);  // the first messages met at 0: down, init, up need no second
    CHECK(wire.life_a() == Life::kUp);
    CHECK(wire.life_b() == Life::kUp);
}

// 180 ms: less than the peer stands, but together with what was lost more than 300 ms of silence.
TEST_CASE("who was paused himself judges later", "[tunnel_bfd]") {
    for (int64_t phase = 0; phase < 100; phase += 3) {
        Wire wire;
        wire.run(4000 + phase);
        wire.a_sleeps = true;
        wire.run(4180 + phase);
        wire.to_a.clear();
        wire.a_sleeps = false;
        wire.run(4600 + phase);
        CHECK(wire.a.states()[0].flaps == 1);
    }
}

TEST_CASE("a pause of one's own is no excuse for ever", "[tunnel_bfd]") {
    Wire wire;
    wire.run(4000);
    wire.a_sleeps = true;
    wire.is_cut = true;
    wire.run(4180);
    wire.to_a.clear();
    wire.a_sleeps = false;
    wire.run(4610);
    CHECK(wire.life_a() == Life::kDown);
}

TEST_CASE("others than the peer say nothing", "[tunnel_bfd]") {
    Wire wire;
    wire.run(4000);
    BfdMessage m;
    m.state = S::kAdminDown;
    m.mult = 3;
    m.my_disc = wire.b.states()[0].disc;
    m.your_disc = wire.a.states()[0].disc;
    m.min_tx_us = m.min_rx_us = 100'000;
    Frame frame = hex(kReference);
    const auto bytes = m.bytes();
    std::copy(bytes.begin(), bytes.end(), frame.begin() + kBfdAt);
    const TunnelBfd::Ends ends = {TunnelType::kGeneve, ip("10.0.0.2"), ip("10.0.0.1")};
    const auto is_known = [&](const Frame& f, const TunnelBfd::Ends& from) {
        std::vector<TunnelBfd::Packet> packets;
        return wire.a.take(f, read_headers(f), from, wire.now, &packets).known;
    };
    CHECK_FALSE(is_known(frame, {TunnelType::kGeneve, ip("10.0.0.3"), ip("10.0.0.1")}));
    CHECK_FALSE(is_known(frame, {TunnelType::kVxlan, ip("10.0.0.2"), ip("10.0.0.1")}));
    Frame far = frame;
    far[22] = 254;  // came through a router: RFC 5881, 5
    CHECK_FALSE(is_known(far, ends));
    Frame other = frame;
    other[kBfdAt + 11] ^= 1;  // somebody else's discriminator
    CHECK_FALSE(is_known(other, ends));
    CHECK_FALSE(is_known(Frame(frame.begin(), frame.end() - 1), ends));
    CHECK(wire.life_a() == Life::kUp);
    CHECK(is_known(frame, ends));
    CHECK(wire.life_a() == Life::kDown);
}

TEST_CASE("sessions follow the list", "[tunnel_bfd]") {
    Wire wire;
    wire.run(4000);
    CHECK_FALSE(wire.a.configure({wire.config_a}, 4000));
    TunnelBfdConfig slower = wire.config_a;
    slower.min_rx_ms = 200;
    wire.a.configure({slower}, 4000);
    wire.run(6000);
    CHECK(wire.life_a() == Life::kUp);
    CHECK(wire.b.states()[0].tx_ms == 200);
    // The index means another tunnel now.
    TunnelBfdConfig next = config(4, "10.0.0.1", "10.0.0.9");
    CHECK(wire.a.configure({next}, 6000));
    CHECK(wire.life_a() == Life::kUnwatched);
    CHECK(next.life->state.load() == Life::kDown);
    CHECK(wire.a.configure({}, 6001));
    CHECK(next.life->state.load() == Life::kUnwatched);
    CHECK(wire.a.states().empty());
}

TEST_CASE("tunnels from two of our addresses to one are told apart", "[tunnel_bfd]") {
    TunnelBfd bfd(numbers(3));
    const auto first = config(1, "10.0.0.1", "10.0.0.2");
    const auto second = config(2, "10.0.1.1", "10.0.0.2");
    bfd.configure({first, second}, 0);
    const Frame frame = hex(kReference);
    std::vector<TunnelBfd::Packet> packets;
    bfd.take(frame, read_headers(frame), {TunnelType::kGeneve, ip("10.0.0.2"), ip("10.0.1.1")}, 1,
             &packets);
    CHECK(bfd.states()[0].state == S::kDown);
    CHECK(bfd.states()[1].state == S::kInit);
}

}  // namespace
}  // namespace sluice::watch
