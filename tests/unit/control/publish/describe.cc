// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/publish/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <sstream>

#include "lib/program/shared_wire.h"
#include "lib/program/table.h"

namespace control_lab {
namespace {

using namespace sluice;

struct Describer {
    const Pipeline& pipeline;
    const DescribeOptions& options;
    std::string out;

    template <typename... Args>
    void line(fmt::format_string<Args...> format, Args&&... args) {
        out += fmt::format(format, std::forward<Args>(args)...) + "\n";
    }
    std::string datapath_name(uint32_t index) const {
        const Datapath* datapath = pipeline.datapath(index);
        return datapath ? std::to_string(datapath->key) : "?";
    }
    std::string reach(const LogicalPort& port) const {
        switch (port.reach) {
        case Reach::kUnbound: return "unbound";
        case Reach::kVif: return fmt::format("port {} tci {:#x}", port.port, port.vlan_tci);
        case Reach::kPatch:
            return fmt::format("patch {}:{}", datapath_name(port.peer_datapath), port.peer_key);
        case Reach::kTunnel: return "tunnel " + options.tunnel_name(port.tunnel);
        case Reach::kLocalnet: return fmt::format("localnet {}", port.via_key);
        case Reach::kRedirect:
            return fmt::format("redirect {} {}:{}", port.via_key,
                               port.peer_key ? datapath_name(port.peer_datapath) : "",
                               port.peer_key);
        case Reach::kNoTunnel: return "no tunnel";
        }
        return "?";
    }
    std::string masks(const KeyMasks* all) const {
        std::string text;
        for (const KeyMask& m : all->of) {
            text +=
                fmt::format("{:02x} nd {} ct {};", fmt::join(m.bytes, ""), m.reads_nd, m.reads_ct);
        }
        return text;
    }

    void ports(const Datapath& datapath) {
        std::vector<const LogicalPort*> list;
        datapath.ports.for_each([&](uint32_t, const LogicalPort* port) { list.push_back(port); });
        std::sort(list.begin(), list.end(), [](auto* a, auto* b) { return a->key < b->key; });
        for (const LogicalPort* port : list) {
            std::string security;
            for (const auto& entry :
                 port->security ? port->security->entries : std::vector<PortSecurity::Entry>()) {
                security +=
                    fmt::format(" {:x}/{}/{}", entry.mac, entry.ip4.size(), entry.ip6.size());
            }
            line(" port {} {}{}{}{}{} security{} mirrors in {} out {}", port->key, reach(*port),
                 port->is_localport ? " localport" : "", port->is_localnet ? " localnet" : "",
                 port->is_ramp ? " ramp" : "", port->ct_zone != 0 ? " zone" : "", security,
                 mirrors(port->mirrors_in), mirrors(port->mirrors_out));
            if (port->special) {
                special_port(*port->special);
            }
        }
    }

    void groups(const Datapath& datapath) {
        std::vector<std::string> lines;
        datapath.groups.for_each([&](uint32_t key, const Group* group) {
            std::vector<std::string> tunnels;
            for (const uint32_t tunnel : group->tunnels) {
                tunnels.push_back(options.tunnel_name(tunnel));
            }
            std::sort(tunnels.begin(), tunnels.end());
            std::vector<std::string> ramps;
            for (const uint32_t ramp : group->ramps) {
                ramps.push_back(options.tunnel_name(ramp));
            }
            std::sort(ramps.begin(), ramps.end());
            lines.push_back(fmt::format(" group {} here {} local {} tunnels {} ramps {} remote {}",
                                        key, group->here, group->local, tunnels, ramps,
                                        group->remote_ports));
        });
        std::sort(lines.begin(), lines.end());
        for (const std::string& text : lines) {
            line("{}", text);
        }
    }

    /// Their numbers are history; that nobody shares one is not.
    void zones(const Datapath& datapath) const {
        CHECK(datapath.dnat_zone != 0);
        CHECK((datapath.common_zone == datapath.dnat_zone ||
               datapath.common_zone == datapath.snat_zone));
    }

