// SPDX-License-Identifier: Apache-2.0
// Observations: writes what watching found into the Southbound database.
//
// Our IGMP_Group rows, Service_Monitor.status and BFD.status should say what the slow path reported
// last; reconcile() writes the difference between that and the mirror. Events become
// Controller_Event rows unless an equal one of ours waits to be handled; claims of virtual ports
// set virtual_parent and chassis (PortClaims does the rest and releases them with their parent).
//
// One transaction is under way at a time, of at most kBatch rows; its end calls back, and the next
// reconcile() looks again. Guards are on what the decision was made from.
// Threads: control.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "control/chassis/binding.h"
#include "control/ovsdb/client.h"
#include "control/sb/mirror.h"
#include "control/slowpath/watch/watch.h"

namespace sluice::chassis {

class Observations {
public:
    static constexpr size_t kBatch = 256;
    static constexpr size_t kMaxWaiting = 4096;  ///< events and claims

    Observations(const sb::Mirror* mirror, std::function<void()> on_done)
        : mirror_(mirror), on_done_(std::move(on_done)) {}

    /// Another session: whatever was under way in the old one is forgotten.
    void attach(ovsdb::Client* client);
    void take(const watch::Report& report);
    void reconcile(const BindingPlan& plan, const Identity& identity);

private:
    void write_groups(const Uuid& self, ovsdb::Transaction* txn) const;
    void write_group(const Uuid& self, const watch::GroupState& state,
                     const sb::DatapathBinding& datapath, const sb::IgmpGroup* row,
                     ovsdb::Transaction* txn) const;
    void write_services(ovsdb::Transaction* txn) const;
    void write_bfd(ovsdb::Transaction* txn) const;
    void write_events(const Uuid& self, ovsdb::Transaction* txn);
    void write_vports(const BindingPlan& plan, const Uuid& self, ovsdb::Transaction* txn);
    bool has_room(const ovsdb::Transaction& txn) const { return txn.operation_count() < kBatch; }
    void send(const ovsdb::Transaction& txn);

    ovsdb::Client* client_ = nullptr;
    const sb::Mirror* mirror_;
    std::function<void()> on_done_;
    watch::Report known_;  ///< complete lists; events and claims not written yet
    watch::Report sent_;   ///< events and claims in the transaction under way
    int64_t event_seq_ = 0;
    bool is_busy_ = false;
    uint64_t session_ = 0;
    std::string refused_;  ///< what the database refused, to say it once
};

}  // namespace sluice::chassis
