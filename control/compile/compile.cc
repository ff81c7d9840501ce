// SPDX-License-Identifier: Apache-2.0
#include "control/compile/compile.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "control/compile/compile_bind.h"
#include "control/compile/compile_memo.h"
#include "control/compile/lower.h"
#include "control/compile/optimize_code.h"
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
        hash.add(live.conds.size());
        for (const LiveCond& cond : live.conds) {
            hash.add(static_cast<uint64_t>(cond.slice.id) << 32 | cond.slice.ofs << 16 |
                     cond.slice.width);
            hash.add(cond.values->hash());
            hash.add(cond.values->second_hash());
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
    SharedBounds bounds;
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
            if (tables.size() >= sweep_tables_at) {
                std::erase_if(tables, [](const auto& item) { return item.second.expired(); });
                sweep_tables_at = std::max<size_t>(2 * tables.size(), 4096);
            }
        }
        return table;
    }
    size_t sweep_tables_at = 4096;
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
        // A listener hears everything, so everything is made anew for it.
        if (listener == nullptr && input.previous != nullptr && input.previous->memo != nullptr) {
            previous_ = static_cast<const Memo*>(input.previous->memo.get());
        }
    }

    void bind(ParsedFlows* parsed, AddressSetCache* sets, SharedBounds* bounds);
    void optimise();
    template <typename MakeTable>
    void lower_all(const MakeTable& make);
    Compiled take();

private:
    bool dirty(unsigned side, unsigned table) const {
        return previous_ == nullptr || (input_.dirty_tables[side] >> table & 1) != 0;
    }
    PortLimits port_limits() const;
    void visit(Place at);
    std::shared_ptr<const FinishedTable> known_result(
        Place at, const std::shared_ptr<const BoundTable>& bound, const Known& in) const;
    template <typename MakeTable>
    void finish(FinishedTable* fresh, const MakeTable& make) const;
    void enter(Place at, const Known& known);
    void explain(Place at, const FinishedTable& finished);

    const DatapathInput& input_;
    PassListener* listener_;
    bool port_security_;
    const Memo* previous_ = nullptr;
    std::shared_ptr<Memo> memo_;
    /// Those of memo_->finished that are not lowered yet.
    std::array<std::array<std::shared_ptr<FinishedTable>, limits::kMaxTables>, 2> fresh_;
    std::array<std::array<std::optional<Known>, limits::kMaxTables>, 2> in_;
    std::set<Place> pending_;
    std::string optimise_text_;
    std::string lower_text_;
};

/// What rows look at, by the kind of packet they are for; a table has few kinds.
class ReadsByKind {
public:
    SlotMask& of(const KindConds& kind) {
        auto at = std::find_if(kinds_.rbegin(), kinds_.rend(),
                               [&](const auto& known) { return known.first == kind; });
        if (at == kinds_.rend()) {
            kinds_.emplace_back(kind, SlotMask());
            at = kinds_.rbegin();
        }
        return at->second;
    }
    void put(ClassReads* out) const {
        for (const auto& [kind, reads] : kinds_) {
            const unsigned classes = classes_of(kind);
            for (unsigned i = 0; i < kPacketClasses; ++i) {
                if (classes >> i & 1) {
                    (*out)[i] |= reads;
                }
            }
        }
    }

private:
    std::vector<std::pair<KindConds, SlotMask>> kinds_;
};

