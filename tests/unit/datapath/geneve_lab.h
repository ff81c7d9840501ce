// SPDX-License-Identifier: Apache-2.0
// What the tests of both directions share: vectors, a receiving and a sending hypervisor.
#pragma once

#include <catch2/catch.hpp>

#include "tests/unit/datapath/world.h"

namespace sluice::test {

// Datapath 3, inport 5, outport 9; its UDP checksum is good in tshark.
inline const char* const kInner =
    "0200000000020200000000010800 450000240001400040 1126c60a0000010a000002 0fa0000900104a8d "
    "6162636465666768";
inline const char* const kOuter =
    "0200000000bb0200000000aa0800 4500005e000040004011b68bc0000201c0000202 "
    "c35017c1004abcbb 02 40 6558 000003 00 0102 80 01 00050009";

// A ping between two hypervisors as tcpdump caught it (IP id and UDP checksum are the sender's).
inline const char* const kCaptured =
    "525400ac675b52540013e0a208004500008ef9b0400040115a94c0a83264c0a832651d7d17c1007ae6a5"
    "024065580000010001028001000100024044000000024044000000010800450000 54a3f0400040011551"
    "c0a8000bc0a8000c0800c67b04e31af194d96e5c0000000041a70e0000000000101112131415161718191a1b"
    "1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637";

constexpr PortId kUplink = 7;

inline Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

/// Two hypervisors' worth of datapaths 1 and 3, VIFs at ports 0 and 1, the underlay at port 7.
struct Receiver {
    World world;
    Lab lab{1024, 8, 9000};
    DatapathModel& ls = world.datapath(3);

    explicit Receiver(uint32_t our_ip = ip(192, 0, 2, 2), uint64_t our_mac = 0x0200000000bb) {
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
inline PacketBuilder packet(const std::string& geneve, bool v6 = false,
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

inline const char* const kGood = "0240655800000300 0102800100050009";

inline Tunnel make_tunnel(bool v6 = false) {
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

inline uint16_t udp_sum(const Bytes& f, bool v6) {
    const size_t l4 = v6 ? 54 : 34;
    uint32_t sum = word_sum(&f[v6 ? 22 : 26], v6 ? 32 : 8) + 17 + f[l4 + 4] * 256u + f[l4 + 5];
    sum += word_sum(&f[l4], f.size() - l4);
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<uint16_t>(sum);
}

}  // namespace sluice::test
