// SPDX-License-Identifier: Apache-2.0
// DatapathNames: what names in a datapath's logical flows mean on this chassis.
//
// A short-lived look into a View, made for one call of the compiler. `signature()` is the part of
// it that ports and groups decide: when a name's entry differs from the last compile, the tables
// that mention the name have to be compiled again.
// Threads: control.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/compile/compile.h"
#include "control/physical/view.h"

namespace sluice::physical {

struct NameMeaning {
    uint32_t key = 0;
    bool can_enter = false;
    bool can_leave = false;
    bool operator==(const NameMeaning&) const = default;
};
using Signature = std::map<std::string, NameMeaning, std::less<>>;

/// The name by which flows of a datapath call a Port_Group row: northd makes one row for each
/// datapath, "KEY_NAME", and the flows say @NAME. Rows of other datapaths give "".
std::string group_name_in(const View& view, const Uuid& datapath, const std::string& row_name);

/// The KEY of such a row; nothing when it is for all datapaths.
std::optional<uint32_t> datapath_key_of_group(const std::string& row_name);

/// Ports and groups of a datapath by name.
Signature signature_of(const View& view, const Uuid& datapath);

/// Whether any port of the datapath has port security.
bool is_secured(const View& view, const Uuid& datapath);

class DatapathNames final : public compile::Names {
public:
    /// `is_secured`: is_secured() of the datapath.
    DatapathNames(const View& view, const Uuid& datapath, const Signature& signature,
                  bool is_secured);

    std::optional<uint32_t> port_key(std::string_view name) const override;
    const std::vector<std::string>* address_set(std::string_view name) const override;
    const std::vector<std::string>* port_group(std::string_view name) const override;
    bool is_chassis_resident(std::string_view port) const override;
    const std::string* template_var(std::string_view name) const override;
    bool inport_possible(uint32_t key) const override;
    bool outport_possible(uint32_t key) const override;
    bool port_security_in_use() const override { return is_secured_; }

private:
    const View& view_;
    const bool is_secured_;
    std::string group_prefix_;
    const Signature& signature_;
    /// Ports by key; made when first asked for.
    const NameMeaning* meaning(uint32_t key) const;
    mutable std::unordered_map<uint32_t, const NameMeaning*> by_key_;
};

}  // namespace sluice::physical
