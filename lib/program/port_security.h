// SPDX-License-Identifier: Apache-2.0
// Port security of one logical port, behind check_in_port_sec() and check_out_port_sec().
//
// Semantics: ovn-nb(5) Logical_Switch_Port port_security and the reference hypervisor's tables.
// Each entry is a MAC with the IP addresses it may use; a MAC without addresses may use any.
// An IPv4 entry with a prefix shorter than 32: host part non-zero means that one host plus the
// subnet's and limited broadcast on output; host part zero means the whole subnet.
// Immutable once published.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/net/addr.h"

namespace sluice {

struct PortSecurity {
    struct Net4 {
        uint32_t ip;    ///< host order, as written
        uint32_t mask;  ///< host order
    };
    struct Net6 {
        Ip6 ip;
        Ip6 mask;
    };
    struct Entry {
        uint64_t mac;  ///< Mac::to_u64
        std::vector<Net4> ip4;
        std::vector<Net6> ip6;
        bool has_ip() const { return !ip4.empty() || !ip6.empty(); }
    };
    std::vector<Entry> entries;  ///< empty: everything is allowed
};

}  // namespace sluice
