// SPDX-License-Identifier: Apache-2.0
// tcp and ssl remotes of the real ovsdb-server, and peers that misbehave.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

#include "control/ovsdb/client.h"
#include "control/ovsdb/remote.h"
#include "tests/unit/control/ovsdb/fake_server.h"
#include "tests/unit/control/ovsdb/lab.h"

using namespace ovsdb_lab;
using sluice::EventLoop;
namespace ovsdb = sluice::ovsdb;
using ovsdb::Datum;

namespace {

ovsdb::ClientOptions port_options(const std::string& remotes) {
    ovsdb::ClientOptions options;
    options.database = "Lab";
    options.remotes = remotes;
    options.tables = {{"Port", {"name", "number"}, {}}};
    options.backoff_min_ms = 20;
    options.backoff_max_ms = 80;
    return options;
}

struct Pki {
    Lab* lab;
    explicit Pki(Lab* l) : lab(l) {
        for (const std::string ca : {"ca", "other"}) {
            lab->run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=" + ca,
                      "-keyout", lab->path(ca + ".key"), "-out", lab->path(ca + ".pem")});
        }
        issue("server", "ca");
        issue("client", "ca");
        issue("stranger", "other");
    }
    void issue(const std::string& name, const std::string& ca) const {
        lab->run({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                  "-nodes", "-subj", "/CN=" + name, "-keyout", lab->path(name + ".key"), "-out",
                  lab->path(name + ".csr")});
        lab->run({"openssl", "x509", "-req", "-days", "2", "-in", lab->path(name + ".csr"), "-CA",
                  lab->path(ca + ".pem"), "-CAkey", lab->path(ca + ".key"), "-CAcreateserial",
                  "-out", lab->path(name + ".pem")});
    }
    ovsdb::TlsFiles files(const std::string& name, const std::string& ca) const {
        return {lab->path(name + ".key"), lab->path(name + ".pem"), lab->path(ca + ".pem")};
    }
};

std::string result(const std::string& id, const std::string& value) {
    return "{\"id\":" + id + ",\"error\":null,\"result\":" + value + "}";
}

std::string refuse(const std::string& id) {
    return "{\"id\":" + id + ",\"error\":{\"error\":\"unknown method\"},\"result\":null}";
}

struct Fixture {
    Lab lab;
    EventLoop loop;
    std::unique_ptr<ovsdb::Client> client;
    std::vector<std::string> errors;
    size_t changes = 0;

    void connect(ovsdb::ClientOptions options) {
        client = std::make_unique<ovsdb::Client>(
            &loop, std::move(options),
            ovsdb::Client::Callbacks{
                [this](const ovsdb::Update& update) { changes += update.changes.size(); },
                [this](const ovsdb::Status& status) {
                    if (status.state == ovsdb::ClientState::kBackoff &&
                        !status.last_error.empty()) {
                        errors.push_back(status.last_error);
                    }
                }});
        const auto started = client->start();
        INFO((started ? "" : started.error().message));
        REQUIRE(started.ok());
    }
    void await_error(const std::string& part) {
        turn_until(&loop, [&] { return !errors.empty(); });
        INFO(errors.back());
        CHECK(errors.back().find(part) != std::string::npos);
        CHECK(errors.back().find(client->status().remote) == 0);
    }
    // A server of the oldest kind; `since` and `cond` say which monitors it knows.
    FakeServer::Answer scripted(bool cond, bool since) {
        return [this, cond, since](const std::string& method, const std::string& id) {
            if (method == "get_schema") {
                return ++schemas_ % 2 == 1 ? refuse(id) : result(id, kSchema);
            }
            const std::string row = "{\"Port\":{\"550e8400-e29b-41d4-a716-446655440000\":";
            if (method == "monitor") {
                return result(id, row + R"({"new":{"name":"p","number":3}}}})");
            }
            if (method == "monitor_cond" && cond) {
                return result(id, row + R"({"initial":{"name":"p","number":3}}}})");
            }
            if (method == "monitor_cond_since" && since) {
                return result(id, "[false,\"650e8400-e29b-41d4-a716-446655440000\"," + row +
                                      R"({"initial":{"name":"p","number":3}}}}])");
            }
            return refuse(id);
        };
    }
    int schemas_ = 0;
};

}  // namespace

