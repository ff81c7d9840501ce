// SPDX-License-Identifier: Apache-2.0
// Bytes per connection and per cached program, as the kernel counts them: resident pages before and
// after. line: memory WHAT COUNT BYTES_EACH MB_IN_ALL
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "datapath/cache.h"
#include "datapath/conntrack/conntrack.h"

using namespace sluice;

namespace {

uint64_t resident() {
    unsigned long all = 0;
    unsigned long pages = 0;
    if (FILE* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%lu %lu", &all, &pages) != 2) {
            pages = 0;
        }
        std::fclose(file);
    }
    return uint64_t{pages} * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void print(const char* what, uint32_t count, uint64_t bytes) {
    std::printf("memory %s %u %.0f %.0f\n", what, count,
                static_cast<double>(bytes) / static_cast<double>(count),
                static_cast<double>(bytes) / 1e6);
}

/// Each connection with a tuple of its own; translated ones to addresses that differ too.
bool fill(Conntrack& table, uint32_t from, uint32_t to, bool translate) {
    PacketFacts syn{};
    syn.is_valid = true;
    syn.tcp_wscale = 0xff;
    syn.tcp_flags = 2;
    syn.tcp_seq = 1;
    syn.tcp_window = 65535;
    CtCommitArgs args;
    if (translate) {
        args.nat.kind = CtNat::kSrc;
    }
    for (uint32_t i = from; i < to; ++i) {
        CtTuple tuple{};
        tuple.src[3] = 0x0a000000 + i / 50000;
        tuple.dst[3] = 0x64400000 + i % 1000000;
        tuple.src_port = static_cast<uint16_t>(1024 + i % 50000);
        tuple.dst_port = 443;
        tuple.proto = 6;
        tuple.zone = 1;
        args.nat.low[3] = args.nat.high[3] = 0xac100101 + i / 50000;
        CtView view;
        if (table.commit(tuple, syn, args, 1000, &view) != CtCommit::kDone) {
            return false;
        }
    }
    return true;
}

bool connections(uint32_t most, bool translate) {
    const uint64_t before = resident();
    ConntrackConfig config;
    config.max_connections = most + most / 16;
    config.seed = 1;
    auto table = Conntrack::create(config);
    if (!table) {
        std::fprintf(stderr, "memory_bench: %s\n", table.error().message.c_str());
        return false;
    }
    uint32_t made = 0;
    for (const uint32_t count : {most / 4, most}) {
        if (!fill(**table, made, count, translate)) {
            std::fprintf(stderr, "memory_bench: a connection was refused\n");
            return false;
        }
        made = count;
        print(translate ? "connection,translated" : "connection", count, resident() - before);
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    const uint32_t most =
        argc > 1 ? static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10)) : 4000000;
    print("flow_cache_entry", 1, sizeof(CacheEntry) + sizeof(uint16_t));
    return connections(most, false) && connections(most, true) ? 0 : 1;
}
