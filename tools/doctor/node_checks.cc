// SPDX-License-Identifier: Apache-2.0
#include "tools/doctor/node_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>

namespace sluice::doctor {
namespace {

using rpc::DropReport;
using rpc::PortReport;
using rpc::StatusReport;

constexpr double kBusy = 0.9;
constexpr double kHasRoom = 0.5;
constexpr double kFewHits = 0.8;
constexpr uint64_t kEnoughPackets = 1000;  ///< to judge a rate by

std::string rate_text(double rate) {
    if (rate >= 1e6) {
        return fmt::format("{:.1f} M", rate / 1e6);
    }
    return rate >= 1e4 ? fmt::format("{:.1f} k", rate / 1e3) : fmt::format("{:.1f} ", rate);
}

/// What to do about a drop that is nobody's wish.
const std::map<std::string, const char*>& mends() {
    static const std::map<std::string, const char*> table = {
        {"no_mbuf", "raise --mbufs (and --memory-mb)"},
        {"punt_full",
         "the slow path is behind: put a meter on what punts (Copp), see sluicectl counters"},
        {"metered", "raise the rate of the meter: ovn-nbctl meter-list"},
        {"too_long", "raise the MTU of the port: ovs-vsctl set Interface PORT mtu_request=N"},
        {"too_big", "raise the MTU of the underlay, or lower the guests' by the tunnel's header"},
        {"tunnel_no_route", "add a route to the remote address: sluicectl tunnels names it"},
        {"tunnel_unresolved", "the next hop does not answer ARP or ND: sluicectl tunnels"},
        {"no_live_chassis", "no gateway answers by BFD: sluicectl bfd/show"},
        {"remote_no_tunnel", "give both chassis an encap of one type: ovn-sbctl list encap"},
        {"unbound_port", "nobody has claimed the port: ovn-sbctl find port_binding chassis='[]'"},
        {"tx_full", "the device takes less than it is sent: more queues, or a faster peer"},
        {"malformed_flow", "the log and sluicectl status name the flow that does not parse"},
        {"port_no_entry", "give the interface its external_ids:iface-id, or unplug it"},
        {"outer_checksum", "a device or cable on the underlay corrupts packets"},
        {"mirror_unreachable", "the mirror's sink has no route: sluicectl mirrors"},
    };
    return table;
}

/// What brings a link up is not the same everywhere.
std::string mend_link(const PortReport::Row& port) {
    if (port.driver == "vhost") {
        return "start the guest";
    }
    if (port.driver == "bond") {
        return "no member may carry traffic: sluicectl bonds says why";
    }
    const bool is_kernels =
        port.driver == "af_packet" || port.driver == "af_xdp" || port.driver == "tap";
    return is_kernels ? "ip link set " + port.name + " up; else the other end, or the cable"
                      : "the other end, or the cable";
}

/// Drops that are policy, or belong to the protocol.
bool is_wanted_drop(const std::string& name) {
    static const std::vector<std::string> list = {"logical_flow", "loopback",    "metered",
                                                  "ttl_expired",  "port_silent", "too_big"};
    return std::find(list.begin(), list.end(), name) != list.end();
}

class NodeCheck {
public:
    NodeCheck(const NodeSample& before, const NodeSample& after, double seconds, Diagnosis* out)
        : a_(before), b_(after), seconds_(seconds), out_(out) {
        for (const auto& row : a_.ports.rows) {
            ports_before_[row.name] = &row;
        }
    }

    void control() {
        out_->checked.emplace_back("control");
        if (b_.status.sb_state != "synced") {
            add(Severity::kCritical, "southbound", "Southbound database",
                fmt::format("{} ({})", b_.status.sb_state, b_.status.sb_remote),
                "what is published goes on forwarding; changes do not arrive",
                "ovs-vsctl get Open_vSwitch . external_ids:ovn-remote, and is ovsdb-server there?");
        }
        for (const std::string& error : b_.status.flow_errors) {
            add(Severity::kCritical, "flow_errors", "logical flow", error,
                "packets that match it are dropped (malformed_flow)", "");
        }
        for (const rpc::TunnelReport::Row& t : b_.tunnels.rows) {
            if (t.bfd == "down") {
                add(Severity::kWarning, "tunnels", "tunnel to " + t.chassis, "BFD is down",
                    "gateways there are taken for dead", "sluicectl bfd/show");
            }
            if (t.state == "no_route") {
                add(Severity::kWarning, "tunnels", "tunnel to " + t.chassis,
                    "no route to " + t.remote_ip, "packets to that chassis are dropped",
                    "ip route get " + t.remote_ip);
            }
        }
    }

