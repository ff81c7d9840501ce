// SPDX-License-Identifier: Apache-2.0
// A temporary directory with real OVSDB servers and tools in it; everything started is ended by
// its pid and everything written is removed when the lab goes out of scope.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/ovsdb/client.h"
#include "lib/base/event_loop.h"
#include "lib/json/json.h"

namespace ovsdb_lab {

using Argv = std::vector<std::string>;

class Lab {
public:
    Lab();
    ~Lab();
    Lab(const Lab&) = delete;
    Lab& operator=(const Lab&) = delete;

    std::string path(const std::string& name) const { return dir_ + "/" + name; }
    void write(const std::string& name, const std::string& text) const;
    std::string read(const std::string& name) const;
    /// Runs to the end; the exit status must be 0. Standard output comes back.
    std::string run(const Argv& argv) const;
    /// Without that demand; `output` takes standard output and error.
    int try_run(const Argv& argv, std::string* output) const;
    pid_t spawn(const Argv& argv, const std::string& log);
    void stop(pid_t pid, int signal);

    static uint16_t free_port();

private:
    std::string dir_;
    std::vector<pid_t> running_;
};

/// The schema most tests use: every kind of column, a reference, an index (unique name).
extern const char kSchema[];

/// One ovsdb-server; its database survives stop() and start().
class Server {
public:
    enum class Model { kStandalone, kClustered };
    /// `remotes`: further listeners ("ptcp:PORT:127.0.0.1"), `options`: further arguments.
    Server(Lab* lab, const std::string& name, Model model, const std::string& schema = kSchema,
           Argv remotes = {}, Argv options = {});

    void start();
    void stop(int signal = 9);
    std::string unix_remote() const { return "unix:" + lab_.path(name_ + ".sock"); }
    std::string db_path() const { return lab_.path(name_ + ".db"); }
    /// ovs-appctl to the server.
    std::string control(const Argv& command) const;
    /// ovsdb-client transact: `operations` is what follows the database's name.
    sluice::json::Document transact(const std::string& operations) const;

private:
    Lab& lab_;
    std::string name_;
    std::string database_;
    Argv remotes_;
    Argv options_;
    pid_t pid_ = -1;
};

/// Turns the loop until `done` (fails after 20 s).
void turn_until(sluice::EventLoop* loop, const std::function<bool()>& done);

/// Every table of the replica compared, row by row and column by column, with what ovsdb-client
/// reads by itself.
void check_equals_dump(const Lab& lab, const std::string& remote, const std::string& database,
                       const sluice::ovsdb::Replica& replica);

/// A second copy of the contents kept from the deltas alone, which must fit together.
class Follower {
public:
    void apply(const sluice::ovsdb::Update& update);
    size_t rows(uint32_t table) const;
    bool equals(const sluice::ovsdb::Replica& replica) const;
    std::vector<sluice::ovsdb::Update> updates;

private:
    std::map<uint32_t, std::map<sluice::Uuid, sluice::ovsdb::RowPtr>> tables_;
};

}  // namespace ovsdb_lab
