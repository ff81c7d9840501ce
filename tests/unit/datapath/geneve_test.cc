// SPDX-License-Identifier: Apache-2.0
// Geneve against RFC 8926, RFC 6040 and captured or independently made packets.
#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "datapath/tunnel/geneve.h"
#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

// Datapath 3, inport 5, outport 9; its UDP checksum is good in tshark.
const char* const kInner =
    "0200000000020200000000010800 450000240001400040 1126c60a0000010a000002 0fa0000900104a8d "
    "6162636465666768";
const char* const kOuter =
    "0200000000bb0200000000aa0800 4500005e000040004011b68bc0000201c0000202 "
    "c35017c1004abcbb 02 40 6558 000003 00 0102 80 01 00050009";

// A ping between two hypervisors as tcpdump caught it (IP id and UDP checksum are the sender's).
const char* const kCaptured =
    "525400ac675b52540013e0a208004500008ef9b0400040115a94c0a83264c0a832651d7d17c1007ae6a5"
    "024065580000010001028001000100024044000000024044000000010800450000 54a3f0400040011551"
    "c0a8000bc0a8000c0800c67b04e31af194d96e5c0000000041a70e0000000000101112131415161718191a1b"
    "1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637";

constexpr PortId kUplink = 7;

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

/// Two hypervisors' worth of datapaths 1 and 3, VIFs at ports 0 and 1, the underlay at port 7.
struct Net {
    World world;
    Lab lab{1024, 8, 9000};
    DatapathModel& ls = world.datapath(3);

    explicit Net(uint32_t our_ip = ip(192, 0, 2, 2), uint64_t our_mac = 0x0200000000bb) {
        world.vif(ls, 9, 0);
        world.entry(0, ls, 9);
        world.rule(ls, kEgress, 0, {eq(kSlotInport, 5), eq(kSlotOutport, 9)}, {output()});
        Underlay underlay{};
        underlay.mac = our_mac;
        underlay.ip4.push_back({our_ip, 24});
        Ip6 own{};
        const Bytes bytes = ip6(0xfd00, 2);
        std::copy(bytes.begin(), bytes.end(), own.bytes.begin());
        underlay.ip6.push_back({own, 64});
        world.underlays[kUplink] = underlay;
    }
    void start() { lab.publish(world); }
    void expect_drop(const Bytes& frame, Drop reason) {
        CAPTURE(drop_name(reason));
        const uint64_t before = lab.drops(reason);
        const unsigned in_use = lab.in_use();
        lab.send(kUplink, frame);
        CHECK(lab.drops(reason) == before + 1);
        CHECK(lab.take_all().empty());
        CHECK(lab.take_punts().empty());
        CHECK(lab.in_use() == in_use);
    }
    void expect_inner(const Bytes& frame, const Bytes& inner) {
        lab.send(kUplink, frame);
        CHECK(lab.take(0) == std::vector<Bytes>{inner});
    }
};

/// A Geneve packet around kInner: header bytes as given.
PacketBuilder packet(const std::string& geneve, bool v6 = false,
                     const Bytes& inner = from_hex(kInner)) {
    PacketBuilder b;
    b.eth(0x0200000000aa, 0x0200000000bb);
    if (v6) {
        b.ip6(ip6(0xfd00, 1), ip6(0xfd00, 2));
    } else {
        b.ip4(ip(192, 0, 2, 1), ip(192, 0, 2, 2)).df();
    }
    b.udp(50000, 6081).raw(from_hex(geneve)).raw(inner);
    return b;
}

const char* const kGood = "0240655800000300 0102800100050009";

Tunnel make_tunnel(bool v6 = false) {
    Tunnel t{};
    PacketBuilder b;
    b.eth(0x0200000000aa, 0x0200000000bb);
    if (v6) {
        b.ip6(ip6(0xfd00, 1), ip6(0xfd00, 2));
    } else {
        b.ip4(ip(192, 0, 2, 1), ip(192, 0, 2, 2));
    }
    b.udp(0, 6081).raw(Bytes(16));
    Bytes header = b.bytes();
    std::copy(header.begin(), header.end(), t.header);
    t.header_len = static_cast<uint8_t>(header.size());
    t.l3_ofs = 14;
    t.l4_ofs = static_cast<uint8_t>(v6 ? 54 : 34);
    t.type = TunnelType::kGeneve;
    t.ip6 = v6;
    t.csum = true;
    t.ttl = 64;
    t.df = true;
    t.state = Tunnel::State::kReady;
    t.option = GeneveOption::kOvn;
    t.port = kUplink;
    t.mtu = 1600;
    t.src_port_base = 50000;
    t.src_port_range = 1;
    return t;
}

