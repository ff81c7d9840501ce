// SPDX-License-Identifier: Apache-2.0
#include "control/compile/compile.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "control/compile/compile_bind.h"
#include "control/compile/compile_memo.h"
#include "control/compile/lower_patch.h"
#include "control/compile/optimize_code.h"
#include "lib/program/table.h"

namespace sluice::compile {

namespace {

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
    std::unordered_map<ContentHash, std::weak_ptr<const Lowered>, ContentHasher> tables;

    /// What lower_it() gives for these contents, or gave to someone who still has it.
    template <typename LowerIt>
    LoweredPtr shared_table(const ContentHash& contents, const LowerIt& lower_it) {
        std::weak_ptr<const Lowered>& known = tables[contents];
        LoweredPtr table = known.lock();
        if (table == nullptr) {
            table = lower_it();
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
        memo_->port_security = port_security_;
        // A listener hears everything, so everything is made anew for it.
        if (listener == nullptr && input.previous != nullptr && input.previous->memo != nullptr) {
            previous_ = static_cast<const Memo*>(input.previous->memo.get());
        }
    }

    void bind(ParsedFlows* parsed, AddressSetCache* sets, SharedBounds* bounds);
    /// False: what other tables are entered with may differ now, so optimise() has to find out.
    bool optimise_changes();
    void optimise();
    template <typename ShareTable>
    void lower_all(const ShareTable& share);
    /// After optimise_changes().
    Compiled take_changes();
    Compiled take();

private:
    /// A table that is made anew: what it was, whose chunks may be good still, and its rows as far
    /// as they were looked at.
    struct Fresh {
        std::shared_ptr<FinishedTable> finished;
        std::shared_ptr<const FinishedTable> before;  ///< entered in the same way; or null
        std::vector<std::optional<Analysis>> rows;    ///< by chunk
    };
    using OptionalFresh = std::optional<Fresh>;

    bool dirty(unsigned side, unsigned table) const {
        return previous_ == nullptr || (input_.dirty_tables[side] >> table & 1) != 0;
    }
    TableContext context(unsigned side) const {
        return {static_cast<PipelineSide>(side), input_.names, port_security_};
    }
    PortLimits port_limits() const;
    void visit(Place at);
    std::shared_ptr<const FinishedTable> known_result(
        Place at, const std::shared_ptr<const BoundTable>& bound, const Known& in) const;
    void make_fresh(Place at, const std::shared_ptr<const BoundTable>& bound, const Known& in);
    LoweredPtr lower_changes(Place at, const Fresh& fresh) const;
    LoweredPtr lower_whole(Place at, Fresh* fresh) const;
    unsigned stands_for(unsigned side, unsigned table) const;
    void enter(Place at, const Known& known);
    void explain(Place at, const FinishedTable& finished, const Fresh& fresh);

    const DatapathInput& input_;
    PassListener* listener_;
    bool port_security_;
    const Memo* previous_ = nullptr;
    std::shared_ptr<Memo> memo_;
    /// Those of memo_->finished that are not lowered yet.
    std::array<std::array<OptionalFresh, limits::kMaxTables>, 2> fresh_;
    std::array<std::array<std::optional<Known>, limits::kMaxTables>, 2> in_;
    std::set<Place> pending_;
    std::string optimise_text_;
    std::string lower_text_;
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
    const auto bind_table = [&](unsigned side, unsigned table, const Memo* before) {
        const FlowList flows = tables->flows(side, table);
        if (flows == nullptr || flows->empty()) {
            return;
        }
        std::shared_ptr<const BoundTable>& bound = memo_->bound[side][table];
        bound = listener_ == nullptr ? bounds->find(flows) : nullptr;
        if (bound == nullptr) {
            bound = binding.bind(flows, memo_->limits,
                                 before != nullptr ? before->bound[side][table].get() : nullptr,
                                 (input_.renamed_tables[side] >> table & 1) != 0);
            if (!bound->uses_names) {
                bounds->put(flows, bound);
            }
        }
    };
    memo_->limits = previous_ != nullptr ? previous_->limits : PortLimits{true, true};
    for (unsigned side = 0; side < 2; ++side) {
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            if (dirty(side, table)) {
                bind_table(side, table, previous_);
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
                bind_table(side, table, nullptr);
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
    fresh_[at.first][at.second].reset();
    std::shared_ptr<const FinishedTable> finished = known_result(at, bound, in);
    if (finished == nullptr) {
        make_fresh(at, bound, in);
        finished = fresh_[at.first][at.second]->finished;
    }
    memo_->finished[at.first][at.second] = finished;
    const Exits& exits = finished->whole->findings.exits;
    for (const Exits::Jump& jump : exits.jumps) {
        enter({jump.side, jump.table}, jump.known);
    }
    if (exits.at_output) {
        enter({kEgress, 0}, egress_start(&*exits.at_output));
    }
}

void DatapathCompile::make_fresh(Place at, const std::shared_ptr<const BoundTable>& bound,
                                 const Known& in) {
    Fresh& fresh = fresh_[at.first][at.second].emplace();
    fresh.finished = std::make_shared<FinishedTable>();
    FinishedTable& finished = *fresh.finished;
    finished.bound = bound;
    finished.in = in;
    finished.port_security = port_security_;
    std::unordered_map<const BoundChunk*, const ChunkAnalysisPtr*> known;
    const auto& before = previous_ != nullptr ? previous_->finished[at.first][at.second] : nullptr;
    if (before != nullptr && before->in == in && before->port_security == port_security_) {
        fresh.before = before;
        for (const ChunkAnalysisPtr& chunk : before->chunks) {
            known.emplace(chunk->chunk.get(), &chunk);
        }
    }
    for (const BoundChunkPtr& chunk : bound->chunks) {
        std::optional<Analysis>& rows = fresh.rows.emplace_back();
        if (const auto it = known.find(chunk.get()); it != known.end()) {
            finished.chunks.push_back(*it->second);
        } else {
            rows = analyze(chunk->flows, in, context(at.first));
            finished.chunks.push_back(summary_of(chunk, *rows, port_security_));
        }
        if (finished.chunks.back()->findings.is_decided) {
            break;
        }
    }
    finished.whole = joined(finished.chunks);
}

/// Most changes are rows like others of their table. While the tables that changed are left as they
/// were when they are entered as they were, the others stay.
bool DatapathCompile::optimise_changes() {
    if (previous_ == nullptr || previous_->limits != memo_->limits ||
        previous_->port_security != port_security_) {
        return false;
    }
    memo_->finished = previous_->finished;
    for (unsigned side = 0; side < 2; ++side) {
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            const auto& bound = memo_->bound[side][table];
            const auto& before = previous_->finished[side][table];
            if (bound == previous_->bound[side][table]) {
                continue;
            }
            if (bound == nullptr || previous_->bound[side][table] == nullptr) {
                return false;
            }
            if (before == nullptr) {
                continue;  // not reachable, then and now
            }
            auto& finished = memo_->finished[side][table];
            finished = known_result({side, table}, bound, before->in);
            if (finished == nullptr) {
                make_fresh({side, table}, bound, before->in);
                finished = fresh_[side][table]->finished;
            }
            if (!finished->whole->findings.exits.leads_to_the_same(before->whole->findings.exits)) {
                return false;
            }
        }
    }
    return true;
}

void DatapathCompile::optimise() {
    memo_->finished = {};
    for (auto& side : fresh_) {
        for (OptionalFresh& fresh : side) {
            fresh.reset();
        }
    }
    enter({kIngress, 0}, ingress_start());
    enter({kEgress, 0}, egress_start(nullptr));
    while (!pending_.empty()) {
        const Place at = *pending_.begin();
        pending_.erase(pending_.begin());
        visit(at);
    }
}

void DatapathCompile::explain(Place at, const FinishedTable& finished, const Fresh& fresh) {
    const Findings& a = finished.whole->findings;
    const std::string name = fmt::format("{} {}", side_name(at.first), at.second);
    optimise_text_ +=
        fmt::format("{}: {} flows, {} rows left", name, finished.bound->n_flows(), a.rows);
    optimise_text_ += a.impossible != 0 ? fmt::format(", {} cannot match", a.impossible) : "";
    size_t covered = a.covered;
    for (size_t i = finished.chunks.size(); i < finished.bound->chunks.size(); ++i) {
        for (const BoundFlow& flow : finished.bound->chunks[i]->flows) {
            covered += flow.rows->size();
        }
    }
    optimise_text_ += covered != 0 ? fmt::format(", {} under a certain match", covered) : "";
    optimise_text_ += a.implied != 0 ? fmt::format(", {} conditions always hold", a.implied) : "";
    if (const auto forward = a.forward()) {
        optimise_text_ += fmt::format("; vanishes: every packet goes on to {}", *forward);
    }
    optimise_text_ += "\n";
    for (size_t chunk = 0; chunk < fresh.rows.size() && !a.forward(); ++chunk) {
        for (const LiveRow& live : fresh.rows[chunk]->rows) {
            optimise_text_ += fmt::format("  {} priority {}: {}\n", to_string(live.flow->uuid),
                                          live.flow->priority, print(live));
        }
    }
    if (finished.lowered != nullptr) {
        const Table& table = *finished.lowered->table;
        lower_text_ += fmt::format("{}: {} rows, {} bytes\n", name, table.n_rows, table.bytes);
        lower_text_ += table.description;
    }
}

/// The table before with what changed in it; null when it does not take that.
LoweredPtr DatapathCompile::lower_changes(Place at, const Fresh& fresh) const {
    if (fresh.before == nullptr || fresh.before->lowered == nullptr ||
        !is_patchable(*fresh.before->lowered)) {
        return nullptr;
    }
    std::set<const ChunkAnalysis*> stay;
    std::vector<LiveRow> come;
    for (size_t i = 0; i < fresh.finished->chunks.size(); ++i) {
        if (const auto& rows = fresh.rows[i]) {
            come.insert(come.end(), rows->rows.begin(), rows->rows.end());
        } else {
            stay.insert(fresh.finished->chunks[i].get());
        }
    }
    std::vector<Analysis> gone;
    std::vector<LiveRow> gone_rows;
    const bool is_renamed = (input_.renamed_tables[at.first] >> at.second & 1) != 0;
    for (const ChunkAnalysisPtr& chunk : fresh.before->chunks) {
        if (!stay.contains(chunk.get())) {
            if (gone_rows.size() * 4 > 3 * size_t{fresh.before->whole->findings.rows} ||
                (is_renamed && chunk->chunk->uses_names)) {
                return nullptr;  // most of it is new, or what it was cannot be told any more
            }
            gone.push_back(analyze(chunk->chunk->flows, fresh.finished->in, context(at.first)));
            gone_rows.insert(gone_rows.end(), gone.back().rows.begin(), gone.back().rows.end());
        }
    }
    return patch(*fresh.before->lowered, std::move(gone_rows), std::move(come),
                 fresh.finished->whole->findings.rows, fresh.finished->whole->hash.value().a);
}

LoweredPtr DatapathCompile::lower_whole(Place at, Fresh* fresh) const {
    FinishedTable& finished = *fresh->finished;
    std::vector<LiveRow> rows;
    rows.reserve(finished.whole->findings.rows);
    for (size_t i = 0; i < finished.chunks.size(); ++i) {
        std::optional<Analysis>& chunk = fresh->rows[i];
        if (!chunk) {
            chunk = analyze(finished.bound->chunks[i]->flows, finished.in, context(at.first));
        }
        rows.insert(rows.end(), chunk->rows.begin(), chunk->rows.end());
    }
    return lower(rows, finished.whole->hash.value().a);
}

template <typename ShareTable>
void DatapathCompile::lower_all(const ShareTable& share) {
    for (unsigned side = 0; side < 2; ++side) {
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            const auto& finished = memo_->finished[side][table];
            if (finished == nullptr) {
                const auto& bound = memo_->bound[side][table];
                if (listener_ != nullptr && bound != nullptr) {
                    optimise_text_ += fmt::format("{} {}: {} flows, not reachable\n",
                                                  side_name(side), table, bound->n_flows());
                }
                continue;
            }
            OptionalFresh& fresh = fresh_[side][table];
            if (!fresh) {
                continue;
            }
            const ChunkAnalysis& whole = *finished->whole;
            if (whole.findings.rows == 0) {
                fresh->finished->lowered = no_match_table();
            } else if (!whole.findings.forward()) {
                fresh->finished->lowered = share(whole.hash.value(), [&] {
                    LoweredPtr changed = lower_changes({side, table}, *fresh);
                    return changed != nullptr ? changed : lower_whole({side, table}, &*fresh);
                });
            }
            auto& known = finished->bound->finished;
            std::erase_if(known, [](const auto& entry) { return entry.expired(); });
            if (!finished->bound->uses_names) {
                known.push_back(finished);
            }
            if (listener_ != nullptr) {
                explain({side, table}, *finished, *fresh);
            }
            fresh.reset();
        }
    }
}

/// The result before with the tables that changed, if nothing else about it did.
Compiled DatapathCompile::take_changes() {
    Compiled out = *input_.previous;
    out.memo = memo_;
    for (unsigned side = 0; side < 2; ++side) {
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            const auto& bound = memo_->bound[side][table];
            if (bound == previous_->bound[side][table]) {
                continue;
            }
            if (!bound->errors.empty() || !previous_->bound[side][table]->errors.empty()) {
                return take();
            }
            const auto& before = previous_->finished[side][table];
            const auto& now = memo_->finished[side][table];
            if (before == nullptr || before == now) {
                continue;
            }
            if ((before->lowered == nullptr) != (now->lowered == nullptr) ||
                !(before->whole->reads == now->whole->reads) ||
                before->whole->pkt_lens != now->whole->pkt_lens) {
                return take();
            }
            if (now->lowered == nullptr || now->lowered == before->lowered) {
                continue;
            }
            // Tables may be shared: only slots that stand for this one.
            for (unsigned slot = 0; slot < limits::kMaxTables; ++slot) {
                if (out.tables[side][slot] == before->lowered->table.get() &&
                    stands_for(side, slot) == table) {
                    out.tables[side][slot] = now->lowered->table.get();
                }
            }
            out.keep.push_back(now->lowered->table);
        }
    }
    const auto is_used = [&](const std::shared_ptr<const void>& owner) {
        return std::any_of(std::begin(out.tables), std::end(out.tables), [&](const auto& side) {
            return std::find(side.begin(), side.end(), owner.get()) != side.end();
        });
    };
    std::erase_if(out.keep, [&](const auto& owner) { return !is_used(owner); });
    return out;
}

/// The table that is run for logical table `table`: those that only go on are skipped.
unsigned DatapathCompile::stands_for(unsigned side, unsigned table) const {
    for (unsigned steps = 0; steps < limits::kMaxTables; ++steps) {
        const auto& finished = memo_->finished[side][table];
        if (finished == nullptr || finished->lowered != nullptr) {
            break;
        }
        table = *finished->whole->findings.forward();
    }
    return table;
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
                slot = keep(no_match_table()->table);
                continue;
            }
            slot = nullptr;
            if (finished->lowered != nullptr) {
                const ChunkAnalysis& whole = *finished->whole;
                slot = keep(finished->lowered->table);
                out.reads[side] |= whole.reads;
                out.pkt_lens.insert(out.pkt_lens.end(), whole.pkt_lens.begin(),
                                    whole.pkt_lens.end());
            }
        }
        // A table that only goes on stands for the one it goes on to.
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            unsigned at = table;
            for (unsigned steps = 0; out.tables[side][at] == nullptr; ++steps) {
                if (steps == limits::kMaxTables) {
                    break;  // they go on in a circle: the walk may as well drop
                }
                at = *memo_->finished[side][at]->whole->findings.forward();
            }
            if (out.tables[side][at] != nullptr) {
                out.tables[side][table] = out.tables[side][at];
            }
        }
        for (const Table*& slot : out.tables[side]) {
            slot = slot != nullptr ? slot : keep(no_match_table()->table);
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
           std::any_of(bound->chunks.begin(), bound->chunks.end(), [&](const BoundChunkPtr& chunk) {
               const auto& sets = chunk->address_sets;
               return std::binary_search(sets.begin(), sets.end(), address_set);
           });
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
    const auto share = [&](const ContentHash& contents, const auto& lower_it) {
        return impl_->shared_table(contents, lower_it);
    };
    if (run.optimise_changes()) {
        run.lower_all(share);
        return run.take_changes();
    }
    run.optimise();
    run.lower_all(share);
    return run.take();
}

void Compiler::forget_unused() {
    impl_->address_sets.entries.clear();
    std::erase_if(impl_->tables, [](const auto& item) { return item.second.expired(); });
}

}  // namespace sluice::compile
