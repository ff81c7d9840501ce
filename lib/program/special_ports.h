// SPDX-License-Identifier: Apache-2.0
// What few logical ports and entry points need beside what all have: kept behind a pointer, so
// that the usual ones stay small and a worker asks one word.
//
// Physical networks between chassis without tunnels: a distributed router has the same MAC on all
// of them, which a physical switch must not see come from several sides. Each chassis sends with a
// MAC of its own in its place (ovn-chassis-mac-mappings), and puts the router's back on receipt.
// Ports of several chassis (additional_chassis, while a VM moves): copies to each of them.
// Threads: control builds; immutable once published.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice {

/// Beside a LogicalPort.
struct SpecialPort {
    static constexpr uint32_t kNoTunnel = ~0u;

    std::vector<uint32_t> copies;  ///< tunnels to other chassis that have the port, too
    bool is_on_several = false;    ///< it has additional chassis: what it sends is tunnelled
    bool is_silent = false;        ///< its activation-strategy has not been met on this chassis
    /// Of a port that is reached by localnet: how ports of several chassis reach it.
    uint32_t tunnel = kNoTunnel;
    uint64_t chassis_mac = 0;           ///< of a localnet port: sent in the place of ...
    std::vector<uint64_t> router_macs;  ///< ... any of these
    bool operator==(const SpecialPort&) const = default;
};

/// Frames that tell that a VM runs here now (activation-strategy).
enum Activation : uint8_t { kActivateByRarp = 1, kActivateByGarp = 2, kActivateByNa = 4 };

/// Beside an EntryPoint.
struct SpecialEntry {
    uint64_t router_mac = 0;             ///< takes the place of ...
    std::vector<uint64_t> chassis_macs;  ///< ... any of these, ascending
    uint8_t activation = 0;              ///< Activation bits: all else is dropped
    bool operator==(const SpecialEntry&) const = default;
};

}  // namespace sluice
