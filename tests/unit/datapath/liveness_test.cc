// SPDX-License-Identifier: Apache-2.0
// Sets of tunnels, BFD through tunnels, forwarding groups that ask who is alive.
#include <catch2/catch.hpp>

#include "lib/mailbox/mailbox.h"
#include "lib/program/packet_meta.h"
#include "tests/unit/datapath/geneve_lab.h"

using namespace sluice;
using namespace sluice::test;

namespace {

using Life = TunnelLife::State;

// What Open vSwitch 3.1 sent from 192.168.0.1 to 192.168.0.2, whole: with key 0, no option.
constexpr const char* kOuterBfd =
    "02bb0000000202aa0000000108004500006600004000 4011b933c0a80001c0a80002 e82d17c100521176"
    "0000655800000000";
constexpr const char* kInnerBfd =
    "002320000001b2a4b800477a080045c0003400000000ff1164fba9fe0101a9fe0100c0000ec80020000020400418"
    "ad74a8c800000000000f42400007a12000000000";

Tunnel tunnel_to(uint8_t last, const TunnelLife* life) {
    Tunnel t = make_tunnel();
    t.header[t.l3_ofs + 19] = last;
    t.life = life;
    return t;
}

/// A switch whose port 9 is on the first live of three chassis.
struct Standbys {
    World world;
    Lab lab{1024, 8, 9000};
    DatapathModel& ls = world.datapath(3);
    TunnelLife lives[3];

    Standbys() {
        world.vif(ls, 5, 1);
        world.entry(1, ls, 5);
        auto set = std::make_shared<TunnelSet>();
        for (uint8_t i = 0; i < 3; ++i) {
            const auto last = static_cast<uint8_t>(10 + i);
            set->tunnels.push_back(world.tunnel(tunnel_to(last, &lives[i])));
        }
        world.tunnel_sets.push_back(set);
        world.port(ls, 9, Reach::kTunnel).tunnel = TunnelSet::kTarget | 0;
        world.rule(ls, kIngress, 0, {}, {load(kSlotOutport, 9), output()});
        lab.publish(world);
    }
    /// The last byte of the address that a packet is sent to; 0: nowhere.
    unsigned one() {
        lab.send(1, from_hex(kInner));
        const auto sent = lab.take(kUplink);
        CHECK(sent.size() <= 1);
        return sent.empty() ? 0 : sent[0][33];
    }
};

}  // namespace

TEST_CASE("the first live chassis of a group gets the packet, without a publish", "[liveness]") {
    Standbys net;
    CHECK(net.one() == 10);
    CHECK(net.one() == 10);
    const uint64_t misses = net.lab.count(Counter::k_cache_miss);
    net.lives[0].state = Life::kDown;
    CHECK(net.one() == 11);
    net.lives[1].state = Life::kDown;
    CHECK(net.one() == 12);
    CHECK(net.lab.count(Counter::k_tunnel_standby) == 2);
    net.lives[2].state = Life::kDown;
    const uint64_t drops = net.lab.drops(Drop::k_no_live_chassis);
    CHECK(net.one() == 0);
    CHECK(net.lab.drops(Drop::k_no_live_chassis) == drops + 1);
    net.lives[0].state = Life::kUp;
    CHECK(net.one() == 10);
    // The same cached program all along.
    CHECK(net.lab.count(Counter::k_cache_miss) == misses);
    CHECK(net.lab.count(Counter::k_cache_hit) >= 5);
}

