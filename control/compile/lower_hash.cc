// SPDX-License-Identifier: Apache-2.0
// Indexes over exact words.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

#include "control/compile/lower_index.h"

namespace sluice::compile {

namespace {

constexpr size_t kMaxAlternatives = 16;  ///< keys one row may stand under
constexpr size_t kMaxCandidates = 12;
constexpr uint32_t kMaxDirect = 4096;

using Words = std::vector<HashWord>;
using Key = std::vector<uint32_t>;

bool same_word(const HashWord& a, const HashWord& b) {
    return a.slot == b.slot && a.mask == b.mask;
}
bool word_less(const HashWord& a, const HashWord& b) {
    return a.slot != b.slot ? a.slot < b.slot : a.mask < b.mask;
}
struct WordsLess {
    bool operator()(const Words& a, const Words& b) const {
        return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), word_less);
    }
};

/// True when the condition pins the slots it is about to one of a few exact values, or to a
/// prefix when it is one block. *mask is over the slice's slots, *value (if single) too.
bool pinned(const LiveCond& cond, U128* value, U128* mask) {
    const Slice s = state_slice(cond.slice);
    *value = 0;
    *mask = ones(s.bits);
    if (!prefix_of(cond.values->ranges(), s.bits, value, mask) &&
        (cond.values->ranges().size() > kMaxAlternatives || !cond.values->only_singles())) {
        return false;
    }
    *value <<= s.shift;
    *mask <<= s.shift;
    return true;
}

template <typename F>
void for_each_pinned_word(const LiveCond& cond, U128 value, U128 mask, F&& f) {
    const Slice s = state_slice(cond.slice);
    for (unsigned i = 0; i < s.slots; ++i) {
        const unsigned down = 32 * (s.slots - 1u - i);
        const auto m = static_cast<uint32_t>(mask >> down);
        if (m != 0) {
            f(uint32_t{s.slot} + i, m, static_cast<uint32_t>(value >> down) & m);
        }
    }
}

/// The slots a condition pins, with the prefix's mask when it is one block.
bool pinned_words(const LiveCond& cond, Words* out) {
    U128 value = 0;
    U128 mask = 0;
    if (!pinned(cond, &value, &mask)) {
        return false;
    }
    for_each_pinned_word(cond, value, mask, [&](uint32_t slot, uint32_t m, uint32_t) {
        out->push_back({slot, m});
    });
    return true;
}

/// The part of `cond` that lies in `words`, as alternatives over those words.
struct Alternatives {
    std::vector<size_t> words;                  ///< indices into the index's words
    std::vector<std::vector<uint32_t>> values;  ///< one list for each alternative
};

Alternatives alternatives_of(const LiveCond& cond, const Words& words) {
    Alternatives out;
    Words own;
    if (!pinned_words(cond, &own)) {
        return out;
    }
    for (size_t i = 0; i < words.size(); ++i) {
        for (const HashWord& w : own) {
            if (w.slot == words[i].slot && (w.mask & words[i].mask) == words[i].mask) {
                out.words.push_back(i);
            }
        }
    }
    const Slice s = state_slice(cond.slice);
    for (const ValueRange& r : cond.values->ranges()) {
        std::vector<uint32_t> values;
        const U128 value = r.lo << s.shift;
        for (const size_t i : out.words) {
            const unsigned down = 32 * (s.slots - 1u - (words[i].slot - s.slot));
            values.push_back(static_cast<uint32_t>(value >> down) & words[i].mask);
        }
        if (std::find(out.values.begin(), out.values.end(), values) == out.values.end()) {
            out.values.push_back(std::move(values));
        }
    }
    return out;
}

