// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>

#include "control/ovsdb/session.h"
#include "lib/base/log.h"
#include "lib/json/writer.h"

SLUICE_LOG_MODULE(ovsdb_monitor);

namespace sluice::ovsdb {

namespace {

constexpr std::string_view kMonitorId = "[\"sluice\"]";
constexpr std::string_view kServerMonitorId = "[\"sluice-server\"]";
constexpr uint64_t kManyRows = 10000;
enum ServerColumn : size_t { kName, kModel, kConnected, kLeader };

std::string error_text(json::Value error) {
    if (error.is_string()) {
        return error.str();
    }
    const std::string text = error.find("error").str();
    const std::string details = error.find("details").str();
    if (text.empty()) {
        return error.to_string();
    }
    return details.empty() ? text : text + ": " + details;
}

size_t count_rows(json::Value updates) {
    size_t count = 0;
    for (const auto& [table, rows] : updates.object()) {
        count += rows.size();
    }
    return count;
}

const char* name_of(int method) {
    constexpr const char* kNames[] = {"monitor_cond_since", "monitor_cond", "monitor"};
    return kNames[method];
}

}  // namespace

void Client::Session::ask_server_schema() {
    request("get_schema", "[\"_Server\"]", [this](const Message& message) {
        // Servers before 2.9 have no _Server: they cannot be clustered either.
        const Result<Schema> schema = message.kind == Message::Kind::kResult
                                          ? Schema::parse(message.result)
                                          : Result<Schema>(Error{""});
        if (!schema) {
            ask_schema();
            return;
        }
        const Result<bool> bound = server_replica_.bind(*schema);
        if (!bound) {
            drop(bound.error());
            return;
        }
        ask_server_monitor();
    });
}

void Client::Session::ask_server_monitor() {
    json::Writer columns;
    columns.begin_array();
    for (size_t i = 0; i <= kLeader; ++i) {
        if (server_replica_.has_column(0, i)) {
            columns.value(server_replica_.spec(0).columns[i]);
        }
    }
    columns.end_array();
    request("monitor_cond",
            "[\"_Server\"," + std::string(kServerMonitorId) +
                ",{\"Database\":[{\"columns\":" + columns.text() + "}]}]",
            [this](const Message& message) {
                if (message.kind == Message::Kind::kError) {
                    drop(Error{"cannot monitor _Server: " + error_text(message.error)});
                    return;
                }
                on_server_rows(message.result, true);
            });
}

Result<void> Client::Session::check_server() const {
    const Row* ours = nullptr;
    std::string present;
    for (const auto& [uuid, row] : server_replica_.rows(0)) {
        if ((*row)[kName].string() == options_.database) {
            ours = row.get();
        } else if ((*row)[kName].string() != "_Server") {
            present += (present.empty() ? "" : ", ") + (*row)[kName].string();
        }
    }
    if (ours == nullptr) {
        return Error{"this server has no database " + options_.database +
                     " (it has: " + (present.empty() ? "none" : present) + ")"};
    }
    if ((*ours)[kModel].string() != "clustered") {
        return {};
    }
    if (!(*ours)[kConnected].boolean()) {
        return Error{"this server has lost its cluster"};
    }
    if (options_.leader_only && !(*ours)[kLeader].boolean()) {
        return Error{"this server is not the leader of its cluster"};
    }
    return {};
}

void Client::Session::on_server_rows(json::Value updates, bool replace) {
    const auto applied = server_replica_.apply(updates, Replica::Dialect::kUpdate2, replace);
    const Result<void> checked = applied ? check_server() : Result<void>(Error{applied.error()});
    if (!checked) {
        drop(checked.error());
        return;
    }
    if (!server_checked_) {
        server_checked_ = true;
        ask_schema();
    }
}

void Client::Session::ask_schema() {
    json::Writer params;
    params.begin_array().value(options_.database).end_array();
    request("get_schema", params.text(), [this](const Message& message) { on_schema(message); });
}

void Client::Session::on_schema(const Message& message) {
    if (message.kind == Message::Kind::kError) {
        drop(Error{"no schema of " + options_.database + ": " + error_text(message.error)});
        return;
    }
    Result<Schema> schema = Schema::parse(message.result);
    const Result<bool> same = schema ? replica_.bind(*schema) : Result<bool>(schema.error());
    if (!same) {
        drop(same.error());
        return;
    }
    if (!*same) {
        last_txn_id_ = {};
    }
    schema_ = std::move(schema).value();
    has_schema_ = true;
    report_missing();
    enter(ClientState::kMonitoring);
    if (rpc_ != nullptr) {  // the callback may have asked for a reconnect
        ask_monitor(Method::kSince);
    }
}

void Client::Session::report_missing() {
    std::string text;
    for (const std::string& name : replica_.missing()) {
        text += (text.empty() ? "" : ", ") + name;
    }
    if (text != reported_missing_ && !text.empty()) {
        LOG_INFO("{}: {} {} has no {}: taken as empty", status_.remote, schema_.name,
                 schema_.version, text);
    }
    reported_missing_ = text;
}

void Client::Session::condition_json(json::Writer* writer, const Condition& condition) const {
    if (condition.everything) {
        writer->begin_array().value(true).end_array();
        return;
    }
    if (condition.clauses.empty()) {
        writer->begin_array().value(false).end_array();
        return;
    }
    writer->begin_array();
    for (const Clause& clause : condition.clauses) {
        writer->begin_array().value(clause.column).value(clause.function);
        clause.value.write(*writer);
        writer->end_array();
    }
    writer->end_array();
}

std::string Client::Session::monitor_requests(bool with_conditions) const {
    json::Writer writer;
    writer.begin_object();
    for (uint32_t i = 0; i < replica_.table_count(); ++i) {
        if (!replica_.has_table(i)) {
            continue;
        }
        const TableSpec& spec = replica_.spec(i);
        writer.member(spec.name).begin_array().begin_object().member("columns").begin_array();
        for (size_t column = 0; column < spec.columns.size(); ++column) {
            if (replica_.has_column(i, column)) {
                writer.value(spec.columns[column]);
            }
        }
        writer.end_array();
        if (with_conditions) {
            writer.member("where");
            condition_json(&writer, in_force_[i]);
        }
        writer.end_object().end_array();
    }
    writer.end_object();
    return writer.take();
}

void Client::Session::ask_monitor(Method method) {
    method_ = method;
    if (method != Method::kSince) {
        last_txn_id_ = {};
    }
    if (last_txn_id_.is_zero()) {
        for (uint32_t i = 0; i < in_force_.size(); ++i) {
            in_force_[i] = replica_.spec(i).condition;
        }
        conditions_in_force_ = conditions_wanted_;
    }
    json::Writer params;
    params.begin_array().value(options_.database).raw(kMonitorId);
    params.raw(monitor_requests(method != Method::kPlain));
    if (method == Method::kSince) {
        params.value(to_string(last_txn_id_));
    }
    params.end_array();
    request(name_of(static_cast<int>(method)), params.text(),
            [this](const Message& message) { on_monitor_reply(message); });
}

void Client::Session::on_monitor_reply(const Message& message) {
    if (message.kind == Message::Kind::kError) {
        if (method_ != Method::kPlain) {
            const Method next = method_ == Method::kSince ? Method::kCond : Method::kPlain;
            LOG_INFO("{}: {} is refused ({}), trying {}", status_.remote,
                     name_of(static_cast<int>(method_)), error_text(message.error),
                     name_of(static_cast<int>(next)));
            ask_monitor(next);
            return;
        }
        drop(Error{"cannot monitor " + options_.database + ": " + error_text(message.error)});
        return;
    }
    bool found = false;
    json::Value updates = message.result;
    Uuid last_id;
    if (method_ == Method::kSince) {
        found = message.result.at(0).boolean();
        last_id = parse_uuid(message.result.at(1).string()).value_or(Uuid{});
        updates = message.result.at(2);
    }
    counters_.sync_rows = count_rows(updates);
    const Replica::Dialect dialect =
        method_ == Method::kPlain ? Replica::Dialect::kUpdate : Replica::Dialect::kUpdate2;
    Result<std::vector<RowChange>> changes = replica_.apply(updates, dialect, !found);
    if (!changes) {
        last_txn_id_ = {};
        drop(changes.error());
        return;
    }
    last_txn_id_ = last_id;
    ++counters_.syncs;
    ++(found ? counters_.resumes : counters_.replacements);
    LOG_INFO("{}: {} {}, {} rows, {} changed", status_.remote, options_.database,
             found ? "resumed" : "read whole", counters_.sync_rows, changes->size());
    if (counters_.sync_rows > kManyRows) {
        // What parsing a large reply took lies between the rows that stay: give it back.
        later([] { malloc_trim(0); });
    }
    enter(ClientState::kSynced);
    deliver(std::move(changes).value(), true);
    if (rpc_ != nullptr) {
        flush_conditions();
        flush_queue();
    }
}

void Client::Session::deliver(std::vector<RowChange> changes, bool sync) {
    counters_.rows_changed += changes.size();
    if (callbacks_.on_update) {
        callbacks_.on_update(Update{std::move(changes), sync, conditions_in_force_});
    }
}

void Client::Session::on_update(const Message& message) {
    const bool since = message.method == "update3";
    const bool cond = message.method == "update2";
    if (!since && !cond && message.method != "update") {
        LOG_DBG("{}: notification {} is not for us", status_.remote, message.method);
        return;
    }
    const std::string id = message.params.at(0).to_string();
    const json::Value updates = message.params.at(since ? 2 : 1);
    if (id == kServerMonitorId) {
        on_server_rows(updates, false);
        return;
    }
    if (id != kMonitorId || status_.state != ClientState::kSynced) {
        drop(Error{"an update of a monitor that was never asked for: " + id});
        return;
    }
    ++counters_.updates;
    const Replica::Dialect dialect =
        since || cond ? Replica::Dialect::kUpdate2 : Replica::Dialect::kUpdate;
    Result<std::vector<RowChange>> changes = replica_.apply(updates, dialect, false);
    if (!changes) {
        last_txn_id_ = {};
        drop(changes.error());
        return;
    }
    if (since) {
        last_txn_id_ = parse_uuid(message.params.at(1).string()).value_or(Uuid{});
    }
    deliver(std::move(changes).value(), false);
}

uint64_t Client::Session::set_condition(uint32_t table, Condition condition) {
    if (replica_.spec(table).condition == condition) {
        return conditions_wanted_;
    }
    replica_.set_condition(table, std::move(condition));
    ++conditions_wanted_;
    if (!flush_scheduled_) {
        flush_scheduled_ = true;
        later([this] {
            flush_scheduled_ = false;
            flush_conditions();
        });
    }
    return conditions_wanted_;
}

void Client::Session::flush_conditions() {
    if (status_.state != ClientState::kSynced || rpc_ == nullptr || change_in_flight_ ||
        conditions_in_force_ == conditions_wanted_) {
        return;
    }
    const uint64_t seq = conditions_wanted_;
    json::Writer changed;
    changed.begin_object();
    bool any = false;
    std::vector<Condition> sent = in_force_;
    for (uint32_t i = 0; i < in_force_.size(); ++i) {
        const Condition& wanted = replica_.spec(i).condition;
        if (wanted == in_force_[i]) {
            continue;
        }
        sent[i] = wanted;
        if (replica_.has_table(i) && method_ != Method::kPlain) {
            any = true;
            changed.member(replica_.spec(i).name).begin_array().begin_object().member("where");
            condition_json(&changed, wanted);
            changed.end_object().end_array();
        }
    }
    changed.end_object();
    if (!any) {
        in_force_ = std::move(sent);
        conditions_in_force_ = seq;
        deliver({}, false);
        return;
    }
    change_in_flight_ = true;
    json::Writer params;
    params.begin_array().raw(kMonitorId).raw(kMonitorId).raw(changed.text()).end_array();
    request("monitor_cond_change", params.text(),
            [this, seq, sent = std::move(sent)](const Message& message) {
                change_in_flight_ = false;
                if (message.kind == Message::Kind::kError) {
                    last_txn_id_ = {};
                    drop(Error{"the server refuses a condition: " + error_text(message.error)});
                    return;
                }
                in_force_ = sent;
                conditions_in_force_ = seq;
                deliver({}, false);
                flush_conditions();
            });
}

}  // namespace sluice::ovsdb