/// The flows of a datapath that were given in one list.
class SortedFlows final : public FlowTables {
public:
    explicit SortedFlows(const std::vector<const Flow*>& all) {
        std::array<std::array<std::vector<const Flow*>, limits::kMaxTables>, 2> flows;
        for (const Flow* flow : all) {
            if (flow->table < limits::kMaxTables) {
                flows[flow->side][flow->table].push_back(flow);
            }
        }
        for (unsigned side = 0; side < 2; ++side) {
            for (unsigned table = 0; table < limits::kMaxTables; ++table) {
                auto& list = flows[side][table];
                if (!list.empty()) {
                    std::sort(list.begin(), list.end(), [](const Flow* a, const Flow* b) {
                        return a->priority != b->priority ? a->priority > b->priority
                                                          : a->uuid < b->uuid;
                    });
                    lists_[side][table] =
                        std::make_shared<const std::vector<const Flow*>>(std::move(list));
                }
            }
        }
    }
    FlowList flows(unsigned side, unsigned table) const override { return lists_[side][table]; }

private:
    std::array<std::array<FlowList, limits::kMaxTables>, 2> lists_;
};

/// What the flows of all tables allow.
PortLimits DatapathCompile::port_limits() const {
    PortLimits out{true, true};
    for (unsigned side = 0; side < 2; ++side) {
        const uint8_t leaving = side == kIngress ? port_write::kToEgress : port_write::kOutport;
        for (const auto& bound : memo_->bound[side]) {
            if (bound != nullptr) {
                out[kIngress] &= (bound->port_writes & port_write::kInport) == 0;
                out[kEgress] &= (bound->port_writes & leaving) == 0;
            }
        }
    }
    return out;
}

void DatapathCompile::bind(ParsedFlows* parsed, AddressSetCache* sets, SharedBounds* bounds) {
    std::optional<SortedFlows> sorted;
    const FlowTables* tables = input_.tables;
    if (tables == nullptr) {
        tables = &sorted.emplace(input_.flows);
    }
    FlowBinding binding(parsed, sets, input_, listener_);
    const auto bind_table = [&](unsigned side, unsigned table) {
        const FlowList flows = tables->flows(side, table);
        if (flows == nullptr || flows->empty()) {
            return;
        }
        std::shared_ptr<const BoundTable>& bound = memo_->bound[side][table];
        bound = listener_ == nullptr ? bounds->find(flows) : nullptr;
        if (bound == nullptr) {
            bound = binding.bind(flows, memo_->limits);
            if (!bound->uses_names) {
                bounds->put(flows, bound);
            }
        }
    };
    memo_->limits = previous_ != nullptr ? previous_->limits : PortLimits{true, true};
    for (unsigned side = 0; side < 2; ++side) {
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            if (dirty(side, table)) {
                bind_table(side, table);
            } else {
                memo_->bound[side][table] = previous_->bound[side][table];
            }
        }
    }
    // What the flows turned out to write may say otherwise about those that name ports.
    const PortLimits assumed = std::exchange(memo_->limits, port_limits());
    for (unsigned side = 0; side < 2; ++side) {
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            const auto& bound = memo_->bound[side][table];
            if (assumed[side] != memo_->limits[side] && bound != nullptr && bound->uses_names) {
                bind_table(side, table);
            }
        }
    }
    binding.report();
}

/// What was made of a table for this entry before: by the increment before or another datapath.
std::shared_ptr<const FinishedTable> DatapathCompile::known_result(
    Place at, const std::shared_ptr<const BoundTable>& bound, const Known& in) const {
    const auto fits = [&](const std::shared_ptr<const FinishedTable>& finished) {
        return finished != nullptr && finished->bound == bound && finished->in == in &&
               finished->port_security == port_security_;
    };
    if (previous_ != nullptr && fits(previous_->finished[at.first][at.second])) {
        return previous_->finished[at.first][at.second];
    }
    for (size_t i = 0; i < bound->finished.size() && listener_ == nullptr; ++i) {
        if (auto finished = bound->finished[i].lock(); fits(finished)) {
            return finished;
        }
    }
    return nullptr;
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
    std::shared_ptr<FinishedTable>& fresh = fresh_[at.first][at.second];
    std::shared_ptr<const FinishedTable> finished = known_result(at, bound, in);
    fresh = nullptr;
    if (finished == nullptr) {
        fresh = std::make_shared<FinishedTable>();
        fresh->bound = bound;
        fresh->in = in;
        fresh->port_security = port_security_;
        fresh->analysis = analyze(
            bound->flows, in, {static_cast<PipelineSide>(at.first), input_.names, port_security_});
        finished = fresh;
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
                                          flow.priority, print(live));
        }
    }
    if (finished.table != nullptr) {
        lower_text_ += fmt::format("{}: {} rows, {} bytes\n", name, finished.table->n_rows,
                                   finished.table->bytes);
        lower_text_ += finished.table->description;
    }
}

