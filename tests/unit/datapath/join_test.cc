// SPDX-License-Identifier: Apache-2.0
// TCP super-frames and UDP tunnels: cut behind the outer header on the way out, joined on the way
// in.
#include "tests/unit/datapath/stt_lab.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr uint32_t kTakesLarge = kPortTxTso | kPortTxMultiSeg;

void set16(Bytes* b, size_t at, uint32_t v) {
    (*b)[at] = static_cast<uint8_t>(v >> 8);
    (*b)[at + 1] = static_cast<uint8_t>(v);
}

uint32_t folded(uint32_t sum) {
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

struct Layout {
    size_t l3, l4, payload;
    bool v6;
    explicit Layout(const Bytes& f) {
        l3 = at16(f, 12) == 0x8100 ? 18 : 14;
        v6 = at16(f, l3 - 2) == 0x86dd;
        l4 = l3 + (v6 ? 40 : 20);
        payload = l4 + (f[l4 + 12] >> 4) * 4u;
    }
};

/// Lengths and checksums of a TCP packet made right, word by word.
void finish(Bytes* f) {
    const Layout at(*f);
    const auto length = static_cast<uint32_t>(f->size() - at.l4);
    if (at.v6) {
        set16(f, at.l3 + 4, length);
    } else {
        set16(f, at.l3 + 2, static_cast<uint32_t>(f->size() - at.l3));
        set16(f, at.l3 + 10, 0);
        set16(f, at.l3 + 10, 0xffff ^ folded(word_sum(&(*f)[at.l3], 20)));
    }
    set16(f, at.l4 + 16, 0);
    const uint32_t pseudo = word_sum(&(*f)[at.l3 + (at.v6 ? 8 : 12)], at.v6 ? 32 : 8) + 6 + length;
    set16(f, at.l4 + 16, 0xffff ^ folded(pseudo + word_sum(&(*f)[at.l4], length)));
}

/// What Linux makes of a large packet (net/ipv4/tcp_offload.c): the segments, one by one.
std::vector<Bytes> segments(const Bytes& whole, size_t size) {
    const Layout at(whole);
    std::vector<Bytes> all;
    for (size_t from = at.payload; from < whole.size(); from += size) {
        const size_t n = std::min(size, whole.size() - from);
        Bytes s = slice(whole, 0, at.payload) + slice(whole, from, n);
        const uint32_t seq = at32(whole, at.l4 + 4) + static_cast<uint32_t>(from) -
                             static_cast<uint32_t>(at.payload);
        set16(&s, at.l4 + 4, seq >> 16);
        set16(&s, at.l4 + 6, seq);
        if (!at.v6) {
            set16(&s, at.l3 + 4, at16(whole, at.l3 + 4) + static_cast<uint32_t>(all.size()));
        }
        if (from + n < whole.size()) {
            s[at.l4 + 13] &= static_cast<uint8_t>(~0x09);
        }
        if (!all.empty()) {
            s[at.l4 + 13] &= 0x7f;
        }
        finish(&s);
        all.push_back(s);
    }
    return all;
}

Tunnel tunnel_of(TunnelType type, bool v6) {
    Tunnel t = make_tunnel(v6);
    if (type == TunnelType::kVxlan) {
        t.type = type;
        t.header_len = static_cast<uint8_t>(t.header_len - 8);
        t.header[t.l4_ofs + 2] = 4789 >> 8;
        t.header[t.l4_ofs + 3] = 4789 & 0xff;
    }
    t.mtu = 1500;
    t.room = 1514u - t.header_len;
    return t;
}

rte_mbuf* large(const Bytes& whole, uint16_t segment, const std::vector<uint16_t>& lengths = {}) {
    Bytes wrong = whole;  // the field means nothing
    wrong[Layout(whole).l4 + 16] ^= 0x55;
    rte_mbuf* m = to_mbuf(wrong, lengths);
    m->ol_flags |= kVerified | RTE_MBUF_F_TX_TCP_SEG;
    m->tso_segsz = segment;
    return m;
}

/// The outer headers of `sent` are those of `like`, a small packet in the same tunnel, but for what
/// follows from length and number.
void check_outer(const Bytes& sent, const Bytes& like, const Tunnel& t, size_t index) {
    REQUIRE(sent.size() > t.header_len);
    const size_t l4 = t.l4_ofs;
    CHECK(sent.size() - 14 <= t.mtu);
    CHECK(at16(sent, l4 + 4) == sent.size() - l4);
    CHECK(slice(sent, l4, 4) == slice(like, l4, 4));
    CHECK(slice(sent, l4 + 8, t.header_len - l4 - 8) == slice(like, l4 + 8, t.header_len - l4 - 8));
    if (t.csum || t.ip6) {
        CHECK(at16(sent, l4 + 6) != 0);
        CHECK(udp_sum(sent, t.ip6) == 0xffff);
    } else {
        CHECK(at16(sent, l4 + 6) == 0);
    }
    if (t.ip6) {
        CHECK(at16(sent, 18) == sent.size() - 54);
        CHECK(slice(sent, 0, 18) == slice(like, 0, 18));
        CHECK(slice(sent, 20, 34) == slice(like, 20, 34));
        return;
    }
    CHECK(folded(word_sum(&sent[14], 20)) == 0xffff);
    CHECK(at16(sent, 16) == sent.size() - 14);
    CHECK(slice(sent, 0, 16) == slice(like, 0, 16));
    CHECK(slice(sent, 20, 4) == slice(like, 20, 4));
    CHECK(slice(sent, 26, 8) == slice(like, 26, 8));
    const uint32_t id = t.df ? 0 : at16(like, 18) + 2u + static_cast<uint32_t>(index);
    CHECK(at16(sent, 18) == id);
}

}  // namespace

