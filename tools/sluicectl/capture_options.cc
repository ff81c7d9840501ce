// SPDX-License-Identifier: Apache-2.0
#include <boost/program_options.hpp>
#include <cstdlib>
#include <sstream>

#include "tools/sluicectl/capture.h"

namespace sluice {
namespace {

namespace po = boost::program_options;

constexpr char kUsage[] =
    "sluicectl capture: packets as sluice sees them, with what it knows of them.\n"
    "\n"
    "usage: sluicectl [OPTION]... capture [CAPTURE OPTION]... [FILTER]\n"
    "\n"
    "FILTER is an expression of pcap-filter(7): host 10.0.0.4 and tcp port 80. On ports that "
    "carry\n"
    "tunnels it looks at the outer packet; \"geneve and host 10.0.0.4\" looks inside.\n"
    "\n"
    "A packet is seen up to three times: rx, as a port received it; tx, as it was handed to a "
    "port;\n"
    "drop, when it (or a copy of it) was dropped, as it entered the logical network. Its comment\n"
    "says where that was, and a drop's says why and by which logical flow:\n"
    "  rx datapath=sw0 inport=vm1\n"
    "  tx datapath=sw1 outport=vm2 entered=sw0/vm1\n"
    "  drop datapath=sw0 inport=vm1 reason=logical_flow flow=UUID stage=ls_in_acl priority=2001\n"
    "Without -w, one line a packet is printed. With it, pcapng is written, which Wireshark and\n"
    "tshark read; the comment is frame.comment there.\n"
    "\n";

constexpr char kExamples[] =
    "\n"
    "Examples:\n"
    "  sluicectl capture -Q drop                     what is dropped, and why?\n"
    "  sluicectl capture -l sw0-vm1 icmp             what this logical port sends and gets\n"
    "  sluicectl capture -w - | tshark -r -          decoded, live\n"
    "  sluicectl capture -w /tmp/c.pcapng -c 1000 -i eth1 udp port 6081\n"
    "  sluicectl capture -w /tmp/ring --file-size 10M --files 5    the last 50 MB, for hours\n"
    "  tshark -r /tmp/c.pcapng -T fields -e frame.interface_name -e frame.comment\n"
    "\n"
    "It ends with Ctrl-C, --count or --seconds. Workers never wait: what is beyond --rate, or "
    "comes\n"
    "while the ring is full because whoever reads is slow, is left out and counted at the end.\n"
    "Checksums and segmentation may still be left to the device in what is sent.\n"
    "\n"
    "Exit status: 0 done, 1 wrong usage or no daemon, 2 the daemon refused.\n";

po::options_description describe(CaptureOptions* o, std::string* size, bool* drops) {
    po::options_description d("Capture options");
    d.add_options()("write,w", po::value(&o->write)->value_name("FILE"),
                    "write pcapng; - is stdout")(
        "port,i", po::value(&o->ports)->composing()->value_name("PORT"),
        "only this physical port (may repeat)")(
        "logical-port,l", po::value(&o->logical_ports)->composing()->value_name("PORT"),
        "only to and from this logical port, tunnelled packets too (may repeat)")(
        "datapath,d", po::value(&o->datapath)->value_name("DATAPATH"),
        "only in this switch or router: name, UUID or key")(
        "direction,Q", po::value(&o->directions)->value_name("LIST"),
        "of rx,tx,drop (default all)")("drops", po::bool_switch(drops), "same as -Q drop")(
        "snaplen,s", po::value(&o->snaplen)->value_name("BYTES"),
        "of each packet at most (default 65535)")("count,c", po::value(&o->count)->value_name("N"),
                                                  "end after N packets")(
        "seconds", po::value(&o->seconds)->value_name("S"), "end after S seconds")(
        "sample", po::value(&o->sample)->value_name("N"), "only every N-th packet")(
        "rate", po::value(&o->rate)->value_name("N"),
        "packets a second and worker at most (default 100000; 0 any number)")(
        "ring-kb", po::value(&o->ring_kb)->value_name("KB"),
        "ring of each worker, a power of two (default 4096)")(
        "file-size", po::value(size)->value_name("SIZE"),
        "start a new file after so much: FILE.0, FILE.1 ... (10M, 500k)")(
        "files", po::value(&o->files)->value_name("N"),
        "then overwrite the oldest of N (with --file-size; default 10)")(
        "help,h", po::bool_switch(&o->help), "this text");
    return d;
}

Result<uint64_t> parse_size(const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    const std::string unit = end;
    const double factor = unit == "k"    ? 1e3
                          : unit == "M"  ? 1e6
                          : unit == "G"  ? 1e9
                          : unit.empty() ? 1
                                         : 0;
    if (end == text.c_str() || factor == 0 || value * factor < 1000) {
        return Error{"--file-size " + text + ": expected 1k or more, like 500k, 10M, 2G"};
    }
    return static_cast<uint64_t>(value * factor);
}

Result<CaptureOptions> parse(const std::vector<std::string>& args) {
    CaptureOptions o;
    std::string size;
    bool drops = false;
    std::vector<std::string> words;
    po::options_description all = describe(&o, &size, &drops);
    all.add_options()("word", po::value(&words), "");
    po::positional_options_description positional;
    positional.add("word", -1);
    using Style = po::command_line_style::style_t;
    po::variables_map map;
    po::store(po::command_line_parser(args)
                  .options(all)
                  .positional(positional)
                  .style(Style::unix_style & ~Style::allow_guessing)
                  .run(),
              map);
    po::notify(map);
    for (const std::string& word : words) {
        o.filter += (o.filter.empty() ? "" : " ") + word;
    }
    if (drops) {
        o.directions = "drop";
    }
    if (!size.empty()) {
        const Result<uint64_t> bytes = parse_size(size);
        if (!bytes) {
            return bytes.error();
        }
        o.file_bytes = *bytes;
        o.files = o.files ? o.files : 10;
        if (o.write.empty() || o.write == "-") {
            return Error{"--file-size goes with -w FILE"};
        }
    } else if (o.files) {
        return Error{"--files goes with --file-size"};
    }
    return o;
}

}  // namespace

Result<CaptureOptions> parse_capture_options(const std::vector<std::string>& args) {
    try {
        return parse(args);
    } catch (const po::error& error) {
        return Error{std::string(error.what()) + "; see sluicectl capture --help"};
    }
}

std::string capture_help() {
    CaptureOptions unused;
    std::string size;
    bool drops;
    std::ostringstream text;
    text << kUsage << describe(&unused, &size, &drops) << kExamples;
    return text.str();
}

}  // namespace sluice
