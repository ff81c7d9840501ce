// SPDX-License-Identifier: Apache-2.0
// Transactions against the real ovsdb-server.
#include "control/ovsdb/transaction.h"

#include <signal.h>

#include <catch2/catch.hpp>
#include <optional>
#include <string>

#include "control/ovsdb/client.h"
#include "tests/unit/control/ovsdb/lab.h"

using namespace ovsdb_lab;
using sluice::EventLoop;
using sluice::Uuid;
namespace ovsdb = sluice::ovsdb;
using ovsdb::Datum;
using ovsdb::Transaction;
using ovsdb::TxnResult;
using Outcome = ovsdb::TxnResult::Outcome;

namespace {

enum Table : uint32_t { kPort, kGroup };
enum PortColumn : size_t { kName, kNumber, kOptions, kGroupRef, kPeers, kTags };

struct Fixture {
    Lab lab;
    EventLoop loop;
    Server server{&lab, "db", Server::Model::kStandalone};
    std::unique_ptr<ovsdb::Client> client;

    Fixture() {
        server.start();
        ovsdb::ClientOptions options;
        options.database = "Lab";
        options.remotes = server.unix_remote();
        options.tables = {{"Port", {"name", "number", "options", "group", "peers", "tags"}, {}},
                          {"Group", {"label"}, {}}};
        options.backoff_min_ms = 20;
        options.backoff_max_ms = 100;
        client = std::make_unique<ovsdb::Client>(&loop, options, ovsdb::Client::Callbacks{});
        REQUIRE(client->start().ok());
        turn_until(&loop, [&] { return client->synced(); });
    }

    TxnResult commit(const Transaction& txn) {
        std::optional<TxnResult> result;
        client->commit(txn, [&](const TxnResult& r) { result = r; });
        CHECK_FALSE(result.has_value());  // never from inside the call
        turn_until(&loop, [&] { return result.has_value(); });
        return *result;
    }

    ovsdb::RowPtr port(const std::string& name) const {
        for (const auto& [uuid, row] : client->replica().rows(kPort)) {
            if ((*row)[kName].string() == name) {
                return row;
            }
        }
        return nullptr;
    }

