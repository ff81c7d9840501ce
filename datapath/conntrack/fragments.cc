// SPDX-License-Identifier: Apache-2.0
#include "datapath/conntrack/fragments.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "datapath/conntrack/facts.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

using namespace wire;

constexpr uint32_t kMaxPayload = 65535;

uint32_t memory_of(const rte_mbuf* m) {
    uint32_t bytes = 0;
    for (; m; m = m->next) {
        bytes += static_cast<uint32_t>(sizeof(rte_mbuf)) + m->priv_size + m->buf_len;
    }
    return bytes;
}

template <typename T>
void bump(std::atomic<T>& counter, T by = 1) {
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

uint64_t load64(const uint8_t* p) {
    uint64_t v;
    std::memcpy(&v, p, 8);
    return v;
}

}  // namespace

/// What a fragment says of itself.
struct FragTable::Fragment {
    Id id;
    uint32_t start;    ///< of its payload in the packet's
    uint32_t end;      ///< past it
    uint32_t offset;   ///< of its payload in the frame
    uint32_t l3_size;  ///< from the IP header on
    bool more;
    bool is_v6;
};

struct FragTable::Datagram {
    struct Piece {
        rte_mbuf* m;
        uint16_t start;
        uint16_t size;
        uint16_t offset;  ///< of the payload in the frame
    };
    Id id;
    uint64_t hash;
    uint64_t deadline_ms;
    uint32_t next_in_chain;  // index + 1; of free ones the next free
    uint32_t older, newer;
    uint32_t memory;
    uint32_t payload;  ///< bytes here
    uint32_t end;      ///< of the packet's payload, 0 while the last fragment is missing
    uint32_t reach;    ///< highest end seen
    uint8_t count;
    bool is_dead;  ///< overlapped or too many: what else comes is refused
    Piece pieces[kMaxPieces];
};

FragTable::FragTable(const FragTableConfig& config) : config_(config), hash_(config.seed) {
    slots_ = static_cast<uint32_t>(std::clamp<uint64_t>(config.memory_bytes / 8192, 4, 1u << 16));
    const uint64_t fixed = uint64_t{slots_} * sizeof(Datagram);
    mbuf_bytes_max_ = config.memory_bytes > fixed ? config.memory_bytes - fixed : 0;
    datagrams_ = std::make_unique_for_overwrite<Datagram[]>(slots_);
    bucket_mask_ = std::bit_ceil(slots_) - 1;
    buckets_ = std::make_unique<uint32_t[]>(bucket_mask_ + 1);
    for (uint32_t i = slots_; i-- > 0;) {
        datagrams_[i].next_in_chain = free_;
        free_ = i + 1;
    }
}

FragTable::~FragTable() {
    while (oldest_) {
        unlink(&datagrams_[oldest_ - 1]);
    }
}

bool FragTable::read(const rte_mbuf* m, const PacketKey& key, Fragment* f) {
    uint8_t copy[256];
    const uint32_t l3 = key.l2_len;
    const uint32_t want = std::min<uint32_t>(key.l3_len, sizeof copy);
    const auto* p = static_cast<const uint8_t*>(rte_pktmbuf_read(m, l3, want, copy));
    if (!p || want != key.l3_len) {
        return false;
    }
    uint16_t word;
    uint32_t id;
    f->is_v6 = key.kinds & kind::kIp6;
    if (f->is_v6) {
        f->l3_size = kIp6Len + get16(p + 4);
        uint32_t at = kIp6Len;
        for (uint8_t type = p[6]; type != kProtoFragment;) {
            if (at + 8 > want) {
                return false;
            }
            const uint32_t len = type == kProtoAh ? (p[at + 1] + 2u) * 4 : (p[at + 1] + 1u) * 8;
            type = p[at];
            at += len;
        }
        if (at + 8 > want) {
            return false;
        }
        word = get16(p + at + 2);
        id = get32(p + at + 4);
        f->start = word & 0xfff8;
        f->more = word & 1;
        f->offset = l3 + at + 8;
    } else {
        f->l3_size = get16(p + 2);
        word = get16(p + 6);
        id = get16(p + 4) | static_cast<uint32_t>(key.ip_proto) << 16;
        f->start = (word & 0x1fffu) * 8;
        f->more = word & 0x2000;
        f->offset = l3 + key.l3_len;
    }
    const uint32_t frame_end = l3 + f->l3_size;
    if (frame_end <= f->offset || frame_end > m->pkt_len) {
        return false;
    }
    const uint32_t size = frame_end - f->offset;
    f->end = f->start + size;
    const unsigned n = f->is_v6 ? 16 : 4;
    uint8_t addresses[32] = {};
    std::memcpy(addresses, key.ip_src, n);
    std::memcpy(addresses + 16, key.ip_dst, n);
    f->id = {{key.context, load64(addresses), load64(addresses + 8), load64(addresses + 16),
              load64(addresses + 24), id, uint64_t{f->is_v6}}};
    return !f->more || size % 8 == 0;
}

