// SPDX-License-Identifier: Apache-2.0
// Joining: TCP segments from a tunnel that follow one another become one super-frame again.
//
// What. A guest with TSO takes 64 KB at a time as gladly as it hands them over; what arrives for it
// by tunnel has been cut for the wire. Segments of one connection in one burst are put together
// behind the first one's headers, before the cache is asked: one probe, one program, one entry in
// the guest's ring. Only where the logical port that the tunnel names is local and takes
// super-frames.
// Design. The rules are those of Linux' GRO: a segment joins when it continues the sequence and its
// headers equal the first one's but for lengths, checksums, identification and PSH; when it is no
// longer than the first; when the one before it was of full length and did not push; when its
// checksum is right. So cutting the result gives the segments back as they were: identifications
// count on as the cutter counts. The frame's segment size is the first one's payload. What has
// options of IPv4, extension headers, fragments or flags other than ACK, PSH and ECE never joins;
// nor does a segment that pushes where the pipeline reads TCP flags, as the key is the first one's.
// Segments of other flows may lie between, one of the same flow that does not join ends it.
// The frame's length class is the first segment's, which is the longest, and is what any
// super-frame has (wire_length()): so check_pkt_larger() says of it what it says of the segments.
// A segment whose outer and inner headers are those of a frame in the making, but for lengths,
// identifications, sequence, PSH and checksums, goes where that one went: it is not even parsed
// (join_as_before()). All else takes the whole way and may still join at its end.
// The inner checksum costs nothing where the outer one was verified: what that covered less the
// headers is the segment's sum (datapath/tunnel/decap.cc).
// Threads: the worker's own; no allocation.
#pragma once

#include <array>
#include <cstdint>

struct rte_mbuf;

namespace sluice {

struct Datapath;
struct Item;
struct WorkerCtx;

/// A super-frame in the making.
struct JoinFlow {
    Item* item;  ///< of its first segment
    rte_mbuf* tail;
    uint32_t next_seq;
    uint16_t l3;
    uint16_t l4;
    uint16_t payload;
    uint16_t segment;  ///< bytes of payload of the first
    uint16_t next_id;
    uint16_t id_step;  ///< 0: all have the same
    uint16_t pieces;
    uint8_t new_flags;  ///< PSH of the last
    bool is_open;       ///< more may join
    bool ip6;
    // What segments like the first are known by, before anybody parsed them.
    uint16_t outer;                 ///< bytes in front of the inner frame; 0: not to be known
    uint16_t udp;                   ///< offset of the outer UDP header
    std::array<uint8_t, 192> mask;  ///< of what must be equal, from the outer Ethernet header on
    // What those headers, less what is masked out, sum up to.
    uint64_t outer_ip_sum;  ///< IPv4 header
    uint64_t udp_sum;       ///< outer pseudo header, and UDP header to the inner TCP header
    uint64_t ip_sum;        ///< IPv4 header
    uint64_t tcp_sum;       ///< pseudo header and TCP header
    uint32_t pseudo_sum;    ///< the inner one
};

struct Joins {
    static constexpr unsigned kFlows = 8;
    unsigned n = 0;
    std::array<JoinFlow, kFlows> flows;
    // The last answer of this turn to "does the port behind a tunnel's outport take them".
    const Datapath* asked = nullptr;
    uint32_t asked_outport = 0;
    bool is_wanted = false;
    uint64_t table = 0;        ///< version of the port table that the next is about
    bool takes_super = false;  ///< some port does
};

/// At the begin of each turn, once the port table is known.
void begin_joins(WorkerCtx& ctx);

/// Looks at a segment that came by tunnel and whose item is filled but for its cache key. True: it
/// became part of an item before it, and its item is free again. `outer`: bytes of its outer header
/// that still lie in front of it, 0: none.
bool join(WorkerCtx& ctx, Item* item, uint16_t outer);

/// Looks at a frame as it was received. True: it was a segment like those before and is part of an
/// item now. False: it is as it was.
bool join_as_before(WorkerCtx& ctx, rte_mbuf* m);

/// Before items are forwarded: writes the headers of what was joined.
void end_joins(WorkerCtx& ctx);

}  // namespace sluice
