// SPDX-License-Identifier: Apache-2.0
// Walker: runs the compiled logical pipelines on one packet's State and writes the flat program.
//
// What. An interpreter of Instr (lib/program/action.h) with the stages between the pipelines:
// output (remote part, local part, loopback check) and logical-to-physical. It sees no bytes.
// Design. `next` and `output` are calls; a `next` that ends its rule is a jump, so depth counts
// real nesting only. Every delivered copy works on the State as it was at `output` and gives it
// back after. What an action wrote into a header field is noted bit by bit (Frame::written),
// because "written" and "different from this packet's value" are not the same for the next packet
// that hits the cached program.
// Cost. One Walker is some 4 KB of stack that is used (and room for trails, which only conntrack
// uses); nested outputs add one Frame each.
// Threads. The worker's own.
#pragma once

#include <cstdint>

#include "datapath/program.h"
#include "datapath/stages.h"
#include "datapath/trace.h"
#include "datapath/walk_ct.h"
#include "datapath/walk_env.h"
#include "lib/program/pipeline.h"
#include "lib/program/state.h"

namespace sluice {

/// What a copy (clone, output, transform) must find unchanged when the copy is done.
struct Frame {
    static constexpr unsigned kFirstHeaderSlot = kSlotEthSrc;
    static constexpr unsigned kHeaderSlots = kSlotPktLen - kFirstHeaderSlot;

    State s;
    uint32_t written[kHeaderSlots];  ///< bits of header slots that an action set
    const Datapath* datapath;
    uint32_t n_prefix;        ///< words of Walker::prefix in force
    uint32_t queue;           ///< set_queue, kNoQueue
    const CtTrail* ct;        ///< what conntrack has made of the packet; null: nothing
    const PacketFacts* made;  ///< of a packet that a transform made; null: it came in
    uint16_t ct_depth;        ///< trails in use up to here
    uint8_t n_made;           ///< facts made up to here
    uint16_t reentries;       ///< patch ports crossed on this path
    uint8_t n_meters;         ///< set_meter() passed on this path: what follows stands behind them

    static constexpr uint32_t kNoQueue = 0xffffffffu;
    static constexpr unsigned kMaxMeters = 16;  ///< more share the last number
    uint16_t meters() const { return static_cast<uint16_t>((1u << n_meters) - 1); }
    void write(unsigned slot, uint32_t mask, uint32_t value) {
        s.w[slot] = (s.w[slot] & ~mask) | (value & mask);
        if (slot >= kFirstHeaderSlot && slot < kSlotPktLen) {
            written[slot - kFirstHeaderSlot] |= mask;
        }
    }
};

/// Words that must run before the sets of a section: transforms, and the sets before them.
struct Prefix {
    static constexpr uint32_t kWords = 192;
    uint64_t words[kWords];
};

/// Where a punted packet goes on when it is answered.
struct PuntPlace {
    uint8_t side = 0;
    uint8_t table = 0;
    uint8_t slot = 0;
    uint8_t bit = 0;
};

// walk_emit.cc: sections of the program.
/// Appends the sets of all written header fields. Returns how many words.
uint32_t append_sets(const Frame& frame, uint64_t* words);
void emit_output(const Frame& frame, const Prefix& prefix, const LogicalPort& port,
                 ProgramBuffer* out);
void emit_tunnel(const Frame& frame, const Prefix& prefix, uint32_t tunnel, ProgramBuffer* out);
/// A copy for a mirror, with the tag that the port has on the wire.
void emit_mirror(const Frame& frame, const Prefix& prefix, const LogicalPort& port, uint32_t number,
                 ProgramBuffer* out);
void emit_drop(const Frame& frame, Drop reason, uint32_t flow, ProgramBuffer* out);
void emit_punt(const Frame& frame, const Prefix& prefix, const PuntPlace& place, const Instr& instr,
               uint32_t flow, ProgramBuffer* out);
void emit_message(const Frame& frame, const Instr& instr, uint32_t flow, ProgramBuffer* out);
/// Takes tokens once; what follows on the path is done if there were enough.
void emit_meter(const Instr& instr, uint32_t flow, Frame* frame, ProgramBuffer* out);

// walk_lookup.cc: instructions that look something up.
void lookup(const Frame& frame, const Instr& instr, Frame* result);

// transform_state.cc
/// Makes the State that of the packet which replaces the current one. False: it is not a packet
/// that the action answers, nothing is made.
bool transform_state(Transform what, Frame* frame);
/// What conntrack is to know of the new packet: `before` is the State that was replaced, `old` its
/// facts. Type and code of an ICMP error are the State's by the time that somebody asks.
void transform_facts(Transform what, const State& before, const PacketFacts& old,
                     PacketFacts* facts);

// port_security.cc
/// True when the packet violates the port's security.
bool violates_in(const PortSecurity& security, const State& s);
bool violates_out(const PortSecurity& security, const State& s);

/// One walk over one packet.
template <bool kTrace>
class Walker {
public:
    Walker(const Pipeline& pipeline, const WalkEnv& env, ProgramBuffer* out, Trace* trace)
        : pipeline_(pipeline), env_(env), out_(*out), trace_(trace) {}

