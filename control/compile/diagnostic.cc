// SPDX-License-Identifier: Apache-2.0
#include "control/compile/diagnostic.h"

#include <algorithm>

namespace sluice::lang {

namespace {

constexpr size_t kShownBefore = 60;
constexpr size_t kShownAfter = 40;
constexpr size_t kMaxCaret = 24;

bool continues_character(char c) {
    return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

/// Control characters would move the caret or the terminal.
std::string printable(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            c = ' ';
        }
    }
    return out;
}

/// How many columns `text` takes when shown.
size_t shown_width(std::string_view text) {
    return text.size() -
           static_cast<size_t>(std::count_if(text.begin(), text.end(), continues_character));
}

}  // namespace

std::string format_error(std::string_view uuid, std::string_view what, std::string_view text,
                         const Diagnostic& why) {
    const size_t ofs = std::min<size_t>(why.span.ofs, text.size());
    const size_t len = std::min<size_t>(why.span.len, text.size() - ofs);
    size_t from = ofs > kShownBefore ? ofs - kShownBefore : 0;
    size_t to = std::min(text.size(), ofs + kShownAfter);
    while (from > 0 && continues_character(text[from])) {
        --from;
    }
    while (to < text.size() && continues_character(text[to])) {
        ++to;
    }
    const std::string lead = from > 0 ? "..." : "";
    const size_t indent = lead.size() + shown_width(text.substr(from, ofs - from));
    const size_t caret =
        std::clamp<size_t>(shown_width(text.substr(ofs, std::min(len, to - ofs))), 1, kMaxCaret);
    std::string out = "Logical_Flow ";
    out += uuid;
    out += ": ";
    out += what;
    out += " column " + std::to_string(why.column()) + ": " + why.message + "\n  ";
    out += lead + printable(text.substr(from, to - from)) + (to < text.size() ? "..." : "");
    out += "\n  " + std::string(indent, ' ') + std::string(caret, '^');
    return out;
}

}  // namespace sluice::lang
