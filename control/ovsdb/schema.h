// SPDX-License-Identifier: Apache-2.0
// The schema of a database as its server (or file) tells it: which tables and columns there are
// and what type each column has. Nothing about OVN is built in, so one client serves every
// version of the Southbound and of the local Open_vSwitch database.
//
// Threads: immutable after parse().
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "control/ovsdb/datum.h"
#include "lib/base/result.h"

namespace sluice::ovsdb {

struct ColumnType {
    AtomType key = AtomType::kVoid;
    AtomType value = AtomType::kVoid;  ///< kVoid unless the column is a map
    uint32_t min = 1;
    uint32_t max = 1;  ///< UINT32_MAX: unlimited

    bool is_map() const { return value != AtomType::kVoid; }
    bool is_composite() const { return max > 1; }
    bool operator==(const ColumnType&) const = default;
};

struct TableSchema {
    std::map<std::string, ColumnType, std::less<>> columns;
    bool is_root = false;

    const ColumnType* column(std::string_view name) const;
};

struct Schema {
    std::string name;
    std::string version;
    std::map<std::string, TableSchema, std::less<>> tables;

    const TableSchema* table(std::string_view table_name) const;
    bool has_column(std::string_view table_name, std::string_view column) const;

    static Result<Schema> parse(json::Value value);
};

}  // namespace sluice::ovsdb
