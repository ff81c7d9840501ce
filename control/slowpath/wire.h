// SPDX-License-Identifier: Apache-2.0
// Bytes on the wire, as the slow path reads and writes them: network order, no alignment assumed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "lib/net/addr.h"

namespace sluice::wire {

using Bytes = std::span<const uint8_t>;

inline constexpr uint16_t kEthIp4 = 0x0800;
inline constexpr uint16_t kEthArp = 0x0806;
inline constexpr uint16_t kEthIp6 = 0x86dd;
inline constexpr size_t kEthLen = 14;
inline constexpr size_t kArpLen = 28;
inline constexpr size_t kIp4Len = 20;
inline constexpr size_t kIp6Len = 40;
inline constexpr uint8_t kIcmp = 1;
inline constexpr uint8_t kIcmp6 = 58;
inline constexpr Mac kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

inline uint16_t load16(Bytes b, size_t at) {
    return static_cast<uint16_t>(b[at] << 8 | b[at + 1]);
}
inline uint32_t load32(Bytes b, size_t at) {
    return uint32_t{load16(b, at)} << 16 | load16(b, at + 2);
}
inline Mac load_mac(Bytes b, size_t at) {
    Mac mac;
    std::memcpy(mac.bytes.data(), b.data() + at, 6);
    return mac;
}
inline Ip6 load_ip6(Bytes b, size_t at) {
    Ip6 ip;
    std::memcpy(ip.bytes.data(), b.data() + at, 16);
    return ip;
}

/// Appends fields to a frame.
class Writer {
public:
    Writer& u8(uint8_t v) {
        out_.push_back(v);
        return *this;
    }
    Writer& u16(uint16_t v) { return u8(static_cast<uint8_t>(v >> 8)).u8(static_cast<uint8_t>(v)); }
    Writer& u32(uint32_t v) {
        return u16(static_cast<uint16_t>(v >> 16)).u16(static_cast<uint16_t>(v));
    }
    Writer& bytes(Bytes b) {
        out_.insert(out_.end(), b.begin(), b.end());
        return *this;
    }
    Writer& mac(const Mac& m) { return bytes(m.bytes); }
    Writer& ip6(const Ip6& ip) { return bytes(ip.bytes); }
    Writer& ethernet(const Mac& dst, const Mac& src, uint16_t type) {
        return mac(dst).mac(src).u16(type);
    }
    size_t size() const { return out_.size(); }
    void patch16(size_t at, uint16_t v) {
        out_[at] = static_cast<uint8_t>(v >> 8);
        out_[at + 1] = static_cast<uint8_t>(v);
    }
    Bytes view(size_t from) const { return Bytes(out_).subspan(from); }
    std::vector<uint8_t> take() { return std::move(out_); }

private:
    std::vector<uint8_t> out_;
};

/// One's complement sum, not folded; chain by `sum`. Pieces but the last must have even length.
inline uint64_t add(Bytes b, uint64_t sum = 0) {
    size_t i = 0;
    for (; i + 1 < b.size(); i += 2) {
        sum += load16(b, i);
    }
    return i < b.size() ? sum + (uint64_t{b[i]} << 8) : sum;
}
/// The Internet checksum (RFC 1071) of a sum; 0 over data with a right checksum.
inline uint16_t fold(uint64_t sum) {
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<uint16_t>(~sum);
}
/// Pseudo header of IPv6 upper layers (RFC 8200, 8.1).
inline uint64_t pseudo6(const Ip6& src, const Ip6& dst, size_t length, uint8_t next) {
    return add(dst.bytes, add(src.bytes)) + length + next;
}

}  // namespace sluice::wire
