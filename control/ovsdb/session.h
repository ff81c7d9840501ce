// SPDX-License-Identifier: Apache-2.0
// Client::Session: the state behind client.h. Private to control/ovsdb.
//
// Three parts, one file each:
//   session.cc          remotes, backoff, the life of one connection
//   session_monitor.cc  what is said on it: server check, schema, monitor, updates, conditions
//   session_txn.cc      transactions
//
// Conditions and resuming. A resumed monitor must be asked with the conditions that were in force
// at last_txn_id_, else rows that the difference in conditions hides would never come. So each
// table has a wanted condition (in the replica's spec) and one in force; a reconnect resumes with
// those in force and changes them afterwards. When the connection breaks while a change is in
// flight nobody knows which is in force: last_txn_id_ is forgotten and everything comes anew.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/ovsdb/client.h"
#include "control/ovsdb/jsonrpc.h"

namespace sluice::ovsdb {

class Client::Session {
public:
    Session(EventLoop* loop, ClientOptions options, Callbacks callbacks);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    Result<void> start();
    Result<void> set_remotes(const std::string& remotes);
    void set_probe_interval(int64_t interval_ms);
    void reconnect(bool forget);
    uint64_t set_condition(uint32_t table, Condition condition);
    void commit(const Transaction& txn, TxnCallback callback, WhenDown when_down);

    const Replica& replica() const { return replica_; }
    const Schema* schema() const { return has_schema_ ? &schema_ : nullptr; }
    const Status& status() const { return status_; }
    const ClientCounters& counters() const;
    Uuid last_txn_id() const { return last_txn_id_; }
    uint64_t condition_seq() const { return conditions_in_force_; }

private:
    enum class Method { kSince, kCond, kPlain };
    using ReplyHandler = std::function<void(const Message&)>;
    struct PendingTxn {
        std::vector<Uuid> placeholders;
        TxnCallback callback;
    };
    struct QueuedTxn {
        Transaction txn;
        TxnCallback callback;
    };

    // session.cc
    Result<void> check_remotes(const std::vector<Remote>& remotes) const;
    void order_remotes(std::vector<Remote> remotes);
    void connect_next();
    void on_open();
    void on_message(const Message& message);
    /// Ends this connection (or attempt); another follows by itself.
    void drop(const Error& error);
    void close_rpc();
    void retry_after(int64_t delay_ms);
    void enter(ClientState state);
    void request(std::string_view method, const std::string& params, ReplyHandler handler);
    /// Runs from the loop, unless the session is gone by then.
    void later(std::function<void()> function);

    // session_monitor.cc
    void ask_server_schema();
    void ask_server_monitor();
    void on_server_rows(json::Value updates, bool replace);
    /// An error when this is no server for us.
    Result<void> check_server() const;
    void ask_schema();
    void on_schema(const Message& message);
    void report_missing();
    std::string monitor_requests(bool with_conditions) const;
    void ask_monitor(Method method);
    void on_monitor_reply(const Message& message);
    void on_update(const Message& message);
    void deliver(std::vector<RowChange> changes, bool sync);
    void flush_conditions();
    void condition_json(json::Writer* writer, const Condition& condition) const;

    // session_txn.cc
    void send_txn(const Transaction& txn, TxnCallback callback);
    void flush_queue();
    void lose_transactions();

    EventLoop* loop_;
    ClientOptions options_;
    Callbacks callbacks_;
    Replica replica_;
    Schema schema_;
    bool has_schema_ = false;
    Status status_;
    mutable ClientCounters counters_;
    JsonRpc::Counters rpc_counters_;

    std::vector<Remote> remotes_;
    size_t next_remote_ = 0;
    size_t tried_ = 0;  ///< remotes tried since the last pause
    int64_t backoff_ms_;
    int64_t opened_ms_ = 0;
    EventLoop::TimerId retry_timer_ = 0;
    std::unique_ptr<JsonRpc> rpc_;
    std::vector<std::unique_ptr<JsonRpc>>
        closed_;  ///< destroyed from the loop, not under their feet
    std::unordered_map<int64_t, ReplyHandler> replies_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

    Replica server_replica_;  ///< of _Server.Database
    bool server_checked_ = false;
    Method method_ = Method::kSince;
    Uuid last_txn_id_;
    std::string reported_missing_;

    std::vector<Condition> in_force_;
    uint64_t conditions_wanted_ = 0;
    uint64_t conditions_in_force_ = 0;
    bool change_in_flight_ = false;
    bool flush_scheduled_ = false;

    std::map<int64_t, PendingTxn> pending_txns_;
    std::deque<QueuedTxn> queued_txns_;
};

}  // namespace sluice::ovsdb
