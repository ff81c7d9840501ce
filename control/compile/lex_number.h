// SPDX-License-Identifier: Apache-2.0
// Numeric constants: decimal, hexadecimal, Ethernet, IPv4 and IPv6, each with an optional mask.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "control/compile/lex.h"

namespace sluice::lang {

/// Whether a number starts at `ofs`: a digit, or hex digits or nothing before a colon (`fe80::1`).
bool starts_number(std::string_view text, uint32_t ofs);

/// The number there, with its mask if one follows.
Token lex_number(std::string_view text, uint32_t ofs);

/// Values as the lexer reads them.
std::optional<U128> parse_ipv4(std::string_view text);
std::optional<U128> parse_ipv6(std::string_view text);
std::optional<U128> parse_ethernet(std::string_view text);

std::string print_ipv4(U128 value);
std::string print_ipv6(U128 value);
std::string print_ethernet(U128 value);
std::string print_decimal(U128 value);
std::string print_hex(U128 value);  ///< with 0x

/// n when `mask` is n ones followed by zeros in `width` bits.
std::optional<unsigned> prefix_length(U128 mask, unsigned width);

}  // namespace sluice::lang
