// SPDX-License-Identifier: Apache-2.0
// Edits on bytes: incremental checksums against frames built anew with the wanted value.
#include <rte_mbuf.h>

#include <catch2/catch.hpp>
#include <random>

#include "datapath/edit.h"
#include "datapath/program.h"
#include "datapath/rewrite.h"
#include "datapath/stages.h"
#include "lib/net/checksum.h"
#include "lib/program/packet_meta.h"
#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

/// Everything a frame of the random kinds is made of.
struct Spec {
    uint64_t eth_src, eth_dst;
    bool v6, tagged;
    uint32_t src, dst;
    uint64_t src6, dst6;
    uint8_t tos, ttl;
    unsigned l4;  ///< 0 udp, 1 tcp, 2 icmp, 3 udp without checksum, 4 fragment, 5 sctp
    uint16_t sport, dport;
    uint16_t vid;
    uint8_t pcp;
    size_t payload;

    Bytes frame() const {
        PacketBuilder b;
        b.eth(eth_src, eth_dst);
        if (tagged) {
            b.vlan(vid, pcp);
        }
        if (v6) {
            b.ip6(ip6(0xfd00, src6), ip6(0xfd00, dst6));
        } else {
            b.ip4(src, dst, 17);
        }
        b.tos(tos).ttl(ttl);
        switch (l4) {
        case 0: b.udp(sport, dport); break;
        case 1: b.tcp(sport, dport); break;
        case 2: b.icmp(static_cast<uint8_t>(sport), static_cast<uint8_t>(dport)); break;
        case 3: b.udp(sport, dport).no_udp_checksum(); break;
        case 5: b.sctp(sport, dport); break;
        default:
            if (v6) {
                b.ext(44, from_hex("00001000000007"));
            } else {
                b.frag(4, true);
            }
        }
        return b.payload(payload);
    }
};

Spec random_spec(std::mt19937_64& rng) {
    Spec s{};
    s.eth_src = rng() >> 16;
    s.eth_dst = rng() >> 16;
    s.v6 = rng() & 1;
    s.tagged = rng() & 1;
    s.src = static_cast<uint32_t>(rng());
    s.dst = static_cast<uint32_t>(rng());
    s.src6 = rng();
    s.dst6 = rng();
    s.tos = static_cast<uint8_t>(rng());
    s.ttl = static_cast<uint8_t>(rng());
    s.l4 = static_cast<unsigned>(rng() % 6);
    s.sport = static_cast<uint16_t>(rng() % 3 ? rng() : 200);
    s.dport = static_cast<uint16_t>(rng() % 3 ? rng() : 0);
    if (s.l4 == 2) {
        s.sport = static_cast<uint8_t>(s.sport | 0xc0);  // not an ND type
        s.dport = static_cast<uint8_t>(s.dport);
    }
    s.vid = static_cast<uint16_t>(rng() & 0xfff);
    s.pcp = static_cast<uint8_t>(rng() & 7);
    s.payload = rng() % 60;
    return s;
}

struct Packet {
    rte_mbuf* m;
    explicit Packet(const Bytes& frame) : m(to_mbuf(frame)) {
        REQUIRE(parse_packet(m, &meta_of(m).key));
    }
    Packet(const Packet&) = delete;
    ~Packet() { rte_pktmbuf_free(m); }
    PacketKey* key() { return &meta_of(m).key; }
    bool set(Target target, uint64_t value, uint64_t mask = ~uint64_t{0}) {
        return edit::set_field(m, key(), target, value & mask, mask);
    }
};

/// SCTP checksums are not the builder's business: both sides without.
Bytes without_sctp_sum(Bytes frame, const Spec& s) {
    if (s.l4 == 5) {
        const size_t at = 14u + (s.tagged ? 4 : 0) + (s.v6 ? 40 : 20) + 8;
        std::fill_n(frame.begin() + static_cast<long>(at), 4, uint8_t{0});
    }
    return frame;
}

}  // namespace

