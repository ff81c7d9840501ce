// SPDX-License-Identifier: Apache-2.0
// Slab: blocks of a few sizes out of memory taken once, for programs and what they passed.
//
// A request takes the smallest size that holds it and has a block left. Untouched memory costs
// nothing: it is mapped, not written, until a block is first handed out.
// Threads. The worker's own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice {

class Slab {
public:
    Slab() = default;
    ~Slab();
    Slab(const Slab&) = delete;
    Slab& operator=(const Slab&) = delete;

    /// Memory for about `entries` users. False when there is none.
    bool init(uint32_t entries);
    /// At least `bytes`, 64-byte aligned, or null.
    void* take(size_t bytes);
    void give_back(void* block);

private:
    struct Class {
        size_t size = 0;
        uint8_t* begin = nullptr;
        uint8_t* end = nullptr;
        uint8_t* fresh = nullptr;  ///< never handed out from here on
        void* free_list = nullptr;
    };
    std::array<Class, 6> classes_;
    void* memory_ = nullptr;
    size_t length_ = 0;
};

}  // namespace sluice
