// SPDX-License-Identifier: Apache-2.0
// The part of a bond that workers run.
#include <rte_mbuf.h>

#include "lib/base/check.h"
#include "lib/net/wire.h"
#include "pmd/bond.h"

namespace sluice::pmd {
namespace {

constexpr size_t kMacs = 12;

struct Tagged {
    uint16_t vlan = 0;
    uint16_t type = 0;
    unsigned l3 = wire::kEthLen;
};

Tagged read_tag(const uint8_t* p, unsigned length) {
    Tagged out;
    out.type = wire::get16(p + kMacs);
    if ((out.type == wire::kTypeVlan || out.type == wire::kTypeQinq) &&
        length >= wire::kEthLen + wire::kVlanLen) {
        out.vlan = static_cast<uint16_t>(wire::get16(p + 14) & 0xfff);
        out.type = wire::get16(p + 16);
        out.l3 += wire::kVlanLen;
    }
    return out;
}

uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 32;
}

/// Addresses, protocol and ports of the outermost IP header; fragments without ports.
uint64_t hash_l4(uint64_t h, const uint8_t* p, unsigned length, const Tagged& tag) {
    uint8_t protocol = 0;
    unsigned l4 = 0;
    if (tag.type == wire::kTypeIp4 && length >= tag.l3 + wire::kIp4MinLen) {
        const uint8_t* ip = p + tag.l3;
        protocol = ip[9];
        h = mix(h, uint64_t{wire::get32(ip + 12)} << 32 | wire::get32(ip + 16));
        const bool is_piece = wire::get16(ip + 6) & 0x3fff;
        l4 = is_piece ? 0 : tag.l3 + (ip[0] & 15u) * 4;
    } else if (tag.type == wire::kTypeIp6 && length >= tag.l3 + wire::kIp6Len) {
        const uint8_t* ip = p + tag.l3;
        protocol = ip[6];
        for (unsigned at = 8; at < wire::kIp6Len; at += 8) {
            h = mix(h, uint64_t{wire::get32(ip + at)} << 32 | wire::get32(ip + at + 4));
        }
        l4 = tag.l3 + wire::kIp6Len;
    }
    const bool has_ports = protocol == 6 || protocol == 17 || protocol == 132;
    if (has_ports && l4 && length >= l4 + 4) {
        h = mix(h, wire::get32(p + l4));
    }
    return mix(h, protocol);
}

/// It says that its sender is elsewhere now.
bool is_gratuitous_arp(const uint8_t* p, unsigned length, const Tagged& tag) {
    if (tag.type != wire::kTypeArp || length < tag.l3 + wire::kArpLen) {
        return false;
    }
    const uint8_t* arp = p + tag.l3;
    const bool is_reply = wire::get16(arp + 6) == 2;
    return wire::get48(p) == 0xffffffffffffull &&
           (is_reply || wire::get32(arp + 14) == wire::get32(arp + 24));
}

bool is_ours_come_back(BondSwitch& rules, const uint8_t* p, unsigned length) {
    const Tagged tag = read_tag(p, length);
    const uint64_t key = BondSources::key_of(wire::get48(p + 6), tag.vlan);
    if (SLUICE_LIKELY(!rules.sources.contains(key))) {
        return false;
    }
    if (is_gratuitous_arp(p, length, tag) && !rules.announced.contains(key)) {
        rules.sources.forget(key);
        return false;
    }
    return true;
}

bool may_receive(BondSwitch& rules, BondRx rule, const rte_mbuf* m) {
    const auto* p = rte_pktmbuf_mtod(m, const uint8_t*);
    switch (rule) {
    case BondRx::kNothing: return false;
    case BondRx::kAll: return true;
    case BondRx::kNotOursUnicast:
        if (p[0] & 1) {
            return false;
        }
        break;
    case BondRx::kNotOurs: break;
    }
    return !is_ours_come_back(rules, p, m->data_len);
}

/// Which bucket it belongs to; remembers where it came from.
unsigned bucket_of(BondSwitch& rules, const rte_mbuf* m, bool notes_sources, bool spreads) {
    const auto* p = rte_pktmbuf_mtod(m, const uint8_t*);
    const Tagged tag = read_tag(p, m->data_len);
    const uint64_t source = wire::get48(p + 6);
    if (notes_sources) {
        const uint64_t key = BondSources::key_of(source, tag.vlan);
        rules.sources.add(key);
        if (SLUICE_UNLIKELY(is_gratuitous_arp(p, m->data_len, tag))) {
            rules.announced.add(key);
        }
    }
    if (!spreads) {
        return 0;
    }
    const uint32_t basis = rules.basis.load(std::memory_order_relaxed);
    if (!rules.hashes_l4.load(std::memory_order_relaxed)) {
        return slb_bucket(basis, source, tag.vlan);
    }
    const uint64_t h = mix(mix(basis, source << 16 | tag.vlan), wire::get48(p));
    return hash_l4(h, p, m->data_len, tag) >> 56;
}

void drop(BondTxQueue& tx, rte_mbuf** pkts, unsigned n) {
    rte_pktmbuf_free_bulk(pkts, n);
    QueueCounters::bump(tx.counters.dropped, n);
}

/// All by one member: what it does not take the caller keeps.
uint16_t send_active(BondTxQueue& tx, rte_mbuf** pkts, uint16_t n) {
    BondSwitch& rules = *tx.rules;
    if (rules.notes_sources.load(std::memory_order_relaxed)) {
        for (unsigned i = 0; i < n; ++i) {
            bucket_of(rules, pkts[i], true, false);
        }
    }
    const uint8_t active = rules.active.load(std::memory_order_relaxed);
    if (active == kNoMember) {
        drop(tx, pkts, n);
        return n;
    }
    return tx.inner[active].tx(pkts, n);
}

}  // namespace

