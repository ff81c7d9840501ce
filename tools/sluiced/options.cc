// SPDX-License-Identifier: Apache-2.0
#include "tools/sluiced/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tools/host/cores.h"

namespace sluice {
namespace {

namespace po = boost::program_options;

constexpr char kIntro[] =
    "sluiced: forwards packets for OVN on this node, in place of ovn-controller and ovs-vswitchd.\n"
    "\n"
    "usage: sluiced [OPTION]...\n"
    "\n"
    "With a local Open_vSwitch database nothing else is needed: chassis name, Southbound remote\n"
    "and encapsulation come from its external_ids, VIFs are plugged by ovs-vsctl:\n"
    "  ovs-vsctl set Open_vSwitch . external_ids:system-id=hv1 \\\n"
    "      external_ids:ovn-remote=tcp:10.0.0.1:6642 \\\n"
    "      external_ids:ovn-encap-type=geneve external_ids:ovn-encap-ip=192.168.50.100\n"
    "  sluiced --detach --pidfile --log-file\n"
    "  ovs-vsctl add-port br-int vm1 -- set Interface vm1 external_ids:iface-id=vm1\n"
    "\n"
    "Without one, the same by options:\n"
    "  sluiced --no-db --sb tcp:10.0.0.1:6642 --system-id hv1 --encap-ip 192.168.50.100 \\\n"
    "      --underlay up0=af_packet,iface=eth1,ip=192.168.50.100/24 \\\n"
    "      --port vm1=af_packet,iface=tap1,iface-id=vm1\n";

std::string default_rundir() {
    const char* dir = std::getenv("OVS_RUNDIR");
    return dir && *dir ? dir : "/var/run/openvswitch";
}

po::options_description describe(Options* o, std::string* cores, std::vector<std::string>* ports,
                                 std::vector<std::string>* underlays, std::string* config) {
    po::options_description where("Databases");
    where.add_options()("db", po::value(&o->db)->value_name("REMOTE"),
                        "local Open_vSwitch database (default unix:RUNDIR/db.sock)")(
        "no-db", po::bool_switch(&o->no_db), "run without one; ports come from options")(
        "sb", po::value(&o->sb)->value_name("REMOTES"),
        "Southbound remotes, e.g. ssl:10.0.0.1:6642,ssl:10.0.0.2:6642")(
        "system-id", po::value(&o->system_id)->value_name("NAME"), "this chassis' name")(
        "encap-ip", po::value(&o->encap_ip)->value_name("IP"), "tunnel address")(
        "encap-type", po::value(&o->encap_type)->value_name("TYPES"),
        "geneve (the default), stt, vxlan or several of them, separated by commas")(
        "private-key,p", po::value(&o->private_key)->value_name("FILE"), "TLS key")(
        "certificate,c", po::value(&o->certificate)->value_name("FILE"), "TLS certificate")(
        "ca-cert,C", po::value(&o->ca_cert)->value_name("FILE"), "CA that signs the peer");
    po::options_description port_options("Ports");
    port_options.add_options()("port", po::value(ports)->composing()->value_name("SPEC"),
                               "NAME=DRIVER,key=value,...,iface-id=LOGICAL_PORT")(
        "underlay", po::value(underlays)->composing()->value_name("SPEC"),
        "NAME=DRIVER,...,ip=ADDRESS/LEN[+ADDRESS/LEN]")(
        "neighbor", po::value(&o->neighbors)->composing()->value_name("\"PORT IP MAC\""),
        "static underlay neighbour")(
        "route", po::value(&o->routes)->composing()->value_name("\"PREFIX PORT [GATEWAY]\""),
        "static underlay route")("legacy-geneve", po::bool_switch(&o->legacy_geneve),
                                 "send the older Geneve option (class 0xffff, type 0)")(
        "dummy", po::bool_switch(&o->dummy),
        "test mode: system interfaces of the database become in-memory ports");
    po::options_description resources("Resources");
    resources.add_options()("workers", po::value(&o->workers)->value_name("N"),
                            "poll-mode threads (default 1)")(
        "cores", po::value(cores)->value_name("LIST"), "pin one worker to each of these cores")(
        "memory-mb", po::value(&o->memory_mb)->value_name("MB"), "DPDK memory (default 256)")(
        "huge", po::bool_switch(&o->huge), "take it from hugepages")(
        "mbufs", po::value(&o->mbufs)->value_name("N"), "packet buffers (default 16384)")(
        "cache-entries", po::value(&o->cache_entries)->value_name("N"),
        "flow cache entries per worker, 0 turns the cache off (default 262144)")(
        "conntrack-connections", po::value(&o->conntrack_connections)->value_name("N"),
        "connections that can be tracked, about 300 bytes each when used (default 1048576)")(
        "zones-file", po::value(&o->zones_file)->value_name("FILE"),
        "where conntrack zones are remembered when there is no local database")(
        "conntrack-fragments-kb", po::value(&o->conntrack_fragments_kb)->value_name("KB"),
        "packet buffers that may wait for the rest of a fragmented packet (default 16384)")(
        "idle-sleep-us", po::value(&o->idle_sleep_us)->value_name("US"),
        "idle workers sleep until packets come; where a port can only be polled (dummy, pcap, "
        "null, "
        "memif, pci), at most so long at a time (default 150). 0: workers poll all the time")(
        "eal", po::value(&o->eal)->composing()->value_name("ARG"),
        "further argument to DPDK's EAL");
    po::options_description daemon("Daemon");
    daemon.add_options()("detach", po::bool_switch(&o->detach), "run in the background")(
        "monitor", po::bool_switch(&o->monitor), "restart after a crash")(
        "pidfile", po::value<std::string>()->implicit_value("")->value_name("[=FILE]"),
        "write a pidfile (default RUNDIR/sluiced.pid)")(
        "overwrite-pidfile", po::bool_switch(&o->overwrite_pidfile), "even if one is there")(
        "no-chdir", po::bool_switch(&o->no_chdir), "stay in this directory")(
        "log-file", po::value<std::string>()->implicit_value("")->value_name("[=FILE]"),
        "log to a file (default LOGDIR/sluiced.log)")(
        "verbose,v", po::value(&o->verbose)->composing()->value_name("[MODULE:][DEST:]LEVEL"),
        "log levels, as in vlog/set")("unixctl", po::value(&o->unixctl)->value_name("SOCKET"),
                                      "control socket (default RUNDIR/sluiced.PID.ctl)")(
        "config", po::value(config)->value_name("FILE"), "read options from FILE too")(
        "check", po::bool_switch(&o->check),
        "look at the machine (hugepages, NUMA, IOMMU, governor ...), say what to mend, and stop")(
        "version,V", po::bool_switch(&o->version), "print the version")(
        "help,h", po::bool_switch(&o->help), "this text");
    po::options_description all;
    all.add(where).add(port_options).add(resources).add(daemon);
    return all;
}

Result<void> check(const Options& o) {
    if (o.help || o.version) {
        return {};
    }
    for (size_t start = 0; start <= o.encap_type.size();) {
        const size_t end = std::min(o.encap_type.find(',', start), o.encap_type.size());
        const std::string type = o.encap_type.substr(start, end - start);
        if (type != "geneve" && type != "stt" && type != "vxlan") {
            return Error{"--encap-type: \"" + type + "\" is none of geneve, stt, vxlan"};
        }
        start = end + 1;
    }
    if (!o.encap_ip.empty() && !parse_ip4(o.encap_ip) && !parse_ip6(o.encap_ip)) {
        return Error{"--encap-ip: \"" + o.encap_ip + "\" is not an IP address"};
    }
    if (!o.no_db && !o.ports.empty()) {
        return Error{
            "--port and --underlay need --no-db: with a local database, plug ports by "
            "ovs-vsctl add-port"};
    }
    if (o.no_db && (o.sb.empty() || o.system_id.empty())) {
        return Error{"--no-db needs --sb REMOTES and --system-id NAME"};
    }
    for (const PortOption& port : o.ports) {
        if (!port.mac.empty()) {
            return Error{
                fmt::format("{}: mac= is for offline programs; give the device itself the "
                            "address (ip link set {} address {})",
                            port.spec.name, port.spec.name, port.mac)};
        }
    }
    if (o.workers == 0 || o.workers > limits::kMaxWorkers) {
        return Error{fmt::format("--workers: expected 1 to {}", limits::kMaxWorkers)};
    }
    return {};
}

Result<Options> parse(int argc, char** argv) {
    Options o;
    std::string cores;
    std::string config;
    std::vector<std::string> ports;
    std::vector<std::string> underlays;
    const po::options_description all = describe(&o, &cores, &ports, &underlays, &config);
    po::variables_map map;
    using Style = po::command_line_style::style_t;
    const int style = Style::unix_style & ~Style::allow_guessing;
    po::store(po::command_line_parser(argc, argv)
                  .options(all)
                  .style(style)
                  .positional(po::positional_options_description())
                  .run(),
              map);
    if (map.count("config")) {
        const std::string path = map["config"].as<std::string>();
        std::ifstream file(path);
        if (!file) {
            return Error{"--config: cannot read " + path};
        }
        po::store(po::parse_config_file(file, all), map);
    }
    po::notify(map);
    if (map.count("pidfile")) {
        o.pidfile = map["pidfile"].as<std::string>();
    }
    if (map.count("log-file")) {
        o.log_file = map["log-file"].as<std::string>();
    }
    for (const auto& [list, underlay] : {std::pair(&ports, false), std::pair(&underlays, true)}) {
        for (const std::string& text : *list) {
            Result<PortOption> port = parse_port_option(text, underlay);
            if (!port) {
                return port.error();
            }
            o.ports.push_back(std::move(*port));
        }
    }
    if (!cores.empty()) {
        Result<std::vector<unsigned>> list = parse_cores(cores);
        if (!list) {
            return list.error();
        }
        o.cores = *list;
        o.workers = static_cast<unsigned>(o.cores.size());
    }
    if (o.db.empty() && !o.no_db) {
        o.db = "unix:" + default_rundir() + "/db.sock";
    }
    std::ostringstream text;
    text << kIntro << all;
    o.help_text = text.str();
    if (Result<void> checked = check(o); !checked) {
        return checked.error();
    }
    return o;
}

}  // namespace

Result<Options> parse_options(int argc, char** argv) {
    try {
        return parse(argc, argv);
    } catch (const po::error& error) {
        return Error{std::string(error.what()) + "; see sluiced --help"};
    }
}

}  // namespace sluice
