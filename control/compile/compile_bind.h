// SPDX-License-Identifier: Apache-2.0
// The front passes over one datapath: parse, bind and normalise its flows table by table.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/compile/bind.h"
#include "control/compile/compile_memo.h"
#include "control/compile/compile_parse.h"
#include "control/compile/ports_here.h"

namespace sluice::compile {

class FlowBinding {
public:
    FlowBinding(ParsedFlows* parsed, AddressSetCache* sets, const DatapathInput& input,
                PassListener* listener)
        : parsed_(*parsed),
          names_(input.names),
          binder_(input.names, sets, input.round),
          ports_here_{{input.names, kIngress}, {input.names, kEgress}},
          listener_(listener) {}

    /// The flows of one table, in their order. Errors are in the result. Chunks of `before`, which
    /// was bound under the same limits, are taken over; those that use names only if names mean
    /// what they meant then.
    std::shared_ptr<const BoundTable> bind(const FlowList& flows, const PortLimits& limits,
                                           const BoundTable* before, bool is_renamed);
    /// Gives the listener what was collected.
    void report();

private:
    void bind_flow(const Flow& flow, BoundChunk* out);
    BoundChunkPtr bind_chunk(const std::vector<const Flow*>& flows, size_t begin);
    /// With template variables put in; null when the flow cannot be used (reported).
    ParsedFlow* parse(const Flow& flow, BoundChunk* out);
    ParsedFlow* substituted(const Flow& flow, const std::shared_ptr<ParsedFlow>& plain);
    lang::Parsed<std::vector<Row>> rows_of(ParsedFlow* parsed);
    void note_address_sets(const ParsedFlow& parsed);
    void explain(const Flow& flow, const ParsedFlow& parsed, const BoundFlow& bound);
    void fail(const Flow& flow, const char* what, const std::string& text,
              const lang::Diagnostic& why, BoundChunk* out);

    ParsedFlows& parsed_;
    const Names* names_;
    Binder binder_;
    PortsHere ports_here_[2];
    // Of the chunk at hand.
    PortsHere* limit_ = nullptr;  ///< null: its port conditions stay as they are
    bool uses_names_ = false;     ///< some flow does
    bool is_elsewhere_ = false;   ///< the last rows have nothing to do with address sets
    std::set<std::string> address_sets_;
    PassListener* listener_;
    std::string parse_text_;
    std::string bind_text_;
    std::string normalise_text_;
};

}  // namespace sluice::compile
