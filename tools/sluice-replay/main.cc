// SPDX-License-Identifier: Apache-2.0
// sluice-replay: a Southbound database and packets in per port -> packets out per port, verdicts.
//
// Frames of all inputs are merged by time stamp and run one at a time through the same data path
// code that sluiced runs, on in-memory ports and a clock that follows the time stamps, so a replay
// gives the same output every time.
#include <fmt/format.h>
#include <pcap/pcap.h>
#include <rte_cycles.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdio>
#include <map>
#include <span>

#include "pmd/dummy.h"
#include "tools/host/command_line.h"
#include "tools/host/offline_host.h"

namespace sluice {
namespace {

namespace po = boost::program_options;

constexpr char kIntro[] =
    "sluice-replay: what would this chassis do with these packets?\n\n"
    "usage: sluice-replay --sb FILE --chassis NAME --in PORT=FILE.pcap... --out "
    "PORT=FILE.pcap...\n\n"
    "Ports are in-memory: every VIF that the database binds to the chassis has one of its name, "
    "and\n"
    "--port, --underlay add or rename. Example, vm1's packets out as Geneve:\n"
    "  sluice-replay --sb sb.db --chassis hv1 --underlay up=dummy,ip=192.168.50.100/24 \\\n"
    "      --in vm1=ping.pcap --out up=tunnel.pcap\n\n";

struct Frame {
    uint64_t time_us;
    std::string port;
    std::vector<uint8_t> bytes;
    size_t number;  ///< in its file, from 1
};

struct ReplayOptions {
    OfflineOptions chassis;
    std::vector<std::string> in;
    std::vector<std::string> out;
    bool no_cache = false;
    bool quiet = false;
};

Result<std::pair<std::string, std::string>> split(const std::string& text, const char* option) {
    const size_t at = text.find('=');
    if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
        return Error{fmt::format("{} {}: expected PORT=FILE", option, text)};
    }
    return std::pair(text.substr(0, at), text.substr(at + 1));
}

Result<void> read_pcap(const std::string& port, const std::string& path,
                       std::vector<Frame>* frames) {
    char error[PCAP_ERRBUF_SIZE] = "";
    pcap_t* file = pcap_open_offline(path.c_str(), error);
    if (!file) {
        return Error{path + ": " + error};
    }
    pcap_pkthdr* header;
    const u_char* bytes;
    int rc;
    size_t number = 0;
    while ((rc = pcap_next_ex(file, &header, &bytes)) == 1) {
        Frame frame;
        frame.time_us = static_cast<uint64_t>(header->ts.tv_sec) * 1000000 +
                        static_cast<uint64_t>(header->ts.tv_usec);
        frame.port = port;
        frame.bytes.assign(bytes, bytes + header->caplen);
        frame.number = ++number;
        frames->push_back(std::move(frame));
    }
    const std::string text = rc == PCAP_ERROR ? pcap_geterr(file) : "";
    pcap_close(file);
    if (rc == PCAP_ERROR) {
        return Error{fmt::format("{}: packet {}: {}", path, number + 1, text)};
    }
    return {};
}

/// One output file in the classic pcap form, time stamps of the packets that caused the output.
class PcapOut {
public:
    static Result<PcapOut> open(const std::string& path) {
        PcapOut out;
        out.handle_ = pcap_open_dead(DLT_EN10MB, 262144);
        out.dumper_ = pcap_dump_open(out.handle_, path.c_str());
        if (!out.dumper_) {
            return Error{path + ": " + pcap_geterr(out.handle_)};
        }
        return out;
    }
    void write(uint64_t time_us, const std::vector<uint8_t>& bytes) {
        pcap_pkthdr header{};
        header.ts.tv_sec = static_cast<time_t>(time_us / 1000000);
        header.ts.tv_usec = static_cast<suseconds_t>(time_us % 1000000);
        header.caplen = header.len = static_cast<bpf_u_int32>(bytes.size());
        pcap_dump(reinterpret_cast<u_char*>(dumper_), &header, bytes.data());
    }
    void close() {
        pcap_dump_close(dumper_);
        pcap_close(handle_);
    }

private:
    pcap_t* handle_ = nullptr;
    pcap_dumper_t* dumper_ = nullptr;
};

class Replay {
public:
    Replay(OfflineHost& host, bool quiet) : host_(host), quiet_(quiet) {}

    Result<void> open_outputs(const std::vector<std::string>& texts) {
        for (const std::string& text : texts) {
            const auto pair = split(text, "--out");
            if (!pair) {
                return pair.error();
            }
            if (host_.port_id(pair->first) == kNoPort) {
                return Error{"--out " + text + ": no port " + pair->first + known_ports()};
            }
            Result<PcapOut> out = PcapOut::open(pair->second);
            if (!out) {
                return out.error();
            }
            outputs_.emplace(pair->first, *out);
        }
        return {};
    }

