// SPDX-License-Identifier: Apache-2.0
// The client against the real ovsdb-server: contents, deltas, conditions, resume.
#include "control/ovsdb/client.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/control/ovsdb/lab.h"

using namespace ovsdb_lab;
using sluice::EventLoop;
using sluice::Uuid;
namespace ovsdb = sluice::ovsdb;
using ovsdb::Datum;

namespace {

enum Table : uint32_t { kPort, kGroup };
enum PortColumn : size_t {
    kName,
    kNumber,
    kWeight,
    kUp,
    kTags,
    kNumbers,
    kOptions,
    kGroupRef,
    kPeers
};

ovsdb::ClientOptions lab_options(const std::string& remotes) {
    ovsdb::ClientOptions options;
    options.database = "Lab";
    options.remotes = remotes;
    options.tables = {
        {"Port",
         {"name", "number", "weight", "up", "tags", "numbers", "options", "group", "peers"},
         {}},
        {"Group", {"label", "by_number"}, {}}};
    options.backoff_min_ms = 20;
    options.backoff_max_ms = 200;
    return options;
}

struct Fixture {
    Lab lab;
    EventLoop loop;
    Follower follower;
    std::unique_ptr<ovsdb::Client> client;

    void connect(ovsdb::ClientOptions options) {
        client = std::make_unique<ovsdb::Client>(
            &loop, std::move(options),
            ovsdb::Client::Callbacks{[this](const ovsdb::Update& u) { follower.apply(u); }, {}});
        REQUIRE(client->start().ok());
    }
    void sync(uint64_t times = 1) {
        turn_until(&loop, [&] { return client->synced() && client->counters().syncs >= times; });
    }
    bool has_port(const std::string& name) const {
        for (const auto& [uuid, row] : client->replica().rows(kPort)) {
            if ((*row)[kName].string() == name) {
                return true;
            }
        }
        return false;
    }
    void await_port(const std::string& name) {
        turn_until(&loop, [&] { return has_port(name); });
    }
};

constexpr char kContents[] = R"(
 {"op":"insert","table":"Group","uuid-name":"g","row":{"label":"first \"group\" \u00e9\n","by_number":["map",[[1,"one"],[2,"two"]]]}},
 {"op":"insert","table":"Port","uuid-name":"p1","row":{"name":"p1","number":7,"weight":0.5,"up":true,
  "tags":["set",["b","a"]],"numbers":["set",[3,1,2]],"options":["map",[["k","v"],["a","b"]]],"group":["named-uuid","g"]}},
 {"op":"insert","table":"Port","row":{"name":"p2","peers":["set",[["named-uuid","p1"]]]}},
 {"op":"insert","table":"Port","row":{"name":"p3","number":1000,"weight":-1.5e300,"up":false}})";

std::string insert_port(const std::string& name, int number = 0) {
    return R"({"op":"insert","table":"Port","row":{"name":")" + name + R"(","number":)" +
           std::to_string(number) + "}}";
}

}  // namespace

TEST_CASE_METHOD(Fixture, "contents and deltas are what ovsdb-client dumps") {
    Server server(&lab, "db", Server::Model::kStandalone);
    server.start();
    server.transact(kContents);
    connect(lab_options(server.unix_remote()));
    sync();
    CHECK(client->replica().missing().empty());
    CHECK(client->schema()->version == "1.0.0");
    check_equals_dump(lab, server.unix_remote(), "Lab", client->replica());
    CHECK(follower.equals(client->replica()));
    REQUIRE(follower.updates.size() == 1);
    CHECK(follower.updates[0].sync);
    CHECK(follower.updates[0].changes.size() == 4);

    const std::vector<std::string> steps = {
        R"({"op":"update","table":"Port","where":[["name","==","p1"]],"row":{"number":8,"up":["set",[]]}})",
        R"({"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["tags","insert",["set",["c","d"]]],["tags","delete","a"]]})",
        R"({"op":"mutate","table":"Port","where":[],"mutations":[["options","delete",["set",["k"]]],["options","insert",["map",[["k","w"],["n","m"]]]]]})",
        R"({"op":"update","table":"Group","where":[],"row":{"by_number":["map",[[2,"zwei"],[3,"drei"]]],"label":""}})",
        R"({"op":"update","table":"Port","where":[["name","==","p2"]],"row":{"options":["map",[]],"weight":3}})",
        R"({"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["numbers","+=",5]]})",
        R"({"op":"delete","table":"Port","where":[["name","==","p1"]]})",  // takes the group and a
                                                                           // weak reference too
        R"({"op":"delete","table":"Port","where":[["name","==","p3"]]},{"op":"insert","table":"Port","row":{"name":"p3","number":4}})",
    };
    for (size_t i = 0; i < steps.size(); ++i) {
        INFO(steps[i]);
        const std::string marker = "mark" + std::to_string(i);
        server.transact(steps[i]);
        server.transact(insert_port(marker));
        await_port(marker);
        check_equals_dump(lab, server.unix_remote(), "Lab", client->replica());
        CHECK(follower.equals(client->replica()));
    }
    // One commit, one update: the deletion of p1 changed two tables and another row at once.
    bool seen = false;
    for (const ovsdb::Update& update : follower.updates) {
        size_t gone = 0;
        size_t modified = 0;
        for (const ovsdb::RowChange& change : update.changes) {
            gone += change.after == nullptr;
            modified += change.before != nullptr && change.after != nullptr &&
                        change.changed == uint64_t{1} << kPeers;
        }
        seen = seen || (gone == 2 && modified == 1 && update.changes.size() == 3);
    }
    CHECK(seen);
}

