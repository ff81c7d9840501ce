// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "lib/base/log.h"
#include "lib/json/writer.h"

SLUICE_LOG_MODULE(unixctl);

namespace sluice::rpc {
namespace {

constexpr size_t kChunk = 64 * 1024;

std::string answer_text(const std::string& id, bool ok, std::string_view text) {
    json::Writer w;
    w.begin_object().member("id").raw(id);
    std::string line(text);
    if (!line.empty() && line.back() != '\n') {
        line += '\n';
    }
    if (ok) {
        w.member("result").value(line).member("error").null();
    } else {
        w.member("result").null().member("error").value(line);
    }
    return w.end_object().take();
}

}  // namespace

void Reply::ok(std::string_view text) const {
    if (const auto connection = state_->connection.lock(); connection && !state_->used) {
        state_->used = true;
        connection->answer(state_->id, true, text);
    }
}

void Reply::error(std::string_view text) const {
    if (const auto connection = state_->connection.lock(); connection && !state_->used) {
        state_->used = true;
        connection->answer(state_->id, false, text);
    }
}

void Reply::result(const Result<std::string>& result) const {
    result ? ok(*result) : error(result.error().message);
}

Reply::State::~State() {
    if (const auto owner = connection.lock(); owner && !used) {
        owner->answer(id, false, "the command ended without an answer");
    }
}

Connection::Connection(Server& server, int fd) : server_(server), fd_(fd) {}

Connection::~Connection() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

Result<void> Connection::start() {
    return server_.loop_.add_fd(
        fd_, Io::kRead, [self = shared_from_this()](uint32_t events) { self->ready(events); });
}

void Connection::close() {
    if (fd_ >= 0) {
        const auto self = shared_from_this();
        server_.loop_.remove_fd(fd_);
        ::close(fd_);
        fd_ = -1;
        server_.closed(this);
    }
}

void Connection::ready(uint32_t events) {
    if ((events & Io::kError) && busy()) {
        close();  // the client has gone; nobody reads the answer
        return;
    }
    if (events & Io::kWrite) {
        flush();
        pump();  // requests that came behind the one just answered
    }
    while (fd_ >= 0 && !busy() && !end_of_input_ && fill()) {
        pump();
    }
    if (fd_ >= 0 && !busy() && (end_of_input_ || hang_up_)) {
        close();
        return;
    }
    watch();
}

// True when there may be more to read.
bool Connection::fill() {
    std::array<char, kChunk> chunk;
    const ssize_t n = recv(fd_, chunk.data(), chunk.size(), 0);
    if (n > 0) {
        input_.append(chunk.data(), static_cast<size_t>(n));
        return true;
    }
    if (n == 0) {
        end_of_input_ = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        close();
    }
    return false;
}

// Runs requests until one is unanswered, its answer unwritten, or none is complete.
void Connection::pump() {
    if (pumping_) {
        return;
    }
    pumping_ = true;
    std::string message;
    while (fd_ >= 0 && !busy() && !hang_up_ && next_message(&message)) {
        handle(message);
    }
    pumping_ = false;
    if (fd_ >= 0 && !busy() && hang_up_) {
        close();
    }
}

bool Connection::next_message(std::string* message) {
    if (scanned_ == input_.size()) {
        return false;
    }
    const json::Scanner::Step step = scanner_.feed(std::string_view(input_).substr(scanned_));
    scanned_ += step.used;
    switch (step.state) {
    case json::Scanner::State::kDone:
        *message = input_.substr(0, scanned_);
        input_.erase(0, scanned_);
        scanned_ = 0;
        return true;
    case json::Scanner::State::kBad:
        refuse("null", "expected a JSON-RPC request, an object that begins with {");
        return false;
    case json::Scanner::State::kMore:
        if (scanner_.idle()) {
            input_.clear();
            scanned_ = 0;
        } else if (input_.size() > Server::kMaxRequest) {
            refuse("null", fmt::format("request longer than {} bytes", Server::kMaxRequest));
        }
        return false;
    }
    return false;
}

void Connection::handle(const std::string& message) {
    const Result<json::Document> document = json::Document::parse(message);
    if (!document) {
        refuse("null", document.error().message);
        return;
    }
    const json::Value root = document->root();
    const json::Value method = root.find("method");
    const json::Value params = root.find("params");
    const std::string id = root.find("id").to_string();
    if (!method.is_string() || !params.is_array()) {
        refuse(id, "expected {\"id\":..., \"method\": \"COMMAND\", \"params\": [...]}");
        return;
    }
    running_ = true;
    server_.used(this);
    Reply reply;
    reply.state_ = std::make_shared<Reply::State>();
    reply.state_->connection = weak_from_this();
    reply.state_->id = id;
    Args args;
    for (const json::Value param : params.array()) {
        if (!param.is_string()) {
            reply.error(fmt::format("\"{}\" command has non-string argument", method.string()));
            return;
        }
        args.push_back(param.str());
    }
    server_.run(method.str(), args, reply);
}

void Connection::refuse(const std::string& id, const std::string& why) {
    LOG_WARN_RL("bad request on the command socket: {}", why);
    input_.clear();
    scanned_ = 0;
    hang_up_ = true;
    answer(id, false, why);
}

void Connection::answer(const std::string& id, bool ok, std::string_view text) {
    if (fd_ < 0) {
        return;
    }
    running_ = false;
    output_ = answer_text(id, ok, text);
    written_ = 0;
    flush();
    if (fd_ >= 0) {
        pump();
    }
    if (fd_ >= 0) {
        if (end_of_input_ && !busy()) {
            close();
        } else {
            watch();
        }
    }
}

void Connection::flush() {
    while (written_ < output_.size()) {
        const ssize_t n =
            send(fd_, output_.data() + written_, output_.size() - written_, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n < 0) {
            output_.clear();
            close();
            return;
        }
        written_ += static_cast<size_t>(n);
    }
    output_.clear();
    output_.shrink_to_fit();
}

void Connection::watch() {
    if (fd_ >= 0) {
        server_.loop_.modify_fd(fd_, !output_.empty() ? Io::kWrite : running_ ? 0u : Io::kRead);
    }
}

}  // namespace sluice::rpc
