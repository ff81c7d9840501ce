// SPDX-License-Identifier: Apache-2.0
// LACP against the tables of IEEE 802.1AX-2008 clause 5.4. Times are in ms, made up.
#include "pmd/lacp.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::pmd;
using Receive = Lacp::Receive;
using Mux = Lacp::Mux;
using Periodic = Lacp::Periodic;

namespace {

const Mac kUs = *parse_mac("02:00:00:00:00:01");
const Mac kThem = *parse_mac("02:00:00:00:00:02");
const Mac kOthers = *parse_mac("02:00:00:00:00:03");

LacpConfig config(unsigned n_ports, bool is_active = true, bool is_fast = true) {
    LacpConfig c;
    c.system = kUs;
    c.is_active = is_active;
    c.is_fast = is_fast;
    for (unsigned i = 0; i < n_ports; ++i) {
        c.ports.push_back({.port = static_cast<uint16_t>(i + 1), .priority = 0x8000, .key = 7});
    }
    return c;
}

constexpr uint8_t kWilling = kLacpActivity | kLacpShortTimeout | kLacpAggregation;

LacpSide side(const Mac& system, uint16_t port, uint8_t state) {
    return {100, system, 42, 200, port, state};
}

/// What a partner says that has taken in all that our port says of itself.
Lacpdu agreeing(const Lacp& lacp, unsigned port, uint8_t state, const Mac& system = kThem) {
    return {side(system, static_cast<uint16_t>(port + 50), state), lacp.actor(port), 0};
}

/// Brings a port to where traffic flows; returns the time then.
int64_t join(Lacp* lacp, unsigned port, int64_t now) {
    lacp->set_link(port, true);
    lacp->tick(now);
    lacp->receive(port, agreeing(*lacp, port, kWilling | kLacpSync | kLacpCollecting), now);
    lacp->tick(now);
    now += Lacp::kAggregateWaitMs;
    lacp->tick(now);
    lacp->receive(port, agreeing(*lacp, port, kWilling | kLacpSync | kLacpCollecting), now);
    lacp->tick(now);
    return now;
}

}  // namespace

TEST_CASE("LACPDUs have the layout of the standard", "[lacp]") {
    const Lacpdu pdu{side(kUs, 0x1234, 0x3d), side(kThem, 0x5678, 0x0f), 0x0102};
    const std::vector<uint8_t> f = build_lacpdu(pdu, *parse_mac("02:aa:bb:cc:dd:ee"));
    REQUIRE(f.size() == 124);
    // Figure 5-8, with the values of Table 5-1 for the type and Table 5-3 for the address.
    const std::vector<uint8_t> head = {
        0x01, 0x80, 0xc2, 0, 0, 2, 2, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0x88, 0x09, 1, 1, 1, 20, 0,
        100,  2,    0,    0, 0, 0, 1, 0,    42,   0,    200,  0x12, 0x34, 0x3d, 0, 0, 0, 2,  20};
    CHECK(std::vector<uint8_t>(f.begin(), f.begin() + static_cast<long>(head.size())) == head);
    CHECK(std::vector<uint8_t>(f.begin() + 56, f.begin() + 60) ==
          std::vector<uint8_t>{3, 16, 1, 2});
    const auto parsed = parse_lacpdu(f);
    REQUIRE(parsed);
    CHECK(parsed->actor.system == kUs);
    CHECK(parsed->actor.port == 0x1234);
    CHECK(parsed->partner.system == kThem);
    CHECK(parsed->partner.state == 0x0f);
    CHECK(parsed->collector_max_delay == 0x0102);

    const auto broken = [&](size_t at, uint8_t value) {
        std::vector<uint8_t> g = f;
        g[at] = value;
        return parse_lacpdu(g).has_value();
    };
    CHECK_FALSE(broken(14, 3));   // another slow protocol
    CHECK_FALSE(broken(15, 0));   // version 0 there never was
    CHECK(broken(15, 2));         // a newer one begins the same way
    CHECK_FALSE(broken(16, 2));   // not the actor
    CHECK_FALSE(broken(17, 19));  // of another length
    CHECK_FALSE(broken(36, 1));
    CHECK_FALSE(parse_lacpdu(std::span(f).first(60)));
}

TEST_CASE("a marker is answered", "[lacp]") {
    std::vector<uint8_t> marker(124);
    marker[12] = 0x88;
    marker[13] = 0x09;
    marker[14] = 2;
    marker[15] = 1;
    marker[16] = 1;
    marker[17] = 16;
    marker[20] = 0x77;  // Requester_Transaction_ID and the like are given back
    const auto answer = marker_response(marker, kUs);
    REQUIRE(answer);
    CHECK((*answer)[16] == 2);
    CHECK((*answer)[20] == 0x77);
    CHECK_FALSE(marker_response(*answer, kUs));
}

