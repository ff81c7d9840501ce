// SPDX-License-Identifier: Apache-2.0
#include "control/chassis/registrar.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <set>

#include "lib/base/log.h"

namespace sluice::chassis {
namespace {

SLUICE_LOG_MODULE(chassis);

using ovsdb::Datum;
using vswitch::Settings;

constexpr int64_t kReplaceEveryMs = 60'000;

Datum to_datum(const sb::StringMap& map) {
    std::vector<Datum::Pair> pairs;
    for (const auto& [key, value] : map) {
        pairs.emplace_back(key, value);
    }
    return Datum::map(std::move(pairs));
}

int64_t wall_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

sb::StringMap encap_options(const Settings& settings, const std::string& ip) {
    sb::StringMap options{{"csum", settings.encap_csum}};
    if (ip == settings.encap_ip_default) {
        options["is_default"] = "true";
    }
    return options;
}

/// What the words of `options` that are ours say, equal to what they should say.
bool has_options(const sb::Encap& row, const sb::StringMap& options) {
    return sb::get(row.options, "csum") == sb::get(options, "csum") &&
           sb::get(row.options, "is_default") == sb::get(options, "is_default");
}

}  // namespace

std::vector<std::string> Registrar::encap_types(const Settings& settings) const {
    constexpr int kMajorWithoutStt = 21;  // OVN 25.09
    const ovsdb::Schema* schema = client_->schema();
    std::vector<std::string> types = settings.encap_types;
    if (schema && std::atoi(schema->version.c_str()) >= kMajorWithoutStt &&
        std::erase(types, "stt") != 0) {
        LOG_WARN_RL(
            "the Southbound database of this version knows no stt encaps; set "
            "external_ids:sluice-stt=true on the chassis that are to use it");
    }
    return types;
}

void Registrar::reconcile(const Settings& settings, const std::string& datapath_type,
                          const std::string& iface_types, int64_t now_ms) {
    if (is_busy_ || !client_->synced() || settings.chassis.empty() ||
        settings.encap_types.empty() || settings.encap_ips.empty()) {
        return;
    }
    sb::StringMap other_config = settings.other_config;
    other_config["datapath-type"] = datapath_type;
    other_config["iface-types"] = iface_types;
    if (const sb::Chassis* row = mirror_->chassis_by_name(settings.chassis)) {
        update(*row, settings, other_config);
    } else {
        insert(settings, other_config, now_ms);
    }
}

std::vector<Uuid> Registrar::insert_encaps(const Settings& settings,
                                           ovsdb::Transaction* txn) const {
    std::vector<Uuid> encaps;
    for (const std::string& type : encap_types(settings)) {
        for (const std::string& ip : settings.encap_ips) {
            encaps.push_back(
                txn->insert("Encap", {{"type", Datum(type)},
                                      {"ip", Datum(ip)},
                                      {"chassis_name", Datum(settings.chassis)},
                                      {"options", to_datum(encap_options(settings, ip))}}));
        }
    }
    return encaps;
}

std::vector<const sb::Chassis*> Registrar::stale(const Settings& settings) const {
    std::vector<const sb::Chassis*> found;
    for (const auto& [uuid, row] : mirror_->chassis.rows()) {
        const bool is_ours = std::any_of(row->encaps.begin(), row->encaps.end(), [&](auto& ref) {
            const sb::Encap* encap = mirror_->encaps.find(ref);
            return encap &&
                   std::find(settings.encap_ips.begin(), settings.encap_ips.end(), encap->ip) !=
                       settings.encap_ips.end() &&
                   std::find(settings.encap_types.begin(), settings.encap_types.end(),
                             encap->type) != settings.encap_types.end();
        });
        if (is_ours && row->name != settings.chassis) {
            found.push_back(row.get());
        }
    }
    return found;
}

void Registrar::add_private(const Settings& settings, const Uuid& chassis,
                            ovsdb::Transaction* txn) const {
    if (const auto* row = mirror_->chassis_private_by_name(settings.chassis)) {
        if (row->chassis != chassis) {
            txn->update("Chassis_Private", row->uuid, {{"chassis", ovsdb::uuid_set({chassis})}});
        }
    } else {
        txn->insert("Chassis_Private",
                    {{"name", Datum(settings.chassis)}, {"chassis", ovsdb::uuid_set({chassis})}});
    }
}

void Registrar::insert(const Settings& settings, const sb::StringMap& other_config,
                       int64_t now_ms) {
    ovsdb::Transaction txn;
    txn.comment("sluiced: registering chassis '" + settings.chassis + "'");
    for (const sb::Chassis* row : stale(settings)) {
        if (replaced_ms_ != 0 && now_ms - replaced_ms_ < kReplaceEveryMs) {
            LOG_ERR_RL("chassis {} has our tunnel address; is ovn-encap-ip used twice?", row->name);
            return;
        }
        LOG_WARN("replacing chassis {}, which was registered with our tunnel address", row->name);
        txn.remove("Chassis", row->uuid);
        if (const auto* old = mirror_->chassis_private_by_name(row->name)) {
            txn.remove("Chassis_Private", old->uuid);
        }
        replaced_ms_ = now_ms;
    }
    const auto encaps = insert_encaps(settings, &txn);
    const Uuid chassis =
        txn.insert("Chassis", {{"name", Datum(settings.chassis)},
                               {"hostname", Datum(settings.hostname)},
                               {"encaps", ovsdb::uuid_set(encaps)},
                               {"transport_zones", ovsdb::string_set(settings.transport_zones)},
                               {"other_config", to_datum(other_config)}});
    add_private(settings, chassis, &txn);
    send(txn, "registration of chassis " + settings.chassis);
}

bool Registrar::has_same_encaps(const sb::Chassis& row, const Settings& settings) const {
    std::set<std::pair<std::string, std::string>> wanted;
    for (const std::string& type : encap_types(settings)) {
        for (const std::string& ip : settings.encap_ips) {
            wanted.emplace(type, ip);
        }
    }
    for (const Uuid& uuid : row.encaps) {
        const sb::Encap* encap = mirror_->encaps.find(uuid);
        if (!encap || !has_options(*encap, encap_options(settings, encap->ip)) ||
            wanted.erase({encap->type, encap->ip}) == 0) {
            return false;
        }
    }
    return wanted.empty();
}

void Registrar::update(const sb::Chassis& row, const Settings& settings,
                       const sb::StringMap& other_config) {
    ovsdb::Transaction txn;
    ovsdb::NamedColumns columns;
    if (row.hostname != settings.hostname) {
        columns.emplace_back("hostname", Datum(settings.hostname));
    }
    if (row.transport_zones != settings.transport_zones) {
        columns.emplace_back("transport_zones", ovsdb::string_set(settings.transport_zones));
    }
    if (!has_same_encaps(row, settings)) {
        for (const Uuid& uuid : row.encaps) {
            txn.remove("Encap", uuid);
        }
        columns.emplace_back("encaps", ovsdb::uuid_set(insert_encaps(settings, &txn)));
    }
    if (!columns.empty()) {
        txn.update("Chassis", row.uuid, columns);
    }
    std::vector<std::pair<std::string, std::string>> keys;
    for (const auto& [key, value] : other_config) {
        const auto it = row.other_config.find(key);
        if (it == row.other_config.end() || it->second != value) {
            keys.emplace_back(key, value);
        }
    }
    if (!keys.empty()) {
        txn.set_map_keys("Chassis", row.uuid, "other_config", keys);
    }
    add_private(settings, row.uuid, &txn);
    if (!txn.empty()) {
        send(txn, "update of chassis " + settings.chassis);
    }
}

void Registrar::send(const ovsdb::Transaction& txn, const std::string& what) {
    is_busy_ = true;
    client_->commit(txn, [this, what](const ovsdb::TxnResult& result) {
        is_busy_ = false;
        if (result.committed()) {
            refused_.clear();
        } else if (result.outcome == ovsdb::TxnResult::Outcome::kFailed) {
            if (refused_ != result.error) {
                LOG_ERR("the Southbound database refuses the {}: {}", what, result.error);
                refused_ = result.error;
            }
            return;  // tried again when something changes
        }
        on_done_();
    });
}

void Registrar::acknowledge(const std::string& chassis, int64_t nb_cfg) {
    const auto* row = mirror_->chassis_private_by_name(chassis);
    if (!row || is_acking_ || !client_->synced() || row->nb_cfg == nb_cfg) {
        acknowledged_ = row ? row->nb_cfg : acknowledged_;
        return;
    }
    is_acking_ = true;
    ovsdb::Transaction txn;
    txn.update("Chassis_Private", row->uuid,
               {{"nb_cfg", Datum(nb_cfg)}, {"nb_cfg_timestamp", Datum(wall_ms())}});
    client_->commit(txn, [this, nb_cfg](const ovsdb::TxnResult& result) {
        is_acking_ = false;
        if (result.committed()) {
            acknowledged_ = nb_cfg;
        }
        if (result.outcome != ovsdb::TxnResult::Outcome::kFailed) {
            on_done_();
        }
    });
}

void Registrar::remove(const std::string& chassis, std::function<void()> done) {
    ovsdb::Transaction txn;
    txn.comment("sluiced: unregistering chassis '" + chassis + "'");
    if (const sb::Chassis* row = mirror_->chassis_by_name(chassis)) {
        txn.remove("Chassis", row->uuid);
    }
    if (const auto* row = mirror_->chassis_private_by_name(chassis)) {
        txn.remove("Chassis_Private", row->uuid);
    }
    if (txn.empty() || !client_->synced()) {
        done();
        return;
    }
    client_->commit(txn, [done = std::move(done)](const ovsdb::TxnResult&) { done(); });
}

}  // namespace sluice::chassis
