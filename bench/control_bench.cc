// SPDX-License-Identifier: Apache-2.0
// How long the control plane takes from rows to a pipeline: all of a database, and single changes.
//
//     control_bench [-j] [--rounds N] [--only CHANGE] SCENARIO...
//
// A scenario is a database file (plain or .gz, e.g. data/s4.sb.db.gz) or a name:
//     100k, 600k   so many logical flows: switches, load balancers, ACLs
//     vips         15 000 load balancers on 120 switches and their router
//     unequal      500 ACLs with `!= {15 addresses}`
//     set10k       100 ACLs over a set of 10 000 addresses
//     acls         3500 ACLs over a set of 450 addresses
// A line for each figure: scenario, what, milliseconds (of changes the median and the worst), heap
// and resident set in MB where they were taken. -j: the same as JSON, an object a line.
// Milliseconds are processor time of all threads, which means something on a crowded machine too;
// where several threads work, what the clock on the wall says stands beside it.
#include <malloc.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>

#include <fmt/format.h>

#include "bench/southbound.h"
#include "bench/southbound_lab.h"
#include "control/ovsdb/db_file.h"

using namespace sluice;
using namespace sluice::bench;

namespace {

/// Processor time and the wall's, in milliseconds.
struct Moment {
    double processor;
    double wall;

    static Moment now() { return {read(CLOCK_PROCESS_CPUTIME_ID), read(CLOCK_MONOTONIC)}; }

private:
    static double read(clockid_t clock) {
        timespec at{};
        clock_gettime(clock, &at);
        return static_cast<double>(at.tv_sec) * 1e3 + static_cast<double>(at.tv_nsec) / 1e6;
    }
};

Moment since(const Moment& start) {
    const Moment now = Moment::now();
    return {now.processor - start.processor, now.wall - start.wall};
}

struct Memory {
    double heap_mb;
    double resident_mb;
};

Memory memory_now() {
    malloc_trim(0);
    const struct mallinfo2 info = mallinfo2();
    long pages[2] = {};
    if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%ld %ld", &pages[0], &pages[1]) != 2) {
            pages[1] = 0;
        }
        std::fclose(file);
    }
    return {static_cast<double>(info.uordblks + info.hblkhd) / 1e6,
            static_cast<double>(pages[1]) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6};
}

class Report {
public:
    Report(std::string scenario, bool as_json) : scenario_(std::move(scenario)), json_(as_json) {}

    void whole(const char* what, const Moment& took, size_t flows) {
        const Memory memory = memory_now();
        if (json_) {
            fmt::print(
                "{{\"scenario\":\"{}\",\"what\":\"{}\",\"ms\":{:.3f},\"wall_ms\":{:.3f},"
                "\"flows\":{},\"heap_mb\":{:.1f},\"resident_mb\":{:.1f}}}\n",
                scenario_, what, took.processor, took.wall, flows, memory.heap_mb,
                memory.resident_mb);
        } else {
            fmt::print(
                "{:<10} {:<16} {:>10.2f} ms   wall {:.0f} ms, heap {:.1f} MB, resident {:.1f} MB\n",
                scenario_, what, took.processor, took.wall, memory.heap_mb, memory.resident_mb);
        }
        std::fflush(stdout);
    }
    void change(const char* what, size_t rows, std::vector<double> ms, std::vector<double> rest) {
        std::sort(ms.begin(), ms.end());
        std::sort(rest.begin(), rest.end());
        const double median = ms[ms.size() / 2];
        const double rest_median = rest[rest.size() / 2];
        if (json_) {
            fmt::print(
                "{{\"scenario\":\"{}\",\"what\":\"{}\",\"rows\":{},\"median_ms\":{:.3f},"
                "\"worst_ms\":{:.3f},\"rest_ms\":{:.3f}}}\n",
                scenario_, what, rows, median, ms.back(), rest_median);
        } else {
            fmt::print(
                "{:<10} {:<16} {:>10.2f} ms   worst {:.2f} ms, {} rows; the round's rest "
                "{:.2f} ms\n",
                scenario_, what, median, ms.back(), rows, rest_median);
        }
        std::fflush(stdout);
    }

private:
    const std::string scenario_;
    const bool json_;
};

std::optional<std::string> read_file(const std::string& path) {
    const gzFile file = gzopen(path.c_str(), "rb");
    if (!file) {
        return std::nullopt;
    }
    std::string text;
    char buffer[1 << 16];
    for (int got = 0; (got = gzread(file, buffer, sizeof buffer)) > 0;) {
        text.append(buffer, static_cast<size_t>(got));
    }
    gzclose(file);
    return text;
}

