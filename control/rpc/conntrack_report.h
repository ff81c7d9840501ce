// SPDX-License-Identifier: Apache-2.0
// Reports about the connection table: connections, what happens to it, zones.
//
// In the manner of reports.h: plain structs with numbers, JSON for programs, tables for people.
// The second one is for the time of an attack: how full the table is, what was refused and why,
// what had to give way.
// Threads: control; pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "control/rpc/reports.h"
#include "lib/program/conntrack_control.h"

namespace sluice::rpc {

struct ConntrackReport {
    struct Row {
        int64_t zone = 0;
        std::string proto;
        std::string state;  ///< "" for protocols without states
        std::string src, dst;
        int64_t sport = 0, dport = 0;  ///< ICMP: identifier, type * 256 + code
        std::string reply_src, reply_dst;
        int64_t reply_sport = 0, reply_dport = 0;
        int64_t mark = 0;
        std::string label;  ///< hexadecimal, "" when zero
        int64_t timeout_s = 0;
        uint64_t packets = 0, bytes = 0;
        uint64_t reply_packets = 0, reply_bytes = 0;
    };
    uint64_t matching = 0;  ///< connections that match, of which `rows` may be the first ones
    std::vector<Row> rows;
};

struct ConntrackStatsReport {
    uint64_t capacity = 0;
    uint64_t used = 0;
    uint64_t memory_bytes = 0;
    uint64_t created = 0, expired = 0, flushed = 0, evicted = 0;
    uint64_t refused_full = 0, refused_limit = 0, nat_exhausted = 0;
    uint64_t invalid = 0, out_of_window = 0, bad_checksum = 0;
    uint64_t longest_chain = 0;
    uint64_t fragments = 0, fragment_bytes = 0;
    uint64_t fragments_timed_out = 0, fragments_refused = 0, fragments_overlapping = 0;
};

struct ZoneReport {
    struct Row {
        std::string user;
        int64_t zone = 0;
        uint64_t connections = 0;
        int64_t limit = -1;  ///< -1: the default one
    };
    std::vector<Row> rows;
};

std::string to_json(const ConntrackReport& report);
std::string to_json(const ConntrackStatsReport& report);
std::string to_json(const ZoneReport& report);
Result<void> from_json(std::string_view json, ConntrackReport* report);
Result<void> from_json(std::string_view json, ConntrackStatsReport* report);
Result<void> from_json(std::string_view json, ZoneReport* report);
std::string to_text(const ConntrackReport& report, const TextStyle& style = {});
std::string to_text(const ConntrackStatsReport& report, const TextStyle& style = {});
std::string to_text(const ZoneReport& report, const TextStyle& style = {});

struct ConntrackSources {
    struct Zone {
        std::string user;
        uint16_t zone = 0;
        int64_t limit = -1;
    };
    ConntrackControl* table = nullptr;  ///< null: there is none, and no command
    std::function<std::vector<Zone>()> zones;
};

/// sluice/conntrack [limit=N] [FILTER]..., sluice/conntrack-stats, sluice/ct-zones (JSON);
/// conntrack/show, conntrack/stats, conntrack/zones (text); conntrack/flush FILTER...|--all. With
/// Open vSwitch's names and texts: dpctl/dump-conntrack, dpctl/flush-conntrack,
/// dpctl/ct-stats-show, dpctl/ct-get-nconns, dpctl/ct-get-maxconns, dpctl/ct-set-limits,
/// dpctl/ct-get-limits, dpctl/ct-del-limits; with ovn-controller's: ct-zone-list.
void add_conntrack_commands(Server& server, ConntrackSources sources);

}  // namespace sluice::rpc
