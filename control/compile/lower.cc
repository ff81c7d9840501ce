// SPDX-License-Identifier: Apache-2.0
#include "control/compile/lower.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "control/compile/lower_index.h"
#include "lib/program/table_build.h"
#include "lib/stats/counters.h"

namespace sluice::compile {

namespace {

constexpr size_t kFewRows = 4;     ///< compared one by one without looking further
constexpr size_t kMaxLinear = 12;  ///< bitmaps start to pay beyond that
constexpr unsigned kMaxSegments = 5;

class TableLowering {
public:
    explicit TableLowering(const std::vector<LiveRow>& rows) : live_(rows) {
        rows_.reserve(rows.size());
        flow_of_row_.reserve(rows.size());
        const BoundFlow* last = nullptr;
        for (const LiveRow& row : rows) {
            rows_.push_back(&row);
            if (row.flow != last) {
                rule_of_flow_.push_back(kNoRule);
                last = row.flow;
            }
            flow_of_row_.push_back(static_cast<uint32_t>(rule_of_flow_.size() - 1));
        }
    }

    LoweredPtr run(uint64_t content_hash) {
        size_t end = rows_.size();
        const bool decided = end != 0 && rows_[end - 1]->conds.empty();
        end -= decided ? 1 : 0;
        range(0, end);
        if (decided) {
            builder_.add_const(rule(end));
            say(Form::kConst, 1, "matches every packet that gets here");
        }
        std::string text;
        for (const std::string& line : out_->lines) {
            text += line;
        }
        out_->table = builder_.finish(text, static_cast<uint32_t>(rows_.size()), content_hash);
        return out_;
    }

private:
    static constexpr uint32_t kNoRule = ~0u;

    uint32_t rule(size_t row) {
        uint32_t& rule = rule_of_flow_[flow_of_row_[row]];
        if (rule == kNoRule) {
            const BoundFlow& f = *live_[row].flow;
            builder_.keep(f.code->keep);
            rule = builder_.add_rule(f.code->instrs, f.code->selects, f.id);
        }
        return rule;
    }

    const std::vector<TableCond>& table_conds(std::span<const LiveCond> conds) {
        conds_.clear();
        put_conds(conds, &conds_);
        return conds_;
    }

    void say(Form form, size_t rows, const std::string& why) {
        out_->lines.push_back(segment_line(form, rows, why));
    }

    void linear(size_t begin, size_t end, const char* why) {
        std::vector<uint32_t> list;
        for (size_t r = begin; r < end; ++r) {
            list.push_back(builder_.add_candidate(rule(r), static_cast<uint32_t>(r),
                                                  table_conds(rows_[r]->conds)));
        }
        builder_.add_linear(builder_.add_list(list));
        say(Form::kLinear, end - begin, why);
    }

    void many(size_t begin, size_t end) {
        if (end - begin <= kMaxLinear) {
            linear(begin, end, "no index keeps its lists short, too few rows for bitmaps");
            return;
        }
        std::vector<TableRow> rows;
        for (size_t r = begin; r < end; ++r) {
            rows.push_back({rule(r), {}});
            put_conds(rows_[r]->conds, &rows.back().conds);
        }
        if (builder_.add_bitmap(rows)) {
            say(Form::kBitmap, end - begin, "many rows over several dimensions");
        } else {
            linear(begin, end, "more dimensions than bitmaps can have");
        }
    }

    void range(size_t begin, size_t end) {
        if (begin == end) {
            return;
        }
        if (end - begin <= kFewRows) {
            linear(begin, end, "few rows");
            return;
        }
        // A segment before, the index, one after, and the constant at the end.
        std::optional<IndexPlan> plan;
        if (out_->lines.size() + 3 <= kMaxSegments) {
            plan = find_index(rows_, begin, end);
        }
        if (!plan) {
            many(begin, end);
            return;
        }
        range(begin, plan->begin);
        index(*plan);
        range(plan->end, end);
    }

