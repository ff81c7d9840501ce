// SPDX-License-Identifier: Apache-2.0
// Transaction: the operations of one atomic write, built first and handed to Client::commit().
//
// Rows inserted here get a placeholder UUID at once, which may be used as a reference in the same
// transaction (it travels as a named-uuid) and is found again in TxnResult::inserted.
//
// Guards: verify() makes the commit depend on a row still holding what the caller saw. If it does
// not, nothing is written and the result is kConflict: the caller looks at the replica again
// (which will have the other's change by then, or soon) and decides anew.
//
// Threads: a value; build and commit on the control thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/ovsdb/condition.h"
#include "control/ovsdb/datum.h"
#include "control/ovsdb/replica.h"

namespace sluice::ovsdb {

using NamedColumn = std::pair<std::string, Datum>;
using NamedColumns = std::vector<NamedColumn>;

class Transaction {
public:
    /// Returns the placeholder of the new row. Columns left out get their defaults.
    Uuid insert(std::string_view table, const NamedColumns& columns);
    void update(std::string_view table, const Uuid& row, const NamedColumns& columns);
    /// `mutator`: "+=", "-=", "*=", "/=", "%=", "insert", "delete".
    void mutate(std::string_view table, const Uuid& row, std::string_view column,
                std::string_view mutator, const Datum& value);
    /// Sets keys of a map and leaves the others alone, whatever they are by then.
    void set_map_keys(std::string_view table, const Uuid& row, std::string_view column,
                      const std::vector<std::pair<std::string, std::string>>& values);
    /// Removes keys of a map whatever their values are.
    void remove_map_keys(std::string_view table, const Uuid& row, std::string_view column,
                         const std::vector<std::string>& keys);
    void remove(std::string_view table, const Uuid& row);
    /// Conditions on other columns than _uuid (all clauses must hold: RFC 7047 ANDs them).
    void update_where(std::string_view table, const std::vector<Clause>& where,
                      const NamedColumns& columns);
    void remove_where(std::string_view table, const std::vector<Clause>& where);

    /// Guard: the row exists and these columns hold these values.
    void verify(std::string_view table, const Uuid& row, const NamedColumns& columns);
    /// Guard: the row exists.
    void verify_exists(std::string_view table, const Uuid& row);
    /// Guard: no row of the table meets all clauses.
    void verify_none(std::string_view table, const std::vector<Clause>& where);
    /// Written to the server's log with the commit; `ovsdb-tool show-log` prints it.
    void comment(std::string_view text);

    bool empty() const { return operations_.empty(); }
    size_t operation_count() const { return operations_.size(); }

    // --- for the client ---

    /// The params of "transact".
    std::string params(std::string_view database) const;
    /// Placeholders in the order of operations; zero for operations that insert nothing.
    const std::vector<Uuid>& placeholders() const { return placeholders_; }

private:
    std::string open(std::string_view op, std::string_view table) const;
    void add(std::string operation, const Uuid& placeholder = {});
    std::string columns_json(const NamedColumns& columns) const;
    std::string datum_json(const Datum& datum) const;
    std::string where_uuid(const Uuid& row) const;
    std::string where_json(const std::vector<Clause>& where) const;

    std::vector<std::string> operations_;  ///< JSON objects
    std::vector<Uuid> placeholders_;
    std::unordered_map<Uuid, std::string> names_;  ///< placeholder -> uuid-name
};

struct TxnResult {
    enum class Outcome {
        kCommitted,
        kConflict,  ///< a guard did not hold, or the server asks to try again: nothing was written
        kFailed,    ///< the server refuses it (constraint, syntax, permission): trying again is no
                    ///< use
        kNotSent,   ///< not connected, and queueing was not asked for
        kUnknown,   ///< the connection broke before the answer: it may have been written or not
    };
    Outcome outcome = Outcome::kFailed;
    std::string error;                        ///< for people; empty when committed
    std::unordered_map<Uuid, Uuid> inserted;  ///< placeholder -> UUID given by the server
    std::vector<int64_t> counts;  ///< per operation: rows touched by update, mutate, delete

    bool committed() const { return outcome == Outcome::kCommitted; }
    /// Real UUID of a row inserted by this transaction.
    Uuid real(const Uuid& placeholder) const;
};

using TxnCallback = std::function<void(const TxnResult&)>;

/// Result of a "transact" reply, for the client.
TxnResult parse_txn_result(json::Value result, const std::vector<Uuid>& placeholders);
/// Of an answer that refuses the request as a whole.
TxnResult parse_txn_error(json::Value error);
const char* to_string(TxnResult::Outcome outcome);

}  // namespace sluice::ovsdb
