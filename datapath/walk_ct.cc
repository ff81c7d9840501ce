// SPDX-License-Identifier: Apache-2.0
// Steps of a walk that ask the connection table, and what they do to the packet.
#include "datapath/walk_ct.h"

#include <arpa/inet.h>

#include <cstring>
#include <new>
#include <optional>

#include "datapath/walk.h"
#include "lib/net/wire.h"

namespace sluice {
namespace {

constexpr uint32_t kNatBits = ct::kSnat | ct::kDnat;

bool is_icmp(const State& s) {
    return s.w[kSlotIpProto] == wire::kProtoIcmp || s.w[kSlotIpProto] == wire::kProtoIcmp6;
}

bool has_ports(const State& s) {
    return s.w[kSlotIpProto] == wire::kProtoTcp || s.w[kSlotIpProto] == wire::kProtoUdp;
}

void copy4(uint32_t* to, const uint32_t* from) {
    std::memcpy(to, from, 4 * sizeof *to);
}

/// The field at `slot` (one slot, or four of IPv6) becomes `words`; only what differs is written.
void write_address(Frame* f, unsigned slot4, unsigned slot6, bool v6, const uint32_t words[4]) {
    const unsigned slot = v6 ? slot6 : slot4 - 3;
    for (unsigned i = v6 ? 0 : 3; i < 4; ++i) {
        if (f->s.w[slot + i] != words[i]) {
            f->write(slot + i, ~0u, words[i]);
        }
    }
}

void write_addresses(Frame* f, const uint32_t src[4], const uint32_t dst[4]) {
    const bool v6 = f->s.w[kSlotEthType] == wire::kTypeIp6;
    write_address(f, kSlotIp4Src, kSlotIp6Src, v6, src);
    write_address(f, kSlotIp4Dst, kSlotIp6Dst, v6, dst);
}

void write_port(Frame* f, unsigned slot, uint16_t port) {
    if (f->s.w[slot] != port) {
        f->write(slot, 0xffff, port);
    }
}

/// Takes what a translation has made of `before` out of the sight of flows.
void hide(const State& before, State* s, CtTrail* trail) {
    const auto hide_words = [&](unsigned slot, unsigned count) {
        for (; count != 0; ++slot, --count) {
            if (s->w[slot] != before.w[slot]) {
                trail->unseen[trail->n_unseen++] = {static_cast<uint16_t>(slot), s->w[slot]};
                s->w[slot] = before.w[slot];
            }
        }
    };
    const bool v6 = s->w[kSlotEthType] == wire::kTypeIp6;
    hide_words(v6 ? kSlotIp6Src : kSlotIp4Src, v6 ? 4 : 1);
    hide_words(v6 ? kSlotIp6Dst : kSlotIp4Dst, v6 ? 4 : 1);
    hide_words(kSlotL4Src, 1);
    hide_words(kSlotL4Dst, 1);
}

bool same_quote(const CtTuple& a, const CtTuple& b) {
    return std::memcmp(a.src, b.src, sizeof a.src) == 0 &&
           std::memcmp(a.dst, b.dst, sizeof a.dst) == 0 && a.src_port == b.src_port &&
           a.dst_port == b.dst_port;
}

/// Static bits of ct_commit and what its block writes, in one. `block`: loads and moves of which
/// only those to ct_mark and ct_label have an effect that lasts.
void run_marks(const State& s, const Instr* block, uint32_t n, CtMarks* marks) {
    if (n == 0) {
        return;
    }
    State t = s;
    uint32_t* masks[] = {&marks->mark_mask, marks->label_mask, marks->label_mask + 1,
                         marks->label_mask + 2, marks->label_mask + 3};
    for (const Instr* i = block; i != block + n; ++i) {
        uint32_t mask = i->e;
        uint32_t value = i->d;
        if (i->op == Op::kMove) {
            const uint32_t bits = i->e >= 32 ? ~0u : (1u << i->e) - 1;
            mask = bits << i->c;
            value = (t.w[i->b] >> i->d & bits) << i->c;
        } else if (i->op != Op::kLoad) {
            continue;
        }
        t.w[i->a] = (t.w[i->a] & ~mask) | (value & mask);
        if (i->a >= kSlotCtMark && i->a < kSlotEthSrc) {
            *masks[i->a - kSlotCtMark] |= mask;
        }
    }
    marks->mark = t.w[kSlotCtMark];
    copy4(marks->label, t.w + kSlotCtLabel);
}

}  // namespace

CtAnswer ask_conntrack(Conntrack& table, CtTuple tuple, const PacketFacts& facts,
                       const CtRequest& request, uint32_t bytes, uint64_t now_ms, CtTrail* trail) {
    CtAnswer answer{true, false};
    const bool same_zone = trail->state && trail->zone == request.zone;
    const bool is_known = same_zone && trail->known;
    tuple.natted = same_zone && (trail->state & kNatBits);
    CtView& view = trail->view;
    if (!is_known) {
        table.lookup(tuple, facts, now_ms, &view);
        const bool exists = view.conn && !view.reopens;
        if (request.commit && !exists) {
            table.open(tuple, facts, *request.commit, now_ms, &view, bytes);
            trail->state = view.ct_state;
            return {false, false};
        }
        table.touch(view, facts, bytes, now_ms);
        trail->state = view.ct_state;
        answer.cacheable = exists && !(view.ct_state & ct::kInv);
        answer.depends = exists && !request.commit;
        if (!exists) {
            view.conn = nullptr;
        }
    }
    if (!request.commit || !view.conn) {
        return answer;
    }
    const uint32_t version = view.version;
    if (table.commit(tuple, facts, *request.commit, now_ms, &view, bytes) != CtCommit::kSame ||
        view.version != version) {
        answer.cacheable = false;
    } else {
        answer.depends = !is_known;
    }
    return answer;
}

template <bool kTrace>
uint16_t Walker<kTrace>::zone_of(uint8_t zone, unsigned side) const {
    const Datapath& dp = *f_.datapath;
    switch (static_cast<CtZone>(zone)) {
    case CtZone::kDnat: return dp.dnat_zone;
    case CtZone::kSnat: return dp.snat_zone;
    case CtZone::kCommon: return dp.common_zone ? dp.common_zone : dp.dnat_zone;
    case CtZone::kPortSnat:
        if (!dp.is_switch) {
            return dp.snat_zone;
        }
        break;
    case CtZone::kPort:
        if (!dp.is_switch) {
            return dp.dnat_zone;
        }
        break;
    }
    const auto of_port = [&](unsigned slot) -> uint16_t {
        const LogicalPort* const* port = dp.ports.find(f_.s.w[slot]);
        return port ? (*port)->ct_zone : uint16_t{0};
    };
    const uint16_t out = side == kEgress ? of_port(kSlotOutport) : uint16_t{0};
    return out ? out : of_port(kSlotInport);
}

/// The facts of the packet that came in; read when first needed.
template <bool kTrace>
const PacketFacts& Walker<kTrace>::packet_facts() {
    if (f_.made) {
        return *f_.made;
    }
    if (env_.facts) {
        return *env_.facts;
    }
    if (!have_facts_) {
        have_facts_ = true;
        if (env_.packet) {
            read_facts(env_.packet, *key_, &facts_);
        } else {
            facts_ = PacketFacts{};
            facts_.is_valid = true;
            facts_.tcp_wscale = 0xff;
            facts_.tcp_flags = ntohs(key_->tcp_flags);
            facts_.icmp_type = static_cast<uint8_t>(f_.s.w[kSlotL4Src]);
            facts_.icmp_code = static_cast<uint8_t>(f_.s.w[kSlotL4Dst]);
        }
    }
    return facts_;
}

/// A copy of the trail to go on with, or a first one. Null: too many steps.
template <bool kTrace>
CtTrail* Walker<kTrace>::next_trail() {
    if (f_.ct_depth == kMaxTrails) {
        return nullptr;
    }
    void* place = trails_ + sizeof(CtTrail) * f_.ct_depth++;
    CtTrail* trail;
    if (f_.ct) {
        trail = new (place) CtTrail(*f_.ct);
    } else {
        trail = new (place) CtTrail;
        const PacketFacts& facts = packet_facts();
        trail->icmp_id = facts.icmp_id;
        trail->inner = facts.inner;
        if (env_.whole) {
            trail->ports[0] = ntohs(env_.whole->l4_src);
            trail->ports[1] = ntohs(env_.whole->l4_dst);
        }
    }
    f_.ct = trail;
    return trail;
}

template <bool kTrace>
CtTuple Walker<kTrace>::tuple_of(const CtTrail& trail, uint16_t zone) const {
    const State& s = f_.s;
    CtTuple t{};
    t.zone = zone;
    t.proto = static_cast<uint8_t>(s.w[kSlotIpProto]);
    t.is_v6 = s.w[kSlotEthType] == wire::kTypeIp6;
    if (t.is_v6) {
        copy4(t.src, s.w + kSlotIp6Src);
        copy4(t.dst, s.w + kSlotIp6Dst);
    } else {
        t.src[3] = s.w[kSlotIp4Src];
        t.dst[3] = s.w[kSlotIp4Dst];
    }
    if (is_icmp(s)) {
        const bool has_type = has_own_ports();
        t.icmp_type = has_type ? static_cast<uint8_t>(s.w[kSlotL4Src]) : env_.facts->icmp_type;
        t.icmp_code = has_type ? static_cast<uint8_t>(s.w[kSlotL4Dst]) : env_.facts->icmp_code;
        t.src_port = t.dst_port = trail.icmp_id;
    } else if (has_own_ports()) {
        t.src_port = static_cast<uint16_t>(s.w[kSlotL4Src]);
        t.dst_port = static_cast<uint16_t>(s.w[kSlotL4Dst]);
    } else {
        t.src_port = trail.ports[0];
        t.dst_port = trail.ports[1];
    }
    return t;
}

/// Fragments show none to flows: theirs are in the trail.
template <bool kTrace>
bool Walker<kTrace>::has_own_ports() const {
    return f_.made || key_->ip_frag == 0;
}

/// The packet becomes what the connection's NAT says.
template <bool kTrace>
void Walker<kTrace>::translate(CtTrail* trail) {
    const CtView& view = trail->view;
    trail->state |= view.nat_state;
    if (view.is_related) {
        write_addresses(&f_, view.outer_src, view.outer_dst);
        if (!same_quote(trail->inner, view.translated)) {
            trail->inner = view.translated;
            trail->inner.zone = 0;
            trail->inner_changed = true;
        }
        return;
    }
    const CtTuple& to = view.translated;
    write_addresses(&f_, to.src, to.dst);
    if (is_icmp(f_.s)) {
        trail->id_changed |= trail->icmp_id != to.src_port;
        trail->icmp_id = to.src_port;
    } else if (has_ports(f_.s)) {
        if (has_own_ports()) {
            write_port(&f_, kSlotL4Src, to.src_port);
            write_port(&f_, kSlotL4Dst, to.dst_port);
        } else if (trail->ports[0] != to.src_port || trail->ports[1] != to.dst_port) {
            trail->ports[0] = to.src_port;
            trail->ports[1] = to.dst_port;
            trail->ports_changed = true;
        }
    }
}

template <bool kTrace>
CtAnswer Walker<kTrace>::ask(const CtRequest& request, CtTrail* trail) {
    PacketFacts changed;
    const PacketFacts* facts = &packet_facts();
    const bool has_type = is_icmp(f_.s) && has_own_ports();
    const bool new_type = has_type && (f_.s.w[kSlotL4Src] != facts->icmp_type ||
                                       f_.s.w[kSlotL4Dst] != facts->icmp_code);
    if (trail->inner_changed || new_type) {
        changed = *facts;
        changed.inner = trail->inner;
        if (new_type) {  // a flow has made it the answer, or a transform left it to its block
            changed.icmp_type = static_cast<uint8_t>(f_.s.w[kSlotL4Src]);
            changed.icmp_code = static_cast<uint8_t>(f_.s.w[kSlotL4Dst]);
        }
        facts = &changed;
    }
    return ask_conntrack(*env_.conntrack, tuple_of(*trail, request.zone), *facts, request,
                         f_.s.w[kSlotPktLen], env_.now_ms, trail);
}

template <bool kTrace>
void Walker<kTrace>::depend(const CtAnswer& answer, const CtView& view) {
    out_.cacheable = out_.cacheable && answer.cacheable;
    if (!answer.depends) {
        return;
    }
    out_.depend({view.conn, view.generation, view.version, view.ct_state & ~kNatBits,
                 view.is_reply ? 1u : 0u});
}

/// True when this step was done before the walk: by another fragment, or by a shortcut.
template <bool kTrace>
bool Walker<kTrace>::replay(const CtRequest& request, CtTrail* trail) {
    if (!env_.replay || replayed_ >= env_.replay->told) {
        return false;
    }
    const CtReplay::Step& step = env_.replay->steps[replayed_];
    if (step.op != request.op || step.zone != request.zone || step.nat != request.nat) {
        return false;
    }
    ++replayed_;
    *trail = step.trail;
    depend(step.answer, trail->view);
    return true;
}

/// The connection's original direction, for ACLs translated to connections. What conntrack tells
/// apart without ports (SCTP) has the packet's.
template <bool kTrace>
void Walker<kTrace>::show_original(const CtView& view) {
    const CtTuple& original = view.original;
    const bool has_ports = original.proto == wire::kProtoTcp || original.proto == wire::kProtoUdp;
    const bool is_sctp = original.proto == wire::kProtoSctp;
    const unsigned first = view.is_reply ? kSlotL4Dst : kSlotL4Src;
    const unsigned second = view.is_reply ? kSlotL4Src : kSlotL4Dst;
    f_.s.w[kSlotCtProto] = original.proto;
    f_.s.w[kSlotCtTpSrc] = has_ports ? original.src_port : is_sctp ? f_.s.w[first] : 0;
    f_.s.w[kSlotCtTpDst] = has_ports ? original.dst_port : is_sctp ? f_.s.w[second] : 0;
}

/// One step: look or commit, translate, and show flows the answer. False: the packet was dropped.
template <bool kTrace>
bool Walker<kTrace>::track(const CtRequest& request) {
    if (!env_.conntrack) {
        drop(Drop::k_no_conntrack);
        return false;
    }
    if (!f_.made && key_->ip_frag != 0 && !env_.facts) {
        out_.needs_whole = true;
        return false;
    }
    if (SLUICE_UNLIKELY(env_.facts && env_.facts->is_duplicate)) {
        if (asked_zone_ >= 0 && asked_zone_ != request.zone) {
            drop(Drop::k_fragment_duplicate);
            return false;
        }
        asked_zone_ = request.zone;
    }
    CtTrail* trail = next_trail();
    if (!trail) {
        drop(Drop::k_walk_too_deep);
        return false;
    }
    std::optional<State> seen;
    if (!request.recirculates && (request.nat || trail->n_unseen != 0)) {
        seen = f_.s;
    }
    trail->show(&f_.s);
    trail->n_unseen = 0;
    if (!replay(request, trail)) {
        const CtAnswer answer = ask(request, trail);
        depend(answer, trail->view);
        CtReplay* const replay = env_.replay;
        if (SLUICE_UNLIKELY(replay && replay->records && replay->count < CtReplay::kMaxSteps)) {
            CtReplay::Step& step = replay->steps[replay->count++];
            step.note(request);
            step.answer = answer;
            step.trail = *trail;
        }
    }
    trail->zone = request.zone;
    trail->known = !request.nat && trail->view.conn;
    trail->shown = request.recirculates;
    if (request.recirculates) {
        show_original(trail->view);
    }
    if (request.nat && trail->view.has_nat) {
        translate(trail);
    }
    if (seen) {
        hide(*seen, &f_.s, trail);
    }
    if (request.recirculates) {
        f_.s.w[kSlotCtState] = trail->state;
        f_.s.w[kSlotCtMark] = trail->view.mark;
        copy4(f_.s.w + kSlotCtLabel, trail->view.label);
    } else {
        std::memset(f_.s.w + kSlotCtState, 0, kCtWords * sizeof(uint32_t));
    }
    return true;
}

/// A packet that comes back from the slow path is still the connection's, under the addresses that
/// it has by now.
template <bool kTrace>
void Walker<kTrace>::resume_ct(uint16_t zone) {
    const uint32_t state = f_.s.w[kSlotCtState];
    CtTrail* const trail = env_.conntrack && (state & ct::kTrk) ? next_trail() : nullptr;
    if (!trail) {
        return;
    }
    trail->zone = zone;
    trail->state = state;
    trail->shown = true;
    CtTuple tuple = tuple_of(*trail, zone);
    tuple.natted = (state & kNatBits) != 0;
    env_.conntrack->lookup(tuple, packet_facts(), env_.now_ms, &trail->view);
    show_original(trail->view);
}

template <bool kTrace>
bool Walker<kTrace>::commit(const Instr& i, unsigned side) {
    CtCommitArgs args = *static_cast<const CtCommitArgs*>(i.p);
    run_marks(f_.s, &i + 1, i.d, &args.marks);
    return track({i.op, zone_of(i.a, side), args.nat.kind != CtNat::kNone, i.b != 0, &args});
}

/// Untracked from here on, as by ct_clear; translations stay.
template <bool kTrace>
void Walker<kTrace>::forget_ct() {
    std::memset(f_.s.w + kSlotCtState, 0, kCtWords * sizeof(uint32_t));
    std::memset(f_.s.w + kSlotCtProto, 0, kCtOriginalWords * sizeof(uint32_t));
    if (!f_.ct || !f_.ct->shown) {
        return;
    }
    if (!f_.ct->changes_bytes() && !env_.facts) {
        f_.ct = nullptr;
    } else if (CtTrail* trail = next_trail()) {
        trail->state = 0;
        trail->known = false;
        trail->shown = false;
    } else {
        drop(Drop::k_walk_too_deep);
    }
}

/// The packet is a new one from here on: what conntrack may know of it follows from the old one.
template <bool kTrace>
void Walker<kTrace>::make_facts(Transform what, const State& before) {
    static constexpr PacketFacts kNone{};
    if (env_.conntrack && f_.n_made < kMaxMade) {
        PacketFacts* const made = &made_[f_.n_made++];
        transform_facts(what, before, packet_facts(), made);
        f_.made = made;
    } else {
        f_.made = &kNone;
    }
    f_.ct = nullptr;
}

template <bool kTrace>
bool Walker<kTrace>::exec_ct(const Instr* i, unsigned side) {
    switch (i->op) {
    case Op::kCtNext: return track({i->op, zone_of(i->a, side), i->b != 0, true, nullptr});
    case Op::kCtCommit: return commit(*i, side);
    case Op::kCtLb: return balance(*i, side);
    case Op::kCtSnatToVip: return snat_to_vip(*i, side);
    case Op::kCtOriginal: original(*i); return true;
    case Op::kChkLbHairpin:
    case Op::kChkLbHairpinReply: check_hairpin(*i); return true;
    default: drop(Drop::k_no_conntrack); return false;
    }
}

template bool Walker<false>::exec_ct(const Instr*, unsigned);
template bool Walker<true>::exec_ct(const Instr*, unsigned);
// walk_lb.cc calls these.
template bool Walker<false>::track(const CtRequest&);
template bool Walker<true>::track(const CtRequest&);
template void Walker<false>::resume_ct(uint16_t);
template void Walker<true>::resume_ct(uint16_t);
template uint16_t Walker<false>::zone_of(uint8_t, unsigned) const;
template uint16_t Walker<true>::zone_of(uint8_t, unsigned) const;
template void Walker<false>::forget_ct();
template void Walker<true>::forget_ct();
template void Walker<false>::make_facts(Transform, const State&);
template void Walker<true>::make_facts(Transform, const State&);

}  // namespace sluice
