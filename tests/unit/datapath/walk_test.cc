// SPDX-License-Identifier: Apache-2.0
// Instructions and the output stage, seen from outside: what comes out of ports and the mailbox.
#include <catch2/catch.hpp>

#include "datapath/trace.h"
#include "lib/program/packet_meta.h"
#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

/// One switch, VIF 1 at port 0, VIF 2 at port 1; what table 0 does is the test's.
struct Net {
    World world;
    DatapathModel& ls = world.datapath(7);
    Lab lab;
    Net() {
        world.vif(ls, 1, 0);
        world.vif(ls, 2, 1);
        world.entry(0, ls, 1);
        world.rule(ls, kEgress, 0, {}, {output()});
    }
    void run(std::vector<Instr> code) {
        code.push_back(load(kSlotOutport, 2));
        code.push_back(output());
        world.rule(ls, kIngress, 0, {}, code);
        lab.publish(world);
    }
    Bytes one(const Bytes& frame) {
        lab.send(0, frame);
        const auto out = lab.take(1);
        REQUIRE(out.size() == 1);
        return out[0];
    }
};

PacketBuilder udp(uint32_t src = 3, uint32_t dst = 4) {
    return PacketBuilder().eth(0xa, 0xb).ip4(src, dst).udp(5, 6).payload(10);
}

Message message(Lab& lab) {
    Message m{};
    CHECK(lab.mailbox->take_messages(&m, 1) == 1);
    return m;
}

/// Code that makes bit `bit` of reg1 the TTL, so that a test sees it.
Instr show(unsigned slot, unsigned bit) {
    return op(Op::kMove, kSlotIpTtl, slot, 0, bit, 1);
}

}  // namespace

TEST_CASE("move, exchange, push and pop work on bit ranges", "[walk]") {
    Net net;
    net.run({op(Op::kExchange, kSlotIp4Src, kSlotIp4Dst, 0, 0, 32),
             op(Op::kMove, kSlotL4Src, kSlotIp4Src, 4, 8, 8), op(Op::kPush, 0, kSlotL4Dst, 0, 0, 4),
             load(kSlotL4Dst, 99), op(Op::kPop, kSlotIpTtl, 0, 2, 0, 4)});
    const Bytes out = net.one(udp(0x0a0b0c0d, 0x01020304));
    // TTL 64 is 0b1000000; bits 2..5 become 6.
    CHECK(out == PacketBuilder()
                     .eth(0xa, 0xb)
                     .ip4(0x01020304, 0x0a0b0c0d)
                     .ttl(0x40 | 6 << 2)
                     .udp(0x0035, 99)
                     .payload(10)
                     .bytes());
}

TEST_CASE("a stack has an end", "[walk]") {
    Net net;
    net.run(std::vector<Instr>(limits::kMaxStack + 1, op(Op::kPush, 0, kSlotIp4Src, 0, 0, 32)));
    net.lab.send(0, udp());
    CHECK(net.lab.drops(Drop::k_stack_overflow) == 1);
}

