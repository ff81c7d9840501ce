// SPDX-License-Identifier: Apache-2.0
// Latency of a worker under a given load: packets come on schedule, not when there is time.
//
// The source is an open loop: packet n is due at start + n * interval, whether the worker kept up
// or not, and its latency counts from when it was due, so a stall shows in every packet behind it.
// Capacity is measured first, by the same source without a schedule.
#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstring>
#include <thread>

#include "bench/bench_rig.h"
#include "datapath/conntrack/conntrack.h"
#include "datapath/worker.h"
#include "lib/base/check.h"
#include "tools/host/command_line.h"

namespace sluice {
namespace {

namespace po = boost::program_options;

constexpr char kIntro[] =
    "latency_bench: how long do packets take at half load, near full load, during publishes?\n\n";

/// Log-linear: 32 steps to a power of two, so a quantile is right to 3 %.
class Histogram {
public:
    void add(uint64_t value) { ++counts_[place(value)]; }
    uint64_t total() const {
        uint64_t n = 0;
        for (const uint64_t c : counts_) {
            n += c;
        }
        return n;
    }
    void clear() { std::memset(counts_, 0, sizeof counts_); }
    uint64_t quantile(double q) const {
        const uint64_t all = total();
        const auto wanted = std::min(static_cast<uint64_t>(q * static_cast<double>(all)), all - 1);
        uint64_t seen = 0;
        for (unsigned i = 0; i < kPlaces; ++i) {
            seen += counts_[i];
            if (all != 0 && seen > wanted) {
                return value(i);
            }
        }
        return 0;
    }
    /// f(value, how many) for every place that has any.
    template <typename F>
    void each(F&& f) const {
        for (unsigned i = 0; i < kPlaces; ++i) {
            if (counts_[i]) {
                f(value(i), counts_[i]);
            }
        }
    }

private:
    static constexpr unsigned kBits = 5;
    static constexpr unsigned kPlaces = (64 - kBits) << kBits;
    static unsigned place(uint64_t v) {
        if (v < 1u << kBits) {
            return static_cast<unsigned>(v);
        }
        const auto shift = static_cast<unsigned>(63 - __builtin_clzll(v)) - kBits;
        return (shift + 1) << kBits | static_cast<unsigned>(v >> shift & ((1u << kBits) - 1));
    }
    static uint64_t value(unsigned i) {
        if (i < 1u << kBits) {
            return i;
        }
        const unsigned shift = (i >> kBits) - 1;
        return ((1ull << kBits) | (i & ((1u << kBits) - 1))) << shift;
    }
    uint64_t counts_[kPlaces] = {};
};

/// Both ends of the wire. The worker's thread, and main's while there is none.
struct Wire {
    static constexpr uint64_t kBacklog = 4096;  ///< packets that may wait, as in a NIC's ring

    rte_mempool* pool = nullptr;
    const Frames* frames = nullptr;
    size_t at = 0;
    int stamp = 0;  ///< offset of the dynamic field
    double due = 0;
    uint64_t lost = 0;
    uint64_t sent = 0;
    Histogram histogram;
    /// Cycles between packets; 0: as fast as they are taken.
    double interval = 0;

