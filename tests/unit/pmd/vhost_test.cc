// SPDX-License-Identifier: Apache-2.0
#include "pmd/vhost.h"

#include <rte_mbuf.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>

#include "tests/unit/pmd/lab.h"

using namespace sluice;
using namespace sluice::lab;

namespace {

/// A port and a guest on it: DPDK's virtio_user, a virtio driver that shares nothing with ours.
struct Pair {
    explicit Pair(const std::string& guest_words = "", const std::string& port_words = "") {
        ports = make_ports(1, 4095);
        vm = add(*ports, "vm=vhost,mode=server,path=" + folder.path + "/s" + port_words);
        REQUIRE(vm != kNoPort);
        CHECK_FALSE(ports->link_up(vm));
        guest = plug(guest_words);
        REQUIRE(guest != kNoPort);
        CHECK(eventually([&] { return ports->link_up(vm); }));
        table = ports->snapshot();
    }
    ~Pair() {
        if (ports->find("guest") != kNoPort) {  // first, or it writes to a socket nobody reads
            remove(*ports, guest);
        }
    }
    PortId plug(const std::string& words) {
        static int number = 0;
        return add(*ports, "guest=vdev,devargs=net_virtio_user" + std::to_string(number++) +
                               "\\,path=" + folder.path + "/s\\,queue_size=256" + words);
    }
    TempDir folder;
    std::unique_ptr<pmd::Ports> ports;
    PortId vm = kNoPort;
    PortId guest = kNoPort;
    std::unique_ptr<const PortTable> table;
};

Bytes tcp4(size_t payload, uint8_t flags = 0x18) {
    Bytes frame = udp4(Bytes(payload + 12, 0));  // room for a TCP header in place of UDP's
    frame[23] = 6;
    uint8_t* ip = &frame[14];
    ip[10] = ip[11] = 0;
    const uint16_t sum = rfc1071(Bytes(ip, ip + 20));
    ip[10] = static_cast<uint8_t>(sum >> 8);
    ip[11] = static_cast<uint8_t>(sum);
    uint8_t* tcp = ip + 20;
    std::memset(tcp, 0, 20);
    tcp[1] = 80;
    tcp[3] = 99;
    tcp[7] = 1;
    tcp[12] = 0x50;
    tcp[13] = flags;
    for (size_t i = 0; i < payload; ++i) {
        tcp[20 + i] = static_cast<uint8_t>(i * 7);
    }
    return frame;
}

/// The pseudo header's sum of tcp4(), as the sender of a partial checksum leaves it.
void put_partial(Bytes* frame, bool with_length) {
    uint8_t* ip = &(*frame)[14];
    const size_t length = with_length ? frame->size() - 34 : 0;
    Bytes pseudo(12);
    std::memcpy(pseudo.data(), ip + 12, 8);
    pseudo[9] = 6;
    pseudo[10] = static_cast<uint8_t>(length >> 8);
    pseudo[11] = static_cast<uint8_t>(length);
    const auto sum = static_cast<uint16_t>(~rfc1071(pseudo));
    ip[20 + 16] = static_cast<uint8_t>(sum >> 8);
    ip[20 + 17] = static_cast<uint8_t>(sum);
}

/// Sends with these offloads asked for.
bool send_with(const PortTable& table, PortId id, const Bytes& frame, uint64_t flags,
               uint16_t segment = 0) {
    rte_mbuf* m = to_mbuf(table[id].pool, frame);
    REQUIRE(m);
    m->ol_flags = flags;
    m->l2_len = 14;
    m->l3_len = 20;
    m->l4_len = 20;
    m->tso_segsz = segment;
    const bool taken = table[id].tx[0].tx(&m, 1) == 1;
    if (!taken) {
        rte_pktmbuf_free(m);
    }
    return taken;
}

/// The TCP payload of these frames, one after the other.
Bytes payload_of(const std::vector<Bytes>& frames) {
    Bytes all;
    for (const Bytes& frame : frames) {
        all.insert(all.end(), frame.begin() + 54, frame.end());
    }
    return all;
}

}  // namespace

TEST_CASE("frames go to a guest and come from it", "[vhost]") {
    Pair pair;
    for (const size_t length : {60u, 590u, 1514u}) {
        const Bytes frame = plain(static_cast<uint32_t>(length), length);
        REQUIRE(send(*pair.table, pair.vm, frame));
        CHECK(receive(*pair.table, pair.guest, 1, 0x88b5) == std::vector<Bytes>{frame});
        REQUIRE(send(*pair.table, pair.guest, frame));
        CHECK(receive(*pair.table, pair.vm, 1, 0x88b5) == std::vector<Bytes>{frame});
    }
    const PortStats stats = *pair.ports->stats(pair.vm);
    CHECK(stats.rx_packets == 3);
    CHECK(stats.tx_packets == 3);
    CHECK(stats.tx_bytes == 60 + 590 + 1514);
    remove(*pair.ports, pair.guest);
    CHECK(eventually([&] { return !pair.ports->link_up(pair.vm); }));
    const Bytes frame = plain(9);
    CHECK_FALSE(send(*pair.table, pair.vm, frame));  // nobody there
    CHECK(pair.ports->stats(pair.vm)->tx_dropped == 1);
    remove(*pair.ports, pair.vm);
    CHECK(mbufs_in_use(*pair.ports) == 0);
}

