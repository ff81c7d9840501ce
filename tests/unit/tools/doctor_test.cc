// SPDX-License-Identifier: Apache-2.0
// Findings: what the doctor makes of machines and nodes that are described here, line by line.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/shell.h"
#include "tools/doctor/host_checks.h"
#include "tools/doctor/node_checks.h"

using namespace sluice;
using namespace sluice::doctor;

namespace {

/// A machine of files.
class Machine {
public:
    void file(const std::string& path, const std::string& text) const {
        const std::filesystem::path full = dir_.path() + path;
        std::filesystem::create_directories(full.parent_path());
        std::ofstream(full) << text << "\n";
    }
    /// All as it should be.
    void good() const {
        file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "1024");
        file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "1024");
        file("/proc/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw 0 0");
        file("/sys/devices/system/node/node0/cpulist", "0-3");
        file("/sys/devices/system/node/node1/cpulist", "4-7");
        file("/sys/kernel/iommu_groups/0/type", "DMA");
        for (int core = 0; core < 8; ++core) {
            const std::string cpu = "/sys/devices/system/cpu/cpu" + std::to_string(core);
            file(cpu + "/cpufreq/scaling_governor", "performance");
            file(cpu + "/topology/thread_siblings_list", std::to_string(core));
        }
        file("/sys/devices/system/cpu/online", "0-7");
        file("/sys/devices/system/cpu/isolated", "2-3");
        file("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc");
        file("/proc/cpuinfo", "flags : fpu constant_tsc nonstop_tsc");
        file("/dev/net/tun", "");
    }
    Diagnosis look(HostView view) const {
        view.root = dir_.path();
        view.run_dir = "/run/openvswitch";
        Diagnosis diagnosis;
        check_host(view, &diagnosis);
        sort_findings(&diagnosis);
        return diagnosis;
    }

private:
    TempDir dir_;
};

std::vector<std::string> checks_of(const Diagnosis& diagnosis) {
    std::vector<std::string> list;
    for (const Finding& f : diagnosis.findings) {
        list.push_back(std::string(to_string(f.severity)) + " " + f.check);
    }
    return list;
}

HostView on_cores(std::vector<unsigned> cores) {
    HostView view;
    view.cores = std::move(cores);
    return view;
}

/// A node with two workers, eth1 polled by worker 0, vm1 by worker 1, that does nothing.
NodeSample quiet_node() {
    NodeSample s;
    s.status.sb_state = "synced";
    s.status.tsc_hz = 1000000000;
    s.status.workers = {{0, 2, 0, 0, 0, 0, 0}, {1, 3, 0, 0, 0, 0, 0}};
    rpc::PortReport::Row port;
    port.name = "eth1";
    port.id = 1;
    port.driver = "pci";
    port.role = "underlay";
    port.link_up = true;
    port.rx_workers = {0};
    s.ports.rows.push_back(port);
    port.name = "vm1";
    port.id = 2;
    port.driver = "vhost";
    port.role = "vif";
    port.rx_workers = {1};
    s.ports.rows.push_back(port);
    s.drops.rows = {{"logical_flow", "a logical flow dropped it", 0, {}},
                    {"no_mbuf", "out of packet buffers", 0, {}}};
    s.counters.rows = {{"cache_hit", "", 0, {}},
                       {"cache_miss", "", 0, {}},
                       {"cache_evict", "", 0, {}},
                       {"messages_lost", "", 0, {}}};
    return s;
}

Diagnosis compare(const NodeSample& before, const NodeSample& after) {
    Diagnosis diagnosis;
    check_node(before, after, 2.0, &diagnosis);
    sort_findings(&diagnosis);
    return diagnosis;
}

using List = std::vector<std::string>;

}  // namespace

TEST_CASE("a machine as it should be has no findings", "[doctor]") {
    Machine machine;
    machine.good();
    const Diagnosis d = machine.look(on_cores({2, 3}));
    CHECK(checks_of(d) == List{});
    CHECK(exit_status_of(d) == 0);
    CHECK(d.checked.size() == 9);
}

