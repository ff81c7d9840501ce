// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/flow_text.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <random>

#include "control/slowpath/watch/acl_log.h"
#include "tests/unit/control/slowpath/watch_frames.h"

namespace sluice::watch {
namespace {

struct Vector {
    std::string name;
    Frame frame;
    std::string text;
};

std::vector<Vector> vectors() {
    std::vector<Vector> out;
    std::ifstream file(SLUICE_TEST_DATA "/flow_text.txt");
    for (std::string line; std::getline(file, line);) {
        const size_t first = line.find('|');
        const size_t second = line.find('|', first + 1);
        if (line.starts_with('#')) {
            continue;
        }
        out.push_back({line.substr(0, first), hex(line.substr(first + 1, second - first - 1)),
                       line.substr(second + 1)});
    }
    return out;
}

TEST_CASE("packets are told as Open vSwitch tells them") {
    const auto all = vectors();
    REQUIRE(all.size() > 80);
    for (const Vector& v : all) {
        INFO(v.name);
        CHECK(flow_text(read_headers(v.frame)) == v.text);
    }
}

TEST_CASE("frames that are cut anywhere or have any byte changed are read within their bounds") {
    std::mt19937 random(1);
    for (const Vector& v : vectors()) {
        for (size_t n = 0; n <= v.frame.size(); ++n) {
            const Frame exact(v.frame.begin(), v.frame.begin() + static_cast<std::ptrdiff_t>(n));
            const Headers h = read_headers(exact);
            CHECK(h.l4 + h.l4_len <= n);
        }
        for (int i = 0; i < 200; ++i) {
            Frame other = v.frame;
            other[random() % other.size()] = static_cast<uint8_t>(random());
            const Headers h = read_headers(other);
            CHECK(h.l4 + h.l4_len <= other.size());
        }
    }
}

TEST_CASE("names in quotes are escaped as in JSON") {
    CHECK(quoted("drop all") == "\"drop all\"");
    CHECK(quoted("a\"b\\c\n\x01") == "\"a\\\"b\\\\c\\n\\u0001\"");
}

TEST_CASE("an ACL's line is that of ovn-controller") {
    lang::Log log;
    log.verdict = lang::Verdict::kDrop;
    log.severity = lang::Severity::kAlert;
    const Frame frame =
        hex("0a00000000020a0000000001080045000014000100004001 0000 0a000001 0a000002");
    // The beginning is from ovn-controller's log of a case in tests/conformance, the rest from
    // ovs-ofctl.
    const std::string flow =
        "icmp,vlan_tci=0x0000,dl_src=0a:00:00:00:00:01,dl_dst=0a:00:00:00:00:02,nw_src=10.0.0.1,"
        "nw_dst=10.0.0.2,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,icmp_type=0,icmp_code=0";
    CHECK(acl_log_line(log, false, frame) ==
          "name=\"<unnamed>\", verdict=drop, severity=alert, direction=from-lport: " + flow);
    log.name = "no-udp";
    log.verdict = lang::Verdict::kAllow;
    log.severity = lang::Severity::kInfo;
    CHECK(acl_log_line(log, true, frame) ==
          "name=\"no-udp\", verdict=allow, severity=info, direction=to-lport: " + flow);
}

}  // namespace
}  // namespace sluice::watch
