// SPDX-License-Identifier: Apache-2.0
// Mirrors: which packets are copied, as what, and how often; headers by RFC 2784, RFC 2890 and the
// ERSPAN type II draft (draft-foschiano-erspan).
#include <catch2/catch.hpp>

#include "lib/net/checksum.h"
#include "lib/program/mirror_sink.h"
#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr PortId kOut = 5;  ///< of mirror 0
constexpr PortId kGre = 6;  ///< of mirror 1

/// A switch with VIFs 1, 2 and 3 at ports 0, 1 and 2; group 40000 is all of them.
struct Net {
    World world;
    DatapathModel& ls = world.datapath(7);
    Lab lab;
    std::atomic<uint32_t> sequence{0xfffffffe};
    std::shared_ptr<MirrorSink> local = std::make_shared<MirrorSink>();
    std::shared_ptr<MirrorSink> tunnel = std::make_shared<MirrorSink>();

    explicit Net(uint32_t cache = 1024) : lab(cache) {
        for (uint16_t i = 0; i < 3; ++i) {
            world.vif(ls, i + 1u, i);
        }
        ls.groups[40000].key = 40000;
        ls.groups[40000].local = {1, 2, 3};
        world.entry(0, ls, 1);
        world.rule(ls, kEgress, 0, {}, {output()});
        local->type = MirrorSink::Type::kLocal;
        local->is_ready = true;
        local->port = kOut;
        tunnel->type = MirrorSink::Type::kErspan;
        tunnel->is_ready = true;
        tunnel->port = kGre;
        tunnel->mtu = 200;
        tunnel->sequence = &sequence;
        const Bytes header = {
            2,    2, 2, 2, 2,  2, 4,    4, 4,    4,  4,    4,    8, 0,        // Ethernet
            0x45, 0, 0, 0, 0,  0, 0x40, 0, 64,   47, 0,    0,                 // IPv4
            10,   0, 0, 1, 10, 0, 0,    2, 0x10, 0,  0x88, 0xbe, 0, 0, 0, 0,  // GRE
            0x10, 0, 0, 5, 0,  0, 0,    5};                                   // ERSPAN
        std::copy(header.begin(), header.end(), tunnel->header);
        tunnel->header_len = static_cast<uint8_t>(header.size());
        world.mirrors = {local, tunnel};
    }
    void run(std::vector<Instr> code) {
        world.rule(ls, kIngress, 0, {}, code);
        lab.publish(world);
    }
    static Bytes packet(uint8_t ttl = 64, unsigned size = 10) {
        return PacketBuilder().eth(0xa, 0xb).ip4(3, 4).ttl(ttl).udp(5, 6).payload(size).bytes();
    }
};

}  // namespace

