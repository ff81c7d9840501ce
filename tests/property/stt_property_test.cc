// SPDX-License-Identifier: Apache-2.0
// STT from end to end: random frames, MTUs, orders and repetitions come out as they went in; random
// bytes in the place of segments never do harm.
#include "tests/unit/datapath/stt_lab.h"

using namespace sluice;
using namespace sluice::test;

namespace {

size_t pick(std::minstd_rand* random, size_t least, size_t most) {
    return least + (*random)() % (most - least + 1);
}

}  // namespace

TEST_CASE("any frame, any MTU, shuffled and repeated", "[stt][property]") {
    std::minstd_rand random(4711);
    SttReceiver receiver;
    for (unsigned round = 0; round < 150; ++round) {
        const bool v6 = random() % 2;
        const auto mtu = static_cast<uint16_t>(pick(&random, 576, 9000));
        SttSender sender(stt_tunnel(v6, mtu));
        Bytes inner;
        std::vector<Sent> sent;
        const bool super = random() % 3 == 0;
        if (super) {
            const auto segment = static_cast<uint16_t>(pick(&random, 100, 8000));
            inner = tcp_frame(pick(&random, 1, 60000), random() % 2);
            sent = sender.send(inner, segment, kVerified);
        } else {
            inner = udp_frame(pick(&random, 60, 65000), round + 1);
            sent = sender.send(inner, 0, random() % 2 ? kVerified : 0);
        }
        REQUIRE(!sent.empty());
        std::vector<Bytes> wire;
        for (const Sent& s : sent) {
            CHECK(s.bytes.size() <= mtu + 14u);
            wire.push_back(s.bytes);
            if (random() % 4 == 0) {
                wire.push_back(s.bytes);
            }
        }
        std::shuffle(wire.begin(), wire.end(), random);
        for (const Bytes& b : wire) {
            receiver.lab.send(kUplink, b);
        }
        const auto out = receiver.ports.frames(0);
        if (!super) {
            REQUIRE(out.size() >= 1);
            CHECK(out[0] == inner);
        } else {
            Bytes payload;
            const bool inner6 = at16(inner, 12) == 0x86dd;
            const size_t headers = inner6 ? 74 : 54;
            for (const Bytes& piece : out) {
                CHECK(l4_sum(piece) == 0xffff);
                const size_t at = at32(piece, headers - 16) - at32(inner, headers - 16);
                if (at == payload.size()) {  // one that came twice as a whole is there twice
                    payload.insert(payload.end(), piece.begin() + static_cast<long>(headers),
                                   piece.end());
                }
            }
            CHECK(payload == slice(inner, headers, inner.size() - headers));
        }
        receiver.lab.wait_ms(501);
        for (unsigned i = 0; i < 20; ++i) {
            receiver.lab.wait_ms(0);
        }
        REQUIRE(receiver.lab.in_use() == 0);
    }
}

TEST_CASE("segments that are anything", "[stt][property]") {
    std::minstd_rand random(99);
    SttReceiver receiver;
    const Bytes inners[] = {udp_frame(900), tcp_frame(3000), tcp_frame(2000, true)};
    for (unsigned round = 0; round < 60000; ++round) {
        SttFrame f;
        f.inner = inners[random() % 3];
        f.inner.resize(random() % 4 ? f.inner.size() : random() % f.inner.size());
        f.flags = static_cast<uint8_t>(random() % 16);
        f.l4_offset = static_cast<uint8_t>(random() % 2 ? 34 + 20 * (random() % 2) : random());
        f.mss = static_cast<uint16_t>(random() % 2 ? 0 : random() % 3000);
        f.tci = static_cast<uint16_t>(random() % 3 ? 0 : random());
        Bytes frame = f.bytes();
        for (unsigned i = 0; i < random() % 3; ++i) {
            frame[random() % frame.size()] = static_cast<uint8_t>(random());
        }
        SttPiece s;
        s.v6 = random() % 2;
        s.id = static_cast<uint32_t>(random() % 8);
        s.src_port = static_cast<uint16_t>(50000 + random() % 2);
        s.source = static_cast<uint32_t>(random() % 4 + 1);
        s.total = static_cast<uint32_t>(random() % 3 ? frame.size() : random() % 3000);
        s.offset = static_cast<uint32_t>(random() % 3 ? 0 : random() % 3000);
        const size_t from = std::min<size_t>(s.offset, frame.size());
        s.payload = slice(
            frame, from, random() % 2 ? frame.size() - from : random() % (frame.size() - from + 1));
        s.tos = static_cast<uint8_t>(random());
        receiver.lab.send(kUplink, s.bytes());
        if (round % 64 == 0) {
            receiver.lab.wait_ms(random() % 100);
            receiver.ports.take(0);
        }
    }
    receiver.ports.take(0);
    receiver.lab.wait_ms(501);
    for (unsigned i = 0; i < 64; ++i) {
        receiver.lab.wait_ms(0);
    }
    CHECK(receiver.lab.in_use() == 0);
    CHECK(receiver.lab.count(Counter::k_tunnel_rx) > 1000);
}
