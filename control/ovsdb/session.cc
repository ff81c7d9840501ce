// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/session.h"

#include <algorithm>
#include <random>
#include <set>

#include "lib/base/log.h"

SLUICE_LOG_MODULE(ovsdb);

namespace sluice::ovsdb {

Client::Session::Session(EventLoop* loop, ClientOptions options, Callbacks callbacks)
    : loop_(loop),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      replica_(options_.tables),
      backoff_ms_(options_.backoff_min_ms),
      server_replica_({{"Database", {"name", "model", "connected", "leader"}, Condition::all()}}) {
    for (const TableSpec& spec : options_.tables) {
        in_force_.push_back(spec.condition);
    }
}

Client::Session::~Session() {
    loop_->cancel_timer(retry_timer_);
}

Result<void> Client::Session::check_remotes(const std::vector<Remote>& remotes) const {
    for (const Remote& remote : remotes) {
        if (remote.kind == Remote::Kind::kSsl &&
            (options_.tls.private_key.empty() || options_.tls.certificate.empty() ||
             options_.tls.ca_cert.empty())) {
            return Error{"remote \"" + remote.text +
                         "\" needs a private key, a certificate and a CA certificate"};
        }
    }
    return {};
}

Result<void> Client::Session::start() {
    std::set<std::string> names;
    for (const TableSpec& spec : options_.tables) {
        if (!names.insert(spec.name).second) {
            return Error{"table " + spec.name + " is listed twice"};
        }
        if (spec.columns.size() > 64) {
            return Error{"table " + spec.name + ": more than 64 columns"};
        }
    }
    if (options_.database.empty()) {
        return Error{"no database named"};
    }
    Result<void> set = set_remotes(options_.remotes);
    if (set && status_.state == ClientState::kIdle) {
        retry_after(0);
    }
    return set;
}

Result<void> Client::Session::set_remotes(const std::string& text) {
    Result<std::vector<Remote>> remotes = parse_remotes(text);
    if (!remotes) {
        return remotes.error();
    }
    Result<void> checked = check_remotes(*remotes);
    if (!checked) {
        return checked;
    }
    options_.remotes = text;
    const bool keep = std::any_of(remotes->begin(), remotes->end(), [&](const Remote& remote) {
        return remote.text == status_.remote;
    });
    order_remotes(std::move(remotes).value());
    if (status_.state != ClientState::kIdle && !keep) {
        reconnect(false);
    }
    return {};
}

void Client::Session::order_remotes(std::vector<Remote> remotes) {
    if (options_.shuffle_remotes) {
        std::random_device device;
        std::shuffle(remotes.begin(), remotes.end(), std::minstd_rand(device()));
    }
    remotes_ = std::move(remotes);
    next_remote_ = 0;
    tried_ = 0;
}

void Client::Session::set_probe_interval(int64_t interval_ms) {
    options_.probe_interval_ms = interval_ms;
    if (rpc_ != nullptr) {
        rpc_->set_probe_interval(interval_ms);
    }
}

const ClientCounters& Client::Session::counters() const {
    counters_.messages_rx = rpc_counters_.messages_rx;
    counters_.bytes_rx = rpc_counters_.bytes_rx;
    counters_.bytes_tx = rpc_counters_.bytes_tx;
    counters_.probes = rpc_counters_.probes;
    return counters_;
}

void Client::Session::later(std::function<void()> function) {
    loop_->add_timer(0, [alive = std::weak_ptr<bool>(alive_), function = std::move(function)] {
        if (!alive.expired()) {
            function();
        }
    });
}

void Client::Session::enter(ClientState state) {
    if (status_.state == state) {
        return;
    }
    status_.state = state;
    if (callbacks_.on_status) {
        callbacks_.on_status(status_);
    }
}

void Client::Session::retry_after(int64_t delay_ms) {
    status_.retry_in_ms = delay_ms;
    loop_->cancel_timer(retry_timer_);
    retry_timer_ = loop_->add_timer(delay_ms, [this] {
        retry_timer_ = 0;
        connect_next();
    });
    enter(ClientState::kBackoff);
}

void Client::Session::connect_next() {
    const Remote remote = remotes_[next_remote_];
    next_remote_ = (next_remote_ + 1) % remotes_.size();
    ++tried_;
    ++counters_.attempts;
    status_.remote = remote.text;
    status_.retry_in_ms = 0;
    opened_ms_ = 0;
    enter(ClientState::kConnecting);
    if (retry_timer_ != 0) {
        return;  // the callback asked for a reconnect
    }
    rpc_ = std::make_unique<JsonRpc>(
        loop_,
        JsonRpc::Options{options_.connect_timeout_ms, options_.probe_interval_ms,
                         options_.max_message_bytes, options_.max_send_bytes},
        &rpc_counters_,
        JsonRpc::Callbacks{[this] { on_open(); },
                           [this](const Message& message) { on_message(message); },
                           [this](const Error& error) { drop(error); }});
    LOG_DBG("{}: connecting", remote.text);
    const Result<void> begun = rpc_->connect(remote, options_.tls);
    if (!begun) {
        drop(begun.error());
    }
}

void Client::Session::close_rpc() {
    if (rpc_ != nullptr) {
        rpc_->close();
        closed_.push_back(std::move(rpc_));
        later([this] { closed_.clear(); });
    }
    replies_.clear();
    server_checked_ = false;
    if (change_in_flight_) {
        change_in_flight_ = false;
        last_txn_id_ = {};
    }
    lose_transactions();
}

void Client::Session::drop(const Error& error) {
    // A connection that lasted earns a fresh start; one that did not must not be hammered.
    const bool was_synced = status_.state == ClientState::kSynced;
    const bool lasted = was_synced && EventLoop::now_ms() - opened_ms_ >= backoff_ms_;
    status_.last_error = status_.remote + ": " + error.message;
    close_rpc();
    if (lasted) {
        tried_ = 0;
        backoff_ms_ = options_.backoff_min_ms;
    }
    int64_t delay_ms = 0;
    if (tried_ >= remotes_.size()) {
        tried_ = 0;
        delay_ms = backoff_ms_;
        backoff_ms_ = std::min(backoff_ms_ * 2, options_.backoff_max_ms);
    }
    if (was_synced) {
        LOG_WARN("{} (trying again in {} ms)", status_.last_error, delay_ms);
    } else {
        LOG_WARN_RL("{} (trying again in {} ms)", status_.last_error, delay_ms);
    }
    retry_after(delay_ms);
}

void Client::Session::reconnect(bool forget) {
    if (status_.state == ClientState::kIdle) {
        return;
    }
    if (forget) {
        last_txn_id_ = {};
    }
    close_rpc();
    tried_ = 0;
    backoff_ms_ = options_.backoff_min_ms;
    // From the loop, so that on_status never runs inside the caller's call.
    loop_->cancel_timer(retry_timer_);
    retry_timer_ = loop_->add_timer(0, [this] { retry_after(0); });
}

void Client::Session::on_open() {
    opened_ms_ = EventLoop::now_ms();
    LOG_INFO("{}: connected", status_.remote);
    ask_server_schema();
    enter(ClientState::kChecking);
}

void Client::Session::request(std::string_view method, const std::string& params,
                              ReplyHandler handler) {
    replies_[rpc_->request(method, params)] = std::move(handler);
}

void Client::Session::on_message(const Message& message) {
    switch (message.kind) {
    case Message::Kind::kNotification: on_update(message); return;
    case Message::Kind::kRequest: rpc_->reply_error(message.id, "unknown method"); return;
    case Message::Kind::kResult:
    case Message::Kind::kError: break;
    }
    const auto it = replies_.find(message.id.integer());
    if (it == replies_.end()) {
        drop(Error{"a reply to a request that was never made: id " + message.id.to_string()});
        return;
    }
    const ReplyHandler handler = std::move(it->second);
    replies_.erase(it);
    handler(message);
}

}  // namespace sluice::ovsdb