TEST_CASE("random edits equal frames built with the new values", "[edit]") {
    std::mt19937_64 rng(3);
    for (unsigned round = 0; round < 20000; ++round) {
        Spec s = random_spec(rng);
        Packet p(s.frame());
        const unsigned edits = 1 + static_cast<unsigned>(rng() % 5);
        for (unsigned e = 0; e < edits; ++e) {
            const uint64_t v = rng() % 4 ? rng() : (rng() & 1 ? 0 : ~uint64_t{0});
            switch (rng() % 10) {
            case 0:
                s.eth_src = v >> 16;
                CHECK(p.set(Target::kEthSrc, s.eth_src));
                break;
            case 1: {  // part of a field
                const uint64_t mask = rng() >> 16;
                s.eth_dst = (s.eth_dst & ~mask) | (v & mask);
                CHECK(p.set(Target::kEthDst, v, mask));
                break;
            }
            case 2:
                s.ttl = static_cast<uint8_t>(v);
                CHECK(p.set(Target::kIpTtl, s.ttl, 0xff));
                break;
            case 3:
                s.tos = static_cast<uint8_t>((s.tos & 3) | (v & 0xfc));
                CHECK(p.set(Target::kIpTos, v, 0xfc));
                break;
            case 4:
            case 5: {
                const bool src = rng() & 1;
                if (s.v6) {
                    (src ? s.src6 : s.dst6) = v;
                    const Bytes ip = ip6(0xfd00, v);
                    CHECK(edit::set_field16(p.m, p.key(), src ? Target::kIp6Src : Target::kIp6Dst,
                                            ip.data(), nullptr));
                } else {
                    (src ? s.src : s.dst) = static_cast<uint32_t>(v);
                    CHECK(p.set(src ? Target::kIp4Src : Target::kIp4Dst, static_cast<uint32_t>(v)));
                }
                break;
            }
            case 6:
            case 7: {
                const bool src = rng() & 1;
                const uint16_t limit = s.l4 == 2 ? 0xff : 0xffff;
                const uint16_t base = s.l4 == 2 && src ? 0xc0 : 0;
                uint16_t& field = src ? s.sport : s.dport;
                field = static_cast<uint16_t>((v & limit) | base);
                CHECK(p.set(src ? Target::kL4Src : Target::kL4Dst, field, 0xffff));
                break;
            }
            case 8:
                s.tagged = true;
                s.vid = static_cast<uint16_t>(v & 0xfff);
                s.pcp = static_cast<uint8_t>(v >> 13 & 7);
                CHECK(p.set(Target::kVlanTci, (v & 0xefff) | 0x1000, 0xffff));
                break;
            default:
                s.tagged = false;
                CHECK(p.set(Target::kVlanTci, 0, 0xffff));
                break;
            }
        }
        const Bytes got = without_sctp_sum(to_bytes(p.m), s);
        if (got != s.frame()) {
            CAPTURE(round, s.l4, s.v6);
            REQUIRE(to_hex(got) == to_hex(s.frame()));
        }
        // The key still tells the layout.
        PacketKey again;
        REQUIRE(parse_packet(p.m, &again));
        CHECK(again.l2_len == p.key()->l2_len);
        CHECK(again.l4_ofs == p.key()->l4_ofs);
        CHECK(again.pkt_len == p.key()->pkt_len);
    }
}

TEST_CASE("RFC 1624: the update of a zero result is the one of the whole", "[edit]") {
    // The RFC's own example: a header whose checksum must become 0x0000, not 0xffff.
    const uint16_t old_word = __builtin_bswap16(0x5555);
    const uint16_t new_word = __builtin_bswap16(0x3285);
    CHECK(checksum::update(__builtin_bswap16(0xdd2f), &old_word, &new_word, 2) == 0);
}

TEST_CASE("a wrong checksum stays wrong by as much", "[edit]") {
    PacketBuilder b;
    b.eth(1, 2).ip4(3, 4).udp(5, 6).payload(7).bad_l4_checksum();
    Packet p(b.bytes());
    p.set(Target::kIp4Src, 99);
    PacketBuilder good;
    const Bytes want = good.eth(1, 2).ip4(99, 4).udp(5, 6).payload(7);
    Bytes got = to_bytes(p.m);
    CHECK(got != want);
    got[40] = want[40];
    got[41] = want[41];
    CHECK(got == want);
}

TEST_CASE("SCTP ports change with the checksum of RFC 9260", "[edit]") {
    // Vectors made with scapy: CRC32c over the SCTP packet.
    const char* const before =
        "02000000000202000000000108004500003400010000408466430a0000010a000002000700090000000011931e"
        "2c0003001000000000000000006162636400000000";
    const char* const after =
        "02000000000202000000000108004500003400010000408466430a0000010a0000020007005000000000096641"
        "1f0003001000000000000000006162636400000000";
    Packet p(from_hex(before));
    REQUIRE((p.key()->kinds & kind::kL4));
    p.set(Target::kL4Dst, 80, 0xffff);
    CHECK(to_hex(to_bytes(p.m)) == after);
}

