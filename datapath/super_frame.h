// SPDX-License-Identifier: Apache-2.0
// Super-frames: TCP that its sender left uncut, one packet of up to 64 KB from port to port.
//
// What. A guest with TSO hands over one TCP packet with the segment size to cut it to. Where the
// port that it leaves by can cut (or hand it to a guest uncut), or STT carries it, it is forwarded
// as one packet: one parse, one program, one copy. Everywhere else it is cut here, at the last
// moment: before a port that cannot, and before the slow path, which see packets of wire size. UDP
// tunnels encapsulate it once: the outer header goes in front of each piece as it is cut, and the
// payload is summed once, as it is copied: what a right inner checksum covers sums up to its pseudo
// header's complement, which is all that the outer checksum needs to know of it.
// Design. A super-frame is an mbuf with RTE_MBUF_F_TX_TCP_SEG and tso_segsz. Its TCP checksum field
// means nothing: it is not there yet when the frame arrives (RX_L4_CKSUM_GOOD says that the data is
// sound), edits may move it, and whoever sends it makes it anew: the pseudo header's sum for a
// device or for STT, the whole for each piece that is cut. The flag outlives edits, copies and
// transforms; so the headers are read again from the bytes, and what is no TCP any more is sent as
// it is. Cutting is what Linux does: IPv4 id and sequence number count on, CWR stays with the first
// piece, FIN and PSH with the last, the id of an atomic packet (DF) that is 0 stays 0.
//
// In the other direction segments from tunnels become super-frames again: datapath/join.h.
// An STT frame longer than the path's MTU is a super-frame, too (datapath/tunnel/stt.h).
// Threads: the worker's own.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "lib/program/key.h"
#include "lib/program/ports.h"
#include "lib/program/tunnel.h"

namespace sluice {

struct WorkerCtx;

inline bool is_super(const rte_mbuf* m) {
    return m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
}
inline void make_plain(rte_mbuf* m) {
    m->ol_flags &= ~RTE_MBUF_F_TX_TCP_SEG;
    m->tx_offload = 0;
}
/// `segment`: TCP payload of the packets that it is to be cut into.
inline void make_super(rte_mbuf* m, uint16_t segment) {
    m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
    m->tx_offload = 0;
    m->tso_segsz = segment;
}

inline uint16_t segment_of(const rte_mbuf* m) {
    return static_cast<uint16_t>(m->tso_segsz);
}

/// Where the headers of a super-frame lie, by its bytes.
struct SuperLayout {
    uint16_t l3;       ///< offset of the IP header
    uint16_t l4;       ///< of the TCP header
    uint16_t payload;  ///< of what is behind it
    bool ip6;
    uint32_t end;  ///< past the IP packet
};
/// False when there is nothing to cut: no whole TCP packet, or not more than one segment of it.
/// `tcp`, when given, is told whether it is a TCP packet at all, whose layout this is then.
bool read_super(rte_mbuf* m, SuperLayout* layout, bool* tcp = nullptr);

/// Length of the longest frame that it will be on a wire; of others, their length.
uint32_t wire_length(const rte_mbuf* m, const PacketKey& key);

/// Sums up the pseudo header of the packet at `layout`: folded, not complemented.
uint16_t pseudo_sum(const uint8_t* l3, bool ip6, uint8_t proto, uint32_t l4_len);

/// Readies a super-frame for a port that cuts. False: the port cannot, or there is nothing to cut.
bool offload_super(rte_mbuf* m, const Port& port);

/// A UDP tunnel's header as it stands in front of a packet of any length.
struct OuterHeader {
    const uint8_t* bytes;
    uint16_t length;
    uint16_t l3;  ///< offset of the IP header
    uint16_t l4;  ///< of the UDP header
    bool ip6;
    bool is_summed;  ///< the UDP checksum is wanted
    bool has_id;     ///< each packet gets an identification of its own
};

/// Cuts a super-frame in software, a packet at a time, each with the original's metadata.
class SuperCutter {
public:
    /// Takes the packet over. With `outer`, which stays there, each piece is encapsulated; then the
    /// packet must be one that read_super() finds something to cut in.
    SuperCutter(WorkerCtx& ctx, rte_mbuf* m, const OuterHeader* outer = nullptr);
    ~SuperCutter();
    SuperCutter(const SuperCutter&) = delete;
    SuperCutter& operator=(const SuperCutter&) = delete;

    /// The next packet, the caller's; null at the end, or out of buffers (counted).
    rte_mbuf* next();
    /// Packets cut so far.
    uint16_t pieces() const { return index_; }

    static constexpr unsigned kMaxHeaders = 256;  ///< longer ones are dropped

private:
    /// The template: the outer header, the headers of the packet, fields that differ from piece to
    /// piece zero; and what its parts sum up to, so that a piece's checksums cost a few additions.
    struct Template {
        uint8_t bytes[Tunnel::kMaxHeader + kMaxHeaders];
        uint16_t length;     ///< of all
        uint32_t ip;         ///< sum of the IPv4 header
        uint64_t tcp;        ///< of the TCP header and its pseudo header
        uint32_t pseudo;     ///< of the latter alone
        uint32_t outer_ip;   ///< as `ip`
        uint64_t outer_udp;  ///< of all from the UDP header to the inner IPv4 header, or past the
                             ///< IPv6 header; and of its pseudo header
        uint32_t seq;
        uint16_t id;
        uint16_t outer_id;
        uint8_t flags;
        bool is_atomic;  ///< the id stays
    };
    void make_template();
    void make_outer_template();
    rte_mbuf* take_buffer();
    bool copy_payload(rte_mbuf* to, uint32_t n, uint64_t* sum);
    void write_headers(uint8_t* at, uint32_t n, uint64_t payload_sum) const;
    void write_outer(uint8_t* at, uint32_t n) const;

    static constexpr unsigned kBuffers = 32;

    WorkerCtx& ctx_;
    const OuterHeader* outer_;
    rte_mbuf* m_;           ///< null: nothing more to come
    const rte_mbuf* from_;  ///< where the next byte of payload lies,
    uint32_t from_offset_;  ///< and where in it
    uint32_t left_ = 0;     ///< bytes of payload
    uint32_t done_ = 0;     ///< bytes of payload
    uint16_t index_ = 0;    ///< of the next packet
    bool is_cut_ = false;   ///< false: the packet itself is the only one
    SuperLayout layout_{};
    unsigned n_buffers_ = 0;  ///< taken and not used yet
    rte_mbuf* buffers_[kBuffers];
    Template template_;
};

}  // namespace sluice
