// SPDX-License-Identifier: Apache-2.0
// A small hypervisor as its daemon would report it.
#pragma once

#include "control/rpc/reports.h"

namespace sluice::rpc {

inline StatusReport sample_status() {
    StatusReport r;
    r.version = "sluiced (sluice) 1.2.3";
    r.pid = 4711;
    r.uptime_s = 3725;
    r.chassis = "hv1";
    r.sb_remote = "tcp:10.0.0.1:6642";
    r.sb_state = "connected";
    r.ovs_remote = "unix:/run/openvswitch/db.sock";
    r.ovs_state = "connecting";
    r.nb_cfg = 12;
    r.publishes = 1;
    r.last_build_ms = 1.25;
    r.datapaths = 2;
    r.logical_flows = 240;
    r.flow_errors = {"0b7c...: column 4: unknown field"};
    r.ports = 3;
    r.tunnels = 2;
    r.tunnels_ready = 1;
    r.drops = 8;
    r.workers = {{0, 3, 1000, 900, 400, 100, 123456}, {1, -1, 0, 0, 0, 0, 0}};
    return r;
}

inline PortReport sample_ports() {
    PortReport r;
    PortReport::Row vif;
    vif.name = "vm1";
    vif.id = 1;
    vif.driver = "af_packet";
    vif.role = "vif";
    vif.logical_port = "sw0-vm1";
    vif.mac = "02:00:00:00:00:01";
    vif.mtu = 1500;
    vif.link_up = true;
    vif.rx_workers = {0, 1};
    vif.rx_packets = 12;
    vif.rx_bytes = 1234;
    vif.tx_packets = 1234567;
    vif.tx_bytes = 1234567890;
    vif.tx_dropped = 3;
    PortReport::Row lost;
    lost.name = "vm2";
    lost.driver = "tap";
    lost.role = "vif";
    lost.logical_port = "sw0-vm2";
    lost.error = "no such device";
    r.rows = {vif, lost};
    return r;
}

inline TunnelReport sample_tunnels() {
    TunnelReport r;
    r.rows = {{0, "hv2", "geneve", "ovn", "192.168.50.100", "192.168.50.101", "up0",
               "02:bb:00:00:00:01", "ready", "up", 3, 1500},
              {1, "hv3", "geneve", "legacy", "192.168.50.100", "192.168.60.1", "", "", "no_route",
               "", 0, 0}};
    return r;
}

inline DatapathReport sample_datapaths() {
    DatapathReport r;
    r.rows = {{1,
               "sw0",
               "6f1a0c5e-0000-4000-8000-000000000001",
               "switch",
               3,
               2,
               4,
               {{1, "sw0-vm1", "vif", "vm1"}, {2, "sw0-vm9", "unbound", ""}}},
              {2, "lr0", "6f1a0c5e-0000-4000-8000-000000000002", "router", 1, 0, 0, {}}};
    return r;
}

inline FlowReport sample_flows() {
    FlowReport r;
    r.rows = {{"sw0", "11111111-0000-4000-8000-000000000001", "ingress", 0, "ls_in_check_port_sec",
               100, "eth.src[40]", "drop;", 0, 0},
              {"sw0", "22222222-0000-4000-8000-000000000002", "ingress", 27, "ls_in_l2_lkup", 50,
               "eth.dst == 02:00:00:00:00:02", "outport = \"sw0-vm2\"; output;", 12, 1176},
              {"sw0", "33333333-0000-4000-8000-000000000003", "egress", 9, "ls_out_apply_port_sec",
               0, "1", "output;", 12, 1176}};
    return r;
}

inline DropReport sample_drops() {
    DropReport r;
    r.rows = {
        {"logical_flow",
         "a logical flow dropped it",
         8,
         {{"11111111-0000-4000-8000-000000000001", "ls_in_check_port_sec", "eth.src[40]", 8}}},
        {"no_match", "no logical flow of a table matched", 0, {}}};
    return r;
}

inline CacheReport sample_cache() {
    CacheReport r;
    r.rows = {{0, 65536, 16384, 750, 200, 40, 10, 5}, {1, 65536, 0, 0, 0, 0, 0, 0}};
    return r;
}

inline CounterReport sample_counters() {
    CounterReport r;
    r.rows = {{"rx_packets", "received from ports (packets)", 12, {10, 2}},
              {"copies", "extra copies made (packets)", 0, {0, 0}},
              {"arp_replies", "ARP requests answered", 1, {}}};
    return r;
}

inline ReportSources sample_sources() {
    ReportSources s;
    s.status = sample_status;
    s.ports = sample_ports;
    s.tunnels = sample_tunnels;
    s.datapaths = [](const std::string& filter) -> Result<DatapathReport> {
        DatapathReport all = sample_datapaths();
        if (filter.empty()) {
            return all;
        }
        for (const DatapathReport::Row& row : all.rows) {
            if (row.name == filter) {
                DatapathReport one;
                one.rows = {row};
                return one;
            }
        }
        return Error{"no datapath \"" + filter + "\" here"};
    };
    s.flows = [](const std::string&) -> Result<FlowReport> { return sample_flows(); };
    s.drops = sample_drops;
    s.cache = sample_cache;
    s.counters = sample_counters;
    return s;
}

}  // namespace sluice::rpc
