// SPDX-License-Identifier: Apache-2.0
// Sending STT: headers against the vectors, cutting to the path's MTU, what is left to receivers.
#include "tests/unit/datapath/stt_lab.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr size_t kL4 = 34;
constexpr size_t kStt = kL4 + 20;
constexpr size_t kInnerAt = kStt + 18;

/// The STT frame out of segments in order, which all say the same of it.
Bytes joined(const std::vector<Bytes>& segments, size_t l4 = kL4) {
    Bytes frame;
    for (const Bytes& s : segments) {
        CHECK(l4_sum(s) == 0xffff);
        CHECK(at16(s, l4 + 2) == kSttPort);
        CHECK(at16(s, l4) == at16(segments[0], l4));
        CHECK(at32(s, l4 + 8) == at32(segments[0], l4 + 8));
        CHECK(at16(s, l4 + 6) == frame.size());
        CHECK(s[l4 + 12] == 0x50);
        const bool last = &s == &segments.back();
        CHECK(s[l4 + 13] == (last ? 0x18 : 0x10));  // PSH on the last
        frame.insert(frame.end(), s.begin() + static_cast<long>(l4 + 20), s.end());
    }
    for (const Bytes& s : segments) {
        CHECK(at16(s, l4 + 4) == frame.size());
    }
    return frame;
}

}  // namespace

TEST_CASE("the reference vector is what is sent, but for the frame's number", "[stt]") {
    SttSender sender;
    const Bytes want = from_hex(
        "0200000000bb0200000000aa0800 4500006c000040004006b688c0000201c0000202"
        "c3501d2f 00440000 00001234 5018ffff 32aa0000"
        "00 01 00 00 0000 0000 0000050009000003 0000"
        "020000000002020000000001080045000024000140004011"
        "26c60a0000010a000002 0fa0000900104a8d 6162636465666768");
    const auto sent = sender.send(from_hex(kInner), 0, kVerified);
    REQUIRE(sent.size() == 1);
    CHECK(l4_sum(sent[0].bytes) == 0xffff);
    Bytes same = sent[0].bytes;
    std::copy(want.begin() + 42, want.begin() + 46, same.begin() + 42);
    std::copy(want.begin() + 50, want.begin() + 52, same.begin() + 50);
    CHECK(to_hex(same) == to_hex(want));
    CHECK(sender.lab.count(Counter::k_tunnel_tx) == 1);
}