/// All keys the row can be found under; empty when it does not pin every word.
std::vector<Key> keys_of(const LiveRow& row, const Words& words) {
    std::vector<Key> keys{Key(words.size(), 0)};
    std::vector<bool> pinned(words.size());
    for (const LiveCond& cond : row.conds) {
        const Alternatives pins = alternatives_of(cond, words);
        if (pins.words.empty()) {
            continue;
        }
        if (keys.size() * pins.values.size() > kMaxAlternatives) {
            return {};
        }
        std::vector<Key> next;
        for (const Key& key : keys) {
            for (const auto& values : pins.values) {
                Key k = key;
                bool fits = true;
                for (size_t i = 0; i < pins.words.size(); ++i) {
                    const size_t w = pins.words[i];
                    fits = fits && (!pinned[w] || k[w] == values[i]);
                    k[w] = values[i];
                }
                if (fits) {
                    next.push_back(std::move(k));
                }
            }
        }
        for (const size_t w : pins.words) {
            pinned[w] = true;
        }
        keys = std::move(next);
    }
    if (std::find(pinned.begin(), pinned.end(), false) != pinned.end()) {
        return {};
    }
    return keys;
}

/// The slice's number when the key tells all of its bits.
std::optional<U128> number_in(const LiveCond& cond, const Words& words, const Key& key) {
    const Slice s = state_slice(cond.slice);
    U128 known = 0;
    U128 value = 0;
    for (size_t i = 0; i < words.size(); ++i) {
        if (words[i].slot >= s.slot && words[i].slot < s.slot + s.slots) {
            const unsigned down = 32 * (s.slots - 1u - (words[i].slot - s.slot));
            known |= U128{words[i].mask} << down;
            value |= U128{key[i]} << down;
        }
    }
    if ((known >> s.shift & ones(s.bits)) != ones(s.bits)) {
        return std::nullopt;
    }
    return value >> s.shift & ones(s.bits);
}

bool can_meet(const LiveRow& row, const Words& words, const Key& key) {
    return std::all_of(row.conds.begin(), row.conds.end(), [&](const LiveCond& cond) {
        const auto number = number_in(cond, words, key);
        return !number || cond.values->contains(*number);
    });
}

/// True when a lookup under one of the row's keys settles the condition: every bit it pins is in
/// the index.
bool settled(const Pins& pins, uint32_t cond, const Words& words) {
    if (!pins.conds[cond].is_pinned) {
        return false;
    }
    for (uint32_t p = pins.conds[cond].first_pin; p < pins.conds[cond + 1].first_pin; ++p) {
        const Pins::Pin& pin = pins.pins[p];
        uint32_t covered = 0;
        for (const HashWord& k : words) {
            covered |= k.slot == pin.slot && (k.mask & pin.mask) == k.mask ? k.mask : 0;
        }
        if (covered != pin.mask) {
            return false;
        }
    }
    return true;
}

std::vector<LiveCond> left_to_check(const LiveRow& row, const Pins& pins, size_t at,
                                    const Words& words) {
    std::vector<LiveCond> left;
    for (size_t i = 0; i < row.conds.size(); ++i) {
        if (!settled(pins, pins.first[at] + static_cast<uint32_t>(i), words)) {
            left.push_back(row.conds[i]);
        }
    }
    return left;
}

void cut(std::vector<size_t>* list, const IndexPlan& plan) {
    for (size_t i = 0; i < list->size(); ++i) {
        if (plan.residual[(*list)[i] - plan.begin].empty()) {
            list->resize(i + 1);
            return;
        }
    }
}

/// One word with small dense numbers needs no hash.
void make_direct(IndexPlan* plan) {
    if (plan->words.size() != 1) {
        return;
    }
    const unsigned shift = static_cast<unsigned>(__builtin_ctz(plan->words[0].mask));
    uint32_t highest = 0;
    for (const auto& key : plan->keys) {
        highest = std::max(highest, key[0] >> shift);
    }
    if (highest >= kMaxDirect || highest > 16 * plan->keys.size() + 64) {
        return;
    }
    plan->form = Form::kDirect;
}

}  // namespace

