// SPDX-License-Identifier: Apache-2.0
// Ports by option: "NAME=DRIVER,key=value,..." with the keys that say what the port is for.
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/program/ports.h"

namespace sluice {

/// A port given by option instead of by the local Open_vSwitch database.
struct PortOption {
    PortSpec spec;
    std::string iface_id;                ///< logical port; empty for underlay ports
    std::vector<std::string> addresses;  ///< "192.168.0.1/24" of an underlay port
    std::string physnet;                 ///< localnet network_name this port carries
    std::string mac;                     ///< underlay address in place of the port's own
    bool underlay = false;
};

/// Parses one --port or --underlay value; takes iface-id, physnet and ip out of the driver's
/// arguments. Errors name the option and what was expected.
Result<PortOption> parse_port_option(const std::string& text, bool underlay);

}  // namespace sluice
