// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "control/compile/expr.h"
#include "lib/base/check.h"

namespace sluice::lang {

namespace {

constexpr size_t kMaxDeduplicated = 32;  // comparing every pair of a longer list costs too much

RelOp inverted(RelOp op) {
    switch (op) {
    case RelOp::kEq: return RelOp::kNe;
    case RelOp::kNe: return RelOp::kEq;
    case RelOp::kLt: return RelOp::kGe;
    case RelOp::kLe: return RelOp::kGt;
    case RelOp::kGt: return RelOp::kLe;
    case RelOp::kGe: return RelOp::kLt;
    }
    return op;
}

Expr boolean(bool value, Span span) {
    return Expr{Bool{value}, span};
}

std::vector<Expr>* terms_of(Expr& expr) {
    if (auto* all = std::get_if<And>(&expr.node)) {
        return &all->terms;
    }
    auto* any = std::get_if<Or>(&expr.node);
    return any != nullptr ? &any->terms : nullptr;
}

/// Terms joined by && or ||: constants folded, same kind flattened, repeated terms dropped.
class Junction {
public:
    explicit Junction(bool conjunction) : conjunction_(conjunction) {}

    void add(Expr term) {
        if (const auto* constant = std::get_if<Bool>(&term.node)) {
            decided_ = decided_ || constant->value != conjunction_;
            return;
        }
        if (conjunction_ == std::holds_alternative<And>(term.node) && terms_of(term) != nullptr) {
            for (Expr& inner : *terms_of(term)) {
                add(std::move(inner));
            }
            return;
        }
        const bool repeated = terms_.size() <= kMaxDeduplicated &&
                              std::any_of(terms_.begin(), terms_.end(),
                                          [&](const Expr& e) { return equal(e, term); });
        if (!repeated) {
            terms_.push_back(std::move(term));
        }
    }

