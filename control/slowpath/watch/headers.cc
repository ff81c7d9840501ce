// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/headers.h"

#include "control/slowpath/wire.h"

namespace sluice::watch {
namespace {

using namespace wire;

constexpr uint16_t kNoType = 0x05ff;

/// Reads forward within what is left of the frame.
class Reader {
public:
    Reader(Bytes frame, Headers* out) : frame_(frame), out_(*out) {}

    void read() {
        if (frame_.size() < kEthLen) {
            return;
        }
        out_.dst = load_mac(frame_, 0);
        out_.src = load_mac(frame_, 6);
        at_ = 12;
        read_tags();
        read_type();
        switch (out_.eth_type) {
        case kEthIp4: read_ip4(); break;
        case kEthIp6: read_ip6(); break;
        case kEthArp:
        case 0x8035: read_arp(); break;
        case 0x8847:
        case 0x8848: read_mpls(); break;
        default: break;
        }
    }

private:
    size_t left() const { return frame_.size() - at_; }
    bool has(size_t n) const { return left() >= n; }

    void read_tags() {
        for (uint16_t& tci : out_.tci) {
            const uint16_t type = load16(frame_, at_);
            if ((type != 0x8100 && type != 0x88a8) || !has(6)) {
                return;
            }
            tci = static_cast<uint16_t>(load16(frame_, at_ + 2) | 0x1000);
            at_ += 4;
        }
    }

    void read_type() {
        const uint16_t type = load16(frame_, at_);
        at_ += 2;
        if (type >= 0x600) {
            out_.eth_type = type;
            return;
        }
        // LLC with SNAP and a zero OUI carries an Ethernet type (RFC 1042).
        out_.eth_type = kNoType;
        if (has(8) && load32(frame_, at_) == 0xaaaa0300 && load16(frame_, at_ + 4) == 0 &&
            load16(frame_, at_ + 6) >= 0x600) {
            out_.eth_type = load16(frame_, at_ + 6);
            at_ += 8;
        }
    }

    void read_mpls() {
        for (uint32_t& entry : out_.mpls) {
            entry = has(4) ? load32(frame_, at_) : 0;
            at_ += has(4) ? 4 : 0;
            ++out_.n_mpls;
            if (entry & 0x100) {
                return;
            }
        }
    }

    void read_arp() {
        if (!has(kArpLen) || load16(frame_, at_) != 1 || load16(frame_, at_ + 2) != kEthIp4 ||
            frame_[at_ + 4] != 6 || frame_[at_ + 5] != 4) {
            return;
        }
        const uint16_t op = load16(frame_, at_ + 6);
        out_.proto = op <= 0xff ? static_cast<uint8_t>(op) : uint8_t{0};
        out_.arp_sha = load_mac(frame_, at_ + 8);
        out_.ip4_src = {load32(frame_, at_ + 14)};
        out_.arp_tha = load_mac(frame_, at_ + 18);
        out_.ip4_dst = {load32(frame_, at_ + 24)};
    }

    void read_ip4() {
        if (!has(kIp4Len)) {
            return;
        }
        const size_t header = size_t{frame_[at_]} % 16 * 4;
        const size_t total = load16(frame_, at_ + 2);
        if (header < kIp4Len || header > left() || total < header || total > left()) {
            return;
        }
        frame_ = frame_.first(at_ + total);
        out_.l3 = at_;
        out_.tos = frame_[at_ + 1];
        const uint16_t frag = load16(frame_, at_ + 6);
        out_.is_later_frag = (frag & 0x1fff) != 0;
        out_.is_frag = out_.is_later_frag || (frag & 0x2000) != 0;
        out_.ttl = frame_[at_ + 8];
        out_.proto = frame_[at_ + 9];
        out_.ip4_src = {load32(frame_, at_ + 12)};
        out_.ip4_dst = {load32(frame_, at_ + 16)};
        at_ += header;
        read_l4();
    }

