// SPDX-License-Identifier: Apache-2.0
// Numbers of the wire: offsets, types and big-endian access, for code that reads or edits frames.
//
// Offsets instead of structs: frames are not aligned, and code that edits single fields reads
// better with the offset an RFC shows. Only what more than one file needs.
#pragma once

#include <cstdint>
#include <cstring>

namespace sluice::wire {

inline uint16_t get16(const uint8_t* p) {
    return static_cast<uint16_t>(p[0] << 8 | p[1]);
}
inline uint32_t get24(const uint8_t* p) {
    return static_cast<uint32_t>(p[0]) << 16 | static_cast<uint32_t>(p[1]) << 8 | p[2];
}
inline uint32_t get32(const uint8_t* p) {
    uint32_t v;
    std::memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}
inline uint64_t get48(const uint8_t* p) {
    return static_cast<uint64_t>(get16(p)) << 32 | get32(p + 2);
}
inline void put16(uint8_t* p, uint32_t v) {
    p[0] = static_cast<uint8_t>(v >> 8);
    p[1] = static_cast<uint8_t>(v);
}
inline void put24(uint8_t* p, uint32_t v) {
    p[0] = static_cast<uint8_t>(v >> 16);
    put16(p + 1, v);
}
inline void put32(uint8_t* p, uint32_t v) {
    v = __builtin_bswap32(v);
    std::memcpy(p, &v, 4);
}
inline void put48(uint8_t* p, uint64_t v) {
    put16(p, static_cast<uint32_t>(v >> 32));
    put32(p + 2, static_cast<uint32_t>(v));
}

inline constexpr unsigned kEthLen = 14;
inline constexpr unsigned kVlanLen = 4;
inline constexpr unsigned kIp4MinLen = 20;
inline constexpr unsigned kIp6Len = 40;
inline constexpr unsigned kTcpMinLen = 20;
inline constexpr unsigned kUdpLen = 8;
inline constexpr unsigned kSctpLen = 12;
inline constexpr unsigned kIcmpLen = 8;
inline constexpr unsigned kArpLen = 28;

inline constexpr uint16_t kTypeIp4 = 0x0800;
inline constexpr uint16_t kTypeArp = 0x0806;
inline constexpr uint16_t kTypeRarp = 0x8035;
inline constexpr uint16_t kTypeVlan = 0x8100;
inline constexpr uint16_t kTypeQinq = 0x88a8;
inline constexpr uint16_t kTypeIp6 = 0x86dd;
inline constexpr uint16_t kTypeTeb = 0x6558;   ///< Ethernet inside Geneve
inline constexpr uint16_t kTypeNone = 0x05ff;  ///< what an 802.3 frame without SNAP is given
inline constexpr uint16_t kTypeMin = 0x0600;   ///< smaller values are lengths

inline bool is_tag(uint16_t type) {
    return type == kTypeVlan || type == kTypeQinq;
}
inline constexpr uint16_t kVlanPresent = 0x1000;  ///< in a TCI of ours: there is a tag
inline constexpr uint16_t kVlanVid = 0x0fff;

inline constexpr uint8_t kProtoHopOpts = 0;
inline constexpr uint8_t kProtoIcmp = 1;
inline constexpr uint8_t kProtoTcp = 6;
inline constexpr uint8_t kProtoUdp = 17;
inline constexpr uint8_t kProtoRouting = 43;
inline constexpr uint8_t kProtoGre = 47;
inline constexpr uint8_t kProtoFragment = 44;
inline constexpr uint8_t kProtoAh = 51;
inline constexpr uint8_t kProtoIcmp6 = 58;
inline constexpr uint8_t kProtoDstOpts = 60;
inline constexpr uint8_t kProtoSctp = 132;

inline constexpr uint8_t kNdNs = 135;
inline constexpr uint8_t kNdNa = 136;
inline constexpr uint8_t kNdOptSll = 1;
inline constexpr uint8_t kNdOptTll = 2;
inline constexpr unsigned kNdLen = 24;  ///< ICMPv6 header, flags, target

inline constexpr uint16_t kGenevePort = 6081;
inline constexpr uint16_t kVxlanPort = 4789;
inline constexpr uint16_t kSttPort = 7471;
inline constexpr unsigned kErspanLen = 8;  ///< type II, behind a GRE header with a sequence
inline constexpr unsigned kGeneveLen = 8;
inline constexpr unsigned kGeneveOvnLen = 16;  ///< with OVN's one option
inline constexpr uint8_t kGeneveOam = 0x80;
inline constexpr uint8_t kGeneveCritical = 0x40;
inline constexpr uint16_t kOptClassOvn = 0x0102;
inline constexpr uint8_t kOptTypeOvn = 0x80;
inline constexpr uint16_t kOptClassLegacy = 0xffff;
inline constexpr uint8_t kOptTypeLegacy = 0;

}  // namespace sluice::wire
