// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/replica.h"

#include <unordered_set>

#include "lib/json/json.h"

namespace sluice::ovsdb {

namespace {

constexpr size_t kMaxColumns = 64;

ColumnSet all_columns(size_t count) {
    return count >= kMaxColumns ? ~ColumnSet{0} : (ColumnSet{1} << count) - 1;
}

}  // namespace

Replica::Replica(std::vector<TableSpec> specs) {
    for (TableSpec& spec : specs) {
        by_name_.emplace(spec.name, static_cast<uint32_t>(tables_.size()));
        Table& table = tables_.emplace_back();
        table.all_columns = spec.columns.empty();
        table.spec = std::move(spec);
        for (size_t i = 0; i < table.spec.columns.size(); ++i) {
            table.by_name.emplace(table.spec.columns[i], i);
        }
        table.types.resize(table.spec.columns.size());
    }
}

RowPtr Replica::find(uint32_t table, const Uuid& uuid) const {
    const auto it = tables_[table].rows.find(uuid);
    return it == tables_[table].rows.end() ? nullptr : it->second;
}

std::optional<uint32_t> Replica::table_index(std::string_view name) const {
    const auto it = by_name_.find(std::string(name));
    return it == by_name_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<size_t> Replica::column_index(uint32_t table, std::string_view column) const {
    const auto it = tables_[table].by_name.find(std::string(column));
    return it == tables_[table].by_name.end() ? std::nullopt : std::optional(it->second);
}

bool Replica::has_column(uint32_t table, size_t column) const {
    return column < tables_[table].types.size() && tables_[table].types[column].has_value();
}

std::vector<std::string> Replica::missing() const {
    std::vector<std::string> names;
    for (const Table& table : tables_) {
        if (!table.present) {
            names.push_back(table.spec.name);
            continue;
        }
        for (size_t i = 0; i < table.types.size(); ++i) {
            if (!table.types[i]) {
                names.push_back(table.spec.name + "." + table.spec.columns[i]);
            }
        }
    }
    return names;
}

const ColumnType& Replica::column_type(uint32_t table, size_t column) const {
    return *tables_[table].types[column];
}

void Replica::set_condition(uint32_t table, Condition condition) {
    tables_[table].spec.condition = std::move(condition);
}

Result<bool> Replica::bind(const Schema& schema) {
    bool same = true;
    for (Table& table : tables_) {
        const TableSchema* const found = schema.table(table.spec.name);
        same = same && table.present == (found != nullptr);
        table.present = found != nullptr;
        if (found != nullptr && table.all_columns) {
            for (const auto& [name, type] : found->columns) {
                if (table.by_name.emplace(name, table.spec.columns.size()).second) {
                    table.spec.columns.push_back(name);
                }
            }
        }
        const size_t count = table.spec.columns.size();
        if (count > kMaxColumns) {
            return Error{"table " + table.spec.name + " has " + std::to_string(count) +
                         " columns: name the ones to monitor, at most 64"};
        }
        const bool wider = table.types.size() < count;
        table.types.resize(count);
        for (size_t i = 0; i < count; ++i) {
            const ColumnType* const type =
                found == nullptr ? nullptr : found->column(table.spec.columns[i]);
            const auto fresh = type == nullptr ? std::nullopt : std::optional<ColumnType>(*type);
            same = same && fresh == table.types[i];
            table.types[i] = fresh;
        }
        if (wider) {
            for (auto& [uuid, row] : table.rows) {
                auto extended = std::make_shared<Row>(*row);
                extended->columns.resize(count);
                row = std::move(extended);
            }
        }
    }
    return same;
}

RowPtr Replica::default_row(const Table& table, const Uuid& uuid) const {
    auto row = std::make_shared<Row>();
    row->uuid = uuid;
    row->columns.reserve(table.types.size());
    for (const std::optional<ColumnType>& type : table.types) {
        row->columns.push_back(type ? Datum::default_of(*type) : Datum());
    }
    return row;
}

Result<RowPtr> Replica::build_row(const Table& table, const Uuid& uuid, const RowPtr& base,
                                  json::Value object, Merge merge) const {
    auto row = std::make_shared<Row>(base != nullptr ? *base : *default_row(table, uuid));
    for (const auto& [name, value] : object.object()) {
        const auto it = table.by_name.find(std::string(name));
        if (it == table.by_name.end() || !table.types[it->second]) {
            continue;
        }
        const ColumnType& type = *table.types[it->second];
        Result<Datum> datum = Datum::from_json(value, type);
        if (!datum) {
            return datum.error().with_context(table.spec.name + "." + std::string(name) + " of " +
                                              to_string(uuid));
        }
        Datum& target = row->columns[it->second];
        // In a file, a value that was the default is replaced: it tells where sets have no empty
        // default (Chassis.encaps).
        const bool diff = merge == Merge::kDiff ||
                          (merge == Merge::kFileDiff && !(target == Datum::default_of(type)));
        target = diff ? target.with_diff(*datum, type) : std::move(datum).value();
    }
    return RowPtr(std::move(row));
}

Result<Replica::Staged> Replica::stage_update(const Table& table, const Uuid& uuid,
                                              json::Value update, Dialect dialect) const {
    RowPtr base;
    json::Value object;
    Merge merge = Merge::kReplace;
    if (dialect == Dialect::kUpdate) {
        object = update.find("new");
        if (!object.is_object()) {
            return Staged{uuid, nullptr};
        }
    } else if (update.has("delete")) {
        return Staged{uuid, nullptr};
    } else if (update.has("modify")) {
        const auto it = table.rows.find(uuid);
        if (it == table.rows.end()) {
            return Error{"the server changes row " + to_string(uuid) + " of " + table.spec.name +
                         ", which it never sent"};
        }
        base = it->second;
        object = update.find("modify");
        merge = Merge::kDiff;
    } else {
        object = update.has("initial") ? update.find("initial") : update.find("insert");
    }
    if (!object.is_object()) {
        return Error{"row update of an unknown form: " + update.to_string().substr(0, 80)};
    }
    Result<RowPtr> row = build_row(table, uuid, base, object, merge);
    if (!row) {
        return row.error();
    }
    return Staged{uuid, std::move(row).value()};
}

void Replica::commit(uint32_t index, std::vector<Staged> staged, bool replace,
                     std::vector<RowChange>* changes) {
    Table& table = tables_[index];
    const ColumnSet all = all_columns(table.types.size());
    if (replace) {
        std::unordered_set<Uuid> kept;
        for (const Staged& item : staged) {
            kept.insert(item.uuid);
        }
        for (const auto& [uuid, row] : table.rows) {
            if (kept.count(uuid) == 0) {
                staged.push_back({uuid, nullptr});
            }
        }
    }
    for (Staged& item : staged) {
        RowPtr before = find(index, item.uuid);
        ColumnSet changed = all;
        if (before != nullptr && item.row != nullptr) {
            changed = 0;
            for (size_t i = 0; i < item.row->columns.size(); ++i) {
                changed |= ColumnSet{!(before->columns[i] == item.row->columns[i])} << i;
            }
            if (changed == 0) {
                continue;
            }
        }
        if (before == nullptr && item.row == nullptr) {
            continue;
        }
        if (item.row == nullptr) {
            table.rows.erase(item.uuid);
        } else {
            table.rows[item.uuid] = item.row;
        }
        changes->push_back(
            RowChange{index, item.uuid, std::move(before), std::move(item.row), changed});
    }
}

Result<std::vector<RowChange>> Replica::apply(json::Value table_updates, Dialect dialect,
                                              bool replace) {
    std::vector<std::vector<Staged>> staged(tables_.size());
    if (!table_updates.is_object()) {
        return Error{"table updates are not an object"};
    }
    for (const auto& [name, rows] : table_updates.object()) {
        const auto index = table_index(name);
        if (!index) {
            return Error{"the server sends table " + std::string(name) +
                         ", which is not monitored"};
        }
        staged[*index].reserve(rows.size());
        for (const auto& [uuid_text, update] : rows.object()) {
            const auto uuid = parse_uuid(uuid_text);
            if (!uuid) {
                return Error{"\"" + std::string(uuid_text) + "\" is not a UUID"};
            }
            Result<Staged> item = stage_update(tables_[*index], *uuid, update, dialect);
            if (!item) {
                return item.error();
            }
            staged[*index].push_back(std::move(item).value());
        }
    }
    std::vector<RowChange> changes;
    for (uint32_t i = 0; i < tables_.size(); ++i) {
        commit(i, std::move(staged[i]), replace, &changes);
    }
    return changes;
}

Result<std::vector<RowChange>> Replica::apply_file_record(json::Value record, bool diff) {
    std::vector<RowChange> changes;
    std::vector<std::pair<uint32_t, std::vector<Staged>>> staged;
    for (const auto& [name, rows] : record.object()) {
        const auto index = table_index(name);
        if (!index || !rows.is_object()) {
            continue;  // "_date", "_comment", "_is_diff", or a table nobody asked for
        }
        const Table& table = tables_[*index];
        std::vector<Staged> items;
        for (const auto& [uuid_text, value] : rows.object()) {
            const auto uuid = parse_uuid(uuid_text);
            if (!uuid) {
                return Error{"\"" + std::string(uuid_text) + "\" is not a UUID"};
            }
            if (value.is_null()) {
                items.push_back({*uuid, nullptr});
                continue;
            }
            Result<RowPtr> row = build_row(table, *uuid, find(*index, *uuid), value,
                                           diff ? Merge::kFileDiff : Merge::kReplace);
            if (!row) {
                return row.error();
            }
            items.push_back({*uuid, std::move(row).value()});
        }
        staged.emplace_back(*index, std::move(items));
    }
    for (auto& [index, items] : staged) {
        commit(index, std::move(items), false, &changes);
    }
    return changes;
}

}  // namespace sluice::ovsdb
