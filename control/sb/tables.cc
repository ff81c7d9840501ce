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

/// The row's own text, shared.
std::shared_ptr<const std::string> text(const Datum& datum) {
    static const auto kEmpty = std::make_shared<const std::string>();
    auto shared = datum.empty() ? nullptr : datum.key(0).shared_string();
    return shared ? shared : kEmpty;
}

std::optional<int64_t> optional_integer(const Datum& datum) {
    return datum.empty() ? std::nullopt : std::optional(datum.integer());
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

/// What the slow path watches, and what it found.
void add_watching_tables(std::vector<ovsdb::TableSpec>* out) {
    std::vector<ovsdb::TableSpec>& specs = *out;
    specs[kIpMulticast] = {
        "IP_Multicast",
        {"datapath", "enabled", "querier", "eth_src", "ip4_src", "ip6_src", "table_size",
         "idle_timeout", "query_interval", "query_max_resp", "seq_no"},
        {}};
    specs[kIgmpGroup] = {"IGMP_Group", {"address", "datapath", "chassis", "ports", "protocol"}, {}};
    specs[kServiceMonitor] = {"Service_Monitor",
                              {"ip", "protocol", "port", "logical_port", "src_mac", "src_ip",
                               "status", "options", "type"},
                              {}};
    specs[kControllerEvent] = {
        "Controller_Event", {"event_type", "event_info", "chassis", "seq_num"}, {}};
    specs[kBfd] = {"BFD",
                   {"src_port", "disc", "logical_port", "dst_ip", "min_tx", "min_rx", "detect_mult",
                    "status", "chassis_name"},
                   {}};
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
        {"mirror", PortType::kMirror},
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
    specs[kPortBinding] = {"Port_Binding",
                           {"logical_port",
                            "type",
                            "datapath",
                            "tunnel_key",
                            "parent_port",
                            "tag",
                            "virtual_parent",
                            "chassis",
                            "additional_chassis",
                            "encap",
                            "additional_encap",
                            "up",
                            "port_security",
                            "requested_chassis",
                            "requested_additional_chassis",
                            "ha_chassis_group",
                            "gateway_chassis",
                            "options",
                            "mac",
                            "nat_addresses",
                            "mirror_port",
                            "mirror_rules"},
                           {}};
    specs[kMulticastGroup] = {"Multicast_Group", {"datapath", "name", "tunnel_key", "ports"}, {}};
    specs[kLogicalFlow] = {
        "Logical_Flow",
        {"logical_datapath", "logical_dp_group", "pipeline", "table_id", "priority", "match",
         "actions", "external_ids", "controller_meter", "tags"},
        {}};
    specs[kDpGroup] = {"Logical_DP_Group", {"datapaths"}, {}};
    specs[kAddressSet] = {"Address_Set", {"name", "addresses"}, {}};
    specs[kPortGroup] = {"Port_Group", {"name", "ports"}, {}};
    specs[kMacBinding] = {
        "MAC_Binding", {"datapath", "logical_port", "ip", "mac", "timestamp"}, {}};
    specs[kStaticMacBinding] = {"Static_MAC_Binding",
                                {"datapath", "logical_port", "ip", "mac", "override_dynamic_mac"},
                                {}};
    specs[kFdb] = {"FDB", {"mac", "dp_key", "port_key", "timestamp"}, {}};
    specs[kHaChassisGroup] = {"HA_Chassis_Group", {"name", "ha_chassis", "ref_chassis"}, {}};
    specs[kHaChassis] = {"HA_Chassis", {"chassis", "priority"}, {}};
    specs[kGatewayChassis] = {"Gateway_Chassis", {"chassis", "priority"}, {}};
    specs[kTemplateVar] = {"Chassis_Template_Var", {"chassis", "variables"}, {}};
    specs[kLoadBalancer] = {"Load_Balancer",
                            {"name", "protocol", "vips", "options", "datapaths", "datapath_group",
                             "ls_datapath_group", "lr_datapath_group"},
                            {}};
    specs[kMeter] = {"Meter", {"name", "unit", "bands"}, {}};
    specs[kMeterBand] = {"Meter_Band", {"action", "rate", "burst_size"}, {}};
    specs[kMirror] = {"Mirror", {"name", "filter", "sink", "type", "index"}, {}};
    specs[kDhcpOptions] = {"DHCP_Options", {"name", "code", "type"}, {}};
    specs[kDhcp6Options] = {"DHCPv6_Options", {"name", "code", "type"}, {}};
    specs[kDns] = {"DNS", {"records", "datapaths", "options", "external_ids"}, {}};
    add_watching_tables(&specs);
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
    out->mac = strings(row[18]);
    out->nat_addresses = strings(row[19]);
    out->mirror_port = row[20].string();
    out->mirror_rules = uuids(row[21]);
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
    out->match = text(row[5]);
    out->actions = text(row[6]);
    if (const std::string* stage = row[7].get("stage-name")) {
        out->stage_name = *stage;
    }
    out->controller_meter = row[8].string();
    const std::string* translated = row[9].get("acl_ct_translation");
    out->by_connection = translated && *translated == "true";
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
    out->timestamp = row[4].integer();
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
    out->timestamp = row[3].integer();
}

void decode(const Row& row, HaChassisGroup* out) {
    out->uuid = row.uuid;
    out->name = row[0].string();
    out->members = uuids(row[1]);
    out->ref_chassis = uuids(row[2]);
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

void decode(const Row& row, LoadBalancer* out) {
    out->uuid = row.uuid;
    out->name = row[0].string();
    out->protocol = row[1].string();
    out->vips = string_map(row[2]);
    out->options = string_map(row[3]);
    out->datapaths = uuids(row[4]);
    for (size_t column = 5; column < 8; ++column) {
        if (const Uuid group = row[column].uuid(); !group.is_zero()) {
            out->groups.push_back(group);
        }
    }
}

void decode(const Row& row, Meter* out) {
    out->uuid = row.uuid;
    out->name = row[0].string();
    out->unit = row[1].string();
    out->bands = uuids(row[2]);
}

void decode(const Row& row, MeterBand* out) {
    out->uuid = row.uuid;
    out->action = row[0].string();
    out->rate = row[1].integer();
    out->burst_size = row[2].integer();
}

void decode(const Row& row, MirrorRow* out) {
    out->uuid = row.uuid;
    out->name = row[0].string();
    out->filter = row[1].string();
    out->sink = row[2].string();
    out->type = row[3].string();
    out->index = row[4].integer();
}

void decode(const Row& row, DhcpOption* out) {
    out->uuid = row.uuid;
    out->name = row[0].string();
    out->code = static_cast<uint16_t>(row[1].integer());
    out->type = row[2].string();
}

void decode(const Row& row, Dns* out) {
    out->uuid = row.uuid;
    out->records = string_map(row[0]);
    out->datapaths = uuids(row[1]);
    out->options = string_map(row[2]);
    out->external_ids = string_map(row[3]);
}

void decode(const Row& row, IpMulticast* out) {
    out->uuid = row.uuid;
    out->datapath = row[0].uuid();
    out->enabled = row[1].boolean();
    out->querier = row[2].boolean();
    out->eth_src = row[3].string();
    out->ip4_src = row[4].string();
    out->ip6_src = row[5].string();
    out->table_size = optional_integer(row[6]);
    out->idle_timeout = optional_integer(row[7]);
    out->query_interval = optional_integer(row[8]);
    out->query_max_resp = optional_integer(row[9]);
    out->seq_no = row[10].integer();
}

void decode(const Row& row, IgmpGroup* out) {
    out->uuid = row.uuid;
    out->address = row[0].string();
    out->datapath = row[1].uuid();
    out->chassis = row[2].uuid();
    out->ports = uuids(row[3]);
    out->protocol = row[4].string();
}

void decode(const Row& row, ServiceMonitor* out) {
    out->uuid = row.uuid;
    out->ip = row[0].string();
    out->protocol = row[1].string();
    out->port = static_cast<uint16_t>(row[2].integer());
    out->logical_port = row[3].string();
    out->src_mac = row[4].string();
    out->src_ip = row[5].string();
    out->status = row[6].string();
    out->options = string_map(row[7]);
    out->type = row[8].string();
}

void decode(const Row& row, ControllerEvent* out) {
    out->uuid = row.uuid;
    out->type = row[0].string();
    out->info = string_map(row[1]);
    out->chassis = row[2].uuid();
    out->seq_num = row[3].integer();
}

void decode(const Row& row, Bfd* out) {
    out->uuid = row.uuid;
    out->src_port = static_cast<uint16_t>(row[0].integer());
    out->disc = u32(row[1]);
    out->logical_port = row[2].string();
    out->dst_ip = row[3].string();
    out->min_tx = u32(row[4]);
    out->min_rx = u32(row[5]);
    out->detect_mult = static_cast<uint8_t>(std::clamp<int64_t>(row[6].integer(), 0, 255));
    out->status = row[7].string();
    out->chassis_name = row[8].string();
}

}  // namespace sluice::sb
