// SPDX-License-Identifier: Apache-2.0
#include "control/compile/compile_bind.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "control/compile/actions_lower.h"
#include "control/compile/meter_names.h"
#include "control/compile/normalize.h"
#include "control/compile/print.h"
#include "control/compile/punt_args.h"
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

std::string with_templates(const std::string& text, const Names& names) {
    if (text.find('^') == std::string::npos) {
        return text;
    }
    std::map<std::string, std::string> values;
    for (const std::string& name : lang::template_names(text)) {
        if (const std::string* value = names.template_var(name)) {
            values.emplace(name, *value);
        }
    }
    return lang::substitute_templates(text, values);
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
CodePtr behind_meter(const CodePtr& code, const std::string& name) {
    if (std::none_of(code->instrs.begin(), code->instrs.end(),
                     [&](const Instr& i) { return takes_flow_meter(*code, i); })) {
        return code;
    }
    auto metered = std::make_shared<Code>(*code);
    const auto meter = MeterNames::instance().intern(name);
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
                       const lang::Diagnostic& why, BoundTable* out) {
    out->errors.push_back({flow.uuid, lang::format_error(to_string(flow.uuid), what, text, why)});
    if (listener_ != nullptr) {
        bind_text_ += out->errors.back().text + "\n";
    }
}

ParsedFlow* FlowBinding::parse(const Flow& flow, BoundTable* out) {
    match_ = with_templates(*flow.match, *names_);
    actions_ = with_templates(*flow.actions, *names_);
    ParsedFlow& parsed = parsed_.get(flow.side, flow.table, flow.by_connection, match_, actions_);
    if (parsed.match_error) {
        fail(flow, "match", match_, *parsed.match_error, out);
        return nullptr;
    }
    if (parsed.actions_error) {
        fail(flow, "actions", actions_, *parsed.actions_error, out);
    }
    if (listener_ != nullptr) {
        parse_text_ += title(flow) + "  match: " + lang::print(*parsed.match) + "\n";
        parse_text_ += "  actions: " + (parsed.actions ? lang::print(*parsed.actions) : "?") + "\n";
    }
    return &parsed;
}

bool FlowBinding::bind_flow(const Flow& flow, BoundTable* out) {
    ParsedFlow* parsed = parse(flow, out);
    if (parsed == nullptr) {
        return false;
    }
    BoundFlow bound{flow.uuid, flow.id, flow.priority, parsed->rows, parsed->code};
    if (bound.rows == nullptr) {
        binder_.start_flow();
        auto rows = normalize(*parsed->match, &binder_);
        if (!rows) {
            fail(flow, "match", match_, rows.error(), out);
            return false;
        }
        bound.rows = std::make_shared<const std::vector<Row>>(*std::move(rows));
        parsed->rows = binder_.uses_names() ? nullptr : bound.rows;
    }
    if (bound.code == nullptr && parsed->actions) {
        binder_.start_flow();
        auto code = lower_actions(*parsed->actions, flow.side, flow.table, &binder_);
        if (code) {
            bound.code = std::make_shared<const Code>(*std::move(code));
            parsed->code = binder_.uses_names() ? nullptr : bound.code;
        } else {
            fail(flow, "actions", actions_, code.error(), out);
        }
    }
    if (bound.code == nullptr) {
        bound.code = malformed_code();
    } else if (!flow.controller_meter.empty()) {
        bound.code = behind_meter(bound.code, flow.controller_meter);
    }
    if (listener_ != nullptr) {
        const References& names = parsed->references;
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
    out->flows.push_back(std::move(bound));
    return true;
}

std::shared_ptr<const BoundTable> FlowBinding::bind(std::vector<const Flow*> flows) {
    std::sort(flows.begin(), flows.end(), [](const Flow* a, const Flow* b) {
        return a->priority != b->priority ? a->priority > b->priority : a->uuid < b->uuid;
    });
    auto out = std::make_shared<BoundTable>();
    for (const Flow* flow : flows) {
        bind_flow(*flow, out.get());
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
