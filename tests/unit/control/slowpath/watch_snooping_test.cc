// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/snooping.h"

#include <catch2/catch.hpp>
#include <random>

#include "control/slowpath/wire.h"
#include "tests/unit/control/slowpath/watch_frames.h"

namespace sluice::watch {
namespace {

using Kind = McastMessage::Kind;
using Ports = std::vector<uint32_t>;

McastMessage message(const char* text) {
    const Frame frame = hex(text);
    return read_mcast(frame, read_headers(frame));
}

std::vector<McastMessage::Change> changes(
    std::initializer_list<std::pair<const char*, bool>> list) {
    std::vector<McastMessage::Change> out;
    for (const auto& [group, leaves] : list) {
        const auto ip4 = parse_ip4(group);
        out.push_back({ip4 ? mapped(*ip4) : *parse_ip6(group), leaves});
    }
    return out;
}

TEST_CASE("IGMP messages say who joins and leaves") {
    CHECK(message(kIgmp1Report).changes == changes({{"239.1.1.1", false}}));
    CHECK(message(kIgmp2Report).changes == changes({{"239.1.1.1", false}}));
    CHECK(message(kIgmp2Leave).changes == changes({{"239.1.1.1", true}}));
    CHECK(message(kIgmp3Report).changes == changes({{"239.1.1.1", false},
                                                    {"239.1.1.2", false},
                                                    {"239.1.1.3", true},
                                                    {"239.1.1.4", false}}));
    CHECK(message(kIgmp2Query).kind == Kind::kQuery);
    CHECK(message(kIgmp2Query).from_router);
    CHECK(message(kIgmpBadSum).kind == Kind::kMalformed);
    CHECK(std::string(message(kIgmp3Report).protocol) == "IGMPv3");
}

TEST_CASE("MLD messages say who joins and leaves") {
    CHECK(message(kMld1Report).changes == changes({{"ff0e::5", false}}));
    CHECK(message(kMld1Done).changes == changes({{"ff0e::5", true}}));
    CHECK(message(kMld2Report).changes ==
          changes({{"ff0e::5", false}, {"ff0e::6", true}, {"ff0e::7", false}}));
    CHECK(message(kMldQuery).from_router);
    CHECK(message(kMldQueryNobody).kind == Kind::kQuery);
    CHECK_FALSE(message(kMldQueryNobody).from_router);
    CHECK(std::string(message(kMld1Done).protocol) == "MLDv1");
}

TEST_CASE("multicast messages that are cut or changed do no harm") {
    std::mt19937 random(3);
    for (const char* text : {kIgmp3Report, kMld2Report, kIgmp2Report, kMld1Report, kMldQuery}) {
        const Frame whole = hex(text);
        for (size_t n = 0; n < whole.size(); ++n) {
            const Frame cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
            CHECK(read_mcast(cut, read_headers(cut)).changes.empty());
        }
        for (int i = 0; i < 500; ++i) {
            Frame other = whole;
            other[14 + random() % (other.size() - 14)] = static_cast<uint8_t>(random());
            read_mcast(other, read_headers(other));
        }
    }
}

TEST_CASE("queries are those of ovn-controller") {
    Querier querier;
    querier.eth_src = *parse_mac("0a:00:00:00:00:fe");
    querier.ip4_src = *parse_ip4("10.0.0.254");
    querier.ip6_src = *parse_ip6("fe80::fe");
    querier.max_resp_s = 3;
    // Captured from ovn-controller 23.03 with these options.
    CHECK(igmp_query(querier) ==
          hex("01005e0000010a00000000fe0800450000200000400001028edd0a0000fee0000001111eeec300000000"
              "001e0000"));
    CHECK(mld_query(querier) ==
          hex("3333000000000a00000000fe86dd6000000000240001fe8000000000000000000000000000feff020000"
              "0000000000000000000000013a000502000000008200736b0bb80000000000000000000000000000"
              "0000000000030000"));
}

constexpr uint32_t kSwitch = 7;

SnoopConfig config() {
    SnoopConfig c;
    c.datapath = kSwitch;
    c.enabled = true;
    c.table_size = 2;
    c.idle_timeout_s = 30;
    c.flood_key = 32768;
    c.mrouter_key = 32770;
    c.flood_l2_key = 32774;
    return c;
}

struct Lab {
    Lab() { snooper.configure({config()}, 0); }
    Snooper::Outcome hear(uint32_t port, const char* text, int64_t now_ms) {
        const Frame frame = hex(text);
        return snooper.take(kSwitch, port, frame, read_headers(frame), now_ms);
    }
    /// Ports of a group, "routers" for the routers.
    Ports ports(const std::string& group) const {
        for (const GroupState& state : snooper.groups()) {
            if ((state.routers ? "routers" : group_text(state.group)) == group) {
                return state.ports;
            }
        }
        return {};
    }
    bool run(int64_t now_ms) { return snooper.run(now_ms, &queries); }

