// SPDX-License-Identifier: Apache-2.0
#include "datapath/admit.h"

#include <arpa/inet.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "datapath/stages.h"
#include "datapath/worker_ctx.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"
#include "lib/program/steering.h"

namespace sluice {
namespace {

using namespace wire;

constexpr uint8_t kActivateByAny = kActivateByRarp | kActivateByGarp | kActivateByNa;
constexpr uint16_t kTypeRarp = 0x8035;
constexpr uint16_t kArpOverEthernet[] = {1, 0x0800, 0x0604};
constexpr uint8_t kNeighborAdvertisement = 136;
constexpr uint8_t kSolicited = 0x40;

/// The ARP body of a frame, or null; RARP's looks the same.
const uint8_t* arp_body(const rte_mbuf* m, const PacketKey& key) {
    const auto* body = rte_pktmbuf_mtod_offset(m, const uint8_t*, key.l2_len);
    if (m->data_len < key.l2_len + 28u) {
        return nullptr;
    }
    return get16(body) == kArpOverEthernet[0] && get16(body + 2) == kArpOverEthernet[1] &&
                   get16(body + 4) == kArpOverEthernet[2]
               ? body
               : nullptr;
}

/// Which of the Activation bits a frame has.
uint8_t activation_of(const rte_mbuf* m, const PacketKey& key) {
    const uint16_t type = ntohs(key.eth_type);
    if (type == kTypeRarp) {
        return kActivateByRarp;
    }
    if (type == kTypeArp) {
        const uint8_t* arp = arp_body(m, key);
        const bool is_gratuitous = arp && std::memcmp(arp + 14, arp + 24, 4) == 0;
        return is_gratuitous ? uint8_t{kActivateByGarp} : uint8_t{0};
    }
    if ((key.kinds & kind::kIp6) && (key.kinds & kind::kL4) && key.ip_proto == kProtoIcmp6 &&
        m->data_len >= key.l4_ofs + 24u) {
        const auto* icmp = rte_pktmbuf_mtod_offset(m, const uint8_t*, key.l4_ofs);
        const bool is_news = icmp[0] == kNeighborAdvertisement && !(icmp[4] & kSolicited);
        return is_news ? uint8_t{kActivateByNa} : uint8_t{0};
    }
    return 0;
}

void tell_activation(WorkerCtx& ctx, rte_mbuf* m, const EntryPoint& entry,
                     const Datapath& datapath) {
    rte_mbuf* copy = ctx.copy(m);
    if (!copy) {
        return;
    }
    PuntMeta& punt = meta_of(copy).punt;
    punt = PuntMeta{};
    punt.reason = PuntReason::kActivation;
    punt.port = meta_of(m).key.in_port;
    punt.flow = kNoFlow;
    punt.logical[kSlotDatapath] = datapath.key;
    punt.logical[kSlotInport] = entry.inport;
    ctx.hand_up(copy);
}

void put_router_mac(rte_mbuf* m, uint64_t mac) {
    uint8_t bytes[6];
    for (unsigned i = 0; i < 6; ++i) {
        bytes[i] = static_cast<uint8_t>(mac >> (40 - 8 * i));
    }
    std::memcpy(rte_pktmbuf_mtod_offset(m, uint8_t*, 6), bytes, sizeof bytes);
    std::memcpy(meta_of(m).key.eth_src, bytes, sizeof bytes);
}

}  // namespace

bool admit(WorkerCtx& ctx, rte_mbuf* m, const EntryPoint& entry, const Datapath& datapath) {
    const SpecialEntry& special = *entry.special;
    const PacketKey& key = meta_of(m).key;
    if (SLUICE_UNLIKELY(special.activation & kActivateByAny)) {
        if (!(activation_of(m, key) & special.activation)) {
            ctx.drop_packet(m, Drop::k_port_silent, datapath.key, entry.inport);
            return false;
        }
        tell_activation(ctx, m, entry, datapath);
        return true;
    }
    if (std::binary_search(special.chassis_macs.begin(), special.chassis_macs.end(),
                           get48(key.eth_src))) {
        put_router_mac(m, special.router_mac);
    }
    return true;
}

void to_host(WorkerCtx& ctx, rte_mbuf* m, const Underlay& underlay, PortId port) {
    if (underlay.exception == kNoPort || underlay.exception == kKernelIsHost) {
        ctx.punt(m, PuntReason::kUnderlay, port);
        return;
    }
    const PacketKey& key = meta_of(m).key;
    const bool teaches = ntohs(key.eth_type) == kTypeArp ||
                         ((key.kinds & kind::kIp6) && key.ip_proto == kProtoIcmp6);
    if (teaches) {
        if (rte_mbuf* copy = ctx.copy(m)) {
            ctx.punt(copy, PuntReason::kUnderlay, port);
        }
    }
    ctx.counters->add(Counter::k_to_kernel);
    meta_of(m).queue = 0;
    transmit(ctx, m, underlay.exception);
}

}  // namespace sluice
