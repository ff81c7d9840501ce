// SPDX-License-Identifier: Apache-2.0
// Virtual reassembly: completes, refuses, forgets, and never holds more than it may.
#include <rte_mbuf.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "datapath/conntrack/fragments.h"
#include "datapath/stages.h"
#include "lib/program/packet_meta.h"
#include "tests/support/eal.h"
#include "tests/support/packet_builder.h"

using namespace sluice;
using namespace sluice::test;

namespace {

using Verdict = FragTable::Verdict;

/// A whole IP packet's L4 bytes, checksum right, as PacketBuilder makes them.
Bytes whole_udp(size_t payload, bool is_v6) {
    PacketBuilder b = PacketBuilder().eth(1, 2);
    is_v6 ? b.ip6(ip6(0xfd00, 1), ip6(0xfd00, 2)) : b.ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 2));
    const Bytes frame = b.udp(1000, 53).payload(payload);
    Bytes l4;
    for (size_t i = is_v6 ? 54 : 34; i < frame.size(); ++i) {
        l4.push_back(frame[i]);
    }
    return l4;
}
/// Bytes [start, end) of `l4` as a fragment.
Bytes cut(const Bytes& l4, size_t start, size_t end, uint16_t id, bool is_v6, bool more) {
    const Bytes part(l4.begin() + static_cast<long>(start), l4.begin() + static_cast<long>(end));
    if (!is_v6) {
        return PacketBuilder()
            .eth(1, 2)
            .ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 2), 17)
            .id(id)
            .frag(static_cast<uint16_t>(start / 8), more)
            .raw(part);
    }
    Bytes header(7);
    header[1] = static_cast<uint8_t>(start >> 8);
    header[2] = static_cast<uint8_t>(start | (more ? 1 : 0));
    header[5] = static_cast<uint8_t>(id >> 8);
    header[6] = static_cast<uint8_t>(id);
    Bytes frame =
        PacketBuilder().eth(1, 2).ip6(ip6(0xfd00, 1), ip6(0xfd00, 2)).ext(44, header).raw(part);
    frame[54] = 17;
    return frame;
}

struct Lab {
    explicit Lab(FragTableConfig c = small()) : config(c), table(c) {}
    static FragTableConfig small() {
        FragTableConfig c;
        c.memory_bytes = 1u << 20;
        c.seed = 7;
        return c;
    }
    Verdict add(const Bytes& frame, uint64_t context = 1) {
        rte_mbuf* m = rte_pktmbuf_alloc(test_pool());
        REQUIRE(m);
        char* room = rte_pktmbuf_append(m, static_cast<uint16_t>(frame.size()));
        REQUIRE(room);
        std::memcpy(room, frame.data(), frame.size());
        PacketKey& key = meta_of(m).key;
        REQUIRE(parse_packet(m, &key));
        key.context = context;
        const Verdict v = table.add(m, key, now, &done);
        if (v == Verdict::kInvalid || v == Verdict::kDuplicate || v == Verdict::kOverlap) {
            rte_pktmbuf_free(m);
        }
        return v;
    }
    void free_done() { rte_pktmbuf_free_bulk(done.pieces, done.count); }
    CtStats stats() const {
        CtStats s;
        table.add_stats(&s);
        return s;
    }
    FragTableConfig config;
    uint64_t now = 1000;
    FragTable::Done done;
    FragTable table;
};

}  // namespace

