// SPDX-License-Identifier: Apache-2.0
// put_dhcp_opts(): a DHCP server without state (RFC 2131) for one address. Pure functions.
//
// The logical flow knows the only address the client may have and the options to give; so a
// DISCOVER becomes an OFFER, a REQUEST an ACK or, for another address, a NAK, an INFORM an ACK
// without address and times. DECLINE and RELEASE change nothing, the packet goes on as it came.
// Options go out in the order of the flow, boot file and next server first; iPXE clients (option
// 175) get `bootfile_name`, others `bootfile_name_alt` where there is one. `next_server` sets
// siaddr too.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/compile/ast.h"
#include "control/slowpath/services/packet.h"
#include "control/slowpath/services/tables.h"

namespace sluice::services {

struct Dhcp4Option {
    uint8_t code = 0;
    std::vector<uint8_t> value;
};

/// What the action says, encoded.
struct Dhcp4Offer {
    Ip4 address;
    std::vector<Dhcp4Option> options;
};
/// Nothing if an option is not in the table or does not fit its type.
std::optional<Dhcp4Offer> encode_dhcp4(const lang::PutDhcpv4Opts& action,
                                       const DhcpOptionTable& table);
/// A search list (RFC 3397) with compression as RFC 1035, 4.1.4; nothing if a name is too long.
std::optional<std::vector<uint8_t>> encode_search_list(const std::string& domains);

/// `modern`: refuse hardware other than Ethernet, as OVN after 23.03 does.
Answer answer_dhcp4(Bytes request, const Dhcp4Offer& offer, bool modern);

// What the relay needs of a message too.
inline constexpr size_t kDhcp4HeaderLen = 236;
inline constexpr uint32_t kDhcp4Cookie = 0x63825363;
struct Dhcp4Message {
    Bytes header;      ///< of kDhcp4HeaderLen bytes
    uint8_t type = 0;  ///< option 53; 0: none
    std::optional<Ip4> requested;
    Ip4 server_id;  ///< zero: none
    Ip4 netmask;
    bool is_ipxe = false;
};
/// Nothing if the payload is too short or has no cookie.
std::optional<Dhcp4Message> parse_dhcp4(Bytes payload);
inline bool is_ethernet(const Dhcp4Message& message) {
    return message.header[1] == 1 && message.header[2] == 6;
}

}  // namespace sluice::services
