// SPDX-License-Identifier: Apache-2.0
#include "tests/property/conntrack_model.h"

#include <algorithm>

#include "lib/program/state.h"

namespace sluice::test {
namespace {

constexpr int kSynSent = 2, kEstablished = 4, kClosing = 7, kFinWait2 = 9, kTimeWait = 10;

enum class Says { kInvalid, kNew, kEst, kReopen };

bool icmp(const ModelKey& k) {
    return k[11] ? k[10] == 58 : k[10] == 1;
}

bool at_least(uint32_t a, uint32_t b) {
    return static_cast<int32_t>(a - b) >= 0;
}

bool nonsense(unsigned flags) {
    const bool fin = flags & 1, syn = flags & 2, rst = flags & 4, psh = flags & 8, ack = flags & 16,
               urg = flags & 32;
    return (syn && (rst || fin)) || (!syn && !ack && !rst) || (!ack && (fin || psh || urg));
}

uint32_t rounded(uint32_t window, int scale) {
    const uint32_t unit = 1u << scale;
    return (window + unit - 1) / unit;
}

int option(const PacketFacts& f) {
    return f.tcp_wscale == 0xff ? -1 : std::min<int>(f.tcp_wscale, 14);
}

// One TCP segment. `life` is how long the connection lives from now, 0: as before.
Says tcp(ModelConn& c, int from, const PacketFacts& f, uint64_t* life) {
    const bool fin = f.tcp_flags & 1, syn = f.tcp_flags & 2, rst = f.tcp_flags & 4,
               ack = f.tcp_flags & 16;
    ModelConn::End& me = c.end[from];
    ModelConn::End& you = c.end[1 - from];
    *life = 0;
    if (nonsense(f.tcp_flags)) {
        return Says::kInvalid;
    }
    if (syn && !ack && me.state >= kFinWait2 && you.state >= kFinWait2) {
        return Says::kReopen;
    }
    if (syn && !ack && me.state <= kSynSent) {
        me.state = kSynSent;
        *life = 30000;
        return Says::kNew;
    }
    int my_scale = 0, your_scale = 0;
    if (!syn && me.scale >= 0 && you.scale >= 0) {
        my_scale = me.scale;
        your_scale = you.scale;
    } else if (!syn && me.scale == -2 && you.scale == -2) {
        my_scale = your_scale = 14;
    }
    uint32_t window = f.tcp_window;
    const uint32_t first = f.tcp_seq;
    uint32_t begin = first;
    uint32_t past = first + f.payload_len + (syn ? 1 : 0) + (fin ? 1 : 0);
    bool look_at_ack = true;
    if (me.state < kSynSent) {
        if (syn && you.scale >= 0) {
            me.scale = option(f);
            if (me.scale >= 0) {
                my_scale = me.scale;
                your_scale = you.scale;
                window = rounded(window, my_scale);
            } else {
                you.window = (you.window << you.scale) & 0xffff;
                you.scale = -1;
            }
        }
        me.sent = begin;
        me.state = kSynSent;
        const uint32_t may = past + std::max<uint32_t>(1, you.window << your_scale);
        if (me.allowed == 1 || at_least(may, me.allowed)) {
            me.allowed = may;
            look_at_ack = false;
        }
        me.window = std::max(me.window, window);
    }
    uint32_t acked = f.tcp_ack;
    if (!ack || (acked == 0 && rst)) {
        acked = you.sent;
    }
    if (begin == past) {
        begin = past = me.sent;
    }
    const int64_t skew = look_at_ack ? static_cast<int32_t>(you.sent - acked) : 0;
    const bool reset_fits =
        !rst || first == me.sent || first == me.sent + 1 || first + 1 == me.sent;
    const bool fits = at_least(me.allowed, past) &&
                      at_least(begin, me.sent - (you.window << your_scale)) && skew >= -67035 &&
                      skew <= (int64_t{67035} << my_scale) && reset_fits;
    const bool odd = (you.state < kSynSent || you.state >= kFinWait2 || me.state >= kFinWait2) &&
                     at_least(me.allowed + 67035, past) && at_least(begin, me.sent - 67035);
    if (!fits && !odd) {
        return Says::kInvalid;
    }
    me.window = std::max(me.window, window);
    if (!at_least(me.sent, past)) {
        me.sent = past;
    }
    const uint32_t room = window << my_scale;
    if (at_least(acked + room, you.allowed)) {
        you.allowed = acked + std::max<uint32_t>(room, 1);
    }
    if (fin && me.state < kClosing) {
        me.state = kClosing;
    }
    if (fits && ack && you.state == kSynSent) {
        you.state = kEstablished;
    } else if (fits && ack && you.state == kClosing) {
        you.state = kFinWait2;
    }
    if (rst) {
        me.state = you.state = kTimeWait;
    }
    if (fits) {
        const int low = std::min(me.state, you.state), high = std::max(me.state, you.state);
        *life = low >= kFinWait2     ? 30000
                : low >= kClosing    ? 45000
                : low < kEstablished ? 30000
                : high >= kClosing   ? 900000
                                     : 86400000;
    }
    return Says::kEst;
}

Says advance(ModelConn& c, bool reply, const PacketFacts& f, uint64_t* life) {
    if (c.key[0][10] == 6) {
        return tcp(c, reply, f, life);
    }
    int& s = c.end[0].state;
    if (icmp(c.key[0])) {
        s = reply ? 1 : s;
        *life = s ? 30000 : 60000;
        return s ? Says::kEst : Says::kNew;
    }
    s = reply ? 2 : std::max(s, 1);
    *life = s == 2 ? 30000 : 60000;
    return s == 2 ? Says::kEst : Says::kNew;
}

}  // namespace

ModelKey model_key(const CtTuple& t) {
    ModelKey k{};
    for (unsigned i = 0; i < 4; ++i) {
        k[i] = t.src[i];
        k[4 + i] = t.dst[i];
    }
    k[10] = t.proto;
    k[11] = t.is_v6 ? 1 : 0;
    k[12] = t.zone;
    if (icmp(k)) {
        k[8] = t.src_port;
        k[9] = t.icmp_type;
    } else if (t.proto == 6 || t.proto == 17) {
        k[8] = t.src_port;
        k[9] = t.dst_port;
    }
    return k;
}

ModelKey model_reverse(ModelKey k) {
    std::swap_ranges(k.begin(), k.begin() + 4, k.begin() + 4);
    if (!icmp(k)) {
        std::swap(k[8], k[9]);
        return k;
    }
    static const std::map<uint32_t, uint32_t> kOther = {{0, 8},   {8, 0},   {13, 14},   {14, 13},
                                                        {15, 16}, {16, 15}, {128, 129}, {129, 128}};
    k[9] = kOther.at(k[9]);
    return k;
}

std::optional<std::pair<int, int>> ConntrackModel::find(const ModelKey& key, uint64_t now) const {
    for (const auto& [id, c] : conns_) {
        for (int d = 0; d < 2; ++d) {
            if (c.keys_linked[d] && c.key[d] == key && now < c.deadline) {
                return std::pair(id, d);
            }
        }
    }
    return std::nullopt;
}

bool ConntrackModel::is_taken(const ModelKey& key, uint64_t now) const {
    return find(key, now).has_value();
}

ModelView ConntrackModel::lookup(const CtTuple& tuple, const PacketFacts& facts, uint64_t now) {
    ModelView v;
    if (!facts.is_valid) {
        v.state = ct::kTrk | ct::kInv;
        return v;
    }
    ModelKey key;
    if (facts.has_inner) {
        key = model_reverse(model_key(facts.inner));
        key[12] = tuple.zone;
    } else {
        key = model_key(tuple);
    }
    if (tuple.natted) {
        key = model_reverse(key);
    }
    const auto found = find(key, now);
    if (!found) {
        const bool opens =
            !facts.has_inner &&
            (tuple.proto == 6 ? !nonsense(facts.tcp_flags) && (facts.tcp_flags & 18) != 18
             : icmp(key) ? facts.icmp_type == 8 || facts.icmp_type == 13 || facts.icmp_type == 15 ||
                               facts.icmp_type == 128
                         : true);
        v.state = ct::kTrk | (opens ? ct::kNew : ct::kInv);
        return v;
    }
    v.conn = found->first;
    v.reply = (found->second == 1) != (tuple.natted == 1);
    ModelConn copy = conns_.at(v.conn);
    const uint32_t rpl = v.reply ? ct::kRpl : 0;
    if (copy.nat) {
        v.nat_state = (copy.nat == 1) == !v.reply ? ct::kSnat : ct::kDnat;
    }
    if (facts.has_inner) {
        v.state = ct::kTrk | ct::kRel | rpl;
    } else {
        uint64_t life;
        switch (advance(copy, v.reply, facts, &life)) {
        case Says::kInvalid: v.state = ct::kTrk | ct::kInv; break;
        case Says::kNew: v.state = ct::kTrk | ct::kNew; break;
        case Says::kEst: v.state = ct::kTrk | ct::kEst | rpl; break;
        case Says::kReopen:
            v.reopens = true;
            v.state = ct::kTrk | ct::kNew;
            v.nat_state = 0;
            return v;
        }
    }
    if (tuple.natted && !(v.state & ct::kInv)) {
        v.state |= v.nat_state;
    }
    return v;
}

void ConntrackModel::touch(const ModelView& view, const PacketFacts& facts, uint64_t now) {
    if (view.conn < 0 || facts.has_inner) {
        return;
    }
    if (view.reopens) {
        conns_.erase(view.conn);
        return;
    }
    ModelConn copy = conns_.at(view.conn);
    uint64_t life = 0;
    if (advance(copy, view.reply, facts, &life) == Says::kInvalid) {
        return;
    }
    copy.deadline = life ? now + life : copy.deadline;
    conns_.at(view.conn) = copy;
}

ModelKey ConntrackModel::translated(const ModelView& view, bool related) const {
    const ModelKey& other = conns_.at(view.conn).key[view.reply ? 0 : 1];
    return related ? other : model_reverse(other);
}

int ConntrackModel::create(const CtTuple& tuple, const PacketFacts& facts, int nat,
                           const ModelKey& reverse, uint64_t now) {
    ModelConn c;
    c.key[0] = model_key(tuple);
    c.key[1] = reverse;
    c.nat = nat;
    c.deadline = now + (tuple.proto == 6 ? 30000 : 60000);
    if (tuple.proto == 6) {
        const bool syn = facts.tcp_flags & 2, fin = facts.tcp_flags & 1;
        c.end[0].sent = facts.tcp_seq;
        c.end[0].allowed = facts.tcp_seq + facts.payload_len + 1 + (syn ? 1 : 0) + (fin ? 1 : 0);
        c.end[0].scale = syn ? option(facts) : -2;
        c.end[1].scale = syn ? -1 : -2;
        c.end[0].window = std::max<uint32_t>(facts.tcp_window, 1);
        if (c.end[0].scale > 0) {
            c.end[0].window = rounded(c.end[0].window, c.end[0].scale);
        }
        c.end[0].state = kSynSent;
        c.end[1].allowed = 1;
        c.end[1].window = 1;
    }
    for (auto& [id, other] : conns_) {  // the newer one gets the answers
        for (int d = 0; d < 2; ++d) {
            if (other.keys_linked[d] && other.key[d] == reverse) {
                other.keys_linked[d] = false;
            }
        }
    }
    conns_[next_] = c;
    return next_++;
}

void ConntrackModel::expire(uint64_t now) {
    std::erase_if(conns_, [&](const auto& item) { return now >= item.second.deadline; });
}

size_t ConntrackModel::count(uint16_t zone, uint64_t now) const {
    size_t n = 0;
    for (const auto& [id, c] : conns_) {
        n += c.key[0][12] == zone && now < c.deadline;
    }
    return n;
}

}  // namespace sluice::test