TEST_CASE("remotes are parsed, and errors say how to write them") {
    const auto good =
        ovsdb::parse_remotes("ssl:10.0.0.1:6642, tcp:[fd00::2]:1,unix:/run/x.sock tcp:1.2.3.4");
    REQUIRE(good.ok());
    REQUIRE(good->size() == 4);
    CHECK((*good)[0].kind == ovsdb::Remote::Kind::kSsl);
    CHECK((*good)[0].host == "10.0.0.1");
    CHECK((*good)[0].port == 6642);
    CHECK((*good)[1].host == "fd00::2");
    CHECK((*good)[1].port == 1);
    CHECK((*good)[2].host == "/run/x.sock");
    CHECK((*good)[3].port == 6640);
    const std::vector<std::pair<std::string, std::string>> bad = {
        {"", "no remote given"},
        {" ,", "no remote given"},
        {"/run/x.sock", "must begin with unix:, tcp: or ssl:"},
        {"ptcp:6642", "a client needs tcp:"},
        {"unix:", "1 to 107 characters"},
        {"unix:/" + std::string(200, 'x'), "1 to 107 characters"},
        {"tcp:10.0.0.1:x", "not a port"},
        {"tcp:10.0.0.1:66420", "not a port"},
        {"tcp:10.0.0.1:0", "not a port"},
        {"tcp:host.example:6642", "not an address"},
        {"tcp:fd00::2:6642", "an IPv6 address in []"},
        {"tcp:[fd00::2", "an IPv6 address in []"},
        {"tcp:[fd00::2]6642", "an IPv6 address in []"},
    };
    for (const auto& [text, part] : bad) {
        INFO(text);
        const auto remotes = ovsdb::parse_remotes(text);
        REQUIRE_FALSE(remotes.ok());
        INFO(remotes.error().message);
        CHECK(remotes.error().message.find(part) != std::string::npos);
    }
}

TEST_CASE("options that cannot work are refused at the start") {
    EventLoop loop;
    const auto refusal = [&](const ovsdb::ClientOptions& options) {
        ovsdb::Client client(&loop, options, {});
        const auto started = client.start();
        REQUIRE_FALSE(started.ok());
        return started.error().message;
    };
    CHECK(refusal(port_options("ssl:127.0.0.1:1")).find("needs a private key") !=
          std::string::npos);
    CHECK(refusal(port_options("nonsense")).find("must begin with") != std::string::npos);
    auto twice = port_options("unix:/x");
    twice.tables.push_back(twice.tables[0]);
    CHECK(refusal(twice) == "table Port is listed twice");
}

TEST_CASE_METHOD(Fixture, "tcp on IPv4 and IPv6") {
    const std::string p4 = std::to_string(Lab::free_port());
    const std::string p6 = std::to_string(Lab::free_port());
    Server server(&lab, "db", Server::Model::kStandalone, kSchema,
                  {"ptcp:" + p4 + ":127.0.0.1", "ptcp:" + p6 + ":[::1]"});
    server.start();
    server.transact(R"({"op":"insert","table":"Port","row":{"name":"a"}})");
    std::vector<std::string> remotes = {"tcp:127.0.0.1:" + p4};
    std::string listening;
    if (lab.try_run({"ovsdb-client", "--timeout=5", "list-dbs", "tcp:[::1]:" + p6}, &listening) ==
        0) {
        remotes.push_back("tcp:[::1]:" + p6);
    }
    for (const std::string& remote : remotes) {
        connect(port_options(remote));
        turn_until(&loop, [&] { return client->synced(); });
        CHECK(client->replica().rows(0).size() == 1);
    }
}

