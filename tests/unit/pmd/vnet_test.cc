// SPDX-License-Identifier: Apache-2.0
// Finishing checksums and cutting GSO frames, judged by lab's own RFC 1071 and by the payload.
#include "pmd/vnet.h"

#include <rte_mbuf.h>

#include <catch2/catch.hpp>

#include "tests/unit/pmd/lab.h"

using namespace sluice;
using namespace sluice::lab;
using pmd::RxFrame;
using pmd::RxHints;
using pmd::RxStep;

namespace {

void append(Bytes& to, const Bytes& what) {
    to.insert(to.end(), what.begin(), what.end());
}
uint16_t at16(const Bytes& b, size_t i) {
    return static_cast<uint16_t>(b[i] << 8 | b[i + 1]);
}

const Bytes kEther4 = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00};
const Bytes kEther6 = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd};
const Bytes kTcp = {0x12, 0x34, 0, 80, 0xff, 0xff, 0xff, 0,  0, 0, 0, 1, 0x80, 0x99, 1, 0,
                    0,    0,    0, 0,  1,    1,    8,    10, 1, 2, 3, 4, 5,    6,    7, 8};

Bytes ip4(uint8_t protocol, size_t payload) {
    const auto n = static_cast<uint16_t>(20 + payload);
    return {0x45,
            2,
            static_cast<uint8_t>(n >> 8),
            static_cast<uint8_t>(n),
            0xff,
            0xff,
            0x40,
            0,
            64,
            protocol,
            0,
            0,
            10,
            1,
            2,
            3,
            10,
            4,
            5,
            6};
}

Bytes ip6(uint8_t protocol, size_t payload) {
    Bytes h(40);
    h[0] = 0x60;
    h[4] = static_cast<uint8_t>(payload >> 8);
    h[5] = static_cast<uint8_t>(payload);
    h[6] = protocol;
    h[7] = 64;
    h[8] = h[24] = 0xfd;
    h[23] = 1;
    h[39] = 2;
    return h;
}

Bytes payload(size_t n) {
    Bytes bytes(n);
    for (size_t i = 0; i < n; ++i) {
        bytes[i] = static_cast<uint8_t>(i * 7 + i / 251);
    }
    return bytes;
}

struct Cut {
    std::vector<Bytes> frames;
    RxStep end = RxStep::kNone;
};

Cut cut(const Bytes& frame, const RxHints& hints) {
    auto ports = make_ports();
    const PortId id = add(*ports, "d=dummy");
    const auto table = ports->snapshot();
    RxFrame rx;
    rx.start(frame.data(), frame.size(), hints);
    Cut result;
    while (rx.active()) {
        rte_mbuf* m = nullptr;
        result.end = rx.next((*table)[id].pool, &m);
        if (result.end == RxStep::kPacket) {
            CHECK(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_GOOD);
            result.frames.push_back(to_bytes(m));
            rte_pktmbuf_free(m);
        }
    }
    CHECK(mbufs_in_use(*ports) == 0);
    return result;
}

RxHints gso(uint8_t type, size_t l4, size_t headers, uint16_t size, uint16_t csum_offset) {
    RxHints hints;
    hints.vnet.flags = pmd::kVnetNeedsCsum;
    hints.vnet.gso_type = type;
    hints.vnet.gso_size = size;
    hints.vnet.hdr_len = static_cast<uint16_t>(headers);
    hints.vnet.csum_start = static_cast<uint16_t>(l4);
    hints.vnet.csum_offset = csum_offset;
    return hints;
}

/// Everything behind the headers, put together again.
Bytes joined(const std::vector<Bytes>& frames, size_t headers) {
    Bytes all;
    for (const Bytes& frame : frames) {
        all.insert(all.end(), frame.begin() + static_cast<long>(headers), frame.end());
    }
    return all;
}

}  // namespace

