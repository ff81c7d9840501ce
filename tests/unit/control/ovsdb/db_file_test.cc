// SPDX-License-Identifier: Apache-2.0
// Files read without a server, against a real server that reads the same file.
#include "control/ovsdb/db_file.h"

#include <openssl/sha.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "lib/json/writer.h"
#include "tests/unit/control/ovsdb/lab.h"

using namespace ovsdb_lab;
namespace ovsdb = sluice::ovsdb;

namespace {

ovsdb::DbFile load(const std::string& path) {
    auto file = ovsdb::read_db_file(path, {});
    INFO((file ? "" : file.error().message));
    REQUIRE(file.ok());
    return std::move(file).value();
}

void check_same(const ovsdb::Replica& a, const ovsdb::Replica& b) {
    REQUIRE(a.table_count() == b.table_count());
    for (uint32_t table = 0; table < a.table_count(); ++table) {
        REQUIRE(a.rows(table).size() == b.rows(table).size());
        for (const auto& [uuid, row] : a.rows(table)) {
            REQUIRE(b.find(table, uuid) != nullptr);
            CHECK(b.find(table, uuid)->columns == row->columns);
        }
    }
}

// Many small transactions of every kind: the server writes most of them as differences.
void scribble(const Server& server, unsigned seed, int steps) {
    std::mt19937 random(seed);
    const auto below = [&](int n) {
        return std::to_string(std::uniform_int_distribution<int>(0, n - 1)(random));
    };
    for (int i = 0; i < steps; ++i) {
        std::string ops;
        for (int k = 0; k < 6; ++k) {
            const std::string name = "\"n" + below(12) + "\"";
            const std::string where = "\"where\":[[\"name\",\"==\"," + name + "]]";
            const std::string head = ops.empty() ? "{\"op\":" : ",{\"op\":";
            switch (std::uniform_int_distribution<int>(0, 6)(random)) {
            case 0:
                ops += head + R"("delete","table":"Port",)" + where + "}" +
                       R"(,{"op":"insert","table":"Port","row":{"name":)" + name + R"(,"number":)" +
                       below(1000) + "}}";
                break;
            case 1:
                ops += head + R"("update","table":"Port",)" + where + R"(,"row":{"number":)" +
                       below(1000) + R"(,"weight":)" + below(99) + ".5" + R"(,"up":)" +
                       (below(2) == "0" ? "true" : R"(["set",[]])") + "}}";
                break;
            case 2:
                ops += head + R"("mutate","table":"Port",)" + where +
                       R"(,"mutations":[["options","delete",["set",["k)" + below(5) +
                       R"("]]],["options","insert",["map",[["k)" + below(5) + R"(","v)" + below(5) +
                       R"("],["x)" + below(5) + R"(","y\n"]]]]]})";
                break;
            case 3:
                ops += head + R"("mutate","table":"Port",)" + where + R"(,"mutations":[["tags",")" +
                       (below(2) == "0" ? "insert" : "delete") + R"(",["set",["t)" + below(5) +
                       R"(","u)" + below(5) + R"("]]]]})";
                break;
            case 4:
                ops += head + R"("update","table":"Port",)" + where +
                       R"(,"row":{"numbers":["set",[)" + below(5) + "," + std::to_string(10 + i) +
                       "]]}}";
                break;
            case 5:
                ops += head + R"("insert","table":"Group","uuid-name":"g)" + std::to_string(k) +
                       R"(","row":{"label":"l)" + below(9) + R"(","by_number":["map",[[)" +
                       below(9) + R"(,"z"]]]}},{"op":"update","table":"Port",)" + where +
                       R"(,"row":{"group":["named-uuid","g)" + std::to_string(k) + R"("]}})";
                break;
            default: ops += head + R"("comment","comment":"step"})"; break;
            }
        }
        server.transact(ops);
    }
}

std::string record(const std::string& magic, const std::string& text) {
    const std::string data = text + "\n";
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA1(reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest);
    std::string hex;
    for (const unsigned char byte : digest) {
        char two[3];
        snprintf(two, sizeof two, "%02x", byte);
        hex += two;
    }
    return "OVSDB " + magic + " " + std::to_string(data.size()) + " " + hex + "\n" + data;
}

}  // namespace

