// SPDX-License-Identifier: Apache-2.0
// Conntrack's life, and what control may ask of it.
#include <algorithm>
#include <array>

#include "datapath/conntrack/table.h"

namespace sluice {
namespace {

/// A connection copied out, all of one generation.
struct Copy {
    uint32_t generation;
    CtTuple tuple[2];  ///< what packets of each direction read before NAT
    uint32_t mark;
    uint32_t label[4];
    CtState state;
    uint64_t deadline_ms;
    uint64_t packets[2];
    uint64_t bytes[2];
};

bool copy_out(CtConn* conn, Copy* copy) {
    copy->generation = conn->generation.load(std::memory_order_acquire);
    if (!(copy->generation & 1)) {
        return false;
    }
    SpinGuard guard(conn->lock);
    for (unsigned d = 0; d < 2; ++d) {
        CtKey key;
        conn->load_key(d, &key);
        copy->tuple[d] = ct_tuple_of(key);
        copy->packets[d] = conn->packets_of(d);
        copy->bytes[d] = conn->bytes_of(d);
        const uint64_t w = conn->dir[d].label.load(std::memory_order_relaxed);
        copy->label[2 * d] = static_cast<uint32_t>(w >> 32);
        copy->label[2 * d + 1] = static_cast<uint32_t>(w);
    }
    copy->mark = conn->mark.load(std::memory_order_relaxed);
    conn->load_state(&copy->state);
    copy->deadline_ms = conn->deadline_ms.load(std::memory_order_relaxed);
    return conn->is(copy->generation);
}

bool same_address(const std::optional<CtFilter::Address>& wanted, const CtTuple& t,
                  const uint32_t* address) {
    return !wanted ||
           (wanted->is_v6 == (t.is_v6 != 0) && std::equal(address, address + 4, wanted->words));
}

bool matches(const CtFilter& f, const Copy& c) {
    const CtTuple& original = c.tuple[0];
    const CtTuple& reply = c.tuple[1];
    bool label = true;
    for (unsigned i = 0; i < 4; ++i) {
        label = label && ((c.label[i] ^ f.label[i]) & f.label_mask[i]) == 0;
    }
    return label && ((c.mark ^ f.mark) & f.mark_mask) == 0 &&
           (!f.zone || *f.zone == original.zone) && (!f.proto || *f.proto == original.proto) &&
           same_address(f.src, original, original.src) &&
           same_address(f.dst, original, original.dst) &&
           same_address(f.reply_src, reply, reply.src) &&
           (!f.src_port || *f.src_port == original.src_port) &&
           (!f.dst_port || *f.dst_port == original.dst_port) &&
           (!f.reply_src_port || *f.reply_src_port == reply.src_port);
}

CtEntry entry_of(const Copy& c, uint64_t now_ms) {
    CtEntry e{};
    const CtTuple& original = c.tuple[0];
    const CtTuple& reply = c.tuple[1];
    e.is_v6 = original.is_v6;
    e.proto = original.proto;
    e.zone = original.zone;
    e.icmp_type = original.icmp_type;
    e.icmp_id = ct_is_icmp(original.proto, original.is_v6) ? original.src_port : uint16_t{0};
    std::copy_n(original.src, 4, e.src);
    std::copy_n(original.dst, 4, e.dst);
    std::copy_n(reply.src, 4, e.reply_src);
    std::copy_n(reply.dst, 4, e.reply_dst);
    e.src_port = original.src_port;
    e.dst_port = original.dst_port;
    e.reply_src_port = reply.src_port;
    e.reply_dst_port = reply.dst_port;
    e.mark = c.mark;
    std::copy_n(c.label, 4, e.label);
    e.state = ct_state_name(original.proto, c.state);
    e.timeout_s =
        c.deadline_ms > now_ms ? static_cast<uint32_t>((c.deadline_ms - now_ms) / 1000) : 0;
    std::copy_n(c.packets, 2, e.packets);
    std::copy_n(c.bytes, 2, e.bytes);
    return e;
}

}  // namespace

Conntrack::Conntrack(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Conntrack::~Conntrack() = default;

Result<std::unique_ptr<Conntrack>> Conntrack::create(const ConntrackConfig& config) {
    if (config.max_connections == 0 || config.max_connections > 1u << 28) {
        return Error{"max_connections must be between 1 and 268435456"};
    }
    if (config.workers == 0) {
        return Error{"conntrack needs a worker"};
    }
    auto impl = std::make_unique<Impl>(config);
    if (!impl->take_memory()) {
        return Error{"no memory for " + std::to_string(config.max_connections) + " connections"};
    }
    return std::unique_ptr<Conntrack>(new Conntrack(std::move(impl)));
}

unsigned Conntrack::sweep(unsigned worker, uint64_t now_ms, unsigned budget) {
    SLUICE_DCHECK(worker < impl_->sweepers.size());
    return impl_->sweep(worker, now_ms, budget);
}

FragTable& Conntrack::fragments(unsigned worker) {
    SLUICE_DCHECK(worker < impl_->fragments.size());
    return *impl_->fragments[worker];
}

size_t Conntrack::flush(const CtFilter& filter) {
    if (filter.zone && impl_->zones[*filter.zone].count.load(std::memory_order_acquire) == 0) {
        return 0;  // zones that change owner are mostly empty
    }
    size_t removed = 0;
    const uint32_t end = impl_->fresh.load(std::memory_order_acquire);
    for (uint32_t i = 0; i < end; ++i) {
        Copy copy;
        if (copy_out(&impl_->conns[i], &copy) && matches(filter, copy)) {
            removed += impl_->remove(&impl_->conns[i], copy.generation, CtCounters::kFlushed);
        }
    }
    return removed;
}

void Conntrack::dump(const CtFilter& filter, const std::function<void(const CtEntry&)>& each) {
    const uint32_t end = impl_->fresh.load(std::memory_order_acquire);
    const uint64_t now_ms = impl_->last_now.load(std::memory_order_relaxed);
    for (uint32_t i = 0; i < end; ++i) {
        Copy copy;
        if (copy_out(&impl_->conns[i], &copy) && copy.deadline_ms > now_ms &&
            matches(filter, copy)) {
            each(entry_of(copy, now_ms));
        }
    }
}

CtStats Conntrack::stats() const {
    const Impl& impl = *impl_;
    CtStats s;
    s.capacity = impl.config.max_connections;
    s.used = impl.used.load(std::memory_order_relaxed);
    s.created = impl.total(CtCounters::kCreated);
    s.expired = impl.total(CtCounters::kExpired);
    s.flushed = impl.total(CtCounters::kFlushed);
    s.evicted = impl.total(CtCounters::kEvicted);
    s.refused_full = impl.total(CtCounters::kRefusedFull);
    s.refused_limit = impl.total(CtCounters::kRefusedLimit);
    s.nat_exhausted = impl.total(CtCounters::kNatExhausted);
    s.invalid = impl.total(CtCounters::kInvalid);
    s.out_of_window = impl.total(CtCounters::kOutOfWindow);
    s.bad_checksum = impl.total(CtCounters::kBadChecksum);
    s.longest_chain = impl.longest_chain.load(std::memory_order_relaxed);
    s.memory_bytes = impl.memory_bytes;
    for (const auto& table : impl.fragments) {
        table->add_stats(&s);
    }
    return s;
}

void Conntrack::set_zone_limit(uint16_t zone, uint32_t limit) {
    impl_->zones[zone].limit.store(limit, std::memory_order_relaxed);
}

void Conntrack::set_default_limit(uint32_t limit) {
    impl_->default_limit.store(limit, std::memory_order_relaxed);
}

}  // namespace sluice
