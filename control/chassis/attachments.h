// SPDX-License-Identifier: Apache-2.0
// Attachments: which physical ports of this node are plugged into the logical network, and how.
//
// The join of three things: what the local database (or options) asks for, what could be opened,
// and the bridge mappings. Made anew whenever one of them changes; compared by value.
// Threads: control.
#pragma once

#include <map>
#include <string>

#include "lib/net/addr.h"
#include "lib/program/ports.h"

namespace sluice::chassis {

struct Attachments {
    struct Vif {
        PortId port = kNoPort;
        std::string interface;
        std::string encap_ip;  ///< external_ids:encap-ip of the interface, "" for any
        bool operator==(const Vif&) const = default;
    };
    /// By iface-id; without a port while another device takes its place.
    std::map<std::string, Vif, std::less<>> vifs;
    std::map<std::string, PortId, std::less<>> physnets;        ///< network_name -> port
    std::map<std::string, PortId, std::less<>> mirror_targets;  ///< external_ids:mirror-id -> port

    const Vif* vif(std::string_view iface_id) const {
        const auto it = vifs.find(iface_id);
        return it == vifs.end() ? nullptr : &it->second;
    }
    PortId physnet(std::string_view name) const {
        const auto it = physnets.find(name);
        return it == physnets.end() ? kNoPort : it->second;
    }
    bool operator==(const Attachments&) const = default;
};

}  // namespace sluice::chassis
