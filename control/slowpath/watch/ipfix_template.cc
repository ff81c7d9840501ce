// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/ipfix_template.h"

#include <span>

#include "control/slowpath/wire.h"

namespace sluice::watch {
namespace {

using wire::Writer;
using L3 = RecordShape::L3;
using L4 = RecordShape::L4;

constexpr uint16_t kFirstTemplate = 256;
constexpr size_t kMaxBody = 900;
constexpr uint16_t kVariable = 65535;
constexpr uint32_t kVmware = 6876;

struct Element {
    uint16_t id;
    uint16_t length;
    uint32_t enterprise = 0;
};

constexpr Element kCommon[] = {{138, 4},                   // observationPointId
                               {61, 1},                    // flowDirection
                               {56, 6},                    // sourceMacAddress
                               {80, 6},                    // destinationMacAddress
                               {256, 2},                   // ethernetType
                               {240, 1}};                  // ethernetHeaderLength
constexpr Element kVlan[] = {{58, 2},                      // vlanId
                             {243, 2},                     // dot1qVlanId
                             {244, 1}};                    // dot1qPriority
constexpr Element kIp[] = {{60, 1},                        // ipVersion
                           {192, 1},                       // ipTTL
                           {4, 1},                         // protocolIdentifier
                           {195, 1},                       // ipDiffServCodePoint
                           {196, 1},                       // ipPrecedence
                           {5, 1}};                        // ipClassOfService
constexpr Element kIp4[] = {{8, 4}, {12, 4}};              // addresses
constexpr Element kIp6[] = {{27, 16}, {28, 16}, {31, 4}};  // addresses, flowLabelIPv6
constexpr Element kPorts[] = {{7, 2}, {11, 2}};
constexpr Element kIcmp4[] = {{176, 1}, {177, 1}};  // type, code
constexpr Element kIcmp6[] = {{178, 1}, {179, 1}};
constexpr Element kVirtualObs[] = {{898, kVariable, kVmware}};  // virtualObsID
constexpr Element kCounters[] = {{158, 4},                      // flowStartDeltaMicroseconds
                                 {159, 4},                      // flowEndDeltaMicroseconds
                                 {2, 8},                        // packetDeltaCount
                                 {352, 8},                      // layer2OctetDeltaCount
                                 {136, 1}};                     // flowEndReason
constexpr Element kIpCounters[] = {{1, 8},                      // octetDeltaCount
                                   {198, 8},                    // octetDeltaSumOfSquares
                                   {25, 8},                     // minimumIpTotalLength
                                   {26, 8}};                    // maximumIpTotalLength

std::vector<Element> elements_of(const RecordShape& shape) {
    std::vector<Element> out;
    const auto take = [&](std::span<const Element> list) {
        out.insert(out.end(), list.begin(), list.end());
    };
    take(kCommon);
    if (shape.vlan) {
        take(kVlan);
    }
    if (shape.l3 != L3::kOther) {
        take(kIp);
        shape.l3 == L3::kIp4 ? take(kIp4) : take(kIp6);
    }
    if (shape.l4 == L4::kPorts) {
        take(kPorts);
    } else if (shape.l4 == L4::kIcmp) {
        shape.l3 == L3::kIp4 ? take(kIcmp4) : take(kIcmp6);
    }
    if (shape.virtual_obs) {
        take(kVirtualObs);
    }
    take(kCounters);
    if (shape.l3 != L3::kOther) {
        take(kIpCounters);
    }
    return out;
}

std::vector<uint8_t> record_of(const RecordShape& shape) {
    const std::vector<Element> elements = elements_of(shape);
    Writer w;
    w.u16(shape.template_id()).u16(static_cast<uint16_t>(elements.size()));
    for (const Element& e : elements) {
        w.u16(e.enterprise ? e.id | 0x8000u : e.id).u16(e.length);
        if (e.enterprise) {
            w.u32(e.enterprise);
        }
    }
    return w.take();
}

}  // namespace

uint16_t RecordShape::template_id() const {
    const unsigned n =
        ((vlan ? 1u : 0u) * 3 + static_cast<unsigned>(l3)) * 3 + static_cast<unsigned>(l4);
    return static_cast<uint16_t>(kFirstTemplate + n);
}

RecordShape shape_of(const Headers& h, bool virtual_obs) {
    RecordShape shape;
    shape.vlan = h.tci[0] != 0;
    shape.virtual_obs = virtual_obs;
    shape.l3 = h.is_ip4() ? L3::kIp4 : h.is_ip6() ? L3::kIp6 : L3::kOther;
    if (shape.l3 == L3::kOther) {
        return shape;
    }
    const uint8_t icmp = h.is_ip4() ? 1 : 58;
    if (h.proto == 6 || h.proto == 17 || h.proto == 132) {
        shape.l4 = L4::kPorts;
    } else if (h.proto == icmp) {
        shape.l4 = L4::kIcmp;
    }
    return shape;
}

std::vector<uint8_t> flow_key(const RecordShape& shape, const Headers& h, uint32_t obs_point) {
    Writer w;
    w.u32(obs_point).u8(0).mac(h.src).mac(h.dst).u16(h.eth_type);
    w.u8(static_cast<uint8_t>(shape.ethernet_header()));
    if (shape.vlan) {
        const uint16_t vid = h.tci[0] & 0xfff;
        w.u16(vid).u16(vid).u8(static_cast<uint8_t>(h.tci[0] >> 13));
    }
    if (shape.l3 == L3::kOther) {
        return w.take();
    }
    w.u8(shape.l3 == L3::kIp4 ? 4 : 6).u8(h.ttl).u8(h.proto);
    w.u8(static_cast<uint8_t>(h.tos >> 2)).u8(static_cast<uint8_t>(h.tos >> 5)).u8(h.tos);
    if (shape.l3 == L3::kIp4) {
        w.u32(h.ip4_src.value).u32(h.ip4_dst.value);
    } else {
        w.ip6(h.ip6_src).ip6(h.ip6_dst).u32(h.ip6_label);
    }
    if (shape.l4 == L4::kPorts) {
        w.u16(h.l4_src).u16(h.l4_dst);
    } else if (shape.l4 == L4::kIcmp) {
        w.u8(static_cast<uint8_t>(h.l4_src)).u8(static_cast<uint8_t>(h.l4_dst));
    }
    return w.take();
}

std::vector<std::vector<uint8_t>> template_records(bool virtual_obs) {
    std::vector<std::vector<uint8_t>> bodies(1);
    for (const bool vlan : {false, true}) {
        for (const L3 l3 : {L3::kOther, L3::kIp4, L3::kIp6}) {
            for (const L4 l4 : {L4::kOther, L4::kPorts, L4::kIcmp}) {
                if (l3 == L3::kOther && l4 != L4::kOther) {
                    continue;
                }
                const auto record = record_of({vlan, l3, l4, virtual_obs});
                if (bodies.back().size() + record.size() > kMaxBody) {
                    bodies.emplace_back();
                }
                bodies.back().insert(bodies.back().end(), record.begin(), record.end());
            }
        }
    }
    return bodies;
}

}  // namespace sluice::watch
