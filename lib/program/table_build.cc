// SPDX-License-Identifier: Apache-2.0
#include "lib/program/table_build.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "lib/base/check.h"

namespace sluice {

namespace {

U128 ones(unsigned bits) {
    return bits >= 128 ? ~U128{0} : (U128{1} << bits) - 1;
}

}  // namespace

std::vector<U128> bounds_of(const std::vector<ValueRange>& ranges, unsigned bits) {
    std::vector<U128> bounds;
    bounds.reserve(ranges.size() * 2);
    for (const ValueRange& r : ranges) {
        bounds.push_back(r.lo);
        if (r.hi != ones(bits)) {
            bounds.push_back(r.hi + 1);
        }
    }
    return bounds;
}

bool prefix_of(const std::vector<ValueRange>& ranges, unsigned bits, U128* value, U128* mask) {
    if (ranges.size() != 1) {
        return false;
    }
    const U128 free = ranges[0].lo ^ ranges[0].hi;
    if ((free & (free + 1)) != 0 || (ranges[0].lo & free) != 0) {
        return false;
    }
    *value = ranges[0].lo;
    *mask = ones(bits) & ~free;
    return true;
}

TableBuilder::TableBuilder() {
    bytes_.resize(sizeof(Table));
}

size_t TableBuilder::put(const void* data, size_t size, size_t align) {
    const size_t at = (bytes_.size() + align - 1) & ~(align - 1);
    bytes_.resize(at + size);
    if (size != 0) {
        std::memcpy(bytes_.data() + at, data, size);
    }
    return at;
}

size_t TableBuilder::put_bounds(Slice slice, const std::vector<U128>& bounds) {
    if (slice.slots == 1) {
        return put_all(std::vector<uint32_t>(bounds.begin(), bounds.end()));
    }
    if (slice.slots == 2) {
        return put_all(std::vector<uint64_t>(bounds.begin(), bounds.end()));
    }
    return put_all(bounds);
}

uint32_t TableBuilder::add_rule(const std::vector<Instr>& code,
                                const std::vector<std::vector<SelectGroup::Entry>>& selects,
                                uint32_t flow) {
    std::vector<size_t> groups;
    for (const auto& entries : selects) {
        const SelectGroup head{entries.empty() ? 0 : entries.back().end,
                               static_cast<uint32_t>(entries.size())};
        groups.push_back(put(&head, sizeof head, 8));
        put_all(entries);
    }
    const size_t code_at = put(code.data(), code.size() * sizeof(Instr), alignof(Instr));
    for (size_t i = 0; i < code.size(); ++i) {
        if (code[i].op == Op::kSelect) {
            Instr instr = code[i];
            instr.f = 0;
            std::memcpy(bytes_.data() + code_at + i * sizeof(Instr), &instr, sizeof instr);
            point(code_at + i * sizeof(Instr) + offsetof(Instr, p), groups[code[i].f]);
        }
    }
    const Rule rule{nullptr, static_cast<uint32_t>(code.size()), flow};
    const size_t at = put(&rule, sizeof rule, alignof(Rule));
    point(at + offsetof(Rule, code), code_at);
    rules_.push_back(at);
    return static_cast<uint32_t>(rules_.size() - 1);
}

void TableBuilder::put_test(std::vector<Test>* tests, const TableCond& cond) {
    const Slice s = cond.slice;
    U128 value = 0;
    U128 mask = 0;
    if (prefix_of(*cond.ranges, s.bits, &value, &mask)) {
        value <<= s.shift;
        mask <<= s.shift;
        for (unsigned i = 0; i < s.slots; ++i) {
            const auto m = static_cast<uint32_t>(mask >> 32 * (s.slots - 1 - i));
            const auto v = static_cast<uint32_t>(value >> 32 * (s.slots - 1 - i));
            if (m != 0) {
                tests->push_back(
                    {Test::kEqual, static_cast<uint8_t>(s.slot + i), 0, 0, m, v & m, 0});
            }
        }
        return;
    }
    if (s.slots == 1 && cond.ranges->size() == 1) {
        const auto lo = static_cast<uint32_t>(cond.ranges->front().lo);
        const auto hi = static_cast<uint32_t>(cond.ranges->front().hi);
        const auto m = static_cast<uint32_t>(ones(s.bits) << s.shift);
        tests->push_back({Test::kRange, s.slot, s.shift, 0, m, lo, hi - lo});
        return;
    }
    uint32_t packed = 0;
    std::memcpy(&packed, &s, sizeof packed);
    const auto [at, fresh] =
        set_of_.try_emplace({cond.ranges, packed}, static_cast<uint32_t>(sets_.size()));
    if (fresh) {
        const std::vector<U128> bounds = bounds_of(*cond.ranges, s.bits);
        set_bounds_.push_back(put_bounds(s, bounds));
        sets_.push_back({s, static_cast<uint32_t>(bounds.size()), nullptr});
    }
    tests->push_back({Test::kSet, s.slot, 0, 0, 0, at->second, 0});
}

uint32_t TableBuilder::add_candidate(uint32_t rule, uint32_t row,
                                     const std::vector<TableCond>& conds) {
    std::vector<Test> tests;
    for (const TableCond& cond : conds) {
        put_test(&tests, cond);
    }
    candidates_.push_back({rule, row, static_cast<uint32_t>(tests.size()), put_all(tests)});
    return static_cast<uint32_t>(candidates_.size() - 1);
}

uint32_t TableBuilder::add_list(const std::vector<uint32_t>& candidates) {
    uint64_t hash = candidates.size();
    for (const uint32_t c : candidates) {
        hash = (hash ^ c) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 29;
    }
    const auto [first_known, last_known] = list_of_.equal_range(hash);
    for (auto it = first_known; it != last_known; ++it) {
        const PendingList& known = lists_[it->second];
        if (std::equal(candidates.begin(), candidates.end(),
                       list_candidates_.begin() + known.candidates,
                       list_candidates_.begin() + known.candidates + known.count)) {
            return it->second;
        }
    }
    const auto id = static_cast<uint32_t>(lists_.size());
    list_of_.emplace(hash, id);
    size_t first = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
        const PendingCandidate& c = candidates_[candidates[i]];
        const Candidate out{nullptr, nullptr, c.n_tests, c.row};
        const size_t where = put(&out, sizeof out, alignof(Candidate));
        first = i == 0 ? where : first;
        point(where + offsetof(Candidate, rule), rules_[c.rule]);
        point(where + offsetof(Candidate, tests), c.tests);
    }
    lists_.push_back({first, static_cast<uint32_t>(candidates.size()),
                      static_cast<uint32_t>(list_candidates_.size())});
    list_candidates_.insert(list_candidates_.end(), candidates.begin(), candidates.end());
    return id;
}

