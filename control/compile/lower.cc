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
    TableLowering(const std::vector<LiveRow>& rows, const std::vector<BoundFlow>& flows)
        : live_(rows), flows_(flows), rule_of_flow_(flows.size(), kNoRule) {
        for (const LiveRow& row : rows) {
            rows_.push_back(&row);
        }
    }

    std::shared_ptr<const Table> run(uint64_t content_hash) {
        size_t end = rows_.size();
        const bool decided = end != 0 && rows_[end - 1]->conds.empty();
        end -= decided ? 1 : 0;
        range(0, end);
        if (decided) {
            builder_.add_const(rule(end));
            say(Form::kConst, 1, "matches every packet that gets here");
        }
        return builder_.finish(text_, static_cast<uint32_t>(rows_.size()), content_hash);
    }

private:
    static constexpr uint32_t kNoRule = ~0u;

    uint32_t rule(size_t row) {
        const uint32_t flow = live_[row].flow;
        if (rule_of_flow_[flow] == kNoRule) {
            const BoundFlow& f = flows_[flow];
            builder_.keep(f.code->keep);
            rule_of_flow_[flow] = builder_.add_rule(f.code->instrs, f.code->selects, f.id);
        }
        return rule_of_flow_[flow];
    }

    static void put_conds(std::span<const LiveCond> conds, std::vector<TableCond>* out) {
        for (const LiveCond& cond : conds) {
            out->push_back({state_slice(cond.slice), &cond.values->ranges()});
        }
    }
    const std::vector<TableCond>& table_conds(std::span<const LiveCond> conds) {
        conds_.clear();
        put_conds(conds, &conds_);
        return conds_;
    }

    void say(Form form, size_t rows, const std::string& why) {
        text_ += fmt::format("{} {} row{}: {}\n", form_name(form), rows, rows == 1 ? "" : "s", why);
        ++segments_;
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
        if (segments_ + 3 <= kMaxSegments) {
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
        const std::string why = fmt::format("{} tells {} of them apart, lists of at most {}",
                                            plan.words_text(), plan.indexed, plan.longest);
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
            break;
        }
        }
        say(plan.form, plan.end - plan.begin, why);
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
    const std::vector<BoundFlow>& flows_;
    std::vector<const LiveRow*> rows_;
    std::vector<uint32_t> rule_of_flow_;
    TableBuilder builder_;
    std::vector<TableCond> conds_;  ///< of the candidate at hand
    std::string text_;
    unsigned segments_ = 0;
};

}  // namespace

std::shared_ptr<const Table> lower(const std::vector<LiveRow>& rows,
                                   const std::vector<BoundFlow>& flows, uint64_t content_hash) {
    return TableLowering(rows, flows).run(content_hash);
}

std::shared_ptr<const Table> no_match_table() {
    static const std::shared_ptr<const Table> table = [] {
        TableBuilder builder;
        Instr drop{Op::kDrop};
        drop.a = static_cast<uint8_t>(Drop::k_no_match);
        builder.add_const(builder.add_rule({drop}, {}, kNoFlow));
        return builder.finish("const 1 row: no flow can match here\n", 1, 0);
    }();
    return table;
}

}  // namespace sluice::compile
