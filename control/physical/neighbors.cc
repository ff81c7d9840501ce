// SPDX-License-Identifier: Apache-2.0
// MAC_Binding, Static_MAC_Binding and FDB of one datapath.
#include "control/physical/view.h"

namespace sluice::physical {
namespace {

void put(const View& view, const Uuid& datapath, const std::string& port_name,
         const std::string& ip, const std::string& mac_text, bool overrides, Neighbors* out) {
    const sb::PortBinding* port = view.mirror.port(port_name);
    const auto mac = parse_mac(mac_text);
    if (!port || port->datapath != datapath || !mac) {
        return;
    }
    if (const auto v4 = parse_ip4(ip)) {
        const Neighbors::Ip4Key key{port->tunnel_key, v4->value};
        if (overrides) {
            out->ip4[key] = mac->to_u64();
        } else {
            out->ip4.try_emplace(key, mac->to_u64());
        }
    } else if (const auto v6 = parse_ip6(ip)) {
        const Neighbors::Ip6Key key{port->tunnel_key, *v6};
        if (overrides) {
            out->ip6[key] = mac->to_u64();
        } else {
            out->ip6.try_emplace(key, mac->to_u64());
        }
    }
}

}  // namespace

std::shared_ptr<const Neighbors> build_neighbors(const View& view, const Uuid& datapath) {
    auto out = std::make_shared<Neighbors>();
    const sb::Mirror& mirror = view.mirror;
    // Static ones that override, then learnt ones, then static ones that do not.
    for (const bool overrides : {true, false}) {
        for (const Uuid& uuid : mirror.static_macs_of(datapath)) {
            const sb::StaticMacBinding* row = mirror.static_mac_bindings.find(uuid);
            if (row->override_dynamic == overrides) {
                put(view, datapath, row->logical_port, row->ip, row->mac, overrides, out.get());
            }
        }
        if (!overrides) {
            break;
        }
        for (const Uuid& uuid : mirror.macs_of(datapath)) {
            const sb::MacBinding* row = mirror.mac_bindings.find(uuid);
            put(view, datapath, row->logical_port, row->ip, row->mac, false, out.get());
        }
    }
    if (const sb::DatapathBinding* binding = mirror.datapaths.find(datapath)) {
        out->fdb_ages = binding->external_ids.contains("fdb_age_threshold");
        for (const Uuid& uuid : mirror.fdb_of(binding->tunnel_key)) {
            const sb::Fdb* row = mirror.fdb.find(uuid);
            if (const auto mac = parse_mac(row->mac)) {
                out->fdb[mac->to_u64()] = row->port_key;
            }
        }
    }
    return out;
}

bool equal(const Neighbors& a, const Neighbors& b) {
    return a.ip4 == b.ip4 && a.ip6 == b.ip6 && a.fdb == b.fdb && a.fdb_ages == b.fdb_ages;
}

}  // namespace sluice::physical
