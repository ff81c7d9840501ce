// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace sluice::ovsdb {

namespace {

constexpr size_t kReadBlock = size_t{256} << 10;
constexpr int kBlocksPerTurn = 16;  // then other descriptors and timers get their turn

struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;
};

Address address_of(const Remote& remote) {
    Address out;
    if (remote.kind == Remote::Kind::kUnix) {
        auto* const local = reinterpret_cast<sockaddr_un*>(&out.storage);
        local->sun_family = AF_UNIX;
        std::memcpy(local->sun_path, remote.host.c_str(), remote.host.size() + 1);
        out.length = sizeof(sockaddr_un);
        return out;
    }
    auto* const v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
    if (inet_pton(AF_INET, remote.host.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(remote.port);
        out.length = sizeof(sockaddr_in);
        return out;
    }
    out.storage = {};
    auto* const v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    inet_pton(AF_INET6, remote.host.c_str(), &v6->sin6_addr);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(remote.port);
    out.length = sizeof(sockaddr_in6);
    return out;
}

Error system_error(const char* doing, int code) {
    return Error{std::string(doing) + ": " + std::strerror(code)};
}

}  // namespace

Stream::Stream(EventLoop* loop, Limits limits, Callbacks callbacks)
    : loop_(loop), limits_(limits), callbacks_(std::move(callbacks)) {}

Stream::~Stream() {
    close();
}

Result<void> Stream::connect(const Remote& remote, const TlsFiles& tls_files) {
    if (remote.kind == Remote::Kind::kSsl) {
        Result<std::unique_ptr<Tls>> tls = Tls::connect(tls_files);
        if (!tls) {
            return tls.error();
        }
        tls_ = std::move(tls).value();
    }
    const Address address = address_of(remote);
    fd_ = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
        return system_error("cannot make a socket", errno);
    }
    if (remote.kind != Remote::Kind::kUnix) {
        const int on = 1;
        setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0 &&
        errno != EINPROGRESS) {
        const Error error = system_error("cannot connect", errno);
        close();
        return error;
    }
    // Completion shows as writability, also when the connection stands already (unix).
    state_ = State::kConnecting;
    Result<void> added =
        loop_->add_fd(fd_, Io::kWrite, [this](uint32_t events) { on_ready(events); });
    if (!added) {
        close();
        return added;
    }
    connect_timer_ = loop_->add_timer(limits_.connect_timeout_ms, [this] {
        connect_timer_ = 0;
        const char* const what = state_ == State::kConnecting
                                     ? "no answer to the connection attempt"
                                     : "TLS handshake not finished";
        fail(Error{std::string(what) + " after " + std::to_string(limits_.connect_timeout_ms) +
                   " ms"});
    });
    return {};
}

void Stream::close() {
    if (connect_timer_ != 0) {
        loop_->cancel_timer(connect_timer_);
        connect_timer_ = 0;
    }
    if (fd_ >= 0) {
        loop_->remove_fd(fd_);
        ::close(fd_);
        fd_ = -1;
    }
    state_ = State::kClosed;
}

void Stream::fail(const Error& error) {
    if (state_ == State::kClosed) {
        return;
    }
    close();
    callbacks_.on_close(error);
}

void Stream::send(std::string_view bytes) {
    if (state_ != State::kOpen) {
        return;
    }
    if (tls_ != nullptr) {
        const Result<void> sent = tls_->send(bytes);
        if (!sent) {
            // Told from the loop: the write that follows fails on the dead session.
            shutdown(fd_, SHUT_RDWR);
        }
        tls_->take_output(&out_);
    } else {
        out_.append(bytes);
    }
    if (out_.size() - out_done_ > limits_.max_send_bytes) {
        shutdown(fd_, SHUT_RDWR);  // wakes the loop, which tells
    }
    watch();
}

void Stream::watch() {
    if (fd_ >= 0) {
        loop_->modify_fd(fd_, Io::kRead | (out_done_ < out_.size() ? Io::kWrite : 0));
    }
}

void Stream::on_ready(uint32_t events) {
    if (state_ == State::kConnecting) {
        finish_connect();
        return;
    }
    if (out_.size() - out_done_ > limits_.max_send_bytes) {
        fail(Error{"the server does not read: " + std::to_string(out_.size() - out_done_) +
                   " bytes wait to be sent"});
        return;
    }
    if (events & Io::kWrite) {
        flush();
    }
    if (state_ != State::kClosed && (events & (Io::kRead | Io::kError))) {
        read_now();
    }
}

void Stream::finish_connect() {
    int code = 0;
    socklen_t length = sizeof code;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &code, &length);
    if (code != 0) {
        fail(system_error("cannot connect", code));
        return;
    }
    if (tls_ == nullptr) {
        opened();
        return;
    }
    state_ = State::kHandshake;
    tls_->take_output(&out_);
    watch();
}

void Stream::opened() {
    loop_->cancel_timer(connect_timer_);
    connect_timer_ = 0;
    state_ = State::kOpen;
    watch();
    callbacks_.on_open();
}

void Stream::flush() {
    while (out_done_ < out_.size()) {
        const ssize_t sent =
            ::send(fd_, out_.data() + out_done_, out_.size() - out_done_, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN) {
                // A reset may hide why: what the server said last is still to be read.
                read_now();
                fail(system_error("cannot send", EPIPE));
            }
            return;
        }
        out_done_ += static_cast<size_t>(sent);
    }
    out_.clear();
    out_done_ = 0;
    if (out_.capacity() > kReadBlock) {
        out_.shrink_to_fit();
    }
    watch();
}

void Stream::read_now() {
    static thread_local std::vector<char> block(kReadBlock);
    for (int i = 0; i < kBlocksPerTurn && fd_ >= 0 && state_ != State::kConnecting; ++i) {
        const ssize_t got = recv(fd_, block.data(), block.size(), 0);
        if (got > 0) {
            receive(std::string_view(block.data(), static_cast<size_t>(got)));
            if (static_cast<size_t>(got) < block.size() / 2) {
                return;  // drained, most likely; the loop tells if not
            }
            continue;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        fail(got == 0 ? Error{state_ == State::kHandshake
                                  ? "the server closed the connection during the TLS handshake"
                                  : "connection closed by the server"}
                      : system_error("connection lost", errno));
        return;
    }
}

void Stream::receive(std::string_view bytes) {
    if (tls_ == nullptr) {
        callbacks_.on_bytes(bytes);
        return;
    }
    std::string plaintext;
    const Result<void> received = tls_->receive(bytes, &plaintext);
    tls_->take_output(&out_);  // an alert that tells the server why, too
    if (!received) {
        [[maybe_unused]] const ssize_t sent =
            ::send(fd_, out_.data() + out_done_, out_.size() - out_done_, MSG_NOSIGNAL);
        fail(received.error());
        return;
    }
    watch();
    if (state_ == State::kHandshake && tls_->established()) {
        opened();
    }
    if (state_ == State::kOpen && !plaintext.empty()) {
        callbacks_.on_bytes(plaintext);
    }
    if (state_ != State::kClosed && tls_->closed()) {
        fail(Error{"connection closed by the server"});
    }
}

}  // namespace sluice::ovsdb