/// A switch whose port 2 sends to port 9 through a tunnel.
struct Sender {
    World world;
    Lab lab{1024, 8, 9000};
    DatapathModel& ls = world.datapath(3);
    explicit Sender(const Tunnel& tunnel) {
        world.vif(ls, 5, 1);
        world.entry(1, ls, 5);
        world.port(ls, 9, Reach::kTunnel).tunnel = world.tunnel(tunnel);
        world.rule(ls, kIngress, 0, {}, {load(kSlotOutport, 9), output()});
        lab.publish(world);
    }
    Bytes one(const Bytes& frame) {
        lab.send(1, frame);
        const auto sent = lab.take(kUplink);
        REQUIRE(sent.size() == 1);
        return sent[0];
    }
};

uint16_t udp_sum(const Bytes& f, bool v6) {
    const size_t l4 = v6 ? 54 : 34;
    uint32_t sum = word_sum(&f[v6 ? 22 : 26], v6 ? 32 : 8) + 17 + f[l4 + 4] * 256u + f[l4 + 5];
    sum += word_sum(&f[l4], f.size() - l4);
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<uint16_t>(sum);
}

}  // namespace

TEST_CASE("the reference vector decapsulates to its inner frame", "[geneve]") {
    Net net;
    net.start();
    for (int i = 0; i < 2; ++i) {
        net.expect_inner(from_hex(kOuter) + from_hex(kInner), from_hex(kInner));
    }
    CHECK(net.lab.count(Counter::k_tunnel_rx) == 2);
    CHECK(net.lab.count(Counter::k_cache_hit) == 1);
}

TEST_CASE("the reference vector is what encapsulation makes", "[geneve]") {
    Sender sender(make_tunnel());
    CHECK(to_hex(sender.one(from_hex(kInner))) == to_hex(from_hex(kOuter) + from_hex(kInner)));
}

TEST_CASE("a captured packet of another implementation", "[geneve]") {
    const Bytes outer = from_hex(kCaptured);
    const Bytes inner(outer.begin() + 58, outer.end());
    SECTION("is decapsulated once its checksum is what the wire had") {
        // tcpdump saw it before the NIC filled the checksum in; it names the right one.
        Bytes fixed = outer;
        fixed[40] = 0x71;
        fixed[41] = 0x77;
        Net net(ip(192, 168, 50, 101), 0x525400ac675b);
        DatapathModel& ls = net.world.datapath(1);
        net.world.vif(ls, 2, 1);
        net.world.rule(ls, kEgress, 0, {}, {output()});
        net.start();
        net.lab.send(kUplink, fixed);
        CHECK(net.lab.take(1) == std::vector<Bytes>{inner});
        net.expect_drop(outer, Drop::k_outer_checksum);
    }
    SECTION("is what encapsulation makes, but for id, source port and checksums") {
        World world;
        Lab lab(1024, 8, 1500);
        DatapathModel& ls = world.datapath(1);
        Tunnel t = make_tunnel();
        std::copy(outer.begin(), outer.begin() + 58, t.header);
        t.src_port_base = 0x1d7d;
        world.vif(ls, 1, 1);
        world.entry(1, ls, 1);
        world.port(ls, 2, Reach::kTunnel).tunnel = world.tunnel(t);
        world.rule(ls, kIngress, 0, {}, {load(kSlotOutport, 2), output()});
        lab.publish(world);
        lab.send(1, inner);
        auto sent = lab.take(kUplink);
        REQUIRE(sent.size() == 1);
        Bytes want = outer;
        for (const size_t at : {18, 19, 24, 25, 40, 41}) {
            want[at] = sent[0][at];
        }
        CHECK(to_hex(sent[0]) == to_hex(want));
    }
}