TEST_CASE("ARP and ND fields", "[edit]") {
    Packet arp(PacketBuilder().eth(1, 2).arp(1, 3, 4, 5, 6));
    CHECK(arp.set(Target::kArpOp, 2));
    CHECK(arp.set(Target::kArpSha, 0x0a0b0c0d0e0f));
    CHECK(arp.set(Target::kArpSpa, 0x01020304));
    CHECK(arp.set(Target::kArpTha, 0x060708090a0b));
    CHECK(arp.set(Target::kArpTpa, 0xf0000000));
    CHECK(to_bytes(arp.m) == PacketBuilder()
                                 .eth(1, 2)
                                 .arp(2, 0x0a0b0c0d0e0f, 0x01020304, 0x060708090a0b, 0xf0000000)
                                 .bytes());
    CHECK_FALSE(arp.set(Target::kIp4Src, 1));
    CHECK_FALSE(arp.set(Target::kIpTtl, 1));

    const auto ns = [](uint64_t target, const char* sll) {
        return PacketBuilder()
            .eth(1, 2)
            .ip6(ip6(0xfd00, 1), ip6(0xff02, 2))
            .icmp(135, 0, 0)
            .raw(ip6(0xfd00, target))
            .raw(from_hex("0501000005dc0000"))
            .raw(from_hex(std::string("0101") + sll))
            .bytes();
    };
    Packet nd(ns(7, "020000000003"));
    CHECK(nd.set(Target::kNdSll, 0x0a0b0c0d0e0f));
    const Bytes target = ip6(0xfd00, 0x1234567890);
    CHECK(edit::set_field16(nd.m, nd.key(), Target::kNdTarget, target.data(), nullptr));
    CHECK(nd.set(Target::kNdTll, 5));  // no such option: nothing to write
    CHECK(to_hex(to_bytes(nd.m)) == to_hex(ns(0x1234567890, "0a0b0c0d0e0f")));
}

TEST_CASE("packets that become others", "[edit]") {
    SECTION("ARP request") {
        for (const bool tagged : {false, true}) {
            PacketBuilder in;
            PacketBuilder out;
            in.eth(0xa, 0xb);
            out.eth(0xa, 0xb);
            if (tagged) {
                in.vlan(7);
                out.vlan(7);
            }
            Packet p(in.ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 9)).udp(1, 2).payload(200));
            CHECK(edit::transform(p.m, p.key(), Transform::kArp));
            CHECK(to_hex(to_bytes(p.m)) ==
                  to_hex(out.arp(1, 0xa, ip(10, 0, 0, 1), 0, ip(10, 0, 0, 9))));
            CHECK((p.key()->kinds & kind::kArp));
        }
    }
    SECTION("neighbour advertisement") {
        const Bytes asker = ip6(0xfd00, 0xaa);
        for (const bool router : {false, true}) {
            Packet p(PacketBuilder()
                         .eth(0x0200000000aa, 0x3333ff000007)
                         .ip6(asker, ip6(0xff02, 0x1ff000007))
                         .ttl(255)
                         .icmp(135, 0, 0)
                         .raw(ip6(0xfd00, 7))
                         .raw(from_hex("01010200000000aa")));
            CHECK(
                edit::transform(p.m, p.key(), router ? Transform::kNdNaRouter : Transform::kNdNa));
            const Bytes want = PacketBuilder()
                                   .eth(0x3333ff000007, 0x0200000000aa)
                                   .ip6(ip6(0xfd00, 7), asker)
                                   .ttl(255)
                                   .icmp(136, 0, router ? 0xe0000000 : 0x60000000)
                                   .raw(ip6(0xfd00, 7))
                                   .raw(from_hex("02013333ff000007"));
            CHECK(to_hex(to_bytes(p.m)) == to_hex(want));
            CHECK((p.key()->kinds & kind::kNd));
        }
    }
    SECTION("neighbour solicitation") {
        Packet p(PacketBuilder()
                     .eth(0x0200000000aa, 0xb)
                     .ip6(ip6(0xfd00, 1), ip6(0x2001, 0x0000112233445566))
                     .tcp(1, 2)
                     .payload(500));
        CHECK(edit::transform(p.m, p.key(), Transform::kNdNs));
        const Bytes group = ip6(0xff02, 0x00000001ff445566);
        const Bytes want = PacketBuilder()
                               .eth(0x0200000000aa, 0x3333ff445566)
                               .ip6(from_hex("fe80000000000000 0000 00 ff fe 0000aa"), group)
                               .ttl(255)
                               .icmp(135, 0, 0)
                               .raw(ip6(0x2001, 0x0000112233445566))
                               .raw(from_hex("01010200000000aa"));
        CHECK(to_hex(to_bytes(p.m)) == to_hex(want));
    }
    SECTION("not from what they cannot be made of") {
        Packet p(PacketBuilder().eth(1, 2).ip4(1, 2).udp(1, 2));
        CHECK_FALSE(edit::transform(p.m, p.key(), Transform::kNdNa));
        CHECK_FALSE(edit::transform(p.m, p.key(), Transform::kNdNs));
        Packet q(PacketBuilder().eth(1, 2).arp(1, 1, 2, 3, 4));
        CHECK_FALSE(edit::transform(q.m, q.key(), Transform::kArp));
    }
}