TEST_CASE("neighbours: get, lookup, put", "[walk]") {
    Net net;
    net.ls.neighbors.ip4[{1, 4}] = 0x0200000000dd;
    Ip6 six{};
    const Bytes bytes = ip6(0xfd00, 9);
    std::copy(bytes.begin(), bytes.end(), six.bytes.begin());
    net.ls.neighbors.ip6[{1, six}] = 0x0200000000ee;
    SECTION("get_arp") {
        net.run({op(Op::kGetArp, kSlotInport, kSlotIp4Dst)});
        CHECK(net.one(udp(3, 4))[5] == 0xdd);
        CHECK(to_hex(net.one(udp(3, 5))).substr(0, 12) == "000000000000");
    }
    SECTION("get_nd") {
        net.run({op(Op::kGetNd, kSlotInport, kSlotIp6Dst)});
        const auto to = [](uint64_t dst) {
            return PacketBuilder().eth(1, 2).ip6(ip6(0xfd00, 1), ip6(0xfd00, dst)).udp(1, 2);
        };
        CHECK(net.one(to(9))[5] == 0xee);
        CHECK(net.one(to(8))[5] == 0);
    }
    SECTION("lookup_arp, lookup_arp_ip") {
        net.run({op(Op::kLookupArp, kSlotInport, kSlotArpSpa, kSlotArpSha, 0, kSlotXxreg0, 5),
                 op(Op::kLookupArpIp, kSlotInport, kSlotArpSpa, 0, 0, kSlotXxreg0, 6),
                 op(Op::kMove, kSlotArpTpa, kSlotXxreg0, 0, 0, 32)});
        const auto tpa = [&](uint64_t sha, uint32_t spa) {
            return net.one(PacketBuilder().eth(1, 2).arp(1, sha, spa, 0, 9)).back();
        };
        CHECK(tpa(0x0200000000dd, 4) == 0x60);
        CHECK(tpa(0x0200000000de, 4) == 0x40);
        CHECK(tpa(0x0200000000dd, 5) == 0);
    }
    SECTION("put_arp") {
        net.run({op(Op::kPutArp, kSlotInport, kSlotArpSpa, kSlotArpSha)});
        for (int i = 0; i < 2; ++i) {  // on a miss and on a hit
            net.one(PacketBuilder().eth(1, 2).arp(1, 0x0200000000dd, ip(1, 2, 3, 4), 0, 9));
            const Message m = message(net.lab);
            CHECK(m.kind == Message::Kind::kPutArp);
            CHECK(m.datapath == 7);
            CHECK(m.port == 1);
            CHECK(m.mac == 0x0200000000dd);
            CHECK(to_hex(Bytes(m.ip, m.ip + 5)) == "0102030400");
            CHECK(m.flow == 1);
        }
    }
    SECTION("put_nd") {
        net.run({op(Op::kPutNd, kSlotInport, kSlotNdTarget, kSlotNdTll)});
        net.one(PacketBuilder()
                    .eth(1, 2)
                    .ip6(ip6(0xfd00, 1), ip6(0xfd00, 2))
                    .ttl(255)
                    .icmp(136, 0)
                    .raw(ip6(0xfd00, 0x77))
                    .raw(from_hex("0201020000000055")));
        const Message m = message(net.lab);
        CHECK(m.kind == Message::Kind::kPutNd);
        CHECK(m.mac == 0x020000000055);
        CHECK(Bytes(m.ip, m.ip + 16) == ip6(0xfd00, 0x77));
    }
}

TEST_CASE("FDB: get, lookup, put", "[walk]") {
    Net net;
    net.ls.neighbors.fdb[0xb] = 77;
    net.run({op(Op::kGetFdb, kSlotXxreg0, kSlotEthDst),
             op(Op::kMove, kSlotL4Src, kSlotXxreg0, 0, 0, 16), load(kSlotXxreg0, 77),
             op(Op::kLookupFdb, kSlotXxreg0, kSlotEthDst, 0, 0, kSlotXxreg1, 2),
             op(Op::kMove, kSlotL4Dst, kSlotXxreg1, 0, 0, 16),
             op(Op::kPutFdb, kSlotInport, kSlotEthSrc)});
    CHECK(net.one(udp()) == PacketBuilder().eth(0xa, 0xb).ip4(3, 4).udp(77, 4).payload(10).bytes());
    const Message m = message(net.lab);
    CHECK(m.kind == Message::Kind::kPutFdb);
    CHECK(m.port == 1);
    CHECK(m.mac == 0xa);
    CHECK(net.one(PacketBuilder().eth(0xa, 0xc).ip4(3, 4).udp(5, 6).payload(10)) ==
          PacketBuilder().eth(0xa, 0xc).ip4(3, 4).udp(0, 0).payload(10).bytes());
}

TEST_CASE("select spreads flows by weight and keeps each", "[walk]") {
    alignas(SelectGroup) static const uint32_t kGroup[] = {100, 3, 1, 10, 2, 30, 3, 100};
    Net net;
    net.run({op(Op::kSelect, kSlotIpTtl, 0, 0, 0, 8, 0, kGroup)});
    unsigned hits[4] = {};
    for (uint32_t i = 0; i < 2000; ++i) {
        const unsigned id = net.one(udp(i, 4))[22];
        REQUIRE(id >= 1);
        REQUIRE(id <= 3);
        ++hits[id];
        CHECK(net.one(udp(i, 4))[22] == id);
    }
    CHECK(hits[1] > 140);
    CHECK(hits[1] < 260);
    CHECK(hits[2] > 330);
    CHECK(hits[2] < 470);
}

