// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <rte_mbuf.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>
#include <random>

#include "datapath/parse_plain.h"
#include "datapath/stages.h"
#include "lib/program/packet_meta.h"
#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

struct Vector {
    const char* name;
    const char* frame;
    uint16_t eth_type;
    unsigned kinds;
    unsigned proto, ttl, tos, frag, l4_src, l4_dst;
    unsigned tcp_flags;
    const char* src;
    const char* dst;
    uint32_t label;
    uint16_t tci;
    const char* target;
    const char* sll;
    const char* tll;
    const char* sha;
    const char* tha;
};

const Vector kVectors[] = {
#include "tests/unit/datapath/parse_vectors.inc"
};

/// A heap copy of exactly these bytes: a read past the end is seen by the address sanitizer.
std::unique_ptr<uint8_t, decltype(&std::free)> exact(const uint8_t* data, size_t n) {
    auto* p = static_cast<uint8_t*>(std::malloc(n ? n : 1));
    if (n) {
        std::memcpy(p, data, n);
    }
    return {p, &std::free};
}

/// The first bytes of `have` are `hex`, the rest of its `n` zero.
bool starts(const uint8_t* have, size_t n, const char* hex) {
    Bytes want = from_hex(hex);
    want.resize(n);
    return Bytes(have, have + n) == want;
}

Bytes address(const char* ip, const char* mac) {
    Bytes out = from_hex(ip);
    const Bytes tail = from_hex(mac);
    out.insert(out.end(), tail.begin(), tail.end());
    return out;
}

}  // namespace

TEST_CASE("fields of frames made by scapy", "[parse]") {
    for (const Vector& v : kVectors) {
        CAPTURE(v.name);
        const Bytes frame = from_hex(v.frame);
        const auto data = exact(frame.data(), frame.size());
        const auto n = static_cast<uint32_t>(frame.size());
        PacketKey key;
        REQUIRE(parse_frame(data.get(), n, n, &key));
        CHECK(starts(key.eth_dst, 6, "020000000002"));
        CHECK(starts(key.eth_src, 6, "020000000001"));
        CHECK(ntohs(key.eth_type) == v.eth_type);
        CHECK(unsigned{key.kinds} == v.kinds);
        CHECK(unsigned{key.ip_proto} == v.proto);
        CHECK(unsigned{key.ip_ttl} == v.ttl);
        CHECK(unsigned{key.ip_tos} == v.tos);
        CHECK(unsigned{key.ip_frag} == v.frag);
        CHECK(ntohs(key.l4_src) == v.l4_src);
        CHECK(ntohs(key.l4_dst) == v.l4_dst);
        CHECK(ntohs(key.tcp_flags) == v.tcp_flags);
        CHECK(ntohl(key.ip6_label) == v.label);
        CHECK(ntohs(key.vlan_tci) == v.tci);
        CHECK(starts(key.ip_src, 16, to_hex(address(v.src, v.sha)).c_str()));
        CHECK(starts(key.ip_dst, 16, to_hex(address(v.dst, v.tha)).c_str()));
        CHECK(starts(key.nd_target, 16, v.target));
        CHECK(starts(key.nd_sll, 6, v.sll));
        CHECK(starts(key.nd_tll, 6, v.tll));
        CHECK(key.pkt_len == n);
        CHECK((key.l4_ofs != 0) == ((v.kinds & kind::kL4) != 0));
    }
}

TEST_CASE("no frame cut at any length makes the parser read past its end", "[parse]") {
    for (const Vector& v : kVectors) {
        const Bytes frame = from_hex(v.frame);
        for (size_t n = 0; n <= frame.size(); ++n) {
            const auto data = exact(frame.data(), n);
            PacketKey key;
            // Both as a short frame and as the first bytes of a longer one.
            CHECK(parse_frame(data.get(), static_cast<uint32_t>(n), static_cast<uint32_t>(n),
                              &key) == (n >= 14));
            parse_frame(data.get(), static_cast<uint32_t>(n),
                        static_cast<uint32_t>(frame.size() + 100), &key);
        }
    }
}

