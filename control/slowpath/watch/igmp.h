// SPDX-License-Identifier: Apache-2.0
// IGMP and MLD: what a message says, and the queries that we send ourselves.
//
// Reads IGMPv1, v2, v3 (RFC 1112, 2236, 3376) and MLDv1, v2 (RFC 2710, 3810) into memberships that
// change. Source lists are not kept: a record that includes no source leaves the group, every other
// known record joins it, as Open vSwitch's snooping does. Threads: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "control/slowpath/watch/headers.h"

namespace sluice::watch {

/// IPv4 groups are IPv4-mapped.
Ip6 mapped(const Ip4& ip);
bool is_mapped(const Ip6& ip);
Ip4 unmapped(const Ip6& ip);
/// "239.1.1.1" or "ff0e::1".
std::string group_text(const Ip6& group);

struct McastMessage {
    enum class Kind : uint8_t {
        kOther,      ///< nothing that snooping knows
        kMalformed,  ///< cut off, or a bad checksum
        kReport,     ///< joins and leaves groups; routers want to see it
        kQuery,
    } kind = Kind::kOther;
    struct Change {
        Ip6 group;
        bool leaves;
        bool operator==(const Change&) const = default;
    };
    std::vector<Change> changes;
    const char* protocol = "";  ///< "IGMPv2", "MLDv1" ...; "" for queries
    bool from_router = false;   ///< a query with a source address: there is a router
};

McastMessage read_mcast(std::span<const uint8_t> frame, const Headers& headers);

struct Querier {
    Mac eth_src;
    Ip4 ip4_src;
    Ip6 ip6_src;
    uint32_t max_resp_s = 1;
};
/// General queries of version 3 and 2, as ovn-controller writes them.
std::vector<uint8_t> igmp_query(const Querier& querier);
std::vector<uint8_t> mld_query(const Querier& querier);

}  // namespace sluice::watch