FragTable::Datagram* FragTable::find(const Id& id, uint64_t hash) {
    for (uint32_t i = buckets_[hash & bucket_mask_]; i; i = datagrams_[i - 1].next_in_chain) {
        Datagram& d = datagrams_[i - 1];
        if (d.hash == hash && d.id == id) {
            return &d;
        }
    }
    return nullptr;
}

FragTable::Datagram* FragTable::start(const Id& id, uint64_t hash, uint64_t now_ms) {
    if (!free_) {
        bump(refused_, uint64_t{datagrams_[oldest_ - 1].count});
        unlink(&datagrams_[oldest_ - 1]);
    }
    const uint32_t index = free_;
    Datagram& d = datagrams_[index - 1];
    free_ = d.next_in_chain;
    d.id = id;
    d.hash = hash;
    d.deadline_ms = now_ms + kTimeoutMs;
    d.memory = d.payload = d.end = d.reach = 0;
    d.count = 0;
    d.is_dead = false;
    uint32_t& head = buckets_[hash & bucket_mask_];
    d.next_in_chain = head;
    head = index;
    d.older = newest_;
    d.newer = 0;
    (newest_ ? datagrams_[newest_ - 1].newer : oldest_) = index;
    newest_ = index;
    return &d;
}

void FragTable::drop_pieces(Datagram* d) {
    for (unsigned i = 0; i < d->count; ++i) {
        rte_pktmbuf_free(d->pieces[i].m);
    }
    bump(held_, -uint32_t{d->count});
    bump(held_bytes_, -uint64_t{d->memory});
    d->count = 0;
    d->memory = 0;
}

void FragTable::unlink(Datagram* d) {
    drop_pieces(d);
    const auto index = static_cast<uint32_t>(d - datagrams_.get()) + 1;
    uint32_t* link = &buckets_[d->hash & bucket_mask_];
    while (*link != index) {
        link = &datagrams_[*link - 1].next_in_chain;
    }
    *link = d->next_in_chain;
    (d->older ? datagrams_[d->older - 1].newer : oldest_) = d->newer;
    (d->newer ? datagrams_[d->newer - 1].older : newest_) = d->older;
    d->next_in_chain = free_;
    free_ = index;
}

bool FragTable::make_room(uint32_t bytes, const Datagram* keep) {
    for (uint32_t i = oldest_;
         i && held_bytes_.load(std::memory_order_relaxed) + bytes > mbuf_bytes_max_;) {
        Datagram* d = &datagrams_[i - 1];
        i = d->newer;
        if (d != keep) {
            bump(refused_, uint64_t{d->count});
            unlink(d);
        }
    }
    return held_bytes_.load(std::memory_order_relaxed) + bytes <= mbuf_bytes_max_;
}

