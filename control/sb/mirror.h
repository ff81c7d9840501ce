// SPDX-License-Identifier: Apache-2.0
// Mirror: the Southbound database as typed rows with indexes, and what changed since last asked.
//
// It is fed with ovsdb::Update, whether from a live client or from a file, and remembers for every
// touched row the value at the last commit() of changes, so that a consumer that looks once per
// loop turn sees one step, however many updates made it. Indexes are always up to date.
//
// Threads: one (control). Rows are shared and immutable: a pointer to one stays good while someone
// holds its shared_ptr.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "control/ovsdb/client.h"
#include "control/sb/rows.h"
#include "control/sb/tables.h"

namespace sluice::sb {

template <typename Row>
class RowTable {
public:
    using Ptr = std::shared_ptr<const Row>;
    struct Change {
        Ptr before;  ///< null: new
        Ptr after;   ///< null: gone
    };

    const Row* find(const Uuid& uuid) const {
        const auto it = rows_.find(uuid);
        return it == rows_.end() ? nullptr : it->second.get();
    }
    const std::unordered_map<Uuid, Ptr>& rows() const { return rows_; }
    size_t size() const { return rows_.size(); }
    /// Rows that differ from what they were at the last forget_changes().
    const std::unordered_map<Uuid, Change>& changes() const { return changes_; }
    void forget_changes() { changes_.clear(); }

    /// Puts, replaces or (null) removes a row; returns the row before.
    Ptr put(const Uuid& uuid, Ptr row) {
        auto& slot = rows_[uuid];
        Ptr before = std::move(slot);
        const auto [it, is_first] = changes_.try_emplace(uuid, Change{before, row});
        if (!is_first) {
            it->second.after = row;
            if (!it->second.before && !row) {
                changes_.erase(it);
            }
        }
        if (row) {
            slot = std::move(row);
        } else {
            rows_.erase(uuid);
        }
        return before;
    }

private:
    std::unordered_map<Uuid, Ptr> rows_;
    std::unordered_map<Uuid, Change> changes_;
};

using UuidSet = std::unordered_set<Uuid>;

class Mirror {
public:
    /// Takes the changes of one update. Tables are those of table_specs().
    void apply(const ovsdb::Update& update);

    RowTable<SbGlobal> sb_global;
    RowTable<Chassis> chassis;
    RowTable<ChassisPrivate> chassis_private;
    RowTable<Encap> encaps;
    RowTable<DatapathBinding> datapaths;
    RowTable<PortBinding> ports;
    RowTable<MulticastGroup> multicast_groups;
    RowTable<LogicalFlow> flows;
    RowTable<DpGroup> dp_groups;
    RowTable<AddressSet> address_sets;
    RowTable<PortGroup> port_groups;
    RowTable<MacBinding> mac_bindings;
    RowTable<StaticMacBinding> static_mac_bindings;
    RowTable<Fdb> fdb;
    RowTable<HaChassisGroup> ha_groups;
    RowTable<HaChassis> ha_chassis;
    RowTable<GatewayChassis> gateway_chassis;
    RowTable<TemplateVar> template_vars;
    RowTable<DhcpOption> dhcp_options;
    RowTable<DhcpOption> dhcp6_options;
    RowTable<Dns> dns;
    RowTable<LoadBalancer> load_balancers;
    RowTable<Meter> meters;
    RowTable<MeterBand> meter_bands;
    RowTable<MirrorRow> mirrors;
    RowTable<IpMulticast> ip_multicast;
    RowTable<IgmpGroup> igmp_groups;
    RowTable<ServiceMonitor> service_monitors;
    RowTable<ControllerEvent> controller_events;
    RowTable<Bfd> bfd;

    const PortBinding* port(std::string_view name) const;
    const Chassis* chassis_by_name(std::string_view name) const;
    const ChassisPrivate* chassis_private_by_name(std::string_view name) const;
    const DatapathBinding* datapath_by_key(uint32_t key) const;
    const AddressSet* address_set(std::string_view name) const;
    const PortGroup* port_group(std::string_view name) const;
    const TemplateVar* template_var(std::string_view chassis_name) const;
    const Meter* meter(std::string_view name) const;
    const SbGlobal* global() const;
    const PortBinding* port_by_key(const Uuid& datapath, uint32_t key) const;
    const MacBinding* mac_binding(const std::string& port_name, const std::string& ip) const;
    const Fdb* fdb_entry(uint32_t dp_key, const std::string& mac) const;

