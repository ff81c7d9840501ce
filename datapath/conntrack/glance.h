// SPDX-License-Identifier: Apache-2.0
// Glance: the short way of a packet that finds its connection as the program before left it.
//
// What. Nearly all packets that hit a cached program belong to established connections and change
// nothing but TCP windows, a deadline and two counters. ct_glance() is review() for these, and
// ct_settle() is touch(); whatever is unusual is left to those two, which judge by the same code.
// Design. Facts are read without a general parser. Nothing is judged twice: the windows that the
// glance worked out are the ones that are stored. The connection's lock is taken only to store
// windows or a deadline, and a deadline is moved when it is kGrain_ms off, so connections that are
// busy are mostly read. Counters are stored without the lock, as everywhere else.
// Threads: any worker.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "datapath/conntrack/conn.h"
#include "datapath/conntrack/protocol.h"
#include "datapath/conntrack/tcp_segment.h"
#include "datapath/program.h"
#include "lib/base/check.h"
#include "lib/program/key.h"
#include "lib/program/state.h"

namespace sluice {

/// What a plain segment or datagram says; names as in PacketFacts.
struct QuickFacts {
    uint32_t tcp_seq;
    uint32_t tcp_ack;
    uint32_t payload_len;
    uint16_t tcp_flags;
    uint16_t tcp_window;
    uint8_t proto;
};

/// False: read_facts() must look (not valid, in pieces, a flag other than ACK and PSH).
bool read_quick_facts(const rte_mbuf* m, const PacketKey& key, QuickFacts* facts);

/// The words of a connection that segments change. In registers: a judgement reads and writes them
/// whole.
struct CtWords {
    uint64_t src_window;
    uint64_t dst_window;
    uint64_t peers;
    bool operator==(const CtWords&) const = default;

    static CtWords of(const CtConn& conn, unsigned dir) {
        return {conn.window[dir].load(std::memory_order_acquire),
                conn.window[dir ^ 1].load(std::memory_order_acquire),
                conn.peers.load(std::memory_order_acquire)};
    }
};

/// What ct_glance() worked out, for ct_settle().
struct CtGlance {
    CtWords before;
    CtWords after;
    uint64_t deadline_ms;  ///< to be stored, 0: good as it is
};

inline constexpr uint64_t kGrain_ms = 256;

/// The step's connection says what it said, and the packet is of the usual kind.
inline bool ct_glance(const CtStep& step, const QuickFacts& facts, uint64_t now_ms,
                      CtGlance* glance) {
    constexpr uint32_t kNat = ct::kSnat | ct::kDnat;
    const CtConn& conn = *step.conn;
    const uint32_t usual = ct::kTrk | ct::kEst | (step.is_reply ? ct::kRpl : 0u);
    const bool tcp = facts.proto == 6;
    const CtTimeout timeout = tcp ? CtTimeout::kTcpEstablished : CtTimeout::kOtherBoth;
    const uint64_t deadline = conn.deadline_ms.load(std::memory_order_acquire);
    if (SLUICE_UNLIKELY(
            !conn.is(step.generation) || (step.ct_state & ~kNat) != usual ||
            conn.version.load(std::memory_order_acquire) != step.version || now_ms >= deadline ||
            conn.proto.load(std::memory_order_acquire) != facts.proto ||
            conn.timeout.load(std::memory_order_acquire) != static_cast<uint8_t>(timeout))) {
        return false;
    }
    const uint64_t next = now_ms + kCtTimeouts_ms[static_cast<size_t>(timeout)];
    glance->deadline_ms = next - deadline >= kGrain_ms ? next : 0;
    const unsigned dir = step.is_reply != 0;
    const CtWords words = CtWords::of(conn, dir);
    glance->before = words;
    glance->after = words;
    CtPeer src = CtConn::peer_of(words.src_window, words.peers, dir);
    CtPeer dst = CtConn::peer_of(words.dst_window, words.peers, dir ^ 1);
    if (!tcp) {
        return (dir ? dst : src).state == kOtherBoth && conn.is(step.generation);
    }
    if (SLUICE_UNLIKELY(src.state != tcp::kEstablished || dst.state != tcp::kEstablished)) {
        return false;
    }
    tcp::Segment segment(&src, &dst, facts);
    segment.ease();
    if (SLUICE_UNLIKELY(!segment.in_window())) {
        return false;
    }
    segment.learn();
    glance->after = {CtConn::window_of(src), CtConn::window_of(dst),
                     CtConn::half_of(src, dir) | CtConn::half_of(dst, dir ^ 1)};
    return conn.is(step.generation);
}

/// False: somebody else changed the connection since; ask it again.
inline bool ct_settle(const CtStep& step, const CtGlance& glance, uint32_t bytes) {
    CtConn& conn = *step.conn;
    if (glance.deadline_ms || !(glance.after == glance.before)) {
        const unsigned from = step.is_reply != 0;
        SpinGuard guard(conn.lock);
        if (!conn.is(step.generation) || !(CtWords::of(conn, from) == glance.before)) {
            return false;
        }
        conn.window[from].store(glance.after.src_window, std::memory_order_release);
        conn.window[from ^ 1].store(glance.after.dst_window, std::memory_order_release);
        conn.peers.store(glance.after.peers, std::memory_order_release);
        if (glance.deadline_ms) {
            conn.deadline_ms.store(glance.deadline_ms, std::memory_order_release);
        }
    }
    conn.add_packet(step.is_reply != 0, bytes);
    return true;
}

}  // namespace sluice