    Expr take(Span span) {
        if (decided_ || terms_.empty()) {
            return boolean(conjunction_ != decided_, span);
        }
        if (terms_.size() == 1) {
            return std::move(terms_[0]);
        }
        if (conjunction_) {
            return Expr{And{std::move(terms_)}, span};
        }
        return Expr{Or{std::move(terms_)}, span};
    }

private:
    bool conjunction_;
    bool decided_ = false;  ///< false in an And, true in an Or
    std::vector<Expr> terms_;
};

Expr with_prerequisite(Expr expr, const Symbol& symbol) {
    if (symbol.prerequisite_expr == nullptr) {
        return expr;
    }
    const Span span = expr.span;
    Junction both(true);
    both.add(std::move(expr));
    both.add(*symbol.prerequisite_expr);
    return both.take(span);
}

/// One bit has two values, so != turns into == of the other one.
void one_bit_form(Compare& compare) {
    compare.implicit = false;
    auto* number = std::get_if<Integer>(&compare.set.values[0]);
    if (compare.field.width != 1 || compare.set.values.size() != 1 || number == nullptr ||
        number->masked || compare.op != RelOp::kNe) {
        return;
    }
    compare.op = RelOp::kEq;
    number->value ^= 1;
    number->format = Format::kDecimal;
}

/// `ip4`, `!ip.first_frag`, `vlan.present == {0, 1}` ...: the expansion, or its negation.
Expr expand_predicate(const Compare& compare, RelOp op, Span span) {
    const Symbol& symbol = *compare.field.symbol;
    Junction junction(op == RelOp::kNe);
    for (const Constant& constant : compare.set.values) {
        const auto* number = std::get_if<Integer>(&constant);
        const bool one = number != nullptr && (number->value & 1) != 0;
        Expr expansion = *symbol.expansion_raw;
        junction.add(one == (op == RelOp::kEq) ? std::move(expansion)
                                               : negate(std::move(expansion)));
    }
    return junction.take(span);
}

class Annotator {
public:
    /// `bare`: somebody above adds the prerequisites.
    Expr run(const Expr& expr, bool negated, bool bare);

private:
    Expr join(const std::vector<Expr>& terms, bool conjunction, bool negated, bool bare, Span span);
};

/// The symbol of every comparison in `expr` if they all have the same, otherwise nullptr.
const Symbol* only_symbol(const Expr& expr, const Symbol* so_far) {
    if (const auto* compare = std::get_if<Compare>(&expr.node)) {
        const Symbol* symbol = compare->field.symbol;
        return so_far == nullptr || so_far == symbol ? symbol : nullptr;
    }
    const std::vector<Expr>* terms = nullptr;
    if (const auto* all = std::get_if<And>(&expr.node)) {
        terms = &all->terms;
    } else if (const auto* any = std::get_if<Or>(&expr.node)) {
        terms = &any->terms;
    } else if (const auto* no = std::get_if<Not>(&expr.node)) {
        terms = &no->terms;
    }
    if (terms == nullptr) {
        return nullptr;
    }
    for (const Expr& term : *terms) {
        so_far = only_symbol(term, so_far);
        if (so_far == nullptr) {
            return nullptr;
        }
    }
    return so_far;
}

Expr Annotator::join(const std::vector<Expr>& terms, bool conjunction, bool negated, bool bare,
                     Span span) {
    Junction junction(conjunction);
    for (const Expr& term : terms) {
        junction.add(run(term, negated, bare));
    }
    return junction.take(span);
}

Expr Annotator::run(const Expr& expr, bool negated, bool bare) {
    if (const auto* constant = std::get_if<Bool>(&expr.node)) {
        return boolean(constant->value != negated, expr.span);
    }
    if (const auto* resident = std::get_if<IsResident>(&expr.node)) {
        return Expr{IsResident{resident->port, resident->negated != negated}, expr.span};
    }
    if (const auto* no = std::get_if<Not>(&expr.node)) {
        return run(no->terms[0], !negated, bare);
    }
    if (const auto* compare = std::get_if<Compare>(&expr.node)) {
        const RelOp op = negated ? inverted(compare->op) : compare->op;
        if (compare->field.symbol->kind == SymbolKind::kPredicate) {
            return expand_predicate(*compare, op, expr.span);
        }
        Expr raw = expr;
        auto& node = std::get<Compare>(raw.node);
        node.op = op;
        one_bit_form(node);
        return bare ? raw : with_prerequisite(std::move(raw), *compare->field.symbol);
    }
    // Alternatives over one field need its prerequisites once.
    const Symbol* symbol = bare ? nullptr : only_symbol(expr, nullptr);
    const bool factor = symbol != nullptr && symbol->prerequisite_expr != nullptr;
    const auto* all = std::get_if<And>(&expr.node);
    const auto& terms = all != nullptr ? all->terms : std::get<Or>(expr.node).terms;
    Expr joined = join(terms, (all != nullptr) != negated, negated, bare || factor, expr.span);
    return factor ? with_prerequisite(std::move(joined), *symbol) : joined;
}

}  // namespace

Expr annotate(const Expr& expr) {
    return Annotator().run(expr, false, false);
}

Expr annotate_with(const Expr& expr, const std::vector<Expr>& prerequisites) {
    Junction all(true);
    all.add(annotate(expr));
    for (const Expr& prerequisite : prerequisites) {
        all.add(prerequisite);
    }
    return all.take(expr.span);
}

Expr negate(Expr expr) {
    if (auto* constant = std::get_if<Bool>(&expr.node)) {
        constant->value = !constant->value;
    } else if (auto* resident = std::get_if<IsResident>(&expr.node)) {
        resident->negated = !resident->negated;
    } else if (auto* compare = std::get_if<Compare>(&expr.node)) {
        compare->op = inverted(compare->op);
        one_bit_form(*compare);
    } else {
        Junction junction(std::holds_alternative<Or>(expr.node));
        SLUICE_CHECK(terms_of(expr) != nullptr);
        for (Expr& term : *terms_of(expr)) {
            junction.add(negate(std::move(term)));
        }
        return junction.take(expr.span);
    }
    return expr;
}

}  // namespace sluice::lang
