// SPDX-License-Identifier: Apache-2.0
// Receiving STT: segments into frames, whatever their order; nothing of a header is believed.
#include "tests/unit/datapath/stt_lab.h"

using namespace sluice;
using namespace sluice::test;

namespace {

// Made and checked elsewhere: datapath 3, inport 5, outport 9, flag C, one segment.
const char* const kVector =
    "0200000000bb0200000000aa0800 4500006c000040004006b688c0000201c0000202"
    "c3501d2f 00440000 00001234 5018ffff 32aa0000"
    "00 01 00 00 0000 0000 0000050009000003 0000"
    "020000000002020000000001080045000024000140004011"
    "26c60a0000010a000002 0fa0000900104a8d 6162636465666768";

std::vector<SttPiece> shuffled(std::vector<SttPiece> list, unsigned seed) {
    std::minstd_rand random(seed);
    std::shuffle(list.begin(), list.end(), random);
    return list;
}

/// The inner frame as flag P leaves it: its checksum field has the pseudo header's sum.
Bytes partial(Bytes frame) {
    const size_t l3 = 14;
    const bool v6 = at16(frame, 12) == 0x86dd;
    const size_t l4 = l3 + (v6 ? 40 : 20);
    const uint8_t proto = frame[l3 + (v6 ? 6 : 9)];
    const auto len = static_cast<uint32_t>(frame.size() - l4);
    uint32_t sum = word_sum(&frame[l3 + (v6 ? 8 : 12)], v6 ? 32 : 8) + proto + len;
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    const size_t at = l4 + (proto == 6 ? 16 : 6);
    frame[at] = static_cast<uint8_t>(sum >> 8);
    frame[at + 1] = static_cast<uint8_t>(sum);
    return frame;
}

}  // namespace

TEST_CASE("the reference vector of one segment", "[stt]") {
    SttReceiver net;
    net.lab.send(kUplink, from_hex(kVector));
    const auto sent = net.ports.take(0);
    REQUIRE(sent.size() == 1);
    CHECK(to_hex(sent[0].bytes) == to_hex(from_hex(kInner)));
    CHECK((sent[0].flags & kVerified) != 0);
    CHECK(net.lab.count(Counter::k_tunnel_rx) == 1);
}