TEST_CASE("the quick parser says what the slow one says", "[parse]") {
    std::mt19937 rng(5);
    size_t quick = 0;
    for (unsigned round = 0; round < 200; ++round) {
        for (const Vector& v : kVectors) {
            Bytes frame = from_hex(v.frame);
            for (unsigned flips = round % 4; flips && !frame.empty(); --flips) {
                frame[rng() % frame.size()] ^= static_cast<uint8_t>(1u << rng() % 8);
            }
            frame.resize(std::max<size_t>(14, frame.size() - rng() % 3));
            const auto n = static_cast<uint32_t>(frame.size());
            const auto data = exact(frame.data(), n);
            PacketKey slow;
            PacketKey key;
            PacketClass packet_class;
            REQUIRE(parse_frame_slowly(data.get(), n, n, &slow));
            if (parse_plain(data.get(), n, 0, &key, &packet_class)) {
                ++quick;
                CAPTURE(v.name, round);
                REQUIRE(std::memcmp(&key, &slow, sizeof key) == 0);
                REQUIRE(packet_class == class_of(ntohs(slow.eth_type), slow.ip_proto));
            }
        }
    }
    CHECK(quick > 500);
}

TEST_CASE("headers spread over segments parse the same", "[parse]") {
    for (const Vector& v : kVectors) {
        CAPTURE(v.name);
        const Bytes frame = from_hex(v.frame);
        const auto n = static_cast<uint32_t>(frame.size());
        PacketKey whole;
        parse_frame(frame.data(), n, n, &whole);
        for (const std::vector<uint16_t>& cut :
             {std::vector<uint16_t>{1, 2, 3, 4, 5, 6, 7, 8}, std::vector<uint16_t>{14, 20},
              std::vector<uint16_t>{0, 13, 0, 25}}) {
            rte_mbuf* m = to_mbuf(frame, cut);
            PacketKey key;
            REQUIRE(parse_packet(m, &key));
            CHECK(std::memcmp(&key, &whole, sizeof key) == 0);
            CHECK(to_bytes(m) == frame);
            CHECK(rte_mbuf_check(m, 1, nullptr) == 0);
            rte_pktmbuf_free(m);
        }
    }
}

TEST_CASE("the flow hash is that of the flow", "[parse]") {
    const auto hash = [](const Bytes& frame, uint64_t seed = 9) {
        PacketKey key;
        const auto n = static_cast<uint32_t>(frame.size());
        parse_frame(frame.data(), n, n, &key);
        return flow_hash_of(&key, seed);
    };
    const auto udp = [](uint16_t sport, size_t n) {
        return PacketBuilder().eth(1, 2).ip4(5, 6).udp(sport, 7).payload(n);
    };
    CHECK(hash(udp(1, 10)) == hash(udp(1, 99)));
    CHECK(hash(udp(1, 10)) == hash(udp(1, 10).ttl(3).tos(4)));
    CHECK(hash(udp(1, 10)) != hash(udp(2, 10)));
    CHECK(hash(udp(1, 10)) != hash(udp(1, 10), 10));
    CHECK(hash(PacketBuilder().eth(1, 2).arp(1, 1, 2, 3, 4)) == 0);
    // First and later fragments, whatever the first one's ports.
    const Bytes first = PacketBuilder().eth(1, 2).ip4(5, 6).frag(0, true).udp(1, 2).payload(8);
    const Bytes later = PacketBuilder().eth(1, 2).ip4(5, 6, 17).frag(2, false).payload(16);
    CHECK(hash(first) == hash(later));
    const Bytes first6 = PacketBuilder()
                             .eth(1, 2)
                             .ip6(ip6(0xfd00, 1), ip6(0xfd00, 2))
                             .ext(44, from_hex("00000100000001"))
                             .udp(1, 2)
                             .payload(8);
    const Bytes later6 = PacketBuilder()
                             .eth(1, 2)
                             .ip6(ip6(0xfd00, 1), ip6(0xfd00, 2))
                             .ext(44, from_hex("00001000000001"))
                             .payload(16);
    CHECK(hash(first6) == hash(later6));
}
