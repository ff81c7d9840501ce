// SPDX-License-Identifier: Apache-2.0
// What read_facts() takes from packets, and which it does not trust.
#include <rte_mbuf.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "datapath/conntrack/conntrack.h"
#include "datapath/stages.h"
#include "lib/program/packet_meta.h"
#include "tests/support/eal.h"
#include "tests/support/packet_builder.h"

using namespace sluice;
using namespace sluice::test;

namespace {

/// The frame in segments of at most `segment` bytes.
struct Packet {
    rte_mbuf* m;
    PacketKey key;
    explicit Packet(const Bytes& frame, size_t segment = 2000) {
        m = nullptr;
        for (size_t at = 0; at < frame.size(); at += segment) {
            rte_mbuf* s = rte_pktmbuf_alloc(test_pool());
            const auto n = static_cast<uint16_t>(std::min(segment, frame.size() - at));
            std::memcpy(rte_pktmbuf_append(s, n), frame.data() + at, n);
            if (m) {
                REQUIRE(rte_pktmbuf_chain(m, s) == 0);
            } else {
                m = s;
            }
        }
        REQUIRE(parse_packet(m, &key));
    }
    ~Packet() { rte_pktmbuf_free(m); }
    PacketFacts facts() const {
        PacketFacts f;
        read_facts(m, key, &f);
        return f;
    }
};

PacketBuilder frame4() {
    return PacketBuilder().eth(1, 2).ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 2));
}
PacketBuilder frame6() {
    return PacketBuilder().eth(1, 2).ip6(ip6(0xfd00, 1), ip6(0xfd00, 2));
}
/// What an error quotes: the packet without its Ethernet header, `n` bytes at most.
Bytes quote(PacketBuilder packet, size_t n = 1000) {
    Bytes b = packet.bytes();
    b.erase(b.begin(), b.begin() + 14);
    b.resize(std::min(n, b.size()));
    return b;
}
Bytes tcp_bytes(uint16_t flags, const Bytes& options, size_t payload) {
    Bytes b = from_hex("03e80050 01020304 05060708");
    b.push_back(static_cast<uint8_t>((20 + options.size()) / 4 << 4));
    b.push_back(static_cast<uint8_t>(flags));
    const Bytes rest = from_hex("1234 0000 0000");
    b.insert(b.end(), rest.begin(), rest.end());
    b.insert(b.end(), options.begin(), options.end());
    b.resize(b.size() + payload, 'x');
    return b;
}
Bytes tcp_frame(uint16_t flags, const Bytes& options, size_t payload) {
    Bytes frame = PacketBuilder()
                      .eth(1, 2)
                      .ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 2), 6)
                      .raw(tcp_bytes(flags, options, payload));
    uint32_t sum = word_sum(&frame[34], frame.size() - 34) + word_sum(&frame[26], 8) + 6 +
                   static_cast<uint32_t>(frame.size() - 34);
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[50] = static_cast<uint8_t>(~sum >> 8);
    frame[51] = static_cast<uint8_t>(~sum);
    return frame;
}

}  // namespace

TEST_CASE("TCP facts", "[conntrack][facts]") {
    const Packet p(tcp_frame(0x12, from_hex("020405b4 01030309"), 7));
    const PacketFacts f = p.facts();
    CHECK(f.is_valid);
    CHECK(f.tcp_seq == 0x01020304);
    CHECK(f.tcp_ack == 0x05060708);
    CHECK(f.tcp_flags == 0x12);
    CHECK(f.tcp_window == 0x1234);
    CHECK(f.payload_len == 7);
    CHECK(f.tcp_wscale == 9);
    CHECK(Packet(tcp_frame(0x10, from_hex("01030309"), 0)).facts().tcp_wscale == 0xff);
    CHECK(Packet(tcp_frame(0x02, from_hex("00030309"), 0)).facts().tcp_wscale == 0xff);
    CHECK(Packet(tcp_frame(0x02, from_hex("02040000"), 0)).facts().tcp_wscale == 0xff);
}

TEST_CASE("payloads in many odd segments have the same checksum", "[conntrack][facts]") {
    for (const size_t segment : {61u, 77u, 100u, 301u}) {
        CHECK(Packet(frame4().tcp(1, 2).payload(1201), segment).facts().is_valid);
        CHECK(Packet(frame6().udp(1, 2).payload(1202), segment).facts().is_valid);
        const PacketFacts bad =
            Packet(frame4().tcp(1, 2).payload(1201).bad_l4_checksum(), segment).facts();
        CHECK_FALSE(bad.is_valid);
        CHECK(bad.bad_checksum);
    }
}

