// SPDX-License-Identifier: Apache-2.0
#include "control/compile/expr.h"
#include "control/compile/expr_operand.h"
#include "control/compile/lex.h"

namespace sluice::lang {

namespace {

constexpr unsigned kMaxParentheses = 100;

std::optional<RelOp> relop_of(Tok type) {
    switch (type) {
    case Tok::kEq: return RelOp::kEq;
    case Tok::kNe: return RelOp::kNe;
    case Tok::kLt: return RelOp::kLt;
    case Tok::kLe: return RelOp::kLe;
    case Tok::kGt: return RelOp::kGt;
    case Tok::kGe: return RelOp::kGe;
    default: return std::nullopt;
    }
}

/// The operator with its operands the other way round.
RelOp turned(RelOp op) {
    switch (op) {
    case RelOp::kLt: return RelOp::kGt;
    case RelOp::kLe: return RelOp::kGe;
    case RelOp::kGt: return RelOp::kLt;
    case RelOp::kGe: return RelOp::kLe;
    default: return op;
    }
}

bool ascending(RelOp op) {
    return op == RelOp::kLt || op == RelOp::kLe;
}
bool descending(RelOp op) {
    return op == RelOp::kGt || op == RelOp::kGe;
}
bool equality(RelOp op) {
    return op == RelOp::kEq || op == RelOp::kNe;
}

using Parse = std::optional<Expr>;

class MatchParser {
public:
    MatchParser(std::string_view text, const SymbolTable& symbols)
        : cursor_(text), symbols_(symbols) {}

    Parsed<Expr> run() {
        Parse expr = junction();
        if (expr && cursor_.expect_end() && !cursor_.failed()) {
            return *std::move(expr);
        }
        return cursor_.take_error();
    }

private:
    struct Operator {
        RelOp op;
        Span span;
    };

    Parse junction();
    Parse negation();
    Parse primary(bool& atomic);
    Parse parenthesized();
    Parse resident();
    Parse field_first(bool& atomic);
    Parse constant_first(bool& atomic);
    std::optional<Operator> relop();
    Parse compare(const FieldUse& field, Operator op, ConstantSet set, bool implicit = false);
    bool check_order(const FieldUse& field, Operator op, const ConstantSet& set);
    bool check_nominal(const FieldUse& field, Operator op, const ConstantSet& set);

