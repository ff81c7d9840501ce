// SPDX-License-Identifier: Apache-2.0
// Learning: writes what packets taught (MAC_Binding, FDB) into the Southbound database.
//
// Bindings in use have their timestamp renewed where northd ages them, before they are too old.
//
// Things learnt wait in a bounded table, newest value per key, and go out in batches; what the
// mirror already says is dropped. Inserts are guarded against a row that another chassis made
// meanwhile (its row will be in the mirror next time, and becomes an update if the MAC differs).
// Threads: control.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "control/ovsdb/client.h"
#include "control/physical/underlay.h"
#include "control/sb/mirror.h"

namespace sluice::chassis {

/// The shortest time in "300" or "10.0.0.0/8:60;fd00::/8:30;300", in seconds; 0: no ageing.
int64_t age_threshold_s(std::string_view text);

class Learning {
public:
    static constexpr size_t kMaxWaiting = 16'384;
    static constexpr size_t kBatch = 256;

    Learning(ovsdb::Client* client, const sb::Mirror* mirror, std::function<void()> on_done)
        : client_(client), mirror_(mirror), on_done_(std::move(on_done)) {}

    /// False when the thing is known already or there is no room.
    bool learn_mac(uint32_t datapath_key, uint32_t port_key, const physical::IpAddress& ip,
                   const Mac& mac);
    bool learn_fdb(uint32_t datapath_key, uint32_t port_key, const Mac& mac);
    /// The binding is in use. False when its timestamp is fresh enough, or nobody ages it.
    bool use_mac(uint32_t datapath_key, uint32_t port_key, const physical::IpAddress& ip,
                 const Mac& mac);
    /// Same for an FDB row.
    bool use_fdb(uint32_t datapath_key, uint32_t port_key, const Mac& mac);
    /// A port of several chassis has announced itself on this one: it may talk from now on.
    bool activate(uint32_t datapath_key, uint32_t port_key, const std::string& chassis);
    /// Sends a batch if something waits and none is under way.
    void flush();
    bool has_waiting() const {
        return !macs_.empty() || !fdb_.empty() || !used_macs_.empty() || !used_fdb_.empty() ||
               !activated_.empty();
    }

private:
    struct MacKey {
        uint32_t datapath;
        uint32_t port;
        physical::IpAddress ip;
        auto operator<=>(const MacKey&) const = default;
    };
    struct FdbKey {
        uint32_t datapath;
        Mac mac;
        auto operator<=>(const FdbKey&) const = default;
    };
    const sb::PortBinding* port(uint32_t datapath_key, uint32_t port_key) const;
    void write_mac(const MacKey& key, const Mac& mac, ovsdb::Transaction* txn) const;
    bool is_worth_telling(uint32_t datapath_key, std::string_view threshold,
                          int64_t timestamp) const;
    void write_activation(const Uuid& port, const std::string& chassis,
                          ovsdb::Transaction* txn) const;
    void write_fdb(const FdbKey& key, uint32_t port, ovsdb::Transaction* txn) const;

    ovsdb::Client* client_;
    const sb::Mirror* mirror_;
    std::function<void()> on_done_;
    std::map<MacKey, Mac> macs_;
    std::map<FdbKey, uint32_t> fdb_;
    std::set<Uuid> used_macs_;               ///< MAC_Binding rows
    std::set<Uuid> used_fdb_;                ///< FDB rows
    std::map<Uuid, std::string> activated_;  ///< ports, and on which chassis
    bool is_busy_ = false;
};

}  // namespace sluice::chassis
