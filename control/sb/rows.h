// SPDX-License-Identifier: Apache-2.0
// Rows of the Southbound database as the rest of control reads them.
//
// Only columns that something here uses are kept; ovn-sb(5) describes them. A reference that is
// unset is a zero Uuid. Columns that the server lacks read as empty.
// Threads: values, immutable once in the mirror.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/net/addr.h"

namespace sluice::sb {

using StringMap = std::map<std::string, std::string, std::less<>>;

/// "" when absent.
const std::string& get(const StringMap& map, std::string_view key);
/// "true" and "1" in any case are true; `otherwise` when absent.
bool get_bool(const StringMap& map, std::string_view key, bool otherwise);

struct SbGlobal {
    Uuid uuid;
    int64_t nb_cfg = 0;
    StringMap options;
};

struct Chassis {
    Uuid uuid;
    std::string name;
    std::string hostname;
    std::vector<Uuid> encaps;
    std::vector<std::string> vtep_logical_switches;
    std::vector<std::string> transport_zones;
    StringMap other_config;
    StringMap external_ids;
};

struct ChassisPrivate {
    Uuid uuid;
    std::string name;
    Uuid chassis;
    int64_t nb_cfg = 0;
    int64_t nb_cfg_timestamp = 0;
};

struct Encap {
    Uuid uuid;
    std::string type;
    std::string ip;
    std::string chassis_name;
    StringMap options;
};

struct DatapathBinding {
    Uuid uuid;
    uint32_t tunnel_key = 0;
    StringMap external_ids;

    bool is_switch() const { return external_ids.contains("logical-switch"); }
    bool is_transit() const { return external_ids.contains("interconn-ts"); }
    std::string name() const { return get(external_ids, "name"); }
};

enum class PortType : uint8_t {
    kVif,
    kPatch,
    kL3Gateway,
    kChassisRedirect,
    kLocalnet,
    kL2Gateway,
    kLocalport,
    kVtep,
    kExternal,
    kVirtual,
    kRemote,
    kUnknown,  ///< a type newer than this program: never bound here
};
PortType parse_port_type(std::string_view type);

struct PortBinding {
    Uuid uuid;
    std::string logical_port;
    PortType type = PortType::kVif;
    std::string type_name;
    Uuid datapath;
    uint32_t tunnel_key = 0;
    std::string parent_port;
    uint16_t tag = 0;  ///< 0: none
    std::string virtual_parent;
    Uuid chassis;
    std::vector<Uuid> additional_chassis;
    Uuid encap;
    std::vector<Uuid> additional_encap;
    std::optional<bool> up;
    std::vector<std::string> port_security;
    Uuid requested_chassis;
    std::vector<Uuid> requested_additional_chassis;
    Uuid ha_chassis_group;
    std::vector<Uuid> gateway_chassis;
    StringMap options;

    bool is_container() const { return type == PortType::kVif && !parent_port.empty(); }
    const std::string& option(std::string_view key) const { return get(options, key); }
};

struct MulticastGroup {
    Uuid uuid;
    Uuid datapath;
    std::string name;
    uint32_t tunnel_key = 0;
    std::vector<Uuid> ports;
};

struct LogicalFlow {
    Uuid uuid;
    Uuid datapath;  ///< one of the two is set
    Uuid dp_group;
    bool egress = false;
    uint8_t table = 0;
    uint16_t priority = 0;
    std::shared_ptr<const std::string> match;
    std::shared_ptr<const std::string> actions;
    std::string stage_name;
};

struct DpGroup {
    Uuid uuid;
    std::vector<Uuid> datapaths;
};

struct AddressSet {
    Uuid uuid;
    std::string name;
    std::vector<std::string> addresses;
};

struct PortGroup {
    Uuid uuid;
    std::string name;
    std::vector<std::string> ports;
};

struct MacBinding {
    Uuid uuid;
    Uuid datapath;
    std::string logical_port;
    std::string ip;
    std::string mac;
};

struct StaticMacBinding {
    Uuid uuid;
    Uuid datapath;
    std::string logical_port;
    std::string ip;
    std::string mac;
    bool override_dynamic = false;
};

struct Fdb {
    Uuid uuid;
    std::string mac;
    uint32_t dp_key = 0;
    uint32_t port_key = 0;
};

struct HaChassisGroup {
    Uuid uuid;
    std::string name;
    std::vector<Uuid> members;
};

struct HaChassis {
    Uuid uuid;
    Uuid chassis;
    int priority = 0;
};

struct GatewayChassis {
    Uuid uuid;
    Uuid chassis;
    int priority = 0;
};

struct TemplateVar {
    Uuid uuid;
    std::string chassis;
    StringMap variables;
};

}  // namespace sluice::sb
