// SPDX-License-Identifier: Apache-2.0
// What of the connection table is meant: filters in words, and connections in Open vSwitch's words.
//
// Filters are NAME=VALUE: zone=5 or zone=PORT, proto=tcp, src=, dst=, sport=, dport= of the
// original direction before NAT, vip=IP[:PORT] for dst and dport, backend=IP[:PORT] for who
// answers, mark=VALUE[/MASK], label=VALUE[/MASK]. The forms of dpctl (ct_nw_src=...,ct_tp_dst=...)
// are those of ovs-dpctl(8), the text of an entry that of `dpctl/dump-conntrack`, so that scripts
// written for Open vSwitch work.
// Threads: control; pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/program/conntrack_control.h"

namespace sluice::rpc {

/// The zone of a logical port or of "UUID_dnat"; for zone=NAME.
using ZoneByName = std::function<std::optional<uint16_t>(std::string_view name)>;

/// One word added to `filter`.
Result<void> add_filter_word(std::string_view word, const ZoneByName& zone_of, CtFilter* filter);
/// "ct_nw_src=10.0.0.1,ct_nw_proto=6,ct_tp_dst=80": a tuple of the original direction.
Result<void> add_dpctl_tuple(std::string_view text, CtFilter* filter);
/// The same of the answers: source only, which is what the table can be asked for.
Result<void> add_dpctl_reply(std::string_view text, CtFilter* filter);
std::optional<uint16_t> parse_zone(std::string_view text);

/// tcp, udp, icmp, icmpv6, sctp ..., or the number.
std::string proto_name(uint8_t proto);
std::string ct_address(const uint32_t words[4], bool is_v6);
/// "0x2", "" when zero.
std::string ct_label_text(const uint32_t label[4]);

/// One line of dpctl/dump-conntrack.
std::string dpctl_entry(const CtEntry& entry, bool more, bool statistics);

}  // namespace sluice::rpc
