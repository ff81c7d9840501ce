// SPDX-License-Identifier: Apache-2.0
#include <rte_mbuf.h>

#include <cstring>

#include "datapath/edit.h"
#include "datapath/stages.h"
#include "datapath/transform.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"

namespace sluice::edit {
namespace {

using namespace wire;

bool to_arp(rte_mbuf* m, const PacketKey& key) {
    const uint8_t* data = rte_pktmbuf_mtod(m, const uint8_t*);
    uint8_t addresses[8];
    std::memcpy(addresses, data + key.l2_len + 12, 8);
    uint8_t* arp = reshape(m, key, true, kTypeArp, kArpLen);
    if (!arp) {
        return false;
    }
    static constexpr uint8_t kRequest[8] = {0, 1, 8, 0, 6, 4, 0, 1};
    std::memcpy(arp, kRequest, 8);
    std::memcpy(arp + 8, rte_pktmbuf_mtod(m, const uint8_t*) + 6, 6);
    std::memcpy(arp + 14, addresses, 4);
    std::memcpy(arp + 24, addresses + 4, 4);
    return true;
}

/// An NS or NA with one link layer address option; returns false without room.
bool to_nd(rte_mbuf* m, const PacketKey& key, uint8_t type, uint32_t flags, const uint8_t* src,
           const uint8_t* dst, const uint8_t* target, const uint8_t* lla) {
    constexpr uint16_t kNd = kNdLen + 8;
    uint8_t* ip = reshape(m, key, false, kTypeIp6, kIp6Len + kNd);
    if (!ip) {
        return false;
    }
    ip[0] = 0x60;
    put16(ip + 4, kNd);
    ip[6] = kProtoIcmp6;
    ip[7] = 255;
    std::memcpy(ip + 8, src, 16);
    std::memcpy(ip + 24, dst, 16);
    uint8_t* nd = ip + kIp6Len;
    nd[0] = type;
    put32(nd + 4, flags);
    std::memcpy(nd + 8, target, 16);
    nd[24] = type == kNdNs ? kNdOptSll : kNdOptTll;
    nd[25] = 1;
    std::memcpy(nd + 26, lla, 6);
    const uint8_t pseudo[4] = {0, kNd, 0, kProtoIcmp6};
    uint64_t sum = checksum::sum(ip + 8, 32);
    sum = checksum::sum(pseudo, 4, sum);
    const auto csum = static_cast<uint16_t>(~checksum::fold(checksum::sum(nd, kNd, sum)));
    std::memcpy(nd + 2, &csum, 2);
    return true;
}

bool to_ns(rte_mbuf* m, const PacketKey& key) {
    uint8_t* eth = rte_pktmbuf_mtod(m, uint8_t*);
    uint8_t mac[6];
    uint8_t target[16];
    std::memcpy(mac, eth + 6, 6);
    std::memcpy(target, eth + key.l2_len + 24, 16);
    // From our link-local address to the target's solicited-node group (RFC 4291).
    const uint8_t src[16] = {
        0xfe,   0x80,   0,    0,    0,      0,      0,     0, static_cast<uint8_t>(mac[0] ^ 2),
        mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
    const uint8_t dst[16] = {0xff, 2, 0, 0, 0,    0,          0,          0,
                             0,    0, 0, 1, 0xff, target[13], target[14], target[15]};
    const uint8_t group[6] = {0x33, 0x33, dst[12], dst[13], dst[14], dst[15]};
    std::memcpy(eth, group, 6);
    return to_nd(m, key, kNdNs, 0, src, dst, target, mac);
}

bool to_na(rte_mbuf* m, const PacketKey& key, bool router) {
    uint8_t* eth = rte_pktmbuf_mtod(m, uint8_t*);
    uint8_t macs[12];
    std::memcpy(macs, eth, 12);
    uint8_t asker[16];
    uint8_t target[16];
    std::memcpy(asker, eth + key.l2_len + 8, 16);
    std::memcpy(target, key.nd_target, 16);
    if (key.kinds & kind::kNd) {
        std::memcpy(target, eth + key.l4_ofs + 8, 16);
    }
    std::memcpy(eth, macs + 6, 6);
    std::memcpy(eth + 6, macs, 6);
    const uint32_t flags = 0x60000000u | (router ? 0x80000000u : 0u);
    return to_nd(m, key, kNdNa, flags, target, asker, target, macs);
}

}  // namespace

uint8_t* reshape(rte_mbuf* m, const PacketKey& key, bool keep_tag, uint16_t type,
                 uint16_t payload) {
    const bool tagged = keep_tag && (key.kinds & kind::kVlan);
    const auto want = static_cast<uint16_t>(kEthLen + (tagged ? kVlanLen : 0) + payload);
    if (m->next) {
        rte_pktmbuf_free(m->next);
        m->next = nullptr;
        m->nb_segs = 1;
    }
    if (m->data_len + rte_pktmbuf_tailroom(m) < want) {
        return nullptr;
    }
    m->data_len = want;
    m->pkt_len = want;
    uint8_t* eth = rte_pktmbuf_mtod(m, uint8_t*);
    uint8_t* l3 = eth + want - payload;
    if (tagged) {
        put16(eth + 12, kTypeVlan);
        eth[14] &= static_cast<uint8_t>(~(kVlanPresent >> 8));
    }
    put16(l3 - 2, type);
    std::memset(l3, 0, payload);
    return l3;
}

bool transform(rte_mbuf* m, PacketKey* key, Transform what) {
    bool done = false;
    switch (what) {
    case Transform::kArp: done = (key->kinds & kind::kIp4) && to_arp(m, *key); break;
    case Transform::kNdNs: done = (key->kinds & kind::kIp6) && to_ns(m, *key); break;
    case Transform::kNdNa:
    case Transform::kNdNaRouter:
        done = (key->kinds & kind::kNd) && to_na(m, *key, what == Transform::kNdNaRouter);
        break;
    case Transform::kIcmp4:
    case Transform::kIcmp4Error:
    case Transform::kIcmp6:
    case Transform::kIcmp6Error: done = to_icmp(m, *key, false); break;
    case Transform::kTcpReset: done = to_reset(m, *key, false); break;
    case Transform::kSctpAbort: done = to_abort(m, *key, false); break;
    case Transform::kReject: done = to_rejection(m, *key); break;
    }
    if (!done) {
        return false;
    }
    const PacketKey before = *key;
    parse_frame(rte_pktmbuf_mtod(m, const uint8_t*), m->data_len, m->pkt_len, key);
    key->context = before.context;
    key->flow_hash = before.flow_hash;
    key->has_flow_hash = before.has_flow_hash;
    key->in_port = before.in_port;
    key->pkt_mark = before.pkt_mark;
    return true;
}

}  // namespace sluice::edit
