// SPDX-License-Identifier: Apache-2.0
#include "control/chassis/observations.h"

#include <algorithm>
#include <map>

#include "lib/base/log.h"

namespace sluice::chassis {
namespace {

SLUICE_LOG_MODULE(observations);

using ovsdb::Datum;

constexpr const char* kRouters = "mrouters";

Datum to_datum(const std::map<std::string, std::string>& map) {
    std::vector<Datum::Pair> pairs;
    pairs.reserve(map.size());
    for (const auto& [key, value] : map) {
        pairs.emplace_back(key, value);
    }
    return Datum::map(std::move(pairs));
}

bool is_equal(const sb::StringMap& a, const std::map<std::string, std::string>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

template <typename T>
void append(const std::vector<T>& from, size_t most, std::vector<T>* to) {
    for (const T& item : from) {
        if (to->size() < most && std::find(to->begin(), to->end(), item) == to->end()) {
            to->push_back(item);
        }
    }
}

}  // namespace

void Observations::attach(ovsdb::Client* client) {
    client_ = client;
    is_busy_ = false;
    sent_ = {};
    ++session_;
}

void Observations::take(const watch::Report& report) {
    if (report.groups) {
        known_.groups = report.groups;
    }
    if (report.services) {
        known_.services = report.services;
    }
    if (report.bfd) {
        known_.bfd = report.bfd;
    }
    append(report.events, kMaxWaiting, &known_.events);
    append(report.vports, kMaxWaiting, &known_.vports);
}

void Observations::reconcile(const BindingPlan& plan, const Identity& identity) {
    const sb::Chassis* self = mirror_->chassis_by_name(identity.name);
    if (is_busy_ || !client_ || !client_->synced() || !self) {
        return;
    }
    ovsdb::Transaction txn;
    write_vports(plan, self->uuid, &txn);
    write_bfd(&txn);
    write_services(&txn);
    write_events(self->uuid, &txn);
    write_groups(self->uuid, &txn);
    if (!txn.empty()) {
        send(txn);
    }
}

void Observations::write_groups(const Uuid& self, ovsdb::Transaction* txn) const {
    if (!known_.groups) {
        return;
    }
    using Key = std::pair<Uuid, std::string>;  // datapath, address
    std::map<Key, const sb::IgmpGroup*> rows;
    for (const auto& [uuid, row] : mirror_->igmp_groups.rows()) {
        if (row->chassis == self) {
            rows.emplace(Key{row->datapath, row->address}, row.get());
        }
    }
    for (const watch::GroupState& state : *known_.groups) {
        const sb::DatapathBinding* datapath = mirror_->datapath_by_key(state.datapath);
        if (!datapath || !has_room(*txn)) {
            continue;
        }
        const std::string address = state.routers ? kRouters : watch::group_text(state.group);
        const auto it = rows.find({datapath->uuid, address});
        write_group(self, state, *datapath, it == rows.end() ? nullptr : it->second, txn);
        if (it != rows.end()) {
            rows.erase(it);
        }
    }
    for (const auto& [key, row] : rows) {
        if (has_room(*txn)) {
            txn->remove("IGMP_Group", row->uuid);
        }
    }
}

void Observations::write_group(const Uuid& self, const watch::GroupState& state,
                               const sb::DatapathBinding& datapath, const sb::IgmpGroup* row,
                               ovsdb::Transaction* txn) const {
    std::vector<Uuid> ports;
    for (const uint32_t key : state.ports) {
        if (const sb::PortBinding* port = mirror_->port_by_key(datapath.uuid, key)) {
            ports.push_back(port->uuid);
        }
    }
    std::sort(ports.begin(), ports.end());
    const auto has = [this](const char* column) {
        return client_->schema()->has_column("IGMP_Group", column);
    };
    const bool tells_protocol = has("protocol") && !state.routers;
    if (row) {
        std::vector<Uuid> before = row->ports;
        std::sort(before.begin(), before.end());
        ovsdb::NamedColumns columns;
        if (before != ports) {
            columns.emplace_back("ports", ovsdb::uuid_set(ports));
        }
        if (tells_protocol && row->protocol != state.protocol) {
            columns.emplace_back("protocol", Datum(state.protocol));
        }
        if (!columns.empty()) {
            txn->verify_exists("IGMP_Group", row->uuid);
            txn->update("IGMP_Group", row->uuid, columns);
        }
        return;
    }
    const std::string address = state.routers ? kRouters : watch::group_text(state.group);
    ovsdb::NamedColumns columns{{"address", Datum(address)},
                                {"datapath", ovsdb::uuid_set({datapath.uuid})},
                                {"chassis", ovsdb::uuid_set({self})},
                                {"ports", ovsdb::uuid_set(ports)}};
    if (const sb::Chassis* chassis = mirror_->chassis.find(self); chassis && has("chassis_name")) {
        columns.emplace_back("chassis_name", Datum(chassis->name));
    }
    if (tells_protocol) {
        columns.emplace_back("protocol", Datum(state.protocol));
    }
    txn->verify_exists("Datapath_Binding", datapath.uuid);
    txn->insert("IGMP_Group", columns);
}

void Observations::write_services(ovsdb::Transaction* txn) const {
    if (!known_.services) {
        return;
    }
    for (const watch::ServiceState& state : *known_.services) {
        const sb::ServiceMonitor* row = mirror_->service_monitors.find(state.row);
        const char* status = state.online ? "online" : "offline";
        if (row && row->status != status && has_room(*txn)) {
            txn->verify_exists("Service_Monitor", row->uuid);
            txn->update("Service_Monitor", row->uuid, {{"status", Datum(status)}});
        }
    }
}

void Observations::write_bfd(ovsdb::Transaction* txn) const {
    if (!known_.bfd) {
        return;
    }
    for (const watch::BfdStatus& state : *known_.bfd) {
        const sb::Bfd* row = mirror_->bfd.find(state.row);
        const std::string status = watch::to_string(state.state);
        // admin_down is northd's to say and to take back.
        if (!row || row->status == status || row->status == "admin_down" ||
            state.state == watch::BfdState::kAdminDown || !has_room(*txn)) {
            continue;
        }
        txn->verify("BFD", row->uuid, {{"status", Datum(row->status)}});
        txn->update("BFD", row->uuid, {{"status", Datum(status)}});
    }
}

void Observations::write_events(const Uuid& self, ovsdb::Transaction* txn) {
    std::vector<watch::Event> waiting;
    for (watch::Event& event : std::exchange(known_.events, {})) {
        bool is_known = false;
        for (const auto& [uuid, row] : mirror_->controller_events.rows()) {
            event_seq_ = std::max(event_seq_, row->chassis == self ? row->seq_num : 0);
            is_known |=
                row->chassis == self && row->type == event.type && is_equal(row->info, event.info);
        }
        if (is_known) {
            continue;
        }
        if (!has_room(*txn)) {
            waiting.push_back(std::move(event));
            continue;
        }
        sent_.events.push_back(event);
        txn->insert("Controller_Event", {{"event_type", Datum(event.type)},
                                         {"event_info", to_datum(event.info)},
                                         {"chassis", ovsdb::uuid_set({self})},
                                         {"seq_num", Datum(++event_seq_)}});
    }
    known_.events = std::move(waiting);
}

void Observations::write_vports(const BindingPlan& plan, const Uuid& self,
                                ovsdb::Transaction* txn) {
    for (const watch::VportClaim& claim : std::exchange(known_.vports, {})) {
        const sb::DatapathBinding* datapath = mirror_->datapath_by_key(claim.datapath);
        const sb::PortBinding* port =
            datapath ? mirror_->port_by_key(datapath->uuid, claim.vport) : nullptr;
        const sb::PortBinding* parent =
            datapath ? mirror_->port_by_key(datapath->uuid, claim.parent) : nullptr;
        if (!port || !parent || port->type != sb::PortType::kVirtual || !plan.has(parent->uuid) ||
            (port->virtual_parent == parent->logical_port && port->chassis == self)) {
            continue;
        }
        sent_.vports.push_back(claim);
        LOG_INFO("Claiming virtual lport {} for this chassis with the virtual parent {}",
                 port->logical_port, parent->logical_port);
        txn->verify_exists("Port_Binding", port->uuid);
        txn->update("Port_Binding", port->uuid,
                    {{"virtual_parent", Datum(parent->logical_port)},
                     {"chassis", ovsdb::uuid_set({self})}});
    }
}

void Observations::send(const ovsdb::Transaction& txn) {
    is_busy_ = true;
    client_->commit(txn, [this, session = session_](const ovsdb::TxnResult& result) {
        if (session != session_) {
            return;
        }
        is_busy_ = false;
        const watch::Report sent = std::exchange(sent_, {});
        if (result.committed()) {
            refused_.clear();
        } else if (result.outcome == ovsdb::TxnResult::Outcome::kFailed) {
            if (refused_ != result.error) {
                LOG_ERR("the Southbound database refuses what was observed: {}", result.error);
                refused_ = result.error;
            }
            return;  // tried again when something changes
        } else {
            append(sent.events, kMaxWaiting, &known_.events);
            append(sent.vports, kMaxWaiting, &known_.vports);
        }
        on_done_();
    });
}

}  // namespace sluice::chassis
