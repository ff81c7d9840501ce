// SPDX-License-Identifier: Apache-2.0
// Random flow tables and packets near the constants they use, for the compiler's property tests.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "control/compile/compile.h"
#include "tests/support/oracle.h"

namespace sluice::testing {

/// The oracle's world as the compiler asks for it.
class WorldNames final : public compile::Names {
public:
    explicit WorldNames(const oracle::World* world) : world_(world) {}
    std::optional<uint32_t> port_key(std::string_view name) const override;
    const std::vector<std::string>* address_set(std::string_view name) const override;
    const std::vector<std::string>* port_group(std::string_view name) const override;
    bool is_chassis_resident(std::string_view port) const override;
    const std::string* template_var(std::string_view) const override { return nullptr; }
    bool inport_possible(uint32_t key) const override { return key % 4 != 0; }
    bool outport_possible(uint32_t key) const override { return key % 5 != 3; }

private:
    const oracle::World* world_;
};

/// A logical flow as text and as both sides take it.
struct RandomFlow {
    compile::Flow flow;
    oracle::Flow judged;
};

class Random {
public:
    explicit Random(uint64_t seed) : engine_(seed) {}

    unsigned below(unsigned n) { return static_cast<unsigned>(engine_() % n); }
    bool one_in(unsigned n) { return below(n) == 0; }
    uint64_t bits() { return engine_(); }
    template <typename T>
    const T& pick(const std::vector<T>& from) {
        return from[below(static_cast<unsigned>(from.size()))];
    }

    oracle::World world();
    /// `negated`: no comparison that OVN refuses below a `!`.
    std::string match(unsigned depth, bool negated = false);
    std::string actions(unsigned side, unsigned table, unsigned tables);
    oracle::Packet packet(unsigned side);

    /// Texts that look like northd's tables of one kind; `n` of them.
    struct Line {
        unsigned priority;
        std::string match;
    };
    std::vector<Line> routes(unsigned n);
    std::vector<Line> l2_lookup(unsigned n);
    std::vector<Line> acls(unsigned n);
    std::vector<Line> resolve(unsigned n);
    std::vector<Line> mixed(unsigned n);

private:
    std::string comparison(bool negated);
    std::string number_test(const std::string& field, unsigned width,
                            const std::vector<std::string>& pool);
    std::string port_test();
    std::string address4();
    std::string address6();
    std::string mac();
    std::string slice_of(const std::string& reg, unsigned width, unsigned* out_width);
    std::string statement(unsigned side, unsigned table, unsigned tables, unsigned depth);
    uint64_t near_number(const std::vector<uint64_t>& pool, unsigned width);

    std::mt19937_64 engine_;
};

/// Parses one flow for both sides; null when the language refuses it.
std::unique_ptr<RandomFlow> make_flow(unsigned side, unsigned table, unsigned priority, uint32_t id,
                                      uint64_t uuid_bits, const std::string& match,
                                      const std::string& actions);

void to_state(const oracle::Packet& packet, State* state);
oracle::Packet to_packet(const State& state);

}  // namespace sluice::testing
