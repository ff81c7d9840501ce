// SPDX-License-Identifier: Apache-2.0
// Which tables and columns of Open_vSwitch are read; enumerators are their indices.
#pragma once

#include <vector>

#include "control/ovsdb/replica.h"

namespace sluice::vswitch {

enum Table : uint32_t { kRoot, kBridge, kPort, kInterface, kSsl, kCollectorSet, kIpfix };
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
};
enum PortColumn : size_t { kPortName, kPortInterfaces };
enum InterfaceColumn : size_t {
    kInterfaceName,
    kInterfaceType,
    kInterfaceOptions,
    kInterfaceExternalIds,
    kInterfaceMac,
    kInterfaceMtuRequest,
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
        {"Bridge", {"name", "ports", "datapath_type", "other_config", "external_ids"}, {}},
        {"Port", {"name", "interfaces"}, {}},
        {"Interface", {"name", "type", "options", "external_ids", "mac", "mtu_request"}, {}},
        {"SSL", {"private_key", "certificate", "ca_cert"}, {}},
        {"Flow_Sample_Collector_Set", {"id", "bridge", "ipfix"}, {}},
        {"IPFIX", {"targets", "cache_active_timeout", "cache_max_flows", "other_config"}, {}},
    };
}

}  // namespace sluice::vswitch
