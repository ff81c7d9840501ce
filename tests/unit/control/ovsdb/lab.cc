// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/ovsdb/lab.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace ovsdb_lab {

using sluice::EventLoop;
using sluice::Uuid;
namespace json = sluice::json;
namespace ovsdb = sluice::ovsdb;

const char kSchema[] = R"({"name":"Lab","version":"1.0.0","tables":{
 "Port":{"isRoot":true,"indexes":[["name"]],"columns":{
  "name":{"type":"string"},
  "number":{"type":{"key":{"type":"integer","minInteger":0,"maxInteger":1000}}},
  "weight":{"type":"real"},
  "up":{"type":{"key":"boolean","min":0,"max":1}},
  "tags":{"type":{"key":"string","min":0,"max":"unlimited"}},
  "numbers":{"type":{"key":"integer","min":0,"max":"unlimited"}},
  "options":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
  "group":{"type":{"key":{"type":"uuid","refTable":"Group","refType":"strong"},"min":0,"max":1}},
  "peers":{"type":{"key":{"type":"uuid","refTable":"Port","refType":"weak"},"min":0,"max":"unlimited"}}}},
 "Group":{"columns":{
  "label":{"type":"string"},
  "by_number":{"type":{"key":"integer","value":"string","min":0,"max":"unlimited"}}}}}})";

Lab::Lab() {
    std::string name = "/tmp/sluice-ovsdb-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    dir_ = name;
}

Lab::~Lab() {
    const std::vector<pid_t> left = running_;
    for (const pid_t pid : left) {
        stop(pid, SIGKILL);
    }
    std::filesystem::remove_all(dir_);
}

void Lab::write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
}

