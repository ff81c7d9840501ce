// SPDX-License-Identifier: Apache-2.0
// The flat program: what a walk decides and apply does, for cache hits and misses alike.
//
// What. A program is an array of 64-bit words: sections, each a header word and then act words.
// A packet section starts from the packet as received and ends in kOutput; side sections (drops,
// learn messages) need no bytes. All packet sections but the last run on a copy, the last edits in
// place. A program without packet section frees the packet.
// Why. The cache can store it as it is, apply is a straight loop without state of the walk, and a
// test can demand equal frames with the cache on and off.
// Design. Sets carry a mask when an action wrote only part of a field: the other bits are the
// packet's own, which need not be part of the cache key. A ProgramBuffer also notes what makes the
// program reusable: the datapaths crossed, the connections asked and the flows to credit.
// Threads. A ProgramBuffer belongs to one worker.
#pragma once

#include <cstdint>

#include "lib/base/check.h"
#include "lib/base/limits.h"
#include "lib/program/action.h"
#include "lib/stats/counters.h"

namespace sluice {

/// First byte of every word that starts an act.
enum class Act : uint8_t {
    // Sections begin with b: the meters they stand behind (bits), d: how many words follow.
    kPacketSection,  ///< a: 1 in place
    kSideSection,
    kSet,          ///< a: Target, value in the low 48 bits
    kSetMasked,    ///< same, then a word with the mask
    kSet16,        ///< a: Target of 16 bytes, then two words
    kSet16Masked,  ///< same, then two mask words
    kTransform,    ///< a: Transform
    kIcmpId,       ///< d: identifier of an ICMP echo
    kInnerNat,     ///< a: 1 IPv6, d: ports << 16 (or ICMP identifiers) of the packet that an ICMP
                   ///< error quotes; then its addresses: two words source, two destination
    kPushVlan,     ///< low 16 bits: TCI; sets the VID when the frame has a tag already
    kEncap,  ///< d: tunnel index, or MirrorSink::kTarget | its number; then a word datapath << 32 |
             ///< inport << 16 | outport
    kQueue,  ///< d: queue of the output port
    kMeter,  ///< a: number of the meter, d: rate kbit/s, then flow << 32 | burst kbit, then
             ///< datapath << 32 | inport, then length of the packet or 0: as received
    kOutput,  ///< b: PortId
    kDrop,    ///< a: Drop, d: flow; then a word datapath << 32 | inport
    kPunt,    ///< a: PuntReason, b: meter index + 1 or 0, d: PuntArgs id; then flow << 32 |
    ///< copy << 31 | side << 24 | table << 16 | slot << 8 | bit, then kLogicalSlots / 2 words,
    ///< then the zone that ct_state is from.
    ///< Ends the section: the slow path gets the packet
    kMessage,  ///< a: Message::Kind; then datapath << 32 | port, flow, mac, two words of IP
};

/// What kSet writes: a field of the frame, or all the bytes a header field takes.
enum class Target : uint8_t {
    kEthDst,
    kEthSrc,
    kVlanTci,
    kIpTtl,
    kIpTos,
    kIp4Src,
    kIp4Dst,
    kIp6Label,
    kL4Src,
    kL4Dst,
    kArpOp,
    kArpSpa,
    kArpTpa,
    kArpSha,
    kArpTha,
    kNdSll,
    kNdTll,
    kIcmpMtu,          ///< of "fragmentation needed" or "packet too big"; nothing in other packets
    kIcmpInnerIp4Src,  ///< source of the IPv4 packet that an ICMPv4 error quotes; same
    kIp6Src,           ///< the first of 16 bytes
    kIp6Dst,
    kNdTarget,
};

namespace act {
constexpr uint64_t word(Act act, uint8_t a = 0, uint16_t b = 0, uint32_t d = 0) {
    return static_cast<uint64_t>(act) << 56 | uint64_t{a} << 48 | uint64_t{b} << 32 | d;
}
constexpr uint64_t set(Act act, Target target, uint64_t value48) {
    return static_cast<uint64_t>(act) << 56 | static_cast<uint64_t>(target) << 48 | value48;
}
constexpr Act of(uint64_t w) {
    return static_cast<Act>(w >> 56);
}
constexpr uint8_t a(uint64_t w) {
    return static_cast<uint8_t>(w >> 48);
}
constexpr uint16_t b(uint64_t w) {
    return static_cast<uint16_t>(w >> 32);
}
constexpr uint32_t d(uint64_t w) {
    return static_cast<uint32_t>(w);
}
constexpr uint64_t value48(uint64_t w) {
    return w & 0xffffffffffffull;
}
inline constexpr uint64_t kInPlace = uint64_t{1} << 48;  ///< in a kPacketSection word
}  // namespace act

struct CtConn;

/// What a program took from one look at a connection. While the connection still says so, the
/// program holds for the next packet with the same key.
struct CtStep {
    CtConn* conn;
    uint32_t generation;
    uint32_t version;
    uint32_t ct_state;  ///< without snat and dnat, which follow from the connection
    uint32_t is_reply;
};
inline constexpr uint32_t kCtStepWords = sizeof(CtStep) / sizeof(uint64_t);
static_assert(sizeof(CtStep) == 24);

/// A finished program, wherever it is stored.
struct ProgramView {
    const uint64_t* words;
    uint32_t n_words;
};

/// Where a walk writes. Overflow never loses an output: the owner's `flush` runs what there is on
/// copies, and the rest goes on in the emptied buffer, which is then not cacheable.
struct ProgramBuffer {
    static constexpr uint32_t kWords = 8192;
    static constexpr uint32_t kMaxSection = 512;  ///< most words of one section
    static constexpr uint32_t kFlows = 2048;
    static constexpr uint32_t kNoSection = 0xffffffffu;
    static constexpr uint32_t kMaxSteps = 15;  ///< more looks at connections: not cacheable