TEST_CASE("a super-frame is cut behind its tunnel's header", "[tunnel_super]") {
    const TunnelType type = GENERATE(TunnelType::kGeneve, TunnelType::kVxlan);
    const bool outer6 = GENERATE(false, true);
    const bool inner6 = GENERATE(false, true);
    const int vid = GENERATE(-1, 100);
    Tunnel t = tunnel_of(type, outer6);
    t.df = inner6;
    t.csum = vid < 0;
    Sender net(t);
    net.world.no_tags.clear();
    net.lab.publish(net.world);
    test::Ports ports(&net.lab, {}, 1500);
    // As much as fits into the tunnel, to the byte.
    const Layout at(tcp_frame(1, inner6, 0x10, vid));
    const auto segment = static_cast<uint16_t>(t.room - at.payload);
    for (const size_t size : {size_t{segment} + 1, size_t{10001}, size_t{64000}}) {
        const Bytes whole = tcp_frame(size, inner6, 0x99, vid);
        for (const auto& lengths : {std::vector<uint16_t>{}, {60, 1, 333, 1000, 700}}) {
            rte_mbuf* small = to_mbuf(tcp_frame(10, inner6, 0x10, vid));
            net.lab.worker->process_burst(&small, 1, 1);
            const Bytes before = ports.frames(kUplink).at(0);
            rte_mbuf* m = large(whole, segment, lengths);
            net.lab.worker->process_burst(&m, 1, 1);
            const std::vector<Bytes> expected = segments(whole, segment);
            const std::vector<Bytes> sent = ports.frames(kUplink);
            REQUIRE(sent.size() == expected.size());
            for (size_t i = 0; i < sent.size(); ++i) {
                check_outer(sent[i], before, t, i);
                CHECK(slice(sent[i], t.header_len, sent[i].size() - t.header_len) == expected[i]);
            }
            CHECK(sent[0].size() == 1514);
        }
    }
    CHECK(net.lab.in_use() == 0);
    using Work = PortWork;
    const auto work = [&](Work w) {
        return net.lab.counters->ports[kUplink][static_cast<size_t>(w)].get();
    };
    const auto count = [&](size_t size) { return (size + segment - 1u) / segment; };
    CHECK(work(Work::k_tx_soft_tunnel_cut) ==
          2 * (count(segment + 1u) + count(10001) + count(64000)));
    CHECK((work(Work::k_tx_soft_outer_checksum) != 0) == (t.csum || t.ip6));
    // One byte more than the tunnel carries.
    rte_mbuf* m = large(tcp_frame(9000, inner6, 0x10, vid), static_cast<uint16_t>(segment + 1));
    net.lab.worker->process_burst(&m, 1, 1);
    CHECK(ports.frames(kUplink).empty());
    CHECK(net.lab.drops(Drop::k_too_long) + net.lab.drops(Drop::k_too_big) == 1);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("what is no TCP any more, or one segment, goes whole through a tunnel",
          "[tunnel_super]") {
    const Tunnel t = tunnel_of(TunnelType::kGeneve, false);
    Sender net(t);
    test::Ports ports(&net.lab, {}, 1500);
    const Bytes whole = tcp_frame(900);
    rte_mbuf* m = large(whole, 1000);
    net.lab.worker->process_burst(&m, 1, 1);
    const std::vector<Bytes> sent = ports.frames(kUplink);
    REQUIRE(sent.size() == 1);
    CHECK(slice(sent[0], t.header_len, sent[0].size() - t.header_len) == whole);
    CHECK(udp_sum(sent[0], false) == 0xffff);
    CHECK(net.lab.in_use() == 0);
}

namespace {

/// A hypervisor whose VIF takes large frames, or not.
struct JoinLab : Receiver {
    test::Ports ports;
    explicit JoinLab(uint32_t caps = kTakesLarge, const std::vector<Test>& tests = {})
        : ports(&lab, {{0, caps}}, 9000) {
        if (!tests.empty()) {
            world.rule(ls, kEgress, 0, tests, {output()});
        }
        start();
    }
    std::vector<Sent> send(const std::vector<Bytes>& inner, bool outer6 = false) {
        std::vector<rte_mbuf*> pkts;
        for (const Bytes& i : inner) {
            pkts.push_back(to_mbuf(packet(kGood, outer6, i)));
        }
        lab.worker->process_burst(pkts.data(), static_cast<unsigned>(pkts.size()), kUplink);
        return ports.take(0);
    }
    uint64_t joined() const {
        return lab.counters->ports[0][static_cast<size_t>(PortWork::k_rx_joined)].get();
    }
};

std::vector<Bytes> bytes_of(const std::vector<Sent>& sent) {
    std::vector<Bytes> all;
    for (const Sent& s : sent) {
        all.push_back(s.bytes);
    }
    return all;
}

/// The same but for the TCP checksum, which means nothing in a super-frame.
bool same_super(Bytes a, Bytes b) {
    const Layout at(a);
    set16(&a, at.l4 + 16, 0);
    set16(&b, at.l4 + 16, 0);
    return a == b;
}

}  // namespace

TEST_CASE("segments from a tunnel are one frame for a port that takes it", "[join]") {
    const bool v6 = GENERATE(false, true);
    const bool outer6 = GENERATE(false, true);
    Bytes whole = tcp_frame(1400 * 20 + 77, v6, 0x18);
    finish(&whole);
    const std::vector<Bytes> parts = segments(whole, 1400);
    JoinLab net;
    const auto sent = net.send(parts, outer6);
    REQUIRE(sent.size() == 1);
    CHECK(same_super(sent[0].bytes, whole));
    CHECK(sent[0].segment == 1400);
    CHECK((sent[0].flags & RTE_MBUF_F_TX_TCP_SEG) != 0);
    CHECK(net.joined() == parts.size());
    CHECK(net.lab.count(Counter::k_super_frames) == 1);
    if (!v6) {
        CHECK(folded(word_sum(&sent[0].bytes[14], 20)) == 0xffff);
    }
    // A port that takes none gets them as they came.
    JoinLab plain(kPortTxMultiSeg);
    CHECK(bytes_of(plain.send(parts, outer6)) == parts);
    CHECK(plain.joined() == 0);
    CHECK(net.lab.in_use() == 0);
    CHECK(plain.lab.in_use() == 0);
}

TEST_CASE("a joined frame is cut into the segments it came as", "[join]") {
    const bool v6 = GENERATE(false, true);
    const uint16_t first_id = GENERATE(0, 0x1234, 0xfffe);
    Bytes whole = tcp_frame(1400 * 7, v6, 0x10);
    if (!v6) {
        set16(&whole, 18, first_id);
    }
    std::vector<Bytes> parts = segments(whole, 1400);
    for (Bytes& p : parts) {
        if (!v6 && first_id == 0) {  // atomic: DF and 0 in each
            set16(&p, 18, 0);
            finish(&p);
        }
    }
    JoinLab net;
    const auto joined = net.send(parts);
    REQUIRE(joined.size() == 1);
    // The very frame once more, as if a guest had sent it, to a port that cannot cut.
    Tunnel wide = make_tunnel();
    wide.room = 1542;
    Sender other(wide);
    test::Ports ports(&other.lab, {}, 1600);
    rte_mbuf* m = large(joined[0].bytes, 1400);
    other.lab.worker->process_burst(&m, 1, 1);
    std::vector<Bytes> again;
    for (const Bytes& f : ports.frames(kUplink)) {
        again.push_back(slice(f, 58, f.size() - 58));
    }
    CHECK((again == parts));
}

TEST_CASE("what differs does not join", "[join]") {
    const Bytes whole = tcp_frame(1400 * 5, false, 0x10);
    std::vector<Bytes> parts = segments(whole, 1400);
    const Layout at(parts[0]);
    using Change = void (*)(Bytes*, const Layout&);
    const Change change = GENERATE(
        as<Change>{},                                                  //
        [](Bytes* f, const Layout& l) { (*f)[l.l4 + 11] ^= 1; },       // acknowledgment
        [](Bytes* f, const Layout& l) { (*f)[l.l4 + 15] ^= 1; },       // window
        [](Bytes* f, const Layout& l) { (*f)[l.l4 + 7] ^= 1; },        // sequence
        [](Bytes* f, const Layout& l) { (*f)[l.l4 + 13] |= 0x20; },    // URG
        [](Bytes* f, const Layout& l) { (*f)[l.l4 + 13] |= 0x01; },    // FIN
        [](Bytes* f, const Layout& l) { (*f)[l.l4 + 13] |= 0x80; },    // CWR
        [](Bytes* f, const Layout& l) { (*f)[l.l4 + 13] |= 0x40; },    // ECE, unlike the first
        [](Bytes* f, const Layout& l) { (*f)[l.l4 + 1] ^= 1; },        // another flow
        [](Bytes* f, const Layout& l) { (*f)[l.l3 + 8] ^= 1; },        // TTL
        [](Bytes* f, const Layout& l) { (*f)[l.l3 + 1] ^= 4; },        // DSCP
        [](Bytes* f, const Layout& l) { (*f)[l.l3 + 6] ^= 0x40; },     // DF
        [](Bytes* f, const Layout& l) { (*f)[l.l3 + 5] ^= 0x10; },     // identification
        [](Bytes* f, const Layout&) { f->resize(f->size() + 1, 9); },  // longer
        [](Bytes* f, const Layout&) { (*f)[6] ^= 2; });                // source MAC
    change(&parts[2], at);
    finish(&parts[2]);
    JoinLab net;
    const auto sent = net.send(parts);
    // 0 and 1 are one, 2 is by itself, 3 and 4 are one, or go on with what was before 2.
    CHECK(sent.size() >= 3);
    bool found = false;
    for (const Sent& s : sent) {
        found |= s.bytes == parts[2];
    }
    CHECK(found);
    CHECK(net.joined() <= 4);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("a wrong checksum is never made good by joining", "[join]") {
    const bool summed = GENERATE(true, false);  // by the outer checksum, or here
    const size_t bad = GENERATE(0, 1, 3);
    std::vector<Bytes> parts = segments(tcp_frame(1400 * 5, false, 0x10), 1400);
    parts[bad][60] ^= 1;
    JoinLab net;
    std::vector<rte_mbuf*> pkts;
    for (const Bytes& i : parts) {
        PacketBuilder b = packet(kGood, false, i);
        pkts.push_back(to_mbuf(summed ? b : b.no_udp_checksum()));
    }
    net.lab.worker->process_burst(pkts.data(), static_cast<unsigned>(pkts.size()), kUplink);
    const auto sent = net.ports.take(0);
    size_t wrong = 0;
    for (const Sent& s : sent) {
        const bool is_super = s.flags & RTE_MBUF_F_TX_TCP_SEG;
        wrong += !is_super && l4_sum(s.bytes) != 0xffff;
    }
    CHECK(wrong == 1);
    CHECK(sent.size() == (bad == 0 ? 2 : 3));
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("a push and a short segment end a frame", "[join]") {
    std::vector<Bytes> parts = segments(tcp_frame(1400 * 6, false, 0x10), 1400);
    const Layout at(parts[0]);
    parts[2][at.l4 + 13] |= 8;
    finish(&parts[2]);
    JoinLab net;
    const auto sent = net.send(parts);
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].bytes.size() == 54 + 3 * 1400);
    CHECK((sent[0].bytes[at.l4 + 13] & 8) != 0);
    CHECK((sent[1].bytes[at.l4 + 13] & 8) == 0);
    // Pipelines that read the flags see the push by itself.
    JoinLab reader(kTakesLarge, {eq(kSlotTcpFlags, 8, 8)});
    const auto apart = reader.send(parts);
    REQUIRE(apart.size() == 3);
    CHECK(apart[1].bytes == parts[2]);
    // Two connections interleaved.
    std::vector<Bytes> mixed;
    for (const Bytes& p : segments(tcp_frame(1400 * 4, false, 0x10), 1400)) {
        mixed.push_back(p);
        Bytes q = p;
        q[at.l4 + 1] ^= 7;
        finish(&q);
        mixed.push_back(q);
    }
    CHECK(net.send(mixed).size() == 2);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("what differs outside does not join unseen", "[join]") {
    const bool outer6 = GENERATE(false, true);
    const std::vector<Bytes> parts = segments(tcp_frame(1400 * 5, false, 0x10), 1400);
    const size_t l4 = outer6 ? 54 : 34;
    // Offset and bits, and whether such a packet is lost.
    struct Change {
        size_t at;
        uint8_t bits;
        bool is_lost;
        bool is_summed;  // the checksums are made right again
    };
    const Change change = GENERATE_COPY(Change{l4 + 6, 0x10, true, false},    // the checksum itself
                                        Change{l4 + 100, 0x10, true, false},  // payload
                                        Change{l4 + 8 + 6, 1, true, true},    // another network
                                        Change{l4 + 8 + 8 + 7, 3, true, true},  // another outport
                                        Change{size_t{outer6 ? 21u : 22u}, 1, false, true},  // TTL
                                        Change{l4 + 1, 1, false, true},  // source port
                                        Change{0, 0, false, false});     // nothing
    std::vector<rte_mbuf*> pkts;
    for (size_t i = 0; i < parts.size(); ++i) {
        Bytes f = packet(kGood, outer6, parts[i]).bytes();
        if (i == 2) {
            f[change.at] ^= change.bits;
            if (change.is_summed && !outer6) {
                set16(&f, 24, 0);
                set16(&f, 24, 0xffff ^ folded(word_sum(&f[14], 20)));
            }
            if (change.is_summed) {
                set16(&f, l4 + 6, 0);
                set16(&f, l4 + 6, 0xffff ^ udp_sum(f, outer6));
            }
        }
        pkts.push_back(to_mbuf(f));
    }
    JoinLab net;
    net.lab.worker->process_burst(pkts.data(), static_cast<unsigned>(pkts.size()), kUplink);
    const auto sent = net.ports.take(0);
    size_t bytes = 0;
    for (const Sent& s : sent) {
        bytes += s.bytes.size() - 54;
    }
    CHECK(bytes == 1400u * (change.is_lost ? 4 : 5));
    CHECK(sent.size() == (change.is_lost ? 2 : 1));
    CHECK(net.lab.count(Counter::k_tunnel_rx) >= bytes / 1400);
    CHECK(net.lab.in_use() == 0);
}
