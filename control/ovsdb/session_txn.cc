// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/session.h"

namespace sluice::ovsdb {

namespace {

constexpr size_t kMaxQueued = 4096;

TxnResult not_sent(std::string why) {
    TxnResult result;
    result.outcome = TxnResult::Outcome::kNotSent;
    result.error = std::move(why);
    return result;
}

}  // namespace

void Client::Session::commit(const Transaction& txn, TxnCallback callback, WhenDown when_down) {
    if (status_.state == ClientState::kSynced && rpc_ != nullptr) {
        send_txn(txn, std::move(callback));
        return;
    }
    if (when_down == WhenDown::kQueue && queued_txns_.size() < kMaxQueued) {
        queued_txns_.push_back({txn, std::move(callback)});
        return;
    }
    std::string why = when_down == WhenDown::kQueue
                          ? std::to_string(kMaxQueued) + " transactions wait already"
                          : "not connected to " + options_.database;
    if (!status_.last_error.empty()) {
        why += " (" + status_.last_error + ")";
    }
    later([callback = std::move(callback), why] {
        if (callback) {
            callback(not_sent(why));
        }
    });
}

void Client::Session::send_txn(const Transaction& txn, TxnCallback callback) {
    ++counters_.transactions;
    const int64_t id = rpc_->request("transact", txn.params(options_.database));
    pending_txns_[id] = {txn.placeholders(), std::move(callback)};
    replies_[id] = [this, id](const Message& message) {
        const auto it = pending_txns_.find(id);
        const PendingTxn pending = std::move(it->second);
        pending_txns_.erase(it);
        TxnResult result;
        if (message.kind == Message::Kind::kResult) {
            result = parse_txn_result(message.result, pending.placeholders);
        } else {
            result = parse_txn_error(message.error);
        }
        counters_.conflicts += result.outcome == TxnResult::Outcome::kConflict;
        if (pending.callback) {
            pending.callback(result);
        }
    };
}

void Client::Session::flush_queue() {
    while (!queued_txns_.empty() && status_.state == ClientState::kSynced && rpc_ != nullptr) {
        const QueuedTxn queued = std::move(queued_txns_.front());
        queued_txns_.pop_front();
        send_txn(queued.txn, queued.callback);
    }
}

void Client::Session::lose_transactions() {
    std::map<int64_t, PendingTxn> lost;
    lost.swap(pending_txns_);
    for (auto& [id, pending] : lost) {
        if (!pending.callback) {
            continue;
        }
        later([callback = std::move(pending.callback)] {
            TxnResult result;
            result.outcome = TxnResult::Outcome::kUnknown;
            result.error = "the connection broke before the server answered";
            callback(result);
        });
    }
}

}  // namespace sluice::ovsdb