TEST_CASE("the samples of both ends of the versions are read as a server reads them") {
    const std::string name = GENERATE("newest", "debian");
    INFO(name);
    Lab lab;
    lab.write("x.db", lab.run({"gzip", "-dc", SLUICE_TEST_DATA "/ovsdb/" + name + ".sb.db.gz"}));
    const ovsdb::DbFile file = load(lab.path("x.db"));
    CHECK(file.warning.empty());
    CHECK_FALSE(file.clustered);
    CHECK(file.schema.name == "OVN_Southbound");
    CHECK(file.replica->rows(*file.replica->table_index("Logical_Flow")).size() > 50);
    size_t rows = 0;
    for (uint32_t table = 0; table < file.replica->table_count(); ++table) {
        rows += file.replica->rows(table).size();
    }
    CHECK(file.contents.changes.size() == rows);
    lab.spawn({"ovsdb-server", "--no-chdir", "--remote=punix:" + lab.path("sock"),
               "--unixctl=" + lab.path("ctl"), lab.path("x.db")},
              "log");
    lab.run({"ovsdb-client", "--timeout=20", "wait", "unix:" + lab.path("sock"), "OVN_Southbound",
             "connected"});
    check_equals_dump(lab, "unix:" + lab.path("sock"), "OVN_Southbound", *file.replica);

    // With specs, only what they name, at their indices.
    const auto some = ovsdb::read_db_file(
        lab.path("x.db"),
        {{"Datapath_Binding", {"tunnel_key", "no_such"}, {}}, {"No_Such", {"x"}, {}}});
    REQUIRE(some.ok());
    CHECK(some->replica->missing() ==
          std::vector<std::string>{"Datapath_Binding.no_such", "No_Such"});
    CHECK(some->contents.changes.size() == some->replica->rows(0).size());
    CHECK((*some->contents.changes[0].after)[0].integer() >= 1);
}

TEST_CASE("a log of many changes ends in the state the server has, in every form") {
    const auto model = GENERATE(Server::Model::kStandalone, Server::Model::kClustered);
    Lab lab;
    Server server(&lab, "db", model);
    server.start();
    std::string ports = R"({"op":"insert","table":"Port","row":{"name":"n0"}})";
    for (int i = 1; i < 12; ++i) {
        ports += R"(,{"op":"insert","table":"Port","row":{"name":"n)" + std::to_string(i) + "\"}}";
    }
    server.transact(ports);
    scribble(server, 1, 40);
    {
        const ovsdb::DbFile file = load(server.db_path());
        CHECK(file.warning.empty());
        CHECK(file.clustered == (model == Server::Model::kClustered));
        CHECK(file.records > 40);
        check_equals_dump(lab, server.unix_remote(), "Lab", *file.replica);
        // A live client agrees with the file.
        sluice::EventLoop loop;
        ovsdb::ClientOptions options;
        options.database = "Lab";
        options.remotes = server.unix_remote();
        options.tables = {{"Group", {}, {}}, {"Port", {}, {}}};
        Follower follower;
        ovsdb::Client client(&loop, options,
                             {[&](const ovsdb::Update& u) { follower.apply(u); }, {}});
        REQUIRE(client.start().ok());
        turn_until(&loop, [&] { return client.synced(); });
        check_same(client.replica(), *file.replica);
        // And follows as more is written.
        scribble(server, 2, 20);
        const ovsdb::DbFile later = load(server.db_path());
        turn_until(&loop, [&] { return client.counters().updates >= 1; });
        for (int i = 0; i < 50; ++i) {
            loop.run_once(10);
        }
        check_same(client.replica(), *later.replica);
        CHECK(follower.equals(client.replica()));
        check_equals_dump(lab, server.unix_remote(), "Lab", client.replica());
    }
    lab.write("backup.db",
              lab.run({"ovsdb-client", "--timeout=20", "backup", server.unix_remote(), "Lab"}));
    const ovsdb::DbFile backup = load(lab.path("backup.db"));
    CHECK_FALSE(backup.clustered);
    check_equals_dump(lab, server.unix_remote(), "Lab", *backup.replica);

    // Compacted, then more on top of the snapshot.
    server.control({"ovsdb-server/compact"});
    scribble(server, 3, 5);
    check_equals_dump(lab, server.unix_remote(), "Lab", *load(server.db_path()).replica);

    // Converted to another schema in the middle of it.
    std::string schema = kSchema;
    schema.replace(schema.find("\"number\""), 0, R"("extra":{"type":"string"},)");
    schema.replace(schema.find("1.0.0"), 5, "1.1.0");
    lab.write("new.ovsschema", schema);
    lab.run({"ovsdb-client", "--timeout=20", "convert", server.unix_remote(),
             lab.path("new.ovsschema")});
    server.transact(R"({"op":"update","table":"Port","where":[],"row":{"extra":"e"}})");
    scribble(server, 4, 5);
    const ovsdb::DbFile converted = load(server.db_path());
    CHECK(converted.schema.version == "1.1.0");
    check_equals_dump(lab, server.unix_remote(), "Lab", *converted.replica);
    server.stop(SIGKILL);
    check_same(*converted.replica, *load(server.db_path()).replica);
}