    void index(const IndexPlan& plan) {
        std::vector<uint32_t> candidate(plan.end - plan.begin, kNoRule);
        std::vector<uint32_t> out;
        const auto list = [&](const std::vector<size_t>& rows) {
            out.clear();
            for (const size_t r : rows) {
                uint32_t& c = candidate[r - plan.begin];
                if (c == kNoRule) {
                    c = builder_.add_candidate(rule(r), static_cast<uint32_t>(r),
                                               table_conds(plan.residual[r - plan.begin]));
                }
                out.push_back(c);
            }
            return builder_.add_list(out);
        };
        std::vector<uint32_t> lists;
        lists.reserve(plan.lists.size());
        for (const auto& rows : plan.lists) {
            lists.push_back(list(rows));
        }
        const std::string why = index_line(plan.words_text(), plan.indexed, plan.longest);
        switch (plan.form) {
        case Form::kLpm: builder_.add_lpm(plan.slice, plan.bounds, lists); break;
        case Form::kDirect: direct(plan, lists, list(plan.miss)); break;
        default: {
            std::vector<uint32_t> keys;
            keys.reserve(plan.keys.size() * plan.words.size());
            for (const auto& key : plan.keys) {
                keys.insert(keys.end(), key.begin(), key.end());
            }
            builder_.add_hash(plan.words, keys, lists, list(plan.miss));
            note_hash(plan);
            break;
        }
        }
        say(plan.form, plan.end - plan.begin, why);
    }

    /// A hash whose keys all rows in it have can be patched; few of them may share theirs.
    void note_hash(const IndexPlan& plan) {
        const size_t n = plan.end - plan.begin;
        if (plan.indexed != n || plan.crowded.size() * 8 > n ||
            (out_->hash && n <= out_->hash->rows)) {
            return;
        }
        Lowered::Hash& hash = out_->hash.emplace();
        hash.segment = static_cast<uint32_t>(out_->lines.size());
        hash.words = plan.words;
        std::set<std::vector<uint32_t>> crowded;
        for (const uint32_t list : plan.crowded) {
            crowded.insert(plan.keys[list]);
        }
        hash.crowded = std::make_shared<const std::set<std::vector<uint32_t>>>(std::move(crowded));
        if (plan.begin > 0) {
            hash.from = Position::of(live_[plan.begin - 1]);
        }
        if (plan.end < live_.size()) {
            hash.to = Position::of(live_[plan.end]);
        }
        hash.words_text = plan.words_text();
        hash.rows = n;
        hash.longest = plan.longest;
    }

    void direct(const IndexPlan& plan, const std::vector<uint32_t>& lists, uint32_t miss) {
        const auto shift = static_cast<unsigned>(__builtin_ctz(plan.words[0].mask));
        uint32_t highest = 0;
        for (const auto& key : plan.keys) {
            highest = std::max(highest, key[0] >> shift);
        }
        std::vector<uint32_t> by_number(highest + 2, miss);
        for (size_t i = 0; i < plan.keys.size(); ++i) {
            by_number[plan.keys[i][0] >> shift] = lists[i];
        }
        builder_.add_direct(plan.words[0], shift, by_number);
    }

    const std::vector<LiveRow>& live_;
    std::vector<const LiveRow*> rows_;
    std::vector<uint32_t> flow_of_row_;
    std::vector<uint32_t> rule_of_flow_;
    TableBuilder builder_;
    std::vector<TableCond> conds_;  ///< of the candidate at hand
    std::shared_ptr<Lowered> out_ = std::make_shared<Lowered>();
};

}  // namespace

std::string segment_line(Form form, size_t rows, const std::string& why) {
    return fmt::format("{} {} row{}: {}\n", form_name(form), rows, rows == 1 ? "" : "s", why);
}

std::string index_line(const std::string& words, size_t rows, size_t longest) {
    return fmt::format("{} tells {} of them apart, lists of at most {}", words, rows, longest);
}

void put_conds(std::span<const LiveCond> conds, std::vector<TableCond>* out) {
    for (const LiveCond& cond : conds) {
        out->push_back({state_slice(cond.slice), &cond.values->ranges()});
    }
}

LoweredPtr lower(const std::vector<LiveRow>& rows, uint64_t content_hash) {
    return TableLowering(rows).run(content_hash);
}

LoweredPtr no_match_table() {
    static const LoweredPtr table = [] {
        TableBuilder builder;
        Instr drop{Op::kDrop};
        drop.a = static_cast<uint8_t>(Drop::k_no_match);
        builder.add_const(builder.add_rule({drop}, {}, kNoFlow));
        auto out = std::make_shared<Lowered>();
        out->lines = {"const 1 row: no flow can match here\n"};
        out->table = builder.finish(out->lines.front(), 1, 0);
        return out;
    }();
    return table;
}

}  // namespace sluice::compile
