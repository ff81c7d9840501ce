// SPDX-License-Identifier: Apache-2.0
#include "control/vswitch/database.h"

#include <algorithm>
#include <chrono>

#include "control/vswitch/tables.h"
#include "control/vswitch/wanted_ports.h"
#include "lib/base/log.h"

namespace sluice::vswitch {
namespace {

SLUICE_LOG_MODULE(vswitch);

using ovsdb::Datum;

StringMap string_map(const Datum& datum) {
    StringMap map;
    for (size_t i = 0; datum.is_map() && i < datum.size(); ++i) {
        map.emplace(datum.key(i).string(), datum.value(i).string());
    }
    return map;
}

Interface decode_interface(const ovsdb::Row& row) {
    Interface out;
    out.uuid = row.uuid;
    out.name = row[kInterfaceName].string();
    out.type = row[kInterfaceType].string();
    out.options = string_map(row[kInterfaceOptions]);
    out.external_ids = string_map(row[kInterfaceExternalIds]);
    out.mac = parse_mac(row[kInterfaceMac].string());
    out.mtu_request = static_cast<uint16_t>(row[kInterfaceMtuRequest].integer());
    out.other_config = string_map(row[kInterfaceOtherConfig]);
    return out;
}

BridgePort decode_port(const ovsdb::Row& row) {
    BridgePort out;
    out.uuid = row.uuid;
    out.name = row[kPortName].string();
    out.bond_mode = row[kPortBondMode].string();
    out.lacp = row[kPortLacp].string();
    out.updelay_ms = row[kPortUpdelay].integer();
    out.downdelay_ms = row[kPortDowndelay].integer();
    out.other_config = string_map(row[kPortOtherConfig]);
    return out;
}

Mirror decode_mirror(const ovsdb::Replica& replica, const ovsdb::Row& row) {
    const auto names = [&replica](const Datum& ports) {
        std::vector<std::string> list;
        for (size_t i = 0; i < ports.size(); ++i) {
            if (const ovsdb::RowPtr port = replica.find(kPort, ports.key(i).uuid())) {
                list.push_back((*port)[kPortName].string());
            }
        }
        return list;
    };
    Mirror out;
    out.uuid = row.uuid;
    out.name = row[kMirrorName].string();
    out.select_all = row[kMirrorSelectAll].boolean();
    out.sources = names(row[kMirrorSelectSrcPort]);
    out.destinations = names(row[kMirrorSelectDstPort]);
    out.has_vlans = !row[kMirrorSelectVlan].empty();
    const std::vector<std::string> output = names(row[kMirrorOutputPort]);
    out.output_port = output.empty() ? std::string() : output.front();
    out.has_output_vlan = !row[kMirrorOutputVlan].empty();
    out.snaplen = row[kMirrorSnaplen].integer();
    return out;
}

Bridge decode_bridge(const ovsdb::Replica& replica, const ovsdb::Row& row) {
    Bridge out;
    out.uuid = row.uuid;
    out.name = row[kBridgeName].string();
    out.datapath_type = row[kBridgeDatapathType].string();
    out.other_config = string_map(row[kBridgeOtherConfig]);
    out.external_ids = string_map(row[kBridgeExternalIds]);
    const Datum& mirrors = row[kBridgeMirrors];
    for (size_t i = 0; i < mirrors.size(); ++i) {
        if (const ovsdb::RowPtr mirror = replica.find(kMirror, mirrors.key(i).uuid())) {
            out.mirrors.push_back(decode_mirror(replica, *mirror));
        }
    }
    const Datum& ports = row[kBridgePorts];
    for (size_t i = 0; i < ports.size(); ++i) {
        const ovsdb::RowPtr row_of_port = replica.find(kPort, ports.key(i).uuid());
        if (!row_of_port) {
            continue;
        }
        BridgePort& port = out.ports.emplace_back(decode_port(*row_of_port));
        const Datum& interfaces = (*row_of_port)[kPortInterfaces];
        for (size_t k = 0; k < interfaces.size(); ++k) {
            if (const ovsdb::RowPtr interface =
                    replica.find(kInterface, interfaces.key(k).uuid())) {
                out.interfaces.push_back(decode_interface(*interface));
                out.interfaces.back().port = port.name;
                ++port.n_interfaces;
            }
        }
    }
    std::sort(out.ports.begin(), out.ports.end(),
              [](const BridgePort& a, const BridgePort& b) { return a.name < b.name; });
    std::sort(out.interfaces.begin(), out.interfaces.end(),
              [](const Interface& a, const Interface& b) { return a.name < b.name; });
    return out;
}

std::vector<Collectors> decode_collectors(const ovsdb::Replica& replica) {
    std::vector<Collectors> out;
    for (const auto& [uuid, row] : replica.rows(kCollectorSet)) {
        const ovsdb::RowPtr ipfix = replica.find(kIpfix, (*row)[kCollectorSetIpfix].uuid());
        if (!ipfix) {
            continue;
        }
        Collectors set;
        set.id = static_cast<uint32_t>((*row)[kCollectorSetId].integer());
        set.bridge = (*row)[kCollectorSetBridge].uuid();
        const Datum& targets = (*ipfix)[kIpfixTargets];
        for (size_t i = 0; i < targets.size(); ++i) {
            set.targets.push_back(targets.key(i).string());
        }
        set.active_timeout_s = static_cast<uint32_t>((*ipfix)[kIpfixActiveTimeout].integer());
        set.max_flows = static_cast<uint32_t>((*ipfix)[kIpfixMaxFlows].integer());
        if (const std::string* name = (*ipfix)[kIpfixOtherConfig].get("virtual_obs_id")) {
            set.virtual_obs_id = *name;
        }
        out.push_back(std::move(set));
    }
    return out;
}

std::string now_text() {
    using namespace std::chrono;
    const auto now = system_clock::now().time_since_epoch();
    return std::to_string(duration_cast<milliseconds>(now).count());
}

Datum statistics(const PortStats& stats) {
    const std::pair<const char*, uint64_t> values[] = {
        {"rx_packets", stats.rx_packets}, {"rx_bytes", stats.rx_bytes},
        {"rx_dropped", stats.rx_dropped}, {"rx_errors", stats.rx_errors},
        {"tx_packets", stats.tx_packets}, {"tx_bytes", stats.tx_bytes},
        {"tx_dropped", stats.tx_dropped}, {"tx_errors", stats.tx_errors},
    };
    std::vector<Datum::Pair> pairs;
    for (const auto& [name, value] : values) {
        pairs.emplace_back(name, static_cast<int64_t>(value));
    }
    for (size_t i = 0; i < stats.work.size(); ++i) {
        if (stats.work[i]) {
            pairs.emplace_back(port_work_name(static_cast<PortWork>(i)),
                               static_cast<int64_t>(stats.work[i]));
        }
    }
    return Datum::map(std::move(pairs));
}

bool equal(const PortStats& a, const PortStats& b) {
    return a.rx_packets == b.rx_packets && a.rx_bytes == b.rx_bytes &&
           a.rx_dropped == b.rx_dropped && a.rx_errors == b.rx_errors &&
           a.tx_packets == b.tx_packets && a.tx_bytes == b.tx_bytes &&
           a.tx_dropped == b.tx_dropped && a.tx_errors == b.tx_errors && a.work == b.work;
}

// What `ovs-vsctl list Open_vSwitch` and, through the Chassis row, the CMS see of us.
}  // namespace

const Bridge* Contents::bridge(std::string_view name) const {
    const auto it = std::find_if(bridges.begin(), bridges.end(),
                                 [&](const Bridge& b) { return b.name == name; });
    return it == bridges.end() ? nullptr : &*it;
}

Database::Database(EventLoop* loop, const std::string& remote, std::function<void()> on_change)
    : on_change_(std::move(on_change)) {
    ovsdb::ClientOptions options;
    options.database = "Open_vSwitch";
    options.remotes = remote;
    options.tables = table_specs();
    options.backoff_max_ms = 2000;
    client_ = std::make_unique<ovsdb::Client>(
        loop, std::move(options),
        ovsdb::Client::Callbacks{[this](const ovsdb::Update& update) { take(update); },
                                 [this](const ovsdb::Status&) { on_change_(); }});
}

Database::~Database() = default;

Result<void> Database::start() {
    return client_->start();
}

void Database::take(const ovsdb::Update& update) {
    if (update.sync) {
        written_.clear();
        written_bonds_.clear();
    }
    is_known_ = true;
    decode_contents();
    on_change_();
}

void Database::decode_contents() {
    const ovsdb::Replica& replica = client_->replica();
    Contents next;
    if (!replica.rows(kRoot).empty()) {
        const ovsdb::Row& root = *replica.rows(kRoot).begin()->second;
        next.root = root.uuid;
        next.external_ids = string_map(root[kRootExternalIds]);
        next.other_config = string_map(root[kRootOtherConfig]);
        next.next_cfg = root[kRootNextCfg].integer();
        next.cur_cfg = root[kRootCurCfg].integer();
        for (size_t i = 0; i < root[kRootIfaceTypes].size(); ++i) {
            next.iface_types.push_back(root[kRootIfaceTypes].key(i).string());
        }
        for (size_t i = 0; i < root[kRootBridges].size(); ++i) {
            if (const auto row = replica.find(kBridge, root[kRootBridges].key(i).uuid())) {
                next.bridges.push_back(decode_bridge(replica, *row));
            }
        }
        if (const auto ssl = replica.find(kSsl, root[kRootSsl].uuid())) {
            next.private_key = (*ssl)[kSslPrivateKey].string();
            next.certificate = (*ssl)[kSslCertificate].string();
            next.ca_cert = (*ssl)[kSslCaCert].string();
        }
    }
    std::sort(next.bridges.begin(), next.bridges.end(),
              [](const Bridge& a, const Bridge& b) { return a.name < b.name; });
    next.collectors = decode_collectors(replica);
    contents_ = std::move(next);
}

void Database::add_differences(const Uuid& row, const InterfaceState& state,
                               ovsdb::Transaction* txn) {
    InterfaceState said = written_[row];
    ovsdb::NamedColumns columns;
    const auto put = [&](auto member, const char* column, const auto& make) {
        if (state.*member && said.*member != state.*member) {
            columns.emplace_back(column, make(*(state.*member)));
            said.*member = state.*member;
        }
    };
    const bool is_first = !written_.contains(row) || !said.ofport;
    if (is_first || said.error != state.error) {
        columns.emplace_back("error", state.error.empty() ? Datum() : Datum(state.error));
        said.error = state.error;
    }
    put(&InterfaceState::ofport, "ofport", [](int64_t v) { return Datum(v); });
    put(&InterfaceState::mac, "mac_in_use", [](const Mac& v) { return Datum(to_string(v)); });
    put(&InterfaceState::mtu, "mtu", [](uint16_t v) { return Datum(int64_t{v}); });
    put(&InterfaceState::lacp_current, "lacp_current", [](bool v) { return Datum(v); });
    put(&InterfaceState::ifindex, "ifindex", [](int64_t v) { return Datum(v); });
    if (state.link_up && said.link_up != state.link_up) {
        columns.emplace_back("link_state", Datum(*state.link_up ? "up" : "down"));
        columns.emplace_back("admin_state", Datum("up"));
        said.link_up = state.link_up;
    }
    if (state.stats && (!said.stats || !equal(*said.stats, *state.stats))) {
        columns.emplace_back("statistics", statistics(*state.stats));
        said.stats = state.stats;
    }
    if (!columns.empty()) {
        txn->update("Interface", row, columns);
    }
    if (state.installed) {
        if (*state.installed) {
            txn->set_map_keys("Interface", row, "external_ids",
                              {{"ovn-installed", "true"}, {"ovn-installed-ts", now_text()}});
        } else {
            txn->remove_map_keys("Interface", row, "external_ids",
                                 {"ovn-installed", "ovn-installed-ts"});
        }
    }
    pending_[row] = said;
}

void Database::add_bonds(const std::map<Uuid, std::string>& bonds, ovsdb::Transaction* txn) {
    for (const auto& [row, active] : bonds) {
        const auto said = written_bonds_.find(row);
        if (client_->replica().find(kPort, row) &&
            (said == written_bonds_.end() || said->second != active)) {
            txn->update("Port", row,
                        {{"bond_active_slave", active.empty() ? Datum() : Datum(active)}});
        }
    }
    pending_bonds_ = bonds;
}

void Database::add_capabilities(ovsdb::Transaction* txn) const {
    if (contents_.iface_types != kIfaceTypes) {
        ovsdb::NamedColumns columns{{"iface_types", ovsdb::string_set(kIfaceTypes)}};
        if (client_->schema()->has_column("Open_vSwitch", "datapath_types")) {
            columns.emplace_back("datapath_types", ovsdb::string_set({"netdev"}));
        }
        txn->update("Open_vSwitch", contents_.root, columns);
    }
}

void Database::report(const std::map<Uuid, InterfaceState>& interfaces,
                      const std::map<Uuid, std::string>& bonds, bool acknowledge) {
    if (!is_known_ || !client_->synced() || contents_.root.is_zero()) {
        return;
    }
    if (is_busy_) {
        is_stale_ = true;
        return;
    }
    ovsdb::Transaction txn;
    pending_.clear();
    std::erase_if(written_, [&](const auto& entry) { return !interfaces.contains(entry.first); });
    for (const auto& [row, state] : interfaces) {
        if (client_->replica().find(kInterface, row)) {
            add_differences(row, state, &txn);
        }
    }
    add_bonds(bonds, &txn);
    add_capabilities(&txn);
    if (acknowledge && contents_.cur_cfg != contents_.next_cfg) {
        txn.update("Open_vSwitch", contents_.root, {{"cur_cfg", Datum(contents_.next_cfg)}});
    }
    if (!txn.empty()) {
        send(txn);
    }
}

void Database::create_bridge(const std::string& name, const std::string& datapath_type) {
    if (!is_known_ || !client_->synced() || contents_.root.is_zero() || is_busy_ ||
        contents_.bridge(name) || creating_ == name) {
        return;
    }
    creating_ = name;
    LOG_INFO("creating the integration bridge {}", name);
    ovsdb::Transaction txn;
    txn.comment("sluiced: creating integration bridge '" + name + "'");
    txn.verify_none("Bridge", {{"name", "==", Datum(name)}});
    const Uuid interface =
        txn.insert("Interface", {{"name", Datum(name)}, {"type", Datum("internal")}});
    const Uuid port =
        txn.insert("Port", {{"name", Datum(name)}, {"interfaces", ovsdb::uuid_set({interface})}});
    ovsdb::NamedColumns columns = {
        {"name", Datum(name)},
        {"ports", ovsdb::uuid_set({port})},
        {"fail_mode", Datum("secure")},
        {"other_config", Datum::string_map({{"disable-in-band", "true"}})}};
    if (!datapath_type.empty()) {
        columns.emplace_back("datapath_type", Datum(datapath_type));
    }
    const Uuid bridge = txn.insert("Bridge", columns);
    txn.mutate("Open_vSwitch", contents_.root, "bridges", "insert", ovsdb::uuid_set({bridge}));
    send(txn);
}

void Database::keep_zones(const std::string& bridge, const StringMap& zones) {
    const Bridge* row = contents_.bridge(bridge);
    if (!row || !client_->synced()) {
        return;
    }
    std::vector<std::pair<std::string, std::string>> set;
    std::vector<std::string> gone;
    for (const auto& [key, value] : zones) {
        if (sb::get(row->external_ids, key) != value) {
            set.emplace_back(key, value);
        }
    }
    for (const auto& [key, value] : row->external_ids) {
        if (key.starts_with("ct-zone-") && !zones.contains(key)) {
            gone.push_back(key);
        }
    }
    if (set.empty() && gone.empty()) {
        return;
    }
    if (is_busy_) {
        is_stale_ = true;
        return;
    }
    ovsdb::Transaction txn;
    if (!gone.empty()) {
        txn.remove_map_keys("Bridge", row->uuid, "external_ids", gone);
    }
    if (!set.empty()) {
        txn.set_map_keys("Bridge", row->uuid, "external_ids", set);
    }
    send(txn);
}

void Database::send(const ovsdb::Transaction& txn) {
    is_busy_ = true;
    client_->commit(txn, [this](const ovsdb::TxnResult& result) {
        is_busy_ = false;
        creating_.clear();
        if (result.committed()) {
            for (auto& [row, state] : pending_) {
                written_[row] = std::move(state);
            }
            if (!pending_bonds_.empty()) {
                written_bonds_ = std::move(pending_bonds_);
            }
        } else if (result.outcome == ovsdb::TxnResult::Outcome::kFailed) {
            LOG_WARN_RL("the local database refuses a report: {}", result.error);
        }
        pending_.clear();
        pending_bonds_.clear();
        const bool again = !result.committed() || is_stale_;
        is_stale_ = false;
        if (again && client_->synced() && result.outcome != ovsdb::TxnResult::Outcome::kFailed) {
            on_change_();
        }
    });
}

}  // namespace sluice::vswitch
