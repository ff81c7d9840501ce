// SPDX-License-Identifier: Apache-2.0
// What the answering services know of the Southbound database: DHCP option names and DNS records.
//
// Control builds a new ServiceTables whenever a row changes and hands it over as a whole; the
// slow path swaps a pointer. Nothing here changes after that, so packets in flight keep what they
// started with.
// Threads: immutable once shared.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// How the value of a DHCP option is written to the wire: DHCP_Options.type.
enum class DhcpType : uint8_t {
    kBool,
    kUint8,
    kUint16,
    kUint32,
    kIp4,
    kStaticRoutes,
    kString,
    kHostId,   ///< a name or an IPv4 address
    kDomains,  ///< a search list
    kIp6,
    kMac,
    kDomain,  ///< one name
    kUnknown,
};
DhcpType parse_dhcp_type(std::string_view text);

struct DhcpOptionInfo {
    uint16_t code = 0;
    DhcpType type = DhcpType::kUnknown;
};
using DhcpOptionTable = std::map<std::string, DhcpOptionInfo, std::less<>>;

/// The options that ovn-northd knows: for a database whose tables are empty.
const DhcpOptionTable& builtin_dhcp4_options();
const DhcpOptionTable& builtin_dhcp6_options();

struct DnsZone {
    std::map<std::string, std::string, std::less<>> records;
    bool owned = false;  ///< options:ovn-owned: no other server knows these names
    uint32_t ttl = 3600;
};

struct ServiceTables {
    DhcpOptionTable dhcp4;
    DhcpOptionTable dhcp6;
    /// By tunnel key of the datapath; zones in the order of their dns_id.
    std::map<uint32_t, std::vector<std::shared_ptr<const DnsZone>>> dns;
    /// Flows come from a northd newer than 23.03: its clients expect the newer answers.
    bool modern = false;

    /// DHCP options by name; the built-in list where the database has none.
    const DhcpOptionTable& options4() const {
        return dhcp4.empty() ? builtin_dhcp4_options() : dhcp4;
    }
    const DhcpOptionTable& options6() const {
        return dhcp6.empty() ? builtin_dhcp6_options() : dhcp6;
    }
};

}  // namespace sluice
