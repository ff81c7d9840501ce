// SPDX-License-Identifier: Apache-2.0
// Names: what the numbers in capture records are called, as of one moment.
//
// The composer makes a new one whenever the pipeline changes while somebody captures; capture
// threads read the newest. So a name may be a moment younger than the packet.
// Threads: made by control, then never written.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/program/pipeline.h"
#include "lib/program/ports.h"

namespace sluice::capture {

struct Names {
    struct Port {
        std::string name;
        std::string description;  ///< "tap, vif of sw0-vm1"
    };
    struct Datapath {
        std::string name;
        std::string uuid;
    };
    struct LogicalPort {
        std::string name;
        uint16_t port = kNoPort;  ///< physical, when it is here
    };
    std::map<PortId, Port> ports;
    std::map<uint32_t, Datapath> datapaths;         ///< by tunnel key
    std::map<uint64_t, LogicalPort> logical_ports;  ///< by datapath key << 32 | port key
    std::map<uint32_t, uint64_t> entries;  ///< EntryPoint::id to datapath key << 32 | port key
    std::shared_ptr<const std::vector<std::shared_ptr<const FlowInfo>>> flows;
};

}  // namespace sluice::capture
