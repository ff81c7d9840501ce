// SPDX-License-Identifier: Apache-2.0
// Server: the command socket, as every Open vSwitch daemon has one.
//
// What. unixctl: JSON-RPC 1.0 on a unix stream socket. {"id":0,"method":CMD,"params":["a","b"]} is
// answered by {"id":0,"result":TEXT,"error":null} or, with the text in "error", {"result":null}.
// `ovs-appctl -t sluiced CMD` and sluicectl are the clients. Commands are handed in by the
// composer; this class knows none but list-commands, version and help by itself (builtin.h adds
// vlog/*, exit and the like, reports.h the reports).
//
// Design. A connection handles one request at a time, in order; while one is being answered, or its
// answer is not yet written, nothing more is read from it. So memory per client is one request
// (kMaxRequest) and one answer, and a slow client holds up nobody but itself. Text that is not JSON
// is answered by an error with id null, then the connection closes. When kMaxConnections are open,
// the one that has been idle longest makes room.
//
// Threads: all of it on the thread of its EventLoop; Reply too (come in by EventLoop::post).
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"

namespace sluice::rpc {

class Connection;

using Args = std::vector<std::string>;

/// The right to answer one request, once; copies share it. When the client has gone, the answer
/// goes nowhere. When the last copy dies unused, the client is told that no answer will come.
class Reply {
public:
    /// The text of the answer; a final newline is added if it lacks one, as Open vSwitch does.
    void ok(std::string_view text = {}) const;
    void error(std::string_view text) const;
    /// What a handler's Result says.
    void result(const Result<std::string>& result) const;

private:
    friend class Connection;
    struct State;
    std::shared_ptr<State> state_;
};

struct Command {
    std::string usage;  ///< of the arguments, for list-commands: "[DATAPATH]"
    unsigned min_args = 0;
    unsigned max_args = 0;
    std::function<void(const Args&, Reply)> handler;
};

class Server {
public:
    using Handler = std::function<Result<std::string>(const Args&)>;
    using AsyncHandler = std::function<void(const Args&, Reply)>;

    static constexpr size_t kMaxRequest = 1 << 20;
    static constexpr size_t kMaxConnections = 512;
    static constexpr unsigned kAnyNumber = ~0u;  ///< as max_args

    /// Listens on `path`; a socket file left behind by a dead process is replaced, one that
    /// answers is an error. `version` is what the `version` command says.
    static Result<std::unique_ptr<Server>> listen(EventLoop& loop, const std::string& path,
                                                  const std::string& version);
    /// Closes all connections (answers that fit the socket's buffer are on their way already) and
    /// removes the socket file.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// A command that answers at once. A second one of the same name takes the first one's place.
    void add(const std::string& name, const std::string& usage, unsigned min_args,
             unsigned max_args, Handler handler);
    /// A command that may keep its Reply and answer later.
    void add_async(const std::string& name, const std::string& usage, unsigned min_args,
                   unsigned max_args, AsyncHandler handler);

    const std::string& path() const { return path_; }
    size_t connections() const { return connections_.size(); }
    /// The text of list-commands.
    std::string list_commands() const;

private:
    friend class Connection;
    Server(EventLoop& loop, std::string path, int fd);
    void accept();
    void make_room();
    void run(const std::string& method, const Args& args, const Reply& reply);
    void used(Connection* connection);
    void closed(Connection* connection);

    EventLoop& loop_;
    std::string path_;
    int fd_;
    EventLoop::TimerId accept_timer_ = 0;
    std::map<std::string, Command> commands_;
    std::list<std::shared_ptr<Connection>> connections_;  ///< oldest activity first
};

}  // namespace sluice::rpc
