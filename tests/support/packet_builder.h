// SPDX-License-Identifier: Apache-2.0
// PacketBuilder: frames for tests, header by header, with checksums computed here from scratch.
//
//   PacketBuilder().eth(1, 2).vlan(5).ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 2)).udp(4000,
//   53).payload(8)
//
// Headers are appended in call order; finish() (implied by bytes()) fills lengths and checksums
// from the outside in. Nothing here shares code with the datapath.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace sluice::test {

using Bytes = std::vector<uint8_t>;

inline Bytes from_hex(const std::string& text) {
    Bytes out;
    int high = -1;
    for (const char c : text) {
        const int v = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
        if (v < 0) {
            continue;
        }
        if (high < 0) {
            high = v;
        } else {
            out.push_back(static_cast<uint8_t>(high << 4 | v));
            high = -1;
        }
    }
    return out;
}

inline std::string to_hex(const Bytes& bytes) {
    static const char* digits = "0123456789abcdef";
    std::string out;
    for (const uint8_t b : bytes) {
        out += digits[b >> 4];
        out += digits[b & 15];
    }
    return out;
}

/// RFC 1071 the slow way: big-endian words, one by one.
inline uint32_t word_sum(const uint8_t* p, size_t n) {
    uint32_t sum = 0;
    for (size_t i = 0; i < n; ++i) {
        sum += i % 2 ? p[i] : static_cast<uint32_t>(p[i]) << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

class PacketBuilder {
public:
    PacketBuilder& eth(uint64_t src, uint64_t dst, uint16_t type = 0) {
        put(dst, 6);
        put(src, 6);
        type_at_ = bytes_.size();
        put(type, 2);
        return *this;
    }
    PacketBuilder& vlan(uint16_t vid, uint8_t pcp = 0) {
        set(type_at_, 0x8100, 2);
        put(static_cast<uint64_t>(pcp) << 13 | vid, 2);
        type_at_ = bytes_.size();
        put(0, 2);
        return *this;
    }
    PacketBuilder& type(uint16_t type) {
        set(type_at_, type, 2);
        return *this;
    }
    PacketBuilder& ip4(uint32_t src, uint32_t dst, uint8_t proto = 0) {
        type(0x0800);
        ip_ = bytes_.size();
        v6_ = false;
        put(0x45, 1);
        put(0, 1);
        put(0, 2);  // total length
        put(0x1234, 2);
        put(0, 2);  // fragment
        put(64, 1);
        put(proto, 1);
        put(0, 2);
        put(src, 4);
        put(dst, 4);
        return *this;
    }
    /// Options of an IPv4 header just begun; a multiple of four bytes.
    PacketBuilder& ip4_options(const Bytes& options) {
        bytes_[ip_] = static_cast<uint8_t>(0x40 + (20 + options.size()) / 4);
        return raw(options);
    }
    PacketBuilder& ip6(const Bytes& src, const Bytes& dst, uint8_t next = 0) {
        type(0x86dd);
        ip_ = bytes_.size();
        v6_ = true;
        put(0x60000000, 4);
        put(0, 2);
        put(next, 1);
        put(64, 1);
        raw(src);
        raw(dst);
        next_at_ = ip_ + 6;
        return *this;
    }
    /// An IPv6 extension header: its own type, and its bytes after the next-header byte.
    PacketBuilder& ext(uint8_t own_type, const Bytes& rest) {
        bytes_[next_at_] = own_type;
        next_at_ = bytes_.size();
        put(59, 1);
        return raw(rest);
    }
    PacketBuilder& tos(uint8_t tos) {
        if (v6_) {
            set(ip_, 0x6000u | static_cast<uint32_t>(tos) << 4, 2);
        } else {
            bytes_[ip_ + 1] = tos;
        }
        return *this;
    }
    PacketBuilder& ttl(uint8_t ttl) {
        bytes_[ip_ + (v6_ ? 7u : 8u)] = ttl;
        return *this;
    }
    PacketBuilder& frag(uint16_t offset_words, bool more) {
        set(ip_ + 6, offset_words | (more ? 0x2000u : 0u), 2);
        return *this;
    }
    PacketBuilder& df() {
        set(ip_ + 6, 0x4000, 2);
        return *this;
    }
    PacketBuilder& id(uint16_t id) {
        set(ip_ + 4, id, 2);
        return *this;
    }
    PacketBuilder& udp(uint16_t src, uint16_t dst) {
        l4(17);
        put(src, 2);
        put(dst, 2);
        put(0, 4);
        return *this;
    }
    /// UDP that says "no checksum".
    PacketBuilder& no_udp_checksum() {
        zero_udp_ = true;
        return *this;
    }
    PacketBuilder& tcp(uint16_t src, uint16_t dst, uint16_t flags = 0x10) {
        l4(6);
        put(src, 2);
        put(dst, 2);
        put(1, 4);
        put(2, 4);
        put(0x5000u | flags, 2);
        put(0xffff, 2);
        put(0, 4);
        return *this;
    }
    PacketBuilder& sctp(uint16_t src, uint16_t dst) {
        l4(132);
        put(src, 2);
        put(dst, 2);
        put(7, 4);
        put(0, 4);
        return *this;
    }
    PacketBuilder& icmp(uint8_t type, uint8_t code, uint32_t rest = 0x00010001) {
        l4(v6_ ? 58 : 1);
        put(type, 1);
        put(code, 1);
        put(0, 2);
        put(rest, 4);
        return *this;
    }
    PacketBuilder& arp(uint16_t op, uint64_t sha, uint32_t spa, uint64_t tha, uint32_t tpa) {
        type(0x0806);
        put(0x000108000604, 6);
        put(op, 2);
        put(sha, 6);
        put(spa, 4);
        put(tha, 6);
        put(tpa, 4);
        return *this;
    }
    PacketBuilder& payload(size_t n) {
        for (size_t i = 0; i < n; ++i) {
            bytes_.push_back(static_cast<uint8_t>('a' + i % 26));
        }
        return *this;
    }
    PacketBuilder& raw(const Bytes& bytes) {
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        return *this;
    }
    PacketBuilder& bad_l4_checksum() {
        spoil_ = true;
        return *this;
    }
    /// The frame; pads behind what IP says do not change lengths any more.
    Bytes bytes() {
        finish();
        return bytes_;
    }
    operator Bytes() { return bytes(); }

private:
    void put(uint64_t v, unsigned n) {
        for (unsigned i = n; i-- > 0;) {
            bytes_.push_back(static_cast<uint8_t>(v >> 8 * i));
        }
    }
    void set(size_t at, uint64_t v, unsigned n) {
        for (unsigned i = 0; i < n; ++i) {
            bytes_[at + i] = static_cast<uint8_t>(v >> 8 * (n - 1 - i));
        }
    }
    void l4(uint8_t proto) {
        if (v6_) {
            bytes_[next_at_] = proto;
        } else {
            bytes_[ip_ + 9] = proto;
        }
        proto_ = proto;
        l4_ = bytes_.size();
    }
    void finish() {
        if (done_ || ip_ == 0) {
            return;
        }
        done_ = true;
        const size_t end = bytes_.size();
        const size_t n = end - l4_;
        if (v6_) {
            set(ip_ + 4, end - ip_ - 40, 2);
        } else {
            set(ip_ + 2, end - ip_, 2);
            set(ip_ + 10, 0, 2);
            const size_t header = (bytes_[ip_] & 15u) * 4;
            set(ip_ + 10, 0xffff & ~word_sum(&bytes_[ip_], header), 2);
        }
        if (l4_ == 0) {
            return;
        }
        size_t at = 0;
        if (proto_ == 17) {
            set(l4_ + 4, n, 2);
            at = l4_ + 6;
        } else if (proto_ == 6) {
            at = l4_ + 16;
        } else if (proto_ == 1 || proto_ == 58) {
            at = l4_ + 2;
        }
        if (at == 0 || (proto_ == 17 && zero_udp_)) {
            return;
        }
        uint32_t sum = word_sum(&bytes_[l4_], n);
        if (proto_ != 1) {
            sum += word_sum(&bytes_[ip_ + (v6_ ? 8u : 12u)], v6_ ? 32 : 8) + proto_ +
                   static_cast<uint32_t>(n);
        }
        while (sum >> 16) {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum = ~sum & 0xffff;
        if (spoil_) {
            sum ^= 0x5555;
        }
        set(at, sum == 0 && proto_ == 17 ? 0xffff : sum, 2);
    }

    Bytes bytes_;
    size_t type_at_ = 0;
    size_t ip_ = 0;
    size_t next_at_ = 0;
    size_t l4_ = 0;
    uint8_t proto_ = 0;
    bool v6_ = false;
    bool zero_udp_ = false;
    bool spoil_ = false;
    bool done_ = false;
};

/// Addresses from their parts: ip(10, 0, 0, 1), ip6(0xfd00, 1) for fd00::1.
inline uint32_t ip(unsigned a, unsigned b, unsigned c, unsigned d) {
    return a << 24 | b << 16 | c << 8 | d;
}
inline Bytes ip6(uint16_t first, uint64_t last) {
    Bytes out(16);
    out[0] = static_cast<uint8_t>(first >> 8);
    out[1] = static_cast<uint8_t>(first);
    for (unsigned i = 0; i < 8; ++i) {
        out[15 - i] = static_cast<uint8_t>(last >> 8 * i);
    }
    return out;
}

}  // namespace sluice::test
