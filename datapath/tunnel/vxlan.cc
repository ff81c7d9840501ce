// SPDX-License-Identifier: Apache-2.0
#include "datapath/tunnel/vxlan.h"

#include "lib/net/wire.h"
#include "lib/program/state.h"

namespace sluice {
namespace {

constexpr uint32_t kGroupBit = 0x800;  // of the twelve bits of the egress port
constexpr uint32_t kLow11 = 0x7ff;
constexpr uint32_t kLow12 = 0xfff;
constexpr uint32_t kVniMask = 0xffffff;
constexpr uint8_t kHasVni = 0x08;

}  // namespace

Drop parse_vxlan(const uint8_t* data, uint32_t len, uint32_t* vni) {
    if (len < kVxlanLen) {
        return Drop::k_vxlan_truncated;
    }
    if (!(data[0] & kHasVni)) {
        return Drop::k_vxlan_no_vni;
    }
    *vni = wire::get24(data + 4);
    return Drop::k_none;
}

VxlanCoordinates split_vni(uint32_t vni) {
    const uint32_t outport = vni >> 12;
    const bool is_group = outport & kGroupBit;
    return {vni & kLow12, is_group ? kFirstGroupKey | (outport & kLow11) : outport};
}

uint32_t make_vni(uint64_t coordinates) {
    const auto datapath = static_cast<uint32_t>(coordinates >> 32);
    const auto outport = static_cast<uint32_t>(coordinates & 0xffff);
    const uint32_t key = outport & kFirstGroupKey ? kGroupBit | (outport & kLow11) : outport;
    return (datapath | key << 12) & kVniMask;
}

}  // namespace sluice
