// SPDX-License-Identifier: Apache-2.0
// Registrar: our Chassis, Encap and Chassis_Private rows.
//
// reconcile() compares what the rows should say with the mirror and sends one transaction with the
// difference; while one is under way nothing is sent, and its end calls back. A Chassis of another
// name that holds one of our (encap type, ip) pairs is what we left behind under an earlier
// system-id: it is replaced, with a warning, and at most once a minute, so that two live chassis
// with one address do not evict each other in a loop.
// Threads: control.
#pragma once

#include <functional>
#include <string>

#include "control/ovsdb/client.h"
#include "control/sb/mirror.h"
#include "control/vswitch/settings.h"

namespace sluice::chassis {

class Registrar {
public:
    Registrar(ovsdb::Client* client, const sb::Mirror* mirror, std::function<void()> on_done)
        : client_(client), mirror_(mirror), on_done_(std::move(on_done)) {}

    /// `datapath_type`, `iface_types`: of the local switch, for other_config.
    void reconcile(const vswitch::Settings& settings, const std::string& datapath_type,
                   const std::string& iface_types, int64_t now_ms);
    /// nb_cfg that the published pipeline contains.
    void acknowledge(const std::string& chassis, int64_t nb_cfg);
    int64_t acknowledged() const { return acknowledged_; }
    /// Removes the rows; `done` whether it worked or not.
    void remove(const std::string& chassis, std::function<void()> done);

private:
    void insert(const vswitch::Settings& settings, const sb::StringMap& other_config,
                int64_t now_ms);
    void update(const sb::Chassis& row, const vswitch::Settings& settings,
                const sb::StringMap& other_config);
    std::vector<const sb::Chassis*> stale(const vswitch::Settings& settings) const;
    /// Those that the database knows.
    std::vector<std::string> encap_types(const vswitch::Settings& settings) const;
    std::vector<Uuid> insert_encaps(const vswitch::Settings& settings,
                                    ovsdb::Transaction* txn) const;
    bool has_same_encaps(const sb::Chassis& row, const vswitch::Settings& settings) const;
    void add_private(const vswitch::Settings& settings, const Uuid& chassis,
                     ovsdb::Transaction* txn) const;
    void send(const ovsdb::Transaction& txn, const std::string& what);

    ovsdb::Client* client_;
    const sb::Mirror* mirror_;
    std::function<void()> on_done_;
    bool is_busy_ = false;
    bool is_acking_ = false;
    int64_t acknowledged_ = 0;
    int64_t replaced_ms_ = 0;  ///< when a stale chassis was removed last; 0 never
    std::string refused_;      ///< what the database refused, to say it once
};

}  // namespace sluice::chassis