    uint64_t* stamp_of(rte_mbuf* m) const { return RTE_MBUF_DYNFIELD(m, stamp, uint64_t*); }
};

uint16_t fill(Wire& wire, rte_mbuf** pkts, uint16_t n) {
    if (rte_pktmbuf_alloc_bulk(wire.pool, pkts, n) != 0) {
        return 0;
    }
    for (uint16_t i = 0; i < n; ++i) {
        const std::vector<uint8_t>& frame = (*wire.frames)[wire.at];
        wire.at = wire.at + 1 == wire.frames->size() ? 0 : wire.at + 1;
        std::memcpy(rte_pktmbuf_mtod(pkts[i], void*), frame.data(), frame.size());
        pkts[i]->data_len = static_cast<uint16_t>(frame.size());
        pkts[i]->pkt_len = static_cast<uint32_t>(frame.size());
    }
    return n;
}

uint16_t receive(void* ctx, rte_mbuf** pkts, uint16_t n) {
    Wire& wire = *static_cast<Wire*>(ctx);
    const auto now = static_cast<double>(rte_rdtsc());
    if (wire.interval == 0) {
        n = fill(wire, pkts, n);
        for (uint16_t i = 0; i < n; ++i) {
            *wire.stamp_of(pkts[i]) = static_cast<uint64_t>(now);
        }
        return n;
    }
    if (wire.due > now) {
        return 0;
    }
    auto waiting = static_cast<uint64_t>((now - wire.due) / wire.interval) + 1;
    if (waiting > Wire::kBacklog) {
        const uint64_t late = waiting - Wire::kBacklog;
        wire.lost += late;
        wire.due += static_cast<double>(late) * wire.interval;
        waiting = Wire::kBacklog;
    }
    n = fill(wire, pkts, static_cast<uint16_t>(std::min<uint64_t>(n, waiting)));
    for (uint16_t i = 0; i < n; ++i) {
        *wire.stamp_of(pkts[i]) = static_cast<uint64_t>(wire.due);
        wire.due += wire.interval;
    }
    return n;
}

uint16_t send(void* ctx, rte_mbuf** pkts, uint16_t n) {
    Wire& wire = *static_cast<Wire*>(ctx);
    const uint64_t now = rte_rdtsc();
    for (uint16_t i = 0; i < n; ++i) {
        const uint64_t then = *wire.stamp_of(pkts[i]);
        wire.histogram.add(now > then ? now - then : 0);
    }
    wire.sent += n;
    rte_pktmbuf_free_bulk(pkts, n);
    return n;
}

struct LatencyOptions {
    BenchRigOptions rig;
    unsigned seconds = 3;
    unsigned publishes = 1000;
    bool histogram = false;
};

enum class Publishing { kNone, kElsewhere, kHere };

class LatencyBench {
public:
    LatencyBench(BenchRig& rig, const LatencyOptions& options) : rig_(rig), options_(options) {}

    Result<void> open() {
        static constexpr rte_mbuf_dynfield kStamp = {"bench_stamp", sizeof(uint64_t),
                                                     alignof(uint64_t), 0};
        wire_.stamp = rte_mbuf_dynfield_register(&kStamp);
        if (wire_.stamp < 0) {
            return Error{"no room for a time stamp in packet buffers"};
        }
        wire_.pool = rig_.pool();
        wire_.frames = &rig_.in().front().frames;
        ConntrackConfig tracking;
        tracking.max_connections = options_.rig.connections;
        tracking.seed = 1;
        Result<std::unique_ptr<Conntrack>> conntrack = Conntrack::create(tracking);
        if (!conntrack) {
            return conntrack.error();
        }
        conntrack_ = std::move(*conntrack);
        WorkerConfig config;
        config.rcu = &rig_.rcu();
        config.pipeline = &rig_.published();
        config.ports = &rig_.ports();
        config.counters = &rig_.counters();
        config.copy_pool = rig_.pool();
        config.cache_entries = options_.rig.cache_entries;
        config.conntrack = conntrack_.get();
        config.hash_seed = 1;
        Result<std::unique_ptr<Worker>> worker = Worker::create(config);
        if (!worker) {
            return worker.error();
        }
        worker_ = std::move(*worker);
        rig_.publish_ports(receive, send, &wire_);
        return {};
    }

    void run() {
        answer();
        const double capacity = flat_out();
        fmt::print("capacity {} {} {:.3f} Mpps\n", options_.rig.scenario, wire_.frames->size(),
                   capacity / 1e6);
        for (const unsigned load : {50u, 90u}) {
            for (const Publishing publishing :
                 {Publishing::kNone, Publishing::kElsewhere, Publishing::kHere}) {
                at_load(capacity, load, publishing);
            }
        }
    }

private:
    /// The worker forwards for a while in a thread of its own; what is due starts counting now.
    uint64_t forward(double interval, unsigned ms, unsigned publishes, Publishing publishing) {
        wire_.interval = interval;
        wire_.sent = wire_.lost = 0;
        std::thread thread([this] {
            run_on_core(options_.rig.core);
            wire_.due = static_cast<double>(rte_rdtsc());
            worker_->run();
        });
        const uint64_t hz = rte_get_tsc_hz();
        const uint64_t begin = rte_rdtsc();
        const uint64_t end = begin + hz / 1000 * ms;
        uint64_t next = begin;
        while (rte_rdtsc() < end) {
            if (publishing == Publishing::kNone) {
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                continue;
            }
            publish(publishing);
            next += hz / publishes;
            while (rte_rdtsc() < next) {
                std::this_thread::sleep_for(std::chrono::microseconds(50));
            }
        }
        worker_->stop();
        thread.join();
        const uint64_t cycles = rte_rdtsc() - begin;
        rig_.rcu().synchronize();
        return cycles;
    }

