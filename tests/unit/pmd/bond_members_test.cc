// SPDX-License-Identifier: Apache-2.0
// Which members carry traffic: the rules that ovs-vswitchd.conf.db(5) gives for bonds. Times are
// made up.
#include "pmd/bond_members.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "pmd/bond_sources.h"

using namespace sluice::pmd;

namespace {

unsigned buckets_of(const BondMembers& bond, unsigned member) {
    unsigned n = 0;
    for (unsigned b = 0; b < kBondBuckets; ++b) {
        n += bond.member_of(b) == member;
    }
    return n;
}

BondMembers up(const BondRules& rules, unsigned n) {
    BondMembers bond(rules, n);
    for (unsigned i = 0; i < n; ++i) {
        bond.set_link(i, true);
    }
    bond.run(0);
    return bond;
}

}  // namespace

TEST_CASE("the active member stays until its link goes", "[bond]") {
    BondMembers bond = up({}, 3);
    REQUIRE(bond.active() == 0);
    CHECK_FALSE(bond.spreads());
    bond.set_link(1, false);
    CHECK_FALSE(bond.run(10));
    CHECK(bond.active() == 0);
    bond.set_link(0, false);
    CHECK(bond.run(20));
    CHECK(bond.active() == 2);
    bond.set_link(0, true);
    CHECK_FALSE(bond.run(30));
    CHECK(bond.active() == 2);  // no way back without need
    bond.set_link(2, false);
    bond.set_link(0, false);
    CHECK(bond.run(40));
    CHECK(bond.active() == kNoMember);
}

TEST_CASE("the primary member takes over when it can", "[bond]") {
    BondMembers bond({.primary = 1}, 2);
    bond.set_link(0, true);
    bond.run(0);
    CHECK(bond.active() == 0);
    bond.set_link(1, true);
    CHECK(bond.run(10));
    CHECK(bond.active() == 1);
}

TEST_CASE("updelay and downdelay hold a change back, unless nobody works", "[bond]") {
    BondMembers bond({.updelay_ms = 500, .downdelay_ms = 300}, 2);
    bond.set_link(0, true);
    bond.run(0);
    CHECK(bond.active() == 0);  // the first one is enabled at once
    bond.set_link(1, true);
    bond.run(100);
    bond.run(599);
    CHECK_FALSE(bond.is_enabled(1));
    bond.run(600);
    CHECK(bond.is_enabled(1));
    bond.set_link(0, false);
    bond.run(1000);
    bond.set_link(0, true);  // a flap within the delay is none
    bond.run(1200);
    bond.set_link(0, false);
    bond.run(1250);
    bond.run(1549);
    CHECK(bond.is_enabled(0));
    CHECK(bond.run(1550));
    CHECK_FALSE(bond.is_enabled(0));
    CHECK(bond.active() == 1);
}

TEST_CASE("LACP says who may work, and without a partner nobody does", "[bond]") {
    BondMembers bond({.mode = BondMode::kBalanceTcp}, 2);
    bond.set_status(LacpStatus::kConfigured);
    for (unsigned i = 0; i < 2; ++i) {
        bond.set_link(i, true);
        bond.set_lacp(i, false);
    }
    bond.run(0);
    CHECK(bond.is_shut());
    CHECK_FALSE(bond.is_enabled(0));
    bond.set_status(LacpStatus::kNegotiated);
    bond.set_lacp(1, true);
    bond.run(10);
    CHECK_FALSE(bond.is_shut());
    CHECK(bond.spreads());
    CHECK(buckets_of(bond, 1) == kBondBuckets);
    bond.set_lacp(0, true);
    bond.run(20);
    CHECK(buckets_of(bond, 0) == kBondBuckets / 2);
}

TEST_CASE("lacp-fallback-ab works as active-backup until a partner answers", "[bond]") {
    BondMembers bond({.mode = BondMode::kBalanceTcp, .falls_back = true}, 2);
    bond.set_status(LacpStatus::kConfigured);
    for (unsigned i = 0; i < 2; ++i) {
        bond.set_link(i, true);
        bond.set_lacp(i, false);
    }
    bond.run(0);
    CHECK(bond.is_fallen_back());
    CHECK_FALSE(bond.is_shut());
    CHECK_FALSE(bond.spreads());
    CHECK(bond.active() == 0);
    bond.set_status(LacpStatus::kNegotiated);
    bond.run(10);
    CHECK_FALSE(bond.is_fallen_back());
    CHECK(bond.active() == kNoMember);
}

