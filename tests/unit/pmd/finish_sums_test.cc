// SPDX-License-Identifier: Apache-2.0
// Checksums that a veth peer left to a NIC: frames as such a kernel sends them, judged by a plain
// RFC 1071 that shares nothing with the driver; and frames that are to stay as they are.
#include "pmd/finish_sums.h"

#include <catch2/catch.hpp>
#include <memory>
#include <random>

#include "tests/unit/pmd/lab.h"

using namespace sluice;
using namespace sluice::lab;

namespace {

constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;

void put16(Bytes& f, size_t at, size_t value) {
    f[at] = static_cast<uint8_t>(value >> 8);
    f[at + 1] = static_cast<uint8_t>(value);
}

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

Bytes counting(size_t n) {
    Bytes b(n);
    for (size_t i = 0; i < n; ++i) {
        b[i] = static_cast<uint8_t>(i * 37 + 11);
    }
    return b;
}

/// What goes on behind the EtherType's place: `type_and_ip` begins with it.
Bytes ether(const Bytes& type_and_ip, const Bytes& tags = {}) {
    return Bytes{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1} + tags + type_and_ip;
}

struct Wish {
    int family = 4;
    uint8_t protocol = kUdp;
    uint16_t port = 2000;
    unsigned options = 0;      ///< words of IPv4 options
    bool leaves_sum = true;    ///< the field holds the pseudo header's sum; else 0
    uint16_t fragment = 0x40;  ///< first byte: flags and offset
};

/// From the EtherType on, as a kernel that leaves the L4 checksum to a NIC writes it.
Bytes packet(const Wish& w, const Bytes& payload) {
    const size_t l4_length = (w.protocol == kUdp ? 8 : 20) + payload.size();
    Bytes ip;
    Bytes pseudo;
    if (w.family == 4) {
        ip = Bytes{0x45, 0, 0, 0, 0, 9, 0, 0, 64, w.protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2} +
             Bytes(w.options * 4, 1);
        ip[0] = static_cast<uint8_t>(0x45 + w.options);
        put16(ip, 2, ip.size() + l4_length);
        put16(ip, 6, w.fragment == 0x40 ? 0x4000 : w.fragment);
        put16(ip, 10, rfc1071(ip));
        pseudo.assign(ip.begin() + 12, ip.begin() + 20);
    } else {
        ip = Bytes{0x60, 1, 2, 3, 0, 0, w.protocol, 64} + counting(32);
        put16(ip, 4, l4_length);
        pseudo.assign(ip.begin() + 8, ip.end());
    }
    pseudo = pseudo + Bytes{0, w.protocol, 0, 0};
    put16(pseudo, pseudo.size() - 2, l4_length);
    const size_t head = w.protocol == kUdp ? 8 : 20;
    Bytes l4(head);
    put16(l4, 0, 40000);
    put16(l4, 2, w.port);
    if (w.protocol == kUdp) {
        put16(l4, 4, l4_length);
    } else {
        l4[12] = 0x50;
    }
    const uint16_t sum = static_cast<uint16_t>(~rfc1071(pseudo));
    put16(l4, w.protocol == kUdp ? 6 : 16, w.leaves_sum ? sum : 0);
    return (w.family == 4 ? Bytes{8, 0} : Bytes{0x86, 0xdd}) + ip + l4 + payload;
}

Bytes finished(Bytes frame) {
    pmd::finish_sums(frame.data(), frame.size());
    return frame;
}

size_t differing(const Bytes& a, const Bytes& b) {
    size_t n = a.size() != b.size();
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        n += a[i] != b[i];
    }
    return n;
}

const Bytes kGeneve = {0, 0, 0x65, 0x58, 0, 0, 7, 0};
const Bytes kGeneveOption = {2, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 0x80, 1, 0, 1, 0, 2};
const Bytes kVxlan = {8, 0, 0, 0, 0, 0, 7, 0};

}  // namespace

