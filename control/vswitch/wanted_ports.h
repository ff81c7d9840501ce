// SPDX-License-Identifier: Apache-2.0
// WantedPort: a port that the local database or the options ask for, and how to open it.
//
// What ovs-vsctl knows as an Interface becomes a PortSpec: type "" or system is an existing network
// device (af_packet), afxdp is one that the kernel goes on using (af_xdp), internal and tap are
// made here (tap), dpdk names a device (pci or vdev), dpdkvhostuserclient and dpdkvhostuser are
// virtual machines (vhost), dummy is in memory; memif, pcap and null are taken by those names with
// their options as arguments. Patch and tunnel interfaces are not ports here: the pipeline does
// their work.
//
// The local interface of a bridge (its own name) is the host's leg on the network behind the
// bridge: a tap, with the MAC and MTU of the bridge's port, that the administrator gives addresses
// and sets up. The integration bridge has none, nor has a bridge without a port, nor one with an
// afxdp port: there the kernel is the host on the device itself. Threads: values.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/control_plane.h"
#include "control/vswitch/database.h"
#include "control/vswitch/settings.h"

namespace sluice::vswitch {

struct WantedPort {
    PortSpec spec;
    std::string bridge;           ///< "" when it comes from options
    std::string iface_id;         ///< "" when it is no VIF
    std::string physnet;          ///< options only; bridges have their mappings
    std::string encap_ip;         ///< external_ids:encap-ip
    std::string mirror_id;        ///< external_ids:mirror-id: takes copies of a local mirror
    std::string kernel_name;      ///< "" if it is no kernel device
    Uuid interface;               ///< zero when it comes from options
    Mac mac;                      ///< to be used on the underlay; zero: the port's own
    bool is_integration = false;  ///< on the integration bridge, or a VIF by options
    bool is_egress = false;       ///< external_ids:ovn-egress-iface: has the queues of set_queue()
    bool is_exception = false;    ///< the kernel's own leg on a bridge: its local interface
    bool is_shared = false;       ///< the kernel is the host on the device (af_xdp)
    std::vector<std::pair<Uuid, std::string>> members;   ///< Interface rows of a bond, by name
    std::map<std::string, std::string> member_errors;    ///< who cannot be in it, and why
    std::map<std::string, std::string> member_affinity;  ///< of a bond: rxq_affinity of each
    Uuid bond;                 ///< its Port row; zero: no bond, or one by options
    std::string rxq_affinity;  ///< other_config:pmd-rxq-affinity
    std::string error;         ///< cannot be opened at all, for this reason
};

struct WantedPorts {
    std::vector<WantedPort> ports;  ///< by name
    /// Interfaces that are not opened: bridge-local, patch and tunnel ones, with the port number
    /// to report (ovs-vsctl takes a missing one for a failure).
    std::vector<std::pair<Uuid, int64_t>> passive;
};

/// Interface types as told to Open_vSwitch:iface_types and Chassis:other_config.
inline const std::vector<std::string> kIfaceTypes = {
    "afxdp",  "dpdk", "dpdkvhostuser", "dpdkvhostuserclient", "geneve", "internal", "patch", "stt",
    "system", "tap",  "vxlan"};

WantedPorts wanted_ports(const Contents* contents, const Settings& settings,
                         const std::vector<ConfiguredPort>& configured, bool system_is_dummy);

}  // namespace sluice::vswitch
