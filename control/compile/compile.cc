// SPDX-License-Identifier: Apache-2.0
#include "control/compile/compile.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "control/compile/compile_bind.h"
#include "control/compile/compile_memo.h"
#include "control/compile/lower.h"
#include "lib/program/table.h"

namespace sluice::compile {

namespace {

/// Two hashes of all that goes into a table: equal contents share one table.
struct ContentHash {
    uint64_t a = 0x243f6a8885a308d3ull;
    uint64_t b = 0x13198a2e03707344ull;
    void add(uint64_t v) {
        a = (a ^ v) * 0x9e3779b97f4a7c15ull;
        a ^= a >> 32;
        b = (b + v) * 0xd6e8feb86659fd93ull;
        b ^= b >> 29;
    }
    bool operator==(const ContentHash&) const = default;
};
struct ContentHasher {
    size_t operator()(const ContentHash& h) const { return h.a; }
};

void add_code(const Code& code, ContentHash* hash) {
    hash->add(code.instrs.size());
    for (const Instr& i : code.instrs) {
        hash->add(static_cast<uint64_t>(i.op) << 32 | i.a << 16 | i.b << 8 | i.c);
        hash->add(uint64_t{i.d} << 32 | i.e);
        hash->add(i.f);
        hash->add(reinterpret_cast<uintptr_t>(i.p));
    }
    for (const auto& group : code.selects) {
        hash->add(group.size());
        for (const SelectGroup::Entry& entry : group) {
            hash->add(uint64_t{entry.id} << 32 | entry.end);
        }
    }
}

ContentHash content_of(const std::vector<LiveRow>& rows, const std::vector<BoundFlow>& flows) {
    ContentHash hash;
    for (const LiveRow& live : rows) {
        hash.add(live.row.conds.size());
        for (const Cond& cond : live.row.conds) {
            hash.add(static_cast<uint64_t>(cond.slice.id) << 32 | cond.slice.ofs << 16 |
                     cond.slice.width);
            hash.add(cond.values->hash());
            for (const ValueRange& r : cond.values->ranges()) {
                hash.add(static_cast<uint64_t>(r.lo));
                hash.add(static_cast<uint64_t>(r.hi));
            }
        }
        hash.add(flows[live.flow].id);
        add_code(*flows[live.flow].code, &hash);
    }
    return hash;
}

using Place = std::pair<unsigned, unsigned>;  ///< side, table

const char* side_name(unsigned side) {
    return side == kIngress ? "ingress" : "egress";
}

}  // namespace

struct Compiler::Impl {
    lang::Dialect dialect = lang::Dialect::k2303;
    ParsedFlows parsed{lang::Dialect::k2303};
    AddressSetCache address_sets;
    std::unordered_map<ContentHash, std::weak_ptr<const Table>, ContentHasher> tables;

    std::shared_ptr<const Table> shared_table(const std::vector<LiveRow>& rows,
                                              const std::vector<BoundFlow>& flows) {
        const ContentHash hash = content_of(rows, flows);
        std::weak_ptr<const Table>& known = tables[hash];
        std::shared_ptr<const Table> table = known.lock();
        if (table == nullptr) {
            table = lower(rows, flows, hash.a);
            known = table;
        }
        return table;
    }
};

namespace {

/// One run over one datapath.
class DatapathCompile {
public:
    DatapathCompile(const DatapathInput& input, PassListener* listener)
        : input_(input),
          listener_(listener),
          port_security_(input.names->port_security_in_use()),
          memo_(std::make_shared<Memo>()) {
        if (input.previous != nullptr && input.previous->memo != nullptr) {
            previous_ = static_cast<const Memo*>(input.previous->memo.get());
        }
    }

    void bind(ParsedFlows* parsed, AddressSetCache* sets);
    void optimise();
    template <typename MakeTable>
    void lower_all(const MakeTable& make);
    Compiled take();

private:
    bool dirty(unsigned side, unsigned table) const {
        return previous_ == nullptr || (input_.dirty_tables[side] >> table & 1) != 0;
    }
    void visit(Place at);
    void enter(Place at, const Known& known);
    void explain(Place at, const FinishedTable& finished);

