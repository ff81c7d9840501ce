// SPDX-License-Identifier: Apache-2.0
#include "control/compile/lower_patch.h"

#include <algorithm>

#include "control/compile/content_hash.h"
#include "control/compile/lower_index.h"
#include "lib/program/table_build.h"
#include "lib/program/table_patch.h"

namespace sluice::compile {

namespace {

constexpr size_t kMinRows = 128;  ///< below it is quick to lower the whole
constexpr size_t kMaxPatches = 512;

/// Leaves what is in one of the two only.
void drop_common(std::vector<LiveRow>* gone, std::vector<LiveRow>* come) {
    using Hashed = std::pair<ContentHash, const LiveRow*>;
    const auto hashed = [](const std::vector<LiveRow>& rows) {
        std::vector<Hashed> out;
        for (const LiveRow& row : rows) {
            ContentHash hash = content_of(row);
            hash.add(row.flow->priority);
            out.emplace_back(hash, &row);
        }
        std::sort(out.begin(), out.end(),
                  [](const Hashed& a, const Hashed& b) { return a.first < b.first; });
        return out;
    };
    const std::vector<Hashed> a = hashed(*gone);
    const std::vector<Hashed> b = hashed(*come);
    std::vector<LiveRow> only_a;
    std::vector<LiveRow> only_b;
    size_t i = 0;
    size_t j = 0;
    while (i < a.size() || j < b.size()) {
        if (j == b.size() || (i < a.size() && a[i].first < b[j].first)) {
            only_a.push_back(*a[i++].second);
        } else if (i == a.size() || b[j].first < a[i].first) {
            only_b.push_back(*b[j++].second);
        } else {
            ++i;
            ++j;
        }
    }
    *gone = std::move(only_a);
    *come = std::move(only_b);
}

class TablePatch {
public:
    explicit TablePatch(const Lowered& from)
        : hash_(*from.hash), table_(*from.table, hash_.segment) {}

    bool remove(const LiveRow& row) {
        return for_each_key(row, [&](const uint32_t* key) { return table_.remove(key); });
    }

    /// Lists come when all rows are known: put_added().
    bool add(const LiveRow& row) {
        std::vector<TableCond> conds;
        const bool has_keys = for_each_key(row, [&](const uint32_t* key) {
            keys_.insert(keys_.end(), key, key + hash_.words.size());
            list_of_key_.push_back(static_cast<uint32_t>(n_lists_));
            return true;
        });
        if (!has_keys) {
            return false;
        }
        put_conds(residual_, &conds);
        const BoundFlow& flow = *row.flow;
        if (rule_flow_ != &flow) {
            rule_flow_ = &flow;
            rows_.keep(flow.code->keep);
            rule_ = rows_.add_rule(flow.code->instrs, flow.code->selects, flow.id);
        }
        rows_.add_list({rows_.add_candidate(rule_, 0, conds)});
        ++n_lists_;
        return true;
    }

    bool put_added(std::shared_ptr<const void>* owner) {
        auto [block, lists] = rows_.finish_lists();
        if (block == nullptr) {
            return false;
        }
        *owner = std::move(block);
        for (size_t i = 0; i < list_of_key_.size(); ++i) {
            if (!table_.add(keys_.data() + i * hash_.words.size(), lists[list_of_key_[i]])) {
                return false;
            }
        }
        return true;
    }

    HashPatch& table() { return table_; }

private:
    template <typename F>
    bool for_each_key(const LiveRow& row, F&& f) {
        const Position at = Position::of(row);
        if ((hash_.from && !hash_.from->is_before(at)) || (hash_.to && !at.is_before(*hash_.to)) ||
            !keys_of_row(row, hash_.words, &row_keys_, &residual_)) {
            return false;
        }
        const size_t n = hash_.words.size();
        for (size_t k = 0; k < row_keys_.size(); k += n) {
            const uint32_t* key = row_keys_.data() + k;
            if (hash_.crowded->contains(std::vector<uint32_t>(key, key + n)) || !f(key)) {
                return false;
            }
        }
        return true;
    }

    const Lowered::Hash& hash_;
    HashPatch table_;
    TableBuilder rows_;
    size_t n_lists_ = 0;
    const BoundFlow* rule_flow_ = nullptr;
    uint32_t rule_ = 0;
    std::vector<uint32_t> keys_;         ///< of rows that come
    std::vector<uint32_t> list_of_key_;  ///< in rows_
    // Of the row at hand.
    std::vector<uint32_t> row_keys_;
    std::vector<LiveCond> residual_;
};

}  // namespace

bool is_patchable(const Lowered& from) {
    return from.hash && from.hash->rows >= kMinRows && from.owners.size() < kMaxPatches;
}

LoweredPtr patch(const Lowered& from, std::vector<LiveRow> gone, std::vector<LiveRow> come,
                 uint32_t n_rows, uint64_t content_hash) {
    if (!is_patchable(from)) {
        return nullptr;
    }
    drop_common(&gone, &come);
    auto out = std::make_shared<Lowered>(from);
    out->patched_rows += gone.size() + come.size();
    if (out->patched_rows * 2 > from.hash->rows) {
        return nullptr;
    }
    TablePatch patch(from);
    const auto removes = [&](const LiveRow& row) { return patch.remove(row); };
    const auto adds = [&](const LiveRow& row) { return patch.add(row); };
    std::shared_ptr<const void> added;
    if (!std::all_of(gone.begin(), gone.end(), removes) ||
        !std::all_of(come.begin(), come.end(), adds) ||
        (!come.empty() && !patch.put_added(&added))) {
        return nullptr;
    }
    if (out->owners.empty()) {
        out->owners.push_back(from.table);
    }
    if (added != nullptr) {
        out->owners.push_back(std::move(added));
    }
    Lowered::Hash& hash = *out->hash;
    hash.rows = hash.rows + come.size() - gone.size();
    out->lines[hash.segment] =
        segment_line(Form::kHash, hash.rows, index_line(hash.words_text, hash.rows, hash.longest));
    std::string text;
    for (const std::string& line : out->lines) {
        text += line;
    }
    out->table = patch.table().finish(text, n_rows, content_hash, out->owners);
    return out;
}

}  // namespace sluice::compile
