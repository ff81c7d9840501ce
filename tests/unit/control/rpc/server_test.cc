// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "control/rpc/builtin.h"
#include "control/rpc/socket.h"
#include "lib/base/log.h"
#include "tests/support/shell.h"

SLUICE_LOG_MODULE(rpc_test);

namespace sluice::rpc {
namespace {

/// A server on a thread of its own, with the commands the tests need.
class Daemon {
public:
    Daemon() : path_(dir_.path() + "/sluiced.1.ctl") {
        auto made = Server::listen(loop_, path_, "sluiced (sluice) 1.2.3");
        REQUIRE(made.ok());
        server_ = std::move(*made);
        server_->add("echo", "WORD...", 1, 3, [](const Args& args) -> Result<std::string> {
            std::string text;
            for (const std::string& arg : args) {
                text += arg + ";";
            }
            return text;
        });
        server_->add("fail", "", 0, 0,
                     [](const Args&) -> Result<std::string> { return Error{"no luck"}; });
        server_->add("big", "", 0, 0,
                     [](const Args&) -> Result<std::string> { return std::string(8 << 20, 'x'); });
        server_->add_async("later", "", 0, 0, [this](const Args&, const Reply& reply) {
            loop_.add_timer(20, [reply] { reply.ok("late"); });
        });
        server_->add_async("never", "", 0, 0, [](const Args&, const Reply&) {});
        server_->add_async("hold", "", 0, 0,
                           [this](const Args&, const Reply& reply) { held_.push_back(reply); });
        server_->add("release", "", 0, 0, [this](const Args&) -> Result<std::string> {
            for (const Reply& reply : held_) {
                reply.ok("released");
                reply.ok("twice");
            }
            held_.clear();
            return std::string();
        });
        BuiltinHooks hooks;
        hooks.coverage = [] {
            return std::vector<Coverage>{{"rx_packets", 12}, {"drop_loopback", 3}, {"idle", 0}};
        };
        hooks.exit = [this](bool restart, const Reply& reply) {
            restart_ = restart;
            reply.ok();
            loop_.stop();
        };
        add_builtin_commands(*server_, hooks);
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~Daemon() { join(); }
    void join() {
        if (thread_.joinable()) {
            loop_.stop();
            thread_.join();
            held_.clear();
            server_.reset();
        }
    }
    void wait_exit() {
        thread_.join();
        held_.clear();
        server_.reset();
    }
    ShellResult appctl(const std::string& words) const {
        return shell("ovs-appctl -T 20 -t " + path_ + " " + words + " 2>&1");
    }
    size_t connections() {
        std::atomic<size_t> n{SIZE_MAX};
        loop_.post([&] { n = server_->connections(); });
        while (n == SIZE_MAX) {
            std::this_thread::yield();
        }
        return n;
    }
    /// The end of a client is noticed soon, not at once.
    bool all_gone() {
        for (int i = 0; i < 2000 && connections() > 0; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        return connections() == 0;
    }
    const std::string& path() const { return path_; }
    bool restart() const { return restart_; }

private:
    TempDir dir_;
    std::string path_;
    EventLoop loop_;
    std::unique_ptr<Server> server_;
    std::vector<Reply> held_;
    std::atomic<bool> restart_{false};
    std::thread thread_;
};

/// A client that speaks bytes.
class Raw {
public:
    explicit Raw(const std::string& path) {
        const Result<int> fd = connect_unix(path);
        REQUIRE(fd.ok());
        fd_ = *fd;
        timeval patience{30, 0};
        setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    ~Raw() { ::close(fd_); }
    Raw(const Raw&) = delete;
    Raw& operator=(const Raw&) = delete;
    bool send(const std::string& text) {
        return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(text.size());
    }
    void half_close() { shutdown(fd_, SHUT_WR); }
    /// Up to n bytes, less at the end of the stream.
    std::string read(size_t n) {
        std::string text;
        char chunk[65536];
        while (text.size() < n) {
            const ssize_t got = recv(fd_, chunk, std::min(n - text.size(), sizeof chunk), 0);
            if (got <= 0) {
                break;
            }
            text.append(chunk, static_cast<size_t>(got));
        }
        return text;
    }
    std::string read_to_end() { return read(SIZE_MAX); }

private:
    int fd_;
};

std::string request(const std::string& method, const std::string& params = "[]") {
    return "{\"id\":0,\"method\":\"" + method + "\",\"params\":" + params + "}";
}

TEST_CASE("the stock ovs-appctl is served") {
    Daemon daemon;
    ShellResult out = daemon.appctl("version");
    CHECK(out.status == 0);
    CHECK(out.out == "sluiced (sluice) 1.2.3\n");
    out = daemon.appctl("list-commands");
    CHECK(out.status == 0);
    CHECK(out.out.rfind("The available commands are:\n", 0) == 0);
    CHECK(out.out.find("\n  echo                    WORD...\n") != std::string::npos);
    CHECK(out.out.find("\n  vlog/list\n") != std::string::npos);
    CHECK(daemon.appctl("echo 'a b' '\"\\' \xc3\xa4").out == "a b;\"\\;\xc3\xa4;\n");
    CHECK(daemon.appctl("later").out == "late\n");
    CHECK(daemon.appctl("coverage/show").out ==
          "drop_loopback                    total: 3\n"
          "rx_packets                       total: 12\n"
          "1 events never hit\n");
}

TEST_CASE("ovs-appctl shows errors as it does for ovs-vswitchd") {
    Daemon daemon;
    const std::string tail = "ovs-appctl: " + daemon.path() + ": server returned an error\n";
    ShellResult out = daemon.appctl("nonsense");
    CHECK(out.status == 2);
    CHECK(out.out ==
          "\"nonsense\" is not a valid command (use \"list-commands\" to see a list of valid "
          "commands)\n" +
              tail);
    CHECK(daemon.appctl("echo").out == "\"echo\" command requires at least 1 arguments\n" + tail);
    CHECK(daemon.appctl("echo 1 2 3 4").out ==
          "\"echo\" command takes at most 3 arguments\n" + tail);
    CHECK(daemon.appctl("fail").out == "no luck\n" + tail);
    CHECK(daemon.appctl("never").out == "the command ended without an answer\n" + tail);
    CHECK(daemon.appctl("exit now").status == 2);
}

TEST_CASE("log levels change at run time") {
    Daemon daemon;
    CHECK(daemon.appctl("vlog/set rpc_test:file:dbg").status == 0);
    CHECK(daemon.appctl("vlog/list").out.find("rpc_test          WARN        DBG\n") !=
          std::string::npos);
    CHECK(daemon.appctl("vlog/set rpc_test:console:err rpc_test:file:warn").status == 0);
    CHECK(daemon.appctl("vlog/list").out.find("rpc_test           ERR       WARN\n") !=
          std::string::npos);
    const ShellResult bad = daemon.appctl("vlog/set no_such_module:dbg");
    CHECK(bad.status == 2);
    CHECK(bad.out.find("no destination, level, or module \"no_such_module\"") == 0);
}

TEST_CASE("the log file closes and opens on request") {
    Daemon daemon;
    const TempDir dir;
    const std::string file = dir.path() + "/log";
    REQUIRE(log::open_file(file).ok());
    REQUIRE(daemon.appctl("vlog/set rpc_test:file:info").status == 0);
    REQUIRE(daemon.appctl("vlog/set rpc_test:console:off").status == 0);
    LOG_INFO("one");
    std::filesystem::rename(file, file + ".1");
    CHECK(daemon.appctl("vlog/reopen").status == 0);
    LOG_INFO("two");
    CHECK(daemon.appctl("vlog/close").status == 0);
    LOG_INFO("three");
    const auto text = [](const std::string& path) { return shell("cat " + path).out; };
    CHECK(text(file + ".1").find("|rpc_test|INFO|one\n") != std::string::npos);
    CHECK(text(file + ".1").find("two") == std::string::npos);
    CHECK(text(file).find("two") != std::string::npos);
    CHECK(text(file).find("three") == std::string::npos);
}

TEST_CASE("exit and exit --restart reach the hook and are answered") {
    for (const bool restart : {false, true}) {
        Daemon daemon;
        const ShellResult out = daemon.appctl(restart ? "exit --restart" : "exit");
        CHECK(out.status == 0);
        CHECK(out.out.empty());
        daemon.wait_exit();
        CHECK(daemon.restart() == restart);
        CHECK_FALSE(std::filesystem::exists(daemon.path()));
    }
}

TEST_CASE("garbage is answered by an error and the end of the connection") {
    Daemon daemon;
    const std::string garbage[] = {
        "hello\n",
        "[]",
        "{}",
        "{\"id\":0}",
        "{\"id\":0,\"method\":1,\"params\":[]}",
        "{\"id\":0,\"method\":\"version\",\"params\":{}}",
        "{\"id\":0 \"method\":\"version\"}",
        "{\"method\":\"version\",\"params\":[],\"id\":0]",
        std::string("{\"a\":\"\xff\xfe\"}"),
        "{\"id\":0,\"result\":\"x\",\"error\":null}",
        std::string(300, '['),
    };
    for (const std::string& text : garbage) {
        INFO(text);
        Raw raw(daemon.path());
        REQUIRE(raw.send(text));
        if (text[1] == '[') {
            raw.half_close();  // not complete, so not wrong either
            CHECK(raw.read_to_end().empty());
            continue;
        }
        const std::string answer = raw.read_to_end();
        CHECK(answer.find("\"result\":null") != std::string::npos);
        CHECK(answer.find("\"error\":\"") != std::string::npos);
    }
    CHECK(daemon.appctl("version").status == 0);
    CHECK(daemon.all_gone());
}

TEST_CASE("arguments must be strings, the id comes back as it was") {
    Daemon daemon;
    Raw raw(daemon.path());
    REQUIRE(raw.send("{\"method\":\"echo\",\"params\":[1],\"id\":{\"a\":[7,\"x\"]}}"));
    const std::string expected =
        "{\"id\":{\"a\":[7,\"x\"]},\"result\":null,"
        "\"error\":\"\\\"echo\\\" command has non-string argument\\n\"}";
    CHECK(raw.read(expected.size()) == expected);
}

TEST_CASE("a request longer than the limit is refused") {
    Daemon daemon;
    Raw raw(daemon.path());
    const std::string piece(1 << 16, 'a');
    REQUIRE(raw.send("{\"id\":0,\"method\":\"echo\",\"params\":[\""));
    for (size_t sent = 0; sent < 4 * Server::kMaxRequest && raw.send(piece);) {
        sent += piece.size();
    }
    // The server may close before all was sent; then the answer is lost with the connection.
    const std::string answer = raw.read_to_end();
    CHECK((answer.empty() || answer.find("request longer than") != std::string::npos));
    CHECK(daemon.appctl("version").status == 0);
}

TEST_CASE("requests may come byte by byte, or many at once") {
    Daemon daemon;
    Raw slow(daemon.path());
    for (const char c : request("echo", "[\"a\"]")) {
        REQUIRE(slow.send(std::string(1, c)));
    }
    const std::string one = "{\"id\":0,\"result\":\"a;\\n\",\"error\":null}";
    CHECK(slow.read(one.size()) == one);
    Raw many(daemon.path());
    std::string burst;
    std::string answers;
    for (int i = 0; i < 100; ++i) {
        const std::string n = std::to_string(i);
        burst += request("echo", "[\"" + n + "\"]") + (i % 3 ? " \n" : "");
        answers += "{\"id\":0,\"result\":\"" + n + ";\\n\",\"error\":null}";
    }
    REQUIRE(many.send(burst));
    many.half_close();
    CHECK(many.read_to_end() == answers);
}

TEST_CASE("requests on one connection are answered in order, a waiting one holds up its own only") {
    Daemon daemon;
    Raw held(daemon.path());
    REQUIRE(held.send(request("hold") + request("echo", "[\"b\"]")));
    CHECK(daemon.appctl("version").status == 0);
    CHECK(daemon.appctl("release").status == 0);
    const std::string expected =
        "{\"id\":0,\"result\":\"released\\n\",\"error\":null}"
        "{\"id\":0,\"result\":\"b;\\n\",\"error\":null}";
    CHECK(held.read(expected.size()) == expected);
}

TEST_CASE("a client that goes away while it waits is forgotten") {
    Daemon daemon;
    {
        Raw gone(daemon.path());
        REQUIRE(gone.send(request("hold")));
        CHECK(daemon.appctl("version").status == 0);
    }
    CHECK(daemon.appctl("release").status == 0);
    CHECK(daemon.all_gone());
}

TEST_CASE("a slow reader gets all of a large answer and holds up nobody") {
    Daemon daemon;
    Raw slow(daemon.path());
    REQUIRE(slow.send(request("big") + request("version")));
    CHECK(daemon.appctl("version").status == 0);
    const std::string head = "{\"id\":0,\"result\":\"";
    CHECK(slow.read(head.size()) == head);
    const std::string body = slow.read(8 << 20);
    CHECK(body == std::string(8 << 20, 'x'));
    slow.half_close();
    CHECK(
        slow.read_to_end() ==
        "\\n\",\"error\":null}{\"id\":0,\"result\":\"sluiced (sluice) 1.2.3\\n\",\"error\":null}");
}

TEST_CASE("200 clients at once are served; beyond the limit the longest idle makes room") {
    Daemon daemon;
    {
        std::vector<std::unique_ptr<Raw>> clients;
        for (int i = 0; i < 200; ++i) {
            clients.push_back(std::make_unique<Raw>(daemon.path()));
            REQUIRE(clients.back()->send(request("later")));
        }
        const std::string expected = "{\"id\":0,\"result\":\"late\\n\",\"error\":null}";
        for (auto& client : clients) {
            REQUIRE(client->read(expected.size()) == expected);
        }
    }
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    std::vector<std::unique_ptr<Raw>> clients;
    for (size_t i = 0; i < Server::kMaxConnections + 10; ++i) {
        clients.push_back(std::make_unique<Raw>(daemon.path()));
    }
    CHECK(daemon.appctl("version").status == 0);
    CHECK(clients.front()->read_to_end().empty());
    REQUIRE(clients.back()->send(request("echo", "[\"z\"]")));
    CHECK(clients.back()->read(20).size() == 20);
    CHECK(daemon.connections() <= Server::kMaxConnections);
}

TEST_CASE("a dead socket file is replaced, a live one and another file are not") {
    const TempDir dir;
    EventLoop loop;
    const std::string path = dir.path() + "/x.ctl";
    const Result<int> dead = listen_unix(path);
    REQUIRE(dead.ok());
    const auto live = Server::listen(loop, path, "v");
    CHECK_FALSE(live.ok());
    CHECK(live.error().message.find("another process answers there") != std::string::npos);
    ::close(*dead);
    CHECK(Server::listen(loop, path, "v").ok());
    CHECK_FALSE(std::filesystem::exists(path));
    shell("echo data > " + path);
    CHECK_FALSE(Server::listen(loop, path, "v").ok());
    CHECK(shell("cat " + path).out == "data\n");
    const auto nowhere = Server::listen(loop, dir.path() + "/no/x.ctl", "v");
    REQUIRE_FALSE(nowhere.ok());
    CHECK(nowhere.error().message.find("create its folder") != std::string::npos);
}

TEST_CASE("a path longer than a socket address is fine, and only its owner may use it") {
    const TempDir dir;
    EventLoop loop;
    const std::string folder = dir.path() + "/" + std::string(120, 'd');
    REQUIRE(mkdir(folder.c_str(), 0755) == 0);
    const std::string path = folder + "/sluiced.1.ctl";
    const auto server = Server::listen(loop, path, "v");
    REQUIRE(server.ok());
    const Result<int> fd = connect_unix(path);
    CHECK(fd.ok());
    ::close(*fd);
    struct stat status {};
    REQUIRE(stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0027) == 0);
}

}  // namespace
}  // namespace sluice::rpc
