// SPDX-License-Identifier: Apache-2.0
// af_xdp on veth pairs in a private network namespace: what is steered comes, what is not reaches
// the kernel; frames in both directions; programs that are on the device already. Needs root.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <rte_mbuf.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "pmd/xdp_program.h"
#include "tests/unit/pmd/veth_lab.h"

using namespace sluice;
using namespace sluice::lab;
using pmd::XdpProgram;

namespace {

/// x0 (ours) - x1 (the peer's, which leaves nothing to a NIC).
struct Veth : VethPair {
    explicit Veth(unsigned mtu = 1500, unsigned queues = 1) : VethPair("x0", "x1", mtu, queues) {
        REQUIRE(run("ethtool -K x1 tx off txvlan off"));
    }
};

Steering geneve() {
    Steering s;
    s.geneve_port = 6081;
    s.ip4 = {Ip4{0x0a000002}};  // where lab::udp4() sends to
    return s;
}

uint64_t count_of(const pmd::Ports& ports, PortId id, const std::string& name) {
    const Result<PortInfo> info = ports.info(id);
    REQUIRE(info);
    for (const NamedCount& count : info->counts) {
        if (count.name == name) {
            return count.value;
        }
    }
    return ~uint64_t{0};
}

uint32_t program_on(const char* device) {
    uint32_t id = 0;
    CHECK(bpf_xdp_query_id(static_cast<int>(if_nametoindex(device)), 0, &id) == 0);
    return id;
}

/// A program that passes everything, under a name of its own.
int load_foreign() {
    const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS},
                             {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    return bpf_prog_load(BPF_PROG_TYPE_XDP, "firewall", "GPL", code, 2, nullptr);
}

std::string error_of(pmd::Ports& ports, const std::string& text) {
    const Result<PortId> added = ports.add(spec(text));
    return added ? "" : added.error().message;
}

}  // namespace

TEST_CASE("steered frames come, others reach the kernel", "[af_xdp]") {
    if (!can_run()) {
        return;
    }
    const std::string mode = GENERATE("native", "generic", "best-effort");
    INFO(mode);
    const Veth veth;
    auto ports = make_ports();
    const PortId id = add(*ports, "a=af_xdp,iface=x0,xdp-mode=" + mode);
    REQUIRE(id != kNoPort);
    const auto table = ports->snapshot();
    CHECK((*table)[id].mac == Mac{{2, 0, 0, 0, 0, 2}});
    const RawPeer peer("x1");
    const RawPeer kernel("x0");
    const Bytes tunnel = udp4({1, 2, 3}, 50000, 6081);
    const Bytes other = udp4(Bytes(1400, 7), 50000, 53);

    REQUIRE(peer.send(tunnel));  // nothing is ours yet
    CHECK(kernel.receive(kIp4) == tunnel);
    CHECK(receive(*table, id, 1, kIp4, kBrief).empty());

    REQUIRE(ports->steer(id, geneve()));
    for (int i = 0; i < 200; ++i) {  // a ring goes round
        REQUIRE(peer.send(tunnel));
        REQUIRE(peer.send(other));
        REQUIRE(receive(*table, id, 1, kIp4) == std::vector<Bytes>{tunnel});
        REQUIRE(kernel.receive(kIp4) == other);
    }
    CHECK(count_of(*ports, id, "steered_geneve") == 200);
    CHECK(count_of(*ports, id, "kernel") >= 201);
    CHECK(count_of(*ports, id, "kernel_no_socket") == 0);
    CHECK(mbufs_in_use(*ports) == 0);

    const std::vector<Bytes> sent = {plain(1), plain(2, 1514), udp4(Bytes(1000, 9)),
                                     with_tag(plain(3, 1514), 0x8100, 5)};
    for (const Bytes& frame : sent) {
        REQUIRE(send(*table, id, frame));
        const std::optional<Bytes> there = peer.receive(ethertype_of(frame));
        REQUIRE(there);
        CHECK(*there == frame);
    }
    const PortStats stats = *ports->stats(id);
    CHECK(stats.rx_packets == 200);
    CHECK(stats.tx_packets == sent.size());
    CHECK(stats.rx_dropped + stats.rx_errors + stats.tx_dropped + stats.tx_errors == 0);
    CHECK(program_on("x0") != 0);
    remove(*ports, id);
    CHECK(program_on("x0") == 0);
}