TEST_CASE("balance-tcp without LACP carries nothing", "[bond]") {
    CHECK(up({.mode = BondMode::kBalanceTcp}, 2).is_shut());
    CHECK_FALSE(up({.mode = BondMode::kBalanceSlb}, 2).is_shut());
}

TEST_CASE("buckets of a member that goes are shared by the others, and it gets some back",
          "[bond]") {
    BondMembers bond = up({.mode = BondMode::kBalanceSlb}, 4);
    for (unsigned i = 0; i < 4; ++i) {
        CHECK(buckets_of(bond, i) == 64);
    }
    std::array<uint8_t, kBondBuckets> before;
    for (unsigned b = 0; b < kBondBuckets; ++b) {
        before[b] = bond.member_of(b);
    }
    bond.set_link(3, false);
    bond.run(10);
    CHECK(buckets_of(bond, 3) == 0);
    for (unsigned b = 0; b < kBondBuckets; ++b) {
        CHECK((before[b] == 3 || bond.member_of(b) == before[b]));  // nobody else moves
    }
    for (unsigned i = 0; i < 3; ++i) {
        CHECK(buckets_of(bond, i) >= 84);
    }
    bond.set_link(3, true);
    bond.run(20);
    CHECK(buckets_of(bond, 3) > 40);
}

TEST_CASE("rebalancing moves buckets to the idle member while it pays", "[bond]") {
    BondMembers bond = up({.mode = BondMode::kBalanceSlb}, 2);
    BondMembers::Loads bytes{};
    unsigned n = 0;
    for (unsigned b = 0; b < kBondBuckets && n < 4; ++b) {
        if (bond.member_of(b) == 0) {
            bytes[b] = 10'000'000;
            ++n;
        }
    }
    const auto load = [&](unsigned member) {
        uint64_t sum = 0;
        for (unsigned b = 0; b < kBondBuckets; ++b) {
            sum += bond.member_of(b) == member ? bytes[b] : 0;
        }
        return sum;
    };
    REQUIRE(load(0) == 40'000'000);
    CHECK(bond.rebalance(bytes) == 2);
    CHECK(load(0) == 20'000'000);
    CHECK(load(1) == 20'000'000);
    CHECK(bond.rebalance(bytes) == 0);
    // One bucket that is all there is cannot be split, and little is not worth it.
    BondMembers::Loads one{};
    one[0] = 50'000'000;
    CHECK(bond.rebalance(one) == 0);
    BondMembers::Loads little{};
    for (unsigned b = 0; b < kBondBuckets; ++b) {
        little[b] = bond.member_of(b) == 0 ? 100 : 0;
    }
    CHECK(bond.rebalance(little) == 0);
}

TEST_CASE("sources are remembered for five minutes", "[bond]") {
    BondSources sources;
    const uint64_t key = BondSources::key_of(0x020000000001, 42);
    sources.set_time(0);
    sources.add(key);
    CHECK(sources.contains(key));
    CHECK_FALSE(sources.contains(BondSources::key_of(0x020000000001, 43)));
    CHECK_FALSE(sources.contains(BondSources::key_of(0x020000000002, 42)));
    unsigned n = 0;
    sources.for_each([&](uint64_t mac, uint16_t vlan) {
        CHECK(mac == 0x020000000001);
        CHECK(vlan == 42);
        ++n;
    });
    CHECK(n == 1);
    sources.set_time(BondSources::kEpochMs * (BondSources::kEpochs - 1));
    CHECK(sources.contains(key));
    sources.set_time(BondSources::kEpochMs * BondSources::kEpochs);
    CHECK_FALSE(sources.contains(key));
    sources.add(key);
    sources.forget(key);
    CHECK_FALSE(sources.contains(key));
}