std::optional<NetworkShape> shape_of(const std::string& name) {
    NetworkShape shape;
    if (name == "100k") {
        shape.switches = 200, shape.ports = 50, shape.vips = 4000, shape.router_vips = true;
        shape.acls = 19000;
    } else if (name == "600k") {
        shape.switches = 600, shape.ports = 100, shape.vips = 15000, shape.router_vips = true;
        shape.acls = 143000;
    } else if (name == "vips") {
        shape.switches = 120, shape.vips = 15000, shape.router_vips = true;
    } else if (name == "unequal") {
        shape.switches = 50, shape.acls = 500, shape.unequal = 15;
    } else if (name == "set10k") {
        shape.switches = 50, shape.acls = 100, shape.acl_span = 50, shape.sets = 1;
        shape.set_size = 10000;
    } else if (name == "acls") {
        shape.switches = 20, shape.acls = 3500, shape.acl_span = 20, shape.sets = 1;
        shape.set_size = 450;
    } else {
        return std::nullopt;
    }
    return shape;
}

void run_changes(SouthboundLab* lab, Report* report, int rounds, const std::string& only) {
    const std::pair<const char*, SouthboundLab::Rows (SouthboundLab::*)()> kinds[] = {
        {"address", &SouthboundLab::add_address}, {"acl", &SouthboundLab::add_acl},
        {"vip", &SouthboundLab::add_vip},         {"backend", &SouthboundLab::change_backend},
        {"port", &SouthboundLab::add_port},       {"mac", &SouthboundLab::add_mac_binding}};
    for (const auto& [what, make] : kinds) {
        if (!only.empty() && only != what) {
            continue;
        }
        std::vector<double> ms;
        std::vector<double> rest;
        size_t count = 0;
        for (int round = 0; round < rounds; ++round) {
            const SouthboundLab::Rows rows = (lab->*make)();
            count = rows.size();
            if (rows.empty()) {
                break;
            }
            Moment start = Moment::now();
            lab->apply(rows);
            ms.push_back(since(start).processor);
            start = Moment::now();
            lab->rest_of_round();
            rest.push_back(since(start).processor);
        }
        if (!ms.empty()) {
            report->change(what, count, std::move(ms), std::move(rest));
        }
    }
}

int run(const std::string& scenario, bool as_json, int rounds, const std::string& only) {
    Report report(scenario.substr(scenario.rfind('/') + 1), as_json);
    const auto shape = shape_of(scenario);
    const auto text = read_file(shape ? SLUICE_BENCH_DATA "/s1.sb.db.gz" : scenario);
    if (!text) {
        fmt::print(stderr, "{}: no scenario and no file\n", scenario);
        return 1;
    }
    std::string rows = shape ? make_southbound(*shape) : std::string();
    report.whole("(nothing yet)", {}, 0);
    Moment start = Moment::now();
    auto file = ovsdb::read_db_bytes(*text, sb::table_specs(), scenario);
    if (!file) {
        fmt::print(stderr, "{}\n", file.error().message);
        return 1;
    }
    SouthboundLab lab(file->schema);
    if (shape) {
        start = Moment::now();
        if (const auto read = lab.read(std::move(rows)); !read) {
            fmt::print(stderr, "{}\n", read.error().message);
            return 1;
        }
    } else {
        lab.take(std::move(*file));
    }
    report.whole("read", since(start), 0);
    start = Moment::now();
    lab.fill_mirror();
    const Moment mirror = since(start);
    const size_t flows = lab.mirror().flows.size();
    report.whole("mirror", mirror, flows);
    lab.become("hv1");
    start = Moment::now();
    lab.apply({});
    report.whole("build", since(start), flows);
    for (const auto& [uuid, error] : lab.builder().flow_errors()) {
        fmt::print(stderr, "{}\n", error);
        return 1;
    }
    if (!as_json) {
        fmt::print("{:<10} {} flows, {} datapaths here\n", "", flows,
                   lab.builder().local_datapaths().size());
    }
    run_changes(&lab, &report, rounds, only);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    bool as_json = false;
    int rounds = 11;
    std::string only;
    std::vector<std::string> scenarios;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "-j") == 0) {
            as_json = true;
        } else if (std::strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
            rounds = std::max(std::atoi(argv[++i]), 1);
        } else if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else {
            scenarios.emplace_back(argv[i]);
        }
    }
    if (scenarios.empty()) {
        fmt::print(stderr, "usage: control_bench [-j] [--rounds N] [--only CHANGE] SCENARIO...\n");
        return 2;
    }
    for (const std::string& scenario : scenarios) {
        if (const int failed = run(scenario, as_json, rounds, only); failed != 0) {
            return failed;
        }
    }
    return 0;
}
