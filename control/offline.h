// SPDX-License-Identifier: Apache-2.0
// A pipeline from a database file, without a server, a chassis of our own or real ports.
//
// sluice-replay and sluice-trace build what a chassis would run: the Southbound file says which
// ports are bound to it, the caller says which physical port stands for which logical one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/compile/compile.h"
#include "control/slowpath/services/tables.h"
#include "lib/base/result.h"
#include "lib/program/pipeline.h"
#include "lib/program/ports.h"

namespace sluice {

/// A physical port of the replayed chassis.
struct OfflinePort {
    std::string name;
    PortId id = kNoPort;
    Mac mac;
    uint16_t mtu = 1500;
    std::string iface_id;                ///< logical port, "" if none
    std::string physnet;                 ///< network_name of localnet ports, "" if none
    bool underlay = false;               ///< tunnels leave here
    std::vector<std::string> addresses;  ///< underlay: "192.168.0.1/24"
};

struct OfflineRequest {
    std::string db_file;  ///< .db, plain or clustered
    std::string chassis;  ///< Chassis.name to be
    std::vector<OfflinePort> ports;
    /// Underlay next hops: "IP" -> MAC. Remote encap IPs not listed use `default_neighbor`.
    std::map<std::string, Mac> neighbors;
    Mac default_neighbor{{0x02, 0xbb, 0, 0, 0, 1}};
    bool legacy_geneve_tx = false;
};

struct OfflinePipeline {
    std::unique_ptr<const Pipeline> pipeline;
    std::vector<std::string> errors;                                 ///< flows that did not compile
    std::map<uint32_t, std::map<uint32_t, std::string>> port_names;  ///< by datapath, port key
    std::vector<std::string> tunnel_names;          ///< remote chassis, by tunnel index
    std::shared_ptr<const ServiceTables> services;  ///< for DHCP, DNS and RA answers
    std::vector<std::string> bound_here;  ///< logical VIFs the file says are bound to the chassis
};

/// Ports that the file binds to `chassis` and `ports` does not name get no physical port: packets
/// to them drop as unbound_port.
Result<OfflinePipeline> build_pipeline(const OfflineRequest& request);

/// Tells `listener` every compiler pass over one datapath (name, UUID or tunnel key).
Result<void> list_passes(const OfflineRequest& request, const std::string& datapath,
                         compile::PassListener* listener);

}  // namespace sluice
