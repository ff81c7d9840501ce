// SPDX-License-Identifier: Apache-2.0
#include "control/chassis/claims.h"

#include <algorithm>

#include "lib/base/log.h"

namespace sluice::chassis {
namespace {

SLUICE_LOG_MODULE(binding);

using ovsdb::Datum;
using sb::PortBinding;
using sb::PortType;

bool contains(const std::vector<Uuid>& list, const Uuid& uuid) {
    return std::find(list.begin(), list.end(), uuid) != list.end();
}

Datum reference(const Uuid& uuid) {
    return uuid.is_zero() ? Datum() : ovsdb::uuid_set({uuid});
}

/// Types whose `chassis` column a chassis owns. Localport and patch rows are nobody's, vtep and
/// remote ones belong to others.
bool is_claimable(PortType type) {
    switch (type) {
    case PortType::kVif:
    case PortType::kVirtual:
    case PortType::kL3Gateway:
    case PortType::kL2Gateway:
    case PortType::kChassisRedirect:
    case PortType::kExternal:
    case PortType::kLocalport: return true;
    default: return false;
    }
}

}  // namespace

Uuid PortClaims::encap_of(const sb::Chassis& self, const std::string& ip) const {
    for (const Uuid& uuid : ip.empty() ? std::vector<Uuid>() : self.encaps) {
        const sb::Encap* encap = mirror_->encaps.find(uuid);
        if (encap && encap->ip == ip) {
            return uuid;
        }
    }
    return {};
}

void PortClaims::claim(const PortBinding& port, const Claim& claim, const sb::Chassis& self,
                       bool has_flows, int64_t now_ms, int64_t* wait_ms, ovsdb::Transaction* txn) {
    ovsdb::NamedColumns columns;
    if (port.chassis != self.uuid) {
        const auto it = claimed_ms_.find(port.uuid);
        const sb::Chassis* other = mirror_->chassis.find(port.chassis);
        if (other && it != claimed_ms_.end() && now_ms - it->second < kReclaimMs) {
            const int64_t left = kReclaimMs - (now_ms - it->second);
            *wait_ms = *wait_ms == 0 ? left : std::min(*wait_ms, left);
            return;
        }
        if (other) {
            LOG_INFO("Changing chassis for lport {} from {} to {}.", port.logical_port, other->name,
                     self.name);
        } else {
            LOG_INFO("Claiming lport {} for this chassis.", port.logical_port);
        }
        claimed_ms_[port.uuid] = now_ms;
        columns.emplace_back("chassis", reference(self.uuid));
    }
    if (port.encap != encap_of(self, claim.encap_ip)) {
        columns.emplace_back("encap", reference(encap_of(self, claim.encap_ip)));
    }
    if (has_flows && port.up && !*port.up) {
        columns.emplace_back("up", Datum(true));
    }
    if (!columns.empty()) {
        txn->verify("Port_Binding", port.uuid, {{"chassis", reference(port.chassis)}});
        txn->update("Port_Binding", port.uuid, columns);
    }
    if (contains(port.additional_chassis, self.uuid)) {
        release_additional(port, self, txn);
    }
}

void PortClaims::claim_additional(const PortBinding& port, const Claim& claim,
                                  const sb::Chassis& self, ovsdb::Transaction* txn) {
    if (port.chassis == self.uuid) {
        release(port, self.uuid, txn);
    }
    if (contains(port.additional_chassis, self.uuid)) {
        return;
    }
    LOG_INFO("Claiming lport {} for this additional chassis.", port.logical_port);
    txn->verify_exists("Port_Binding", port.uuid);
    txn->mutate("Port_Binding", port.uuid, "additional_chassis", "insert", reference(self.uuid));
    const Uuid encap = encap_of(self, claim.encap_ip);
    if (!encap.is_zero()) {
        txn->mutate("Port_Binding", port.uuid, "additional_encap", "insert", reference(encap));
    }
}

void PortClaims::release(const PortBinding& port, const Uuid& self, ovsdb::Transaction* txn) const {
    LOG_INFO("Releasing lport {} from this chassis.", port.logical_port);
    ovsdb::NamedColumns columns{{"chassis", Datum()}};
    if (!port.encap.is_zero()) {
        columns.emplace_back("encap", Datum());
    }
    if (port.up && *port.up) {
        columns.emplace_back("up", Datum(false));
    }
    if (port.type == PortType::kVirtual) {
        columns.emplace_back("virtual_parent", Datum());
    }
    txn->verify("Port_Binding", port.uuid, {{"chassis", reference(self)}});
    txn->update("Port_Binding", port.uuid, columns);
}

void PortClaims::release_additional(const PortBinding& port, const sb::Chassis& self,
                                    ovsdb::Transaction* txn) const {
    LOG_INFO("Releasing lport {} from this additional chassis.", port.logical_port);
    txn->mutate("Port_Binding", port.uuid, "additional_chassis", "delete", reference(self.uuid));
    for (const Uuid& encap : self.encaps) {
        if (contains(port.additional_encap, encap)) {
            txn->mutate("Port_Binding", port.uuid, "additional_encap", "delete", reference(encap));
        }
    }
}

int64_t PortClaims::reconcile(const BindingPlan& plan, const Identity& identity, bool has_flows,
                              int64_t now_ms) {
    const sb::Chassis* self = mirror_->chassis_by_name(identity.name);
    if (is_busy_ || !self || !client_->synced()) {
        return 0;
    }
    int64_t wait_ms = 0;
    ovsdb::Transaction txn;
    for (const auto& [uuid, wanted] : plan.claims) {
        const PortBinding* port = mirror_->ports.find(uuid);
        if (!port) {
            continue;
        }
        if (wanted.additional) {
            claim_additional(*port, wanted, *self, &txn);
        } else {
            claim(*port, wanted, *self, has_flows, now_ms, &wait_ms, &txn);
        }
    }
    for (const auto& [uuid, port] : mirror_->ports.rows()) {
        if (plan.has(uuid) || !is_claimable(port->type)) {
            continue;
        }
        if (port->chassis == self->uuid) {
            release(*port, self->uuid, &txn);
            claimed_ms_.erase(uuid);
        }
        if (contains(port->additional_chassis, self->uuid)) {
            release_additional(*port, *self, &txn);
        }
    }
    if (txn.empty()) {
        return wait_ms;
    }
    is_busy_ = true;
    client_->commit(txn, [this](const ovsdb::TxnResult& result) {
        is_busy_ = false;
        if (result.committed()) {
            refused_.clear();
        } else if (result.outcome == ovsdb::TxnResult::Outcome::kFailed) {
            if (refused_ != result.error) {
                LOG_ERR("the Southbound database refuses a port claim: {}", result.error);
                refused_ = result.error;
            }
            return;
        }
        on_done_();
    });
    return wait_ms;
}

bool PortClaims::is_up(const PortBinding& port, const Identity& identity) const {
    const sb::Chassis* self = mirror_->chassis_by_name(identity.name);
    return self && (port.chassis == self->uuid || contains(port.additional_chassis, self->uuid)) &&
           port.up.value_or(true);
}

void PortClaims::release_all(const Identity& identity, std::function<void()> done) {
    const sb::Chassis* self = mirror_->chassis_by_name(identity.name);
    if (!self || !client_->synced()) {
        done();
        return;
    }
    ovsdb::Transaction txn;
    for (const auto& [uuid, port] : mirror_->ports.rows()) {
        if (!is_claimable(port->type)) {
            continue;
        }
        if (port->chassis == self->uuid) {
            release(*port, self->uuid, &txn);
        }
        if (contains(port->additional_chassis, self->uuid)) {
            release_additional(*port, *self, &txn);
        }
    }
    is_busy_ = true;
    if (txn.empty()) {
        done();
        return;
    }
    client_->commit(txn, [done = std::move(done)](const ovsdb::TxnResult&) { done(); });
}

}  // namespace sluice::chassis
