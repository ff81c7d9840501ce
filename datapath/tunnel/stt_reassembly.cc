// SPDX-License-Identifier: Apache-2.0
#include "datapath/tunnel/stt_reassembly.h"

#include <rte_mbuf.h>

#include <bit>
#include <cstring>

namespace sluice {
namespace {

constexpr uint8_t kCe = 3;

}  // namespace

struct SttReassembly::Piece {
    rte_mbuf* m;
    uint16_t offset;
    uint16_t length;
    uint32_t next;  ///< by offset; of free ones the next free
    uint32_t previous;
};

struct SttReassembly::Waiting {
    Id id;
    uint64_t deadline_ms;
    uint32_t bucket;
    uint32_t next_in_bucket;  ///< of free ones the next free
    uint32_t older, newer;
    uint32_t source;
    uint32_t older_of_source, newer_of_source;
    uint32_t first, last;  ///< pieces
    uint32_t total;
    uint32_t bytes;
    uint32_t buffers;
    uint16_t segments;
    uint8_t ecn;
};

struct SttReassembly::Source {
    uint64_t address[2];
    uint64_t family;
    uint32_t bucket;
    uint32_t next_in_bucket;  ///< of free ones the next free
    uint32_t oldest, newest;  ///< frames
    uint32_t frames;
    uint32_t buffers;
};

SttReassembly::SttReassembly(const SttLimits& limits, uint64_t seed, Discard discard, void* owner)
    : limits_(limits),
      hash_(seed),
      discard_(discard),
      owner_(owner),
      mask_(std::bit_ceil(limits.frames) - 1),
      waiting_(std::make_unique<Waiting[]>(limits.frames)),
      pieces_(std::make_unique<Piece[]>(limits.buffers)),
      sources_(std::make_unique<Source[]>(limits.frames)),
      buckets_(std::make_unique<uint32_t[]>(mask_ + 1)),
      source_buckets_(std::make_unique<uint32_t[]>(mask_ + 1)) {
    for (uint32_t i = limits.frames; i-- > 0;) {
        waiting_[i].next_in_bucket = free_waiting_;
        sources_[i].next_in_bucket = free_source_;
        free_waiting_ = free_source_ = i + 1;
    }
    for (uint32_t i = limits.buffers; i-- > 0;) {
        pieces_[i].next = free_piece_;
        free_piece_ = i + 1;
    }
}

SttReassembly::~SttReassembly() {
    while (oldest_) {
        Waiting* w = &waiting_[oldest_ - 1];
        for (uint32_t p = w->first; p; p = pieces_[p - 1].next) {
            rte_pktmbuf_free(pieces_[p - 1].m);
        }
        release(w);
    }
}

SttReassembly::Id SttReassembly::id_of(const SttSegment& segment) {
    Id id;
    std::memcpy(&id.w[0], segment.src, 16);
    std::memcpy(&id.w[2], segment.dst, 16);
    id.w[4] = uint64_t{segment.id} << 32 | uint64_t{segment.src_port} << 16 | segment.ip6;
    return id;
}

SttReassembly::Waiting* SttReassembly::find(const Id& id, uint64_t hash) {
    uint32_t i = buckets_[hash & mask_];
    while (i && waiting_[i - 1].id != id) {
        i = waiting_[i - 1].next_in_bucket;
    }
    return i ? &waiting_[i - 1] : nullptr;
}

/// Null when it has no frames here and no place is left for another source.
SttReassembly::Source* SttReassembly::source_of(const Id& id) {
    const uint64_t words[3] = {id.w[0], id.w[1], id.w[4] & 1};
    const auto bucket = static_cast<uint32_t>(hash_.of(words)) & mask_;
    for (uint32_t i = source_buckets_[bucket]; i; i = sources_[i - 1].next_in_bucket) {
        Source& s = sources_[i - 1];
        if (s.address[0] == words[0] && s.address[1] == words[1] && s.family == words[2]) {
            return &s;
        }
    }
    if (free_source_ == 0) {
        return nullptr;
    }
    const uint32_t index = free_source_;
    Source& s = sources_[index - 1];
    free_source_ = s.next_in_bucket;
    s = Source{{words[0], words[1]}, words[2], bucket, source_buckets_[bucket], 0, 0, 0, 0};
    source_buckets_[bucket] = index;
    return &s;
}

/// A frame without segments yet. The caller has seen to it that there is a slot.
SttReassembly::Waiting* SttReassembly::start(const Id& id, uint64_t hash, const SttSegment& segment,
                                             uint64_t now_ms) {
    Source* source = source_of(id);
    const uint32_t index = free_waiting_;
    Waiting* w = &waiting_[index - 1];
    free_waiting_ = w->next_in_bucket;
    *w = Waiting{};
    w->id = id;
    w->deadline_ms = now_ms + kTimeout_ms;
    w->bucket = static_cast<uint32_t>(hash & mask_);
    w->next_in_bucket = buckets_[w->bucket];
    buckets_[w->bucket] = index;
    w->total = segment.total;
    w->older = newest_;
    (newest_ ? waiting_[newest_ - 1].newer : oldest_) = index;
    newest_ = index;
    w->source = static_cast<uint32_t>(source - sources_.get()) + 1;
    w->older_of_source = source->newest;
    (source->newest ? waiting_[source->newest - 1].newer_of_source : source->oldest) = index;
    source->newest = index;
    ++source->frames;
    ++n_frames_;
    return w;
}

/// Takes a frame out of every list. Its segments are somebody else's by now.
void SttReassembly::release(Waiting* w) {
    const auto index = static_cast<uint32_t>(w - waiting_.get()) + 1;
    uint32_t* link = &buckets_[w->bucket];
    while (*link != index) {
        link = &waiting_[*link - 1].next_in_bucket;
    }
    *link = w->next_in_bucket;
    (w->older ? waiting_[w->older - 1].newer : oldest_) = w->newer;
    (w->newer ? waiting_[w->newer - 1].older : newest_) = w->older;
    Source& s = sources_[w->source - 1];
    (w->older_of_source ? waiting_[w->older_of_source - 1].newer_of_source : s.oldest) =
        w->newer_of_source;
    (w->newer_of_source ? waiting_[w->newer_of_source - 1].older_of_source : s.newest) =
        w->older_of_source;
    s.buffers -= w->buffers;
    n_buffers_ -= w->buffers;
    --n_frames_;
    if (w->first) {
        pieces_[w->last - 1].next = free_piece_;
        free_piece_ = w->first;
    }
    w->next_in_bucket = free_waiting_;
    free_waiting_ = index;
    if (--s.frames == 0) {
        uint32_t* at = &source_buckets_[s.bucket];
        while (*at != w->source) {
            at = &sources_[*at - 1].next_in_bucket;
        }
        *at = s.next_in_bucket;
        s.next_in_bucket = free_source_;
        free_source_ = w->source;
    }
}

void SttReassembly::give_up(Waiting* w, Drop reason) {
    for (uint32_t p = w->first; p; p = pieces_[p - 1].next) {
        discard_(owner_, pieces_[p - 1].m, reason);
    }
    release(w);
}

void SttReassembly::expire_old(uint64_t now_ms, unsigned budget) {
    while (oldest_ && budget-- > 0 && waiting_[oldest_ - 1].deadline_ms <= now_ms) {
        give_up(&waiting_[oldest_ - 1], Drop::k_stt_timeout);
    }
}

/// Room for that many buffers more of `keep`, at the cost of older frames but not of itself.
bool SttReassembly::make_room(const Waiting* keep, uint32_t buffers) {
    const auto self = static_cast<uint32_t>(keep - waiting_.get()) + 1;
    const Source& source = sources_[keep->source - 1];
    while (source.buffers + buffers > limits_.buffers_per_source) {
        const uint32_t victim = source.oldest != self ? source.oldest : keep->newer_of_source;
        if (victim == 0) {
            return false;
        }
        give_up(&waiting_[victim - 1], Drop::k_stt_evicted);
    }
    while (n_buffers_ + buffers > limits_.buffers) {
        const uint32_t victim = oldest_ != self ? oldest_ : keep->newer;
        if (victim == 0) {
            return false;
        }
        give_up(&waiting_[victim - 1], Drop::k_stt_evicted);
    }
    return true;
}

/// Puts a segment in its place among the others of its frame.
Drop SttReassembly::insert(Waiting* w, rte_mbuf* m, const SttSegment& segment) {
    if (segment.total != w->total) {
        return Drop::k_stt_length;
    }
    uint32_t before = w->last;
    while (before && pieces_[before - 1].offset > segment.offset) {
        before = pieces_[before - 1].previous;
    }
    const uint32_t after = before ? pieces_[before - 1].next : w->first;
    if ((before &&
         uint32_t{pieces_[before - 1].offset} + pieces_[before - 1].length > segment.offset) ||
        (after && segment.offset + segment.length > pieces_[after - 1].offset)) {
        return Drop::k_stt_overlap;
    }
    if (w->segments == limits_.segments_per_frame) {
        return Drop::k_stt_pieces;
    }
    if (!make_room(w, m->nb_segs)) {
        return Drop::k_stt_evicted;
    }
    const uint32_t index = free_piece_;
    Piece& piece = pieces_[index - 1];
    free_piece_ = piece.next;
    piece = {m, static_cast<uint16_t>(segment.offset), static_cast<uint16_t>(segment.length), after,
             before};
    (before ? pieces_[before - 1].next : w->first) = index;
    (after ? pieces_[after - 1].previous : w->last) = index;
    w->bytes += segment.length;
    w->buffers += m->nb_segs;
    sources_[w->source - 1].buffers += m->nb_segs;
    n_buffers_ += m->nb_segs;
    ++w->segments;
    if (segment.ecn == kCe || (segment.offset == 0 && w->ecn != kCe)) {
        w->ecn = segment.ecn;
    }
    return Drop::k_none;
}

/// All segments in one chain.
void SttReassembly::finish(Waiting* w, Frame* out) {
    rte_mbuf* head = pieces_[w->first - 1].m;
    rte_mbuf* tail = rte_pktmbuf_lastseg(head);
    for (uint32_t p = pieces_[w->first - 1].next; p; p = pieces_[p - 1].next) {
        rte_mbuf* m = pieces_[p - 1].m;
        head->nb_segs = static_cast<uint16_t>(head->nb_segs + m->nb_segs);
        head->pkt_len += m->pkt_len;
        tail->next = m;
        tail = rte_pktmbuf_lastseg(m);
    }
    out->m = head;
    out->ecn = w->ecn;
    release(w);
}

SttReassembly::Verdict SttReassembly::add(rte_mbuf* m, const SttSegment& segment, uint64_t now_ms,
                                          Frame* frame) {
    const Id id = id_of(segment);
    const uint64_t hash = hash_.of(id.w);
    Waiting* w = find(id, hash);
    if (!w) {
        if (n_frames_ == limits_.frames) {
            give_up(&waiting_[oldest_ - 1], Drop::k_stt_evicted);
        }
        w = start(id, hash, segment, now_ms);
        const Source& source = sources_[w->source - 1];
        if (source.frames > limits_.frames_per_source) {
            give_up(&waiting_[source.oldest - 1], Drop::k_stt_evicted);
        }
    }
    frame->reason = insert(w, m, segment);
    if (frame->reason != Drop::k_none) {
        if (w->segments == 0) {
            release(w);
        } else if (frame->reason == Drop::k_stt_pieces) {
            give_up(w, Drop::k_stt_pieces);
        }
        return Verdict::kRefused;
    }
    if (w->bytes < w->total) {
        return Verdict::kHeld;
    }
    finish(w, frame);
    return Verdict::kComplete;
}

}  // namespace sluice