FragTable::Verdict FragTable::place(Datagram* d, rte_mbuf* m, const Fragment& f, Done* done) {
    unsigned at = 0;
    while (at < d->count && d->pieces[at].start < f.start) {
        ++at;
    }
    if (at < d->count && d->pieces[at].start == f.start && d->pieces[at].size == f.end - f.start) {
        return Verdict::kDuplicate;
    }
    const bool before = at > 0 && d->pieces[at - 1].start + d->pieces[at - 1].size > f.start;
    const bool after = at < d->count && d->pieces[at].start < f.end;
    const bool past_end =
        f.more ? d->end && f.end > d->end : (d->end && d->end != f.end) || d->reach > f.end;
    if (before || after || past_end) {
        bump(overlapping_);
        drop_pieces(d);
        d->is_dead = true;
        return Verdict::kOverlap;
    }
    const uint32_t bytes = memory_of(m);
    if (d->count == kMaxPieces || !make_room(bytes, d)) {
        bump(refused_, uint64_t{d->count} + 1);
        drop_pieces(d);
        d->is_dead = true;
        return Verdict::kInvalid;
    }
    std::copy_backward(d->pieces + at, d->pieces + d->count, d->pieces + d->count + 1);
    d->pieces[at] = {m, static_cast<uint16_t>(f.start), static_cast<uint16_t>(f.end - f.start),
                     static_cast<uint16_t>(f.offset)};
    ++d->count;
    d->memory += bytes;
    d->payload += f.end - f.start;
    d->end = f.more ? d->end : f.end;
    d->reach = std::max(d->reach, f.end);
    bump(held_);
    bump(held_bytes_, uint64_t{bytes});
    if (!d->end || d->payload != d->end) {
        return Verdict::kHeld;
    }
    finish(d, done);
    return Verdict::kComplete;
}

void FragTable::finish(Datagram* d, Done* done) {
    L4Piece pieces[kMaxPieces];
    const PacketKey& key = meta_of(d->pieces[0].m).key;
    done->count = d->count;
    for (unsigned i = 0; i < d->count; ++i) {
        const Datagram::Piece& p = d->pieces[i];
        done->pieces[i] = p.m;
        pieces[i] = {p.m, p.offset, p.size};
    }
    // Extension headers behind the fragment header belong to no L4.
    const uint32_t l4 = key.l2_len + uint32_t{key.l3_len};
    const uint32_t extra = std::min<uint32_t>(l4 - pieces[0].offset, pieces[0].size);
    pieces[0].offset += extra;
    pieces[0].size -= extra;
    done->facts = PacketFacts{};
    done->facts.tcp_wscale = 0xff;
    read_facts(key, pieces, d->count, ChecksumWord::kUnknown, &done->facts);
    bump(held_, -uint32_t{d->count});
    bump(held_bytes_, -uint64_t{d->memory});
    d->count = 0;
    d->memory = 0;
    unlink(d);
}

FragTable::Verdict FragTable::add(rte_mbuf* m, const PacketKey& key, uint64_t now_ms, Done* done) {
    expire(now_ms, 2);
    Fragment f;
    if (!read(m, key, &f) || !l3_checksum_right(m, key)) {
        return Verdict::kInvalid;
    }
    const uint32_t least = f.is_v6 ? config_.min_ip6 : config_.min_ip4;
    const uint32_t header = f.is_v6 ? 0 : key.l3_len;
    if ((f.more && f.l3_size < least) || f.end + header > kMaxPayload) {
        bump(refused_);
        return Verdict::kInvalid;
    }
    const uint64_t hash = hash_.of(f.id.w);
    Datagram* d = find(f.id, hash);
    if (d && now_ms >= d->deadline_ms) {
        bump(timed_out_, uint64_t{d->count});
        unlink(d);
        d = nullptr;
    }
    if (!d) {
        d = start(f.id, hash, now_ms);
    } else if (d->is_dead) {
        return Verdict::kOverlap;
    }
    return place(d, m, f, done);
}

unsigned FragTable::expire(uint64_t now_ms, unsigned budget) {
    unsigned n = 0;
    for (; n < budget && oldest_ && now_ms >= datagrams_[oldest_ - 1].deadline_ms; ++n) {
        bump(timed_out_, uint64_t{datagrams_[oldest_ - 1].count});
        unlink(&datagrams_[oldest_ - 1]);
    }
    return n;
}

void FragTable::add_stats(CtStats* stats) const {
    stats->fragments += held_.load(std::memory_order_relaxed);
    stats->fragment_bytes += static_cast<uint32_t>(held_bytes_.load(std::memory_order_relaxed));
    stats->fragments_timed_out += timed_out_.load(std::memory_order_relaxed);
    stats->fragments_refused += refused_.load(std::memory_order_relaxed);
    stats->fragments_overlapping += overlapping_.load(std::memory_order_relaxed);
    stats->memory_bytes +=
        uint64_t{slots_} * sizeof(Datagram) + (uint64_t{bucket_mask_} + 1) * sizeof(uint32_t);
}

}  // namespace sluice
