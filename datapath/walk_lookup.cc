// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include <cstring>

#include "datapath/select_hash.h"
#include "datapath/walk.h"
#include "lib/net/wire.h"

namespace sluice {
namespace {

Ip6 ip6_at(const State& s, unsigned slot) {
    Ip6 ip;
    for (unsigned i = 0; i < 4; ++i) {
        const uint32_t v = htonl(s.w[slot + i]);
        std::memcpy(ip.bytes.data() + 4 * i, &v, 4);
    }
    return ip;
}

const uint64_t* neighbor4(const Frame& f, const Instr& i) {
    const auto& map = f.datapath->neighbors->ip4;
    const auto it = map.find({f.s.w[i.a], f.s.w[i.b]});
    return it == map.end() ? nullptr : &it->second;
}

const uint64_t* neighbor6(const Frame& f, const Instr& i) {
    const auto& map = f.datapath->neighbors->ip6;
    const auto it = map.find({f.s.w[i.a], ip6_at(f.s, i.b)});
    return it == map.end() ? nullptr : &it->second;
}

uint32_t fdb_port(const Frame& f, const Instr& i) {
    const auto& map = f.datapath->neighbors->fdb;
    const auto it = map.find(f.s.mac(i.b));
    return it == map.end() ? 0 : it->second;
}

const PortSecurity* security_of(const Frame& f, unsigned slot) {
    const LogicalPort* const* port = f.datapath->ports.find(f.s.w[slot]);
    const PortSecurity* security = port ? (*port)->security : nullptr;
    return security && !security->entries.empty() ? security : nullptr;
}

void set_eth_dst(Frame* f, const uint64_t* mac) {
    const uint64_t v = mac ? *mac : 0;
    f->write(kSlotEthDst, 0xffff, static_cast<uint32_t>(v >> 32));
    f->write(kSlotEthDst + 1, ~0u, static_cast<uint32_t>(v));
}

void set_bit(Frame* f, const Instr& i, bool value) {
    f->write(i.e, 1u << i.f, static_cast<uint32_t>(value) << i.f);
}

uint32_t select(const SelectGroup& group, uint32_t hash) {
    if (group.total == 0) {
        return 0;
    }
    const uint32_t at = hash % group.total;
    for (uint32_t i = 0; i < group.count; ++i) {
        if (at < group.entries[i].end) {
            return group.entries[i].id;
        }
    }
    return 0;
}

}  // namespace

void lookup(const Frame& f, const Instr& i, Frame* result) {
    const State& s = f.s;
    switch (i.op) {
    case Op::kGetArp: set_eth_dst(result, neighbor4(f, i)); break;
    case Op::kGetNd: set_eth_dst(result, neighbor6(f, i)); break;
    case Op::kLookupArp:
    case Op::kLookupNd: {
        const uint64_t* mac = i.op == Op::kLookupArp ? neighbor4(f, i) : neighbor6(f, i);
        set_bit(result, i, mac && *mac == s.mac(i.c));
        break;
    }
    case Op::kLookupArpIp: set_bit(result, i, neighbor4(f, i)); break;
    case Op::kLookupNdIp: set_bit(result, i, neighbor6(f, i)); break;
    case Op::kGetFdb: result->write(i.a, ~0u, fdb_port(f, i)); break;
    case Op::kLookupFdb: {
        const uint32_t port = fdb_port(f, i);
        set_bit(result, i, port != 0 && port == s.w[i.a]);
        break;
    }
    case Op::kCheckInPortSec: {
        const PortSecurity* security = security_of(f, kSlotInport);
        set_bit(result, i, security && violates_in(*security, s));
        break;
    }
    case Op::kCheckOutPortSec: {
        const PortSecurity* security = security_of(f, kSlotOutport);
        set_bit(result, i, security && violates_out(*security, s));
        break;
    }
    case Op::kSelect: {
        const uint32_t width = i.e >= 32 ? ~0u : (1u << i.e) - 1;
        const uint32_t id = select(*static_cast<const SelectGroup*>(i.p),
                                   select_hash_of(s, static_cast<uint16_t>(i.d)));
        result->write(i.a, width << i.c, id << i.c);
        break;
    }
    default: break;
    }
}

}  // namespace sluice
