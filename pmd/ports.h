// SPDX-License-Identifier: Apache-2.0
// The registry of ports: spec -> driver -> PortId -> table.
//
// A receive queue goes to the worker with the fewest when its port comes, and is placed anew with
// all others by move_queues(), as pmd/placement.h says. Buffers come from Pools. Threads: control
// thread only. The EAL must be up before the first add() and until destruction, which closes every
// port that is left and therefore comes after the workers have stopped.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/program/bond_report.h"
#include "lib/program/ports.h"
#include "pmd/driver.h"
#include "pmd/placement.h"
#include "pmd/pools.h"
#include "pmd/shaper.h"

namespace sluice::pmd {

class DummyPort;

struct PortsSettings {
    unsigned n_workers = 1;
    std::vector<unsigned> cores;  ///< of workers, in their order; empty: they run anywhere
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
    Result<void> pin_queues(PortId id, const std::map<unsigned, unsigned>& core_of_queue) override;
    void set_placement(const PlacementPolicy& policy) override;
    Retire move_queues() override;
    /// The next move_queues() looks at all queues again, though nothing changed.
    void place_again() { needs_placing_ = true; }
    std::optional<BondReport> bond(PortId id) const override;
    Result<Retire> change(PortId id, const PortSpec& spec) override;
    bool is_partial(PortId id) const override;
    bool is_gone(PortId id) const override;

    /// A worker whose work for ports (lib/stats/port_work.def) stats() adds to the devices'.
    void add_counters(const WorkerCounters* counters) { counters_.push_back(counters); }
    /// What of a device that the kernel goes on using is ours; others ignore it.
    Result<void> steer(PortId id, const Steering& steering);
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
        std::vector<Pools::Booking> more_bookings;  // for what came later
        std::vector<uint16_t> rx_worker;
        std::vector<bool> is_moving;                     // by queue: nobody polls it now
        std::vector<std::unique_ptr<RxLoad>> loads;      // by queue
        std::vector<uint64_t> placed_cycles;             // of `loads`, when last placed
        std::map<unsigned, uint16_t> pins;               // queue -> worker
        std::shared_ptr<Shaper> shaper;                  // empty: no queues
        std::array<uint64_t, kPortWorks> work_before{};  // of ports that had the id before
    };
    const Slot* slot(PortId id) const;
    PortId free_id() const;
    void assign_workers(Slot& slot);
    void retire(PortId id);
    Retire follow_queues(PortId id, const std::vector<RxQueue>& before);
    std::vector<QueuePlace> places(const Slot& slot) const;
    std::array<uint64_t, kPortWorks> work_of_workers(PortId id) const;

    PortsSettings settings_;
    std::vector<const WorkerCounters*> counters_;
    Pools pools_;
    std::vector<Slot> slots_;
    std::vector<WorkerSpot> spots_;
    PlacementPolicy policy_;
    bool needs_placing_ = false;
};

}  // namespace sluice::pmd