Pins pins_of(const std::vector<const LiveRow*>& rows, size_t begin, size_t end) {
    Pins out;
    out.first.reserve(end - begin + 1);
    for (size_t r = begin; r < end; ++r) {
        out.first.push_back(static_cast<uint32_t>(out.conds.size()));
        bool has_multiple = false;
        for (const LiveCond& cond : rows[r]->conds) {
            U128 value = 0;
            U128 mask = 0;
            const bool is_pinned = pinned(cond, &value, &mask);
            const bool is_single = is_pinned && cond.values->ranges().size() == 1;
            has_multiple = has_multiple || (is_pinned && !is_single);
            out.conds.push_back({static_cast<uint32_t>(out.pins.size()), is_pinned, is_single});
            if (is_pinned) {
                for_each_pinned_word(cond, value, mask, [&](uint32_t slot, uint32_t m, uint32_t v) {
                    out.pins.push_back({slot, m, is_single ? v : 0});
                });
            }
        }
        out.has_multiple.push_back(has_multiple);
    }
    out.first.push_back(static_cast<uint32_t>(out.conds.size()));
    out.conds.push_back({static_cast<uint32_t>(out.pins.size()), false, false});
    return out;
}

namespace {

/// How often each list of words occurs; the rows of a table mostly have the same few.
class WordCounts {
public:
    void add(const Words& words) {
        const auto at = std::find_if(counts_.rbegin(), counts_.rend(), [&](const auto& known) {
            return std::equal(known.first.begin(), known.first.end(), words.begin(), words.end(),
                              same_word);
        });
        if (at != counts_.rend()) {
            ++at->second;
        } else if (counts_.size() < kMaxDistinct) {
            counts_.emplace_back(words, 1);
        }
    }
    /// Most frequent first; among equals in the order of the words.
    std::vector<std::pair<Words, size_t>> sorted() && {
        std::sort(counts_.begin(), counts_.end(), [](const auto& a, const auto& b) {
            return a.second != b.second ? a.second > b.second : WordsLess()(a.first, b.first);
        });
        return std::move(counts_);
    }

private:
    static constexpr size_t kMaxDistinct = 64;  ///< a candidate is among the first, or is none
    std::vector<std::pair<Words, size_t>> counts_;
};

/// The key of a row all of whose words in question are pinned to one value.
bool single_key(const Pins& pins, size_t row, const Words& words, uint32_t* key) {
    size_t found = 0;
    for (size_t w = 0; w < words.size(); ++w) {
        bool is_pinned = false;
        const uint32_t last = pins.conds[pins.first[row + 1]].first_pin;
        for (uint32_t p = pins.conds[pins.first[row]].first_pin; p < last; ++p) {
            const Pins::Pin& pin = pins.pins[p];
            if (pin.slot == words[w].slot && (pin.mask & words[w].mask) == words[w].mask) {
                const uint32_t value = pin.value & words[w].mask;
                if (is_pinned && key[w] != value) {
                    return false;  // two conditions that exclude each other
                }
                key[w] = value;
                is_pinned = true;
            }
        }
        found += is_pinned;
    }
    return found == words.size();
}

bool bears_on(const Pins::Pin& pin, const HashWord& word) {
    return pin.slot == word.slot && (pin.mask & word.mask) == word.mask;
}

/// What keys_of() says, one key behind the other, of a row in which one condition at most has
/// several values that bear on the words. False: it has more of them.
bool plain_keys(const Pins& pins, size_t at, const LiveRow& row, const Words& words,
                std::vector<uint32_t>* keys) {
    keys->clear();
    uint32_t key[kMaxHashWords] = {};
    bool is_pinned[kMaxHashWords] = {};
    bool is_of_several[kMaxHashWords] = {};
    const LiveCond* several = nullptr;
    for (size_t i = 0; i < row.conds.size(); ++i) {
        const uint32_t cond = pins.first[at] + static_cast<uint32_t>(i);
        for (uint32_t p = pins.conds[cond].first_pin; p < pins.conds[cond + 1].first_pin; ++p) {
            for (size_t w = 0; w < words.size(); ++w) {
                if (!bears_on(pins.pins[p], words[w])) {
                    continue;
                }
                if (!pins.conds[cond].is_single) {
                    if (several != nullptr && several != &row.conds[i]) {
                        return false;
                    }
                    several = &row.conds[i];
                    is_of_several[w] = true;
                    continue;
                }
                const uint32_t value = pins.pins[p].value & words[w].mask;
                if (is_pinned[w] && key[w] != value) {
                    return true;  // two conditions that exclude each other: no key
                }
                key[w] = value;
                is_pinned[w] = true;
            }
        }
    }
    for (size_t w = 0; w < words.size(); ++w) {
        if (!is_pinned[w] && !is_of_several[w]) {
            return true;
        }
    }
    if (several == nullptr) {
        keys->assign(key, key + words.size());
        return true;
    }
    const Slice s = state_slice(several->slice);
    for (const ValueRange& r : several->values->ranges()) {
        const U128 number = r.lo << s.shift;
        bool fits = true;
        for (size_t w = 0; w < words.size(); ++w) {
            if (is_of_several[w]) {
                const unsigned down = 32 * (s.slots - 1u - (words[w].slot - s.slot));
                const uint32_t value = static_cast<uint32_t>(number >> down) & words[w].mask;
                fits = fits && (!is_pinned[w] || key[w] == value);
                key[w] = is_pinned[w] ? key[w] : value;
            }
        }
        bool is_new = fits;
        for (size_t k = 0; k < keys->size() && is_new; k += words.size()) {
            is_new =
                !std::equal(key, key + words.size(), keys->begin() + static_cast<ptrdiff_t>(k));
        }
        if (is_new) {
            keys->insert(keys->end(), key, key + words.size());
        }
    }
    return true;
}

/// Rows by key, in the order of keys and then of rows.
class KeyGroups {
public:
    explicit KeyGroups(size_t n_words) : n_words_(n_words) {}
    void add(const uint32_t* key, size_t row) {
        items_.push_back({static_cast<uint32_t>(items_.size()), static_cast<uint32_t>(row)});
        keys_.insert(keys_.end(), key, key + n_words_);
    }
    void sort() {
        std::sort(items_.begin(), items_.end(), [&](const Item& a, const Item& b) {
            const int order = compare(a, b);
            return order != 0 ? order < 0 : a.row < b.row;
        });
    }
    /// f(key, rows) for each key.
    template <typename F>
    bool each(F&& f) const {
        std::vector<size_t> rows;
        for (size_t i = 0; i < items_.size();) {
            const size_t start = i;
            rows.clear();
            for (; i < items_.size() && compare(items_[start], items_[i]) == 0; ++i) {
                rows.push_back(items_[i].row);
            }
            const uint32_t* key = keys_.data() + items_[start].key * n_words_;
            if (!f(key, rows)) {
                return false;
            }
        }
        return true;
    }

private:
    struct Item {
        uint32_t key;
        uint32_t row;
    };
    int compare(const Item& a, const Item& b) const {
        const uint32_t* x = keys_.data() + a.key * n_words_;
        const uint32_t* y = keys_.data() + b.key * n_words_;
        for (size_t i = 0; i < n_words_; ++i) {
            if (x[i] != y[i]) {
                return x[i] < y[i] ? -1 : 1;
            }
        }
        return 0;
    }

