// SPDX-License-Identifier: Apache-2.0
// What the STT tests share: frames and segments made by hand, ports that say what they were given.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <random>

#include "tests/unit/datapath/geneve_lab.h"

namespace sluice::test {

inline constexpr uint16_t kSttPort = 7471;
// Datapath 3, inport 5, outport 9: 9 reserved bits, 15, 16, 24.
inline constexpr uint64_t kContext = uint64_t{5} << 40 | uint64_t{9} << 24 | 3;

inline void put(Bytes* to, uint64_t value, unsigned n) {
    for (unsigned i = n; i-- > 0;) {
        to->push_back(static_cast<uint8_t>(value >> 8 * i));
    }
}
inline uint32_t at16(const Bytes& b, size_t at) {
    return b[at] * 256u + b[at + 1];
}
inline uint32_t at32(const Bytes& b, size_t at) {
    return at16(b, at) << 16 | at16(b, at + 2);
}
inline Bytes slice(const Bytes& b, size_t from, size_t n) {
    return {b.begin() + static_cast<long>(from), b.begin() + static_cast<long>(from + n)};
}

struct SttFrame {
    uint8_t version = 0;
    uint8_t flags = 0;
    uint8_t l4_offset = 0;
    uint16_t mss = 0;
    uint16_t tci = 0;
    uint64_t context = kContext;
    Bytes inner;

    Bytes bytes() const {
        Bytes b = {version, flags, l4_offset, 0};
        put(&b, mss, 2);
        put(&b, tci, 2);
        put(&b, context, 8);
        put(&b, 0, 2);
        b.insert(b.end(), inner.begin(), inner.end());
        return b;
    }
};

struct SttPiece {
    bool v6 = false;
    uint32_t total = 0;
    uint32_t offset = 0;
    uint32_t id = 0x5678;
    uint16_t src_port = 50001;
    uint32_t source = ip(192, 0, 2, 1);  ///< the low bits of an IPv6 address
    uint8_t tos = 0;
    bool spoil = false;
    Bytes payload;

    Bytes bytes() const {
        Bytes tcp;
        put(&tcp, src_port, 2);
        put(&tcp, kSttPort, 2);
        put(&tcp, total, 2);
        put(&tcp, offset, 2);
        put(&tcp, id, 4);
        put(&tcp, offset + payload.size() == total ? 0x5018 : 0x5010, 2);
        put(&tcp, 0xffff, 2);
        put(&tcp, 0, 4);
        tcp.insert(tcp.end(), payload.begin(), payload.end());
        PacketBuilder b;
        b.eth(0x0200000000aa, 0x0200000000bb);
        if (v6) {
            b.ip6(ip6(0xfd00, source), ip6(0xfd00, 2), 6);
        } else {
            b.ip4(source, ip(192, 0, 2, 2), 6).df().id(0);
        }
        Bytes frame = b.tos(tos).raw(tcp).bytes();
        const size_t l4 = v6 ? 54 : 34;
        uint32_t sum = word_sum(&frame[v6 ? 22 : 26], v6 ? 32 : 8) + 6 +
                       static_cast<uint32_t>(tcp.size()) + word_sum(tcp.data(), tcp.size());
        while (sum >> 16) {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum = ~sum ^ (spoil ? 1 : 0);
        frame[l4 + 16] = static_cast<uint8_t>(sum >> 8);
        frame[l4 + 17] = static_cast<uint8_t>(sum);
        return frame;
    }
};

/// The segments of a frame, in order, `size` bytes of it each.
inline std::vector<SttPiece> segments_of(const Bytes& frame, size_t size, SttPiece like = {}) {
    std::vector<SttPiece> all;
    for (size_t at = 0; at < frame.size(); at += size) {
        like.total = static_cast<uint32_t>(frame.size());
        like.offset = static_cast<uint32_t>(at);
        like.payload = slice(frame, at, std::min(size, frame.size() - at));
        all.push_back(like);
    }
    return all;
}

/// A UDP frame of that length whose payload does not repeat.
inline Bytes udp_frame(size_t length, unsigned seed = 1) {
    std::minstd_rand random(seed);
    Bytes payload(length - 42);
    for (uint8_t& b : payload) {
        b = static_cast<uint8_t>(random() >> 8);
    }
    return PacketBuilder()
        .eth(0x020000000001, 0x020000000002)
        .ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 2))
        .udp(4000, 9)
        .raw(payload);
}

/// What a port was asked to send.
struct Sent {
    Bytes bytes;
    uint64_t flags;
    unsigned segment;  ///< tso_segsz
    unsigned l2, l3, l4;
    unsigned pieces;
};

/// Ports with capabilities in the place of a Lab's own.
class Ports {
public:
    static constexpr unsigned kCount = 8;

