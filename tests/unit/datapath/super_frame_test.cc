// SPDX-License-Identifier: Apache-2.0
// TCP super-frames from port to port: uncut where a port cuts, in pieces everywhere else.
#include "tests/unit/datapath/stt_lab.h"

using namespace sluice;
using namespace sluice::test;

namespace {

/// Two VIFs of one switch: what port 1 sends goes to port 0.
struct Pair {
    World world;
    Lab lab{1024, 8, 9000};
    DatapathModel& ls = world.datapath(3);
    Ports ports;

    explicit Pair(uint32_t caps, uint16_t mtu = 1500) : ports(&lab, {{0, caps}}, mtu) {
        world.vif(ls, 5, 1);
        world.vif(ls, 9, 0);
        world.entry(1, ls, 5);
        world.rule(ls, kEgress, 0, {}, {output()});
    }
    void forward(std::vector<Instr> code = {}) {
        code.push_back(load(kSlotOutport, 9));
        code.push_back(output());
        world.rule(ls, kIngress, 0, {}, code);
        lab.publish(world);
    }
    std::vector<Sent> send(const Bytes& frame, uint16_t segment,
                           const std::vector<uint16_t>& lengths = {}) {
        Bytes wrong = frame;  // the field means nothing
        const size_t l3 = at16(frame, 12) == 0x8100 ? 18 : 14;
        const size_t l4 = l3 + (at16(frame, l3 - 2) == 0x86dd ? 40 : 20);
        wrong[l4 + 16] = 0x55;
        rte_mbuf* m = to_mbuf(wrong, lengths);
        m->ol_flags |= kVerified | RTE_MBUF_F_TX_TCP_SEG;
        m->tso_segsz = segment;
        lab.worker->process_burst(&m, 1, 1);
        return ports.take(0);
    }
};

/// The pieces as RFC 9293 and Linux want them, worked out from the whole by plain reading.
void check_pieces(const Bytes& whole, const std::vector<Sent>& pieces, size_t segment) {
    const size_t l3 = at16(whole, 12) == 0x8100 ? 18 : 14;
    const bool v6 = at16(whole, l3 - 2) == 0x86dd;
    const size_t l4 = l3 + (v6 ? 40 : 20);
    const size_t headers = l4 + (whole[l4 + 12] >> 4) * 4u;
    const size_t data = whole.size() - headers;
    REQUIRE(pieces.size() == (data + segment - 1) / segment);
    for (size_t i = 0; i < pieces.size(); ++i) {
        const Bytes& p = pieces[i].bytes;
        const size_t n = std::min(segment, data - i * segment);
        const bool last = i + 1 == pieces.size();
        REQUIRE(p.size() == headers + n);
        CHECK(slice(p, headers, n) == slice(whole, headers + i * segment, n));
        CHECK(slice(p, 0, l3) == slice(whole, 0, l3));
        CHECK(l4_sum(p) == 0xffff);
        CHECK(at32(p, l4 + 4) == at32(whole, l4 + 4) + i * segment);
        CHECK(at32(p, l4 + 8) == at32(whole, l4 + 8));
        unsigned flags = whole[l4 + 13];
        flags &= last ? 0xffu : ~0x09u;
        flags &= i == 0 ? 0xffu : ~0x80u;
        CHECK(p[l4 + 13] == flags);
        CHECK((pieces[i].flags & RTE_MBUF_F_TX_TCP_SEG) == 0);
        if (v6) {
            CHECK(at16(p, l3 + 4) == p.size() - l3 - 40);
        } else {
            CHECK(word_sum(&p[l3], 20) == 0xffff);
            CHECK(at16(p, l3 + 2) == p.size() - l3);
            CHECK(at16(p, l3 + 4) == at16(whole, l3 + 4) + i);
        }
    }
}

}  // namespace

TEST_CASE("a super-frame is cut before a port that cannot", "[super]") {
    const bool v6 = GENERATE(false, true);
    const int vid = GENERATE(-1, 100);
    Pair net(kPortTxMultiSeg);
    net.world.no_tags.clear();
    net.forward();
    for (const size_t size : {size_t{1401}, size_t{2800}, size_t{10001}, size_t{64000}}) {
        const Bytes whole = tcp_frame(size, v6, 0x99, vid);
        check_pieces(whole, net.send(whole, 1400), 1400);
        // Headers and payload wherever they lie.
        check_pieces(whole, net.send(whole, 1400, {60, 1, 333, 1000, 700}), 1400);
    }
    CHECK(net.lab.in_use() == 0);
    // Segments above a buffer come in chains, or dense where a port takes no chains.
    Pair jumbo(kPortTxMultiSeg, 9000);
    jumbo.forward();
    const Bytes whole = tcp_frame(30001, v6);
    check_pieces(whole, jumbo.send(whole, 8901), 8901);
    CHECK(jumbo.lab.in_use() == 0);
}

