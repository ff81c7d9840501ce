// SPDX-License-Identifier: Apache-2.0
#include "datapath/drop_ring.h"

namespace sluice {

std::vector<DropSample> DropRing::read() const {
    std::vector<DropSample> samples;
    const uint64_t end = next_.load(std::memory_order_acquire);
    for (uint64_t i = end > kSlots ? end - kSlots : 0; i < end; ++i) {
        const Slot& slot = slots_[i % kSlots];
        const uint32_t before = slot.version.load(std::memory_order_acquire);
        const uint64_t tsc = slot.tsc.load(std::memory_order_acquire);
        const uint64_t what = slot.what.load(std::memory_order_acquire);
        const uint64_t where = slot.where.load(std::memory_order_acquire);
        if (before % 2 != 0 || slot.version.load(std::memory_order_acquire) != before) {
            continue;  // the worker came round
        }
        samples.push_back({tsc, static_cast<Drop>(what >> 32), static_cast<uint32_t>(what),
                           static_cast<uint32_t>(where >> 32), static_cast<uint32_t>(where)});
    }
    return samples;
}

}  // namespace sluice
