// SPDX-License-Identifier: Apache-2.0
#include "control/physical/underlay.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "control/physical/tunnels.h"

using namespace sluice;
using namespace sluice::physical;

namespace {

IpAddress ip(const char* text) {
    return *parse_address(text);
}

Mac mac(const char* text) {
    return *parse_mac(text);
}

UnderlayModel two_ports() {
    UnderlayModel model;
    model.set_devices({{"up0", "br-a", "eth0", 3, 0x02aa00000001, 1500},
                       {"up1", "br-b", "eth1", 4, 0x02aa00000002, 9000}});
    return model;
}

}  // namespace

TEST_CASE("the longest prefix decides the way") {
    UnderlayModel model = two_ports();
    CHECK(model.resolve(ip("10.0.0.2"), {}).state == Tunnel::State::kNoRoute);
    REQUIRE(model.add_address("br-a", "10.0.0.1/24").ok());
    REQUIRE(model.add_address("up1", "10.1.0.1/24").ok());
    REQUIRE(model.add_route("0.0.0.0/0", "br-b", "10.1.0.254").ok());
    REQUIRE(model.add_route("10.9.0.0/16", "up0", "10.0.0.254").ok());
    const NextHop link = model.resolve(ip("10.0.0.2"), {});
    CHECK(link.port == 3);
    CHECK(link.src == ip("10.0.0.1"));
    CHECK(link.state == Tunnel::State::kUnresolved);
    CHECK(model.resolve(ip("10.9.1.1"), {}).port == 3);
    const NextHop far = model.resolve(ip("172.16.0.1"), {});
    CHECK(far.port == 4);
    CHECK(far.mtu == 9000);
    // Neighbours are those of the next hop.
    REQUIRE(model.set_neighbor("br-b", "10.1.0.254", "02:00:00:00:00:fe").ok());
    CHECK(model.resolve(ip("172.16.0.1"), {}).dst_mac == 0x0200000000fe);
    CHECK(model.resolve(ip("fd00::1"), {}).state == Tunnel::State::kNoRoute);
    // An encap address of ours is the source even if the device has others.
    REQUIRE(model.add_address("up0", "10.0.0.9/24").ok());
    CHECK(model.resolve(ip("10.0.0.2"), {ip("10.0.0.9")}).src == ip("10.0.0.9"));
}

TEST_CASE("learnt neighbours are refreshed and forgotten") {
    UnderlayModel model = two_ports();
    REQUIRE(model.add_address("up0", "10.0.0.1/24").ok());
    model.resolve(ip("10.0.0.2"), {});
    REQUIRE(model.wanted(0).size() == 1);
    CHECK(model.wanted(0)[0].target4.value == 0x0a000002);
    CHECK(model.wanted(0)[0].src4.value == 0x0a000001);
    CHECK(model.learned(3, ip("10.0.0.2"), mac("02:00:00:00:00:02"), 0));
    CHECK_FALSE(model.learned(3, ip("10.0.0.2"), mac("02:00:00:00:00:02"), 10));  // no news
    CHECK(model.resolve(ip("10.0.0.2"), {}).state == Tunnel::State::kReady);
    CHECK(model.wanted(1000).empty());
    CHECK(model.wanted(10 + UnderlayModel::kRefreshMs).size() == 1);
    CHECK_FALSE(model.expire(UnderlayModel::kRefreshMs));
    CHECK(model.expire(10 + UnderlayModel::kForgetMs));
    CHECK(model.resolve(ip("10.0.0.2"), {}).state == Tunnel::State::kUnresolved);
    // Off-link strangers, group addresses and unknown ports teach nothing.
    CHECK_FALSE(model.learned(3, ip("192.0.2.1"), mac("02:00:00:00:00:03"), 0));
    CHECK_FALSE(model.learned(3, ip("10.0.0.3"), mac("03:00:00:00:00:03"), 0));
    CHECK_FALSE(model.learned(9, ip("10.0.0.2"), mac("02:00:00:00:00:03"), 0));
    // What nobody asks for any more is not solicited.
    model.begin_round();
    CHECK(model.wanted(1'000'000).empty());
}

