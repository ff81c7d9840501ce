// SPDX-License-Identifier: Apache-2.0
// ContentHash: two numbers that stand for rows and their code: equal contents share one table.
//
// The hash of a list of rows is made of those of its parts, however the list was cut into parts.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

#include "control/compile/optimize.h"

namespace sluice::compile {

struct ContentHash {
    uint64_t a = 0x243f6a8885a308d3ull;
    uint64_t b = 0x13198a2e03707344ull;

    void add(uint64_t v) {
        a = (a ^ v) * 0x9e3779b97f4a7c15ull;
        a ^= a >> 32;
        b = (b + v) * 0xd6e8feb86659fd93ull;
        b ^= b >> 29;
    }
    auto operator<=>(const ContentHash&) const = default;
};
struct ContentHasher {
    size_t operator()(const ContentHash& h) const { return h.a; }
};

ContentHash content_of(const LiveRow& row);

/// Of rows one after the other.
class RowsHash {
public:
    void add(const ContentHash& row);
    void append(const RowsHash& next);
    ContentHash value() const;

private:
    ContentHash sum_{0, 0};
    ContentHash scale_{1, 1};  ///< what appending these rows multiplies the sum before them by
};

}  // namespace sluice::compile
