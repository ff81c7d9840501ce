// SPDX-License-Identifier: Apache-2.0
// Path MTU discovery through tunnels: who is told, what, and when nobody is.
#include <catch2/catch.hpp>

#include "tests/unit/datapath/geneve_lab.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr uint64_t kVm = 0x020000000005;
constexpr uint64_t kPeer = 0x020000000009;

struct Shape {
    TunnelType type;
    bool outer6;
    bool inner6;
    unsigned overhead;  ///< outer IP header to the inner frame: RFC 791, 8200, 768, 8926, 7348
};

Tunnel shaped(const Shape& shape, uint16_t mtu) {
    Tunnel t = make_tunnel(shape.outer6);
    t.type = shape.type;
    t.header_len = static_cast<uint8_t>(14 + shape.overhead);
    t.mtu = mtu;
    return t;
}

/// A frame of `length` bytes from the VM to its peer.
PacketBuilder frame(bool v6, size_t length, uint16_t port = 9) {
    PacketBuilder b;
    b.eth(kVm, kPeer);
    if (v6) {
        b.ip6(ip6(0xfd01, 5), ip6(0xfd01, 9));
    } else {
        b.ip4(ip(10, 0, 0, 5), ip(10, 0, 0, 9)).df();
    }
    b.udp(4000, port).payload(length - (v6 ? 62 : 42));
    return b;
}

void check_checksums(const Bytes& f, size_t l3, bool v6) {
    const size_t icmp = l3 + (v6 ? 40 : 20);
    uint32_t sum = word_sum(&f[icmp], f.size() - icmp);
    if (v6) {
        sum += word_sum(&f[l3 + 8], 32) + 58 + static_cast<uint32_t>(f.size() - icmp);
    } else {
        CHECK(word_sum(&f[l3], 20) == 0xffff);
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    CHECK(sum == 0xffff);
}

/// The answer to `sent`, from its receiver's addresses to its sender's, quoting it as it was.
void check_answer(const Bytes& answer, const Bytes& sent, bool v6, unsigned mtu, size_t l3 = 14) {
    const size_t n = v6 ? 16 : 4;
    const size_t at = l3 + (v6 ? 8 : 12);
    const size_t icmp = l3 + (v6 ? 40 : 20);
    REQUIRE(answer.size() > icmp + 8);
    CHECK(std::equal(&answer[0], &answer[6], &sent[6]));
    CHECK(std::equal(&answer[6], &answer[12], &sent[0]));
    CHECK(std::equal(&answer[at], &answer[at + n], &sent[at + n]));
    CHECK(std::equal(&answer[at + n], &answer[at + 2 * n], &sent[at]));
    CHECK(answer[l3 + (v6 ? 6 : 9)] == (v6 ? 58 : 1));
    CHECK(answer[icmp] == (v6 ? 2 : 3));
    CHECK(answer[icmp + 1] == (v6 ? 0 : 4));
    CHECK((answer[icmp + 4] | answer[icmp + 5]) == 0);
    CHECK(answer[icmp + 6] * 256u + answer[icmp + 7] == mtu);
    const size_t quoted = answer.size() - icmp - 8;
    CHECK(quoted >= 28);
    CHECK(std::equal(&answer[icmp + 8], &answer[icmp + 8] + quoted, &sent[l3]));
    CHECK(answer.size() <= (v6 ? 1280u : 576u) + 4);
    check_checksums(answer, l3, v6);
}

/// VM 5 at port 1; everything goes to port 9 behind a tunnel.
struct Road {
    World world;
    Lab lab{1024, 8, 9000};
    DatapathModel& ls = world.datapath(3);

    explicit Road(const Tunnel& tunnel, uint16_t vlan = 0) {
        world.vif(ls, 5, 1, vlan);
        EntryModel& entry = world.entry(1, ls, 5, vlan ? vlan & 0xfff : -1);
        entry.entry.strip_vlan = vlan != 0;
        world.port(ls, 9, Reach::kTunnel).tunnel = world.tunnel(tunnel);
    }
    void start(std::vector<Instr> first = {}) {
        first.push_back(load(kSlotOutport, 9));
        first.push_back(output());
        world.rule(ls, kIngress, 0, {}, first);
        world.rule(ls, kEgress, 0, {}, {output()});
        lab.publish(world);
    }
    void expect_silence(const Bytes& sent) {
        const uint64_t before = lab.drops(Drop::k_too_long);
        lab.send(1, sent);
        CHECK(lab.take_all().empty());
        CHECK(lab.drops(Drop::k_too_long) == before + 1);
        CHECK(lab.in_use() == 0);
    }
};

const Shape kGeneve4{TunnelType::kGeneve, false, false, 20 + 8 + 16};

}  // namespace