TEST_CASE("frames of 1 to 46 segments in any order, both families", "[stt]") {
    const bool v6 = GENERATE(false, true);
    SttReceiver net;
    SttPiece like;
    like.v6 = v6;
    if (v6) {
        like.source = 1;
    }
    for (unsigned n = 1; n <= 46; ++n) {
        const Bytes inner = udp_frame(n * 1400 - 100 - 18, n);
        const Bytes frame = SttFrame{.inner = inner}.bytes();
        like.id = n;
        const auto list = segments_of(frame, 1400, like);
        REQUIRE(list.size() == n);
        net.send(n % 2 ? list : shuffled(list, n));
        CHECK(net.ports.frames(0) == std::vector<Bytes>{inner});
        like.id = n + 1000;
        auto backwards = segments_of(frame, 1400, like);
        std::reverse(backwards.begin(), backwards.end());
        net.send(backwards);
        CHECK(net.ports.frames(0) == std::vector<Bytes>{inner});
    }
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("segments that came twice or overlap are dropped, the frame is not", "[stt]") {
    SttReceiver net;
    const Bytes inner = udp_frame(5000);
    const auto list = segments_of(SttFrame{.inner = inner}.bytes(), 1000);
    SECTION("twice") {
        for (const SttPiece& s : list) {
            net.send({s, s});
        }
        CHECK(net.ports.frames(0) == std::vector<Bytes>{inner});
        CHECK(net.drops(Drop::k_stt_overlap) == list.size() - 1);
        CHECK(net.lab.in_use() == 1);  // the last one's twin waits for the others in vain
        net.lab.wait_ms(501);
        CHECK(net.drops(Drop::k_stt_timeout) == 1);
        CHECK(net.lab.in_use() == 0);
    }
    SECTION("overlapping before, behind, around and inside") {
        for (const auto& [offset, length] : std::vector<std::pair<uint32_t, uint32_t>>{
                 {500u, 600u}, {1900u, 200u}, {900u, 1300u}, {1200u, 10u}, {0u, 2000u}}) {
            SttPiece bad = list[1];
            bad.offset = offset;
            bad.payload = Bytes(length, 0xee);
            const uint64_t before = net.drops(Drop::k_stt_overlap);
            net.send({list[1], bad});
            CHECK(net.drops(Drop::k_stt_overlap) == before + 1);
            net.send({list[4], list[0], list[5], list[2], list[3]});
            CHECK(net.ports.frames(0) == std::vector<Bytes>{inner});
        }
        CHECK(net.lab.in_use() == 0);
    }
}

TEST_CASE("a frame whose last segment does not come is given up", "[stt]") {
    SttReceiver net;
    auto list = segments_of(SttFrame{.inner = udp_frame(5000)}.bytes(), 1000);
    list.erase(list.begin() + 2);
    net.send(list);
    CHECK(net.lab.in_use() == list.size());
    net.lab.wait_ms(499);
    CHECK(net.lab.in_use() == list.size());
    net.lab.wait_ms(2);
    CHECK(net.lab.in_use() == 0);
    CHECK(net.drops(Drop::k_stt_timeout) == list.size());
    CHECK(net.ports.frames(0).empty());
    CHECK(net.lab.count(Counter::k_stt_segments) == list.size());
}

TEST_CASE("lengths that contradict each other", "[stt]") {
    SttReceiver net;
    const auto list = segments_of(SttFrame{.inner = udp_frame(2500)}.bytes(), 1000);
    const auto expect = [&](SttPiece s, Drop reason) { net.expect_drop(s.bytes(), reason); };
    SttPiece s = list[1];
    s.total = 1999;  // one byte beyond
    expect(s, Drop::k_stt_length);
    s = list[1];
    s.offset = 65000;
    s.total = 65535;
    expect(s, Drop::k_stt_length);
    for (uint32_t total = 0; total < 18; ++total) {
        s.offset = 0;
        s.total = total;
        s.payload = Bytes(total, 1);
        expect(s, total == 0 ? Drop::k_stt_truncated : Drop::k_stt_length);
    }
    s = list[1];
    s.payload.clear();
    expect(s, Drop::k_stt_truncated);
    // Another total than the frame's first segment said.
    net.send({list[0]});
    s = list[1];
    s.total += 1;
    net.lab.send(kUplink, s.bytes());
    CHECK(net.drops(Drop::k_stt_length) == 20);
    net.send({list[1], list[2]});
    CHECK(net.ports.frames(0).size() == 1);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("segments that are damaged, cut off or fragmented", "[stt]") {
    SttReceiver net;
    auto s = segments_of(SttFrame{.inner = udp_frame(500)}.bytes(), 1000)[0];
    s.spoil = true;
    net.expect_drop(s.bytes(), Drop::k_outer_checksum);
    s.spoil = false;
    Bytes frame = s.bytes();
    frame[24] ^= 1;  // the IP header's
    net.expect_drop(frame, Drop::k_outer_checksum);
    frame = s.bytes();
    frame[46] = 0x40;  // data offset below 20
    net.expect_drop(frame, Drop::k_stt_truncated);
    frame = s.bytes();
    frame[20] = 0x20;  // more fragments
    frame[24] = static_cast<uint8_t>(frame[24] + 0x20);
    net.expect_drop(frame, Drop::k_outer_fragment);
    // TCP of the host itself is not STT.
    frame = s.bytes();
    frame[36] = 0;
    frame[37] = 22;
    net.lab.send(kUplink, frame);
    CHECK(net.lab.take_punts().size() == 1);
}

TEST_CASE("padding behind a short last segment is no payload", "[stt]") {
    SttReceiver net;
    const Bytes inner = udp_frame(985);
    const auto list = segments_of(SttFrame{.inner = inner}.bytes(), 1000);
    REQUIRE(list.size() == 2);
    REQUIRE(list[1].payload.size() == 3);
    Bytes padded = list[1].bytes();
    padded.resize(60, 0xaa);
    net.lab.send(kUplink, padded);
    net.lab.send(kUplink, list[0].bytes());
    CHECK(net.ports.frames(0) == std::vector<Bytes>{inner});
}

TEST_CASE("TCP options of a segment are skipped", "[stt]") {
    SttReceiver net;
    SttFrame f{.inner = udp_frame(300)};
    SttPiece s = segments_of(f.bytes(), 2000)[0];
    const Bytes with = [&] {
        SttPiece longer = s;
        Bytes options = {1, 1, 1, 1};
        longer.payload.insert(longer.payload.begin(), options.begin(), options.end());
        Bytes b = longer.bytes();
        // Same sum: the data offset goes up by one, flags stay; the total is right already.
        uint32_t sum = (at16(b, 50) ^ 0xffff) + 0x1000;
        sum = (sum & 0xffff) + (sum >> 16);
        b[46] = 0x60;
        b[50] = static_cast<uint8_t>(~sum >> 8);
        b[51] = static_cast<uint8_t>(~sum);
        return b;
    }();
    net.lab.send(kUplink, with);
    CHECK(net.ports.frames(0) == std::vector<Bytes>{f.inner});
}

TEST_CASE("another version, an unknown datapath, an inner frame that is none", "[stt]") {
    SttReceiver net;
    const auto one = [](const SttFrame& f) { return segments_of(f.bytes(), 60000)[0].bytes(); };
    net.expect_drop(one({.version = 1, .inner = udp_frame(100)}), Drop::k_stt_version);
    net.expect_drop(one({.context = kContext + 1, .inner = udp_frame(100)}),
                    Drop::k_unknown_datapath);
    net.expect_drop(one({.context = 0, .inner = udp_frame(100)}), Drop::k_unknown_datapath);
    net.expect_drop(one({.inner = {}}), Drop::k_runt_frame);
    net.expect_drop(one({.inner = Bytes(13)}), Drop::k_runt_frame);
    // The nine highest bits are reserved.
    net.lab.send(kUplink, one({.context = kContext | 0xff8ull << 52, .inner = udp_frame(100)}));
    CHECK(net.ports.frames(0) == std::vector<Bytes>{udp_frame(100)});
}

TEST_CASE("flag P: the checksum is completed, or the request refused", "[stt]") {
    SttReceiver net;
    const auto one = [](const SttFrame& f) { return segments_of(f.bytes(), 60000)[0].bytes(); };
    const Bytes udp6 =
        PacketBuilder().eth(1, 2).ip6(ip6(0xfd01, 1), ip6(0xfd01, 2)).udp(4000, 9).payload(77);
    struct Kind {
        Bytes frame;
        uint8_t flags;
        uint8_t l4;
    };
    for (const Kind& kind : {Kind{udp_frame(99), 0x06, 34}, Kind{tcp_frame(77), 0x0e, 34},
                             Kind{udp6, 0x02, 54}, Kind{tcp_frame(77, true), 0x0a, 54}}) {
        SttFrame f{.flags = kind.flags, .l4_offset = kind.l4, .inner = partial(kind.frame)};
        net.lab.send(kUplink, one(f));
        const auto sent = net.ports.take(0);
        REQUIRE(sent.size() == 1);
        CHECK(to_hex(sent[0].bytes) == to_hex(kind.frame));
        CHECK((sent[0].flags & kVerified) != 0);
        for (const int offset : {0, 13, 33, 255, kind.l4 + 4, kind.l4 - 20}) {
            f.l4_offset = static_cast<uint8_t>(offset);
            net.expect_drop(one(f), Drop::k_stt_offload);
        }
        f.l4_offset = kind.l4;
        for (unsigned flags = 0x02; flags < 0x10; flags += 4) {  // every other V and T
            f.flags = static_cast<uint8_t>(flags);
            if (flags != kind.flags) {
                net.expect_drop(one(f), Drop::k_stt_offload);
            }
        }
        f.flags = kind.flags;
        for (const size_t size : {size_t{14}, size_t{33}, size_t{kind.l4} + 7}) {
            f.inner = slice(kind.frame, 0, size);
            net.expect_drop(one(f), Drop::k_stt_offload);
        }
        // Without P the other fields mean nothing.
        f = {.flags = 0x0c, .l4_offset = 200, .mss = 7, .inner = kind.frame};
        net.lab.send(kUplink, one(f));
        CHECK(net.ports.frames(0) == std::vector<Bytes>{kind.frame});
    }
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("the tag beside the frame, with and without its bit", "[stt]") {
    SttReceiver net;
    const Bytes plain = udp_frame(200);
    for (const auto& [tci, tag] : std::vector<std::pair<int, int>>{{0x1064, 0x0064},
                                                                   {0x0064, 0x0064},
                                                                   {0x1000, 0x0000},
                                                                   {0x7005, 0x6005},
                                                                   {0xe000, 0xe000}}) {
        SttFrame f{.tci = static_cast<uint16_t>(tci), .inner = plain};
        net.lab.send(kUplink, segments_of(f.bytes(), 60000)[0].bytes());
        Bytes want = plain;
        const Bytes bytes = {0x81, 0, static_cast<uint8_t>(tag >> 8), static_cast<uint8_t>(tag)};
        want.insert(want.begin() + 12, bytes.begin(), bytes.end());
        CHECK(net.ports.frames(0) == std::vector<Bytes>{want});
    }
    // A partial checksum is found behind the tag.
    SttFrame f{.flags = 0x06, .l4_offset = 34, .tci = 0x1007, .inner = partial(plain)};
    net.lab.send(kUplink, segments_of(f.bytes(), 60000)[0].bytes());
    const auto sent = net.ports.frames(0);
    REQUIRE(sent.size() == 1);
    CHECK(l4_sum(sent[0]) == 0xffff);
}

TEST_CASE("equal frame identifiers of several senders are several frames", "[stt]") {
    SttReceiver net;
    std::vector<std::vector<SttPiece>> lists;
    std::vector<Bytes> inners;
    for (unsigned i = 0; i < 4; ++i) {
        SttPiece like;
        like.source = ip(192, 0, 2, 50 + i / 2);
        like.src_port = static_cast<uint16_t>(50000 + i % 2);
        inners.push_back(udp_frame(3000, i + 1));
        lists.push_back(segments_of(SttFrame{.inner = inners.back()}.bytes(), 800, like));
    }
    for (size_t at = 0; at < lists[0].size(); ++at) {
        for (const auto& list : lists) {
            net.send({list[at]});
        }
    }
    CHECK(net.ports.frames(0) == inners);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("congestion seen by any segment is the frame's", "[stt]") {
    for (unsigned marked = 0; marked < 3; ++marked) {
        for (const uint8_t inner_ecn : {0, 1, 2, 3}) {
            SttReceiver net;
            const Bytes inner = PacketBuilder()
                                    .eth(1, 2)
                                    .ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 2))
                                    .tos(static_cast<uint8_t>(0xb8 | inner_ecn))
                                    .udp(1, 2)
                                    .payload(2500);
            auto list = segments_of(SttFrame{.inner = inner}.bytes(), 1000);
            for (unsigned i = 0; i < 3; ++i) {
                list[i].tos = i == marked ? 3 : 2;
            }
            net.send(list);
            const auto sent = net.ports.frames(0);
            if (inner_ecn == 0) {
                CHECK(sent.empty());
                CHECK(net.drops(Drop::k_ecn_not_ect) == 1);
            } else {
                REQUIRE(sent.size() == 1);
                CHECK(sent[0][15] == (0xb8 | 3));
                CHECK(word_sum(&sent[0][14], 20) == 0xffff);
            }
            CHECK(net.lab.in_use() == 0);
        }
    }
    // ECT(1) as RFC 6040 has it: that of the first segment.
    SttReceiver net;
    const Bytes inner = PacketBuilder().eth(1, 2).ip4(1, 2).tos(2).udp(1, 2).payload(1500);
    auto list = segments_of(SttFrame{.inner = inner}.bytes(), 1000);
    list[0].tos = 1;
    list[1].tos = 2;
    net.send({list[1], list[0]});
    const auto sent = net.ports.frames(0);
    REQUIRE(sent.size() == 1);
    CHECK((sent[0][15] & 3) == 1);
}

TEST_CASE("a super-frame reaches a port that cuts as one, others in pieces", "[stt]") {
    const bool v6 = GENERATE(false, true);
    const Bytes whole = tcp_frame(10000, v6);
    SttFrame f{.flags = static_cast<uint8_t>(v6 ? 0x0a : 0x0e),
               .l4_offset = static_cast<uint8_t>(v6 ? 54 : 34),
               .mss = 1400,
               .inner = partial(whole)};
    const auto list = shuffled(segments_of(f.bytes(), 1460), 3);
    const size_t headers = f.l4_offset + 20u;
    SECTION("uncut") {
        SttReceiver net(kPortTxTso | kPortTxMultiSeg, 1500);
        net.send(list);
        const auto sent = net.ports.take(0);
        REQUIRE(sent.size() == 1);
        CHECK((sent[0].flags & RTE_MBUF_F_TX_TCP_SEG) != 0);
        CHECK(sent[0].segment == 1400);
        CHECK(sent[0].l2 + sent[0].l3 == f.l4_offset);
        CHECK(sent[0].l4 == 20);
        CHECK(slice(sent[0].bytes, headers, 10000) == slice(whole, headers, 10000));
        CHECK(net.lab.count(Counter::k_super_frames) == 1);
    }
    SECTION("cut") {
        SttReceiver net(kPortTxMultiSeg, 1500);
        net.send(list);
        const auto sent = net.ports.take(0);
        REQUIRE(sent.size() == 8);
        Bytes joined;
        for (const Sent& s : sent) {
            CHECK((s.flags & RTE_MBUF_F_TX_TCP_SEG) == 0);
            CHECK(l4_sum(s.bytes) == 0xffff);
            const Bytes part = slice(s.bytes, headers, s.bytes.size() - headers);
            joined.insert(joined.end(), part.begin(), part.end());
        }
        CHECK(joined == slice(whole, headers, 10000));
        CHECK(net.lab.count(Counter::k_super_cut) == 8);
    }
    SECTION("too long for the port even when cut") {
        SttReceiver net(kPortTxTso | kPortTxMultiSeg, 1400);
        net.send(list);
        CHECK(net.ports.take(0).empty());
        CHECK(net.drops(Drop::k_too_long) == 1);
        CHECK(net.lab.in_use() == 0);
    }
    SECTION("segments that nobody would send") {
        SttReceiver net;
        f.mss = 47;
        net.send(segments_of(f.bytes(), 1460));
        CHECK(net.ports.take(0).empty());
        CHECK(net.drops(Drop::k_stt_offload) == 1);
    }
    SECTION("a request to cut what is short already") {
        SttReceiver net;
        const Bytes small = tcp_frame(1400, v6);
        f.inner = partial(small);
        net.send(segments_of(f.bytes(), 60000));
        CHECK(net.ports.frames(0) == std::vector<Bytes>{small});
    }
}

TEST_CASE("a frame in more segments than anybody needs is given up", "[stt]") {
    SttReceiver net;
    const Bytes frame = SttFrame{.inner = udp_frame(600)}.bytes();
    net.send(segments_of(frame, 3));
    CHECK(net.ports.frames(0).empty());
    CHECK(net.drops(Drop::k_stt_pieces) >= 193);
    net.lab.wait_ms(501);
    CHECK(net.lab.in_use() == 0);
    // Small slices are fine as such: their headers are gathered.
    net.send(shuffled(segments_of(frame, 7), 5));
    CHECK(net.ports.frames(0) == std::vector<Bytes>{udp_frame(600)});
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("what a device merged is taken as it comes", "[stt]") {
    // Receive offloads put segments of one frame together: longer segments, in several buffers.
    SttReceiver net;
    const Bytes inner = udp_frame(60000);
    auto list = segments_of(SttFrame{.inner = inner}.bytes(), 20000);
    net.send(shuffled(list, 2));
    CHECK(net.ports.frames(0) == std::vector<Bytes>{inner});
    rte_mbuf* m = to_mbuf(segments_of(SttFrame{.inner = inner}.bytes(), 65000)[0].bytes());
    m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | kVerified;  // as a driver that knows it uncut
    m->tso_segsz = 1460;
    net.lab.worker->process_burst(&m, 1, kUplink);
    const auto sent = net.ports.take(0);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].bytes == inner);
    CHECK((sent[0].flags & (RTE_MBUF_F_TX_TCP_SEG | kVerified)) == 0);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("a million half frames cost bounded memory and harm no real one", "[stt]") {
    const bool many_sources = GENERATE(false, true);
    SttReceiver net;
    const auto half = segments_of(SttFrame{.inner = udp_frame(3000)}.bytes(), 100);
    const Bytes attack = half[1].bytes();
    const Bytes inner = udp_frame(30000);
    SttPiece like;
    like.source = ip(198, 51, 100, 7);
    uint32_t real = 0;
    unsigned most = 0;
    unsigned delivered = 0;
    std::vector<SttPiece> list;
    size_t next = 0;
    constexpr uint32_t kHalves = 1000000;
    for (uint32_t i = 0; i < kHalves;) {
        rte_mbuf* burst[32];
        for (rte_mbuf*& m : burst) {
            m = to_mbuf(attack);
            auto* data = rte_pktmbuf_mtod(m, uint8_t*);
            if (many_sources) {
                data[27] = static_cast<uint8_t>(i >> 16);
                data[28] = static_cast<uint8_t>(i >> 8);
                data[29] = static_cast<uint8_t>(i);
                data[24] = data[25] = 0;
                const uint32_t sum = ~word_sum(data + 14, 20);
                data[24] = static_cast<uint8_t>(sum >> 8);
                data[25] = static_cast<uint8_t>(sum);
            }
            std::memcpy(data + 42, &i, 4);
            m->ol_flags |= kVerified;
            ++i;
        }
        net.lab.worker->process_burst(burst, 32, kUplink);
        if (next < list.size()) {  // a real frame in the middle of it
            net.send({list[next++]});
        } else if (i % 1024 == 0) {
            delivered += static_cast<unsigned>(net.ports.frames(0).size());
            like.id = ++real;
            list = shuffled(segments_of(SttFrame{.inner = inner}.bytes(), 9000, like), real);
            next = 0;
        }
        most = std::max(most, net.lab.in_use());
    }
    delivered += static_cast<unsigned>(net.ports.frames(0).size());
    real -= next < list.size();
    CHECK(delivered == real);
    CHECK(real > 900);
    CHECK(most <= 2048);
    CHECK(net.drops(Drop::k_stt_evicted) > kHalves - 2048);
    net.lab.wait_ms(501);
    for (unsigned i = 0; i < 64; ++i) {
        net.lab.wait_ms(1);
    }
    CHECK(net.lab.in_use() == 0);
    CHECK(net.drops(Drop::k_stt_evicted) + net.drops(Drop::k_stt_timeout) == kHalves);
}

TEST_CASE("BFD in STT with key 0 is the tunnel's, with another it is a tenant's", "[stt]") {
    SttReceiver net;
    const Bytes bfd = PacketBuilder()
                          .eth(1, 2)
                          .ip4(ip(169, 254, 1, 1), ip(169, 254, 1, 0))
                          .ttl(255)
                          .udp(49152, 3784)
                          .payload(24);
    SttFrame f{.context = 0, .inner = bfd};
    net.lab.send(kUplink, segments_of(f.bytes(), 2000)[0].bytes());
    CHECK(net.lab.take_punts() == std::vector<Bytes>{bfd});
    f.context = kContext;
    net.lab.send(kUplink, segments_of(f.bytes(), 2000)[0].bytes());
    CHECK(net.lab.take_punts().empty());
    CHECK(net.ports.frames(0) == std::vector<Bytes>{bfd});
}