template <typename MakeTable>
void DatapathCompile::finish(FinishedTable* fresh, const MakeTable& make) const {
    const Analysis& a = fresh->analysis;
    if (!a.forward) {
        const std::vector<BoundFlow>& flows = fresh->bound->flows;
        ReadsByKind reads;
        for (const LiveRow& live : a.rows) {
            SlotMask& slots = reads.of(kind_conds(live.conds));
            add_reads(live.conds, &slots);
            add_reads(*flows[live.flow].code, port_security_, &slots);
            add_pkt_lens(*flows[live.flow].code, &fresh->pkt_lens);
        }
        reads.put(&fresh->reads);
        std::sort(fresh->pkt_lens.begin(), fresh->pkt_lens.end());
        fresh->pkt_lens.erase(std::unique(fresh->pkt_lens.begin(), fresh->pkt_lens.end()),
                              fresh->pkt_lens.end());
        fresh->table = a.rows.empty() ? no_match_table() : make(a.rows, flows);
    }
    if (listener_ == nullptr) {
        fresh->analysis.rows = {};
        fresh->analysis.conds.clear();
    }
}

template <typename MakeTable>
void DatapathCompile::lower_all(const MakeTable& make) {
    for (unsigned side = 0; side < 2; ++side) {
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            const auto& finished = memo_->finished[side][table];
            if (finished == nullptr) {
                const auto& bound = memo_->bound[side][table];
                if (listener_ != nullptr && bound != nullptr) {
                    optimise_text_ += fmt::format("{} {}: {} flows, not reachable\n",
                                                  side_name(side), table, bound->flows.size());
                }
                continue;
            }
            if (fresh_[side][table] != nullptr) {
                finish(fresh_[side][table].get(), make);
                auto& known = finished->bound->finished;
                std::erase_if(known, [](const auto& entry) { return entry.expired(); });
                if (!finished->bound->uses_names) {
                    known.push_back(finished);
                }
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

bool has_to_do_with(const Compiled& compiled, unsigned side, unsigned table,
                    const std::string& address_set) {
    const auto& bound = static_cast<const Memo*>(compiled.memo.get())->bound[side][table];
    return bound != nullptr &&
           std::binary_search(bound->address_sets.begin(), bound->address_sets.end(), address_set);
}

Compiler::Compiler() : impl_(std::make_unique<Impl>()) {}
Compiler::~Compiler() = default;

void Compiler::set_dialect(lang::Dialect dialect) {
    if (dialect != impl_->dialect) {
        impl_->dialect = dialect;
        impl_->parsed = ParsedFlows(dialect);
        impl_->bounds.clear();
    }
}

const References& Compiler::references(const Flow& flow) {
    static const References kNone;
    const ParsedFlow& parsed = *impl_->parsed.of(flow);
    return parsed.references != nullptr ? *parsed.references : kNone;
}

Compiled Compiler::compile(const DatapathInput& input, PassListener* listener) {
    DatapathCompile run(input, listener);
    run.bind(&impl_->parsed, &impl_->address_sets, &impl_->bounds);
    run.optimise();
    run.lower_all([&](const std::vector<LiveRow>& rows, const std::vector<BoundFlow>& flows) {
        return impl_->shared_table(rows, flows);
    });
    return run.take();
}

void Compiler::forget_unused() {
    impl_->address_sets.entries.clear();
    std::erase_if(impl_->tables, [](const auto& item) { return item.second.expired(); });
}

}  // namespace sluice::compile