TEST_CASE("what RFC 8926 says about headers", "[geneve]") {
    Net net;
    net.start();
    const Bytes inner = from_hex(kInner);
    net.expect_inner(packet(kGood), inner);
    for (const char* version : {"42", "82", "c2"}) {
        net.expect_drop(packet(std::string(version) + "40655800000300 0102800100050009"),
                        Drop::k_geneve_version);
    }
    net.expect_drop(packet("0240080000000300 0102800100050009"), Drop::k_geneve_protocol);
    net.expect_drop(packet("3f40655800000300 0102800100050009"), Drop::k_geneve_truncated);
    net.expect_drop(packet("0340655800000300 0102800100050009 0103000200000000", false, {}),
                    Drop::k_geneve_option_length);
    net.expect_drop(packet("0440655800000300 0102800100050009 0103000200000000"),
                    Drop::k_geneve_option_length);
    net.expect_drop(packet("0440655800000300 0102800100050009 0103810100000000"),
                    Drop::k_geneve_critical_option);
    net.expect_inner(packet("0440655800000300 0102800100050009 0103010100000000"), inner);
    net.expect_inner(packet("0440655800000300 0103010100000000 0102800100050009"), inner);
    net.expect_drop(packet("0340655800000300 0102800200050009 00000000"),
                    Drop::k_geneve_ovn_option);
    net.expect_drop(packet("0140655800000300 01028000"), Drop::k_geneve_ovn_option);
    net.expect_drop(packet("0000655800000300"), Drop::k_geneve_ovn_option);
    net.expect_drop(packet("0040655800000300"), Drop::k_geneve_ovn_option);
    net.expect_drop(packet("02c0655800000300 0102800100050009"), Drop::k_geneve_oam);
    // Reserved bits say nothing: of the flags, after the VNI, of the option, of the OVN data.
    net.expect_inner(packet("027f6558000003ff 010280e180050009"), inner);
    // C says that there may be something critical; without it options are still honoured.
    net.expect_inner(packet("0200655800000300 0102800100050009"), inner);
    net.expect_drop(packet("0240655800000900 0102800100050009"), Drop::k_unknown_datapath);
    net.expect_drop(packet("0240655800000300 0102800100050000"), Drop::k_no_outport);
    net.expect_drop(packet(kGood, false, Bytes(13)), Drop::k_runt_frame);
    net.expect_drop(packet("02406558000003", false, {}), Drop::k_geneve_truncated);
}

TEST_CASE("the older option form is taken if wanted, and sent if wanted", "[geneve]") {
    const char* const legacy = "0200655800000300 ffff000100050009";
    Net net;
    SECTION("accepted") {
        net.start();
        net.expect_inner(packet(legacy), from_hex(kInner));
    }
    SECTION("refused") {
        net.world.legacy_geneve_rx = false;
        net.start();
        net.expect_drop(packet(legacy), Drop::k_geneve_ovn_option);
    }
    SECTION("sent") {
        Tunnel t = make_tunnel();
        t.option = GeneveOption::kLegacy;
        Sender sender(t);
        const Bytes sent = sender.one(from_hex(kInner));
        CHECK(to_hex(Bytes(sent.begin() + 42, sent.begin() + 58)) == to_hex(from_hex(legacy)));
    }
}

TEST_CASE("outer checksums: good, bad, absent, over IPv4 and IPv6", "[geneve]") {
    Net net;
    net.start();
    const Bytes inner = from_hex(kInner);
    for (const bool v6 : {false, true}) {
        net.expect_inner(packet(kGood, v6), inner);
        net.expect_drop(packet(kGood, v6).bad_l4_checksum(), Drop::k_outer_checksum);
    }
    net.expect_inner(packet(kGood).no_udp_checksum(), inner);
    net.expect_drop(packet(kGood, true).no_udp_checksum(), Drop::k_outer_zero_checksum6);
    Bytes bad_ip = packet(kGood);
    bad_ip[24] ^= 1;
    net.expect_drop(bad_ip, Drop::k_outer_checksum);

    net.world.underlays[kUplink].accept_zero_csum6 = true;
    net.lab.publish(net.world);
    net.expect_inner(packet(kGood, true).no_udp_checksum(), inner);
}