    void workers() {
        out_->checked.emplace_back("workers");
        std::map<int64_t, int64_t> core_users;
        for (const StatusReport::Worker& w : b_.status.workers) {
            if (w.core >= 0 && core_users[w.core]++) {
                add(Severity::kCritical, "worker_core", fmt::format("core {}", w.core),
                    "more than one worker is pinned to it", "each stops the other",
                    "give --cores as many cores as workers");
            }
            const double busy = busy_of(w.worker);
            if (busy >= kBusy) {
                add(Severity::kWarning, "worker_busy", worker_name(w.worker),
                    fmt::format("{:.0f} % busy with {}packets/s from {}", 100 * busy,
                                rate_text(rx_rate_of(w.worker)), ports_of(w.worker)),
                    "its ports' rings overflow next", relieve(w.worker), rx_rate_of(w.worker));
            }
        }
    }

    void ports() {
        out_->checked.emplace_back("ports");
        for (const PortReport::Row& p : b_.ports.rows) {
            if (!p.error.empty()) {
                add(Severity::kCritical, "port_error", "port " + p.name, p.error,
                    "it carries no packets", "");
                continue;
            }
            if (!p.link_up && p.role != "unused" && p.role != "kernel") {
                add(Severity::kWarning, "port_link", "port " + p.name, "its link is down",
                    "what is sent there is lost", mend_link(p));
            }
            const auto before = ports_before_.find(p.name);
            if (before != ports_before_.end() && before->second->id == p.id) {
                lost_on(p, *before->second);
                fallbacks_of(p, *before->second);
            }
        }
    }

    void drops() {
        out_->checked.emplace_back("drops");
        std::map<std::string, uint64_t> before;
        for (const DropReport::Row& row : a_.drops.rows) {
            before[row.name] = row.packets;
        }
        for (const DropReport::Row& row : b_.drops.rows) {
            const uint64_t old = before[row.name];
            if (row.packets <= old) {
                continue;
            }
            const double rate = static_cast<double>(row.packets - old) / seconds_;
            std::string text = fmt::format("{}packets/s: {}", rate_text(rate), row.help);
            if (!row.flows.empty()) {
                const DropReport::Flow& flow = row.flows.front();
                text +=
                    fmt::format("; most by flow {} ({}: {})", flow.uuid, flow.stage, flow.match);
            }
            const bool wanted = is_wanted_drop(row.name);
            const auto mend = mends().find(row.name);
            std::string what = mend == mends().end() ? "" : mend->second;
            if (row.name == "logical_flow" && !row.flows.empty()) {
                what = fmt::format(
                    "nothing, if that is policy; else ovn-sbctl list logical_flow {} names the ACL",
                    row.flows.front().uuid);
            }
            add(wanted ? Severity::kNote : Severity::kWarning, "drop", "drop " + row.name, text,
                wanted ? "" : "packets are lost", what, rate);
        }
    }

    void cache() {
        out_->checked.emplace_back("cache");
        const double hits = counted("cache_hit");
        const double others = counted("cache_miss") + counted("cache_bypass");
        const double looked = hits + others;
        if (looked >= kEnoughPackets && hits / looked < kFewHits) {
            const bool is_thrashing = counted("cache_evict") > others / 2;
            add(Severity::kNote, "cache", "flow cache",
                fmt::format("{:.0f} % of packets hit it{}", 100 * hits / looked,
                            is_thrashing ? ", entries push each other out" : ""),
                "other packets walk the tables, several times a hit's cycles",
                is_thrashing ? "raise --cache-entries" : "");
        }
    }

