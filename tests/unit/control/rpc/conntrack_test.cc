// SPDX-License-Identifier: Apache-2.0
// Commands of the connection table. Expected texts are what `ovs-appctl dpctl/...` of Open vSwitch
// 3.1 said for the same connections.
#include <catch2/catch.hpp>
#include <cstring>
#include <map>

#include "control/rpc/conntrack_filter.h"
#include "control/rpc/conntrack_report.h"

using namespace sluice;
using namespace sluice::rpc;

namespace {

CtEntry entry(uint8_t proto, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport,
              uint16_t zone) {
    CtEntry e;
    std::memset(&e, 0, sizeof e);
    e.proto = proto;
    e.zone = zone;
    e.src[3] = e.reply_dst[3] = src;
    e.dst[3] = e.reply_src[3] = dst;
    e.src_port = e.reply_dst_port = sport;
    e.dst_port = e.reply_src_port = dport;
    e.state = "";
    e.timeout_s = 29;
    return e;
}

constexpr uint32_t kA = 0x0a000001;
constexpr uint32_t kB = 0x0a000002;

CtEntry balanced_tcp() {
    CtEntry e = entry(6, kA, 0x0a000101, 1000, 80, 1);
    e.reply_src[3] = kB;
    e.reply_src_port = 8080;
    e.mark = 2;
    e.state = "ESTABLISHED";
    return e;
}

std::string filter_error(const char* word) {
    CtFilter filter;
    const Result<void> added = add_filter_word(word, {}, &filter);
    return added ? "" : added.error().message;
}

}  // namespace

TEST_CASE("a connection in the words of dpctl/dump-conntrack", "[conntrack]") {
    CHECK(dpctl_entry(entry(17, kA, kB, 5, 6, 1), false, false) ==
          "udp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=5,dport=6),"
          "reply=(src=10.0.0.2,dst=10.0.0.1,sport=6,dport=5),zone=1");
    CHECK(dpctl_entry(entry(17, kA, kB, 5, 6, 1), false, true) ==
          "udp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=5,dport=6),"
          "reply=(src=10.0.0.2,dst=10.0.0.1,sport=6,dport=5),zone=1,timeout=29");
    CHECK(dpctl_entry(balanced_tcp(), false, false) ==
          "tcp,orig=(src=10.0.0.1,dst=10.0.1.1,sport=1000,dport=80),"
          "reply=(src=10.0.0.2,dst=10.0.0.1,sport=8080,dport=1000),zone=1,mark=2,"
          "protoinfo=(state=ESTABLISHED)");
    CtEntry icmp = entry(1, kA, kB, 0, 0, 3);
    icmp.icmp_id = 77;
    icmp.icmp_type = 8;
    CHECK(dpctl_entry(icmp, false, false) ==
          "icmp,orig=(src=10.0.0.1,dst=10.0.0.2,id=77,type=8,code=0),"
          "reply=(src=10.0.0.2,dst=10.0.0.1,id=77,type=0,code=0),zone=3");
    CHECK(dpctl_entry(icmp, true, false) ==
          "icmp,orig=(src=10.0.0.1,dst=10.0.0.2,id=77,type=8,code=0),"
          "reply=(src=10.0.0.2,dst=10.0.0.1,id=77,type=0,code=0),id=0,zone=3,status=0");
    CtEntry v6 = entry(58, 1, 2, 0, 0, 3);
    v6.is_v6 = true;
    v6.src[0] = v6.dst[0] = v6.reply_src[0] = v6.reply_dst[0] = 0xfd000000;
    v6.icmp_id = 3;
    v6.icmp_type = 128;
    CHECK(dpctl_entry(v6, false, false) ==
          "icmpv6,orig=(src=fd00::1,dst=fd00::2,id=3,type=128,code=0),"
          "reply=(src=fd00::2,dst=fd00::1,id=3,type=129,code=0),zone=3");
    CtEntry sctp = v6;
    sctp.proto = 132;
    CHECK(dpctl_entry(sctp, false, false) ==
          "sctp,orig=(src=fd00::1,dst=fd00::2,sport=0,dport=0),"
          "reply=(src=fd00::2,dst=fd00::1,sport=0,dport=0),zone=3");
}