    size_t n_words_;
    std::vector<Item> items_;
    std::vector<uint32_t> keys_;
};

/// Whether every list is short so far: up to a row that has nothing left to check, none under which
/// further ones are reached. Rows that come later make no list shorter.
bool are_short(const KeyGroups& groups, const Pins& pins, size_t begin, const Words& words) {
    return groups.each([&](const uint32_t*, const std::vector<size_t>& rows) {
        size_t length = 0;
        size_t last = SIZE_MAX;
        for (const size_t r : rows) {
            if (std::exchange(last, r) == r) {
                continue;
            }
            bool is_settled = true;
            for (uint32_t c = pins.first[r - begin]; c < pins.first[r - begin + 1]; ++c) {
                is_settled = is_settled && settled(pins, c, words);
            }
            ++length;
            if (is_settled || length > kMaxList) {
                break;
            }
        }
        return length <= kMaxList;
    });
}

/// Puts the rows that pin nothing into every list that they can meet, and measures the lists.
void add_loose(const std::vector<const LiveRow*>& rows, std::vector<size_t> loose, IndexPlan* to) {
    IndexPlan& plan = *to;
    size_t total = 0;
    for (size_t i = 0; i < plan.lists.size(); ++i) {
        std::vector<size_t>& list = plan.lists[i];
        for (const size_t r : loose) {
            if (can_meet(*rows[r], plan.words, plan.keys[i])) {
                list.push_back(r);
            }
        }
        std::sort(list.begin(), list.end());
        list.erase(std::unique(list.begin(), list.end()), list.end());
        cut(&list, plan);
        plan.longest = std::max(plan.longest, list.size());
        total += list.size();
    }
    plan.miss = std::move(loose);
    cut(&plan.miss, plan);
    plan.longest = std::max(plan.longest, plan.miss.size());
    plan.mean = static_cast<double>(total) / static_cast<double>(plan.lists.size());
}

}  // namespace

