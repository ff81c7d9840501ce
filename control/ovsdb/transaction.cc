// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/transaction.h"

#include "lib/json/json.h"
#include "lib/json/writer.h"

namespace sluice::ovsdb {

namespace {

bool is_retryable(std::string_view error) {
    // "timed out": a wait (ours have no timeout) did not hold. The others are a cluster changing
    // its leader, or a server that has not loaded the database yet.
    return error == "timed out" || error == "cluster error" || error == "unknown database" ||
           error == "canceled";
}

}  // namespace

std::string Transaction::datum_json(const Datum& datum) const {
    if (names_.empty()) {
        return datum.to_string();
    }
    const auto atom_json = [&](const Atom& atom) {
        json::Writer writer;
        const auto name = atom.type() == AtomType::kUuid ? names_.find(atom.uuid()) : names_.end();
        if (name != names_.end()) {
            writer.begin_array().value("named-uuid").value(name->second).end_array();
            return writer.take();
        }
        return Datum(atom).to_string();
    };
    json::Writer writer;
    writer.begin_array().value(datum.is_map() ? "map" : "set").begin_array();
    for (size_t i = 0; i < datum.size(); ++i) {
        if (datum.is_map()) {
            writer.begin_array().raw(atom_json(datum.key(i))).raw(atom_json(datum.value(i)));
            writer.end_array();
        } else {
            writer.raw(atom_json(datum.key(i)));
        }
    }
    writer.end_array().end_array();
    return writer.take();
}

std::string Transaction::columns_json(const NamedColumns& columns) const {
    json::Writer writer;
    writer.begin_object();
    for (const auto& [name, datum] : columns) {
        writer.member(name).raw(datum_json(datum));
    }
    writer.end_object();
    return writer.take();
}

std::string Transaction::where_uuid(const Uuid& row) const {
    return where_json({{"_uuid", "==", Datum(row)}});
}

std::string Transaction::where_json(const std::vector<Clause>& where) const {
    json::Writer writer;
    writer.begin_array();
    for (const Clause& clause : where) {
        const bool single = !clause.value.is_map() && clause.value.size() == 1 &&
                            clause.value.key(0).type() == AtomType::kUuid;
        const auto name = single ? names_.find(clause.value.uuid()) : names_.end();
        writer.begin_array().value(clause.column).value(clause.function);
        if (name != names_.end()) {
            writer.begin_array().value("named-uuid").value(name->second).end_array();
        } else {
            writer.raw(clause.value.to_string());
        }
        writer.end_array();
    }
    writer.end_array();
    return writer.take();
}

std::string Transaction::open(std::string_view op, std::string_view table) const {
    json::Writer writer;
    writer.begin_object().member("op").value(op).member("table").value(table);
    return writer.take();
}

void Transaction::add(std::string operation, const Uuid& placeholder) {
    operations_.push_back(std::move(operation) + "}");
    placeholders_.push_back(placeholder);
}

Uuid Transaction::insert(std::string_view table, const NamedColumns& columns) {
    const Uuid placeholder = random_uuid();
    const std::string name = "row" + std::to_string(operations_.size());
    // A row may refer to itself: the name is known before its columns are written.
    names_[placeholder] = name;
    add(open("insert", table) + ",\"uuid-name\":\"" + name + "\",\"row\":" + columns_json(columns),
        placeholder);
    return placeholder;
}

void Transaction::update(std::string_view table, const Uuid& row, const NamedColumns& columns) {
    add(open("update", table) + ",\"where\":" + where_uuid(row) +
        ",\"row\":" + columns_json(columns));
}

void Transaction::update_where(std::string_view table, const std::vector<Clause>& where,
                               const NamedColumns& columns) {
    add(open("update", table) + ",\"where\":" + where_json(where) +
        ",\"row\":" + columns_json(columns));
}

void Transaction::mutate(std::string_view table, const Uuid& row, std::string_view column,
                         std::string_view mutator, const Datum& value) {
    json::Writer writer;
    writer.begin_array().begin_array().value(column).value(mutator).raw(datum_json(value));
    writer.end_array().end_array();
    add(open("mutate", table) + ",\"where\":" + where_uuid(row) +
        ",\"mutations\":" + writer.text());
}

void Transaction::set_map_keys(std::string_view table, const Uuid& row, std::string_view column,
                               const std::vector<std::pair<std::string, std::string>>& values) {
    std::vector<std::string> keys;
    std::vector<Datum::Pair> pairs;
    for (const auto& [key, value] : values) {
        keys.push_back(key);
        pairs.emplace_back(Atom(key), Atom(value));
    }
    json::Writer writer;
    writer.begin_array();
    writer.begin_array().value(column).value("delete");
    writer.raw(string_set(keys).to_string()).end_array();
    writer.begin_array().value(column).value("insert");
    writer.raw(Datum::map(std::move(pairs)).to_string()).end_array();
    writer.end_array();
    add(open("mutate", table) + ",\"where\":" + where_uuid(row) +
        ",\"mutations\":" + writer.text());
}

void Transaction::remove_map_keys(std::string_view table, const Uuid& row, std::string_view column,
                                  const std::vector<std::string>& keys) {
    mutate(table, row, column, "delete", string_set(keys));
}

void Transaction::remove(std::string_view table, const Uuid& row) {
    add(open("delete", table) + ",\"where\":" + where_uuid(row));
}

void Transaction::remove_where(std::string_view table, const std::vector<Clause>& where) {
    add(open("delete", table) + ",\"where\":" + where_json(where));
}

void Transaction::verify(std::string_view table, const Uuid& row, const NamedColumns& columns) {
    json::Writer names;
    names.begin_array();
    for (const auto& [name, datum] : columns) {
        names.value(name);
    }
    names.end_array();
    add(open("wait", table) + ",\"timeout\":0,\"until\":\"==\",\"where\":" + where_uuid(row) +
        ",\"columns\":" + names.text() + ",\"rows\":[" + columns_json(columns) + "]");
}

void Transaction::verify_exists(std::string_view table, const Uuid& row) {
    verify(table, row, {});
}

void Transaction::verify_none(std::string_view table, const std::vector<Clause>& where) {
    add(open("wait", table) + ",\"timeout\":0,\"until\":\"==\",\"where\":" + where_json(where) +
        ",\"columns\":[],\"rows\":[]");
}

void Transaction::comment(std::string_view text) {
    json::Writer writer;
    writer.begin_object().member("op").value("comment").member("comment").value(text);
    add(writer.take());
}

std::string Transaction::params(std::string_view database) const {
    json::Writer writer;
    writer.begin_array().value(database);
    for (const std::string& operation : operations_) {
        writer.raw(operation);
    }
    writer.end_array();
    return writer.take();
}

Uuid TxnResult::real(const Uuid& placeholder) const {
    const auto it = inserted.find(placeholder);
    return it == inserted.end() ? Uuid{} : it->second;
}

TxnResult parse_txn_result(json::Value result, const std::vector<Uuid>& placeholders) {
    TxnResult out;
    size_t i = 0;
    for (const json::Value item : result.array()) {
        if (item.has("error")) {
            const std::string_view error = item.find("error").string();
            const std::string_view details = item.find("details").string();
            out.outcome =
                is_retryable(error) ? TxnResult::Outcome::kConflict : TxnResult::Outcome::kFailed;
            // One element more than operations: the commit itself failed.
            out.error = i < placeholders.size() ? "operation " + std::to_string(i + 1) + ": "
                                                : std::string("commit: ");
            out.error += error;
            if (!details.empty()) {
                out.error += ": " + std::string(details);
            }
            return out;
        }
        const auto uuid = parse_uuid(item.find("uuid").at(1).string());
        if (uuid && i < placeholders.size()) {
            out.inserted[placeholders[i]] = *uuid;
        }
        out.counts.push_back(item.find("count").integer());
        ++i;
    }
    if (!result.is_array()) {
        out.error = "the server's answer is not a list of results";
        return out;
    }
    if (i < placeholders.size()) {
        out.error = "the server answered fewer operations than it was sent";
        return out;
    }
    out.outcome = TxnResult::Outcome::kCommitted;
    return out;
}

TxnResult parse_txn_error(json::Value error) {
    TxnResult out;
    const std::string text = error.is_string() ? error.str() : error.find("error").str();
    const std::string details = error.find("details").str();
    out.outcome = is_retryable(text) ? TxnResult::Outcome::kConflict : TxnResult::Outcome::kFailed;
    out.error = text.empty() ? error.to_string() : details.empty() ? text : text + ": " + details;
    return out;
}

const char* to_string(TxnResult::Outcome outcome) {
    switch (outcome) {
    case TxnResult::Outcome::kCommitted: return "committed";
    case TxnResult::Outcome::kConflict: return "conflict";
    case TxnResult::Outcome::kFailed: return "failed";
    case TxnResult::Outcome::kNotSent: return "not sent";
    case TxnResult::Outcome::kUnknown: return "unknown";
    }
    return "?";
}

}  // namespace sluice::ovsdb
