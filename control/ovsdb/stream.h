// SPDX-License-Identifier: Apache-2.0
// Stream: bytes to and from one remote, over unix, TCP or TLS, without blocking.
//
// A stream connects once and dies once: after on_close (a failure, or the peer's end) it is of no
// more use. close() is silent. send() only queues; bytes move from the event loop, so no callback
// ever runs inside a call of the owner. Callbacks may close the stream; to destroy it they must
// wait until they have returned.
//
// Threads: the thread of the EventLoop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "control/ovsdb/remote.h"
#include "control/ovsdb/tls.h"
#include "lib/base/event_loop.h"
#include "lib/base/result.h"

namespace sluice::ovsdb {

class Stream {
public:
    struct Callbacks {
        std::function<void()> on_open;  ///< TLS included
        std::function<void(std::string_view bytes)> on_bytes;
        std::function<void(const Error&)> on_close;
    };
    struct Limits {
        int64_t connect_timeout_ms;
        size_t max_send_bytes;
    };

    Stream(EventLoop* loop, Limits limits, Callbacks callbacks);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    Result<void> connect(const Remote& remote, const TlsFiles& tls_files);
    void send(std::string_view bytes);
    void close();
    bool is_open() const { return state_ == State::kOpen; }
    /// Takes what has arrived already, without waiting for the loop.
    void read_now();

private:
    enum class State { kClosed, kConnecting, kHandshake, kOpen };

    void on_ready(uint32_t events);
    void finish_connect();
    void opened();
    void receive(std::string_view bytes);
    void flush();
    void watch();
    void fail(const Error& error);

    EventLoop* loop_;
    Limits limits_;
    Callbacks callbacks_;
    State state_ = State::kClosed;
    int fd_ = -1;
    std::unique_ptr<Tls> tls_;
    std::string out_;  ///< for the socket: ciphertext when TLS is used
    size_t out_done_ = 0;
    EventLoop::TimerId connect_timer_ = 0;
};

}  // namespace sluice::ovsdb
