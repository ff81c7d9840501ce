// SPDX-License-Identifier: Apache-2.0
#include "control/compile/expr_operand.h"

namespace sluice::lang {

namespace {

enum class SetType : uint8_t { kUnknown, kInteger, kString };

SetType type_of(const Constant& constant) {
    switch (constant.index()) {
    case 0:
    case 2: return SetType::kInteger;
    case 1:
    case 3: return SetType::kString;
    default: return SetType::kUnknown;
    }
}

unsigned bit_width(U128 value) {
    unsigned width = 0;
    for (; value != 0; value >>= 1) {
        ++width;
    }
    return width;
}

/// Addresses are as wide as their kind, other numbers as wide as they need.
unsigned width_of(const Integer& number) {
    if (number.masked) {
        return bit_width(number.mask);
    }
    switch (number.format) {
    case Format::kEthernet: return 48;
    case Format::kIpv4: return 32;
    case Format::kIpv6: return 128;
    default: return bit_width(number.value);
    }
}

/// `[bit]` or `[low..high]` after the field's name.
bool parse_range(Cursor& cursor, FieldUse& field) {
    const Symbol& symbol = *field.symbol;
    const Span bracket = cursor.now().span;
    cursor.advance();
    if (symbol.is_string) {
        cursor.fail(bracket, "Cannot select subfield of string field " + symbol.name + ".");
        return false;
    }
    const Span start = cursor.now().span;
    const auto low = cursor.expect_small_integer("small integer");
    if (!low) {
        return false;
    }
    auto high = low;
    if (cursor.match(Tok::kEllipsis)) {
        high = cursor.expect_small_integer("small integer");
        if (!high) {
            return false;
        }
    }
    const Span range = cursor.since(start);
    if (!cursor.expect(Tok::kRSquare)) {
        return false;
    }
    const std::string from = std::to_string(*low);
    const std::string to = std::to_string(*high);
    if (*low > *high) {
        cursor.fail(range, "Invalid bit range " + from + " to " + to + ".");
    } else if (*high >= symbol.width) {
        cursor.fail(range, "Cannot select bits " + from + " to " + to + " of " +
                               std::to_string(symbol.width) + "-bit field " + symbol.name + ".");
    } else if (symbol.level == Level::kNominal && (*low != 0 || *high != symbol.width - 1u)) {
        cursor.fail(range, "Cannot select subfield of nominal field " + symbol.name + ".");
    } else {
        field.ofs = static_cast<uint16_t>(*low);
        field.width = static_cast<uint16_t>(*high - *low + 1);
        return true;
    }
    return false;
}

}  // namespace

Span span_of(const Constant& constant) {
    return std::visit([](const auto& c) { return c.span; }, constant);
}

std::optional<FieldUse> parse_field(Cursor& cursor, const SymbolTable& symbols) {
    const Token& name = cursor.now();
    FieldUse field;
    if (name.type == Tok::kId) {
        field.symbol = symbols.find(name.text);
    }
    if (field.symbol == nullptr) {
        cursor.syntax_error("expecting field name.");
        return std::nullopt;
    }
    const Span start = name.span;
    field.width = field.symbol->width;
    cursor.advance();
    if (cursor.at(Tok::kLSquare) && !parse_range(cursor, field)) {
        return std::nullopt;
    }
    field.span = cursor.since(start);
    return field;
}

std::optional<Constant> parse_constant(Cursor& cursor) {
    const Token& token = cursor.now();
    const std::string name(token.text);
    std::optional<Constant> constant;
    switch (token.type) {
    case Tok::kInteger:
        constant = Integer{token.value, low_bits(128), false, token.format, token.span};
        break;
    case Tok::kMaskedInteger:
        constant = Integer{token.value, token.mask, true, token.format, token.span};
        break;
    case Tok::kString: constant = String{unescape(token.text), token.span}; break;
    case Tok::kAddressSet: constant = AddressSetName{name, token.span}; break;
    case Tok::kPortGroup: constant = PortGroupName{name, token.span}; break;
    case Tok::kTemplate: constant = TemplateName{name, token.span}; break;
    default: cursor.syntax_error("expecting constant."); return std::nullopt;
    }
    cursor.advance();
    return constant;
}

std::optional<ConstantSet> parse_constant_set(Cursor& cursor) {
    ConstantSet set;
    const Span start = cursor.now().span;
    set.in_curlies = cursor.match(Tok::kLCurly);
    SetType type = SetType::kUnknown;
    do {
        const Token before = cursor.now();
        auto constant = parse_constant(cursor);
        if (!constant) {
            return std::nullopt;
        }
        const SetType its_type = type_of(*constant);
        if (type == SetType::kUnknown) {
            type = its_type;
        } else if (its_type != SetType::kUnknown && its_type != type) {
            const std::string shown(cursor.text().substr(before.span.ofs, before.span.len));
            cursor.fail(before.span, "Syntax error at `" + shown + "' expecting " +
                                         (type == SetType::kInteger ? "integer." : "string."));
            return std::nullopt;
        }
        set.values.push_back(std::move(*constant));
        if (set.in_curlies) {
            cursor.match(Tok::kComma);
        }
    } while (set.in_curlies && !cursor.match(Tok::kRCurly));
    set.span = cursor.since(start);
    return set;
}

bool check_constant(Cursor& cursor, const FieldUse& field, Constant& constant) {
    const Symbol& symbol = *field.symbol;
    const SetType type = type_of(constant);
    const SetType wanted = field.is_string() ? SetType::kString : SetType::kInteger;
    if (type != SetType::kUnknown && type != wanted) {
        cursor.fail(span_of(constant), std::string(field.is_string() ? "String" : "Integer") +
                                           " field " + symbol.name + " is not compatible with " +
                                           (type == SetType::kString ? "string" : "integer") +
                                           " constant.");
        return false;
    }
    if (auto* integer = std::get_if<Integer>(&constant)) {
        const unsigned width = width_of(*integer);
        if (width > symbol.width) {
            cursor.fail(integer->span,
                        std::to_string(width) + "-bit constant is not compatible with " +
                            std::to_string(symbol.width) + "-bit field " + symbol.name + ".");
            return false;
        }
        // As in OVN: what is too wide for the bits selected, but not for the field, is cut off.
        integer->value &= low_bits(field.width);
        integer->mask &= low_bits(field.width);
    }
    return true;
}

bool check_constants(Cursor& cursor, const FieldUse& field, ConstantSet& set) {
    for (Constant& constant : set.values) {
        if (!check_constant(cursor, field, constant)) {
            return false;
        }
    }
    return true;
}

}  // namespace sluice::lang
