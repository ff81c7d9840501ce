// SPDX-License-Identifier: Apache-2.0
#include "control/chassis/learning.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "lib/base/log.h"

namespace sluice::chassis {
namespace {

SLUICE_LOG_MODULE(learning);

using ovsdb::Datum;

int64_t wall_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace

int64_t age_threshold_s(std::string_view text) {
    int64_t shortest = 0;
    while (!text.empty()) {
        const size_t end = std::min(text.find(';'), text.size());
        std::string_view entry = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        // An IPv6 prefix has colons of its own, but its length is behind them.
        if (const size_t slash = entry.find('/'); slash != std::string_view::npos) {
            entry.remove_prefix(std::min(entry.find(':', slash), entry.size() - 1) + 1);
        }
        int64_t seconds = 0;
        const auto [last, error] =
            std::from_chars(entry.data(), entry.data() + entry.size(), seconds);
        if (error == std::errc() && last == entry.data() + entry.size() && seconds > 0) {
            shortest = shortest == 0 ? seconds : std::min(shortest, seconds);
        }
    }
    return shortest;
}

const sb::PortBinding* Learning::port(uint32_t datapath_key, uint32_t port_key) const {
    const sb::DatapathBinding* datapath = mirror_->datapath_by_key(datapath_key);
    return datapath ? mirror_->port_by_key(datapath->uuid, port_key) : nullptr;
}

bool Learning::learn_mac(uint32_t datapath_key, uint32_t port_key, const physical::IpAddress& ip,
                         const Mac& mac) {
    const sb::PortBinding* row = port(datapath_key, port_key);
    if (!row || macs_.size() >= kMaxWaiting) {
        return false;
    }
    const sb::MacBinding* known = mirror_->mac_binding(row->logical_port, to_string(ip));
    if (known && known->mac == to_string(mac)) {
        return false;
    }
    macs_[{datapath_key, port_key, ip}] = mac;
    return true;
}

bool Learning::learn_fdb(uint32_t datapath_key, uint32_t port_key, const Mac& mac) {
    if (!port(datapath_key, port_key) || fdb_.size() >= kMaxWaiting) {
        return false;
    }
    const sb::Fdb* known = mirror_->fdb_entry(datapath_key, to_string(mac));
    if (known && known->port_key == port_key) {
        return false;
    }
    fdb_[{datapath_key, mac}] = port_key;
    return true;
}

bool Learning::use_mac(uint32_t datapath_key, uint32_t port_key, const physical::IpAddress& ip,
                       const Mac& mac) {
    const sb::PortBinding* row = port(datapath_key, port_key);
    const sb::MacBinding* known =
        row ? mirror_->mac_binding(row->logical_port, to_string(ip)) : nullptr;
    if (!known || known->mac != to_string(mac) || used_macs_.size() >= kMaxWaiting) {
        return false;
    }
    return is_worth_telling(datapath_key, "mac_binding_age_threshold", known->timestamp) &&
           used_macs_.insert(known->uuid).second;
}

bool Learning::use_fdb(uint32_t datapath_key, uint32_t port_key, const Mac& mac) {
    const sb::Fdb* known = mirror_->fdb_entry(datapath_key, to_string(mac));
    if (!known || known->port_key != port_key || used_fdb_.size() >= kMaxWaiting) {
        return false;
    }
    return is_worth_telling(datapath_key, "fdb_age_threshold", known->timestamp) &&
           used_fdb_.insert(known->uuid).second;
}

bool Learning::activate(uint32_t datapath_key, uint32_t port_key, const std::string& chassis) {
    const sb::PortBinding* row = port(datapath_key, port_key);
    return row && activated_.size() < kMaxWaiting &&
           activated_.try_emplace(row->uuid, chassis).second;
}

/// Often enough that no removal comes between, seldom enough that the database has peace.
bool Learning::is_worth_telling(uint32_t datapath_key, std::string_view threshold,
                                int64_t timestamp) const {
    const sb::DatapathBinding* datapath = mirror_->datapath_by_key(datapath_key);
    const int64_t threshold_ms =
        datapath ? 1000 * age_threshold_s(sb::get(datapath->external_ids, threshold)) : 0;
    return threshold_ms != 0 && wall_ms() - timestamp >= threshold_ms / 4;
}

void Learning::write_mac(const MacKey& key, const Mac& mac, ovsdb::Transaction* txn) const {
    const sb::PortBinding* row = port(key.datapath, key.port);
    if (!row) {
        return;
    }
    const std::string ip = to_string(key.ip);
    const sb::MacBinding* known = mirror_->mac_binding(row->logical_port, ip);
    if (known && known->mac == to_string(mac)) {
        return;
    }
    ovsdb::NamedColumns columns{{"mac", Datum(to_string(mac))}};
    if (client_->schema()->has_column("MAC_Binding", "timestamp")) {
        columns.emplace_back("timestamp", Datum(wall_ms()));
    }
    if (known) {
        txn->verify_exists("MAC_Binding", known->uuid);
        txn->update("MAC_Binding", known->uuid, columns);
        return;
    }
    txn->verify_none("MAC_Binding",
                     {{"logical_port", "==", Datum(row->logical_port)}, {"ip", "==", Datum(ip)}});
    txn->verify_exists("Datapath_Binding", row->datapath);
    columns.emplace_back("logical_port", Datum(row->logical_port));
    columns.emplace_back("ip", Datum(ip));
    columns.emplace_back("datapath", ovsdb::uuid_set({row->datapath}));
    txn->insert("MAC_Binding", columns);
}

void Learning::write_activation(const Uuid& uuid, const std::string& chassis,
                                ovsdb::Transaction* txn) const {
    constexpr const char* kKey = "additional-chassis-activated";
    const sb::PortBinding* row = mirror_->ports.find(uuid);
    if (!row) {
        return;
    }
    const std::string& before = row->option(kKey);
    if (("," + before + ",").find("," + chassis + ",") != std::string::npos) {
        return;
    }
    LOG_INFO("Activating lport {} on this chassis.", row->logical_port);
    txn->verify_exists("Port_Binding", uuid);
    txn->set_map_keys("Port_Binding", uuid, "options",
                      {{kKey, before.empty() ? chassis : before + "," + chassis}});
}

void Learning::write_fdb(const FdbKey& key, uint32_t port_key, ovsdb::Transaction* txn) const {
    const std::string mac = to_string(key.mac);
    const sb::Fdb* known = mirror_->fdb_entry(key.datapath, mac);
    if (known && known->port_key == port_key) {
        return;
    }
    const Datum datapath(int64_t{key.datapath});
    ovsdb::NamedColumns columns{{"port_key", Datum(int64_t{port_key})}};
    if (client_->schema()->has_column("FDB", "timestamp")) {
        columns.emplace_back("timestamp", Datum(wall_ms()));
    }
    if (known) {
        txn->verify_exists("FDB", known->uuid);
        txn->update("FDB", known->uuid, columns);
        return;
    }
    txn->verify_none("FDB", {{"mac", "==", Datum(mac)}, {"dp_key", "==", datapath}});
    columns.emplace_back("mac", Datum(mac));
    columns.emplace_back("dp_key", datapath);
    txn->insert("FDB", columns);
}

void Learning::flush() {
    if (is_busy_ || !has_waiting() || !client_->synced()) {
        return;
    }
    ovsdb::Transaction txn;
    auto macs = std::exchange(macs_, {});
    auto fdb = std::exchange(fdb_, {});
    size_t room = kBatch;
    for (auto it = macs.begin(); it != macs.end() && room > 0; it = macs.erase(it), --room) {
        write_mac(it->first, it->second, &txn);
    }
    for (auto it = fdb.begin(); it != fdb.end() && room > 0; it = fdb.erase(it), --room) {
        write_fdb(it->first, it->second, &txn);
    }
    const auto renew = [&](const char* table, std::set<Uuid>* used, const auto& rows) {
        for (auto it = used->begin(); it != used->end() && room > 0; it = used->erase(it), --room) {
            if (rows.find(*it) && client_->schema()->has_column(table, "timestamp")) {
                txn.verify_exists(table, *it);
                txn.update(table, *it, {{"timestamp", Datum(wall_ms())}});
            }
        }
    };
    for (auto it = activated_.begin(); it != activated_.end() && room > 0; --room) {
        write_activation(it->first, it->second, &txn);
        it = activated_.erase(it);
    }
    renew("MAC_Binding", &used_macs_, mirror_->mac_bindings);
    renew("FDB", &used_fdb_, mirror_->fdb);
    macs_ = std::move(macs);
    fdb_ = std::move(fdb);
    if (txn.empty()) {
        return;
    }
    is_busy_ = true;
    client_->commit(txn, [this](const ovsdb::TxnResult& result) {
        is_busy_ = false;
        if (!result.committed()) {
            // Whatever was not written is learnt again from the next packet.
            LOG_INFO_RL("learnt addresses were not written: {}", result.error);
        }
        on_done_();
        flush();  // what did not fit, and what came meanwhile
    });
}

}  // namespace sluice::chassis
