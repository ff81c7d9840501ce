// SPDX-License-Identifier: Apache-2.0
// The registry of ports: spec -> driver -> PortId -> table.
//
// Each receive queue goes to the worker with the fewest, so ports added one after the other go
// round robin, and stays there until the port goes. Buffers come from Pools.
// Threads: control thread only. The EAL must be up before the first add() and until destruction,
// which closes every port that is left and therefore comes after the workers have stopped.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/program/ports.h"
#include "pmd/driver.h"
#include "pmd/pools.h"
#include "pmd/shaper.h"

namespace sluice::pmd {

class DummyPort;

struct PortsSettings {
    unsigned n_workers = 1;
    PoolSettings pool;
    bool super_frames = false;  ///< TCP that a Linux peer left uncut is handed up as it is
};

class Ports final : public PortControl {
public:
    explicit Ports(PortsSettings settings);
    ~Ports() override;

    Result<PortId> add(const PortSpec& spec) override;
    Result<Retire> remove(PortId id) override;
    void hold(PortId id) override;
    bool end_holds() override;
    std::unique_ptr<const PortTable> snapshot() const override;

    PortId find(std::string_view name) const override;
    std::vector<PortId> list() const override;
    Result<PortInfo> info(PortId id) const override;
    Result<PortStats> stats(PortId id) const override;
    bool link_up(PortId id) const override;
    Mac mac(PortId id) const override;
    uint16_t mtu(PortId id) const override;
    Result<void> set_mtu(PortId id, uint16_t mtu) override;
    Result<Retire> set_queues(PortId id, std::vector<PortQueue> queues) override;

    /// A worker whose work for ports (lib/stats/port_work.def) stats() adds to the devices'.
    void add_counters(const WorkerCounters* counters) { counters_.push_back(counters); }
    /// The in-memory port behind id, or nullptr if it is of another kind.
    DummyPort* dummy(PortId id) const;
    const Pools& pools() const { return pools_; }
    /// Names of all drivers.
    static std::vector<std::string_view> drivers();

private:
    struct Slot {
        std::unique_ptr<Device> device;  // empty: the id is free
        bool is_retiring = false;        // removed, waiting for its Retire
        bool is_held = false;            // not polled yet
        PortSpec spec;
        Pools::Booking booking;
        std::vector<uint16_t> rx_worker;
        std::shared_ptr<Shaper> shaper;  // empty: no queues
        std::array<uint64_t, kPortWorks> work_before{};  // of ports that had the id before
    };
    const Slot* slot(PortId id) const;
    PortId free_id() const;
    void assign_workers(Slot& slot);
    void retire(PortId id);
    std::array<uint64_t, kPortWorks> work_of_workers(PortId id) const;

    PortsSettings settings_;
    std::vector<const WorkerCounters*> counters_;
    Pools pools_;
    std::vector<Slot> slots_;
    std::vector<unsigned> n_polled_;  // receive queues by worker
};

}  // namespace sluice::pmd
