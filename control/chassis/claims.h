// SPDX-License-Identifier: Apache-2.0
// PortClaims: writes the binding plan into Port_Binding (chassis, encap, up and their
// additional_* kin).
//
// reconcile() looks for rows that say something else than the plan and sends one transaction that
// changes them, guarded row by row by the chassis it saw; a row that another chassis changed
// meanwhile makes the whole a conflict, and the next reconcile() decides anew. It is called after
// the pipeline with the plan was published, and `up` waits until that has all its flows.
// A port that was ours and is taken by another chassis is not taken back for half a second, so
// that two chassis with the same iface-id do not storm the database.
// Threads: control.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "control/chassis/binding.h"
#include "control/ovsdb/client.h"

namespace sluice::chassis {

class PortClaims {
public:
    static constexpr int64_t kReclaimMs = 500;

    PortClaims(ovsdb::Client* client, const sb::Mirror* mirror, std::function<void()> on_done)
        : client_(client), mirror_(mirror), on_done_(std::move(on_done)) {}

    /// `has_flows`: the published pipeline has all flows of the plan's ports, so they may be up.
    /// Returns in how many milliseconds to come again, 0 when there is no need.
    int64_t reconcile(const BindingPlan& plan, const Identity& identity, bool has_flows,
                      int64_t now_ms);
    /// The database says that the port is ours and up.
    bool is_up(const sb::PortBinding& port, const Identity& identity) const;
    /// Releases everything of ours; `done` whether it worked or not.
    void release_all(const Identity& identity, std::function<void()> done);

private:
    void claim(const sb::PortBinding& port, const Claim& claim, const sb::Chassis& self,
               bool has_flows, int64_t now_ms, int64_t* wait_ms, ovsdb::Transaction* txn);
    void claim_additional(const sb::PortBinding& port, const Claim& claim, const sb::Chassis& self,
                          ovsdb::Transaction* txn);
    void release(const sb::PortBinding& port, const Uuid& self, ovsdb::Transaction* txn) const;
    void release_additional(const sb::PortBinding& port, const sb::Chassis& self,
                            ovsdb::Transaction* txn) const;
    Uuid encap_of(const sb::Chassis& self, const std::string& ip) const;

    ovsdb::Client* client_;
    const sb::Mirror* mirror_;
    std::function<void()> on_done_;
    bool is_busy_ = false;
    std::unordered_map<Uuid, int64_t> claimed_ms_;  ///< when we claimed a port last
    std::string refused_;
};

}  // namespace sluice::chassis
