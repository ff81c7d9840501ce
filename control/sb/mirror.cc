// SPDX-License-Identifier: Apache-2.0
#include "control/sb/mirror.h"

#include <algorithm>

namespace sluice::sb {
namespace {

const UuidSet kNone;

template <typename Map, typename Key>
void update_set(Map* map, const Key& key, const Uuid& uuid, bool add) {
    if (add) {
        (*map)[key].insert(uuid);
        return;
    }
    const auto it = map->find(key);
    if (it != map->end()) {
        it->second.erase(uuid);
        if (it->second.empty()) {
            map->erase(it);
        }
    }
}

template <typename Map, typename Key>
void update_name(Map* map, const Key& key, const Uuid& uuid, bool add) {
    if (add) {
        (*map)[key] = uuid;
        return;
    }
    const auto it = map->find(key);
    if (it != map->end() && it->second == uuid) {
        map->erase(it);
    }
}

template <typename Table, typename Names>
auto by_name(const Table& table, const Names& names, std::string_view name) {
    const auto it = names.find(std::string(name));
    return it == names.end() ? nullptr : table.find(it->second);
}

}  // namespace

template <typename Row>
void Mirror::take(RowTable<Row>* table, const ovsdb::RowChange& change) {
    std::shared_ptr<Row> row;
    if (change.after) {
        row = std::make_shared<Row>();
        decode(*change.after, row.get());
    }
    const auto before = table->put(change.uuid, row);
    if (before) {
        index(*before, false);
    }
    if (row) {
        index(*row, true);
    }
}

void Mirror::apply(const ovsdb::Update& update) {
    // Rows that go first: a name or key that moves to another row keeps its new owner.
    for (const bool removals : {true, false}) {
        for (const ovsdb::RowChange& change : update.changes) {
            if ((change.after == nullptr) != removals) {
                continue;
            }
            switch (static_cast<Table>(change.table)) {
            case kSbGlobal: take(&sb_global, change); break;
            case kChassis: take(&chassis, change); break;
            case kChassisPrivate: take(&chassis_private, change); break;
            case kEncap: take(&encaps, change); break;
            case kDatapathBinding: take(&datapaths, change); break;
            case kPortBinding: take(&ports, change); break;
            case kMulticastGroup: take(&multicast_groups, change); break;
            case kLogicalFlow: take(&flows, change); break;
            case kDpGroup: take(&dp_groups, change); break;
            case kAddressSet: take(&address_sets, change); break;
            case kPortGroup: take(&port_groups, change); break;
            case kMacBinding: take(&mac_bindings, change); break;
            case kStaticMacBinding: take(&static_mac_bindings, change); break;
            case kFdb: take(&fdb, change); break;
            case kHaChassisGroup: take(&ha_groups, change); break;
            case kHaChassis: take(&ha_chassis, change); break;
            case kGatewayChassis: take(&gateway_chassis, change); break;
            case kTemplateVar: take(&template_vars, change); break;
            case kDhcpOptions: take(&dhcp_options, change); break;
            case kDhcp6Options: take(&dhcp6_options, change); break;
            case kDns: take(&dns, change); break;
            case kLoadBalancer: take(&load_balancers, change); break;
            case kMeter: take(&meters, change); break;
            case kMeterBand: take(&meter_bands, change); break;
            case kMirror: take(&mirrors, change); break;
            case kIpMulticast: take(&ip_multicast, change); break;
            case kIgmpGroup: take(&igmp_groups, change); break;
            case kServiceMonitor: take(&service_monitors, change); break;
            case kControllerEvent: take(&controller_events, change); break;
            case kBfd: take(&bfd, change); break;
            case kTableCount: break;
            }
        }
    }
}

const UuidSet& Mirror::get(const Index& index, const Uuid& key) {
    const auto it = index.find(key);
    return it == index.end() ? kNone : it->second;
}

const UuidSet& Mirror::fdb_of(uint32_t dp_key) const {
    const auto it = fdb_by_key_.find(dp_key);
    return it == fdb_by_key_.end() ? kNone : it->second;
}

const UuidSet& Mirror::port_groups_with(const std::string& port_name) const {
    const auto it = port_groups_by_port_.find(port_name);
    return it == port_groups_by_port_.end() ? kNone : it->second;
}

const UuidSet& Mirror::children_of(const std::string& parent_port) const {
    const auto it = children_.find(parent_port);
    return it == children_.end() ? kNone : it->second;
}

const PortBinding* Mirror::port(std::string_view name) const {
    return by_name(ports, port_names_, name);
}
const Chassis* Mirror::chassis_by_name(std::string_view name) const {
    return by_name(chassis, chassis_names_, name);
}
const ChassisPrivate* Mirror::chassis_private_by_name(std::string_view name) const {
    return by_name(chassis_private, private_names_, name);
}
const DatapathBinding* Mirror::datapath_by_key(uint32_t key) const {
    const auto it = datapath_keys_.find(key);
    return it == datapath_keys_.end() ? nullptr : datapaths.find(it->second);
}
const AddressSet* Mirror::address_set(std::string_view name) const {
    return by_name(address_sets, set_names_, name);
}
const PortGroup* Mirror::port_group(std::string_view name) const {
    return by_name(port_groups, group_names_, name);
}
const TemplateVar* Mirror::template_var(std::string_view chassis_name) const {
    return by_name(template_vars, var_names_, chassis_name);
}
const Meter* Mirror::meter(std::string_view name) const {
    return by_name(meters, meter_names_, name);
}
UuidSet Mirror::balancers_of(const Uuid& datapath) const {
    UuidSet all = get(balancers_by_dp_, datapath);
    for (const Uuid& group : groups_with(datapath)) {
        const UuidSet& more = get(balancers_by_group_, group);
        all.insert(more.begin(), more.end());
    }
    return all;
}
std::vector<const UuidSet*> Mirror::balancer_sources(const Uuid& datapath) const {
    std::vector<const UuidSet*> out;
    if (const UuidSet& own = get(balancers_by_dp_, datapath); !own.empty()) {
        out.push_back(&own);
    }
    for (const Uuid& group : groups_with(datapath)) {
        if (const UuidSet& more = get(balancers_by_group_, group); !more.empty()) {
            out.push_back(&more);
        }
    }
    return out;
}
std::vector<Uuid> Mirror::balancer_key(const Uuid& datapath) const {
    std::vector<Uuid> key;
    for (const Uuid& group : groups_with(datapath)) {
        if (!get(balancers_by_group_, group).empty()) {
            key.push_back(group);
        }
    }
    std::sort(key.begin(), key.end());
    if (!get(balancers_by_dp_, datapath).empty()) {
        key.push_back(datapath);  // what it has beside its groups is its own
    }
    return key;
}
const SbGlobal* Mirror::global() const {
    return sb_global.size() == 0 ? nullptr : sb_global.rows().begin()->second.get();
}

const PortBinding* Mirror::port_by_key(const Uuid& datapath, uint32_t key) const {
    const auto keys = port_keys_.find(datapath);
    if (keys == port_keys_.end()) {
        return nullptr;
    }
    const auto it = keys->second.find(key);
    return it == keys->second.end() ? nullptr : ports.find(it->second);
}
const MacBinding* Mirror::mac_binding(const std::string& port_name, const std::string& ip) const {
    return by_name(mac_bindings, mac_names_, port_name + "\n" + ip);
}
const Fdb* Mirror::fdb_entry(uint32_t dp_key, const std::string& mac) const {
    return by_name(fdb, fdb_names_, std::to_string(dp_key) + "\n" + mac);
}

void Mirror::index(const Chassis& row, bool add) {
    update_name(&chassis_names_, row.name, row.uuid, add);
}
void Mirror::index(const ChassisPrivate& row, bool add) {
    update_name(&private_names_, row.name, row.uuid, add);
}
void Mirror::index(const DatapathBinding& row, bool add) {
    update_name(&datapath_keys_, row.tunnel_key, row.uuid, add);
}
void Mirror::index(const PortBinding& row, bool add) {
    update_name(&port_names_, row.logical_port, row.uuid, add);
    update_set(&ports_by_dp_, row.datapath, row.uuid, add);
    auto& keys = port_keys_[row.datapath];
    update_name(&keys, row.tunnel_key, row.uuid, add);
    if (keys.empty()) {
        port_keys_.erase(row.datapath);
    }
    if (row.type != PortType::kVif) {
        UuidSet& same = by_type_[size_t(row.type)];
        add ? void(same.insert(row.uuid)) : void(same.erase(row.uuid));
    }
    if (row.type == PortType::kPatch || row.type == PortType::kL3Gateway) {
        update_set(&patches_by_dp_, row.datapath, row.uuid, add);
    }
    if (!row.parent_port.empty()) {
        update_set(&children_, row.parent_port, row.uuid, add);
    }
}
void Mirror::index(const MulticastGroup& row, bool add) {
    update_set(&groups_by_dp_, row.datapath, row.uuid, add);
}
void Mirror::index(const LogicalFlow& row, bool add) {
    if (!row.datapath.is_zero()) {
        update_set(&flows_by_dp_, row.datapath, row.uuid, add);
    }
    if (!row.dp_group.is_zero()) {
        update_set(&flows_by_group_, row.dp_group, row.uuid, add);
    }
}
void Mirror::index(const DpGroup& row, bool add) {
    for (const Uuid& datapath : row.datapaths) {
        update_set(&dp_groups_by_dp_, datapath, row.uuid, add);
    }
}
void Mirror::index(const AddressSet& row, bool add) {
    update_name(&set_names_, row.name, row.uuid, add);
}
void Mirror::index(const PortGroup& row, bool add) {
    update_name(&group_names_, row.name, row.uuid, add);
    for (const std::string& port_name : row.ports) {
        update_set(&port_groups_by_port_, port_name, row.uuid, add);
    }
}
void Mirror::index(const MacBinding& row, bool add) {
    update_set(&macs_by_dp_, row.datapath, row.uuid, add);
    update_name(&mac_names_, row.logical_port + "\n" + row.ip, row.uuid, add);
}
void Mirror::index(const StaticMacBinding& row, bool add) {
    update_set(&static_macs_by_dp_, row.datapath, row.uuid, add);
}
void Mirror::index(const Fdb& row, bool add) {
    update_set(&fdb_by_key_, row.dp_key, row.uuid, add);
    update_name(&fdb_names_, std::to_string(row.dp_key) + "\n" + row.mac, row.uuid, add);
}
void Mirror::index(const TemplateVar& row, bool add) {
    update_name(&var_names_, row.chassis, row.uuid, add);
}
void Mirror::index(const LoadBalancer& row, bool add) {
    for (const Uuid& datapath : row.datapaths) {
        update_set(&balancers_by_dp_, datapath, row.uuid, add);
    }
    for (const Uuid& group : row.groups) {
        update_set(&balancers_by_group_, group, row.uuid, add);
    }
}
void Mirror::index(const Meter& row, bool add) {
    update_name(&meter_names_, row.name, row.uuid, add);
}

bool Mirror::has_changes() const {
    const auto any = [](const auto&... table) { return (... || !table.changes().empty()); };
    return any(sb_global, chassis, chassis_private, encaps, datapaths, ports, multicast_groups,
               flows, dp_groups, address_sets, port_groups, mac_bindings, static_mac_bindings, fdb,
               ha_groups, ha_chassis, gateway_chassis, template_vars, dhcp_options, dhcp6_options,
               dns, load_balancers, meters, meter_bands, mirrors, ip_multicast, igmp_groups,
               service_monitors, controller_events, bfd);
}

void Mirror::forget_changes() {
    const auto forget = [](auto&... table) { (table.forget_changes(), ...); };
    forget(sb_global, chassis, chassis_private, encaps, datapaths, ports, multicast_groups, flows,
           dp_groups, address_sets, port_groups, mac_bindings, static_mac_bindings, fdb, ha_groups,
           ha_chassis, gateway_chassis, template_vars, dhcp_options, dhcp6_options, dns,
           load_balancers, meters, meter_bands, mirrors, ip_multicast, igmp_groups,
           service_monitors, controller_events, bfd);
}

}  // namespace sluice::sb
