// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value or an Error with words a person can act on.
//
// Used by control and tools where an operation can fail because of input or the outside world.
// The datapath never uses it: there an error is a drop with a name (lib/stats/drops.def).
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "lib/base/check.h"

namespace sluice {

/// What went wrong, ready to print. `context` grows outward as the error is passed up.
struct Error {
    std::string message;

    Error with_context(const std::string& context) const { return Error{context + ": " + message}; }
};

template <typename T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }
    T& value() & {
        SLUICE_CHECK(ok());
        return std::get<0>(state_);
    }
    const T& value() const& {
        SLUICE_CHECK(ok());
        return std::get<0>(state_);
    }
    T&& value() && {
        SLUICE_CHECK(ok());
        return std::get<0>(std::move(state_));
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    const Error& error() const {
        SLUICE_CHECK(!ok());
        return std::get<1>(state_);
    }

private:
    std::variant<T, Error> state_;
};

/// Success or an Error.
template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)), ok_(false) {}

    bool ok() const { return ok_; }
    explicit operator bool() const { return ok_; }
    const Error& error() const {
        SLUICE_CHECK(!ok_);
        return error_;
    }

private:
    Error error_;
    bool ok_ = true;
};

}  // namespace sluice
