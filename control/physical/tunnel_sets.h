// SPDX-License-Identifier: Apache-2.0
// TunnelSets: the HA groups of the Southbound as workers see them (lib/program/liveness.h).
//
// A group of two chassis or more is a set of the tunnels to its members, best first; we ourselves
// are not in it. Groups of ports that still have gateway_chassis in place of a group are sets of
// these ports. A number stays while its group exists and is used again afterwards:
// physical_generation, which moves with every change of a set, guards cached programs.
// Threads: control.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/physical/tunnels.h"
#include "control/sb/mirror.h"
#include "lib/program/liveness.h"

namespace sluice::physical {

class TunnelSets {
public:
    /// True when a set came, went or changed. `is_all`: do not go by the mirror's changes.
    bool update(const sb::Mirror& mirror, const Tunnels& tunnels, const std::string& self,
                bool is_all);

    /// The set of a port's group; nothing for groups of less than two.
    std::optional<uint32_t> find(const sb::PortBinding& port) const;
    /// By number, null where one went away.
    const std::vector<std::shared_ptr<const TunnelSet>>& list() const { return sets_; }

private:
    std::map<Uuid, TunnelSet> wanted(const sb::Mirror& mirror, const Tunnels& tunnels,
                                     const std::string& self) const;

    std::map<Uuid, uint32_t> numbers_;  ///< by group, or by port with gateway_chassis
    std::vector<std::shared_ptr<const TunnelSet>> sets_;
};

}  // namespace sluice::physical