std::string Lab::read(const std::string& name) const {
    std::ifstream in(path(name), std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

pid_t Lab::spawn(const Argv& argv, const std::string& log) {
    const std::string out = path(log);
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int fd = open(out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        setenv("OVS_RUNDIR", dir_.c_str(), 1);
        setenv("OVN_RUNDIR", dir_.c_str(), 1);
        std::vector<char*> args;
        for (const std::string& arg : argv) {
            args.push_back(const_cast<char*>(arg.c_str()));
        }
        args.push_back(nullptr);
        execvp(args[0], args.data());
        _exit(127);
    }
    running_.push_back(pid);
    return pid;
}

void Lab::stop(pid_t pid, int signal) {
    const auto it = std::find(running_.begin(), running_.end(), pid);
    if (it != running_.end()) {
        running_.erase(it);
        kill(pid, signal);
        waitpid(pid, nullptr, 0);
    }
}

int Lab::try_run(const Argv& argv, std::string* output) const {
    static int serial = 0;
    const std::string log = "run" + std::to_string(++serial);
    Lab& self = const_cast<Lab&>(*this);
    const pid_t pid = self.spawn(argv, log);
    int status = 0;
    waitpid(pid, &status, 0);
    self.running_.erase(std::find(self.running_.begin(), self.running_.end(), pid));
    *output = read(log);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string Lab::run(const Argv& argv) const {
    std::string output;
    const int status = try_run(argv, &output);
    std::string command;
    for (const std::string& arg : argv) {
        command += arg + " ";
    }
    INFO(command << "\n" << output);
    REQUIRE(status == 0);
    return output;
}

uint16_t Lab::free_port() {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

Server::Server(Lab* lab, const std::string& name, Model model, const std::string& schema,
               Argv remotes, Argv options)
    : lab_(*lab), name_(name), remotes_(std::move(remotes)), options_(std::move(options)) {
    lab_.write(name_ + ".ovsschema", schema);
    database_ = json::Document::parse(schema)->root().find("name").str();
    if (model == Model::kStandalone) {
        lab_.run({"ovsdb-tool", "create", db_path(), lab_.path(name_ + ".ovsschema")});
    } else {
        lab_.run({"ovsdb-tool", "create-cluster", db_path(), lab_.path(name_ + ".ovsschema"),
                  "unix:" + lab_.path(name_ + ".raft")});
    }
}

void Server::start() {
    Argv argv = {"ovsdb-server", "--no-chdir", "--remote=p" + unix_remote(),
                 "--unixctl=" + lab_.path(name_ + ".ctl"), "-vconsole:info"};
    for (const std::string& remote : remotes_) {
        argv.push_back("--remote=" + remote);
    }
    argv.insert(argv.end(), options_.begin(), options_.end());
    argv.push_back(db_path());
    unlink(lab_.path(name_ + ".sock").c_str());
    pid_ = lab_.spawn(argv, name_ + ".log");
    // Up when its database can be asked (a clustered one elects itself first).
    lab_.run({"ovsdb-client", "--timeout=20", "wait", unix_remote(), database_, "connected"});
}

void Server::stop(int signal) {
    lab_.stop(pid_, signal);
    pid_ = -1;
}

std::string Server::control(const Argv& command) const {
    Argv argv = {"ovs-appctl", "-t", lab_.path(name_ + ".ctl")};
    argv.insert(argv.end(), command.begin(), command.end());
    return lab_.run(argv);
}

json::Document Server::transact(const std::string& operations) const {
    const std::string output = lab_.run({"ovsdb-client", "--timeout=20", "transact", unix_remote(),
                                         "[\"" + database_ + "\"," + operations + "]"});
    auto document = json::Document::parse(output);
    REQUIRE(document.ok());
    for (const json::Value result : document->root().array()) {
        INFO(output);
        REQUIRE_FALSE(result.has("error"));
    }
    return *document;
}

void turn_until(EventLoop* loop, const std::function<bool()>& done) {
    const int64_t deadline_ms = EventLoop::now_ms() + 20000;
    while (!done()) {
        REQUIRE(EventLoop::now_ms() < deadline_ms);
        loop->run_once(20);
    }
}

namespace {

using Cells = std::map<std::string, std::string>;

std::map<Uuid, Cells> dumped_rows(json::Value dump, const ovsdb::Replica& replica, uint32_t table) {
    std::vector<std::string> headings;
    for (const json::Value heading : dump.find("headings").array()) {
        headings.push_back(heading.str());
    }
    std::map<Uuid, Cells> rows;
    for (const json::Value row : dump.find("data").array()) {
        Cells cells;
        Uuid uuid;
        size_t i = 0;
        for (const json::Value cell : row.array()) {
            const std::string& name = headings[i++];
            if (name == "_uuid") {
                uuid = *sluice::parse_uuid(cell.at(1).string());
                continue;
            }
            const auto column = replica.column_index(table, name);
            if (column) {
                const auto datum =
                    ovsdb::Datum::from_json(cell, replica.column_type(table, *column));
                REQUIRE(datum.ok());
                cells[name] = datum->to_string();
            }
        }
        rows[uuid] = cells;
    }
    return rows;
}

}  // namespace

void check_equals_dump(const Lab& lab, const std::string& remote, const std::string& database,
                       const ovsdb::Replica& replica) {
    const std::string output = lab.run(
        {"ovsdb-client", "--timeout=20", "--format=json", "--data=json", "dump", remote, database});
    std::istringstream lines(output);
    size_t tables = 0;
    for (std::string line; std::getline(lines, line);) {
        const auto document = json::Document::parse(line);
        REQUIRE(document.ok());
        std::string caption = document->root().find("caption").str();
        caption = caption.substr(0, caption.find(' '));
        const auto table = replica.table_index(caption);
        if (!table) {
            continue;
        }
        ++tables;
        INFO("table " << caption);
        const auto expected = dumped_rows(document->root(), replica, *table);
        CHECK(replica.rows(*table).size() == expected.size());
        for (const auto& [uuid, cells] : expected) {
            const ovsdb::RowPtr row = replica.find(*table, uuid);
            REQUIRE(row != nullptr);
            for (const auto& [name, text] : cells) {
                INFO(caption << "." << name << " of " << sluice::to_string(uuid));
                CHECK((*row)[*replica.column_index(*table, name)].to_string() == text);
            }
        }
    }
    CHECK(tables == replica.table_count() -
                        static_cast<size_t>(std::count_if(
                            replica.missing().begin(), replica.missing().end(),
                            [](const std::string& name) { return name.find('.') == name.npos; })));
}

void Follower::apply(const ovsdb::Update& update) {
    for (const ovsdb::RowChange& change : update.changes) {
        auto& rows = tables_[change.table];
        const auto it = rows.find(change.uuid);
        if (change.before == nullptr) {
            REQUIRE(it == rows.end());
        } else {
            REQUIRE(it != rows.end());
            REQUIRE(it->second == change.before);
        }
        REQUIRE((change.before != nullptr || change.after != nullptr));
        if (change.before != nullptr && change.after != nullptr) {
            CHECK(change.changed != 0);
            for (size_t i = 0; i < change.after->columns.size(); ++i) {
                CHECK(change.has_changed(i) == !((*change.before)[i] == (*change.after)[i]));
            }
        }
        if (change.after == nullptr) {
            rows.erase(change.uuid);
        } else {
            rows[change.uuid] = change.after;
        }
    }
    updates.push_back(update);
}

size_t Follower::rows(uint32_t table) const {
    const auto it = tables_.find(table);
    return it == tables_.end() ? 0 : it->second.size();
}

bool Follower::equals(const ovsdb::Replica& replica) const {
    for (uint32_t table = 0; table < replica.table_count(); ++table) {
        if (rows(table) != replica.rows(table).size()) {
            return false;
        }
        for (const auto& [uuid, row] : replica.rows(table)) {
            const auto& ours = tables_.at(table);
            const auto it = ours.find(uuid);
            if (it == ours.end() || it->second != row) {
                return false;
            }
        }
    }
    return true;
}

}  // namespace ovsdb_lab
