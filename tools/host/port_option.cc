// SPDX-License-Identifier: Apache-2.0
#include "tools/host/port_option.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "lib/net/addr.h"
#include "pmd/ports.h"

namespace sluice {

Result<PortOption> parse_port_option(const std::string& text, bool underlay) {
    Result<PortSpec> spec = parse_port_spec(text);
    const char* option = underlay ? "--underlay" : "--port";
    if (!spec) {
        return spec.error().with_context(option);
    }
    const std::vector<std::string_view> drivers = pmd::Ports::drivers();
    if (std::find(drivers.begin(), drivers.end(), spec->driver) == drivers.end()) {
        return Error{fmt::format("{} {}: no driver \"{}\"; there are {}", option, spec->name,
                                 spec->driver, fmt::join(drivers, ", "))};
    }
    PortOption port;
    port.spec = std::move(*spec);
    port.underlay = underlay;
    const auto take = [&](const char* key) {
        std::string value;
        if (const auto it = port.spec.args.find(key); it != port.spec.args.end()) {
            value = it->second;
            port.spec.args.erase(it);
        }
        return value;
    };
    port.iface_id = take("iface-id");
    port.physnet = take("physnet");
    if (const std::string& driver = port.spec.driver; driver == "pcap" || driver == "af_packet") {
        port.mac = take("mac");  // the device keeps its own, other drivers set it
        if (!port.mac.empty() && !parse_mac(port.mac)) {
            return Error{fmt::format("{} {}: mac={} is not a MAC address", option, port.spec.name,
                                     port.mac)};
        }
    }
    std::stringstream addresses(take("ip"));
    for (std::string part; std::getline(addresses, part, '+');) {
        if (!parse_ip4_prefix(part) && !parse_ip6_prefix(part)) {
            return Error{fmt::format("{} {}: ip={} is not an address like 192.168.0.1/24", option,
                                     port.spec.name, part)};
        }
        port.addresses.push_back(part);
    }
    if (!underlay && port.iface_id.empty() && port.physnet.empty()) {
        return Error{
            fmt::format("--port {}: which logical port? add iface-id=NAME (or physnet=NAME "
                        "for a localnet network)",
                        port.spec.name)};
    }
    return port;
}

}  // namespace sluice