std::vector<Words> hash_candidates(const Pins& pins) {
    WordCounts signatures;
    WordCounts single;
    Words own;
    const size_t n_rows = pins.first.size() - 1;
    const auto take_pins = [&](uint32_t cond) {
        for (uint32_t p = pins.conds[cond].first_pin; p < pins.conds[cond + 1].first_pin; ++p) {
            own.push_back({pins.pins[p].slot, pins.pins[p].mask});
        }
    };
    for (size_t r = 0; r < n_rows; ++r) {
        own.clear();
        for (uint32_t c = pins.first[r]; c < pins.first[r + 1]; ++c) {
            if (pins.conds[c].is_single) {
                take_pins(c);
            }
        }
        std::sort(own.begin(), own.end(), word_less);
        if (own.size() > kMaxHashWords) {
            own.resize(kMaxHashWords);
        }
        if (!own.empty()) {
            signatures.add(own);
        }
        for (uint32_t c = pins.first[r]; c < pins.first[r + 1]; ++c) {
            if (pins.conds[c].is_pinned) {
                own.clear();
                take_pins(c);
                std::sort(own.begin(), own.end(), word_less);
                single.add(own);
            }
        }
    }
    std::vector<std::pair<Words, size_t>> sorted = std::move(signatures).sorted();
    sorted.resize(std::min<size_t>(sorted.size(), 4));
    std::vector<Words> out;
    const auto add = [&](Words words) {
        if (!words.empty() && out.size() < kMaxCandidates &&
            std::none_of(out.begin(), out.end(), [&](const Words& o) {
                return std::equal(o.begin(), o.end(), words.begin(), words.end(), same_word);
            })) {
            out.push_back(std::move(words));
        }
    };
    for (const auto& [words, count] : sorted) {
        add(words);
    }
    for (size_t i = 0; i < sorted.size(); ++i) {
        for (size_t j = i + 1; j < sorted.size(); ++j) {
            Words common;
            std::set_intersection(sorted[i].first.begin(), sorted[i].first.end(),
                                  sorted[j].first.begin(), sorted[j].first.end(),
                                  std::back_inserter(common), word_less);
            add(std::move(common));
        }
    }
    for (const auto& [words, count] : std::move(single).sorted()) {
        if (count * 2 >= n_rows && words.size() <= kMaxHashWords) {
            add(words);
        }
    }
    return out;
}

