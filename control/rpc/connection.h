// SPDX-License-Identifier: Apache-2.0
// One client of the command socket: requests in, one answer at a time out. See server.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "control/rpc/server.h"
#include "lib/json/json.h"
#include "lib/json/scanner.h"

namespace sluice::rpc {

class Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(Server& server, int fd);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    Result<void> start();
    /// Stops watching and closes; the server forgets it.
    void close();
    /// A request is being answered, or its answer written.
    bool busy() const { return running_ || !output_.empty(); }

private:
    friend class Reply;
    void ready(uint32_t events);
    bool fill();
    void pump();
    bool next_message(std::string* message);
    void handle(const std::string& message);
    void refuse(const std::string& id, const std::string& why);
    void answer(const std::string& id, bool ok, std::string_view text);
    void flush();
    void watch();

    Server& server_;
    int fd_;
    std::string input_;
    size_t scanned_ = 0;  ///< bytes of input_ the scanner has seen
    json::Scanner scanner_;
    std::string output_;
    size_t written_ = 0;
    bool running_ = false;  ///< a handler has the Reply
    bool pumping_ = false;
    bool end_of_input_ = false;
    bool hang_up_ = false;  ///< close when the answer is written
};

/// What copies of a Reply share.
struct Reply::State {
    std::weak_ptr<Connection> connection;
    std::string id;  ///< as JSON
    bool used = false;
    ~State();
};

}  // namespace sluice::rpc
