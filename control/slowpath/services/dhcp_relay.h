// SPDX-License-Identifier: Apache-2.0
// dhcp_relay_req_chk() and dhcp_relay_resp_chk(): a router as DHCPv4 relay (RFC 1542). Pure
// functions.
//
// A request gets the router's address as giaddr and one hop more; the logical flow sends it to the
// server. A response is taken if it is for this relay and from this server and the address it
// gives is in the relay's subnet; it then goes to the client's MAC and address, or to everyone if
// the client asked for that. Everything else stays as it was.
#pragma once

#include "control/slowpath/services/packet.h"

namespace sluice::services {

Answer relay_dhcp_request(Bytes request, Ip4 relay);
Answer relay_dhcp_response(Bytes response, Ip4 relay, Ip4 server);

}  // namespace sluice::services