    Cursor cursor_;
    const SymbolTable& symbols_;
    bool negated_ = false;  ///< an odd number of `!` around what is being parsed
    unsigned depth_ = 0;
};

Parse MatchParser::junction() {
    const Span start = cursor_.now().span;
    Parse first = negation();
    if (!first) {
        return first;
    }
    const Tok op = cursor_.now().type;
    if (op != Tok::kAnd && op != Tok::kOr) {
        return first;
    }
    std::vector<Expr> terms;
    terms.push_back(*std::move(first));
    while (cursor_.match(op)) {
        Parse next = negation();
        if (!next) {
            return next;
        }
        terms.push_back(*std::move(next));
    }
    if (cursor_.at(Tok::kAnd) || cursor_.at(Tok::kOr)) {
        cursor_.fail(cursor_.now().span, "&& and || must be parenthesized when used together.");
        return std::nullopt;
    }
    Expr expr;
    expr.span = cursor_.since(start);
    if (op == Tok::kAnd) {
        expr.node = And{std::move(terms)};
    } else {
        expr.node = Or{std::move(terms)};
    }
    return expr;
}

Parse MatchParser::negation() {
    const Span start = cursor_.now().span;
    bool atomic = false;
    if (!cursor_.match(Tok::kNot)) {
        return primary(atomic);
    }
    negated_ = !negated_;
    Parse operand = primary(atomic);
    negated_ = !negated_;
    if (!operand) {
        return operand;
    }
    if (!atomic) {
        cursor_.fail(operand->span, "Missing parentheses around operand of !.");
        return std::nullopt;
    }
    Expr expr;
    expr.node = Not{{*std::move(operand)}};
    expr.span = cursor_.since(start);
    return expr;
}

Parse MatchParser::primary(bool& atomic) {
    atomic = false;
    if (cursor_.at(Tok::kLParen)) {
        atomic = true;
        return parenthesized();
    }
    if (!cursor_.at(Tok::kId)) {
        return constant_first(atomic);
    }
    if (cursor_.at_id("is_chassis_resident") && cursor_.ahead().type == Tok::kLParen) {
        atomic = true;
        return resident();
    }
    return field_first(atomic);
}

Parse MatchParser::parenthesized() {
    const Span start = cursor_.now().span;
    if (++depth_ > kMaxParentheses) {
        cursor_.fail(start, "Parentheses nested too deeply.");
        return std::nullopt;
    }
    cursor_.advance();
    Parse expr = junction();
    --depth_;
    if (!expr || !cursor_.expect(Tok::kRParen)) {
        return std::nullopt;
    }
    return expr;
}

Parse MatchParser::resident() {
    const Span start = cursor_.now().span;
    cursor_.advance();
    cursor_.advance();
    if (!cursor_.at(Tok::kString)) {
        cursor_.syntax_error("expecting string.");
        return std::nullopt;
    }
    IsResident node;
    node.port = {unescape(cursor_.now().text), cursor_.now().span};
    cursor_.advance();
    if (!cursor_.expect(Tok::kRParen)) {
        return std::nullopt;
    }
    Expr expr;
    expr.node = std::move(node);
    expr.span = cursor_.since(start);
    return expr;
}

Parse MatchParser::field_first(bool& atomic) {
    const auto field = parse_field(cursor_, symbols_);
    if (!field) {
        return std::nullopt;
    }
    if (!relop_of(cursor_.now().type)) {
        if (field->is_string() || cursor_.at(Tok::kAssign)) {
            cursor_.syntax_error("expecting relational operator.");
            return std::nullopt;
        }
        if (field->width > 1 && !negated_) {
            cursor_.fail(field->span,
                         "Explicit `!= 0' is required for inequality test of multibit field "
                         "against 0.");
            return std::nullopt;
        }
        atomic = true;
        ConstantSet zero;
        zero.values.push_back(Integer{0, low_bits(128), false, Format::kDecimal, field->span});
        zero.span = field->span;
        return compare(*field, {RelOp::kNe, field->span}, std::move(zero), true);
    }
    const auto op = relop();
    auto set = parse_constant_set(cursor_);
    if (!set) {
        return std::nullopt;
    }
    return compare(*field, *op, *std::move(set));
}

Parse MatchParser::constant_first(bool& atomic) {
    const Span start = cursor_.now().span;
    auto left = parse_constant_set(cursor_);
    if (!left) {
        return std::nullopt;
    }
    if (!relop_of(cursor_.now().type) && !left->in_curlies) {
        const auto* number = std::get_if<Integer>(&left->values[0]);
        if (number != nullptr && !number->masked && number->format == Format::kDecimal &&
            number->value <= 1) {
            atomic = true;
            return Expr{Bool{number->value != 0}, start};
        }
    }
    const auto op = relop();
    if (!op) {
        return std::nullopt;
    }
    const auto field = parse_field(cursor_, symbols_);
    if (!field) {
        return std::nullopt;
    }
    const Operator facing{turned(op->op), op->span};
    if (!relop_of(cursor_.now().type)) {
        return compare(*field, facing, *std::move(left));
    }
    const auto op2 = relop();
    auto right = parse_constant_set(cursor_);
    if (!right) {
        return std::nullopt;
    }
    if (!(ascending(op->op) && ascending(op2->op)) &&
        !(descending(op->op) && descending(op2->op))) {
        cursor_.fail(op2->span,
                     "Range expressions must have the form `x < field < y' or `x > field > y', "
                     "with each `<' optionally replaced by `<=' or `>' by `>='.");
        return std::nullopt;
    }
    Parse lower = compare(*field, facing, *std::move(left));
    Parse upper = compare(*field, *op2, *std::move(right));
    if (!lower || !upper) {
        return std::nullopt;
    }
    Expr expr;
    expr.node = And{{*std::move(lower), *std::move(upper)}};
    expr.span = cursor_.since(start);
    return expr;
}

std::optional<MatchParser::Operator> MatchParser::relop() {
    const auto op = relop_of(cursor_.now().type);
    if (!op) {
        cursor_.syntax_error("expecting relational operator.");
        return std::nullopt;
    }
    const Span span = cursor_.now().span;
    cursor_.advance();
    return Operator{*op, span};
}

Parse MatchParser::compare(const FieldUse& field, Operator op, ConstantSet set, bool implicit) {
    if (field.symbol->kind == SymbolKind::kOvnField) {
        cursor_.fail(field.span, "Field " + field.symbol->name + " may only be assigned to.");
        return std::nullopt;
    }
    if (!check_constants(cursor_, field, set) || !check_order(field, op, set) ||
        !check_nominal(field, op, set)) {
        return std::nullopt;
    }
    Expr expr;
    const Span from = field.span.ofs < set.span.ofs ? field.span : set.span;
    expr.span = cursor_.since(from);
    expr.node = Compare{field, op.op, std::move(set), implicit};
    return expr;
}

/// < <= > >= take one plain number and an ordinal field.
bool MatchParser::check_order(const FieldUse& field, Operator op, const ConstantSet& set) {
    if (equality(op.op)) {
        return true;
    }
    const auto* number = std::get_if<Integer>(&set.values[0]);
    if (set.in_curlies) {
        cursor_.fail(op.span, "Only == and != operators may be used with value sets.");
    } else if (field.symbol->level != Level::kOrdinal) {
        const char* level = field.symbol->level == Level::kNominal ? "nominal" : "Boolean";
        cursor_.fail(op.span, std::string("Only == and != operators may be used with ") + level +
                                  " field " + field.symbol->name + ".");
    } else if (number == nullptr && !std::holds_alternative<TemplateName>(set.values[0])) {
        cursor_.fail(op.span, "Only == and != operators may be used with address sets.");
    } else if (number != nullptr && number->masked) {
        cursor_.fail(number->span,
                     "Only == and != operators may be used with masked constants.  Consider "
                     "using subfields instead (e.g. eth.src[0..15] > 0x1111 in place of eth.src "
                     "> 00:00:00:00:11:11/00:00:00:00:ff:ff).");
    } else {
        return true;
    }
    return false;
}

/// Nominal names are only tested for what they are, never for what they are not.
bool MatchParser::check_nominal(const FieldUse& field, Operator op, const ConstantSet& set) {
    if (field.symbol->level != Level::kNominal) {
        return true;
    }
    const std::string& name = field.symbol->name;
    if (field.symbol->kind != SymbolKind::kPredicate) {
        if (op.op == (negated_ ? RelOp::kNe : RelOp::kEq)) {
            return true;
        }
        cursor_.fail(field.span, "Nominal field " + name +
                                     " may only be tested for equality (taking enclosing `!' "
                                     "operators into account).");
        return false;
    }
    for (const Constant& constant : set.values) {
        const auto* number = std::get_if<Integer>(&constant);
        bool positive = number != nullptr && (number->value & 1) != 0;
        positive ^= op.op == RelOp::kNe;
        positive ^= negated_;
        if (!positive) {
            cursor_.fail(field.span, "Nominal predicate " + name +
                                         " may only be tested positively, e.g. `" + name +
                                         "' or `" + name + " == 1' but not `!" + name + "' or `" +
                                         name + " == 0'.");
            return false;
        }
    }
    return true;
}

}  // namespace

Parsed<Expr> parse_match(std::string_view text, const SymbolTable& symbols) {
    return MatchParser(text, symbols).run();
}

}  // namespace sluice::lang