TEST_CASE("a rewrite equals a frame built with the new values, or changes nothing", "[edit]") {
    std::mt19937_64 rng(11);
    unsigned done = 0;
    for (unsigned round = 0; round < 20000; ++round) {
        Spec s = random_spec(rng);
        Packet p(s.frame());
        const Bytes before = to_bytes(p.m);
        std::vector<uint64_t> words;
        const auto set = [&](Target target, unsigned bits) {
            const uint64_t mask = (uint64_t{1} << bits) - 1;
            const uint64_t value = rng() % 8 ? rng() & mask : rng() % 2 ? 0 : mask;
            words.push_back(act::set(Act::kSet, target, value));
            return value;
        };
        const auto wants = [&] { return rng() % 2 == 0; };
        if (wants()) {
            s.eth_dst = set(Target::kEthDst, 48);
        }
        if (wants()) {
            s.eth_src = set(Target::kEthSrc, 48);
        }
        if (wants()) {
            s.ttl = static_cast<uint8_t>(set(Target::kIpTtl, 8));
        }
        if (wants()) {
            s.src = static_cast<uint32_t>(set(Target::kIp4Src, 32));
        }
        if (wants()) {
            s.dst = static_cast<uint32_t>(set(Target::kIp4Dst, 32));
        }
        if (wants()) {
            s.sport = static_cast<uint16_t>(set(Target::kL4Src, 16));
        }
        if (wants()) {
            s.dport = static_cast<uint16_t>(set(Target::kL4Dst, 16));
        }
        words.push_back(act::word(Act::kOutput));
        const uint64_t* const end = words.data() + words.size();
        Rewrite rewrite;
        const uint64_t* const after = collect_sets(words.data(), end, &rewrite);
        if (words.size() == 1) {
            CHECK(after == nullptr);
            continue;
        }
        REQUIRE(after == end - 1);
        CAPTURE(round, s.l4, s.v6, s.tagged);
        if (apply_rewrite(p.m, *p.key(), rewrite)) {
            ++done;
            REQUIRE(to_bytes(p.m) == s.frame());
        } else {
            REQUIRE(to_bytes(p.m) == before);
        }
    }
    CHECK(done > 5000);
    // Of all ports one makes the UDP checksum zero, which is sent as its complement (RFC 768).
    Spec udp{};
    udp.src = 0x0a000001;
    udp.dst = 0x0a000002;
    udp.ttl = 64;
    udp.dport = 80;
    const Bytes frame = udp.frame();
    unsigned complements = 0;
    for (unsigned port = 0; port < 65536; ++port) {
        Packet p(frame);
        const uint64_t words[] = {act::set(Act::kSet, Target::kL4Src, port),
                                  act::word(Act::kOutput)};
        Rewrite one;
        collect_sets(words, words + 2, &one);
        if (!apply_rewrite(p.m, *p.key(), one)) {
            FAIL("refused");
        }
        const Bytes out = to_bytes(p.m);
        udp.sport = static_cast<uint16_t>(port);
        if (out != udp.frame()) {
            FAIL("port " << port);
        }
        complements += out[40] == 0xff && out[41] == 0xff;
    }
    CHECK(complements >= 1);
    // What is not a plain set of these is left to the interpreter.
    Rewrite rewrite;
    const uint64_t tos[] = {act::set(Act::kSet, Target::kIpTos, 4), act::word(Act::kOutput)};
    CHECK(collect_sets(tos, tos + 2, &rewrite) == nullptr);
}
