// SPDX-License-Identifier: Apache-2.0
#include "control/compile/optimize.h"

#include <algorithm>
#include <unordered_map>

#include "control/compile/optimize_code.h"
#include "control/compile/ports_here.h"

namespace sluice::compile {

namespace {

class TableAnalysis {
public:
    TableAnalysis(const Known& in, const TableContext& context) : in_(in), context_(context) {}

    Analysis run(const std::vector<BoundFlow>& flows) {
        Findings& found = out_.findings;
        for (const BoundFlow& flow : flows) {
            for (const Row& row : *flow.rows) {
                if (found.is_decided) {
                    ++found.covered;
                    continue;
                }
                found.is_decided = add_row(row, flow);
            }
        }
        found.rows = static_cast<uint32_t>(out_.rows.size());
        return std::move(out_);
    }

private:
    enum class Verdict { kNever, kAlways, kDepends };

    Verdict judge(const Cond& cond) const {
        U128 known = 0;
        U128 bits = 0;
        in_.slice(cond.slice, &known, &bits);
        if (known == 0) {
            return Verdict::kDepends;
        }
        if (known == ones(cond.slice.width)) {
            return cond.values->contains(bits) ? Verdict::kAlways : Verdict::kNever;
        }
        if (!possible(*cond.values, known, bits)) {
            return Verdict::kNever;
        }
        return possible(cond.values->complement(cond.slice.width), known, bits) ? Verdict::kDepends
                                                                                : Verdict::kAlways;
    }

    /// Known bits of packets that match `row`.
    static void refine(const std::vector<LiveCond>& conds, Known* known) {
        for (const LiveCond& cond : conds) {
            const auto& ranges = cond.values->ranges();
            const U128 differ = ranges.front().lo ^ ranges.back().hi;
            U128 same = ones(cond.slice.width);
            for (unsigned i = cond.slice.width; i-- > 0;) {
                if ((differ >> i & 1) != 0) {
                    same &= ~ones(i + 1);
                    break;
                }
            }
            const Slice s = state_slice(cond.slice);
            const U128 mask = same << s.shift;
            const U128 value = (ranges.front().lo & same) << s.shift;
            for (unsigned i = 0; i < s.slots; ++i) {
                const unsigned down = 32 * (s.slots - 1u - i);
                known->set(s.slot + i, static_cast<uint32_t>(mask >> down),
                           static_cast<uint32_t>(value >> down));
            }
        }
    }

    /// Whether the condition is about the port by which packets come here, or go from here.
    bool is_about_ports_here(const Cond& cond) const {
        return (context_.side == kIngress ? in_.inport_is_entry : in_.outport_is_local) &&
               is_port_here(cond.slice, context_.side);
    }

    /// What is left of such a condition; each set is looked at once.
    const ValueSet* with_ports_here(const Cond& cond) {
        const auto [at, is_new] = here_.try_emplace(cond.values.get(), cond.values.get());
        if (is_new) {
            if (ValueSetPtr left = ports_here(*cond.values, context_.side, *context_.names)) {
                at->second = left.get();
                out_.conds.keep(std::move(left));
            }
        }
        return at->second;
    }

    /// True when every packet that gets here matches the row.
    bool add_row(const Row& row, const BoundFlow& flow) {
        live_.clear();
        for (const Cond& cond : row.conds) {
            Verdict verdict = judge(cond);
            LiveCond kept{cond.slice, cond.values.get()};
            if (verdict == Verdict::kDepends && is_about_ports_here(cond)) {
                kept.values = with_ports_here(cond);
                verdict = kept.values->empty() ? Verdict::kNever : verdict;
            }
            if (verdict == Verdict::kNever) {
                ++out_.findings.impossible;
                return false;
            }
            if (verdict == Verdict::kAlways) {
                ++out_.findings.implied;
            } else {
                live_.push_back(kept);
            }
        }
        Known known = in_;
        refine(live_, &known);
        out_.rows.push_back({out_.conds.put(live_), &flow});
        note_going_on(*flow.code);
        transfer(*flow.code, 0, flow.code->instrs.size(), {context_.side, context_.port_security},
                 &known, &out_.findings.exits);
        return live_.empty();
    }

    void note_going_on(const Code& code) {
        Findings& found = out_.findings;
        const bool goes_on = code.instrs.size() == 1 && code.instrs[0].op == Op::kNext &&
                             code.instrs[0].a == context_.side;
        const auto to = static_cast<uint8_t>(code.instrs.empty() ? 0 : code.instrs[0].d);
        found.only_goes_on = found.only_goes_on && goes_on && found.goes_on_to.value_or(to) == to;
        found.goes_on_to = to;
    }

    const Known& in_;
    const TableContext& context_;
    std::unordered_map<const ValueSet*, const ValueSet*> here_;
    std::vector<LiveCond> live_;  ///< of the row at hand
    Analysis out_;
};

}  // namespace

void Exits::jump(uint8_t side, uint8_t table, const Known& known) {
    for (Jump& jump : jumps) {
        if (jump.side == side && jump.table == table) {
            jump.known.join(known);
            return;
        }
    }
    jumps.push_back({side, table, known});
}

void Exits::output(const Known& known) {
    if (at_output) {
        at_output->join(known);
    } else {
        at_output = known;
    }
}

void Exits::join(const Exits& other) {
    for (const Jump& next : other.jumps) {
        jump(next.side, next.table, next.known);
    }
    if (other.at_output) {
        output(*other.at_output);
    }
}

bool Exits::leads_to_the_same(const Exits& other) const {
    return at_output == other.at_output && jumps.size() == other.jumps.size() &&
           std::all_of(jumps.begin(), jumps.end(), [&](const Jump& a) {
               return std::any_of(other.jumps.begin(), other.jumps.end(), [&](const Jump& b) {
                   return a.side == b.side && a.table == b.table && a.known == b.known;
               });
           });
}

void Findings::append(const Findings& next) {
    exits.join(next.exits);
    only_goes_on = only_goes_on && next.only_goes_on &&
                   (!goes_on_to || !next.goes_on_to || *goes_on_to == *next.goes_on_to);
    goes_on_to = next.goes_on_to ? next.goes_on_to : goes_on_to;
    is_decided = next.is_decided;
    rows += next.rows;
    impossible += next.impossible;
    covered += next.covered;
    implied += next.implied;
}

Analysis analyze(const std::vector<BoundFlow>& flows, const Known& in,
                 const TableContext& context) {
    return TableAnalysis(in, context).run(flows);
}

}  // namespace sluice::compile
