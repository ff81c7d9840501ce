// SPDX-License-Identifier: Apache-2.0
#include "datapath/rewrite.h"

#include <rte_mbuf.h>

#include <cstring>

#include "datapath/program.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"

namespace sluice {
namespace {

template <typename T>
T load(const uint8_t* p) {
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

/// Writes `to` and returns what that adds to a one's complement sum.
template <typename T>
uint64_t change(uint8_t* at, T to) {
    const T from = load<T>(at);
    std::memcpy(at, &to, sizeof to);
    return uint64_t{static_cast<T>(~from)} + to;
}

void mend(uint8_t* checksum, uint64_t change) {
    const auto before = static_cast<uint16_t>(~load<uint16_t>(checksum));
    const auto after = static_cast<uint16_t>(~checksum::fold(before + change));
    std::memcpy(checksum, &after, sizeof after);
}

/// Addresses and ports of a whole IPv4 packet with TCP or UDP.
void write_tuple(const Rewrite& r, uint8_t proto, uint8_t* l3, uint8_t* l4, uint64_t* ip_change) {
    uint64_t addresses = 0;
    uint64_t ports = 0;
    if (r.fields & Rewrite::kSrc) {
        addresses += change<uint32_t>(l3 + 12, r.src);
    }
    if (r.fields & Rewrite::kDst) {
        addresses += change<uint32_t>(l3 + 16, r.dst);
    }
    if (r.fields & Rewrite::kSrcPort) {
        ports += change<uint16_t>(l4, r.src_port);
    }
    if (r.fields & Rewrite::kDstPort) {
        ports += change<uint16_t>(l4 + 2, r.dst_port);
    }
    *ip_change += addresses;
    if (proto == wire::kProtoTcp) {
        mend(l4 + 16, addresses + ports);
    } else if (load<uint16_t>(l4 + 6) != 0) {
        mend(l4 + 6, addresses + ports);
        if (load<uint16_t>(l4 + 6) == 0) {
            std::memset(l4 + 6, 0xff, 2);  // zero means "no checksum"
        }
    }
}

}  // namespace

const uint64_t* collect_sets(const uint64_t* words, const uint64_t* end, Rewrite* out) {
    *out = {};
    const uint64_t* w = words;
    for (; w != end && act::of(*w) == Act::kSet; ++w) {
        const uint64_t value = act::value48(*w);
        const auto port = __builtin_bswap16(static_cast<uint16_t>(value));
        const auto address = __builtin_bswap32(static_cast<uint32_t>(value));
        switch (static_cast<Target>(act::a(*w))) {
        case Target::kEthDst:
            wire::put48(out->macs, value);
            out->fields |= Rewrite::kEthDst;
            break;
        case Target::kEthSrc:
            wire::put48(out->macs + 6, value);
            out->fields |= Rewrite::kEthSrc;
            break;
        case Target::kIpTtl:
            out->ttl = static_cast<uint8_t>(value);
            out->fields |= Rewrite::kTtl;
            break;
        case Target::kIp4Src:
            out->src = address;
            out->fields |= Rewrite::kSrc;
            break;
        case Target::kIp4Dst:
            out->dst = address;
            out->fields |= Rewrite::kDst;
            break;
        case Target::kL4Src:
            out->src_port = port;
            out->fields |= Rewrite::kSrcPort;
            break;
        case Target::kL4Dst:
            out->dst_port = port;
            out->fields |= Rewrite::kDstPort;
            break;
        default: return nullptr;
        }
    }
    return out->fields ? w : nullptr;
}

bool apply_rewrite(rte_mbuf* m, const PacketKey& key, const Rewrite& r) {
    auto* data = rte_pktmbuf_mtod(m, uint8_t*);
    uint8_t* l3 = data + key.l2_len;
    const bool ip4 = key.kinds & kind::kIp4;
    const bool has_tuple = ip4 && (key.kinds & kind::kL4) && key.ip_frag == 0 &&
                           (key.ip_proto == wire::kProtoTcp || key.ip_proto == wire::kProtoUdp);
    if (((r.fields & Rewrite::kTuple) && !has_tuple) ||
        ((r.fields & Rewrite::kTtl) && !(key.kinds & (kind::kIp4 | kind::kIp6)))) {
        return false;
    }
    if ((r.fields & (Rewrite::kEthDst | Rewrite::kEthSrc)) ==
        (Rewrite::kEthDst | Rewrite::kEthSrc)) {
        std::memcpy(data, r.macs, 12);
    } else if (r.fields & Rewrite::kEthDst) {
        std::memcpy(data, r.macs, 6);
    } else if (r.fields & Rewrite::kEthSrc) {
        std::memcpy(data + 6, r.macs + 6, 6);
    }
    uint64_t ip_change = 0;
    if (r.fields & Rewrite::kTtl) {
        if (ip4) {
            ip_change +=
                change<uint16_t>(l3 + 8, static_cast<uint16_t>(r.ttl | uint16_t{l3[9]} << 8));
        } else {
            l3[7] = r.ttl;
        }
    }
    if (r.fields & Rewrite::kTuple) {
        write_tuple(r, key.ip_proto, l3, data + key.l4_ofs, &ip_change);
    }
    if (ip_change) {
        mend(l3 + 10, ip_change);
    }
    return true;
}

}  // namespace sluice
