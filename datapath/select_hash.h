// SPDX-License-Identifier: Apache-2.0
// What select() and ct_lb choose by: the packet's flow hash, or the fields that hash_fields names.
//
// Equal fields give equal choices on every worker and after every publish; which member a value
// leads to is ours alone (Open vSwitch's differs between versions, too).
// Threads: pure.
#pragma once

#include <cstdint>

#include "lib/program/ct_args.h"
#include "lib/program/state.h"

namespace sluice {

inline uint32_t select_hash_of(const State& s, uint16_t fields) {
    if (fields == 0) {
        return s.w[kSlotFlowHash];
    }
    uint64_t h = 0x243f6a8885a308d3ull;
    const auto add = [&](uint32_t word) {
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 32;
    };
    const auto add_address = [&](unsigned slot4, unsigned slot6) {
        add(s.w[slot4]);
        for (unsigned i = 0; i < 4; ++i) {
            add(s.w[slot6 + i]);
        }
    };
    if (fields & select_hash::kEthSrc) {
        add(s.w[kSlotEthSrc] & 0xffff);
        add(s.w[kSlotEthSrc + 1]);
    }
    if (fields & select_hash::kEthDst) {
        add(s.w[kSlotEthDst] & 0xffff);
        add(s.w[kSlotEthDst + 1]);
    }
    if (fields & select_hash::kIpProto) {
        add(s.w[kSlotIpProto]);
    }
    if (fields & select_hash::kIpSrc) {
        add_address(kSlotIp4Src, kSlotIp6Src);
    }
    if (fields & select_hash::kIpDst) {
        add_address(kSlotIp4Dst, kSlotIp6Dst);
    }
    if (fields & select_hash::kL4Src) {
        add(s.w[kSlotL4Src]);
    }
    if (fields & select_hash::kL4Dst) {
        add(s.w[kSlotL4Dst]);
    }
    h *= 0xbf58476d1ce4e5b9ull;
    return static_cast<uint32_t>(h >> 32);
}

}  // namespace sluice
