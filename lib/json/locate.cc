// SPDX-License-Identifier: Apache-2.0
#include "lib/json/locate.h"

#include <charconv>
#include <cstdint>
#include <system_error>

namespace sluice::json {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

class Checker {
public:
    Checker(std::string_view text, unsigned max_depth) : text_(text), max_depth_(max_depth) {}

    Fault run() {
        skip_space();
        if (at_end()) {
            fail("no value");
        } else if (value(0)) {
            skip_space();
            if (!at_end()) {
                fail("more text after the value");
            }
        }
        return fault_;
    }

private:
    bool at_end() const { return pos_ >= text_.size(); }
    char peek(size_t ahead = 0) const {
        return pos_ + ahead < text_.size() ? text_[pos_ + ahead] : '\0';
    }

    bool fail(const char* reason) {
        if (fault_.reason == nullptr) {
            fault_ = {pos_, at_end() && pos_ > 0 ? "the text ends too early" : reason};
        }
        return false;
    }

    void skip_space() {
        while (!at_end() && (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r')) {
            ++pos_;
        }
    }

    bool value(unsigned depth) {
        switch (peek()) {
        case '{': return container('}', depth);
        case '[': return container(']', depth);
        case '"': return string();
        case 't': return word("true");
        case 'f': return word("false");
        case 'n': return word("null");
        default: return number();
        }
    }

    bool word(std::string_view expected) {
        if (text_.substr(pos_, expected.size()) != expected) {
            return fail("not a value");
        }
        pos_ += expected.size();
        return true;
    }

    bool container(char close, unsigned depth) {
        if (depth >= max_depth_) {
            return fail("nested too deeply");
        }
        ++pos_;
        skip_space();
        if (peek() == close) {
            ++pos_;
            return true;
        }
        for (;;) {
            skip_space();
            if (close == '}' && !name()) {
                return false;
            }
            skip_space();
            if (!value(depth + 1)) {
                return false;
            }
            skip_space();
            if (peek() == close) {
                ++pos_;
                return true;
            }
            if (peek() != ',') {
                return fail(close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
            }
            ++pos_;
        }
    }

    bool name() {
        if (peek() != '"') {
            return fail("expected a member name in quotes");
        }
        if (!string()) {
            return false;
        }
        skip_space();
        if (peek() != ':') {
            return fail("expected ':'");
        }
        ++pos_;
        return true;
    }

    bool string() {
        for (++pos_; !at_end(); ++pos_) {
            const auto c = static_cast<unsigned char>(peek());
            if (c == '"') {
                ++pos_;
                return true;
            }
            if (c < 0x20) {
                return fail("control character in a string");
            }
            if (c == '\\' && !escape()) {
                return false;
            }
            if (c >= 0x80 && !utf8(c)) {
                return fail("not UTF-8");
            }
        }
        return fail("string without end");
    }

    // Leaves pos_ on the last byte of the escape.
    bool escape() {
        const char kind = peek(1);
        if (kind != 'u') {
            if (kind == '\0' ||
                std::string_view("\"\\/bfnrt").find(kind) == std::string_view::npos) {
                return fail("unknown escape");
            }
            ++pos_;
            return true;
        }
        unsigned code = 0;
        if (!hex4(2, &code)) {
            return fail("\\u needs four hexadecimal digits");
        }
        if (code >= 0xdc00 && code <= 0xdfff) {
            return fail("half of a surrogate pair");
        }
        size_t length = 6;
        if (code >= 0xd800 && code <= 0xdbff) {
            unsigned low = 0;
            if (peek(6) != '\\' || peek(7) != 'u' || !hex4(8, &low) || low < 0xdc00 ||
                low > 0xdfff) {
                return fail("half of a surrogate pair");
            }
            length = 12;
        }
        pos_ += length - 1;
        return true;
    }

    bool hex4(size_t ahead, unsigned* code) const {
        for (size_t i = 0; i < 4; ++i) {
            if (!is_hex(peek(ahead + i))) {
                return false;
            }
        }
        std::from_chars(text_.data() + pos_ + ahead, text_.data() + pos_ + ahead + 4, *code, 16);
        return true;
    }

    // Leaves pos_ on the last byte of the sequence.
    bool utf8(unsigned first) {
        const auto tail = [&](size_t k) {
            return (static_cast<unsigned char>(peek(k)) & 0xc0) == 0x80;
        };
        const auto second = static_cast<unsigned char>(peek(1));
        size_t length = 0;
        if (first >= 0xc2 && first <= 0xdf) {
            length = 2;
        } else if (first >= 0xe0 && first <= 0xef) {
            const bool bad = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f);
            length = bad ? 0 : 3;
        } else if (first >= 0xf0 && first <= 0xf4) {
            const bool bad = (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
            length = bad ? 0 : 4;
        }
        for (size_t k = 1; k < length; ++k) {
            if (!tail(k)) {
                return false;
            }
        }
        pos_ += length > 0 ? length - 1 : 0;
        return length > 0;
    }

    bool digits() {
        if (!is_digit(peek())) {
            return fail("not a value");
        }
        while (is_digit(peek())) {
            ++pos_;
        }
        return true;
    }

    bool number() {
        const size_t start = pos_;
        if (peek() == '-') {
            ++pos_;
        }
        if (peek() == '0' && is_digit(peek(1))) {
            return fail("number with a leading zero");
        }
        if (!digits()) {
            return false;
        }
        bool real = false;
        if (peek() == '.') {
            ++pos_;
            real = true;
            if (!digits()) {
                return false;
            }
        }
        if (peek() == 'e' || peek() == 'E') {
            pos_ += peek(1) == '+' || peek(1) == '-' ? 2 : 1;
            real = true;
            if (!digits()) {
                return false;
            }
        }
        return in_range(start, real);
    }

    bool in_range(size_t start, bool real) {
        const char* const first = text_.data() + start;
        const char* const last = text_.data() + pos_;
        std::errc code{};
        if (real) {
            double ignored = 0;
            code = std::from_chars(first, last, ignored).ec;
        } else if (*first == '-') {
            int64_t ignored = 0;
            code = std::from_chars(first, last, ignored).ec;
        } else {
            uint64_t ignored = 0;
            code = std::from_chars(first, last, ignored).ec;
        }
        if (code == std::errc::result_out_of_range) {
            pos_ = start;
            return fail("number out of range");
        }
        return true;
    }

    std::string_view text_;
    unsigned max_depth_;
    size_t pos_ = 0;
    Fault fault_{0, nullptr};
};

}  // namespace

Fault locate_fault(std::string_view text, unsigned max_depth) {
    return Checker(text, max_depth).run();
}

}  // namespace sluice::json
