// SPDX-License-Identifier: Apache-2.0
#include "control/compile/compile_bind.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "control/compile/actions_lower.h"
#include "control/compile/meter_names.h"
#include "control/compile/normalize.h"
#include "control/compile/optimize_code.h"
#include "control/compile/print.h"
#include "control/compile/punt_args.h"
#include "control/compile/row_template.h"
#include "lib/program/punt.h"

namespace sluice::compile {

namespace {

std::string title(const Flow& flow) {
    return fmt::format("{} {} {} priority {} {}\n", to_string(flow.uuid),
                       flow.side == kIngress ? "ingress" : "egress", flow.table, flow.priority,
                       flow.stage_name);
}

std::string list_text(const char* what, const std::vector<std::string>& names) {
    std::string out;
    for (const std::string& name : names) {
        out += out.empty() ? fmt::format("  {}: ", what) : ", ";
        out += name;
    }
    return out.empty() ? out : out + "\n";
}

Text with_templates(const Text& text, const Names& names) {
    if (text->find('^') == std::string::npos) {
        return text;
    }
    std::map<std::string, std::string> values;
    for (const std::string& name : lang::template_names(*text)) {
        if (const std::string* value = names.template_var(name)) {
            values.emplace(name, *value);
        }
    }
    return std::make_shared<const std::string>(lang::substitute_templates(*text, values));
}

/// log() and trigger_event() have meters of their own, or none. A request for an address and the
/// packet that waits for the answer go through the meter as one.
bool takes_flow_meter(const Code& code, const Instr& i) {
    switch (i.op) {
    case Op::kPunt: {
        const auto reason = static_cast<PuntReason>(i.a);
        return reason != PuntReason::kLog && reason != PuntReason::kEvent;
    }
    case Op::kTransform: return &i == code.instrs.data() || (&i)[-1].op != Op::kBuffer;
    case Op::kBuffer:
    case Op::kPutArp:
    case Op::kPutNd:
    case Op::kPutFdb: return true;
    default: return false;
    }
}

/// The same code; what OVN's controller would carry out is behind the meter.
CodePtr behind_meter(const CodePtr& code, std::string_view name) {
    if (std::none_of(code->instrs.begin(), code->instrs.end(),
                     [&](const Instr& i) { return takes_flow_meter(*code, i); })) {
        return code;
    }
    auto metered = std::make_shared<Code>(*code);
    const auto meter = MeterNames::instance().intern(std::string(name));
    metered->keep.push_back(meter);
    for (Instr& i : metered->instrs) {
        if (takes_flow_meter(*metered, i)) {
            PuntSpec spec = i.p ? *static_cast<const PuntSpec*>(i.p) : PuntSpec{kNoMeter, 65536};
            spec.meter = meter->index;
            const auto kept = intern_punt_spec(spec);
            metered->keep.push_back(kept);
            i.p = kept.get();
        }
    }
    return metered;
}

}  // namespace

void FlowBinding::fail(const Flow& flow, const char* what, const std::string& text,
                       const lang::Diagnostic& why, BoundChunk* out) {
    out->errors.push_back({flow.uuid, lang::format_error(to_string(flow.uuid), what, text, why)});
    if (listener_ != nullptr) {
        bind_text_ += out->errors.back().text + "\n";
    }
}

ParsedFlow* FlowBinding::substituted(const Flow& flow, const std::shared_ptr<ParsedFlow>& plain) {
    if (plain->references == nullptr || plain->references->template_vars.empty()) {
        return plain.get();
    }
    Text match = with_templates(flow.match, *names_);
    Text actions = with_templates(flow.actions, *names_);
    if (match == flow.match && actions == flow.actions) {
        return plain.get();
    }
    uses_names_ = true;
    const ParsedFlow* last = plain->substituted.get();
    if (last == nullptr || *last->match_text != *match || *last->actions_text != *actions) {
        plain->substituted = parsed_.get(flow, std::move(match), std::move(actions));
    }
    return plain->substituted.get();
}

ParsedFlow* FlowBinding::parse(const Flow& flow, BoundChunk* out) {
    ParsedFlow* parsed = substituted(flow, parsed_.of(flow));
    if (parsed->errors != nullptr) {
        const ParsedFlow::Errors& errors = *parsed->errors;
        if (errors.match) {
            fail(flow, "match", *parsed->match_text, *errors.match, out);
            return nullptr;
        }
        fail(flow, "actions", *parsed->actions_text, *errors.actions, out);
    }
    return parsed;
}

void FlowBinding::explain(const Flow& flow, const ParsedFlow& parsed, const BoundFlow& bound) {
    const ParsedFlow::Trees trees = ParsedFlows::trees_of(parsed);
    parse_text_ += title(flow) + "  match: " + lang::print(*trees.match) + "\n";
    parse_text_ += "  actions: " + (trees.actions ? lang::print(*trees.actions) : "?") + "\n";
    static const References kNone;
    const References& names = parsed.references ? *parsed.references : kNone;
    const std::string named = list_text("ports", names.ports) +
                              list_text("address sets", names.address_sets) +
                              list_text("port groups", names.port_groups) +
                              list_text("residence of", names.resident_ports);
    bind_text_ += named.empty() ? "" : title(flow) + named;
    normalise_text_ += title(flow);
    for (const Row& row : *bound.rows) {
        normalise_text_ += "  row: " + print(row) + "\n";
    }
    normalise_text_ += bound.rows->empty() ? "  no row: never matches here\n" : "";
    normalise_text_ += "  code: " + print(*bound.code) + "\n";
}

lang::Parsed<std::vector<Row>> FlowBinding::rows_of(ParsedFlow* parsed) {
    const lang::Expr& match = *parsed->trees->match;
    if (!parsed->is_template_tried) {
        parsed->is_template_tried = true;
        parsed->row_template =
            parsed->references != nullptr ? make_template(match, &binder_) : nullptr;
    }
    binder_.start_flow();
    is_elsewhere_ = false;
    return parsed->row_template != nullptr
               ? fill_template(*parsed->row_template, &binder_, limit_, &is_elsewhere_)
               : normalize(match, &binder_);
}

void FlowBinding::note_address_sets(const ParsedFlow& parsed) {
    if (!is_elsewhere_ && parsed.references != nullptr) {
        address_sets_.insert(parsed.references->address_sets.begin(),
                             parsed.references->address_sets.end());
    }
}

void FlowBinding::bind_flow(const Flow& flow, BoundChunk* out) {
    ParsedFlow* parsed = parse(flow, out);
    if (parsed == nullptr) {
        return;
    }
    BoundFlow bound{flow.uuid, flow.id, flow.priority, parsed->rows, parsed->code};
    if (bound.rows == nullptr) {
        auto rows = rows_of(parsed);
        uses_names_ = uses_names_ || binder_.uses_names();
        note_address_sets(*parsed);
        if (!rows) {
            fail(flow, "match", *parsed->match_text, rows.error(), out);
            return;
        }
        bound.rows = std::make_shared<const std::vector<Row>>(*std::move(rows));
        parsed->rows = binder_.uses_names() ? nullptr : bound.rows;
    }
    if (bound.code == nullptr && parsed->trees->actions) {
        binder_.start_flow();
        auto code = lower_actions(*parsed->trees->actions, flow.side, flow.table, &binder_);
        uses_names_ = uses_names_ || binder_.uses_names();
        if (code) {
            bound.code = std::make_shared<const Code>(*std::move(code));
            parsed->code = binder_.uses_names() ? nullptr : bound.code;
        } else {
            fail(flow, "actions", *parsed->actions_text, code.error(), out);
        }
    }
    if (parsed->rows != nullptr && parsed->code != nullptr) {
        parsed->trees.reset();
    }
    if (bound.code == nullptr) {
        bound.code = malformed_code();
    } else if (!flow.controller_meter.empty()) {
        bound.code = behind_meter(bound.code, flow.controller_meter);
    }
    if (listener_ != nullptr) {
        explain(flow, *parsed, bound);
    }
    out->port_writes |= port_writes(*bound.code);
    if (!bound.rows->empty()) {
        out->flows.push_back(std::move(bound));
    }
}

BoundChunkPtr FlowBinding::bind_chunk(const std::vector<const Flow*>& flows, size_t begin) {
    auto out = std::make_shared<BoundChunk>();
    const size_t end = end_of_chunk(flows, begin, &out->is_cut);
    out->of.assign(flows.data() + begin, flows.data() + end);
    out->flows.reserve(out->of.size());
    uses_names_ = false;
    address_sets_.clear();
    for (const Flow* flow : out->of) {
        bind_flow(*flow, out.get());
    }
    out->flows.shrink_to_fit();
    out->uses_names = uses_names_;
    out->address_sets.assign(address_sets_.begin(), address_sets_.end());
    return out;
}

std::shared_ptr<const BoundTable> FlowBinding::bind(const FlowList& flows, const PortLimits& limits,
                                                    const BoundTable* before, bool is_renamed) {
    auto out = std::make_shared<BoundTable>();
    const PipelineSide side = flows->front()->side;
    limit_ = limits[side] ? &ports_here_[side] : nullptr;
    out->list = flows;
    const KnownChunks known(before != nullptr ? &before->chunks : nullptr);
    for (size_t at = 0; at < flows->size();) {
        BoundChunkPtr chunk = known.at(*flows, at);
        if (chunk == nullptr || (is_renamed && chunk->uses_names)) {
            chunk = bind_chunk(*flows, at);
        }
        at += chunk->of.size();
        out->uses_names |= chunk->uses_names;
        out->port_writes |= chunk->port_writes;
        out->errors.insert(out->errors.end(), chunk->errors.begin(), chunk->errors.end());
        out->chunks.push_back(std::move(chunk));
    }
    return out;
}

void FlowBinding::report() {
    if (listener_ != nullptr) {
        listener_->pass("parse", parse_text_);
        listener_->pass("bind", bind_text_);
        listener_->pass("normalise", normalise_text_);
    }
}

}  // namespace sluice::compile