TEST_CASE_METHOD(Fixture, "all columns of a table, and what the server lacks") {
    Server server(&lab, "db", Server::Model::kStandalone);
    server.start();
    server.transact(kContents);
    auto options = lab_options(server.unix_remote());
    options.tables = {
        {"Group", {}, {}}, {"Port", {"future", "name"}, {}}, {"Future_Table", {"a", "b"}, {}}};
    connect(options);
    sync();
    const ovsdb::Replica& replica = client->replica();
    CHECK(replica.missing() == std::vector<std::string>{"Port.future", "Future_Table"});
    CHECK(replica.spec(0).columns == std::vector<std::string>{"by_number", "label"});
    CHECK(replica.rows(1).size() == 3);
    for (const auto& [uuid, row] : replica.rows(1)) {
        CHECK((*row)[0].empty());
        CHECK((*row)[1].string().size() == 2);
    }
    CHECK_FALSE(client->schema()->has_column("Port", "future"));
    CHECK(client->schema()->has_column("Port", "name"));
}

TEST_CASE_METHOD(Fixture, "the Southbound schema, both reader columns, from a real database") {
    Server server(&lab, "sb", Server::Model::kStandalone, [] {
        std::string text;
        Lab reader;
        return reader.run({"cat", "/usr/share/ovn/ovn-sb.ovsschema"});
    }());
    server.start();
    server.transact(
        R"({"op":"insert","table":"Datapath_Binding","uuid-name":"dp","row":{"tunnel_key":1}},
           {"op":"insert","table":"Port_Binding","row":{"logical_port":"vm1","datapath":["named-uuid","dp"],"tunnel_key":1}})");
    auto options = lab_options(server.unix_remote());
    options.database = "OVN_Southbound";
    options.tables = {
        {"Datapath_Binding", {}, {}}, {"Port_Binding", {}, {}}, {"Logical_Flow", {}, {}},
        {"Chassis", {}, {}},          {"Encap", {}, {}},        {"SB_Global", {}, {}}};
    connect(options);
    sync();
    check_equals_dump(lab, server.unix_remote(), "OVN_Southbound", client->replica());
}

TEST_CASE_METHOD(Fixture, "conditions select rows and change while connected") {
    Server server(&lab, "db", Server::Model::kStandalone);
    server.start();
    server.transact(kContents);
    auto options = lab_options(server.unix_remote());
    options.tables[kPort].condition = ovsdb::Condition::none();
    connect(options);
    sync();
    CHECK(client->replica().rows(kPort).empty());
    CHECK(client->replica().rows(kGroup).size() == 1);

    const auto await = [&](uint64_t seq) {
        turn_until(&loop, [&] { return client->condition_seq() >= seq; });
        CHECK(follower.updates.back().condition_seq == client->condition_seq());
        CHECK(follower.equals(client->replica()));
    };
    await(client->set_condition(kPort, ovsdb::Condition::any_of({{"name", "==", Datum("p1")}})));
    CHECK(client->replica().rows(kPort).size() == 1);
    // Two calls in one turn are one request; rows stay, come and go.
    client->set_condition(kPort, ovsdb::Condition::all());
    await(client->set_condition(kPort, ovsdb::Condition::any_of({{"name", "==", Datum("p2")},
                                                                 {"number", "==", Datum(1000)}})));
    CHECK(client->replica().rows(kPort).size() == 2);
    CHECK(has_port("p2"));
    CHECK(has_port("p3"));
    // A row that changes into or out of the condition comes and goes.
    server.transact(
        R"({"op":"update","table":"Port","where":[["name","==","p1"]],"row":{"number":1000}})");
    await_port("p1");
    await(client->set_condition(kPort, ovsdb::Condition::none()));
    CHECK(client->replica().rows(kPort).empty());
    await(client->set_condition(kPort, ovsdb::Condition::all()));
    check_equals_dump(lab, server.unix_remote(), "Lab", client->replica());
    // The same again is no change.
    const uint64_t seq = client->condition_seq();
    CHECK(client->set_condition(kPort, ovsdb::Condition::all()) == seq);
    // A bad one is told by the server; the session goes on trying.
    client->set_condition(kPort, ovsdb::Condition::any_of({{"nonsense", "==", Datum(1)}}));
    turn_until(&loop, [&] { return !client->synced(); });
    CHECK(client->status().last_error.find("refuses a condition") != std::string::npos);
}