TEST_CASE("many frames at once go through small rings", "[af_xdp]") {
    if (!can_run()) {
        return;
    }
    const Veth veth;
    auto ports = make_ports(3);
    const PortId id = add(*ports, "a=af_xdp,iface=x0,frames=64");
    REQUIRE(id != kNoPort);
    REQUIRE(ports->steer(id, geneve()));
    const auto table = ports->snapshot();
    const RawPeer peer("x1");
    std::vector<rte_mbuf*> burst(64);
    for (unsigned round = 0; round < 20; ++round) {
        for (rte_mbuf*& m : burst) {
            m = to_mbuf((*table)[id].pool, plain(round));
        }
        CHECK((*table)[id].tx[round % 3].tx(burst.data(), 64) == 64);
        for (unsigned i = 0; i < 64; ++i) {
            REQUIRE(peer.receive(kTest) == plain(round));
        }
        const Bytes frame = udp4(Bytes{static_cast<uint8_t>(round)}, 50000, 6081);
        for (unsigned i = 0; i < 50; ++i) {
            REQUIRE(peer.send(frame));
        }
        CHECK(receive(*table, id, 50, kIp4) == std::vector<Bytes>(50, frame));
    }
    CHECK(ports->stats(id)->rx_dropped == 0);
    CHECK(mbufs_in_use(*ports) == 0);
    // More than fits: lost and counted, the ring goes on.
    for (unsigned i = 0; i < 500; ++i) {
        REQUIRE(peer.send(udp4({1}, 50000, 6081)));
    }
    CHECK(eventually([&] { return count_of(*ports, id, "steered_geneve") == 20 * 50 + 500; }));
    const size_t got = receive(*table, id, 500, kIp4, kBrief).size();
    CHECK(got >= 64);
    CHECK(got + ports->stats(id)->rx_dropped == 500);
    REQUIRE(peer.send(udp4({2}, 50000, 6081)));
    CHECK(receive(*table, id, 1, kIp4).size() == 1);
    remove(*ports, id);
}

TEST_CASE("frames larger than a chunk pass in pieces", "[af_xdp]") {
    if (!can_run()) {
        return;
    }
    const Veth veth(9000);
    auto ports = make_ports();
    const PortId id = add(*ports, "a=af_xdp,iface=x0,xdp-mode=generic");
    REQUIRE(id != kNoPort);
    REQUIRE(ports->steer(id, geneve()));
    const auto table = ports->snapshot();
    const RawPeer peer("x1");
    for (const size_t size : {1500u, 2100u, 3700u, 3900u, 4096u, 8900u}) {
        INFO(size);
        Bytes payload(size);
        for (size_t i = 0; i < size; ++i) {
            payload[i] = static_cast<uint8_t>(i * 7);
        }
        const Bytes frame = udp4(payload, 50000, 6081);
        REQUIRE(peer.send(frame));
        CHECK(receive(*table, id, 1, kIp4) == std::vector<Bytes>{frame});
        const Bytes back = plain(5, size);
        REQUIRE(send(*table, id, back));
        CHECK(peer.receive(kTest) == back);
    }
    CHECK(mbufs_in_use(*ports) == 0);
    remove(*ports, id);
}

