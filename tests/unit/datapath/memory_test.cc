// SPDX-License-Identifier: Apache-2.0
// What packets leave behind for later ones: affinity of load balancers, previous hops; choices by
// hash, forwarding groups, EVPN lookups and the use of MAC bindings.
#include <catch2/catch.hpp>

#include <rte_cycles.h>

#include <thread>

#include "datapath/ecmp_memory.h"
#include "datapath/lb_affinity.h"
#include "datapath/select_hash.h"
#include "lib/net/wire.h"
#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr uint32_t kVip = 0x0a000001;
constexpr uint32_t kBackend = 0x0a000102;

LbAffinityArgs affinity_to(uint32_t backend, uint16_t backend_port, uint16_t vip_port,
                           uint16_t timeout_s) {
    LbAffinityArgs args;
    args.proto = wire::kProtoTcp;
    args.vip_port = vip_port;
    args.backend_port = backend_port;
    args.timeout_s = timeout_s;
    args.vip[3] = kVip;
    args.backend[3] = backend;
    return args;
}

LbClient client(uint32_t src, uint16_t port = 80, uint8_t proto = wire::kProtoTcp) {
    LbClient c;
    c.datapath = 7;
    c.proto = proto;
    c.port = port;
    c.src[3] = src;
    c.dst[3] = kVip;
    return c;
}

/// A switch (or router) with VIFs 1, 2, 3 at ports 0, 1, 2.
struct Net {
    World world;
    DatapathModel& dp = world.datapath(7);
    Lab lab;
    Net() {
        for (uint32_t key = 1; key < 4; ++key) {
            world.vif(dp, key, static_cast<PortId>(key - 1));
        }
        world.entry(0, dp, 1);
        world.rule(dp, kEgress, 0, {}, {output()});
    }
    void ingress(std::vector<Test> tests, std::vector<Instr> code, bool to_2 = true) {
        if (to_2) {
            code.push_back(load(kSlotOutport, 2));
            code.push_back(output());
        }
        world.rule(dp, kIngress, 0, std::move(tests), std::move(code));
    }
    void at_ms(uint64_t ms) { lab.worker->set_time(ms * (rte_get_tsc_hz() / 1000)); }
};

constexpr uint16_t kSyn = 2;
constexpr uint16_t kAck = 0x10;

PacketBuilder tcp(uint32_t src, uint8_t ttl, uint16_t flags = kAck) {
    return PacketBuilder().eth(0xa, 0xb).ip4(src, kVip).ttl(ttl).tcp(1000, 80, flags);
}

/// Shows `width` bits of a slot as ip4.src.
Instr show(unsigned slot, unsigned bit, unsigned width) {
    return op(Op::kMove, kSlotIp4Src, slot, 0, bit, width);
}

uint32_t shown(const std::vector<Bytes>& out) {
    REQUIRE(out.size() == 1);
    uint32_t v = 0;
    for (unsigned i = 26; i < 30; ++i) {
        v = v << 8 | out[0][i];
    }
    return v;
}

}  // namespace