TEST_CASE("what comes before a damaged record is kept, and the offset told") {
    Lab lab;
    Server server(&lab, "db", Server::Model::kStandalone);
    server.start();
    server.transact(R"({"op":"insert","table":"Port","row":{"name":"kept"}})");
    const std::string before = lab.read("db.db");
    server.transact(R"({"op":"insert","table":"Port","row":{"name":"lost"}})");
    const std::string whole = lab.read("db.db");
    server.stop();
    REQUIRE(whole.compare(0, before.size(), before) == 0);
    const auto check = [&](const std::string& bytes, const std::string& part) {
        const auto file = ovsdb::read_db_bytes(bytes, {}, "x.db");
        REQUIRE(file.ok());
        INFO(file->warning);
        CHECK(file->warning.find(part) != std::string::npos);
        CHECK(file->warning.find("at offset " + std::to_string(before.size())) !=
              std::string::npos);
        CHECK(file->contents.changes.size() == 1);
    };
    for (size_t cut = before.size() + 1; cut < whole.size(); ++cut) {
        check(whole.substr(0, cut), "");
    }
    check(whole.substr(0, whole.size() - 1), "cut off");
    std::string flipped = whole;
    flipped[whole.find("lost")] ^= 1;
    check(flipped, "checksum");
    check(before + "garbage\n", "no record header");
    check(before + record("CLUSTER", "{}"), "another kind");
    check(before + record("JSON", "{\"Port\":"), "not JSON");
    check(before + record("JSON", R"({"Port":{"xyz":{}}})"), "not a UUID");
    check(
        before + record("JSON", R"({"Port":{"550e8400-e29b-41d4-a716-446655440000":{"name":7}}})"),
        "Port.name");
    check(before + record("JSON", "[]"), "no object");
}

TEST_CASE("files that are no databases") {
    const auto message = [](const std::string& bytes) {
        const auto file = ovsdb::read_db_bytes(bytes, {}, "x");
        REQUIRE_FALSE(file.ok());
        return file.error().message;
    };
    CHECK(message("").find("not a database file") != std::string::npos);
    CHECK(message("SQLite format 3").find("not a database file") != std::string::npos);
    CHECK(message("OVSDB JSON 10").find("first record") != std::string::npos);
    CHECK(message(record("JSON", "{}")).find("not a database schema") != std::string::npos);
    CHECK(message(record("OTHER", "{}")).find("unknown kind") != std::string::npos);
    CHECK(message(
              record("JSON", R"({"name":"x","tables":{"T":{"columns":{"c":{"type":"colour"}}}}})"))
              .find("T.c: unknown type \"colour\"") != std::string::npos);
    CHECK(message(record("CLUSTER", R"({"server_id":"x","remote_addresses":["tcp:1.2.3.4:5"]})"))
              .find("holds no data yet") != std::string::npos);
    const auto absent = ovsdb::read_db_file("/nonexistent/x.db", {});
    REQUIRE_FALSE(absent.ok());
    CHECK(absent.error().message == "/nonexistent/x.db: cannot open: No such file or directory");
}

TEST_CASE("entries of a clustered log that a new leader took back are not applied") {
    const std::string u1 = "150e8400-e29b-41d4-a716-446655440000";
    const std::string u2 = "250e8400-e29b-41d4-a716-446655440000";
    const std::string u3 = "350e8400-e29b-41d4-a716-446655440000";
    const auto insert = [](const std::string& uuid, const std::string& name) {
        return "[null,{\"Port\":{\"" + uuid + "\":{\"name\":\"" + name + "\"}}}]";
    };
    std::string schema = kSchema;
    std::erase(schema, '\n');
    const std::string log =
        record("CLUSTER", R"({"prev_term":1,"prev_index":1,"prev_data":[)" + schema + ",{}]}") +
        record("CLUSTER", R"({"term":1,"vote":"x"})") +
        record("CLUSTER", R"({"term":1,"index":2,"data":)" + insert(u1, "kept") + "}") +
        record("CLUSTER", R"({"term":1,"index":3,"data":)" + insert(u2, "taken back") + "}") +
        record("CLUSTER", R"({"term":1,"index":4,"data":)" + insert(u3, "too") + "}") +
        record("CLUSTER", R"({"term":2,"index":3,"data":)" + insert(u3, "instead") + "}") +
        record("CLUSTER", R"({"term":2,"index":4,"servers":{}})") +
        record("CLUSTER", R"({"commit_index":3})");
    const auto file = ovsdb::read_db_bytes(log, {{"Port", {"name"}, {}}}, "x");
    REQUIRE(file.ok());
    CHECK(file->warning.empty());
    REQUIRE(file->replica->rows(0).size() == 2);
    CHECK((*file->replica->find(0, *sluice::parse_uuid(u1)))[0].string() == "kept");
    CHECK((*file->replica->find(0, *sluice::parse_uuid(u3)))[0].string() == "instead");
}
