// SPDX-License-Identifier: Apache-2.0
// Indexes over exact words.
#include <algorithm>
#include <map>

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

/// The slots a condition pins, with the prefix's mask when it is one block.
bool pinned_words(const Cond& cond, Words* out) {
    const Slice s = state_slice(cond.slice);
    U128 value = 0;
    U128 mask = ones(s.bits);
    if (!prefix_of(cond.values->ranges(), s.bits, &value, &mask) &&
        (!cond.values->only_singles() || cond.values->ranges().size() > kMaxAlternatives)) {
        return false;
    }
    mask <<= s.shift;
    for (unsigned i = 0; i < s.slots; ++i) {
        const auto m = static_cast<uint32_t>(mask >> 32 * (s.slots - 1u - i));
        if (m != 0) {
            out->push_back({s.slot + i, m});
        }
    }
    return true;
}

/// Words of the row that have one value only.
Words signature(const Row& row) {
    Words out;
    for (const Cond& cond : row.conds) {
        if (cond.values->ranges().size() == 1) {
            pinned_words(cond, &out);
        }
    }
    std::sort(out.begin(), out.end(), word_less);
    if (out.size() > kMaxHashWords) {
        out.resize(kMaxHashWords);
    }
    return out;
}

/// The part of `cond` that lies in `words`, as alternatives over those words.
struct Pins {
    std::vector<size_t> words;                  ///< indices into the index's words
    std::vector<std::vector<uint32_t>> values;  ///< one list for each alternative
};

Pins pins_of(const Cond& cond, const Words& words) {
    Pins out;
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
std::vector<Key> keys_of(const Row& row, const Words& words) {
    std::vector<Key> keys{Key(words.size(), 0)};
    std::vector<bool> pinned(words.size());
    for (const Cond& cond : row.conds) {
        const Pins pins = pins_of(cond, words);
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
std::optional<U128> number_in(const Cond& cond, const Words& words, const Key& key) {
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

bool can_meet(const Row& row, const Words& words, const Key& key) {
    return std::all_of(row.conds.begin(), row.conds.end(), [&](const Cond& cond) {
        const auto number = number_in(cond, words, key);
        return !number || cond.values->contains(*number);
    });
}

/// True when a lookup under one of the row's keys settles the condition: every bit it pins is in
/// the index.
bool settled(const Cond& cond, const Words& words) {
    Words own;
    if (!pinned_words(cond, &own)) {
        return false;
    }
    return std::all_of(own.begin(), own.end(), [&](const HashWord& w) {
        uint32_t covered = 0;
        for (const HashWord& k : words) {
            covered |= k.slot == w.slot && (k.mask & w.mask) == k.mask ? k.mask : 0;
        }
        return covered == w.mask;
    });
}

std::vector<Cond> left_to_check(const Row& row, const Words& words) {
    std::vector<Cond> left;
    for (const Cond& cond : row.conds) {
        if (!settled(cond, words)) {
            left.push_back(cond);
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

std::vector<Words> hash_candidates(const std::vector<const Row*>& rows, size_t begin, size_t end) {
    std::map<Words, size_t, WordsLess> counts;
    std::map<Words, size_t, WordsLess> single;
    for (size_t r = begin; r < end; ++r) {
        const Words words = signature(*rows[r]);
        if (!words.empty()) {
            ++counts[words];
        }
        for (const Cond& cond : rows[r]->conds) {
            Words own;
            if (pinned_words(cond, &own)) {
                std::sort(own.begin(), own.end(), word_less);
                ++single[own];
            }
        }
    }
    const auto by_count = [](const auto& a, const auto& b) { return a.second > b.second; };
    std::vector<std::pair<Words, size_t>> sorted(counts.begin(), counts.end());
    std::stable_sort(sorted.begin(), sorted.end(), by_count);
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
    std::vector<std::pair<Words, size_t>> alone(single.begin(), single.end());
    std::stable_sort(alone.begin(), alone.end(), by_count);
    for (const auto& [words, count] : alone) {
        if (count * 2 >= end - begin && words.size() <= kMaxHashWords) {
            add(words);
        }
    }
    return out;
}

std::optional<IndexPlan> try_hash(const std::vector<const Row*>& rows, size_t begin, size_t end,
                                  const Words& words) {
    IndexPlan plan;
    plan.words = words;
    plan.begin = end;
    plan.end = begin;
    std::vector<std::vector<Cond>> left(end - begin);
    std::map<Key, std::vector<size_t>> lists;
    std::vector<size_t> loose;
    for (size_t r = begin; r < end; ++r) {
        const std::vector<Key> own = keys_of(*rows[r], words);
        if (own.empty()) {
            loose.push_back(r);
            left[r - begin] = rows[r]->conds;
            if ((loose.size() - 1) * 2 > end - begin) {
                return std::nullopt;
            }
            continue;
        }
        plan.begin = std::min(plan.begin, r);
        plan.end = r + 1;
        ++plan.indexed;
        left[r - begin] = left_to_check(*rows[r], words);
        for (const Key& key : own) {
            std::vector<size_t>& list = lists[key];
            // Rows under one that has nothing left to check are never reached.
            if (list.empty() || !left[list.back() - begin].empty()) {
                list.push_back(r);
            }
            if (list.size() > kMaxList) {
                return std::nullopt;
            }
        }
    }
    if (plan.indexed * 2 < end - begin) {
        return std::nullopt;
    }
    std::erase_if(loose, [&](size_t r) { return r < plan.begin || r >= plan.end; });
    for (size_t r = plan.begin; r < plan.end; ++r) {
        plan.residual.push_back(std::move(left[r - begin]));
    }
    if (loose.size() > kMaxList ||
        lists.size() * loose.size() > kMaxRepeats * (plan.end - plan.begin) + 64) {
        return std::nullopt;
    }
    size_t total = 0;
    for (auto& [key, list] : lists) {
        for (const size_t r : loose) {
            if (can_meet(*rows[r], words, key)) {
                list.push_back(r);
            }
        }
        std::sort(list.begin(), list.end());
        list.erase(std::unique(list.begin(), list.end()), list.end());
        cut(&list, plan);
        plan.longest = std::max(plan.longest, list.size());
        total += list.size();
        plan.keys.push_back(key);
        plan.lists.push_back(std::move(list));
    }
    plan.miss = std::move(loose);
    cut(&plan.miss, plan);
    plan.longest = std::max(plan.longest, plan.miss.size());
    plan.mean = static_cast<double>(total) / static_cast<double>(plan.lists.size());
    make_direct(&plan);
    return plan;
}

}  // namespace sluice::compile
