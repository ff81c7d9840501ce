// SPDX-License-Identifier: Apache-2.0
#include "control/compile/ir.h"

#include <algorithm>
#include <array>

namespace sluice::compile {

U128 ones(unsigned bits) {
    return bits >= 128 ? ~U128{0} : (U128{1} << bits) - 1;
}

ValueSet::ValueSet(std::vector<ValueRange> ranges) : ranges_(std::move(ranges)) {
    std::sort(ranges_.begin(), ranges_.end(),
              [](const ValueRange& a, const ValueRange& b) { return a.lo < b.lo; });
    size_t kept = 0;
    for (size_t i = 0; i < ranges_.size(); ++i) {
        const ValueRange r = ranges_[i];
        ValueRange* last = kept != 0 ? &ranges_[kept - 1] : nullptr;
        if (last != nullptr && (r.lo <= last->hi || r.lo - 1 == last->hi)) {
            last->hi = std::max(last->hi, r.hi);
        } else {
            ranges_[kept++] = r;
        }
    }
    ranges_.resize(kept);
    ranges_.shrink_to_fit();
    set_hash();
}

void ValueSet::set_hash() {
    hash_ = second_hash_ = ranges_.size() + 1;
    for (const ValueRange& r : ranges_) {
        for (const U128 v : {r.lo, r.hi}) {
            hash_ = (hash_ ^ static_cast<uint64_t>(v)) * 0x9e3779b97f4a7c15ull;
            hash_ ^= hash_ >> 31;
            hash_ = (hash_ ^ static_cast<uint64_t>(v >> 64)) * 0xbf58476d1ce4e5b9ull;
            hash_ ^= hash_ >> 29;
            second_hash_ = (second_hash_ + static_cast<uint64_t>(v)) * 0xd6e8feb86659fd93ull;
            second_hash_ ^= second_hash_ >> 32;
            second_hash_ = (second_hash_ + static_cast<uint64_t>(v >> 64)) * 0xa0761d6478bd642full;
            second_hash_ ^= second_hash_ >> 30;
        }
    }
}

ValueSetPtr one_range(const ValueRange& range) {
    static thread_local std::array<ValueSetPtr, 4096> recent;
    uint64_t h = static_cast<uint64_t>(range.lo) ^ static_cast<uint64_t>(range.lo >> 64) << 1;
    h = (h ^ static_cast<uint64_t>(range.hi) << 7) * 0x9e3779b97f4a7c15ull;
    ValueSetPtr& place = recent[h >> 52];
    if (place == nullptr || !(place->ranges()[0] == range)) {
        place = std::make_shared<const ValueSet>(std::vector<ValueRange>{range});
    }
    return place;
}

std::optional<U128> ValueSet::single() const {
    if (ranges_.size() != 1 || ranges_[0].lo != ranges_[0].hi) {
        return std::nullopt;
    }
    return ranges_[0].lo;
}

bool ValueSet::only_singles() const {
    return std::all_of(ranges_.begin(), ranges_.end(),
                       [](const ValueRange& r) { return r.lo == r.hi; });
}

bool ValueSet::contains(U128 value) const {
    const auto at = std::upper_bound(ranges_.begin(), ranges_.end(), value,
                                     [](U128 v, const ValueRange& r) { return v < r.lo; });
    return at != ranges_.begin() && value <= std::prev(at)->hi;
}

ValueSet ValueSet::unite(const ValueSet& other) const {
    std::vector<ValueRange> both = ranges_;
    both.insert(both.end(), other.ranges_.begin(), other.ranges_.end());
    return ValueSet(std::move(both));
}

ValueSet ValueSet::intersect(const ValueSet& other) const {
    std::vector<ValueRange> out;
    for (size_t i = 0, j = 0; i < ranges_.size() && j < other.ranges_.size();) {
        const ValueRange& a = ranges_[i];
        const ValueRange& b = other.ranges_[j];
        const U128 lo = std::max(a.lo, b.lo);
        const U128 hi = std::min(a.hi, b.hi);
        if (lo <= hi) {
            out.push_back({lo, hi});
        }
        if (a.hi < b.hi) {
            ++i;
        } else {
            ++j;
        }
    }
    return ValueSet(std::move(out));
}

ValueSet ValueSet::complement(unsigned bits) const {
    std::vector<ValueRange> out;
    U128 next = 0;
    bool open = true;
    for (const ValueRange& r : ranges_) {
        if (r.lo > next) {
            out.push_back({next, r.lo - 1});
        }
        open = r.hi != ones(bits);
        next = r.hi + 1;
    }
    if (open) {
        out.push_back({next, ones(bits)});
    }
    return ValueSet(std::move(out));
}

bool slice_less(const FieldRef& a, const FieldRef& b) {
    if (a.id != b.id) {
        return a.id < b.id;
    }
    return a.ofs != b.ofs ? a.ofs < b.ofs : a.width < b.width;
}

Slice state_slice(const FieldRef& field) {
    const FieldInfo& info = field_info(field.id);
    const unsigned low = info.shift + field.ofs;
    const unsigned high = low + field.width - 1u;
    const unsigned last = info.last_slot() - low / 32;
    const unsigned first = info.last_slot() - high / 32;
    return {static_cast<uint8_t>(first), static_cast<uint8_t>(last - first + 1),
            static_cast<uint8_t>(low % 32), static_cast<uint8_t>(field.width)};
}

bool equal(const Cond& a, const Cond& b) {
    return a.slice == b.slice && (a.values == b.values || *a.values == *b.values);
}

bool equal(const Row& a, const Row& b) {
    return std::equal(a.conds.begin(), a.conds.end(), b.conds.begin(), b.conds.end(),
                      [](const Cond& x, const Cond& y) { return equal(x, y); });
}

bool covers(const Row& wide, const Row& narrow) {
    auto at = narrow.conds.begin();
    for (const Cond& w : wide.conds) {
        while (at != narrow.conds.end() && slice_less(at->slice, w.slice)) {
            ++at;
        }
        if (at == narrow.conds.end() || !(at->slice == w.slice)) {
            return false;
        }
        if (at->values != w.values && !(at->values->intersect(*w.values) == *at->values)) {
            return false;
        }
    }
    return true;
}

namespace {

/// `part`'s slice lies within `whole`'s. Moves part's condition into whole's when that is exact;
/// then *whole is the result and true is returned.
bool fold(Cond* whole, const Cond& part) {
    const unsigned down = part.slice.ofs - whole->slice.ofs;
    if (down + part.slice.width == whole->slice.width) {  // the top bits
        std::vector<ValueRange> wide;
        for (const ValueRange& r : part.values->ranges()) {
            wide.push_back({r.lo << down, r.hi << down | ones(down)});
        }
        whole->values =
            std::make_shared<ValueSet>(whole->values->intersect(ValueSet(std::move(wide))));
        return true;
    }
    if (!whole->values->only_singles()) {
        return false;
    }
    std::vector<ValueRange> left;
    for (const ValueRange& r : whole->values->ranges()) {
        if (part.values->contains(r.lo >> down & ones(part.slice.width))) {
            left.push_back(r);
        }
    }
    whole->values = std::make_shared<ValueSet>(std::move(left));
    return true;
}

bool within(const FieldRef& part, const FieldRef& whole) {
    return part.id == whole.id && part.ofs >= whole.ofs &&
           part.ofs + part.width <= whole.ofs + whole.width;
}

}  // namespace

bool Row::add(const Cond& given) {
    Cond cond = given;
    for (size_t i = 0; i < conds.size();) {
        Cond& other = conds[i];
        bool merged = false;
        if (other.slice == cond.slice) {
            if (cond.values != other.values) {
                cond.values = std::make_shared<ValueSet>(cond.values->intersect(*other.values));
            }
            merged = true;
        } else if (within(other.slice, cond.slice)) {
            merged = fold(&cond, other);
        } else if (within(cond.slice, other.slice)) {
            Cond whole = other;
            merged = fold(&whole, cond);
            cond = merged ? whole : cond;
        }
        if (merged) {
            conds.erase(conds.begin() + static_cast<ptrdiff_t>(i));
            i = 0;  // a wider slice may take in others
        } else {
            ++i;
        }
    }
    if (cond.values->empty()) {
        return false;
    }
    if (!cond.values->is_all(cond.slice.width)) {
        const auto at = std::lower_bound(
            conds.begin(), conds.end(), cond,
            [](const Cond& a, const Cond& b) { return slice_less(a.slice, b.slice); });
        conds.insert(at, std::move(cond));
    }
    return true;
}

bool Row::add(const Row& other) {
    for (const Cond& cond : other.conds) {
        if (!add(cond)) {
            return false;
        }
    }
    return true;
}

bool equal(const Code& a, const Code& b) {
    const auto same = [](const Instr& x, const Instr& y) {
        return x.op == y.op && x.a == y.a && x.b == y.b && x.c == y.c && x.d == y.d && x.e == y.e &&
               x.f == y.f && x.p == y.p;
    };
    const auto same_entry = [](const SelectGroup::Entry& x, const SelectGroup::Entry& y) {
        return x.id == y.id && x.end == y.end;
    };
    if (!std::equal(a.instrs.begin(), a.instrs.end(), b.instrs.begin(), b.instrs.end(), same) ||
        a.selects.size() != b.selects.size()) {
        return false;
    }
    for (size_t i = 0; i < a.selects.size(); ++i) {
        if (!std::equal(a.selects[i].begin(), a.selects[i].end(), b.selects[i].begin(),
                        b.selects[i].end(), same_entry)) {
            return false;
        }
    }
    return true;
}

}  // namespace sluice::compile
