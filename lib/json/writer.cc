// SPDX-License-Identifier: Apache-2.0
#include "lib/json/writer.h"

#include <array>
#include <charconv>
#include <cmath>

#include "lib/base/check.h"

namespace sluice::json {

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Length of the valid UTF-8 sequence at `text[i]`, or 0.
size_t sequence_length(std::string_view text, size_t i) {
    const auto byte = [&](size_t k) -> unsigned {
        return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u;
    };
    const auto tail = [&](size_t k) { return (byte(k) & 0xc0) == 0x80; };
    const unsigned b = byte(0);
    if (b < 0x80) {
        return 1;
    }
    if (b >= 0xc2 && b <= 0xdf) {
        return tail(1) ? 2 : 0;
    }
    if (b >= 0xe0 && b <= 0xef) {
        const bool overlong = b == 0xe0 && byte(1) < 0xa0;
        const bool surrogate = b == 0xed && byte(1) > 0x9f;
        return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
    }
    if (b >= 0xf0 && b <= 0xf4) {
        const bool overlong = b == 0xf0 && byte(1) < 0x90;
        const bool too_large = b == 0xf4 && byte(1) > 0x8f;
        return tail(1) && tail(2) && tail(3) && !overlong && !too_large ? 4 : 0;
    }
    return 0;
}

void append_control(std::string* out, unsigned char c) {
    constexpr char kHex[] = "0123456789abcdef";
    switch (c) {
    case '\b': *out += "\\b"; return;
    case '\f': *out += "\\f"; return;
    case '\n': *out += "\\n"; return;
    case '\r': *out += "\\r"; return;
    case '\t': *out += "\\t"; return;
    default:
        *out += "\\u00";
        *out += kHex[c >> 4];
        *out += kHex[c & 15];
    }
}

}  // namespace

void append_quoted(std::string* out, std::string_view text) {
    out->push_back('"');
    size_t plain = 0;  // start of the run not yet copied
    for (size_t i = 0; i < text.size();) {
        const auto c = static_cast<unsigned char>(text[i]);
        const size_t length = sequence_length(text, i);
        if (length > 0 && c >= 0x20 && c != '"' && c != '\\') {
            i += length;
            continue;
        }
        out->append(text, plain, i - plain);
        if (length == 0) {
            out->append(kReplacement);
        } else if (c < 0x20) {
            append_control(out, c);
        } else {
            out->push_back('\\');
            out->push_back(static_cast<char>(c));
        }
        plain = ++i;
    }
    out->append(text, plain, text.size() - plain);
    out->push_back('"');
}

void Writer::separate() {
    if (after_name_) {
        after_name_ = false;
        return;
    }
    if (!has_element_.empty()) {
        if (has_element_.back()) {
            text_ += ',';
        }
        has_element_.back() = true;
    }
}

Writer& Writer::begin_object() {
    separate();
    text_ += '{';
    has_element_.push_back(false);
    return *this;
}

Writer& Writer::end_object() {
    SLUICE_DCHECK(!has_element_.empty() && !after_name_);
    has_element_.pop_back();
    text_ += '}';
    return *this;
}

Writer& Writer::begin_array() {
    separate();
    text_ += '[';
    has_element_.push_back(false);
    return *this;
}

Writer& Writer::end_array() {
    SLUICE_DCHECK(!has_element_.empty() && !after_name_);
    has_element_.pop_back();
    text_ += ']';
    return *this;
}

Writer& Writer::member(std::string_view name) {
    SLUICE_DCHECK(!has_element_.empty() && !after_name_);
    separate();
    append_quoted(&text_, name);
    text_ += ':';
    after_name_ = true;
    return *this;
}

Writer& Writer::raw(std::string_view json) {
    separate();
    text_ += json;
    return *this;
}

Writer& Writer::null() {
    return raw("null");
}

Writer& Writer::value(bool boolean) {
    return raw(boolean ? "true" : "false");
}

Writer& Writer::value(std::string_view text) {
    separate();
    append_quoted(&text_, text);
    return *this;
}

Writer& Writer::value(int64_t number) {
    return raw(std::to_string(number));
}

Writer& Writer::value(uint64_t number) {
    return raw(std::to_string(number));
}

Writer& Writer::value(double number) {
    if (!std::isfinite(number)) {
        return null();
    }
    std::array<char, 32> buffer;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
    std::string_view text(buffer.data(), static_cast<size_t>(end - buffer.data()));
    raw(text);
    if (text.find_first_of(".e") == std::string_view::npos) {
        text_ += ".0";  // so that it is read back as a real
    }
    return *this;
}

Writer& Writer::value(Value tree) {
    switch (tree.type()) {
    case Type::kNull: return null();
    case Type::kBool: return value(tree.boolean());
    case Type::kInteger: return value(tree.integer());
    case Type::kReal: return value(tree.real());
    case Type::kString: return value(tree.string());
    case Type::kArray:
        begin_array();
        for (const Value element : tree.array()) {
            value(element);
        }
        return end_array();
    case Type::kObject:
        begin_object();
        for (const auto& [name, element] : tree.object()) {
            member(name).value(element);
        }
        return end_object();
    }
    return *this;
}

}  // namespace sluice::json
