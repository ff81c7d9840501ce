// SPDX-License-Identifier: Apache-2.0
#include "control/compile/lower_index.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

namespace sluice::compile {

namespace {

const char* slot_name(unsigned slot) {
    for (const FieldInfo& info : kFields) {
        if (slot >= info.slot && slot < info.slot + info.slots()) {
            return info.name[0] != 0 ? info.name : "packet";
        }
    }
    return "?";
}

/// Ranges of one row on `field`, or null.
const LiveCond* cond_on(const LiveRow& row, const FieldRef& field) {
    for (const LiveCond& cond : row.conds) {
        if (cond.slice == field) {
            return &cond;
        }
    }
    return nullptr;
}

struct Sweep {
    std::vector<U128> bounds;
    std::vector<std::vector<size_t>> lists;
};

/// Rows that cover each interval of `field`, cut after one that has nothing left to check.
std::optional<Sweep> sweep(const std::vector<const LiveRow*>& rows, const IndexPlan& plan) {
    struct Flip {
        U128 at;
        size_t row;
        bool in;
    };
    std::vector<Flip> flips;
    std::set<size_t> active;
    for (size_t r = plan.begin; r < plan.end; ++r) {
        const LiveCond* cond = cond_on(*rows[r], plan.field);
        if (cond == nullptr) {
            active.insert(r);
            continue;
        }
        const std::vector<U128> bounds = bounds_of(cond->values->ranges(), plan.field.width);
        for (size_t i = 0; i < bounds.size(); ++i) {
            flips.push_back({bounds[i], r, i % 2 == 0});
        }
    }
    std::sort(flips.begin(), flips.end(), [](const Flip& a, const Flip& b) { return a.at < b.at; });
    Sweep out;
    size_t budget = kMaxRepeats * (plan.end - plan.begin) + kMaxList;
    const auto snapshot = [&] {
        std::vector<size_t> list;
        for (const size_t r : active) {
            list.push_back(r);
            if (plan.residual[r - plan.begin].empty() || list.size() > kMaxList) {
                break;
            }
        }
        return list;
    };
    out.lists.push_back(snapshot());
    for (size_t i = 0; i < flips.size();) {
        const U128 at = flips[i].at;
        for (; i < flips.size() && flips[i].at == at; ++i) {
            if (flips[i].in) {
                active.insert(flips[i].row);
            } else {
                active.erase(flips[i].row);
            }
        }
        std::vector<size_t> list = snapshot();
        if (list.size() > kMaxList || list.size() > budget) {
            return std::nullopt;
        }
        if (list != out.lists.back()) {
            budget -= list.size();
            out.bounds.push_back(at);
            out.lists.push_back(std::move(list));
        }
    }
    return out;
}

void measure(IndexPlan* plan) {
    size_t total = 0;
    for (const auto& list : plan->lists) {
        plan->longest = std::max(plan->longest, list.size());
        total += list.size();
    }
    plan->longest = std::max(plan->longest, plan->miss.size());
    plan->mean = plan->lists.empty() ? 0 : static_cast<double>(total) / plan->lists.size();
}

/// Fields that enough rows of the range have a condition on.
std::vector<FieldRef> lpm_candidates(const std::vector<const LiveRow*>& rows, size_t begin,
                                     size_t end) {
    std::vector<std::pair<FieldRef, size_t>> counts;
    for (size_t r = begin; r < end; ++r) {
        for (const LiveCond& cond : rows[r]->conds) {
            const auto at = std::find_if(counts.begin(), counts.end(),
                                         [&](const auto& c) { return c.first == cond.slice; });
            if (at == counts.end()) {
                counts.emplace_back(cond.slice, 1);
            } else {
                ++at->second;
            }
        }
    }
    std::vector<FieldRef> out;
    for (const auto& [field, count] : counts) {
        if (field.width >= 16 && count * 2 >= end - begin) {
            out.push_back(field);
        }
    }
    return out;
}

bool better(const IndexPlan& a, const IndexPlan& b) {
    // A hash is one step where lpm searches; a longer list costs more than either.
    const double cost_a = a.mean + static_cast<double>(a.longest) / 4 + (a.form == Form::kLpm);
    const double cost_b = b.mean + static_cast<double>(b.longest) / 4 + (b.form == Form::kLpm);
    const size_t outside_a = a.indexed;
    const size_t outside_b = b.indexed;
    if (outside_a != outside_b) {
        // Telling more rows apart wins unless the lists get much longer.
        const bool more = outside_a > outside_b;
        const double much = more ? cost_a - cost_b : cost_b - cost_a;
        return much < 2 ? more : !more;
    }
    return cost_a < cost_b;
}

/// Rows with the very same set cannot be told apart by it.
bool shared_too_often(const std::vector<const LiveRow*>& rows, size_t begin, size_t end,
                      const FieldRef& field) {
    std::unordered_map<const ValueSet*, size_t> uses;
    for (size_t r = begin; r < end; ++r) {
        const LiveCond* cond = cond_on(*rows[r], field);
        if (cond != nullptr && rows[r]->conds.size() > 1 && ++uses[cond->values] > kMaxList) {
            return true;
        }
    }
    return false;
}

}  // namespace

std::string IndexPlan::words_text() const {
    if (form == Form::kLpm) {
        return field_info(field.id).name;
    }
    std::string out;
    std::string last;
    for (const HashWord& w : words) {
        std::string name = slot_name(w.slot);
        if (name == last) {
            continue;
        }
        out += (out.empty() ? "" : ", ") + name;
        last = std::move(name);
    }
    return out;
}

std::optional<IndexPlan> try_lpm(const std::vector<const LiveRow*>& rows, size_t begin, size_t end,
                                 const FieldRef& field) {
    if (shared_too_often(rows, begin, end, field)) {
        return std::nullopt;
    }
    IndexPlan plan;
    plan.form = Form::kLpm;
    plan.field = field;
    plan.slice = state_slice(field);
    plan.begin = end;
    plan.end = begin;
    for (size_t r = begin; r < end; ++r) {
        if (cond_on(*rows[r], field) != nullptr) {
            plan.begin = std::min(plan.begin, r);
            plan.end = r + 1;
            ++plan.indexed;
        }
    }
    for (size_t r = plan.begin; r < plan.end; ++r) {
        std::vector<LiveCond> left;
        for (const LiveCond& cond : rows[r]->conds) {
            if (!(cond.slice == field)) {
                left.push_back(cond);
            }
        }
        plan.residual.push_back(std::move(left));
    }
    std::optional<Sweep> swept = sweep(rows, plan);
    if (!swept) {
        return std::nullopt;
    }
    plan.bounds = std::move(swept->bounds);
    plan.lists = std::move(swept->lists);
    measure(&plan);
    return plan;
}

std::optional<IndexPlan> find_index(const std::vector<const LiveRow*>& rows, size_t begin,
                                    size_t end) {
    std::optional<IndexPlan> best;
    const auto consider = [&](std::optional<IndexPlan> plan) {
        if (plan && plan->indexed * 2 >= end - begin && plan->longest <= kMaxList &&
            plan->mean <= 4 && (!best || better(*plan, *best))) {
            best = std::move(plan);
        }
    };
    // No later one can be better than one that tells all rows apart in lists as short as these. Of
    // many rows a few may be left to other segments: what would have those few too would be worse
    // for the many.
    constexpr size_t kManyRows = 64;
    const auto beats_all = [&](double mean, size_t longest) {
        const size_t all = end - begin;
        return best && best->form != Form::kLpm &&
               best->indexed >= (all < kManyRows ? all : all - all / 16) && best->mean <= mean &&
               best->longest <= longest;
    };
    const Pins pins = pins_of(rows, begin, end);
    for (const std::vector<HashWord>& words : hash_candidates(pins)) {
        consider(try_hash(pins, rows, begin, end, words));
        if (beats_all(1, 1)) {
            return best;
        }
    }
    if (beats_all(1.5, 2)) {
        return best;  // the shortest lists of lpm cost more
    }
    for (const FieldRef& field : lpm_candidates(rows, begin, end)) {
        consider(try_lpm(rows, begin, end, field));
    }
    return best;
}

}  // namespace sluice::compile
