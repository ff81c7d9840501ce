// SPDX-License-Identifier: Apache-2.0
// Chunks: runs of a table's flows that are bound and analysed once, whatever changes around them.
//
// A table is cut where the UUIDs of its flows say, so that a flow more or less is seen by one chunk
// and the rest are the very objects of the round before. What a chunk is does not depend on the way
// that led to the list: a rebuild cuts at the same places.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/compile/compile.h"
#include "control/compile/content_hash.h"
#include "control/compile/optimize.h"

namespace sluice::compile {

/// Flows that follow each other, bound to a datapath.
struct BoundChunk {
    std::vector<const Flow*> of;  ///< what it was made of; they may be gone since
    bool is_cut = false;          ///< it ends where its last flow says, not with the list
    std::vector<BoundFlow> flows;
    std::vector<FlowError> errors;
    bool uses_names = false;
    uint8_t port_writes = 0;  ///< of the code of all flows, those that cannot match here too
    std::vector<std::string> address_sets;  ///< that its rows have to do with, sorted
};
using BoundChunkPtr = std::shared_ptr<const BoundChunk>;
using BoundChunks = std::vector<BoundChunkPtr>;

/// Where the chunk that begins at `begin` ends.
size_t end_of_chunk(const std::vector<const Flow*>& flows, size_t begin, bool* is_cut);

/// Finds chunks of the round before in a list.
class KnownChunks {
public:
    explicit KnownChunks(const BoundChunks* before);
    /// The one that the list has at `begin`, or null.
    BoundChunkPtr at(const std::vector<const Flow*>& flows, size_t begin) const;

private:
    std::unordered_map<const Flow*, const BoundChunkPtr*> by_first_;
};

/// What was found out about a chunk that is entered in one way; its rows are gone when they are
/// lowered.
struct ChunkAnalysis {
    BoundChunkPtr chunk;  ///< null: of several
    Findings findings;
    RowsHash hash;
    ClassReads reads{};
    std::vector<uint32_t> pkt_lens;
};
using ChunkAnalysisPtr = std::shared_ptr<const ChunkAnalysis>;
ChunkAnalysisPtr summary_of(const BoundChunkPtr& chunk, const Analysis& analysis,
                            bool port_security);
/// Of chunks that follow each other.
ChunkAnalysisPtr joined(const std::vector<ChunkAnalysisPtr>& chunks);

}  // namespace sluice::compile
