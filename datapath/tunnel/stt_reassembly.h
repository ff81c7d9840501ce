// SPDX-License-Identifier: Apache-2.0
// SttReassembly: segments of STT frames that wait for the others, in any order, in bounded memory.
//
// What. add() takes a segment over (kHeld) until the last missing one of its frame comes
// (kComplete): then `frame` has the chain of all of them in order. A frame is told by outer
// addresses, source port and frame identifier. A segment that overlaps or repeats another, or says
// another length of the frame than the first that came, is refused; the others stay.
// Design. Everything is allocated by the constructor: slots for frames, places for segments. A
// frame has kTimeout_ms from its first segment on; a data centre reorders by microseconds. When
// slots or packet buffers run out the oldest frame goes, and a sender that has more than its share
// of either pays with its own oldest: a flood of half frames, from one address or many, costs old
// half frames, while those that are whole within microseconds come through. The hash is keyed.
// Segments are kept sorted by offset; those that come in order are appended.
// Threads: the worker that owns it.
#pragma once

#include <cstdint>
#include <memory>

#include "datapath/conntrack/keyed_hash.h"
#include "lib/stats/counters.h"

struct rte_mbuf;

namespace sluice {

struct SttLimits {
    uint32_t frames = 512;
    uint32_t buffers = 2048;           ///< mbufs
    uint32_t frames_per_source = 256;  ///< outer source address
    uint32_t buffers_per_source = 1536;
    uint32_t segments_per_frame = 192;  ///< 64 KB at an MTU of 576 is 123
};

/// What a segment says; its mbuf holds the slice of the frame and nothing else.
struct SttSegment {
    uint8_t src[16];  ///< IPv4: the first four bytes, the rest zero
    uint8_t dst[16];
    uint32_t id;
    uint16_t src_port;
    bool ip6;
    uint8_t ecn;
    uint32_t total;
    uint32_t offset;
    uint32_t length;
};

class SttReassembly {
public:
    static constexpr uint64_t kTimeout_ms = 500;

    enum class Verdict : uint8_t {
        kHeld,
        kComplete,  ///< the frame is the caller's
        kRefused,   ///< the segment stays the caller's, `reason` says why
    };
    struct Frame {
        rte_mbuf* m;
        uint8_t ecn;  ///< CE if any segment had it, else that of the first
        Drop reason;  ///< of kRefused
    };
    /// Takes over a segment of a frame that was given up.
    using Discard = void (*)(void* owner, rte_mbuf* m, Drop reason);

    SttReassembly(const SttLimits& limits, uint64_t seed, Discard discard, void* owner);
    ~SttReassembly();
    SttReassembly(const SttReassembly&) = delete;
    SttReassembly& operator=(const SttReassembly&) = delete;

    /// `segment` is bounded: offset + length <= total, length > 0.
    Verdict add(rte_mbuf* m, const SttSegment& segment, uint64_t now_ms, Frame* frame);
    /// Gives up frames whose time is over, `budget` at most.
    void expire(uint64_t now_ms, unsigned budget) {
        if (oldest_ != 0) {
            expire_old(now_ms, budget);
        }
    }
    uint32_t frames() const { return n_frames_; }
    uint32_t buffers() const { return n_buffers_; }

private:
    struct Id {
        uint64_t w[5];
        bool operator==(const Id&) const = default;
    };
    struct Piece;
    struct Waiting;
    struct Source;

    static Id id_of(const SttSegment& segment);
    void expire_old(uint64_t now_ms, unsigned budget);
    Waiting* find(const Id& id, uint64_t hash);
    Waiting* start(const Id& id, uint64_t hash, const SttSegment& segment, uint64_t now_ms);
    Source* source_of(const Id& id);
    bool make_room(const Waiting* keep, uint32_t buffers);
    Drop insert(Waiting* frame, rte_mbuf* m, const SttSegment& segment);
    void finish(Waiting* frame, Frame* out);
    void give_up(Waiting* frame, Drop reason);
    void release(Waiting* frame);

    const SttLimits limits_;
    const KeyedHash hash_;
    const Discard discard_;
    void* const owner_;
    const uint32_t mask_;
    // All links are index + 1; 0: none.
    std::unique_ptr<Waiting[]> waiting_;
    std::unique_ptr<Piece[]> pieces_;
    std::unique_ptr<Source[]> sources_;
    std::unique_ptr<uint32_t[]> buckets_;
    std::unique_ptr<uint32_t[]> source_buckets_;
    uint32_t free_waiting_ = 0;
    uint32_t free_piece_ = 0;
    uint32_t free_source_ = 0;
    uint32_t oldest_ = 0;
    uint32_t newest_ = 0;
    uint32_t n_frames_ = 0;
    uint32_t n_buffers_ = 0;
};

}  // namespace sluice
