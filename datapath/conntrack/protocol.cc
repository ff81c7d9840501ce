// SPDX-License-Identifier: Apache-2.0
#include "datapath/conntrack/protocol.h"

#include <algorithm>

#include "lib/net/wire.h"

namespace sluice {
namespace {

using namespace wire;

constexpr uint16_t kFin = 0x01;
constexpr uint16_t kSyn = 0x02;
constexpr uint16_t kRst = 0x04;
constexpr uint16_t kPsh = 0x08;
constexpr uint16_t kAck = 0x10;
constexpr uint16_t kUrg = 0x20;

enum TcpState : uint8_t {
    kClosed,
    kListen,
    kSynSent,
    kSynReceived,
    kEstablished,
    kCloseWait,
    kFinWait1,
    kClosing,
    kLastAck,
    kFinWait2,
    kTimeWait,
    kTcpStates
};
enum OtherState : uint8_t { kOtherFirst, kOtherMultiple, kOtherBoth };
enum IcmpState : uint8_t { kIcmpFirst, kIcmpReply };

constexpr uint8_t kScaleKnown = 0x80;    // the end sent a window scale option
constexpr uint8_t kScaleUnknown = 0x40;  // the handshake was not seen
constexpr uint8_t kScaleMask = 0x0f;
constexpr unsigned kMaxScale = 14;
constexpr int32_t kMaxAckWindow = 0xffff + 1500;

constexpr uint64_t kSecond = 1000;
constexpr uint64_t kTimeouts[] = {
    30 * kSecond,            // kTcpFirst
    30 * kSecond,            // kTcpOpening
    24 * 60 * 60 * kSecond,  // kTcpEstablished
    15 * 60 * kSecond,       // kTcpClosing
    45 * kSecond,            // kTcpFinWait
    30 * kSecond,            // kTcpClosed
    60 * kSecond,            // kOtherFirst
    60 * kSecond,            // kOtherMultiple
    30 * kSecond,            // kOtherBoth
    60 * kSecond,            // kIcmpFirst
    30 * kSecond,            // kIcmpReply
};
static_assert(std::size(kTimeouts) == static_cast<size_t>(CtTimeout::kCount));

// Sequence numbers are compared on the circle (RFC 9293 section 3.4).
bool seq_ge(uint32_t a, uint32_t b) {
    return static_cast<int32_t>(a - b) >= 0;
}

bool bad_flags(uint16_t flags) {
    if (flags & kSyn ? flags & (kRst | kFin) : !(flags & (kAck | kRst))) {
        return true;
    }
    return !(flags & kAck) && (flags & (kFin | kPsh | kUrg));
}

uint8_t scale_of(const PacketFacts& facts) {
    return facts.tcp_wscale == 0xff
               ? uint8_t{0}
               : static_cast<uint8_t>(std::min<unsigned>(facts.tcp_wscale, kMaxScale) |
                                      kScaleKnown);
}

uint16_t scaled_down(uint32_t window, unsigned scale) {
    return static_cast<uint16_t>((window + (1u << scale) - 1) >> scale);
}

/// A TCP segment against both ends of its connection.
struct Segment {
    CtPeer& src;
    CtPeer& dst;
    uint16_t flags;
    uint32_t seq;  ///< first and past-the-end sequence numbers as they are checked
    uint32_t end;
    uint32_t raw_seq;
    uint32_t ack;
    uint16_t window;
    unsigned src_scale = 0;
    unsigned dst_scale = 0;
    bool check_ack = true;

    Segment(CtState* state, bool reply, const PacketFacts& facts)
        : src(state->peer[reply]),
          dst(state->peer[!reply]),
          flags(facts.tcp_flags),
          seq(facts.tcp_seq),
          end(facts.tcp_seq + facts.payload_len + !!(flags & kSyn) + !!(flags & kFin)),
          raw_seq(facts.tcp_seq),
          ack(facts.tcp_ack),
          window(facts.tcp_window) {
        if (flags & kSyn) {
            return;
        }
        if (src.scale & dst.scale & kScaleKnown) {
            src_scale = src.scale & kScaleMask;
            dst_scale = dst.scale & kScaleMask;
        } else if (src.scale & dst.scale & kScaleUnknown) {
            src_scale = dst_scale = kMaxScale;
        }
    }

    uint32_t dst_window() const { return static_cast<uint32_t>(dst.max_window) << dst_scale; }
    uint32_t src_window() const { return static_cast<uint32_t>(window) << src_scale; }

    /// The first packet of this end: nothing to hold it against yet.
    void begin(const PacketFacts& facts) {
        if (flags & kSyn && dst.scale & kScaleKnown) {
            src.scale = scale_of(facts);
            if (src.scale & kScaleKnown) {
                src_scale = src.scale & kScaleMask;
                dst_scale = dst.scale & kScaleMask;
                window = scaled_down(window, src_scale);
            } else {  // RFC 7323: both ends or none
                dst.max_window = static_cast<uint16_t>(dst.max_window << (dst.scale & kScaleMask));
                dst.scale = 0;
            }
        }
        src.seq_low = seq;
        src.state = kSynSent;
        const uint32_t high = end + std::max<uint32_t>(1, dst_window());
        if (src.seq_high == 1 || seq_ge(high, src.seq_high)) {
            src.seq_high = high;
            check_ack = false;
        }
        src.max_window = std::max(src.max_window, window);
    }

    void ease() {
        const bool lone_rst = ack == 0 && (flags & (kAck | kRst)) == (kAck | kRst);
        if (!(flags & kAck) || lone_rst) {
            ack = dst.seq_low;
        }
        if (seq == end) {  // no data: where exactly does not matter
            seq = end = src.seq_low;
        }
    }

    bool in_window() const {
        const auto skew = check_ack ? static_cast<int32_t>(dst.seq_low - ack) : 0;
        if (!seq_ge(src.seq_high, end) || !seq_ge(seq, src.seq_low - dst_window()) ||
            skew < -kMaxAckWindow || skew > kMaxAckWindow << src_scale) {
            return false;
        }
        return !(flags & kRst) || raw_seq == src.seq_low || raw_seq == src.seq_low + 1 ||
               raw_seq + 1 == src.seq_low;
    }

    /// Awkward beginnings and ends: SYNs sent twice, connections met in the middle, last words.
    bool is_excused() const {
        return (dst.state < kSynSent || dst.state >= kFinWait2 || src.state >= kFinWait2) &&
               seq_ge(src.seq_high + kMaxAckWindow, end) &&
               seq_ge(seq, src.seq_low - kMaxAckWindow);
    }

    void learn() {
        src.max_window = std::max(src.max_window, window);
        if (!seq_ge(src.seq_low, end)) {
            src.seq_low = end;
        }
        if (seq_ge(ack + src_window(), dst.seq_high)) {
            dst.seq_high = ack + std::max<uint32_t>(1, src_window());
        }
    }

    void close() {
        if (flags & kFin && src.state < kClosing) {
            src.state = kClosing;
        }
    }
    void reset() {
        if (flags & kRst) {
            src.state = dst.state = kTimeWait;
        }
    }
    void acknowledge() {
        if (!(flags & kAck)) {
            return;
        }
        if (dst.state == kSynSent) {
            dst.state = kEstablished;
        } else if (dst.state == kClosing) {
            dst.state = kFinWait2;
        }
    }
};

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
    Segment s(state, reply, facts);
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

uint64_t ct_timeout_ms(CtTimeout timeout) {
    return kTimeouts[static_cast<size_t>(timeout)];
}

}  // namespace sluice
