// SPDX-License-Identifier: Apache-2.0
#include "datapath/program_store.h"

#include <algorithm>

namespace sluice {
namespace {

uint64_t mix(uint64_t a, uint64_t b) {
    const unsigned __int128 p = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(p) ^ static_cast<uint64_t>(p >> 64);
}

template <typename T>
uint32_t hash_of(const T* values, uint32_t n, uint64_t start, uint64_t secret) {
    uint64_t h = start ^ 0x9e3779b97f4a7c15ull;
    for (uint32_t i = 0; i < n; ++i) {
        h = mix(h ^ values[i], secret);
    }
    return static_cast<uint32_t>(h ^ h >> 32);
}

/// What `program` needs not be interpreted for. Its rewrite, if any, goes to `rewrite`.
void find_form(const ProgramBuffer& buffer, CachedProgram* program, Rewrite* rewrite) {
    const uint64_t* w = buffer.words;
    const uint64_t* const end = w + buffer.n_words;
    program->form = CachedProgram::Form::kAny;
    program->has_rewrite = false;
    if (buffer.n_words < 2 || act::of(w[0]) != Act::kPacketSection || act::b(w[0]) != 0 ||
        !(w[0] & act::kInPlace) || act::d(w[0]) + 1 != buffer.n_words) {
        return;
    }
    const uint64_t* last = w + 1;
    const uint64_t* after = collect_sets(last, end, rewrite);
    last = after ? after : last;
    if (last + 1 == end && act::of(*last) == Act::kOutput) {
        program->form = CachedProgram::Form::kOutput;
        program->port = act::b(*last);
    } else if (last + 2 == end && act::of(*last) == Act::kEncap) {
        program->form = CachedProgram::Form::kEncap;
    }
    program->has_rewrite = after && program->form != CachedProgram::Form::kAny;
}

/// Takes `block` out of the list that starts at `*at`.
void unlink(CachedTrail** at, CachedTrail* block) {
    while (*at != block) {
        at = &(*at)->next;
    }
    *at = block->next;
}

void unlink(CachedProgram** at, CachedProgram* block) {
    while (*at != block) {
        at = &(*at)->sharing().next;
    }
    *at = block->sharing().next;
}

}  // namespace

bool ProgramStore::init(uint32_t entries, uint64_t secret) {
    secret_ = secret | 1;
    n_buckets_ = 64;
    while (n_buckets_ < entries / 16) {
        n_buckets_ *= 2;
    }
    trails_ = std::make_unique<CachedTrail*[]>(n_buckets_);
    programs_ = std::make_unique<CachedProgram*[]>(n_buckets_);
    return slab_.init(entries);
}

bool ProgramStore::revalidate(CachedTrail* trail, const Pipeline& pipeline) {
    if (pipeline.physical_generation > trail->born) {
        return false;
    }
    for (unsigned i = 0; i < trail->n_crossed; ++i) {
        const Datapath* dp = pipeline.datapath(trail->crossed[i]);
        if (!dp || dp->generation > trail->born) {
            return false;
        }
    }
    trail->checked = pipeline.sequence;
    return true;
}

void ProgramStore::credit(CachedTrail* trail, WorkerCounters* counters) {
    if (trail->packets == 0) {
        return;
    }
    for (uint32_t i = 0; i < trail->n_flows; ++i) {
        FlowCounters::Pair& pair = counters->flows.at(trail->flows()[i]);
        pair.packets.add(trail->packets);
        pair.bytes.add(trail->bytes);
    }
    trail->packets = 0;
    trail->bytes = 0;
}

CachedTrail* ProgramStore::trail_of(const ProgramBuffer& buffer, const Pipeline& pipeline) {
    const uint32_t crossed = hash_of(buffer.crossed, buffer.n_crossed, buffer.n_flows, secret_);
    const uint32_t hash = hash_of(buffer.flows, buffer.n_flows, crossed, secret_);
    CachedTrail** bucket = &trails_[hash & (n_buckets_ - 1)];
    for (CachedTrail* t = *bucket; t; t = t->next) {
        if (t->hash == hash && t->n_flows == buffer.n_flows && t->n_crossed == buffer.n_crossed &&
            std::equal(buffer.flows, buffer.flows + buffer.n_flows, t->flows()) &&
            std::equal(buffer.crossed, buffer.crossed + buffer.n_crossed, t->crossed) &&
            still_good(t, pipeline)) {
            return t;
        }
    }
    void* memory = slab_.take(sizeof(CachedTrail) + buffer.n_flows * sizeof(uint32_t));
    if (!memory) {
        return nullptr;
    }
    auto* trail = new (memory) CachedTrail{};
    trail->checked = pipeline.sequence;
    trail->born = pipeline.sequence;
    trail->hash = hash;
    trail->n_flows = buffer.n_flows;
    trail->n_crossed = buffer.n_crossed;
    std::copy_n(buffer.crossed, buffer.n_crossed, trail->crossed);
    std::copy_n(buffer.flows, buffer.n_flows, trail->flows());
    trail->next = *bucket;
    *bucket = trail;
    return trail;
}

CachedProgram* ProgramStore::shared(const ProgramBuffer& buffer, const CachedTrail* trail,
                                    uint32_t hash) {
    for (CachedProgram* p = programs_[hash & (n_buckets_ - 1)]; p; p = p->sharing().next) {
        if (p->sharing().hash == hash && p->trail == trail && p->n_words == buffer.n_words &&
            std::equal(buffer.words, buffer.words + buffer.n_words, p->words())) {
            return p;
        }
    }
    return nullptr;
}

CachedProgram* ProgramStore::keep(const ProgramBuffer& buffer, const Pipeline& pipeline,
                                  WorkerCounters* counters) {
    CachedTrail* const trail = trail_of(buffer, pipeline);
    if (!trail) {
        return nullptr;
    }
    const bool may_share = buffer.n_steps == 0;
    uint32_t hash = 0;
    if (may_share) {
        hash = hash_of(buffer.words, buffer.n_words, trail->hash, secret_);
        if (CachedProgram* found = shared(buffer, trail, hash)) {
            ++found->sharing().refs;
            return found;
        }
    }
    CachedProgram head{};
    Rewrite rewrite;
    find_form(buffer, &head, &rewrite);
    void* memory =
        slab_.take(CachedProgram::bytes(buffer.n_steps, head.has_rewrite, buffer.n_words));
    if (!memory) {
        if (trail->refs == 0) {
            drop_trail(trail, counters);
        }
        return nullptr;
    }
    ++trail->refs;
    head.trail = trail;
    head.n_words = static_cast<uint16_t>(buffer.n_words);
    head.n_steps = buffer.n_steps;
    auto* program = static_cast<CachedProgram*>(memory);
    std::memcpy(memory, &head, CachedProgram::kTail);
    if (may_share) {
        CachedProgram** bucket = &programs_[hash & (n_buckets_ - 1)];
        program->sharing() = {*bucket, hash, 1};
        *bucket = program;
    } else {
        std::memcpy(const_cast<CtStep*>(program->steps()), buffer.steps,
                    buffer.n_steps * sizeof(CtStep));
    }
    if (head.has_rewrite) {
        const_cast<Rewrite&>(program->rewrite()) = rewrite;
    }
    std::copy_n(buffer.words, buffer.n_words, const_cast<uint64_t*>(program->words()));
    return program;
}

void ProgramStore::drop_trail(CachedTrail* trail, WorkerCounters* counters) {
    credit(trail, counters);
    unlink(&trails_[trail->hash & (n_buckets_ - 1)], trail);
    slab_.give_back(trail);
}

void ProgramStore::release(CachedProgram* program, WorkerCounters* counters) {
    if (program->n_steps == 0) {
        if (--program->sharing().refs) {
            return;
        }
        unlink(&programs_[program->sharing().hash & (n_buckets_ - 1)], program);
    }
    CachedTrail* const trail = program->trail;
    slab_.give_back(program);
    release_trail(trail, counters);
}

CachedTrail* ProgramStore::hold_trail(const ProgramBuffer& buffer, const Pipeline& pipeline) {
    CachedTrail* const trail = trail_of(buffer, pipeline);
    if (trail) {
        ++trail->refs;
    }
    return trail;
}

void ProgramStore::release_trail(CachedTrail* trail, WorkerCounters* counters) {
    if (--trail->refs == 0) {
        drop_trail(trail, counters);
    }
}

bool ProgramStore::sweep(uint32_t n, WorkerCounters* counters) {
    for (; n && cursor_ < n_buckets_; --n, ++cursor_) {
        for (CachedTrail* t = trails_[cursor_]; t; t = t->next) {
            credit(t, counters);
        }
    }
    if (cursor_ < n_buckets_) {
        return false;
    }
    cursor_ = 0;
    return true;
}

}  // namespace sluice
