// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

#include "control/rpc/builtin.h"
#include "tests/support/shell.h"
#include "tests/unit/tools/sample_reports.h"
#include "tools/daemon/pidfile.h"

namespace sluice::rpc {
namespace {

std::string sluicectl() {
    const char* path = std::getenv("SLUICECTL");
    REQUIRE(path);  // meson test sets it
    return path;
}

/// A daemon that tells the sample reports, in a run directory of its own.
class FakeDaemon {
public:
    FakeDaemon() : socket_(dir_.path() + "/sluiced." + std::to_string(getpid()) + ".ctl") {
        auto made = Server::listen(loop_, socket_, "sluiced (sluice) 1.2.3");
        REQUIRE(made.ok());
        server_ = std::move(*made);
        add_report_commands(*server_, sample_sources());
        BuiltinHooks hooks;
        hooks.exit = [](bool restart, const Reply& reply) { reply.ok(restart ? "kept" : "gone"); };
        add_builtin_commands(*server_, hooks);
        server_->add_async("never", "", 0, 0,
                           [this](const Args&, const Reply& reply) { held_.push_back(reply); });
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~FakeDaemon() {
        loop_.stop();
        thread_.join();
    }
    ShellResult ctl(const std::string& words) const {
        return shell("OVS_RUNDIR=" + dir_.path() + " " + sluicectl() + " " + words + " 2>&1");
    }
    ShellResult appctl(const std::string& words) const {
        return shell("ovs-appctl -T 20 -t " + socket_ + " " + words + " 2>&1");
    }
    const std::string& dir() const { return dir_.path(); }
    const std::string& socket() const { return socket_; }

private:
    TempDir dir_;
    std::string socket_;
    EventLoop loop_;
    std::unique_ptr<Server> server_;
    std::vector<Reply> held_;
    std::thread thread_;
};

void check_output(const FakeDaemon& daemon, const std::string& words, const std::string& expected) {
    const ShellResult out = daemon.ctl(words);
    CHECK(out.status == 0);
    CHECK(out.out == expected);
}

TEST_CASE("status, tunnels and cache as people see them") {
    const FakeDaemon daemon;
    check_output(daemon, "status",
                 "sluiced (sluice) 1.2.3, pid 4711, up 1h 02m\n"
                 "chassis         hv1\n"
                 "southbound      connected (tcp:10.0.0.1:6642)\n"
                 "local database  connecting (unix:/run/openvswitch/db.sock)\n"
                 "nb_cfg          12\n"
                 "pipeline        published 1 time, last built in 1.2 ms\n"
                 "                2 datapaths, 240 logical flows\n"
                 "                0b7c...: column 4: unknown field\n"
                 "ports           3\n"
                 "tunnels         2 (1 ready)\n"
                 "drops           8 packets\n"
                 "\n"
                 "worker  core  rx packets  tx packets   busy\n"
                 "     0     3        1000         900  75.0%\n"
                 "     1     -           0           0      -\n");
    check_output(daemon, "tunnels",
                 "tunnel  chassis  type           local           remote          port  next hop  "
                 "          mtu  state     bfd  flaps\n"
                 "     0  hv2      geneve         192.168.50.100  192.168.50.101  up0   "
                 "02:bb:00:00:00:01  1500  ready     up       3\n"
                 "     1  hv3      geneve/legacy  192.168.50.100  192.168.60.1    -     -         "
                 "            0  no_route  -        -\n");
    check_output(daemon, "cache",
                 "worker  entries   used  hits  hit rate  misses  bypassed  stale  evicted\n"
                 "     0    65536  25.0%   750     75.0%     200        40     10        5\n"
                 "     1    65536   0.0%     0         -       0         0      0        0\n"
                 "   all   131072  12.5%   750     75.0%     200        40     10        5\n");
}

TEST_CASE("ports that could not be opened say why") {
    const FakeDaemon daemon;
    check_output(daemon, "ports",
                 "port  id  driver     role  logical port  mac                 mtu  link   "
                 "rx packets      rx  tx packets      tx  dropped  errors\n"
                 "vm1    1  af_packet  vif   sw0-vm1       02:00:00:00:00:01  1500  up     "
                 "        12  1.2 kB     1234567  1.2 GB        3       0\n"
                 "vm2    -  tap        vif   sw0-vm2       -                     -  error  "
                 "         0     0 B           0     0 B        0       0\n"
                 "vm2: no such device\n");
}

TEST_CASE("datapaths: all, or one with its ports") {
    const FakeDaemon daemon;
    check_output(daemon, "datapaths",
                 "key  datapath  type    ports  groups  neighbors  changed  uuid\n"
                 "  1  sw0       switch      2       2          4        3  "
                 "6f1a0c5e-0000-4000-8000-000000000001\n"
                 "  2  lr0       router      0       0          0        1  "
                 "6f1a0c5e-0000-4000-8000-000000000002\n");
    check_output(daemon, "datapaths sw0",
                 "key  datapath  type    ports  groups  neighbors  changed  uuid\n"
                 "  1  sw0       switch      2       2          4        3  "
                 "6f1a0c5e-0000-4000-8000-000000000001\n"
                 "\n"
                 "sw0\n"
                 "  key  port     reach    where\n"
                 "    1  sw0-vm1  vif      vm1\n"
                 "    2  sw0-vm9  unbound  -\n");
    const ShellResult none = daemon.ctl("datapaths nope");
    CHECK(none.status == 2);
    CHECK(none.out == "sluicectl: no datapath \"nope\" here\n");
}

TEST_CASE("flows, drops and counters leave silent rows out unless asked") {
    const FakeDaemon daemon;
    check_output(daemon, "flows",
                 "sw0, ingress\n"
                 "packets   bytes  table  stage          priority  flow      match -> actions\n"
                 "     12  1.2 kB     27  ls_in_l2_lkup        50  22222222  "
                 "eth.dst == 02:00:00:00:00:02 -> outport = \"sw0-vm2\"; output;\n"
                 "\n"
                 "sw0, egress\n"
                 "packets   bytes  table  stage                  priority  flow      "
                 "match -> actions\n"
                 "     12  1.2 kB      9  ls_out_apply_port_sec         0  33333333  1 -> output;\n"
                 "1 logical flow without packets; --all shows them\n");
    CHECK(daemon.ctl("flows --all").out.find("11111111  eth.src[40] -> drop;\n") !=
          std::string::npos);
    check_output(daemon, "drops",
                 "packets  reason        meaning\n"
                 "      8  logical_flow  a logical flow dropped it\n"
                 "\n"
                 "logical_flow, by logical flow\n"
                 "  packets  flow                                  stage                 match\n"
                 "        8  11111111-0000-4000-8000-000000000001  ls_in_check_port_sec  "
                 "eth.src[40]\n"
                 "1 reason without packets; --all shows them\n");
    check_output(daemon, "counters -a",
                 "counter      total  worker 0  worker 1  meaning\n"
                 "rx_packets      12        10         2  received from ports (packets)\n"
                 "copies           0         0         0  extra copies made (packets)\n"
                 "arp_replies      1         -         -  ARP requests answered\n");
}

TEST_CASE("ovs-appctl shows the same tables") {
    const FakeDaemon daemon;
    const char* pairs[][2] = {{"status", "status"},
                              {"ports", "port/show"},
                              {"tunnels", "tunnel/show"},
                              {"datapaths sw0", "datapath/show sw0"},
                              {"flows -a", "flow/show --all"},
                              {"drops", "drop/show"},
                              {"cache", "cache/show"},
                              {"counters", "counter/show"}};
    for (const auto& [ours, theirs] : pairs) {
        INFO(ours);
        CHECK(daemon.ctl(ours).out == daemon.appctl(theirs).out);
    }
    CHECK(daemon.appctl("drop/show oops").status == 2);
    CHECK(daemon.appctl("flow/show --nope").status == 2);
}

TEST_CASE("JSON is what the daemon said, for programs") {
    const FakeDaemon daemon;
    check_output(daemon, "-j cache",
                 "{\"cache\":[{\"worker\":0,\"entries\":65536,\"used\":16384,\"hits\":750,"
                 "\"misses\":200,\"bypassed\":40,\"stale\":10,\"evicted\":5},{\"worker\":1,"
                 "\"entries\":65536,\"used\":0,\"hits\":0,\"misses\":0,\"bypassed\":0,\"stale\":0,"
                 "\"evicted\":0}]}\n");
    check_output(daemon, "-j version", "{\"version\":\"sluiced (sluice) 1.2.3\"}\n");
    // An independent parser finds the members by their documented names.
    const ShellResult out =
        shell("OVS_RUNDIR=" + daemon.dir() + " " + sluicectl() +
              " -j flows | /usr/bin/python3 -c 'import json,sys; f=json.load(sys.stdin)[\"flows\"]"
              "[1]; print(f[\"packets\"], f[\"stage\"], f[\"priority\"], f[\"actions\"])'");
    CHECK(out.out == "12 ls_in_l2_lkup 50 outport = \"sw0-vm2\"; output;\n");
}

TEST_CASE("colour on demand only") {
    const FakeDaemon daemon;
    CHECK(daemon.ctl("status").out.find('\033') == std::string::npos);
    CHECK(daemon.ctl("status --color=always").out.find("\033[32mconnected\033[0m") !=
          std::string::npos);
    CHECK(daemon.ctl("status --color=green").status == 1);
}

TEST_CASE("other commands pass through") {
    const FakeDaemon daemon;
    check_output(daemon, "version", "sluiced (sluice) 1.2.3\n");
    check_output(daemon, "exit --restart", "kept\n");
    check_output(daemon, "exit", "exiting already\n");
    CHECK(daemon.ctl("vlog/list").out.find("unixctl") != std::string::npos);
    CHECK(daemon.ctl("commands").out.find("sluice/flows") != std::string::npos);
    const ShellResult unknown = daemon.ctl("frobnicate");
    CHECK(unknown.status == 2);
    CHECK(unknown.out.find("\"frobnicate\" is not a valid command") != std::string::npos);
}

TEST_CASE("wrong usage says what is right") {
    const FakeDaemon daemon;
    const char* wrong[] = {"", "--nonsense", "status extra", "flows a b", "status --restart", "-t"};
    for (const char* words : wrong) {
        INFO(words);
        const ShellResult out = daemon.ctl(words);
        CHECK(out.status == 1);
        CHECK(out.out.rfind("sluicectl: ", 0) == 0);
    }
    const ShellResult help = daemon.ctl("--help");
    CHECK(help.status == 0);
    CHECK(help.out.find("Examples:") != std::string::npos);
    for (const char* command : {"status", "ports", "tunnels", "datapaths", "flows", "drops",
                                "cache", "counters", "version", "exit", "commands"}) {
        CHECK(help.out.find("\n  " + std::string(command) + " ") != std::string::npos);
    }
}

TEST_CASE("a daemon is found by pidfile, by its socket, or not at all") {
    const FakeDaemon daemon;
    CHECK(daemon.ctl("version").status == 0);  // no pidfile: the only socket
    Pidfile pidfile;
    REQUIRE(pidfile.make(daemon.dir() + "/sluiced.pid", false).ok());
    CHECK(daemon.ctl("version").status == 0);
    CHECK(daemon.ctl("-t " + daemon.socket() + " version").status == 0);
    CHECK(shell(sluicectl() + " --run-dir " + daemon.dir() + " version").status == 0);
    CHECK(shell("OVS_RUNDIR=" + daemon.dir() + " ovs-appctl -t sluiced version").out ==
          "sluiced (sluice) 1.2.3\n");
    const TempDir empty;
    const ShellResult none =
        shell("OVS_RUNDIR=" + empty.path() + " " + sluicectl() + " status 2>&1");
    CHECK(none.status == 1);
    CHECK(none.out.find("no sluiced runs in " + empty.path()) != std::string::npos);
    const ShellResult gone = daemon.ctl("-t /nowhere.ctl status");
    CHECK(gone.status == 1);
    CHECK(gone.out == "sluicectl: cannot connect to /nowhere.ctl: No such file or directory\n");
}

TEST_CASE("a daemon that does not answer, or not in JSON, is given up") {
    const FakeDaemon daemon;
    const ShellResult silent = daemon.ctl("-T 1 never");
    CHECK(silent.status == 1);
    CHECK(silent.out.find("no answer in 1 s") != std::string::npos);
}

template <typename Report>
void check_round_trip(const Report& report) {
    Report back;
    REQUIRE(from_json(to_json(report), &back).ok());
    CHECK(to_json(back) == to_json(report));
}

TEST_CASE("reports survive JSON; other versions' members do no harm") {
    check_round_trip(sample_status());
    check_round_trip(sample_ports());
    check_round_trip(sample_tunnels());
    check_round_trip(sample_datapaths());
    check_round_trip(sample_flows());
    check_round_trip(sample_drops());
    check_round_trip(sample_cache());
    check_round_trip(sample_counters());
    CacheReport cache;
    REQUIRE(from_json("{\"cache\":[{\"hits\":7,\"colour\":\"red\"}],\"more\":{}}", &cache).ok());
    REQUIRE(cache.rows.size() == 1);
    CHECK(cache.rows[0].hits == 7);
    PortReport ports;
    const Result<void> wrong = from_json("{\"ports\":[{},{\"mtu\":\"big\"}]}", &ports);
    REQUIRE_FALSE(wrong.ok());
    CHECK(wrong.error().message == "ports[1].mtu: expected a number, found string");
    CHECK_FALSE(from_json("[]", &ports).ok());
    CHECK_FALSE(from_json("{", &ports).ok());
}

}  // namespace
}  // namespace sluice::rpc
