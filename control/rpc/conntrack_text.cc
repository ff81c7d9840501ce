// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "control/rpc/conntrack_report.h"
#include "control/rpc/table.h"

namespace sluice::rpc {
namespace {

constexpr Align kR = Align::kRight;

std::string number(int64_t value) {
    return std::to_string(value);
}

std::string where(const std::string& ip, int64_t port) {
    if (port == 0) {
        return ip;
    }
    return ip.find(':') == ip.npos ? fmt::format("{}:{}", ip, port)
                                   : fmt::format("[{}]:{}", ip, port);
}

/// The answers' addresses where NAT makes them differ from the question's.
std::string translation(const ConntrackReport::Row& c) {
    std::string text;
    if (c.reply_src != c.dst || c.reply_sport != c.dport) {
        text = "dst " + where(c.reply_src, c.reply_sport);
    }
    if (c.reply_dst != c.src || c.reply_dport != c.sport) {
        text += (text.empty() ? "" : ", ") + ("src " + where(c.reply_dst, c.reply_dport));
    }
    return text;
}

}  // namespace

std::string to_text(const ConntrackReport& r, const TextStyle& style) {
    TextTable table({{"zone", kR},
                     {"proto"},
                     {"state"},
                     {"from"},
                     {"to"},
                     {"NAT"},
                     {"mark", kR},
                     {"label"},
                     {"left", kR},
                     {"packets", kR},
                     {"answers", kR}},
                    style.colour);
    for (const ConntrackReport::Row& c : r.rows) {
        const bool is_icmp = c.proto == "icmp" || c.proto == "icmpv6";
        ConntrackReport::Row shown = c;
        if (is_icmp) {
            shown.dport = shown.reply_sport = 0;  // one identifier is enough
            shown.reply_dport = c.reply_dport == c.sport ? c.sport : c.reply_dport;
        }
        table.row({number(c.zone), c.proto, c.state, where(c.src, c.sport),
                   where(c.dst, shown.dport), is_icmp ? translation(shown) : translation(c),
                   c.mark == 0 ? std::string() : fmt::format("{:#x}", c.mark), c.label,
                   duration_text(c.timeout_s), std::to_string(c.packets),
                   std::to_string(c.reply_packets)});
    }
    std::string text = table.empty() ? "no such connections\n" : table.text();
    if (r.matching > r.rows.size()) {
        text += fmt::format("{} of {} connections; limit=0 shows all\n", r.rows.size(), r.matching);
    }
    return text;
}

std::string to_text(const ConntrackStatsReport& r, const TextStyle& style) {
    const bool is_tight = r.capacity > 0 && r.used >= r.capacity / 10 * 9;
    const auto bad = [](uint64_t value) { return value > 0 ? Colour::kBad : Colour::kNone; };
    TextTable table({{"connections"}, {"", kR}, {"meaning"}}, style.colour);
    const auto row = [&](const char* name, const std::string& value, const char* meaning,
                         Colour colour = Colour::kNone) {
        table.row({Cell(name), Cell(value, colour), Cell(meaning)});
    };
    const auto count = [&](const char* name, uint64_t value, const char* meaning,
                           Colour colour = Colour::kNone) {
        row(name, std::to_string(value), meaning, colour);
    };
    row("used", fmt::format("{} ({})", r.used, percent_text(r.used, r.capacity)), "now",
        is_tight ? Colour::kBad : Colour::kGood);
    count("capacity", r.capacity, "at most");
    row("memory", bytes_text(r.memory_bytes), "of connections and their index, taken at start");
    count("created", r.created, "since start");
    count("expired", r.expired, "ended by their timeout");
    count("flushed", r.flushed, "ended by a command, a zone or a backend that went");
    count("evicted", r.evicted, "not answered yet, gave way to others in a full table",
          bad(r.evicted));
    count("refused_full", r.refused_full, "no room, and nothing that could give way",
          bad(r.refused_full));
    count("refused_limit", r.refused_limit, "the zone was at its limit", bad(r.refused_limit));
    count("nat_exhausted", r.nat_exhausted, "NAT found no free address and port",
          bad(r.nat_exhausted));
    count("invalid", r.invalid, "packets judged invalid");
    count("out_of_window", r.out_of_window, "of these: TCP outside its window");
    count("bad_checksum", r.bad_checksum, "of these: wrong checksum");
    count("longest_chain", r.longest_chain, "places looked at for one connection, at most");
    count("fragments", r.fragments, "held now, waiting for the rest of their packet");
    row("fragment_bytes", bytes_text(r.fragment_bytes), "that they take");
    count("fragments_timed_out", r.fragments_timed_out, "the rest did not come");
    count("fragments_refused", r.fragments_refused, "no room for them, or too many of a packet",
          bad(r.fragments_refused));
    count("fragments_overlapping", r.fragments_overlapping, "contradicted each other");
    return table.text();
}

std::string to_text(const ZoneReport& r, const TextStyle& style) {
    TextTable table({{"zone", kR}, {"connections", kR}, {"limit", kR}, {"of"}}, style.colour);
    for (const ZoneReport::Row& z : r.rows) {
        const bool is_full = z.limit > 0 && z.connections >= static_cast<uint64_t>(z.limit);
        table.row({Cell(number(z.zone)),
                   Cell(std::to_string(z.connections), is_full ? Colour::kBad : Colour::kNone),
                   Cell(z.limit < 0 ? std::string() : number(z.limit)), Cell(z.user)});
    }
    return table.empty() ? "no zones\n" : table.text();
}

}  // namespace sluice::rpc
