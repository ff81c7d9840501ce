// SPDX-License-Identifier: Apache-2.0
// What tests of drivers on kernel devices begin with: a private network namespace and a veth pair.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "tests/unit/pmd/lab.h"

namespace sluice::lab {

inline constexpr uint16_t kTest = 0x88b5;  ///< EtherType of plain()
inline constexpr uint16_t kIp4 = 0x0800;
inline constexpr std::chrono::milliseconds kBrief{50};  ///< for what must not come

inline bool can_run() {
    if (enter_private_network()) {
        return true;
    }
    WARN("skipped: making a network namespace needs root");
    return false;
}

/// veth pair `ours` - `peers`; the peer's end is up.
class VethPair {
public:
    VethPair(std::string ours, const std::string& peers, unsigned mtu, unsigned queues = 1)
        : ours_(std::move(ours)) {
        const std::string more = " mtu " + std::to_string(mtu) + " numrxqueues " +
                                 std::to_string(queues) + " numtxqueues " + std::to_string(queues);
        REQUIRE(run("ip link add " + ours_ + more +
                    " address 02:00:00:00:00:02 type veth peer name " + peers + more));
        REQUIRE(run("ip link set " + peers + " up"));
    }
    ~VethPair() { run("ip link del " + ours_); }
    VethPair(const VethPair&) = delete;
    VethPair& operator=(const VethPair&) = delete;

private:
    std::string ours_;
};

}  // namespace sluice::lab