TEST_CASE("the reference vector of two segments", "[stt]") {
    // A frame of 2120 bytes, TCP over IPv4 with partial checksum, MSS 1400, cut at 1480.
    Tunnel t = stt_tunnel();
    t.src_port_base = 50001;
    t.mtu = 1480;
    SttSender sender(t);
    const Bytes inner = tcp_frame(2120 - 18 - 54);
    const auto sent = sender.send(inner, 1400, kVerified);
    REQUIRE(sent.size() == 2);
    const std::string headers[2] = {
        "450005c8000040004006b12cc0000201c0000202 c3511d2f 0848 0000 00005678 5010ffff",
        "450002d0000040004006b424c0000201c0000202 c3511d2f 0848 05a0 00005678 5018ffff"};
    std::vector<Bytes> segments;
    for (unsigned i = 0; i < 2; ++i) {
        Bytes got = slice(sent[i].bytes, 14, 36);
        const Bytes want = from_hex(headers[i]);
        std::copy(want.begin() + 28, want.begin() + 32, got.begin() + 28);
        CHECK(to_hex(got) == to_hex(want));
        segments.push_back(sent[i].bytes);
    }
    const Bytes frame = joined(segments);
    CHECK(to_hex(slice(frame, 0, 18)) ==
          to_hex(from_hex("000e2200 0578 0000 0000050009000003 0000")));
    // The inner checksum field has the folded sum of the pseudo header, as it is.
    Bytes stripped = inner;
    Bytes got = slice(frame, 18, inner.size());
    CHECK(at16(got, 50) == [&] {
        uint32_t sum = word_sum(&inner[26], 8) + 6 + static_cast<uint32_t>(inner.size() - 34);
        while (sum >> 16) {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        return sum;
    }());
    stripped[50] = stripped[51] = got[50] = got[51] = 0;
    CHECK(got == stripped);
}

TEST_CASE("frames are cut to the path's MTU, never fragmented", "[stt]") {
    const bool v6 = GENERATE(false, true);
    const uint16_t mtu = GENERATE(uint16_t{576}, uint16_t{1280}, uint16_t{1500}, uint16_t{9000});
    const size_t l4 = v6 ? 54 : 34;
    const size_t outer = l4 - 14 + 20;
    SttSender sender(stt_tunnel(v6, mtu));
    for (const size_t size :
         {size_t{60}, mtu - outer - 18, mtu - outer - 17, size_t{4000}, size_t{64999}}) {
        const Bytes inner = udp_frame(size);
        const auto sent = sender.send(inner);
        REQUIRE(sent.size() == (size + 18 + mtu - outer - 1) / (mtu - outer));
        const Bytes frame = joined(sent, l4);
        CHECK(slice(frame, 18, size) == inner);
        CHECK(to_hex(slice(frame, 0, 8)) == "0000000000000000");
        for (const Bytes& s : sent) {
            CHECK(s.size() <= mtu + 14u);
            if (!v6) {
                CHECK(word_sum(&s[14], 20) == 0xffff);
                CHECK(at16(s, 20) == 0x4000);
            }
        }
    }
    CHECK(sender.lab.in_use() == 0);
}

TEST_CASE("a port that cuts gets the STT frame as one TCP packet", "[stt]") {
    SttSender sender(stt_tunnel(), kPortTxTso | kPortTxMultiSeg);
    const Bytes inner = udp_frame(30000);
    const auto sent = sender.send(inner, 0, kVerified);
    REQUIRE(sent.size() == 1);
    CHECK((sent[0].flags & RTE_MBUF_F_TX_TCP_SEG) != 0);
    CHECK((sent[0].flags & RTE_MBUF_F_TX_IPV4) != 0);
    CHECK(sent[0].segment == 1460);
    CHECK(sent[0].l2 == 14);
    CHECK(sent[0].l3 == 20);
    CHECK(sent[0].l4 == 20);
    CHECK(slice(sent[0].bytes, kInnerAt, inner.size()) == inner);
    CHECK(sent[0].bytes[kL4 + 13] == 0x18);
    // Pseudo header without length, as DPDK asks for it.
    CHECK(at16(sent[0].bytes, kL4 + 16) == [&] {
        uint32_t sum = word_sum(&sent[0].bytes[26], 8) + 6;
        return (sum & 0xffff) + (sum >> 16);
    }());
}

TEST_CASE("more than 64 KB with all headers is too long", "[stt]") {
    SttSender sender;
    CHECK(sender.send(udp_frame(65535 - 58)).size() == 45);
    CHECK(sender.send(udp_frame(65535 - 57)).empty());
    CHECK(sender.lab.drops(Drop::k_too_long) + sender.lab.drops(Drop::k_too_big) == 1);
    CHECK(sender.lab.in_use() == 0);
}

TEST_CASE("one tag travels beside the frame, more stay inside", "[stt]") {
    SttSender sender;
    const auto one = [&](const Bytes& frame) {
        const auto sent = sender.send(frame);
        REQUIRE(sent.size() == 1);
        return slice(sent[0], kStt, sent[0].size() - kStt);
    };
    const Bytes plain = udp_frame(100);
    const auto with = [&](const std::string& tags) {
        Bytes b = plain;
        const Bytes t = from_hex(tags);
        b.insert(b.begin() + 12, t.begin(), t.end());
        return b;
    };
    Bytes out = one(with("81006064"));
    CHECK(at16(out, 6) == 0x7064);
    CHECK(slice(out, 18, out.size() - 18) == plain);
    out = one(with("81000000"));
    CHECK(at16(out, 6) == 0x1000);
    for (const char* tags : {"88a80064", "8100006481000065", "88a8006481000065"}) {
        out = one(with(tags));
        CHECK(at16(out, 6) == 0);
        CHECK(slice(out, 18, out.size() - 18) == with(tags));
    }
    // A super-frame's L4 offset does not count the tag.
    const auto sent = sender.send(tcp_frame(5000, false, 0x10, 100), 1400, kVerified);
    REQUIRE(!sent.empty());
    const Bytes& first = sent[0].bytes;
    CHECK(to_hex(slice(first, kStt, 8)) == "000e220005787064");
    CHECK(at16(first, kInnerAt + 12) == 0x0800);
}

TEST_CASE("super-frames go uncut with the flags of their kind", "[stt]") {
    for (const bool v6 : {false, true}) {
        SttSender sender(stt_tunnel(), kPortTxTso | kPortTxMultiSeg);
        const Bytes inner = tcp_frame(60000, v6);
        const auto sent = sender.send(inner, 1448, kVerified);
        REQUIRE(sent.size() == 1);
        CHECK(to_hex(slice(sent[0].bytes, kStt, 8)) ==
              (v6 ? "000a360005a80000" : "000e220005a80000"));
        CHECK(sent[0].bytes.size() == kInnerAt + inner.size());
        CHECK(sender.lab.count(Counter::k_super_frames) == 2);  // the inner and the outer one
        CHECK(sender.lab.count(Counter::k_super_cut) == 0);
    }
    // Where an ECN-aware device would be needed at the other end: cut here.
    SttSender sender;
    const auto sent = sender.send(tcp_frame(2600, false, 0x90), 1300, kVerified);
    REQUIRE(sent.size() == 2);
    for (const Sent& s : sent) {
        CHECK(to_hex(slice(s.bytes, kStt, 6)) == "000100000000");
        CHECK(l4_sum(slice(s.bytes, kInnerAt, s.bytes.size() - kInnerAt)) == 0xffff);
    }
    CHECK(sent[0].bytes[kInnerAt + 47] == 0x90);
    CHECK(sent[1].bytes[kInnerAt + 47] == 0x10);
}

TEST_CASE("numbers of frames are the worker's own and do not repeat", "[stt]") {
    SttSender sender;
    std::set<uint32_t> seen;
    for (unsigned i = 0; i < 1000; ++i) {
        const auto sent = sender.send(udp_frame(100));
        REQUIRE(sent.size() == 1);
        const uint32_t id = at32(sent[0], kL4 + 8);
        CHECK((id & 63) == 0);  // of worker 0
        seen.insert(id);
    }
    CHECK(seen.size() == 1000);
}

TEST_CASE("outer ECN, DSCP, TTL and source port are as with Geneve", "[stt]") {
    for (const bool v6 : {false, true}) {
        for (unsigned mode = 0; mode < 4; ++mode) {
            Tunnel t = stt_tunnel(v6);
            t.tos_inherit = mode & 1;
            t.ttl_inherit = mode & 2;
            t.tos = 0x28;
            t.ttl = 77;
            t.src_port_base = 32768;
            t.src_port_range = 28232;
            SttSender sender(t);
            std::set<uint32_t> ports;
            for (unsigned ecn = 0; ecn < 4; ++ecn) {
                PacketBuilder b;
                const auto sent = sender.send(b.eth(1, 2)
                                                  .ip4(1, 2)
                                                  .tos(static_cast<uint8_t>(0xb8 | ecn))
                                                  .ttl(5)
                                                  .udp(1, 2)
                                                  .payload(ecn * 1000));
                REQUIRE(!sent.empty());
                for (const Bytes& out : sent) {
                    const unsigned tos = v6 ? (out[14] & 15u) << 4 | out[15] >> 4 : out[15];
                    CHECK(tos == ((t.tos_inherit ? 0xb8u : 0x28u) | ecn));
                    CHECK(out[v6 ? 21 : 22] == (t.ttl_inherit ? 5 : 77));
                    CHECK(l4_sum(out) == 0xffff);
                    ports.insert(at16(out, v6 ? 54 : 34));
                }
            }
            CHECK(ports.size() == 1);
            CHECK(*ports.begin() >= 32768);
        }
    }
}

TEST_CASE("without DF every segment has its own IP id", "[stt]") {
    Tunnel t = stt_tunnel();
    t.df = false;
    SttSender sender(t);
    std::set<uint32_t> ids;
    unsigned packets = 0;
    for (unsigned i = 0; i < 20; ++i) {
        for (const Bytes& s : sender.send(udp_frame(60 + i * 500))) {
            CHECK(at16(s, 20) == 0);
            ids.insert(at16(s, 18));
            ++packets;
        }
    }
    CHECK(ids.size() == packets);
}
