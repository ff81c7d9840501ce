// SPDX-License-Identifier: Apache-2.0
// JsonRpc: JSON-RPC 1.0 messages over a Stream (RFC 7047, 4), echo and probes included.
//
// Frames are found while bytes arrive (json::Scanner), so a message of any size is scanned once
// and parsed once, in the buffer it was received in. A peer that sends something else than
// JSON-RPC is disconnected with a message that quotes the place.
//
// Liveness: when nothing came for the probe interval an echo request goes out; when nothing comes
// for another interval the connection is given up. Bytes that wait in the socket count: they are
// read before the verdict, so a control thread that was busy for long does not blame its peer.
//
// Threads: the thread of the EventLoop. Callbacks may call everything but the destructor.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "control/ovsdb/stream.h"
#include "lib/json/json.h"
#include "lib/json/scanner.h"

namespace sluice::ovsdb {

struct Message {
    enum class Kind { kRequest, kNotification, kResult, kError };
    Kind kind;
    std::string_view method;  ///< requests and notifications
    json::Value params;       ///< requests and notifications
    json::Value result;       ///< kResult
    json::Value error;        ///< kError
    json::Value id;
    json::Document document;  ///< what all the above live in
};

class JsonRpc {
public:
    struct Options {
        int64_t connect_timeout_ms;
        int64_t probe_interval_ms;
        size_t max_message_bytes;
        size_t max_send_bytes;
    };
    struct Counters {
        uint64_t messages_rx = 0;
        uint64_t bytes_rx = 0;
        uint64_t bytes_tx = 0;
        uint64_t probes = 0;
    };
    struct Callbacks {
        std::function<void()> on_open;
        std::function<void(const Message&)> on_message;  ///< echo excepted
        std::function<void(const Error&)> on_close;
    };

    /// `counters` outlives this object and is added to.
    JsonRpc(EventLoop* loop, const Options& options, Counters* counters, Callbacks callbacks);
    ~JsonRpc();
    JsonRpc(const JsonRpc&) = delete;
    JsonRpc& operator=(const JsonRpc&) = delete;

    Result<void> connect(const Remote& remote, const TlsFiles& tls_files);
    /// `params` is JSON text, an array. Returns the id, which the reply will carry.
    int64_t request(std::string_view method, std::string_view params);
    void reply_error(json::Value id, std::string_view error);
    void set_probe_interval(int64_t interval_ms);
    /// No callback comes after it.
    void close();

private:
    void on_bytes(std::string_view bytes);
    void on_text(std::string text);
    void on_probe_timer();
    void arm_probe(int64_t delay_ms);
    void write(std::string_view text);
    void fail(const Error& error);

    EventLoop* loop_;
    Options options_;
    Counters* counters_;
    Callbacks callbacks_;
    Stream stream_;
    json::Scanner scanner_;
    std::string partial_;  ///< the message that is still arriving
    int64_t next_id_ = 1;
    int64_t last_rx_ms_ = 0;
    bool probe_sent_ = false;  ///< since the last byte received
    bool closed_ = false;
    EventLoop::TimerId probe_timer_ = 0;
};

}  // namespace sluice::ovsdb