    /// UUIDs of rows that belong to a datapath.
    const UuidSet& ports_of(const Uuid& datapath) const { return get(ports_by_dp_, datapath); }
    const UuidSet& groups_of(const Uuid& datapath) const { return get(groups_by_dp_, datapath); }
    const UuidSet& macs_of(const Uuid& datapath) const { return get(macs_by_dp_, datapath); }
    const UuidSet& static_macs_of(const Uuid& dp) const { return get(static_macs_by_dp_, dp); }
    const UuidSet& fdb_of(uint32_t dp_key) const;
    /// Flows that name the datapath directly, and flows of one datapath group.
    const UuidSet& flows_of(const Uuid& datapath) const { return get(flows_by_dp_, datapath); }
    const UuidSet& flows_of_group(const Uuid& group) const { return get(flows_by_group_, group); }
    /// Datapath groups that a datapath is in.
    const UuidSet& groups_with(const Uuid& datapath) const {
        return get(dp_groups_by_dp_, datapath);
    }
    /// Port groups that a port name is in, by UUID.
    const UuidSet& port_groups_with(const std::string& port_name) const;
    /// Load balancers in force in a datapath, by UUID.
    UuidSet balancers_of(const Uuid& datapath) const;
    /// The same as the sets that it is the union of; none when there is no balancer. Datapaths with
    /// equal keys have the same.
    std::vector<const UuidSet*> balancer_sources(const Uuid& datapath) const;
    std::vector<Uuid> balancer_key(const Uuid& datapath) const;
    /// Ports of a type, of all but kVif.
    const UuidSet& ports_of_type(PortType type) const { return by_type_[size_t(type)]; }
    /// Patch and l3gateway ports of a datapath.
    const UuidSet& patches_of(const Uuid& datapath) const { return get(patches_by_dp_, datapath); }
    /// Containers inside a VIF, by UUID.
    const UuidSet& children_of(const std::string& parent_port) const;

    bool has_changes() const;
    void forget_changes();

private:
    using Index = std::unordered_map<Uuid, UuidSet>;
    using NameIndex = std::unordered_map<std::string, UuidSet>;
    using Names = std::unordered_map<std::string, Uuid>;

    static const UuidSet& get(const Index& index, const Uuid& key);
    template <typename Row>
    void take(RowTable<Row>* table, const ovsdb::RowChange& change);
    // add: the row came; otherwise it went.
    void index(const SbGlobal&, bool) {}
    void index(const Chassis& row, bool add);
    void index(const ChassisPrivate& row, bool add);
    void index(const Encap&, bool) {}
    void index(const DatapathBinding& row, bool add);
    void index(const PortBinding& row, bool add);
    void index(const MulticastGroup& row, bool add);
    void index(const LogicalFlow& row, bool add);
    void index(const DpGroup& row, bool add);
    void index(const AddressSet& row, bool add);
    void index(const PortGroup& row, bool add);
    void index(const MacBinding& row, bool add);
    void index(const StaticMacBinding& row, bool add);
    void index(const Fdb& row, bool add);
    void index(const HaChassisGroup&, bool) {}
    void index(const HaChassis&, bool) {}
    void index(const GatewayChassis&, bool) {}
    void index(const TemplateVar& row, bool add);
    void index(const DhcpOption&, bool) {}
    void index(const Dns&, bool) {}
    void index(const LoadBalancer& row, bool add);
    void index(const Meter& row, bool add);
    void index(const MeterBand&, bool) {}
    void index(const MirrorRow&, bool) {}
    void index(const IpMulticast&, bool) {}
    void index(const IgmpGroup&, bool) {}
    void index(const ServiceMonitor&, bool) {}
    void index(const ControllerEvent&, bool) {}
    void index(const Bfd&, bool) {}

    Names port_names_, chassis_names_, private_names_, set_names_, group_names_, var_names_;
    Names meter_names_;
    Names mac_names_;  ///< "PORT\nIP"
    Names fdb_names_;  ///< "KEY\nMAC"
    std::unordered_map<uint32_t, Uuid> datapath_keys_;
    std::unordered_map<Uuid, std::unordered_map<uint32_t, Uuid>> port_keys_;
    Index ports_by_dp_, groups_by_dp_, macs_by_dp_, static_macs_by_dp_, flows_by_dp_;
    Index flows_by_group_, dp_groups_by_dp_, balancers_by_dp_, balancers_by_group_;
    std::unordered_map<uint32_t, UuidSet> fdb_by_key_;
    NameIndex port_groups_by_port_, children_;
    std::array<UuidSet, size_t(PortType::kUnknown) + 1> by_type_;
    Index patches_by_dp_;
};

}  // namespace sluice::sb