TEST_CASE("a packet too big for its tunnel is answered with what fits", "[too_big]") {
    for (const TunnelType type : {TunnelType::kGeneve, TunnelType::kVxlan}) {
        for (const bool outer6 : {false, true}) {
            for (const bool inner6 : {false, true}) {
                const unsigned header = type == TunnelType::kGeneve ? 16 : 8;
                const Shape shape{type, outer6, inner6, (outer6 ? 40u : 20u) + 8 + header};
                CAPTURE(static_cast<int>(type), outer6, inner6);
                Road road(shaped(shape, 1500));
                road.start();
                const unsigned room = 1500 - shape.overhead;
                for (int i = 0; i < 3; ++i) {  // walked, cached, cached
                    const Bytes fits = frame(inner6, room);
                    road.lab.send(1, fits);
                    const auto out = road.lab.take_all();
                    REQUIRE(out.size() == 1);
                    CHECK(out.at(kUplink)[0].size() == 1514);

                    const Bytes sent = frame(inner6, room + 1);
                    road.lab.send(1, sent);
                    const auto answer = road.lab.take_all();
                    REQUIRE(answer.size() == 1);
                    REQUIRE(answer.at(1).size() == 1);
                    check_answer(answer.at(1)[0], sent, inner6, room - 14);
                }
                CHECK(road.lab.drops(Drop::k_too_big) == 3);
                CHECK(road.lab.drops(Drop::k_too_long) == 0);
                CHECK(road.lab.in_use() == 0);
            }
        }
    }
}

TEST_CASE("the answer quotes what was sent, not what became of it", "[too_big]") {
    Road road(shaped(kGeneve4, 1500));
    std::vector<Instr> edits = load_mac(kSlotEthDst, 0x020000000077);
    edits.push_back(load(kSlotIp4Dst, ip(172, 16, 0, 9)));
    edits.push_back(load(kSlotIp4Src, ip(172, 16, 0, 5)));
    edits.push_back(load(kSlotL4Dst, 8080));
    edits.push_back(op(Op::kDecTtl));
    road.start(edits);
    for (int i = 0; i < 2; ++i) {
        const Bytes sent = frame(false, 1500);
        road.lab.send(1, sent);
        const auto answer = road.lab.take(1);
        REQUIRE(answer.size() == 1);
        check_answer(answer[0], sent, false, 1442);
    }
}

TEST_CASE("a container is answered with its tag", "[too_big]") {
    Road road(shaped(kGeneve4, 1500), 0x1000 | 42);
    road.start();
    PacketBuilder b;
    const Bytes sent =
        b.eth(kVm, kPeer).vlan(42).ip4(ip(10, 0, 0, 5), ip(10, 0, 0, 9)).udp(1, 2).payload(1450);
    road.lab.send(1, sent);
    const auto answer = road.lab.take(1);
    REQUIRE(answer.size() == 1);
    CHECK(to_hex(Bytes(answer[0].begin() + 12, answer[0].begin() + 16)) == "8100002a");
    check_answer(answer[0], sent, false, 1442, 18);
}

