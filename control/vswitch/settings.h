// SPDX-License-Identifier: Apache-2.0
// Settings: external_ids of Open_vSwitch as ovn-controller reads them, with our options on top.
//
// A key comes from, in this order: the options, "KEY-CHASSIS" in the database, "KEY" in the
// database. Keys and defaults are those of ovn-controller(8); unknown words are told, not guessed.
// Threads: a value.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/chassis/ct_zones.h"
#include "control/physical/tunnels.h"
#include "control/sb/rows.h"

namespace sluice::vswitch {

struct Settings {
    std::string chassis;  ///< "": not known yet
    std::string hostname;
    std::string sb_remote;
    std::string bridge = "br-int";
    std::string bridge_datapath_type;
    std::vector<std::string> encap_types;
    std::vector<std::string> encap_ips;
    std::string encap_ip_default;  ///< of encap_ips, or ""
    std::string encap_csum = "true";
    bool monitor_all = false;
    int64_t garp_longest_s = 0;  ///< garp-max-timeout-sec: 0 to fall silent
    int64_t probe_interval_ms = 5000;
    std::vector<std::string> transport_zones;
    std::map<std::string, std::string> bridge_mappings;  ///< network -> bridge
    physical::EncapSettings encap;
    chassis::ZoneRange zone_range;  ///< ct-zone-range
    /// Chassis.other_config, without what the bridge and the interfaces add.
    sb::StringMap other_config;
    std::vector<std::string> problems;  ///< what could not be understood

    bool operator==(const Settings&) const = default;
};

/// `overrides`: options; `chassis_override`: "" takes system-id.
Settings make_settings(const sb::StringMap& external_ids,
                       const std::map<std::string, std::string>& overrides,
                       const std::string& chassis_override);

}  // namespace sluice::vswitch
