// SPDX-License-Identifier: Apache-2.0
#include "control/service_tables.h"

#include <algorithm>
#include <charconv>

#include "control/compile/symbols.h"

namespace sluice {
namespace {

DhcpOptionTable options(const sb::RowTable<sb::DhcpOption>& rows) {
    DhcpOptionTable out;
    for (const auto& [uuid, row] : rows.rows()) {
        out[row->name] = {row->code, parse_dhcp_type(row->type)};
    }
    return out;
}

std::shared_ptr<const DnsZone> zone_of(const sb::Dns& row) {
    auto zone = std::make_shared<DnsZone>();
    zone->records = row.records;
    zone->owned = sb::get_bool(row.options, "ovn-owned", false);
    const std::string& ttl = sb::get(row.options, "ttl");
    std::from_chars(ttl.data(), ttl.data() + ttl.size(), zone->ttl);
    return zone;
}

}  // namespace

bool service_tables_changed(const sb::Mirror& mirror) {
    return !mirror.dhcp_options.changes().empty() || !mirror.dhcp6_options.changes().empty() ||
           !mirror.dns.changes().empty() || !mirror.datapaths.changes().empty() ||
           !mirror.sb_global.changes().empty();
}

std::shared_ptr<const ServiceTables> make_service_tables(const sb::Mirror& mirror) {
    auto out = std::make_shared<ServiceTables>();
    out->dhcp4 = options(mirror.dhcp_options);
    out->dhcp6 = options(mirror.dhcp6_options);
    const sb::SbGlobal* global = mirror.global();
    out->modern = lang::dialect_of(global ? sb::get(global->options, "northd_internal_version")
                                          : "") != lang::Dialect::k2303;
    std::vector<const sb::Dns*> rows;
    for (const auto& [uuid, row] : mirror.dns.rows()) {
        // Rows without the id are not northd's.
        if (row->external_ids.contains("dns_id")) {
            rows.push_back(row.get());
        }
    }
    std::sort(rows.begin(), rows.end(), [](const sb::Dns* a, const sb::Dns* b) {
        return sb::get(a->external_ids, "dns_id") < sb::get(b->external_ids, "dns_id");
    });
    for (const sb::Dns* row : rows) {
        const auto zone = zone_of(*row);
        for (const Uuid& uuid : row->datapaths) {
            if (const sb::DatapathBinding* datapath = mirror.datapaths.find(uuid)) {
                out->dns[datapath->tunnel_key].push_back(zone);
            }
        }
    }
    return out;
}

}  // namespace sluice
