// SPDX-License-Identifier: Apache-2.0
#include "tools/sluicectl/client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "control/rpc/socket.h"
#include "lib/json/json.h"
#include "lib/json/scanner.h"
#include "lib/json/writer.h"
#include "tools/daemon/pidfile.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

bool answers(const std::string& socket) {
    const Result<int> fd = rpc::connect_unix(socket);
    if (fd) {
        ::close(*fd);
    }
    return fd.ok();
}

Result<std::string> find_without_pidfile(const std::string& target, const std::string& run_dir) {
    std::vector<std::string> live;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(run_dir, ignored)) {
        const std::string name = entry.path().filename().string();
        if (name.rfind(target + ".", 0) == 0 && entry.path().extension() == ".ctl" &&
            answers(entry.path().string())) {
            live.push_back(entry.path().string());
        }
    }
    if (live.size() == 1) {
        return live.front();
    }
    if (live.empty()) {
        return Error{fmt::format(
            "no {0} runs in {1} (no pidfile {0}.pid, no socket {0}.*.ctl); is it started, and with "
            "the same OVS_RUNDIR? -t SOCKET names it directly",
            target, run_dir)};
    }
    return Error{fmt::format("more than one {} runs in {}: choose one of {} with -t", target,
                             run_dir, fmt::join(live, ", "))};
}

/// Waits until `fd` can be read or written; false when the time is over.
bool wait_for(int fd, short events, Clock::time_point end, bool forever) {
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
        if (!forever && left <= 0) {
            return false;
        }
        pollfd p{fd, events, 0};
        const int n = poll(&p, 1, forever ? -1 : static_cast<int>(left));
        if (n > 0) {
            return true;
        }
    }
}

Result<CtlAnswer> read_answer(const std::string& socket, const std::string& text) {
    const Result<json::Document> document = json::Document::parse(text);
    if (!document) {
        return document.error().with_context(socket);
    }
    const json::Value error = document->root().find("error");
    if (!error.is_null()) {
        return CtlAnswer{false, error.is_string() ? error.str() : error.to_string()};
    }
    return CtlAnswer{true, document->root().find("result").str()};
}

}  // namespace

Result<std::string> find_socket(const std::string& target, const std::string& run_dir) {
    if (target.find('/') != std::string::npos) {
        return target;
    }
    const std::string pidfile = run_dir + "/" + target + ".pid";
    if (const pid_t pid = running_pid(pidfile); pid > 0) {
        const std::string socket = fmt::format("{}/{}.{}.ctl", run_dir, target, pid);
        if (fs::exists(socket)) {
            return socket;
        }
        return Error{
            fmt::format("{} says pid {}, but {} is not there; was {} started with "
                        "--unixctl? then name that socket with -t",
                        pidfile, pid, socket, target)};
    }
    return find_without_pidfile(target, run_dir);
}

Result<CtlAnswer> call(const std::string& socket, const std::string& method,
                       const std::vector<std::string>& args, unsigned timeout_s) {
    const Result<int> connected = rpc::connect_unix(socket);
    if (!connected) {
        return connected.error();
    }
    const int fd = *connected;
    json::Writer w;
    w.begin_object().member("id").value(0).member("method").value(method).member("params");
    w.begin_array();
    for (const std::string& arg : args) {
        w.value(arg);
    }
    std::string request = w.end_array().end_object().take();
    const bool forever = timeout_s == 0;
    const auto end = Clock::now() + std::chrono::seconds(timeout_s);
    const auto fail = [&](const std::string& why) -> Result<CtlAnswer> {
        ::close(fd);
        return Error{fmt::format("{} of {}: {}", method, socket, why)};
    };
    while (!request.empty()) {
        if (!wait_for(fd, POLLOUT, end, forever)) {
            return fail(fmt::format("no answer in {} s", timeout_s));
        }
        const ssize_t n = send(fd, request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return fail(std::strerror(errno));
        }
        request.erase(0, n < 0 ? 0 : static_cast<size_t>(n));
    }
    std::string text;
    json::Scanner scanner;
    std::vector<char> chunk(1 << 16);
    for (;;) {
        if (!wait_for(fd, POLLIN, end, forever)) {
            return fail(fmt::format("no answer in {} s", timeout_s));
        }
        const ssize_t n = recv(fd, chunk.data(), chunk.size(), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            continue;
        }
        if (n <= 0) {
            return fail("the daemon closed the connection");
        }
        const std::string_view piece(chunk.data(), static_cast<size_t>(n));
        const json::Scanner::Step step = scanner.feed(piece);
        text += piece.substr(0, step.used);
        if (step.state == json::Scanner::State::kBad) {
            return fail("the answer is not JSON-RPC");
        }
        if (step.state == json::Scanner::State::kDone) {
            ::close(fd);
            return read_answer(socket, text);
        }
    }
}

}  // namespace sluice
