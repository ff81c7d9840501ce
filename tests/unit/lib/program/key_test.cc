// SPDX-License-Identifier: Apache-2.0
// Two packets that differ in any bit the mask keeps must differ after masking, and expand_key must
// put every key byte where lib/program/fields.def says: checked field by field with random bytes.
#include "lib/program/key.h"

#include <arpa/inet.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

namespace sluice {
namespace {

PacketKey random_key(std::mt19937& rng, uint8_t kinds) {
    PacketKey key;
    auto* bytes = reinterpret_cast<uint8_t*>(&key);
    for (size_t i = 0; i < sizeof key; ++i) {
        bytes[i] = static_cast<uint8_t>(rng());
    }
    key.kinds = kinds;
    // As the parser leaves them: types that go with the kinds, TCP flags of TCP alone.
    key.eth_type = htons(kinds & kind::kIp4   ? 0x0800
                         : kinds & kind::kIp6 ? 0x86dd
                         : kinds & kind::kArp ? 0x0806
                                              : 0x9000);
    key.ip_proto = std::array<uint8_t, 4>{6, 17, 58, key.ip_proto}[rng() % 4];
    key.tcp_flags &= htons(key.ip_proto == 6 ? 0xfff : 0);
    key.ip6_label &= htonl(0xfffff);
    key.ip_frag &= 3;
    return key;
}

bool masked_equal(const PacketKey& a, const PacketKey& b, const KeyMask& mask) {
    const auto* x = reinterpret_cast<const uint8_t*>(&a);
    const auto* y = reinterpret_cast<const uint8_t*>(&b);
    for (size_t i = 0; i < 64; ++i) {
        if ((x[i] ^ y[i]) & mask.bytes[i]) {
            return false;
        }
    }
    return true;
}

TEST_CASE("a slot bit that is read is a key bit that is compared") {
    std::mt19937 rng(1);
    const uint8_t shapes[] = {
        kind::kIp4 | kind::kL4, kind::kIp6 | kind::kL4, kind::kArp, 0, kind::kIp4, kind::kIp6};
    for (int round = 0; round < 200000; ++round) {
        const PacketKey a = random_key(rng, shapes[rng() % std::size(shapes)]);
        PacketKey b = a;
        auto* bytes = reinterpret_cast<uint8_t*>(&b);
        bytes[rng() % 64] ^= static_cast<uint8_t>(1u << rng() % 8);
        if (b.kinds != a.kinds || b.len_class != a.len_class ||
            (a.ip_proto != 6 && b.tcp_flags != 0)) {
            continue;
        }
        State sa{};
        State sb{};
        expand_key(a, &sa);
        expand_key(b, &sb);
        for (unsigned slot = kSlotEthSrc; slot < kSlotNdTarget; ++slot) {
            const uint32_t difference = sa.w[slot] ^ sb.w[slot];
            if (difference) {
                SlotMask reads;
                reads.w[slot] = difference;
                CAPTURE(slot, difference);
                const PacketClass c = class_of(ntohs(a.eth_type), a.ip_proto);
                REQUIRE_FALSE(masked_equal(a, b, key_mask_of(reads, c)));
            }
        }
    }
}

TEST_CASE("bits that nobody reads are not compared") {
    const KeyMask mask = key_mask_of(SlotMask{}, PacketClass::kIp4Udp);
    std::mt19937 rng(2);
    const PacketKey a = random_key(rng, kind::kIp4 | kind::kL4);
    PacketKey b = random_key(rng, kind::kIp4 | kind::kL4);
    b.eth_type = a.eth_type;  // always part of the key
    b.ip_proto = a.ip_proto;
    REQUIRE(masked_equal(a, b, mask));
    REQUIRE_FALSE(mask.reads_nd);
}

TEST_CASE("fields land where fields.def says") {
    PacketKey key{};
    const uint8_t dst[6] = {0x40, 0x44, 0, 0, 0, 2};
    const uint8_t src[6] = {0x40, 0x44, 0, 0, 0, 1};
    std::memcpy(key.eth_dst, dst, 6);
    std::memcpy(key.eth_src, src, 6);
    key.eth_type = htons(0x86dd);
    key.vlan_tci = htons(0x1064);
    key.kinds = kind::kIp6 | kind::kL4 | kind::kNd;
    for (unsigned i = 0; i < 16; ++i) {
        key.ip_src[i] = static_cast<uint8_t>(i);
        key.ip_dst[i] = static_cast<uint8_t>(0xf0 | i);
        key.nd_target[i] = static_cast<uint8_t>(0xa0 | i);
    }
    key.nd_sll[5] = 7;
    key.nd_tll[0] = 9;
    key.l4_src = htons(135);
    State s{};
    expand_key(key, &s);
    REQUIRE(s.mac(kSlotEthDst) == 0x404400000002);
    REQUIRE(s.mac(kSlotEthSrc) == 0x404400000001);
    REQUIRE(s.w[kSlotEthType] == 0x86dd);
    REQUIRE(s.w[kSlotVlanTci] == 0x1064);
    REQUIRE(s.w[kSlotIp6Src] == 0x00010203);
    REQUIRE(s.w[kSlotIp6Src + 3] == 0x0c0d0e0f);
    REQUIRE(s.w[kSlotIp6Dst] == 0xf0f1f2f3);
    REQUIRE(s.w[kSlotNdTarget + 3] == 0xacadaeaf);
    REQUIRE(s.mac(kSlotNdSll) == 7);
    REQUIRE(s.mac(kSlotNdTll) == uint64_t{9} << 40);
    REQUIRE(s.w[kSlotL4Src] == 135);
    REQUIRE(s.w[kSlotIp4Src] == 0);
    SlotMask reads;
    reads.w[kSlotNdSll + 1] = 1;
    REQUIRE(key_mask_of(reads, PacketClass::kIp6Other).reads_nd);
    REQUIRE_FALSE(key_mask_of(reads, PacketClass::kIp6Tcp).reads_nd);
}

TEST_CASE("locate finds bits of wide fields in the right slot") {
    // reg0 is the high word of xxreg0 (ovn-sb(5)).
    REQUIRE(locate(FieldId::kXxreg0, 127).slot == kSlotXxreg0);
    REQUIRE(locate(FieldId::kXxreg0, 96).bit == 0);
    REQUIRE(locate(FieldId::kXxreg0, 0).slot == kSlotXxreg0 + 3);
    REQUIRE(locate(FieldId::kEthDst, 40).slot == kSlotEthDst);
    REQUIRE(locate(FieldId::kEthDst, 40).bit == 8);
    REQUIRE(locate(FieldId::kIpDscp, 0).bit == 2);
}

}  // namespace
}  // namespace sluice
