// SPDX-License-Identifier: Apache-2.0
// The registry, and the drivers that need no network: null, dummy, memif.
#include "pmd/ports.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <catch2/catch.hpp>

#include "pmd/dummy.h"
#include "tests/unit/pmd/lab.h"

using namespace sluice;
using namespace sluice::lab;

TEST_CASE("port specs are parsed and printed", "[ports]") {
    const Result<PortSpec> spec = parse_port_spec("vm1=af_packet,iface=veth1,iface-id=vm1,copy");
    REQUIRE(spec.ok());
    CHECK(spec->name == "vm1");
    CHECK(spec->driver == "af_packet");
    CHECK(spec->arg("iface") == "veth1");
    CHECK(spec->arg("copy") == "1");
    CHECK(spec->arg("absent").empty());
    CHECK(to_string(*spec) == "vm1=af_packet,copy=1,iface=veth1,iface-id=vm1");
    const Result<PortSpec> escaped = parse_port_spec("p=vdev,devargs=net_null0\\,size=64");
    REQUIRE(escaped.ok());
    CHECK(escaped->arg("devargs") == "net_null0,size=64");
    CHECK(to_string(*escaped) == "p=vdev,devargs=net_null0\\,size=64");
    for (const char* wrong : {"", "vm1", "=tap", "vm1=", "vm1=tap,=x", "vm1=tap,a=1,a=2"}) {
        INFO(wrong);
        CHECK_FALSE(parse_port_spec(wrong).ok());
    }
}

TEST_CASE("the registry refuses what it cannot do and says why", "[ports]") {
    auto ports = make_ports();
    const auto refusal = [&](const char* text) {
        const Result<PortId> id = ports->add(spec(text));
        return id ? std::string("accepted") : id.error().message;
    };
    using Catch::Contains;
    CHECK_THAT(refusal("a=nothing"), Contains("no driver 'nothing'") && Contains("af_packet"));
    CHECK_THAT(refusal("a=dummy,colour=red"), Contains("no argument 'colour'"));
    CHECK_THAT(refusal("a=dummy,ring=3"), Contains("power of two"));
    CHECK_THAT(refusal("a=dummy,ring=x"), Contains("ring=x is not a number"));
    CHECK_THAT(refusal("a=dummy,mtu=9"), Contains("mtu=9"));
    CHECK_THAT(refusal("a=dummy,mac=ff:ff:ff:ff:ff:ff"), Contains("not a unicast"));
    CHECK_THAT(refusal("a=dummy,stream=tcp:1.2.3.4"), Contains("stream=unix:PATH"));
    CHECK_THAT(refusal("a=dummy,tx_pcap=/nonexistent/x"), Contains("/nonexistent/x"));
    CHECK_THAT(refusal("a=af_packet,iface=nosuch0"),
               Contains("no network device 'nosuch0'") || Contains("run as root"));
    CHECK_THAT(refusal("a=pcap"), Contains("needs rx_pcap"));
    CHECK_THAT(refusal("a=pcap,rx_pcap=/nonexistent/x"), Contains("cannot read"));
    CHECK_THAT(refusal("a=vdev"), Contains("needs devargs"));
    CHECK(refusal("a=dummy") == "accepted");
    CHECK_THAT(refusal("a=null"), Contains("already"));
    CHECK(ports->list().size() == 1);
    CHECK_FALSE(ports->stats(77).ok());
    CHECK_FALSE(ports->remove(77).ok());
}

TEST_CASE("a removed port leaves the next table and closes after the grace period", "[ports]") {
    auto ports = make_ports(2);
    const PortId a = add(*ports, "a=dummy");
    const PortId b = add(*ports, "b=dummy,mac=02:00:00:00:00:0b,mtu=9000");
    const PortId c = add(*ports, "c=dummy");
    const auto before = ports->snapshot();
    CHECK(before->rx_queues(0).size() == 2);
    CHECK(before->rx_queues(1).size() == 1);
    CHECK(before->rx_queues(1)[0].port == b);
    CHECK(before->rx_queues(2).empty());
    CHECK((*before)[b].mtu == 9000);
    CHECK((*before)[b].mac == *parse_mac("02:00:00:00:00:0b"));
    CHECK((*before)[b].n_txq == 2);
    CHECK_FALSE((*before)[kNoPort]);

    const Result<Retire> retire = ports->remove(b);
    REQUIRE(retire.ok());
    CHECK(ports->find("b") == kNoPort);
    const auto after = ports->snapshot();
    CHECK_FALSE((*after)[b]);
    CHECK(after->rx_queues(1).empty());
    // A worker on the old table may still poll; the id is not reused meanwhile.
    rte_mbuf* pkts[4];
    CHECK(before->rx_queues(1)[0].rx(pkts, 4) == 0);
    const PortId d = add(*ports, "d=dummy");
    CHECK(d != b);
    (*retire)();
    CHECK(add(*ports, "b=dummy") == b);
    CHECK(ports->list() == std::vector<PortId>{a, b, c, d});
}

TEST_CASE("a held port is sent to but not polled", "[ports]") {
    auto ports = make_ports(2);
    const PortId a = add(*ports, "a=dummy");
    CHECK_FALSE(ports->end_holds());
    const PortId b = add(*ports, "b=dummy");
    ports->hold(b);
    ports->hold(77);  // no such port
    const auto held = ports->snapshot();
    CHECK(held->rx_queues(0).size() == 1);
    CHECK(held->rx_queues(0)[0].port == a);
    CHECK(held->rx_queues(1).empty());
    CHECK((*held)[b]);
    CHECK((*held)[b].n_txq == 2);
    REQUIRE(ports->end_holds());
    const auto after = ports->snapshot();
    REQUIRE(after->rx_queues(1).size() == 1);
    CHECK(after->rx_queues(1)[0].port == b);
    CHECK_FALSE(ports->end_holds());
}