TEST_CASE("static facts win over learnt ones, those over the kernel's") {
    UnderlayModel model = two_ports();
    KernelState kernel;
    kernel.addresses = {{"eth0", *parse_prefix("10.0.0.1/24")}, {"lo", *parse_prefix("1.1.1.1/8")}};
    kernel.neighbors = {{"eth0", ip("10.0.0.2"), mac("02:00:00:00:00:01")}};
    CHECK(model.set_kernel(kernel));
    CHECK_FALSE(model.set_kernel(kernel));
    CHECK(model.resolve(ip("10.0.0.2"), {}).dst_mac == 0x020000000001);
    CHECK(model.resolve(ip("1.2.3.4"), {}).state == Tunnel::State::kNoRoute);  // not ours: lo
    model.learned(3, ip("10.0.0.2"), mac("02:00:00:00:00:02"), 0);
    CHECK(model.resolve(ip("10.0.0.2"), {}).dst_mac == 0x020000000002);
    REQUIRE(model.set_neighbor("up0", "10.0.0.2", "02:00:00:00:00:03").ok());
    CHECK(model.resolve(ip("10.0.0.2"), {}).dst_mac == 0x020000000003);
    REQUIRE(model.del_neighbor("up0", "10.0.0.2").ok());
    CHECK_FALSE(model.del_neighbor("up0", "10.0.0.2").ok());
    CHECK(model.resolve(ip("10.0.0.2"), {}).dst_mac == 0x020000000002);
    // With the device its neighbours go.
    model.set_devices({{"other", "", "eth0", 5, 1, 1500}});
    CHECK(model.resolve(ip("10.0.0.2"), {}).port == 5);
    CHECK(model.resolve(ip("10.0.0.2"), {}).dst_mac == 0x020000000001);
}

TEST_CASE("bad underlay words are refused") {
    UnderlayModel model;
    CHECK_FALSE(model.add_address("up0", "10.0.0.1/33").ok());
    CHECK_FALSE(model.add_address("up0", "nonsense").ok());
    CHECK_FALSE(model.add_route("10.0.0.0/8", "up0", "fd00::1").ok());
    CHECK_FALSE(model.add_route("10.0.0.0/99", "up0", "").ok());
    CHECK_FALSE(model.del_route("10.0.0.0/8").ok());
    CHECK_FALSE(model.set_neighbor("up0", "10.0.0.256", "02:00:00:00:00:01").ok());
    CHECK_FALSE(model.set_neighbor("up0", "10.0.0.1", "02:00:00:00:00").ok());
}

TEST_CASE("the prebuilt outer header is that of RFC 8926 and ovn-architecture") {
    EncapSettings settings;
    NextHop hop;
    hop.state = Tunnel::State::kReady;
    hop.port = 3;
    hop.src_mac = 0x0200000000aa;
    hop.dst_mac = 0x0200000000bb;
    hop.src = ip("192.0.2.1");
    const Tunnel t = build_tunnel(settings, hop, ip("192.0.2.2"), true, 7);
    // Lengths, identification, checksums, source port, VNI and keys are each packet's own: zero.
    const uint8_t expected[] = {0x02, 0,    0,    0,    0, 0xbb, 0x02, 0, 0,    0,
                                0,    0xaa, 0x08, 0x00,  // Ethernet
                                0x45, 0,    0,    0,    0, 0,    0x40, 0, 64,   17,
                                0,    0,    192,  0,    2, 1,    192,  0, 2,    2,  // IPv4, DF
                                0,    0,    0x17, 0xc1, 0, 0,    0,    0,           // UDP 6081
                                0x02, 0x40, 0x65, 0x58, 0, 0,    0,    0, 0x01, 0x02,
                                0x80, 0x01, 0,    0,    0, 0};  // Geneve
    REQUIRE(t.header_len == sizeof expected);
    CHECK(std::memcmp(t.header, expected, sizeof expected) == 0);
    CHECK(t.l3_ofs == 14);
    CHECK(t.l4_ofs == 34);
    CHECK(t.csum);
    CHECK(t.id == 7);

    settings.legacy_option = true;
    settings.tos = 0xb9;  // DSCP 46, with bits that belong to ECN
    settings.df = false;
    hop.src = ip("fd00::1");
    const Tunnel six = build_tunnel(settings, hop, ip("fd00::2"), false, 0);
    REQUIRE(six.header_len == 14 + 40 + 8 + 16);
    CHECK(six.ip6);
    CHECK(six.header[12] == 0x86);
    CHECK(six.header[13] == 0xdd);
    CHECK(six.header[14] == 0x6b);
    CHECK(six.header[15] == 0x80);
    CHECK(six.header[20] == 17);
    CHECK(six.header[21] == 64);
    const uint8_t legacy[] = {0x02, 0x00, 0x65, 0x58, 0, 0, 0, 0,
                              0xff, 0xff, 0x00, 0x01, 0, 0, 0, 0};
    CHECK(std::memcmp(six.header + 62, legacy, sizeof legacy) == 0);
}

