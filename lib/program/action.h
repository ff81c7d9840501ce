// SPDX-License-Identifier: Apache-2.0
// Instructions: what a logical flow's actions compile to, and a walk runs.
//
// One Instr is 24 bytes; a rule's code is a flat array, nested blocks (clone, arp, nd_na ...)
// follow their instruction inline and `d` says how many instructions they take. Operands name slots
// of State (lib/program/state.h); fields wider than 32 bits are split by the compiler. Instructions
// and what their pointers reach are immutable once published; the pipeline owns them.
// `next;` and `output;` are calls, as in ovn-sb(5): instructions after them still run.
#pragma once

#include <cstdint>

namespace sluice {

enum class Op : uint8_t {
    kNext,             ///< a: 0 ingress, 1 egress; d: table. Runs that table, then goes on
    kOutput,           ///< ingress: to the output stage with State's outport; egress: to the port
    kLoad,             ///< w[a] = (w[a] & ~e) | d
    kMove,             ///< bits: w[a] shift c <- w[b] shift d, width e (1..32)
    kExchange,         ///< same operands as kMove, both ways
    kPush,             ///< pushes (w[b] >> d) & width e
    kPop,              ///< w[a] shift c, width e <- top of stack
    kDecTtl,           ///< drops with ttl_expired when the result would be 0
    kClone,            ///< runs the next d instructions on a copy of the state
    kTransform,        ///< a: Transform; replaces the packet, runs the next d instructions on it
    kGetArp,           ///< eth.dst <- MAC of (port w[a], IPv4 w[b]), 0 if unknown
    kGetNd,            ///< eth.dst <- MAC of (port w[a], IPv6 at slot b), 0 if unknown
    kLookupArp,        ///< bit f of slot e <- 1 if (w[a], IPv4 w[b]) is known with MAC at slot c
    kLookupNd,         ///< same for IPv6 at slot b
    kLookupArpIp,      ///< bit f of slot e <- 1 if (w[a], IPv4 w[b]) is known with any MAC
    kLookupNdIp,       ///< same for IPv6
    kPutArp,           ///< tell the slow path: port w[a], IPv4 w[b], MAC at slot c
    kPutNd,            ///< same for IPv6
    kGetFdb,           ///< w[a] <- port of MAC at slot b, 0 if unknown
    kLookupFdb,        ///< bit f of slot e <- 1 if (port w[a], MAC at slot b) is known
    kPutFdb,           ///< tell the slow path: port w[a], MAC at slot b
    kCheckInPortSec,   ///< bit f of slot e <- 1 if the packet violates inport's port security
    kCheckOutPortSec,  ///< same for outport
    kCheckPktLarger,   ///< bit f of slot e <- 1 if the frame is longer than d bytes
    kSelect,           ///< w[a] shift c width e <- choice of SelectGroup p by flow hash
    kSetQueue,         ///< d: queue of the output port
    kSetMeter,         ///< d: rate kbit/s, e: burst kbit
    kCtClear,          ///< ct_state, ct_mark, ct_label <- 0
    kDrop,             ///< a: drops.def reason. Ends this path; counted with the flow
};

/// Packet-replacing actions. Each rebuilds headers from the current packet as ovn-sb(5) says.
enum class Transform : uint8_t {
    kArp,         ///< ARP request frame from an IPv4 packet
    kNdNs,        ///< neighbour solicitation from an IPv6 packet
    kNdNa,        ///< neighbour advertisement answering an NS
    kNdNaRouter,  ///< same with the router flag
};

struct Instr {
    Op op;
    uint8_t a = 0;
    uint8_t b = 0;
    uint8_t c = 0;
    uint32_t d = 0;
    uint32_t e = 0;
    uint32_t f = 0;
    const void* p = nullptr;
};
static_assert(sizeof(Instr) == 24);

/// Members of select(): choose the first i with hash % total < entries[i].end.
struct SelectGroup {
    struct Entry {
        uint32_t id;
        uint32_t end;  ///< cumulative weight
    };
    uint32_t total;
    uint32_t count;
    Entry entries[];
};

/// One logical flow's outcome: code to run and the flow's dense id for counters and names.
struct Rule {
    const Instr* code;
    uint32_t length;  ///< instructions in code
    uint32_t flow;    ///< index into flow counters; kNoFlow for rules the compiler made
};
inline constexpr uint32_t kNoFlow = 0xffffffffu;

}  // namespace sluice
