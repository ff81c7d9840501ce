// SPDX-License-Identifier: Apache-2.0
#include "tools/sluicectl/options.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <set>
#include <sstream>

#include "tools/daemon/paths.h"

namespace sluice {
namespace {

namespace po = boost::program_options;

constexpr char kUsage[] =
    "sluicectl: asks a running sluiced what it does, and tells it what to do.\n"
    "\n"
    "usage: sluicectl [OPTION]... COMMAND [ARG]...\n"
    "\n"
    "Commands:\n"
    "  status                chassis, databases, pipeline, workers\n"
    "  ports                 physical ports: driver, logical port, link, counters\n"
    "  tunnels               tunnels to other chassis and whether they are ready\n"
    "  bonds                 bonds: members, who carries traffic, what LACP agreed on\n"
    "  mirrors               Mirrors that ports here name, and whether their sinks can be reached\n"
    "  datapaths [DATAPATH]  logical switches and routers here; of one, its ports\n"
    "  flows [DATAPATH]      logical flows with what they matched\n"
    "  drops                 why packets were dropped, and by which logical flow\n"
    "  cache                 flow cache: room and hit rate\n"
    "  counters              everything that is counted\n"
    "  conntrack [FILTER]... connections; FILTER is zone=, proto=, src=, dst=, sport=, dport=,\n"
    "                        vip=IP[:PORT], backend=IP[:PORT], mark=, label= or limit=N\n"
    "  conntrack-stats       how full the table is, and what was refused or evicted\n"
    "  conntrack-flush FILTER...|--all\n"
    "                        forgets connections\n"
    "  zones                 conntrack zones of ports and datapaths\n"
    "  capture [OPTION]... [FILTER]\n"
    "                        packets with what sluice knows of them; sluicectl capture --help\n"
    "  doctor [OPTION]...    what holds this node up, and what to do; sluicectl doctor --help\n"
    "  version               of the daemon\n"
    "  exit                  ends the daemon; its Chassis row goes with it\n"
    "  commands              all commands the daemon knows\n"
    "Any other COMMAND is sent as it is (vlog/set, vlog/list, coverage/show ...). DATAPATH is a\n"
    "name, a UUID or a tunnel key.\n"
    "\n";

constexpr char kExamples[] =
    "\n"
    "Examples:\n"
    "  sluicectl status                    is it connected?\n"
    "  sluicectl drops                     why does my packet not arrive?\n"
    "  sluicectl flows sw0                 which logical flows of sw0 see traffic?\n"
    "  sluicectl -j flows sw0 | jq '.flows[] | select(.packets == 0) | .uuid'\n"
    "  sluicectl vlog/set slowpath:file:dbg\n"
    "  sluicectl capture -Q drop           which packets are dropped, and by what?\n"
    "  sluicectl exit --restart            end it, but keep the chassis registered\n"
    "  sluicectl -t /run/hv1/sluiced.123.ctl status\n"
    "\n"
    "Exit status: 0 done, 1 wrong usage or no daemon, 2 the daemon refused.\n";

po::options_description describe(CtlOptions* o) {
    po::options_description options("Options");
    options.add_options()("target,t", po::value(&o->target)->value_name("TARGET"),
                          "socket path, or name of a daemon with a pidfile (default sluiced)")(
        "run-dir", po::value(&o->run_dir)->value_name("DIR"),
        "where pidfile and socket are (default $OVS_RUNDIR or /var/run/openvswitch)")(
        "json,j", po::bool_switch(&o->json), "JSON, as the daemon sends it")(
        "all,a", po::bool_switch(&o->all), "rows that are zero too")(
        "restart", po::bool_switch(&o->restart),
        "exit: keep the Chassis row and ports for the next one")(
        "color", po::value(&o->colour)->value_name("WHEN"),
        "auto (default: on a terminal), always or never")(
        "timeout,T", po::value(&o->timeout_s)->value_name("SECONDS"),
        "give up after so long, 0 never (default 60)")("version,V", po::bool_switch(&o->version),
                                                       "print the version of sluicectl")(
        "help,h", po::bool_switch(&o->help), "this text");
    return options;
}

/// Where in argv a command with options of its own stands; argc when there is none.
int own_command(int argc, char** argv) {
    static const std::set<std::string> with_value = {"-t",      "--target",  "--run-dir",
                                                     "--color", "--timeout", "-T"};
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (with_value.count(word)) {
            ++i;
        } else if (word.empty() || word[0] != '-') {
            return word == "capture" || word == "doctor" ? i : argc;
        }
    }
    return argc;
}

Result<CtlOptions> parse(int argc, char** argv) {
    CtlOptions o;
    const int own = own_command(argc, argv);
    const std::vector<std::string> rest(argv + std::min(own + 1, argc), argv + argc);
    argc = std::min(own + 1, argc);
    std::vector<std::string> words;
    po::options_description all = describe(&o);
    all.add_options()("word", po::value(&words), "");
    po::positional_options_description positional;
    positional.add("word", -1);
    using Style = po::command_line_style::style_t;
    po::variables_map map;
    po::store(po::command_line_parser(argc, argv)
                  .options(all)
                  .positional(positional)
                  .style(Style::unix_style & ~Style::allow_guessing)
                  .run(),
              map);
    po::notify(map);
    if (o.run_dir.empty()) {
        o.run_dir = run_dir();
    }
    if (o.help || o.version) {
        return o;
    }
    if (o.colour != "auto" && o.colour != "always" && o.colour != "never") {
        return Error{"--color: expected auto, always or never, found \"" + o.colour + "\""};
    }
    if (words.empty()) {
        return Error{"which command? \"sluicectl status\" is a start; see sluicectl --help"};
    }
    o.command = words.front();
    o.args.assign(words.begin() + 1, words.end());
    o.args.insert(o.args.end(), rest.begin(), rest.end());
    if (o.restart && o.command != "exit") {
        return Error{"--restart goes with exit only"};
    }
    return o;
}

}  // namespace

Result<CtlOptions> parse_ctl_options(int argc, char** argv) {
    try {
        return parse(argc, argv);
    } catch (const po::error& error) {
        return Error{std::string(error.what()) + "; see sluicectl --help"};
    }
}

std::string ctl_help() {
    CtlOptions unused;
    std::ostringstream text;
    text << kUsage << describe(&unused) << kExamples;
    return text.str();
}

}  // namespace sluice