TEST_CASE("null gives frames and takes frames", "[null]") {
    auto ports = make_ports();
    const PortId id = add(*ports, "n=null,size=100");
    REQUIRE(id != kNoPort);
    const auto table = ports->snapshot();
    rte_mbuf* pkts[32];
    REQUIRE(table->rx_queues(0)[0].rx(pkts, 32) == 32);
    CHECK(pkts[0]->pkt_len == 100);
    CHECK((*table)[id].tx[0].tx(pkts, 32) == 32);
    const Result<PortStats> stats = ports->stats(id);
    REQUIRE(stats.ok());
    CHECK(stats->rx_packets == 32);
    CHECK(stats->tx_packets == 32);
    CHECK(mbufs_in_use(*ports) == 0);
}

TEST_CASE("a raw vdev opens once under its own name", "[vdev]") {
    auto ports = make_ports();
    const PortId id = add(*ports, "n=vdev,devargs=net_null0");
    REQUIRE(id != kNoPort);
    const Result<PortId> twice = ports->add(spec("m=vdev,devargs=net_null0"));
    REQUIRE_FALSE(twice.ok());
    CHECK_THAT(twice.error().message, Catch::Contains("in use by another port"));
    const Result<PortId> wrong = ports->add(spec("m=vdev,devargs=net_nosuch0"));
    REQUIRE_FALSE(wrong.ok());
    CHECK_THAT(wrong.error().message, Catch::Contains("net_nosuch0"));
    remove(*ports, id);
    CHECK(add(*ports, "m=vdev,devargs=net_null0") == id);
}

TEST_CASE("the limit of ethdevs is told by name, and others still fit", "[vdev]") {
    auto ports = make_ports(1, 8191);
    Result<PortId> last = PortId{0};
    unsigned n = 0;
    for (; n <= RTE_MAX_ETHPORTS && last; ++n) {
        last = ports->add(spec("n" + std::to_string(n) + "=null"));
    }
    REQUIRE_FALSE(last.ok());
    CHECK(n == RTE_MAX_ETHPORTS + 1);
    CHECK_THAT(last.error().message, Catch::Contains("at most 32 ports"));
    CHECK(add(*ports, "extra=dummy") != kNoPort);
}

TEST_CASE("workers beyond the device's queues share one", "[vdev]") {
    auto ports = make_ports(3);
    const PortId id = add(*ports, "p=pcap,tx_pcap=/dev/null");
    REQUIRE(id != kNoPort);
    const auto table = ports->snapshot();
    for (unsigned w = 0; w < 3; ++w) {
        rte_mbuf* m = to_mbuf((*table)[id].pool, plain(w));
        CHECK((*table)[id].tx[w].tx(&m, 1) == 1);
    }
    CHECK(ports->stats(id)->tx_packets == 3);
}

TEST_CASE("two memif ends in one process exchange frames", "[memif]") {
    TempDir dir;
    auto ports = make_ports();
    const std::string socket = ",socket=" + dir.path + "/memif.sock";
    const PortId server = add(*ports, "s=memif,role=server" + socket);
    const PortId client = add(*ports, "c=memif,role=client" + socket);
    REQUIRE(server != kNoPort);
    REQUIRE(client != kNoPort);
    const auto table = ports->snapshot();
    for (int i = 0; i < 2000 && !(ports->link_up(server) && ports->link_up(client)); ++i) {
        rte_delay_us_sleep(1000);
    }
    REQUIRE(ports->link_up(client));
    REQUIRE(send(*table, client, plain(7, 300)));
    const std::vector<Bytes> there = receive(*table, server, 1, 0x88b5);
    REQUIRE(there.size() == 1);
    CHECK(there[0] == plain(7, 300));
    // A memif client offers the buffers that the server fills when it polls.
    rte_mbuf* none = nullptr;
    CHECK(table->rx_queues(0)[1].rx(&none, 1) == 0);
    REQUIRE(send(*table, server, plain(8, 64)));
    const std::vector<Bytes> back = receive(*table, client, 1, 0x88b5);
    REQUIRE(back.size() == 1);
    CHECK(back[0] == plain(8, 64));
}

TEST_CASE("ports come and go a hundred times and leave nothing", "[ports]") {
    TempDir dir;
    auto ports = make_ports();
    const std::string dummy =
        "d=dummy,drain=1,pcap=" + dir.path + "/d.pcap,stream=unix:" + dir.path + "/nobody";
    const auto round = [&] {
        const PortId d = add(*ports, dummy);
        const PortId n = add(*ports, "n=null");
        REQUIRE(d != kNoPort);
        REQUIRE(n != kNoPort);
        const auto table = ports->snapshot();
        REQUIRE(ports->dummy(d)->inject(plain(1)).ok());
        REQUIRE(ports->dummy(d)->inject(plain(2, 5000)).ok());
        rte_mbuf* m = nullptr;
        REQUIRE(table->rx_queues(0)[1].rx(&m, 1) == 1);
        rte_pktmbuf_free(m);
        remove(*ports, n);
        remove(*ports, d);
    };
    round();
    const unsigned fds = open_fds();
    for (int i = 0; i < 100; ++i) {
        round();
    }
    CHECK(open_fds() == fds);
    CHECK(mbufs_in_use(*ports) == 0);
    CHECK(ports->pools().pools().size() == 1);
}
