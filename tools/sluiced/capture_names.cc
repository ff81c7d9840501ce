// SPDX-License-Identifier: Apache-2.0
// What captures call the numbers of the pipeline (control/capture/names.h).
#include <fmt/format.h>
#include <rte_cycles.h>

#include "control/capture/commands.h"
#include "tools/sluiced/app.h"
#include "tools/sluiced/version.h"

namespace sluice {
namespace {

void name_entries(const Pipeline& pipeline, capture::Names* names) {
    const auto add = [&](const std::vector<const EntryPoint*>& list) {
        for (const EntryPoint* entry : list) {
            if (const Datapath* d = pipeline.datapath(entry->datapath)) {
                names->entries[entry->id] = uint64_t{d->key} << 32 | entry->inport;
            }
        }
    };
    for (const PortEntry* port : pipeline.entries) {
        if (port) {
            add(port->untagged);
            port->tagged.for_each(
                [&](uint16_t, const std::vector<const EntryPoint*>* list) { add(*list); });
        }
    }
}

capture::Names capture_names(App& app) {
    capture::Names names;
    for (const PortBindingStatus& binding : app.control().port_status()) {
        const Result<PortInfo> info = app.host().ports().info(binding.id);
        if (info) {
            std::string text = info->spec.driver;
            text += binding.role.empty() ? "" : ", " + binding.role;
            text += binding.logical_port.empty() ? "" : " of " + binding.logical_port;
            names.ports[binding.id] = {binding.name, text};
        }
    }
    const Pipeline* pipeline = app.control().current();
    if (!pipeline) {
        return names;
    }
    names.flows = pipeline->flows;
    for (const Datapath* d : pipeline->datapaths) {
        if (!d) {
            continue;
        }
        names.datapaths[d->key] = {d->name.empty() ? to_string(d->uuid) : d->name,
                                   to_string(d->uuid)};
        d->ports.for_each([&](uint32_t, const LogicalPort* p) {
            names.logical_ports[uint64_t{d->key} << 32 | p->key] = {
                app.control().logical_port_name(d->key, p->key), p->port};
        });
    }
    name_entries(*pipeline, &names);
    return names;
}

}  // namespace

capture::Hooks capture_hooks(App& app) {
    capture::Hooks hooks;
    hooks.publish = [&app](std::unique_ptr<const CaptureSet> set) {
        app.host().publish_capture(std::move(set));
    };
    hooks.after_grace = [&app](std::function<void()> then) {
        app.host().rcu().retire(std::move(then));
    };
    hooks.names = [&app] { return capture_names(app); };
    hooks.version = [&app] {
        const Pipeline* pipeline = app.control().current();
        return pipeline ? pipeline->sequence : 0;
    };
    hooks.workers = app.host().n_workers();
    hooks.tsc_hz = rte_get_tsc_hz();
    hooks.application = fmt::format("sluiced {}", kVersion);
    return hooks;
}

}  // namespace sluice
