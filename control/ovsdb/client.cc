// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/client.h"

#include "control/ovsdb/session.h"

namespace sluice::ovsdb {

const char* to_string(ClientState state) {
    switch (state) {
    case ClientState::kIdle: return "idle";
    case ClientState::kBackoff: return "backoff";
    case ClientState::kConnecting: return "connecting";
    case ClientState::kChecking: return "checking";
    case ClientState::kMonitoring: return "monitoring";
    case ClientState::kSynced: return "synced";
    }
    return "?";
}

Client::Client(EventLoop* loop, ClientOptions options, Callbacks callbacks)
    : session_(std::make_unique<Session>(loop, std::move(options), std::move(callbacks))) {}

Client::~Client() = default;

Result<void> Client::start() {
    return session_->start();
}

const Replica& Client::replica() const {
    return session_->replica();
}

const Schema* Client::schema() const {
    return session_->schema();
}

const Status& Client::status() const {
    return session_->status();
}

const ClientCounters& Client::counters() const {
    return session_->counters();
}

Uuid Client::last_txn_id() const {
    return session_->last_txn_id();
}

uint64_t Client::set_condition(uint32_t table, Condition condition) {
    return session_->set_condition(table, std::move(condition));
}

uint64_t Client::condition_seq() const {
    return session_->condition_seq();
}

void Client::commit(const Transaction& txn, TxnCallback callback, WhenDown when_down) {
    session_->commit(txn, std::move(callback), when_down);
}

Result<void> Client::set_remotes(const std::string& remotes) {
    return session_->set_remotes(remotes);
}

void Client::set_probe_interval(int64_t interval_ms) {
    session_->set_probe_interval(interval_ms);
}

void Client::reconnect(bool forget) {
    session_->reconnect(forget);
}

}  // namespace sluice::ovsdb
