// SPDX-License-Identifier: Apache-2.0
// Text of a match or of actions to tokens, and the cursor that both parsers walk over them.
//
// Tokens are those of OVN: numbers carry their mask (`10.0.0.0/8` is one token), `$set`, `@group`
// and
// `^template` are one token each, a backend's `10.0.0.1:80` is three. A piece that is no token
// becomes a kBad token, reported only when the parser gets there, so the first error in reading
// order wins. The text must outlive the Cursor. A Cursor belongs to one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "control/compile/ast.h"
#include "control/compile/diagnostic.h"

namespace sluice::lang {

enum class Tok : uint8_t {
    kEnd,
    kBad,
    kId,
    kString,
    kInteger,
    kMaskedInteger,
    kAddressSet,
    kPortGroup,
    kTemplate,
    kLParen,
    kRParen,
    kLCurly,
    kRCurly,
    kLSquare,
    kRSquare,
    kEq,
    kNe,
    kLt,
    kLe,
    kGt,
    kGe,
    kNot,
    kAnd,
    kOr,
    kEllipsis,
    kComma,
    kSemicolon,
    kAssign,
    kExchange,
    kDecrement,
    kHyphen,
    kColon,
};

struct Token {
    Tok type = Tok::kEnd;
    Format format = Format::kDecimal;  ///< numbers
    Span span;
    U128 value = 0;
    U128 mask = 0;
    std::string_view text;  ///< the source text; for names without their $, @ or ^
    std::string error;      ///< kBad: why

    bool is_number() const { return type == Tok::kInteger || type == Tok::kMaskedInteger; }
};

/// The token that starts at or after `ofs`; the next one starts at its span's end.
Token next_token(std::string_view text, uint32_t ofs);

/// What a kString token stands for; its text has been checked by next_token().
std::string unescape(std::string_view quoted);

/// How a token type is written, for messages.
const char* spelling(Tok type);

class Cursor {
public:
    explicit Cursor(std::string_view text);

    const Token& now() const { return now_; }
    const Token& ahead() const { return ahead_; }
    std::string_view text() const { return text_; }
    bool at(Tok type) const { return now_.type == type; }
    bool at_id(std::string_view name) const { return at(Tok::kId) && now_.text == name; }
    void advance();

    /// Takes the token if it is `type`, or the name `name`.
    bool match(Tok type);
    bool match_id(std::string_view name);

    /// As match(), but anything else is a syntax error.
    bool expect(Tok type);
    bool expect_end();

    /// A plain decimal number below 2^31; nothing on a syntax error "expecting `what`".
    std::optional<uint32_t> expect_small_integer(const char* what);

    /// Only the first failure is kept.
    void fail(Span where, std::string message);
    /// "Syntax error at `token' MORE".
    void syntax_error(std::string_view more);
    bool failed() const { return error_.has_value(); }
    Diagnostic take_error() { return std::move(*error_); }

    /// From the start of `from` to the end of the last token taken.
    Span since(Span from) const { return {from.ofs, last_end_ - from.ofs}; }

private:
    std::string_view text_;
    Token now_;
    Token ahead_;
    uint32_t last_end_ = 0;
    std::optional<Diagnostic> error_;
};

}  // namespace sluice::lang