    const DatapathInput& input_;
    PassListener* listener_;
    bool port_security_;
    const Memo* previous_ = nullptr;
    std::shared_ptr<Memo> memo_;
    std::array<std::array<std::optional<Known>, limits::kMaxTables>, 2> in_;
    std::set<Place> pending_;
    std::string optimise_text_;
    std::string lower_text_;
};

void DatapathCompile::bind(ParsedFlows* parsed, AddressSetCache* sets) {
    std::array<std::array<std::vector<const Flow*>, limits::kMaxTables>, 2> flows;
    for (const Flow* flow : input_.flows) {
        if (flow->table < limits::kMaxTables) {
            flows[flow->side][flow->table].push_back(flow);
        }
    }
    FlowBinding binding(parsed, sets, input_.names, listener_);
    for (unsigned side = 0; side < 2; ++side) {
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            if (flows[side][table].empty()) {
                continue;
            }
            memo_->bound[side][table] = dirty(side, table) || !previous_->bound[side][table]
                                            ? binding.bind(std::move(flows[side][table]))
                                            : previous_->bound[side][table];
        }
    }
    binding.report();
}

void DatapathCompile::enter(Place at, const Known& known) {
    std::optional<Known>& in = in_[at.first][at.second];
    if (!in) {
        in = known;
        pending_.insert(at);
        return;
    }
    Known joined = *in;
    joined.join(known);
    if (!(joined == *in)) {
        in = joined;
        pending_.insert(at);
    }
}

void DatapathCompile::visit(Place at) {
    const auto& bound = memo_->bound[at.first][at.second];
    if (bound == nullptr) {
        return;
    }
    const Known& in = *in_[at.first][at.second];
    std::shared_ptr<const FinishedTable> finished;
    if (previous_ != nullptr) {
        finished = previous_->finished[at.first][at.second];
    }
    if (finished == nullptr || finished->bound != bound || !(finished->in == in) ||
        finished->port_security != port_security_) {
        auto fresh = std::make_shared<FinishedTable>();
        fresh->bound = bound;
        fresh->in = in;
        fresh->port_security = port_security_;
        fresh->analysis = analyze(
            bound->flows, in, {static_cast<PipelineSide>(at.first), input_.names, port_security_});
        finished = std::move(fresh);
    }
    memo_->finished[at.first][at.second] = finished;
    for (const Analysis::Jump& jump : finished->analysis.jumps) {
        enter({jump.side, jump.table}, jump.known);
    }
    if (finished->analysis.at_output) {
        enter({kEgress, 0}, egress_start(&*finished->analysis.at_output));
    }
}

void DatapathCompile::optimise() {
    enter({kIngress, 0}, ingress_start());
    enter({kEgress, 0}, egress_start(nullptr));
    while (!pending_.empty()) {
        const Place at = *pending_.begin();
        pending_.erase(pending_.begin());
        visit(at);
    }
}

void DatapathCompile::explain(Place at, const FinishedTable& finished) {
    const Analysis& a = finished.analysis;
    const std::string name = fmt::format("{} {}", side_name(at.first), at.second);
    optimise_text_ += fmt::format("{}: {} flows, {} rows left", name, finished.bound->flows.size(),
                                  a.rows.size());
    optimise_text_ += a.impossible != 0 ? fmt::format(", {} cannot match", a.impossible) : "";
    optimise_text_ += a.covered != 0 ? fmt::format(", {} under a certain match", a.covered) : "";
    optimise_text_ += a.implied != 0 ? fmt::format(", {} conditions always hold", a.implied) : "";
    if (a.forward) {
        optimise_text_ += fmt::format("; vanishes: every packet goes on to {}", *a.forward);
    }
    optimise_text_ += "\n";
    for (const LiveRow& live : a.rows) {
        if (!a.forward) {
            const BoundFlow& flow = finished.bound->flows[live.flow];
            optimise_text_ += fmt::format("  {} priority {}: {}\n", to_string(flow.uuid),
                                          flow.priority, print(live.row));
        }
    }
    if (finished.table != nullptr) {
        lower_text_ += fmt::format("{}: {} rows, {} bytes\n", name, finished.table->n_rows,
                                   finished.table->bytes);
        lower_text_ += finished.table->description;
    }
}

template <typename MakeTable>
void DatapathCompile::lower_all(const MakeTable& make) {
    for (unsigned side = 0; side < 2; ++side) {
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            auto& finished = memo_->finished[side][table];
            if (finished == nullptr) {
                const auto& bound = memo_->bound[side][table];
                if (listener_ != nullptr && bound != nullptr) {
                    optimise_text_ += fmt::format("{} {}: {} flows, not reachable\n",
                                                  side_name(side), table, bound->flows.size());
                }
                continue;
            }
            const Analysis& a = finished->analysis;
            if (finished->table == nullptr && !a.forward) {
                auto fresh = std::make_shared<FinishedTable>(*finished);
                const std::vector<BoundFlow>& flows = finished->bound->flows;
                for (const LiveRow& live : a.rows) {
                    SlotMask reads;
                    add_reads(live.row, &reads);
                    add_reads(*flows[live.flow].code, port_security_, &reads);
                    for (unsigned i = 0, classes = classes_of(live.row); i < kPacketClasses; ++i) {
                        if (classes >> i & 1) {
                            fresh->reads[i] |= reads;
                        }
                    }
                    add_pkt_lens(*flows[live.flow].code, &fresh->pkt_lens);
                }
                fresh->table = a.rows.empty() ? no_match_table() : make(a.rows, flows);
                finished = std::move(fresh);
            }
            if (listener_ != nullptr) {
                explain({side, table}, *finished);
            }
        }
    }
}

