// SPDX-License-Identifier: Apache-2.0
// Replication lists of multicast groups.
#include <algorithm>
#include <set>

#include "control/physical/view.h"

namespace sluice::physical {
namespace {

using sb::PortBinding;
using sb::PortType;

class GroupBuilder {
public:
    GroupBuilder(const View& view, const Uuid& datapath, const PortsPart& ports)
        : view_(view), ports_(ports), has_localnet_(localnet_of(view, datapath) != nullptr) {
        const sb::DatapathBinding* row = view.mirror.datapaths.find(datapath);
        is_transit_ = row && row->is_transit();
        const sb::Chassis* self = view.self();
        self_ = self ? self->uuid : Uuid{};
    }

    Group make(const sb::MulticastGroup& row) {
        Group group{};
        group.key = row.tunnel_key;
        std::set<uint32_t> tunnels;
        for (const Uuid& uuid : row.ports) {
            const PortBinding* port = view_.mirror.ports.find(uuid);
            if (port && port->datapath == row.datapath) {
                add(*port, &group, &tunnels);
            }
        }
        std::sort(group.here.begin(), group.here.end());
        std::sort(group.local.begin(), group.local.end());
        group.local.erase(std::unique(group.local.begin(), group.local.end()), group.local.end());
        std::sort(group.remote_ports.begin(), group.remote_ports.end());
        group.tunnels.assign(tunnels.begin(), tunnels.end());
        std::sort(group.ramps.begin(), group.ramps.end());
        group.ramps.erase(std::unique(group.ramps.begin(), group.ramps.end()), group.ramps.end());
        return group;
    }

private:
    void add_redirect(const PortBinding& port, Group* group) {
        const LogicalPort* const* entry = ports_.by_key.find(port.tunnel_key);
        if (entry && (*entry)->reach == Reach::kRedirect && (*entry)->via_key != 0) {
            group->local.push_back((*entry)->via_key);
        }
    }

    void add_remote(const PortBinding& port, Group* group, std::set<uint32_t>* tunnels) {
        const auto reach = [&](const Uuid& chassis, const Uuid& encap) {
            const sb::Chassis* row =
                chassis == self_ ? nullptr : view_.mirror.chassis.find(chassis);
            const auto tunnel = row ? view_.tunnels.find(chassis, encap) : std::nullopt;
            if (tunnel && sb::get_bool(row->other_config, "is-vtep", false)) {
                group->ramps.push_back(*tunnel);
            } else if (tunnel) {
                tunnels->insert(*tunnel);
            }
        };
        reach(port.chassis, {});
        for (const Uuid& chassis : port.additional_chassis) {
            reach(chassis, {});
        }
    }

    void add(const PortBinding& port, Group* group, std::set<uint32_t>* tunnels) {
        const LogicalPort* const* entry = ports_.by_key.find(port.tunnel_key);
        if (!entry) {
            return;
        }
        const LogicalPort& logical = **entry;
        if (port.type == PortType::kPatch) {
            (is_transit_ ? group->local : group->here).push_back(port.tunnel_key);
            return;
        }
        if (port.type == PortType::kRemote) {
            if (logical.reach == Reach::kTunnel) {
                group->remote_ports.push_back(port.tunnel_key);
            }
            return;
        }
        if (port.type == PortType::kLocalport) {
            if (logical.reach == Reach::kVif) {
                group->here.push_back(port.tunnel_key);
            }
            return;
        }
        if (logical.reach == Reach::kVif || logical.reach == Reach::kPatch) {
            group->local.push_back(port.tunnel_key);
            if (!port.additional_chassis.empty() && !has_localnet_) {
                add_remote(port, group, tunnels);  // live in several places at once
            }
            return;
        }
        if (logical.reach == Reach::kRedirect) {
            add_redirect(port, group);
            return;
        }
        if (!has_localnet_) {
            add_remote(port, group, tunnels);
        }
    }

    const View& view_;
    const PortsPart& ports_;
    bool has_localnet_;
    bool is_transit_ = false;
    Uuid self_;
};

bool equal(const Group& a, const Group& b) {
    return a.key == b.key && a.here == b.here && a.local == b.local && a.tunnels == b.tunnels &&
           a.ramps == b.ramps && a.remote_ports == b.remote_ports;
}

}  // namespace

std::shared_ptr<const GroupsPart> build_groups(const View& view, const Uuid& datapath,
                                               const PortsPart& ports) {
    auto part = std::make_shared<GroupsPart>();
    GroupBuilder builder(view, datapath, ports);
    for (const Uuid& uuid : view.mirror.groups_of(datapath)) {
        part->groups.push_back(builder.make(*view.mirror.multicast_groups.find(uuid)));
    }
    std::sort(part->groups.begin(), part->groups.end(),
              [](const Group& a, const Group& b) { return a.key < b.key; });
    std::vector<std::pair<uint32_t, const Group*>> items;
    for (const Group& group : part->groups) {
        items.emplace_back(group.key, &group);
    }
    part->by_key = FlatMap<uint32_t, const Group*>(items);
    return part;
}

bool equal(const GroupsPart& a, const GroupsPart& b) {
    return std::equal(a.groups.begin(), a.groups.end(), b.groups.begin(), b.groups.end(),
                      [](const Group& x, const Group& y) { return equal(x, y); });
}

}  // namespace sluice::physical
