// SPDX-License-Identifier: Apache-2.0
#include "datapath/conntrack/protocol.h"

#include <algorithm>

#include "datapath/conntrack/tcp_segment.h"
#include "lib/net/wire.h"

namespace sluice {
namespace {

using namespace wire;
using namespace tcp;

enum IcmpState : uint8_t { kIcmpFirst, kIcmpReply };

bool bad_flags(uint16_t flags) {
    if (flags & kSyn ? flags & (kRst | kFin) : !(flags & (kAck | kRst))) {
        return true;
    }
    return !(flags & kAck) && (flags & (kFin | kPsh | kUrg));
}

CtTimeout tcp_timeout(uint8_t a, uint8_t b) {
    const uint8_t low = std::min(a, b);
    const uint8_t high = std::max(a, b);
    return low >= kFinWait2     ? CtTimeout::kTcpClosed
           : low >= kClosing    ? CtTimeout::kTcpFinWait
           : low < kEstablished ? CtTimeout::kTcpOpening
           : high >= kClosing   ? CtTimeout::kTcpClosing
                                : CtTimeout::kTcpEstablished;
}

CtVerdict advance_tcp(bool reply, const PacketFacts& facts, CtState* state, CtTimeout* timeout) {
    if (bad_flags(facts.tcp_flags)) {
        return CtVerdict::kInvalid;
    }
    Segment s(&state->peer[reply], &state->peer[!reply], facts);
    if ((s.flags & (kSyn | kAck)) == kSyn) {
        if (s.dst.state >= kFinWait2 && s.src.state >= kFinWait2) {
            return CtVerdict::kReopen;
        }
        if (s.src.state <= kSynSent) {
            s.src.state = kSynSent;
            *timeout = CtTimeout::kTcpFirst;
            return CtVerdict::kNew;
        }
    }
    if (s.src.state < kSynSent) {
        s.begin(facts);
    }
    s.ease();
    if (s.in_window()) {
        s.learn();
        s.close();
        s.acknowledge();
        s.reset();
        *timeout = tcp_timeout(s.src.state, s.dst.state);
    } else if (s.is_excused()) {
        s.learn();
        s.close();
        s.reset();
    } else {
        return CtVerdict::kOutOfWindow;
    }
    return CtVerdict::kEstablished;
}

CtTimeout open_tcp(const PacketFacts& facts, CtState* state) {
    CtPeer& src = state->peer[0];
    CtPeer& dst = state->peer[1];
    const bool syn = facts.tcp_flags & kSyn;
    src.seq_low = facts.tcp_seq;
    src.seq_high = facts.tcp_seq + facts.payload_len + 1 + syn + !!(facts.tcp_flags & kFin);
    src.scale = syn ? scale_of(facts) : kScaleUnknown;
    dst.scale = syn ? uint8_t{0} : kScaleUnknown;
    src.max_window = scaled_down(std::max<uint32_t>(facts.tcp_window, 1), src.scale & kScaleMask);
    src.state = kSynSent;
    dst.seq_high = 1;
    dst.max_window = 1;
    dst.state = kClosed;
    return CtTimeout::kTcpFirst;
}

CtVerdict advance_other(bool reply, CtState* state, CtTimeout* timeout) {
    static constexpr CtTimeout kAfter[] = {CtTimeout::kOtherFirst, CtTimeout::kOtherMultiple,
                                           CtTimeout::kOtherBoth};
    uint8_t& s = state->peer[0].state;
    if (reply) {
        s = kOtherBoth;
    } else if (s == kOtherFirst) {
        s = kOtherMultiple;
    }
    *timeout = kAfter[std::min<uint8_t>(s, kOtherBoth)];
    return s == kOtherBoth ? CtVerdict::kEstablished : CtVerdict::kNew;
}

CtVerdict advance_icmp(bool reply, CtState* state, CtTimeout* timeout) {
    uint8_t& s = state->peer[0].state;
    if (reply) {
        s = kIcmpReply;
    }
    *timeout = s == kIcmpFirst ? CtTimeout::kIcmpFirst : CtTimeout::kIcmpReply;
    return s == kIcmpFirst ? CtVerdict::kNew : CtVerdict::kEstablished;
}

}  // namespace

CtVerdict ct_advance(uint8_t proto, bool is_v6, bool reply, const PacketFacts& facts,
                     CtState* state, CtTimeout* timeout) {
    *timeout = CtTimeout::kKeep;
    if (proto == kProtoTcp) {
        return advance_tcp(reply, facts, state, timeout);
    }
    return ct_is_icmp(proto, is_v6) ? advance_icmp(reply, state, timeout)
                                    : advance_other(reply, state, timeout);
}

bool ct_may_open(uint8_t proto, bool is_v6, const PacketFacts& facts, bool loose) {
    if (proto == kProtoTcp) {
        const bool syn = facts.tcp_flags & kSyn;
        return !bad_flags(facts.tcp_flags) && (syn ? !(facts.tcp_flags & kAck) : loose);
    }
    if (!ct_is_icmp(proto, is_v6)) {
        return true;
    }
    return is_v6 ? facts.icmp_type == 128
                 : facts.icmp_type == 8 || facts.icmp_type == 13 || facts.icmp_type == 15;
}

CtTimeout ct_open(uint8_t proto, bool is_v6, const PacketFacts& facts, CtState* state) {
    *state = {};
    if (proto == kProtoTcp) {
        return open_tcp(facts, state);
    }
    return ct_is_icmp(proto, is_v6) ? CtTimeout::kIcmpFirst : CtTimeout::kOtherFirst;
}

bool ct_is_alive(uint8_t proto, bool is_v6, const CtState& state) {
    if (proto == kProtoTcp) {
        const auto [low, high] = std::minmax(state.peer[0].state, state.peer[1].state);
        return low >= kSynSent && high >= kEstablished && low < kFinWait2;
    }
    return state.peer[0].state ==
           (ct_is_icmp(proto, is_v6) ? uint8_t{kIcmpReply} : uint8_t{kOtherBoth});
}

const char* ct_state_name(uint8_t proto, const CtState& state) {
    static constexpr const char* kNames[kTcpStates] = {
        "CLOSED",     "LISTEN",  "SYN_SENT", "SYN_RECV",   "ESTABLISHED", "CLOSE_WAIT",
        "FIN_WAIT_1", "CLOSING", "LAST_ACK", "FIN_WAIT_2", "TIME_WAIT"};
    if (proto != kProtoTcp) {
        return "";
    }
    const uint8_t a = state.peer[0].state;
    const uint8_t b = state.peer[1].state;
    return kNames[std::min<uint8_t>(std::max(a, b), kTimeWait)];
}

}  // namespace sluice
