// SPDX-License-Identifier: Apache-2.0
// What a Compiler remembers of one datapath between increments.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/compile/chunk.h"
#include "control/compile/compile.h"
#include "control/compile/lower.h"
#include "control/compile/optimize.h"

namespace sluice::compile {

struct FinishedTable;

/// Flows of one logical table, bound to the datapath, in priority order.
struct BoundTable {
    FlowList list;  ///< what it is of: others who have it find this; the flows may be gone
    BoundChunks chunks;
    bool uses_names = false;  ///< it is about one datapath; else it means the same everywhere
    uint8_t port_writes = 0;  ///< of all chunks
    std::vector<FlowError> errors;
    /// What was made of it for other datapaths (or another entry state), when it names nothing.
    mutable std::vector<std::weak_ptr<const FinishedTable>> finished;

    size_t n_flows() const {
        size_t n = 0;
        for (const BoundChunkPtr& chunk : chunks) {
            n += chunk->flows.size();
        }
        return n;
    }
};

/// What analysis and lowering made of it for one entry state. Immutable once lowered.
struct FinishedTable {
    std::shared_ptr<const BoundTable> bound;
    Known in;
    bool port_security = true;
    std::vector<ChunkAnalysisPtr> chunks;  ///< up to one that decides
    ChunkAnalysisPtr whole;                ///< as if they were one
    LoweredPtr lowered;                    ///< null when it forwards
};

/// Which sides' port conditions are limited to the ports of this chassis (ports_here.h) when flows
/// are bound already: nothing in the datapath changes the port on the way there.
using PortLimits = std::array<bool, 2>;

struct Memo {
    template <typename T>
    using PerTable = std::array<std::array<std::shared_ptr<const T>, limits::kMaxTables>, 2>;
    PerTable<BoundTable> bound;        ///< null: no flows
    PerTable<FinishedTable> finished;  ///< null: not reachable
    PortLimits limits{true, true};
    bool port_security = true;
};

/// Whether a table's rows have to do with the address set. Where no row that can match here does,
/// it may change without the table.
bool has_to_do_with(const Compiled& compiled, unsigned side, unsigned table,
                    const std::string& address_set);

/// Tables that mean the same in every datapath that has their list of flows.
class SharedBounds {
public:
    std::shared_ptr<const BoundTable> find(const FlowList& flows) const {
        const auto it = by_list_.find(flows.get());
        return it == by_list_.end() || it->second.flows.lock() != flows ? nullptr
                                                                        : it->second.bound.lock();
    }
    void put(const FlowList& flows, const std::shared_ptr<const BoundTable>& bound) {
        by_list_[flows.get()] = {flows, bound};
        if (by_list_.size() >= sweep_at_) {
            std::erase_if(by_list_, [](const auto& item) { return item.second.bound.expired(); });
            sweep_at_ = std::max<size_t>(2 * by_list_.size(), 1024);
        }
    }
    void clear() { by_list_.clear(); }

private:
    struct Entry {
        std::weak_ptr<const std::vector<const Flow*>> flows;  ///< its address may be used again
        std::weak_ptr<const BoundTable> bound;
    };
    std::unordered_map<const void*, Entry> by_list_;
    size_t sweep_at_ = 1024;
};

}  // namespace sluice::compile