    Ports(Lab* lab, const std::map<PortId, uint32_t>& caps, uint16_t mtu = 9000) {
        std::vector<PortTable::Entry> table;
        for (unsigned i = 0; i < kCount; ++i) {
            PortTable::Entry e;
            e.port.id = static_cast<PortId>(i);
            e.port.mtu = mtu;
            e.port.pool = test_pool();
            const auto found = caps.find(e.port.id);
            e.port.caps = found == caps.end() ? uint32_t{kPortTxMultiSeg} : found->second;
            e.tx.push_back({take_burst, &sent_[i]});
            table.push_back(std::move(e));
        }
        lab->ports.swap(std::make_unique<const PortTable>(std::move(table), 1));
    }
    std::vector<Sent> take(PortId port) {
        std::vector<Sent> out;
        out.swap(sent_[port]);
        return out;
    }
    std::vector<Bytes> frames(PortId port) {
        std::vector<Bytes> out;
        for (Sent& s : take(port)) {
            out.push_back(std::move(s.bytes));
        }
        return out;
    }

private:
    static uint16_t take_burst(void* ctx, rte_mbuf** pkts, uint16_t n) {
        for (uint16_t i = 0; i < n; ++i) {
            const rte_mbuf* m = pkts[i];
            static_cast<std::vector<Sent>*>(ctx)->push_back(
                {to_bytes(m), m->ol_flags, static_cast<unsigned>(m->tso_segsz),
                 static_cast<unsigned>(m->l2_len), static_cast<unsigned>(m->l3_len),
                 static_cast<unsigned>(m->l4_len), m->nb_segs});
            rte_pktmbuf_free(pkts[i]);
        }
        return n;
    }
    std::vector<Sent> sent_[kCount];
};

/// A hypervisor that speaks STT; what datapath 3 gets for outport 9 leaves by port 0.
struct SttReceiver : Receiver {
    Ports ports;

    explicit SttReceiver(uint32_t vif_caps = kPortTxMultiSeg, uint16_t mtu = 65000)
        : ports(&lab, {{0, vif_caps}}, mtu) {
        world.underlays[kUplink].stt_port = kSttPort;
        start();
    }
    void send(const std::vector<SttPiece>& list) {
        for (const SttPiece& s : list) {
            lab.send(kUplink, s.bytes());
        }
    }
    uint64_t drops(Drop reason) const { return lab.drops(reason); }
};

inline Tunnel stt_tunnel(bool v6 = false, uint16_t mtu = 1500) {
    Tunnel t = make_tunnel(v6);
    PacketBuilder b;
    b.eth(0x0200000000aa, 0x0200000000bb);
    if (v6) {
        b.ip6(ip6(0xfd00, 1), ip6(0xfd00, 2), 6);
    } else {
        b.ip4(ip(192, 0, 2, 1), ip(192, 0, 2, 2), 6).id(0);
    }
    Bytes header = b.bytes();
    header.resize(header.size() + 38);
    header[header.size() - 36] = kSttPort >> 8;
    header[header.size() - 35] = kSttPort & 0xff;
    std::copy(header.begin(), header.end(), t.header);
    t.header_len = static_cast<uint8_t>(header.size());
    t.type = TunnelType::kStt;
    t.mtu = mtu;
    t.room = 65535 - (v6 ? 78 : 58);
    return t;
}

/// A hypervisor that sends what port 1 gives it through an STT tunnel by port 7.
struct SttSender : Sender {
    Ports ports;

    explicit SttSender(const Tunnel& tunnel = stt_tunnel(), uint32_t uplink_caps = kPortTxMultiSeg)
        : Sender(tunnel), ports(&lab, {{kUplink, uplink_caps}}, 65000) {}
    std::vector<Bytes> send(const Bytes& frame) {
        lab.send(1, frame);
        return ports.frames(kUplink);
    }
    /// As a driver hands it up: a super-frame if `segment`, or with what it says of the checksum.
    std::vector<Sent> send(const Bytes& frame, uint16_t segment, uint64_t flags) {
        rte_mbuf* m = to_mbuf(frame);
        m->ol_flags |= flags | (segment ? RTE_MBUF_F_TX_TCP_SEG : 0);
        m->tso_segsz = segment;
        lab.worker->process_burst(&m, 1, 1);
        return ports.take(kUplink);
    }
};

inline constexpr uint64_t kVerified = RTE_MBUF_F_RX_L4_CKSUM_GOOD;

/// A TCP super-frame as a Linux guest leaves it: no checksum yet. `options`: bytes, of TCP.
inline Bytes tcp_frame(size_t payload, bool v6 = false, uint16_t flags = 0x19, int vid = -1) {
    PacketBuilder b;
    b.eth(0x020000000001, 0x020000000002);
    if (vid >= 0) {
        b.vlan(static_cast<uint16_t>(vid), 3);
    }
    if (v6) {
        b.ip6(ip6(0xfd01, 1), ip6(0xfd01, 2));
    } else {
        b.ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 2)).df();
    }
    std::minstd_rand random(7);
    Bytes data(payload);
    for (uint8_t& x : data) {
        x = static_cast<uint8_t>(random() >> 8);
    }
    return b.tcp(4000, 80, flags).raw(data);
}

/// The sum over pseudo header and L4: 0xffff when the checksum is right.
inline uint32_t l4_sum(const Bytes& frame) {
    const size_t l3 = at16(frame, 12) == 0x8100 ? 18 : 14;
    const bool v6 = at16(frame, l3 - 2) == 0x86dd;
    const size_t l4 = l3 + (v6 ? 40 : (frame[l3] & 15u) * 4u);
    const uint8_t proto = frame[l3 + (v6 ? 6 : 9)];
    const auto end =
        static_cast<uint32_t>(v6 ? l3 + 40 + at16(frame, l3 + 4) : l3 + at16(frame, l3 + 2));
    const auto len = static_cast<uint32_t>(end - l4);
    uint32_t sum =
        word_sum(&frame[l3 + (v6 ? 8 : 12)], v6 ? 32 : 8) + proto + len + word_sum(&frame[l4], len);
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

}  // namespace sluice::test