TEST_CASE("no hugepages: a warning, and critical where they are needed", "[doctor]") {
    Machine machine;
    machine.good();
    machine.file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0");
    const Diagnosis d = machine.look(on_cores({2}));
    REQUIRE(checks_of(d) == List{"warning hugepages"});
    CHECK(d.findings[0].mend.find("vm.nr_hugepages") != std::string::npos);
    CHECK(exit_status_of(d) == 3);
    HostView view = on_cores({2});
    view.wants_huge = true;
    CHECK(exit_status_of(machine.look(view)) == 4);
}

TEST_CASE("cores: other node, slow governor, hyperthreads, not isolated", "[doctor]") {
    Machine machine;
    machine.good();
    machine.file("/sys/bus/pci/devices/0000:81:00.0/numa_node", "1");
    machine.file("/sys/bus/pci/drivers/vfio-pci/bind", "");
    HostView view = on_cores({2});
    view.pci_devices = {"0000:81:00.0"};
    Diagnosis d = machine.look(view);
    REQUIRE(checks_of(d) == List{"warning numa"});
    CHECK(d.findings[0].mend.find("4-7") != std::string::npos);
    machine.file("/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "powersave");
    CHECK(checks_of(machine.look(on_cores({2}))) == List{});
    d = machine.look(on_cores({2, 3}));
    REQUIRE(checks_of(d) == List{"warning governor"});
    CHECK(d.findings[0].subject == "governor of cores 3");
    machine.file("/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "performance");
    machine.file("/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2-3");
    machine.file("/sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "2-3");
    CHECK(checks_of(machine.look(on_cores({2, 3}))) == List{"warning isolated_cores"});
    d = machine.look(on_cores({5}));
    REQUIRE(checks_of(d) == List{"note isolated_cores"});
    CHECK(d.findings[0].subject == "cores 5");
    CHECK(exit_status_of(d) == 0);
}

TEST_CASE("IOMMU, vfio, tun, locked memory, clock source", "[doctor]") {
    Machine machine;
    machine.file("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet");
    machine.file("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "4");
    machine.file("/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "4");
    HostView view = on_cores({2});
    view.pci_devices = {"0000:01:00.0"};
    view.own_memlock_kb = 64;
    CHECK(checks_of(machine.look(view)) == List{"critical kernel_modules",
                                                "critical kernel_modules", "warning iommu",
                                                "warning memlock", "warning clocksource"});
    view.daemon_pid = 7;
    machine.file("/proc/7/limits",
                 "Max locked memory         unlimited            unlimited  bytes");
    CHECK(checks_of(machine.look(view)) == List{"critical kernel_modules",
                                                "critical kernel_modules", "warning iommu",
                                                "warning clocksource"});
}

TEST_CASE("another daemon on the same ports", "[doctor]") {
    Machine machine;
    machine.good();
    machine.file("/run/openvswitch/ovs-vswitchd.pid", "77");
    CHECK(checks_of(machine.look(on_cores({2}))) == List{});  // a stale pidfile
    machine.file("/proc/77/comm", "ovs-vswitchd");
    CHECK(checks_of(machine.look(on_cores({2}))) == List{"critical rivals"});
}

TEST_CASE("a quiet node has nothing that holds it up", "[doctor]") {
    const Diagnosis d = compare(quiet_node(), quiet_node());
    CHECK(checks_of(d) == List{});
    CHECK(bottleneck_of(d).empty());
    CHECK(to_text(d, false).find("Nothing holds packets up.") == 0);
}

TEST_CASE("receive overload names port, queue, worker, core and what to change", "[doctor]") {
    NodeSample after = quiet_node();
    after.status.workers[0].busy_cycles = 1980000000;  // of 2 s at 1 GHz
    after.status.workers[0].rx_packets = 4000000;
    after.ports.rows[0].rx_dropped = 100000;
    const Diagnosis d = compare(quiet_node(), after);
    REQUIRE(checks_of(d) == List{"critical rx_lost", "warning worker_busy"});
    const std::string worst = bottleneck_of(d);
    CHECK(
        worst ==
        "port eth1: 50.0 kpackets/s are lost on receive; queue 0 is polled by worker 0 on core 2, "
        "99 % busy");
    CHECK(d.findings[0].mend.find("worker 1 on core 3 has room") != std::string::npos);
    CHECK(d.findings[1].text.find("2.0 Mpackets/s from eth1 queue 0") != std::string::npos);
    CHECK(exit_status_of(d) == 4);
    SECTION("no worker has room") {
        after.status.workers[1].busy_cycles = 1900000000;
        CHECK(compare(quiet_node(), after).findings[0].mend.find("more cores") !=
              std::string::npos);
    }
    SECTION("lost though the worker has room") {
        after.status.workers[0].busy_cycles = 20000000;
        const Diagnosis bursts = compare(quiet_node(), after);
        REQUIRE(checks_of(bursts) == List{"critical rx_lost"});
        CHECK(bursts.findings[0].mend.find("ring") != std::string::npos);
    }
}

TEST_CASE("drops: policy is a note with its flow, the rest a warning", "[doctor]") {
    NodeSample before = quiet_node();
    before.drops.rows[0].packets = 7;
    NodeSample after = before;
    after.drops.rows[0].packets = 107;
    after.drops.rows[0].flows = {{"0a0b", "ls_in_acl", "tcp.dst == 22", 90}};
    Diagnosis d = compare(before, after);
    REQUIRE(checks_of(d) == List{"note drop"});
    CHECK(d.findings[0].subject == "drop logical_flow");
    CHECK(d.findings[0].text.find("50.0 packets/s") == 0);
    CHECK(d.findings[0].text.find("0a0b (ls_in_acl: tcp.dst == 22)") != std::string::npos);
    CHECK(exit_status_of(d) == 0);
    after.drops.rows[1].packets = 2;
    d = compare(before, after);
    REQUIRE(checks_of(d) == List{"warning drop", "note drop"});
    CHECK(d.findings[0].mend.find("--mbufs") != std::string::npos);
    CHECK(exit_status_of(d) == 3);
}

TEST_CASE("a daemon that was started anew meanwhile is not taken for a busy one", "[doctor]") {
    NodeSample before = quiet_node();
    before.status.workers[0].busy_cycles = 5000;
    before.status.workers[0].rx_packets = 7000;
    CHECK(checks_of(compare(before, quiet_node())) == List{});
}

TEST_CASE("what mends a link depends on what it is", "[doctor]") {
    for (const auto& [driver, words] : {std::pair{"vhost", "start the guest"},
                                        {"bond", "sluicectl bonds"},
                                        {"af_packet", "ip link set eth1 up"},
                                        {"pci", "the cable"}}) {
        NodeSample after = quiet_node();
        after.ports.rows[0].driver = driver;
        after.ports.rows[0].link_up = false;
        const Diagnosis d = compare(quiet_node(), after);
        REQUIRE(checks_of(d) == List{"warning port_link"});
        CHECK(d.findings[0].mend.find(words) != std::string::npos);
        CHECK((d.findings[0].mend.find("ip link") != std::string::npos) ==
              (std::string(driver) == "af_packet"));
    }
}

TEST_CASE("databases, tunnels, ports, cache, connections", "[doctor]") {
    NodeSample after = quiet_node();
    after.status.sb_state = "connecting";
    after.ports.rows[1].error = "no such socket";
    after.ports.rows[0].link_up = false;
    after.conntrack.capacity = 100;
    after.conntrack.used = 90;
    after.counters.rows[0].total = 2000;
    after.counters.rows[1].total = 8000;
    after.counters.rows[2].total = 7000;
    after.counters.rows[3].total = 3;
    rpc::TunnelReport::Row tunnel;
    tunnel.chassis = "hv2";
    tunnel.bfd = "down";
    tunnel.state = "ready";
    after.tunnels.rows = {tunnel};
    const Diagnosis d = compare(quiet_node(), after);
    List found = checks_of(d);
    std::sort(found.begin(), found.end());
    CHECK(found == List{"critical port_error", "critical southbound", "note cache",
                        "warning conntrack", "warning port_link", "warning slow_path",
                        "warning tunnels"});
}

TEST_CASE("the JSON has what programs need", "[doctor]") {
    NodeSample after = quiet_node();
    after.ports.rows[0].rx_dropped = 10;
    const std::string json = to_json(compare(quiet_node(), after));
    CHECK(json.find("\"bottleneck\":\"port eth1") != std::string::npos);
    CHECK(json.find("\"severity\":\"critical\",\"check\":\"rx_lost\",\"subject\":\"port eth1\"") !=
          std::string::npos);
}