TEST_CASE("filters in words", "[conntrack]") {
    CtFilter f;
    const ZoneByName zone_of = [](std::string_view name) {
        return name == "lp1" ? std::optional<uint16_t>(12) : std::nullopt;
    };
    for (const char* word : {"zone=lp1", "proto=tcp", "src=10.0.0.1", "sport=1000",
                             "vip=10.0.1.1:80", "backend=[fd00::2]:8080", "mark=2/0xff",
                             "label=0x10000000000000000/0xffffffffffffffff0000000000000000"}) {
        INFO(word);
        REQUIRE(add_filter_word(word, zone_of, &f).ok());
    }
    CHECK(f.zone == 12);
    CHECK(f.proto == 6);
    CHECK(f.src->words[3] == kA);
    CHECK(f.src_port == 1000);
    CHECK(f.dst->words[3] == 0x0a000101);
    CHECK(f.dst_port == 80);
    CHECK(f.reply_src->is_v6);
    CHECK(f.reply_src->words[0] == 0xfd000000);
    CHECK(f.reply_src->words[3] == 2);
    CHECK(f.reply_src_port == 8080);
    CHECK(f.mark == 2);
    CHECK(f.mark_mask == 0xff);
    CHECK(f.label[1] == 1);
    CHECK(f.label_mask[0] == ~0u);
    CHECK(f.label_mask[1] == ~0u);
    CHECK(f.label_mask[2] == 0);
    for (const char* word : {"zone", "zone=x", "zone=65536", "proto=tcpp", "src=10.0.0", "sport=x",
                             "vip=10.0.0.1:", "vip=:80", "backend=[fd00::1", "mark=", "mark=0x",
                             "mark=0x100000000", "mark=1/", "label=x", "colour=red", "", "="}) {
        INFO(word);
        CHECK(filter_error(word) != "");
    }
}

TEST_CASE("tuples as ovs-dpctl(8) writes them", "[conntrack]") {
    CtFilter f;
    REQUIRE(add_dpctl_tuple("ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=17,ct_tp_src=5,"
                            "ct_tp_dst=6",
                            &f)
                .ok());
    CHECK(f.src->words[3] == kA);
    CHECK(f.dst->words[3] == kB);
    CHECK(f.proto == 17);
    CHECK(f.src_port == 5);
    CHECK(f.dst_port == 6);
    CHECK(add_dpctl_tuple("foo=bar", &f).error().message == "invalid conntrack tuple field: foo");
    CHECK(add_dpctl_tuple("foo", &f).error().message == "field foo missing value");
    REQUIRE(add_dpctl_reply("ct_ipv6_src=fd00::2,ct_nw_proto=6,ct_tp_src=80", &f).ok());
    CHECK(f.reply_src->is_v6);
    CHECK(f.reply_src_port == 80);
    CHECK(f.proto == 6);
}

TEST_CASE("reports of connections go through JSON unharmed", "[conntrack]") {
    ConntrackReport r;
    r.matching = 7;
    r.rows.push_back({1, "tcp", "ESTABLISHED", "10.0.0.1", "10.0.1.1", 1000, 80, "10.0.0.2",
                      "10.0.0.1", 8080, 1000, 2, "0x1", 29, 1, 2, 3, 4});
    ConntrackReport back;
    REQUIRE(from_json(to_json(r), &back).ok());
    CHECK(to_json(back) == to_json(r));
    const std::string text = to_text(r);
    CHECK(text.find("10.0.1.1:80") != std::string::npos);
    CHECK(text.find("dst 10.0.0.2:8080") != std::string::npos);
    CHECK(text.find("src ") == std::string::npos);  // the source is not translated
    CHECK(text.find("1 of 7 connections") != std::string::npos);
    CHECK(to_text(ConntrackReport()) == "no such connections\n");

    ConntrackStatsReport stats;
    stats.capacity = 100;
    stats.used = 95;
    stats.refused_full = 12345;
    ConntrackStatsReport stats_back;
    REQUIRE(from_json(to_json(stats), &stats_back).ok());
    CHECK(stats_back.refused_full == 12345);
    CHECK(to_text(stats).find("12345") != std::string::npos);
    CHECK(to_text(stats).find("95 (95.0%)") != std::string::npos);

    ZoneReport zones;
    zones.rows.push_back({"lp1", 12, 3, -1});
    ZoneReport zones_back;
    REQUIRE(from_json(to_json(zones), &zones_back).ok());
    CHECK(to_json(zones_back) == to_json(zones));
}
