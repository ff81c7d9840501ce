// SPDX-License-Identifier: Apache-2.0
// The compiler against the naive evaluator: random tables, packets drawn near their constants.
#include <algorithm>
#include <map>

#include <catch2/catch.hpp>

#include "datapath/classify.h"
#include "lib/program/table.h"
#include "tests/property/compile_random.h"
#include "tests/property/compile_run.h"
#include "tests/support/scale.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

constexpr uint64_t kSeed = 20261121;

struct Tables {
    std::vector<std::unique_ptr<RandomFlow>> flows;
    std::vector<oracle::Flow> judged;

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

std::string show(const Tables& tables, const oracle::Flow* flow) {
    for (const auto& f : tables.flows) {
        if (flow != nullptr && f->flow.id == flow->id) {
            return std::to_string(f->flow.priority) + " " + *f->flow.match + " -> " +
                   *f->flow.actions;
        }
    }
    return "none";
}

const oracle::Flow* by_id(const Tables& tables, uint32_t id) {
    for (const oracle::Flow& flow : tables.judged) {
        if (flow.id == id) {
            return &flow;
        }
    }
    return nullptr;
}

}  // namespace

TEST_CASE("One table hits the flow that the evaluator finds") {
    Random random(kSeed);
    const oracle::World world = random.world();
    const WorldNames names(&world);
    compile::Compiler compiler;
    std::map<Form, size_t> forms;
    size_t pairs = 0;
    size_t hits = 0;
    size_t refused = 0;
    size_t texts = 0;
    size_t tables_made = 0;
    while (pairs < scaled(750000)) {
        Tables tables;
        // Pops of an empty stack do nothing, but the compiler no longer knows the fields.
        tables.add(make_flow(0, 0, 0, 1000000, 1, "1",
                             "pop(xxreg0); pop(xxreg1); pop(xreg4); pop(flags); pop(inport); "
                             "pop(outport); pop(remote_outport); next;"));
        REQUIRE(tables.flows.size() == 1);
        std::vector<Random::Line> lines;
        const unsigned kind = random.below(12);
        const unsigned n = random.one_in(6) ? 30 + random.below(60) : 1 + random.below(20);
        switch (kind) {
        case 0:
        case 1: lines = random.routes(2 * n); break;
        case 2:
        case 3: lines = random.l2_lookup(n); break;
        case 4:
        case 5: lines = random.acls(tables_made % 97 == 0 ? 700 : n); break;
        case 6: lines = random.resolve(n); break;
        default: lines = random.mixed(n); break;
        }
        if (random.one_in(2)) {
            lines.push_back({0, "1"});
        }
        for (const Random::Line& line : lines) {
            const auto id = static_cast<uint32_t>(tables.flows.size());
            auto flow = make_flow(0, 1, line.priority, id, random.bits(), line.match,
                                  "reg0 = " + std::to_string(id) + "; output;");
            ++texts;
            refused += flow == nullptr;
            tables.add(std::move(flow));
        }
        ++tables_made;
        const compile::Compiled compiled = compiler.compile(tables.input(&names));
        REQUIRE(compiled.errors.empty());
        const Table& table = *compiled.tables[0][1];
        for (uint32_t i = 0; i < table.n_segments; ++i) {
            ++forms[table.segments[i].form];
        }
        const size_t packets = tables.flows.size() > 400 ? 20 : 150;
        for (size_t i = 0; i < packets; ++i, ++pairs) {
            oracle::Packet packet = random.packet(i % 2);
            for (const char* reg : {"xxreg0", "xxreg1"}) {
                packet[reg] = {random.below(3) | uint64_t{0x0a000000 | random.below(2048)} << 32,
                               random.one_in(2) ? random.below(3) : random.bits()};
            }
            packet["xreg4"] = {0, random.one_in(2) ? random.below(8) : random.bits()};
            State state;
            to_state(packet, &state);
            const Rule* rule = datapath::classify(table, state);
            const oracle::Flow* expected = oracle::best_match(tables.judged, 0, 1, packet, world);
            const uint32_t got = rule == nullptr ? kNoFlow : rule->flow;
            const uint32_t want = expected == nullptr ? kNoFlow : expected->id;
            hits += expected != nullptr;
            if (got != want) {
                FAIL("pair " << pairs << ": got " << show(tables, by_id(tables, got)) << "\nwant "
                             << show(tables, expected) << "\n"
                             << table.description);
            }
        }
        if (tables_made % 64 == 0) {
            compiler.forget_unused();
        }
    }
    INFO(pairs << " pairs, " << tables_made << " tables, " << refused << " texts refused");
    CHECK(hits > pairs / 3);
    CHECK(refused < texts / 50);
    for (const Form form :
         {Form::kConst, Form::kLinear, Form::kHash, Form::kLpm, Form::kDirect, Form::kBitmap}) {
        INFO(form_name(form));
        CHECK(forms[form] > 0);
    }
}

TEST_CASE("Whole pipelines do what the evaluator does") {
    Random random(kSeed + 1);
    const oracle::World world = random.world();
    const WorldNames names(&world);
    compile::Compiler compiler;
    size_t pairs = 0;
    size_t with_output = 0;
    size_t refused = 0;
    size_t made = 0;
    while (pairs < scaled(300000)) {
        Tables tables;
        const unsigned n_tables = 2 + random.below(5);
        uint32_t id = 0;
        for (unsigned table = 0; table < n_tables; ++table) {
            for (unsigned side = 0; side < 2; ++side) {
                for (unsigned i = random.below(8); i > 0; --i) {
                    auto flow = make_flow(side, table, random.below(4) * 10 + 1, id++,
                                          random.bits(), random.match(1 + random.below(2)),
                                          random.actions(side, table, n_tables));
                    refused += flow == nullptr;
                    tables.add(std::move(flow));
                }
                if (!random.one_in(6)) {
                    tables.add(
                        make_flow(side, table, 0, id++, random.bits(), "1",
                                  random.one_in(3)
                                      ? random.actions(side, table, n_tables)
                                      : std::string(table + 1 < n_tables ? "next;" : "output;")));
                }
            }
        }
        ++made;
        const compile::Compiled compiled = compiler.compile(tables.input(&names));
        for (const compile::FlowError& error : compiled.errors) {
            FAIL(error.text);
        }
        for (size_t i = 0; i < 100; ++i, ++pairs) {
            const unsigned side = i % 2;
            const oracle::Packet packet = random.packet(side);
            State state;
            to_state(packet, &state);
            const auto want = oracle::run(tables.judged, side, 0, packet, world);
            const auto got = run_compiled(compiled, side, 0, state);
            with_output += std::any_of(want.begin(), want.end(), [](const oracle::Event& e) {
                return e.kind == oracle::Event::kOutput;
            });
            if (got != want) {
                std::string text;
                for (const auto& f : tables.flows) {
                    if (f->flow.side == side) {
                        text += std::to_string(f->flow.table) + " " +
                                std::to_string(f->flow.priority) + " " + *f->flow.match + " -> " +
                                *f->flow.actions + "\n";
                    }
                }
                FAIL("pair " << pairs << " side " << side << ": " << got.size() << " events, want "
                             << want.size() << "\n"
                             << text);
            }
        }
        if (made % 64 == 0) {
            compiler.forget_unused();
        }
    }
    INFO(pairs << " pairs, " << made << " pipelines, " << refused << " texts refused");
    CHECK(with_output > pairs / 4);
    CHECK(refused < made / 2);
}
