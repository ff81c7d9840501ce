// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <map>
#include <memory>

#include "control/rpc/conntrack_filter.h"
#include "control/rpc/conntrack_report.h"

namespace sluice::rpc {
namespace {

constexpr uint64_t kShown = 1000;  // rows, unless limit= says otherwise

class Commands {
public:
    explicit Commands(ConntrackSources sources)
        : table_(*sources.table), zones_(std::move(sources.zones)) {}

    std::vector<ConntrackSources::Zone> zones() const {
        return zones_ ? zones_() : std::vector<ConntrackSources::Zone>();
    }
    std::optional<uint16_t> zone_of(std::string_view name) const {
        for (const ConntrackSources::Zone& zone : zones()) {
            if (zone.user == name) {
                return zone.zone;
            }
        }
        return std::nullopt;
    }
    Result<CtFilter> filter_of(const Args& words) const {
        CtFilter filter;
        for (const std::string& word : words) {
            const Result<void> added = add_filter_word(
                word, [this](std::string_view name) { return zone_of(name); }, &filter);
            if (!added) {
                return added.error();
            }
        }
        return filter;
    }

    Result<ConntrackReport> connections(Args words) const;
    ConntrackStatsReport stats() const;
    Result<ZoneReport> zone_report() const;
    Result<std::string> flush(const Args& words) const;
    std::string zone_list() const;

    Result<std::string> dump(Args words) const;
    Result<std::string> flush_dpctl(Args words) const;
    Result<std::string> stats_show(Args words) const;
    Result<std::string> set_limits(const Args& words);
    Result<std::string> get_limits(const Args& words) const;
    Result<std::string> del_limits(const Args& words);
    ConntrackControl& table() const { return table_; }

private:
    std::string limit_line(uint16_t zone, uint32_t limit) const;

