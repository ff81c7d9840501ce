// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/igmp.h"

#include <algorithm>

#include "control/slowpath/wire.h"

namespace sluice::watch {
namespace {

using namespace wire;
using Kind = McastMessage::Kind;

enum IgmpType : uint8_t {
    kIgmpQuery = 0x11,
    kIgmp1Report = 0x12,
    kIgmp2Report = 0x16,
    kIgmp2Leave = 0x17,
    kIgmp3Report = 0x22,
};
enum MldType : uint8_t {
    kMldQuery = 130,
    kMldReport = 131,
    kMldDone = 132,
    kMld2Report = 143,
};
// Types of a group record, equal in both protocols (RFC 3376, 4.2.12; RFC 3810, 5.2.12).
constexpr uint8_t kModeIsInclude = 1;
constexpr uint8_t kChangeToInclude = 3;
constexpr uint8_t kBlockOldSources = 6;

constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// Group records of a version 3 (MLD 2) report, which begin at 8. `address`: bytes of an address.
void read_records(Bytes message, size_t address, McastMessage* out) {
    size_t at = 8;
    for (unsigned n = load16(message, 6); n > 0 && at + 4 + address <= message.size(); --n) {
        const uint8_t type = message[at];
        const size_t sources = load16(message, at + 2);
        if (type >= kModeIsInclude && type <= kBlockOldSources) {
            const Ip6 group =
                address == 4 ? mapped({load32(message, at + 4)}) : load_ip6(message, at + 4);
            const bool includes = type == kModeIsInclude || type == kChangeToInclude;
            out->changes.push_back({group, includes && sources == 0});
        }
        at += 4 + address + sources * address + size_t{message[at + 1]} * 4;
    }
}

McastMessage read_igmp(Bytes message) {
    McastMessage out;
    if (message.size() < 8 || fold(add(message)) != 0) {
        out.kind = Kind::kMalformed;
        return out;
    }
    const Ip6 group = mapped({load32(message, 4)});
    out.kind = Kind::kReport;
    switch (message[0]) {
    case kIgmp1Report:
        out.changes = {{group, false}};
        out.protocol = "IGMPv1";
        break;
    case kIgmp2Report:
        out.changes = {{group, false}};
        out.protocol = "IGMPv2";
        break;
    case kIgmp2Leave:
        out.changes = {{group, true}};
        out.protocol = "IGMPv2";
        break;
    case kIgmp3Report:
        read_records(message, 4, &out);
        out.protocol = "IGMPv3";
        break;
    case kIgmpQuery:
        out.kind = Kind::kQuery;
        out.from_router = true;
        break;
    default: out.kind = Kind::kOther;
    }
    return out;
}

McastMessage read_mld(Bytes message, const Headers& h) {
    McastMessage out;
    const uint64_t pseudo = pseudo6(h.ip6_src, h.ip6_dst, message.size(), kIcmp6);
    if (message.size() < 8 || fold(add(message, pseudo)) != 0) {
        out.kind = Kind::kMalformed;
        return out;
    }
    out.kind = Kind::kReport;
    switch (message[0]) {
    case kMldReport:
    case kMldDone:
        if (message.size() < 24) {
            out.kind = Kind::kMalformed;
            return out;
        }
        out.changes = {{load_ip6(message, 8), message[0] == kMldDone}};
        out.protocol = "MLDv1";
        break;
    case kMld2Report:
        read_records(message, 16, &out);
        out.protocol = "MLDv2";
        break;
    case kMldQuery:
        out.kind = Kind::kQuery;
        out.from_router = h.ip6_src != Ip6{};
        break;
    default: out.kind = Kind::kOther;
    }
    return out;
}

}  // namespace

Ip6 mapped(const Ip4& ip) {
    Ip6 out;
    std::copy(std::begin(kMapped), std::end(kMapped), out.bytes.begin());
    for (unsigned i = 0; i < 4; ++i) {
        out.bytes[12 + i] = static_cast<uint8_t>(ip.value >> (24 - 8 * i));
    }
    return out;
}

bool is_mapped(const Ip6& ip) {
    return std::equal(std::begin(kMapped), std::end(kMapped), ip.bytes.begin());
}

Ip4 unmapped(const Ip6& ip) {
    return {load32(ip.bytes, 12)};
}

std::string group_text(const Ip6& group) {
    return is_mapped(group) ? to_string(unmapped(group)) : to_string(group);
}

McastMessage read_mcast(std::span<const uint8_t> frame, const Headers& h) {
    if (h.l4 == 0 || h.is_later_frag) {
        return {};
    }
    const Bytes message = frame.subspan(h.l4, h.l4_len);
    if (h.is_ip4() && h.proto == 2) {
        return read_igmp(message);
    }
    if (h.is_ip6() && h.proto == kIcmp6) {
        return read_mld(message, h);
    }
    return {};
}

std::vector<uint8_t> igmp_query(const Querier& querier) {
    constexpr Mac kAllHosts{{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}};
    Writer w;
    w.ethernet(kAllHosts, querier.eth_src, kEthIp4);
    w.u8(0x45).u8(0).u16(kIp4Len + 12).u16(0).u16(0x4000).u8(1).u8(2).u16(0);
    w.u32(querier.ip4_src.value).u32(0xe0000001);
    w.patch16(kEthLen + 10, fold(add(w.view(kEthLen))));
    const auto tenths = static_cast<uint8_t>(querier.max_resp_s * 10);
    const size_t start = w.size();
    w.u8(kIgmpQuery).u8(tenths).u16(0).u32(0).u8(0).u8(tenths).u16(0);
    w.patch16(start + 2, fold(add(w.view(start))));
    return w.take();
}

std::vector<uint8_t> mld_query(const Querier& querier) {
    constexpr Mac kDst{{0x33, 0x33, 0x00, 0x00, 0x00, 0x00}};
    constexpr Ip6 kAllNodes{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
    constexpr uint16_t kLen = 28;
    Writer w;
    w.ethernet(kDst, querier.eth_src, kEthIp6);
    w.u32(0x60000000).u16(8 + kLen).u8(0).u8(1).ip6(querier.ip6_src).ip6(kAllNodes);
    w.u8(kIcmp6).u8(0).u8(5).u8(2).u16(0).u16(0);  // hop-by-hop: router alert, MLD
    const size_t start = w.size();
    w.u8(kMldQuery).u8(0).u16(0).u16(static_cast<uint16_t>(querier.max_resp_s * 1000)).u16(0);
    w.ip6({}).u8(0).u8(static_cast<uint8_t>(querier.max_resp_s)).u16(0);
    w.patch16(start + 2,
              fold(add(w.view(start), pseudo6(querier.ip6_src, kAllNodes, kLen, kIcmp6))));
    return w.take();
}

}  // namespace sluice::watch