    void connections() {
        out_->checked.emplace_back("conntrack");
        const rpc::ConntrackStatsReport& c = b_.conntrack;
        const double full =
            c.capacity ? static_cast<double>(c.used) / static_cast<double>(c.capacity) : 0;
        const uint64_t refused =
            c.refused_full - std::min(a_.conntrack.refused_full, c.refused_full);
        if (refused) {
            add(Severity::kCritical, "conntrack", "connection table",
                fmt::format("full: {} new connections refused", refused),
                "new connections do not come about", "raise --conntrack-connections",
                static_cast<double>(refused) / seconds_);
        } else if (full > 0.8) {
            add(Severity::kWarning, "conntrack", "connection table",
                fmt::format("{:.0f} % full ({} of {})", 100 * full, c.used, c.capacity),
                "when it is full, new connections are refused", "raise --conntrack-connections");
        }
        const uint64_t limited =
            c.refused_limit - std::min(a_.conntrack.refused_limit, c.refused_limit);
        if (limited) {
            add(Severity::kWarning, "conntrack", "connection limits",
                fmt::format("{} new connections refused by the limit of their zone", limited),
                "new connections of that port do not come about",
                "sluicectl zones; ct-zone-limit of the port",
                static_cast<double>(limited) / seconds_);
        }
    }

    void slow_path() {
        out_->checked.emplace_back("slow_path");
        for (const auto& [name, what] :
             {std::pair("messages_lost", "what packets taught (ARP, FDB) was lost"),
              std::pair("punts_metered", "packets for the slow path exceeded their meter")}) {
            if (const double n = counted(name)) {
                add(Severity::kWarning, "slow_path", "slow path",
                    fmt::format("{} {} in {:.1f} s", what, n, seconds_),
                    "answers are late or missing",
                    "meter what punts: ovn-nbctl meter-add, northd's Copp");
            }
        }
    }

    void captures() {
        out_->checked.emplace_back("captures");
        const double full = counted("capture_ring_full");
        const double over = counted("capture_over_rate");
        if (full > 0 || over > 0) {
            add(Severity::kNote, "captures", "captures",
                fmt::format("missed {:.0f} packets in full rings and {:.0f} beyond their rate",
                            full, over),
                "the captures have gaps, traffic does not",
                "a filter, a shorter --snaplen, a larger --ring-kb or --rate");
        }
    }

private:
    void add(Severity severity, const char* check, std::string subject, std::string text,
             std::string cost, std::string mend, double weight = 0) {
        out_->findings.push_back({severity, check, std::move(subject), std::move(text),
                                  std::move(cost), std::move(mend), weight});
    }

    static const StatusReport::Worker* find(const StatusReport& status, int64_t worker) {
        for (const StatusReport::Worker& w : status.workers) {
            if (w.worker == worker) {
                return &w;
            }
        }
        return nullptr;
    }
    double busy_of(int64_t worker) const {
        const StatusReport::Worker* old = find(a_.status, worker);
        const StatusReport::Worker* now = find(b_.status, worker);
        if (!old || !now || !b_.status.tsc_hz || now->busy_cycles < old->busy_cycles) {
            return 0;  // or it was started anew meanwhile
        }
        return static_cast<double>(now->busy_cycles - old->busy_cycles) /
               (seconds_ * static_cast<double>(b_.status.tsc_hz));
    }
    double rx_rate_of(int64_t worker) const {
        const StatusReport::Worker* old = find(a_.status, worker);
        const StatusReport::Worker* now = find(b_.status, worker);
        return old && now && now->rx_packets >= old->rx_packets
                   ? static_cast<double>(now->rx_packets - old->rx_packets) / seconds_
                   : 0;
    }
    std::string worker_name(int64_t worker) const {
        const StatusReport::Worker* w = find(b_.status, worker);
        return w && w->core >= 0 ? fmt::format("worker {} on core {}", worker, w->core)
                                 : fmt::format("worker {}", worker);
    }
    std::string ports_of(int64_t worker) const {
        std::vector<std::string> names;
        for (const PortReport::Row& p : b_.ports.rows) {
            for (size_t q = 0; q < p.rx_workers.size(); ++q) {
                if (p.rx_workers[q] == worker) {
                    names.push_back(fmt::format("{} queue {}", p.name, q));
                }
            }
        }
        const size_t all = names.size();
        names.resize(std::min<size_t>(all, 4));
        return names.empty() ? "no port"
                             : fmt::format("{}{}", fmt::join(names, ", "),
                                           all > 4 ? fmt::format(" and {} more", all - 4) : "");
    }
    /// A worker with cycles to spare, if there is one.
    std::optional<int64_t> idle_worker() const {
        for (const StatusReport::Worker& w : b_.status.workers) {
            if (busy_of(w.worker) < kHasRoom) {
                return w.worker;
            }
        }
        return std::nullopt;
    }
    std::string relieve(int64_t worker) const {
        size_t queues = 0;
        std::string port;
        for (const PortReport::Row& p : b_.ports.rows) {
            const auto n = std::count(p.rx_workers.begin(), p.rx_workers.end(), worker);
            queues += static_cast<size_t>(n);
            port = n ? p.name : port;
        }
        const auto idle = idle_worker();
        if (!idle) {
            return "more workers: sluiced --cores with more cores";
        }
        return queues > 1 ? fmt::format(
                                "move one of its queues to {}: ovs-vsctl set Interface {} "
                                "other_config:pmd-rxq-affinity=...",
                                worker_name(*idle), port)
                          : fmt::format(
                                "spread the port over more queues ({} has room): ovs-vsctl "
                                "set Interface {} options:n_rxq=2",
                                worker_name(*idle), port);
    }

