// SPDX-License-Identifier: Apache-2.0
// The compiler's middle form: rows of conditions on value sets, and code.
//
// A match becomes rows; a packet matches when one row does. A row is a conjunction: each condition
// says that some bits of a field (a slice) lie in a set of numbers. Sets are sorted ranges, so an
// address set of ten thousand members, a port range and the complement of either are one condition
// in one row, and negation is exact. Masks that are no prefix are split into slices that are.
// Actions become Code: instructions plus the groups of select().
// Everything is a value or shared and immutable once made.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/compile/symbols.h"
#include "lib/program/action.h"
#include "lib/program/table_build.h"

namespace sluice::compile {

using lang::FieldRef;

U128 ones(unsigned bits);

/// A set of numbers: ascending, disjoint, not adjacent ranges.
class ValueSet {
public:
    ValueSet() = default;
    /// In any order, overlapping or not.
    explicit ValueSet(std::vector<ValueRange> ranges);
    static ValueSet all(unsigned bits) { return ValueSet({{0, ones(bits)}}); }

    const std::vector<ValueRange>& ranges() const { return ranges_; }
    uint64_t hash() const { return hash_; }
    /// Another one, made in another way: both together tell contents apart for good.
    uint64_t second_hash() const { return second_hash_; }
    bool empty() const { return ranges_.empty(); }
    bool is_all(unsigned bits) const {
        return ranges_.size() == 1 && ranges_[0].lo == 0 && ranges_[0].hi == ones(bits);
    }
    /// The only member, if there is exactly one.
    std::optional<U128> single() const;
    bool only_singles() const;
    bool contains(U128 value) const;

    ValueSet unite(const ValueSet& other) const;
    ValueSet intersect(const ValueSet& other) const;
    ValueSet complement(unsigned bits) const;
    bool operator==(const ValueSet& other) const {
        return hash_ == other.hash_ && ranges_ == other.ranges_;
    }

private:
    void set_hash();
    std::vector<ValueRange> ranges_;
    uint64_t hash_ = 1;  ///< of the empty set
    uint64_t second_hash_ = 1;
};
using ValueSetPtr = std::shared_ptr<const ValueSet>;
/// A set of one range. Those that were asked for lately are one object: flows say `ip4` and
/// `tcp.dst == 80` over and over again.
ValueSetPtr one_range(const ValueRange& range);

struct Cond {
    FieldRef slice;
    ValueSetPtr values;
};

struct Row {
    std::vector<Cond> conds;  ///< ascending by slice, one for each slice

    /// Adds a condition; false when nothing can match any more.
    bool add(const Cond& cond);
    bool add(const Row& other);
};
bool equal(const Cond& a, const Cond& b);
bool equal(const Row& a, const Row& b);
/// Every packet that matches `narrow` matches `wide`, by comparing conditions slice by slice.
bool covers(const Row& wide, const Row& narrow);
bool slice_less(const FieldRef& a, const FieldRef& b);
inline bool overlaps(const FieldRef& a, const FieldRef& b) {
    return a.id == b.id && a.ofs < b.ofs + b.width && b.ofs < a.ofs + a.width;
}

/// The slots of State that hold the slice.
Slice state_slice(const FieldRef& field);
/// Calls f(slot, mask) for each slot the slice has bits in, most significant first.
template <typename F>
void for_each_word(const FieldRef& field, F&& f) {
    const Slice s = state_slice(field);
    const U128 mask = ones(s.bits) << s.shift;
    for (unsigned i = 0; i < s.slots; ++i) {
        f(static_cast<unsigned>(s.slot + i),
          static_cast<uint32_t>(mask >> 32 * (s.slots - 1u - i)));
    }
}

struct Code {
    std::vector<Instr> instrs;  ///< kSelect: f is an index into selects, p is null
    std::vector<std::vector<SelectGroup::Entry>> selects;
    /// Owners of what instructions point at (punt_args.h); whoever keeps the table keeps them.
    std::vector<std::shared_ptr<const void>> keep;
};
using CodePtr = std::shared_ptr<const Code>;
bool equal(const Code& a, const Code& b);

std::string print(const Cond& cond);
std::string print(const Row& row);
std::string print(const Code& code);

}  // namespace sluice::compile
