// SPDX-License-Identifier: Apache-2.0
// dns_lookup(): answers from the Southbound DNS table (RFC 1035). Pure function.
//
// A, AAAA and ANY queries are answered with the addresses of the record, PTR with its text; names
// match whatever their case. What is not known goes on to the server it was sent to, unanswered.
// The answer repeats the question and the rest of the message and follows it. OVN 23.03 leaves
// queries with additional records (EDNS) alone; newer ones answer without them, give no data for
// the other family of a name that is `ovn-owned`, and drop what follows the question.
#pragma once

#include "control/slowpath/services/packet.h"
#include "control/slowpath/services/tables.h"

namespace sluice::services {

Answer answer_dns(Bytes query, const std::vector<std::shared_ptr<const DnsZone>>& zones,
                  bool modern);

/// Addresses of a record's text: as many as there are before the first that is none.
struct DnsAddresses {
    std::vector<Ip4> v4;
    std::vector<Ip6> v6;
};
DnsAddresses parse_dns_addresses(std::string_view text);

}  // namespace sluice::services