TEST_CASE_METHOD(Fixture, "ssl with both sides verified, many messages both ways") {
    const Pki pki(&lab);
    const std::string port = std::to_string(Lab::free_port());
    Server server(&lab, "db", Server::Model::kStandalone, kSchema, {"pssl:" + port + ":127.0.0.1"},
                  {"--private-key=" + lab.path("server.key"),
                   "--certificate=" + lab.path("server.pem"), "--ca-cert=" + lab.path("ca.pem")});
    server.start();
    auto options = port_options("ssl:127.0.0.1:" + port);
    options.tls = pki.files("client", "ca");
    connect(options);
    turn_until(&loop, [&] { return client->synced(); });
    // 3 MB each way: many TLS records, socket buffers full.
    int committed = 0;
    for (int i = 0; i < 30; ++i) {
        ovsdb::Transaction txn;
        txn.insert("Port", {{"name", Datum(std::to_string(i) + std::string(100000, 'x'))}});
        client->commit(txn, [&](const ovsdb::TxnResult& r) { committed += r.committed(); });
    }
    turn_until(&loop, [&] { return committed == 30; });
    CHECK(client->replica().rows(0).size() == 30);
    CHECK(client->counters().bytes_tx > 3000000);
    CHECK(client->counters().bytes_rx > 3000000);
    client->reconnect(true);
    turn_until(&loop, [&] { return client->counters().syncs == 2; });
    check_equals_dump(lab, server.unix_remote(), "Lab", client->replica());
    client.reset();

    SECTION("a server signed by another CA is refused, again and again with backoff") {
        options.tls = pki.files("client", "other");
        connect(options);
        await_error("the server's certificate is refused");
        CHECK(errors.back().find("signed by the CA in " + lab.path("other.pem")) !=
              std::string::npos);
        turn_until(&loop, [&] { return errors.size() >= 4; });
        CHECK(client->counters().syncs == 0);
        // Put right without a restart: the files are read anew.
        lab.run({"cp", lab.path("ca.pem"), lab.path("other.pem")});
        turn_until(&loop, [&] { return client->synced(); });
    }
    SECTION("the server refuses our certificate") {
        options.tls = pki.files("stranger", "ca");
        connect(options);
        await_error("TLS");
        CHECK(errors.back().find("alert") != std::string::npos);
    }
    SECTION("files that are not there or do not fit") {
        options.tls = pki.files("nobody", "ca");
        connect(options);
        await_error("cannot use certificate file " + lab.path("nobody.pem"));
        errors.clear();
        options.tls = pki.files("client", "ca");
        options.tls.private_key = lab.path("server.key");
        connect(options);
        await_error("private key");
    }
    SECTION("a server that does not speak TLS") {
        FakeServer plain(&loop, lab.path("plain"), [](auto&, auto&) { return ""; });
        const std::string tcp = std::to_string(Lab::free_port());
        Server other(&lab, "db2", Server::Model::kStandalone, kSchema,
                     {"ptcp:" + tcp + ":127.0.0.1"});
        other.start();
        options.remotes = "ssl:127.0.0.1:" + tcp;
        connect(options);
        turn_until(&loop, [&] { return !errors.empty(); });
        CHECK(client->counters().syncs == 0);
    }
}

TEST_CASE_METHOD(Fixture, "no server, and a server without the database") {
    connect(port_options("unix:" + lab.path("absent.sock") + ",tcp:127.0.0.1:1"));
    turn_until(&loop, [&] { return errors.size() >= 4; });
    CHECK(client->counters().attempts >= 4);
    bool refused = false;
    bool absent = false;
    for (const std::string& error : errors) {
        refused = refused || error == "tcp:127.0.0.1:1: cannot connect: Connection refused";
        absent = absent || error.find("cannot connect: No such file") != std::string::npos;
    }
    CHECK(refused);
    CHECK(absent);

    Server server(&lab, "db", Server::Model::kStandalone);
    server.start();
    auto options = port_options(server.unix_remote());
    options.database = "OVN_Southbound";
    errors.clear();
    connect(options);
    await_error("this server has no database OVN_Southbound (it has: Lab)");
}