TEST_CASE("a super-frame reaches a port that cuts as it is", "[super]") {
    Pair net(kPortTxTso | kPortTxMultiSeg | kPortTxIp4Cksum);
    net.forward();
    const Bytes whole = tcp_frame(20000);
    const auto sent = net.send(whole, 1400);
    REQUIRE(sent.size() == 1);
    CHECK((sent[0].flags & RTE_MBUF_F_TX_IP_CKSUM) != 0);
    CHECK(at16(sent[0].bytes, 24) == 0);
    CHECK(sent[0].segment == 1400);
    Pair six(kPortTxTso | kPortTxMultiSeg);
    six.forward();
    const auto other = six.send(tcp_frame(20000, true, 0x10, 7), 1300);
    REQUIRE(other.size() == 1);
    CHECK((other[0].flags & RTE_MBUF_F_TX_IPV6) != 0);
    CHECK(other[0].l2 == 18);
    CHECK(other[0].l3 == 40);
    CHECK(other[0].l4 == 20);
    // Longer than the port takes, even in pieces.
    CHECK(six.send(tcp_frame(20000, true), 1460).empty());
    CHECK(six.lab.drops(Drop::k_too_long) == 1);
    CHECK(six.lab.in_use() == 0);
}

TEST_CASE("padding behind a super-frame is left to no device", "[super]") {
    Pair net(kPortTxTso | kPortTxMultiSeg);
    net.forward();
    const Bytes whole = tcp_frame(5000);
    Bytes padded = whole;
    padded.resize(whole.size() + 6, 0xaa);
    check_pieces(whole, net.send(padded, 1400), 1400);
}

TEST_CASE("what edits a super-frame leaves good packets", "[super]") {
    Pair net(kPortTxMultiSeg);
    std::vector<Instr> code = {load(kSlotIp4Src, ip(192, 0, 2, 99)), load(kSlotL4Dst, 8080),
                               op(Op::kDecTtl)};
    net.forward(code);
    const auto sent = net.send(tcp_frame(5000), 1400);
    REQUIRE(sent.size() == 4);
    for (const Sent& s : sent) {
        CHECK(l4_sum(s.bytes) == 0xffff);
        CHECK(at32(s.bytes, 26) == ip(192, 0, 2, 99));
        CHECK(at16(s.bytes, 36) == 8080);
        CHECK(s.bytes[22] == 63);
    }
}

TEST_CASE("lengths are those of the pieces", "[super]") {
    for (const uint32_t limit : {1453u, 1454u}) {  // a piece: 54 and 1400
        Pair net(kPortTxMultiSeg);
        net.world.pkt_lens = {limit};
        net.world.rule(
            net.ls, kIngress, 0, {},
            {op(Op::kCheckPktLarger, 0, 0, 0, limit, kSlotXxreg0, 0), next(kIngress, 1)});
        net.world.rule(net.ls, kIngress, 1, {eq(kSlotXxreg0, 0, 1)},
                       {load(kSlotOutport, 9), output()});
        net.world.rule(net.ls, kIngress, 1, {eq(kSlotXxreg0, 1, 1)}, {});
        net.lab.publish(net.world);
        for (unsigned i = 0; i < 2; ++i) {  // walked, then cached
            CHECK(net.send(tcp_frame(14000), 1400).size() == (limit == 1453 ? 0 : 10));
            CHECK(net.send(tcp_frame(1900), 1400).size() == (limit == 1453 ? 0 : 2));
        }
    }
}

TEST_CASE("UDP tunnels carry pieces", "[super]") {
    Tunnel t = make_tunnel();
    t.room = 1542;
    Sender sender(t);
    Ports ports(&sender.lab, {}, 1600);
    rte_mbuf* m = to_mbuf(tcp_frame(7000));
    m->ol_flags |= kVerified | RTE_MBUF_F_TX_TCP_SEG;
    m->tso_segsz = 1400;
    sender.lab.worker->process_burst(&m, 1, 1);
    const auto sent = ports.frames(kUplink);
    REQUIRE(sent.size() == 5);
    for (const Bytes& s : sent) {
        CHECK(udp_sum(s, false) == 0xffff);
        CHECK(l4_sum(slice(s, 58, s.size() - 58)) == 0xffff);
        CHECK(at16(s, 34) == at16(sent[0], 34));
    }
    CHECK(sender.lab.in_use() == 0);
}

TEST_CASE("without buffers to cut into the rest is lost by name", "[super]") {
    Pair net(kPortTxMultiSeg);
    net.forward();
    std::vector<rte_mbuf*> hoard;
    const Bytes whole = tcp_frame(10000);
    rte_mbuf* m = to_mbuf(whole);
    m->ol_flags |= kVerified | RTE_MBUF_F_TX_TCP_SEG;
    m->tso_segsz = 1400;
    while (rte_mempool_avail_count(test_pool()) > 3) {
        hoard.push_back(rte_pktmbuf_alloc(test_pool()));
    }
    net.lab.worker->process_burst(&m, 1, 1);
    CHECK(net.ports.take(0).size() == 3);
    CHECK(net.lab.drops(Drop::k_no_mbuf) == 1);
    rte_pktmbuf_free_bulk(hoard.data(), static_cast<unsigned>(hoard.size()));
    CHECK(net.lab.in_use() == 0);
}
