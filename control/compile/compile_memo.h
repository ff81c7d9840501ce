// SPDX-License-Identifier: Apache-2.0
// What a Compiler remembers of one datapath between increments.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "control/compile/compile.h"
#include "control/compile/optimize.h"
#include "lib/program/table.h"

namespace sluice::compile {

/// Flows of one logical table, bound to the datapath, in priority order.
struct BoundTable {
    std::vector<BoundFlow> flows;
    std::vector<FlowError> errors;
};

/// What analysis and lowering made of it for one entry state. Immutable.
struct FinishedTable {
    std::shared_ptr<const BoundTable> bound;
    Known in;
    bool port_security = true;
    Analysis analysis;                   ///< rows only until lowered
    std::shared_ptr<const Table> table;  ///< null when it forwards
    ClassReads reads{};
    std::vector<uint32_t> pkt_lens;
};

struct Memo {
    template <typename T>
    using PerTable = std::array<std::array<std::shared_ptr<const T>, limits::kMaxTables>, 2>;
    PerTable<BoundTable> bound;        ///< null: no flows
    PerTable<FinishedTable> finished;  ///< null: not reachable
};

}  // namespace sluice::compile
