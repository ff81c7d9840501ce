// SPDX-License-Identifier: Apache-2.0
// The front passes over one datapath: parse, bind and normalise its flows table by table.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/compile/bind.h"
#include "control/compile/compile_memo.h"
#include "control/compile/compile_parse.h"

namespace sluice::compile {

class FlowBinding {
public:
    FlowBinding(ParsedFlows* parsed, AddressSetCache* sets, const Names* names,
                PassListener* listener)
        : parsed_(*parsed), names_(names), binder_(names, sets), listener_(listener) {}

    /// The flows of one table, in any order. Errors are in the result.
    std::shared_ptr<const BoundTable> bind(std::vector<const Flow*> flows);
    /// Gives the listener what was collected.
    void report();

private:
    bool bind_flow(const Flow& flow, BoundTable* out);
    /// With template variables put in; null when the flow cannot be used (reported).
    ParsedFlow* parse(const Flow& flow, BoundTable* out);
    void fail(const Flow& flow, const char* what, const std::string& text,
              const lang::Diagnostic& why, BoundTable* out);

    ParsedFlows& parsed_;
    const Names* names_;
    Binder binder_;
    PassListener* listener_;
    std::string match_;  ///< of the flow at hand, templates put in
    std::string actions_;
    std::string parse_text_;
    std::string bind_text_;
    std::string normalise_text_;
};

}  // namespace sluice::compile
