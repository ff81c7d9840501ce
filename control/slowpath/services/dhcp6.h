// SPDX-License-Identifier: Apache-2.0
// put_dhcpv6_opts(): a DHCPv6 server without state (RFC 8415) for one address. Pure functions.
//
// SOLICIT becomes ADVERTISE; REQUEST, CONFIRM, DECLINE and INFORMATION-REQUEST become REPLY. The
// newer OVN also replies to RENEW and REBIND, which are for the server they name or for any, and to
// RELEASE, with a status alone; OVN 23.03 lets those pass. Lifetimes are infinite. A client must
// send its identifier and, INFORMATION-REQUEST apart, an IA_NA; what it sends else is not looked
// at.
#pragma once

#include <optional>

#include "control/compile/ast.h"
#include "control/slowpath/services/packet.h"
#include "control/slowpath/services/tables.h"

namespace sluice::services {

struct Dhcp6Option {
    uint16_t code = 0;
    std::vector<uint8_t> value;
};
using Dhcp6Offer = std::vector<Dhcp6Option>;

/// What the action says, encoded; nothing if an option is unknown or does not fit its type.
std::optional<Dhcp6Offer> encode_dhcp6(const lang::PutDhcpv6Opts& action,
                                       const DhcpOptionTable& table);

Answer answer_dhcp6(Bytes request, const Dhcp6Offer& offer, bool modern);

}  // namespace sluice::services