TEST_CASE("any order of fragments makes the packet", "[conntrack][fragments]") {
    const unsigned before = rte_mempool_avail_count(test_pool());
    for (const bool is_v6 : {false, true}) {
        const Bytes l4 = whole_udp(4000, is_v6);
        std::vector<std::pair<size_t, size_t>> cuts = {{0, 1400}, {1400, 2800}, {2800, l4.size()}};
        std::vector<unsigned> order = {0, 1, 2};
        do {
            Lab lab;
            for (unsigned i = 0; i < 3; ++i) {
                const auto [start, end] = cuts[order[i]];
                const Verdict v = lab.add(cut(l4, start, end, 5, is_v6, end != l4.size()));
                CHECK(v == (i == 2 ? Verdict::kComplete : Verdict::kHeld));
            }
            REQUIRE(lab.done.count == 3);
            CHECK(lab.done.facts.is_valid);
            CHECK(lab.done.facts.payload_len == 4000);
            const PacketKey& first = meta_of(lab.done.pieces[0]).key;
            CHECK(first.l4_src == __builtin_bswap16(1000));
            CHECK(meta_of(lab.done.pieces[1]).key.ip_frag == 3);
            CHECK(lab.stats().fragments == 0);
            CHECK(lab.stats().fragment_bytes == 0);
            lab.free_done();
        } while (std::next_permutation(order.begin(), order.end()));
    }
    CHECK(rte_mempool_avail_count(test_pool()) == before);
}

TEST_CASE("the checksum covers all fragments", "[conntrack][fragments]") {
    Lab lab;
    Bytes l4 = whole_udp(3000, false);
    l4[2500] ^= 1;
    lab.add(cut(l4, 0, 1400, 5, false, true));
    lab.add(cut(l4, 1400, 2800, 5, false, true));
    REQUIRE(lab.add(cut(l4, 2800, l4.size(), 5, false, false)) == Verdict::kComplete);
    CHECK_FALSE(lab.done.facts.is_valid);
    CHECK(lab.done.facts.bad_checksum);
    lab.free_done();
}

TEST_CASE("fragments of different packets do not mix", "[conntrack][fragments]") {
    Lab lab;
    const Bytes l4 = whole_udp(2000, false);
    CHECK(lab.add(cut(l4, 0, 1400, 5, false, true), 1) == Verdict::kHeld);
    CHECK(lab.add(cut(l4, 1400, l4.size(), 6, false, false), 1) == Verdict::kHeld);
    CHECK(lab.add(cut(l4, 1400, l4.size(), 5, false, false), 2) == Verdict::kHeld);
    CHECK(lab.stats().fragments == 3);
    CHECK(lab.add(cut(l4, 1400, l4.size(), 5, false, false), 1) == Verdict::kComplete);
    lab.free_done();
}

TEST_CASE("overlaps drop the packet, duplicates only themselves", "[conntrack][fragments]") {
    const unsigned before = rte_mempool_avail_count(test_pool());
    for (const bool is_v6 : {false, true}) {
        const Bytes l4 = whole_udp(5000, is_v6);
        Lab lab;
        CHECK(lab.add(cut(l4, 0, 1400, 5, is_v6, true)) == Verdict::kHeld);
        CHECK(lab.add(cut(l4, 0, 1400, 5, is_v6, true)) == Verdict::kDuplicate);
        CHECK(lab.stats().fragments == 1);
        CHECK(lab.add(cut(l4, 1392, 2800, 5, is_v6, true)) == Verdict::kOverlap);
        CHECK(lab.stats().fragments == 0);
        CHECK(lab.stats().fragments_overlapping == 1);
        // What comes later of it is not taken for a new packet.
        CHECK(lab.add(cut(l4, 4200, l4.size(), 5, is_v6, false)) == Verdict::kOverlap);
        // Two ends, and bytes behind the end.
        CHECK(lab.add(cut(l4, 2800, 4200, 6, is_v6, false)) == Verdict::kHeld);
        CHECK(lab.add(cut(l4, 1400, 2808, 6, is_v6, true)) == Verdict::kOverlap);
        CHECK(lab.add(cut(l4, 2800, 4200, 7, is_v6, true)) == Verdict::kHeld);
        CHECK(lab.add(cut(l4, 1400, 2800, 7, is_v6, false)) == Verdict::kOverlap);
    }
    CHECK(rte_mempool_avail_count(test_pool()) == before);
}

