// SPDX-License-Identifier: Apache-2.0
#include "tools/sluicectl/doctor.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/program_options.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "lib/base/event_loop.h"
#include "tools/daemon/paths.h"
#include "tools/doctor/host_checks.h"
#include "tools/doctor/node_checks.h"
#include "tools/sluicectl/client.h"

namespace sluice {
namespace {

namespace po = boost::program_options;

constexpr int kUsageError = 1;
constexpr int kRefused = 2;

constexpr char kUsage[] =
    "sluicectl doctor: what holds this node up, and what to change.\n"
    "\n"
    "usage: sluicectl [OPTION]... doctor [DOCTOR OPTION]...\n"
    "\n"
    "Compares the daemon's counters over a moment: packets lost on receive (which port, queue,\n"
    "worker, core), busy workers, drops by name with their logical flow, cache, connection table,\n"
    "slow path, offload fallbacks, databases, tunnels, ports in error. Then looks at the machine:\n"
    "hugepages, NUMA, IOMMU, governor, isolated cores, locked memory, kernel modules, clock "
    "source,\n"
    "other daemons on the same ports. Every finding has a severity, what it costs and what mends\n"
    "it; the bottleneck is the worst one that loses or delays packets.\n"
    "\n";

constexpr char kExamples[] =
    "\n"
    "Examples:\n"
    "  sluicectl doctor                       a running node\n"
    "  sluicectl doctor --seconds 10 -j       for programs\n"
    "  sluicectl doctor --host --cores 2,4    before sluiced is started with these cores\n"
    "\n"
    "Exit status: 0 nothing to do (notes at most), 1 wrong usage or no daemon, 2 the daemon\n"
    "refused, 3 warnings, 4 something is broken or loses packets.\n";

struct DoctorOptions {
    double seconds = 2;
    bool host = false;
    bool node = false;
    bool json = false;
    std::string cores;
    std::string root;
    std::vector<std::string> devices;
    bool help = false;
};

po::options_description describe(DoctorOptions* o) {
    po::options_description d("Doctor options");
    d.add_options()("seconds", po::value(&o->seconds)->value_name("S"),
                    "length of the moment (default 2)")("host", po::bool_switch(&o->host),
                                                        "the machine only; needs no daemon")(
        "node", po::bool_switch(&o->node), "the daemon only")(
        "cores", po::value(&o->cores)->value_name("LIST"),
        "cores that workers are meant to run on (default: the running daemon's)")(
        "device", po::value(&o->devices)->composing()->value_name("PCI"),
        "a device meant for type=dpdk (may repeat)")(
        "root", po::value(&o->root)->value_name("DIR"),
        "look at /proc and /sys below DIR (of another machine)")(
        "json,j", po::bool_switch(&o->json), "JSON")("help,h", po::bool_switch(&o->help),
                                                     "this text");
    return d;
}

Result<DoctorOptions> parse_options(const std::vector<std::string>& args) {
    DoctorOptions o;
    try {
        po::variables_map map;
        using Style = po::command_line_style::style_t;
        po::store(po::command_line_parser(args)
                      .options(describe(&o))
                      .positional(po::positional_options_description())
                      .style(Style::unix_style & ~Style::allow_guessing)
                      .run(),
                  map);
        po::notify(map);
    } catch (const po::error& error) {
        return Error{std::string(error.what()) + "; see sluicectl doctor --help"};
    }
    if (!(o.seconds > 0) || o.seconds > 3600) {
        return Error{"--seconds: expected more than 0, at most 3600"};
    }
    if (o.host && o.node) {
        return Error{"--host and --node: one of them, or neither for both"};
    }
    return o;
}

int complain(const std::string& text, int status) {
    const bool line = !text.empty() && text.back() == '\n';
    fmt::print(stderr, "sluicectl: {}{}", text, line ? "" : "\n");
    return status;
}

/// One report of the daemon; sets *status when there is none.
template <typename Report>
bool ask(const std::string& socket, const CtlOptions& o, const char* method, bool is_needed,
         Report* report, int* status) {
    const Result<CtlAnswer> answer = call(socket, method, {}, o.timeout_s);
    if (!answer) {
        *status = complain(answer.error().message, kUsageError);
        return false;
    }
    if (!answer->ok) {
        // Without a connection table there is no report of it.
        *status = is_needed ? complain(answer->text, kRefused) : *status;
        return !is_needed;
    }
    const Result<void> read = rpc::from_json(answer->text, report);
    if (!read) {
        *status = complain(read.error().message, kRefused);
    }
    return read.ok();
}

bool sample(const std::string& socket, const CtlOptions& o, doctor::NodeSample* s, int* status) {
    return ask(socket, o, "sluice/status", true, &s->status, status) &&
           ask(socket, o, "sluice/ports", true, &s->ports, status) &&
           ask(socket, o, "sluice/tunnels", true, &s->tunnels, status) &&
           ask(socket, o, "sluice/drops", true, &s->drops, status) &&
           ask(socket, o, "sluice/cache", true, &s->cache, status) &&
           ask(socket, o, "sluice/counters", true, &s->counters, status) &&
           ask(socket, o, "sluice/conntrack-stats", false, &s->conntrack, status);
}

std::vector<unsigned> cores_in(const std::string& text) {
    std::vector<unsigned> cores;
    std::istringstream in(text);
    std::string part;
    while (std::getline(in, part, ',')) {
        const auto dash = part.find('-');
        const unsigned long first = std::strtoul(part.c_str(), nullptr, 10);
        const unsigned long last =
            dash == std::string::npos ? first : std::strtoul(part.c_str() + dash + 1, nullptr, 10);
        for (unsigned long core = first; core <= last && core - first < 1024; ++core) {
            cores.push_back(static_cast<unsigned>(core));
        }
    }
    return cores;
}

doctor::HostView host_view(const CtlOptions& ctl, const DoctorOptions& o,
                           const doctor::NodeSample* node) {
    doctor::HostView view;
    view.root = o.root;
    view.run_dir = ctl.run_dir;
    view.cores = cores_in(o.cores);
    view.pci_devices = o.devices;
    view.wants_huge = !o.devices.empty();
    rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        view.own_memlock_kb = static_cast<long>(limit.rlim_cur / 1024);
    }
    if (!node) {
        return view;
    }
    view.daemon_pid = static_cast<int>(node->status.pid);
    for (const rpc::StatusReport::Worker& worker : node->status.workers) {
        if (o.cores.empty() && worker.core >= 0) {
            view.cores.push_back(static_cast<unsigned>(worker.core));
        }
    }
    for (const rpc::PortReport::Row& port : node->ports.rows) {
        if (port.numa_node >= 0) {
            view.node_of_port.emplace_back(port.name, static_cast<int>(port.numa_node));
        }
        view.wants_huge |= port.driver == "pci";
    }
    return view;
}

}  // namespace

