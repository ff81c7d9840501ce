// SPDX-License-Identifier: Apache-2.0
// The flows that OVN itself wrote: tests/data/lflows_*.jsonl.gz (tools/dev/collect_lflows.py).
#pragma once

#include <string>
#include <vector>

#include "control/compile/actions.h"

namespace sluice::lang {

struct CorpusFlow {
    Pipeline pipeline;
    unsigned table;
    std::string match;
    std::string actions;
};

/// Whether `expr` holds only comparisons of fields, residence, && and ||, flat and without
/// constants.
bool is_raw(const Expr& expr);

/// `version` is "23.03" or "26.03".
std::vector<CorpusFlow> load_corpus(const std::string& version);

}  // namespace sluice::lang