TEST_CASE_METHOD(Fixture, "an older server is asked with what it knows") {
    SECTION("monitor_cond_since") {
        FakeServer fake(&loop, lab.path("f"), scripted(true, true));
        connect(port_options("unix:" + lab.path("f")));
        turn_until(&loop, [&] { return client->synced(); });
        CHECK(fake.requests.back() == "monitor_cond_since");
        fake.send(
            R"({"id":null,"method":"update3","params":[["sluice"],"750e8400-e29b-41d4-a716-446655440000",{"Port":{"550e8400-e29b-41d4-a716-446655440000":{"modify":{"number":4}}}}]})");
    }
    SECTION("monitor_cond") {
        FakeServer fake(&loop, lab.path("f"), scripted(true, false));
        connect(port_options("unix:" + lab.path("f")));
        turn_until(&loop, [&] { return client->synced(); });
        CHECK(fake.requests.back() == "monitor_cond");
        fake.send(
            R"({"id":null,"method":"update2","params":[["sluice"],{"Port":{"550e8400-e29b-41d4-a716-446655440000":{"modify":{"number":4}}}}]})");
        turn_until(&loop, [&] { return changes == 2; });
    }
    SECTION("monitor") {
        FakeServer fake(&loop, lab.path("f"), scripted(false, false));
        connect(port_options("unix:" + lab.path("f")));
        turn_until(&loop, [&] { return client->synced(); });
        CHECK(fake.requests.back() == "monitor");
        fake.send(
            R"({"id":null,"method":"update","params":[["sluice"],{"Port":{"550e8400-e29b-41d4-a716-446655440000":{"old":{"number":3},"new":{"name":"p","number":4}}}}]})");
        turn_until(&loop, [&] { return changes == 2; });
        // Conditions cannot be had: in force at once, everything still comes.
        const uint64_t seq = client->set_condition(0, ovsdb::Condition::none());
        turn_until(&loop, [&] { return client->condition_seq() == seq; });
        fake.send(
            R"({"id":null,"method":"update","params":[["sluice"],{"Port":{"550e8400-e29b-41d4-a716-446655440000":{"old":{"name":"p","number":4}}}}]})");
        turn_until(&loop, [&] { return changes == 3; });
        CHECK(client->replica().rows(0).empty());
        return;
    }
    turn_until(&loop, [&] { return changes == 2; });
    CHECK((*client->replica().rows(0).begin()->second)[1].integer() == 4);
}

TEST_CASE_METHOD(Fixture, "a peer that sends nonsense is left, with words about it") {
    std::string nonsense;
    std::string expected;
    const auto probe = [&](const std::string& text, const std::string& part) {
        INFO(text);
        errors.clear();
        unlink(lab.path("f").c_str());
        FakeServer fake(&loop, lab.path("f"), [&](auto&, auto&) { return text; });
        connect(port_options("unix:" + lab.path("f")));
        await_error(part);
        client.reset();
    };
    probe("HTTP/1.1 400 Bad Request", "a message begins with \"HTTP/1.1 400");
    probe("{\"id\":1,\"result\":[1,,2]}", "not a value at line 1, column 21 (byte 20)");
    probe("{\"id\":1,\"result\":\"\xff\"}", "not UTF-8");
    probe("[1,2,3]", "neither a request nor a reply");
    probe("{\"method\":17,\"params\":[],\"id\":1}", "without a method name");
    probe("{\"id\":99,\"result\":{},\"error\":null}", "never made: id 99");
    probe("{\"id\":1,\"result\":{},\"error\":null} ]", "a message begins with \"]");
}