TEST_CASE("checksums: computed unless the device has a word", "[conntrack][facts]") {
    Packet bad(frame4().udp(1, 2).payload(9).bad_l4_checksum());
    CHECK(bad.facts().bad_checksum);
    bad.m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    CHECK(bad.facts().is_valid);
    bad.m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE;
    CHECK(bad.facts().is_valid);
    Packet good(frame4().udp(1, 2).payload(9));
    CHECK(good.facts().is_valid);
    good.m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_BAD;
    CHECK(good.facts().bad_checksum);
    good.m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_BAD;
    CHECK(good.facts().bad_checksum);
    CHECK(Packet(frame4().udp(1, 2).payload(9).no_udp_checksum()).facts().is_valid);
    CHECK_FALSE(Packet(frame6().udp(1, 2).payload(9).no_udp_checksum()).facts().is_valid);
    CHECK_FALSE(Packet(frame6().icmp(128, 0).bad_l4_checksum()).facts().is_valid);
    CHECK_FALSE(Packet(frame4().icmp(8, 0).bad_l4_checksum()).facts().is_valid);
    Bytes header = frame4().udp(1, 2).bytes();
    header[24] ^= 1;
    CHECK(Packet(header).facts().bad_checksum);
    // SCTP has a CRC that is the hosts' business.
    CHECK(Packet(frame4().sctp(1, 2).payload(20)).facts().is_valid);
}

TEST_CASE("what cannot be tracked", "[conntrack][facts]") {
    CHECK_FALSE(Packet(frame4().tcp(0, 2)).facts().is_valid);
    CHECK_FALSE(Packet(frame4().udp(1, 0)).facts().is_valid);
    CHECK_FALSE(Packet(frame4().icmp(8, 1)).facts().is_valid);
    CHECK_FALSE(Packet(frame4().icmp(9, 0)).facts().is_valid);
    CHECK_FALSE(Packet(frame6().icmp(135, 0).payload(16)).facts().is_valid);
    CHECK_FALSE(Packet(frame4().frag(0, true).udp(1, 2)).facts().is_valid);
    CHECK_FALSE(Packet(PacketBuilder().eth(1, 2).arp(1, 1, 2, 3, 4)).facts().is_valid);
    CHECK(Packet(frame4().icmp(13, 0)).facts().is_valid);
    CHECK(Packet(frame4().icmp(0, 0, 0x12340001)).facts().icmp_id == 0x1234);
    CHECK(Packet(PacketBuilder().eth(1, 2).ip4(1, 2, 50).payload(3)).facts().is_valid);
}

TEST_CASE("errors quote a packet of whom they are sent to", "[conntrack][facts]") {
    const auto error = [](const Bytes& quoted, uint8_t type = 3) {
        return Packet(PacketBuilder()
                          .eth(1, 2)
                          .ip4(ip(10, 0, 0, 9), ip(10, 0, 0, 1))
                          .icmp(type, 0)
                          .raw(quoted))
            .facts();
    };
    const PacketFacts f = error(quote(frame4().udp(1000, 53).payload(40), 28));
    REQUIRE(f.is_valid);
    CHECK(f.has_inner);
    CHECK(f.inner.src[3] == ip(10, 0, 0, 1));
    CHECK(f.inner.dst[3] == ip(10, 0, 0, 2));
    CHECK(f.inner.src_port == 1000);
    CHECK(f.inner.dst_port == 53);
    CHECK(f.inner.proto == 17);
    CHECK(f.inner.zone == 0);
    CHECK(error(quote(frame4().tcp(1000, 53), 28)).has_inner);
    CHECK(error(quote(frame4().icmp(8, 0, 0x00070001))).inner.src_port == 7);
    CHECK(error(quote(frame4().sctp(1, 2))).has_inner);
    CHECK_FALSE(error(quote(frame4().udp(1000, 53).payload(40), 27)).is_valid);
    CHECK_FALSE(error(quote(frame4().icmp(3, 0))).is_valid);  // an error about an error
    CHECK_FALSE(error(quote(frame4().frag(0, true).udp(1, 2))).is_valid);
    CHECK_FALSE(error(quote(PacketBuilder().eth(1, 2).ip4(ip(10, 0, 0, 7), 2).udp(1, 2))).is_valid);
    for (const uint8_t type : {4, 5, 11, 12}) {
        CHECK(error(quote(frame4().udp(1000, 53)), type).has_inner);
    }
    const auto error6 = [](const Bytes& quoted) {
        return Packet(PacketBuilder()
                          .eth(1, 2)
                          .ip6(ip6(0xfd00, 9), ip6(0xfd00, 1))
                          .icmp(2, 0)
                          .raw(quoted))
            .facts();
    };
    CHECK(error6(quote(frame6().udp(1000, 53))).inner.dst_port == 53);
    CHECK(error6(quote(frame6().ext(0, Bytes(7)).udp(1000, 53))).inner.dst_port == 53);
    CHECK_FALSE(error6(quote(frame6().tcp(1000, 53), 48)).is_valid);
    CHECK(error6(quote(frame6().tcp(1000, 53), 60)).has_inner);
}

TEST_CASE("cut-off packets are never read past their end", "[conntrack][facts]") {
    // Every packet cut at every length: only what the frame holds may be looked at (for
    // sanitizers).
    for (const Bytes& whole :
         {tcp_frame(2, from_hex("01030309 00000000"), 9), Bytes(frame6().udp(1, 2).payload(5)),
          Bytes(PacketBuilder()
                    .eth(1, 2)
                    .ip4(9, ip(10, 0, 0, 1))
                    .icmp(3, 0)
                    .raw(quote(frame4().udp(1, 2))))}) {
        for (size_t n = 14; n < whole.size(); ++n) {
            CHECK_FALSE(Packet(Bytes(whole.begin(), whole.begin() + static_cast<long>(n)))
                            .facts()
                            .is_valid);
        }
    }
}