TEST_CASE("ip.ttl-- stops at one", "[walk]") {
    Net net;
    net.run({op(Op::kDecTtl)});
    CHECK(net.one(udp().ttl(2)) == udp().ttl(1).bytes());
    net.lab.send(0, udp().ttl(1));
    net.lab.send(0, udp().ttl(0));
    CHECK(net.lab.drops(Drop::k_ttl_expired) == 2);
}

TEST_CASE("set_meter polices by rate and burst", "[walk]") {
    Net net;
    // 52-byte frames of 416 bits; the bucket holds 4 kbit and refills 1 kbit a second.
    net.run({op(Op::kSetMeter, 0, 0, 0, 1, 4)});
    net.lab.worker->set_time(uint64_t{1} << 40);
    net.lab.send(0, std::vector<Bytes>(20, udp()));
    CHECK(net.lab.take(1).size() == 9);
    CHECK(net.lab.drops(Drop::k_metered) == 11);
}

TEST_CASE("arp { } makes a request of the packet and leaves the packet alone", "[walk]") {
    Net net;
    std::vector<Instr> body = load_mac(kSlotEthDst, 0xffffffffffff);
    body.push_back(load(kSlotOutport, 2));
    body.push_back(output());
    std::vector<Instr> code = load_mac(kSlotEthSrc, 0x0200000000cc);
    code.push_back(load(kSlotIp4Src, 9));
    code.push_back(op(Op::kTransform, static_cast<unsigned>(Transform::kArp), 0, 0, body.size()));
    code.insert(code.end(), body.begin(), body.end());
    // Egress sees an ARP packet with the addresses of the changed original.
    net.ls.tables.clear();
    net.world.rule(net.ls, kEgress, 0,
                   {eq(kSlotEthType, 0x806), eq(kSlotArpSpa, 9), eq(kSlotArpTpa, 4),
                    eq(kSlotArpSha + 1, 0xcc), eq(kSlotIpTtl, 0), eq(kSlotPktLen, 42)},
                   {load(kSlotArpOp, 2), output()});
    net.world.rule(net.ls, kEgress, 0, {eq(kSlotEthType, 0x800)}, {output()});
    net.run(code);
    for (int i = 0; i < 2; ++i) {
        net.lab.send(0, udp());
        const auto out = net.lab.take(1);
        REQUIRE(out.size() == 2);
        CHECK(out[0] == PacketBuilder()
                            .eth(0x0200000000cc, 0xffffffffffff)
                            .arp(2, 0x0200000000cc, 9, 0, 4)
                            .bytes());
        CHECK(out[1] ==
              PacketBuilder().eth(0x0200000000cc, 0xb).ip4(9, 4).udp(5, 6).payload(10).bytes());
    }
}

TEST_CASE("ports that lead elsewhere", "[walk]") {
    World world;
    Lab lab;
    DatapathModel& ls = world.datapath(7);
    world.vif(ls, 1, 0);
    world.entry(0, ls, 1);
    world.vif(ls, 3, 1).is_localnet = true;
    world.port(ls, 4, Reach::kLocalnet).via_key = 3;
    world.port(ls, 5, Reach::kRedirect).via_key = 4;
    world.port(ls, 6, Reach::kNoTunnel);
    world.port(ls, 7, Reach::kUnbound);
    world.port(ls, 8, Reach::kRedirect).via_key = 8;
    world.vif(ls, 9, 2).is_localport = true;
    world.entry(2, ls, 9);
    world.port(ls, 10, Reach::kTunnel).tunnel = 0;
    for (uint32_t key = 3; key <= 10; ++key) {
        world.rule(ls, kIngress, 0, {eq(kSlotIp4Dst, key)}, {load(kSlotOutport, key), output()});
    }
    // The egress pipeline sees the port that is used.
    world.rule(ls, kEgress, 0, {eq(kSlotOutport, 3)}, {output()});
    lab.publish(world);
    for (const uint32_t dst : {3, 4, 5}) {
        lab.send(0, udp(3, dst));
        CHECK(lab.take(1).size() == 1);
    }
    lab.send(0, udp(3, 6));
    CHECK(lab.drops(Drop::k_remote_no_tunnel) == 1);
    lab.send(0, udp(3, 7));
    CHECK(lab.drops(Drop::k_unbound_port) == 1);
    lab.send(0, udp(3, 8));
    CHECK(lab.drops(Drop::k_unknown_outport) == 1);
    for (const uint32_t dst : {3, 4, 5, 10}) {
        lab.send(2, udp(3, dst));
    }
    CHECK(lab.drops(Drop::k_localport_remote) == 4);
    CHECK(lab.take_all().empty());
}

