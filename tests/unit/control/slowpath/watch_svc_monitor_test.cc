// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/svc_monitor.h"

#include <catch2/catch.hpp>

#include "control/slowpath/watch/igmp.h"
#include "control/slowpath/wire.h"
#include "tests/unit/control/slowpath/watch_frames.h"

namespace sluice::watch {
namespace {

using Probes = std::vector<ServiceMonitors::Probe>;

ServiceConfig service(bool udp) {
    ServiceConfig c;
    c.row = Uuid{{1}};
    c.datapath = 7;
    c.port = 3;
    c.ip = mapped(*parse_ip4("10.0.0.3"));
    c.l4_port = 80;
    c.udp = udp;
    c.port_mac = *parse_mac("0a:00:00:00:00:03");
    c.src_mac = *parse_mac("0a:00:00:00:00:fe");
    c.src_ip = mapped(*parse_ip4("10.0.0.254"));
    c.interval_ms = 5000;
    c.timeout_ms = 3000;
    return c;
}

struct Lab {
    explicit Lab(const ServiceConfig& config) { monitors.configure({config}); }
    /// Probes of one run.
    Probes run(int64_t now_ms) {
        Probes probes;
        monitors.run(now_ms, &probes);
        return probes;
    }
    bool take(const Frame& frame, int64_t now_ms, Probes* probes) {
        return monitors.take(7, 3, frame, read_headers(frame), now_ms, probes);
    }
    std::string state() const {
        const auto states = monitors.states();
        return states.empty() ? "" : states[0].online ? "online" : "offline";
    }