    void hairpins(const LbHairpins* table) {
        if (!table) {
            return;
        }
        line(" hairpins reg {} mark {}", table->vip4_slot, table->natted_in_mark);
        for (const auto& shard : table->shards) {
            for (const LbHairpin& h : shard->entries) {
                line("  {:x} port {} of {:x} port {} proto {} from {:x}", fmt::join(h.backend, "."),
                     h.backend_port, fmt::join(h.vip, "."), h.vip_port, h.proto,
                     fmt::join(h.snat, "."));
            }
            for (const LbVip& v : shard->vips) {
                line("  vip {:x} port {} proto {} from {:x}", fmt::join(v.vip, "."), v.port,
                     v.proto, fmt::join(v.snat, "."));
            }
        }
    }

    void neighbors(const Neighbors& n) {
        std::vector<std::string> lines;
        for (const auto& [key, mac] : n.ip4) {
            lines.push_back(fmt::format(" ip4 {} {:#x} -> {:x}", key.port_key, key.ip, mac));
        }
        for (const auto& [key, mac] : n.ip6) {
            lines.push_back(
                fmt::format(" ip6 {} {} -> {:x}", key.port_key, to_string(key.ip), mac));
        }
        for (const auto& [mac, port] : n.fdb) {
            lines.push_back(fmt::format(" fdb {:x} -> {}", mac, port));
        }
        std::sort(lines.begin(), lines.end());
        for (const std::string& text : lines) {
            line("{}", text);
        }
    }

    void tables(const Datapath& datapath) {
        for (unsigned side = 0; side < 2; ++side) {
            for (unsigned n = 0; n < limits::kMaxTables; ++n) {
                const Table* table = datapath.tables[side][n];
                if (table) {
                    line(" table {}.{} rows {} hash {:x}\n{}", side, n, table->n_rows,
                         options.with_hashes ? table->content_hash : 0, table->description);
                }
            }
            for (const SlotMask& reads : datapath.reads[side]) {
                line(" reads {} {:x}", side, fmt::join(reads.w, " "));
            }
        }
    }

    void entry(const char* name, const std::vector<const EntryPoint*>& list) {
        for (const EntryPoint* point : list) {
            line("  {} {}:{} flags {:#x} strip {} source {} mask {}", name,
                 datapath_name(point->datapath), point->inport, point->flags, point->strip_vlan,
                 point->source, masks(point->masks));
            if (point->special) {
                line("   special {:x} for {:x} activation {}", point->special->router_mac,
                     fmt::join(point->special->chassis_macs, " "), point->special->activation);
            }
            if (const SharedWire* wire = shared_wire_of(*point)) {
                std::map<uint64_t, std::string> macs;
                wire->macs->for_each([&](uint64_t mac, const EntryPoint* to) {
                    macs[mac] = fmt::format("{}:{}", datapath_name(to->datapath), to->inport);
                });
                line("   shared {}", macs);
            }
        }
    }

    void special_port(const SpecialPort& special) {
        std::vector<std::string> copies;
        for (const uint32_t tunnel : special.copies) {
            copies.push_back(options.tunnel_name(tunnel));
        }
        line("  special copies {} several {} silent {} tunnel {} mac {:x} for {:x}", copies,
             special.is_on_several, special.is_silent,
             special.tunnel == SpecialPort::kNoTunnel ? "-" : options.tunnel_name(special.tunnel),
             special.chassis_mac, fmt::join(special.router_macs, " "));
    }

    void entries() {
        for (size_t port = 0; port < pipeline.entries.size(); ++port) {
            const PortEntry* e = pipeline.entries[port];
            if (!e) {
                continue;
            }
            const Underlay* side = e->underlay;
            line("entry of port {} takes tags {} underlay {}", port, e->untagged_takes_tags,
                 side ? fmt::format("{:x} {} {} {}", side->mac, side->geneve_port, side->vxlan_port,
                                    side->stt_port)
                      : "-");
            entry("untagged", e->untagged);
            for (unsigned tag = 0; tag < 4096; ++tag) {
                if (const auto* list = e->tagged.find(static_cast<uint16_t>(tag))) {
                    entry(fmt::format("tag {}", tag).c_str(), **list);
                }
            }
        }
    }

