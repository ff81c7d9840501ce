// SPDX-License-Identifier: Apache-2.0
// From what changed to what has to be built again.
#include <algorithm>
#include <bit>

#include "control/compile/compile_memo.h"
#include "control/physical/local_datapaths.h"
#include "control/publish.h"

namespace sluice {

using sb::PortBinding;

void PipelineBuilder::mark_datapath(const Uuid& datapath, bool ports, bool groups, bool neighbors) {
    const auto it = locals_.find(datapath);
    if (it != locals_.end()) {
        it->second.is_dirty_ports |= ports;
        it->second.is_dirty_groups |= groups;
        it->second.is_dirty_neighbors |= neighbors;
    }
}

void PipelineBuilder::mark_all_ports() {
    for (auto& [datapath, local] : locals_) {
        local.is_dirty_ports = local.is_dirty_groups = true;
    }
}

void PipelineBuilder::mark_port(const PortBinding* port) {
    if (!port) {
        return;
    }
    mark_datapath(port->datapath, true, true, true);
    if (port->type == sb::PortType::kLocalnet) {  // a way to gateways elsewhere
        for (const Uuid& uuid : mirror_->patches_of(port->datapath)) {
            const PortBinding* patch = mirror_->ports.find(uuid);
            const PortBinding* peer = mirror_->port(patch->option("peer"));
            if (peer) {
                mark_datapath(peer->datapath, true, true, false);
            }
        }
    }
    // Who has the gateway of a router port matters to the switch on its other side, too.
    const PortBinding* near = mirror_->port(port->option("distributed-port"));
    if (const PortBinding* peer = mirror_->port((near ? near : port)->option("peer"))) {
        mark_datapath(peer->datapath, true, true, false);
    }
}

void PipelineBuilder::mark_claims(const chassis::BindingPlan& before) {
    const auto mark = [&](const chassis::BindingPlan& a, const chassis::BindingPlan& b) {
        for (const auto& [uuid, claim] : a.claims) {
            const auto other = b.claims.find(uuid);
            const PortBinding* port = mirror_->ports.find(uuid);
            if (port && (other == b.claims.end() || !(other->second == claim))) {
                mark_port(port);
                mark_name(NameKind::kResident, port->logical_port);
            }
        }
    };
    mark(before, plan_);
    mark(plan_, before);
}

void PipelineBuilder::mark_attachments(const BuildInputs& inputs) {
    if (inputs.attachments.physnets != inputs_.attachments.physnets) {
        mark_all_ports();
    }
    const auto mark = [&](const chassis::Attachments& a, const chassis::Attachments& b) {
        for (const auto& [name, vif] : a.vifs) {
            const chassis::Attachments::Vif* other = b.vif(name);
            if (other && *other == vif) {
                continue;
            }
            mark_port(mirror_->port(name));
            for (const Uuid& child : mirror_->children_of(name)) {
                mark_port(mirror_->ports.find(child));
            }
        }
    };
    mark(inputs.attachments, inputs_.attachments);
    mark(inputs_.attachments, inputs.attachments);
}

void PipelineBuilder::mark_port_rows() {
    for (const auto& [uuid, change] : mirror_->ports.changes()) {
        for (const PortBinding* row : {change.before.get(), change.after.get()}) {
            mark_port(row);
            if (row) {
                mark_name(NameKind::kResident, row->logical_port);
            }
        }
    }
    // Who is called a port's peer may have been known before it came.
    const bool has_chassis_change =
        !mirror_->chassis.changes().empty() || !mirror_->encaps.changes().empty() ||
        !mirror_->ha_groups.changes().empty() || !mirror_->ha_chassis.changes().empty() ||
        !mirror_->gateway_chassis.changes().empty();
    if (has_chassis_change) {
        mark_all_ports();
    }
}

void PipelineBuilder::mark_other_rows() {
    const auto rows_of = [](const auto& change) {
        return std::array{change.before.get(), change.after.get()};
    };
    for (const auto& [uuid, change] : mirror_->multicast_groups.changes()) {
        for (const auto* row : rows_of(change)) {
            if (row) {
                mark_datapath(row->datapath, false, true, false);
            }
        }
    }
    for (const auto& [uuid, change] : mirror_->mac_bindings.changes()) {
        for (const auto* row : rows_of(change)) {
            if (row) {
                mark_datapath(row->datapath, false, false, true);
            }
        }
    }
    for (const auto& [uuid, change] : mirror_->static_mac_bindings.changes()) {
        for (const auto* row : rows_of(change)) {
            if (row) {
                mark_datapath(row->datapath, false, false, true);
            }
        }
    }
    for (const auto& [uuid, change] : mirror_->fdb.changes()) {
        for (const auto* row : rows_of(change)) {
            const sb::DatapathBinding* datapath =
                row ? mirror_->datapath_by_key(row->dp_key) : nullptr;
            if (datapath) {
                mark_datapath(datapath->uuid, false, false, true);
            }
        }
    }
    for (const auto& [uuid, change] : mirror_->datapaths.changes()) {
        const auto it = locals_.find(uuid);
        if (it != locals_.end() && change.after) {
            Local& local = it->second;
            const bool is_other_kind = local.row->is_switch() != change.after->is_switch();
            local.row = change.after;
            local.is_changed = true;
            local.is_dirty_ports = local.is_dirty_groups = local.is_dirty_neighbors = true;
            if (is_other_kind) {
                local.compiled.reset();
            }
        }
    }
}

void PipelineBuilder::update_zones(const BuildInputs& inputs) {
    const auto users = chassis::zone_users(*mirror_, inputs.attachments, plan_, local_);
    for (const Uuid& datapath : zones_.update(users, inputs.zone_range, inputs.is_complete)) {
        Local& local = locals_.at(datapath);
        local.is_dirty_ports = local.is_changed = true;
    }
}

void PipelineBuilder::update_backends(const BuildInputs& inputs) {
    const bool is_more_than_rows = is_fresh_ || is_structure_changed_ ||
                                   !mirror_->dp_groups.changes().empty() ||
                                   !mirror_->template_vars.changes().empty();
    if (is_more_than_rows || !mirror_->load_balancers.changes().empty()) {
        backends_.update(*mirror_, local_, inputs.identity.name, !is_more_than_rows);
    }
}

void PipelineBuilder::mark_balancers(const BuildInputs& inputs) {
    const auto mark = [&](const Uuid& datapath) {
        if (const auto it = locals_.find(datapath); it != locals_.end()) {
            it->second.is_dirty_hairpins = true;
        }
    };
    const auto mark_group = [&](const sb::DpGroup* group) {
        if (group) {
            std::for_each(group->datapaths.begin(), group->datapaths.end(), mark);
        }
    };
    for (const auto& [uuid, change] : mirror_->load_balancers.changes()) {
        for (const auto* row : {change.before.get(), change.after.get()}) {
            if (row) {
                std::for_each(row->datapaths.begin(), row->datapaths.end(), mark);
                for (const Uuid& group : row->groups) {
                    mark_group(mirror_->dp_groups.find(group));
                }
            }
        }
    }
    for (const auto& [uuid, change] : mirror_->dp_groups.changes()) {
        mark_group(change.before.get());
        mark_group(change.after.get());
    }
    bool is_every = !mirror_->sb_global.changes().empty();  // options say where northd notes VIPs
    for (const auto& [uuid, change] : mirror_->template_vars.changes()) {
        for (const auto* row : {change.before.get(), change.after.get()}) {
            is_every |= row && row->chassis == inputs.identity.name;
        }
    }
    if (is_every || inputs.identity.name != inputs_.identity.name) {
        for (auto& [datapath, local] : locals_) {
            local.is_dirty_hairpins |=
                local.hairpins || !mirror_->balancer_sources(datapath).empty();
        }
    }
}

void PipelineBuilder::mark_name(NameKind kind, const std::string& name) {
    flows_.for_each_mention(kind, name, [&](const Uuid& datapath, const TableBits& bits) {
        if (const auto it = locals_.find(datapath); it != locals_.end()) {
            it->second.rename(bits);
        }
    });
}

/// The row is the group's for one datapath, or (an older northd) for all.
void PipelineBuilder::mark_port_group(const physical::View& now, const std::string& row_name) {
    const auto key = physical::datapath_key_of_group(row_name);
    if (!key) {
        mark_name(NameKind::kPortGroup, row_name);
        return;
    }
    const sb::DatapathBinding* row = mirror_->datapath_by_key(*key);
    const auto it = row ? locals_.find(row->uuid) : locals_.end();
    if (it != locals_.end()) {
        it->second.rename(flows_.mentions(row->uuid, NameKind::kPortGroup,
                                          physical::group_name_in(now, row->uuid, row_name)));
    }
}

void PipelineBuilder::mark_names(const BuildInputs& inputs) {
    // Of the tables that mention an address set, those whose rows have to do with it.
    const auto mark_users = [&](const Uuid& datapath, const TableBits& bits,
                                const std::string& set) {
        const auto it = locals_.find(datapath);
        if (it == locals_.end() || !it->second.compiled) {
            return;
        }
        for (unsigned side = 0; side < 2; ++side) {
            for (uint64_t left = bits.bits[side]; left != 0; left &= left - 1) {
                const auto table = static_cast<unsigned>(std::countr_zero(left));
                if (compile::has_to_do_with(*it->second.compiled, side, table, set)) {
                    it->second.dirty_tables.set(side, table);
                    it->second.renamed_tables.set(side, table);
                }
            }
        }
    };
    for (const auto& [uuid, change] : mirror_->address_sets.changes()) {
        for (const auto* row : {change.before.get(), change.after.get()}) {
            if (row) {
                flows_.for_each_mention(NameKind::kAddressSet, row->name,
                                        [&](const Uuid& datapath, const TableBits& bits) {
                                            mark_users(datapath, bits, row->name);
                                        });
            }
        }
    }
    for (const auto& [uuid, change] : mirror_->port_groups.changes()) {
        for (const auto* row : {change.before.get(), change.after.get()}) {
            if (row) {
                mark_port_group(view(inputs), row->name);
            }
        }
    }
    for (const auto& [uuid, change] : mirror_->template_vars.changes()) {
        for (const auto* row : {change.before.get(), change.after.get()}) {
            if (!row || row->chassis != inputs.identity.name) {
                continue;
            }
            for (const auto& [name, value] : row->variables) {
                mark_name(NameKind::kTemplateVar, name);
            }
        }
    }
}

}  // namespace sluice
