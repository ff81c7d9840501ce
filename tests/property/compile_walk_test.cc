// SPDX-License-Identifier: Apache-2.0
// The real walk on compiled ingress pipelines against the naive evaluator, and the promise the
// flow cache lives on: what is not in `reads` makes no difference.
#include <algorithm>
#include <cstring>
#include <memory>

#include <catch2/catch.hpp>

#include "tests/property/compile_random.h"
#include "tests/property/compile_run.h"
#include "tests/property/walk_lab.h"
#include "tests/support/scale.h"

using namespace sluice;
using namespace sluice::testing;
using oracle::Event;

namespace {

constexpr uint64_t kSeed = 77001;
constexpr unsigned kTables = 5;

struct Ingress {
    std::vector<std::unique_ptr<RandomFlow>> flows;
    std::vector<oracle::Flow> judged;

    explicit Ingress(Random* random) {
        uint32_t id = 0;
        for (unsigned table = 0; table < kTables; ++table) {
            for (unsigned i = random->below(8); i > 0; --i) {
                add(make_flow(0, table, random->below(4) * 10 + 1, id++, random->bits(),
                              random->match(1 + random->below(2)),
                              random->actions(0, table, kTables)));
            }
            add(make_flow(0, table, 0, id++, random->bits(), "1",
                          table + 1 < kTables ? "next;" : "output;"));
        }
    }
    void add(std::unique_ptr<RandomFlow> flow) {
        if (flow != nullptr) {
            judged.push_back(flow->judged);
            flows.push_back(std::move(flow));
        }
    }
    compile::DatapathInput input(const compile::Names* names) const {
        compile::DatapathInput in;
        in.names = names;
        for (const auto& flow : flows) {
            in.flows.push_back(&flow->flow);
        }
        return in;
    }
};

}  // namespace

TEST_CASE("The real walk does what the evaluator does") {
    Random random(kSeed);
    const oracle::World world = random.world();
    const WorldNames names(&world);
    compile::Compiler compiler;
    size_t pairs = 0;
    size_t events = 0;
    for (unsigned made = 0; pairs < scaled(60000); ++made) {
        const Ingress flows(&random);
        const compile::Compiled compiled = compiler.compile(flows.input(&names));
        OneDatapath datapath(compiled);
        for (unsigned i = 0; i < 100; ++i, ++pairs) {
            oracle::Packet packet = random.packet(0);
            const PacketKey key = key_of(packet);
            const auto inport = static_cast<uint32_t>(packet["inport"].lo);
            const auto flags = static_cast<uint32_t>(packet["flags"].lo);
            State state;
            std::memset(&state, 0, sizeof state);
            expand_key(key, &state);
            state.w[kSlotInport] = inport;
            state.w[kSlotFlags] = flags;
            state.w[kSlotPktMark] = key.pkt_mark;
            const auto want = oracle::run(flows.judged, 0, 0, to_packet(state), world);
            const auto got = datapath.walk_ingress(key, inport, flags);
            events += want.size();
            if (got != want) {
                FAIL("pair " << pairs << ": " << got.size() << " events, want " << want.size());
            }
        }
        if (made % 64 == 0) {
            compiler.forget_unused();
        }
    }
    CHECK(events > pairs / 2);
}

TEST_CASE("Packets that agree on all that is read fare alike") {
    Random random(kSeed + 1);
    const oracle::World world = random.world();
    const WorldNames names(&world);
    compile::Compiler compiler;
    size_t different = 0;
    size_t pairs = 0;
    for (unsigned made = 0; pairs < scaled(60000); ++made) {
        const Ingress flows(&random);
        const compile::Compiled compiled = compiler.compile(flows.input(&names));
        for (unsigned i = 0; i < 100; ++i, ++pairs) {
            State a;
            State other;
            to_state(random.packet(0), &a);
            to_state(random.packet(0), &other);
            const PacketClass c = class_of(static_cast<uint16_t>(a.w[kSlotEthType]),
                                           static_cast<uint8_t>(a.w[kSlotIpProto]));
            const SlotMask& reads = compiled.reads[0][static_cast<size_t>(c)];
            State b = a;
            for (unsigned slot = kSlotEthSrc; slot < kSlots; ++slot) {
                const bool of_class = slot == kSlotEthType || slot == kSlotIpProto;
                const uint32_t read = of_class ? ~0u : reads.w[slot];
                b.w[slot] = (a.w[slot] & read) | (other.w[slot] & ~read);
            }
            different += std::memcmp(&a, &b, sizeof a) != 0;
            const auto x = run_compiled(compiled, 0, 0, a);
            const auto y = run_compiled(compiled, 0, 0, b);
            REQUIRE(x.size() == y.size());
            for (size_t e = 0; e < x.size(); ++e) {
                REQUIRE(x[e].kind == y[e].kind);
                REQUIRE(x[e].why == y[e].why);
                State after_a;
                State after_b;
                to_state(x[e].packet, &after_a);
                to_state(y[e].packet, &after_b);
                for (unsigned slot = 0; slot < kSlots; ++slot) {
                    // Bits may differ only where the packets did from the start.
                    const uint32_t now = after_a.w[slot] ^ after_b.w[slot];
                    if ((now & ~(a.w[slot] ^ b.w[slot])) != 0) {
                        FAIL("pair " << pairs << ": slot " << slot << " differs in " << now);
                    }
                }
            }
        }
        if (made % 64 == 0) {
            compiler.forget_unused();
        }
    }
    CHECK(different > pairs / 2);
}
