// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/counters.h"

namespace sluice {
namespace {

struct Text {
    const char* name;
    const char* help;
};

constexpr Text kCounterText[] = {
#define SLUICE_COUNTER(name, unit, help) {#name, help " (" unit ")"},
#include "lib/stats/counters.def"
#undef SLUICE_COUNTER
};

constexpr Text kDropText[] = {
#define SLUICE_DROP(name, help) {#name, help},
#include "lib/stats/drops.def"
#undef SLUICE_DROP
};

constexpr Text kPortWorkText[] = {
#define SLUICE_PORT_WORK(name, help) {#name, help},
#include "lib/stats/port_work.def"
#undef SLUICE_PORT_WORK
};

}  // namespace

const char* counter_name(Counter counter) {
    return kCounterText[static_cast<size_t>(counter)].name;
}
const char* counter_help(Counter counter) {
    return kCounterText[static_cast<size_t>(counter)].help;
}
const char* drop_name(Drop drop) {
    return kDropText[static_cast<size_t>(drop)].name;
}
const char* drop_help(Drop drop) {
    return kDropText[static_cast<size_t>(drop)].help;
}
const char* port_work_name(PortWork work) {
    return kPortWorkText[static_cast<size_t>(work)].name;
}
const char* port_work_help(PortWork work) {
    return kPortWorkText[static_cast<size_t>(work)].help;
}

void FlowCounters::reserve(uint32_t count) {
    SLUICE_CHECK(count <= kChunk * kMaxChunks);
    for (uint32_t i = 0; i * kChunk < count; ++i) {
        if (!chunks_[i].load(std::memory_order_relaxed)) {
            chunks_[i].store(new Pair[kChunk], std::memory_order_release);
        }
    }
}

void FlowCounters::read(uint32_t flow, uint64_t* packets, uint64_t* bytes) const {
    const Pair* chunk = flow / kChunk < kMaxChunks
                            ? chunks_[flow / kChunk].load(std::memory_order_acquire)
                            : nullptr;
    *packets = chunk ? chunk[flow % kChunk].packets.get() : 0;
    *bytes = chunk ? chunk[flow % kChunk].bytes.get() : 0;
}

FlowCounters::~FlowCounters() {
    for (auto& chunk : chunks_) {
        delete[] chunk.load(std::memory_order_relaxed);
    }
}

}  // namespace sluice