TEST_CASE("outer packets: fragments, options, padding, lengths, addressees", "[geneve]") {
    Net net;
    net.start();
    const Bytes inner = from_hex(kInner);
    net.expect_drop(packet(kGood).frag(0, true), Drop::k_outer_fragment);
    net.expect_drop(packet(kGood).frag(100, false), Drop::k_outer_fragment);
    Bytes padded = packet(kGood);
    padded.resize(padded.size() + 20);
    net.expect_inner(padded, inner);
    net.expect_inner(PacketBuilder()
                         .eth(0x0200000000aa, 0x0200000000bb)
                         .ip4(ip(192, 0, 2, 1), ip(192, 0, 2, 2))
                         .ip4_options(from_hex("01010101"))
                         .udp(1, 6081)
                         .raw(from_hex(kGood))
                         .raw(inner),
                     inner);
    Bytes short_udp = packet(kGood).no_udp_checksum();
    short_udp[38] = 0;
    short_udp[39] = 15;
    net.expect_drop(short_udp, Drop::k_geneve_truncated);
    Bytes long_udp = packet(kGood).no_udp_checksum();
    long_udp[38] = 1;
    net.expect_drop(long_udp, Drop::k_geneve_truncated);

    Bytes other_mac = packet(kGood);
    other_mac[5] = 0x77;
    net.expect_drop(other_mac, Drop::k_underlay_not_ours);
    const auto to_host = [&](const Bytes& frame) {
        net.lab.send(kUplink, frame);
        CHECK(net.lab.take_punts() == std::vector<Bytes>{frame});
    };
    to_host(PacketBuilder()
                .eth(0x0200000000aa, 0x0200000000bb)
                .ip4(ip(192, 0, 2, 1), ip(192, 0, 2, 9))
                .udp(50000, 6081)
                .payload(40));
    to_host(PacketBuilder()
                .eth(0x0200000000aa, 0x0200000000bb)
                .ip4(ip(192, 0, 2, 1), ip(192, 0, 2, 2))
                .tcp(50000, 22));
    to_host(PacketBuilder().eth(0x0200000000aa, 0xffffffffffff).arp(1, 1, 2, 3, 4));
    const auto udp_to = [](uint16_t port) {
        return PacketBuilder()
            .eth(0x0200000000aa, 0x0200000000bb)
            .ip4(ip(192, 0, 2, 1), ip(192, 0, 2, 2))
            .udp(50000, port)
            .payload(50)
            .bytes();
    };
    net.expect_drop(udp_to(4789), Drop::k_tunnel_unknown_type);
    to_host(udp_to(53));
}

TEST_CASE("headers of a tunnel packet may be spread over segments", "[geneve]") {
    Net net;
    net.start();
    const Bytes frame = packet(kGood);
    for (const std::vector<uint16_t>& cut :
         {std::vector<uint16_t>{14}, std::vector<uint16_t>{20, 30, 5, 7},
          std::vector<uint16_t>{60, 3, 3, 3}}) {
        rte_mbuf* m = to_mbuf(frame, cut);
        net.lab.worker->process_burst(&m, 1, kUplink);
        CHECK(net.lab.take(0) == std::vector<Bytes>{from_hex(kInner)});
    }
}

TEST_CASE("an underlay port that is a localnet port, too", "[geneve]") {
    Net net;
    DatapathModel& physical = net.world.datapath(8);
    net.world.vif(physical, 1, kUplink).is_localnet = true;
    net.world.entry(kUplink, physical, 1);
    net.world.vif(physical, 2, 2);
    net.world.rule(physical, kIngress, 0, {}, {load(kSlotOutport, 2), output()});
    net.world.rule(physical, kEgress, 0, {}, {output()});
    net.start();
    const Bytes all = PacketBuilder().eth(0xaa, 0xffffffffffff).arp(1, 1, 2, 3, 4);
    net.lab.send(kUplink, all);
    CHECK(net.lab.take(2) == std::vector<Bytes>{all});
    CHECK(net.lab.take_punts() == std::vector<Bytes>{all});
    const Bytes other = PacketBuilder().eth(0xaa, 0x0200000000cc).arp(1, 1, 2, 3, 4);
    net.lab.send(kUplink, other);
    CHECK(net.lab.take(2) == std::vector<Bytes>{other});
    CHECK(net.lab.take_punts().empty());
    const Bytes ours = PacketBuilder().eth(0xaa, 0x0200000000bb).arp(1, 1, 2, 3, 4);
    net.lab.send(kUplink, ours);
    CHECK(net.lab.take(2).empty());
    CHECK(net.lab.take_punts() == std::vector<Bytes>{ours});
    net.expect_inner(packet(kGood), from_hex(kInner));
}