    void publish(Publishing publishing) {
        const auto count = static_cast<int64_t>(rig_.pipeline().datapaths.size());
        rig_.publish_pipeline(publishing == Publishing::kHere ? turn_++ % count : -1);
        rig_.rcu().reclaim();
    }

    double flat_out() {
        forward(0, 500, 0, Publishing::kNone);
        const uint64_t cycles = forward(0, 1000, 0, Publishing::kNone);
        return static_cast<double>(wire_.sent) * static_cast<double>(rte_get_tsc_hz()) /
               static_cast<double>(cycles);
    }

    /// Connections: the measured packets once, then every answer once.
    void answer() {
        rig_.rcu().online(0);
        for (const std::vector<Traffic>* list : {&rig_.in(), &rig_.answers()}) {
            for (const Traffic& traffic : *list) {
                Wire once = wire_;
                once.frames = &traffic.frames;
                once.at = 0;
                for (size_t i = 0; i < traffic.frames.size(); ++i) {
                    rte_mbuf* m;
                    SLUICE_CHECK(fill(once, &m, 1) == 1);
                    *once.stamp_of(m) = rte_rdtsc();
                    worker_->process_burst(&m, 1, traffic.port);
                }
            }
        }
        rig_.rcu().offline(0);
    }

    void at_load(double capacity, unsigned load, Publishing publishing) {
        const double rate = capacity * load / 100;
        const double interval = static_cast<double>(rte_get_tsc_hz()) / rate;
        forward(interval, 300, options_.publishes, publishing);
        wire_.histogram.clear();
        forward(interval, options_.seconds * 1000, options_.publishes, publishing);
        const char* words[] = {"none", "elsewhere", "here"};
        const auto us = [](uint64_t cycles) {
            return static_cast<double>(cycles) * 1e6 / static_cast<double>(rte_get_tsc_hz());
        };
        const Histogram& h = wire_.histogram;
        fmt::print(
            "latency {} {} load={} publishes={} p50={:.2f} p99={:.2f} p99.9={:.2f} "
            "max={:.1f} us lost={} of {}\n",
            options_.rig.scenario, wire_.frames->size(), load, words[static_cast<int>(publishing)],
            us(h.quantile(0.5)), us(h.quantile(0.99)), us(h.quantile(0.999)), us(h.quantile(1)),
            wire_.lost, wire_.lost + wire_.sent);
        if (options_.histogram) {
            h.each([&](uint64_t value, uint64_t count) {
                fmt::print("bin {:.4f} {}\n", us(value), count);
            });
        }
        std::fflush(stdout);
    }

    BenchRig& rig_;
    const LatencyOptions& options_;
    Wire wire_;
    std::unique_ptr<Conntrack> conntrack_;
    std::unique_ptr<Worker> worker_;
    int64_t turn_ = 0;
};

Result<void> bench(int argc, char** argv) {
    LatencyOptions options;
    po::options_description all = options.rig.describe();
    all.add_options()("seconds", po::value(&options.seconds), "of each load (default 3)")(
        "publishes", po::value(&options.publishes), "a second, while publishing (1000)")(
        "histogram", po::bool_switch(&options.histogram), "print all bins");
    po::variables_map map;
    const Result<bool> read = read_command_line(argc, argv, "latency_bench", kIntro, all, &map);
    if (!read || !*read) {
        return read ? Result<void>() : read.error();
    }
    if (options.seconds == 0 || options.publishes == 0) {
        return Error{"--seconds and --publishes must be at least 1"};
    }
    Result<std::unique_ptr<BenchRig>> rig = BenchRig::open(options.rig);
    if (!rig) {
        return rig.error();
    }
    LatencyBench latency(**rig, options);
    if (Result<void> opened = latency.open(); !opened) {
        return opened;
    }
    latency.run();
    return {};
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
    return sluice::exit_status("latency_bench", sluice::bench(argc, argv));
}