TEST_CASE("checksums that a veth peer left to a NIC are finished", "[af_xdp]") {
    if (!can_run()) {
        return;
    }
    const Veth veth;
    auto ports = make_ports();
    const PortId id = add(*ports, "a=af_xdp,iface=x0");
    REQUIRE(id != kNoPort);
    Steering steering = geneve();
    steering.vxlan_port = 4789;
    REQUIRE(ports->steer(id, steering));
    const auto table = ports->snapshot();
    REQUIRE(
        run("ethtool -K x1 tx on && ip addr add 10.0.0.1/24 dev x1 && "
            "ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev x1"));
    // The kernel's own UDP: only the outer checksum is looked at.
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(6081);
    to.sin_addr.s_addr = htonl(0x0a000002);
    for (const size_t size : {40u, 41u, 1000u}) {
        const Bytes payload(size, 0x5a);
        REQUIRE(sendto(fd, payload.data(), size, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) ==
                static_cast<ssize_t>(size));
        const std::vector<Bytes> got = receive(*table, id, 1, kIp4);
        REQUIRE(got.size() == 1);
        Bytes summed(got[0].begin() + 22,
                     got[0].end());  // the pseudo header in place of the TTL ...
        summed[0] = 0;
        summed[1] = 17;
        summed[2] = got[0][38];
        summed[3] = got[0][39];
        CHECK(rfc1071(summed) == 0);
        CHECK((got[0][40] != 0 || got[0][41] != 0));
    }
    close(fd);
    // The kernel's VXLAN around its own TCP.
    REQUIRE(
        run("ip link add g1 type vxlan id 5 remote 10.0.0.2 dstport 4789 dev x1 udpcsum && "
            "ip link set g1 up mtu 1400 && ip addr add 10.7.0.1/24 dev g1 && "
            "ip neigh add 10.7.0.2 lladdr 02:00:00:00:07:02 dev g1"));
    const int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    to.sin_port = htons(80);
    to.sin_addr.s_addr = htonl(0x0a070002);
    CHECK(connect(tcp, reinterpret_cast<sockaddr*>(&to), sizeof to) == -1);
    bool has_seen_syn = false;
    for (int i = 0; i < 20 && !has_seen_syn; ++i) {  // among what else the new device sends
        for (const Bytes& frame : receive(*table, id, 1, kIp4)) {
            CHECK(checksums_hold(frame));
            has_seen_syn = frame.size() > 100 && frame[42 + 8 + 14 + 9] == 6;
        }
    }
    CHECK(has_seen_syn);
    close(tcp);
    run("ip link del g1");
    remove(*ports, id);
}

TEST_CASE("every queue is bound, unless told otherwise", "[af_xdp]") {
    if (!can_run()) {
        return;
    }
    const Veth veth(1500, 3);
    auto ports = make_ports();
    for (const auto& [text, n] :
         {std::pair{"a=af_xdp,iface=x0", 3u}, {"a=af_xdp,iface=x0,n_rxq=2", 2u}}) {
        const PortId id = add(*ports, text);
        REQUIRE(id != kNoPort);
        CHECK(ports->info(id)->n_rxq == n + 1);  // and the copies of multicast
        remove(*ports, id);
    }
    CHECK_THAT(error_of(*ports, "a=af_xdp,iface=x0,queues=4"), Catch::Contains("3 receive queues"));
    CHECK_THAT(error_of(*ports, "a=af_xdp,iface=x0,queues=1,n_rxq=1"), Catch::Contains("give one"));
    CHECK_THAT(error_of(*ports, "a=af_xdp,iface=x0,xdp-mode=fast"), Catch::Contains("none of"));
    CHECK_THAT(error_of(*ports, "a=af_xdp,iface=x0,xdp-mode=native-with-zerocopy"),
               Catch::Contains("without copies"));
    CHECK_THAT(error_of(*ports, "a=af_xdp,iface=x0,frames=100"), Catch::Contains("power of two"));
    CHECK_THAT(error_of(*ports, "a=af_xdp,iface=nowhere"), Catch::Contains("no network device"));
    CHECK(program_on("x0") == 0);
}

