// SPDX-License-Identifier: Apache-2.0
#include "control/publish.h"

#include <algorithm>

#include "control/physical/local_datapaths.h"

namespace sluice {

PipelineBuilder::PipelineBuilder(const sb::Mirror* mirror, physical::UnderlayModel* underlay)
    : mirror_(mirror), underlay_(underlay), flows_(mirror, &compiler_) {}
PipelineBuilder::~PipelineBuilder() = default;

physical::View PipelineBuilder::view(const BuildInputs& inputs) const {
    return {*mirror_, inputs.attachments, plan_,        inputs.identity, tunnels_, index_,
            zones_,   &mirrors_,          &tunnel_sets_};
}

std::unique_ptr<const Pipeline> PipelineBuilder::update(const BuildInputs& inputs) {
    ++sequence_;
    ++round_;
    choose_dialect();
    plan_round(inputs);
    const physical::View now = view(inputs);
    for (auto& [datapath, local] : locals_) {
        if (local.is_dirty_ports || local.is_dirty_groups) {
            refresh_signature(now, datapath, &local);
        }
    }
    compile_dirty(now);
    for (auto& [datapath, local] : locals_) {
        rebuild_physical(now, datapath, &local);
    }
    const bool is_first = !entries_;
    bool is_physical = update_masks();
    is_physical = update_lengths() || is_physical;
    is_physical = update_entries(now) || is_physical || is_tunnels_changed_ || is_first;
    const bool is_changed =
        update_meters() || is_physical || is_structure_changed_ ||
        std::any_of(locals_.begin(), locals_.end(), [](auto& l) { return l.second.is_changed; });
    inputs_ = inputs;
    is_fresh_ = false;
    if (!is_changed) {
        --sequence_;
        return nullptr;
    }
    if (is_physical) {
        physical_generation_ = sequence_;
    }
    build_datapaths();
    return assemble();
}

void PipelineBuilder::choose_dialect() {
    const sb::SbGlobal* global = mirror_->global();
    const lang::Dialect dialect =
        lang::dialect_of(global ? sb::get(global->options, "northd_internal_version") : "");
    if (dialect != dialect_) {
        dialect_ = dialect;
        compiler_.set_dialect(dialect);
        is_fresh_ = true;  // northd was upgraded: the same text may mean something else now
    }
}

void PipelineBuilder::rebuild() {
    for (auto& [datapath, local] : locals_) {
        local.compiled.reset();
        local.is_dirty_ports = local.is_dirty_groups = local.is_dirty_neighbors = true;
        local.is_dirty_hairpins = true;
    }
}

void PipelineBuilder::plan_round(const BuildInputs& inputs) {
    const chassis::BindingPlan before = std::move(plan_);
    plan_ = chassis::plan_bindings(*mirror_, inputs.attachments, inputs.identity, inputs.live);
    bool has_index_change = false;
    is_tunnels_changed_ = tunnels_.update(*mirror_, inputs.encap, underlay_, &has_index_change);
    is_tunnels_changed_ |= tunnel_sets_.update(
        *mirror_, tunnels_, inputs.identity.name,
        is_fresh_ || has_index_change || inputs.identity.name != inputs_.identity.name);
    bool has_mirror_change = false;
    is_tunnels_changed_ |= mirrors_.update(*mirror_, plan_, inputs.attachments, inputs.encap.ips,
                                           underlay_, &has_mirror_change);
    is_structure_changed_ = false;
    if (is_fresh_) {
        for (const auto& [datapath, local] : locals_) {
            flows_.remove_datapath(datapath);
        }
        locals_.clear();
        local_.clear();
    }
    // Flows first: a datapath that comes takes all of its flows below.
    const auto dirty_flows = flows_.update();
    const bool is_same = is_place_same(inputs, before);
    if (!is_same) {
        update_local_datapaths(inputs);
    }
    hairpins_.start_round(is_fresh_ || !mirror_->template_vars.changes().empty() ||
                              inputs.identity.name != inputs_.identity.name,
                          mirror_->dp_groups.changes().empty());
    if (!is_same || zones_.waiting() != 0) {
        update_zones(inputs);
    }
    update_backends(inputs);
    for (const auto& [datapath, bits] : dirty_flows) {
        if (const auto it = locals_.find(datapath); it != locals_.end()) {
            it->second.dirty_tables |= bits;
        }
    }
    if (is_fresh_) {
        return;
    }
    mark_claims(before);
    mark_attachments(inputs);
    mark_port_rows();
    mark_other_rows();
    mark_balancers(inputs);
    mark_names(inputs);
    if (has_index_change || has_mirror_change || inputs.identity.name != inputs_.identity.name) {
        mark_all_ports();
    }
}

/// Nothing changed that says which datapaths are local and who is to have a zone.
bool PipelineBuilder::is_place_same(const BuildInputs& inputs,
                                    const chassis::BindingPlan& before) const {
    const sb::Mirror& m = *mirror_;
    return !is_fresh_ && plan_.claims == before.claims && plan_.standby == before.standby &&
           inputs.identity.name == inputs_.identity.name &&
           inputs.attachments.vifs == inputs_.attachments.vifs &&
           inputs.zone_range == inputs_.zone_range && inputs.is_complete == inputs_.is_complete &&
           m.ports.changes().empty() && m.datapaths.changes().empty() &&
           m.chassis.changes().empty() && m.ha_groups.changes().empty() &&
           m.ha_chassis.changes().empty() && m.gateway_chassis.changes().empty();
}

void PipelineBuilder::update_local_datapaths(const BuildInputs& inputs) {
    std::set<Uuid> now = physical::local_datapaths(*mirror_, plan_, inputs.identity.name);
    const auto mark_peers = [&](const Uuid& datapath) {
        for (const Uuid& uuid : mirror_->ports_of(datapath)) {
            mark_port(mirror_->ports.find(uuid));
        }
    };
    for (const Uuid& datapath : local_) {
        if (now.contains(datapath)) {
            continue;
        }
        is_structure_changed_ = true;
        const auto it = locals_.find(datapath);
        index_used_[it->second.index] = false;
        index_.erase(datapath);
        flows_.remove_datapath(datapath);
        locals_.erase(it);
        mark_peers(datapath);
    }
    for (const Uuid& datapath : now) {
        if (local_.contains(datapath)) {
            continue;
        }
        is_structure_changed_ = true;
        Local& local = locals_[datapath];
        local.row = mirror_->datapaths.rows().at(datapath);
        if (const auto known = index_.find(datapath); known != index_.end()) {
            local.index = known->second;
        } else {
            const auto hole = std::find(index_used_.begin(), index_used_.end(), false);
            local.index = static_cast<uint32_t>(hole - index_used_.begin());
            if (hole == index_used_.end()) {
                index_used_.push_back(false);
            }
            index_used_[local.index] = true;
            index_[datapath] = local.index;
        }
        flows_.add_datapath(datapath);
        mark_peers(datapath);
    }
    for (auto it = index_.begin(); it != index_.end();) {
        if (now.contains(it->first)) {
            ++it;
        } else {
            index_used_[it->second] = false;
            it = index_.erase(it);
        }
    }
    local_ = std::move(now);
}

namespace {

class StoredFlows final : public compile::FlowTables {
public:
    StoredFlows(const FlowStore& store, const Uuid& datapath)
        : store_(store), datapath_(datapath) {}
    compile::FlowList flows(unsigned side, unsigned table) const override {
        return store_.flows_of(datapath_, side, table);
    }

private:
    const FlowStore& store_;
    const Uuid& datapath_;
};

}  // namespace

void PipelineBuilder::compile_dirty(const physical::View& now) {
    for (auto& [datapath, local] : locals_) {
        if (local.compiled && !local.dirty_tables.any() && !local.is_security_new) {
            continue;
        }
        local.is_security_new = false;
        const physical::DatapathNames names(now, datapath, local.signature, local.is_secured);
        const StoredFlows flows(flows_, datapath);
        compile::DatapathInput input;
        input.is_switch = local.row->is_switch();
        input.names = &names;
        input.tables = &flows;
        input.round = round_;
        input.previous = local.compiled.get();
        input.dirty_tables = local.dirty_tables.bits;
        input.renamed_tables = local.renamed_tables.bits;
        compile::PassListener* listener = datapath == listened_ ? listener_ : nullptr;
        local.compiled =
            std::make_shared<const compile::Compiled>(compiler_.compile(input, listener));
        local.dirty_tables = local.renamed_tables = {};
        local.is_changed = true;
    }
}

void PipelineBuilder::refresh_signature(const physical::View& now, const Uuid& datapath,
                                        Local* local) {
    const bool is_secured = physical::is_secured(now, datapath);
    local->is_security_new |= is_secured != local->is_secured;
    local->is_secured = is_secured;
    physical::Signature signature = physical::signature_of(now, datapath);
    if (signature == local->signature) {
        return;
    }
    const auto note = [&](const std::string& name) {
        local->rename(flows_.mentions(datapath, NameKind::kPort, name));
        for (const Uuid& group : mirror_->port_groups_with(name)) {
            const std::string& row_name = mirror_->port_groups.find(group)->name;
            local->rename(flows_.mentions(datapath, NameKind::kPortGroup,
                                          physical::group_name_in(now, datapath, row_name)));
        }
    };
    for (const auto& [name, meaning] : signature) {
        const auto before = local->signature.find(name);
        if (before == local->signature.end() || before->second != meaning) {
            note(name);
        }
    }
    for (const auto& [name, meaning] : local->signature) {
        if (!signature.contains(name)) {
            note(name);
        }
    }
    local->signature = std::move(signature);
}

void PipelineBuilder::rebuild_physical(const physical::View& now, const Uuid& datapath,
                                       Local* local) {
    const auto take = [&](auto* slot, auto next) {
        if (!*slot || !physical::equal(**slot, *next)) {
            *slot = std::move(next);
            local->is_changed = true;
        }
    };
    if (local->is_dirty_ports) {
        take(&local->ports, physical::build_ports(now, datapath));
    }
    if (local->is_dirty_ports || local->is_dirty_groups) {
        take(&local->groups, physical::build_groups(now, datapath, *local->ports));
    }
    if (local->is_dirty_neighbors) {
        take(&local->neighbors, physical::build_neighbors(now, datapath));
    }
    if (local->is_dirty_hairpins) {
        auto next = hairpins_.build(now, datapath, local->hairpins);
        if (next != local->hairpins) {
            local->hairpins = std::move(next);
            local->is_changed = true;
        }
    }
    local->is_dirty_ports = local->is_dirty_groups = local->is_dirty_neighbors = false;
    local->is_dirty_hairpins = false;
}

std::map<Uuid, std::string> PipelineBuilder::flow_errors() const {
    std::map<Uuid, std::string> errors;
    for (const auto& [datapath, local] : locals_) {
        for (const compile::FlowError& error : local.compiled->errors) {
            errors.emplace(error.uuid, error.text);
        }
    }
    return errors;
}

std::vector<std::string> PipelineBuilder::port_errors() const {
    std::vector<std::string> errors = plan_.refused;
    errors.insert(errors.end(), mirrors_.errors().begin(), mirrors_.errors().end());
    for (const auto& [datapath, local] : locals_) {
        errors.insert(errors.end(), local.ports->errors.begin(), local.ports->errors.end());
        if (local.hairpins) {
            errors.insert(errors.end(), local.hairpins->errors.begin(),
                          local.hairpins->errors.end());
        }
    }
    return errors;
}

}  // namespace sluice