TEST_CASE("a checksum left to a NIC is finished, whatever is around it", "[finish_sums]") {
    for (const int family : {4, 6}) {
        for (const uint8_t protocol : {kTcp, kUdp}) {
            for (const Bytes& tags :
                 {Bytes{}, Bytes{0x81, 0, 0, 7}, Bytes{0x88, 0xa8, 0, 8, 0x81, 0, 0, 7}}) {
                for (const size_t length : {0u, 1u, 40u, 1399u}) {
                    for (const unsigned options : {0u, 3u}) {
                        const Bytes frame = ether(
                            packet({family, protocol, 2000, options}, counting(length)), tags);
                        INFO(family << ' ' << int{protocol} << ' ' << tags.size() << ' ' << length);
                        REQUIRE_FALSE(checksums_hold(frame));
                        const Bytes done = finished(frame);
                        CHECK(checksums_hold(done));
                        CHECK(differing(done, frame) <= 2);
                        CHECK(finished(done) == done);
                        // Behind the packet there may be padding, which counts for nothing.
                        CHECK(finished(frame + Bytes{9, 9, 9}) == done + Bytes{9, 9, 9});
                    }
                }
            }
        }
    }
}

TEST_CASE("sums that carry more than once are folded to the end", "[finish_sums]") {
    std::mt19937 random(7);
    for (unsigned round = 0; round < 3000; ++round) {
        Bytes payload(1400 + round % 2);
        std::ranges::generate(payload, [&] { return static_cast<uint8_t>(random()); });
        REQUIRE(checksums_hold(finished(ether(packet({}, payload)))));
    }
}

TEST_CASE("inside of a tunnel too, where the outer checksum is not what is missing",
          "[finish_sums]") {
    for (const int outer : {4, 6}) {
        for (const int inner : {4, 6}) {
            for (const uint8_t protocol : {kTcp, kUdp}) {
                for (const auto& [port, head] : {std::pair{uint16_t{6081}, kGeneve},
                                                 {uint16_t{6081}, kGeneveOption},
                                                 {uint16_t{4789}, kVxlan}}) {
                    for (const Bytes& tags : {Bytes{}, Bytes{0x81, 0, 0, 7}}) {
                        INFO(outer << ' ' << inner << ' ' << int{protocol} << ' ' << port);
                        Wish wish{outer, kUdp, port};
                        wish.leaves_sum = false;  // 0: none
                        const Bytes left = ether(packet({inner, protocol}, counting(333)), tags);
                        const Bytes frame = ether(packet(wish, head + left));
                        REQUIRE_FALSE(checksums_hold(frame));
                        const Bytes done = finished(frame);
                        CHECK(checksums_hold(done));
                        CHECK(differing(done, frame) <= 2);

                        // A finished outer one that counted the inner one as finished.
                        wish.leaves_sum = true;
                        const Bytes whole = finished(ether(packet(wish, head + finished(left))));
                        REQUIRE(checksums_hold(whole));
                        Bytes partial = whole;
                        std::copy(left.begin(), left.end(), partial.end() - left.size());
                        CHECK(finished(partial) == whole);
                        // The outer one left over, the inner one whole.
                        const Bytes late = ether(packet(wish, head + finished(left)));
                        CHECK(finished(late) == whole);
                    }
                }
            }
        }
    }
}

TEST_CASE("UDP never ends up with the sum that means none", "[finish_sums]") {
    // Two bytes of payload make the sum come out as 0.
    Bytes frame = ether(packet({}, {0, 0}));
    const Bytes first = finished(frame);
    frame[42] = first[40];
    frame[43] = first[41];
    const Bytes done = finished(frame);
    CHECK(done[40] == 0xff);
    CHECK(done[41] == 0xff);
    CHECK(checksums_hold(done));
    // TCP has no such word.
    Bytes tcp = ether(packet({4, kTcp}, {0, 0}));
    const Bytes other = finished(tcp);
    tcp[54] = other[50];
    tcp[55] = other[51];
    CHECK(finished(tcp)[50] == 0);
    CHECK(finished(tcp)[51] == 0);
}

