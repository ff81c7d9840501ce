// SPDX-License-Identifier: Apache-2.0
// Which tables and columns of Open_vSwitch are read; enumerators are their indices.
#pragma once

#include <vector>

#include "control/ovsdb/replica.h"

namespace sluice::vswitch {

enum Table : uint32_t { kRoot, kBridge, kPort, kInterface, kSsl, kCollectorSet, kIpfix, kMirror };
enum RootColumn : size_t {
    kRootBridges,
    kRootExternalIds,
    kRootOtherConfig,
    kRootNextCfg,
    kRootCurCfg,
    kRootIfaceTypes,
    kRootSsl,
};
enum BridgeColumn : size_t {
    kBridgeName,
    kBridgePorts,
    kBridgeDatapathType,
    kBridgeOtherConfig,
    kBridgeExternalIds,
    kBridgeMirrors,
};
enum PortColumn : size_t {
    kPortName,
    kPortInterfaces,
    kPortBondMode,
    kPortLacp,
    kPortUpdelay,
    kPortDowndelay,
    kPortOtherConfig,
};
enum InterfaceColumn : size_t {
    kInterfaceName,
    kInterfaceType,
    kInterfaceOptions,
    kInterfaceExternalIds,
    kInterfaceMac,
    kInterfaceMtuRequest,
    kInterfaceOtherConfig,
};
enum MirrorColumn : size_t {
    kMirrorName,
    kMirrorSelectAll,
    kMirrorSelectSrcPort,
    kMirrorSelectDstPort,
    kMirrorSelectVlan,
    kMirrorOutputPort,
    kMirrorOutputVlan,
    kMirrorSnaplen,
};
enum SslColumn : size_t { kSslPrivateKey, kSslCertificate, kSslCaCert };
enum CollectorSetColumn : size_t { kCollectorSetId, kCollectorSetBridge, kCollectorSetIpfix };
enum IpfixColumn : size_t {
    kIpfixTargets,
    kIpfixActiveTimeout,
    kIpfixMaxFlows,
    kIpfixOtherConfig,
};

inline std::vector<ovsdb::TableSpec> table_specs() {
    return {
        {"Open_vSwitch",
         {"bridges", "external_ids", "other_config", "next_cfg", "cur_cfg", "iface_types", "ssl"},
         {}},
        {"Bridge",
         {"name", "ports", "datapath_type", "other_config", "external_ids", "mirrors"},
         {}},
        {"Port",
         {"name", "interfaces", "bond_mode", "lacp", "bond_updelay", "bond_downdelay",
          "other_config"},
         {}},
        {"Interface",
         {"name", "type", "options", "external_ids", "mac", "mtu_request", "other_config"},
         {}},
        {"SSL", {"private_key", "certificate", "ca_cert"}, {}},
        {"Flow_Sample_Collector_Set", {"id", "bridge", "ipfix"}, {}},
        {"IPFIX", {"targets", "cache_active_timeout", "cache_max_flows", "other_config"}, {}},
        {"Mirror",
         {"name", "select_all", "select_src_port", "select_dst_port", "select_vlan", "output_port",
          "output_vlan", "snaplen"},
         {}},
    };
}

}  // namespace sluice::vswitch