TEST_CASE_METHOD(Fixture,
                 "a clustered server that was restarted is resumed: only the delta comes") {
    Server server(&lab, "db", Server::Model::kClustered);
    server.start();
    server.transact(kContents);
    // A server keeps no more history than its database is large: ballast, then the last commit.
    std::string ballast = insert_port("ballast0");
    for (int i = 1; i < 40; ++i) {
        ballast += "," + insert_port("ballast" + std::to_string(i));
    }
    server.transact(ballast);
    server.transact(insert_port("last"));
    connect(lab_options(server.unix_remote()));
    sync();
    CHECK(client->counters().replacements == 1);
    CHECK(client->counters().sync_rows == 45);
    CHECK_FALSE(client->last_txn_id().is_zero());

    server.stop(SIGKILL);
    turn_until(&loop, [&] { return !client->synced(); });
    CHECK(client->replica().rows(kPort).size() == 44);  // an outage changes nothing
    // While we cannot see it: written by others between the server's start and our return.
    ovsdb::Client* const ours = client.get();
    REQUIRE(ours->set_remotes("unix:" + lab.path("nowhere.sock")).ok());
    server.start();
    server.transact(
        insert_port("new") +
        R"(,{"op":"delete","table":"Port","where":[["name","==","p3"]]})"
        R"(,{"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["tags","insert","z"]]})");
    REQUIRE(ours->set_remotes(server.unix_remote()).ok());
    sync(2);
    CHECK(client->counters().resumes == 1);
    CHECK(client->counters().replacements == 1);
    CHECK(client->counters().sync_rows == 3);
    CHECK(follower.updates.back().changes.size() == 3);
    CHECK(follower.equals(client->replica()));
    check_equals_dump(lab, server.unix_remote(), "Lab", client->replica());

    // Nothing happened meanwhile: nothing is sent.
    client->reconnect();
    sync(3);
    CHECK(client->counters().resumes == 2);
    CHECK(client->counters().sync_rows == 0);

    // The history is gone (compaction and restart): the whole contents come, the difference is
    // told.
    REQUIRE(ours->set_remotes("unix:" + lab.path("nowhere.sock")).ok());
    turn_until(&loop, [&] { return !client->synced(); });
    server.transact(R"({"op":"delete","table":"Port","where":[["name","==","p2"]]},)" +
                    insert_port("newer"));
    // The answer comes before the compacted file is in its place.
    const auto inode = [&] {
        struct stat file {};
        REQUIRE(stat(server.db_path().c_str(), &file) == 0);
        return file.st_ino;
    };
    const auto before = inode();
    server.control({"ovsdb-server/compact"});
    turn_until(&loop, [&] { return inode() != before; });
    server.stop();
    server.start();
    REQUIRE(ours->set_remotes(server.unix_remote()).ok());
    sync(4);
    CHECK(client->counters().replacements == 2);
    CHECK(client->counters().sync_rows == 45);
    CHECK(follower.updates.back().changes.size() == 2);
    CHECK(follower.equals(client->replica()));
    check_equals_dump(lab, server.unix_remote(), "Lab", client->replica());
}

TEST_CASE_METHOD(Fixture, "conditions that changed during an outage take hold after the resume") {
    Server server(&lab, "db", Server::Model::kClustered);
    server.start();
    server.transact(kContents);
    auto options = lab_options(server.unix_remote());
    options.tables[kPort].condition = ovsdb::Condition::any_of({{"name", "==", Datum("p1")}});
    connect(options);
    sync();
    server.stop();
    turn_until(&loop, [&] { return !client->synced(); });
    const uint64_t seq = client->set_condition(kPort, ovsdb::Condition::all());
    server.start();
    sync(2);
    turn_until(&loop, [&] { return client->condition_seq() == seq; });
    CHECK(client->counters().resumes == 1);
    CHECK(client->replica().rows(kPort).size() == 3);
    CHECK(follower.equals(client->replica()));
    check_equals_dump(lab, server.unix_remote(), "Lab", client->replica());
}

