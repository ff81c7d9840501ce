// SPDX-License-Identifier: Apache-2.0
// Evpn: what a datapath knows of an EVPN beyond OVN: remote VTEPs and who is behind them.
//
// get_remote_fdb(), chk_evpn_arp() and flood_remote() ask here. A VTEP is a port of the datapath
// with kVtepBit in its key (the language sees it as from_evpn_vtep and to_evpn_vtep). Threads:
// immutable once published.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "lib/program/neighbors.h"

namespace sluice {

struct Evpn {
    static constexpr uint32_t kVtepBit = 1u << 31;

    std::unordered_map<uint64_t, uint32_t> fdb;  ///< MAC -> key of the VTEP's port
    std::unordered_map<uint32_t, uint64_t> ip4;  ///< address -> MAC
    std::unordered_map<Neighbors::Ip6Key, uint64_t, Neighbors::Hash> ip6;  ///< port_key 0
    std::vector<uint32_t> vteps;  ///< keys of all VTEPs' ports, for flood_remote()
};

}  // namespace sluice