TEST_CASE("BFD with key 0 is the tunnel's, with another it is a tenant's", "[liveness]") {
    Receiver net(ip(192, 168, 0, 2), 0x02bb00000002);
    net.start();
    const Bytes inner = from_hex(kInnerBfd);
    net.lab.send(kUplink, from_hex(kOuterBfd) + inner);
    rte_mbuf* punted = nullptr;
    REQUIRE(net.lab.mailbox->take_punts(&punted, 1) == 1);
    const PuntMeta& meta = meta_of(punted).punt;
    CHECK(meta.reason == PuntReason::kTunnelBfd);
    CHECK(to_bytes(punted) == inner);
    CHECK(meta.logical[TunnelBfdWords::kSource + 2] == 0xffff);
    CHECK(meta.logical[TunnelBfdWords::kSource + 3] == ip(192, 168, 0, 1));
    CHECK(meta.logical[TunnelBfdWords::kTarget + 3] == ip(192, 168, 0, 2));
    CHECK(meta.logical[TunnelBfdWords::kType] == uint32_t(TunnelType::kGeneve));
    CHECK(meta.datapath() == 0);
    rte_pktmbuf_free(punted);
    CHECK(net.lab.count(Counter::k_tunnel_bfd) == 1);

    // To the router between tenants it is a packet like any other.
    PacketBuilder b;
    b.eth(0x02aa00000001, 0x02bb00000002).ip4(ip(192, 168, 0, 1), ip(192, 168, 0, 2)).df();
    b.udp(50000, 6081).raw(from_hex(kGood)).raw(inner);
    net.expect_inner(b, inner);
    CHECK(net.lab.take_punts().empty());
    CHECK(net.lab.count(Counter::k_tunnel_bfd) == 1);

    // Nothing else has business with key 0.
    PacketBuilder other;
    other.eth(0x02aa00000001, 0x02bb00000002).ip4(ip(192, 168, 0, 1), ip(192, 168, 0, 2)).df();
    other.udp(50000, 6081).raw(from_hex("0000655800000000")).raw(from_hex(kInner));
    net.expect_drop(other, Drop::k_unknown_datapath);
}

TEST_CASE("BFD goes out as the reference sends it", "[liveness]") {
    Standbys net;
    const Bytes inner = from_hex(kInnerBfd);
    rte_mbuf* m = to_mbuf(inner);
    meta_of(m).inject = InjectKind::kTunnel;
    meta_of(m).punt = PuntMeta{};
    meta_of(m).punt.logical[kSlotOutport] = 0;
    REQUIRE(net.lab.mailbox->inject(m));
    net.lab.worker->run_once();
    const auto sent = net.lab.take(kUplink);
    REQUIRE(sent.size() == 1);
    const Bytes& f = sent[0];
    Bytes wanted = from_hex(kOuterBfd) + inner;
    REQUIRE(f.size() == wanted.size());
    // Its own MACs and addresses; the checksum must be right.
    CHECK(Bytes(f.begin() + 12, f.begin() + 24) == Bytes(wanted.begin() + 12, wanted.begin() + 24));
    CHECK(Bytes(f.begin() + 36, f.begin() + 40) == Bytes(wanted.begin() + 36, wanted.begin() + 40));
    CHECK(Bytes(f.begin() + 42, f.end()) == Bytes(wanted.begin() + 42, wanted.end()));
    CHECK(f[33] == 10);
    CHECK(uint16_t(~word_sum(&f[14], 20) & 0xffff) == 0);
    CHECK(udp_sum(f, false) == 0xffff);
}

TEST_CASE("a forwarding group leaves out members behind dead tunnels at once", "[liveness]") {
    World world;
    Lab lab{1024, 8, 9000};
    DatapathModel& ls = world.datapath(3);
    TunnelLife lives[2];
    alignas(FwdGroupArgs) const uint32_t group[] = {2, 8, 9};
    world.vif(ls, 5, 1);
    world.entry(1, ls, 5);
    for (uint8_t i = 0; i < 2; ++i) {
        const uint32_t tunnel = world.tunnel(tunnel_to(static_cast<uint8_t>(10 + i), &lives[i]));
        world.port(ls, 8u + i, Reach::kTunnel).tunnel = tunnel;
    }
    world.rule(ls, kIngress, 0, {}, {op(Op::kFwdGroup, 1, 0, 0, 0, 0, 0, group), output()});
    lab.publish(world);
    const auto send = [&] {
        std::map<unsigned, unsigned> count;
        for (uint16_t port = 0; port < 64; ++port) {
            lab.send(1, PacketBuilder().eth(0xa, 0xb).ip4(1, 2).udp(port, 6).bytes());
        }
        for (const Bytes& f : lab.take(kUplink)) {
            ++count[f[33]];
        }
        return count;
    };
    lives[0].state = lives[1].state = Life::kUp;
    auto count = send();
    CHECK(count[10] > 10);
    CHECK(count[11] > 10);
    lives[0].state = Life::kDown;
    count = send();
    CHECK(count[10] == 0);
    CHECK(count[11] == 64);
    lives[0].state = Life::kUp;
    lives[1].state = Life::kDown;
    CHECK(send()[10] == 64);
}
