// SPDX-License-Identifier: Apache-2.0
#include "datapath/tunnel/mirror.h"

#include <rte_mbuf.h>

#include <cstring>

#include "datapath/tunnel/encap.h"
#include "datapath/worker_ctx.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"
#include "lib/program/mirror_sink.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

using namespace wire;

/// ECN of an IP packet, as normal mode of RFC 6040 copies it; 0 when it is not IP.
uint8_t ecn_of(const rte_mbuf* m, const PacketKey& key) {
    const uint8_t* l3 = rte_pktmbuf_mtod_offset(m, const uint8_t*, key.l2_len);
    if (key.kinds & kind::kIp4) {
        return l3[1] & 3;
    }
    return key.kinds & kind::kIp6 ? l3[1] >> 4 & 3 : 0;
}

void patch_ip(const MirrorSink& sink, uint8_t* l3, uint8_t ecn, uint32_t ip_len) {
    if (sink.ip6) {
        l3[1] = static_cast<uint8_t>(l3[1] | ecn << 4);
        put16(l3 + 4, ip_len - kIp6Len);
        return;
    }
    l3[1] = static_cast<uint8_t>(l3[1] | ecn);
    put16(l3 + 2, ip_len);
    const uint16_t sum = checksum::of(l3, kIp4MinLen);
    std::memcpy(l3 + 10, &sum, 2);
}

}  // namespace

void send_to_mirror(WorkerCtx& ctx, rte_mbuf* m, uint32_t number, uint64_t coordinates) {
    const auto& sinks = ctx.pipeline->mirrors;
    const MirrorSink* sink = number < sinks.size() ? sinks[number] : nullptr;
    const unsigned outer = sink && sink->header_len ? sink->header_len - kEthLen : 0;
    const bool is_too_long = sink && outer && sink->mtu && m->pkt_len + outer > sink->mtu;
    if (SLUICE_UNLIKELY(!sink || !sink->is_ready || is_too_long)) {
        ctx.drop_packet(m, is_too_long ? Drop::k_too_long : Drop::k_mirror_unreachable,
                        static_cast<uint32_t>(coordinates >> 32),
                        static_cast<uint32_t>(coordinates >> 16) & 0xffff);
        return;
    }
    ctx.counters->add(Counter::k_mirrored);
    if (sink->header_len != 0) {
        const uint8_t ecn = ecn_of(m, meta_of(m).key);
        m = with_headroom(ctx, m, sink->header_len);
        if (!m) {
            return;
        }
        auto* header = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(m, sink->header_len));
        std::memcpy(header, sink->header, sink->header_len);
        patch_ip(*sink, header + kEthLen, ecn, m->pkt_len - kEthLen);
        if (sink->type == MirrorSink::Type::kErspan) {
            put32(header + sink->header_len - kErspanLen - 4,
                  sink->sequence->fetch_add(1, std::memory_order_relaxed));
        }
    }
    transmit(ctx, m, sink->port);
}

}  // namespace sluice
