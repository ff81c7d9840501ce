// SPDX-License-Identifier: Apache-2.0
// sluice-bench: ports forward flat out, testpmd style; prints Mpps and cycles per packet.
//
// One measurement is a window over the live counters of worker threads that poll the given ports.
// Windows are repeated and the median is told with the best and the worst, since a noisy machine
// only ever subtracts.
#include <fmt/format.h>
#include <rte_cycles.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/program_options.hpp>
#include <cstdio>
#include <optional>
#include <thread>

#include "control/capture/filter.h"
#include "tools/host/command_line.h"
#include "tools/host/cores.h"
#include "tools/host/offline_host.h"

namespace sluice {
namespace {

namespace po = boost::program_options;

constexpr char kIntro[] =
    "sluice-bench: how fast would this chassis forward these packets?\n\n"
    "usage: sluice-bench --sb FILE --chassis NAME --port SPEC... [--count PORT...]\n\n"
    "Ports of driver pcap with infinite_rx=1 are endless sources, null ports are sinks:\n"
    "  sluice-bench --sb s1.sb.db --chassis hv1 --cores 1 \\\n"
    "      --port lp1=pcap,rx_pcap=fwd.pcap,infinite_rx=1,iface-id=lp1 \\\n"
    "      --port lp2=null,iface-id=lp2 --count lp2\n\n";

struct BenchOptions {
    OfflineOptions chassis;
    std::vector<std::string> count;
    std::vector<unsigned> cores;
    std::string core_text;
    unsigned workers = 1;
    double seconds = 2;
    unsigned repeat = 5;
    unsigned warm_ms = 500;
    unsigned memory_mb = 1024;
    unsigned mbufs = 65535;
    unsigned cache_entries = 262144;
    bool huge = false;
    bool no_cache = false;
    bool drops = false;
    std::optional<std::string> capture;  ///< filter; measured off and on in turn
    std::string scenario = "-";
    std::string flows = "-";
};

struct Window {
    double mpps;
    double cycles;
    double hit_rate;
    double tables_per_walk;
};

/// Counters at one moment.
struct Mark {
    uint64_t tsc;
    uint64_t packets;
    uint64_t hits;
    uint64_t misses;
    uint64_t tables;
    uint64_t busy;
    uint64_t rx;
};

class Bench {
public:
    Bench(OfflineHost& host, const BenchOptions& options) : host_(host), options_(options) {}

    Result<void> check() const {
        for (const std::string& name : options_.count) {
            if (host_.port_id(name) == kNoPort) {
                return Error{"--count " + name + ": no such port"};
            }
        }
        const auto filter = capture::Filter::compile(options_.capture.value_or(""));
        return filter ? Result<void>() : filter.error();
    }

    std::vector<Window> run() {
        host_.host->start_threads();
        usleep(options_.warm_ms * 1000);
        std::vector<Window> windows;
        for (unsigned i = 0; i < options_.repeat; ++i) {
            windows.push_back(measure());
            if (options_.capture) {
                captured_.push_back(measure_captured());
            }
            if (isatty(STDERR_FILENO)) {
                fmt::print(stderr, "\r{}/{}: {:.2f} Mpps ", i + 1, options_.repeat,
                           windows.back().mpps);
            }
        }
        if (isatty(STDERR_FILENO)) {
            fmt::print(stderr, "\r{:30}\r", "");
        }
        host_.host->stop_threads();
        return windows;
    }

    /// The windows with a capture; each was measured after one without.
    const std::vector<Window>& captured() const { return captured_; }

private:
    Window measure() {
        const Mark before = mark();
        usleep(static_cast<useconds_t>(options_.seconds * 1e6));
        return window(before, mark());
    }

    /// Someone captures at full rate and takes what comes.
    Window measure_captured() {
        const auto filter = capture::Filter::compile(*options_.capture);
        auto tap = std::make_shared<CaptureTap>();
        for (unsigned i = 0; i < host_.host->n_workers(); ++i) {
            tap->lanes.push_back(std::make_unique<CaptureLane>(4u << 20));
        }
        CaptureSpec spec;
        spec.filter = (*filter)->code();
        spec.cycles_per_packet = rte_get_tsc_hz() / 100000;
        spec.burst_cycles = 1000 * spec.cycles_per_packet;
        auto set = std::make_unique<CaptureSet>();
        set->items.push_back({spec, tap, *filter});
        host_.host->publish_capture(std::move(set));
        std::atomic<bool> stop{false};
        std::thread drain([&] {
            while (!stop) {
                for (const auto& lane : tap->lanes) {
                    while (const CaptureRecord* record = lane->ring.front()) {
                        lane->ring.pop(*record);
                    }
                }
                usleep(1000);
            }
        });
        const Window w = measure();
        host_.host->publish_capture(nullptr);
        host_.host->rcu().synchronize();
        stop = true;
        drain.join();
        return w;
    }

    Mark mark() const {
        Mark m{};
        m.tsc = rte_rdtsc();
        for (const std::string& name : options_.count) {
            const Result<PortStats> stats = host_.host->ports().stats(host_.port_id(name));
            m.packets += stats ? stats->tx_packets : 0;
        }
        if (options_.count.empty()) {
            m.packets = host_.host->total(Counter::k_tx_packets);
        }
        m.hits = host_.host->total(Counter::k_cache_hit);
        m.misses =
            host_.host->total(Counter::k_cache_miss) + host_.host->total(Counter::k_cache_bypass);
        m.tables = host_.host->total(Counter::k_walk_tables);
        m.busy = host_.host->total(Counter::k_busy_cycles);
        m.rx = host_.host->total(Counter::k_rx_packets);
        return m;
    }

