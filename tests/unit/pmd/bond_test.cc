// SPDX-License-Identifier: Apache-2.0
// The bond on real devices: veth pairs whose far ends a test holds.
#include <rte_mbuf.h>

#include <catch2/catch.hpp>
#include <thread>

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
    // A gratuitous ARP says that its sender is elsewhere now; but not our own one, led back.
    Bytes arp(60);
    const Bytes head = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,  5, 8, 6,
                        0,    1,    8,    0,    6,    4,    0, 1, 2, 0, 0,  0, 0, 5,
                        10,   0,    0,    1,    0,    0,    0, 0, 0, 0, 10, 0, 0, 1};
    std::copy(head.begin(), head.end(), arp.begin());
    Bytes own = arp;
    own[11] = own[27] = 6;
    REQUIRE(send(*lab.table, lab.bond, own));
    REQUIRE(to_active.send(own));
    CHECK(received(lab, 0, 0x0806) == 0);
    REQUIRE(to_active.send(from(6)));
    CHECK(received(lab, 0) == 0);
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
    CHECK_THAT(refusal("a=bond,member.x=af_xdp"), Contains("af_xdp cannot be a member"));
    CHECK(refusal("a=bond,member.x=dummy,member.y=dummy") == "accepted");
}

namespace {

/// What sluiced does: the new table, a grace period, the closure. False when the bond refuses.
bool change(BondLab* lab, const std::string& text) {
    Result<Retire> changed = lab->ports->change(lab->bond, spec(text));
    if (changed && *changed) {
        lab->table = lab->ports->snapshot();
        (*changed)();
        lab->table = lab->ports->snapshot();
    }
    return changed.ok();
}

std::string state_of(const BondLab& lab, const std::string& name) {
    for (const BondMemberReport& m : lab.report().members) {
        if (m.name == name) {
            return !m.error.empty() ? m.error
                   : m.is_active    ? "active"
                   : m.is_enabled   ? "enabled"
                                    : "disabled";
        }
    }
    return "no member";
}

const std::string kBoth = "member.b0=af_packet\\,iface=b0,member.b1=af_packet\\,iface=b1";

}  // namespace

TEST_CASE("members come and go while the others carry on", "[bond]") {
    BondLab lab("downdelay=600000,");
    if (!lab.ready) {
        WARN("needs root");
        return;
    }
    const std::string b1 = "member.b1=af_packet\\,iface=b1";
    REQUIRE(eventually([&] { return lab.is_active(0) && state_of(lab, "b1") == "enabled"; }));
    REQUIRE(send(*lab.table, lab.bond, from(0x11)));
    const unsigned fds = open_fds();
    const uint64_t resets = lab.report().members[1].link_resets;

    // The active one goes: what was not told yet sends by the other one at once.
    Result<Retire> going = lab.ports->change(lab.bond, spec("bond0=bond,downdelay=600000," + b1));
    REQUIRE(going);
    REQUIRE(*going);
    CHECK(state_of(lab, "b1") == "active");
    REQUIRE(send(*lab.table, lab.bond, from(0x12)));
    CHECK(lab.far1->receive(0x0800) == from(0x12));
    CHECK(open_fds() == fds);  // still open: a worker may be in it
    lab.table = lab.ports->snapshot();
    CHECK(lab.table->rx_queues(0).size() + lab.table->rx_queues(1).size() == 1);
    (*going)();
    CHECK(open_fds() < fds);
    REQUIRE(lab.far1->send(from(0x21)));
    CHECK(received(lab, 1) == 1);
    CHECK_FALSE(lab.ports->is_partial(lab.bond));

    // It comes back: not used before every worker knows it.
    Result<Retire> coming =
        lab.ports->change(lab.bond, spec("bond0=bond,primary=b0,downdelay=600000," + kBoth));
    REQUIRE(coming);
    REQUIRE(*coming);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // turns of the bond's thread
    CHECK(state_of(lab, "b0") == "disabled");
    lab.table = lab.ports->snapshot();
    (*coming)();
    CHECK(lab.table->rx_queues(0).size() + lab.table->rx_queues(1).size() == 2);
    CHECK(eventually([&] { return state_of(lab, "b0") == "active"; }));
    REQUIRE(send(*lab.table, lab.bond, from(0x13)));
    CHECK(lab.far0->receive(0x0800) == from(0x11));
    CHECK(lab.far0->receive(0x0800) == from(0x13));
    CHECK(lab.report().members[1].link_resets == resets);  // nobody touched it
    CHECK(lab.report().members[1].stats.tx_packets == 2);  // one, and a RARP for the first
    CHECK_FALSE(change(&lab, "bond0=bond,member.b2=af_packet\\,iface=nowhere"));  // nobody left
    CHECK(state_of(lab, "b0") == "active");
}