    Snooper snooper;
    std::vector<Snooper::Query> queries;
};

TEST_CASE("ports join, leave and grow old") {
    Lab lab;
    CHECK(lab.ports("239.1.1.1").empty());
    const auto out = lab.hear(1, kIgmp2Report, 1000);
    CHECK(out.changed);
    CHECK(out.forward_key == 32770);  // routers hear of it
    CHECK_FALSE(lab.hear(1, kIgmp2Report, 2000).changed);
    CHECK(lab.hear(2, kIgmp2Report, 20000).changed);
    CHECK(lab.ports("239.1.1.1") == Ports{1, 2});
    CHECK_FALSE(lab.run(31999));
    CHECK(lab.run(32999));  // 30 s after 2000, looked at every second
    CHECK(lab.ports("239.1.1.1") == Ports{2});
    CHECK(lab.hear(2, kIgmp2Leave, 33000).changed);
    CHECK_FALSE(lab.hear(2, kIgmp2Leave, 33001).changed);
    CHECK(lab.snooper.groups().size() == 1);  // the routers' entry
}

TEST_CASE("a router is one for three minutes and its reports are no memberships") {
    Lab lab;
    const auto out = lab.hear(3, kIgmp2Query, 0);
    CHECK(out.changed);
    CHECK(out.forward_key == 32774);  // to the whole switch
    CHECK(lab.ports("routers") == Ports{3});
    CHECK_FALSE(lab.hear(3, kIgmp2Report, 10).changed);
    CHECK(lab.ports("239.1.1.1").empty());
    lab.hear(4, kMldQueryNobody, 20);
    CHECK(lab.ports("routers") == Ports{3});
    lab.run(179'000);
    CHECK(lab.ports("routers") == Ports{3});
    CHECK(lab.run(180'001));
    CHECK(lab.ports("routers").empty());
}

TEST_CASE("a full table forgets the group heard of least recently") {
    Lab lab;
    lab.hear(1, kIgmp2Report, 1);
    lab.hear(1, kIgmp2ReportB, 2);
    lab.hear(2, kIgmp2Report, 3);  // .1 is newer than .2 now
    CHECK(lab.hear(1, kIgmp2ReportC, 4).changed);
    CHECK(lab.ports("239.1.1.1") == Ports{1, 2});
    CHECK(lab.ports("239.1.1.2").empty());
    CHECK(lab.ports("239.1.1.3") == Ports{1});
    SnoopConfig smaller = config();
    smaller.table_size = 1;
    CHECK(lab.snooper.configure({smaller}, 5));
    CHECK(lab.ports("239.1.1.1").empty());
    CHECK(lab.ports("239.1.1.3") == Ports{1});
}

TEST_CASE("a group that all have left keeps its place while others are older") {
    Lab lab;
    lab.hear(1, kIgmp2ReportB, 1);
    lab.hear(1, kIgmp2Report, 2);
    lab.hear(1, kIgmp2Leave, 3);
    CHECK(lab.ports("239.1.1.1").empty());
    lab.run(1000);
    CHECK(lab.ports("239.1.1.2") == Ports{1});
    lab.hear(1, kIgmp2ReportC, 1001);  // the table holds two
    CHECK(lab.ports("239.1.1.2").empty());
    CHECK(lab.ports("239.1.1.3") == Ports{1});
    // Now it is the oldest itself, and makes room before anybody needs it.
    lab.run(2000);
    lab.hear(1, kIgmp2ReportB, 2001);
    CHECK(lab.ports("239.1.1.2") == Ports{1});
    CHECK(lab.ports("239.1.1.3") == Ports{1});
}

TEST_CASE("a new sequence number, or no snooping, forgets everything") {
    Lab lab;
    lab.hear(1, kIgmp2Report, 1);
    lab.hear(2, kMldQuery, 1);
    CHECK_FALSE(lab.snooper.configure({config()}, 2));
    CHECK(lab.ports("239.1.1.1") == Ports{1});
    SnoopConfig next = config();
    next.seq_no = 1;
    CHECK(lab.snooper.configure({next}, 3));
    CHECK(lab.ports("239.1.1.1").empty());
    CHECK(lab.ports("routers").empty());
    lab.hear(1, kIgmp2Report, 4);
    next.enabled = false;
    CHECK(lab.snooper.configure({next}, 5));
    CHECK(lab.snooper.groups().empty());
    CHECK(lab.hear(1, kIgmp2Report, 6).forward_key == 0);
}

TEST_CASE("another idle time is in force for members that are known already") {
    Lab lab;
    lab.hear(1, kIgmp2Report, 0);
    SnoopConfig c = config();
    c.idle_timeout_s = 60;
    lab.snooper.configure({c}, 10);
    CHECK_FALSE(lab.run(59'000));
    CHECK(lab.run(60'001));
}

TEST_CASE("a querier asks at once and then at its interval, in each family it has a source for") {
    Lab lab;
    lab.run(10);
    CHECK(lab.queries.empty());
    CHECK(lab.snooper.next_ms() == INT64_MAX);
    SnoopConfig c = config();
    c.querier4 = c.querier6 = true;
    c.query_interval_s = 5;
    lab.snooper.configure({c}, 100);
    CHECK(lab.snooper.next_ms() == 100);
    lab.run(100);
    REQUIRE(lab.queries.size() == 2);
    CHECK(lab.queries[0].flood_key == 32768);
    CHECK(lab.snooper.next_ms() == 5100);
    lab.run(5099);
    CHECK(lab.queries.size() == 2);
    c.querier6 = false;
    lab.snooper.configure({c}, 5099);
    lab.run(5100);
    CHECK(lab.queries.size() == 3);
}

}  // namespace
}  // namespace sluice::watch
