// SPDX-License-Identifier: Apache-2.0
// Fills the reports of control/rpc/reports.h from the host and the control plane.
#include <fmt/format.h>
#include <rte_cycles.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "lib/net/addr.h"
#include "tools/sluiced/app.h"
#include "tools/sluiced/version.h"

namespace sluice {
namespace {

using rpc::CacheReport;
using rpc::CounterReport;
using rpc::DatapathReport;
using rpc::DropReport;
using rpc::FlowReport;
using rpc::MirrorReport;
using rpc::PortReport;
using rpc::StatusReport;
using rpc::TunnelReport;

uint64_t total_drops(const Host& host) {
    uint64_t sum = 0;
    for (size_t i = 1; i < static_cast<size_t>(Drop::kCount); ++i) {
        sum += host.total(static_cast<Drop>(i));
    }
    return sum;
}

StatusReport status(App& app) {
    const ControlStatus control = app.control().status();
    StatusReport r;
    r.version = kVersion;
    r.pid = getpid();
    r.uptime_s = (EventLoop::now_ms() - app.started_ms()) / 1000;
    r.chassis = control.chassis;
    r.sb_remote = control.sb_remote;
    r.sb_state = control.sb_state;
    r.ovs_remote = control.ovs_remote;
    r.ovs_state = control.ovs_state;
    r.nb_cfg = control.nb_cfg;
    r.publishes = control.publishes;
    r.last_build_ms = control.last_build_ms;
    r.datapaths = control.local_datapaths;
    r.logical_flows = control.logical_flows;
    r.flow_errors = app.control().flow_errors();
    r.ports = app.host().ports().list().size();
    if (const Pipeline* pipeline = app.control().current()) {
        for (const Tunnel* tunnel : pipeline->tunnels) {
            r.tunnels += tunnel != nullptr;
            r.tunnels_ready += tunnel && tunnel->state == Tunnel::State::kReady;
        }
    }
    r.drops = total_drops(app.host());
    r.tsc_hz = rte_get_tsc_hz();
    for (unsigned i = 0; i < app.host().n_workers(); ++i) {
        const WorkerCounters& c = app.host().counters(i);
        StatusReport::Worker w;
        w.worker = i;
        w.core = i < app.options().cores.size() ? static_cast<int64_t>(app.options().cores[i]) : -1;
        w.rx_packets = c.get(Counter::k_rx_packets);
        w.tx_packets = c.get(Counter::k_tx_packets);
        w.polls = c.get(Counter::k_polls);
        w.idle_polls = c.get(Counter::k_idle_polls);
        w.busy_cycles = c.get(Counter::k_busy_cycles);
        r.workers.push_back(w);
    }
    return r;
}

int64_t core_of(const App& app, unsigned worker) {
    const std::vector<unsigned>& cores = app.options().cores;
    return worker < cores.size() ? static_cast<int64_t>(cores[worker]) : -1;
}

std::vector<std::string> offloads_of(uint32_t caps) {
    static constexpr std::pair<uint32_t, const char*> kNames[] = {
        {kPortTxIp4Cksum, "tx-ip-checksum"},
        {kPortTxUdpCksum, "tx-udp-checksum"},
        {kPortTxTcpCksum, "tx-tcp-checksum"},
        {kPortTxOuterCksum, "tx-outer-checksum"},
        {kPortTxTso, "tx-tso"},
        {kPortTxTunnelTso, "tx-tunnel-tso"},
        {kPortTxMultiSeg, "tx-segments"},
        {kPortRxCksum, "rx-checksum"},
        {kPortRxMultiSeg, "rx-segments"}};
    std::vector<std::string> list;
    for (const auto& [bit, name] : kNames) {
        if (caps & bit) {
            list.emplace_back(name);
        }
    }
    return list;
}

void describe_device(const App& app, const PortInfo& info, PortReport::Row* row) {
    row->driver = info.spec.driver;
    row->mac = to_string(info.mac);
    row->mtu = info.mtu;
    row->link_up = info.link_up;
    row->rx_workers.assign(info.rx_worker.begin(), info.rx_worker.end());
    row->numa_node = info.numa_node;
    row->offloads = offloads_of(info.caps);
    for (const QueuePlace& place : info.rx) {
        row->queues.push_back({place.worker, core_of(app, place.worker), place.is_pinned,
                               place.packets, place.cycles});
    }
    for (const NamedCount& count : info.counts) {
        row->counts.push_back({count.name, count.value});
    }
    if (row->error.empty()) {
        row->error = info.trouble;
    }
}

PortReport ports(App& app) {
    PortReport r;
    for (const PortBindingStatus& binding : app.control().port_status()) {
        PortReport::Row row;
        row.name = binding.name;
        row.id = binding.id == kNoPort ? -1 : binding.id;
        row.role = binding.role;
        row.logical_port = binding.logical_port;
        row.error = binding.error;
        const Result<PortInfo> info = app.host().ports().info(binding.id);
        if (info) {
            describe_device(app, *info, &row);
        }
        if (const Result<PortStats> stats = app.host().ports().stats(binding.id)) {
            row.rx_packets = stats->rx_packets;
            row.rx_bytes = stats->rx_bytes;
            row.rx_dropped = stats->rx_dropped;
            row.rx_errors = stats->rx_errors;
            row.tx_packets = stats->tx_packets;
            row.tx_bytes = stats->tx_bytes;
            row.tx_dropped = stats->tx_dropped;
            row.tx_errors = stats->tx_errors;
            for (size_t i = 0; i < stats->work.size(); ++i) {
                row.counts.push_back({port_work_name(static_cast<PortWork>(i)), stats->work[i]});
            }
        }
        r.rows.push_back(std::move(row));
    }
    return r;
}

std::string port_name(App& app, PortId id) {
    const Result<PortInfo> info = app.host().ports().info(id);
    return info ? info->spec.name : std::string();
}

/// The outer addresses and the next hop stand in the prebuilt header.
void read_header(const Tunnel& t, TunnelReport::Row* row) {
    const uint8_t* ip = t.header + t.l3_ofs;
    if (t.ip6) {
        Ip6 src;
        Ip6 dst;
        std::copy_n(ip + 8, 16, src.bytes.begin());
        std::copy_n(ip + 24, 16, dst.bytes.begin());
        row->local_ip = to_string(src);
        row->remote_ip = to_string(dst);
    } else {
        const auto at = [&](unsigned ofs) {
            return Ip4{uint32_t{ip[ofs]} << 24 | uint32_t{ip[ofs + 1]} << 16 |
                       uint32_t{ip[ofs + 2]} << 8 | ip[ofs + 3]};
        };
        row->local_ip = to_string(at(12));
        row->remote_ip = to_string(at(16));
    }
    if (t.state == Tunnel::State::kReady) {
        Mac mac;
        std::copy_n(t.header, 6, mac.bytes.begin());
        row->next_hop = to_string(mac);
    }
}

TunnelReport tunnels(App& app) {
    TunnelReport r;
    const Pipeline* pipeline = app.control().current();
    if (!pipeline) {
        return r;
    }
    static constexpr const char* kTypes[] = {"geneve", "vxlan", "stt"};
    static constexpr const char* kStates[] = {"ready", "no_route", "unresolved"};
    for (uint32_t i = 0; i < pipeline->tunnels.size(); ++i) {
        const Tunnel* t = pipeline->tunnels[i];
        if (!t) {
            continue;
        }
        TunnelReport::Row row;
        row.id = i;
        row.chassis = app.control().tunnel_name(i);
        row.type = kTypes[static_cast<size_t>(t->type)];
        if (t->type == TunnelType::kGeneve) {
            row.option = t->option == GeneveOption::kOvn ? "ovn" : "legacy";
        }
        row.port = port_name(app, t->port);
        row.state = kStates[static_cast<size_t>(t->state)];
        row.mtu = t->mtu;
        std::tie(row.bfd, row.bfd_flaps) = app.control().tunnel_bfd(i);
        read_header(*t, &row);
        r.rows.push_back(std::move(row));
    }
    return r;
}

MirrorReport mirrors(App& app) {
    MirrorReport r;
    for (const MirrorStatus& mirror : app.control().mirror_status()) {
        r.rows.push_back({mirror.name, mirror.type, mirror.filter, mirror.sink, mirror.index,
                          port_name(app, mirror.port), mirror.state, mirror.logical_ports});
    }
    return r;
}

bool wanted(const Datapath& d, const std::string& filter) {
    return filter.empty() || filter == d.name || filter == to_string(d.uuid) ||
           filter == std::to_string(d.key);
}

/// Of an HA group all members, best first.
std::string describe_tunnel(App& app, const Pipeline& pipeline, uint32_t tunnel) {
    if (!(tunnel & TunnelSet::kTarget)) {
        return app.control().tunnel_name(tunnel);
    }
    std::string text;
    for (const uint32_t member : pipeline.tunnel_sets.at(tunnel & ~TunnelSet::kTarget)->tunnels) {
        text += (text.empty() ? "" : ", ") + app.control().tunnel_name(member);
    }
    return text;
}

DatapathReport::Port describe_port(App& app, const Pipeline& pipeline, const Datapath& d,
                                   const LogicalPort& p) {
    static constexpr const char* kReach[] = {"unbound",  "vif",      "patch",    "tunnel",
                                             "localnet", "redirect", "no_tunnel"};
    DatapathReport::Port row;
    row.key = p.key;
    row.name = app.control().logical_port_name(d.key, p.key);
    row.reach = kReach[static_cast<size_t>(p.reach)];
    switch (p.reach) {
    case Reach::kVif:
        row.where = port_name(app, p.port);
        if (p.vlan_tci) {
            row.where += fmt::format(" vlan {}", p.vlan_tci & 0xfff);
        }
        break;
    case Reach::kPatch:
        if (const Datapath* peer = pipeline.datapath(p.peer_datapath)) {
            row.where = fmt::format("{} {}", peer->name,
                                    app.control().logical_port_name(peer->key, p.peer_key));
        }
        break;
    case Reach::kTunnel: row.where = describe_tunnel(app, pipeline, p.tunnel); break;
    case Reach::kLocalnet:
    case Reach::kRedirect: row.where = app.control().logical_port_name(d.key, p.via_key); break;
    case Reach::kUnbound:
    case Reach::kNoTunnel: break;
    }
    return row;
}

Result<DatapathReport> datapaths(App& app, const std::string& filter) {
    DatapathReport r;
    const Pipeline* pipeline = app.control().current();
    for (const Datapath* d : pipeline ? pipeline->datapaths : std::vector<const Datapath*>()) {
        if (!d || !wanted(*d, filter)) {
            continue;
        }
        DatapathReport::Row row;
        row.key = d->key;
        row.name = d->name;
        row.uuid = to_string(d->uuid);
        row.type = d->is_switch ? "switch" : "router";
        row.generation = d->generation;
        row.groups = d->groups.size();
        row.neighbors =
            d->neighbors->ip4.size() + d->neighbors->ip6.size() + d->neighbors->fdb.size();
        d->ports.for_each([&](uint32_t, const LogicalPort* p) {
            row.ports.push_back(describe_port(app, *pipeline, *d, *p));
        });
        std::sort(row.ports.begin(), row.ports.end(),
                  [](const auto& a, const auto& b) { return a.key < b.key; });
        r.rows.push_back(std::move(row));
    }
    if (r.rows.empty() && !filter.empty()) {
        return Error{filter + ": no such datapath here; see datapath/show"};
    }
    return r;
}

Result<FlowReport> flows(App& app, const std::string& filter) {
    FlowReport r;
    const Pipeline* pipeline = app.control().current();
    if (!pipeline || !pipeline->flows) {
        return r;
    }
    std::map<uint32_t, std::vector<std::string>> users;  // flow id -> datapath names
    bool known = filter.empty();
    for (const Datapath* d : pipeline->datapaths) {
        if (!d || !wanted(*d, filter)) {
            continue;
        }
        known = true;
        for (const uint32_t id : app.control().flows_of(d->key)) {
            users[id].push_back(d->name);
        }
    }
    if (!known) {
        return Error{filter + ": no such datapath here; see datapath/show"};
    }
    for (const auto& [id, names] : users) {
        const FlowInfo* info =
            id < pipeline->flows->size() ? (*pipeline->flows)[id].get() : nullptr;
        if (!info) {
            continue;
        }
        FlowReport::Row row;
        row.datapath = fmt::format("{}", fmt::join(names, ","));
        row.uuid = to_string(info->uuid);
        row.side = info->side == kIngress ? "ingress" : "egress";
        row.table = info->table;
        row.stage = info->stage_name;
        row.priority = info->priority;
        row.match = *info->match;
        row.actions = *info->actions;
        app.host().flow_total(id, &row.packets, &row.bytes);
        row.packets -= std::min(row.packets, info->base_packets);
        row.bytes -= std::min(row.bytes, info->base_bytes);
        r.rows.push_back(std::move(row));
    }
    std::sort(r.rows.begin(), r.rows.end(), [](const auto& a, const auto& b) {
        return std::tie(a.datapath, b.side, a.table, b.priority, a.match) <
               std::tie(b.datapath, a.side, b.table, a.priority, b.match);
    });
    return r;
}

DropReport drops(App& app) {
    DropReport r;
    std::map<Drop, std::map<uint32_t, uint64_t>> samples;
    for (unsigned i = 0; i < app.host().n_workers(); ++i) {
        for (const DropSample& sample : app.host().worker(i).samples()) {
            ++samples[sample.reason][sample.flow];
        }
    }
    const Pipeline* pipeline = app.control().current();
    for (size_t i = 1; i < static_cast<size_t>(Drop::kCount); ++i) {
        const Drop drop = static_cast<Drop>(i);
        DropReport::Row row;
        row.name = drop_name(drop);
        row.help = drop_help(drop);
        row.packets = app.host().total(drop);
        for (const auto& [flow, count] : samples[drop]) {
            const FlowInfo* info = pipeline && pipeline->flows && flow < pipeline->flows->size()
                                       ? (*pipeline->flows)[flow].get()
                                       : nullptr;
            if (info) {
                row.flows.push_back({to_string(info->uuid), info->stage_name, *info->match, count});
            }
        }
        std::sort(row.flows.begin(), row.flows.end(),
                  [](const auto& a, const auto& b) { return a.packets > b.packets; });
        r.rows.push_back(std::move(row));
    }
    return r;
}

CacheReport cache(App& app) {
    CacheReport r;
    for (unsigned i = 0; i < app.host().n_workers(); ++i) {
        const WorkerCounters& c = app.host().counters(i);
        const CacheStats stats = app.host().worker(i).cache_stats();
        CacheReport::Row row;
        row.worker = i;
        row.entries = stats.capacity;
        row.used = stats.used;
        row.hits = c.get(Counter::k_cache_hit);
        row.misses = c.get(Counter::k_cache_miss);
        row.bypassed = c.get(Counter::k_cache_bypass);
        row.stale = c.get(Counter::k_cache_stale);
        row.evicted = c.get(Counter::k_cache_evict);
        r.rows.push_back(row);
    }
    return r;
}

CounterReport counters(App& app) {
    CounterReport r;
    for (size_t i = 0; i < static_cast<size_t>(Counter::kCount); ++i) {
        const Counter counter = static_cast<Counter>(i);
        CounterReport::Row row{counter_name(counter), counter_help(counter), 0, {}};
        for (unsigned w = 0; w < app.host().n_workers(); ++w) {
            row.by_worker.push_back(app.host().counters(w).get(counter));
            row.total += row.by_worker.back();
        }
        r.rows.push_back(std::move(row));
    }
    for (const SlowPath::Stat& stat : app.slow_path().stats()) {
        r.rows.push_back({fmt::format("slowpath_{}", stat.name), stat.help, stat.value, {}});
    }
    return r;
}

}  // namespace

rpc::ReportSources report_sources(App& app) {
    rpc::ReportSources s;
    s.status = [&app] { return status(app); };
    s.ports = [&app] { return ports(app); };
    s.tunnels = [&app] { return tunnels(app); };
    s.mirrors = [&app] { return mirrors(app); };
    s.datapaths = [&app](const std::string& filter) { return datapaths(app, filter); };
    s.flows = [&app](const std::string& filter) { return flows(app, filter); };
    s.drops = [&app] { return drops(app); };
    s.cache = [&app] { return cache(app); };
    s.counters = [&app] { return counters(app); };
    return s;
}

std::vector<rpc::NamedBond> bonds(App& app) {
    std::vector<rpc::NamedBond> list;
    for (const PortId id : app.host().ports().list()) {
        if (std::optional<BondReport> bond = app.host().ports().bond(id)) {
            list.emplace_back(port_name(app, id), std::move(*bond));
        }
    }
    return list;
}

rpc::ConntrackSources conntrack_sources(App& app) {
    rpc::ConntrackSources s;
    s.table = app.host().conntrack();
    s.zones = [&app] {
        std::vector<rpc::ConntrackSources::Zone> list;
        for (const ZoneStatus& zone : app.control().zones()) {
            list.push_back({zone.user, zone.zone, zone.limit ? int64_t{*zone.limit} : -1});
        }
        return list;
    };
    return s;
}

}  // namespace sluice
