// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/chassis/ovn_lab.h"

#include <sys/wait.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <thread>

namespace control_lab {

using ovsdb_lab::Argv;
using namespace sluice;

Result<PortId> FakePorts::add(const PortSpec& spec) {
    if (std::find(missing.begin(), missing.end(), spec.name) != missing.end()) {
        return Error{"no such device"};
    }
    PortId id = 0;
    while (ports_.contains(id)) {
        ++id;
    }
    ports_[id] = spec;
    return id;
}

Result<Retire> FakePorts::remove(PortId id) {
    if (ports_.erase(id) == 0) {
        return Error{"not open"};
    }
    return Retire([this] { ++retired; });
}

PortId FakePorts::find(std::string_view name) const {
    for (const auto& [id, spec] : ports_) {
        if (spec.name == name) {
            return id;
        }
    }
    return kNoPort;
}

std::vector<PortId> FakePorts::list() const {
    std::vector<PortId> ids;
    for (const auto& [id, spec] : ports_) {
        ids.push_back(id);
    }
    return ids;
}

Result<PortStats> FakePorts::stats(PortId) const {
    PortStats stats;
    stats.rx_packets = rx_packets;
    return stats;
}

void until(EventLoop* loop, const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
        const bool in_time = std::chrono::steady_clock::now() < end;
        REQUIRE(in_time);
        const int64_t turn_end = EventLoop::now_ms() + 20;
        while (EventLoop::now_ms() < turn_end) {
            loop->run_once(5);
        }
    }
}

std::string run_beside(EventLoop* loop, ovsdb_lab::Lab* lab, const Argv& argv) {
    static int serial = 0;
    const std::string log = "beside" + std::to_string(++serial);
    const pid_t pid = lab->spawn(argv, log);
    int status = -1;
    until(loop, [&] { return waitpid(pid, &status, WNOHANG) == pid; });
    lab->stop(pid, 0);  // reaped: only to be forgotten
    const std::string output = lab->read(log);
    INFO(argv[0] << ": " << output);
    REQUIRE((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return output;
}

Central::Central() {
    start_server("nb", "/usr/share/ovn/ovn-nb.ovsschema");
    sb_pid_ = start_server("sb", "/usr/share/ovn/ovn-sb.ovsschema");
    nb({"init"});
    sb({"init"});
    lab.spawn({"ovn-northd", "-vconsole:warn", "--ovnnb-db=unix:" + lab.path("nb.sock"),
               "--ovnsb-db=" + sb_remote(), "--unixctl=" + lab.path("northd.ctl")},
              "northd.log");
}

Central::~Central() = default;

pid_t Central::start_server(const std::string& name, const std::string& schema) {
    if (!std::filesystem::exists(lab.path(name + ".db"))) {
        lab.run({"ovsdb-tool", "create", lab.path(name + ".db"), schema});
    }
    std::filesystem::remove(lab.path(name + ".sock"));
    const pid_t pid =
        lab.spawn({"ovsdb-server", "-vconsole:off", "--remote=punix:" + lab.path(name + ".sock"),
                   "--unixctl=" + lab.path(name + ".ctl"), lab.path(name + ".db")},
                  name + ".log");
    while (!std::filesystem::exists(lab.path(name + ".sock"))) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return pid;
}

void Central::stop_southbound() {
    lab.stop(sb_pid_, SIGKILL);
}

void Central::start_southbound() {
    sb_pid_ = start_server("sb", "/usr/share/ovn/ovn-sb.ovsschema");
}

std::string Central::nb(const Argv& words) const {
    Argv argv = {"ovn-nbctl", "-t", "20", "--db=unix:" + lab.path("nb.sock")};
    argv.insert(argv.end(), words.begin(), words.end());
    return lab.run(argv);
}

std::string Central::sb(const Argv& words) const {
    Argv argv = {"ovn-sbctl", "-t", "20", "--db=" + sb_remote()};
    argv.insert(argv.end(), words.begin(), words.end());
    return lab.run(argv);
}

std::string Central::sb_get(const std::string& table, const std::string& key,
                            const std::string& value, const std::string& column) const {
    Argv words = {"--bare", "--columns=" + column, "find", table, key + "=" + value};
    if (key == "_uuid") {
        words = {"--bare", "--if-exists", "--columns=" + column, "list", table, value};
    }
    std::string text = sb(words);
    while (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    return text;
}

std::string Central::add_switch(const std::string& name) {
    start_server(name, "/usr/share/openvswitch/vswitch.ovsschema");
    vs(name, {"init"});
    return "unix:" + lab.path(name + ".sock");
}

std::string Central::vs(const std::string& name, const Argv& words) const {
    Argv argv = {"ovs-vsctl", "-t", "20", "--no-wait", "--db=unix:" + lab.path(name + ".sock")};
    argv.insert(argv.end(), words.begin(), words.end());
    return lab.run(argv);
}

Hypervisor::Hypervisor(Central* central, EventLoop* loop, const std::string& chassis_name,
                       const std::string& ip, bool configure)
    : name(chassis_name), central_(*central), loop_(*loop) {
    options.ovs_remote = central_.add_switch(name);
    options.system_is_dummy = true;
    options.kernel_underlay = false;
    if (configure) {
        vs({"set", "Open_vSwitch", ".", "external_ids:system-id=" + name,
            "external_ids:hostname=host-" + name, "external_ids:ovn-remote=" + central_.sb_remote(),
            "external_ids:ovn-encap-type=geneve", "external_ids:ovn-encap-ip=" + ip, "--", "add-br",
            "br-phys", "--", "add-port", "br-phys", "uplink"});
    }
    make_control();
    REQUIRE(control->add_address("br-phys", ip + "/24").ok());
}

Hypervisor::~Hypervisor() = default;

void Hypervisor::make_control() {
    ControlHooks hooks;
    hooks.publish = [this](std::unique_ptr<const Pipeline> next) {
        ++publishes;
        pipeline = next.get();
        published_.push_back(std::move(next));
    };
    hooks.ports_changed = [](std::vector<Retire> closures) {
        for (const Retire& closure : closures) {
            closure();
        }
    };
    hooks.resolve = [this](const std::vector<ResolveRequest>& list) { resolving = list; };
    control = std::make_unique<ControlPlane>(loop_, ports, options, std::move(hooks));
    REQUIRE(control->start().ok());
}

std::string Hypervisor::vs(const Argv& words) const {
    return central_.vs(name, words);
}

void Hypervisor::plug(const std::string& interface_name, const std::string& iface_id) {
    vs({"add-port", "br-int", interface_name, "--", "set", "Interface", interface_name,
        "external_ids:iface-id=" + iface_id});
}

std::string Hypervisor::interface(const std::string& interface_name,
                                  const std::string& column) const {
    std::string text = vs({"get", "Interface", interface_name, column});
    while (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    return text;
}

}  // namespace control_lab