    uint32_t n_words;
    uint32_t open;         ///< index of the section being written
    uint32_t last_packet;  ///< index of the last kPacketSection word, kNoSection
    uint32_t n_flows;
    uint8_t n_crossed;
    uint8_t n_steps;
    bool cacheable;
    bool needs_whole;  ///< a fragment met conntrack: forget the program, wait for the rest
    CtStep steps[kMaxSteps];
    uint32_t crossed[limits::kMaxCrossed];  ///< datapath indexes
    void (*flush)(void* owner, ProgramBuffer* buffer);
    void* owner;
    uint64_t words[kWords];
    uint32_t flows[kFlows];  ///< flow ids hit, repeated as often as hit

    void reset() {
        n_words = 0;
        last_packet = kNoSection;
        n_flows = 0;
        n_crossed = 0;
        n_steps = 0;
        cacheable = true;
        needs_whole = false;
    }
    void spill() {
        flush(owner, this);
        n_words = 0;
        last_packet = kNoSection;
        n_flows = 0;
        cacheable = false;
    }
    void credit(uint32_t flow) {
        if (flow == kNoFlow) {
            return;
        }
        if (SLUICE_UNLIKELY(n_flows == kFlows)) {
            spill();
        }
        flows[n_flows++] = flow;
    }
    void cross(uint32_t datapath) {
        for (unsigned i = 0; i < n_crossed; ++i) {
            if (crossed[i] == datapath) {
                return;
            }
        }
        if (n_crossed == limits::kMaxCrossed) {
            cacheable = false;
            return;
        }
        crossed[n_crossed++] = datapath;
    }
    void depend(const CtStep& step) {
        if (n_steps == kMaxSteps) {
            cacheable = false;
            return;
        }
        steps[n_steps++] = step;
    }
    /// Starts a section; then put() up to kMaxSection words and end_section().
    void begin_section(Act kind, uint16_t behind = 0) {
        if (SLUICE_UNLIKELY(n_words + kMaxSection > kWords)) {
            spill();
        }
        open = n_words;
        put(act::word(kind, 0, behind));
    }
    void put(uint64_t word) { words[n_words++] = word; }
    void end_section() {
        SLUICE_DCHECK(n_words - open <= kMaxSection);
        words[open] |= n_words - open - 1;
        if (act::of(words[open]) == Act::kPacketSection) {
            last_packet = open;
        }
    }
    /// The walk is over: the last packet section may use the packet itself.
    void finish() {
        if (last_packet != kNoSection) {
            words[last_packet] |= act::kInPlace;
        }
    }
    ProgramView view() const { return {words, n_words}; }
};

}  // namespace sluice
