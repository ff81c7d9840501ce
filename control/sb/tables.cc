// SPDX-License-Identifier: Apache-2.0
#include "control/sb/tables.h"

#include <strings.h>

#include <algorithm>

namespace sluice::sb {
namespace {

using ovsdb::Datum;
using ovsdb::Row;

std::vector<std::string> strings(const Datum& datum) {
    std::vector<std::string> out;
    out.reserve(datum.size());
    for (size_t i = 0; i < datum.size(); ++i) {
        out.push_back(datum.key(i).string());
    }
    return out;
}

std::vector<Uuid> uuids(const Datum& datum) {
    std::vector<Uuid> out;
    out.reserve(datum.size());
    for (size_t i = 0; i < datum.size(); ++i) {
        out.push_back(datum.key(i).uuid());
    }
    return out;
}

StringMap string_map(const Datum& datum) {
    StringMap out;
    if (datum.is_map()) {
        for (size_t i = 0; i < datum.size(); ++i) {
            out.emplace_hint(out.end(), datum.key(i).string(), datum.value(i).string());
        }
    }
    return out;
}

uint32_t u32(const Datum& datum) {
    return static_cast<uint32_t>(datum.integer());
}

}  // namespace

const std::string& get(const StringMap& map, std::string_view key) {
    static const std::string kEmpty;
    const auto it = map.find(key);
    return it == map.end() ? kEmpty : it->second;
}

bool get_bool(const StringMap& map, std::string_view key, bool otherwise) {
    const auto it = map.find(key);
    if (it == map.end()) {
        return otherwise;
    }
    return strcasecmp(it->second.c_str(), "true") == 0 || it->second == "1";
}

PortType parse_port_type(std::string_view type) {
    static constexpr std::pair<std::string_view, PortType> kTypes[] = {
        {"", PortType::kVif},
        {"patch", PortType::kPatch},
        {"l3gateway", PortType::kL3Gateway},
        {"chassisredirect", PortType::kChassisRedirect},
        {"localnet", PortType::kLocalnet},
        {"l2gateway", PortType::kL2Gateway},
        {"localport", PortType::kLocalport},
        {"vtep", PortType::kVtep},
        {"external", PortType::kExternal},
        {"virtual", PortType::kVirtual},
        {"remote", PortType::kRemote},
    };
    const auto it = std::find_if(std::begin(kTypes), std::end(kTypes),
                                 [&](const auto& entry) { return entry.first == type; });
    return it == std::end(kTypes) ? PortType::kUnknown : it->second;
}

// The order of columns here is the order decode() reads them in.
std::vector<ovsdb::TableSpec> table_specs() {
    std::vector<ovsdb::TableSpec> specs(kTableCount);
    specs[kSbGlobal] = {"SB_Global", {"nb_cfg", "options"}, {}};
    specs[kChassis] = {"Chassis",
                       {"name", "hostname", "encaps", "vtep_logical_switches", "transport_zones",
                        "other_config", "external_ids"},
                       {}};
    specs[kChassisPrivate] = {
        "Chassis_Private", {"name", "chassis", "nb_cfg", "nb_cfg_timestamp"}, {}};
    specs[kEncap] = {"Encap", {"type", "ip", "chassis_name", "options"}, {}};
    specs[kDatapathBinding] = {"Datapath_Binding", {"tunnel_key", "external_ids"}, {}};
    specs[kPortBinding] = {
        "Port_Binding",
        {"logical_port", "type", "datapath", "tunnel_key", "parent_port", "tag", "virtual_parent",
         "chassis", "additional_chassis", "encap", "additional_encap", "up", "port_security",
         "requested_chassis", "requested_additional_chassis", "ha_chassis_group", "gateway_chassis",
         "options"},
        {}};
    specs[kMulticastGroup] = {"Multicast_Group", {"datapath", "name", "tunnel_key", "ports"}, {}};
    specs[kLogicalFlow] = {"Logical_Flow",
                           {"logical_datapath", "logical_dp_group", "pipeline", "table_id",
                            "priority", "match", "actions", "external_ids"},
                           {}};
    specs[kDpGroup] = {"Logical_DP_Group", {"datapaths"}, {}};
    specs[kAddressSet] = {"Address_Set", {"name", "addresses"}, {}};
    specs[kPortGroup] = {"Port_Group", {"name", "ports"}, {}};
    specs[kMacBinding] = {"MAC_Binding", {"datapath", "logical_port", "ip", "mac"}, {}};
    specs[kStaticMacBinding] = {"Static_MAC_Binding",
                                {"datapath", "logical_port", "ip", "mac", "override_dynamic_mac"},
                                {}};
    specs[kFdb] = {"FDB", {"mac", "dp_key", "port_key"}, {}};
    specs[kHaChassisGroup] = {"HA_Chassis_Group", {"name", "ha_chassis"}, {}};
    specs[kHaChassis] = {"HA_Chassis", {"chassis", "priority"}, {}};
    specs[kGatewayChassis] = {"Gateway_Chassis", {"chassis", "priority"}, {}};
    specs[kTemplateVar] = {"Chassis_Template_Var", {"chassis", "variables"}, {}};
    return specs;
}

void decode(const Row& row, SbGlobal* out) {
    out->uuid = row.uuid;
    out->nb_cfg = row[0].integer();
    out->options = string_map(row[1]);
}

void decode(const Row& row, Chassis* out) {
    out->uuid = row.uuid;
    out->name = row[0].string();
    out->hostname = row[1].string();
    out->encaps = uuids(row[2]);
    out->vtep_logical_switches = strings(row[3]);
    out->transport_zones = strings(row[4]);
    out->other_config = string_map(row[5]);
    out->external_ids = string_map(row[6]);
}

void decode(const Row& row, ChassisPrivate* out) {
    out->uuid = row.uuid;
    out->name = row[0].string();
    out->chassis = row[1].uuid();
    out->nb_cfg = row[2].integer();
    out->nb_cfg_timestamp = row[3].integer();
}

void decode(const Row& row, Encap* out) {
    out->uuid = row.uuid;
    out->type = row[0].string();
    out->ip = row[1].string();
    out->chassis_name = row[2].string();
    out->options = string_map(row[3]);
}

void decode(const Row& row, DatapathBinding* out) {
    out->uuid = row.uuid;
    out->tunnel_key = u32(row[0]);
    out->external_ids = string_map(row[1]);
}

void decode(const Row& row, PortBinding* out) {
    out->uuid = row.uuid;
    out->logical_port = row[0].string();
    out->type_name = row[1].string();
    out->type = parse_port_type(out->type_name);
    out->datapath = row[2].uuid();
    out->tunnel_key = u32(row[3]);
    out->parent_port = row[4].string();
    out->tag = static_cast<uint16_t>(row[5].integer());
    out->virtual_parent = row[6].string();
    out->chassis = row[7].uuid();
    out->additional_chassis = uuids(row[8]);
    out->encap = row[9].uuid();
    out->additional_encap = uuids(row[10]);
    if (!row[11].empty()) {
        out->up = row[11].boolean();
    }
    out->port_security = strings(row[12]);
    out->requested_chassis = row[13].uuid();
    out->requested_additional_chassis = uuids(row[14]);
    out->ha_chassis_group = row[15].uuid();
    out->gateway_chassis = uuids(row[16]);
    out->options = string_map(row[17]);
}

void decode(const Row& row, MulticastGroup* out) {
    out->uuid = row.uuid;
    out->datapath = row[0].uuid();
    out->name = row[1].string();
    out->tunnel_key = u32(row[2]);
    out->ports = uuids(row[3]);
}

void decode(const Row& row, LogicalFlow* out) {
    out->uuid = row.uuid;
    out->datapath = row[0].uuid();
    out->dp_group = row[1].uuid();
    out->egress = row[2].string() == "egress";
    out->table = static_cast<uint8_t>(std::clamp<int64_t>(row[3].integer(), 0, 255));
    out->priority = static_cast<uint16_t>(row[4].integer());
    out->match = std::make_shared<const std::string>(row[5].string());
    out->actions = std::make_shared<const std::string>(row[6].string());
    if (const std::string* stage = row[7].get("stage-name")) {
        out->stage_name = *stage;
    }
}

void decode(const Row& row, DpGroup* out) {
    out->uuid = row.uuid;
    out->datapaths = uuids(row[0]);
}

void decode(const Row& row, AddressSet* out) {
    out->uuid = row.uuid;
    out->name = row[0].string();
    out->addresses = strings(row[1]);
}

void decode(const Row& row, PortGroup* out) {
    out->uuid = row.uuid;
    out->name = row[0].string();
    out->ports = strings(row[1]);
}

void decode(const Row& row, MacBinding* out) {
    out->uuid = row.uuid;
    out->datapath = row[0].uuid();
    out->logical_port = row[1].string();
    out->ip = row[2].string();
    out->mac = row[3].string();
}

void decode(const Row& row, StaticMacBinding* out) {
    out->uuid = row.uuid;
    out->datapath = row[0].uuid();
    out->logical_port = row[1].string();
    out->ip = row[2].string();
    out->mac = row[3].string();
    out->override_dynamic = row[4].boolean();
}

void decode(const Row& row, Fdb* out) {
    out->uuid = row.uuid;
    out->mac = row[0].string();
    out->dp_key = u32(row[1]);
    out->port_key = u32(row[2]);
}

void decode(const Row& row, HaChassisGroup* out) {
    out->uuid = row.uuid;
    out->name = row[0].string();
    out->members = uuids(row[1]);
}

void decode(const Row& row, HaChassis* out) {
    out->uuid = row.uuid;
    out->chassis = row[0].uuid();
    out->priority = static_cast<int>(row[1].integer());
}

void decode(const Row& row, GatewayChassis* out) {
    out->uuid = row.uuid;
    out->chassis = row[0].uuid();
    out->priority = static_cast<int>(row[1].integer());
}

void decode(const Row& row, TemplateVar* out) {
    out->uuid = row.uuid;
    out->chassis = row[0].string();
    out->variables = string_map(row[1]);
}

}  // namespace sluice::sb