unsigned slb_bucket(uint32_t basis, uint64_t mac, uint16_t vlan) {
    return mix(basis, mac << 16 | vlan) >> 56;
}

uint16_t bond_rx_burst(void* queue, rte_mbuf** pkts, uint16_t n) {
    BondRxQueue& q = *static_cast<BondRxQueue*>(queue);
    const uint16_t got = q.inner.rx(pkts, n);
    if (!got) {
        return 0;
    }
    const BondRx rule = q.rules->rx[q.member].load(std::memory_order_relaxed);
    uint16_t kept = 0;
    for (uint16_t i = 0; i < got; ++i) {
        rte_mbuf* const m = pkts[i];
        const bool is_whole = m->data_len >= wire::kEthLen;
        if (SLUICE_UNLIKELY(is_whole && wire::get16(rte_pktmbuf_mtod(m, const uint8_t*) + kMacs) ==
                                            kSlowProtocols)) {
            if (rte_ring_mp_enqueue(q.control, m) != 0) {
                rte_pktmbuf_free(m);
                QueueCounters::bump(q.counters.dropped, 1);
            }
        } else if (is_whole && may_receive(*q.rules, rule, m)) {
            pkts[kept++] = m;
        } else {
            rte_pktmbuf_free(m);
            QueueCounters::bump(q.counters.dropped, 1);
        }
    }
    return kept;
}

uint16_t bond_tx_burst(void* queue, rte_mbuf** pkts, uint16_t n) {
    BondTxQueue& tx = *static_cast<BondTxQueue*>(queue);
    BondSwitch& rules = *tx.rules;
    if (!rules.spreads.load(std::memory_order_relaxed)) {
        return send_active(tx, pkts, n);
    }
    const bool notes_sources = rules.notes_sources.load(std::memory_order_relaxed);
    rte_mbuf* lanes[kMostMembers][kMaxPortBurst];
    uint16_t count[kMostMembers] = {};
    for (uint16_t i = 0; i < n; ++i) {
        const unsigned bucket = bucket_of(rules, pkts[i], notes_sources, true);
        const uint8_t member = rules.buckets[bucket].load(std::memory_order_relaxed);
        if (SLUICE_UNLIKELY(member == kNoMember)) {
            drop(tx, &pkts[i], 1);
            continue;
        }
        QueueCounters::bump(tx.bytes[bucket], pkts[i]->pkt_len);
        lanes[member][count[member]++] = pkts[i];
    }
    for (size_t member = 0; member < tx.inner.size(); ++member) {
        if (count[member]) {
            const uint16_t sent = tx.inner[member].tx(lanes[member], count[member]);
            if (sent < count[member]) {
                drop(tx, lanes[member] + sent, count[member] - sent);
            }
        }
    }
    return n;
}

}  // namespace sluice::pmd
