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
// The inner checksum costs nothing where the outer one was verified: what that covered less the
// headers is the segment's sum (datapath/tunnel/decap.cc).
// Threads: the worker's own; no allocation.
#pragma once

#include <array>
#include <cstdint>

struct rte_mbuf;

namespace sluice {

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
};

struct Joins {
    static constexpr unsigned kFlows = 8;
    unsigned n = 0;
    std::array<JoinFlow, kFlows> flows;
};

/// Looks at a segment that came by tunnel and whose item is filled but for its cache key. True: it
/// became part of an item before it, and its item is free again.
bool join(WorkerCtx& ctx, Item* item);

/// Before items are forwarded: writes the headers of what was joined.
void end_joins(WorkerCtx& ctx);

}  // namespace sluice