TEST_CASE("a TCP frame of IPv4 is cut to MSS, tagged or not", "[vnet]") {
    const bool is_tagged = GENERATE(false, true);
    const size_t size = GENERATE(size_t{1}, size_t{1400}, size_t{1401}, size_t{65000});
    const Bytes data = payload(size);
    Bytes frame = kEther4;
    append(frame, ip4(6, kTcp.size() + size));
    append(frame, kTcp);
    append(frame, data);
    RxHints hints = gso(pmd::kVnetGsoTcp4 | pmd::kVnetGsoEcn, 34, 66, 1400, 16);
    hints.has_tag = is_tagged;
    hints.tpid = 0x8100;
    hints.tci = 0x2064;
    const Cut result = cut(frame, hints);
    const size_t shift = is_tagged ? 4 : 0;
    REQUIRE(result.frames.size() == (size + 1399) / 1400);
    CHECK(joined(result.frames, 66 + shift) == data);
    for (size_t i = 0; i < result.frames.size(); ++i) {
        const Bytes& f = result.frames[i];
        CHECK(checksums_hold(f));
        CHECK(at16(f, 12) == (is_tagged ? 0x8100 : 0x0800));
        CHECK(at16(f, 16 + shift) == f.size() - 14 - shift);
        CHECK(at16(f, 18 + shift) == static_cast<uint16_t>(0xffff + i));  // IP id
        const uint32_t seq = static_cast<uint32_t>(at16(f, 38 + shift)) << 16 | at16(f, 40 + shift);
        CHECK(seq == static_cast<uint32_t>(0xffffff00u + i * 1400));
        // CWR (0x80) on the first alone; PSH (8) and FIN (1) on the last alone; ACK on all.
        const bool last = i + 1 == result.frames.size();
        CHECK(f[47 + shift] == (0x10 | (i == 0 ? 0x80 : 0) | (last ? 0x09 : 0)));
    }
}

TEST_CASE("TCP over IPv6 and UDP of both are cut", "[vnet]") {
    const Bytes data = payload(5000);
    SECTION("TCP over IPv6 behind a hop-by-hop header") {
        Bytes frame = kEther6;
        append(frame, ip6(0, 8 + kTcp.size() + data.size()));
        append(frame, {6, 0, 1, 4, 0, 0, 0, 0});
        append(frame, kTcp);
        append(frame, data);
        const Cut result = cut(frame, gso(pmd::kVnetGsoTcp6, 62, 94, 1000, 16));
        REQUIRE(result.frames.size() == 5);
        CHECK(joined(result.frames, 94) == data);
        for (const Bytes& f : result.frames) {
            CHECK(at16(f, 18) == f.size() - 54);
            // The pseudo-header of the second opinion knows no extension headers: take it out.
            Bytes bare = f;
            bare.erase(bare.begin() + 54, bare.begin() + 62);
            bare[20] = 6;
            bare[19] = static_cast<uint8_t>(bare.size() - 54);
            bare[18] = static_cast<uint8_t>((bare.size() - 54) >> 8);
            CHECK(checksums_hold(bare));
        }
    }
    SECTION("UDP") {
        for (const bool is_ip6 : {false, true}) {
            const size_t l4 = is_ip6 ? 54 : 34;
            Bytes frame = is_ip6 ? kEther6 : kEther4;
            append(frame, is_ip6 ? ip6(17, 8 + data.size()) : ip4(17, 8 + data.size()));
            append(frame, {1, 2, 3, 4, 0x13, 0x90, 0, 0});
            append(frame, data);
            const Cut result = cut(frame, gso(pmd::kVnetGsoUdpL4, l4, l4 + 8, 1200, 6));
            REQUIRE(result.frames.size() == 5);
            CHECK(joined(result.frames, l4 + 8) == data);
            for (const Bytes& f : result.frames) {
                CHECK(checksums_hold(f));
                CHECK(at16(f, l4 + 4) == f.size() - l4);
            }
        }
    }
}

