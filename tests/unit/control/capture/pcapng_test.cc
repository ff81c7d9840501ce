// SPDX-License-Identifier: Apache-2.0
// Pcapng as tshark and capinfos read it, and comments as people do.
#include <catch2/catch.hpp>
#include <fstream>

#include "control/capture/describe.h"
#include "control/capture/pcapng.h"
#include "tests/support/shell.h"

using namespace sluice;
using namespace sluice::capture;

namespace {

/// An Ethernet frame with a UDP packet, 42 bytes and its payload.
std::vector<uint8_t> frame(uint8_t last) {
    std::vector<uint8_t> bytes = {
        2,    0, 0, 0,  0, 2, 2,    0, 0,   0,  0,    1,    8,  0,                     // Ethernet
        0x45, 0, 0, 29, 0, 0, 0x40, 0, 64,  17, 0x26, 0xce, 10, 0, 0, 1, 10, 0, 0, 2,  // IPv4
        0,    7, 0, 9,  0, 9, 0,    0, last};                                          // UDP
    return bytes;
}

std::string sample_file() {
    std::string out;
    pcapng::append_section(&out, "sluiced 1.2.3", "");
    pcapng::append_interface(&out, "vm1", "tap, vif of sw0-vm1", 128, "udp");
    const std::vector<uint8_t> first = frame(1);
    pcapng::Packet packet;
    packet.time_ns = 1700000000123456789u;
    packet.bytes = first;
    packet.orig_len = 43;
    packet.way = pcapng::Way::kInbound;
    packet.comment = "rx datapath=sw0 inport=sw0-vm1";
    pcapng::append_packet(&out, packet);
    pcapng::append_interface(&out, "eth1", "", 128, "");
    const std::vector<uint8_t> second = frame(2);
    packet.interface = 1;
    packet.bytes = std::span(second).first(41);
    packet.orig_len = 1000;
    packet.way = pcapng::Way::kOutbound;
    packet.lost_before = 7;
    packet.comment = "tx datapath=sw0";
    pcapng::append_packet(&out, packet);
    pcapng::append_statistics(&out, 0, packet.time_ns, 12, 3, "seen=12");
    return out;
}

std::string tshark(const std::string& path, const std::string& fields) {
    const ShellResult result = shell("tshark -r " + path + " -T fields " + fields + " 2>/dev/null");
    CHECK(result.status == 0);
    return result.out;
}

}  // namespace

TEST_CASE("tshark reads what was written", "[pcapng]") {
    const TempDir dir;
    const std::string path = dir.path() + "/a.pcapng";
    std::ofstream(path, std::ios::binary) << sample_file();
    CHECK(
        tshark(path, "-e frame.interface_name -e frame.comment -e frame.packet_flags_direction") ==
        "vm1\trx datapath=sw0 inport=sw0-vm1\t0x00000001\n"
        "eth1\ttx datapath=sw0\t0x00000002\n");
    CHECK(tshark(path, "-e frame.time_epoch -e frame.len -e frame.cap_len -e udp.dstport") ==
          "1700000000.123456789\t43\t43\t9\n"
          "1700000000.123456789\t1000\t41\t9\n");
    const ShellResult infos = shell("capinfos -M " + path);
    CHECK(infos.status == 0);
    CHECK(infos.out.find("sluiced 1.2.3") != std::string::npos);
    CHECK(infos.out.find("Description = tap, vif of sw0-vm1") != std::string::npos);
    CHECK(infos.out.find("Filter string = udp") != std::string::npos);
    CHECK(infos.out.find("Number of interfaces in file: 2") != std::string::npos);
}

TEST_CASE("a stream comes apart into the blocks it was made of", "[pcapng]") {
    const std::string data = sample_file();
    size_t at = 0;
    std::vector<pcapng::BlockType> types;
    while (at < data.size()) {
        bool bad = true;
        const std::string_view rest = std::string_view(data).substr(at);
        for (size_t n = 0; n < std::min<size_t>(rest.size(), 12); ++n) {
            CHECK(!pcapng::first_block(rest.substr(0, n), &bad));
            CHECK(!bad);
        }
        const auto block = pcapng::first_block(rest, &bad);
        REQUIRE(block);
        types.push_back(pcapng::type_of(*block));
        if (types.size() == 3) {
            const pcapng::PacketView view = pcapng::packet_of(*block);
            CHECK(view.time_ns == 1700000000123456789u);
            CHECK(view.orig_len == 43);
            CHECK(view.way == pcapng::Way::kInbound);
            CHECK(pcapng::option_of(*block, pcapng::kComment) == "rx datapath=sw0 inport=sw0-vm1");
        }
        if (types.size() == 2) {
            CHECK(pcapng::option_of(*block, pcapng::kInterfaceName) == "vm1");
        }
        at += block->size();
    }
    using T = pcapng::BlockType;
    CHECK(types == std::vector<T>{T::kSection, T::kInterface, T::kPacket, T::kInterface, T::kPacket,
                                  T::kStatistics});
    bool bad = false;
    CHECK(!pcapng::first_block("GET / HTTP/1.1\r\n", &bad));
    CHECK(bad);
}

TEST_CASE("a comment says where a packet was, and why it was dropped", "[pcapng]") {
    Names names;
    names.datapaths[7] = {"sw0", "u7"};
    names.datapaths[8] = {"sw1", "u8"};
    names.logical_ports[uint64_t{7} << 32 | 1] = {"vm1", 0};
    names.logical_ports[uint64_t{8} << 32 | 2] = {"vm2", 0};
    names.entries[5] = uint64_t{7} << 32 | 1;
    auto info = std::make_shared<FlowInfo>();
    info->uuid = *parse_uuid("0a0b0c0d-0000-4000-8000-000000000001");
    info->stage_name = "ls_in_acl";
    info->priority = 2001;
    names.flows = std::make_shared<const std::vector<std::shared_ptr<const FlowInfo>>>(
        std::vector<std::shared_ptr<const FlowInfo>>{nullptr, info});
    CaptureRecord r{};
    r.flow = kNoFlow;
    r.direction = kCaptureRx;
    CHECK(describe(r, names) == "rx");
    r.datapath = 7;
    r.inport = 1;
    CHECK(describe(r, names) == "rx datapath=sw0 inport=vm1");
    r.inport = 99;
    CHECK(describe(r, names) == "rx datapath=sw0 inport=99");
    r.direction = kCaptureTx;
    r.inport = 0;
    r.datapath = 8;
    r.outport = 2;
    r.entered = uint64_t{1} << 63 | 5;
    CHECK(describe(r, names) == "tx datapath=sw1 outport=vm2 entered=sw0/vm1");
    r.datapath = 7;
    CHECK(describe(r, names) == "tx datapath=sw0 inport=vm1 outport=2");
    r.entered = uint64_t{8} << 32 | uint64_t{2} << 16 | 9;
    CHECK(describe(r, names) == "tx datapath=sw0 outport=2 entered=sw1/vm2");
    r = {};
    r.direction = kCaptureDrop;
    r.datapath = 7;
    r.inport = 1;
    r.reason = static_cast<uint8_t>(Drop::k_logical_flow);
    r.flow = 1;
    CHECK(describe(r, names) ==
          "drop datapath=sw0 inport=vm1 reason=logical_flow "
          "flow=0a0b0c0d-0000-4000-8000-000000000001 stage=ls_in_acl priority=2001");
}
