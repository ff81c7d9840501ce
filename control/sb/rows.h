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
    kMirror,
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
    std::string mirror_port;  ///< of type mirror: where copies go
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
    std::vector<std::string> mac;
    std::vector<std::string> nat_addresses;
    std::vector<Uuid> mirror_rules;

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
    std::string controller_meter;  ///< "": none
    bool by_connection = false;    ///< tags:acl_ct_translation
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
    int64_t timestamp = 0;  ///< of the last use, ms since the epoch
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
    int64_t timestamp = 0;  ///< of the last use, ms since the epoch
};

struct HaChassisGroup {
    Uuid uuid;
    std::string name;
    std::vector<Uuid> members;
    std::vector<Uuid> ref_chassis;  ///< chassis that may send to it: BFD runs with them
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

struct LoadBalancer {
    Uuid uuid;
    std::string name;
    std::string protocol;  ///< tcp, udp, sctp; "" is tcp
    StringMap vips;        ///< "10.0.0.1:80" -> "10.0.1.1:8080,10.0.1.2:8080"
    StringMap options;
    std::vector<Uuid> datapaths;  ///< where it is in force, together with those of the groups
    std::vector<Uuid> groups;     ///< datapath_group, ls_datapath_group, lr_datapath_group
};

struct Meter {
    Uuid uuid;
    std::string name;
    std::string unit;  ///< kbps, pktps
    std::vector<Uuid> bands;
};

struct MeterBand {
    Uuid uuid;
    std::string action;  ///< drop is all there is
    int64_t rate = 0;
    int64_t burst_size = 0;
};

/// A row of Mirror; sb::Mirror is the whole database's.
struct MirrorRow {
    Uuid uuid;
    std::string name;
    std::string filter;  ///< from-lport, to-lport, both
    std::string sink;    ///< an IP address, or what external_ids:mirror-id says
    std::string type;    ///< gre, erspan, local, lport
    int64_t index = 0;   ///< key of GRE, session of ERSPAN
};

/// A row of DHCP_Options or DHCPv6_Options: what a name in put_dhcp_opts() means.
struct DhcpOption {
    Uuid uuid;
    std::string name;
    uint16_t code = 0;
    std::string type;
};

struct Dns {
    Uuid uuid;
    StringMap records;
    std::vector<Uuid> datapaths;
    StringMap options;
    StringMap external_ids;
};

struct IpMulticast {
    Uuid uuid;
    Uuid datapath;
    bool enabled = false;
    bool querier = false;
    std::string eth_src, ip4_src, ip6_src;
    // Unset columns keep their defaults.
    std::optional<int64_t> table_size, idle_timeout, query_interval, query_max_resp;
    int64_t seq_no = 0;
};

struct IgmpGroup {
    Uuid uuid;
    std::string address;  ///< an IP address, or "mrouters"
    Uuid datapath;
    Uuid chassis;
    std::vector<Uuid> ports;
    std::string protocol;
};

struct ServiceMonitor {
    Uuid uuid;
    std::string ip;
    std::string protocol;  ///< tcp, udp; "" is tcp
    uint16_t port = 0;
    std::string logical_port;
    std::string src_mac, src_ip;
    std::string status;  ///< online, offline, error; "": not known
    StringMap options;
    std::string type;  ///< "" or load-balancer is what we do
};

struct ControllerEvent {
    Uuid uuid;
    std::string type;
    StringMap info;
    Uuid chassis;
    int64_t seq_num = 0;
};

struct Bfd {
    Uuid uuid;
    uint16_t src_port = 0;
    uint32_t disc = 0;
    std::string logical_port;
    std::string dst_ip;
    uint32_t min_tx = 0;
    uint32_t min_rx = 0;
    uint8_t detect_mult = 0;
    std::string status;  ///< down, init, up, admin_down
    std::string chassis_name;
};

}  // namespace sluice::sb
