// SPDX-License-Identifier: Apache-2.0
#include "control/compile/normalize.h"

#include <algorithm>
#include <iterator>
#include <map>

#include <fmt/format.h>

namespace sluice::compile {

namespace {

using Rows = std::vector<Row>;
using lang::Diagnostic;
using lang::Parsed;

constexpr size_t kMaxCompared = 256;  ///< pairwise work on more rows than that is not worth it

/// Maximal runs of ones of `mask`, each as a condition on `value`.
std::vector<Cond> runs_of(const FieldRef& field, U128 value, U128 mask) {
    std::vector<Cond> out;
    for (unsigned i = 0; i < field.width;) {
        if ((mask >> i & 1) == 0) {
            ++i;
            continue;
        }
        unsigned end = i;
        while (end < field.width && (mask >> end & 1) != 0) {
            ++end;
        }
        const U128 part = value >> i & ones(end - i);
        out.push_back(
            {{field.id, static_cast<uint16_t>(field.ofs + i), static_cast<uint16_t>(end - i)},
             one_range({part, part})});
        i = end;
    }
    return out;
}

Rows rows_of_cond(const FieldRef& slice, ValueSetPtr values) {
    Row row;
    if (!row.add(Cond{slice, std::move(values)})) {
        return {};
    }
    return {std::move(row)};
}

class Normalizer {
public:
    explicit Normalizer(Binder* binder) : binder_(binder) {}

    struct Members {
        ValueSetPtr values;
        std::vector<const lang::Integer*> scattered;  ///< masks that are no prefix
    };

    Parsed<Rows> rows(const lang::Expr& expr) {
        return std::visit([&](const auto& node) { return visit(node, expr.span); }, expr.node);
    }
    Parsed<Members> members(const lang::Compare& node);

private:
    Parsed<Rows> visit(const lang::Bool& node, lang::Span) {
        return node.value ? Rows{Row{}} : Rows{};
    }
    Parsed<Rows> visit(const lang::IsResident& node, lang::Span) {
        return binder_->is_resident(node.port.text) != node.negated ? Rows{Row{}} : Rows{};
    }
    Parsed<Rows> visit(const lang::Not&, lang::Span span) {
        return Diagnostic{"negation left after annotation", span};
    }
    Parsed<Rows> visit(const lang::Compare& node, lang::Span span);
    Parsed<Rows> visit(const lang::And& node, lang::Span span);
    Parsed<Rows> visit(const lang::Or& node, lang::Span span);

    Parsed<Rows> product(const Rows& a, const Rows& b, lang::Span span);
    Parsed<Rows> limited(Rows rows, lang::Span span);

