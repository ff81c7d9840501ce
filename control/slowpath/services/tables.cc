// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/services/tables.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sluice {

DhcpType parse_dhcp_type(std::string_view text) {
    static constexpr std::pair<std::string_view, DhcpType> kTypes[] = {
        {"bool", DhcpType::kBool},       {"uint8", DhcpType::kUint8},
        {"uint16", DhcpType::kUint16},   {"uint32", DhcpType::kUint32},
        {"ipv4", DhcpType::kIp4},        {"static_routes", DhcpType::kStaticRoutes},
        {"str", DhcpType::kString},      {"host_id", DhcpType::kHostId},
        {"domains", DhcpType::kDomains}, {"ipv6", DhcpType::kIp6},
        {"mac", DhcpType::kMac},         {"domain", DhcpType::kDomain},
    };
    const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                     [&](const auto& entry) { return entry.first == text; });
    return found == std::end(kTypes) ? DhcpType::kUnknown : found->second;
}

const DhcpOptionTable& builtin_dhcp4_options() {
    static const DhcpOptionTable kOptions = {
        {"offerip", {0, DhcpType::kIp4}},
        {"netmask", {1, DhcpType::kIp4}},
        {"router", {3, DhcpType::kIp4}},
        {"dns_server", {6, DhcpType::kIp4}},
        {"log_server", {7, DhcpType::kIp4}},
        {"lpr_server", {9, DhcpType::kIp4}},
        {"hostname", {12, DhcpType::kString}},
        {"domain_name", {15, DhcpType::kString}},
        {"swap_server", {16, DhcpType::kIp4}},
        {"ip_forward_enable", {19, DhcpType::kBool}},
        {"policy_filter", {21, DhcpType::kIp4}},
        {"default_ttl", {23, DhcpType::kUint8}},
        {"mtu", {26, DhcpType::kUint16}},
        {"broadcast_address", {28, DhcpType::kIp4}},
        {"router_discovery", {31, DhcpType::kBool}},
        {"router_solicitation", {32, DhcpType::kIp4}},
        {"arp_cache_timeout", {35, DhcpType::kUint32}},
        {"ethernet_encap", {36, DhcpType::kBool}},
        {"tcp_ttl", {37, DhcpType::kUint8}},
        {"tcp_keepalive_interval", {38, DhcpType::kUint32}},
        {"nis_server", {41, DhcpType::kIp4}},
        {"ntp_server", {42, DhcpType::kIp4}},
        {"netbios_name_server", {44, DhcpType::kIp4}},
        {"netbios_node_type", {46, DhcpType::kUint8}},
        {"lease_time", {51, DhcpType::kUint32}},
        {"server_id", {54, DhcpType::kIp4}},
        {"T1", {58, DhcpType::kUint32}},
        {"T2", {59, DhcpType::kUint32}},
        {"tftp_server", {66, DhcpType::kHostId}},
        {"bootfile_name", {67, DhcpType::kString}},
        {"domain_search_list", {119, DhcpType::kDomains}},
        {"classless_static_route", {121, DhcpType::kStaticRoutes}},
        {"tftp_server_address", {150, DhcpType::kIp4}},
        {"path_prefix", {210, DhcpType::kString}},
        {"ms_classless_static_route", {249, DhcpType::kStaticRoutes}},
        {"wpad", {252, DhcpType::kString}},
        {"next_server", {253, DhcpType::kIp4}},
        {"bootfile_name_alt", {254, DhcpType::kString}},
    };
    return kOptions;
}

const DhcpOptionTable& builtin_dhcp6_options() {
    static const DhcpOptionTable kOptions = {
        {"server_id", {2, DhcpType::kMac}},
        {"ia_addr", {5, DhcpType::kIp6}},
        {"dns_server", {23, DhcpType::kIp6}},
        {"domain_search", {24, DhcpType::kString}},
        {"fqdn", {39, DhcpType::kDomain}},
        {"bootfile_name", {59, DhcpType::kString}},
        {"bootfile_name_alt", {254, DhcpType::kString}},
    };
    return kOptions;
}

}  // namespace sluice
