// SPDX-License-Identifier: Apache-2.0
// Reports about bonds: members, which of them carry traffic, what LACP has agreed on.
//
// For programs and sluicectl bonds as the other reports (reports.h); bond/list, bond/show and
// lacp/show as Open vSwitch's, for scripts that read those.
// Threads: control; pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/rpc/reports.h"
#include "lib/program/bond_report.h"

namespace sluice::rpc {

struct BondsReport {
    struct Member {
        std::string name;
        std::string driver;
        std::string mac;
        bool link_up = false;
        bool enabled = false;
        bool active = false;
        uint64_t buckets = 0;
        uint64_t link_resets = 0;
        uint64_t rx_packets = 0;
        uint64_t tx_packets = 0;
        std::string lacp_receive;  ///< "" without LACP, as the rest
        std::string lacp_mux;
        std::string lacp_state;          ///< of ours, in words
        std::string lacp_partner;        ///< system, key and port of the partner
        std::string lacp_partner_state;  ///< in words
        uint64_t lacp_rx = 0;
        uint64_t lacp_tx = 0;
        std::string error;  ///< why it is missing
    };
    struct Row {
        std::string name;
        std::string mode;
        std::string lacp;
        std::string lacp_status;
        bool fallback = false;
        std::string active_mac;
        uint64_t rx_refused = 0;
        uint64_t failovers = 0;
        std::vector<Member> members;
    };
    std::vector<Row> rows;
};

std::string to_json(const BondsReport& report);
Result<void> from_json(std::string_view json, BondsReport* report);
std::string to_text(const BondsReport& report, const TextStyle& style = {});

using NamedBond = std::pair<std::string, BondReport>;

/// sluice/bonds (JSON); bond/list, bond/show [PORT], lacp/show [PORT] (text).
void add_bond_commands(Server& server, std::function<std::vector<NamedBond>()> bonds);

}  // namespace sluice::rpc