size_t TableBuilder::put_lists(const std::vector<uint32_t>& lists) {
    size_t first = 0;
    for (size_t i = 0; i < lists.size(); ++i) {
        const PendingList& l = lists_[lists[i]];
        const List out{nullptr, l.count, 0};
        const size_t where = put(&out, sizeof out, alignof(List));
        first = i == 0 ? where : first;
        point(where + offsetof(List, first), l.first);
    }
    return first;
}

size_t TableBuilder::new_segment(Form form, uint32_t rows) {
    PendingSegment pending;
    std::memset(static_cast<void*>(&pending.segment), 0, sizeof pending.segment);
    pending.segment.form = form;
    pending.segment.rows = rows;
    segments_.push_back(std::move(pending));
    return segments_.size() - 1;
}

void TableBuilder::add_const(uint32_t rule) {
    PendingSegment& s = segments_[new_segment(Form::kConst, 1)];
    s.pointers.push_back({offsetof(Segment, constant.rule), rules_[rule]});
}

void TableBuilder::add_linear(uint32_t list) {
    PendingSegment& s = segments_[new_segment(Form::kLinear, lists_[list].count)];
    s.segment.linear.rows.count = lists_[list].count;
    s.pointers.push_back({offsetof(Segment, linear.rows.first), lists_[list].first});
}

void TableBuilder::add_hash(const std::vector<HashWord>& words, const std::vector<uint32_t>& keys,
                            const std::vector<uint32_t>& lists, uint32_t miss) {
    SLUICE_CHECK(!words.empty() && words.size() <= kMaxHashWords);
    size_t size = 4;
    while (size < lists.size() * 2 + 1) {
        size *= 2;
    }
    std::vector<HashBucket> buckets(size);
    for (size_t i = 0; i < lists.size(); ++i) {
        const uint32_t hash =
            hash_words(keys.data() + i * words.size(), static_cast<unsigned>(words.size()));
        size_t at = hash & (size - 1);
        while (buckets[at].entry != 0) {
            at = (at + 1) & (size - 1);
        }
        buckets[at] = {hash, static_cast<uint32_t>(i + 1)};
    }
    std::vector<uint32_t> all{miss};
    all.insert(all.end(), lists.begin(), lists.end());
    PendingSegment& s = segments_[new_segment(Form::kHash, static_cast<uint32_t>(lists.size()))];
    s.segment.hash.n_words = static_cast<uint32_t>(words.size());
    s.segment.hash.bucket_mask = static_cast<uint32_t>(size - 1);
    s.pointers = {{offsetof(Segment, hash.words), put_all(words)},
                  {offsetof(Segment, hash.buckets), put_all(buckets)},
                  {offsetof(Segment, hash.keys), put_all(keys)},
                  {offsetof(Segment, hash.lists), put_lists(all)}};
}

void TableBuilder::add_lpm(Slice slice, const std::vector<U128>& bounds,
                           const std::vector<uint32_t>& lists) {
    SLUICE_CHECK(lists.size() == bounds.size() + 1);
    PendingSegment& s = segments_[new_segment(Form::kLpm, static_cast<uint32_t>(lists.size()))];
    s.segment.lpm.slice = slice;
    s.segment.lpm.n_bounds = static_cast<uint32_t>(bounds.size());
    s.pointers = {{offsetof(Segment, lpm.bounds), put_bounds(slice, bounds)},
                  {offsetof(Segment, lpm.lists), put_lists(lists)}};
}