TEST_CASE("a program left by a crash is replaced, somebody else's is not", "[af_xdp]") {
    if (!can_run()) {
        return;
    }
    const bool left_native = GENERATE(true, false);
    const Veth veth;
    REQUIRE(run("ip link set x0 up"));
    const pid_t crashed = fork();
    if (crashed == 0) {
        Result<std::unique_ptr<XdpProgram>> program = XdpProgram::load();
        const bool done = program && (*program)->attach(static_cast<int>(if_nametoindex("x0")),
                                                        "x0", left_native);
        _exit(done ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(crashed, &status, 0) == crashed);
    REQUIRE(status == 0);
    const uint32_t left = program_on("x0");
    REQUIRE(left != 0);

    auto ports = make_ports();
    const PortId id = add(*ports, "a=af_xdp,iface=x0");
    REQUIRE(id != kNoPort);
    CHECK(program_on("x0") != left);
    REQUIRE(ports->steer(id, geneve()));
    const auto table = ports->snapshot();
    const RawPeer peer("x1");
    const Bytes tunnel = udp4({1}, 50000, 6081);
    REQUIRE(peer.send(tunnel));
    CHECK(receive(*table, id, 1, kIp4).size() == 1);

    // A second one on the same device.
    auto others = make_ports();
    CHECK_THAT(error_of(*others, "b=af_xdp,iface=x0"), Catch::Contains("another program"));
    REQUIRE(peer.send(tunnel));
    CHECK(receive(*table, id, 1, kIp4).size() == 1);

    // Somebody takes it off by hand.
    REQUIRE(run("ip link set x0 xdp off && ip link set x0 xdpgeneric off"));
    REQUIRE(ports->steer(id, geneve()));
    REQUIRE(peer.send(tunnel));
    CHECK(receive(*table, id, 1, kIp4).size() == 1);
    remove(*ports, id);
    CHECK(program_on("x0") == 0);

    const int foreign = load_foreign();
    REQUIRE(foreign >= 0);
    const int index = static_cast<int>(if_nametoindex("x0"));
    const uint32_t flags = left_native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
    REQUIRE(bpf_xdp_attach(index, foreign, flags, nullptr) == 0);
    const uint32_t theirs = program_on("x0");
    const std::string error = error_of(*ports, "a=af_xdp,iface=x0");
    CHECK_THAT(error,
               Catch::Contains("somebody else") && Catch::Contains("firewall") &&
                   Catch::Contains(left_native ? "dev x0 xdp off" : "dev x0 xdpgeneric off"));
    CHECK(program_on("x0") == theirs);
    bpf_xdp_detach(index, flags, nullptr);
    close(foreign);
}

TEST_CASE("localnet ports see VLANs, other hosts' unicast and copies of multicast", "[af_xdp]") {
    if (!can_run()) {
        return;
    }
    const Veth veth;
    auto ports = make_ports();
    const PortId id = add(*ports, "a=af_xdp,iface=x0");
    REQUIRE(id != kNoPort);
    const auto table = ports->snapshot();
    const RawPeer peer("x1");
    const RawPeer kernel("x0");
    Bytes to_all = plain(1);
    std::fill_n(to_all.begin(), 6, uint8_t{0xff});
    Bytes to_other = plain(2);
    to_other[5] = 9;
    const Bytes tagged = with_tag(plain(3), 0x8100, 7);
    const auto gets = [&](const Bytes& frame) {
        return receive(*table, id, 1, kTest, kBrief * 4) == std::vector<Bytes>{frame};
    };
    const auto send_all = [&] {
        for (const Bytes* frame : {&std::as_const(to_all), &std::as_const(to_other), &tagged}) {
            REQUIRE(peer.send(*frame));
        }
    };
    send_all();
    for (const Bytes* frame : {&std::as_const(to_all), &std::as_const(to_other), &tagged}) {
        CHECK(kernel.receive(kTest) == *frame);
    }
    CHECK(receive(*table, id, 1, kTest, kBrief).empty());

    Steering s;
    s.vlans = {7};
    REQUIRE(ports->steer(id, s));
    REQUIRE(peer.send(to_all));
    CHECK(receive(*table, id, 1, kTest, kBrief).empty());
    CHECK(kernel.receive(kTest) == to_all);
    REQUIRE(peer.send(tagged));
    CHECK(gets(tagged));

    s.untagged = true;
    REQUIRE(ports->steer(id, s));
    REQUIRE(peer.send(to_all));
    CHECK(gets(to_all));
    CHECK(kernel.receive(kTest) == to_all);  // the kernel has it as well
    REQUIRE(peer.send(to_other));
    CHECK(gets(to_other));
    REQUIRE(peer.send(plain(4)));  // for the NIC itself
    CHECK(kernel.receive(kTest) == plain(4));
    CHECK(receive(*table, id, 1, kTest, kBrief).empty());

    REQUIRE(ports->steer(id, Steering()));
    send_all();
    CHECK(receive(*table, id, 1, kTest, kBrief).empty());
    remove(*ports, id);
    CHECK(mbufs_in_use(*ports) == 0);
}
