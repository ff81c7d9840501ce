// SPDX-License-Identifier: Apache-2.0
// FakeServer: one connection of JSON-RPC, scripted by the test.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/event_loop.h"
#include "lib/json/json.h"
#include "lib/json/scanner.h"

namespace ovsdb_lab {

// A server that speaks, or fails to speak, as the test says. On the test's own loop.
class FakeServer {
public:
    /// Gets the method and the id as JSON; what it returns is sent as it is.
    using Answer = std::function<std::string(const std::string& method, const std::string& id)>;

    FakeServer(sluice::EventLoop* loop, const std::string& path, Answer answer)
        : loop_(loop), answer_(std::move(answer)) {
        listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(listen(listener_, 5) == 0);
        REQUIRE(
            loop_->add_fd(listener_, sluice::Io::kRead, [this](uint32_t) { accept_one(); }).ok());
    }
    ~FakeServer() {
        drop();
        loop_->remove_fd(listener_);
        close(listener_);
    }
    void drop() {
        if (fd_ >= 0) {
            loop_->remove_fd(fd_);
            close(fd_);
            fd_ = -1;
        }
    }
    void send(const std::string& text) const {
        REQUIRE(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(text.size()));
    }
    std::vector<std::string> requests;
    std::vector<std::string> texts;
    int accepted = 0;

private:
    void accept_one() {
        drop();
        scanner_ = {};
        text_.clear();
        fd_ = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
        REQUIRE(fd_ >= 0);
        ++accepted;
        REQUIRE(loop_->add_fd(fd_, sluice::Io::kRead, [this](uint32_t) { read_some(); }).ok());
    }
    void read_some() {
        char block[65536];
        const ssize_t got = recv(fd_, block, sizeof block, 0);
        if (got <= 0) {
            drop();
            return;
        }
        std::string_view piece(block, static_cast<size_t>(got));
        while (!piece.empty() && fd_ >= 0) {
            const sluice::json::Scanner::Step step = scanner_.feed(piece);
            text_.append(piece.substr(0, step.used));
            piece.remove_prefix(step.used);
            if (step.state == sluice::json::Scanner::State::kDone) {
                const auto message = sluice::json::Document::parse(text_);
                REQUIRE(message.ok());
                texts.push_back(text_);
                text_.clear();
                const std::string method = message->root().find("method").str();
                requests.push_back(method);
                const std::string reply = answer_(method, message->root().find("id").to_string());
                if (!reply.empty() && fd_ >= 0) {
                    send(reply);
                }
            }
        }
    }

    sluice::EventLoop* loop_;
    Answer answer_;
    int listener_ = -1;
    int fd_ = -1;
    sluice::json::Scanner scanner_;
    std::string text_;
};

}  // namespace ovsdb_lab