    uint32_t next = 99;
    ServiceMonitors monitors{[this] { return next++; }};
};

/// The service's TCP answer to `probe`.
Frame tcp_answer(const Frame& probe, uint8_t flags, uint32_t ack_more = 1) {
    const Headers h = read_headers(probe);
    wire::Writer w;
    w.ethernet(h.src, h.dst, 0x0800);
    w.u32(0x45000028).u32(0x00004000).u8(64).u8(6).u16(0);
    w.u32(h.ip4_dst.value).u32(h.ip4_src.value);
    w.u16(h.l4_dst).u16(h.l4_src).u32(5000).u32(wire::load32(probe, h.l4 + 4) + ack_more);
    w.u16(static_cast<uint16_t>(0x5000 | flags)).u16(1000).u32(0);
    return w.take();
}

/// The host's "port unreachable" to `probe`.
Frame unreachable(const Frame& probe) {
    const Headers h = read_headers(probe);
    wire::Writer w;
    w.ethernet(h.src, h.dst, 0x0800);
    w.u32(0x45000040).u32(0x00004000).u8(64).u8(1).u16(0);
    w.u32(h.ip4_dst.value).u32(h.ip4_src.value);
    w.u32(0x03030000).u32(0).bytes(wire::Bytes(probe).subspan(14));
    return w.take();
}

TEST_CASE("a TCP probe is a SYN with right checksums") {
    Lab lab(service(false));
    const Probes probes = lab.run(0);
    REQUIRE(probes.size() == 1);
    CHECK(probes[0].datapath == 7);
    CHECK(probes[0].port == 3);
    const Frame& f = probes[0].frame;
    const Headers h = read_headers(f);
    CHECK(h.tcp_flags == 0x02);
    CHECK(h.ttl == 63);
    CHECK(to_string(h.ip4_src) == "10.0.0.254");
    CHECK(to_string(h.ip4_dst) == "10.0.0.3");
    CHECK(h.dst == *parse_mac("0a:00:00:00:00:03"));
    CHECK(h.l4_dst == 80);
    const wire::Bytes all(f);
    CHECK(wire::fold(wire::add(all.subspan(14, 20))) == 0);
    CHECK(wire::fold(wire::add(all.subspan(34), wire::add(all.subspan(26, 8)) + 6 + 20)) == 0);
}

TEST_CASE("a TCP service that answers is online and its connection is reset") {
    Lab lab(service(false));
    const Probes probes = lab.run(0);
    Probes more;
    CHECK_FALSE(lab.take(tcp_answer(probes[0].frame, 0x12, 2), 10, &more));  // wrong number
    CHECK(more.empty());
    CHECK(lab.take(tcp_answer(probes[0].frame, 0x12), 10, &more));
    REQUIRE(more.size() == 1);
    const Frame& reset = more[0].frame;
    const Headers h = read_headers(reset);
    CHECK(h.tcp_flags == 0x14);
    CHECK(wire::load32(reset, h.l4 + 4) == wire::load32(probes[0].frame, 38) + 2);
    CHECK(wire::load32(reset, h.l4 + 8) == 5001);
    CHECK(lab.run(11).empty());
    CHECK(lab.state() == "online");
    CHECK(lab.monitors.next_ms() == 5010);
    CHECK(lab.run(5009).empty());
    CHECK(lab.run(5010).size() == 1);
    // Twice the same answer counts once.
    CHECK_FALSE(lab.take(tcp_answer(probes[0].frame, 0x12), 5011, &more));
}

TEST_CASE("a TCP service that resets or is silent is offline") {
    Lab reset(service(false));
    Probes more;
    CHECK(reset.take(tcp_answer(reset.run(0)[0].frame, 0x14), 10, &more));
    CHECK(more.empty());
    reset.run(11);
    CHECK(reset.state() == "offline");
    Lab silent(service(false));
    silent.run(0);
    silent.run(3000);
    CHECK(silent.state().empty());
    silent.run(3001);
    CHECK(silent.state() == "offline");
    CHECK(silent.monitors.next_ms() == 8001);
}

TEST_CASE("it takes as many successes and failures as configured") {
    ServiceConfig c = service(false);
    c.success_count = 2;
    c.failure_count = 3;
    Lab lab(c);
    int64_t now = 0;
    Probes more;
    for (const char* expected : {"", "online"}) {
        const Probes probes = lab.run(now);
        REQUIRE(probes.size() == 1);
        CHECK(lab.take(tcp_answer(probes[0].frame, 0x12), now + 1, &more));
        lab.run(now + 2);
        CHECK(lab.state() == expected);
        now += 5001;
    }
    for (const char* expected : {"online", "online", "offline"}) {
        REQUIRE(lab.run(now).size() == 1);
        lab.run(now + 3001);
        CHECK(lab.state() == expected);
        now += 3001 + 5000;
    }
}

TEST_CASE("a UDP service is dead when its host says so, alive when nothing comes") {
    Lab lab(service(true));
    const Probes probes = lab.run(0);
    REQUIRE(probes.size() == 1);
    const Frame& f = probes[0].frame;
    CHECK(f.size() == 14 + 20 + 8 + 8);
    Probes more;
    CHECK(lab.take(unreachable(f), 5, &more));
    lab.run(6);
    CHECK(lab.state() == "offline");
    const Probes again = lab.run(5005);
    REQUIRE(again.size() == 1);
    CHECK(read_headers(again[0].frame).l4_src == read_headers(f).l4_src);
    lab.run(5005 + 3001);
    CHECK(lab.state() == "online");
    Frame other = unreachable(f);
    other[14 + 20 + 8 + 20 + 1] ^= 1;  // about another port
    CHECK_FALSE(lab.take(other, 9000, &more));
}

TEST_CASE("a row that goes takes its monitor along, other options keep its state") {
    Lab lab(service(false));
    lab.run(0);
    lab.run(3001);
    ServiceConfig c = service(false);
    c.failure_count = 7;
    lab.monitors.configure({c});
    CHECK(lab.state() == "offline");
    lab.monitors.configure({});
    CHECK(lab.monitors.states().empty());
    CHECK(lab.monitors.next_ms() == INT64_MAX);
}

TEST_CASE("services with IPv6 addresses are asked by IPv6") {
    for (const bool udp : {false, true}) {
        ServiceConfig c = service(udp);
        c.ip = *parse_ip6("fd00::3");
        c.src_ip = *parse_ip6("fd00::fe");
        Lab lab(c);
        const Probes probes = lab.run(0);
        REQUIRE(probes.size() == 1);
        const Frame& f = probes[0].frame;
        const Headers h = read_headers(f);
        CHECK(to_string(h.ip6_dst) == "fd00::3");
        CHECK(wire::fold(wire::add(wire::Bytes(f).subspan(54),
                                   wire::pseudo6(h.ip6_src, h.ip6_dst, f.size() - 54, h.proto))) ==
              0);
    }
}

}  // namespace
}  // namespace sluice::watch
