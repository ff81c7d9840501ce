// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/ipfix.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "control/slowpath/watch/ipfix_template.h"
#include "control/slowpath/wire.h"
#include "tests/unit/control/slowpath/watch_frames.h"

namespace sluice::watch {
namespace {

using Message = std::vector<uint8_t>;

/// A collector of our own: learns templates and reads records by them, knowing nothing else.
struct Collector {
    struct Field {
        uint32_t id;
        uint16_t length;
    };
    using Record = std::map<uint32_t, std::vector<uint8_t>>;

    void take(const Message& m) {
        const wire::Bytes b(m);
        REQUIRE(b.size() >= 20);
        CHECK(wire::load16(b, 0) == 10);
        CHECK(wire::load16(b, 2) == b.size());
        export_s = wire::load32(b, 4);
        sequence = wire::load32(b, 8);
        domain = wire::load32(b, 12);
        for (size_t at = 16; at < b.size();) {
            const size_t length = wire::load16(b, at + 2);
            REQUIRE(length >= 4);
            REQUIRE(at + length <= b.size());
            const wire::Bytes set = b.subspan(at + 4, length - 4);
            wire::load16(b, at) == 2 ? take_templates(set) : take_data(wire::load16(b, at), set);
            at += length;
        }
    }
    void take_templates(wire::Bytes set) {
        for (size_t at = 0; at < set.size();) {
            auto& fields = templates[wire::load16(set, at)];
            fields.clear();
            unsigned n = wire::load16(set, at + 2);
            for (at += 4; n > 0; --n, at += 4) {
                Field field{wire::load16(set, at), wire::load16(set, at + 2)};
                if (field.id & 0x8000) {
                    field.id = wire::load32(set, at + 4) << 16 | (field.id & 0x7fff);
                    at += 4;
                }
                fields.push_back(field);
            }
        }
    }
    void take_data(uint16_t id, wire::Bytes set) {
        REQUIRE(templates.contains(id));
        Record record;
        size_t at = 0;
        for (const Field& field : templates[id]) {
            size_t length = field.length;
            if (length == 65535) {
                length = set[at++];
            }
            REQUIRE(at + length <= set.size());
            const wire::Bytes value = set.subspan(at, length);
            record[field.id].assign(value.begin(), value.end());
            at += length;
        }
        CHECK(at == set.size());
        records.push_back(record);
    }
    static uint64_t number(const std::vector<uint8_t>& bytes) {
        uint64_t v = 0;
        for (const uint8_t b : bytes) {
            v = v << 8 | b;
        }
        return v;
    }
    uint64_t get(uint32_t id) const { return number(records.back().at(id)); }