int run_doctor(const CtlOptions& ctl) {
    const Result<DoctorOptions> o = parse_options(ctl.args);
    if (!o) {
        return complain(o.error().message, kUsageError);
    }
    if (o->help) {
        DoctorOptions unused;
        std::ostringstream text;
        text << kUsage << describe(&unused) << kExamples;
        return std::fputs(text.str().c_str(), stdout) < 0 ? kUsageError : 0;
    }
    doctor::Diagnosis diagnosis;
    doctor::NodeSample before;
    doctor::NodeSample after;
    if (!o->host) {
        const Result<std::string> socket = find_socket(ctl.target, ctl.run_dir);
        if (!socket) {
            return complain(socket.error().message + " (doctor --host needs no daemon)",
                            kUsageError);
        }
        int status = 0;
        if (!sample(*socket, ctl, &before, &status)) {
            return status;
        }
        const int64_t start = EventLoop::now_ms();
        usleep(static_cast<useconds_t>(o->seconds * 1e6));
        if (!sample(*socket, ctl, &after, &status)) {
            return status;
        }
        const auto passed = static_cast<double>(EventLoop::now_ms() - start) / 1000;
        doctor::check_node(before, after, passed, &diagnosis);
    }
    if (!o->node) {
        doctor::check_host(host_view(ctl, *o, o->host ? nullptr : &after), &diagnosis);
    }
    doctor::sort_findings(&diagnosis);
    const bool is_json = ctl.json || o->json;
    const bool colour = ctl.colour == "always" ||
                        (ctl.colour == "auto" && isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR"));
    const std::string text =
        is_json ? doctor::to_json(diagnosis) + "\n" : doctor::to_text(diagnosis, colour);
    if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
        return complain("cannot write the output", kUsageError);
    }
    return doctor::exit_status_of(diagnosis);
}

}  // namespace sluice
