// SPDX-License-Identifier: Apache-2.0
#include "tests/property/compile_run.h"

#include "datapath/classify.h"
#include "lib/program/table.h"
#include "lib/stats/counters.h"
#include "tests/property/compile_random.h"

namespace sluice::testing {

namespace {

using oracle::Event;

class Interpreter {
public:
    Interpreter(const compile::Compiled& compiled, const State& state)
        : compiled_(compiled), s_(state) {}

    void table(unsigned side, unsigned number) {
        const Rule* rule = datapath::classify(*compiled_.tables[side][number], s_);
        if (rule == nullptr) {
            event(Event::kNoMatch, "");
            return;
        }
        code(rule->code, rule->code + rule->length);
    }
    std::vector<Event> take() { return std::move(events_); }

private:
    static uint32_t ones(uint32_t width) { return width >= 32 ? ~0u : (1u << width) - 1; }
    void put(unsigned slot, uint32_t mask, uint32_t value) {
        s_.w[slot] = (s_.w[slot] & ~mask) | (value & mask);
    }
    void event(Event::Kind kind, const std::string& why) {
        events_.push_back({kind, why, to_packet(s_)});
    }

    void code(const Instr* i, const Instr* end) {
        for (; i < end; ++i) {
            switch (i->op) {
            case Op::kNext: table(i->a, i->d); break;
            case Op::kOutput: event(Event::kOutput, ""); break;
            case Op::kClone: {
                const State saved = s_;
                const std::vector<uint32_t> stack = stack_;
                code(i + 1, i + 1 + i->d);
                s_ = saved;
                stack_ = stack;
                i += i->d;
                break;
            }
            case Op::kDrop:
                if (static_cast<Drop>(i->a) == Drop::k_no_match) {
                    event(Event::kNoMatch, "");
                } else {
                    event(Event::kDrop, drop_name(static_cast<Drop>(i->a)));
                }
                return;
            case Op::kDecTtl:
                if (s_.w[kSlotIpTtl] <= 1) {
                    event(Event::kTtl, "");
                    return;
                }
                --s_.w[kSlotIpTtl];
                break;
            default: data(*i); break;
            }
        }
    }

    void data(const Instr& i) {
        switch (i.op) {
        case Op::kLoad: put(i.a, i.e, i.d); break;
        case Op::kMove: put(i.a, ones(i.e) << i.c, (s_.w[i.b] >> i.d) << i.c); break;
        case Op::kExchange: {
            const uint32_t to = s_.w[i.a] >> i.c;
            const uint32_t from = s_.w[i.b] >> i.d;
            put(i.a, ones(i.e) << i.c, from << i.c);
            put(i.b, ones(i.e) << i.d, to << i.d);
            break;
        }
        case Op::kPush: stack_.push_back(s_.w[i.b] >> i.d & ones(i.e)); break;
        case Op::kPop:
            if (!stack_.empty()) {
                put(i.a, ones(i.e) << i.c, stack_.back() << i.c);
                stack_.pop_back();
            }
            break;
        case Op::kCtClear:
            for (unsigned slot = kSlotCtState; slot < kSlotCtLabel + 4u; ++slot) {
                s_.w[slot] = 0;
            }
            break;
        case Op::kCheckPktLarger: put(i.e, 1u << i.f, (s_.w[kSlotPktLen] > i.d) << i.f); break;
        case Op::kLookupArp: put(i.e, 1u << i.f, 0); break;
        case Op::kGetArp: s_.set_mac(kSlotEthDst, 0); break;
        default: event(Event::kDrop, "instruction the test does not know"); break;
        }
    }

    const compile::Compiled& compiled_;
    State s_;
    std::vector<uint32_t> stack_;
    std::vector<Event> events_;
};

}  // namespace

std::vector<Event> run_compiled(const compile::Compiled& compiled, unsigned side, unsigned table,
                                const State& state) {
    Interpreter interpreter(compiled, state);
    interpreter.table(side, table);
    return interpreter.take();
}

}  // namespace sluice::testing