TEST_CASE("who sent through a tunnel is answered through it", "[too_big]") {
    // From port 5 on another chassis to port 9 here, which is on a third one by now.
    Receiver net;
    Tunnel back = make_tunnel();
    back.header[33] = 55;
    net.world.port(net.ls, 5, Reach::kTunnel).tunnel = net.world.tunnel(back);
    DatapathModel& next = net.world.datapath(4);
    net.world.patch(net.ls, 9, next, 1);
    Tunnel narrow = make_tunnel();
    narrow.mtu = 500;
    net.world.port(next, 2, Reach::kTunnel).tunnel = net.world.tunnel(narrow);
    net.world.rule(next, kIngress, 0, {}, {load(kSlotOutport, 2), output()});
    net.start();
    const Bytes sent = frame(false, 900);
    net.lab.send(kUplink, packet(kGood, false, sent));
    const auto out = net.lab.take(kUplink);
    REQUIRE(out.size() == 1);
    CHECK(out[0][33] == 55);
    CHECK(to_hex(Bytes(out[0].begin() + 42, out[0].begin() + 58)) ==
          "02406558000003000102800100090005");
    check_answer(Bytes(out[0].begin() + 58, out[0].end()), sent, false, 500 - 44 - 14);
}

TEST_CASE("what must not be answered is not", "[too_big]") {
    Road road(shaped(kGeneve4, 1500));
    road.start();
    PacketBuilder b;
    SECTION("ICMP errors") {
        road.expect_silence(
            b.eth(kVm, kPeer).ip4(ip(10, 0, 0, 5), ip(10, 0, 0, 9)).icmp(3, 4).payload(1500));
        PacketBuilder six;
        road.expect_silence(
            six.eth(kVm, kPeer).ip6(ip6(0xfd01, 5), ip6(0xfd01, 9)).icmp(1, 0).payload(1500));
    }
    SECTION("later fragments") {
        road.expect_silence(b.eth(kVm, kPeer)
                                .ip4(ip(10, 0, 0, 5), ip(10, 0, 0, 9), 17)
                                .frag(9, true)
                                .payload(1500));
    }
    SECTION("group and broadcast frames") {
        road.expect_silence(
            b.eth(kVm, 0xffffffffffff).ip4(ip(10, 0, 0, 5), 0xffffffff).udp(1, 2).payload(1500));
        PacketBuilder group;
        road.expect_silence(group.eth(kVm, 0x01005e000001)
                                .ip4(ip(10, 0, 0, 5), 0xe0000001)
                                .udp(1, 2)
                                .payload(1500));
    }
    SECTION("no sender") {
        road.expect_silence(b.eth(kVm, kPeer).ip4(0, ip(10, 0, 0, 9)).udp(1, 2).payload(1500));
    }
    SECTION("not IP") {
        road.expect_silence(b.eth(kVm, kPeer, 0x88b5).payload(1500));
    }
    SECTION("echo requests are") {
        const Bytes sent =
            b.eth(kVm, kPeer).ip4(ip(10, 0, 0, 5), ip(10, 0, 0, 9)).icmp(8, 0).payload(1500);
        road.lab.send(1, sent);
        const auto answer = road.lab.take(1);
        REQUIRE(answer.size() == 1);
        check_answer(answer[0], sent, false, 1442);
    }
}

TEST_CASE("answers have a limit", "[too_big]") {
    Road road(shaped(kGeneve4, 1500));
    road.start();
    const Bytes sent = frame(false, 1500);
    size_t answered = 0;
    for (int i = 0; i < 1100; ++i) {
        road.lab.send(1, sent);
        answered += road.lab.take(1).size();
    }
    CHECK(answered == 1000);
    CHECK(road.lab.drops(Drop::k_too_big) == 1000);
    CHECK(road.lab.drops(Drop::k_too_long) == 100);
    road.lab.wait_ms(1001);
    road.lab.send(1, sent);
    CHECK(road.lab.take(1).size() == 1);
}
