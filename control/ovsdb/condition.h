// SPDX-License-Identifier: Apache-2.0
// Conditions of a monitor: which rows of a table the server sends (ovsdb-server(7), 4.1.12).
//
// A condition is everything, or the union of its clauses; no clause at all is nothing. A server
// too old for conditions sends everything: a consumer must bear rows that it did not ask for.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "control/ovsdb/datum.h"

namespace sluice::ovsdb {

struct Clause {
    std::string column;    ///< "_uuid" too
    std::string function;  ///< "==", "!=", "<", "<=", ">", ">=", "includes", "excludes"
    Datum value;
    bool operator==(const Clause&) const = default;
};

struct Condition {
    bool everything = true;
    std::vector<Clause> clauses;  ///< ignored when `everything`

    static Condition all() { return {}; }
    static Condition none() { return {false, {}}; }
    static Condition any_of(std::vector<Clause> clauses) { return {false, std::move(clauses)}; }
    bool operator==(const Condition&) const = default;
};

}  // namespace sluice::ovsdb
