// SPDX-License-Identifier: Apache-2.0
#include "control/compile/lex.h"

#include <array>

#include "control/compile/lex_number.h"
#include "control/compile/lex_string.h"

namespace sluice::lang {

namespace {

bool is_alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool starts_name(char c) {
    return is_alpha(c) || c == '_' || c == '.';
}
bool continues_name(char c) {
    return starts_name(c) || is_digit(c);
}
bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct Operator {
    std::string_view text;
    Tok type;
};

// Longer spellings first.
constexpr std::array kOperators = {
    Operator{"<->", Tok::kExchange}, Operator{"==", Tok::kEq},
    Operator{"!=", Tok::kNe},        Operator{"<=", Tok::kLe},
    Operator{">=", Tok::kGe},        Operator{"&&", Tok::kAnd},
    Operator{"||", Tok::kOr},        Operator{"..", Tok::kEllipsis},
    Operator{"--", Tok::kDecrement}, Operator{"<", Tok::kLt},
    Operator{">", Tok::kGt},         Operator{"!", Tok::kNot},
    Operator{"=", Tok::kAssign},     Operator{"(", Tok::kLParen},
    Operator{")", Tok::kRParen},     Operator{"{", Tok::kLCurly},
    Operator{"}", Tok::kRCurly},     Operator{"[", Tok::kLSquare},
    Operator{"]", Tok::kRSquare},    Operator{",", Tok::kComma},
    Operator{";", Tok::kSemicolon},  Operator{"-", Tok::kHyphen},
    Operator{":", Tok::kColon},
};

Token bad(uint32_t ofs, uint32_t len, std::string why) {
    Token token;
    token.type = Tok::kBad;
    token.span = {ofs, len};
    token.error = std::move(why);
    return token;
}

Token lex_name(std::string_view text, uint32_t ofs) {
    uint32_t end = ofs + 1;
    while (end < text.size() && continues_name(text[end])) {
        ++end;
    }
    Token token;
    token.type = Tok::kId;
    token.span = {ofs, end - ofs};
    token.text = text.substr(ofs, end - ofs);
    return token;
}

/// $set, @group, ^template.
Token lex_reference(std::string_view text, uint32_t ofs, Tok type) {
    if (ofs + 1 >= text.size() || !starts_name(text[ofs + 1])) {
        return bad(ofs, 1,
                   std::string("`") + text[ofs] + "' must be followed by a valid identifier.");
    }
    Token token = lex_name(text, ofs + 1);
    token.type = type;
    token.span = {ofs, token.span.len + 1};
    return token;
}

/// Skips white space and comments from `ofs` on; a broken comment comes back in `broken`.
uint32_t skip_blank(std::string_view text, uint32_t ofs, std::optional<Token>& broken) {
    while (ofs < text.size()) {
        if (is_space(text[ofs])) {
            ++ofs;
        } else if (text[ofs] != '/') {
            break;
        } else if (text.substr(ofs, 2) == "//") {
            const size_t end = text.find('\n', ofs);
            ofs = static_cast<uint32_t>(end == std::string_view::npos ? text.size() : end + 1);
        } else if (text.substr(ofs, 2) == "/*") {
            const size_t end = text.find("*/", ofs + 2);
            if (end == std::string_view::npos) {
                broken = bad(ofs, 2, "`/*' without matching `*/'.");
                break;
            }
            ofs = static_cast<uint32_t>(end + 2);
        } else {
            broken = bad(ofs, 1, "`/' is only valid as part of `//' or `/*'.");
            break;
        }
    }
    return ofs;
}

Token lex_operator(std::string_view text, uint32_t ofs) {
    const std::string_view rest = text.substr(ofs);
    for (const Operator& op : kOperators) {
        if (rest.starts_with(op.text)) {
            Token token;
            token.type = op.type;
            token.span = {ofs, static_cast<uint32_t>(op.text.size())};
            token.text = op.text;
            return token;
        }
    }
    switch (rest[0]) {
    case '&': return bad(ofs, 1, "`&' is only valid as part of `&&'.");
    case '|': return bad(ofs, 1, "`|' is only valid as part of `||'.");
    default: break;
    }
    const auto byte = static_cast<unsigned char>(rest[0]);
    if (byte < 0x20 || byte >= 0x7f) {
        return bad(ofs, 1, "Invalid byte " + std::to_string(byte) + " in input.");
    }
    return bad(ofs, 1, std::string("Invalid character `") + rest[0] + "' in input.");
}

}  // namespace

Token next_token(std::string_view text, uint32_t ofs) {
    std::optional<Token> broken;
    ofs = skip_blank(text, ofs, broken);
    if (broken) {
        return *broken;
    }
    if (ofs >= text.size()) {
        Token end;
        end.span = {static_cast<uint32_t>(text.size()), 0};
        return end;
    }
    switch (text[ofs]) {
    case '"': return lex_string(text, ofs);
    case '$': return lex_reference(text, ofs, Tok::kAddressSet);
    case '@': return lex_reference(text, ofs, Tok::kPortGroup);
    case '^': return lex_reference(text, ofs, Tok::kTemplate);
    default: break;
    }
    if (starts_number(text, ofs)) {
        return lex_number(text, ofs);
    }
    if (is_alpha(text[ofs]) || text[ofs] == '_') {
        return lex_name(text, ofs);
    }
    if (text[ofs] == '.' && text.substr(ofs, 2) != "..") {
        return bad(ofs, 1, "`.' is only valid as part of `..' or a number.");
    }
    return lex_operator(text, ofs);
}

const char* spelling(Tok type) {
    for (const Operator& op : kOperators) {
        if (op.type == type) {
            return op.text.data();
        }
    }
    return "end of input";
}

Cursor::Cursor(std::string_view text) : text_(text) {
    now_ = next_token(text_, 0);
    ahead_ = next_token(text_, now_.span.ofs + now_.span.len);
}

void Cursor::advance() {
    last_end_ = now_.span.ofs + now_.span.len;
    now_ = std::move(ahead_);
    ahead_ = next_token(text_, now_.span.ofs + now_.span.len);
}

bool Cursor::match(Tok type) {
    if (!at(type)) {
        return false;
    }
    advance();
    return true;
}

bool Cursor::match_id(std::string_view name) {
    if (!at_id(name)) {
        return false;
    }
    advance();
    return true;
}

bool Cursor::expect(Tok type) {
    if (match(type)) {
        return true;
    }
    syntax_error(std::string("expecting `") + spelling(type) + "'.");
    return false;
}

bool Cursor::expect_end() {
    if (at(Tok::kEnd)) {
        return true;
    }
    syntax_error("expecting end of input.");
    return false;
}

std::optional<uint32_t> Cursor::expect_small_integer(const char* what) {
    if (at(Tok::kInteger) && now_.format == Format::kDecimal && now_.value <= 0x7fffffffu) {
        const auto value = static_cast<uint32_t>(now_.value);
        advance();
        return value;
    }
    syntax_error(std::string("expecting ") + what + ".");
    return std::nullopt;
}

void Cursor::fail(Span where, std::string message) {
    if (!error_) {
        error_ = Diagnostic{std::move(message), where};
    }
}

void Cursor::syntax_error(std::string_view more) {
    if (at(Tok::kBad)) {
        fail(now_.span, now_.error);
        return;
    }
    std::string message = "Syntax error at ";
    if (at(Tok::kEnd)) {
        message += "end of input";
    } else {
        message += '`';
        message += text_.substr(now_.span.ofs, now_.span.len);
        message += '\'';
    }
    if (more.empty()) {
        message += '.';
    } else {
        message += ' ';
        message += more;
    }
    fail(now_.span, std::move(message));
}

}  // namespace sluice::lang