TEST_CASE_METHOD(Fixture, "updates that make no sense lead to a fresh start") {
    FakeServer fake(&loop, lab.path("f"), scripted(true, true));
    connect(port_options("unix:" + lab.path("f")));
    const auto update = [](const std::string& tables) {
        return R"({"id":null,"method":"update3","params":[["sluice"],"750e8400-e29b-41d4-a716-446655440000",)" +
               tables + "]}";
    };
    const std::vector<std::pair<std::string, std::string>> cases = {
        {update(R"({"Port":{"150e8400-e29b-41d4-a716-446655440000":{"modify":{"number":4}}}})"),
         "which it never sent"},
        {update(R"({"Nothing":{}})"), "which is not monitored"},
        {update(R"({"Port":{"xyz":{"delete":null}}})"), "is not a UUID"},
        {update(R"({"Port":{"550e8400-e29b-41d4-a716-446655440000":{"modify":{"number":"x"}}}})"),
         "Port.number of 550e8400-e29b-41d4-a716-446655440000: expected an integer, got \"x\""},
        {update("17"), "not an object"},
        {R"({"id":null,"method":"update3","params":[["other"],"",{}]})", "never asked for"},
    };
    uint64_t syncs = 0;
    for (const auto& [text, part] : cases) {
        INFO(text);
        ++syncs;
        turn_until(&loop, [&] { return client->counters().syncs == syncs; });
        errors.clear();
        fake.send(text);
        await_error(part);
        CHECK(client->replica().rows(0).size() == 1);
    }
    turn_until(&loop, [&] { return client->counters().syncs == syncs + 1; });
    // Notifications and requests that are not for us do no harm.
    fake.send(
        R"({"id":null,"method":"locked","params":["x"]}{"id":"q","method":"steal","params":[]})");
    fake.send(R"({"id":"e","method":"echo","params":[1,"two"]})");
    turn_until(&loop, [&] {
        return fake.texts.back() == R"({"id":"e","error":null,"result":[1,"two"]})";
    });
    CHECK(client->synced());
    CHECK(client->counters().resumes == 0);
}

TEST_CASE_METHOD(Fixture, "a half-open peer is found by the probe") {
    bool deaf = false;
    const auto script = scripted(true, true);
    FakeServer fake(&loop, lab.path("f"), [&](const std::string& method, const std::string& id) {
        if (method == "echo") {
            return deaf ? std::string() : result(id, "[]");
        }
        return script(method, id);
    });
    auto options = port_options("unix:" + lab.path("f"));
    options.probe_interval_ms = 30;
    connect(options);
    // Answered probes keep it alive.
    turn_until(&loop, [&] { return client->counters().probes >= 5; });
    CHECK(client->synced());
    CHECK(errors.empty());
    deaf = true;
    await_error("no answer to the inactivity probe");
    turn_until(&loop, [&] { return client->counters().syncs >= 2; });
    CHECK(client->replica().rows(0).size() == 1);

    // Switched off, silence is borne.
    client->set_probe_interval(0);
    turn_until(&loop, [&] { return client->synced(); });
    const uint64_t probes = client->counters().probes;
    const uint64_t attempts = client->counters().attempts;
    for (int i = 0; i < 10; ++i) {
        loop.run_once(20);
    }
    CHECK(client->counters().probes == probes);
    CHECK(client->counters().attempts == attempts);
}

TEST_CASE_METHOD(Fixture, "a thread that was busy for long does not blame its peer") {
    FakeServer fake(&loop, lab.path("f"), scripted(true, true));
    auto options = port_options("unix:" + lab.path("f"));
    options.probe_interval_ms = 40;
    connect(options);
    turn_until(&loop, [&] { return client->synced(); });
    turn_until(&loop, [&] { return client->counters().probes == 1; });
    fake.send(R"({"id":"echo","result":[],"error":null})");
    usleep(200000);  // compiling, say
    loop.run_once(0);
    CHECK(client->synced());
    CHECK(errors.empty());
}

TEST_CASE_METHOD(Fixture, "a server that does not read, and one that sends too much") {
    SECTION("send bound") {
        FakeServer fake(&loop, lab.path("f"), scripted(true, true));
        auto options = port_options("unix:" + lab.path("f"));
        options.max_send_bytes = 100000;
        connect(options);
        turn_until(&loop, [&] { return client->synced(); });
        ovsdb::Transaction txn;
        txn.comment(std::string(1000000, 'x'));
        ovsdb::TxnResult outcome;
        client->commit(txn, [&](const ovsdb::TxnResult& r) { outcome = r; });
        await_error("the server does not read");
        turn_until(&loop, [&] { return outcome.outcome == ovsdb::TxnResult::Outcome::kUnknown; });
    }
    SECTION("message bound") {
        FakeServer fake(&loop, lab.path("f"), [](auto&, auto&) {
            return "{\"id\":1,\"result\":\"" + std::string(20000, 'x');
        });
        auto options = port_options("unix:" + lab.path("f"));
        options.max_message_bytes = 10000;
        connect(options);
        await_error("a message of more than 10000 bytes");
    }
}
