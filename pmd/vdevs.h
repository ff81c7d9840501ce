// SPDX-License-Identifier: Apache-2.0
// The drivers that are an ethdev with a few arguments. Argument names are DPDK's own, so what its
// guides say about them holds here:
//   null    size= copy= no-rx=                      frames from nowhere, to nowhere
//   pcap    rx_pcap= tx_pcap= infinite_rx= ...      frames from and to capture files
//   memif   role= id= socket= secret= ...           shared memory with VPP or another DPDK process
//   pci     devargs=0000:01:00.0,... queues=        a NIC bound to vfio-pci or mlx5; rx_desc=
//   tx_desc=
//           lsc_interrupt= rx_flow_ctrl= tx_flow_ctrl= flow_ctrl_autoneg= as Open vSwitch's options
//   vdev    devargs=net_null0,...  queues=          any other virtual device, as in
//                                                   ovs-vsctl options:dpdk-devargs=
// Threads: control thread.
#pragma once

#include "pmd/driver.h"

namespace sluice::pmd {

inline constexpr unsigned kEthdevMbufs = 640;  // a ring of 512 and bursts in flight

struct NullDriver {
    static constexpr std::string_view kName = "null";
    static constexpr std::string_view kArgs[] = {"size", "copy", "no-rx", "mac"};
    static unsigned mbufs_held(const PortSpec&) { return kEthdevMbufs; }
    static Result<std::unique_ptr<Device>> open(const OpenContext& context);
};

struct PcapDriver {
    static constexpr std::string_view kName = "pcap";
    static constexpr std::string_view kArgs[] = {"rx_pcap",  "tx_pcap", "rx_iface", "rx_iface_in",
                                                 "tx_iface", "iface",   "phy_mac",  "infinite_rx"};
    static unsigned mbufs_held(const PortSpec&) { return kEthdevMbufs; }
    static Result<std::unique_ptr<Device>> open(const OpenContext& context);
};

struct MemifDriver {
    static constexpr std::string_view kName = "memif";
    static constexpr std::string_view kArgs[] = {
        "role", "id", "socket", "socket-abstract", "bsize", "rsize", "mac", "secret", "zero-copy"};
    static unsigned mbufs_held(const PortSpec&) { return 2 * kEthdevMbufs; }
    static Result<std::unique_ptr<Device>> open(const OpenContext& context);
};

inline constexpr std::string_view kRawEthdevArgs[] = {
    "devargs",       "queues",       "rx_desc",      "tx_desc",          "mac",
    "lsc_interrupt", "rx_flow_ctrl", "tx_flow_ctrl", "flow_ctrl_autoneg"};

struct PciDriver {
    static constexpr std::string_view kName = "pci";
    static constexpr auto& kArgs = kRawEthdevArgs;
    static unsigned mbufs_held(const PortSpec& spec);
    static Result<std::unique_ptr<Device>> open(const OpenContext& context);
};

struct VdevDriver {
    static constexpr std::string_view kName = "vdev";
    static constexpr auto& kArgs = kRawEthdevArgs;
    static unsigned mbufs_held(const PortSpec& spec);
    static Result<std::unique_ptr<Device>> open(const OpenContext& context);
};

}  // namespace sluice::pmd
