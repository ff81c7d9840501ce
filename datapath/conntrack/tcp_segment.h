// SPDX-License-Identifier: Apache-2.0
// A TCP segment held against both ends of its connection: sequence numbers, windows, states.
//
// What protocol.h says of TCP, for those who judge any segment (protocol.cc) and for the short way
// of segments that change nothing but windows (glance.h).
// Threads: none of their own.
#pragma once

#include <algorithm>
#include <cstdint>

#include "datapath/conntrack/conn.h"

namespace sluice::tcp {

inline constexpr uint16_t kFin = 0x01;
inline constexpr uint16_t kSyn = 0x02;
inline constexpr uint16_t kRst = 0x04;
inline constexpr uint16_t kPsh = 0x08;
inline constexpr uint16_t kAck = 0x10;
inline constexpr uint16_t kUrg = 0x20;

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
inline constexpr uint8_t kScaleKnown = 0x80;    // the end sent a window scale option
inline constexpr uint8_t kScaleUnknown = 0x40;  // the handshake was not seen
inline constexpr uint8_t kScaleMask = 0x0f;
inline constexpr unsigned kMaxScale = 14;
inline constexpr int32_t kMaxAckWindow = 0xffff + 1500;

// Sequence numbers are compared on the circle (RFC 9293 section 3.4).
inline bool seq_ge(uint32_t a, uint32_t b) {
    return static_cast<int32_t>(a - b) >= 0;
}

inline uint8_t scale_of(const PacketFacts& facts) {
    return facts.tcp_wscale == 0xff
               ? uint8_t{0}
               : static_cast<uint8_t>(std::min<unsigned>(facts.tcp_wscale, kMaxScale) |
                                      kScaleKnown);
}

inline uint16_t scaled_down(uint32_t window, unsigned scale) {
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

    template <typename Facts>
    Segment(CtPeer* sender, CtPeer* receiver, const Facts& facts)
        : src(*sender),
          dst(*receiver),
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

}  // namespace sluice::tcp