    Window window(const Mark& a, const Mark& b) const {
        Window w{};
        const double seconds =
            static_cast<double>(b.tsc - a.tsc) / static_cast<double>(rte_get_tsc_hz());
        const double packets = static_cast<double>(b.packets - a.packets);
        w.mpps = packets / seconds / 1e6;
        w.cycles = packets > 0 ? static_cast<double>(b.tsc - a.tsc) *
                                     static_cast<double>(host_.host->n_workers()) / packets
                               : 0;
        const double looked = static_cast<double>(b.hits - a.hits + b.misses - a.misses);
        w.hit_rate = looked > 0 ? static_cast<double>(b.hits - a.hits) / looked : 0;
        w.tables_per_walk = b.misses > a.misses ? static_cast<double>(b.tables - a.tables) /
                                                      static_cast<double>(b.misses - a.misses)
                                                : 0;
        return w;
    }

    OfflineHost& host_;
    const BenchOptions& options_;
    std::vector<Window> captured_;
};

Result<BenchOptions> parse(int argc, char** argv, bool* done) {
    BenchOptions o;
    po::options_description all = o.chassis.describe();
    po::options_description own("Measurement");
    own.add_options()("count", po::value(&o.count)->composing()->value_name("PORT"),
                      "count packets sent here (default: all ports)")(
        "cores", po::value(&o.core_text)->value_name("LIST"), "one worker on each core")(
        "workers", po::value(&o.workers)->value_name("N"), "workers when not pinned")(
        "seconds", po::value(&o.seconds)->value_name("S"), "length of a window (default 2)")(
        "repeat", po::value(&o.repeat)->value_name("N"), "windows (default 5)")(
        "warm-ms", po::value(&o.warm_ms)->value_name("MS"), "before the first window (500)")(
        "memory-mb", po::value(&o.memory_mb)->value_name("MB"), "DPDK memory (default 1024)")(
        "huge", po::bool_switch(&o.huge), "use hugepages")(
        "mbufs", po::value(&o.mbufs)->value_name("N"), "packet buffers a pool (65535)")(
        "cache-entries", po::value(&o.cache_entries)->value_name("N"), "flow cache (262144)")(
        "no-cache", po::bool_switch(&o.no_cache), "walk every packet")(
        "drops", po::bool_switch(&o.drops), "list drops by name afterwards")(
        "capture", po::value<std::string>()->implicit_value("")->value_name("[=FILTER]"),
        "between windows, measure the same with a capture of what FILTER takes")(
        "scenario", po::value(&o.scenario)->value_name("NAME"), "first word of the line printed")(
        "flows", po::value(&o.flows)->value_name("N"), "second word")("help,h", "this text");
    all.add(own);
    po::variables_map map;
    const Result<bool> read = read_command_line(argc, argv, "sluice-bench", kIntro, all, &map);
    if (!read || !*read) {
        *done = true;
        return read ? Result<BenchOptions>(o) : read.error();
    }
    if (o.repeat == 0 || o.seconds <= 0) {
        return Error{"--repeat must be at least 1 and --seconds more than 0"};
    }
    if (map.count("capture")) {
        o.capture = map["capture"].as<std::string>();
    }
    if (!o.core_text.empty()) {
        Result<std::vector<unsigned>> cores = parse_cores(o.core_text);
        if (!cores) {
            return cores.error();
        }
        o.cores = *cores;
        o.workers = static_cast<unsigned>(o.cores.size());
    }
    return o;
}

void print(const BenchOptions& o, std::vector<Window> windows) {
    std::sort(windows.begin(), windows.end(),
              [](const Window& a, const Window& b) { return a.mpps < b.mpps; });
    const Window& median = windows[windows.size() / 2];
    // scenario flows impl median_mpps cycles_per_pkt, then what explains them.
    fmt::print(
        "{} {} sluice {:.3f} {:.0f} # worst={:.3f} best={:.3f} cache_hit={:.1f}% "
        "tables/walk={:.1f}\n",
        o.scenario, o.flows, median.mpps, median.cycles, windows.front().mpps, windows.back().mpps,
        100 * median.hit_rate, median.tables_per_walk);
}

Result<void> bench(int argc, char** argv) {
    bool done = false;
    Result<BenchOptions> o = parse(argc, argv, &done);
    if (!o || done) {
        return o ? Result<void>() : o.error();
    }
    HostConfig config;
    config.workers = o->workers;
    config.cores = o->cores;
    config.mbufs = o->mbufs;
    config.cache_entries = o->no_cache ? 0 : o->cache_entries;
    config.idle.nap_us = 0;
    config.mailboxes = false;
    Result<std::unique_ptr<OfflineHost>> host =
        open_offline(o->chassis, config, o->memory_mb, o->huge, /*dummy_for_unnamed=*/false);
    if (!host) {
        return host.error();
    }
    Bench run(**host, *o);
    if (Result<void> checked = run.check(); !checked) {
        return checked;
    }
    print(*o, run.run());
    if (o->capture) {
        o->scenario += "+capture";
        print(*o, run.captured());
    }
    for (size_t i = 1; o->drops && i < static_cast<size_t>(Drop::kCount); ++i) {
        const Drop drop = static_cast<Drop>(i);
        if (const uint64_t n = (*host)->host->total(drop)) {
            fmt::print("# drop {} {}\n", drop_name(drop), n);
        }
    }
    return {};
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
    return sluice::exit_status("sluice-bench", sluice::bench(argc, argv));
}
