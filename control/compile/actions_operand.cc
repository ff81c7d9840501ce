// SPDX-License-Identifier: Apache-2.0
#include "control/compile/actions_parser.h"
#include "control/compile/expr.h"

namespace sluice::lang {

namespace {

std::string range_of(const FieldUse& field) {
    return field.symbol->name + "[" + std::to_string(field.ofs) + ".." +
           std::to_string(field.ofs + field.width - 1) + "]";
}

}  // namespace

std::optional<FieldUse> ActionParser::field() {
    auto use = parse_field(cursor_, symbols_);
    if (!use) {
        return std::nullopt;
    }
    if (use->symbol->kind == SymbolKind::kPredicate) {
        cursor_.fail(use->span,
                     "Predicate symbol " + use->symbol->name + " used where lvalue required.");
        return std::nullopt;
    }
    if (use->symbol->prerequisite_expr != nullptr) {
        require(*use->symbol->prerequisite_expr);
    }
    return use;
}

bool ActionParser::field_of(FieldUse& out, unsigned bits, bool write) {
    const auto use = field();
    if (!use || !check_field(*use, bits, write)) {
        return false;
    }
    out = *use;
    return true;
}

bool ActionParser::check_field(const FieldUse& use, unsigned bits, bool write) {
    const std::string& name = use.symbol->name;
    if (bits == 0 && !use.is_string()) {
        cursor_.fail(use.span,
                     "Cannot use numeric field " + name + " where string field is required.");
        return false;
    }
    if (bits != 0 && use.is_string()) {
        cursor_.fail(use.span,
                     "Cannot use string field " + name + " where numeric field is required.");
        return false;
    }
    if (bits != use.width) {
        cursor_.fail(use.span, "Cannot use " + std::to_string(use.width) + "-bit field " +
                                   range_of(use) + " where " + std::to_string(bits) +
                                   "-bit field is required.");
        return false;
    }
    return write ? check_writable(use) : check_readable(use);
}

bool ActionParser::check_writable(const FieldUse& use) {
    switch (use.symbol->access) {
    case Access::kReadWrite:
        if (!in_ct_commit_) {
            return true;
        }
        break;
    case Access::kWriteOnly: return true;
    case Access::kCtCommitOnly:
        if (in_ct_commit_) {
            return true;
        }
        break;
    case Access::kReadOnly: break;
    }
    cursor_.fail(use.span, "Field " + use.symbol->name + " is not modifiable.");
    return false;
}

bool ActionParser::check_readable(const FieldUse& use) {
    if (use.symbol->access != Access::kWriteOnly) {
        return true;
    }
    cursor_.fail(use.span, "Field " + use.symbol->name + " may only be assigned to.");
    return false;
}

std::optional<uint16_t> ActionParser::uint16(const char* what) {
    if (cursor_.at(Tok::kInteger) && cursor_.now().format == Format::kDecimal &&
        cursor_.now().value <= 0xffff) {
        const auto value = static_cast<uint16_t>(cursor_.now().value);
        cursor_.advance();
        return value;
    }
    cursor_.syntax_error(std::string("expecting ") + what + ".");
    return std::nullopt;
}

std::optional<uint32_t> ActionParser::uint32(const char* what) {
    if (cursor_.at(Tok::kInteger) && cursor_.now().format == Format::kDecimal &&
        cursor_.now().value <= 0xffffffffu) {
        const auto value = static_cast<uint32_t>(cursor_.now().value);
        cursor_.advance();
        return value;
    }
    cursor_.syntax_error(std::string("expecting ") + what + ".");
    return std::nullopt;
}

std::optional<String> ActionParser::string(const char* expecting) {
    if (!cursor_.at(Tok::kString)) {
        cursor_.syntax_error(std::string("expecting ") + expecting + ".");
        return std::nullopt;
    }
    String value{unescape(cursor_.now().text), cursor_.now().span};
    cursor_.advance();
    return value;
}

std::optional<IpAddress> ActionParser::address(const char* expecting) {
    const Token& token = cursor_.now();
    if (token.type != Tok::kInteger ||
        (token.format != Format::kIpv4 && token.format != Format::kIpv6)) {
        cursor_.syntax_error(std::string("expecting ") + expecting + ".");
        return std::nullopt;
    }
    const IpAddress address{token.format == Format::kIpv6, token.value, token.span};
    cursor_.advance();
    return address;
}

bool ActionParser::open_result(const FieldUse& dst, unsigned bits) {
    return cursor_.expect(Tok::kLParen) && check_field(dst, bits, true) && check_readable(dst);
}

/// Actions that go on in the next table must have one.
bool ActionParser::check_table(const char* action, Span where) {
    if (context_.table < tables(context_.pipeline)) {
        return true;
    }
    cursor_.fail(where, std::string("\"") + action + "\" action not allowed in last table.");
    return false;
}

unsigned ActionParser::tables(Pipeline pipeline) const {
    return pipeline == Pipeline::kIngress ? context_.ingress_tables : context_.egress_tables;
}

void ActionParser::require(Expr prerequisite) {
    for (const Expr& known : prerequisites_) {
        if (equal(known, prerequisite)) {
            return;
        }
    }
    prerequisites_.push_back(std::move(prerequisite));
}

void ActionParser::require(const char* predicate) {
    require(*symbols_.find(predicate)->expansion_raw);
}

}  // namespace sluice::lang
