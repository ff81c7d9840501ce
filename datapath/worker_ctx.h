// SPDX-License-Identifier: Apache-2.0
// WorkerCtx: everything a worker has, allocated once, passed to every step.
//
// Threads. The worker's own, but for the atomics at the end and DropRing, which say who else.
#pragma once

#include <rte_cycles.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "datapath/cache.h"
#include "datapath/conntrack/fragments.h"
#include "datapath/drop_ring.h"
#include "datapath/join.h"
#include "datapath/mac_uses.h"
#include "datapath/program.h"
#include "datapath/shared_memories.h"
#include "datapath/shortcut.h"
#include "datapath/stages.h"
#include "datapath/tunnel/stt_reassembly.h"
#include "datapath/walk_ct.h"
#include "datapath/worker.h"

namespace sluice {

/// Frames waiting for one port until the end of the burst.
struct TxBuffer {
    uint32_t n;
    rte_mbuf* pkts[limits::kBurst];
};

struct WorkerCtx {
    static constexpr unsigned kMaxItems = 2 * limits::kBurst;

    explicit WorkerCtx(const WorkerConfig& c)
        : config(c), counters(c.counters), cycles_per_ms(rte_get_tsc_hz() / 1000) {
        program.owner = this;
    }

    const WorkerConfig config;
    WorkerCounters* const counters;

    // Read anew at the start of every turn.
    const Pipeline* pipeline = nullptr;
    const PortTable* ports = nullptr;
    const CaptureSet* capture = nullptr;  ///< null: nobody captures
    uint64_t now = 0;                     ///< TSC cycles
    uint64_t now_ms = 0;                  ///< the same in milliseconds

    const uint64_t cycles_per_ms;
    uint64_t hash_keys[4] = {};  ///< secrets of the cache's hash, from the seed
    uint64_t seen_sequence = 0;  ///< pipeline of the last turn
    uint32_t seen_len_count = 0;
    uint32_t seen_lens[limits::kMaxLenClasses] = {};  ///< what len_class meant then

    FlowCache cache;
    Shortcuts shortcuts;
    uint64_t next_sweep = 0;
    uint64_t sweep_cycles = 0;  ///< between two steps of the sweep
    LbAffinity* affinity = nullptr;
    EcmpMemory* ecmp = nullptr;
    MeterTable* meters = nullptr;
    std::unique_ptr<SharedMemories> own_memories;  ///< when the composer gave none
    uint16_t closed_meters = 0;  ///< of the packet in apply: meters that had no tokens for it
    MacUses mac_uses;
    uint16_t next_ip_id = 1;             ///< of outer headers that may be fragmented
    uint32_t next_stt_frame = 0;         ///< identifier, without the worker's number
    std::unique_ptr<SttReassembly> stt;  ///< frames that came in pieces

    unsigned n_items = 0;
    Item items[kMaxItems];
    Joins joins;  ///< what became of some of them
    // Of the packet at hand, when it is longer than Pipeline::tunnel_room (tunnel/too_big.h).
    WalkStart long_start{};
    bool has_told = false;       ///< its sender knows
    uint32_t told_count = 0;     ///< senders told
    uint64_t told_since_ms = 0;  ///< since then
    ProgramBuffer program;
    rte_mbuf* walking = nullptr;  ///< whose program is being made, for spill
    FragTable::Done whole;        ///< a packet whose fragments are all there
    CtReplay replay;              ///< what conntrack said of it, or to a shortcut

    unsigned n_touched = 0;
    uint16_t touched[limits::kMaxPorts];  ///< ports with frames in tx
    TxBuffer tx[limits::kMaxPorts] = {};

    Trace* trace = nullptr;
    uint32_t random = 1;  ///< state of a xorshift, for sample()

    DropRing drops;                           ///< worker writes, any thread reads
    std::atomic<bool> stop{false};            ///< any thread writes, worker reads
    std::atomic<uint64_t> flush_asked{0};     ///< any thread adds, worker reads
    std::atomic<uint64_t> flush_finished{0};  ///< worker writes, any thread reads
    std::atomic<uint32_t> cache_used{0};      ///< worker writes, any thread reads

    /// Counts a drop and remembers it as a sample.
    void drop(Drop reason, uint32_t flow = kNoFlow, uint32_t datapath = 0, uint32_t inport = 0) {
        counters->drop(reason);
        drops.add(now, reason, flow, datapath, inport);
    }
    /// Same, and frees the packet.
    void drop_packet(rte_mbuf* m, Drop reason, uint32_t datapath = 0, uint32_t inport = 0);
    /// A whole copy with its key, or null (counted).
    rte_mbuf* copy(rte_mbuf* m);
    /// Hands a packet to the slow path.
    void punt(rte_mbuf* m, PuntReason reason, PortId port);
    /// Same for a packet whose PuntMeta is filled in.
    void hand_up(rte_mbuf* m);
};

}  // namespace sluice
