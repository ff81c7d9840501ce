// SPDX-License-Identifier: Apache-2.0
// Where and why a text is not JSON: a plain strict checker, run only after the fast parser
// refused, since that one tells no position.
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice::json {

struct Fault {
    size_t offset;
    const char* reason;  ///< nullptr: no fault found
};

Fault locate_fault(std::string_view text, unsigned max_depth);

}  // namespace sluice::json