TEST_CASE("the receive machine goes through the states of Figure 5-10", "[lacp]") {
    Lacp lacp(config(1));
    lacp.tick(0);
    CHECK(lacp.receive_state(0) == Receive::kPortDisabled);
    lacp.set_link(0, true);
    lacp.tick(1000);
    CHECK(lacp.receive_state(0) == Receive::kExpired);
    CHECK((lacp.actor(0).state & kLacpExpired));
    CHECK((lacp.partner(0).state & kLacpShortTimeout));  // so we speak often
    CHECK_FALSE((lacp.partner(0).state & kLacpSync));
    lacp.tick(1000 + Lacp::kShortTimeoutMs - 1);
    CHECK(lacp.receive_state(0) == Receive::kExpired);
    lacp.tick(1000 + Lacp::kShortTimeoutMs);
    CHECK(lacp.receive_state(0) == Receive::kDefaulted);
    CHECK((lacp.actor(0).state & kLacpDefaulted));
    CHECK_FALSE((lacp.actor(0).state & kLacpExpired));
    CHECK_FALSE(lacp.is_negotiated());

    lacp.receive(0, agreeing(lacp, 0, kWilling), 10'000);
    lacp.tick(10'000);
    CHECK(lacp.receive_state(0) == Receive::kCurrent);
    CHECK_FALSE((lacp.actor(0).state & (kLacpDefaulted | kLacpExpired)));
    CHECK(lacp.partner(0).system == kThem);
    CHECK(lacp.is_negotiated());
    lacp.tick(10'000 + Lacp::kShortTimeoutMs);
    CHECK(lacp.receive_state(0) == Receive::kExpired);
    lacp.tick(10'000 + 2 * Lacp::kShortTimeoutMs);
    CHECK(lacp.receive_state(0) == Receive::kDefaulted);

    lacp.set_link(0, false);
    lacp.tick(20'000);
    CHECK(lacp.receive_state(0) == Receive::kPortDisabled);
}

TEST_CASE("a long timeout is ninety seconds", "[lacp]") {
    Lacp lacp(config(1, true, false));
    lacp.set_link(0, true);
    lacp.tick(0);
    lacp.receive(0, agreeing(lacp, 0, kWilling), 0);
    lacp.tick(89'999);
    CHECK(lacp.receive_state(0) == Receive::kCurrent);
    lacp.tick(90'000);
    CHECK(lacp.receive_state(0) == Receive::kExpired);
}

TEST_CASE("the partner is in sync only if it agrees about us (recordPDU)", "[lacp]") {
    const auto is_in_sync = [](bool is_active, const auto& change) {
        Lacp lacp(config(1, is_active));
        lacp.set_link(0, true);
        lacp.tick(0);
        Lacpdu pdu = agreeing(lacp, 0, kWilling | kLacpSync);
        change(pdu);
        lacp.receive(0, pdu, 0);
        return (lacp.partner(0).state & kLacpSync) != 0;
    };
    CHECK(is_in_sync(true, [](Lacpdu&) {}));
    CHECK_FALSE(is_in_sync(true, [](Lacpdu& p) { p.actor.state &= uint8_t(~kLacpSync); }));
    CHECK_FALSE(is_in_sync(true, [](Lacpdu& p) { p.partner.port++; }));
    CHECK_FALSE(is_in_sync(true, [](Lacpdu& p) { p.partner.port_priority++; }));
    CHECK_FALSE(is_in_sync(true, [](Lacpdu& p) { p.partner.system = kOthers; }));
    CHECK_FALSE(is_in_sync(true, [](Lacpdu& p) { p.partner.system_priority++; }));
    CHECK_FALSE(is_in_sync(true, [](Lacpdu& p) { p.partner.key++; }));
    CHECK_FALSE(is_in_sync(true, [](Lacpdu& p) { p.partner.state ^= kLacpAggregation; }));
    // An individual link need not know us.
    CHECK(is_in_sync(true, [](Lacpdu& p) {
        p.partner.port++;
        p.actor.state &= uint8_t(~kLacpAggregation);
    }));
    // Somebody has to keep the link alive.
    const auto passive = [](Lacpdu& p) { p.actor.state &= uint8_t(~kLacpActivity); };
    CHECK(is_in_sync(true, passive));
    CHECK_FALSE(is_in_sync(false, passive));
}

TEST_CASE("the mux machine waits, attaches, collects, distributes and goes back", "[lacp]") {
    Lacp lacp(config(1));
    lacp.set_link(0, true);
    lacp.tick(0);
    CHECK(lacp.mux_state(0) == Mux::kDetached);
    lacp.receive(0, agreeing(lacp, 0, kWilling), 0);
    lacp.tick(0);
    CHECK(lacp.mux_state(0) == Mux::kWaiting);
    lacp.tick(Lacp::kAggregateWaitMs - 1);
    CHECK(lacp.mux_state(0) == Mux::kWaiting);
    lacp.tick(Lacp::kAggregateWaitMs);
    CHECK(lacp.mux_state(0) == Mux::kAttached);
    CHECK((lacp.actor(0).state & kLacpSync));
    CHECK_FALSE(lacp.is_collecting(0));

    int64_t now = 2500;
    const auto told = [&](uint8_t state) {
        lacp.receive(0, agreeing(lacp, 0, state), now += 10);
        lacp.tick(now);
        return lacp.mux_state(0);
    };
    CHECK(told(kWilling | kLacpSync) == Mux::kCollecting);
    CHECK(lacp.is_collecting(0));
    CHECK_FALSE(lacp.is_distributing(0));  // not before the partner collects
    CHECK(told(kWilling | kLacpSync | kLacpCollecting) == Mux::kDistributing);
    CHECK(lacp.actor(0).state == (kWilling | kLacpSync | kLacpCollecting | kLacpDistributing));
    CHECK(told(kWilling | kLacpSync) == Mux::kCollecting);
    CHECK(told(kWilling | kLacpSync | kLacpCollecting) == Mux::kDistributing);
    CHECK(told(kWilling) == Mux::kAttached);
    CHECK_FALSE(lacp.is_collecting(0));
    CHECK(told(kWilling | kLacpSync | kLacpCollecting) == Mux::kDistributing);

    lacp.set_link(0, false);
    lacp.tick(now);
    CHECK(lacp.mux_state(0) == Mux::kDetached);
    CHECK_FALSE((lacp.actor(0).state & (kLacpSync | kLacpCollecting | kLacpDistributing)));
}

TEST_CASE("silence takes a port out and its partner's voice brings it back at once", "[lacp]") {
    Lacp lacp(config(1));
    int64_t now = join(&lacp, 0, 0);
    REQUIRE(lacp.is_distributing(0));
    now += Lacp::kShortTimeoutMs;
    lacp.tick(now);
    CHECK(lacp.receive_state(0) == Receive::kExpired);
    CHECK_FALSE(lacp.is_distributing(0));
    CHECK_FALSE(lacp.is_collecting(0));
    lacp.receive(0, agreeing(lacp, 0, kWilling | kLacpSync | kLacpCollecting), now + 10);
    lacp.tick(now + 10);
    CHECK(lacp.is_distributing(0));  // same partner: it was never unselected
}

TEST_CASE("another partner behind a port starts over", "[lacp]") {
    Lacp lacp(config(1));
    const int64_t now = join(&lacp, 0, 0);
    REQUIRE(lacp.is_distributing(0));
    lacp.receive(0, agreeing(lacp, 0, kWilling | kLacpSync | kLacpCollecting, kOthers), now);
    lacp.tick(now);
    CHECK(lacp.mux_state(0) == Mux::kWaiting);  // by way of DETACHED
    lacp.tick(now + Lacp::kAggregateWaitMs);
    CHECK(lacp.is_distributing(0));
}

TEST_CASE("only ports with the same partner are used together", "[lacp]") {
    Lacp lacp(config(3));
    for (unsigned port = 0; port < 3; ++port) {
        lacp.set_link(port, true);
    }
    lacp.tick(0);
    const auto ready = uint8_t(kWilling | kLacpSync | kLacpCollecting);
    lacp.receive(0, agreeing(lacp, 0, ready, kOthers), 0);
    lacp.receive(1, agreeing(lacp, 1, ready), 0);
    lacp.receive(2, agreeing(lacp, 2, ready), 0);
    lacp.tick(0);
    CHECK_FALSE(lacp.is_selected(0));  // the larger group wins
    CHECK(lacp.is_selected(1));
    CHECK(lacp.is_selected(2));
    lacp.tick(Lacp::kAggregateWaitMs);
    // The group goes on as long as one of it does, and then the other has its turn.
    lacp.set_link(1, false);
    lacp.tick(2100);
    CHECK(lacp.is_selected(2));
    CHECK_FALSE(lacp.is_selected(0));
    lacp.set_link(2, false);
    lacp.tick(2200);
    CHECK(lacp.is_selected(0));
}

TEST_CASE("who moves to another switch leaves the others alone", "[lacp]") {
    Lacp lacp(config(2));
    join(&lacp, 0, 0);
    const int64_t now = join(&lacp, 1, 0);
    REQUIRE(lacp.is_distributing(0));
    REQUIRE(lacp.is_distributing(1));
    lacp.receive(0, agreeing(lacp, 0, kWilling | kLacpSync | kLacpCollecting, kOthers), now);
    lacp.tick(now);
    CHECK_FALSE(lacp.is_selected(0));
    CHECK(lacp.is_distributing(1));
}

TEST_CASE("individual links do not aggregate, and a looped cable is no partner", "[lacp]") {
    Lacp lacp(config(2));
    lacp.set_link(0, true);
    lacp.set_link(1, true);
    lacp.tick(0);
    const auto alone = uint8_t((kWilling | kLacpSync) & ~kLacpAggregation);
    lacp.receive(0, agreeing(lacp, 0, alone), 0);
    lacp.receive(1, agreeing(lacp, 1, alone), 0);
    lacp.tick(0);
    CHECK(lacp.is_selected(0));
    CHECK_FALSE(lacp.is_selected(1));

    Lacp looped(config(1));
    looped.set_link(0, true);
    looped.tick(0);
    looped.receive(0, agreeing(looped, 0, kWilling | kLacpSync, kUs), 0);
    looped.tick(0);
    CHECK_FALSE(looped.is_selected(0));
    CHECK_FALSE(looped.is_negotiated());
}

TEST_CASE("LACPDUs go out every second or every thirty, as the partner wants", "[lacp]") {
    const auto count = [](uint8_t partner_state, int64_t for_ms) {
        Lacp lacp(config(1));
        lacp.set_link(0, true);
        lacp.tick(0);
        lacp.receive(0, agreeing(lacp, 0, partner_state), 0);
        lacp.tick(0);
        int64_t now = 0;
        for (; now < 10'000; now += 100) {  // the first exchange is over
            lacp.receive(0, agreeing(lacp, 0, partner_state), now);
            lacp.tick(now);
            lacp.take(0, now);
        }
        unsigned sent = 0;
        for (const int64_t end = now + for_ms; now < end; now += 100) {
            lacp.receive(0, agreeing(lacp, 0, partner_state), now);
            lacp.tick(now);
            sent += lacp.take(0, now).has_value();
        }
        return sent;
    };
    CHECK(count(kWilling | kLacpSync, 60'000) == 60);
    CHECK(count(uint8_t((kWilling | kLacpSync) & ~kLacpShortTimeout), 60'000) == 2);
}

TEST_CASE("the passive one speaks only when spoken to", "[lacp]") {
    Lacp lacp(config(1, false));
    lacp.set_link(0, true);
    for (int64_t now = 0; now < 5000; now += 100) {
        lacp.tick(now);
        CHECK_FALSE(lacp.take(0, now));
        CHECK(lacp.periodic_state(0) == Periodic::kNoPeriodic);
    }
    lacp.receive(0, agreeing(lacp, 0, kWilling), 5000);
    lacp.tick(5000);
    CHECK(lacp.periodic_state(0) == Periodic::kFast);
    lacp.tick(6000);
    CHECK(lacp.take(0, 6000));
}

TEST_CASE("no more than three LACPDUs leave in a second", "[lacp]") {
    Lacp lacp(config(1));
    lacp.set_link(0, true);
    lacp.tick(0);
    unsigned sent = 0;
    for (int64_t now = 10; now < 1000; now += 10) {
        Lacpdu pdu = agreeing(lacp, 0, kWilling);
        pdu.partner.key++;  // never gets us right: each is a need to tell (update_NTT)
        lacp.receive(0, pdu, now);
        lacp.tick(now);
        sent += lacp.take(0, now).has_value();
    }
    CHECK(sent == 3);
}

TEST_CASE("two of us find each other over wires that lose the first LACPDUs", "[lacp]") {
    LacpConfig a_config = config(2);
    LacpConfig b_config = config(2, false);
    b_config.system = kThem;
    Lacp a(a_config);
    Lacp b(b_config);
    int64_t now = 0;
    for (; now < 15'000; now += 20) {
        for (unsigned p = 0; p < 2; ++p) {
            a.set_link(p, true);
            b.set_link(p, true);
        }
        a.tick(now);
        b.tick(now);
        for (unsigned p = 0; p < 2; ++p) {
            const auto from_a = a.take(p, now);
            const auto from_b = b.take(p, now);
            if (now > 1500) {
                if (from_a) {
                    b.receive(p, *from_a, now);
                }
                if (from_b) {
                    a.receive(p, *from_b, now);
                }
            }
        }
    }
    for (unsigned p = 0; p < 2; ++p) {
        CHECK(a.is_distributing(p));
        CHECK(b.is_distributing(p));
    }
}
