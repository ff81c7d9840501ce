// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "control/rpc/reports.h"
#include "control/rpc/table.h"

namespace sluice::rpc {
namespace {

constexpr Align kR = Align::kRight;

std::string count(uint64_t n) {
    return std::to_string(n);
}
std::string number(int64_t n) {
    return std::to_string(n);
}
std::string plural(uint64_t n, const char* noun) {
    return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}
std::string line(const char* title, const std::string& text) {
    return fmt::format("{:<16}{}\n", title, text);
}
Cell bad_if(uint64_t n) {
    return {count(n), n ? Colour::kBad : Colour::kNone};
}
std::string short_uuid(const std::string& uuid) {
    return uuid.substr(0, 8);
}
std::string left_out(size_t n, const char* noun, const char* why) {
    return n == 0 ? "" : fmt::format("{} {}; --all shows them\n", plural(n, noun), why);
}

std::string session(const std::string& state, const std::string& remote, bool colour) {
    const Colour c = state == "connected" ? Colour::kGood : Colour::kWarn;
    return paint(state.empty() ? "unknown" : state, c, colour) +
           (remote.empty() ? "" : " (" + paint(remote, Colour::kNone, colour) + ")");
}

}  // namespace

std::string to_text(const StatusReport& r, const TextStyle& style) {
    std::string out =
        bold(fmt::format("{}, pid {}, up {}", r.version, r.pid, duration_text(r.uptime_s)),
             style.colour) +
        "\n";
    out += line("chassis", paint(r.chassis.empty() ? "none yet" : r.chassis,
                                 r.chassis.empty() ? Colour::kWarn : Colour::kNone, style.colour));
    out += line("southbound", session(r.sb_state, r.sb_remote, style.colour));
    if (!r.ovs_remote.empty()) {
        out += line("local database", session(r.ovs_state, r.ovs_remote, style.colour));
    }
    out += line("nb_cfg", number(r.nb_cfg));
    out += line("pipeline", fmt::format("published {}, last built in {:.1f} ms",
                                        plural(r.publishes, "time"), r.last_build_ms));
    out += line("", fmt::format("{}, {}", plural(r.datapaths, "datapath"),
                                plural(r.logical_flows, "logical flow")));
    for (const std::string& error : r.flow_errors) {
        out += line("", paint(error, Colour::kBad, style.colour));
    }
    out += line("ports", count(r.ports));
    out += line("tunnels", fmt::format("{} ({} ready)", r.tunnels, r.tunnels_ready));
    out += line("drops", plural(r.drops, "packet"));
    TextTable table(
        {{"worker", kR}, {"core", kR}, {"rx packets", kR}, {"tx packets", kR}, {"busy", kR}},
        style.colour);
    for (const auto& w : r.workers) {
        table.row({number(w.worker), w.core < 0 ? "" : number(w.core), count(w.rx_packets),
                   count(w.tx_packets),
                   percent_text(w.polls - std::min(w.idle_polls, w.polls), w.polls)});
    }
    return table.empty() ? out : out + "\n" + table.text();
}

namespace {

/// Who polls which queue, and what a packet of it costs.
std::string queues_text(const PortReport& r, const TextStyle& style) {
    TextTable table({{"port"},
                     {"queue", kR},
                     {"worker", kR},
                     {"core", kR},
                     {"placed"},
                     {"packets", kR},
                     {"cycles/packet", kR}},
                    style.colour);
    for (const PortReport::Row& p : r.rows) {
        for (size_t i = 0; i < p.queues.size(); ++i) {
            const PortReport::Queue& q = p.queues[i];
            table.row({p.name, number(static_cast<int64_t>(i)), number(q.worker),
                       q.core < 0 ? "" : number(q.core), q.pinned ? "pinned" : "", count(q.packets),
                       q.packets ? count(q.cycles / q.packets) : ""});
        }
    }
    return table.empty() ? std::string() : "\n" + table.text();
}

/// What ports do by themselves, and what they or sluice did instead.
std::string offloads_text(const PortReport& r, const TextStyle& style) {
    TextTable table({{"port"}, {"offloads"}, {"counted"}}, style.colour);
    for (const PortReport::Row& p : r.rows) {
        std::string counts;
        for (const PortReport::Count& c : p.counts) {
            if (c.value || style.all) {
                counts += (counts.empty() ? "" : ", ") + c.name + " " + count(c.value);
            }
        }
        if (!p.offloads.empty() || !counts.empty()) {
            table.row({p.name, fmt::format("{}", fmt::join(p.offloads, " ")), counts});
        }
    }
    return table.empty() ? std::string() : "\n" + table.text();
}

}  // namespace

std::string to_text(const PortReport& r, const TextStyle& style) {
    TextTable table({{"port"},
                     {"id", kR},
                     {"driver"},
                     {"role"},
                     {"logical port"},
                     {"mac"},
                     {"mtu", kR},
                     {"link"},
                     {"rx packets", kR},
                     {"rx", kR},
                     {"tx packets", kR},
                     {"tx", kR},
                     {"dropped", kR},
                     {"errors", kR}},
                    style.colour);
    std::string errors;
    for (const PortReport::Row& p : r.rows) {
        const bool open = p.id >= 0;
        table.row({p.name, open ? number(p.id) : "", p.driver, p.role, p.logical_port, p.mac,
                   open ? number(p.mtu) : "",
                   open ? Cell(p.link_up ? "up" : "down", p.link_up ? Colour::kGood : Colour::kBad)
                        : Cell("error", Colour::kBad),
                   count(p.rx_packets), bytes_text(p.rx_bytes), count(p.tx_packets),
                   bytes_text(p.tx_bytes), bad_if(p.rx_dropped + p.tx_dropped),
                   bad_if(p.rx_errors + p.tx_errors)});
        if (!p.error.empty()) {
            errors += paint(p.name + ": " + p.error, Colour::kBad, style.colour) + "\n";
        }
    }
    return table.empty() ? "no ports\n"
                         : table.text() + errors + queues_text(r, style) + offloads_text(r, style);
}

std::string to_text(const TunnelReport& r, const TextStyle& style) {
    TextTable table({{"tunnel", kR},
                     {"chassis"},
                     {"type"},
                     {"local"},
                     {"remote"},
                     {"port"},
                     {"next hop"},
                     {"mtu", kR},
                     {"state"},
                     {"bfd"},
                     {"flaps", kR}},
                    style.colour);
    for (const TunnelReport::Row& t : r.rows) {
        const bool plain = t.option.empty() || t.option == "ovn";
        table.row({number(t.id), t.chassis, plain ? t.type : t.type + "/" + t.option, t.local_ip,
                   t.remote_ip, t.port, t.next_hop, number(t.mtu),
                   Cell(t.state, t.state == "ready" ? Colour::kGood : Colour::kBad),
                   Cell(t.bfd, t.bfd == "up" ? Colour::kGood : Colour::kBad),
                   t.bfd.empty() ? "" : number(t.bfd_flaps)});
    }
    return table.empty() ? "no tunnels\n" : table.text();
}

std::string to_text(const MirrorReport& r, const TextStyle& style) {
    TextTable table(
        {{"mirror"}, {"type"}, {"filter"}, {"sink"}, {"index", kR}, {"port"}, {"state"}, {"of"}},
        style.colour);
    for (const MirrorReport::Row& m : r.rows) {
        table.row({m.name, m.type, m.filter, m.sink, number(m.index), m.port,
                   Cell(m.state, m.state == "ready" ? Colour::kGood : Colour::kBad),
                   fmt::format("{}", fmt::join(m.logical_ports, ","))});
    }
    return table.empty() ? "no mirrors\n" : table.text();
}

std::string to_text(const DatapathReport& r, const TextStyle& style) {
    TextTable table({{"key", kR},
                     {"datapath"},
                     {"type"},
                     {"ports", kR},
                     {"groups", kR},
                     {"neighbors", kR},
                     {"changed", kR},
                     {"uuid"}},
                    style.colour);
    std::string details;
    for (const DatapathReport::Row& d : r.rows) {
        table.row({number(d.key), d.name, d.type, count(d.ports.size()), count(d.groups),
                   count(d.neighbors), count(d.generation), d.uuid});
        if (!d.ports.empty() && (style.all || r.rows.size() == 1)) {
            TextTable ports({{"key", kR}, {"port"}, {"reach"}, {"where"}}, style.colour, 2);
            for (const DatapathReport::Port& p : d.ports) {
                const bool lost = p.reach == "unbound" || p.reach == "no_tunnel";
                ports.row({number(p.key), p.name,
                           Cell(p.reach, lost ? Colour::kWarn : Colour::kNone), p.where});
            }
            details += "\n" + bold(d.name, style.colour) + "\n" + ports.text();
        }
    }
    return table.empty() ? "no datapaths\n" : table.text() + details;
}

std::string to_text(const FlowReport& r, const TextStyle& style) {
    std::string out;
    size_t silent = 0;
    const auto same = [](const FlowReport::Row& a, const FlowReport::Row& b) {
        return a.datapath == b.datapath && a.side == b.side;
    };
    for (size_t at = 0; at < r.rows.size();) {
        const FlowReport::Row& first = r.rows[at];
        TextTable table({{"packets", kR},
                         {"bytes", kR},
                         {"table", kR},
                         {"stage"},
                         {"priority", kR},
                         {"flow"},
                         {"match -> actions"}},
                        style.colour);
        for (; at < r.rows.size() && same(r.rows[at], first); ++at) {
            const FlowReport::Row& f = r.rows[at];
            if (f.packets == 0 && !style.all) {
                ++silent;
                continue;
            }
            const Colour colour = f.packets ? Colour::kNone : Colour::kDim;
            table.row({Cell(count(f.packets), colour), Cell(bytes_text(f.bytes), colour),
                       Cell(number(f.table), colour), Cell(f.stage, colour),
                       Cell(number(f.priority), colour), Cell(short_uuid(f.uuid), colour),
                       Cell(f.match + " -> " + f.actions, colour)});
        }
        if (!table.empty()) {
            const std::string title =
                first.datapath.empty() ? first.side : first.datapath + ", " + first.side;
            out += (out.empty() ? "" : "\n") + bold(title, style.colour) + "\n" + table.text();
        }
    }
    return out + left_out(silent, "logical flow", "without packets");
}

std::string to_text(const DropReport& r, const TextStyle& style) {
    TextTable table({{"packets", kR}, {"reason"}, {"meaning"}}, style.colour);
    std::string flows;
    size_t silent = 0;
    for (const DropReport::Row& d : r.rows) {
        if (d.packets == 0 && !style.all) {
            ++silent;
            continue;
        }
        table.row(
            {count(d.packets), Cell(d.name, d.packets ? Colour::kBad : Colour::kDim), d.help});
        if (!d.flows.empty()) {
            TextTable by_flow({{"packets", kR}, {"flow"}, {"stage"}, {"match"}}, style.colour, 2);
            for (const DropReport::Flow& f : d.flows) {
                by_flow.row({count(f.packets), f.uuid, f.stage, f.match});
            }
            flows +=
                "\n" + bold(d.name + ", by logical flow", style.colour) + "\n" + by_flow.text();
        }
    }
    return (table.empty() ? "no packets dropped\n" : table.text()) + flows +
           left_out(silent, "reason", "without packets");
}

std::string to_text(const CacheReport& r, const TextStyle& style) {
    TextTable table({{"worker", kR},
                     {"entries", kR},
                     {"used", kR},
                     {"hits", kR},
                     {"hit rate", kR},
                     {"misses", kR},
                     {"bypassed", kR},
                     {"stale", kR},
                     {"evicted", kR}},
                    style.colour);
    const auto put = [&](const std::string& name, const CacheReport::Row& c) {
        table.row({name, count(c.entries), percent_text(c.used, c.entries), count(c.hits),
                   percent_text(c.hits, c.hits + c.misses + c.bypassed + c.stale), count(c.misses),
                   count(c.bypassed), count(c.stale), count(c.evicted)});
    };
    CacheReport::Row sum;
    for (const CacheReport::Row& c : r.rows) {
        put(number(c.worker), c);
        sum.entries += c.entries;
        sum.used += c.used;
        sum.hits += c.hits;
        sum.misses += c.misses;
        sum.bypassed += c.bypassed;
        sum.stale += c.stale;
        sum.evicted += c.evicted;
    }
    if (r.rows.size() > 1) {
        put("all", sum);
    }
    return table.empty() ? "no flow cache\n" : table.text();
}

std::string to_text(const CounterReport& r, const TextStyle& style) {
    size_t workers = 0;
    for (const CounterReport::Row& c : r.rows) {
        workers = std::max(workers, c.by_worker.size());
    }
    std::vector<Column> columns = {{"counter"}, {"total", kR}};
    if (workers > 1) {
        for (size_t i = 0; i < workers; ++i) {
            columns.push_back({fmt::format("worker {}", i), kR});
        }
    }
    columns.push_back({"meaning"});
    TextTable table(columns, style.colour);
    size_t silent = 0;
    for (const CounterReport::Row& c : r.rows) {
        if (c.total == 0 && !style.all) {
            ++silent;
            continue;
        }
        std::vector<Cell> cells = {c.name, count(c.total)};
        for (size_t i = 0; workers > 1 && i < workers; ++i) {
            cells.emplace_back(i < c.by_worker.size() ? count(c.by_worker[i]) : std::string());
        }
        cells.emplace_back(c.help);
        table.row(std::move(cells));
    }
    return (table.empty() ? "" : table.text()) + left_out(silent, "counter", "at zero");
}

}  // namespace sluice::rpc