    void read_ip6() {
        if (!has(kIp6Len) || size_t{load16(frame_, at_ + 4)} + kIp6Len > left()) {
            return;
        }
        frame_ = frame_.first(at_ + kIp6Len + load16(frame_, at_ + 4));
        const uint32_t first = load32(frame_, at_);
        const uint8_t next = frame_[at_ + 6];
        const size_t start = at_;
        out_.ip6_label = first & 0xfffff;
        out_.ip6_src = load_ip6(frame_, at_ + 8);
        out_.ip6_dst = load_ip6(frame_, at_ + 24);
        at_ += kIp6Len;
        if (!skip_extensions(next)) {
            out_.proto = 0;
            out_.is_frag = out_.is_later_frag = false;
            return;
        }
        out_.l3 = start;
        out_.tos = static_cast<uint8_t>(first >> 20);
        out_.ttl = frame_[start + 7];
        read_l4();
    }

    /// False when a header is cut off: then only the addresses count.
    bool skip_extensions(uint8_t next) {
        for (;;) {
            out_.proto = next;
            size_t length = 0;
            switch (next) {
            case 0:    // hop-by-hop options
            case 43:   // routing
            case 60:   // destination options
            case 135:  // mobility
                if (!has(8)) {
                    return false;
                }
                length = (size_t{frame_[at_ + 1]} + 1) * 8;
                break;
            case 51:  // authentication
                if (!has(8)) {
                    return false;
                }
                length = (size_t{frame_[at_ + 1]} + 2) * 4;
                break;
            case 44: {  // fragment
                if (!has(8)) {
                    return false;
                }
                const uint16_t frag = load16(frame_, at_ + 2);
                out_.is_later_frag = (frag & 0xfff8) != 0;
                // A whole packet with a fragment header (RFC 6946) is no fragment.
                out_.is_frag = frag & 0xfff9;
                if (out_.is_later_frag) {
                    return true;
                }
                length = 8;
                break;
            }
            default: return true;
            }
            next = frame_[at_];
            if (!has(length)) {
                return false;
            }
            at_ += length;
        }
    }

    void read_l4() {
        out_.l4 = at_;
        out_.l4_len = left();
        if (out_.is_later_frag) {
            return;
        }
        switch (out_.proto) {
        case 6:
            if (has(20)) {
                read_ports();
                out_.tcp_flags = load16(frame_, at_ + 12) & 0xfff;
            }
            break;
        case 17:
            if (has(8)) {
                read_ports();
            }
            break;
        case 132:
            if (has(12)) {
                read_ports();
            }
            break;
        case 1:
        case 2:
            if (has(8)) {
                out_.l4_src = frame_[at_];
                out_.l4_dst = frame_[at_ + 1];
            }
            break;
        case 58:
            if (has(4)) {
                out_.l4_src = frame_[at_];
                out_.l4_dst = frame_[at_ + 1];
                read_nd();
            }
            break;
        default: break;
        }
    }

    void read_ports() {
        out_.l4_src = load16(frame_, at_);
        out_.l4_dst = load16(frame_, at_ + 2);
    }

    void read_nd() {
        if (!out_.is_nd() || !has(24)) {
            return;
        }
        out_.nd_target = load_ip6(frame_, at_ + 8);
        for (size_t at = at_ + 24; at + 8 <= frame_.size();) {
            const size_t length = size_t{frame_[at + 1]} * 8;
            if (length == 0 || at + length > frame_.size()) {
                return;
            }
            Mac* const place = frame_[at] == 1   ? &out_.nd_sll
                               : frame_[at] == 2 ? &out_.nd_tll
                                                 : nullptr;
            if (place && length == 8) {
                if (!place->is_zero()) {  // said twice: nothing of it is believed
                    out_.nd_target = {};
                    out_.nd_sll = out_.nd_tll = {};
                    return;
                }
                *place = load_mac(frame_, at + 2);
            }
            at += length;
        }
    }

    Bytes frame_;
    Headers& out_;
    size_t at_ = 0;
};

}  // namespace

Headers read_headers(std::span<const uint8_t> frame) {
    Headers out;
    Reader(frame, &out).read();
    return out;
}

}  // namespace sluice::watch
