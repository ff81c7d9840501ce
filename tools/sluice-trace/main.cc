// SPDX-License-Identifier: Apache-2.0
// sluice-trace: one packet -> every stage, logical flow, action, drop reason, final bytes.
//
// Runs the data path itself with its tracing walk, on the pipeline that the given chassis would
// publish for the given Southbound database (a file, or a live server read once).
#include <fmt/format.h>
#include <pcap/pcap.h>
#include <unistd.h>

#include <boost/program_options.hpp>

#include "pmd/dummy.h"
#include "tools/host/command_line.h"
#include "tools/host/offline_host.h"
#include "tools/sluice-trace/describe.h"

namespace sluice {
namespace {

namespace po = boost::program_options;

constexpr char kIntro[] =
    "sluice-trace: what happens to this packet, and why?\n\n"
    "usage: sluice-trace --sb FILE|REMOTE --chassis NAME --inport PORT (--hex BYTES | --pcap "
    "FILE)\n"
    "\n"
    "PORT is a VIF of the chassis by its logical name, or a port named by --port or --underlay:\n"
    "  sluice-trace --sb unix:/var/run/ovn/ovnsb_db.sock --chassis hv1 --inport vm1 \\\n"
    "      --pcap ping.pcap --frame 1 --underlay up=dummy,ip=192.168.50.100/24\n"
    "What the compiler made of a datapath, pass by pass:\n"
    "  sluice-trace --sb sb.db --chassis hv1 --passes network1\n\n";

struct TraceOptions {
    OfflineOptions chassis;
    std::string inport;
    std::string hex;
    std::string pcap;
    std::string passes;
    unsigned frame = 1;
};

Result<std::vector<uint8_t>> frame_of_hex(const std::string& text) {
    std::vector<uint8_t> bytes;
    std::string digits;
    for (const char c : text) {
        if (std::isxdigit(static_cast<unsigned char>(c))) {
            digits += c;
        } else if (!std::isspace(static_cast<unsigned char>(c)) && c != ':') {
            return Error{fmt::format("--hex: '{}' is not a hex digit", c)};
        }
    }
    if (digits.size() % 2 || digits.empty()) {
        return Error{"--hex: expected an even number of hex digits"};
    }
    for (size_t i = 0; i < digits.size(); i += 2) {
        bytes.push_back(static_cast<uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

Result<std::vector<uint8_t>> frame_of_pcap(const std::string& path, unsigned number) {
    char error[PCAP_ERRBUF_SIZE] = "";
    pcap_t* file = pcap_open_offline(path.c_str(), error);
    if (!file) {
        return Error{path + ": " + error};
    }
    pcap_pkthdr* header = nullptr;
    const u_char* bytes = nullptr;
    unsigned at = 0;
    while (at < number && pcap_next_ex(file, &header, &bytes) == 1) {
        ++at;
    }
    Result<std::vector<uint8_t>> frame = Error{fmt::format("{}: has no packet {}", path, number)};
    if (at == number && bytes) {
        frame = std::vector<uint8_t>(bytes, bytes + header->caplen);
    }
    pcap_close(file);
    return frame;
}

Result<TraceOptions> parse(int argc, char** argv, bool* done) {
    TraceOptions o;
    po::options_description all = o.chassis.describe();
    po::options_description own("The packet");
    own.add_options()("inport", po::value(&o.inport)->value_name("PORT"), "where it arrives")(
        "hex", po::value(&o.hex)->value_name("BYTES"), "the frame")(
        "pcap", po::value(&o.pcap)->value_name("FILE"), "or a file that has it")(
        "frame", po::value(&o.frame)->value_name("N"), "which packet of the file (default 1)")(
        "passes", po::value(&o.passes)->value_name("DATAPATH"),
        "instead of a packet: the compiler's passes over a datapath (name, UUID or key)")(
        "help,h", "this text");
    all.add(own);
    po::variables_map map;
    const Result<bool> read = read_command_line(argc, argv, "sluice-trace", kIntro, all, &map);
    if (!read || !*read) {
        *done = true;
        return read ? Result<TraceOptions>(o) : read.error();
    }
    if (o.passes.empty() && (o.inport.empty() || o.hex.empty() == o.pcap.empty())) {
        return Error{"say where the packet arrives (--inport) and give it by --hex or --pcap"};
    }
    return o;
}

Result<void> trace_packet(const TraceOptions& o, OfflineHost& host) {
    Result<std::vector<uint8_t>> frame =
        o.hex.empty() ? frame_of_pcap(o.pcap, o.frame) : frame_of_hex(o.hex);
    if (!frame) {
        return frame.error();
    }
    pmd::DummyPort* port = nullptr;
    std::string known;
    for (const OfflinePort& candidate : host.ports) {
        known += " " + candidate.name;
        if (candidate.name == o.inport || candidate.iface_id == o.inport) {
            port = host.host->ports().dummy(candidate.id);
        }
    }
    if (!port) {
        return Error{"--inport " + o.inport + ": no such port here; ports are:" + known};
    }
    if (Result<void> injected = port->inject(*frame); !injected) {
        return injected;
    }
    Trace trace;
    Worker& worker = host.host->worker(0);
    worker.set_trace(&trace);
    host.settle(0);
    worker.set_trace(nullptr);
    DescribeStyle style;
    style.colour = isatty(STDOUT_FILENO) != 0;
    for (const std::string& line : describe(trace, host, style)) {
        fmt::print("{}\n", line);
    }
    return {};
}

/// Prints every pass as it comes.
class PrintPasses : public compile::PassListener {
public:
    void pass(std::string_view name, std::string_view text) override {
        fmt::print("== {} ==\n{}\n", name, text);
    }
};

Result<void> run(int argc, char** argv) {
    bool done = false;
    Result<TraceOptions> o = parse(argc, argv, &done);
    if (!o || done) {
        return o ? Result<void>() : o.error();
    }
    if (!o->passes.empty()) {
        Result<std::string> file = southbound_file(o->chassis.sb);
        if (!file) {
            return file.error();
        }
        PrintPasses listener;
        OfflineRequest request;
        request.db_file = *file;
        request.chassis = o->chassis.chassis;
        Result<void> listed = list_passes(request, o->passes, &listener);
        if (*file != o->chassis.sb) {
            unlink(file->c_str());
        }
        return listed;
    }
    HostConfig config;
    config.manual_clock = true;
    config.hash_seed = 1;
    config.mbufs = 2047;
    config.cache_entries = 0;
    Result<std::unique_ptr<OfflineHost>> host =
        open_offline(o->chassis, config, 128, false, /*dummy_for_unnamed=*/true);
    if (!host) {
        return host.error();
    }
    for (const std::string& error : (*host)->offline.errors) {
        fmt::print(stderr, "sluice-trace: {}\n", error);
    }
    return trace_packet(*o, **host);
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
    return sluice::exit_status("sluice-trace", sluice::run(argc, argv));
}