TEST_CASE("fragments that are no use", "[conntrack][fragments]") {
    Lab lab;
    const Bytes l4 = whole_udp(3000, false);
    CHECK(lab.add(cut(l4, 0, 1176, 5, false, true)) == Verdict::kInvalid);  // 1196 with the header
    CHECK(lab.add(cut(l4, 0, 1203, 5, false, true)) == Verdict::kInvalid);  // no multiple of eight
    CHECK(lab.stats().fragments_refused == 1);
    Bytes far = cut(l4, 0, 1400, 5, false, true);
    far[20] = 0x1f;  // offset 65528
    far[21] = 0xff;
    far[24] = far[25] = 0;
    const uint32_t sum = 0xffff & ~word_sum(&far[14], 20);
    far[24] = static_cast<uint8_t>(sum >> 8);
    far[25] = static_cast<uint8_t>(sum);
    CHECK(lab.add(far) == Verdict::kInvalid);
    CHECK(lab.stats().fragments_refused == 2);
    Bytes broken = cut(l4, 0, 1400, 5, false, true);
    broken[22] ^= 1;
    CHECK(lab.add(broken) == Verdict::kInvalid);  // header checksum
    CHECK(lab.stats().fragments == 0);
}

TEST_CASE("a packet has fifteen seconds", "[conntrack][fragments]") {
    Lab lab;
    const Bytes l4 = whole_udp(2000, false);
    lab.add(cut(l4, 0, 1400, 5, false, true));
    lab.now += 14999;
    CHECK(lab.table.expire(lab.now, 10) == 0);
    CHECK(lab.stats().fragments == 1);
    lab.now += 1;
    CHECK(lab.table.expire(lab.now, 10) == 1);
    CHECK(lab.stats().fragments == 0);
    CHECK(lab.stats().fragments_timed_out == 1);
    CHECK(lab.add(cut(l4, 1400, l4.size(), 5, false, false)) == Verdict::kHeld);
}

TEST_CASE("a flood of fragments stays within the bound", "[conntrack][fragments][attack]") {
    const unsigned before = rte_mempool_avail_count(test_pool());
    {
        Lab lab;
        const Bytes l4 = whole_udp(4000, false);
        std::mt19937 rng(1);
        uint32_t most = 0;
        for (unsigned i = 0; i < 40000; ++i) {
            lab.add(cut(l4, 0, 1400, static_cast<uint16_t>(rng()), false, true), rng() % 4);
            most = std::max(most, lab.stats().fragment_bytes);
            if (i % 100 == 0) {  // a packet that is whole within the flood
                const uint16_t id = 1;
                lab.add(cut(l4, 0, 1400, id, false, true), 9);
                lab.add(cut(l4, 1400, 2800, id, false, true), 9);
                REQUIRE(lab.add(cut(l4, 2800, l4.size(), id, false, false), 9) ==
                        Verdict::kComplete);
                lab.free_done();
            }
        }
        CHECK(lab.stats().memory_bytes + most <= lab.config.memory_bytes + 4096);
        CHECK(lab.stats().fragments_refused > 30000);
    }
    CHECK(rte_mempool_avail_count(test_pool()) == before);
}

TEST_CASE("one packet has at most 64 fragments", "[conntrack][fragments]") {
    FragTableConfig config = Lab::small();
    config.min_ip4 = 0;
    Lab lab(config);
    const Bytes l4 = whole_udp(1000, false);
    for (size_t i = 0; i < 64; ++i) {
        CHECK(lab.add(cut(l4, 8 * i, 8 * i + 8, 5, false, true)) == Verdict::kHeld);
    }
    CHECK(lab.add(cut(l4, 8 * 64, 8 * 64 + 8, 5, false, true)) == Verdict::kInvalid);
    CHECK(lab.stats().fragments == 0);
    CHECK(lab.add(cut(l4, 8 * 65, 8 * 66, 5, false, true)) == Verdict::kOverlap);
}