TEST_CASE("equal routes share, by weight; a lower metric or a longer prefix does not") {
    UnderlayModel model = two_ports();
    KernelState kernel;
    kernel.addresses = {{"eth0", *parse_prefix("10.0.0.1/24")},
                        {"eth1", *parse_prefix("10.1.0.1/24")}};
    const auto route = [](const char* prefix, const char* where, const char* gateway,
                          uint32_t metric, uint8_t weight) {
        return Route{*parse_prefix(prefix), where, ip(gateway), metric, weight};
    };
    kernel.routes = {route("0.0.0.0/0", "eth0", "10.0.0.254", 100, 1),
                     route("0.0.0.0/0", "eth1", "10.1.0.254", 100, 3),
                     route("0.0.0.0/0", "eth1", "10.1.0.253", 200, 1),
                     route("172.16.0.0/12", "eth1", "10.1.0.252", 900, 1)};
    kernel.neighbors = {{"eth0", ip("10.0.0.254"), mac("02:00:00:00:00:01")},
                        {"eth1", ip("10.1.0.253"), mac("02:00:00:00:00:03")},
                        {"eth1", ip("10.1.0.252"), mac("02:00:00:00:00:04")}};
    model.set_kernel(kernel);
    const NextHop half = model.resolve(ip("192.0.2.1"), {});
    CHECK(half.state == Tunnel::State::kReady);
    CHECK(half.dst_mac == 0x020000000001);
    CHECK(half.ways.empty());  // the other one is not known yet
    CHECK(half.mtu == 1500);   // the smaller one: a flow may take either
    REQUIRE(model.wanted(0).size() == 1);
    CHECK(model.wanted(0)[0].target4.value == 0x0a0100fe);
    CHECK(model.learned(4, ip("10.1.0.254"), mac("02:00:00:00:00:02"), 0));
    const NextHop whole = model.resolve(ip("192.0.2.1"), {});
    REQUIRE(whole.ways.size() == 4);
    CHECK(whole.ways[0].port == 3);
    const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 0x02, 0xaa, 0, 0, 0, 2};
    for (unsigned i = 1; i < 4; ++i) {
        CHECK(whole.ways[i].port == 4);
        CHECK(std::memcmp(whole.ways[i].macs, macs, sizeof macs) == 0);
    }
    const NextHop specific = model.resolve(ip("172.16.0.1"), {});
    CHECK(specific.dst_mac == 0x020000000004);
    CHECK(specific.ways.empty());
    const Tunnel t = build_tunnel({}, whole, ip("192.0.2.1"), true, 0);
    CHECK(t.hops == whole.ways);
}

TEST_CASE("IPv6 routes share too, and routes by hand") {
    UnderlayModel model = two_ports();
    REQUIRE(model.add_address("br-a", "fd00:a::1/64").ok());
    REQUIRE(model.add_address("br-b", "fd00:b::1/64").ok());
    REQUIRE(model.add_route("::/0", "br-a", "fd00:a::fe").ok());
    REQUIRE(model.add_route("::/0", "br-b", "fd00:b::fe").ok());
    REQUIRE(model.set_neighbor("br-a", "fd00:a::fe", "02:00:00:00:00:01").ok());
    REQUIRE(model.set_neighbor("br-b", "fd00:b::fe", "02:00:00:00:00:02").ok());
    CHECK(model.resolve(ip("2001:db8::1"), {}).ways.size() == 2);
    REQUIRE(model.del_route("::/0").ok());
    CHECK(model.resolve(ip("2001:db8::1"), {}).state == Tunnel::State::kNoRoute);
}

TEST_CASE("the kernel is the host where its leg is set up") {
    UnderlayModel model;
    model.set_devices({{"up0", "br-a", "", 3, 0x02aa00000001, 1500, 9}});
    CHECK_FALSE(model.underlay_of(3));
    REQUIRE(model.add_address("br-a", "10.0.0.1/24").ok());
    REQUIRE(model.underlay_of(3));
    CHECK(model.underlay_of(3)->exception == kNoPort);  // we are the host
    KernelState kernel;
    kernel.up = {"lo", "br-a"};
    model.set_kernel(kernel);
    REQUIRE(model.underlay_of(3));
    CHECK(model.underlay_of(3)->exception == 9);
    CHECK(model.underlay_of(3)->mac == 0x02aa00000001);
}
