// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "control/rpc/connection.h"
#include "control/rpc/socket.h"
#include "lib/base/log.h"

SLUICE_LOG_MODULE(unixctl_server);

namespace sluice::rpc {
namespace {

constexpr int64_t kAcceptPauseMs = 1000;

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(EventLoop& loop, const std::string& path,
                                               const std::string& version) {
    const Result<int> fd = listen_unix(path);
    if (!fd) {
        return fd.error();
    }
    std::unique_ptr<Server> server(new Server(loop, path, *fd));
    if (Result<void> added =
            loop.add_fd(*fd, Io::kRead, [raw = server.get()](uint32_t) { raw->accept(); });
        !added) {
        return added.error();
    }
    Server* raw = server.get();
    server->add("list-commands", "", 0, 0,
                [raw](const Args&) -> Result<std::string> { return raw->list_commands(); });
    server->add("help", "", 0, 0,
                [raw](const Args&) -> Result<std::string> { return raw->list_commands(); });
    server->add("version", "", 0, 0,
                [version](const Args&) -> Result<std::string> { return version; });
    return server;
}

Server::Server(EventLoop& loop, std::string path, int fd)
    : loop_(loop), path_(std::move(path)), fd_(fd) {}

Server::~Server() {
    while (!connections_.empty()) {
        connections_.front()->close();
    }
    loop_.cancel_timer(accept_timer_);
    loop_.remove_fd(fd_);
    ::close(fd_);
    unlink(path_.c_str());
}

void Server::add(const std::string& name, const std::string& usage, unsigned min_args,
                 unsigned max_args, Handler handler) {
    add_async(name, usage, min_args, max_args,
              [handler = std::move(handler)](const Args& args, const Reply& reply) {
                  reply.result(handler(args));
              });
}

void Server::add_async(const std::string& name, const std::string& usage, unsigned min_args,
                       unsigned max_args, AsyncHandler handler) {
    commands_[name] = Command{usage, min_args, max_args, std::move(handler)};
}

std::string Server::list_commands() const {
    std::string text = "The available commands are:\n";
    for (const auto& [name, command] : commands_) {
        text += command.usage.empty() ? fmt::format("  {}\n", name)
                                      : fmt::format("  {:<23} {}\n", name, command.usage);
    }
    return text;
}

void Server::accept() {
    for (;;) {
        const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) {
                continue;
            }
            if (errno != EAGAIN) {
                // Out of descriptors: the event stays, so look away for a while.
                LOG_WARN_RL("cannot accept a connection on {}: {}", path_, std::strerror(errno));
                loop_.modify_fd(fd_, 0);
                accept_timer_ =
                    loop_.add_timer(kAcceptPauseMs, [this] { loop_.modify_fd(fd_, Io::kRead); });
            }
            return;
        }
        if (connections_.size() >= kMaxConnections) {
            make_room();
        }
        connections_.push_back(std::make_shared<Connection>(*this, fd));
        if (const Result<void> started = connections_.back()->start(); !started) {
            LOG_WARN_RL("{}", started.error().message);
            connections_.pop_back();
        }
    }
}

void Server::make_room() {
    const auto idle = std::find_if(connections_.begin(), connections_.end(),
                                   [](const auto& connection) { return !connection->busy(); });
    const auto victim = *(idle == connections_.end() ? connections_.begin() : idle);
    LOG_WARN_RL("more than {} connections on {}: closing the one idle longest", kMaxConnections,
                path_);
    victim->close();
}

void Server::run(const std::string& method, const Args& args, const Reply& reply) {
    const auto found = commands_.find(method);
    if (found == commands_.end()) {
        reply.error(fmt::format(
            "\"{}\" is not a valid command (use \"list-commands\" to see a list of valid commands)",
            method));
        return;
    }
    const Command& command = found->second;
    if (args.size() < command.min_args) {
        reply.error(
            fmt::format("\"{}\" command requires at least {} arguments", method, command.min_args));
    } else if (args.size() > command.max_args) {
        reply.error(
            fmt::format("\"{}\" command takes at most {} arguments", method, command.max_args));
    } else {
        const AsyncHandler handler = command.handler;  // it may replace itself
        handler(args, reply);
    }
}

void Server::used(Connection* connection) {
    const auto at = std::find_if(connections_.begin(), connections_.end(),
                                 [&](const auto& item) { return item.get() == connection; });
    if (at != connections_.end()) {
        connections_.splice(connections_.end(), connections_, at);
    }
}

void Server::closed(Connection* connection) {
    connections_.remove_if([&](const auto& item) { return item.get() == connection; });
}

}  // namespace sluice::rpc
