// SPDX-License-Identifier: Apache-2.0
// BindingPlan: which logical ports belong to this chassis, as ovn-controller would have it.
//
// A pure function of the mirror, the attachments and the chassis' name. What the Southbound says
// in Port_Binding.chassis at the moment is not an input: the plan is what it should say, and
// PortClaims (claims.h) writes the difference. The forwarding model reads the plan, so a port
// forwards before the database has heard of it, as with the reference.
//
// Rules by type: a VIF by its iface-id; a container with its parent; a virtual port with its
// virtual_parent; l3gateway and l2gateway by options; chassisredirect and external by the HA group:
// its only member, or of several the one of highest priority (ties by name) that answers our BFD or
// is ourselves. Who hears of nobody has no part in any group of several: the fault may be here.
// Localport, patch and localnet belong to nobody.
// requested-chassis keeps others away; a second requested chassis is an additional one.
// Threads: control.
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "control/chassis/attachments.h"
#include "control/sb/mirror.h"

namespace sluice::chassis {

struct Identity {
    std::string name;
    std::string hostname;
};

struct Claim {
    bool additional = false;  ///< in additional_chassis, not chassis
    std::string encap_ip;     ///< "" for any
    bool operator==(const Claim&) const = default;
};

struct BindingPlan {
    std::unordered_map<Uuid, Claim> claims;  ///< by Port_Binding
    /// Datapaths that are local although nothing of them is claimed: standby gateways.
    std::unordered_set<Uuid> standby;
    /// iface-ids that may not be bound here, with the reason.
    std::vector<std::string> refused;

    bool has(const Uuid& port) const { return claims.contains(port); }
};

/// `live`: names of other chassis whose BFD over a tunnel is up.
BindingPlan plan_bindings(const sb::Mirror& mirror, const Attachments& attachments,
                          const Identity& identity, const std::set<std::string>& live = {});

/// Members of a port's HA group (or of gateway_chassis) whose chassis exists, best first.
std::vector<const sb::Chassis*> ha_order(const sb::Mirror& mirror, const sb::PortBinding& port);
/// How many members it has, those without a chassis too.
size_t ha_size(const sb::Mirror& mirror, const sb::PortBinding& port);

}  // namespace sluice::chassis
