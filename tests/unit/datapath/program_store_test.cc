// SPDX-License-Identifier: Apache-2.0
// Which cached programs are one, when they may be, and that all memory comes back.
#include "datapath/program_store.h"

#include <catch2/catch.hpp>
#include <memory>

#include "lib/program/pipeline.h"

using namespace sluice;

namespace {

struct Store {
    std::unique_ptr<WorkerCounters> counters = std::make_unique<WorkerCounters>();
    std::unique_ptr<ProgramBuffer> buffer = std::make_unique<ProgramBuffer>();
    Datapath datapath;
    Pipeline pipeline;
    ProgramStore store;

    Store() {
        counters->flows.reserve(100);
        datapath.generation = 1;
        pipeline.sequence = 1;
        pipeline.datapaths = {&datapath};
        REQUIRE(store.init(64, 12345));
        buffer->flush = nullptr;
    }
    /// Output to `port`, having hit logical flow `flow`; `sets` make the program that much longer.
    CachedProgram* keep(uint16_t port, uint32_t flow, unsigned sets = 0, bool asks = false) {
        buffer->reset();
        buffer->cross(0);
        buffer->credit(flow);
        if (asks) {
            buffer->depend({});
        }
        buffer->begin_section(Act::kPacketSection);
        for (unsigned i = 0; i < sets; ++i) {
            buffer->put(act::set(Act::kSet, Target::kEthDst, i));
        }
        buffer->put(act::word(Act::kOutput, 0, port));
        buffer->end_section();
        buffer->finish();
        return store.keep(*buffer, pipeline, counters.get());
    }
    void release(CachedProgram* program) { store.release(program, counters.get()); }
    void sweep() {
        while (!store.sweep(7, counters.get())) {
        }
    }
};

}  // namespace

TEST_CASE("equal programs are one, unequal ones share what they passed", "[program_store]") {
    Store s;
    CachedProgram* const a = s.keep(1, 5);
    REQUIRE(a);
    CHECK(a->form == CachedProgram::Form::kOutput);
    CHECK(a->port == 1);
    CHECK_FALSE(a->has_rewrite);
    CHECK(s.keep(1, 5) == a);
    CachedProgram* const b = s.keep(2, 5);
    CHECK(b != a);
    CHECK(b->trail == a->trail);
    CachedProgram* const c = s.keep(1, 6);
    CHECK(c != a);
    CHECK(c->trail != a->trail);
    CachedProgram* const d = s.keep(1, 5, 1);
    CHECK(d->has_rewrite);
    CHECK(d->rewrite().fields == Rewrite::kEthDst);
    CHECK(d->view().n_words == 3);
    CHECK(act::of(d->words()[2]) == Act::kOutput);
    // Connections are a key's own.
    CachedProgram* const e = s.keep(1, 5, 0, true);
    CachedProgram* const f = s.keep(1, 5, 0, true);
    CHECK(e != f);
    CHECK(e->n_steps == 1);
    CHECK(act::of(e->words()[1]) == Act::kOutput);
}

TEST_CASE("what is out of date is not given to a new program", "[program_store]") {
    Store s;
    CachedProgram* const a = s.keep(1, 5);
    s.pipeline.sequence = 2;
    CHECK(s.keep(1, 5) == a);  // nothing it crossed has changed
    s.pipeline.sequence = 3;
    s.datapath.generation = 3;
    CHECK_FALSE(ProgramStore::still_good(a->trail, s.pipeline));
    CachedProgram* const b = s.keep(1, 5);
    CHECK(b != a);
    CHECK(ProgramStore::still_good(b->trail, s.pipeline));
}

TEST_CASE("hits are credited by the sweep and when a trail goes", "[program_store]") {
    Store s;
    uint64_t packets = 0;
    uint64_t bytes = 0;
    CachedProgram* const a = s.keep(1, 5);
    CachedProgram* const b = s.keep(2, 5);
    a->trail->packets += 3;
    b->trail->bytes += 90;
    s.sweep();
    s.counters->flows.read(5, &packets, &bytes);
    CHECK(packets == 3);
    CHECK(bytes == 90);
    a->trail->packets += 2;
    s.release(a);
    s.counters->flows.read(5, &packets, &bytes);
    CHECK(packets == 3);
    s.release(b);
    s.counters->flows.read(5, &packets, &bytes);
    CHECK(packets == 5);
}

TEST_CASE("memory is bounded, and all of it comes back", "[program_store]") {
    Store s;
    size_t first = 0;
    for (unsigned round = 0; round < 3; ++round) {
        std::vector<CachedProgram*> kept;
        for (uint32_t i = 0; i < 100000; ++i) {
            CachedProgram* const p = s.keep(static_cast<uint16_t>(i), i % 100, i % 20, i % 3 == 0);
            if (!p) {
                break;
            }
            kept.push_back(p);
        }
        REQUIRE(kept.size() < 100000);
        REQUIRE(kept.size() > 64);
        first = first ? first : kept.size();
        CHECK(kept.size() == first);
        for (CachedProgram* p : kept) {
            s.release(p);
        }
    }
}