TEST_CASE("what a port sends is copied as it came, whatever becomes of it", "[mirror]") {
    const uint32_t cache = GENERATE(0u, 1024u);
    Net net(cache);
    net.ls.ports[1].mirrors_in = 1;
    SECTION("dropped") {
        net.run({op(Op::kDrop)});
        for (int i = 0; i < 3; ++i) {
            net.lab.send(0, Net::packet());
        }
        CHECK(net.lab.take(kOut) == std::vector<Bytes>(3, Net::packet()));
        CHECK(net.lab.drops(Drop::k_logical_flow) == 3);
    }
    SECTION("changed") {
        net.run({op(Op::kDecTtl), load(kSlotOutport, 2), output()});
        for (int i = 0; i < 3; ++i) {
            net.lab.send(0, Net::packet());
        }
        CHECK(net.lab.take(kOut) == std::vector<Bytes>(3, Net::packet()));
        CHECK(net.lab.take(1) == std::vector<Bytes>(3, Net::packet(63)));
    }
    CHECK((net.lab.count(Counter::k_cache_hit) > 0) == (cache != 0));
    CHECK(net.lab.count(Counter::k_mirrored) == 3);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("what a port is sent is copied as it goes out", "[mirror]") {
    Net net;
    net.ls.ports[2].mirrors_out = 1;
    net.ls.ports[3].mirrors_in = 1;  // not what comes out of it
    net.run({op(Op::kDecTtl), load(kSlotOutport, 3), output(), load(kSlotOutport, 2), output()});
    net.lab.send(0, Net::packet());
    CHECK(net.lab.take(kOut) == std::vector<Bytes>{Net::packet(63)});
    CHECK(net.lab.take(1) == std::vector<Bytes>{Net::packet(63)});
    CHECK(net.lab.take(2) == std::vector<Bytes>{Net::packet(63)});
}

TEST_CASE("a mirror gets one copy of a packet, each mirror its own", "[mirror]") {
    Net net;
    net.ls.ports[1].mirrors_in = 1;
    net.ls.ports[2].mirrors_out = 3;
    net.ls.ports[3].mirrors_out = 3;
    net.run({load(kSlotOutport, 40000), output()});
    net.lab.send(0, Net::packet());
    CHECK(net.lab.take(kOut).size() == 1);
    CHECK(net.lab.take(kGre).size() == 1);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("an answer of ours is another packet", "[mirror]") {
    Net net;
    net.ls.ports[1].mirrors_in = net.ls.ports[1].mirrors_out = 1;
    net.run({op(Op::kTransform, static_cast<unsigned>(Transform::kArp), 0, 0, 3),
             load(kSlotFlags, flag::kLoopback, flag::kLoopback), load(kSlotOutport, 1), output()});
    net.lab.send(0, Net::packet());
    const auto copies = net.lab.take(kOut);
    REQUIRE(copies.size() == 2);
    CHECK(copies[0] == Net::packet());
    CHECK(copies[1] == net.lab.take(0).at(0));
}

TEST_CASE("ERSPAN: length, ECN, checksum and a sequence number", "[mirror]") {
    Net net;
    net.ls.ports[1].mirrors_in = 2;
    net.run({op(Op::kDrop)});
    Bytes marked = Net::packet();
    marked[15] = 0xb9;  // DSCP 46, ECT(1)
    net.lab.send(0, marked);
    net.lab.send(0, Net::packet());
    net.lab.send(0, Net::packet());
    const auto copies = net.lab.take(kGre);
    REQUIRE(copies.size() == 3);
    for (uint32_t i = 0; i < 3; ++i) {
        const Bytes& copy = copies[i];
        REQUIRE(copy.size() == 14 + 20 + 8 + 8 + marked.size());
        CHECK((copy[16] << 8 | copy[17]) == static_cast<int>(copy.size() - 14));
        CHECK(checksum::of(copy.data() + 14, 20) == 0);
        CHECK(copy[15] == (i == 0 ? 1 : 0));
        const uint32_t number = uint32_t{copy[38]} << 24 | uint32_t{copy[39]} << 16 |
                                uint32_t{copy[40]} << 8 | copy[41];
        CHECK(number == 0xfffffffe + i);
        CHECK(Bytes(copy.begin() + 50, copy.end()) == (i == 0 ? marked : Net::packet()));
    }
}

TEST_CASE("a copy that cannot be sent is a drop with a name, the packet goes on", "[mirror]") {
    Net net;
    net.ls.ports[1].mirrors_in = 3;
    net.local->is_ready = false;
    net.run({load(kSlotOutport, 2), output()});
    net.lab.send(0, Net::packet(64, 150 - 42));
    CHECK(net.lab.drops(Drop::k_mirror_unreachable) == 1);
    CHECK(net.lab.drops(Drop::k_too_long) == 0);
    net.lab.send(0, Net::packet(64, 170 - 42));  // 170 + 36 behind the outer Ethernet header
    CHECK(net.lab.drops(Drop::k_too_long) == 1);
    CHECK(net.lab.take(1).size() == 2);
    CHECK(net.lab.take(kGre).size() == 1);
    CHECK(net.lab.in_use() == 0);
}
