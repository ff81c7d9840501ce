// SPDX-License-Identifier: Apache-2.0
// What the parser says about text it cannot accept, and how it is shown to a person.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "control/compile/ast.h"
#include "lib/base/check.h"

namespace sluice::lang {

struct Diagnostic {
    std::string message;  ///< no position in it
    Span span;            ///< len 0 at the end of the text

    /// 1-based, in bytes.
    unsigned column() const { return span.ofs + 1; }
};

/// A value or the first thing wrong with the text.
template <typename T>
class [[nodiscard]] Parsed {
public:
    Parsed(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Parsed(Diagnostic why) : state_(std::in_place_index<1>, std::move(why)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }
    const T& operator*() const& {
        SLUICE_CHECK(ok());
        return std::get<0>(state_);
    }
    T&& operator*() && {
        SLUICE_CHECK(ok());
        return std::get<0>(std::move(state_));
    }
    const T* operator->() const { return &**this; }
    const Diagnostic& error() const {
        SLUICE_CHECK(!ok());
        return std::get<1>(state_);
    }

private:
    std::variant<T, Diagnostic> state_;
};

/// Three lines: "Logical_Flow UUID: WHAT column N: MESSAGE", the source text, a caret line under
/// it. `what` is "match" or "actions". Long texts are cut around the position; no line end follows.
std::string format_error(std::string_view uuid, std::string_view what, std::string_view text,
                         const Diagnostic& why);

}  // namespace sluice::lang