namespace {

/// Keys of rows[at], one behind the other; false when it has none.
bool put_keys(const Pins& pins, size_t at, const LiveRow& row, const Words& words,
              std::vector<uint32_t>* keys) {
    if (!pins.has_multiple[at]) {
        keys->resize(words.size());
        if (!single_key(pins, at, words, keys->data())) {
            keys->clear();
        }
    } else if (!plain_keys(pins, at, row, words, keys)) {
        keys->clear();
        for (const Key& key : keys_of(row, words)) {
            keys->insert(keys->end(), key.begin(), key.end());
        }
    }
    return !keys->empty();
}

/// Puts rows under their keys; those without any are loose. False: there are too many of them, or
/// some list is too long already.
bool group_rows(const Pins& pins, const std::vector<const LiveRow*>& rows, size_t begin, size_t end,
                IndexPlan* plan, KeyGroups* groups, std::vector<size_t>* loose) {
    const Words& words = plan->words;
    std::vector<uint32_t> keys;
    size_t next_look = 128;
    for (size_t r = begin; r < end; ++r) {
        // The first rows tell of most candidates that they are none.
        if (r - begin == next_look) {
            next_look *= 4;
            groups->sort();
            if (!are_short(*groups, pins, begin, words)) {
                return false;
            }
        }
        if (!put_keys(pins, r - begin, *rows[r], words, &keys)) {
            loose->push_back(r);
            if ((loose->size() - 1) * 2 > end - begin) {
                return false;
            }
            continue;
        }
        for (size_t k = 0; k < keys.size(); k += words.size()) {
            groups->add(keys.data() + k, r);
        }
        plan->begin = std::min(plan->begin, r);
        plan->end = r + 1;
        ++plan->indexed;
    }
    return plan->indexed * 2 >= end - begin;
}

}  // namespace

bool keys_of_row(const LiveRow& row, const Words& words, std::vector<uint32_t>* keys,
                 std::vector<LiveCond>* residual) {
    const Pins pins = pins_of({&row}, 0, 1);
    *residual = left_to_check(row, pins, 0, words);
    return put_keys(pins, 0, row, words, keys);
}

std::optional<IndexPlan> try_hash(const Pins& pins, const std::vector<const LiveRow*>& rows,
                                  size_t begin, size_t end, const Words& words) {
    IndexPlan plan;
    plan.words = words;
    plan.begin = end;
    plan.end = begin;
    KeyGroups groups(words.size());
    std::vector<size_t> loose;
    if (!group_rows(pins, rows, begin, end, &plan, &groups, &loose)) {
        return std::nullopt;
    }
    std::erase_if(loose, [&](size_t r) { return r < plan.begin || r >= plan.end; });
    for (size_t r = plan.begin; r < plan.end; ++r) {
        const bool is_loose = std::binary_search(loose.begin(), loose.end(), r);
        plan.residual.push_back(
            is_loose ? std::vector<LiveCond>(rows[r]->conds.begin(), rows[r]->conds.end())
                     : left_to_check(*rows[r], pins, r - begin, words));
    }
    groups.sort();
    size_t n_keys = 0;
    const bool is_short = groups.each([&](const uint32_t* key, const std::vector<size_t>& all) {
        std::vector<size_t> list;
        for (const size_t r : all) {
            // Rows under one that has nothing left to check are never reached.
            if (list.empty() ||
                (list.back() != r && !plan.residual[list.back() - plan.begin].empty())) {
                list.push_back(r);
            }
        }
        if (all.front() != all.back()) {
            plan.crowded.push_back(static_cast<uint32_t>(n_keys));
        }
        ++n_keys;
        plan.keys.emplace_back(key, key + words.size());
        plan.lists.push_back(std::move(list));
        return plan.lists.back().size() <= kMaxList;
    });
    if (!is_short || loose.size() > kMaxList ||
        n_keys * loose.size() > kMaxRepeats * (plan.end - plan.begin) + 64) {
        return std::nullopt;
    }
    add_loose(rows, std::move(loose), &plan);
    make_direct(&plan);
    return plan;
}

}  // namespace sluice::compile