    void lost_on(const PortReport::Row& p, const PortReport::Row& old) {
        if (p.rx_dropped > old.rx_dropped) {
            const double rate = static_cast<double>(p.rx_dropped - old.rx_dropped) / seconds_;
            int64_t busiest = p.rx_workers.empty() ? -1 : p.rx_workers.front();
            size_t queue = 0;
            for (size_t q = 0; q < p.rx_workers.size(); ++q) {
                if (busy_of(p.rx_workers[q]) > busy_of(busiest)) {
                    busiest = p.rx_workers[q];
                    queue = q;
                }
            }
            const double busy = busiest < 0 ? 0 : busy_of(busiest);
            const bool is_slow = busy >= kHasRoom;
            add(Severity::kCritical, "rx_lost", "port " + p.name,
                fmt::format("{}packets/s are lost on receive; queue {} is polled by {}, {:.0f} % "
                            "busy",
                            rate_text(rate), queue, worker_name(busiest), 100 * busy),
                "packets are lost before sluice sees them",
                is_slow ? relieve(busiest)
                        : "bursts are longer than the ring, or buffers ran out: a larger ring of "
                          "the device (ethtool -G), --mbufs",
                rate);
        }
        if (p.tx_dropped > old.tx_dropped) {
            const double rate = static_cast<double>(p.tx_dropped - old.tx_dropped) / seconds_;
            add(Severity::kWarning, "tx_lost", "port " + p.name,
                fmt::format("{}packets/s are not taken by the device", rate_text(rate)),
                "packets are lost on the way out",
                p.driver.rfind("vhost", 0) == 0 ? "the guest is slow: more queues or vCPUs there"
                                                : "a faster device, or more queues",
                rate);
        }
    }

    void fallbacks_of(const PortReport::Row& p, const PortReport::Row& old) {
        std::map<std::string, uint64_t> before;
        for (const PortReport::Count& count : old.counts) {
            before[count.name] = count.value;
        }
        for (const PortReport::Count& count : p.counts) {
            const bool is_fallback = count.name.find("_soft_") != std::string::npos;
            if (is_fallback && count.value > before[count.name]) {
                const double rate =
                    static_cast<double>(count.value - before[count.name]) / seconds_;
                add(Severity::kNote, "fallback", "port " + p.name,
                    fmt::format("{} for {}packets/s", count.name, rate_text(rate)),
                    "software does what the device or guest could not",
                    "offloads of the device: ethtool -k; of the guest: its virtio features");
            }
        }
    }

    double counted(const std::string& name) const {
        const auto total = [&](const rpc::CounterReport& report) -> uint64_t {
            for (const auto& row : report.rows) {
                if (row.name == name) {
                    return row.total;
                }
            }
            return 0;
        };
        const uint64_t now = total(b_.counters);
        return static_cast<double>(now - std::min(now, total(a_.counters)));
    }

    const NodeSample& a_;
    const NodeSample& b_;
    const double seconds_;
    Diagnosis* out_;
    std::map<std::string, const PortReport::Row*> ports_before_;
};

}  // namespace

void check_node(const NodeSample& before, const NodeSample& after, double seconds,
                Diagnosis* diagnosis) {
    diagnosis->seconds = std::max(seconds, 1e-3);
    NodeCheck check(before, after, diagnosis->seconds, diagnosis);
    check.control();
    check.workers();
    check.ports();
    check.drops();
    check.cache();
    check.connections();
    check.slow_path();
    check.captures();
}

}  // namespace sluice::doctor
