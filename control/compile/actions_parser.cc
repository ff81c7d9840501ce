// SPDX-License-Identifier: Apache-2.0
#include "control/compile/actions_parser.h"

#include "control/compile/expr.h"

namespace sluice::lang {

namespace {

constexpr unsigned kMaxDepth = 32;

}  // namespace

Parsed<ParsedActions> parse_actions(std::string_view text, const SymbolTable& symbols,
                                    const ActionContext& context) {
    return ActionParser(text, symbols, context).run();
}

Parsed<ParsedActions> ActionParser::run() {
    auto list = run_list(Tok::kEnd);
    if (!list || cursor_.failed()) {
        return cursor_.take_error();
    }
    return ParsedActions{*std::move(list), std::move(prerequisites_)};
}

std::optional<ActionList> ActionParser::run_list(Tok end) {
    ActionList list;
    if (cursor_.at_id("drop") && cursor_.ahead().type == Tok::kSemicolon) {
        cursor_.advance();
        cursor_.advance();
        list.explicit_drop = true;
        if (end == Tok::kEnd ? !cursor_.expect_end() : !cursor_.expect(end)) {
            return std::nullopt;
        }
        return list;
    }
    while (end == Tok::kEnd ? !cursor_.at(end) : !cursor_.match(end)) {
        auto next = action();
        if (!next) {
            return std::nullopt;
        }
        list.actions.push_back(*std::move(next));
    }
    return list;
}

std::optional<Action> ActionParser::action() {
    const Span start = cursor_.now().span;
    if (!cursor_.at(Tok::kId)) {
        cursor_.syntax_error("");
        return std::nullopt;
    }
    const Tok ahead = cursor_.ahead().type;
    Node node;
    if (ahead == Tok::kAssign || ahead == Tok::kExchange || ahead == Tok::kLSquare) {
        node = assignment();
    } else {
        const Form* form = find_form(cursor_.now().text);
        if (form == nullptr) {
            cursor_.syntax_error("expecting action.");
            return std::nullopt;
        }
        cursor_.advance();
        node = form->parse(*this);
    }
    if (!node || !cursor_.expect(Tok::kSemicolon) || cursor_.failed()) {
        return std::nullopt;
    }
    return Action{*std::move(node), cursor_.since(start)};
}

ActionParser::Node ActionParser::assignment() {
    const auto dst = field();
    if (!dst) {
        return std::nullopt;
    }
    const Span op = cursor_.now().span;
    if (cursor_.match(Tok::kExchange)) {
        return move(*dst, true, op);
    }
    if (!cursor_.match(Tok::kAssign)) {
        cursor_.syntax_error("expecting `=' or `<->'.");
        return std::nullopt;
    }
    if (!cursor_.at(Tok::kId)) {
        return load(*dst);
    }
    if (cursor_.ahead().type == Tok::kLParen) {
        if (const ResultForm* form = find_result_form(cursor_.now().text)) {
            cursor_.advance();
            return form->parse(*this, *dst);
        }
    }
    return move(*dst, false, op);
}

ActionParser::Node ActionParser::load(const FieldUse& dst) {
    if (!check_writable(dst)) {
        return std::nullopt;
    }
    auto constant = parse_constant(cursor_);
    if (!constant || !check_constant(cursor_, dst, *constant)) {
        return std::nullopt;
    }
    if (std::holds_alternative<AddressSetName>(*constant) ||
        std::holds_alternative<PortGroupName>(*constant)) {
        cursor_.fail(span_of(*constant), "A set cannot be assigned to a field.");
        return std::nullopt;
    }
    if (dst.symbol->kind != SymbolKind::kOvnField) {
        return Load{dst, *std::move(constant)};
    }
    const auto* number = std::get_if<Integer>(&*constant);
    if (number == nullptr || number->masked) {
        cursor_.fail(span_of(*constant),
                     "Field " + dst.symbol->name + " must be assigned a number as a whole.");
        return std::nullopt;
    }
    return OvnFieldLoad{dst, *number};
}

ActionParser::Node ActionParser::move(const FieldUse& dst, bool exchange, Span op) {
    const auto src = field();
    if (!src) {
        return std::nullopt;
    }
    const char* verb = exchange ? "exchange" : "assign";
    if (dst.is_string() != src->is_string()) {
        auto show = [](const FieldUse& f) {
            return std::string(f.is_string() ? "string" : "integer") + " field (" + f.symbol->name +
                   ")";
        };
        cursor_.fail(op, std::string("Can't ") + verb + " " + show(exchange ? dst : *src) +
                             (exchange ? " with " : " to ") + show(exchange ? *src : dst) + ".");
        return std::nullopt;
    }
    if (dst.width != src->width) {
        const std::string left = std::to_string(dst.width) + "-bit ";
        const std::string right = std::to_string(src->width) + "-bit ";
        cursor_.fail(op, exchange ? "Can't exchange " + left + "field with " + right + "field."
                                  : "Can't assign " + right + "value to " + left + "destination.");
        return std::nullopt;
    }
    if (!check_writable(dst) || !check_readable(*src) ||
        (exchange && (!check_writable(*src) || !check_readable(dst)))) {
        return std::nullopt;
    }
    if (exchange) {
        return Exchange{{dst, *src}};
    }
    if (dst.symbol->kind == SymbolKind::kOvnField) {
        return OvnFieldMove{dst, *src};
    }
    return Move{{dst, *src}};
}

/// With a `prerequisite` the block works on another packet: what its actions need stays inside.
bool ActionParser::block(Block& node, const char* prerequisite, bool commits) {
    const Span start = cursor_.now().span;
    if (!cursor_.expect(Tok::kLCurly)) {
        return false;
    }
    if (depth_ + 1 >= kMaxDepth) {
        cursor_.fail(start, "Actions nested too deeply.");
        return false;
    }
    std::vector<Expr> outside;
    if (prerequisite != nullptr) {
        outside.swap(prerequisites_);
    }
    const bool outer = in_ct_commit_;
    in_ct_commit_ = commits;
    ++depth_;
    auto body = run_list(Tok::kRCurly);
    --depth_;
    in_ct_commit_ = outer;
    if (prerequisite != nullptr) {
        prerequisites_.swap(outside);
        require(prerequisite);
    }
    if (!body) {
        return false;
    }
    node.body = *std::move(body);
    return true;
}

/// After the `(` of next(...): `where` is the table's number, to complain about.
bool ActionParser::next_arguments(Next& next, Span& where) {
    where = cursor_.now().span;
    if (cursor_.at(Tok::kInteger)) {
        next.table = cursor_.expect_small_integer("small integer");
        return next.table.has_value();
    }
    do {
        if (cursor_.match_id("pipeline")) {
            if (!cursor_.expect(Tok::kAssign)) {
                return false;
            }
            if (cursor_.match_id("ingress")) {
                next.pipeline = Pipeline::kIngress;
            } else if (cursor_.match_id("egress")) {
                next.pipeline = Pipeline::kEgress;
            } else {
                cursor_.syntax_error("expecting \"ingress\" or \"egress\".");
                return false;
            }
        } else if (cursor_.match_id("table")) {
            if (!cursor_.expect(Tok::kAssign)) {
                return false;
            }
            where = cursor_.now().span;
            next.table = cursor_.expect_small_integer("small integer");
            if (!next.table) {
                return false;
            }
        } else {
            cursor_.syntax_error("expecting \"pipeline\" or \"table\".");
            return false;
        }
    } while (cursor_.match(Tok::kComma));
    return true;
}

ActionParser::Node ActionParser::next() {
    Next next;
    Span where = cursor_.now().span;
    if (cursor_.match(Tok::kLParen) &&
        (!next_arguments(next, where) || !cursor_.expect(Tok::kRParen))) {
        return std::nullopt;
    }
    const unsigned limit = tables(next.pipeline.value_or(context_.pipeline));
    if (next.table.value_or(context_.table + 1) >= limit) {
        cursor_.fail(where, "\"next\" action cannot advance beyond table " +
                                std::to_string(limit - 1) + ".");
        return std::nullopt;
    }
    return next;
}

bool ActionParser::dec_ttl(DecTtl&) {
    require("ip");
    return cursor_.expect(Tok::kDecrement);
}

bool ActionParser::push_or_pop(FieldUse& out, bool pop) {
    if (!cursor_.expect(Tok::kLParen)) {
        return false;
    }
    const auto use = field();
    if (!use || !check_readable(*use) || (pop && !check_writable(*use))) {
        return false;
    }
    out = *use;
    return cursor_.expect(Tok::kRParen);
}

/// Newer branches resolve an IPv4 packet's IPv6 next hop and the other way round.
const char* ActionParser::any_ip(const char* family) const {
    return symbols_.dialect() == Dialect::k2303 ? family : "ip";
}

}  // namespace sluice::lang