    void start(const PacketKey& key, const WalkStart& start);
    uint64_t lookups() const { return lookups_; }
    uint64_t metered() const { return metered_; }  ///< messages that a meter kept back

private:
    static constexpr unsigned kMaxTotalReentries = 1u << 16;  ///< of all copies of one packet
    static constexpr unsigned kMaxTrails = 64;                ///< conntrack steps of one path
    static constexpr unsigned kMaxMade = 4;  ///< transforms of one path that conntrack sees
    static constexpr unsigned kCtWords = kSlotEthSrc - kSlotCtState;

    // walk.cc
    void run(unsigned side, unsigned table);
    const Instr* exec(const Instr* code, const Instr* end, unsigned side, bool* went);
    const Instr* exec_call(const Instr* i, const Instr* end, unsigned side);
    bool exec_data(const Instr& i);
    void resume(const WalkStart& start);
    void move(const Instr& i, bool exchange);
    void clone(const Instr* i, unsigned side);
    void transform(const Instr* i, unsigned side);
    bool descend();
    void drop(Drop reason);

    // walk_output.cc
    void output(bool remote);
    void output_group(const Group& group, bool remote);
    void output_members(const std::vector<uint32_t>& members, bool remote);
    void output_port(uint32_t key, bool remote, bool in_group);
    void output_tunnel(uint32_t tunnel, bool is_ramp, bool remote);
    void output_copies(const LogicalPort& port, bool remote);
    bool output_from_spread(const SpecialPort& port);
    bool prepare_special(const SpecialPort& port);
    void output_bridged(const LogicalPort& port);
    bool leaves_by_wire(const LogicalPort& port);
    bool is_from_ramp() const;
    bool is_own_ramp(uint32_t tunnel) const;
    void deliver(const LogicalPort& port, bool in_group);
    void logical_to_physical();
    void reenter(const LogicalPort& port);
    void mirror_received(const PacketKey& key);
    void mirror(const LogicalPort& port, uint64_t mirrors);
    bool from_localport() const;

    // walk_punt.cc
    /// False when the packet is the slow path's and the path ends.
    bool punt(const Instr* i, const Instr* end);
    /// Takes tokens of the flow's controller_meter, if the step is behind one.
    bool within_meter(const Instr& i);
    /// Keeps the packet for its next hop; the request for it, which follows, shares its meter.
    const Instr* hold(const Instr* i, const Instr* end);
    void buffer(const Instr& i);

    // walk_memory.cc
    /// Steps that remember or recall something, and those of EVPN. False when the path ends.
    bool exec_memory(const Instr& i);
    void memory_bit(const Instr& i, bool value) {
        f_.write(i.e, 1u << i.f, static_cast<uint32_t>(value) << i.f);
    }
    bool set_meter(const Instr& i);
    void check_affinity(const Instr& i);
    void check_evpn_arp(const Instr& i);
    void choose_forward(const Instr& i);
    void flood_remote();
    void use_mac(const Instr& i);

    // walk_ct.cc
    /// Steps of conntrack and load balancing; the nested block of kCtCommit follows `i`. False when
    /// the packet was dropped.
    bool exec_ct(const Instr* i, unsigned side);
    bool track(const CtRequest& request);
    CtAnswer ask(const CtRequest& request, CtTrail* trail);
    bool replay(const CtRequest& request, CtTrail* trail);
    void translate(CtTrail* trail);
    void depend(const CtAnswer& answer, const CtView& view);
    void show_original(const CtView& view);
    bool commit(const Instr& i, unsigned side);
    void forget_ct();
    void resume_ct(uint16_t zone);
    void make_facts(Transform what, const State& before);
    CtTrail* next_trail();
    const PacketFacts& packet_facts();
    uint16_t zone_of(uint8_t zone, unsigned side) const;
    CtTuple tuple_of(const CtTrail& trail, uint16_t zone) const;
    bool has_own_ports() const;

    // walk_lb.cc
    bool balance(const Instr& i, unsigned side);
    bool snat_to_vip(const Instr& i, unsigned side);
    void check_hairpin(const Instr& i);
    void original(const Instr& i);
    const CtTuple* original_tuple() const;

    void record(TraceRecord::Kind kind, uint32_t target = 0, uint32_t count = 0);

    const Pipeline& pipeline_;
    const WalkEnv& env_;
    ProgramBuffer& out_;
    Trace* trace_;
    const PacketKey* key_ = nullptr;
    Frame f_;
    uint32_t flow_ = kNoFlow;  ///< of the rule that runs
    unsigned depth_ = 0;
    unsigned total_reentries_ = 0;
    uint32_t source_ = 0;  ///< EntryPoint::source
    uint64_t lookups_ = 0;
    uint64_t metered_ = 0;
    uint64_t mirrored_ = 0;  ///< mirrors that have their copy of this packet
    uint32_t sp_ = 0;
    uint32_t stack_[limits::kMaxStack];
    Prefix prefix_;
    bool have_facts_ = false;
    unsigned replayed_ = 0;    ///< steps of env_.replay that are done
    int32_t asked_zone_ = -1;  ///< by a duplicate fragment
    PacketFacts facts_;
    PacketFacts made_[kMaxMade];
    alignas(CtTrail) unsigned char trails_[kMaxTrails * sizeof(CtTrail)];
};

}  // namespace sluice
