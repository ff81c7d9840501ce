// SPDX-License-Identifier: Apache-2.0
// EcmpMemory: connections whose previous hop was noted: commit_ecmp_nh(), chk_ecmp_nh(_mac)().
//
// commit() remembers a connection's 5-tuple twice, as Open vSwitch's learnt flows do: in its own
// direction together with the sender's MAC (asked by has_mac()), and in the reply's direction
// (asked by has()). Both are forgotten 20 s after their last use and 30 s after the last commit.
// Threads. Any number of workers, see MemoryTable.
#pragma once

#include <cstdint>

#include "datapath/memory_table.h"

namespace sluice {

/// A packet as the State has it; words as in lib/program/ct_args.h.
struct EcmpPacket {
    uint32_t datapath = 0;
    bool is_v6 = false;
    uint8_t proto = 0;
    uint16_t src_port = 0;
    uint16_t dst_port = 0;
    uint64_t eth_src = 0;
    uint32_t src[4] = {};
    uint32_t dst[4] = {};
};

class EcmpMemory {
public:
    EcmpMemory(uint32_t entries, uint64_t seed) : table_(entries, seed) {}

    void commit(const EcmpPacket& packet, uint64_t now_ms);
    /// A packet of the direction that was committed, from the same MAC.
    bool has_mac(const EcmpPacket& packet, uint64_t now_ms);
    /// A packet of the direction opposite to the one that was committed.
    bool has(const EcmpPacket& packet, uint64_t now_ms);

private:
    MemoryTable<13, 1> table_;
};

}  // namespace sluice
