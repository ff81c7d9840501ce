// SPDX-License-Identifier: Apache-2.0
#include "datapath/slab.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "lib/base/check.h"

namespace sluice {

bool Slab::init(uint32_t entries) {
    // Programs with a few sets and one or two connections fit the first sizes, one a key at most;
    // flow lists of a routed path the middle ones, which many keys share; replication lists the
    // last.
    const struct {
        size_t size;
        size_t count;
    } kShape[] = {
        {128, std::max<size_t>(entries, 64)},       {256, std::max<size_t>(entries, 64)},
        {512, std::max<size_t>(entries / 2, 64)},   {1024, std::max<size_t>(entries / 4, 64)},
        {4096, std::max<size_t>(entries / 64, 64)}, {16384, std::max<size_t>(entries / 256, 64)},
    };
    static_assert(std::size(kShape) == std::tuple_size_v<decltype(classes_)>);
    length_ = 0;
    for (const auto& shape : kShape) {
        length_ += shape.size * shape.count;
    }
    memory_ = mmap(nullptr, length_, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory_ == MAP_FAILED) {
        memory_ = nullptr;
        return false;
    }
    madvise(memory_, length_, MADV_HUGEPAGE);
    auto* at = static_cast<uint8_t*>(memory_);
    for (size_t i = 0; i < classes_.size(); ++i) {
        classes_[i] = {kShape[i].size, at, at + kShape[i].size * kShape[i].count, at, nullptr};
        at = classes_[i].end;
    }
    return true;
}

Slab::~Slab() {
    if (memory_) {
        munmap(memory_, length_);
    }
}

void* Slab::take(size_t bytes) {
    for (Class& c : classes_) {
        if (bytes > c.size) {
            continue;
        }
        if (c.free_list) {
            void* block = c.free_list;
            std::memcpy(&c.free_list, block, sizeof c.free_list);
            return block;
        }
        if (c.fresh != c.end) {
            void* block = c.fresh;
            c.fresh += c.size;
            return block;
        }
    }
    return nullptr;
}

void Slab::give_back(void* block) {
    auto* at = static_cast<uint8_t*>(block);
    for (Class& c : classes_) {
        if (at >= c.begin && at < c.end) {
            std::memcpy(block, &c.free_list, sizeof c.free_list);
            c.free_list = block;
            return;
        }
    }
    SLUICE_DCHECK(false);
}

}  // namespace sluice