TEST_CASE("a member that vanished is missed until it is back", "[bond]") {
    BondLab lab("");
    if (!lab.ready) {
        WARN("needs root");
        return;
    }
    const std::string text = "bond0=bond," + kBoth;
    REQUIRE(eventually([&] { return lab.is_active(0) && state_of(lab, "b1") == "enabled"; }));
    REQUIRE(run("ip link del b0"));
    CHECK(lab.ports->is_partial(lab.bond));
    CHECK_FALSE(lab.ports->is_gone(lab.bond));
    CHECK(state_of(lab, "b0") == "the device vanished");
    REQUIRE(change(&lab, text));  // closed
    CHECK(lab.ports->is_partial(lab.bond));
    REQUIRE(change(&lab, text));  // missed
    CHECK_THAT(state_of(lab, "b0"), Catch::Contains("no network device"));
    CHECK(eventually([&] { return state_of(lab, "b1") == "active"; }));
    CHECK(lab.ports->is_partial(lab.bond));
    REQUIRE(change(&lab, text));  // still not there
    CHECK(lab.ports->info(lab.bond)->n_rxq == 1);
    REQUIRE(run("ip link add b0 type veth peer name f0 && ip link set b0 up && ip link set f0 up"));
    REQUIRE(change(&lab, text));
    CHECK_FALSE(lab.ports->is_partial(lab.bond));
    CHECK(eventually([&] { return state_of(lab, "b0") == "enabled"; }));
    REQUIRE(run("ip link set f1 down"));
    CHECK(eventually([&] { return state_of(lab, "b0") == "active"; }));
    const RawPeer again("f0");
    REQUIRE(send(*lab.table, lab.bond, from(0x31)));
    CHECK(again.receive(0x0800) == from(0x31));
    REQUIRE(again.send(from(0x32)));
    CHECK(received(lab, 1) == 1);
    REQUIRE(run("ip link del b0; ip link del b1"));
    CHECK(lab.ports->is_gone(lab.bond));
}

TEST_CASE("what a bond is told while it works changes in place", "[bond]") {
    BondLab lab("");
    if (!lab.ready) {
        WARN("needs root");
        return;
    }
    REQUIRE(eventually([&] { return lab.is_active(0) && state_of(lab, "b1") == "enabled"; }));
    const unsigned fds = open_fds();
    const auto becomes = [&](const std::string& arguments) {
        const Result<Retire> changed =
            lab.ports->change(lab.bond, spec("bond0=bond," + arguments + kBoth));
        return changed && !*changed && open_fds() == fds;  // nothing was opened or closed
    };
    CHECK(becomes("mode=balance-slb,rebalance=0,all-members-active=1,updelay=7,"));
    CHECK(lab.report().mode == "balance-slb");
    CHECK(lab.report().updelay_ms == 7);
    Bytes broadcast = from(0x99);
    std::fill(broadcast.begin(), broadcast.begin() + 6, uint8_t{0xff});
    REQUIRE(lab.far1->send(broadcast));
    CHECK(received(lab, 1) == 1);  // all-members-active: by the one that is not active, too
    CHECK(becomes("mode=balance-slb,rebalance=0,"));
    REQUIRE(lab.far1->send(broadcast));
    CHECK(received(lab, 0) == 0);
    CHECK(becomes("primary=b1,"));
    CHECK(eventually([&] { return state_of(lab, "b1") == "active"; }));
    CHECK(becomes("mode=balance-tcp,lacp=active,lacp-time=fast,"));
    CHECK(lab.far1->receive(pmd::kSlowProtocols));
    REQUIRE(send(*lab.table, lab.bond, from(0x11)));  // no partner: nothing may pass
    CHECK_FALSE(lab.ports->info(lab.bond)->link_up);
    CHECK(becomes("lacp=off,"));
    CHECK(eventually([&] { return lab.ports->info(lab.bond)->link_up; }));
    // Another device under the same name takes its place in two steps.
    const std::string other =
        "bond0=bond,member.b0=af_packet\\,iface=b0\\,frames=128,member.b1=af_packet\\,iface=b1";
    REQUIRE(change(&lab, other));
    CHECK_THAT(state_of(lab, "b0"), Catch::Contains("waits until"));
    CHECK(lab.ports->is_partial(lab.bond));
    REQUIRE(change(&lab, other));
    CHECK(eventually([&] { return state_of(lab, "b0") == "enabled"; }));
    CHECK_FALSE(change(&lab, "bond0=bond,mac=02:00:00:00:00:99," + kBoth));
    CHECK_FALSE(change(&lab, "bond0=bond,mtu=1400," + kBoth));
}

TEST_CASE("a bond opens without those of its members that are not there", "[bond]") {
    auto ports = make_ports();
    const PortId id = add(*ports, "a=bond,member.x=dummy,member.y=nothing");
    REQUIRE(id != kNoPort);
    const BondReport report = *ports->bond(id);
    REQUIRE(report.members.size() == 2);
    CHECK(report.members[0].error.empty());
    CHECK_THAT(report.members[1].error, Catch::Contains("no driver"));
    CHECK(ports->is_partial(id));
    CHECK(report.members[0].n_rxq == 1);
    remove(*ports, id);
}
