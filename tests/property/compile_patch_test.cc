// SPDX-License-Identifier: Apache-2.0
// Large tables that are patched look up what tables lowered as a whole do.
#include <algorithm>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "datapath/classify.h"
#include "lib/program/table.h"
#include "tests/property/compile_random.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

/// A table of VIPs, with a few flows above and below them.
class Balancers {
public:
    explicit Balancers(uint64_t seed)
        : random_(seed), world_(random_.world()), names_(&world_), with_port_(seed % 2 == 0) {
        world_.ports["p1"] = 1;
        above_ = add(200, "ip4.src == 10.9.9.9");
        below_ = add(50, "ip4.dst == 10.0.0.0/20 && tcp.dst == 443");
        add(40, "outport == \"p1\" && udp");
        add(0, "1");
        for (unsigned i = 0; i < 500; ++i) {
            add_vip(2 * i);
        }
    }

    void step() {
        switch (random_.below(10)) {
        case 0:
        case 1:
        case 2: add_vip(random_.below(1100)); break;  // now and then one that is there already
        case 3:
        case 4: remove(random_.pick(vips_)); break;
        case 5: {  // other backends: the same match, the same UUID
            const compile::Flow* flow = random_.pick(vips_);
            const uint64_t uuid = uuid_bits(*flow);
            const std::string match = *flow->match;
            remove(flow);
            vips_.push_back(add(120, match, uuid));
            break;
        }
        case 6: add_several(); break;
        case 7: {  // one more with the keys of another: only one of them is ever found
            const std::string match = *random_.pick(vips_)->match;
            twins_.push_back(add(120, match));
            break;
        }
        case 8:
            if (!twins_.empty()) {
                take_twin();
            }
            break;
        default:
            if (random_.one_in(4)) {
                remove(above_);
                above_ = add(200, fmt::format("ip4.src == 10.9.9.{}", random_.below(20)));
            }
            break;
        }
    }

    /// True when the increment was a patch.
    bool check() {
        compile::DatapathInput input;
        input.names = &names_;
        for (const auto& flow : flows_) {
            input.flows.push_back(&flow->flow);
        }
        compile::Compiler fresh;
        const compile::Compiled rebuilt = fresh.compile(input);
        input.previous = &current_;
        input.dirty_tables = {1, 0};
        input.renamed_tables = {is_first_ ? 1u : 0u, 0};
        compile::Compiled next = compiler_.compile(input);
        const Table& table = *next.tables[0][0];
        const bool is_patch = !is_first_ && first_candidate(table) != nullptr &&
                              first_candidate(table) == first_candidate(*current_.tables[0][0]);
        CHECK(next.reads[0] == rebuilt.reads[0]);
        CHECK(table.n_rows == rebuilt.tables[0][0]->n_rows);
        CHECK(table.content_hash == rebuilt.tables[0][0]->content_hash);
        compare(table, *rebuilt.tables[0][0]);
        current_ = std::move(next);
        gone_.clear();
        is_first_ = false;
        return is_patch;
    }

private:
    static uint64_t uuid_bits(const compile::Flow& flow) {
        uint64_t bits = 0;
        std::memcpy(&bits, flow.uuid.bytes.data(), sizeof bits);
        return bits;
    }
    static const Candidate* first_candidate(const Table& table) {
        for (uint32_t i = 0; i < table.n_segments; ++i) {
            const Segment& s = table.segments[i];
            if (s.form == Form::kHash) {
                for (uint32_t list = 1; list <= s.rows; ++list) {
                    if (s.hash.lists[list].count != 0) {
                        return s.hash.lists[list].first;
                    }
                }
            }
        }
        return nullptr;
    }

    const compile::Flow* add(unsigned priority, const std::string& match) {
        return add(priority, match, random_.bits());
    }
    const compile::Flow* add(unsigned priority, const std::string& match, uint64_t uuid) {
        auto flow = make_flow(0, 0, priority, next_id_, uuid, match,
                              fmt::format("reg1 = {}; output;", next_id_));
        REQUIRE(flow);
        ++next_id_;
        flows_.push_back(std::move(flow));
        return &flows_.back()->flow;
    }
    void add_vip(unsigned number) {
        vips_.push_back(add(120, fmt::format("ip4.dst == 10.0.{}.{}{}", number / 200, number % 200,
                                             with_port_ ? " && tcp.dst == 80" : "")));
    }
    void add_several() {
        vips_.push_back(add(120, fmt::format("ip4.dst == 10.0.{}.7 && tcp.dst == {{80, 81, 443}}",
                                             10 + random_.below(200))));
    }
    /// Away with one of two: the one that is found, as often as not.
    void take_twin() {
        const compile::Flow* twin = twins_.back();
        twins_.pop_back();
        const auto other = std::find_if(vips_.begin(), vips_.end(), [&](const compile::Flow* f) {
            return *f->match == *twin->match;
        });
        if (other != vips_.end() && random_.one_in(2)) {
            remove(*other);
            vips_.push_back(twin);
        } else {
            remove(twin);
        }
    }
    void remove(const compile::Flow* flow) {
        const auto at = std::find_if(flows_.begin(), flows_.end(),
                                     [&](const auto& f) { return &f->flow == flow; });
        gone_.push_back(std::move(*at));
        flows_.erase(at);
        std::erase(vips_, flow);
    }

    void compare(const Table& a, const Table& b) {
        State state{};
        state.w[kSlotEthType] = 0x800;
        state.w[kSlotIpTtl] = 64;
        unsigned differing = 0;
        for (unsigned i = 0; i < 4000; ++i) {
            const unsigned number = i < 1200 ? i : random_.below(42000);
            state.w[kSlotIp4Dst] = 0x0a000000 | number / 200 << 8 | number % 200;
            state.w[kSlotIp4Src] = random_.one_in(8) ? 0x0a090900 | random_.below(20) : 1;
            state.w[kSlotIpProto] = random_.one_in(8) ? 17 : 6;
            state.w[kSlotL4Dst] = random_.one_in(4) ? 443 : 80;
            state.w[kSlotOutport] = random_.below(2);
            const Rule* x = datapath::classify(a, state);
            const Rule* y = datapath::classify(b, state);
            differing += (x ? x->flow : kNoFlow) != (y ? y->flow : kNoFlow);
        }
        CHECK(differing == 0);
    }

    Random random_;
    oracle::World world_;
    WorldNames names_;
    const bool with_port_;  ///< without, a key settles all of a row, and hides others behind it
    compile::Compiler compiler_;
    compile::Compiled current_;
    std::vector<std::unique_ptr<RandomFlow>> flows_;
    std::vector<std::unique_ptr<RandomFlow>> gone_;  ///< since the last compile
    std::vector<const compile::Flow*> vips_;
    std::vector<const compile::Flow*> twins_;  ///< of some of those
    const compile::Flow* above_ = nullptr;
    const compile::Flow* below_ = nullptr;
    uint32_t next_id_ = 0;
    bool is_first_ = true;
};

}  // namespace

TEST_CASE("Patches of large tables equal a rebuild") {
    unsigned patched = 0;
    for (uint64_t seed = 1; seed <= 4; ++seed) {
        Balancers table(seed);
        CHECK_FALSE(table.check());
        for (unsigned round = 0; round < 60; ++round) {
            for (unsigned changes = round % 3; changes < 3; ++changes) {
                table.step();
            }
            INFO("seed " << seed << " round " << round);
            patched += table.check();
        }
    }
    CHECK(patched >= 60);  // of 240; what is no patch was lowered as a whole
}
