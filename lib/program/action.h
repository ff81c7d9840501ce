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
    kOutput,           ///< to the output stage with State's outport; in egress to the port, unless
                       ///< a: 1
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
    kSelect,           ///< w[a] shift c width e <- choice of SelectGroup p by hash of the fields d
                       ///< (select_hash bits; 0: the flow hash)
    kSetQueue,         ///< d: queue of the output port
    kSetMeter,         ///< d: rate kbit/s, e: burst kbit
    // Connection tracking. Zones are CtZone; what p points at is in lib/program/ct_args.h.
    kCtClear,       ///< ct_state, ct_mark, ct_label <- 0
    kCtNext,        ///< a: zone, b: 1 to undo NAT. Looks up; writes ct_state, ct_mark, ct_label
    kCtCommit,      ///< a: zone, b: 1 to write ct_* back (the step recirculates), p: CtCommitArgs;
                    ///< the next d instructions write ct_mark and ct_label of the connection
    kCtLb,          ///< a: zone, p: CtLbArgs. Chooses a backend, commits DNAT, writes ct_* back
    kCtSnatToVip,   ///< a: zone. Commits SNAT to the hairpin address, writes ct_* back
    kCtOriginal,    ///< field at slot a of width e, shift c <- CtOriginal b of the connection
    kChkLbHairpin,  ///< bit f of slot e <- 1 if the chosen backend is the packet's own source
    kChkLbHairpinReply,  ///< same for replies
    kCommitLbAff,        ///< p: LbAffinityArgs. Remembers client to backend
    kChkLbAff,           ///< bit f of slot e <- 1 if remembered; backend to the LB registers
    kCommitEcmpNh,       ///< a: 1 IPv6, b: protocol. Remembers previous hop (MAC, inport)
    kChkEcmpNh,          ///< bit f of slot e <- 1 if remembered
    kChkEcmpNhMac,       ///< bit f of slot e <- 1 if remembered with this eth.src
    kFwdGroup,           ///< outport <- one of the FwdGroupArgs at p; a: 1 if it has to be up
    kGetRemoteFdb,       ///< w[a] <- remote VTEP port of MAC at slot b, 0 if unknown
    kChkEvpnArp,   ///< bit f of slot e <- 1 and eth.dst if EVPN knows the address at slot b, c: v6
    kFloodRemote,  ///< to all remote EVPN VTEPs of the datapath
    kBuffer,       ///< keeps a copy until (outport, next hop) is resolved; a: 1 IPv6. Then it is
                   ///< output or, with b: 1, goes on in (side c, table d)
    kMacCacheUse,  ///< tell the slow path that the binding of (inport, source) is in use
    kPunt,         ///< a: PuntReason, b: PuntKind, d: id of PuntArgs, p: PuntSpec, (e, f): result
                   ///< bit. kPuntResumes is followed by the kNext where the answer goes on
    kDrop,         ///< a: drops.def reason. Ends this path; counted with the flow
};

/// Packet-replacing actions. Each rebuilds headers from the current packet as ovn-sb(5) says.
enum class Transform : uint8_t {
    kArp,         ///< ARP request frame from an IPv4 packet
    kNdNs,        ///< neighbour solicitation from an IPv6 packet
    kNdNa,        ///< neighbour advertisement answering an NS
    kNdNaRouter,  ///< same with the router flag
    kIcmp4,       ///< ICMPv4 error quoting the packet; type and code are written by the nested code
    kIcmp4Error,  ///< same, for packet-too-big
    kIcmp6,
    kIcmp6Error,
    kTcpReset,   ///< RST to the sender
    kSctpAbort,  ///< ABORT to the sender
    kReject,     ///< RST, ABORT or ICMP unreachable, addresses swapped
};

/// What kCtOriginal reads of the connection's original direction.
enum class CtOriginal : uint8_t { kIp4Dst, kIp6Dst, kL4Dst, kProto };

enum PuntKind : uint8_t {
    kPuntCopies = 0,   ///< the slow path gets a copy, the packet goes on
    kPuntEnds = 1,     ///< the slow path gets the packet; the path ends here
    kPuntResumes = 2,  ///< the slow path answers, the packet goes on with the next instruction
};

/// What a worker has to know of a kPunt.
struct PuntSpec {
    uint32_t meter;        ///< index in Pipeline::meters, kNoMeter
    uint32_t probability;  ///< of 65536: how many are punted (sample())
};
inline constexpr uint32_t kNoMeter = 0xffffffffu;

/// Children of fwd_group(): the first i with hash % count == i whose port is up.
struct FwdGroupArgs {
    uint32_t count;
    uint32_t ports[];
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
