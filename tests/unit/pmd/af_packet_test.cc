// SPDX-License-Identifier: Apache-2.0
// af_packet on veth pairs in a private network namespace, against raw sockets and against the
// kernel's own TCP and UDP, with no ethtool anywhere. Needs root.
#include <arpa/inet.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/pmd/veth_lab.h"

using namespace sluice;
using namespace sluice::lab;

namespace {

/// p0 (ours) - p1 (the peer's).
struct Veth : VethPair {
    explicit Veth(unsigned mtu = 1500) : VethPair("p0", "p1", mtu) {}
};

}  // namespace

TEST_CASE("frames cross a veth unchanged, tags included", "[af_packet]") {
    if (!can_run()) {
        return;
    }
    const Veth veth;
    auto ports = make_ports();
    const PortId id = add(*ports, "a=af_packet,iface=p0,iface-id=vm1");
    REQUIRE(id != kNoPort);
    const auto table = ports->snapshot();
    CHECK_THAT(read_output("ip link show p0"), Catch::Contains(to_string((*table)[id].mac)));
    CHECK((*table)[id].mtu == 1500);
    CHECK(eventually([&] { return ports->link_up(id); }));
    const RawPeer peer("p1");
    const std::vector<Bytes> frames = {
        plain(1),
        plain(2, 1514),
        with_tag(plain(3), 0x8100, 0x6064),
        with_tag(plain(4, 1514), 0x8100, 0x0fff),
        with_tag(with_tag(plain(5), 0x8100, 5), 0x88a8, 0x0123),
        with_tag(with_tag(plain(6), 0x8100, 6), 0x8100, 0),
        udp4({1, 2, 3}),
    };
    for (const Bytes& frame : frames) {
        INFO("frame of " << frame.size() << " bytes");
        const uint16_t type = ethertype_of(frame);
        REQUIRE(peer.send(frame));
        CHECK(receive(*table, id, 1, type) == std::vector<Bytes>{frame});
        REQUIRE(send(*table, id, frame));
        const std::optional<Bytes> there = peer.receive(type);
        REQUIRE(there);
        CHECK(*there == frame);
    }
    CHECK(mbufs_in_use(*ports) == 0);
    const PortStats stats = *ports->stats(id);
    CHECK(stats.rx_packets >= frames.size());
    CHECK(stats.tx_packets == frames.size());
    CHECK(stats.rx_errors + stats.tx_errors + stats.rx_dropped + stats.tx_dropped == 0);
    // Above the MTU: refused by the kernel, counted, not handed back.
    REQUIRE(send(*table, id, plain(9, 1600)));
    CHECK(ports->stats(id)->tx_errors == 1);
    REQUIRE(run("ip link set p1 down"));
    CHECK(eventually([&] { return !ports->link_up(id); }));
}

TEST_CASE("jumbo frames fit a slot or pass by the socket's queue", "[af_packet]") {
    if (!can_run()) {
        return;
    }
    const std::string extra = GENERATE("", ",frame_size=2048,frames=64");
    const Veth veth(9000);
    auto ports = make_ports();
    const PortId id = add(*ports, "a=af_packet,iface=p0" + extra);
    REQUIRE(id != kNoPort);
    const auto table = ports->snapshot();
    CHECK((*table)[id].mtu == 9000);
    const RawPeer peer("p1");
    std::vector<Bytes> frames;
    for (uint32_t i = 0; i < 40; ++i) {  // small and large in turns: order must hold
        frames.push_back(plain(i, i % 2 ? 9014 : 60 + i));
        if (i % 5 == 0) {
            frames.back() = with_tag(frames.back(), 0x8100, 100);
        }
        REQUIRE(peer.send(frames.back()));
    }
    CHECK(receive(*table, id, 40, kTest) == frames);
    for (const Bytes& frame : frames) {
        REQUIRE(send(*table, id, frame));
        CHECK(peer.receive(kTest) == std::optional<Bytes>(frame));
    }
    CHECK(mbufs_in_use(*ports) == 0);
    CHECK(ports->stats(id)->rx_dropped == 0);
}

