// SPDX-License-Identifier: Apache-2.0
// BondSpec: what the arguments of a bond ask for, read and checked. Threads: a value.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pmd/bond_members.h"
#include "pmd/driver.h"
#include "pmd/lacp.h"

namespace sluice::pmd {

enum class LacpMode : uint8_t { kOff, kActive, kPassive };

std::string_view name_of(LacpMode mode);

struct BondSpec {
    struct Member {
        PortSpec spec;
        LacpConfig::Port lacp;  ///< 0: port and key follow from where it stands in the bond
    };
    BondRules rules;      ///< without `primary`: which index that is the bond knows
    std::string primary;  ///< name of a member; "": none
    LacpMode lacp = LacpMode::kOff;
    bool is_fast = false;
    std::optional<Mac> system;  ///< the bond's own MAC if not given
    uint16_t system_priority = 65534;
    int64_t rebalance_ms = 10'000;  ///< 0: never
    int64_t detect_ms = 20;
    uint32_t basis = 0;
    std::optional<Mac> mac;
    std::vector<Member> members;
};

Result<BondSpec> parse_bond_spec(const PortSpec& spec);

}  // namespace sluice::pmd
