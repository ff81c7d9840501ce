// SPDX-License-Identifier: Apache-2.0
// CtConn: a connection as the table stores it, and CtKey, a direction of it packed for comparing.
//
// What. Three cache lines. Line 0 is what judging and advancing a packet reads and writes: who it
// is (generation), until when, TCP windows and states, mark, counters; a packet that finds its
// connection through a cached program touches nothing else. Lines 1 and 2 each hold one direction's
// key (what such a packet reads before NAT), half of the label, and what its counters in line 0
// have no room for. NAT is not stored apart:
// it is the difference between key 0 and the reverse of key 1.
//
// Design. The array of connections is never given back while the table lives, so any pointer may be
// read at any time. `generation` is odd while the slot holds a connection; it changes at birth and
// at death. A reader takes the generation, reads what it wants, and looks at the generation again.
// Keys, proto and nat are written only between two generations. State, windows, mark and label are
// written under `lock`; mark and label additionally between two values of `version`, which is odd
// meanwhile. Window and state words may be read one packet apart from each other by another worker:
// the judgement is then that of a packet which came a moment earlier.
// Every field is atomic with plain loads and stores (acquire and release cost nothing on x86).
//
// Threads: any worker.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "datapath/conntrack/conntrack.h"

namespace sluice {

/// A tuple in five words. Word 4: port or ICMP identifier of the source, port of the destination or
/// ICMP type, zone, protocol, address family.
struct CtKey {
    uint64_t w[5];
    bool operator==(const CtKey&) const = default;

    uint8_t proto() const { return static_cast<uint8_t>(w[4] >> 48); }
    bool is_v6() const { return w[4] >> 56 != 0; }
    uint16_t zone() const { return static_cast<uint16_t>(w[4] >> 32); }
    uint16_t src_port() const { return static_cast<uint16_t>(w[4]); }
    uint16_t dst_port() const { return static_cast<uint16_t>(w[4] >> 16); }
    void set_src_port(uint16_t v) { w[4] = (w[4] & ~0xffffULL) | v; }
    void set_dst_port(uint16_t v) { w[4] = (w[4] & ~0xffff0000ULL) | uint64_t{v} << 16; }
};

CtKey ct_key_of(const CtTuple& tuple);
CtTuple ct_tuple_of(const CtKey& key);
/// What an answer to such a packet reads.
CtKey ct_reverse(const CtKey& key);
/// True for the protocol that its family calls ICMP.
bool ct_is_icmp(uint8_t proto, bool is_v6);
/// True for protocols whose ports NAT may change.
bool ct_has_ports(uint8_t proto);
/// The type that answers an ICMP request, or asks for an answer; others stay as they are.
uint8_t ct_reverse_icmp(uint8_t type, bool is_v6);

enum class CtTimeout : uint8_t {
    kTcpFirst,
    kTcpOpening,
    kTcpEstablished,
    kTcpClosing,
    kTcpFinWait,
    kTcpClosed,
    kOtherFirst,
    kOtherMultiple,
    kOtherBoth,
    kIcmpFirst,
    kIcmpReply,
    kCount,
    kKeep = kCount,  ///< leave the deadline as it is
};

/// One end of a TCP connection. Other protocols use `state` of peer 0 alone.
struct CtPeer {
    uint32_t seq_low;     ///< highest sequence number sent
    uint32_t seq_high;    ///< highest that the other end lets it send
    uint16_t max_window;  ///< largest it announced, before scaling
    uint8_t scale;        ///< window scale with the flags of protocol.cc
    uint8_t state;
};
struct CtState {
    CtPeer peer[2];
};

struct alignas(64) CtConn {
    // Line 0.
    std::atomic<uint32_t> generation;
    std::atomic<uint32_t> version;
    std::atomic<uint64_t> deadline_ms;
    std::atomic<uint64_t> window[2];   ///< per peer: seq_low, seq_high << 32; ICMP: identifiers
    std::atomic<uint64_t> peers;       ///< per peer 32 bits: max_window, scale << 16, state << 24
    std::atomic<uint32_t> packets[2];  ///< by direction, the low words
    std::atomic<uint32_t> bytes[2];
    std::atomic<uint32_t> mark;
    std::atomic<uint8_t> lock;
    std::atomic<uint8_t> timeout;  ///< CtTimeout of the deadline
    std::atomic<uint8_t> proto;
    std::atomic<uint8_t> nat;  ///< CtNat: kNone, kSrc, kDst
    // Lines 1 and 2, one a direction.
    struct alignas(64) Direction {
        std::atomic<uint64_t> key[5];
        std::atomic<uint64_t> label;         ///< most significant half in dir[0]
        std::atomic<uint32_t> packets_high;  ///< of the counters
        std::atomic<uint32_t> bytes_high;
        std::atomic<uint32_t> next_free;  ///< of direction 0: index + 1 in the list of free slots
        std::atomic<uint8_t> is_linked;   ///< the hash table leads here from this key
    } dir[2];