    ConntrackControl& table_;
    std::function<std::vector<ConntrackSources::Zone>()> zones_;
    uint32_t default_limit_ = 0;
    std::map<uint16_t, uint32_t> limits_;  ///< set by dpctl/ct-set-limits
};

ConntrackReport::Row row_of(const CtEntry& e) {
    ConntrackReport::Row r;
    r.zone = e.zone;
    r.proto = proto_name(e.proto);
    r.state = e.state ? e.state : "";
    r.src = ct_address(e.src, e.is_v6);
    r.dst = ct_address(e.dst, e.is_v6);
    r.reply_src = ct_address(e.reply_src, e.is_v6);
    r.reply_dst = ct_address(e.reply_dst, e.is_v6);
    const bool is_icmp = e.proto == IPPROTO_ICMP || e.proto == IPPROTO_ICMPV6;
    r.sport = is_icmp ? e.icmp_id : e.src_port;
    r.dport = is_icmp ? e.icmp_type * 256 + e.icmp_code : e.dst_port;
    r.reply_sport = is_icmp ? r.dport : e.reply_src_port;
    r.reply_dport = is_icmp ? r.sport : e.reply_dst_port;
    r.mark = e.mark;
    r.label = ct_label_text(e.label);
    r.timeout_s = e.timeout_s;
    r.packets = e.packets[0];
    r.bytes = e.bytes[0];
    r.reply_packets = e.packets[1];
    r.reply_bytes = e.bytes[1];
    return r;
}

Result<ConntrackReport> Commands::connections(Args words) const {
    uint64_t limit = kShown;
    for (auto it = words.begin(); it != words.end();) {
        if (it->starts_with("limit=")) {
            limit = std::strtoull(it->c_str() + 6, nullptr, 10);
            it = words.erase(it);
        } else {
            ++it;
        }
    }
    const Result<CtFilter> filter = filter_of(words);
    if (!filter) {
        return filter.error();
    }
    ConntrackReport report;
    table_.dump(*filter, [&](const CtEntry& entry) {
        if (limit == 0 || report.matching < limit) {
            report.rows.push_back(row_of(entry));
        }
        ++report.matching;
    });
    return report;
}

ConntrackStatsReport Commands::stats() const {
    const CtStats s = table_.stats();
    ConntrackStatsReport r;
    r.capacity = s.capacity;
    r.used = s.used;
    r.memory_bytes = s.memory_bytes;
    r.created = s.created;
    r.expired = s.expired;
    r.flushed = s.flushed;
    r.evicted = s.evicted;
    r.refused_full = s.refused_full;
    r.refused_limit = s.refused_limit;
    r.nat_exhausted = s.nat_exhausted;
    r.invalid = s.invalid;
    r.out_of_window = s.out_of_window;
    r.bad_checksum = s.bad_checksum;
    r.longest_chain = s.longest_chain;
    r.fragments = s.fragments;
    r.fragment_bytes = s.fragment_bytes;
    r.fragments_timed_out = s.fragments_timed_out;
    r.fragments_refused = s.fragments_refused;
    r.fragments_overlapping = s.fragments_overlapping;
    return r;
}

Result<ZoneReport> Commands::zone_report() const {
    std::map<uint16_t, uint64_t> counts;
    table_.dump({}, [&](const CtEntry& entry) { ++counts[entry.zone]; });
    ZoneReport report;
    for (const ConntrackSources::Zone& zone : zones()) {
        const auto set = limits_.find(zone.zone);
        report.rows.push_back({zone.user, zone.zone, counts[zone.zone],
                               set == limits_.end() ? zone.limit : int64_t{set->second}});
    }
    std::sort(report.rows.begin(), report.rows.end(), [](const auto& a, const auto& b) {
        return std::tie(a.zone, a.user) < std::tie(b.zone, b.user);
    });
    return report;
}

Result<std::string> Commands::flush(const Args& words) const {
    if (words.empty()) {
        return Error{"which connections? Filters as of conntrack/show, or --all"};
    }
    const bool is_all = words.size() == 1 && words[0] == "--all";
    const Result<CtFilter> filter = filter_of(is_all ? Args() : words);
    if (!filter) {
        return filter.error();
    }
    const size_t count = table_.flush(*filter);
    return fmt::format("flushed {} connection{}", count, count == 1 ? "" : "s");
}

std::string Commands::zone_list() const {
    std::string text;
    for (const ConntrackSources::Zone& zone : zones()) {
        text += fmt::format("{} {}\n", zone.user, zone.zone);
    }
    return text;
}

/// A word that names a data path, as dpctl has it: there is one, called anything.
void drop_datapath(Args* words) {
    if (!words->empty() && words->front().find('=') == std::string::npos) {
        words->erase(words->begin());
    }
}

bool take_flag(Args* words, std::string_view flag, std::string_view long_flag) {
    const size_t before = words->size();
    std::erase_if(*words, [&](const auto& word) { return word == flag || word == long_flag; });
    return words->size() != before;
}

Result<std::optional<uint16_t>> take_zone(Args* words) {
    std::optional<uint16_t> zone;
    for (auto it = words->begin(); it != words->end(); ++it) {
        if (it->starts_with("zone=")) {
            zone = parse_zone(std::string_view(*it).substr(5));
            if (!zone) {
                return Error{"failed to parse zone (Invalid argument)"};
            }
            words->erase(it);
            break;
        }
    }
    return zone;
}

Result<std::string> Commands::dump(Args words) const {
    const bool more = take_flag(&words, "-m", "--more");
    const bool statistics = take_flag(&words, "-s", "--statistics");
    drop_datapath(&words);
    const auto zone = take_zone(&words);
    if (!zone) {
        return zone.error();
    }
    if (!words.empty()) {
        return Error{fmt::format("unexpected argument \"{}\"", words[0])};
    }
    CtFilter filter;
    filter.zone = *zone;
    std::string text;
    table_.dump(filter,
                [&](const CtEntry& entry) { text += dpctl_entry(entry, more, statistics) + "\n"; });
    return text;
}

Result<std::string> Commands::flush_dpctl(Args words) const {
    drop_datapath(&words);
    CtFilter filter;
    const auto zone = take_zone(&words);
    if (!zone) {
        return zone.error();
    }
    filter.zone = *zone;
    for (size_t i = 0; i < words.size(); ++i) {
        const Result<void> added = i == 0   ? add_dpctl_tuple(words[i], &filter)
                                   : i == 1 ? add_dpctl_reply(words[i], &filter)
                                            : Error{"too many arguments"};
        if (!added) {
            return Error{added.error().message + " (Invalid argument)"};
        }
    }
    table_.flush(filter);
    return std::string();
}

Result<std::string> Commands::stats_show(Args words) const {
    const bool verbose =
        take_flag(&words, "verbose", "verbose") | take_flag(&words, "-m", "--more");
    drop_datapath(&words);
    const auto zone = take_zone(&words);
    if (!zone) {
        return zone.error();
    }
    CtFilter filter;
    filter.zone = *zone;
    uint64_t total = 0;
    std::map<uint8_t, uint64_t> by_proto;
    std::map<std::string, uint64_t> by_state;
    table_.dump(filter, [&](const CtEntry& entry) {
        ++total;
        ++by_proto[entry.proto];
        if (entry.proto == IPPROTO_TCP && entry.state) {
            ++by_state[entry.state];
        }
    });
    std::string text = fmt::format("Connections Stats:\n    Total: {}\n", total);
    constexpr std::pair<uint8_t, const char*> kShownProtocols[] = {
        {IPPROTO_TCP, "TCP"},   {IPPROTO_UDP, "UDP"},   {IPPROTO_UDPLITE, "UDPLITE"},
        {IPPROTO_SCTP, "SCTP"}, {IPPROTO_ICMP, "ICMP"}, {IPPROTO_DCCP, "DCCP"},
        {IPPROTO_IGMP, "IGMP"},
    };
    for (const auto& [proto, name] : kShownProtocols) {
        if (by_proto[proto] == 0) {
            continue;
        }
        text += fmt::format("  {}: {}\n", name, by_proto[proto]);
        if (proto == IPPROTO_TCP && verbose) {
            text += "    Conn per TCP states:\n";
            for (const auto& [state, count] : by_state) {
                text += fmt::format("\t  [{}]={}\n", state, count);
            }
        }
    }
    return text;
}

/// "zone=5,limit=10" -> (5, 10).
std::optional<std::pair<uint16_t, uint32_t>> limit_of(std::string_view word) {
    const size_t comma = word.find(',');
    if (!word.starts_with("zone=") || comma == word.npos ||
        !word.substr(comma + 1).starts_with("limit=")) {
        return std::nullopt;
    }
    const auto zone = parse_zone(word.substr(5, comma - 5));
    char* end = nullptr;
    const std::string number(word.substr(comma + 7));
    const unsigned long limit = std::strtoul(number.c_str(), &end, 10);
    if (!zone || number.empty() || *end != '\0' || limit > UINT32_MAX) {
        return std::nullopt;
    }
    return std::pair(*zone, static_cast<uint32_t>(limit));
}

Result<std::string> Commands::set_limits(const Args& words) {
    Args list = words;
    drop_datapath(&list);
    std::optional<uint32_t> standard;
    std::map<uint16_t, uint32_t> zones;
    for (const std::string& word : list) {
        if (word.starts_with("default=")) {
            char* end = nullptr;
            const unsigned long value = std::strtoul(word.c_str() + 8, &end, 10);
            if (word.size() == 8 || *end != '\0' || value > UINT32_MAX) {
                return Error{"invalid default limit (Invalid argument)"};
            }
            standard = static_cast<uint32_t>(value);
        } else if (const auto limit = limit_of(word)) {
            zones[limit->first] = limit->second;
        } else {
            return Error{fmt::format("failed to parse {} (Invalid argument)", word)};
        }
    }
    if (standard) {
        default_limit_ = *standard;
        table_.set_default_limit(*standard);
    }
    for (const auto& [zone, limit] : zones) {
        limits_[zone] = limit;
        table_.set_zone_limit(zone, limit);
    }
    return std::string();
}

std::string Commands::limit_line(uint16_t zone, uint32_t limit) const {
    CtFilter filter;
    filter.zone = zone;
    uint64_t count = 0;
    table_.dump(filter, [&](const CtEntry&) { ++count; });
    return fmt::format("zone={},limit={},count={}\n", zone, limit, count);
}

/// "zone=1,2,3" -> the zones.
Result<std::vector<uint16_t>> zones_in(std::string_view word) {
    std::vector<uint16_t> list;
    if (!word.starts_with("zone=")) {
        return Error{fmt::format("invalid argument {} (Invalid argument)", word)};
    }
    word.remove_prefix(5);
    for (size_t at = 0; at <= word.size();) {
        const size_t end = std::min(word.find(',', at), word.size());
        const auto zone = parse_zone(word.substr(at, end - at));
        if (!zone) {
            return Error{"failed to parse zone (Invalid argument)"};
        }
        list.push_back(*zone);
        at = end + 1;
    }
    return list;
}

Result<std::string> Commands::get_limits(const Args& words) const {
    Args list = words;
    drop_datapath(&list);
    std::map<uint16_t, uint32_t> all = limits_;
    for (const ConntrackSources::Zone& zone : zones()) {
        if (zone.limit >= 0) {
            all.try_emplace(zone.zone, static_cast<uint32_t>(zone.limit));
        }
    }
    std::string text = fmt::format("default limit={}\n", default_limit_);
    if (list.empty()) {
        for (const auto& [zone, limit] : all) {
            text += limit_line(zone, limit);
        }
        return text;
    }
    const auto wanted = zones_in(list[0]);
    if (!wanted) {
        return wanted.error();
    }
    for (const uint16_t zone : *wanted) {
        const auto it = all.find(zone);
        text += limit_line(zone, it == all.end() ? default_limit_ : it->second);
    }
    return text;
}

Result<std::string> Commands::del_limits(const Args& words) {
    Args list = words;
    drop_datapath(&list);
    if (list.empty()) {
        return Error{"which zones? zone=N1[,N2]..."};
    }
    const auto wanted = zones_in(list[0]);
    if (!wanted) {
        return wanted.error();
    }
    for (const uint16_t zone : *wanted) {
        limits_.erase(zone);
        table_.set_zone_limit(zone, 0);
    }
    return std::string();
}

template <typename R>
Result<std::string> json_of(const Result<R>& report) {
    return report ? Result<std::string>(to_json(*report)) : Result<std::string>(report.error());
}
template <typename R>
Result<std::string> text_of(const Result<R>& report) {
    return report ? Result<std::string>(to_text(*report)) : Result<std::string>(report.error());
}

void add_own(Server& server, const std::shared_ptr<Commands>& c) {
    constexpr unsigned kAny = Server::kAnyNumber;
    const char* const filters = "[limit=N] [FILTER]...";
    server.add("sluice/conntrack", filters, 0, kAny,
               [c](const Args& words) { return json_of(c->connections(words)); });
    server.add("conntrack/show", filters, 0, kAny,
               [c](const Args& words) { return text_of(c->connections(words)); });
    server.add("sluice/conntrack-stats", "", 0, 0,
               [c](const Args&) -> Result<std::string> { return to_json(c->stats()); });
    server.add("conntrack/stats", "", 0, 0,
               [c](const Args&) -> Result<std::string> { return to_text(c->stats()); });
    server.add("sluice/ct-zones", "", 0, 0, [c](const Args&) { return json_of(c->zone_report()); });
    server.add("conntrack/zones", "", 0, 0, [c](const Args&) { return text_of(c->zone_report()); });
    server.add("conntrack/flush", "FILTER...|--all", 0, kAny,
               [c](const Args& words) { return c->flush(words); });
    server.add("ct-zone-list", "", 0, 0,
               [c](const Args&) -> Result<std::string> { return c->zone_list(); });
}

void add_dpctl(Server& server, const std::shared_ptr<Commands>& c) {
    server.add("dpctl/dump-conntrack", "[-m] [-s] [dp] [zone=N]", 0, 4,
               [c](const Args& words) { return c->dump(words); });
    server.add("dpctl/flush-conntrack", "[dp] [zone=N] [ct-orig-tuple] [ct-reply-tuple]", 0, 4,
               [c](const Args& words) { return c->flush_dpctl(words); });
    server.add("dpctl/ct-stats-show", "[dp] [zone=N] [verbose]", 0, 3,
               [c](const Args& words) { return c->stats_show(words); });
    server.add("dpctl/ct-get-nconns", "[dp]", 0, 1, [c](const Args&) -> Result<std::string> {
        return std::to_string(c->table().stats().used);
    });
    server.add("dpctl/ct-get-maxconns", "[dp]", 0, 1, [c](const Args&) -> Result<std::string> {
        return std::to_string(c->table().stats().capacity);
    });
    server.add("dpctl/ct-set-limits", "[dp] [default=L] [zone=N,limit=L]...", 1, Server::kAnyNumber,
               [c](const Args& words) { return c->set_limits(words); });
    server.add("dpctl/ct-get-limits", "[dp] [zone=N1[,N2]...]", 0, 2,
               [c](const Args& words) { return c->get_limits(words); });
    server.add("dpctl/ct-del-limits", "[dp] zone=N1[,N2]...", 1, 2,
               [c](const Args& words) { return c->del_limits(words); });
}

}  // namespace

void add_conntrack_commands(Server& server, ConntrackSources sources) {
    if (!sources.table) {
        return;
    }
    const auto commands = std::make_shared<Commands>(std::move(sources));
    add_own(server, commands);
    add_dpctl(server, commands);
}

}  // namespace sluice::rpc
