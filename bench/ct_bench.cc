// SPDX-License-Identifier: Apache-2.0
// Cycles of conntrack's calls at several table sizes: commit, lookup, review and touch.
#include <x86intrin.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "datapath/conntrack/conntrack.h"

using namespace sluice;

namespace {

CtTuple tuple_of(uint32_t n) {
    CtTuple t{};
    t.src[3] = 0x0a000000 + n / 50000;
    t.dst[3] = 0x0b000001;
    t.src_port = static_cast<uint16_t>(1024 + n % 50000);
    t.dst_port = 443;
    t.proto = 6;
    t.zone = 1;
    return t;
}
PacketFacts segment(uint16_t flags, uint32_t seq, uint32_t ack) {
    PacketFacts f{};
    f.is_valid = true;
    f.tcp_wscale = 0xff;
    f.tcp_flags = flags;
    f.tcp_seq = seq;
    f.tcp_ack = ack;
    f.tcp_window = 65535;
    return f;
}

// The best of many short chunks: what a neighbour on the core takes away is left out.
template <typename F>
void report(const char* name, uint32_t count, F&& each) {
    constexpr uint32_t kChunk = 500;
    uint64_t best = ~0ull;
    for (uint32_t i = 0; i < 400 * kChunk;) {
        const uint64_t begin = __rdtsc();
        for (const uint32_t end = i + kChunk; i < end; ++i) {
            each((i * 2654435761u) % count);
        }
        best = std::min<uint64_t>(best, (__rdtsc() - begin) / kChunk);
    }
    std::printf("  %-16s %6lu cycles\n", name, static_cast<unsigned long>(best));
}

void measure(uint32_t count) {
    ConntrackConfig config;
    config.max_connections = count + 200000;
    config.seed = 1;
    auto ct = std::move(Conntrack::create(config).value());
    struct Known {
        CtConn* conn;
        uint32_t generation;
    };
    std::vector<Known> known(count);
    std::printf("%u connections\n", count);
    for (uint32_t made = 0; made < count; ++made) {
        CtView view;
        ct->commit(tuple_of(made), segment(2, 1, 0), {}, 1000, &view);
        known[made] = {view.conn, view.generation};
    }
    uint32_t next = count;
    report("commit", count, [&](uint32_t) {
        CtView view;
        ct->commit(tuple_of(next++), segment(2, 1, 0), {}, 1000, &view);
    });
    for (uint32_t i = 0; i < count; ++i) {
        CtTuple back = tuple_of(i);
        std::swap(back.src, back.dst);
        std::swap(back.src_port, back.dst_port);
        CtView view;
        ct->lookup(back, segment(18, 9, 2), 1000, &view);
        ct->touch(view, segment(18, 9, 2), 60, 1000);
        ct->lookup(tuple_of(i), segment(16, 2, 10), 1000, &view);
        ct->touch(view, segment(16, 2, 10), 60, 1000);
    }
    const PacketFacts ack = segment(16, 2, 10);
    report("lookup", count, [&](uint32_t i) {
        CtView view;
        ct->lookup(tuple_of(i), ack, 1000, &view);
    });
    report("review+touch", count, [&](uint32_t i) {
        CtView view;
        if (ct->review(known[i].conn, known[i].generation, false, ack, 1000, &view)) {
            ct->touch(view, ack, 60, 1000);
        }
    });
    report("lookup, unknown", count, [&](uint32_t i) {
        CtTuple t = tuple_of(i);
        t.zone = 2;
        CtView view;
        ct->lookup(t, ack, 1000, &view);
    });
}

}  // namespace

int main() {
    for (const uint32_t count : {1000u, 100000u, 1000000u}) {
        measure(count);
    }
    return 0;
}
