// SPDX-License-Identifier: Apache-2.0
#include "datapath/conntrack/table.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "lib/net/wire.h"

namespace sluice {
namespace {

// Memory that costs nothing until it is touched, zero at first.
void* map(size_t bytes) {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        return nullptr;
    }
    madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

unsigned stripe() {
    static std::atomic<unsigned> threads{0};
    static thread_local const unsigned mine = threads.fetch_add(1, std::memory_order_relaxed);
    return mine % Conntrack::Impl::kStripes;
}

}  // namespace

CtKey ct_key_of(const CtTuple& t) {
    CtKey k;
    k.w[0] = uint64_t{t.src[0]} << 32 | t.src[1];
    k.w[1] = uint64_t{t.src[2]} << 32 | t.src[3];
    k.w[2] = uint64_t{t.dst[0]} << 32 | t.dst[1];
    k.w[3] = uint64_t{t.dst[2]} << 32 | t.dst[3];
    const bool icmp = ct_is_icmp(t.proto, t.is_v6);
    const bool ports = ct_has_ports(t.proto);
    const uint16_t first = ports || icmp ? t.src_port : uint16_t{0};
    const uint16_t second = icmp ? t.icmp_type : ports ? t.dst_port : uint16_t{0};
    k.w[4] = first | uint64_t{second} << 16 | uint64_t{t.zone} << 32 | uint64_t{t.proto} << 48 |
             uint64_t{t.is_v6 != 0} << 56;
    return k;
}

CtTuple ct_tuple_of(const CtKey& k) {
    CtTuple t{};
    for (unsigned i = 0; i < 4; ++i) {
        t.src[i] = static_cast<uint32_t>(k.w[i / 2] >> (i % 2 ? 0 : 32));
        t.dst[i] = static_cast<uint32_t>(k.w[2 + i / 2] >> (i % 2 ? 0 : 32));
    }
    t.zone = k.zone();
    t.proto = k.proto();
    t.is_v6 = k.is_v6();
    t.src_port = k.src_port();
    t.dst_port = k.dst_port();
    if (ct_is_icmp(t.proto, k.is_v6())) {
        t.icmp_type = static_cast<uint8_t>(t.dst_port);
        t.dst_port = t.src_port;
    }
    return t;
}

CtKey ct_reverse(const CtKey& k) {
    CtKey r = k;
    std::swap(r.w[0], r.w[2]);
    std::swap(r.w[1], r.w[3]);
    if (ct_is_icmp(k.proto(), k.is_v6())) {
        r.set_dst_port(ct_reverse_icmp(static_cast<uint8_t>(k.dst_port()), k.is_v6()));
    } else {
        r.set_src_port(k.dst_port());
        r.set_dst_port(k.src_port());
    }
    return r;
}

bool ct_is_icmp(uint8_t proto, bool is_v6) {
    return proto == (is_v6 ? wire::kProtoIcmp6 : wire::kProtoIcmp);
}

bool ct_has_ports(uint8_t proto) {
    return proto == wire::kProtoTcp || proto == wire::kProtoUdp;
}

uint8_t ct_reverse_icmp(uint8_t type, bool is_v6) {
    switch (type) {
    case 0: return is_v6 ? type : uint8_t{8};
    case 8: return is_v6 ? type : uint8_t{0};
    case 13:
    case 14:
    case 15:
    case 16: return is_v6 ? type : static_cast<uint8_t>(((type - 1) ^ 1) + 1);
    case 128:
    case 129: return is_v6 ? static_cast<uint8_t>(type ^ 1) : type;
    default: return type;
    }
}

Conntrack::Impl::Impl(const ConntrackConfig& c) : config(c), keyed(c.seed), sweepers(c.workers) {
    const uint32_t wanted = std::max<uint32_t>(config.max_connections / 2, 16);
    bucket_mask = std::bit_ceil(wanted) - 1;
    shard_bits =
        std::min<unsigned>(10, static_cast<unsigned>(std::countr_zero(bucket_mask + 1)) - 4);
    shard_mask = (1u << shard_bits) - 1;
    for (unsigned w = 0; w < sweepers.size(); ++w) {
        sweepers[w].position = w * kBlock;
        FragTableConfig f;
        f.memory_bytes = uint64_t{c.max_fragments_kb} * 1024 / c.workers;
        f.seed = keyed.next(w);
        f.min_ip4 = c.min_fragment_ip4;
        f.min_ip6 = c.min_fragment_ip6;
        fragments.push_back(std::make_unique<FragTable>(f));
    }
}

bool Conntrack::Impl::take_memory() {
    const size_t n = config.max_connections;
    conns = static_cast<CtConn*>(map(n * sizeof(CtConn)));
    checks = static_cast<std::atomic<uint32_t>*>(map(n * sizeof(checks[0])));
    buckets = static_cast<Bucket*>(map((size_t{bucket_mask} + 1) * sizeof(Bucket)));
    shards = std::make_unique<Shard[]>(shard_mask + 1);
    zones = std::make_unique<Zone[]>(65536);
    counters = std::make_unique<CtCounters[]>(kStripes);
    memory_bytes = n * (sizeof(CtConn) + sizeof(checks[0])) +
                   (size_t{bucket_mask} + 1) * sizeof(Bucket) + (shard_mask + 1) * sizeof(Shard) +
                   65536 * sizeof(Zone) + kStripes * sizeof(CtCounters);
    return conns && checks && buckets;
}

Conntrack::Impl::~Impl() {
    const size_t n = config.max_connections;
    if (conns) {
        munmap(conns, n * sizeof(CtConn));
    }
    if (checks) {
        munmap(checks, n * sizeof(checks[0]));
    }
    if (buckets) {
        munmap(buckets, (size_t{bucket_mask} + 1) * sizeof(Bucket));
    }
}

Conntrack::Impl::Places Conntrack::Impl::places_of(uint64_t hash) const {
    Places p;
    p.tag = static_cast<uint32_t>(hash >> 32);
    const auto home = static_cast<uint32_t>(hash);
    const uint32_t step = (p.tag | 1) << shard_bits;
    for (unsigned i = 0; i < kPlaces; ++i) {
        p.bucket[i] = (home + i * step) & bucket_mask;
    }
    p.shard = home & shard_mask;
    return p;
}

CtFound Conntrack::Impl::find_in(const Bucket& bucket, uint32_t tag, const CtKey& key) const {
    for (const auto& slot : bucket.entry) {
        const uint64_t e = slot.load(std::memory_order_acquire);
        if (SLUICE_LIKELY(static_cast<uint32_t>(e >> 32) != tag) || e == 0) {
            continue;
        }
        const auto low = static_cast<uint32_t>(e);
        CtConn* conn = &conns[(low >> 1) - 1];
        const unsigned dir = low & 1;
        const uint32_t generation = conn->generation.load(std::memory_order_acquire);
        if ((generation & 1) && conn->has_key(dir, key) && conn->is(generation)) {
            return {conn, generation, dir};
        }
    }
    return {};
}

CtFound Conntrack::Impl::find(const CtKey& key, uint64_t hash) const {
    const Places p = places_of(hash);
    const Bucket& home = buckets[p.bucket[0]];
    CtFound found = find_in(home, p.tag, key);
    if (SLUICE_UNLIKELY(!found.conn && home.displaced.load(std::memory_order_acquire))) {
        for (unsigned i = 1; i < kPlaces && !found.conn; ++i) {
            found = find_in(buckets[p.bucket[i]], p.tag, key);
        }
    }
    return found;
}

bool Conntrack::Impl::insert(const Places& p, uint32_t index, unsigned dir) {
    const uint64_t e = uint64_t{p.tag} << 32 | (index + 1) << 1 | dir;
    uint64_t looked_at = 0;
    for (unsigned i = 0; i < kPlaces; ++i) {
        for (auto& slot : buckets[p.bucket[i]].entry) {
            ++looked_at;
            if (slot.load(std::memory_order_relaxed)) {
                continue;
            }
            if (i) {
                buckets[p.bucket[0]].displaced.fetch_add(1, std::memory_order_release);
            }
            slot.store(e, std::memory_order_release);
            if (looked_at > longest_chain.load(std::memory_order_relaxed)) {
                longest_chain.store(looked_at, std::memory_order_relaxed);
            }
            return true;
        }
    }
    return false;
}

void Conntrack::Impl::erase(const Places& p, uint32_t index, unsigned dir) {
    const uint64_t e = uint64_t{p.tag} << 32 | (index + 1) << 1 | dir;
    for (unsigned i = 0; i < kPlaces; ++i) {
        for (auto& slot : buckets[p.bucket[i]].entry) {
            if (slot.load(std::memory_order_relaxed) != e) {
                continue;
            }
            slot.store(0, std::memory_order_release);
            if (i) {
                buckets[p.bucket[0]].displaced.fetch_sub(1, std::memory_order_release);
            }
            return;
        }
    }
}

void Conntrack::Impl::lock_two(uint32_t a, uint32_t b) {
    SpinGuard::acquire(shards[std::min(a, b)].lock);
    if (a != b) {
        SpinGuard::acquire(shards[std::max(a, b)].lock);
    }
}

void Conntrack::Impl::unlock_two(uint32_t a, uint32_t b) {
    shards[a].lock.store(0, std::memory_order_release);
    if (a != b) {
        shards[b].lock.store(0, std::memory_order_release);
    }
}

CtLink Conntrack::Impl::link(CtConn* conn, bool needs_reverse) {
    CtKey key[2];
    conn->load_key(0, &key[0]);
    conn->load_key(1, &key[1]);
    const uint64_t hashes[2] = {hash(key[0]), hash(key[1])};
    const Places places[2] = {places_of(hashes[0]), places_of(hashes[1])};
    const uint32_t index = index_of(conn);
    CtLink result = CtLink::kLinked;
    lock_two(places[0].shard, places[1].shard);
    // A connection may read the same both ways (to itself): one entry will do.
    const bool reverse = key[0] != key[1];
    if (find(key[0], hashes[0]).conn) {
        result = CtLink::kTaken;
    } else if (reverse) {
        const CtFound other = find(key[1], hashes[1]);
        if (other.conn && needs_reverse) {
            result = CtLink::kReverseTaken;
        } else if (other.conn) {
            // A translated connection begins where answers of this one come from: the newer one
            // gets them, as in Open vSwitch.
            erase(places[1], index_of(other.conn), other.dir);
            other.conn->dir[other.dir].is_linked.store(0, std::memory_order_relaxed);
        }
    }
    if (result == CtLink::kLinked) {
        conn->dir[0].is_linked.store(1, std::memory_order_relaxed);
        conn->dir[1].is_linked.store(reverse, std::memory_order_relaxed);
        if (!insert(places[0], index, 0)) {
            result = CtLink::kNoRoom;
        } else if (reverse && !insert(places[1], index, 1)) {
            erase(places[0], index, 0);
            result = CtLink::kNoRoom;
        } else {
            // Only now: entries that lead to an even generation are passed over.
            conn->generation.fetch_add(1, std::memory_order_release);
        }
    }
    unlock_two(places[0].shard, places[1].shard);
    return result;
}

bool Conntrack::Impl::remove(CtConn* conn, uint32_t generation, CtCounters::Id why,
                             uint64_t expired_at) {
    CtKey key[2];
    conn->load_key(0, &key[0]);
    conn->load_key(1, &key[1]);
    if (!conn->is(generation)) {
        return false;
    }
    const Places places[2] = {places_of(hash(key[0])), places_of(hash(key[1]))};
    bool mine = false;
    lock_two(places[0].shard, places[1].shard);
    {
        SpinGuard guard(conn->lock);
        mine = conn->is(generation) && (!expired_at || is_expired(*conn, expired_at));
        if (mine && why == CtCounters::kEvicted) {
            CtState state;
            conn->load_state(&state);
            mine = !ct_is_alive(key[0].proto(), key[0].is_v6(), state);
        }
        if (mine) {
            conn->generation.fetch_add(1, std::memory_order_release);
        }
    }
    if (mine) {
        for (unsigned d = 0; d < 2; ++d) {
            if (conn->dir[d].is_linked.load(std::memory_order_relaxed)) {
                erase(places[d], index_of(conn), d);
            }
        }
    }
    unlock_two(places[0].shard, places[1].shard);
    if (mine) {
        leave_zone(key[0].zone());
        count(why);
        release(conn);
    }
    return mine;
}

bool Conntrack::Impl::enter_zone(uint16_t zone) {
    Zone& z = zones[zone];
    uint32_t limit = z.limit.load(std::memory_order_relaxed);
    if (limit == 0) {
        limit = default_limit.load(std::memory_order_relaxed);
    }
    const uint32_t before = z.count.fetch_add(1, std::memory_order_relaxed);
    if (limit && before >= limit) {
        z.count.fetch_sub(1, std::memory_order_relaxed);
        return false;
    }
    return true;
}

void Conntrack::Impl::count(CtCounters::Id id) const {
    counters[stripe()].value[id].fetch_add(1, std::memory_order_relaxed);
}

uint64_t Conntrack::Impl::total(CtCounters::Id id) const {
    uint64_t sum = 0;
    for (unsigned i = 0; i < kStripes; ++i) {
        sum += counters[i].value[id].load(std::memory_order_relaxed);
    }
    return sum;
}

}  // namespace sluice
