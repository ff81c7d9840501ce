// SPDX-License-Identifier: Apache-2.0
#include "lib/json/scanner.h"

#include <emmintrin.h>

namespace sluice::json {

namespace {

// First quote or backslash at or after `p`, or `end`.
const char* find_string_special(const char* p, const char* end) {
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    for (; end - p >= 16; p += 16) {
        const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const int mask = _mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)));
        if (mask != 0) {
            return p + __builtin_ctz(static_cast<unsigned>(mask));
        }
    }
    while (p != end && *p != '"' && *p != '\\') {
        ++p;
    }
    return p;
}

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

}  // namespace

Scanner::Step Scanner::feed(std::string_view piece) {
    const char* p = piece.data();
    const char* const end = p + piece.size();
    const auto used = [&] { return static_cast<size_t>(p - piece.data()); };
    while (p != end) {
        if (escaped_) {
            escaped_ = false;
            ++p;
            continue;
        }
        if (in_string_) {
            p = find_string_special(p, end);
            if (p != end) {
                escaped_ = *p == '\\';
                in_string_ = escaped_;
                ++p;
            }
            continue;
        }
        const char c = *p;
        if (depth_ == 0 && c != '{' && c != '[' && !is_space(c)) {
            return {State::kBad, used()};
        }
        ++p;
        if (c == '"') {
            in_string_ = true;
        } else if (c == '{' || c == '[') {
            ++depth_;
        } else if ((c == '}' || c == ']') && --depth_ == 0) {
            return {State::kDone, used()};
        }
    }
    return {State::kMore, used()};
}

}  // namespace sluice::json
