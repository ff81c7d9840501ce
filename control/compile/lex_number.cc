// SPDX-License-Identifier: Apache-2.0
#include "control/compile/lex_number.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <cstring>

namespace sluice::lang {

namespace {

constexpr size_t kMaxAddressText = 45;  // the longest IPv6 address

bool is_hex(char c) {
    return std::isxdigit(static_cast<unsigned char>(c)) != 0;
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

unsigned hex_value(char c) {
    return is_digit(c) ? static_cast<unsigned>(c - '0')
                       : static_cast<unsigned>((c | 0x20) - 'a' + 10);
}

/// The stretch of text that can belong to a number. A doubled dot never does, nor a colon after a
/// dot: `1.2.3.4:80` is an address, a colon and a port.
size_t number_end(std::string_view text, size_t start) {
    bool dotted = false;
    size_t end = start;
    for (; end < text.size(); ++end) {
        const char c = text[end];
        if (c == '.') {
            if (end + 1 < text.size() && text[end + 1] == '.') {
                break;
            }
            dotted = true;
        } else if (c == ':' ? dotted : !std::isalnum(static_cast<unsigned char>(c))) {
            break;
        }
    }
    return end;
}

struct Value {
    U128 value = 0;
    Format format = Format::kDecimal;
    std::string error;
};

Value read_decimal(std::string_view digits) {
    if (digits.size() > 1 && digits[0] == '0') {
        return {0, Format::kDecimal, "Decimal constants must not have leading zeros."};
    }
    U128 value = 0;
    for (char c : digits) {
        value = value * 10 + static_cast<unsigned>(c - '0');
        if (value >> 64 != 0) {
            return {0, Format::kDecimal, "Decimal constants must be less than 2**64."};
        }
    }
    return {value, Format::kDecimal, ""};
}

Value read_hex(std::string_view text) {
    const std::string_view digits = text.substr(2);
    if (digits.empty()) {
        return {0, Format::kHex, "Hex digits expected following " + std::string(text) + "."};
    }
    if (!std::all_of(digits.begin(), digits.end(), is_hex)) {
        return {0, Format::kHex, "Invalid syntax in hexadecimal constant."};
    }
    U128 value = 0;
    for (char c : digits) {
        if (value >> 124 != 0) {
            return {0, Format::kHex, "Hexadecimal constant requires more than 128 bits."};
        }
        value = value << 4 | hex_value(c);
    }
    return {value, Format::kHex, ""};
}

Value read_number(std::string_view text) {
    if (text.empty()) {
        return {0, Format::kDecimal, "Integer constant expected."};
    }
    if (auto mac = parse_ethernet(text)) {
        return {*mac, Format::kEthernet, ""};
    }
    if (std::all_of(text.begin(), text.end(), is_digit)) {
        return read_decimal(text);
    }
    if (text.starts_with("0x") || text.starts_with("0X")) {
        return read_hex(text);
    }
    if (auto v4 = parse_ipv4(text)) {
        return {*v4, Format::kIpv4, ""};
    }
    if (auto v6 = parse_ipv6(text)) {
        return {*v6, Format::kIpv6, ""};
    }
    return {0, Format::kDecimal, "Invalid numeric constant."};
}

/// The mask's bits for a value of `format`; nothing when the two forms do not go together.
std::optional<U128> mask_bits(Format format, const Value& mask) {
    if (mask.format == format) {
        return mask.value;
    }
    if (mask.format != Format::kDecimal) {
        return std::nullopt;
    }
    const unsigned width = format == Format::kIpv4 ? 32 : format == Format::kIpv6 ? 128 : 0;
    if (width == 0 || mask.value > width) {
        return std::nullopt;
    }
    const unsigned host = width - static_cast<unsigned>(mask.value);
    return low_bits(width) & ~low_bits(host);
}

}  // namespace

std::optional<U128> parse_ethernet(std::string_view text) {
    if (text.size() != 17) {
        return std::nullopt;
    }
    U128 value = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        if (i % 3 == 2) {
            if (text[i] != ':') {
                return std::nullopt;
            }
        } else if (is_hex(text[i])) {
            value = value << 4 | hex_value(text[i]);
        } else {
            return std::nullopt;
        }
    }
    return value;
}

std::optional<U128> parse_ipv4(std::string_view text) {
    in_addr address;
    if (text.size() > kMaxAddressText ||
        inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) {
        return std::nullopt;
    }
    return U128{ntohl(address.s_addr)};
}

std::optional<U128> parse_ipv6(std::string_view text) {
    in6_addr address;
    if (text.size() > kMaxAddressText ||
        inet_pton(AF_INET6, std::string(text).c_str(), &address) != 1) {
        return std::nullopt;
    }
    U128 value = 0;
    for (uint8_t byte : address.s6_addr) {
        value = value << 8 | byte;
    }
    return value;
}

bool starts_number(std::string_view text, uint32_t ofs) {
    if (is_digit(text[ofs])) {
        return true;
    }
    size_t end = ofs;
    while (end < text.size() && is_hex(text[end])) {
        ++end;
    }
    if (end >= text.size() || text[end] != ':') {
        return false;
    }
    return end > ofs || text.substr(ofs, 2) == "::";
}

Token lex_number(std::string_view text, uint32_t ofs) {
    size_t end = number_end(text, ofs);
    const Value value = read_number(text.substr(ofs, end - ofs));
    Token token;
    token.type = Tok::kInteger;
    token.format = value.format;
    token.value = value.value;
    token.error = value.error;
    if (token.error.empty() && end < text.size() && text[end] == '/') {
        const size_t mask_start = end + 1;
        end = number_end(text, mask_start);
        const Value mask = read_number(text.substr(mask_start, end - mask_start));
        token.type = Tok::kMaskedInteger;
        if (!mask.error.empty()) {
            token.error = mask.error;
        } else if (auto bits = mask_bits(value.format, mask)) {
            token.mask = *bits;
            token.value &= *bits;
        } else {
            token.error = "Value and mask have incompatible formats.";
        }
    }
    if (!token.error.empty()) {
        token.type = Tok::kBad;
    }
    token.span = {ofs, static_cast<uint32_t>(end - ofs)};
    token.text = text.substr(ofs, end - ofs);
    return token;
}

std::string print_ipv4(U128 value) {
    const in_addr address{htonl(static_cast<uint32_t>(value))};
    char out[INET_ADDRSTRLEN];
    return inet_ntop(AF_INET, &address, out, sizeof out);
}

std::string print_ipv6(U128 value) {
    in6_addr address;
    for (unsigned i = 0; i < 16; ++i) {
        address.s6_addr[15 - i] = static_cast<uint8_t>(value >> (8 * i));
    }
    char out[INET6_ADDRSTRLEN];
    return inet_ntop(AF_INET6, &address, out, sizeof out);
}

std::string print_ethernet(U128 value) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (int shift = 44; shift >= 0; shift -= 4) {
        out += kDigits[static_cast<unsigned>(value >> shift) & 0xf];
        if (shift % 8 == 0 && shift != 0) {
            out += ':';
        }
    }
    return out;
}

std::string print_decimal(U128 value) {
    return std::to_string(static_cast<uint64_t>(value));
}

std::string print_hex(U128 value) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string digits;
    do {
        digits += kDigits[static_cast<unsigned>(value) & 0xf];
        value >>= 4;
    } while (value != 0);
    std::reverse(digits.begin(), digits.end());
    return "0x" + digits;
}

std::optional<unsigned> prefix_length(U128 mask, unsigned width) {
    const U128 host = low_bits(width) & ~mask;
    if ((host & (host + 1)) != 0 || (mask & ~low_bits(width)) != 0) {
        return std::nullopt;
    }
    unsigned ones = 0;
    for (unsigned bit = 0; bit < width; ++bit) {
        ones += static_cast<unsigned>(mask >> bit) & 1u;
    }
    return ones;
}

}  // namespace sluice::lang