TEST_CASE("mtu= and set_mtu reach the kernel", "[af_packet]") {
    if (!can_run()) {
        return;
    }
    const Veth veth;
    auto ports = make_ports();
    const PortId id = add(*ports, "a=af_packet,iface=p0,mtu=1400");
    REQUIRE(id != kNoPort);
    CHECK_THAT(read_output("ip link show p0"), Catch::Contains("mtu 1400"));
    REQUIRE(ports->set_mtu(id, 4000).ok());
    CHECK((*ports->snapshot())[id].mtu == 4000);
    CHECK_THAT(read_output("ip link show p0"), Catch::Contains("mtu 4000"));
}

TEST_CASE("the kernel's partial UDP checksums are completed", "[af_packet]") {
    if (!can_run()) {
        return;
    }
    const Veth veth;
    REQUIRE(
        run("ip addr add 10.0.0.1/24 dev p1 && "
            "ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev p1"));
    auto ports = make_ports();
    const PortId id = add(*ports, "a=af_packet,iface=p0");
    REQUIRE(id != kNoPort);
    const auto table = ports->snapshot();
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(2000);
    to.sin_addr.s_addr = htonl(0x0a000002);
    for (const size_t size : {1u, 100u, 1471u, 1472u}) {
        const Bytes data(size, 0xa5);
        REQUIRE(sendto(fd, data.data(), size, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) ==
                static_cast<ssize_t>(size));
        const std::vector<Bytes> got = receive(*table, id, 1, kIp4);
        REQUIRE(got.size() == 1);
        CHECK(got[0].size() == 42 + size);
        CHECK(checksums_hold(got[0]));
    }
    close(fd);
}

