// SPDX-License-Identifier: Apache-2.0
#include "control/compile/chunk.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice::compile {

namespace {

constexpr uint64_t kMeanFlows = 64;
constexpr size_t kMaxFlows = 256;

bool ends_chunk(const Flow& flow) {
    uint64_t words[2];
    static_assert(sizeof words == sizeof flow.uuid);
    std::memcpy(words, &flow.uuid, sizeof words);
    return ((words[0] ^ words[1]) * 0x9e3779b97f4a7c15ull >> 32) % kMeanFlows == 0;
}

/// What rows look at, by the kind of packet they are for; a table has few kinds.
class ReadsByKind {
public:
    SlotMask& of(const KindConds& kind) {
        auto at = std::find_if(kinds_.rbegin(), kinds_.rend(),
                               [&](const auto& known) { return known.first == kind; });
        if (at == kinds_.rend()) {
            kinds_.emplace_back(kind, SlotMask());
            at = kinds_.rbegin();
        }
        return at->second;
    }
    void put(ClassReads* out) const {
        for (const auto& [kind, reads] : kinds_) {
            const unsigned classes = classes_of(kind);
            for (unsigned i = 0; i < kPacketClasses; ++i) {
                if (classes >> i & 1) {
                    (*out)[i] |= reads;
                }
            }
        }
    }

private:
    std::vector<std::pair<KindConds, SlotMask>> kinds_;
};

void sort_once(std::vector<uint32_t>* numbers) {
    std::sort(numbers->begin(), numbers->end());
    numbers->erase(std::unique(numbers->begin(), numbers->end()), numbers->end());
}

}  // namespace

size_t end_of_chunk(const std::vector<const Flow*>& flows, size_t begin, bool* is_cut) {
    const size_t limit = std::min(flows.size(), begin + kMaxFlows);
    for (size_t at = begin; at < limit; ++at) {
        if (ends_chunk(*flows[at])) {
            *is_cut = true;
            return at + 1;
        }
    }
    *is_cut = limit == begin + kMaxFlows;
    return limit;
}

KnownChunks::KnownChunks(const BoundChunks* before) {
    if (before != nullptr) {
        by_first_.reserve(before->size());
        for (const BoundChunkPtr& chunk : *before) {
            by_first_.emplace(chunk->of.front(), &chunk);
        }
    }
}

BoundChunkPtr KnownChunks::at(const std::vector<const Flow*>& flows, size_t begin) const {
    const auto it = by_first_.find(flows[begin]);
    if (it == by_first_.end()) {
        return nullptr;
    }
    const BoundChunkPtr& chunk = *it->second;
    const size_t end = begin + chunk->of.size();
    const bool is_same = end <= flows.size() && (chunk->is_cut || end == flows.size()) &&
                         std::equal(chunk->of.begin(), chunk->of.end(), flows.data() + begin);
    return is_same ? chunk : nullptr;
}

ChunkAnalysisPtr summary_of(const BoundChunkPtr& chunk, const Analysis& analysis,
                            bool port_security) {
    auto out = std::make_shared<ChunkAnalysis>();
    out->chunk = chunk;
    out->findings = analysis.findings;
    ReadsByKind reads;
    for (const LiveRow& row : analysis.rows) {
        out->hash.add(content_of(row));
        SlotMask& slots = reads.of(kind_conds(row.conds));
        add_reads(row.conds, &slots);
        add_reads(*row.flow->code, port_security, &slots);
        add_pkt_lens(*row.flow->code, &out->pkt_lens);
    }
    reads.put(&out->reads);
    sort_once(&out->pkt_lens);
    return out;
}

ChunkAnalysisPtr joined(const std::vector<ChunkAnalysisPtr>& chunks) {
    if (chunks.size() == 1) {
        return chunks.front();
    }
    auto out = std::make_shared<ChunkAnalysis>();
    for (const ChunkAnalysisPtr& chunk : chunks) {
        out->findings.append(chunk->findings);
        out->hash.append(chunk->hash);
        for (unsigned i = 0; i < kPacketClasses; ++i) {
            out->reads[i] |= chunk->reads[i];
        }
        out->pkt_lens.insert(out->pkt_lens.end(), chunk->pkt_lens.begin(), chunk->pkt_lens.end());
    }
    sort_once(&out->pkt_lens);
    return out;
}

}  // namespace sluice::compile
