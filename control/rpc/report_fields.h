// SPDX-License-Identifier: Apache-2.0
// The members of every report, once: fields(visitor, report) calls visitor(json_name, member) for
// each in the order of the JSON. Reading and writing both expand it. Only reports_json.cc needs it.
#pragma once

#include <type_traits>

#include "control/rpc/bond_commands.h"
#include "control/rpc/conntrack_report.h"
#include "control/rpc/reports.h"

namespace sluice::rpc {

/// T is R, const or not: one list serves the writer and the reader.
template <typename T, typename R>
concept ReportOf = std::is_same_v<std::remove_const_t<T>, R>;

template <typename V>
void fields(V&& v, ReportOf<StatusReport::Worker> auto& r) {
    v("worker", r.worker);
    v("core", r.core);
    v("rx_packets", r.rx_packets);
    v("tx_packets", r.tx_packets);
    v("polls", r.polls);
    v("idle_polls", r.idle_polls);
    v("busy_cycles", r.busy_cycles);
}

template <typename V>
void fields(V&& v, ReportOf<StatusReport> auto& r) {
    v("version", r.version);
    v("pid", r.pid);
    v("uptime_s", r.uptime_s);
    v("chassis", r.chassis);
    v("sb_remote", r.sb_remote);
    v("sb_state", r.sb_state);
    v("ovs_remote", r.ovs_remote);
    v("ovs_state", r.ovs_state);
    v("nb_cfg", r.nb_cfg);
    v("publishes", r.publishes);
    v("last_build_ms", r.last_build_ms);
    v("datapaths", r.datapaths);
    v("logical_flows", r.logical_flows);
    v("flow_errors", r.flow_errors);
    v("ports", r.ports);
    v("tunnels", r.tunnels);
    v("tunnels_ready", r.tunnels_ready);
    v("drops", r.drops);
    v("tsc_hz", r.tsc_hz);
    v("workers", r.workers);
}

template <typename V>
void fields(V&& v, ReportOf<PortReport::Queue> auto& r) {
    v("worker", r.worker);
    v("core", r.core);
    v("pinned", r.pinned);
    v("packets", r.packets);
    v("cycles", r.cycles);
}

template <typename V>
void fields(V&& v, ReportOf<PortReport::Count> auto& r) {
    v("name", r.name);
    v("value", r.value);
}

template <typename V>
void fields(V&& v, ReportOf<PortReport::Row> auto& r) {
    v("name", r.name);
    v("id", r.id);
    v("driver", r.driver);
    v("role", r.role);
    v("logical_port", r.logical_port);
    v("mac", r.mac);
    v("mtu", r.mtu);
    v("link_up", r.link_up);
    v("rx_workers", r.rx_workers);
    v("rx_packets", r.rx_packets);
    v("rx_bytes", r.rx_bytes);
    v("rx_dropped", r.rx_dropped);
    v("rx_errors", r.rx_errors);
    v("tx_packets", r.tx_packets);
    v("tx_bytes", r.tx_bytes);
    v("tx_dropped", r.tx_dropped);
    v("tx_errors", r.tx_errors);
    v("error", r.error);
    v("queues", r.queues);
    v("numa_node", r.numa_node);
    v("offloads", r.offloads);
    v("counts", r.counts);
}

template <typename V>
void fields(V&& v, ReportOf<TunnelReport::Row> auto& r) {
    v("id", r.id);
    v("chassis", r.chassis);
    v("type", r.type);
    v("option", r.option);
    v("local_ip", r.local_ip);
    v("remote_ip", r.remote_ip);
    v("port", r.port);
    v("next_hop", r.next_hop);
    v("state", r.state);
    v("bfd", r.bfd);
    v("bfd_flaps", r.bfd_flaps);
    v("mtu", r.mtu);
}

template <typename V>
void fields(V&& v, ReportOf<MirrorReport::Row> auto& r) {
    v("name", r.name);
    v("type", r.type);
    v("filter", r.filter);
    v("sink", r.sink);
    v("index", r.index);
    v("port", r.port);
    v("state", r.state);
    v("logical_ports", r.logical_ports);
}

template <typename V>
void fields(V&& v, ReportOf<DatapathReport::Port> auto& r) {
    v("key", r.key);
    v("name", r.name);
    v("reach", r.reach);
    v("where", r.where);
}

template <typename V>
void fields(V&& v, ReportOf<DatapathReport::Row> auto& r) {
    v("key", r.key);
    v("name", r.name);
    v("uuid", r.uuid);
    v("type", r.type);
    v("generation", r.generation);
    v("groups", r.groups);
    v("neighbors", r.neighbors);
    v("ports", r.ports);
}

template <typename V>
void fields(V&& v, ReportOf<FlowReport::Row> auto& r) {
    v("datapath", r.datapath);
    v("uuid", r.uuid);
    v("side", r.side);
    v("table", r.table);
    v("stage", r.stage);
    v("priority", r.priority);
    v("match", r.match);
    v("actions", r.actions);
    v("packets", r.packets);
    v("bytes", r.bytes);
}

template <typename V>
void fields(V&& v, ReportOf<DropReport::Flow> auto& r) {
    v("uuid", r.uuid);
    v("stage", r.stage);
    v("match", r.match);
    v("packets", r.packets);
}

template <typename V>
void fields(V&& v, ReportOf<DropReport::Row> auto& r) {
    v("name", r.name);
    v("help", r.help);
    v("packets", r.packets);
    v("flows", r.flows);
}

template <typename V>
void fields(V&& v, ReportOf<CacheReport::Row> auto& r) {
    v("worker", r.worker);
    v("entries", r.entries);
    v("used", r.used);
    v("hits", r.hits);
    v("misses", r.misses);
    v("bypassed", r.bypassed);
    v("stale", r.stale);
    v("evicted", r.evicted);
}

template <typename V>
void fields(V&& v, ReportOf<CounterReport::Row> auto& r) {
    v("name", r.name);
    v("help", r.help);
    v("total", r.total);
    v("by_worker", r.by_worker);
}

template <typename V>
void fields(V&& v, ReportOf<PortReport> auto& r) {
    v("ports", r.rows);
}
template <typename V>
void fields(V&& v, ReportOf<TunnelReport> auto& r) {
    v("tunnels", r.rows);
}
template <typename V>
void fields(V&& v, ReportOf<MirrorReport> auto& r) {
    v("mirrors", r.rows);
}
template <typename V>
void fields(V&& v, ReportOf<DatapathReport> auto& r) {
    v("datapaths", r.rows);
}
template <typename V>
void fields(V&& v, ReportOf<FlowReport> auto& r) {
    v("flows", r.rows);
}
template <typename V>
void fields(V&& v, ReportOf<DropReport> auto& r) {
    v("drops", r.rows);
}
template <typename V>
void fields(V&& v, ReportOf<CacheReport> auto& r) {
    v("cache", r.rows);
}
template <typename V>
void fields(V&& v, ReportOf<CounterReport> auto& r) {
    v("counters", r.rows);
}

template <typename V>
void fields(V&& v, ReportOf<ConntrackReport::Row> auto& r) {
    v("zone", r.zone);
    v("proto", r.proto);
    v("state", r.state);
    v("src", r.src);
    v("dst", r.dst);
    v("sport", r.sport);
    v("dport", r.dport);
    v("reply_src", r.reply_src);
    v("reply_dst", r.reply_dst);
    v("reply_sport", r.reply_sport);
    v("reply_dport", r.reply_dport);
    v("mark", r.mark);
    v("label", r.label);
    v("timeout_s", r.timeout_s);
    v("packets", r.packets);
    v("bytes", r.bytes);
    v("reply_packets", r.reply_packets);
    v("reply_bytes", r.reply_bytes);
}

template <typename V>
void fields(V&& v, ReportOf<ConntrackStatsReport> auto& r) {
    v("capacity", r.capacity);
    v("used", r.used);
    v("memory_bytes", r.memory_bytes);
    v("created", r.created);
    v("expired", r.expired);
    v("flushed", r.flushed);
    v("evicted", r.evicted);
    v("refused_full", r.refused_full);
    v("refused_limit", r.refused_limit);
    v("nat_exhausted", r.nat_exhausted);
    v("invalid", r.invalid);
    v("out_of_window", r.out_of_window);
    v("bad_checksum", r.bad_checksum);
    v("longest_chain", r.longest_chain);
    v("fragments", r.fragments);
    v("fragment_bytes", r.fragment_bytes);
    v("fragments_timed_out", r.fragments_timed_out);
    v("fragments_refused", r.fragments_refused);
    v("fragments_overlapping", r.fragments_overlapping);
}

template <typename V>
void fields(V&& v, ReportOf<ZoneReport::Row> auto& r) {
    v("user", r.user);
    v("zone", r.zone);
    v("connections", r.connections);
    v("limit", r.limit);
}

template <typename V>
void fields(V&& v, ReportOf<BondsReport::Member> auto& r) {
    v("name", r.name);
    v("driver", r.driver);
    v("mac", r.mac);
    v("link_up", r.link_up);
    v("enabled", r.enabled);
    v("active", r.active);
    v("buckets", r.buckets);
    v("link_resets", r.link_resets);
    v("error", r.error);
    v("rx_packets", r.rx_packets);
    v("tx_packets", r.tx_packets);
    v("lacp_receive", r.lacp_receive);
    v("lacp_mux", r.lacp_mux);
    v("lacp_state", r.lacp_state);
    v("lacp_partner", r.lacp_partner);
    v("lacp_partner_state", r.lacp_partner_state);
    v("lacp_rx", r.lacp_rx);
    v("lacp_tx", r.lacp_tx);
}

template <typename V>
void fields(V&& v, ReportOf<BondsReport::Row> auto& r) {
    v("name", r.name);
    v("mode", r.mode);
    v("lacp", r.lacp);
    v("lacp_status", r.lacp_status);
    v("fallback", r.fallback);
    v("active_mac", r.active_mac);
    v("rx_refused", r.rx_refused);
    v("failovers", r.failovers);
    v("members", r.members);
}

template <typename V>
void fields(V&& v, ReportOf<BondsReport> auto& r) {
    v("bonds", r.rows);
}

template <typename V>
void fields(V&& v, ReportOf<ConntrackReport> auto& r) {
    v("matching", r.matching);
    v("connections", r.rows);
}
template <typename V>
void fields(V&& v, ReportOf<ZoneReport> auto& r) {
    v("zones", r.rows);
}

}  // namespace sluice::rpc
