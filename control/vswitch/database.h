// SPDX-License-Identifier: Apache-2.0
// The local Open_vSwitch database: what it asks of us, and what we report back.
//
// Reads Open_vSwitch, Bridge, Port, Interface, SSL and where samples go. Writes what ovs-vswitchd
// would: state and statistics of interfaces, cur_cfg once a configuration is in force (so that
// ovs-vsctl returns), and what ovn-controller would: the integration bridge when it is missing,
// external_ids ovn-installed. Only differences from what was written last are sent; after a
// reconnect all of it again, because the server forgets ephemeral columns. Threads: control.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/ovsdb/client.h"
#include "control/sb/rows.h"
#include "lib/program/ports.h"

namespace sluice::vswitch {

using sb::StringMap;

struct Interface {
    Uuid uuid;
    std::string name;
    std::string type;
    StringMap options;
    StringMap external_ids;
    std::optional<Mac> mac;
    uint16_t mtu_request = 0;  ///< 0: none
    StringMap other_config;
    std::string port;  ///< its Port row
};

/// A Port row: of several interfaces, or with LACP, it is a bond.
struct BridgePort {
    Uuid uuid;
    std::string name;
    size_t n_interfaces = 0;
    std::string bond_mode;  ///< "": none said
    std::string lacp;       ///< same
    int64_t updelay_ms = 0;
    int64_t downdelay_ms = 0;
    StringMap other_config;

    bool is_bond() const { return n_interfaces > 1 || lacp == "active" || lacp == "passive"; }
};

/// A Mirror row; ports by name.
struct Mirror {
    Uuid uuid;
    std::string name;
    bool select_all = false;
    std::vector<std::string> sources;       ///< select_src_port
    std::vector<std::string> destinations;  ///< select_dst_port
    bool has_vlans = false;                 ///< select_vlan
    std::string output_port;
    bool has_output_vlan = false;
    int64_t snaplen = 0;  ///< 0: whole packets
};

struct Bridge {
    Uuid uuid;
    std::string name;
    std::string datapath_type;
    StringMap other_config;
    StringMap external_ids;
    std::vector<Interface> interfaces;  ///< by name
    std::vector<BridgePort> ports;      ///< by name
    std::vector<Mirror> mirrors;
};

/// Flow_Sample_Collector_Set with its IPFIX row.
struct Collectors {
    uint32_t id = 0;
    Uuid bridge;
    std::vector<std::string> targets;
    uint32_t active_timeout_s = 0;
    uint32_t max_flows = 0;
    std::string virtual_obs_id;
};

/// The whole database as one value.
struct Contents {
    Uuid root;
    StringMap external_ids;
    StringMap other_config;
    std::vector<std::string> iface_types;
    int64_t next_cfg = 0;
    int64_t cur_cfg = 0;
    std::vector<Bridge> bridges;  ///< by name
    std::vector<Collectors> collectors;
    std::string private_key, certificate, ca_cert;

    const Bridge* bridge(std::string_view name) const;
};

/// What an Interface row is to say.
struct InterfaceState {
    std::optional<int64_t> ofport;  ///< -1 for one that could not be opened
    std::string error;
    std::optional<bool> link_up;
    std::optional<Mac> mac;
    std::optional<uint16_t> mtu;
    std::optional<int64_t> ifindex;
    std::optional<PortStats> stats;
    std::optional<bool> installed;     ///< write ovn-installed; nullopt leaves it alone
    std::optional<bool> lacp_current;  ///< a LACP partner answers; nullopt: no LACP
};

class Database {
public:
    /// `on_change`: contents differ, or the session's state does.
    Database(EventLoop* loop, const std::string& remote, std::function<void()> on_change);
    ~Database();

    Result<void> start();
    /// Nothing is known before the first sync.
    bool is_known() const { return is_known_; }
    const Contents& contents() const { return contents_; }
    const ovsdb::Client& client() const { return *client_; }

    /// Writes what differs, and cur_cfg = next_cfg when `acknowledge`. `bonds`: by Port row, the
    /// MAC of the active member ("": none). One transaction at a time: while one is under way
    /// nothing is sent, and on_change comes when it is done.
    void report(const std::map<Uuid, InterfaceState>& interfaces,
                const std::map<Uuid, std::string>& bonds, bool acknowledge);
    /// Adds the bridge as ovn-controller does, unless it is there or asked for already.
    void create_bridge(const std::string& name, const std::string& datapath_type);
    /// Makes the bridge's external_ids "ct-zone-..." what `zones` has.
    void keep_zones(const std::string& bridge, const StringMap& zones);

private:
    void take(const ovsdb::Update& update);
    void decode_contents();
    void add_differences(const Uuid& row, const InterfaceState& state, ovsdb::Transaction* txn);
    void add_bonds(const std::map<Uuid, std::string>& bonds, ovsdb::Transaction* txn);
    void add_capabilities(ovsdb::Transaction* txn) const;
    void send(const ovsdb::Transaction& txn);

    std::unique_ptr<ovsdb::Client> client_;
    std::function<void()> on_change_;
    Contents contents_;
    bool is_known_ = false;
    bool is_busy_ = false;
    bool is_stale_ = false;  ///< report() came while busy
    std::string creating_;
    std::unordered_map<Uuid, InterfaceState> written_;
    std::unordered_map<Uuid, InterfaceState> pending_;  ///< in the transaction under way
    std::map<Uuid, std::string> written_bonds_;
    std::map<Uuid, std::string> pending_bonds_;
};

}  // namespace sluice::vswitch