    Result<void> run(const Frame& frame) {
        const PortId id = host_.port_id(frame.port);
        pmd::DummyPort* port = host_.host->ports().dummy(id);
        if (!port) {
            return Error{"--in " + frame.port + ": no such in-memory port" + known_ports()};
        }
        const std::map<Drop, uint64_t> before = drops();
        Worker& worker = host_.host->worker(0);
        if (Result<void> injected = port->inject(frame.bytes); !injected) {
            return injected.error().with_context(
                fmt::format("{} packet {}", frame.port, frame.number));
        }
        worker.set_time(frame.time_us * (rte_get_tsc_hz() / 1000000));
        host_.settle(static_cast<int64_t>(frame.time_us / 1000));
        report(frame, collect(frame.time_us), before);
        return {};
    }

    void close() {
        for (auto& [name, out] : outputs_) {
            out.close();
        }
    }

private:
    std::string known_ports() const {
        std::string text = "; ports are:";
        for (const OfflinePort& port : host_.ports) {
            text += " " + port.name;
        }
        return text;
    }

    std::map<Drop, uint64_t> drops() const {
        std::map<Drop, uint64_t> counts;
        for (size_t i = 1; i < static_cast<size_t>(Drop::kCount); ++i) {
            const Drop drop = static_cast<Drop>(i);
            counts[drop] = host_.host->total(drop);
        }
        return counts;
    }

    std::map<std::string, size_t> collect(uint64_t time_us) {
        std::map<std::string, size_t> sent;
        for (const OfflinePort& port : host_.ports) {
            pmd::DummyPort* dummy = host_.host->ports().dummy(port.id);
            if (!dummy) {
                continue;
            }
            for (const std::vector<uint8_t>& bytes : dummy->drain()) {
                ++sent[port.name];
                if (const auto out = outputs_.find(port.name); out != outputs_.end()) {
                    out->second.write(time_us, bytes);
                }
            }
        }
        return sent;
    }

    void report(const Frame& frame, const std::map<std::string, size_t>& sent,
                const std::map<Drop, uint64_t>& before) {
        if (quiet_) {
            return;
        }
        std::string text;
        for (const auto& [name, count] : sent) {
            text += fmt::format(" {}{}", name, count > 1 ? fmt::format("x{}", count) : "");
        }
        text = text.empty() ? "" : " ->" + text;
        for (const auto& [drop, count] : drops()) {
            if (count != before.at(drop)) {
                text += fmt::format(" drop:{}", drop_name(drop));
            }
        }
        fmt::print("{} #{} {} bytes{}\n", frame.port, frame.number, frame.bytes.size(),
                   text.empty() ? " (no output)" : text);
    }

    OfflineHost& host_;
    bool quiet_;
    std::map<std::string, PcapOut> outputs_;
};

Result<ReplayOptions> parse(int argc, char** argv, bool* done) {
    ReplayOptions o;
    po::options_description all = o.chassis.describe();
    po::options_description own("Packets");
    own.add_options()("in", po::value(&o.in)->composing()->value_name("PORT=FILE"),
                      "packets that arrive on PORT")(
        "out", po::value(&o.out)->composing()->value_name("PORT=FILE"),
        "where to write what leaves PORT")("no-cache", po::bool_switch(&o.no_cache),
                                           "walk every packet")(
        "quiet,q", po::bool_switch(&o.quiet), "no verdict per packet")("help,h", "this text");
    all.add(own);
    po::variables_map map;
    const Result<bool> read = read_command_line(argc, argv, "sluice-replay", kIntro, all, &map);
    if (!read || !*read) {
        *done = true;
        return read ? Result<ReplayOptions>(o) : read.error();
    }
    return o;
}

Result<void> replay(int argc, char** argv) {
    bool done = false;
    Result<ReplayOptions> o = parse(argc, argv, &done);
    if (!o || done) {
        return o ? Result<void>() : o.error();
    }
    std::vector<Frame> frames;
    for (const std::string& text : o->in) {
        const auto pair = split(text, "--in");
        if (!pair) {
            return pair.error();
        }
        if (Result<void> read = read_pcap(pair->first, pair->second, &frames); !read) {
            return read;
        }
    }
    std::stable_sort(frames.begin(), frames.end(),
                     [](const Frame& a, const Frame& b) { return a.time_us < b.time_us; });
    HostConfig config;
    config.manual_clock = true;
    config.hash_seed = 1;
    config.mbufs = 8191;
    config.cache_entries = o->no_cache ? 0 : 4096;
    Result<std::unique_ptr<OfflineHost>> host =
        open_offline(o->chassis, config, 256, false, /*dummy_for_unnamed=*/true);
    if (!host) {
        return host.error();
    }
    for (const std::string& error : (*host)->offline.errors) {
        fmt::print(stderr, "sluice-replay: {}\n", error);
    }
    Replay run(**host, o->quiet);
    Result<void> result = run.open_outputs(o->out);
    for (size_t i = 0; result && i < frames.size(); ++i) {
        result = run.run(frames[i]);
    }
    run.close();
    return result;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
    return sluice::exit_status("sluice-replay", sluice::replay(argc, argv));
}