TEST_CASE("a frame that the peer tunnelled before cutting is cut inside and out", "[vnet]") {
    const bool is_outer6 = GENERATE(false, true);
    const bool is_geneve = GENERATE(false, true);
    const bool is_summed = GENERATE(false, true);
    const Bytes data = payload(4000);
    Bytes inner = kEther4;
    append(inner, ip4(6, kTcp.size() + data.size()));
    append(inner, kTcp);
    Bytes tunnel = is_geneve ? Bytes{2, 0x40, 0x65, 0x58, 0, 0, 1, 0, 1, 2, 0x80, 1, 0, 1, 0, 2}
                             : Bytes{8, 0, 0, 0, 0, 0, 1, 0};
    const size_t udp_length = 8 + tunnel.size() + inner.size() + data.size();
    Bytes frame = is_outer6 ? kEther6 : kEther4;
    append(frame, is_outer6 ? ip6(17, udp_length) : ip4(17, udp_length));
    const uint16_t port = is_geneve ? 6081 : 4789;
    append(frame, {0xc0, 0, static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port),
                   static_cast<uint8_t>(udp_length >> 8), static_cast<uint8_t>(udp_length),
                   static_cast<uint8_t>(is_summed ? 0x55 : 0), 0});
    append(frame, tunnel);
    append(frame, inner);
    const size_t headers = frame.size();
    append(frame, data);
    const Cut result = cut(frame, gso(pmd::kVnetGsoTcp4, headers - 32, headers, 1300, 16));
    REQUIRE(result.frames.size() == 4);
    CHECK(joined(result.frames, headers) == data);
    const size_t udp = is_outer6 ? 54 : 34;
    for (const Bytes& f : result.frames) {
        CHECK(checksums_hold(f));
        CHECK((at16(f, udp + 6) != 0) == is_summed);
        CHECK(at16(f, udp + 4) == f.size() - udp);
    }
}

TEST_CASE("a partial checksum is completed where it is, even across mbufs", "[vnet]") {
    const size_t size = GENERATE(size_t{1}, size_t{2}, size_t{999}, size_t{2007}, size_t{9001});
    const bool is_tagged = GENERATE(false, true);
    const Bytes whole = udp4(payload(size));
    Bytes partial = whole;
    const uint16_t pseudo =
        static_cast<uint16_t>(~rfc1071({10, 0, 0, 1, 10, 0, 0, 2, 0, 17, whole[38], whole[39]}));
    partial[40] = static_cast<uint8_t>(pseudo >> 8);
    partial[41] = static_cast<uint8_t>(pseudo);
    RxHints hints = gso(pmd::kVnetGsoNone, 34, 42, 0, 6);
    hints.has_tag = is_tagged;
    hints.tpid = 0x88a8;
    hints.tci = 7;
    const Cut result = cut(partial, hints);
    REQUIRE(result.frames.size() == 1);
    CHECK(result.frames[0] == (is_tagged ? with_tag(whole, 0x88a8, 7) : whole));
}

TEST_CASE("a UDP sum of zero is sent as ones", "[vnet]") {
    // Payload chosen so that the checksum comes out as zero: RFC 768 then demands 0xffff.
    Bytes whole = udp4({0, 0});
    const uint16_t sum = at16(whole, 40);
    whole = udp4({static_cast<uint8_t>(sum >> 8), static_cast<uint8_t>(sum)});
    REQUIRE(at16(whole, 40) == 0xffff);
    Bytes partial = whole;
    const uint16_t pseudo =
        static_cast<uint16_t>(~rfc1071({10, 0, 0, 1, 10, 0, 0, 2, 0, 17, 0, 10}));
    partial[40] = static_cast<uint8_t>(pseudo >> 8);
    partial[41] = static_cast<uint8_t>(pseudo);
    CHECK(cut(partial, gso(pmd::kVnetGsoNone, 34, 42, 0, 6)).frames == std::vector<Bytes>{whole});
}

