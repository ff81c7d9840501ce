// SPDX-License-Identifier: Apache-2.0
#include "control/compile/lex_number.h"
#include "control/compile/lex_string.h"
#include "control/compile/print.h"

namespace sluice::lang {

namespace {

std::string print_number(U128 value, Format format) {
    switch (format) {
    case Format::kDecimal: return (value >> 64) == 0 ? print_decimal(value) : print_hex(value);
    case Format::kHex: return print_hex(value);
    case Format::kEthernet: return (value >> 48) == 0 ? print_ethernet(value) : print_hex(value);
    case Format::kIpv4: return (value >> 32) == 0 ? print_ipv4(value) : print_hex(value);
    case Format::kIpv6: return print_ipv6(value);
    }
    return "";
}

std::string print_mask(const Integer& number) {
    const unsigned width = number.format == Format::kIpv4   ? 32
                           : number.format == Format::kIpv6 ? 128
                                                            : 0;
    if (width != 0) {
        if (auto prefix = prefix_length(number.mask, width)) {
            return std::to_string(*prefix);
        }
    }
    return print_number(number.mask, number.format);
}

std::string text_of(const Integer& number) {
    // Value and mask must look alike; a value may be too short to tell hex digits from decimal.
    const bool wide = number.format == Format::kDecimal &&
                      ((number.value | (number.masked ? number.mask : 0)) >> 64) != 0;
    Integer shown = number;
    shown.format = wide ? Format::kHex : number.format;
    std::string out = print_number(shown.value, shown.format);
    return shown.masked ? out + "/" + print_mask(shown) : out;
}
std::string text_of(const String& string) {
    return quote(string.text);
}
std::string text_of(const AddressSetName& set) {
    return "$" + set.name;
}
std::string text_of(const PortGroupName& group) {
    return "@" + group.name;
}
std::string text_of(const TemplateName& variable) {
    return "^" + variable.name;
}

const char* relop_text(RelOp op) {
    switch (op) {
    case RelOp::kEq: return " == ";
    case RelOp::kNe: return " != ";
    case RelOp::kLt: return " < ";
    case RelOp::kLe: return " <= ";
    case RelOp::kGt: return " > ";
    case RelOp::kGe: return " >= ";
    }
    return "";
}

/// `atomic`: parentheses around everything that is not a name, a call or a constant.
std::string print_expr(const Expr& expr, bool atomic);

std::string print_terms(const std::vector<Expr>& terms, const char* op, bool atomic) {
    std::string out = atomic ? "(" : "";
    for (size_t i = 0; i < terms.size(); ++i) {
        const bool junction =
            std::holds_alternative<And>(terms[i].node) || std::holds_alternative<Or>(terms[i].node);
        out += i == 0 ? "" : op;
        out += print_expr(terms[i], junction);
    }
    return atomic ? out + ")" : out;
}

std::string print_expr(const Expr& expr, bool atomic) {
    if (const auto* constant = std::get_if<Bool>(&expr.node)) {
        return constant->value ? "1" : "0";
    }
    if (const auto* resident = std::get_if<IsResident>(&expr.node)) {
        return std::string(resident->negated ? "!" : "") + "is_chassis_resident(" +
               quote(resident->port.text) + ")";
    }
    if (const auto* all = std::get_if<And>(&expr.node)) {
        return print_terms(all->terms, " && ", atomic);
    }
    if (const auto* any = std::get_if<Or>(&expr.node)) {
        return print_terms(any->terms, " || ", atomic);
    }
    if (const auto* no = std::get_if<Not>(&expr.node)) {
        const std::string operand = "!" + print_expr(no->terms[0], true);
        return atomic ? "(" + operand + ")" : operand;
    }
    const auto& compare = std::get<Compare>(expr.node);
    std::string out = print(compare.field);
    if (compare.implicit) {
        return out;
    }
    out += relop_text(compare.op);
    out += print(compare.set);
    return atomic ? "(" + out + ")" : out;
}

}  // namespace

std::string print(const FieldUse& field) {
    const Symbol& symbol = *field.symbol;
    if (field.width == symbol.width) {
        return symbol.name;
    }
    const std::string low = std::to_string(field.ofs);
    if (field.width == 1) {
        return symbol.name + "[" + low + "]";
    }
    return symbol.name + "[" + low + ".." + std::to_string(field.ofs + field.width - 1) + "]";
}

std::string print(const Constant& constant) {
    return std::visit([](const auto& c) { return text_of(c); }, constant);
}

std::string print(const ConstantSet& set) {
    std::string out;
    for (const Constant& constant : set.values) {
        out += (out.empty() ? "" : ", ") + print(constant);
    }
    return set.in_curlies ? "{" + out + "}" : out;
}

std::string print(const Expr& expr) {
    return print_expr(expr, false);
}

}  // namespace sluice::lang