TEST_CASE("transmit checksums and TSO are left to the kernel on request", "[af_packet]") {
    if (!can_run()) {
        return;
    }
    const Veth veth;
    auto ports = make_ports();
    const PortId a = add(*ports, "a=af_packet,iface=p0");
    const PortId b = add(*ports, "b=af_packet,iface=p1");  // cuts and completes what arrives
    REQUIRE(b != kNoPort);
    const auto table = ports->snapshot();
    REQUIRE((*table)[a].has(kPortTxTso | kPortTxTcpCksum | kPortTxUdpCksum));

    Bytes udp = udp4(Bytes(501, 7));
    rte_mbuf* m = to_mbuf((*table)[a].pool, udp);
    m->l2_len = 14;
    m->l3_len = 20;
    m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM;
    auto* ip = rte_pktmbuf_mtod_offset(m, rte_ipv4_hdr*, 14);
    const uint16_t partial = rte_ipv4_phdr_cksum(ip, m->ol_flags);
    memcpy(rte_pktmbuf_mtod_offset(m, uint8_t*, 40), &partial, 2);
    REQUIRE((*table)[a].tx[0].tx(&m, 1) == 1);
    CHECK(receive(*table, b, 1, kIp4) == std::vector<Bytes>{udp});

    // 10,000 bytes of TCP as one packet in several mbufs, to be cut at 1400.
    Bytes tcp = udp4(Bytes(10'000 + 12, 9));
    tcp[23] = 6;
    tcp[24] = tcp[25] = 0;
    const uint16_t sum = rfc1071(Bytes(tcp.begin() + 14, tcp.begin() + 34));
    tcp[24] = static_cast<uint8_t>(sum >> 8);
    tcp[25] = static_cast<uint8_t>(sum);
    tcp[46] = 0x50;
    tcp[47] = 0x10;
    tcp[50] = tcp[51] = 0;
    m = to_mbuf((*table)[a].pool, tcp);
    REQUIRE(m->nb_segs > 1);
    m->l2_len = 14;
    m->l3_len = 20;
    m->l4_len = 20;
    m->tso_segsz = 1400;
    m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_SEG;
    ip = rte_pktmbuf_mtod_offset(m, rte_ipv4_hdr*, 14);
    const uint16_t pseudo = rte_ipv4_phdr_cksum(ip, m->ol_flags);
    memcpy(rte_pktmbuf_mtod_offset(m, uint8_t*, 50), &pseudo, 2);
    REQUIRE((*table)[a].tx[0].tx(&m, 1) == 1);
    const std::vector<Bytes> segments = receive(*table, b, 8, kIp4);
    REQUIRE(segments.size() == 8);
    size_t total = 0;
    for (const Bytes& segment : segments) {
        CHECK(checksums_hold(segment));
        CHECK(segment.size() <= 54 + 1400);
        total += segment.size() - 54;
    }
    CHECK(total == 10'000);
    CHECK(ports->stats(a)->tx_errors == 0);
    CHECK(mbufs_in_use(*ports) == 0);
}

TEST_CASE("several queues share the frames by flow", "[af_packet]") {
    if (!can_run()) {
        return;
    }
    const Veth veth;
    auto ports = make_ports(2);
    const PortId id = add(*ports, "a=af_packet,iface=p0,queues=2");
    REQUIRE(id != kNoPort);
    const auto table = ports->snapshot();
    CHECK(table->rx_queues(0).size() == 1);
    CHECK(table->rx_queues(1).size() == 1);
    const RawPeer peer("p1");
    for (uint16_t i = 0; i < 200; ++i) {
        REQUIRE(peer.send(udp4({1}, static_cast<uint16_t>(i * 7), i)));
    }
    CHECK(receive(*table, id, 200, kIp4).size() == 200);  // each exactly once
    CHECK(receive(*table, id, 1, kIp4, kBrief).empty());
}

TEST_CASE("an af_packet port survives the loss of its device", "[af_packet]") {
    if (!can_run()) {
        return;
    }
    auto ports = make_ports();
    PortId id = kNoPort;
    {
        const Veth veth;
        id = add(*ports, "a=af_packet,iface=p0");
        REQUIRE(id != kNoPort);
        CHECK_FALSE(ports->is_gone(id));
    }
    const auto table = ports->snapshot();
    CHECK(ports->is_gone(id));
    CHECK_FALSE(ports->link_up(id));
    CHECK(receive(*table, id, 1, kTest, kBrief).empty());
    CHECK(send(*table, id, plain(1)));
    CHECK(ports->stats(id)->tx_dropped == 1);
    remove(*ports, id);
    const Veth veth;
    id = add(*ports, "a=af_packet,iface=p0");
    const RawPeer peer("p1");
    REQUIRE(peer.send(plain(2)));
    CHECK(receive(*ports->snapshot(), id, 1, kTest).size() == 1);
}

TEST_CASE("a hundred times added and removed under traffic", "[af_packet]") {
    if (!can_run()) {
        return;
    }
    const Veth veth;
    auto ports = make_ports();
    const RawPeer peer("p1");
    unsigned fds = 0;
    for (uint32_t i = 0; i < 101; ++i) {
        const PortId id = add(*ports, "a=af_packet,iface=p0");
        REQUIRE(id != kNoPort);
        const auto table = ports->snapshot();
        REQUIRE(peer.send(plain(i)));
        REQUIRE(peer.send(plain(i, 1000)));  // stays in the ring
        rte_mbuf* m = nullptr;
        table->rx_queues(0)[0].rx(&m, 1);
        rte_pktmbuf_free(m);
        REQUIRE(send(*table, id, plain(i)));
        remove(*ports, id);
        if (i == 0) {
            fds = open_fds();
        }
    }
    CHECK(open_fds() == fds);
    CHECK(mbufs_in_use(*ports) == 0);
    CHECK_THAT(read_output("ip -d link show p0"), Catch::Contains("promiscuity 0"));
}
