// SPDX-License-Identifier: Apache-2.0
// What a packet does to its connection, protocol by protocol: pure functions on CtState.
//
// TCP follows every end's sequence numbers and window ("Real Stateful TCP Packet Filtering in IP
// Filter", van Rooij 2000, as pf and Open vSwitch have it); UDP and everything without a state
// machine of its own counts directions; ICMP knows requests and replies. The verdicts are those of
// Open vSwitch 3.1's userspace conntrack, so are the timeouts (`ovs-appctl dpctl/ct-get-timeout`'s
// defaults): what comes before any answer is still "new".
// Threads: none of their own.
#pragma once

#include <iterator>

#include "datapath/conntrack/conn.h"

namespace sluice {

enum class CtVerdict : uint8_t {
    kInvalid,
    kOutOfWindow,  ///< TCP: invalid for where it lies
    kEstablished,
    kNew,     ///< belongs to the connection, which has not been answered: new, not est
    kReopen,  ///< SYN on a dead connection: it has to go, another begins
};

/// Advances `state` by a packet of direction `reply`. `timeout` says which deadline follows.
CtVerdict ct_advance(uint8_t proto, bool is_v6, bool reply, const PacketFacts& facts,
                     CtState* state, CtTimeout* timeout);
/// Whether the packet may open a connection.
bool ct_may_open(uint8_t proto, bool is_v6, const PacketFacts& facts, bool loose);
/// The state of a connection after its first packet.
CtTimeout ct_open(uint8_t proto, bool is_v6, const PacketFacts& facts, CtState* state);
/// The other end has answered and the connection is not closed: it is never evicted.
bool ct_is_alive(uint8_t proto, bool is_v6, const CtState& state);
/// A name as `ovs-appctl dpctl/dump-conntrack` has it; "" for protocols without states.
const char* ct_state_name(uint8_t proto, const CtState& state);
inline constexpr uint64_t kCtTimeouts_ms[] = {
    30'000,      // kTcpFirst
    30'000,      // kTcpOpening
    86'400'000,  // kTcpEstablished
    900'000,     // kTcpClosing
    45'000,      // kTcpFinWait
    30'000,      // kTcpClosed
    60'000,      // kOtherFirst
    60'000,      // kOtherMultiple
    30'000,      // kOtherBoth
    60'000,      // kIcmpFirst
    30'000,      // kIcmpReply
};
static_assert(std::size(kCtTimeouts_ms) == static_cast<size_t>(CtTimeout::kCount));
inline uint64_t ct_timeout_ms(CtTimeout timeout) {
    return kCtTimeouts_ms[static_cast<size_t>(timeout)];
}
/// What peer 0's state says of a connection that is neither TCP nor ICMP.
enum OtherState : uint8_t { kOtherFirst, kOtherMultiple, kOtherBoth };

}  // namespace sluice
