// SPDX-License-Identifier: Apache-2.0
// The bond on real devices: veth pairs whose far ends a test holds.
#include <rte_mbuf.h>

#include <catch2/catch.hpp>

#include "pmd/bond.h"
#include "tests/unit/pmd/lab.h"

using namespace sluice;
using namespace sluice::lab;

namespace {

/// Two veth pairs, b0-f0 and b1-f1, and a bond over b0 and b1.
struct BondLab {
    explicit BondLab(const std::string& arguments) {
        ready = enter_private_network();
        if (!ready) {
            return;
        }
        for (const char* which : {"all", "default"}) {  // the kernel is to send nothing by itself
            run(std::string("echo 1 > /proc/sys/net/ipv6/conf/") + which + "/disable_ipv6");
        }
        for (const char* i : {"0", "1"}) {
            const std::string n = i;
            run("ip link del b" + n);
            ready = ready && run("ip link add b" + n + " type veth peer name f" + n +
                                 " && ip link set b" + n + " up && ip link set f" + n + " up");
        }
        ports = make_ports(2);
        far0 = std::make_unique<RawPeer>("f0");
        far1 = std::make_unique<RawPeer>("f1");
        bond = add(*ports, "bond0=bond," + arguments +
                               "member.b0=af_packet\\,iface=b0,member.b1=af_packet\\,iface=b1");
        REQUIRE(bond != kNoPort);
        table = ports->snapshot();
    }
    ~BondLab() {
        if (ports && bond != kNoPort) {
            remove(*ports, bond);
        }
        run("ip link del b0; ip link del b1");
    }
    BondReport report() const { return *ports->bond(bond); }
    bool is_active(size_t member) const {
        const BondReport r = report();
        return r.members.at(member).is_active && r.members.at(member).is_enabled;
    }

    bool ready = false;
    std::unique_ptr<pmd::Ports> ports;
    std::unique_ptr<RawPeer> far0, far1;
    std::unique_ptr<const PortTable> table;
    PortId bond = kNoPort;
};

Bytes from(uint8_t last_byte, uint16_t source_port = 1000) {
    Bytes f = udp4({1, 2, 3, 4}, source_port);
    f[11] = last_byte;
    return f;
}

/// Polls for that many, or for a while to see that none comes.
size_t received(const BondLab& lab, size_t want, uint16_t type = 0x0800) {
    const std::chrono::milliseconds patience(want ? 10'000 : 300);
    return receive(*lab.table, lab.bond, want ? want : 1, type, patience).size();
}

}  // namespace

TEST_CASE("active-backup sends and receives by one member and tells the switch when it changes",
          "[bond]") {
    BondLab lab("");
    if (!lab.ready) {
        WARN("needs root");
        return;
    }
    REQUIRE(eventually([&] { return lab.is_active(0); }));
    CHECK(lab.table->rx_queues(0).size() + lab.table->rx_queues(1).size() == 2);
    REQUIRE(send(*lab.table, lab.bond, from(0x11)));
    REQUIRE(send(*lab.table, lab.bond, with_tag(from(0x12), 0x8100, 42)));
    CHECK(lab.far0->receive(0x0800) == from(0x11));
    REQUIRE(lab.far0->send(from(0x21)));
    REQUIRE(lab.far1->send(from(0x22)));  // on the backup: refused
    CHECK(received(lab, 1) == 1);
    CHECK(received(lab, 0) == 0);
    CHECK(lab.report().rx_refused == 1);

    REQUIRE(run("ip link set f0 down"));
    REQUIRE(eventually([&] { return lab.is_active(1); }));
    // For each source that went out, a RARP over the new way, as RFC 903 has it.
    std::vector<Bytes> told;
    for (unsigned i = 0; i < 2; ++i) {
        const std::optional<Bytes> frame = lab.far1->receive(0x8035);
        REQUIRE(frame);
        told.push_back(*frame);
    }
    std::sort(told.begin(), told.end(),
              [](const Bytes& a, const Bytes& b) { return a[11] < b[11]; });
    CHECK(Bytes(told[0].begin(), told[0].begin() + 14) ==
          Bytes{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x11, 0x80, 0x35});
    CHECK(Bytes(told[0].begin() + 14, told[0].begin() + 42) ==
          Bytes{0, 1, 8, 0, 6, 4, 0, 3, 2, 0,    0, 0, 0, 0x11,
                0, 0, 0, 0, 2, 0, 0, 0, 0, 0x11, 0, 0, 0, 0});
    CHECK(Bytes(told[1].begin() + 6, told[1].begin() + 18) ==
          Bytes{2, 0, 0, 0, 0, 0x12, 0x81, 0, 0, 42, 0x80, 0x35});
    REQUIRE(send(*lab.table, lab.bond, from(0x13)));
    CHECK(lab.far1->receive(0x0800) == from(0x13));
    REQUIRE(lab.far1->send(from(0x23)));
    CHECK(received(lab, 1) == 1);
    CHECK(lab.ports->info(lab.bond)->link_up);
    REQUIRE(run("ip link set f1 down"));
    CHECK(eventually([&] { return !lab.ports->info(lab.bond)->link_up; }));
    REQUIRE(send(*lab.table, lab.bond, from(0x14)));  // taken, lost and counted
    CHECK(lab.ports->stats(lab.bond)->tx_dropped == 1);
}

TEST_CASE("balance-slb keeps a source on one member and its own frames out", "[bond]") {
    BondLab lab("mode=balance-slb,rebalance=0,");
    if (!lab.ready) {
        WARN("needs root");
        return;
    }
    REQUIRE(eventually([&] {
        const BondReport r = lab.report();
        return r.members[0].is_enabled && r.members[1].is_enabled;
    }));
    CHECK(lab.report().members[0].n_buckets == 128);
    for (uint8_t source = 1; source <= 32; ++source) {
        for (uint16_t port = 1; port <= 4; ++port) {
            REQUIRE(send(*lab.table, lab.bond, from(source, port)));
        }
    }
    const auto sent = [&](size_t member) { return lab.report().members[member].stats.tx_packets; };
    CHECK(sent(0) + sent(1) == 128);
    CHECK(sent(0) % 4 == 0);  // all four of a source went the same way
    CHECK(sent(0) > 0);
    CHECK(sent(1) > 0);
    const size_t active = lab.is_active(0) ? 0 : 1;
    const RawPeer& to_active = active == 0 ? *lab.far0 : *lab.far1;
    const RawPeer& to_other = active == 0 ? *lab.far1 : *lab.far0;
    Bytes broadcast = from(0x99);
    std::fill(broadcast.begin(), broadcast.begin() + 6, uint8_t{0xff});
    REQUIRE(to_active.send(broadcast));
    CHECK(received(lab, 1) == 1);
    REQUIRE(to_other.send(broadcast));  // the second copy
    CHECK(received(lab, 0) == 0);
    REQUIRE(to_other.send(from(0x98)));
    CHECK(received(lab, 1) == 1);
    REQUIRE(to_other.send(from(5)));  // what we sent, led back
    REQUIRE(to_active.send(from(5)));
    CHECK(received(lab, 0) == 0);
    // A gratuitous ARP says that it is elsewhere now.
    Bytes arp(60);
    const Bytes head = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,  5, 8, 6,
                        0,    1,    8,    0,    6,    4,    0, 1, 2, 0, 0,  0, 0, 5,
                        10,   0,    0,    1,    0,    0,    0, 0, 0, 0, 10, 0, 0, 1};
    std::copy(head.begin(), head.end(), arp.begin());
    REQUIRE(to_active.send(arp));
    CHECK(received(lab, 1, 0x0806) == 1);
    REQUIRE(to_active.send(from(5)));
    CHECK(received(lab, 1) == 1);
}

