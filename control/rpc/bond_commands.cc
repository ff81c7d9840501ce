// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/bond_commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/rpc/server.h"
#include "control/rpc/table.h"

namespace sluice::rpc {
namespace {

using Bonds = std::function<std::vector<NamedBond>()>;

/// Names of the bits as Open vSwitch has them.
std::string state_words(uint8_t state) {
    constexpr const char* kNames[] = {"activity",   "timeout",      "aggregation", "synchronized",
                                      "collecting", "distributing", "defaulted",   "expired"};
    std::string text;
    for (unsigned bit = 0; bit < std::size(kNames); ++bit) {
        if (state >> bit & 1) {
            text += fmt::format("{}{}", text.empty() ? "" : " ", kNames[bit]);
        }
    }
    return text;
}

BondsReport::Member member_row(const BondMemberReport& m) {
    BondsReport::Member row;
    row.name = m.name;
    row.driver = m.driver;
    row.mac = to_string(m.mac);
    row.link_up = m.link_up;
    row.enabled = m.is_enabled;
    row.active = m.is_active;
    row.buckets = m.n_buckets;
    row.link_resets = m.link_resets;
    row.error = m.error;
    row.rx_packets = m.stats.rx_packets;
    row.tx_packets = m.stats.tx_packets;
    if (m.lacp) {
        row.lacp_receive = m.lacp->receive;
        row.lacp_mux = m.lacp->mux;
        row.lacp_state = state_words(m.lacp->actor.state);
        row.lacp_partner = fmt::format("{} key {} port {}", to_string(m.lacp->partner.system),
                                       m.lacp->partner.key, m.lacp->partner.port);
        row.lacp_partner_state = state_words(m.lacp->partner.state);
        row.lacp_rx = m.lacp->rx_pdus;
        row.lacp_tx = m.lacp->tx_pdus;
    }
    return row;
}

BondsReport report_of(const std::vector<NamedBond>& bonds) {
    BondsReport report;
    for (const auto& [name, bond] : bonds) {
        BondsReport::Row& row = report.rows.emplace_back();
        row.name = name;
        row.mode = bond.mode;
        row.lacp = bond.lacp;
        row.lacp_status = bond.lacp_status;
        row.fallback = bond.is_fallback;
        row.active_mac = bond.active_mac.is_zero() ? "" : to_string(bond.active_mac);
        row.rx_refused = bond.rx_refused;
        row.failovers = bond.failovers;
        std::transform(bond.members.begin(), bond.members.end(), std::back_inserter(row.members),
                       member_row);
    }
    return report;
}

std::string bond_text(const std::string& name, const BondReport& bond) {
    std::string text = fmt::format(
        "---- {} ----\nbond_mode: {}\nupdelay: {} ms\ndowndelay: {} ms\nlacp_status: {}\n"
        "lacp_fallback_ab: {}\nactive member mac: {}",
        name, bond.mode, bond.updelay_ms, bond.downdelay_ms, bond.lacp_status, bond.is_fallback,
        to_string(bond.active_mac));
    for (const BondMemberReport& member : bond.members) {
        text += member.is_active ? fmt::format("({})", member.name) : "";
    }
    text += "\n";
    for (const BondMemberReport& member : bond.members) {
        if (!member.error.empty()) {
            text +=
                fmt::format("\nmember {}: disabled\n  missing: {}\n", member.name, member.error);
            continue;
        }
        const bool may = member.link_up && (!member.lacp || member.lacp->is_attached);
        text += fmt::format("\nmember {}: {}\n{}  may_enable: {}\n", member.name,
                            member.is_enabled ? "enabled" : "disabled",
                            member.is_active ? "  active member\n" : "", may);
        if (member.n_buckets) {
            text += fmt::format("  {} hash buckets\n", member.n_buckets);
        }
    }
    return text;
}

std::string side_text(const char* who, const LacpSide& side) {
    return fmt::format(
        "\n  {0} sys_id: {1}\n  {0} sys_priority: {2}\n  {0} port_id: {3}\n"
        "  {0} port_priority: {4}\n  {0} key: {5}\n  {0} state: {6}\n",
        who, to_string(side.system), side.system_priority, side.port, side.port_priority, side.key,
        state_words(side.state));
}

std::string lacp_text(const std::string& name, const BondReport& bond) {
    std::string text = fmt::format("---- {} ----\n  status: {}{}\n", name, bond.lacp,
                                   bond.lacp_status == "negotiated" ? " negotiated" : "");
    for (const BondMemberReport& member : bond.members) {
        if (member.lacp) {
            const LacpMemberReport& lacp = *member.lacp;
            text +=
                fmt::format("\nmember: {}: {} {}\n  port_id: {}\n  port_priority: {}\n{}{}",
                            member.name, lacp.receive, lacp.is_attached ? "attached" : "detached",
                            lacp.actor.port, lacp.actor.port_priority,
                            side_text("actor", lacp.actor), side_text("partner", lacp.partner));
        }
    }
    return text;
}

/// Of all bonds, or of the one that is named.
Result<std::string> show(const Bonds& bonds, const Args& args, bool has_lacp,
                         std::string (*text_of)(const std::string&, const BondReport&)) {
    std::string text;
    bool is_known = args.empty();
    for (const auto& [name, bond] : bonds()) {
        const bool is_meant = args.empty() || args[0] == name;
        if (is_meant && (!has_lacp || bond.lacp != "off")) {
            is_known = true;
            text += text_of(name, bond);
        }
    }
    if (!is_known) {
        return Error{args[0] + (has_lacp ? ": no such bond with LACP" : ": no such bond")};
    }
    return text;
}

}  // namespace

std::string to_text(const BondsReport& report, const TextStyle& style) {
    std::string text;
    for (const BondsReport::Row& bond : report.rows) {
        text += fmt::format("{}{}  {}", text.empty() ? "" : "\n", bold(bond.name, style.colour),
                            bond.mode);
        if (bond.lacp != "off") {
            text += fmt::format(", LACP {} ({}{})", bond.lacp, bond.lacp_status,
                                bond.fallback ? ", working as active-backup" : "");
        }
        text += fmt::format(", {} failovers, {} frames refused\n", bond.failovers, bond.rx_refused);
        TextTable table({{"member"},
                         {"link"},
                         {"state"},
                         {"buckets", Align::kRight},
                         {"received", Align::kRight},
                         {"sent", Align::kRight},
                         {"LACP"},
                         {"partner"}},
                        style.colour, 2);
        for (const BondsReport::Member& m : bond.members) {
            const std::string state = !m.error.empty()        ? "missing: " + m.error
                                      : m.active && m.enabled ? "active"
                                      : m.enabled             ? "enabled"
                                                              : "disabled";
            table.row({m.name,
                       {m.link_up ? "up" : "down", m.link_up ? Colour::kGood : Colour::kBad},
                       {state, m.enabled ? Colour::kGood : Colour::kWarn},
                       m.buckets ? std::to_string(m.buckets) : "",
                       std::to_string(m.rx_packets),
                       std::to_string(m.tx_packets),
                       m.lacp_receive.empty() ? "" : m.lacp_receive + ", " + m.lacp_mux,
                       m.lacp_partner});
        }
        text += table.text();
    }
    return text.empty() ? "no bonds\n" : text;
}

void add_bond_commands(Server& server, Bonds bonds) {
    server.add("sluice/bonds", "", 0, 0,
               [bonds](const Args&) -> Result<std::string> { return to_json(report_of(bonds())); });
    server.add("bond/list", "", 0, 0, [bonds](const Args&) -> Result<std::string> {
        std::string text = "Bond\tType\tMembers\n";
        for (const auto& [name, bond] : bonds()) {
            text += fmt::format("{}\t{}\t", name, bond.mode);
            for (const BondMemberReport& member : bond.members) {
                const bool is_first = &member == bond.members.data();
                text += fmt::format("{}{}", is_first ? "" : ", ", member.name);
            }
            text += "\n";
        }
        return text;
    });
    server.add("bond/show", "[PORT]", 0, 1,
               [bonds](const Args& args) { return show(bonds, args, false, bond_text); });
    server.add("lacp/show", "[PORT]", 0, 1,
               [bonds](const Args& args) { return show(bonds, args, true, lacp_text); });
}

}  // namespace sluice::rpc