    Binder* binder_;
};

Parsed<Rows> Normalizer::limited(Rows rows, lang::Span span) {
    if (rows.size() > kMaxRows) {
        return Diagnostic{
            fmt::format("match needs more than {} rows; write it as several flows", kMaxRows),
            span};
    }
    return rows;
}

Parsed<Normalizer::Members> Normalizer::members(const lang::Compare& node) {
    const unsigned bits = node.field.raw().width;
    Members out;
    std::vector<ValueRange> ranges;
    std::vector<ValueSetPtr> sets;
    for (const lang::Constant& constant : node.set.values) {
        if (const auto* number = std::get_if<lang::Integer>(&constant)) {
            const U128 mask = number->masked ? number->mask : ones(bits);
            if (const auto range = prefix_range(number->value, mask, bits)) {
                ranges.push_back(*range);
            } else {
                out.scattered.push_back(number);
            }
        } else if (const auto* string = std::get_if<lang::String>(&constant)) {
            if (const auto key = binder_->port_key(string->text)) {
                ranges.push_back({*key, *key});
            }
        } else if (const auto* set = std::get_if<lang::AddressSetName>(&constant)) {
            Parsed<ValueSetPtr> values = binder_->address_set(*set, bits);
            if (!values) {
                return values.error();
            }
            sets.push_back(*values);
        } else if (const auto* group = std::get_if<lang::PortGroupName>(&constant)) {
            Parsed<ValueSetPtr> values = binder_->port_group(*group);
            if (!values) {
                return values.error();
            }
            sets.push_back(*values);
        } else {
            const auto& name = std::get<lang::TemplateName>(constant);
            return Diagnostic{"unknown template variable ^" + name.name, name.span};
        }
    }
    if (ranges.empty() && sets.size() == 1) {
        out.values = sets[0];  // shared by all that name the set
        return out;
    }
    for (const ValueSetPtr& set : sets) {
        ranges.insert(ranges.end(), set->ranges().begin(), set->ranges().end());
    }
    out.values = ranges.size() == 1 ? one_range(ranges[0])
                                    : std::make_shared<const ValueSet>(std::move(ranges));
    return out;
}

/// An unknown port makes the comparison false whichever way it is put.
bool names_unknown_port(const lang::Compare& node, Binder* binder) {
    const auto* name =
        node.set.values.size() == 1 ? std::get_if<lang::String>(&node.set.values[0]) : nullptr;
    return name != nullptr && !binder->port_key(name->text);
}

Parsed<Rows> Normalizer::visit(const lang::Compare& node, lang::Span span) {
    const FieldRef slice = node.field.raw();
    const unsigned bits = slice.width;
    if (node.field.is_string() && names_unknown_port(node, binder_)) {
        return Rows{};
    }
    Parsed<Members> found = members(node);
    if (!found) {
        return found.error();
    }
    const Members& m = *found;
    const auto one = [&](ValueSet values) {
        return rows_of_cond(slice, std::make_shared<ValueSet>(std::move(values)));
    };
    if (node.op == lang::RelOp::kEq) {
        Rows out = rows_of_cond(slice, m.values);
        for (const lang::Integer* number : m.scattered) {
            Row row;
            for (const Cond& cond : runs_of(slice, number->value, number->mask)) {
                row.add(cond);
            }
            out.push_back(std::move(row));
        }
        return limited(std::move(out), span);
    }
    if (node.op == lang::RelOp::kNe) {
        Parsed<Rows> out = one(m.values->complement(bits));
        for (const lang::Integer* number : m.scattered) {
            Rows any;
            for (Cond cond : runs_of(slice, number->value, number->mask)) {
                cond.values = std::make_shared<ValueSet>(cond.values->complement(cond.slice.width));
                any.push_back(Row{{std::move(cond)}});
            }
            out = product(*out, any, span);
            if (!out) {
                return out;
            }
        }
        return out;
    }
    const auto limit = m.values->single();
    if (!limit) {
        return Diagnostic{"an order comparison takes one number", span};
    }
    const U128 v = *limit;
    const U128 top = ones(bits);
    switch (node.op) {
    case lang::RelOp::kLt: return v == 0 ? Rows{} : one(ValueSet({{0, v - 1}}));
    case lang::RelOp::kLe: return one(ValueSet({{0, v}}));
    case lang::RelOp::kGt: return v == top ? Rows{} : one(ValueSet({{v + 1, top}}));
    default: return one(ValueSet({{v, top}}));
    }
}

/// Rows that differ in one slice only become one; then rows that others cover go.
void simplify(Rows* rows);

Parsed<Rows> Normalizer::product(const Rows& a, const Rows& b, lang::Span span) {
    Rows out;
    for (const Row& x : a) {
        for (const Row& y : b) {
            Row both = x;
            if (both.add(y)) {
                out.push_back(std::move(both));
            }
        }
        if (out.size() > kMaxRows) {
            break;
        }
    }
    return limited(std::move(out), span);
}

Parsed<Rows> Normalizer::visit(const lang::And& node, lang::Span span) {
    Row base;
    std::vector<Rows> others;
    for (const lang::Expr& term : node.terms) {
        Parsed<Rows> part = rows(term);
        if (!part) {
            return part;
        }
        if (part->empty()) {
            return Rows{};
        }
        if (part->size() == 1) {
            if (!base.add(part->front())) {
                return Rows{};
            }
        } else {
            others.push_back(*part);
        }
    }
    std::sort(others.begin(), others.end(),
              [](const Rows& a, const Rows& b) { return a.size() < b.size(); });
    Parsed<Rows> out = Rows{std::move(base)};
    for (const Rows& other : others) {
        out = product(*out, other, span);
        if (!out) {
            return out;
        }
        Rows simpler = *out;
        simplify(&simpler);
        out = std::move(simpler);
    }
    return out;
}

Parsed<Rows> Normalizer::visit(const lang::Or& node, lang::Span span) {
    Rows out;
    for (const lang::Expr& term : node.terms) {
        Parsed<Rows> part = rows(term);
        if (!part) {
            return part;
        }
        out.insert(out.end(), std::make_move_iterator(part->begin()),
                   std::make_move_iterator(part->end()));
    }
    simplify(&out);
    return limited(std::move(out), span);
}

/// What a row says about all slices but `pivot`, as a key.
std::vector<uint64_t> key_without(const Row& row, const FieldRef& pivot) {
    std::vector<uint64_t> key;
    for (const Cond& cond : row.conds) {
        if (!(cond.slice == pivot)) {
            key.push_back(static_cast<uint64_t>(cond.slice.id) << 32 | cond.slice.ofs << 16 |
                          cond.slice.width);
            key.push_back(cond.values->hash());
        }
    }
    return key;
}

Cond* cond_on(Row* row, const FieldRef& slice) {
    for (Cond& cond : row->conds) {
        if (cond.slice == slice) {
            return &cond;
        }
    }
    return nullptr;
}

bool equal_without(const Row& a, const Row& b, const FieldRef& pivot) {
    return a.conds.size() == b.conds.size() &&
           std::equal(a.conds.begin(), a.conds.end(), b.conds.begin(),
                      [&](const Cond& x, const Cond& y) {
                          return x.slice == y.slice && (x.slice == pivot || equal(x, y));
                      });
}

bool merge_on(Rows* rows, const FieldRef& pivot) {
    std::map<std::vector<uint64_t>, size_t> first_with;
    std::map<size_t, std::vector<ValueRange>> grown;
    Rows out;
    for (Row& row : *rows) {
        const Cond* cond = cond_on(&row, pivot);
        if (cond == nullptr) {
            out.push_back(std::move(row));
            continue;
        }
        const auto [at, fresh] = first_with.try_emplace(key_without(row, pivot), out.size());
        if (fresh || !equal_without(out[at->second], row, pivot)) {
            out.push_back(std::move(row));
            continue;
        }
        std::vector<ValueRange>& ranges = grown[at->second];
        if (ranges.empty()) {
            ranges = cond_on(&out[at->second], pivot)->values->ranges();
        }
        ranges.insert(ranges.end(), cond->values->ranges().begin(), cond->values->ranges().end());
    }
    for (auto& [index, ranges] : grown) {
        Row& row = out[index];
        Cond* cond = cond_on(&row, pivot);
        cond->values = std::make_shared<ValueSet>(std::move(ranges));
        if (cond->values->is_all(pivot.width)) {
            row.conds.erase(row.conds.begin() + (cond - row.conds.data()));
        }
    }
    const bool changed = !grown.empty();
    *rows = std::move(out);
    return changed;
}

void drop_covered(Rows* rows) {
    std::vector<bool> gone(rows->size());
    for (size_t i = 0; i < rows->size(); ++i) {
        for (size_t j = 0; j < rows->size() && !gone[i]; ++j) {
            gone[i] = i != j && !gone[j] && covers((*rows)[j], (*rows)[i]);
        }
    }
    Rows out;
    for (size_t i = 0; i < rows->size(); ++i) {
        if (!gone[i]) {
            out.push_back(std::move((*rows)[i]));
        }
    }
    *rows = std::move(out);
}

void simplify(Rows* rows) {
    if (rows->size() < 2) {
        return;
    }
    bool again = true;
    while (again && rows->size() > 1) {
        std::vector<FieldRef> slices;
        for (const Row& row : *rows) {
            for (const Cond& cond : row.conds) {
                if (std::find(slices.begin(), slices.end(), cond.slice) == slices.end()) {
                    slices.push_back(cond.slice);
                }
            }
        }
        again = false;
        for (const FieldRef& slice : slices) {
            again = merge_on(rows, slice) || again;
        }
    }
    if (rows->size() <= kMaxCompared) {
        drop_covered(rows);
    }
}

}  // namespace

Parsed<ValueSetPtr> named_members(const lang::Compare& node, Binder* binder) {
    if (node.set.values.size() == 1) {  // as nearly always
        const lang::Constant& only = node.set.values[0];
        if (const auto* group = std::get_if<lang::PortGroupName>(&only)) {
            return binder->port_group(*group);
        }
        if (const auto* set = std::get_if<lang::AddressSetName>(&only)) {
            return binder->address_set(*set, node.field.raw().width);
        }
    }
    auto members = Normalizer(binder).members(node);
    return members ? Parsed<ValueSetPtr>((*std::move(members)).values)
                   : Parsed<ValueSetPtr>(members.error());
}

Parsed<std::vector<Row>> normalize(const lang::Expr& raw, Binder* binder) {
    return Normalizer(binder).rows(raw);
}

}  // namespace sluice::compile