    Uuid add(const std::string& name) {
        Transaction txn;
        const Uuid placeholder = txn.insert("Port", {{"name", Datum(name)}});
        const TxnResult result = commit(txn);
        REQUIRE(result.committed());
        return result.real(placeholder);
    }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "insert with references, update, mutate, delete") {
    Transaction txn;
    const Uuid group = txn.insert("Group", {{"label", Datum("g \"1\"\n")}});
    const Uuid first =
        txn.insert("Port", {{"name", Datum("a")},
                            {"group", Datum(group)},
                            {"options", Datum::string_map({{"k", "v"}, {"x", "y"}})}});
    const Uuid second =
        txn.insert("Port", {{"name", Datum("b")}, {"peers", ovsdb::uuid_set({first})}});
    txn.comment("first \"commit\"");
    const TxnResult made = commit(txn);
    INFO(made.error);
    REQUIRE(made.committed());
    // The update came before the answer, so the replica has it.
    const ovsdb::RowPtr a = client->replica().find(kPort, made.real(first));
    const ovsdb::RowPtr b = client->replica().find(kPort, made.real(second));
    REQUIRE(a != nullptr);
    REQUIRE(b != nullptr);
    CHECK((*a)[kGroupRef].uuid() == made.real(group));
    CHECK((*b)[kPeers].uuid() == made.real(first));
    CHECK((*client->replica().find(kGroup, made.real(group)))[0].string() == "g \"1\"\n");

    Transaction change;
    change.update("Port", made.real(first), {{"number", Datum(5)}});
    change.mutate("Port", made.real(first), "number", "+=", Datum(2));
    change.mutate("Port", made.real(first), "tags", "insert", ovsdb::string_set({"t", "u"}));
    change.set_map_keys("Port", made.real(first), "options", {{"k", "new"}, {"z", "26"}});
    change.remove_map_keys("Port", made.real(first), "options", {"x", "absent"});
    const Uuid third = change.insert("Port", {{"name", Datum("c")}});
    change.mutate("Port", made.real(first), "peers", "insert", Datum(third));
    change.remove("Port", made.real(second));
    change.update_where("Port", {{"name", "==", Datum("c")}}, {{"number", Datum(9)}});
    const TxnResult changed = commit(change);
    INFO(changed.error);
    REQUIRE(changed.committed());
    CHECK(changed.counts == std::vector<int64_t>{1, 1, 1, 1, 1, 0, 1, 1, 1});
    const ovsdb::RowPtr after = port("a");
    CHECK((*after)[kNumber].integer() == 7);
    CHECK((*after)[kTags] == ovsdb::string_set({"t", "u"}));
    CHECK((*after)[kOptions] == Datum::string_map({{"k", "new"}, {"z", "26"}}));
    CHECK((*after)[kPeers].uuid() == changed.real(third));
    CHECK(port("b") == nullptr);
    CHECK((*port("c"))[kNumber].integer() == 9);
    check_equals_dump(lab, server.unix_remote(), "Lab", client->replica());
    CHECK(lab.run({"ovsdb-tool", "show-log", server.db_path()}).find("first \"commit\"") !=
          std::string::npos);

    Transaction clear;
    clear.remove_where("Port", {{"number", ">=", Datum(0)}});
    CHECK(commit(clear).counts == std::vector<int64_t>{2});
    CHECK(client->replica().rows(kGroup).empty());
}

TEST_CASE_METHOD(Fixture, "guards make a conflict and write nothing") {
    const Uuid uuid = add("a");
    Transaction good;
    good.verify("Port", uuid, {{"number", Datum(0)}, {"group", Datum()}});
    good.verify_exists("Port", uuid);
    good.verify_none("Port", {{"name", "==", Datum("b")}});
    good.update("Port", uuid, {{"number", Datum(1)}});
    CHECK(commit(good).committed());

    Transaction stale;
    stale.verify("Port", uuid, {{"number", Datum(0)}});
    stale.update("Port", uuid, {{"number", Datum(2)}});
    TxnResult result = commit(stale);
    CHECK(result.outcome == Outcome::kConflict);
    CHECK(result.error.find("timed out") != std::string::npos);
    CHECK((*port("a"))[kNumber].integer() == 1);
    CHECK(client->counters().conflicts == 1);

    Transaction present;
    present.verify_none("Port", {{"name", "==", Datum("a")}});
    present.insert("Port", {{"name", Datum("z")}});
    CHECK(commit(present).outcome == Outcome::kConflict);

    server.transact(R"({"op":"delete","table":"Port","where":[]})");
    Transaction gone;
    gone.verify_exists("Port", uuid);
    gone.insert("Port", {{"name", Datum("z")}});
    CHECK(commit(gone).outcome == Outcome::kConflict);
    CHECK(port("z") == nullptr);
}

TEST_CASE_METHOD(Fixture, "what the server refuses is told in its words") {
    add("a");
    Transaction twice;
    twice.insert("Port", {{"name", Datum("a")}});
    TxnResult result = commit(twice);
    CHECK(result.outcome == Outcome::kFailed);
    CHECK(result.error.find("constraint violation") != std::string::npos);
    CHECK(result.error.find("commit: ") == 0);

    Transaction range;
    range.comment("first");
    range.insert("Port", {{"name", Datum("b")}, {"number", Datum(1001)}});
    result = commit(range);
    CHECK(result.outcome == Outcome::kFailed);
    CHECK(result.error.find("operation 2: constraint violation") == 0);

    Transaction unknown;
    unknown.insert("Port", {{"no_such", Datum(1)}});
    result = commit(unknown);
    CHECK(result.outcome == Outcome::kFailed);
    CHECK(result.error.find("no_such") != std::string::npos);

    Transaction dangling;
    dangling.insert("Port", {{"name", Datum("d")}, {"group", Datum(sluice::random_uuid())}});
    result = commit(dangling);
    CHECK(result.outcome == Outcome::kFailed);
    CHECK(result.error.find("referential integrity") != std::string::npos);
    CHECK(client->synced());
}

TEST_CASE_METHOD(Fixture, "without a connection a transaction fails at once, or waits if asked") {
    server.stop(SIGTERM);
    turn_until(&loop, [&] { return !client->synced(); });
    Transaction txn;
    txn.insert("Port", {{"name", Datum("now")}});
    const TxnResult result = commit(txn);
    CHECK(result.outcome == Outcome::kNotSent);
    CHECK(result.error.find("not connected to Lab") == 0);

    std::optional<TxnResult> queued;
    Transaction later;
    later.insert("Port", {{"name", Datum("later")}});
    client->commit(
        later, [&](const TxnResult& r) { queued = r; }, ovsdb::Client::WhenDown::kQueue);
    for (int i = 0; i < 10; ++i) {
        loop.run_once(5);
    }
    CHECK_FALSE(queued.has_value());
    server.start();
    turn_until(&loop, [&] { return queued.has_value(); });
    CHECK(queued->committed());
    CHECK(port("later") != nullptr);
    CHECK(port("now") == nullptr);
}

TEST_CASE_METHOD(Fixture, "a connection that breaks before the answer leaves the outcome unknown") {
    Transaction txn;
    txn.insert("Port", {{"name", Datum("a")}});
    std::optional<TxnResult> result;
    client->commit(txn, [&](const TxnResult& r) { result = r; });
    client->reconnect();
    turn_until(&loop, [&] { return result.has_value(); });
    CHECK(result->outcome == Outcome::kUnknown);
    turn_until(&loop, [&] { return client->counters().syncs == 2; });
}

TEST_CASE_METHOD(Fixture, "a client that is destroyed is silent") {
    Transaction txn;
    txn.insert("Port", {{"name", Datum("a")}});
    bool called = false;
    client->commit(txn, [&](const TxnResult&) { called = true; });
    client->set_condition(kPort, ovsdb::Condition::none());
    client.reset();
    for (int i = 0; i < 20; ++i) {
        loop.run_once(5);
    }
    CHECK_FALSE(called);
}
