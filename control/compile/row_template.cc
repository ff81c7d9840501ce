// SPDX-License-Identifier: Apache-2.0
#include "control/compile/row_template.h"

#include <algorithm>

#include "control/compile/normalize.h"
#include "control/compile/ports_here.h"

namespace sluice::compile {

namespace {

bool is_name(const lang::Constant& constant) {
    return !std::holds_alternative<lang::Integer>(constant);
}

/// A set with a name in it, and nothing in it that one set of numbers cannot say.
bool is_hole(const lang::Compare& node) {
    const unsigned bits = node.field.raw().width;
    const auto fits = [&](const lang::Constant& constant) {
        const auto* number = std::get_if<lang::Integer>(&constant);
        return number == nullptr || !number->masked ||
               prefix_range(number->value, number->mask, bits).has_value();
    };
    const auto& values = node.set.values;
    return node.op == lang::RelOp::kEq && std::any_of(values.begin(), values.end(), is_name) &&
           std::all_of(values.begin(), values.end(), fits);
}

bool is_apart(const FieldRef& slice, const RowTemplate& form) {
    return std::none_of(form.rest.begin(), form.rest.end(),
                        [&](const Row& row) {
                            return std::any_of(
                                row.conds.begin(), row.conds.end(),
                                [&](const Cond& cond) { return overlaps(cond.slice, slice); });
                        }) &&
           std::none_of(form.holes.begin(), form.holes.end(),
                        [&](const RowTemplate::Hole& hole) { return overlaps(hole.slice, slice); });
}

bool is_port(const FieldRef& slice) {
    return slice.id == FieldId::kInport || slice.id == FieldId::kOutport;
}

/// Sorts the terms of a conjunction into the three parts of a template.
class TermSorter {
public:
    void add(const lang::Expr& term) {
        if (const auto* compare = std::get_if<lang::Compare>(&term.node);
            compare != nullptr && is_hole(*compare)) {
            holes.push_back({compare->field.raw(), *compare});
        } else if (const auto* resident = std::get_if<lang::IsResident>(&term.node)) {
            residents.push_back(*resident);
        } else {
            rest.push_back(term);
        }
    }

    std::vector<RowTemplate::Hole> holes;
    std::vector<lang::IsResident> residents;
    std::vector<lang::Expr> rest;
};

}  // namespace

std::unique_ptr<const RowTemplate> make_template(const lang::Expr& raw, Binder* binder) {
    TermSorter terms;
    if (const auto* both = std::get_if<lang::And>(&raw.node)) {
        std::for_each(both->terms.begin(), both->terms.end(),
                      [&](const lang::Expr& term) { terms.add(term); });
    } else {
        terms.add(raw);
    }
    if (terms.holes.empty() && terms.residents.empty()) {
        return nullptr;
    }
    auto form = std::make_unique<RowTemplate>();
    form->rest.emplace_back();
    if (!terms.rest.empty()) {
        lang::Expr rest;
        rest.span = raw.span;
        rest.node = lang::And{std::move(terms.rest)};
        binder->start_flow();
        auto rows = normalize(rest, binder);
        if (!rows || binder->uses_names()) {
            return nullptr;
        }
        form->rest = *std::move(rows);
    }
    form->residents = std::move(terms.residents);
    for (RowTemplate::Hole& hole : terms.holes) {
        if (!is_apart(hole.slice, *form)) {
            return nullptr;
        }
        form->holes.push_back(std::move(hole));
    }
    // Ports first: most flows with ports are about those of other chassis, and end there.
    std::stable_partition(form->holes.begin(), form->holes.end(),
                          [](const RowTemplate::Hole& hole) { return is_port(hole.slice); });
    return form;
}

lang::Parsed<std::vector<Row>> fill_template(const RowTemplate& form, Binder* binder,
                                             PortsHere* here, bool* is_elsewhere) {
    *is_elsewhere = false;
    for (const lang::IsResident& resident : form.residents) {
        if (binder->is_resident(resident.port.text) == resident.negated) {
            *is_elsewhere = true;
            return std::vector<Row>();
        }
    }
    std::vector<ValueSetPtr> sets;
    sets.reserve(form.holes.size());
    for (const RowTemplate::Hole& hole : form.holes) {
        lang::Parsed<ValueSetPtr> values = named_members(hole.names, binder);
        if (!values) {
            return values.error();
        }
        sets.push_back(here != nullptr ? here->limit(hole.slice, *values) : *std::move(values));
        if (sets.back()->empty()) {
            *is_elsewhere = is_port(hole.slice);
            return std::vector<Row>();
        }
    }
    std::vector<Row> rows;
    rows.reserve(form.rest.size());
    for (const Row& rest : form.rest) {
        Row& row = rows.emplace_back();
        row.conds.reserve(rest.conds.size() + sets.size());
        row.conds = rest.conds;
        for (size_t i = 0; i < sets.size(); ++i) {
            const FieldRef& slice = form.holes[i].slice;
            if (!sets[i]->is_all(slice.width)) {
                const auto at = std::lower_bound(
                    row.conds.begin(), row.conds.end(), slice,
                    [](const Cond& a, const FieldRef& b) { return slice_less(a.slice, b); });
                row.conds.insert(at, Cond{slice, sets[i]});
            }
        }
    }
    return rows;
}

}  // namespace sluice::compile
