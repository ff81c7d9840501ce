// SPDX-License-Identifier: Apache-2.0
// Learner: works out which other packets would have gone the way of a walk that was taken down.
//
// What. It follows the trace step by step and knows for every word of State where its value came
// from: the packet, an answer of conntrack, or nowhere (it is the same for all packets that come
// here). Every comparison that a table or an instruction made narrows the interval, or the bits,
// of what it compared, so that every value that is left gives the same result. The narrowing that
// happened between two steps of conntrack are the checks of one part of the path.
// Never too wide. What is not understood exactly is pinned to the value that it had, or the path is
// refused: instructions with a memory, copies, transforms, fields that flows write where conntrack
// reads.
// Threads: pure but for `path`.
#pragma once

#include "datapath/program.h"
#include "datapath/shortcut.h"
#include "datapath/trace.h"
#include "lib/program/table.h"

namespace sluice {

/// False: the walk is not one for a shortcut.
bool learn_path(const Pipeline& pipeline, const Trace& trace, const CtReplay& steps,
                const ProgramBuffer& program, ShortcutPath* path);

/// The values of each word of State that give the same answers, and where the words came from.
/// Words have one of `kVars` variables or none.
class Spans {
public:
    static constexpr uint8_t kFixed = 0xff;
    struct Span {
        uint32_t low = 0;
        uint32_t high = 0xffffffff;
        uint32_t mask = 0;  ///< bits that must stay
        bool operator==(const Span&) const = default;
    };

    /// The packet as it came in.
    void begin(const State& s);
    uint8_t var(unsigned slot) const { return var_[slot]; }
    void set_var(unsigned slot, uint8_t var, uint32_t value) {
        var_[slot] = var;
        value_[var] = value;
    }
    void move(unsigned to, unsigned from) { var_[to] = var_[from]; }
    void fix(unsigned slot, unsigned count = 1) {
        for (; count != 0; ++slot, --count) {
            var_[slot] = kFixed;
        }
    }
    bool is_fixed(unsigned slot) const { return var_[slot] == kFixed; }
    /// These bits of the word must stay as they are.
    void pin(unsigned slot, uint32_t mask = ~0u);
    void pin_words(unsigned slot, unsigned count) {
        for (; count != 0; ++slot, --count) {
            pin(slot);
        }
    }
    /// The slice of the word stays in [low, high], in which it is.
    void keep(unsigned slot, unsigned shift, unsigned bits, uint32_t low, uint32_t high);
    /// word & mask stays what it is (`same`), or other than `key`, which it is not.
    void keep_equal(unsigned slot, uint32_t mask);
    void keep_different(unsigned slot, uint32_t mask, uint32_t key);
    /// Whether no value of the word that is left gives `key` under `mask`.
    bool excludes(unsigned slot, uint32_t mask, uint32_t key) const;
    /// How much of the word's values keep_different() would leave, of 2^16; 0: only bits.
    uint32_t left_without(unsigned slot, uint32_t mask, uint32_t key) const;
    uint32_t value(unsigned slot) const { return value_[var_[slot]]; }

    /// Follows classify() over a table.
    void classify(const Table& table, const State& s);

    const Span& of(unsigned var) const { return spans_[var]; }
    uint32_t value_of(unsigned var) const { return value_[var]; }

private:
    uint32_t domain(unsigned slot) const { return domain_[var_[slot]]; }
    bool is_prefix(unsigned slot, uint32_t mask) const;
    bool fails(const Table& table, const Candidate& row, const State& s);
    const Rule* first_of(const Table& table, const List& list, const State& s);
    bool passes(const Table& table, const Test& test, const State& s);
    uint32_t search(const State& s, Slice slice, const void* bounds, uint32_t n);
    const List& hash_find(const HashSegment& segment, const State& s);
    void miss(const HashSegment& segment, const State& s, uint32_t entry);
    void keep_place(const Dimension& dimension, const State& s);
    const Rule* bitmap_find(const BitmapSegment& segment, const State& s);

    uint8_t var_[kSlots];
    uint32_t value_[256];
    uint32_t domain_[256];  ///< all bits that the variable can have
    Span spans_[ShortcutValues::kVars];
};

}  // namespace sluice
