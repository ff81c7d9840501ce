// SPDX-License-Identifier: Apache-2.0
// LbLease: how long something remembered in the data path is good for: as long as a flow says it.
//
// Open vSwitch deletes what a flow has taught it together with the flow (learn() with
// delete_learned). Here instructions hold a lease; what they leave behind notes the lease's number
// and epoch, and is good while nobody gave that number back. When all instructions are gone (after
// the grace period of the pipeline that held them) the epoch moves on.
// Threads: made and destroyed by the control thread; is_held() by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace sluice {

class LbLease {
public:
    LbLease() = default;  ///< one that never ends
    static std::shared_ptr<const LbLease> take();

    uint32_t number() const { return number_; }
    uint32_t epoch() const { return epoch_; }
    static bool is_held(uint32_t number, uint32_t epoch);

private:
    LbLease(uint32_t number, uint32_t epoch) : number_(number), epoch_(epoch) {}
    uint32_t number_ = 0;
    uint32_t epoch_ = 0;
};

}  // namespace sluice