    void ramps() {
        std::map<uint32_t, const std::vector<RampEntry>*> by_vni;
        pipeline.ramps.for_each([&](uint32_t vni, auto* list) { by_vni[vni] = list; });
        for (const auto& [vni, list] : by_vni) {
            for (const RampEntry& ramp : *list) {
                entry(fmt::format("VTEP {:02x} VNI {}", fmt::join(ramp.remote.bytes, ""), vni)
                          .c_str(),
                      {ramp.entry});
            }
        }
    }

    /// Numbers are history: a mirror is what its sink is.
    std::string mirrors(uint64_t bits) const {
        std::vector<std::string> sinks;
        for (size_t i = 0; i < pipeline.mirrors.size(); ++i) {
            if (const MirrorSink* sink = bits >> i & 1 ? pipeline.mirrors[i] : nullptr) {
                sinks.push_back(
                    fmt::format("{}/{}/{}/{:02x}", int(sink->type), sink->port, sink->is_ready,
                                fmt::join(sink->header, sink->header + sink->header_len, "")));
            }
        }
        std::sort(sinks.begin(), sinks.end());
        return fmt::format("{}", fmt::join(sinks, " "));
    }

    void tunnels() {
        std::vector<std::string> lines;
        for (size_t i = 0; i < pipeline.tunnels.size(); ++i) {
            if (const Tunnel* t = pipeline.tunnels[i]) {
                lines.push_back(
                    fmt::format("tunnel {} type {} state {} port {} csum {} room {} {:02x}",
                                options.tunnel_name(static_cast<uint32_t>(i)), int(t->type),
                                int(t->state), t->port, t->csum, t->room,
                                fmt::join(t->header, t->header + t->header_len, "")));
            }
        }
        pipeline.tunnels_from.for_each([&](uint64_t key, uint32_t tunnel) {
            lines.push_back(fmt::format("from {}: {} is {}", key & 0xffffffff,
                                        options.tunnel_name(static_cast<uint32_t>(key >> 32)),
                                        options.tunnel_name(tunnel)));
        });
        std::sort(lines.begin(), lines.end());
        for (const std::string& text : lines) {
            line("{}", text);
        }
        line("tunnel room {}", pipeline.tunnel_room);
    }
};

}  // namespace

std::string describe(const Pipeline& pipeline, const DescribeOptions& options) {
    Describer d{pipeline, options, {}};
    std::vector<const Datapath*> datapaths;
    for (const Datapath* datapath : pipeline.datapaths) {
        if (datapath) {
            datapaths.push_back(datapath);
        }
    }
    std::sort(datapaths.begin(), datapaths.end(), [](auto* a, auto* b) { return a->key < b->key; });
    for (const Datapath* datapath : datapaths) {
        d.line("datapath {} {} {}", datapath->key, datapath->name,
               datapath->is_switch ? "switch" : "router");
        d.ports(*datapath);
        d.groups(*datapath);
        d.zones(*datapath);
        d.hairpins(datapath->hairpins.get());
        d.neighbors(*datapath->neighbors);
        d.tables(*datapath);
    }
    d.entries();
    d.ramps();
    d.tunnels();
    d.line("tunnel masks {}", d.masks(pipeline.tunnel_masks));
    d.line("lengths {}", pipeline.pkt_lens);
    std::vector<std::string> flows;
    for (const auto& info : *pipeline.flows) {
        if (info) {
            flows.push_back(fmt::format("flow {} {}.{} {} {} | {}", to_string(info->uuid),
                                        info->side, info->table, info->priority, *info->match,
                                        *info->actions));
        }
    }
    std::sort(flows.begin(), flows.end());
    for (const std::string& flow : flows) {
        d.line("{}", flow);
    }
    return d.out;
}

std::string difference(const std::string& a, const std::string& b) {
    std::istringstream left(a);
    std::istringstream right(b);
    std::string x;
    std::string y;
    for (unsigned number = 1;; ++number) {
        const bool has_x = static_cast<bool>(std::getline(left, x));
        const bool has_y = static_cast<bool>(std::getline(right, y));
        if (!has_x && !has_y) {
            return "";
        }
        if (x != y || has_x != has_y) {
            return fmt::format("line {}:\n  {}\n  {}", number, has_x ? x : "(end)",
                               has_y ? y : "(end)");
        }
    }
}

}  // namespace control_lab