    void load_key(unsigned d, CtKey* out) const {
        for (unsigned i = 0; i < 5; ++i) {
            out->w[i] = dir[d].key[i].load(std::memory_order_acquire);
        }
    }
    void store_key(unsigned d, const CtKey& key) {
        for (unsigned i = 0; i < 5; ++i) {
            dir[d].key[i].store(key.w[i], std::memory_order_release);
        }
    }
    bool has_key(unsigned d, const CtKey& key) const {
        uint64_t differs = 0;
        for (unsigned i = 0; i < 5; ++i) {
            differs |= dir[d].key[i].load(std::memory_order_acquire) ^ key.w[i];
        }
        return differs == 0;
    }
    static CtPeer peer_of(uint64_t window, uint64_t peers, unsigned i) {
        const auto half = static_cast<uint32_t>(peers >> 32 * i);
        return {static_cast<uint32_t>(window), static_cast<uint32_t>(window >> 32),
                static_cast<uint16_t>(half), static_cast<uint8_t>(half >> 16),
                static_cast<uint8_t>(half >> 24)};
    }
    static uint64_t window_of(const CtPeer& peer) {
        return peer.seq_low | uint64_t{peer.seq_high} << 32;
    }
    /// The half of `peers` that is peer i's.
    static uint64_t half_of(const CtPeer& peer, unsigned i) {
        const uint32_t half = peer.max_window | static_cast<uint32_t>(peer.scale) << 16 |
                              static_cast<uint32_t>(peer.state) << 24;
        return uint64_t{half} << 32 * i;
    }
    void load_state(CtState* out) const {
        const uint64_t p = peers.load(std::memory_order_acquire);
        for (unsigned i = 0; i < 2; ++i) {
            out->peer[i] = peer_of(window[i].load(std::memory_order_acquire), p, i);
        }
    }
    void store_state(const CtState& state) {
        for (unsigned i = 0; i < 2; ++i) {
            window[i].store(window_of(state.peer[i]), std::memory_order_release);
        }
        peers.store(half_of(state.peer[0], 0) | half_of(state.peer[1], 1),
                    std::memory_order_release);
    }
    void set_counters(unsigned d, uint64_t n_packets, uint64_t n_bytes) {
        packets[d].store(static_cast<uint32_t>(n_packets), std::memory_order_relaxed);
        bytes[d].store(static_cast<uint32_t>(n_bytes), std::memory_order_relaxed);
        dir[d].packets_high.store(static_cast<uint32_t>(n_packets >> 32),
                                  std::memory_order_relaxed);
        dir[d].bytes_high.store(static_cast<uint32_t>(n_bytes >> 32), std::memory_order_relaxed);
    }
    void add_packet(unsigned d, uint32_t n_bytes) {
        bump(packets[d], dir[d].packets_high, 1);
        bump(bytes[d], dir[d].bytes_high, n_bytes);
    }
    /// May miss a carry that happens meanwhile: for people.
    uint64_t packets_of(unsigned d) const {
        return packets[d].load(std::memory_order_relaxed) |
               uint64_t{dir[d].packets_high.load(std::memory_order_relaxed)} << 32;
    }
    uint64_t bytes_of(unsigned d) const {
        return bytes[d].load(std::memory_order_relaxed) |
               uint64_t{dir[d].bytes_high.load(std::memory_order_relaxed)} << 32;
    }
    bool is(uint32_t wanted) const { return generation.load(std::memory_order_acquire) == wanted; }

private:
    static void bump(std::atomic<uint32_t>& low, std::atomic<uint32_t>& high, uint32_t n) {
        const uint32_t before = low.load(std::memory_order_relaxed);
        low.store(before + n, std::memory_order_relaxed);
        if (before + n < before) {
            high.store(high.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        }
    }
};
static_assert(sizeof(CtConn) == 192);
static_assert(offsetof(CtConn, dir) == 64 && sizeof(CtConn::Direction) == 64);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

/// Spins for the few stores that some other thread makes meanwhile.
class SpinGuard {
public:
    explicit SpinGuard(std::atomic<uint8_t>& lock) : lock_(lock) { acquire(lock); }
    ~SpinGuard() { lock_.store(0, std::memory_order_release); }
    SpinGuard(const SpinGuard&) = delete;
    SpinGuard& operator=(const SpinGuard&) = delete;

    static void acquire(std::atomic<uint8_t>& lock) {
        while (lock.exchange(1, std::memory_order_acquire)) {
            while (lock.load(std::memory_order_relaxed)) {
                __builtin_ia32_pause();
            }
        }
    }

private:
    std::atomic<uint8_t>& lock_;
};

}  // namespace sluice