TEST_CASE("affinity: who is remembered, and for how long", "[affinity]") {
    LbAffinity table(1024, 3);
    LbBackend b;
    table.remember(client(1), affinity_to(kBackend, 8080, 80, 60), 1000);
    REQUIRE(table.find(client(1), 2000, &b));
    CHECK(b.address[3] == kBackend);
    CHECK(b.port == 8080);
    CHECK_FALSE(table.find(client(2), 2000, &b));
    CHECK_FALSE(table.find(client(1, 81), 2000, &b));
    CHECK_FALSE(table.find(client(1, 80, wire::kProtoUdp), 2000, &b));
    LbClient elsewhere = client(1);
    elsewhere.datapath = 8;
    CHECK_FALSE(table.find(elsewhere, 2000, &b));

    // Looks keep it, silence for its timeout ends it.
    CHECK(table.find(client(1), 61'999, &b));
    CHECK(table.find(client(1), 121'998, &b));
    CHECK_FALSE(table.find(client(1), 181'998, &b));
}

TEST_CASE("affinity of a VIP without port holds for every port and protocol", "[affinity]") {
    LbAffinity table(1024, 3);
    LbBackend b;
    table.remember(client(1), affinity_to(kBackend, 0, 0, 60), 1000);
    CHECK(table.find(client(1, 99, wire::kProtoUdp), 2000, &b));
    CHECK(b.port == 0);
}

TEST_CASE("affinity ends with the flow that taught it", "[affinity]") {
    LbAffinity table(1024, 3);
    LbBackend b;
    LbAffinityArgs args = affinity_to(kBackend, 8080, 80, 60);
    args.lease = LbLease::take();
    table.remember(client(1), args, 1000);
    CHECK(table.find(client(1), 1000, &b));
    args.lease.reset();
    CHECK_FALSE(table.find(client(1), 1000, &b));
    // The number may be used again, what was remembered under it stays forgotten.
    args.lease = LbLease::take();
    CHECK_FALSE(table.find(client(1), 1000, &b));
    table.remember(client(1), args, 1000);
    CHECK(table.find(client(1), 1000, &b));
}

TEST_CASE("affinity: more clients than room", "[affinity]") {
    LbAffinity table(64, 3);
    const LbAffinityArgs args = affinity_to(kBackend, 8080, 80, 600);
    LbBackend b;
    for (uint32_t src = 1; src <= 10'000; ++src) {
        table.remember(client(src), args, src);
        CHECK(table.find(client(src), src, &b));
    }
    unsigned kept = 0;
    for (uint32_t src = 1; src <= 10'000; ++src) {
        kept += table.find(client(src), 10'000, &b);
    }
    CHECK(kept >= 32);
    CHECK(kept <= 128);
}

TEST_CASE("memories under contention never answer for somebody else", "[affinity]") {
    LbAffinity table(16, 3);
    std::atomic<bool> wrong{false};
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
            for (uint32_t i = 0; i < 30'000; ++i) {
                const uint32_t src = 1 + (i * 7 + t) % 64;
                if (i % 3 == 0) {
                    table.remember(client(src), affinity_to(src * 1000, 1, 80, 60), i);
                }
                LbBackend b;
                if (table.find(client(src), i, &b) && b.address[3] != src * 1000) {
                    wrong = true;
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK_FALSE(wrong);
}

TEST_CASE("chk_lb_aff loads what commit_lb_aff noted", "[affinity]") {
    Net net;
    const LbAffinityArgs args = affinity_to(kBackend, 8080, 80, 10);
    net.ingress({eq(kSlotTcpFlags, kSyn)}, {op(Op::kCommitLbAff, 0, 0, 0, 0, 0, 0, &args)});
    // Bit 6 of reg9, reg4 and reg8[0..15].
    const Instr check = op(Op::kChkLbAff, 0, 0, 0, 0, kSlotXreg4 + 1, 6);
    net.ingress({eq(kSlotIpTtl, 1)}, {check, show(kSlotXreg4 + 1, 6, 1)});
    net.ingress({eq(kSlotIpTtl, 2)}, {check, show(kSlotXxreg1, 0, 32)});
    net.ingress({}, {check, show(kSlotXreg4, 0, 16)});
    net.lab.publish(net.world);
    const auto ask = [&](uint8_t ttl) {
        net.lab.send(0, tcp(0x01020304, ttl).bytes());
        return shown(net.lab.take(1));
    };
    net.at_ms(1000);
    CHECK(ask(1) == 0x01020304);  // the lowest bit is the answer
    net.lab.send(0, tcp(0x01020304, 64, kSyn).bytes());
    net.lab.take(1);
    CHECK(ask(1) == 0x01020305);
    CHECK(ask(2) == kBackend);
    CHECK(ask(3) == (0x01020000 | 8080));
    net.at_ms(11'000);
    CHECK(ask(1) == 0x01020304);
}

TEST_CASE("previous hops: either direction, MAC, both timeouts", "[ecmp]") {
    EcmpMemory table(1024, 3);
    EcmpPacket p;
    p.datapath = 7;
    p.proto = wire::kProtoTcp;
    p.src_port = 1000;
    p.dst_port = 80;
    p.eth_src = 0xa;
    p.src[3] = 1;
    p.dst[3] = 2;
    EcmpPacket reply = p;
    std::swap(reply.src_port, reply.dst_port);
    std::swap(reply.src, reply.dst);
    reply.eth_src = 0xb;
    EcmpPacket moved = p;
    moved.eth_src = 0xc;

    CHECK_FALSE(table.has_mac(p, 0));
    table.commit(p, 0);
    CHECK(table.has_mac(p, 0));
    CHECK_FALSE(table.has_mac(moved, 0));
    CHECK_FALSE(table.has_mac(reply, 0));
    CHECK(table.has(reply, 0));
    CHECK_FALSE(table.has(p, 0));
    // 20 s without use, 30 s in any case.
    CHECK(table.has(reply, 19'999));
    CHECK_FALSE(table.has_mac(p, 20'000));
    CHECK(table.has(reply, 29'999));
    CHECK_FALSE(table.has(reply, 30'000));
    table.commit(p, 40'000);
    CHECK(table.has(reply, 40'000));
}

TEST_CASE("commit_ecmp_nh, chk_ecmp_nh and chk_ecmp_nh_mac", "[ecmp]") {
    Net net;
    net.ingress({eq(kSlotTcpFlags, kSyn)}, {op(Op::kCommitEcmpNh, 0, wire::kProtoTcp)});
    net.ingress({}, {op(Op::kChkEcmpNh, 0, 0, 0, 0, kSlotXxreg0, 0),
                     op(Op::kChkEcmpNhMac, 0, 0, 0, 0, kSlotXxreg0, 1), show(kSlotXxreg0, 0, 2)});
    net.lab.publish(net.world);
    const auto ask = [&](PacketBuilder packet) {
        net.lab.send(0, packet.bytes());
        return shown(net.lab.take(1)) & 3;
    };
    const auto there = [](uint64_t mac, uint16_t flags = kAck) {
        return PacketBuilder().eth(mac, 0xb).ip4(0x10, 0x20).tcp(1000, 80, flags);
    };
    const auto back = PacketBuilder().eth(0xb, 0xa).ip4(0x20, 0x10).tcp(80, 1000);
    net.at_ms(1000);
    CHECK(ask(there(0xa)) == 0);
    net.lab.send(0, there(0xa, kSyn).bytes());
    net.lab.take(1);
    CHECK(ask(back) == 1);
    CHECK(ask(there(0xa)) == 2);
    CHECK(ask(there(0xd)) == 0);
}

TEST_CASE("a choice by fields looks at these fields alone", "[select]") {
    State a{};
    for (unsigned slot = 0; slot < kSlots; ++slot) {
        a.w[slot] = slot * 0x1234567u;
    }
    const auto differs = [&](uint16_t fields, unsigned slot) {
        State b = a;
        b.w[slot] ^= 0x100;
        return select_hash_of(a, fields) != select_hash_of(b, fields);
    };
    const struct {
        uint16_t bit;
        unsigned slot;
    } fields[] = {{select_hash::kEthSrc, kSlotEthSrc + 1}, {select_hash::kEthDst, kSlotEthDst + 1},
                  {select_hash::kIpProto, kSlotIpProto},   {select_hash::kIpSrc, kSlotIp4Src},
                  {select_hash::kIpSrc, kSlotIp6Src + 2},  {select_hash::kIpDst, kSlotIp4Dst},
                  {select_hash::kIpDst, kSlotIp6Dst},      {select_hash::kL4Src, kSlotL4Src},
                  {select_hash::kL4Dst, kSlotL4Dst},       {0, kSlotFlowHash}};
    for (const auto& chosen : fields) {
        for (const auto& changed : fields) {
            CHECK(differs(chosen.bit, changed.slot) == (chosen.bit == changed.bit));
        }
    }
    CHECK(differs(select_hash::kIpSrc | select_hash::kL4Dst, kSlotIp4Src));
    CHECK(differs(select_hash::kIpSrc | select_hash::kL4Dst, kSlotL4Dst));
}

TEST_CASE("a forwarding group spreads, and with liveness leaves out what is down", "[fwd_group]") {
    Net net;
    alignas(FwdGroupArgs) const uint32_t group[] = {2, 2, 3};
    const bool live = GENERATE(false, true);
    net.world.port(net.dp, 3, Reach::kUnbound);
    net.ingress({}, {op(Op::kFwdGroup, live, 0, 0, 0, 0, 0, group), output()}, false);
    net.lab.publish(net.world);
    for (uint16_t port = 0; port < 64; ++port) {
        net.lab.send(0, PacketBuilder().eth(0xa, 0xb).ip4(1, 2).udp(port, 6).bytes());
    }
    const size_t here = net.lab.take(1).size();
    const uint64_t lost = net.lab.drops(Drop::k_unbound_port);
    CHECK(here + lost == 64);
    if (live) {
        CHECK(lost == 0);
    } else {
        CHECK(here > 10);
        CHECK(lost > 10);
    }
}

TEST_CASE("EVPN: remote FDB, ARP, flooding", "[evpn]") {
    constexpr uint32_t kFar = Evpn::kVtepBit | 5;
    Net net;
    auto evpn = std::make_shared<Evpn>();
    evpn->fdb[0xb] = kFar;
    evpn->ip4[0x0a000009] = 0x0200000000ee;
    evpn->vteps = {kFar, Evpn::kVtepBit | 6};
    net.dp.evpn = evpn;
    net.world.port(net.dp, kFar, Reach::kNoTunnel);
    net.world.port(net.dp, Evpn::kVtepBit | 6, Reach::kNoTunnel);
    SECTION("get_remote_fdb leads to the VTEP's port") {
        net.ingress({}, {op(Op::kGetRemoteFdb, kSlotOutport, kSlotEthDst), output()}, false);
        net.lab.publish(net.world);
        net.lab.send(0, PacketBuilder().eth(0xa, 0xb).ip4(1, 2).udp(1, 2).bytes());
        net.lab.send(0, PacketBuilder().eth(0xa, 0xc).ip4(1, 2).udp(1, 2).bytes());
        CHECK(net.lab.drops(Drop::k_remote_no_tunnel) == 1);
        CHECK(net.lab.drops(Drop::k_no_outport) == 1);
    }
    SECTION("chk_evpn_arp answers and sets eth.dst") {
        net.ingress({}, {op(Op::kChkEvpnArp, 0, kSlotArpTpa, 0, 0, kSlotArpSpa, 0)});
        net.lab.publish(net.world);
        const auto ask = [&](uint32_t tpa) {
            net.lab.send(0, PacketBuilder().eth(0xa, 0xb).arp(1, 0xa, 0x40, 0, tpa).bytes());
            const auto out = net.lab.take(1);
            REQUIRE(out.size() == 1);
            return std::pair<unsigned, unsigned>(out[0][5], out[0][31]);
        };
        CHECK(ask(0x0a000009) == std::pair<unsigned, unsigned>(0xee, 0x41));
        CHECK(ask(0x0a000008) == std::pair<unsigned, unsigned>(0x0b, 0x40));
    }
    SECTION("flood_remote goes to every VTEP, then on") {
        net.ingress({}, {op(Op::kFloodRemote)});
        net.lab.publish(net.world);
        net.lab.send(0, PacketBuilder().eth(0xa, 0xb).ip4(1, 2).udp(1, 2).bytes());
        CHECK(net.lab.drops(Drop::k_remote_no_tunnel) == 2);
        CHECK(net.lab.take(1).size() == 1);
    }
}

TEST_CASE("mac_cache_use is told once a second, for bindings that are known", "[mac_use]") {
    Net net;
    net.dp.neighbors.ip4[{1, 0x10}] = 0xa;
    net.ingress({}, {op(Op::kMacCacheUse)});
    net.lab.publish(net.world);
    const auto told = [&](uint64_t ms, uint64_t mac, uint32_t src) {
        net.at_ms(ms);
        for (unsigned i = 0; i < 3; ++i) {
            net.lab.send(0, PacketBuilder().eth(mac, 0xb).ip4(src, 2).udp(1, 2).bytes());
        }
        Message m[8];
        const unsigned n = net.lab.mailbox->take_messages(m, 8);
        for (unsigned i = 0; i < n; ++i) {
            CHECK(m[i].kind == Message::Kind::kMacUse4);
            CHECK(m[i].port == 1);
            CHECK(m[i].mac == 0xa);
            CHECK(m[i].ip[3] == 0x10);
        }
        return n;
    };
    CHECK(told(5000, 0xa, 0x10) == 1);
    CHECK(told(5900, 0xa, 0x10) == 0);
    CHECK(told(6000, 0xa, 0x10) == 1);
    CHECK(told(7000, 0xc, 0x10) == 0);
    CHECK(told(7000, 0xa, 0x11) == 0);
}

TEST_CASE("an FDB row in use is told of where rows age", "[mac_use]") {
    const bool ages = GENERATE(false, true);
    Net net;
    net.dp.neighbors.fdb[0xa] = 1;
    net.dp.neighbors.fdb[0xc] = 9;
    net.dp.neighbors.fdb_ages = ages;
    net.ingress({}, {op(Op::kLookupFdb, kSlotInport, kSlotEthSrc, 0, 0, kSlotXxreg0, 0)});
    net.lab.publish(net.world);
    const auto told = [&](uint64_t ms, uint64_t mac) {
        net.at_ms(ms);
        for (unsigned i = 0; i < 3; ++i) {
            net.lab.send(0, PacketBuilder().eth(mac, 0xb).ip4(1, 2).udp(1, 2).bytes());
        }
        Message m[8];
        const unsigned n = net.lab.mailbox->take_messages(m, 8);
        for (unsigned i = 0; i < n; ++i) {
            CHECK(m[i].kind == Message::Kind::kFdbUse);
            CHECK(m[i].port == 1);
            CHECK(m[i].mac == 0xa);
        }
        return n;
    };
    CHECK(told(5000, 0xa) == (ages ? 1 : 0));
    CHECK(told(5900, 0xa) == 0);
    CHECK(told(6000, 0xa) == (ages ? 1 : 0));
    CHECK(told(7000, 0xb) == 0);  // not known
    CHECK(told(8000, 0xc) == 0);  // known at another port
}
