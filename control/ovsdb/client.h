// SPDX-License-Identifier: Apache-2.0
// Client: a live session with one database, whatever server of its cluster it talks to.
//
// What it does by itself: walks the list of remotes (in a random order unless told otherwise),
// reconnects with exponential backoff, follows the leader of a clustered database, monitors the
// tables asked for, resumes after a reconnect from the last transaction it saw, answers and sends
// echo probes. What the consumer sees is one Replica that changes by commits, and never a reset:
// after any outage it gets the difference.
//
//   connect -> (TLS) -> _Server: right database, leader? -> get_schema -> monitor_cond_since
//
// An older server is asked with monitor_cond, then monitor, and cannot resume: its whole contents
// are compared with the replica and the difference is delivered.
//
// Outages: the replica stays as it was, so the consumer keeps working from it. on_status tells.
//
// Order of callbacks: on_update comes after the replica changed; a transaction's callback comes
// after the on_update of what it wrote (the server sends them in that order; a kUnknown or
// kNotSent result comes at any time). Callbacks run from the event loop, never from inside a call
// of the consumer (kNotSent included), and may call every method. They must not destroy the
// client; between callbacks that is allowed at any time, and silent.
//
// Threads: everything on the thread of the EventLoop given (control).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/ovsdb/replica.h"
#include "control/ovsdb/schema.h"
#include "control/ovsdb/tls.h"
#include "control/ovsdb/transaction.h"
#include "lib/base/event_loop.h"
#include "lib/base/result.h"

namespace sluice::ovsdb {

struct ClientOptions {
    std::string database;  ///< "OVN_Southbound", "Open_vSwitch"
    std::string remotes;   ///< "ssl:10.0.0.1:6642,tcp:[fd00::2]:6642,unix:/run/ovn/sb.sock"
    std::vector<TableSpec> tables;
    TlsFiles tls;  ///< needed when a remote is ssl:
    bool shuffle_remotes = true;
    bool leader_only = true;           ///< of a clustered database
    int64_t probe_interval_ms = 5000;  ///< 0: never probe
    int64_t backoff_min_ms = 1000;
    int64_t backoff_max_ms = 8000;
    int64_t connect_timeout_ms = 5000;  ///< until the transport (TLS included) stands
    size_t max_message_bytes = size_t{1} << 30;
    size_t max_send_bytes = size_t{64} << 20;  ///< queued for a server that does not read
};

enum class ClientState { kIdle, kBackoff, kConnecting, kChecking, kMonitoring, kSynced };
const char* to_string(ClientState state);

/// Counted since the client was made.
struct ClientCounters {
    uint64_t attempts = 0;      ///< connections tried
    uint64_t syncs = 0;         ///< times kSynced was reached
    uint64_t resumes = 0;       ///< of these: the server knew our last transaction (found=true)
    uint64_t replacements = 0;  ///< of these: whole contents were sent
    uint64_t sync_rows = 0;     ///< rows carried by the latest reply to monitor
    uint64_t updates = 0;       ///< update notifications
    uint64_t rows_changed = 0;  ///< delivered by on_update
    uint64_t probes = 0;        ///< echo requests we sent
    uint64_t messages_rx = 0;
    uint64_t bytes_rx = 0;  ///< JSON, without TLS
    uint64_t bytes_tx = 0;
    uint64_t transactions = 0;
    uint64_t conflicts = 0;
};

struct Update {
    std::vector<RowChange>
        changes;                 ///< of one commit; may be empty when only a condition took hold
    bool sync = false;           ///< difference made by (re)connecting, not one commit
    uint64_t condition_seq = 0;  ///< Client::set_condition calls up to this one are in force
};

struct Status {
    ClientState state = ClientState::kIdle;
    std::string remote;       ///< that we are (or were last) connected to
    std::string last_error;   ///< why the last connection ended or failed; empty if none did
    int64_t retry_in_ms = 0;  ///< in kBackoff
};

class Client {
public:
    struct Callbacks {
        std::function<void(const Update&)> on_update;
        std::function<void(const Status&)> on_status;  ///< each change of state; may be empty
    };

    Client(EventLoop* loop, ClientOptions options, Callbacks callbacks);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// Checks the options and begins. Refused: a bad remote, a table twice, ssl: without files.
    Result<void> start();

    const Replica& replica() const;
    /// Of the server we are or were last connected to; nullptr before the first.
    const Schema* schema() const;
    const Status& status() const;
    bool synced() const { return status().state == ClientState::kSynced; }
    const ClientCounters& counters() const;
    /// Zero until known.
    Uuid last_txn_id() const;

    /// New condition of one table (index of its spec). Takes effect by itself, at once or after
    /// the reconnect; Update::condition_seq reaches the number returned when the rows are here.
    /// Several calls between two turns of the loop make one request.
    uint64_t set_condition(uint32_t table, Condition condition);
    uint64_t condition_seq() const;

    enum class WhenDown { kFail, kQueue };
    /// Sends the transaction. While not synced: fails (kNotSent) or waits for the next sync.
    void commit(const Transaction& txn, TxnCallback callback, WhenDown when_down = WhenDown::kFail);

    /// Another list of remotes. A connection to a remote that is still in the list is kept.
    Result<void> set_remotes(const std::string& remotes);
    void set_probe_interval(int64_t interval_ms);
    /// Drops the connection and starts anew; with `forget`, without resuming.
    void reconnect(bool forget = false);

private:
    class Session;
    std::unique_ptr<Session> session_;
};

}  // namespace sluice::ovsdb
