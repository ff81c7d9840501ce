// SPDX-License-Identifier: Apache-2.0
// The steps of a packet's way, in order. worker.cc calls them; each lives in a file of its name.
//
//   rx burst -> parse -> decap -> physical-to-logical -> cache probe
//            -> [walk: ingress -> output -> egress -> logical-to-physical] -> apply -> tx
//
// A step takes a packet over or ends its way: every end is counted with a name (drops.def).
// Threads: all of it runs on the worker's own thread.
#pragma once

#include <cstdint>

#include "datapath/cache.h"
#include "datapath/program.h"
#include "lib/program/key.h"
#include "lib/program/pipeline.h"
#include "lib/program/ports.h"

struct rte_mbuf;

namespace sluice {

struct WorkerCtx;
struct Trace;
struct WalkEnv;

/// Where a walk begins.
struct WalkStart {
    enum class Kind : uint8_t {
        kIngress,      ///< the ingress pipeline of (datapath, inport)
        kOutput,       ///< the output stage, remote part first (injected packets)
        kOutputLocal,  ///< the local part of the output stage (packets from a tunnel)
        kEgress,       ///< the egress pipeline of the local outport (injected packets)
        kResume,       ///< where a punt left off; PuntMeta of the packet has the logical words
    };
    Kind kind;
    const Datapath* datapath;
    uint32_t inport;
    uint32_t outport;
    uint32_t flags;
    uint32_t source = 0;  ///< EntryPoint::source
};

inline const KeyMask* mask_for(const KeyMasks& masks, const PacketKey& key) {
    return &masks.at(class_of(__builtin_bswap16(key.eth_type), key.ip_proto));
}

/// A packet with its logical entry, on its way from physical-to-logical to apply.
struct Item {
    rte_mbuf* m;
    CacheEntry* entry;    ///< probe's answer, null for a miss
    const KeyMask* mask;  ///< null: the cache must not be asked
    uint64_t hash;
    CacheKey key;
    WalkStart start;
    bool repeats;  ///< same key as the item before
};

// --- parse.cc ----------------------------------------------------------------------------------
/// Reads the frame of `len` bytes of which `avail` lie at `data`. Fills all of `key` but context,
/// in_port, pkt_mark, len_class and the flow hash. False for a runt.
bool parse_frame(const uint8_t* data, uint32_t avail, uint32_t len, PacketKey* key);
/// Same without parse_plain(), to hold the one against the other.
bool parse_frame_slowly(const uint8_t* data, uint32_t avail, uint32_t len, PacketKey* key);
/// Same for a packet whose headers may be spread over segments.
bool parse_packet(rte_mbuf* m, PacketKey* key);
/// The key's flow hash, made when it is not there yet.
uint32_t flow_hash_of(PacketKey* key, uint64_t seed);
/// How many of the pipeline's check_pkt_larger() lengths the frame exceeds.
uint8_t len_class_of(const Pipeline& pipeline, uint32_t pkt_len);

// --- tunnel/decap.cc ---------------------------------------------------------------------------
enum class UnderlayVerdict : uint8_t {
    kTunnel,   ///< `start` is filled, the outer header is gone, the key is the inner packet's
    kDropped,  ///< counted and freed
    kHost,     ///< for this chassis, but not a tunnel packet
    kBoth,     ///< broadcast or multicast: for this chassis and whoever else listens
    kOther,    ///< to another MAC address
};
/// Looks at a parsed packet that came in on an underlay port.
UnderlayVerdict receive_underlay(WorkerCtx& ctx, rte_mbuf* m, const Underlay& underlay, Item* item);

/// What plain tunnel packets of an underlay port have in common, as it lies on the wire.
struct PlainUnderlay {
    uint64_t mac;   ///< six bytes and two that do not count
    uint32_t ip;    ///< the first address
    uint16_t port;  ///< of Geneve
};
/// The quick way of tunnel packets as nearly all are: Geneve over IPv4 to the port's first address,
/// with OVN's option alone, around a frame that parse_plain() reads. Does what parsing,
/// receive_underlay() and the cache key of a packet do together. False: nothing was done, those
/// must.
bool receive_plain_tunnel(WorkerCtx& ctx, rte_mbuf* m, const PlainUnderlay& underlay, Item* item);

// --- phy_to_log.cc -----------------------------------------------------------------------------
/// Turns received packets into items of ctx: none (dropped, punted), one, or one per localnet
/// entry.
void physical_to_logical(WorkerCtx& ctx, rte_mbuf** pkts, unsigned n, PortId port);

/// Takes an injected packet into the step that its metadata names.
void inject(WorkerCtx& ctx, rte_mbuf* m);

// --- forward.cc --------------------------------------------------------------------------------
/// Cache probe, walk on a miss and apply for all items of ctx, in order. None are left.
void forward_items(WorkerCtx& ctx);

// --- walk.cc -----------------------------------------------------------------------------------
/// Decides about one packet. The program is in `out` and finished. Without a packet (`env.packet`
/// null) steps that need its bytes see none.
template <bool kTrace>
void walk(const Pipeline& pipeline, const PacketKey& key, const WalkStart& start,
          const WalkEnv& env, ProgramBuffer* out, WorkerCounters* counters, Trace* trace);

// --- apply.cc ----------------------------------------------------------------------------------
/// Runs a program on a packet and takes the packet over. Frames go to transmit buffers.
/// `last`: false when more of the same walk follows, so that even the last section uses a copy and
/// the packet stays the caller's.
void apply(WorkerCtx& ctx, rte_mbuf* m, const ProgramView& program, bool last = true);

// --- tx.cc -------------------------------------------------------------------------------------
void transmit(WorkerCtx& ctx, rte_mbuf* m, PortId port);
void flush_transmit(WorkerCtx& ctx);

}  // namespace sluice