void TableBuilder::add_direct(HashWord word, unsigned shift, const std::vector<uint32_t>& lists) {
    SLUICE_CHECK(!lists.empty());
    PendingSegment& s = segments_[new_segment(Form::kDirect, static_cast<uint32_t>(lists.size()))];
    s.segment.direct.slot = word.slot;
    s.segment.direct.mask = word.mask;
    s.segment.direct.shift = shift;
    s.segment.direct.count = static_cast<uint32_t>(lists.size() - 1);
    s.pointers = {{offsetof(Segment, direct.lists), put_lists(lists)}};
}

bool TableBuilder::add_bitmap(const std::vector<TableRow>& rows) {
    const BitmapPlan plan = plan_bitmap(rows);
    if (plan.dimensions.size() > kMaxDimensions || plan.dimensions.empty()) {
        return false;
    }
    std::vector<Dimension> dimensions;
    for (const DimensionPlan& d : plan.dimensions) {
        Dimension out{};
        out.kind = d.kind;
        out.slice = d.slice;
        out.n_bounds =
            d.kind == Dimension::kIndex ? d.n_index : static_cast<uint32_t>(d.bounds.size());
        dimensions.push_back(out);
    }
    const size_t at = put_all(dimensions);
    for (size_t i = 0; i < plan.dimensions.size(); ++i) {
        const DimensionPlan& d = plan.dimensions[i];
        const size_t where = at + i * sizeof(Dimension);
        point(where + offsetof(Dimension, bounds), put_bounds(d.slice, d.bounds));
        point(where + offsetof(Dimension, classes), put_all(d.classes));
        point(where + offsetof(Dimension, block_ids), put_all(d.block_ids));
    }
    const std::vector<const Rule*> no_rules(rows.size());
    const size_t rules_at = put_all(no_rules);
    for (size_t i = 0; i < rows.size(); ++i) {
        point(rules_at + i * sizeof(const Rule*), rules_[rows[i].rule]);
    }
    PendingSegment& s = segments_[new_segment(Form::kBitmap, static_cast<uint32_t>(rows.size()))];
    s.segment.bitmap.n_dimensions = static_cast<uint32_t>(dimensions.size());
    s.segment.bitmap.n_blocks = plan.n_blocks;
    s.pointers = {{offsetof(Segment, bitmap.dimensions), at},
                  {offsetof(Segment, bitmap.pool), put_all(plan.pool)},
                  {offsetof(Segment, bitmap.rules), rules_at}};
    return true;
}

/// What was laid out, where it stays, its pointers set.
std::byte* TableBuilder::put_in_place() {
    auto* block = static_cast<std::byte*>(::operator new (bytes_.size(), std::align_val_t{64}));
    std::memcpy(block, bytes_.data(), bytes_.size());
    for (const Relocation& r : relocations_) {
        const void* target = block + r.target;
        std::memcpy(block + r.at, &target, sizeof target);
    }
    return block;
}

std::pair<std::shared_ptr<const void>, std::vector<List>> TableBuilder::finish_lists() {
    if (!sets_.empty()) {
        return {};
    }
    const std::byte* block = put_in_place();
    std::vector<List> out;
    for (const PendingList& list : lists_) {
        out.push_back({reinterpret_cast<const Candidate*>(block + list.first), list.count, 0});
    }
    return {std::shared_ptr<const void>(block,
                                        [keep = std::move(keep_)](const void* b) {
                                            ::operator delete (const_cast<void*>(b),
                                                               std::align_val_t{64});
                                        }),
            std::move(out)};
}

std::shared_ptr<const Table> TableBuilder::finish(const std::string& description, uint32_t n_rows,
                                                  uint64_t content_hash) {
    const size_t segments_at = put(nullptr, 0, alignof(Segment));
    for (const PendingSegment& s : segments_) {
        const size_t at = put(&s.segment, sizeof(Segment), alignof(Segment));
        for (const Relocation& r : s.pointers) {
            point(at + r.at, r.target);
        }
    }
    const size_t sets_at = put_all(sets_);
    for (size_t i = 0; i < sets_.size(); ++i) {
        point(sets_at + i * sizeof(RangeSet) + offsetof(RangeSet, bounds), set_bounds_[i]);
    }
    const size_t text_at = put(description.data(), description.size(), 1);
    const size_t size = bytes_.size();
    std::byte* block = put_in_place();
    auto* table = new (block) Table;
    table->segments = reinterpret_cast<const Segment*>(block + segments_at);
    table->n_segments = static_cast<uint32_t>(segments_.size());
    table->n_rows = n_rows;
    table->sets = reinterpret_cast<const RangeSet*>(block + sets_at);
    table->bytes = size;
    table->description = {reinterpret_cast<const char*>(block + text_at), description.size()};
    table->content_hash = content_hash;
    return {table, [keep = std::move(keep_)](const Table* t) {
                ::operator delete (const_cast<Table*>(t), std::align_val_t{64});
            }};
}

}  // namespace sluice