TEST_CASE("LACP frames never reach the pipeline, and without a partner nothing else does",
          "[bond]") {
    BondLab lab("mode=balance-tcp,lacp=active,lacp-time=fast,");
    if (!lab.ready) {
        WARN("needs root");
        return;
    }
    const std::optional<Bytes> pdu = lab.far0->receive(pmd::kSlowProtocols);
    REQUIRE(pdu);
    const auto parsed = pmd::parse_lacpdu(*pdu);
    REQUIRE(parsed);
    CHECK(parsed->actor.system == lab.ports->mac(lab.bond));
    CHECK(parsed->actor.system_priority == 65534);  // Open vSwitch's for a bond
    CHECK(parsed->actor.port_priority == 65535);
    CHECK((parsed->actor.state & 0x07) == 0x07);
    REQUIRE(lab.far0->send(from(0x21)));
    CHECK(eventually([&] {
        // Again and again: what was heard is believed for three seconds only.
        lab.far0->send(pmd::build_lacpdu({}, *parse_mac("02:00:00:00:00:77")));
        CHECK(received(lab, 0) == 0);
        const BondReport r = lab.report();
        return r.members[0].lacp->receive == "current" && r.lacp_status == "negotiated";
    }));
    CHECK(lab.report().rx_refused == 1);
    CHECK(lab.report().members[0].lacp->rx_pdus > 0);
    REQUIRE(send(*lab.table, lab.bond, from(0x11)));
    CHECK(lab.ports->stats(lab.bond)->tx_dropped == 1);
}

TEST_CASE("a bond that cannot be is refused with the reason", "[bond]") {
    auto ports = make_ports();
    const auto refusal = [&](const char* text) {
        const Result<PortId> id = ports->add(spec(text));
        return id ? std::string("accepted") : id.error().message;
    };
    using Catch::Contains;
    CHECK_THAT(refusal("a=bond"), Contains("1 to 16 members"));
    CHECK_THAT(refusal("a=bond,member.x=bond"), Contains("member of a bond"));
    CHECK_THAT(refusal("a=bond,mode=fast,member.x=dummy"), Contains("mode=fast"));
    CHECK_THAT(refusal("a=bond,lacp=maybe,member.x=dummy"), Contains("lacp=maybe"));
    CHECK_THAT(refusal("a=bond,lacp-time=now,member.x=dummy"), Contains("lacp-time=now"));
    CHECK_THAT(refusal("a=bond,primary=y,member.x=dummy"), Contains("primary=y"));
    CHECK_THAT(refusal("a=bond,colour=red,member.x=dummy"), Contains("colour"));
    CHECK_THAT(refusal("a=bond,member.x=dummy\\,colour=red"), Contains("colour"));
    CHECK_THAT(refusal("a=bond,member.x=nothing"), Contains("no driver"));
    CHECK(refusal("a=bond,member.x=dummy,member.y=dummy") == "accepted");
}
