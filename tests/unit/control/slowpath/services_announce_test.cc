// SPDX-License-Identifier: Apache-2.0
// Announcements on time, and prefix delegation against a server that is played by hand.
#include <catch2/catch.hpp>
#include <string>

#include "control/slowpath/announce/config.h"
#include "control/slowpath/services/packet.h"
#include "tests/unit/control/slowpath/services_vectors.h"

namespace sluice::announce {
namespace {

using Frame = std::vector<uint8_t>;
using wire::load16;
using wire::load32;

std::string text(const Frame& bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (const uint8_t b : bytes) {
        out += kDigits[b >> 4];
        out += kDigits[b & 15];
    }
    return out;
}

const Mac kMac = *parse_mac("40:44:00:00:00:01");

/// Seconds at which something is sent, looking every half second.
std::vector<double> times(Announcements* announcements, int64_t until_ms) {
    std::vector<double> out;
    for (int64_t now = 0; now <= until_ms; now += 500) {
        for (size_t n = announcements->due(now).size(); n > 0; --n) {
            out.push_back(static_cast<double>(now) / 1000);
        }
    }
    return out;
}

TEST_CASE("Gratuitous ARP and RARP", "[announce]") {
    CHECK(text(garp_frame(kMac, *parse_ip4("10.0.1.11"))) == vectors::kGarp);
    CHECK(text(garp_frame(kMac, Ip4())) == vectors::kRarp);
}

TEST_CASE("Announcements become rare and end", "[announce]") {
    Announcements a([] { return 0u; });
    const GarpConfig garp{"vm1", kMac, *parse_ip4("10.0.1.11"), 7, 3};
    a.configure({garp}, {}, 0, 0);
    CHECK(times(&a, 600'000) == std::vector<double>{1, 3, 7, 15, 31});
    a.configure({garp}, {}, 0, 700'000);  // told again: nothing new
    CHECK(a.due(900'000).empty());
    GarpConfig moved = garp;
    moved.mac.bytes[5] = 9;
    a.configure({moved}, {}, 0, 900'000);
    REQUIRE(a.due(901'000).size() == 1);
    a.configure({}, {}, 0, 902'000);
    CHECK(a.due(1'000'000).empty());

    Announcements steady([] { return 0u; });
    steady.configure({garp}, {}, 4, 0);
    CHECK(times(&steady, 20'000) == std::vector<double>{1, 3, 7, 11, 15, 19});
}

TEST_CASE("Router advertisements keep between their bounds", "[announce]") {
    uint32_t dice = 0;
    Announcements a([&] { return dice; });
    a.configure({}, {{"lrp", 1, 2, 10, 30, {1, 2, 3}}}, 0, 0);
    CHECK(a.due(9'999).empty());
    dice = 19'999;
    const auto sent = a.due(10'000);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].frame == Frame{1, 2, 3});
    CHECK(sent[0].kind == Outgoing::Kind::kAdvertisement);
    CHECK(a.due(39'998).empty());
    CHECK(a.due(39'999).size() == 1);
}

/// The other side: what RFC 8415 says a server does.
struct Server {
    Frame id = {0, 3, 0, 1, 2, 0, 0, 0, 0, 9};
    Ip6 address = *parse_ip6("fe80::9");
    Mac mac = *parse_mac("02:00:00:00:00:09");
    uint32_t t1 = 100, t2 = 200, preferred = 300, valid = 400;
    uint16_t status = 0;

    Frame answer(const Frame& request, uint8_t type) const {
        const wire::Bytes dhcp = wire::Bytes(request).subspan(62);
        wire::Writer message;
        message.u32(uint32_t{type} << 24 | (load32(dhcp, 0) & 0xffffff));
        message.bytes(dhcp.subspan(4, 14));  // the client's identifier
        message.u16(2).u16(static_cast<uint16_t>(id.size())).bytes(id);
        const uint32_t iaid = iaid_of(request);
        message.u16(25).u16(static_cast<uint16_t>(12 + 29 + (status ? 6 : 0)));
        message.u32(iaid).u32(t1).u32(t2);
        message.u16(26).u16(25).u32(preferred).u32(valid).u8(56).ip6(*parse_ip6("2001:db8:1::"));
        if (status) {
            message.u16(13).u16(2).u16(status);
        }
        const Frame body = message.take();
        wire::Writer frame;
        frame.mac(wire::load_mac(request, 6)).mac(mac).u16(0x86dd).u32(0x60000000);
        frame.u16(static_cast<uint16_t>(8 + body.size())).u8(17).u8(64).ip6(address);
        frame.ip6(wire::load_ip6(request, 22)).u16(547).u16(546);
        frame.u16(static_cast<uint16_t>(8 + body.size())).u16(0).bytes(body);
        return frame.take();
    }
    static uint32_t iaid_of(const Frame& request) {
        wire::Bytes options = wire::Bytes(request).subspan(66);
        while (load16(options, 0) != 25) {
            options = options.subspan(4 + load16(options, 2));
        }
        return load32(options, 4);
    }
};

struct Bench {
    Bench() { delegation.configure({config}, 0); }
    /// The next message, or an empty frame, and its type.
    Frame next(int64_t now_ms) {
        const auto out = delegation.due(now_ms);
        return out.empty() ? Frame() : out.front().frame;
    }
    static int type(const Frame& frame) { return frame.size() > 62 ? frame[62] : -1; }

    uint32_t dice = 0;
    PrefixClientConfig config{
        "lrp1", kMac, *parse_mac("00:00:00:00:ff:02"), *parse_ip6("fe80::2"), 4, 5, {}};
    PrefixDelegation delegation{[this] { return dice += 1000; }};
    Server server;
};

TEST_CASE("A prefix is solicited, requested, renewed and rebound", "[announce]") {
    Bench b;
    const Frame solicit = b.next(4'000);
    REQUIRE(Bench::type(solicit) == 1);
    CHECK(wire::load_mac(solicit, 0) == *parse_mac("33:33:00:01:00:02"));
    const Frame request = b.delegation.take(b.server.answer(solicit, 2), 4'100);
    REQUIRE(Bench::type(request) == 3);
    CHECK(wire::load_mac(request, 0) == b.server.mac);
    CHECK(Server::iaid_of(request) == Server::iaid_of(solicit));
    CHECK(b.delegation.take_learned().empty());
    CHECK(b.delegation.take(b.server.answer(request, 7), 5'000).empty());
    const auto learned = b.delegation.take_learned();
    REQUIRE(learned.size() == 1);
    CHECK(learned[0].name == "lrp1");
    CHECK(to_string(learned[0].prefix) ==
          std::to_string(Server::iaid_of(solicit)) + ":2001:db8:1::/56");
    CHECK(parse_pd_list(to_string(learned[0].prefix)) == learned[0].prefix);

    CHECK(b.next(5'000 + 99'000).empty());
    const Frame renew = b.next(5'000 + 100'001);
    REQUIRE(Bench::type(renew) == 5);
    CHECK(wire::load_mac(renew, 0) == b.server.mac);
    CHECK(Server::iaid_of(renew) == Server::iaid_of(solicit));
    b.delegation.take(b.server.answer(renew, 7), 110'000);
    CHECK(b.delegation.take_learned().size() == 1);
    CHECK(b.next(209'000).empty());
    REQUIRE(Bench::type(b.next(210'001)) == 5);
    const Frame rebind = b.next(310'001);
    REQUIRE(Bench::type(rebind) == 6);
    CHECK(wire::load_mac(rebind, 0) == *parse_mac("33:33:00:01:00:02"));
    CHECK(Bench::type(b.next(510'001)) == 1);  // the prefix has expired
}

TEST_CASE("Servers that refuse, lie or answer somebody else are not heard", "[announce]") {
    Bench b;
    const Frame solicit = b.next(4'000);
    Server bad = b.server;
    bad.status = 6;  // NoPrefixAvail
    CHECK(b.delegation.take(bad.answer(solicit, 2), 4'000).empty());
    bad = b.server;
    bad.preferred = 500;  // longer than valid
    CHECK(b.delegation.take(bad.answer(solicit, 2), 4'000).empty());
    bad = b.server;
    bad.t1 = 300;  // later than T2
    CHECK(b.delegation.take(bad.answer(solicit, 2), 4'000).empty());
    Frame other = b.server.answer(solicit, 2);
    other[65] ^= 1;  // another transaction
    CHECK(b.delegation.take(other, 4'000).empty());
    CHECK(b.delegation.take(b.server.answer(solicit, 7), 4'000).empty());  // nothing was requested
    CHECK(b.delegation.take_learned().empty());
    const Frame good = b.server.answer(solicit, 2);
    for (size_t size = 0; size < good.size(); ++size) {
        CHECK(b.delegation.take(Frame(good.begin(), good.begin() + static_cast<long>(size)), 1)
                  .empty());
    }
    CHECK(Bench::type(b.delegation.take(good, 4'000)) == 3);
}

TEST_CASE("A prefix of an earlier life is asked for again", "[announce]") {
    Bench b;
    b.delegation.configure({}, 0);
    b.config.known = parse_pd_list("77:2001:db8:7::/60");
    b.delegation.configure({b.config}, 0);
    const Frame solicit = b.next(4'000);
    CHECK(Server::iaid_of(solicit) == 77);
    CHECK(text(solicit).find("001a0019ffffffffffffffff3c20010db80007") != std::string::npos);
    CHECK_FALSE(parse_pd_list("fd00:db8::/60").has_value());
    CHECK_FALSE(parse_pd_list("x").has_value());
}

}  // namespace
}  // namespace sluice::announce
