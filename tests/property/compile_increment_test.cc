// SPDX-License-Identifier: Apache-2.0
// Any sequence of increments gives what a rebuild gives; all bitmap variants agree.
#include <algorithm>

#include <catch2/catch.hpp>

#include "datapath/classify.h"
#include "lib/program/table.h"
#include "tests/property/compile_random.h"
#include "tests/property/compile_run.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

/// A datapath whose flows and names change step by step.
class Changing {
public:
    explicit Changing(uint64_t seed) : random_(seed), world_(random_.world()), names_(&world_) {
        for (unsigned i = 0; i < 30; ++i) {
            add();
        }
    }

    void step() {
        const unsigned what = random_.below(10);
        if (what < 4 || flows_.size() < 10) {
            add();
        } else if (what < 7) {
            const auto at = flows_.begin() + random_.below(static_cast<unsigned>(flows_.size()));
            mark((*at)->flow);
            gone_.push_back(std::move(*at));
            flows_.erase(at);
        } else {
            change_name();
        }
    }

    /// Compiles the change and a rebuild, compares both.
    void check() {
        compile::DatapathInput input;
        input.names = &names_;
        for (const auto& flow : flows_) {
            input.flows.push_back(&flow->flow);
        }
        compile::Compiler fresh;
        const compile::Compiled rebuilt = fresh.compile(input);
        input.previous = &current_;
        input.dirty_tables = dirty_;
        input.renamed_tables = renamed_;
        compile::Compiled next = compiler_.compile(input);
        current_ = std::move(next);
        dirty_ = renamed_ = {};
        gone_.clear();
        compare(rebuilt);
    }

private:
    static constexpr unsigned kTables = 5;

    void mark(const compile::Flow& flow) { dirty_[flow.side] |= uint64_t{1} << flow.table; }
    void add() {
        const unsigned side = random_.below(2);
        const unsigned table = random_.below(kTables);
        auto flow = make_flow(side, table, random_.below(4) * 10, next_id_++, random_.bits(),
                              random_.one_in(3) ? "1" : random_.match(1 + random_.below(2)),
                              random_.actions(side, table, kTables));
        if (flow != nullptr) {
            mark(flow->flow);
            flows_.push_back(std::move(flow));
        }
    }
    template <typename Has>
    void mark_users(Has has) {
        for (const auto& flow : flows_) {
            if (has(compiler_.references(flow->flow))) {
                mark(flow->flow);
                renamed_[flow->flow.side] |= uint64_t{1} << flow->flow.table;
            }
        }
    }
    static bool in(const std::vector<std::string>& list, const std::string& name) {
        return std::find(list.begin(), list.end(), name) != list.end();
    }
    void change_name() {
        const std::string port = "p" + std::to_string(1 + random_.below(9));
        switch (random_.below(4)) {
        case 0:
            world_.address_sets["as4"].push_back("10.2.0." + std::to_string(random_.below(9)));
            mark_users([](const auto& r) { return in(r.address_sets, "as4"); });
            break;
        case 1:
            world_.port_groups["pg1"].push_back(port);
            mark_users([](const auto& r) { return in(r.port_groups, "pg1"); });
            break;
        case 2:
            if (!world_.resident.erase(port)) {
                world_.resident.insert(port);
            }
            mark_users([&](const auto& r) { return in(r.resident_ports, port); });
            break;
        default:
            if (!world_.ports.erase(port)) {
                world_.ports[port] = 1 + random_.below(12);
            }
            mark_users([&](const auto& r) {
                return in(r.ports, port) || in(r.port_groups, "pg1") || in(r.port_groups, "pg2");
            });
            break;
        }
    }

    void compare(const compile::Compiled& rebuilt) {
        CHECK(current_.reads[0] == rebuilt.reads[0]);
        CHECK(current_.reads[1] == rebuilt.reads[1]);
        CHECK(current_.pkt_lens == rebuilt.pkt_lens);
        CHECK(current_.errors.size() == rebuilt.errors.size());
        for (unsigned side = 0; side < 2; ++side) {
            for (unsigned table = 0; table < limits::kMaxTables; ++table) {
                const Table& a = *current_.tables[side][table];
                const Table& b = *rebuilt.tables[side][table];
                INFO("side " << side << " table " << table);
                REQUIRE(a.content_hash == b.content_hash);
                REQUIRE(a.description == b.description);
                REQUIRE(a.n_rows == b.n_rows);
                REQUIRE(a.bytes == b.bytes);
            }
        }
        for (unsigned i = 0; i < 20; ++i) {
            State state;
            to_state(random_.packet(i % 2), &state);
            REQUIRE(run_compiled(current_, i % 2, 0, state) ==
                    run_compiled(rebuilt, i % 2, 0, state));
        }
    }

    Random random_;
    oracle::World world_;
    WorldNames names_;
    compile::Compiler compiler_;
    compile::Compiled current_;
    std::array<uint64_t, 2> dirty_{~uint64_t{0}, ~uint64_t{0}};
    std::array<uint64_t, 2> renamed_{~uint64_t{0}, ~uint64_t{0}};
    std::vector<std::unique_ptr<RandomFlow>> flows_;
    std::vector<std::unique_ptr<RandomFlow>> gone_;  ///< since the last compile
    uint32_t next_id_ = 0;
};

}  // namespace

TEST_CASE("Increments equal a rebuild") {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        Changing datapath(seed);
        for (unsigned step = 0; step < 40; ++step) {
            for (unsigned changes = step % 3; changes < 3; ++changes) {
                datapath.step();
            }
            INFO("seed " << seed << " step " << step);
            datapath.check();
        }
    }
}

TEST_CASE("All ways to AND bitmaps agree") {
    Random random(7);
    size_t hits = 0;
    for (unsigned round = 0; round < 2000; ++round) {
        const unsigned n_blocks = 1 + random.below(5);
        const unsigned n_rows = 1 + random.below(8);
        std::vector<Block> pool(12);
        for (size_t i = 1; i < pool.size(); ++i) {
            for (uint64_t& word : pool[i].bits) {
                word = random.one_in(2) ? random.bits() & random.bits() : 0;
                word |= random.one_in(4) ? random.bits() : 0;
            }
        }
        std::vector<std::vector<uint32_t>> ids(n_rows, std::vector<uint32_t>(n_blocks));
        std::vector<const uint32_t*> rows;
        for (auto& row : ids) {
            for (uint32_t& id : row) {
                id = random.below(12);
            }
            rows.push_back(row.data());
        }
        // Bit by bit.
        int expected = -1;
        for (unsigned bit = 0; bit < n_blocks * kBlockRows && expected < 0; ++bit) {
            bool all = true;
            for (const uint32_t* row : rows) {
                const Block& block = pool[row[bit / kBlockRows]];
                all = all && (block.bits[bit % kBlockRows / 64] >> bit % 64 & 1) != 0;
            }
            expected = all ? static_cast<int>(bit) : -1;
        }
        hits += expected >= 0;
        CHECK(first_row_plain(rows.data(), n_rows, n_blocks, pool.data()) == expected);
        CHECK(first_row_sse2(rows.data(), n_rows, n_blocks, pool.data()) == expected);
        if (cpu_has_avx2()) {
            CHECK(first_row_avx2(rows.data(), n_rows, n_blocks, pool.data()) == expected);
        }
        if (cpu_has_avx512()) {
            CHECK(first_row_avx512(rows.data(), n_rows, n_blocks, pool.data()) == expected);
        }
        CHECK(first_row(rows.data(), n_rows, n_blocks, pool.data()) == expected);
    }
    CHECK(hits > 500);
    CHECK(hits < 2000);
}
