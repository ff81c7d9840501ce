// SPDX-License-Identifier: Apache-2.0
// FragTable: virtual reassembly. Fragments wait until their packet is complete, then go on, each by
// itself, with the facts of the whole.
//
// What. add() takes a fragment over (kHeld) until the last missing one arrives (kComplete); then
// `done` has all of them in the order of their offsets and the facts of the whole packet: L4 header
// of the first, checksum over all. Ports are in the key of the first piece. None of them may use
// the flow cache: their keys do not tell the connection. What Open vSwitch does is followed where
// it can be seen: fragments are told apart by where they came in, addresses, identification and
// protocol; those that are not the last and smaller than 1200 (IPv6: 1280) bytes are not trackable
// (kInvalid: they go on with ct_state inv), and duplicates neither, until another zone is asked,
// where they would wait for the others (kDuplicate: dropped there); a packet has 15 s. It differs
// with overlaps, which drop the whole packet (RFC 5722; there only the fragment that overlaps).
// Memory. Slots for datagrams once, mbufs up to the bound, counted by their buffers. When a bound
// is reached the oldest incomplete packet goes: a whole one takes milliseconds. At most 64
// fragments.
//
// Threads: the worker that owns it; counters may be read by any.
#pragma once

#include <atomic>
#include <memory>

#include "datapath/conntrack/conntrack.h"
#include "datapath/conntrack/keyed_hash.h"

struct rte_mbuf;

namespace sluice {

struct FragTableConfig {
    uint64_t memory_bytes = 16u << 20;
    uint64_t seed = 0;
    uint32_t min_ip4 = 1200;  ///< bytes from the IP header on, of all but the last fragment
    uint32_t min_ip6 = 1280;
};

class FragTable {
public:
    static constexpr unsigned kMaxPieces = 64;
    static constexpr uint64_t kTimeoutMs = 15000;

    enum class Verdict : uint8_t {
        kHeld,       ///< the table has it
        kComplete,   ///< `done` has it and the others; they are the caller's
        kInvalid,    ///< stays the caller's: not trackable, goes on as such
        kDuplicate,  ///< the same, but only as far as one zone is asked
        kOverlap,    ///< stays the caller's, to be dropped; the others of its packet are gone
    };
    struct Done {
        unsigned count = 0;
        rte_mbuf* pieces[kMaxPieces];
        PacketFacts facts;
    };

    explicit FragTable(const FragTableConfig& config);
    ~FragTable();
    FragTable(const FragTable&) = delete;
    FragTable& operator=(const FragTable&) = delete;

    /// `key` is the parse of `m`, which is a fragment, with its context.
    Verdict add(rte_mbuf* m, const PacketKey& key, uint64_t now_ms, Done* done);
    /// Frees packets whose time is over, `budget` at most.
    unsigned expire(uint64_t now_ms, unsigned budget);
    /// Adds its numbers to `stats`.
    void add_stats(CtStats* stats) const;

private:
    struct Datagram;
    struct Fragment;
    struct Id {
        uint64_t w[7];
        bool operator==(const Id&) const = default;
    };

    static bool read(const rte_mbuf* m, const PacketKey& key, Fragment* f);
    Datagram* find(const Id& id, uint64_t hash);
    Datagram* start(const Id& id, uint64_t hash, uint64_t now_ms);
    Verdict place(Datagram* d, rte_mbuf* m, const Fragment& f, Done* done);
    void finish(Datagram* d, Done* done);
    void unlink(Datagram* d);
    void drop_pieces(Datagram* d);
    bool make_room(uint32_t bytes, const Datagram* keep);

    const FragTableConfig config_;
    const KeyedHash hash_;
    uint32_t slots_ = 0;
    uint64_t mbuf_bytes_max_ = 0;
    std::unique_ptr<Datagram[]> datagrams_;
    std::unique_ptr<uint32_t[]> buckets_;  ///< index + 1 of the first of a chain
    uint32_t bucket_mask_ = 0;
    uint32_t free_ = 0;                 ///< index + 1
    uint32_t oldest_ = 0, newest_ = 0;  ///< index + 1: all in use, by age
    std::atomic<uint32_t> held_{0};
    std::atomic<uint64_t> held_bytes_{0};
    std::atomic<uint64_t> timed_out_{0}, refused_{0}, overlapping_{0};
};

}  // namespace sluice
