// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/schema.h"

#include "lib/json/json.h"

namespace sluice::ovsdb {

namespace {

Result<AtomType> parse_base_type(json::Value value) {
    const std::string_view name = value.is_object() ? value.find("type").string() : value.string();
    if (name == "integer") {
        return AtomType::kInteger;
    }
    if (name == "real") {
        return AtomType::kReal;
    }
    if (name == "boolean") {
        return AtomType::kBoolean;
    }
    if (name == "string") {
        return AtomType::kString;
    }
    if (name == "uuid") {
        return AtomType::kUuid;
    }
    return Error{"unknown type " + value.to_string()};
}

Result<ColumnType> parse_column_type(json::Value value) {
    ColumnType type;
    const bool simple = value.is_string();
    const Result<AtomType> key = parse_base_type(simple ? value : value.find("key"));
    if (!key) {
        return key.error();
    }
    type.key = *key;
    if (simple) {
        return type;
    }
    if (value.has("value")) {
        const Result<AtomType> second = parse_base_type(value.find("value"));
        if (!second) {
            return second.error();
        }
        type.value = *second;
    }
    const json::Value max = value.find("max");
    type.min = static_cast<uint32_t>(value.find("min").integer(1));
    type.max = max.string() == "unlimited" ? UINT32_MAX : static_cast<uint32_t>(max.integer(1));
    return type;
}

}  // namespace

const ColumnType* TableSchema::column(std::string_view name) const {
    const auto it = columns.find(name);
    return it == columns.end() ? nullptr : &it->second;
}

const TableSchema* Schema::table(std::string_view table_name) const {
    const auto it = tables.find(table_name);
    return it == tables.end() ? nullptr : &it->second;
}

bool Schema::has_column(std::string_view table_name, std::string_view column) const {
    const TableSchema* const found = table(table_name);
    return found != nullptr && found->column(column) != nullptr;
}

Result<Schema> Schema::parse(json::Value value) {
    Schema schema;
    schema.name = value.find("name").str();
    schema.version = value.find("version").str();
    if (schema.name.empty() || !value.find("tables").is_object()) {
        return Error{"not a database schema: no \"name\" or no \"tables\""};
    }
    for (const auto& [table_name, table] : value.find("tables").object()) {
        TableSchema& out = schema.tables[std::string(table_name)];
        out.is_root = table.find("isRoot").boolean();
        for (const auto& [column_name, column] : table.find("columns").object()) {
            const Result<ColumnType> type = parse_column_type(column.find("type"));
            if (!type) {
                return type.error().with_context("schema of " + schema.name + ", " +
                                                 std::string(table_name) + "." +
                                                 std::string(column_name));
            }
            out.columns.emplace(column_name, *type);
        }
    }
    return schema;
}

}  // namespace sluice::ovsdb
