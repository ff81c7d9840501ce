// SPDX-License-Identifier: Apache-2.0
// Replica: the monitored rows of one database, and the changes to them commit by commit.
//
// The consumer names its tables and columns once (TableSpec) and from then on both are small
// integers: the index in the list of specs, the index in that spec's columns. The indices do not
// depend on the server: a table or column that the server's schema lacks keeps its index, is
// reported (missing()), and its values are the empty Datum. So a consumer can use enumerators and
// works unchanged with a server of another version, or when the server is upgraded under it.
//
// Rows are immutable and shared. A change carries the row before and after, either of which may
// be kept. Changes are given out per commit of the server (a first reply or a resynchronisation
// is one commit too), and always describe the step from the replica before to the replica after:
// a full replacement is reduced to the rows that truly differ.
//
// Threads: one thread (the control thread) owns the Replica; rows may be read anywhere.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/ovsdb/condition.h"
#include "control/ovsdb/datum.h"
#include "control/ovsdb/schema.h"
#include "lib/base/result.h"
#include "lib/net/addr.h"

namespace sluice::ovsdb {

struct TableSpec {
    std::string name;
    std::vector<std::string> columns;  ///< at most 64; none: all that the server has, by name
    Condition condition;
};

struct Row {
    Uuid uuid;
    std::vector<Datum> columns;  ///< one per column of the spec, never fewer

    const Datum& operator[](size_t column) const { return columns[column]; }
};
using RowPtr = std::shared_ptr<const Row>;

/// Bit i: column i of the table's spec. All columns are set for a row that came or went.
using ColumnSet = uint64_t;

struct RowChange {
    uint32_t table;  ///< index of the TableSpec
    Uuid uuid;
    RowPtr before;  ///< null: the row is new
    RowPtr after;   ///< null: the row is gone
    ColumnSet changed;

    bool has_changed(size_t column) const { return (changed >> column) & 1; }
};

class Replica {
public:
    using Rows = std::unordered_map<Uuid, RowPtr>;

    explicit Replica(std::vector<TableSpec> specs);

    size_t table_count() const { return tables_.size(); }
    const Rows& rows(uint32_t table) const { return tables_[table].rows; }
    RowPtr find(uint32_t table, const Uuid& uuid) const;  ///< null when there is none
    const TableSpec& spec(uint32_t table) const { return tables_[table].spec; }
    std::optional<uint32_t> table_index(std::string_view name) const;
    std::optional<size_t> column_index(uint32_t table, std::string_view column) const;
    /// False for what the server's schema lacks.
    bool has_table(uint32_t table) const { return tables_[table].present; }
    bool has_column(uint32_t table, size_t column) const;
    /// "Table" and "Table.column" for all that was asked for and is not there.
    std::vector<std::string> missing() const;

    // --- for the client and the file reader ---

    /// Takes the types from `schema`. Values whose type changed are dropped with the next
    /// replacement; false is returned then (no delta can be applied before it).
    Result<bool> bind(const Schema& schema);
    /// Which dialect a message of table updates speaks.
    enum class Dialect { kUpdate, kUpdate2 };
    /// One <table-updates>. With `replace` the message is the whole contents.
    Result<std::vector<RowChange>> apply(json::Value table_updates, Dialect dialect, bool replace);
    /// One record of a database file; `diff` as its _is_diff says.
    Result<std::vector<RowChange>> apply_file_record(json::Value record, bool diff);
    const ColumnType& column_type(uint32_t table, size_t column) const;
    void set_condition(uint32_t table, Condition condition);

private:
    struct Table {
        TableSpec spec;
        bool all_columns = false;
        bool present = false;
        Rows rows;
        std::vector<std::optional<ColumnType>> types;
        std::unordered_map<std::string, size_t> by_name;
    };
    struct Staged {
        Uuid uuid;
        RowPtr row;  ///< null: deleted
    };

    enum class Merge { kReplace, kDiff, kFileDiff };

    Result<RowPtr> build_row(const Table& table, const Uuid& uuid, const RowPtr& base,
                             json::Value object, Merge merge) const;
    Result<Staged> stage_update(const Table& table, const Uuid& uuid, json::Value update,
                                Dialect dialect) const;
    void commit(uint32_t table, std::vector<Staged> staged, bool replace,
                std::vector<RowChange>* changes);
    RowPtr default_row(const Table& table, const Uuid& uuid) const;

    std::vector<Table> tables_;
    std::unordered_map<std::string, uint32_t> by_name_;
};

}  // namespace sluice::ovsdb
