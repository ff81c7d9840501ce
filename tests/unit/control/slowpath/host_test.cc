// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/host.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "tests/unit/control/slowpath/vectors.h"

namespace sluice {
namespace {

using Kind = HostAnswer::Kind;
using Frame = std::vector<uint8_t>;

Frame hex(const std::string& text) {
    Frame out;
    for (size_t i = 0; i + 1 < text.size(); i += 2) {
        out.push_back(static_cast<uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
    }
    return out;
}

const Mac kUs = *parse_mac("02:00:00:00:00:64");
const Mac kPeer = *parse_mac("0c:42:a1:00:00:07");
const Ip4 kPeer4 = *parse_ip4("192.168.50.101");
const Ip6 kPeer6 = *parse_ip6("fd00:50::65");

Underlay underlay() {
    Underlay u;
    u.mac = kUs.to_u64();
    u.ip4 = {{parse_ip4("192.168.50.100")->value, 24}};
    u.ip6 = {{*parse_ip6("fd00:50::64"), 64}};
    return u;
}

HostAnswer ask(const std::string& text) {
    return answer(hex(text), underlay());
}

TEST_CASE("ARP requests for our address are answered and teach the sender") {
    const HostAnswer out = ask(vectors::kArpRequest);
    CHECK(out.kind == Kind::kArpReply);
    CHECK(out.reply == hex(vectors::kArpReply));
    REQUIRE(out.learned);
    CHECK(*out.learned == Neighbor{false, kPeer4, {}, kPeer});
}

TEST_CASE("an ARP probe is answered and teaches nothing") {
    const HostAnswer out = ask(vectors::kArpProbe);
    CHECK(out.reply == hex(vectors::kArpProbeReply));
    CHECK_FALSE(out.learned);
}

TEST_CASE("ARP replies and announcements teach; others' affairs do not") {
    for (const char* text : {vectors::kArpAnswer, vectors::kArpGratuitous}) {
        const HostAnswer out = ask(text);
        CHECK(out.kind == Kind::kSeen);
        REQUIRE(out.learned);
        CHECK(*out.learned == Neighbor{false, kPeer4, {}, kPeer});
    }
    const HostAnswer other = ask(vectors::kArpOther);
    CHECK(other.kind == Kind::kSeen);
    CHECK_FALSE(other.learned);
    const HostAnswer off_link = ask(vectors::kArpOffLink);
    CHECK(off_link.kind == Kind::kArpReply);
    CHECK_FALSE(off_link.learned);
}

TEST_CASE("a host with our address is a conflict, our own frame is none") {
    CHECK(ask(vectors::kArpConflict).conflict);
    CHECK_FALSE(ask(vectors::kArpConflict).learned);
    CHECK(ask(vectors::kNaConflict).conflict);
    CHECK_FALSE(ask(vectors::kNaConflict).learned);
    CHECK_FALSE(ask(vectors::kOurAnnouncement).conflict);
    CHECK_FALSE(ask(vectors::kOurAdvertisement).conflict);
}

TEST_CASE("pings are answered") {
    const HostAnswer out = ask(vectors::kEchoRequest);
    CHECK(out.kind == Kind::kEchoReply);
    CHECK(out.reply == hex(vectors::kEchoReply));
    CHECK(ask(vectors::kEchoPadded).reply == hex(vectors::kEchoReply));
    CHECK(ask(vectors::kEchoOptions).reply == hex(vectors::kEchoReply));
    const HostAnswer out6 = ask(vectors::kEcho6Request);
    CHECK(out6.kind == Kind::kEchoReply);
    CHECK(out6.reply == hex(vectors::kEcho6Reply));
}

TEST_CASE("neighbour solicitations are answered") {
    const HostAnswer out = ask(vectors::kNs);
    CHECK(out.kind == Kind::kNdReply);
    CHECK(out.reply == hex(vectors::kNsReply));
    REQUIRE(out.learned);
    CHECK(*out.learned == Neighbor{true, {}, kPeer6, kPeer});
    const HostAnswer unicast = ask(vectors::kNsUnicast);
    CHECK(unicast.reply == hex(vectors::kNsUnicastReply));
    CHECK_FALSE(unicast.learned);
    const HostAnswer probe = ask(vectors::kDad);
    CHECK(probe.reply == hex(vectors::kDadReply));
    CHECK_FALSE(probe.learned);
}

TEST_CASE("neighbour advertisements teach, with and without the option") {
    for (const char* text : {vectors::kNa, vectors::kNaNoOption}) {
        const HostAnswer out = ask(text);
        CHECK(out.kind == Kind::kSeen);
        REQUIRE(out.learned);
        CHECK(*out.learned == Neighbor{true, {}, kPeer6, kPeer});
    }
}

TEST_CASE("ND that breaks RFC 4861 7.1 leaves no trace") {
    for (const char* text : {vectors::kNsHopLimit, vectors::kNsZeroOption}) {
        const HostAnswer out = ask(text);
        CHECK(out.kind == Kind::kMalformed);
        CHECK_FALSE(out.learned);
        CHECK(out.reply.empty());
    }
}

TEST_CASE("what we send of our own accord") {
    const Ip4 ip4 = *parse_ip4("192.168.50.100");
    const Ip6 ip6 = *parse_ip6("fd00:50::64");
    CHECK(arp_announcement(kUs, ip4) == hex(vectors::kOurAnnouncement));
    CHECK(arp_request(kUs, ip4, kPeer4) == hex(vectors::kOurRequest));
    CHECK(nd_announcement(kUs, ip6) == hex(vectors::kOurAdvertisement));
    CHECK(nd_solicitation(kUs, ip6, kPeer6) == hex(vectors::kOurSolicitation));
}

TEST_CASE("frames that are not for us are left alone") {
    Frame elsewhere = hex(vectors::kEchoRequest);
    elsewhere[5] ^= 1;  // another unicast MAC address
    CHECK(answer(elsewhere, underlay()).kind == Kind::kNotOurs);
    Frame to_all = hex(vectors::kEchoRequest);
    std::fill_n(to_all.begin(), 6, uint8_t{0xff});
    CHECK(answer(to_all, underlay()).kind == Kind::kNotOurs);
    Underlay other = underlay();
    other.ip4[0].ip += 1;
    CHECK(answer(hex(vectors::kEchoRequest), other).kind == Kind::kNotOurs);
    CHECK(answer(Frame(14, 0x33), underlay()).kind == Kind::kNotOurs);
}

// Every single-bit error in the checksummed part of a ping or an ND message must be noticed.
TEST_CASE("a flipped bit is never answered") {
    for (const char* text : {vectors::kEchoRequest, vectors::kEcho6Request, vectors::kNs,
                             vectors::kDad, vectors::kNa}) {
        const Frame good = hex(text);
        // The fields of the IPv6 header that no checksum covers: class, label, hop limit.
        const bool ip6 = good[12] == 0x86;
        for (size_t at = 14; at < good.size(); ++at) {
            if (ip6 && (at <= 17 || at == 21)) {
                continue;
            }
            for (int bit = 0; bit < 8; ++bit) {
                Frame bad = good;
                bad[at] = static_cast<uint8_t>(bad[at] ^ 1 << bit);
                const HostAnswer out = answer(bad, underlay());
                REQUIRE(out.reply.empty());
                REQUIRE_FALSE(out.learned);
            }
        }
    }
}

TEST_CASE("a frame cut short anywhere is neither answered nor read past its end") {
    for (const char* text : {vectors::kArpRequest, vectors::kEchoRequest, vectors::kEcho6Request,
                             vectors::kNs, vectors::kNa}) {
        const Frame whole = hex(text);
        for (size_t length = 0; length < whole.size(); ++length) {
            const Frame cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            const HostAnswer out = answer(cut, underlay());
            REQUIRE(out.reply.empty());
            REQUIRE_FALSE(out.learned);
        }
    }
}

}  // namespace
}  // namespace sluice