TEST_CASE("RFC 6040: every combination on decapsulation", "[geneve]") {
    // Rows: inner Not-ECT, ECT(1), ECT(0), CE; columns: outer in the same order. -1: drop.
    const int want[4][4] = {{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
    Net net;
    net.start();
    for (const bool v6 : {false, true}) {
        for (unsigned inner = 0; inner < 4; ++inner) {
            for (unsigned outer = 0; outer < 4; ++outer) {
                CAPTURE(v6, inner, outer);
                const auto frame = [&](unsigned ecn) {
                    PacketBuilder b;
                    b.eth(1, 2);
                    if (v6) {
                        b.ip6(ip6(0xfd00, 7), ip6(0xfd00, 8));
                    } else {
                        b.ip4(7, 8);
                    }
                    return b.tos(static_cast<uint8_t>(0x48 | ecn)).udp(1, 2).payload(9).bytes();
                };
                const Bytes tunnelled =
                    packet(kGood, v6, frame(inner)).tos(static_cast<uint8_t>(outer));
                if (want[inner][outer] < 0) {
                    net.expect_drop(tunnelled, Drop::k_ecn_not_ect);
                } else {
                    net.expect_inner(tunnelled, frame(static_cast<unsigned>(want[inner][outer])));
                }
            }
        }
    }
}

TEST_CASE("RFC 6040: encapsulation copies the inner mark; DSCP and TTL as configured", "[geneve]") {
    for (const bool v6 : {false, true}) {
        for (unsigned mode = 0; mode < 4; ++mode) {
            Tunnel t = make_tunnel(v6);
            t.tos_inherit = mode & 1;
            t.ttl_inherit = mode & 2;
            t.tos = 0x28;
            t.ttl = 77;
            Sender sender(t);
            for (unsigned ecn = 0; ecn < 4; ++ecn) {
                PacketBuilder b;
                const Bytes out = sender.one(
                    b.eth(1, 2).ip4(1, 2).tos(static_cast<uint8_t>(0xb8 | ecn)).ttl(5).udp(1, 2));
                const unsigned tos = v6 ? (out[14] & 15u) << 4 | out[15] >> 4 : out[15];
                CHECK(tos == ((t.tos_inherit ? 0xb8u : 0x28u) | ecn));
                CHECK(out[v6 ? 21 : 22] == (t.ttl_inherit ? 5 : 77));
                CHECK(udp_sum(out, v6) == 0xffff);
            }
            // Not IP: nothing to inherit.
            const Bytes arp = sender.one(PacketBuilder().eth(1, 2).arp(1, 2, 3, 4, 5));
            CHECK((v6 ? (arp[14] & 15u) << 4 | arp[15] >> 4 : arp[15]) == 0x28u);
            CHECK(arp[v6 ? 21 : 22] == 77);
        }
    }
}

TEST_CASE("the outer source port is the flow's", "[geneve]") {
    Tunnel t = make_tunnel();
    t.src_port_base = 32768;
    t.src_port_range = 28233;
    Sender sender(t);
    const auto port = [&](const Bytes& frame) {
        const Bytes out = sender.one(frame);
        return out[34] << 8 | out[35];
    };
    const auto udp = [](unsigned flow) {
        return PacketBuilder().eth(1, 2).ip4(1, flow).udp(static_cast<uint16_t>(flow * 7), 9);
    };
    CHECK(port(udp(1)) == port(udp(1).payload(30)));
    const Bytes first = PacketBuilder().eth(1, 2).ip4(5, 6).frag(0, true).udp(1, 2).payload(8);
    const Bytes later = PacketBuilder().eth(1, 2).ip4(5, 6, 17).frag(2, false).payload(16);
    CHECK(port(first) == port(later));
    // Ten thousand flows over 64 paths: chi-square with 63 degrees of freedom, p = 1e-6 is 131.
    std::vector<double> hits(64);
    for (unsigned i = 0; i < 10000; ++i) {
        const int p = port(udp(i));
        REQUIRE(p >= 32768);
        REQUIRE(p < 32768 + 28233);
        ++hits[static_cast<size_t>(p) % 64];
    }
    double chi = 0;
    for (const double h : hits) {
        chi += (h - 156.25) * (h - 156.25) / 156.25;
    }
    CHECK(chi < 131);
}

TEST_CASE("tunnels that cannot be used have names", "[geneve]") {
    const Bytes frame = from_hex(kInner);
    const auto drop_with = [&](const std::function<void(Tunnel&)>& change, Drop reason) {
        Tunnel t = make_tunnel();
        change(t);
        Sender sender(t);
        const unsigned before = sender.lab.in_use();
        sender.lab.send(1, frame);
        CHECK(sender.lab.take_all().empty());
        CHECK(sender.lab.drops(reason) == 1);
        CHECK(sender.lab.in_use() == before);
        Message message;
        const unsigned n = sender.lab.mailbox->take_messages(&message, 1);
        CHECK(n == (reason == Drop::k_tunnel_unresolved ? 1 : 0));
    };
    drop_with([](Tunnel& t) { t.state = Tunnel::State::kNoRoute; }, Drop::k_tunnel_no_route);
    drop_with([](Tunnel& t) { t.state = Tunnel::State::kUnresolved; }, Drop::k_tunnel_unresolved);
    drop_with([](Tunnel& t) { t.type = TunnelType::kStt; }, Drop::k_remote_no_tunnel);
    drop_with([&](Tunnel& t) { t.mtu = static_cast<uint16_t>(frame.size() + 43); },
              Drop::k_too_long);
    Tunnel fits = make_tunnel();
    fits.mtu = static_cast<uint16_t>(frame.size() + 44);
    Sender sender(fits);
    CHECK(sender.one(frame).size() == frame.size() + 58);
}

TEST_CASE("what came by tunnel does not go out by one, patch ports of groups included",
          "[geneve]") {
    Net net;
    net.world.port(net.ls, 20, Reach::kTunnel).tunnel = net.world.tunnel(make_tunnel());
    net.world.vif(net.ls, 10, 1);
    net.world.vif(net.ls, 11, 2);
    net.world.rule(net.ls, kEgress, 0, {}, {output()});
    net.ls.groups[32768] = Group{32768, {11}, {9, 10}, {0}, {20}};
    net.start();
    net.lab.send(kUplink, packet("0240655800000300 0102800100050014"));
    CHECK(net.lab.drops(Drop::k_unbound_port) == 1);
    CHECK(net.lab.take_all().empty());
    net.lab.send(kUplink, packet("0240655800000300 0102800100058000"));
    const auto all = net.lab.take_all();
    CHECK(all.size() == 2);
    CHECK(all.count(0) == 1);
    CHECK(all.count(1) == 1);
}

TEST_CASE("a group on other chassis gets one copy each with the group's key", "[geneve]") {
    World world;
    Lab lab;
    DatapathModel& ls = world.datapath(3);
    world.vif(ls, 5, 1);
    world.entry(1, ls, 5);
    Tunnel a = make_tunnel();
    Tunnel b = make_tunnel();
    b.header[33] = 99;
    ls.groups[32770] = Group{32770, {}, {5}, {world.tunnel(a), world.tunnel(b)}, {}};
    world.rule(ls, kIngress, 0, {}, {load(kSlotOutport, 32770), output()});
    world.rule(ls, kEgress, 0, {}, {output()});
    lab.publish(world);
    lab.send(1, from_hex(kInner));
    const auto sent = lab.take(kUplink);
    REQUIRE(sent.size() == 2);
    CHECK(to_hex(Bytes(sent[0].begin() + 54, sent[0].begin() + 58)) == "00058002");
    CHECK(sent[0][33] == 2);
    CHECK(sent[1][33] == 99);
}