Compiled DatapathCompile::take() {
    Compiled out;
    std::set<const void*> kept;
    const auto keep = [&](const std::shared_ptr<const Table>& table) {
        if (kept.insert(table.get()).second) {
            out.keep.push_back(table);
        }
        return table.get();
    };
    for (unsigned side = 0; side < 2; ++side) {
        for (unsigned table = limits::kMaxTables; table-- > 0;) {
            const auto& bound = memo_->bound[side][table];
            if (bound != nullptr) {
                out.errors.insert(out.errors.end(), bound->errors.begin(), bound->errors.end());
            }
            const auto& finished = memo_->finished[side][table];
            const Table*& slot = out.tables[side][table];
            if (finished == nullptr) {
                slot = keep(no_match_table());
                continue;
            }
            slot = nullptr;
            if (finished->table != nullptr) {
                slot = keep(finished->table);
            }
            out.reads[side] |= finished->reads;
            out.pkt_lens.insert(out.pkt_lens.end(), finished->pkt_lens.begin(),
                                finished->pkt_lens.end());
        }
        // A table that only goes on stands for the one it goes on to.
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            unsigned at = table;
            for (unsigned steps = 0; out.tables[side][at] == nullptr; ++steps) {
                if (steps == limits::kMaxTables) {
                    break;  // they go on in a circle: the walk may as well drop
                }
                at = *memo_->finished[side][at]->analysis.forward;
            }
            if (out.tables[side][at] != nullptr) {
                out.tables[side][table] = out.tables[side][at];
            }
        }
        for (const Table*& slot : out.tables[side]) {
            slot = slot != nullptr ? slot : keep(no_match_table());
        }
    }
    std::sort(out.pkt_lens.begin(), out.pkt_lens.end());
    out.pkt_lens.erase(std::unique(out.pkt_lens.begin(), out.pkt_lens.end()), out.pkt_lens.end());
    if (listener_ != nullptr) {
        listener_->pass("optimise", optimise_text_);
        listener_->pass("lower", lower_text_);
    }
    out.memo = memo_;
    return out;
}

}  // namespace

Compiler::Compiler() : impl_(std::make_unique<Impl>()) {}
Compiler::~Compiler() = default;

void Compiler::set_dialect(lang::Dialect dialect) {
    if (dialect != impl_->dialect) {
        impl_->dialect = dialect;
        impl_->parsed = ParsedFlows(dialect);
    }
}

References Compiler::references(const Flow& flow) {
    References out =
        impl_->parsed.get(flow.side, flow.table, flow.by_connection, *flow.match, *flow.actions)
            .references;
    for (const std::string* text : {flow.match.get(), flow.actions.get()}) {
        if (text->find('^') != std::string::npos) {
            for (std::string& name : lang::template_names(*text)) {
                out.template_vars.push_back(std::move(name));
            }
        }
    }
    std::vector<std::string>& names = out.template_vars;
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return out;
}

Compiled Compiler::compile(const DatapathInput& input, PassListener* listener) {
    DatapathCompile run(input, listener);
    run.bind(&impl_->parsed, &impl_->address_sets);
    run.optimise();
    run.lower_all([&](const std::vector<LiveRow>& rows, const std::vector<BoundFlow>& flows) {
        return impl_->shared_table(rows, flows);
    });
    return run.take();
}

void Compiler::forget_unused() {
    impl_->parsed.forget_unused();
    impl_->address_sets.entries.clear();
    std::erase_if(impl_->tables, [](const auto& item) { return item.second.expired(); });
}

}  // namespace sluice::compile
