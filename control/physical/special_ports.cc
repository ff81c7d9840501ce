// SPDX-License-Identifier: Apache-2.0
#include "control/physical/special_ports.h"

#include <algorithm>

#include "control/physical/local_datapaths.h"

namespace sluice::physical {
namespace {

using sb::PortBinding;
using sb::PortType;

/// Calls f(word) for each word of a list with commas.
template <typename F>
void for_each_word(std::string_view text, F&& f) {
    while (!text.empty()) {
        const size_t comma = std::min(text.find(','), text.size());
        f(text.substr(0, comma));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
}

/// "phys1:aa:bb:cc:dd:ee:ff,phys2:..."; an entry that is none is nobody's.
template <typename F>
void for_each_mapping(const sb::Chassis& chassis, F&& f) {
    for_each_word(sb::get(chassis.other_config, "ovn-chassis-mac-mappings"),
                  [&](std::string_view word) {
                      const size_t colon = std::min(word.find(':'), word.size());
                      if (colon == word.size()) {
                          return;
                      }
                      if (const auto mac = parse_mac(std::string(word.substr(colon + 1)))) {
                          f(word.substr(0, colon), mac->to_u64());
                      }
                  });
}

uint64_t own_mac(const View& view, std::string_view network) {
    uint64_t found = 0;
    if (const sb::Chassis* self = view.self()) {
        for_each_mapping(*self, [&](std::string_view name, uint64_t mac) {
            found = found == 0 && name == network ? mac : found;
        });
    }
    return found;
}

std::vector<uint64_t> macs_of_others(const View& view) {
    std::vector<uint64_t> macs;
    for (const auto& [uuid, chassis] : view.mirror.chassis.rows()) {
        if (chassis->name != view.identity.name) {
            for_each_mapping(*chassis,
                             [&](std::string_view, uint64_t mac) { macs.push_back(mac); });
        }
    }
    std::sort(macs.begin(), macs.end());
    macs.erase(std::unique(macs.begin(), macs.end()), macs.end());
    return macs;
}

/// Router ports whose peers are in this switch, by the keys of the peers.
std::vector<const PortBinding*> routers_of(const View& view, const Uuid& datapath) {
    std::vector<std::pair<uint32_t, const PortBinding*>> found;
    for (const Uuid& uuid : view.mirror.patches_of(datapath)) {
        const PortBinding* port = view.mirror.ports.find(uuid);
        const PortBinding* peer = port ? peer_of(view.mirror, *port) : nullptr;
        if (peer && view.datapath_index.contains(peer->datapath)) {
            found.emplace_back(port->tunnel_key, peer);
        }
    }
    std::sort(found.begin(), found.end());
    std::vector<const PortBinding*> peers;
    peers.reserve(found.size());
    for (const auto& [key, peer] : found) {
        peers.push_back(peer);
    }
    return peers;
}

std::optional<uint64_t> mac_of(const PortBinding& router_port) {
    if (router_port.mac.empty()) {
        return std::nullopt;
    }
    const std::string& text = router_port.mac[0];
    const auto mac = parse_mac(text.substr(0, text.find(' ')));
    return mac ? std::optional(mac->to_u64()) : std::nullopt;
}

void set_chassis_macs(const View& view, const PortBinding& port, SpecialPort* out) {
    const uint64_t own = own_mac(view, port.option("network_name"));
    if (own == 0) {
        return;
    }
    for (const PortBinding* router_port : routers_of(view, port.datapath)) {
        const PortBinding* redirect = view.mirror.port("cr-" + router_port->logical_port);
        if (redirect && view.plan.has(redirect->uuid)) {
            continue;
        }
        if (const auto mac = mac_of(*router_port)) {
            out->router_macs.push_back(*mac);
        }
    }
    out->chassis_mac = out->router_macs.empty() ? 0 : own;
}

/// A gateway elsewhere that is reached by the physical network of the router port's switch.
bool set_bridged(const View& view, const PortBinding& port, LogicalPort* made, SpecialPort* out) {
    const PortBinding* near = view.mirror.port(port.option("distributed-port"));
    const PortBinding* peer = near ? peer_of(view.mirror, *near) : nullptr;
    const auto index = peer ? view.datapath_index.find(peer->datapath) : view.datapath_index.end();
    const PortBinding* localnet =
        index == view.datapath_index.end() ? nullptr : localnet_of(view, peer->datapath);
    const auto mac = near ? mac_of(*near) : std::nullopt;
    if (!localnet || !mac) {
        return false;
    }
    made->reach = Reach::kRedirect;
    made->peer_datapath = index->second;
    made->peer_key = localnet->tunnel_key;
    out->chassis_mac = *mac;
    return true;
}

/// Tunnels to all chassis that have the port, but for us and the first one of a remote port.
std::vector<uint32_t> tunnels_to_all(const View& view, const PortBinding& port) {
    std::vector<Uuid> chassis{port.chassis};
    chassis.insert(chassis.end(), port.additional_chassis.begin(), port.additional_chassis.end());
    const auto encap_of = [&](const Uuid& uuid) {
        const sb::Chassis* row = view.mirror.chassis.find(uuid);
        if (uuid == port.chassis || !row) {
            return port.encap;
        }
        const auto has = [&](const Uuid& encap) {
            return std::find(row->encaps.begin(), row->encaps.end(), encap) != row->encaps.end();
        };
        const auto it =
            std::find_if(port.additional_encap.begin(), port.additional_encap.end(), has);
        return it == port.additional_encap.end() ? Uuid() : *it;
    };
    const sb::Chassis* self = view.self();
    std::vector<uint32_t> tunnels;
    for (const Uuid& uuid : chassis) {
        if (uuid.is_zero() || (self && self->uuid == uuid)) {
            continue;
        }
        const auto tunnel = view.tunnels.find(uuid, encap_of(uuid));
        if (tunnel && std::find(tunnels.begin(), tunnels.end(), *tunnel) == tunnels.end()) {
            tunnels.push_back(*tunnel);
        }
    }
    return tunnels;
}

uint8_t activation_of(const PortBinding& port) {
    constexpr std::pair<std::string_view, Activation> kWords[] = {
        {"rarp", kActivateByRarp}, {"garp", kActivateByGarp}, {"na", kActivateByNa}};
    uint8_t bits = 0;
    for_each_word(port.option("activation-strategy"), [&](std::string_view word) {
        for (const auto& [name, bit] : kWords) {
            bits |= word == name ? static_cast<uint8_t>(bit) : uint8_t{0};
        }
    });
    return bits;
}

/// How a port that is an additional one here may be activated; 0: it is active.
uint8_t awaited(const View& view, const PortBinding& port) {
    const auto claim = view.plan.claims.find(port.uuid);
    if (claim == view.plan.claims.end() || !claim->second.additional) {
        return 0;
    }
    bool is_activated = false;
    for_each_word(port.option("additional-chassis-activated"),
                  [&](std::string_view word) { is_activated |= word == view.identity.name; });
    return is_activated ? uint8_t{0} : activation_of(port);
}

/// Whether a port of this datapath that is here has other chassis, too.
bool has_spread_port(const View& view, const Uuid& datapath) {
    const auto& uuids = view.mirror.ports_of(datapath);
    return std::any_of(uuids.begin(), uuids.end(), [&](const Uuid& uuid) {
        const PortBinding* port = view.mirror.ports.find(uuid);
        return !port->additional_chassis.empty() && view.plan.has(uuid);
    });
}

}  // namespace

std::optional<SpecialPort> special_port(const View& view, const PortBinding& port,
                                        LogicalPort* port_made) {
    SpecialPort out;
    const LogicalPort& made = *port_made;
    if (port.type == PortType::kChassisRedirect && !view.plan.has(port.uuid) &&
        port.option("redirect-type") == "bridged") {
        set_bridged(view, port, port_made, &out);
    } else if (made.reach == Reach::kVif && port.type == PortType::kLocalnet) {
        set_chassis_macs(view, port, &out);
    } else if (made.reach == Reach::kVif && port.type == PortType::kVif) {
        out.is_on_several = !port.additional_chassis.empty();
        out.copies = out.is_on_several ? tunnels_to_all(view, port) : std::vector<uint32_t>();
        out.is_silent = awaited(view, port) != 0;
    } else if (made.reach == Reach::kTunnel && !port.additional_chassis.empty()) {
        out.copies = tunnels_to_all(view, port);
        std::erase(out.copies, made.tunnel);
    } else if (made.reach == Reach::kLocalnet && !port.chassis.is_zero() &&
               has_spread_port(view, port.datapath)) {
        out.tunnel = view.tunnels.find(port.chassis, port.encap).value_or(SpecialPort::kNoTunnel);
    }
    return out == SpecialPort() ? std::nullopt : std::optional(std::move(out));
}

std::optional<SpecialEntry> special_entry(const View& view, const PortBinding& port) {
    SpecialEntry out;
    if (port.type == PortType::kLocalnet) {
        out.chassis_macs = macs_of_others(view);
        for (const PortBinding* router_port : routers_of(view, port.datapath)) {
            if (const auto mac = mac_of(*router_port); mac && out.router_mac == 0) {
                out.router_mac = *mac;
            }
        }
        if (out.router_mac == 0 || out.chassis_macs.empty()) {
            return std::nullopt;
        }
    } else if (port.type == PortType::kVif) {
        out.activation = awaited(view, port);
    }
    return out == SpecialEntry() ? std::nullopt : std::optional(std::move(out));
}

bool replaces_sources(const PortsPart& ports) {
    return std::any_of(ports.special.begin(), ports.special.end(),
                       [](const SpecialPort& special) { return special.chassis_mac != 0; });
}

}  // namespace sluice::physical
