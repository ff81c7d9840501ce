// SPDX-License-Identifier: Apache-2.0
#include "datapath/ecmp_memory.h"

#include <algorithm>

namespace sluice {
namespace {

constexpr uint32_t kIdleMs = 20'000;
constexpr uint32_t kHardMs = 30'000;

std::array<uint32_t, 13> key_of(const EcmpPacket& p, bool with_mac, bool reversed) {
    std::array<uint32_t, 13> key{};
    key[0] = p.datapath;
    key[1] = uint32_t{with_mac} << 16 | uint32_t{p.is_v6} << 8 | p.proto;
    key[2] = reversed ? uint32_t{p.dst_port} << 16 | p.src_port
                      : uint32_t{p.src_port} << 16 | p.dst_port;
    std::copy_n(reversed ? p.dst : p.src, 4, key.begin() + 3);
    std::copy_n(reversed ? p.src : p.dst, 4, key.begin() + 7);
    if (with_mac) {
        key[11] = static_cast<uint32_t>(p.eth_src >> 32);
        key[12] = static_cast<uint32_t>(p.eth_src);
    }
    return key;
}

}  // namespace

void EcmpMemory::commit(const EcmpPacket& packet, uint64_t now_ms) {
    table_.store(key_of(packet, true, false), {}, now_ms, kIdleMs, kHardMs);
    table_.store(key_of(packet, false, true), {}, now_ms, kIdleMs, kHardMs);
}

bool EcmpMemory::has_mac(const EcmpPacket& packet, uint64_t now_ms) {
    std::array<uint32_t, 1> nothing;
    return table_.find(key_of(packet, true, false), now_ms, &nothing);
}

bool EcmpMemory::has(const EcmpPacket& packet, uint64_t now_ms) {
    std::array<uint32_t, 1> nothing;
    return table_.find(key_of(packet, false, false), now_ms, &nothing);
}

}  // namespace sluice