TEST_CASE("hints that contradict the bytes lose the frame and nothing else", "[vnet]") {
    Bytes frame = kEther4;
    append(frame, ip4(6, kTcp.size() + 100));
    append(frame, kTcp);
    append(frame, payload(100));
    const auto end_of = [&](const RxHints& hints) { return cut(frame, hints).end; };
    CHECK(end_of(gso(pmd::kVnetGsoNone, 160, 66, 0, 16)) == RxStep::kMalformed);
    CHECK(end_of(gso(pmd::kVnetGsoNone, 0xffff, 66, 0, 0xffff)) == RxStep::kMalformed);
    CHECK(end_of(gso(pmd::kVnetGsoTcp4, 34, 66, 0, 16)) == RxStep::kMalformed);   // size 0
    CHECK(end_of(gso(pmd::kVnetGsoTcp4, 36, 66, 50, 16)) == RxStep::kMalformed);  // no header there
    CHECK(end_of(gso(pmd::kVnetGsoTcp4, 160, 66, 50, 16)) == RxStep::kMalformed);  // beyond the end
    CHECK(end_of(gso(3, 34, 66, 50, 16)) == RxStep::kMalformed);                   // UFO
    RxHints whole = gso(pmd::kVnetGsoTcp4, 34, 66, 50, 16);
    whole.vnet.flags = 0;  // GSO without a partial checksum
    CHECK(end_of(whole) == RxStep::kMalformed);
    // A TCP header shorter than TCP's: its checksum would lie behind the headers.
    frame[34 + 12] = 0x20;
    CHECK(end_of(gso(pmd::kVnetGsoTcp4, 34, 42, 50, 16)) == RxStep::kMalformed);
    frame[34 + 12] = 0x50;
    // Every prefix of a good frame, with its hints: no reads out of bounds (for the sanitizers).
    const Bytes full = frame;
    for (size_t n = 0; n < full.size(); ++n) {
        frame.assign(full.begin(), full.begin() + static_cast<long>(n));
        frame.shrink_to_fit();
        cut(frame, gso(pmd::kVnetGsoTcp4, 34, 66, 50, 16));
    }
}

TEST_CASE("plain TCP comes uncut where it is wanted", "[vnet]") {
    const bool is_v6 = GENERATE(false, true);
    const bool is_tagged = GENERATE(false, true);
    const Bytes data = payload(20000);
    Bytes frame = is_v6 ? kEther6 : kEther4;
    append(frame, is_v6 ? ip6(6, kTcp.size() + data.size()) : ip4(6, kTcp.size() + data.size()));
    append(frame, kTcp);
    append(frame, data);
    const size_t l4 = is_v6 ? 54 : 34;
    RxHints hints = gso(is_v6 ? pmd::kVnetGsoTcp6 : pmd::kVnetGsoTcp4, l4, l4 + 32, 1400, 16);
    hints.has_tag = is_tagged;
    hints.tpid = 0x8100;
    hints.tci = 0x2064;
    auto ports = make_ports();
    const PortId id = add(*ports, "d=dummy");
    const auto table = ports->snapshot();
    RxFrame rx;
    rx.keep_super_frames(true);
    const auto next = [&] {
        rte_mbuf* m = nullptr;
        REQUIRE(rx.next((*table)[id].pool, &m) == RxStep::kPacket);
        return m;
    };
    frame[l4 + 13] &= 0x7f;  // CWR
    rx.start(frame.data(), frame.size(), hints);
    rte_mbuf* m = next();
    CHECK(!rx.active());
    CHECK((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0);
    CHECK((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_GOOD) != 0);
    CHECK(m->tso_segsz == 1400);
    Bytes want = frame;
    if (is_tagged) {
        const Bytes tag = {0x81, 0x00, 0x20, 0x64};
        want.insert(want.begin() + 12, tag.begin(), tag.end());
    }
    CHECK(to_bytes(m) == want);
    rte_pktmbuf_free(m);
    // What a device without knowledge of ECN would cut wrongly, and what says another length.
    const auto cut_as_ever = [&](const Bytes& other, const RxHints& with) {
        rx.start(other.data(), other.size(), with);
        m = next();
        CHECK(rx.active());
        CHECK((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) == 0);
        rte_pktmbuf_free(m);
    };
    RxHints ecn = hints;
    ecn.vnet.gso_type |= pmd::kVnetGsoEcn;
    cut_as_ever(frame, ecn);
    Bytes cwr = frame;
    cwr[l4 + 13] |= 0x80;
    cut_as_ever(cwr, hints);
    Bytes longer = frame;
    longer.push_back(0);
    cut_as_ever(longer, hints);
    CHECK(mbufs_in_use(*ports) == 0);
}
