// SPDX-License-Identifier: Apache-2.0
// Writer: JSON text, appended piece by piece; commas and escapes are its business.
//
//   json::Writer w;
//   w.begin_object().member("ports").begin_array().value("vm1").value(7).end_array().end_object();
//
// Text that is not valid UTF-8 is written with U+FFFD in the place of each bad byte, so what comes
// out is always valid JSON. Nesting is the caller's duty (checked in debug builds).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/json/json.h"

namespace sluice::json {

class Writer {
public:
    Writer& begin_object();
    Writer& end_object();
    Writer& begin_array();
    Writer& end_array();
    /// The name of the member whose value comes next.
    Writer& member(std::string_view name);

    Writer& null();
    Writer& value(std::string_view text);
    Writer& value(const char* text) { return value(std::string_view(text)); }
    Writer& value(const std::string& text) { return value(std::string_view(text)); }
    Writer& value(bool boolean);
    Writer& value(int64_t number);
    Writer& value(uint64_t number);
    Writer& value(int number) { return value(static_cast<int64_t>(number)); }
    Writer& value(unsigned number) { return value(static_cast<uint64_t>(number)); }
    /// Infinities and NaN, which JSON lacks, become null.
    Writer& value(double number);
    Writer& value(Value tree);
    /// JSON made elsewhere, taken as it is.
    Writer& raw(std::string_view json);

    const std::string& text() const { return text_; }
    std::string take() { return std::move(text_); }

private:
    void separate();

    std::string text_;
    std::vector<bool> has_element_;  ///< per open container
    bool after_name_ = false;
};

/// `text` quoted and escaped, appended to `out`.
void append_quoted(std::string* out, std::string_view text);

}  // namespace sluice::json
