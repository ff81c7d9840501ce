// SPDX-License-Identifier: Apache-2.0
// Attachments: which physical ports of this node are plugged into the logical network, and how.
//
// The join of three things: what the local database (or options) asks for, what could be opened,
// and the bridge mappings. Made anew whenever one of them changes; compared by value.
// Threads: control.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

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
    /// A Mirror of the local database: copies of what VIFs send and get, out of a port.
    struct LocalMirror {
        Uuid row;
        std::string name;
        bool all = false;
        std::set<std::string> from;  ///< iface-ids: what they send
        std::set<std::string> to;    ///< iface-ids: what they are sent
        std::string output_name;
        PortId output = kNoPort;          ///< kNoPort: not open
        bool is_refused = false;          ///< nothing is copied
        std::vector<std::string> errors;  ///< what of it cannot be done
        bool operator==(const LocalMirror&) const = default;
    };
    std::vector<LocalMirror> mirrors;  ///< by name
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
