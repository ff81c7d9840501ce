// SPDX-License-Identifier: Apache-2.0
#include "tests/property/walk_lab.h"

#include <arpa/inet.h>

#include <cstring>

#include "datapath/stages.h"
#include "datapath/trace.h"
#include "tests/property/compile_random.h"

namespace sluice::testing {

using oracle::Event;

namespace {

void put_mac(uint64_t mac, uint8_t* out) {
    for (unsigned i = 0; i < 6; ++i) {
        out[i] = static_cast<uint8_t>(mac >> 8 * (5 - i));
    }
}
void put_wide(oracle::Wide v, uint8_t* out) {
    for (unsigned i = 0; i < 8; ++i) {
        out[i] = static_cast<uint8_t>(v.hi >> 8 * (7 - i));
        out[8 + i] = static_cast<uint8_t>(v.lo >> 8 * (7 - i));
    }
}
void put_ip4(uint64_t ip, uint8_t* out) {
    const uint32_t be = htonl(static_cast<uint32_t>(ip));
    std::memcpy(out, &be, sizeof be);
}

}  // namespace

PacketKey key_of(oracle::Packet p) {
    PacketKey key;
    std::memset(&key, 0, sizeof key);
    put_mac(p["eth.dst"].lo, key.eth_dst);
    put_mac(p["eth.src"].lo, key.eth_src);
    const auto type = static_cast<uint16_t>(p["eth.type"].lo);
    key.eth_type = htons(type);
    key.vlan_tci = htons(static_cast<uint16_t>(p["vlan.tci"].lo));
    key.pkt_len = static_cast<uint32_t>(p["length"].lo);
    key.pkt_mark = static_cast<uint32_t>(p["pkt.mark"].lo);
    if (type == 0x806 || type == 0x8035) {
        key.kinds = kind::kArp;
        key.l4_src = htons(static_cast<uint16_t>(p["arp.op"].lo));
        put_ip4(p["arp.spa"].lo, key.ip_src);
        put_ip4(p["arp.tpa"].lo, key.ip_dst);
        put_mac(p["arp.sha"].lo, key.ip_src + 4);
        put_mac(p["arp.tha"].lo, key.ip_dst + 4);
        return key;
    }
    if (type != 0x800 && type != 0x86dd) {
        return key;
    }
    key.kinds = type == 0x800 ? kind::kIp4 : kind::kIp6;
    key.ip_proto = static_cast<uint8_t>(p["ip.proto"].lo);
    key.ip_ttl = static_cast<uint8_t>(p["ip.ttl"].lo);
    key.ip_tos = static_cast<uint8_t>(p["ip.dscp"].lo << 2 | p["ip.ecn"].lo);
    key.ip_frag = static_cast<uint8_t>(p["ip.frag"].lo);
    key.l4_src = htons(static_cast<uint16_t>(p["l4.src"].lo));
    key.l4_dst = htons(static_cast<uint16_t>(p["l4.dst"].lo));
    key.kinds |= key.ip_frag & 2 ? 0 : kind::kL4;
    key.tcp_flags = htons(static_cast<uint16_t>(p["tcp.flags"].lo));
    if (type == 0x800) {
        put_ip4(p["ip4.src"].lo, key.ip_src);
        put_ip4(p["ip4.dst"].lo, key.ip_dst);
        return key;
    }
    put_wide(p["ip6.src"], key.ip_src);
    put_wide(p["ip6.dst"], key.ip_dst);
    key.ip6_label = htonl(static_cast<uint32_t>(p["ip6.label"].lo));
    if (key.ip_proto == 58 && (p["l4.src"].lo == 135 || p["l4.src"].lo == 136)) {
        key.kinds |= kind::kNd;
        put_wide(p["nd.target"], key.nd_target);
        put_mac(p["nd.sll"].lo, key.nd_sll);
        put_mac(p["nd.tll"].lo, key.nd_tll);
    }
    return key;
}

namespace {

void add_drop(const TraceRecord& record, std::vector<Event>* out) {
    if (record.reason == Drop::k_no_match) {
        out->push_back({Event::kNoMatch, "", to_packet(record.state)});
    } else if (record.reason == Drop::k_ttl_expired) {
        out->push_back({Event::kTtl, "", to_packet(record.state)});
    } else if (record.reason == Drop::k_logical_flow) {
        out->push_back({Event::kDrop, "logical_flow", to_packet(record.state)});
    }
}

}  // namespace

OneDatapath::OneDatapath(const compile::Compiled& compiled) {
    datapath.tables = compiled.tables;
    datapath.neighbors = std::make_shared<const Neighbors>();
    pipeline.datapaths = {&datapath};
    buffer_->flush = [](void*, ProgramBuffer*) {};
    buffer_->owner = nullptr;
}

std::vector<Event> OneDatapath::walk_ingress(const PacketKey& key, uint32_t inport, uint32_t flags,
                                             const WalkEnv& env) {
    Trace trace;
    buffer_->reset();
    walk<true>(pipeline, key, {WalkStart::Kind::kIngress, &datapath, inport, 0, flags}, env,
               buffer_.get(), counters_.get(), &trace);
    std::vector<Event> out;
    for (const TraceRecord& record : trace.records) {
        if (record.kind == TraceRecord::Kind::kCode && record.instr->op == Op::kOutput) {
            out.push_back({Event::kOutput, "", to_packet(record.state)});
        } else if (record.kind == TraceRecord::Kind::kDrop) {
            add_drop(record, &out);
        }
    }
    return out;
}

}  // namespace sluice::testing
