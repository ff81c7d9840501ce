// SPDX-License-Identifier: Apache-2.0
// Sizes and offsets of what every packet touches: printed, so that a change is seen in review, and
// asserted, so that it is not made by accident.
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdio>

#include "datapath/worker_ctx.h"
#include "lib/program/packet_meta.h"
#include "lib/program/ports.h"
#include "lib/program/table.h"

using namespace sluice;

namespace {

void line(const char* name, size_t have, size_t want) {
    std::printf("%-34s %6zu\n", name, have);
    INFO(name);
    CHECK(have == want);
}

}  // namespace

#define SIZE(type, want) line("sizeof " #type, sizeof(type), want)
#define OFFSET(type, member, want) line(#type "." #member, offsetof(type, member), want)

TEST_CASE("layout of hot structures", "[layout]") {
    SIZE(PacketKey, 128);
    OFFSET(PacketKey, eth_type, 12);
    OFFSET(PacketKey, ip_src, 16);
    OFFSET(PacketKey, ip_dst, 32);
    OFFSET(PacketKey, l4_src, 52);
    OFFSET(PacketKey, kinds, 59);
    OFFSET(PacketKey, context, 64);
    OFFSET(PacketKey, pkt_len, 100);
    OFFSET(PacketKey, flow_hash, 104);
    SIZE(PacketMeta, 256);
    OFFSET(PacketMeta, key, 0);
    SIZE(State, 320);
    SIZE(Instr, 24);
    SIZE(Rule, 16);
    SIZE(Segment, 64);
    SIZE(Candidate, 24);
    SIZE(CacheEntry, 64);
    OFFSET(CacheEntry, key, 0);
    OFFSET(CacheEntry, context, 48);
    OFFSET(CacheEntry, program, 56);
    SIZE(CachedTrail, 88);
    SIZE(CachedProgram, 64);
    SIZE(CtStep, 24);
    SIZE(Rewrite, 32);
    SIZE(Port, 64);
    SIZE(Tunnel, 192);  // the third line: who answers, and several next hops
    SIZE(Message, 64);
    SIZE(Cell, 8);
    STATIC_REQUIRE(offsetof(PacketKey, kinds) < 64);
}
