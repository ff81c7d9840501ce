// SPDX-License-Identifier: Apache-2.0
#include "control/vswitch/local_mirrors.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace sluice::vswitch {
namespace {

using LocalMirror = chassis::Attachments::LocalMirror;

/// Of `ports` those that are VIFs, by their iface-id; the others are errors.
void select(const std::vector<std::string>& ports, const std::map<std::string, std::string>& vifs,
            std::set<std::string>* selected, LocalMirror* mirror) {
    for (const std::string& port : ports) {
        const auto vif = vifs.find(port);
        if (vif == vifs.end()) {
            mirror->errors.push_back(
                fmt::format("{} is no VIF (an interface of the integration bridge with an "
                            "iface-id): not copied",
                            port));
        } else {
            selected->insert(vif->second);
        }
    }
}

LocalMirror resolve(const Mirror& row, const std::map<std::string, std::string>& vifs,
                    const std::function<PortId(const std::string&)>& id_of) {
    LocalMirror out;
    out.row = row.uuid;
    out.name = row.name;
    out.all = row.select_all;
    out.output_name = row.output_port;
    const auto refuse = [&out](std::string why) {
        out.errors.push_back(std::move(why));
        out.is_refused = true;
    };
    if (row.has_output_vlan) {
        refuse("output_vlan is not supported: name an output_port");
    } else if (row.output_port.empty()) {
        refuse("no output_port");
    }
    if (row.has_vlans) {
        refuse("select_vlan is not supported: select ports");
    }
    if (row.snaplen) {
        refuse("snaplen is not supported: copies are whole (sluicectl capture -s cuts)");
    }
    if (!row.select_all && row.sources.empty() && row.destinations.empty()) {
        refuse("nothing is selected: select_src_port, select_dst_port or select_all");
    }
    if (out.is_refused) {
        return out;
    }
    out.output = id_of(row.output_port);
    select(row.sources, vifs, &out.from, &out);
    select(row.destinations, vifs, &out.to, &out);
    return out;
}

}  // namespace

std::vector<LocalMirror> local_mirrors(const Contents& contents, const Settings& settings,
                                       const std::vector<WantedPort>& wanted,
                                       const std::function<PortId(const std::string&)>& id_of) {
    std::map<std::string, std::string> vifs;  // interface to iface-id
    for (const WantedPort& port : wanted) {
        if (port.is_integration && !port.iface_id.empty()) {
            vifs[port.spec.name] = port.iface_id;
        }
    }
    std::vector<LocalMirror> list;
    for (const Bridge& bridge : contents.bridges) {
        for (const Mirror& row : bridge.mirrors) {
            if (bridge.name == settings.bridge) {
                list.push_back(resolve(row, vifs, id_of));
                continue;
            }
            LocalMirror refused;
            refused.row = row.uuid;
            refused.name = row.name;
            refused.is_refused = true;
            refused.errors = {fmt::format("of bridge {}: only ports of {} can be mirrored",
                                          bridge.name, settings.bridge)};
            list.push_back(std::move(refused));
        }
    }
    std::sort(list.begin(), list.end(), [](const LocalMirror& a, const LocalMirror& b) {
        return std::tie(a.name, a.row) < std::tie(b.name, b.row);
    });
    return list;
}

}  // namespace sluice::vswitch