    std::map<uint16_t, std::vector<Field>> templates;
    std::vector<Record> records;
    uint32_t export_s = 0, sequence = 0, domain = 0;
};

const char* const kUdp =
    "0a00000000020a0000000001 0800 4500001d00010000401166cd0a0000010a000002 0035 14e9 0009 5c9e 78";
const char* const kVlanPing6 =
    "0a00000000020a0000000001 8100 6064 86dd 6b912345 0008 3a 40"
    "fd000000000000000000000000000001 fd000000000000000000000000000002 8000828900000000";
const char* const kArp =
    "0a00000000020a0000000001 0806 0001080006040001 0a0000000001 0a000001 000000000000 0a000002";

struct Lab {
    Lab(uint32_t timeout_s, uint32_t max_flows, const std::string& name = "") {
        ipfix.configure({{5, {"collector"}, timeout_s, max_flows, name}}, 0, wall);
    }
    bool sample(const char* text, uint32_t point, int64_t now_ms, uint32_t domain = 0x01000007) {
        const Frame frame = hex(text);
        PacketSample s{5, domain, point, 1, frame.size()};
        return ipfix.sample(s, read_headers(frame), now_ms, wall + now_ms * 1000);
    }
    static constexpr int64_t wall = 1'700'000'000'250'000;
    Collector collector;
    bool works = true;
    Ipfix ipfix{[this](const std::string& target, const Message& m) {
        CHECK(target == "collector");
        collector.take(m);
        return works;
    }};
};

TEST_CASE("a sample is a record with the packet's fields") {
    Lab lab(0, 0);
    REQUIRE(lab.sample(kUdp, 77, 0));
    const Collector& c = lab.collector;
    REQUIRE(c.records.size() == 1);
    CHECK(c.domain == 0x01000007);
    CHECK(c.get(138) == 77);             // observationPointId
    CHECK(c.get(56) == 0x0a0000000001);  // sourceMacAddress
    CHECK(c.get(80) == 0x0a0000000002);  // destinationMacAddress
    CHECK(c.get(256) == 0x0800);         // ethernetType
    CHECK(c.get(8) == 0x0a000001);       // sourceIPv4Address
    CHECK(c.get(12) == 0x0a000002);      // destinationIPv4Address
    CHECK(c.get(4) == 17);               // protocolIdentifier
    CHECK(c.get(7) == 53);               // sourceTransportPort
    CHECK(c.get(11) == 5353);            // destinationTransportPort
    CHECK(c.get(2) == 1);                // packetDeltaCount
    CHECK(c.get(352) == 43);             // layer2OctetDeltaCount
    CHECK(c.get(1) == 29);               // octetDeltaCount
    CHECK(c.get(198) == 29 * 29);        // octetDeltaSumOfSquares
    CHECK(c.get(136) == 2);              // flowEndReason: active timeout
    CHECK(c.export_s == 1'700'000'001);
    CHECK(c.get(158) == 750'000);  // flowStartDeltaMicroseconds
}

TEST_CASE("every kind of packet has a template that fits") {
    Lab lab(0, 0, "site one");
    std::ifstream file(SLUICE_TEST_DATA "/flow_text.txt");
    size_t n = 0;
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with('#')) {
            const size_t first = line.find('|');
            lab.sample(line.substr(first + 1, line.find('|', first + 1) - first - 1).c_str(), 1, 0);
            ++n;
        }
    }
    CHECK(lab.collector.records.size() == n);
    const auto& name = lab.collector.records[0].at(6876u << 16 | 898);
    CHECK(std::string(name.begin(), name.end()) == "site one");
    lab.sample(kVlanPing6, 1, 0);
    CHECK(lab.collector.get(58) == 0x64);     // vlanId
    CHECK(lab.collector.get(244) == 3);       // dot1qPriority
    CHECK(lab.collector.get(31) == 0x12345);  // flowLabelIPv6
    CHECK(lab.collector.get(195) == 0x2e);    // ipDiffServCodePoint
    CHECK(lab.collector.get(178) == 128);     // icmpTypeIPv6
    lab.sample(kArp, 1, 0);
    CHECK(lab.collector.get(256) == 0x0806);
    CHECK_FALSE(lab.collector.records.back().contains(4));
}

TEST_CASE("sequence numbers count data records by domain, templates come again") {
    Lab lab(0, 0);
    lab.sample(kUdp, 1, 0);
    CHECK(lab.collector.sequence == 0);
    lab.sample(kUdp, 1, 1);
    CHECK(lab.collector.sequence == 1);
    lab.sample(kUdp, 1, 2, 8);
    CHECK(lab.collector.sequence == 0);
    lab.collector.templates.clear();
    lab.sample(kUdp, 1, Ipfix::kTemplateEveryMs);
    CHECK(lab.collector.templates.size() == 14);
}

TEST_CASE("with a cache samples of a flow add up until it is old or there is no room") {
    Lab lab(10, 2);
    for (int i = 0; i < 5; ++i) {
        lab.sample(kUdp, 1, i * 1000);
    }
    CHECK(lab.collector.records.empty());
    CHECK(lab.ipfix.next_ms() == 10000);
    lab.ipfix.run(9999, Lab::wall);
    CHECK(lab.collector.records.empty());
    lab.ipfix.run(10000, Lab::wall + 10'000'000);
    REQUIRE(lab.collector.records.size() == 1);
    CHECK(lab.collector.get(2) == 5);
    CHECK(lab.collector.get(1) == 5 * 29);
    lab.sample(kUdp, 1, 20000);
    lab.sample(kUdp, 2, 20000);
    CHECK(lab.collector.records.size() == 1);
    lab.sample(kUdp, 3, 20000);
    CHECK(lab.collector.records.size() == 2);
    CHECK(lab.collector.get(136) == 5);  // lack of resources
    lab.ipfix.configure({}, 20001, Lab::wall);
    CHECK(lab.collector.records.size() == 4);
    CHECK(lab.collector.get(136) == 4);  // forced end
    CHECK_FALSE(lab.sample(kUdp, 1, 20002));
}

TEST_CASE("what cannot be sent is counted") {
    Lab lab(0, 0);
    lab.works = false;
    lab.sample(kUdp, 1, 0);
    CHECK(lab.ipfix.lost() > 0);
}

TEST_CASE("datagrams reach an address and port, and nothing else is accepted") {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    UdpSender sender;
    const std::string port = std::to_string(ntohs(address.sin_port));
    CHECK(sender.send("127.0.0.1:" + port, {1, 2, 3}));
    uint8_t got[8];
    CHECK(recv(fd, got, sizeof got, 0) == 3);
    close(fd);
    for (const char* bad : {"", "host:4739", "127.0.0.1:x", "[::1", "127.0.0.1:70000", "[::1]4"}) {
        INFO(bad);
        CHECK_FALSE(sender.send(bad, {1}));
    }
}

}  // namespace
}  // namespace sluice::watch
