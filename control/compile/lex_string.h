// SPDX-License-Identifier: Apache-2.0
// String constants: JSON's quoting.
#pragma once

#include <string>
#include <string_view>

#include "control/compile/lex.h"

namespace sluice::lang {

/// The string that starts with the quote at `ofs`: kString, or kBad with the reason.
Token lex_string(std::string_view text, uint32_t ofs);

/// `text` quoted so that unescape() gives it back.
std::string quote(std::string_view text);

}  // namespace sluice::lang
