// SPDX-License-Identifier: Apache-2.0
#include "control/compile/lex_string.h"

#include <cctype>
#include <optional>

namespace sluice::lang {

namespace {

/// Four hex digits at the front of `text`.
std::optional<uint32_t> hex4(std::string_view text) {
    if (text.size() < 4) {
        return std::nullopt;
    }
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (!std::isxdigit(c)) {
            return std::nullopt;
        }
        value =
            value << 4 | static_cast<uint32_t>(std::isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

void append_utf8(std::string& out, uint32_t code) {
    auto put = [&out](uint32_t byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xc0 | code >> 6);
        put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        put(0xe0 | code >> 12);
        put(0x80 | (code >> 6 & 0x3f));
        put(0x80 | (code & 0x3f));
    } else {
        put(0xf0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3f));
        put(0x80 | (code >> 6 & 0x3f));
        put(0x80 | (code & 0x3f));
    }
}

/// \uXXXX, or a pair of them for a character outside the basic plane; takes them from `rest`.
const char* decode_unicode(std::string_view& rest, std::string& out) {
    const auto first = hex4(rest);
    if (!first) {
        return "\\u must be followed by four hex digits.";
    }
    rest.remove_prefix(4);
    if (*first == 0) {
        return "Null bytes are not allowed in strings.";
    }
    if (*first < 0xd800 || *first > 0xdfff) {
        append_utf8(out, *first);
        return nullptr;
    }
    const auto second = rest.starts_with("\\u") ? hex4(rest.substr(2)) : std::nullopt;
    if (*first > 0xdbff || !second || *second < 0xdc00 || *second > 0xdfff) {
        return "Incomplete surrogate pair in string.";
    }
    rest.remove_prefix(6);
    append_utf8(out, 0x10000 + ((*first - 0xd800) << 10) + (*second - 0xdc00));
    return nullptr;
}

/// Decodes what stands between the quotes; the reason when it cannot be.
const char* decode(std::string_view rest, std::string& out) {
    while (!rest.empty()) {
        const char c = rest[0];
        rest.remove_prefix(1);
        if (static_cast<unsigned char>(c) < 0x20) {
            return "Control characters must be escaped in strings.";
        }
        if (c != '\\') {
            out += c;
            continue;
        }
        const char escaped = rest.empty() ? '\0' : rest[0];
        rest.remove_prefix(rest.empty() ? 0 : 1);
        switch (escaped) {
        case '"':
        case '\\':
        case '/': out += escaped; break;
        case 'b': out += '\b'; break;
        case 'f': out += '\f'; break;
        case 'n': out += '\n'; break;
        case 'r': out += '\r'; break;
        case 't': out += '\t'; break;
        case 'u':
            if (const char* why = decode_unicode(rest, out)) {
                return why;
            }
            break;
        default: return "Invalid escape in string.";
        }
    }
    return nullptr;
}

}  // namespace

Token lex_string(std::string_view text, uint32_t ofs) {
    Token token;
    token.type = Tok::kBad;
    size_t end = ofs + 1;
    while (end < text.size() && text[end] != '"') {
        end += text[end] == '\\' ? 2 : 1;
    }
    if (end >= text.size()) {
        token.span = {ofs, static_cast<uint32_t>(text.size() - ofs)};
        token.error = "Input ends inside quoted string.";
        return token;
    }
    token.span = {ofs, static_cast<uint32_t>(end + 1 - ofs)};
    token.text = text.substr(ofs, token.span.len);
    std::string decoded;
    if (const char* why = decode(token.text.substr(1, token.text.size() - 2), decoded)) {
        token.error = why;
    } else {
        token.type = Tok::kString;
    }
    return token;
}

std::string unescape(std::string_view quoted) {
    std::string out;
    decode(quoted.substr(1, quoted.size() - 2), out);
    return out;
}

std::string quote(std::string_view text) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out = "\"";
    for (char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            out += "\\u00";
            out += kDigits[byte >> 4];
            out += kDigits[byte & 0xf];
        } else {
            out += c;
        }
    }
    return out + '"';
}

}  // namespace sluice::lang
