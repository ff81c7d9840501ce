// SPDX-License-Identifier: Apache-2.0
// LbAffinity: which backend a client of a load balancer had, behind commit_lb_aff(), chk_lb_aff().
//
// A client is known by its source address, what it asks for by VIP, protocol and port (or by the
// VIP alone), both within one datapath. Every look that finds it starts the timeout anew. What was
// remembered for a backend that the load balancer no longer has is not found any more (LbLease).
// Threads. Any number of workers, see MemoryTable.
#pragma once

#include <cstdint>

#include "datapath/memory_table.h"
#include "lib/program/ct_args.h"

namespace sluice {

/// Words as in lib/program/ct_args.h.
struct LbClient {
    uint32_t datapath = 0;
    bool is_v6 = false;
    uint8_t proto = 0;
    uint16_t port = 0;  ///< the packet's destination port
    uint32_t src[4] = {};
    uint32_t dst[4] = {};
};

struct LbBackend {
    uint32_t address[4];
    uint16_t port;  ///< 0: none was given
};

class LbAffinity {
public:
    LbAffinity(uint32_t entries, uint64_t seed) : table_(entries, seed) {}

    /// `client.dst`, `proto` and `port` are not looked at: the VIP is what `args` says.
    void remember(const LbClient& client, const LbAffinityArgs& args, uint64_t now_ms);
    bool find(const LbClient& client, uint64_t now_ms, LbBackend* backend);

private:
    MemoryTable<10, 7> table_;
};

}  // namespace sluice