TEST_CASE_METHOD(Fixture,
                 "a standalone server has no history: replaced whole, told as a difference") {
    Server server(&lab, "db", Server::Model::kStandalone);
    server.start();
    server.transact(kContents);
    connect(lab_options(server.unix_remote()));
    sync();
    server.stop();
    turn_until(&loop, [&] { return !client->synced(); });
    server.start();
    server.transact(insert_port("new"));
    sync(2);
    await_port("new");
    CHECK(client->counters().resumes == 0);
    CHECK(follower.equals(client->replica()));
    size_t changes = 0;
    for (size_t i = 1; i < follower.updates.size(); ++i) {
        changes += follower.updates[i].changes.size();
    }
    CHECK(changes == 1);
}

TEST_CASE_METHOD(Fixture, "a schema that changed under the client is picked up") {
    Server server(&lab, "db", Server::Model::kStandalone);
    server.start();
    server.transact(kContents);
    auto options = lab_options(server.unix_remote());
    options.tables[kPort].columns.push_back("extra");
    connect(options);
    sync();
    CHECK(client->replica().missing() == std::vector<std::string>{"Port.extra"});
    std::string schema = kSchema;
    schema.replace(schema.find("\"number\""), 0, R"("extra":{"type":"string"},)");
    schema.replace(schema.find("1.0.0"), 5, "1.1.0");
    lab.write("new.ovsschema", schema);
    lab.run({"ovsdb-client", "--timeout=20", "convert", server.unix_remote(),
             lab.path("new.ovsschema")});
    sync(2);
    CHECK(client->replica().missing().empty());
    CHECK(client->schema()->version == "1.1.0");
    server.transact(R"({"op":"update","table":"Port","where":[],"row":{"extra":"x"}})");
    turn_until(&loop, [&] {
        for (const auto& [uuid, row] : client->replica().rows(kPort)) {
            if ((*row)[9].string() != "x") {
                return false;
            }
        }
        return true;
    });
    check_equals_dump(lab, server.unix_remote(), "Lab", client->replica());
    CHECK(follower.equals(client->replica()));
}

TEST_CASE_METHOD(Fixture, "the leader of a cluster is found, and followed") {
    Server first(&lab, "s1", Server::Model::kClustered);
    first.start();
    first.transact(kContents);
    for (const std::string name : {"s2", "s3"}) {
        lab.run({"ovsdb-tool", "join-cluster", lab.path(name + ".db"), "Lab",
                 "unix:" + lab.path(name + ".raft"), "unix:" + lab.path("s1.raft")});
        lab.spawn(
            {"ovsdb-server", "--no-chdir", "--remote=punix:" + lab.path(name + ".sock"),
             "--unixctl=" + lab.path(name + ".ctl"), "-vconsole:info", lab.path(name + ".db")},
            name + ".log");
        lab.run({"ovsdb-client", "--timeout=20", "wait", "unix:" + lab.path(name + ".sock"), "Lab",
                 "connected"});
    }
    const std::string s1 = "unix:" + lab.path("s1.sock");
    const std::string s2 = "unix:" + lab.path("s2.sock");
    const std::string s3 = "unix:" + lab.path("s3.sock");
    auto options = lab_options(s2 + "," + s3 + "," + s1);
    options.shuffle_remotes = false;
    connect(options);
    sync();
    CHECK(client->status().remote == s1);
    CHECK(client->counters().attempts == 3);
    CHECK(client->status().last_error.find("not the leader") != std::string::npos);

    first.stop(SIGTERM);
    sync(2);
    CHECK(client->status().remote != s1);
    CHECK(client->counters().resumes == 1);
    CHECK(client->counters().sync_rows == 0);
    check_equals_dump(lab, client->status().remote, "Lab", client->replica());

    // Any member will do when the leader is not asked for.
    auto any = lab_options(s2);
    any.leader_only = false;
    ovsdb::Client follower_client(&loop, any, {});
    REQUIRE(follower_client.start().ok());
    auto other = lab_options(s3);
    other.leader_only = false;
    ovsdb::Client other_client(&loop, other, {});
    REQUIRE(other_client.start().ok());
    turn_until(&loop, [&] { return follower_client.synced() && other_client.synced(); });
    CHECK(follower_client.replica().rows(kPort).size() == 3);
    CHECK(other_client.replica().rows(kPort).size() == 3);
}
