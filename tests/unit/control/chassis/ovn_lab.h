// SPDX-License-Identifier: Apache-2.0
// A real OVN central (ovsdb-server, ovn-northd) and a local Open_vSwitch database in a temporary
// directory, and a ControlPlane between them with ports that exist in memory only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/control_plane.h"
#include "lib/base/event_loop.h"
#include "tests/unit/control/ovsdb/lab.h"

namespace control_lab {

/// Ports that open always, except those of driver "broken" and those named in `missing`.
class FakePorts final : public sluice::PortControl {
public:
    sluice::Result<sluice::PortId> add(const sluice::PortSpec& spec) override;
    sluice::Result<sluice::Retire> remove(sluice::PortId id) override;
    std::unique_ptr<const sluice::PortTable> snapshot() const override { return nullptr; }
    sluice::PortId find(std::string_view name) const override;
    std::vector<sluice::PortId> list() const override;
    sluice::Result<sluice::PortInfo> info(sluice::PortId) const override {
        return sluice::Error{"not asked for"};
    }
    sluice::Result<sluice::PortStats> stats(sluice::PortId id) const override;
    bool link_up(sluice::PortId id) const override { return ports_.contains(id); }
    sluice::Mac mac(sluice::PortId id) const override {
        return sluice::Mac::from_u64(0x020000000000 + id);
    }
    uint16_t mtu(sluice::PortId) const override { return 1500; }
    sluice::Result<void> set_mtu(sluice::PortId, uint16_t) override { return {}; }

    std::vector<std::string> missing;
    uint64_t rx_packets = 0;
    unsigned retired = 0;

private:
    std::map<sluice::PortId, sluice::PortSpec> ports_;
};

/// The databases and northd.
class Central {
public:
    Central();
    ~Central();
    std::string nb(const ovsdb_lab::Argv& words) const;
    std::string sb(const ovsdb_lab::Argv& words) const;
    /// One column of the row of a table whose `key` is `value`, as ovn-sbctl prints it.
    std::string sb_get(const std::string& table, const std::string& key, const std::string& value,
                       const std::string& column) const;
    void stop_southbound();
    void start_southbound();
    std::string sb_remote() const { return "unix:" + lab.path("sb.sock"); }
    /// Another local Open_vSwitch database; its remote.
    std::string add_switch(const std::string& name);
    std::string vs(const std::string& name, const ovsdb_lab::Argv& words) const;

    mutable ovsdb_lab::Lab lab;

private:
    pid_t start_server(const std::string& name, const std::string& schema);
    pid_t sb_pid_ = -1;
};

/// A chassis: its switch database and the control plane under test.
class Hypervisor {
public:
    Hypervisor(Central* central, sluice::EventLoop* loop, const std::string& name,
               const std::string& ip, bool configure = true);
    ~Hypervisor();
    void make_control();
    /// ovs-vsctl without waiting for us.
    std::string vs(const ovsdb_lab::Argv& words) const;
    void plug(const std::string& interface, const std::string& iface_id);
    std::string interface(const std::string& name, const std::string& column) const;

    const std::string name;
    FakePorts ports;
    std::unique_ptr<sluice::ControlPlane> control;
    const sluice::Pipeline* pipeline = nullptr;
    unsigned publishes = 0;
    sluice::ControlOptions options;
    std::vector<sluice::ResolveRequest> resolving;

private:
    Central& central_;
    sluice::EventLoop& loop_;
    std::vector<std::unique_ptr<const sluice::Pipeline>> published_;
};

/// Turns the loop until `done`, which is asked every 20 ms; fails after 20 s.
void until(sluice::EventLoop* loop, const std::function<bool()>& done);
/// Runs a program to its end while the loop turns; the exit status must be 0.
std::string run_beside(sluice::EventLoop* loop, ovsdb_lab::Lab* lab, const ovsdb_lab::Argv& argv);

}  // namespace control_lab