TEST_CASE("what is no unfinished checksum stays as it is", "[finish_sums]") {
    const auto stays = [](const Bytes& frame) { return finished(frame) == frame; };
    const Bytes udp = ether(packet({}, counting(20)));
    CHECK_FALSE(stays(udp));
    Bytes wrong = udp;
    wrong[41] ^= 1;  // damaged: the data path has to see that
    CHECK(stays(wrong));
    Wish none{};
    none.leaves_sum = false;
    CHECK(stays(ether(packet(none, counting(20)))));
    for (const uint16_t fragment : {0x2000, 0x2010, 0x0010}) {
        Wish piece{};
        piece.fragment = fragment;
        Bytes frame = ether(packet(piece, counting(20)));
        CHECK(stays(frame));
        put16(frame, 6, 0x0a00 + 1 + 0x0a00 + 2);  // what is known of its pseudo header
        CHECK(stays(frame));
        none.port = 6081;
        CHECK(stays(ether(packet(none, kGeneve + frame))));
    }
    Bytes icmp = udp;
    icmp[23] = 1;
    CHECK(stays(icmp));
    put16(icmp, 50, 0x0a00 + 1 + 0x0a00 + 2 + 1 + (icmp.size() - 34));
    CHECK(stays(icmp));
    Bytes version = udp;
    version[14] = 0x65;
    CHECK(stays(version));
    // Headers too short to be, with what would be the pseudo header's sum if they could.
    Bytes header = udp;
    header[14] = 0x44;
    put16(header, 36, 0x0a00 + 1 + 0x0a00 + 2 + 17 + (udp.size() - 14 - 16));
    CHECK(stays(header));
    Bytes tcp = ether(packet({4, kTcp}, counting(20)));
    put16(tcp, 16, 28);
    put16(tcp, 50, 0x0a00 + 1 + 0x0a00 + 2 + 6 + 8);
    CHECK(stays(tcp));
    Bytes total = udp;
    put16(total, 16, udp.size() - 13);  // more than there is
    CHECK(stays(total));
    put16(total, 16, 27);  // less than a header
    CHECK(stays(total));
    CHECK(stays(plain(3)));
    // No Ethernet inside.
    Wish tunnel{4, kUdp, 6081};
    tunnel.leaves_sum = false;
    Bytes other = kGeneve;
    other[2] = 8;
    other[3] = 0;
    CHECK(stays(ether(packet(tunnel, other + udp))));
    // Options beyond the end, and nothing behind them.
    for (const size_t length : {54u, 60u}) {
        Bytes options = kGeneve + Bytes(length);
        options[0] = 63;
        CHECK(stays(ether(packet(tunnel, options))));
    }
    // TCP carries no tunnel.
    Wish stream{4, kTcp, 4789};
    stream.leaves_sum = false;
    CHECK(stays(ether(packet(stream, kVxlan + udp))));
}

TEST_CASE("no length of any frame leads out of it", "[finish_sums]") {
    Wish tunnel{4, kUdp, 6081};
    tunnel.leaves_sum = false;
    const Bytes inner = ether(packet({6, kTcp}, counting(30)), {0x81, 0, 0, 7});
    const std::vector<Bytes> frames = {
        ether(packet({4, kTcp, 80, 10}, counting(3))), ether(packet({6, kUdp}, {})),
        ether(packet(tunnel, kGeneveOption + inner)), ether(packet(tunnel, kVxlan + inner))};
    std::mt19937 random(3);
    for (const Bytes& frame : frames) {
        for (size_t length = 0; length <= frame.size(); ++length) {
            for (unsigned round = 0; round < 40; ++round) {
                // On the heap in its very length: the sanitizers see a byte too many.
                const std::unique_ptr<uint8_t[]> bytes(new uint8_t[length + 4]);
                std::copy_n(frame.begin(), length, bytes.get());
                std::fill_n(bytes.get() + length, 4, uint8_t{0xa5});
                for (unsigned n = length ? round % 4 : 0; n > 0; --n) {
                    bytes[random() % length] = static_cast<uint8_t>(random());
                }
                const std::unique_ptr<uint8_t[]> exact(new uint8_t[length]);
                std::copy_n(bytes.get(), length, exact.get());
                pmd::finish_sums(bytes.get(), length);
                pmd::finish_sums(exact.get(), length);
                REQUIRE(std::equal(exact.get(), exact.get() + length, bytes.get()));
                REQUIRE(std::count(bytes.get() + length, bytes.get() + length + 4, 0xa5) == 4);
            }
        }
    }
}