TEST_CASE("flags.loopback lets a packet return", "[walk]") {
    Net net;
    net.run({load(kSlotFlags, flag::kLoopback), load(kSlotOutport, 1), output()});
    net.lab.send(0, udp());
    CHECK(net.lab.take(0).size() == 1);
    CHECK(net.lab.take(1).size() == 1);
}

TEST_CASE("egress starts without registers but with flags", "[walk]") {
    Net net;
    net.ls.tables.clear();
    std::vector<Test> zero;
    for (unsigned slot = kSlotXxreg0; slot < kSlotPktMark; ++slot) {
        zero.push_back(eq(slot, 0));
    }
    zero.push_back(eq(kSlotFlags, 0x80));
    zero.push_back(eq(kSlotPktMark, 5));
    net.world.rule(net.ls, kEgress, 0, zero, {output()});
    std::vector<Instr> code{load(kSlotFlags, 0x80), load(kSlotPktMark, 5)};
    for (unsigned slot = kSlotXxreg0; slot < kSlotPktMark; ++slot) {
        code.push_back(load(slot, 1));
    }
    net.run(code);
    net.one(udp());
}

TEST_CASE("injected packets take up where they are told to", "[walk]") {
    Net net;
    net.run({});
    const auto inject = [&](InjectKind kind, const PuntMeta& punt) {
        rte_mbuf* m = to_mbuf(udp());
        meta_of(m).inject = kind;
        meta_of(m).punt = punt;
        REQUIRE(net.lab.mailbox->inject(m));
        net.lab.worker->run_once();
        return net.lab.take_all();
    };
    PuntMeta punt{};
    punt.port = 5;
    CHECK(inject(InjectKind::kToPort, punt).count(5) == 1);
    punt.port = 0;
    CHECK(inject(InjectKind::kFromPort, punt).count(1) == 1);
    punt.logical[kSlotDatapath] = 7;
    punt.logical[kSlotInport] = 1;
    CHECK(inject(InjectKind::kIngress, punt).count(1) == 1);
    punt.logical[kSlotOutport] = 2;
    CHECK(inject(InjectKind::kOutput, punt).count(1) == 1);
    punt.logical[kSlotOutport] = 1;
    CHECK(inject(InjectKind::kOutput, punt).empty());
    punt.logical[kSlotFlags] = flag::kLoopback;
    CHECK(inject(InjectKind::kOutput, punt).count(0) == 1);
    punt.logical[kSlotDatapath] = 8;
    CHECK(inject(InjectKind::kIngress, punt).empty());
    CHECK(net.lab.drops(Drop::k_unknown_datapath) == 1);
    CHECK(net.lab.count(Counter::k_injected) == 7);
}

TEST_CASE("a trace tells every step and changes nothing", "[walk]") {
    Net net;
    net.run({show(kSlotXxreg0, 0), op(Op::kDecTtl)});
    const Bytes ttl0 = udp().ttl(3);
    Trace trace;
    net.lab.worker->set_trace(&trace);
    const Bytes out = net.one(ttl0);
    net.lab.worker->set_trace(nullptr);
    CHECK(net.one(ttl0) == out);
    using Kind = TraceRecord::Kind;
    std::vector<Kind> kinds;
    for (const TraceRecord& r : trace.records) {
        kinds.push_back(r.kind);
    }
    CHECK(kinds == std::vector<Kind>{Kind::kReceive, Kind::kEnter, Kind::kTable, Kind::kCode,
                                     Kind::kCode, Kind::kCode, Kind::kCode, Kind::kDeliver,
                                     Kind::kTable, Kind::kCode, Kind::kOutput, Kind::kFrame});
    CHECK(trace.records.back().frame == out);
    CHECK(trace.records.back().port == 1);
    CHECK(trace.records[2].rule->flow == 1);
}