TEST_CASE("a guest that comes back finds its port", "[vhost]") {
    Pair pair;
    for (uint32_t round = 0; round < 5; ++round) {
        const Bytes frame = plain(round);
        REQUIRE(send(*pair.table, pair.vm, frame));
        CHECK(receive(*pair.table, pair.guest, 1, 0x88b5) == std::vector<Bytes>{frame});
        remove(*pair.ports, pair.guest);
        CHECK(eventually([&] { return !pair.ports->link_up(pair.vm); }));
        pair.guest = pair.plug("");
        REQUIRE(pair.guest != kNoPort);
        CHECK(eventually([&] { return pair.ports->link_up(pair.vm); }));
        pair.table = pair.ports->snapshot();
    }
}

TEST_CASE("what a guest left undone is done on receive", "[vhost]") {
    Pair pair;
    if (!(*pair.table)[pair.guest].has(kPortTxTcpCksum | kPortTxTso)) {
        FAIL("the guest did not get checksum and TSO");
    }
    Bytes partial = tcp4(100);
    put_partial(&partial, true);
    REQUIRE(
        send_with(*pair.table, pair.guest, partial, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM));
    const std::vector<Bytes> one = receive(*pair.table, pair.vm, 1, 0x0800);
    REQUIRE(one.size() == 1);
    CHECK(checksums_hold(one[0]));
    CHECK(payload_of(one) == Bytes(partial.begin() + 54, partial.end()));

    Bytes large = tcp4(1600);
    put_partial(&large, false);
    REQUIRE(send_with(*pair.table, pair.guest, large,
                      RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_SEG |
                          RTE_MBUF_F_TX_TCP_CKSUM,
                      500));
    const std::vector<Bytes> pieces = receive(*pair.table, pair.vm, 4, 0x0800);
    REQUIRE(pieces.size() == 4);
    for (const Bytes& piece : pieces) {
        CHECK(piece.size() <= 554);
        CHECK(checksums_hold(piece));
    }
    CHECK(payload_of(pieces) == Bytes(large.begin() + 54, large.end()));
    CHECK(pair.ports->stats(pair.vm)->rx_errors == 0);
}

TEST_CASE("a guest without offloads gets whole packets with right checksums", "[vhost]") {
    Pair pair("", ",tso=no");
    CHECK_FALSE((*pair.table)[pair.guest].has(kPortTxTso));
    Bytes large = tcp4(1600);
    put_partial(&large, false);
    REQUIRE(send_with(*pair.table, pair.vm, large,
                      RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_SEG |
                          RTE_MBUF_F_TX_TCP_CKSUM,
                      500));
    const std::vector<Bytes> pieces = receive(*pair.table, pair.guest, 4, 0x0800);
    REQUIRE(pieces.size() == 4);
    for (const Bytes& piece : pieces) {
        CHECK(checksums_hold(piece));
    }
    CHECK(payload_of(pieces) == Bytes(large.begin() + 54, large.end()));
    CHECK(pair.ports->stats(pair.vm)->tx_packets == 4);
}

TEST_CASE("two queues of a guest are both served", "[vhost]") {
    Pair pair("\\,queues=2", ",queues=2");
    CHECK((*pair.table)[pair.vm].n_rxq == 2);
    const Bytes frame = plain(1);
    REQUIRE(send(*pair.table, pair.vm, frame));
    CHECK(receive(*pair.table, pair.guest, 1, 0x88b5) == std::vector<Bytes>{frame});
    REQUIRE(send(*pair.table, pair.guest, frame));
    CHECK(receive(*pair.table, pair.vm, 1, 0x88b5) == std::vector<Bytes>{frame});
}

TEST_CASE("sockets of others are left alone", "[vhost]") {
    TempDir folder;
    auto ports = make_ports(1, 2047);
    const std::string path = folder.path + "/s";
    std::ofstream(path) << "not a socket";
    auto refused = ports->add(spec("a=vhost,mode=server,path=" + path));
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Catch::Contains("no socket"));
    unlink(path.c_str());

    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(fd, 1) == 0);
    refused = ports->add(spec("a=vhost,mode=server,path=" + path));
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Catch::Contains("another process serves"));
    close(fd);  // the socket of a dead process now
    const PortId id = add(*ports, "a=vhost,mode=server,path=" + path);
    CHECK(id != kNoPort);
    refused = ports->add(spec("b=vhost,mode=server,path=" + path));
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Catch::Contains("another port"));
    CHECK_FALSE(ports->add(spec("c=vhost")));
    CHECK_FALSE(ports->add(spec("c=vhost,path=/x,mode=peer")));
}
