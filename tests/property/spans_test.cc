// SPDX-License-Identifier: Apache-2.0
// What a shortcut checks in place of a table: every packet whose fields stay within the spans that
// a lookup left hits the very rule that the lookup hit. Tables come from the compiler, in all its
// forms; the values that are tried lie on the edges of the spans and at random between them.
#include <algorithm>
#include <map>

#include <catch2/catch.hpp>

#include "datapath/classify.h"
#include "datapath/shortcut_learn.h"
#include "tests/property/compile_random.h"
#include "tests/support/scale.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

constexpr uint64_t kSeed = 20261122;

struct Made {
    std::vector<std::unique_ptr<RandomFlow>> flows;
    compile::Compiled compiled;
    const Table& table() const { return *compiled.tables[0][1]; }
};

Made make_table(Random* random, compile::Compiler* compiler, const WorldNames& names,
                bool is_large) {
    const unsigned n = is_large ? 30 + random->below(90) : 1 + random->below(20);
    std::vector<Random::Line> lines;
    switch (random->below(7)) {
    case 0: lines = random->routes(2 * n); break;
    case 1: lines = random->l2_lookup(n); break;
    case 2: lines = random->acls(n); break;
    case 3: lines = random->resolve(n); break;
    default: lines = random->mixed(n); break;
    }
    if (random->one_in(2)) {
        lines.push_back({0, "1"});
    }
    // Without this the compiler knows that registers are zero, and leaves rows out.
    lines.insert(lines.begin(), {0, ""});
    Made made;
    compile::DatapathInput in;
    in.names = &names;
    for (const Random::Line& line : lines) {
        const auto id = static_cast<uint32_t>(made.flows.size());
        auto flow =
            line.match.empty()
                ? make_flow(0, 0, 0, 1000000, 1, "1",
                            "pop(xxreg0); pop(xxreg1); pop(xreg4); pop(flags); pop(inport); "
                            "pop(outport); pop(remote_outport); next;")
                : make_flow(0, 1, line.priority, id, random->bits(), line.match, "output;");
        if (flow) {
            made.flows.push_back(std::move(flow));
            in.flows.push_back(&made.flows.back()->flow);
        }
    }
    made.compiled = compiler->compile(in);
    return made;
}

/// A TCP or UDP packet over IPv4, as shortcuts are for.
State some_state(Random* random) {
    State s;
    do {
        oracle::Packet packet = random->packet(0);
        packet["xxreg0"] = {random->below(3) | uint64_t{0x0a000000 | random->below(2048)} << 32,
                            random->below(3)};
        to_state(packet, &s);
    } while (s.w[kSlotEthType] != 0x0800 || (s.w[kSlotIpProto] != 6 && s.w[kSlotIpProto] != 17));
    return s;
}

/// All bits that packets can have in a word.
uint32_t domain_of(unsigned slot) {
    uint32_t all = 0;
    for (const FieldInfo& f : kFields) {
        for (unsigned i = 0; i < f.slots(); ++i) {
            if (f.slot + i == slot) {
                const bool is_first = i == 0 && f.slots() > 1 && (f.shift + f.bits) % 32 != 0;
                const unsigned bits = f.slots() == 1 ? f.shift + f.bits
                                      : is_first     ? (f.shift + f.bits) % 32
                                                     : 32;
                all |= bits >= 32 ? ~0u : (1u << bits) - 1;
            }
        }
    }
    return all;
}

/// A value that the span lets through; `value` at worst.
uint32_t within(Random* random, const Spans::Span& span, uint32_t value, uint32_t domain) {
    const uint64_t high = std::min(span.high, domain);
    uint64_t wanted = value;
    switch (random->below(6)) {
    case 0: wanted = span.low; break;
    case 1: wanted = high; break;
    case 2: wanted = value + uint64_t{1}; break;
    case 3: wanted = value - uint64_t{1}; break;
    case 4: wanted = value ^ (uint64_t{1} << random->below(32)); break;
    default: wanted = span.low + random->bits() % (high - span.low + 1); break;
    }
    const uint64_t got = (wanted & ~uint64_t{span.mask}) | (value & span.mask);
    return got >= span.low && got <= high && (got & ~uint64_t{domain}) == 0
               ? static_cast<uint32_t>(got)
               : value;
}

struct Tally {
    std::map<Form, size_t> forms;  ///< lookups that went through a segment of the form
    size_t moved = 0;              ///< words that were changed
    size_t tried = 0;
};

/// `s` and what its lookup leaves, against packets within.
void judge(Random* random, const Table& table, const State& s, Tally* tally) {
    static Spans spans;
    spans.begin(s);
    // Registers that flows have filled from the packet, as routes do.
    const bool has_copy = random->one_in(2);
    State from = s;
    if (has_copy) {
        from.w[kSlotXxreg0] = s.w[kSlotIp4Dst];
        spans.move(kSlotXxreg0, kSlotIp4Dst);
    }
    const Rule* const rule = datapath::classify(table, from);
    spans.classify(table, from);
    for (unsigned n = 0; n < 12; ++n) {
        State t = from;
        for (unsigned slot = 0; slot < kSlots; ++slot) {
            if (spans.var(slot) != slot || random->one_in(3)) {
                continue;
            }
            t.w[slot] = within(random, spans.of(slot), s.w[slot], domain_of(slot));
            tally->moved += t.w[slot] != s.w[slot];
        }
        if (has_copy) {
            t.w[kSlotXxreg0] = t.w[kSlotIp4Dst];
        }
        ++tally->tried;
        if (datapath::classify(table, t) != rule) {
            for (unsigned slot = 0; slot < kSlots; ++slot) {
                if (t.w[slot] != from.w[slot]) {
                    const Spans::Span& span = spans.of(spans.var(slot));
                    UNSCOPED_INFO("word " << slot << ": " << from.w[slot] << " -> " << t.w[slot]
                                          << " in " << span.low << ".." << span.high << " mask "
                                          << span.mask);
                }
            }
            FAIL("another rule\n" << table.description);
        }
    }
}

}  // namespace

TEST_CASE("packets within the spans of a lookup hit the same rule") {
    Random random(kSeed);
    const oracle::World world = random.world();
    const WorldNames names(&world);
    compile::Compiler compiler;
    Tally tally;
    for (size_t made = 0; made < scaled(6000); ++made) {
        const Made m = make_table(&random, &compiler, names, random.one_in(6));
        for (uint32_t i = 0; i < m.table().n_segments; ++i) {
            ++tally.forms[m.table().segments[i].form];
        }
        for (unsigned n = 0; n < 12; ++n) {
            judge(&random, m.table(), some_state(&random), &tally);
        }
        if (made % 64 == 0) {
            compiler.forget_unused();
        }
    }
    for (const Form form :
         {Form::kConst, Form::kLinear, Form::kHash, Form::kLpm, Form::kDirect, Form::kBitmap}) {
        INFO(form_name(form));
        CHECK(tally.forms[form] > 20);
    }
    // Spans that pin everything would pass, and be of no use.
    INFO(tally.moved << " words of " << tally.tried << " packets");
    CHECK(tally.moved > 3 * tally.tried);
}
