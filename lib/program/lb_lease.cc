// SPDX-License-Identifier: Apache-2.0
#include "lib/program/lb_lease.h"

#include <array>
#include <mutex>
#include <vector>

namespace sluice {
namespace {

constexpr uint32_t kLeases = 1u << 16;  ///< more than that share number 0, which never ends

struct Leases {
    std::array<std::atomic<uint32_t>, kLeases> epochs{};
    std::mutex mutex;
    std::vector<uint32_t> free;
    uint32_t next = 1;
};

Leases& leases() {
    static Leases all;
    return all;
}

uint32_t take_number(Leases& all) {
    const std::lock_guard lock(all.mutex);
    if (!all.free.empty()) {
        const uint32_t number = all.free.back();
        all.free.pop_back();
        return number;
    }
    return all.next < kLeases ? all.next++ : 0;
}

void give_back(const LbLease* lease) {
    Leases& all = leases();
    if (lease->number() != 0) {
        all.epochs[lease->number()].fetch_add(1, std::memory_order_relaxed);
        const std::lock_guard lock(all.mutex);
        all.free.push_back(lease->number());
    }
    delete lease;
}

}  // namespace

std::shared_ptr<const LbLease> LbLease::take() {
    Leases& all = leases();
    const uint32_t number = take_number(all);
    const uint32_t epoch = all.epochs[number].load(std::memory_order_relaxed);
    return {new LbLease(number, epoch), give_back};
}

bool LbLease::is_held(uint32_t number, uint32_t epoch) {
    return leases().epochs[number % kLeases].load(std::memory_order_relaxed) == epoch;
}

}  // namespace sluice
