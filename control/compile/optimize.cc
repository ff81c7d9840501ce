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
        bool decided = false;
        for (uint32_t f = 0; f < flows.size(); ++f) {
            for (const Row& row : *flows[f].rows) {
                if (decided) {
                    ++out_.covered;
                    continue;
                }
                decided = add_row(row, f, *flows[f].code);
            }
        }
        find_forward(flows, decided);
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
    bool add_row(const Row& row, uint32_t flow, const Code& code) {
        live_.clear();
        for (const Cond& cond : row.conds) {
            Verdict verdict = judge(cond);
            LiveCond kept{cond.slice, cond.values.get()};
            if (verdict == Verdict::kDepends && is_about_ports_here(cond)) {
                kept.values = with_ports_here(cond);
                verdict = kept.values->empty() ? Verdict::kNever : verdict;
            }
            if (verdict == Verdict::kNever) {
                ++out_.impossible;
                return false;
            }
            if (verdict == Verdict::kAlways) {
                ++out_.implied;
            } else {
                live_.push_back(kept);
            }
        }
        Known known = in_;
        refine(live_, &known);
        out_.rows.push_back({out_.conds.put(live_), flow});
        transfer(code, 0, code.instrs.size(), {context_.side, context_.port_security}, &known,
                 &out_);
        return live_.empty();
    }

    void find_forward(const std::vector<BoundFlow>& flows, bool decided) {
        if (!decided) {
            return;
        }
        const Instr* target = nullptr;
        for (const LiveRow& live : out_.rows) {
            const Code& code = *flows[live.flow].code;
            if (code.instrs.size() != 1 || code.instrs[0].op != Op::kNext ||
                code.instrs[0].a != context_.side) {
                return;
            }
            if (target != nullptr && target->d != code.instrs[0].d) {
                return;
            }
            target = &code.instrs[0];
        }
        if (target != nullptr) {
            out_.forward = static_cast<uint8_t>(target->d);
        }
    }

    const Known& in_;
    const TableContext& context_;
    std::unordered_map<const ValueSet*, const ValueSet*> here_;
    std::vector<LiveCond> live_;  ///< of the row at hand
    Analysis out_;
};

}  // namespace

Analysis analyze(const std::vector<BoundFlow>& flows, const Known& in,
                 const TableContext& context) {
    return TableAnalysis(in, context).run(flows);
}

}  // namespace sluice::compile
