// SPDX-License-Identifier: Apache-2.0
#include "control/physical/tunnels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

namespace sluice::physical {
namespace {

constexpr uint16_t kGenevePort = 6081;
constexpr uint16_t kSourcePortBase = 32768;  // the reference's range, [32768, 61000)
constexpr uint16_t kSourcePortRange = 61000 - 32768;
constexpr uint8_t kDefaultTtl = 64;

void put16(uint8_t* at, uint16_t value) {
    at[0] = static_cast<uint8_t>(value >> 8);
    at[1] = static_cast<uint8_t>(value);
}

void put_mac(uint8_t* at, uint64_t mac) {
    const Mac value = Mac::from_u64(mac);
    std::memcpy(at, value.bytes.data(), 6);
}

void put_ip4(uint8_t* ip, const Tunnel& t, const IpAddress& src, const IpAddress& dst) {
    ip[0] = 0x45;
    ip[1] = t.tos;
    put16(ip + 6, t.df ? 0x4000 : 0);
    ip[8] = t.ttl;
    ip[9] = 17;
    std::memcpy(ip + 12, src.bytes.data(), 4);
    std::memcpy(ip + 16, dst.bytes.data(), 4);
}

void put_ip6(uint8_t* ip, const Tunnel& t, const IpAddress& src, const IpAddress& dst) {
    ip[0] = static_cast<uint8_t>(0x60 | t.tos >> 4);
    ip[1] = static_cast<uint8_t>(t.tos << 4);
    ip[6] = 17;
    ip[7] = t.ttl;
    std::memcpy(ip + 8, src.bytes.data(), 16);
    std::memcpy(ip + 24, dst.bytes.data(), 16);
}

/// Geneve base header and the option that carries the ports; keys are left zero.
void put_geneve(uint8_t* at, GeneveOption option) {
    const bool is_critical = option == GeneveOption::kOvn;
    at[0] = 2;                       // option length in words
    at[1] = is_critical ? 0x40 : 0;  // C
    put16(at + 2, 0x6558);
    put16(at + 8, is_critical ? 0x0102 : 0xffff);
    at[10] = is_critical ? 0x80 : 0;
    at[11] = 1;
}

bool shares_zone(const std::vector<std::string>& ours, const std::vector<std::string>& theirs) {
    if (ours.empty() && theirs.empty()) {
        return true;
    }
    return std::any_of(ours.begin(), ours.end(), [&](const std::string& zone) {
        return std::find(theirs.begin(), theirs.end(), zone) != theirs.end();
    });
}

bool equal(const Tunnel& a, const Tunnel& b) {
    return std::memcmp(a.header, b.header, sizeof a.header) == 0 && a.header_len == b.header_len &&
           a.ip6 == b.ip6 && a.csum == b.csum && a.tos_inherit == b.tos_inherit &&
           a.ttl_inherit == b.ttl_inherit && a.tos == b.tos && a.ttl == b.ttl && a.df == b.df &&
           a.state == b.state && a.option == b.option && a.port == b.port && a.mtu == b.mtu &&
           a.id == b.id && a.type == b.type &&
           a.life == b.life;
}

/// The tunnel keeps its life.
std::shared_ptr<const Tunnel> with_life(const Tunnel& tunnel, std::shared_ptr<TunnelLife> life) {
    using Kept = std::pair<Tunnel, std::shared_ptr<TunnelLife>>;
    const auto kept = std::make_shared<const Kept>(tunnel, std::move(life));
    return {kept, &kept->first};
}

}  // namespace

Tunnel build_tunnel(const EncapSettings& settings, const NextHop& hop, const IpAddress& remote,
                    bool csum, uint32_t index) {
    Tunnel t{};
    t.type = TunnelType::kGeneve;
    t.ip6 = remote.ip6;
    t.csum = csum;
    t.tos_inherit = settings.tos_inherit;
    t.tos = static_cast<uint8_t>(settings.tos.value_or(0) & 0xfc);
    t.ttl = kDefaultTtl;
    t.df = settings.df;
    t.state = hop.state;
    t.option = settings.legacy_option ? GeneveOption::kLegacy : GeneveOption::kOvn;
    t.port = hop.port;
    t.mtu = hop.mtu;
    t.id = index;
    t.src_port_base = kSourcePortBase;
    t.src_port_range = kSourcePortRange;
    t.l3_ofs = 14;
    t.l4_ofs = static_cast<uint8_t>(14 + (t.ip6 ? 40 : 20));
    t.header_len = static_cast<uint8_t>(t.l4_ofs + 8 + 16);
    put_mac(t.header, hop.dst_mac);
    put_mac(t.header + 6, hop.src_mac);
    put16(t.header + 12, t.ip6 ? 0x86dd : 0x0800);
    if (t.ip6) {
        put_ip6(t.header + t.l3_ofs, t, hop.src, remote);
    } else {
        put_ip4(t.header + t.l3_ofs, t, hop.src, remote);
    }
    put16(t.header + t.l4_ofs + 2, kGenevePort);
    put_geneve(t.header + t.l4_ofs + 8, t.option);
    return t;
}

std::vector<Tunnels::Wanted> Tunnels::wanted(const sb::Mirror& mirror,
                                             const EncapSettings& settings) const {
    std::vector<Wanted> list;
    if (std::find(settings.types.begin(), settings.types.end(), "geneve") == settings.types.end()) {
        return list;
    }
    for (const auto& [uuid, chassis] : mirror.chassis.rows()) {
        if (chassis->name == settings.chassis ||
            !shares_zone(settings.zones, chassis->transport_zones)) {
            continue;
        }
        for (const Uuid& encap_uuid : chassis->encaps) {
            const sb::Encap* encap = mirror.encaps.find(encap_uuid);
            const auto remote = encap ? parse_address(encap->ip) : std::nullopt;
            if (!remote || encap->type != "geneve" ||
                std::find(settings.ips.begin(), settings.ips.end(), *remote) !=
                    settings.ips.end()) {
                continue;
            }
            list.push_back({fmt::format("{}@{}", chassis->name, encap->ip), *remote,
                            sb::get_bool(encap->options, "csum", false), uuid, encap_uuid});
        }
    }
    std::sort(list.begin(), list.end(),
              [](const Wanted& a, const Wanted& b) { return a.name < b.name; });
    return list;
}

uint32_t Tunnels::take_index(const std::string& name) {
    const auto it = index_.find(name);
    if (it != index_.end()) {
        return it->second;
    }
    const auto hole = std::find(names_.begin(), names_.end(), "");
    const auto index = static_cast<uint32_t>(hole - names_.begin());
    if (hole == names_.end()) {
        names_.push_back(name);
        tunnels_.push_back(nullptr);
        lives_.push_back(nullptr);
    } else {
        *hole = name;
    }
    lives_[index] = std::make_shared<TunnelLife>();
    index_[name] = index;
    return index;
}

bool Tunnels::update(const sb::Mirror& mirror, const EncapSettings& settings,
                     UnderlayModel* underlay, bool* has_index_change) {
    bool changed = false;
    std::set<std::string> kept;
    std::map<std::pair<Uuid, Uuid>, uint32_t> by_encap;
    std::map<Uuid, uint32_t> by_chassis;
    underlay->begin_round();
    const auto list = wanted(mirror, settings);
    for (const Wanted& want : list) {
        kept.insert(want.name);
    }
    for (auto it = index_.begin(); it != index_.end();) {
        if (kept.contains(it->first)) {
            ++it;
            continue;
        }
        names_[it->second].clear();
        tunnels_[it->second].reset();
        it = index_.erase(it);
        changed = true;
    }
    for (const Wanted& want : list) {
        const uint32_t index = take_index(want.name);
        const NextHop hop = underlay->resolve(want.remote, settings.ips);
        Tunnel tunnel = build_tunnel(settings, hop, want.remote, want.csum, index);
        tunnel.life = lives_[index].get();
        if (!tunnels_[index] || !equal(*tunnels_[index], tunnel)) {
            tunnels_[index] = with_life(tunnel, lives_[index]);
            changed = true;
        }
        by_encap[{want.chassis, want.encap}] = index;
        by_chassis.try_emplace(want.chassis, index);
    }
    *has_index_change = by_encap != by_encap_;
    by_encap_ = std::move(by_encap);
    by_chassis_ = std::move(by_chassis);
    return changed || *has_index_change;
}

std::optional<uint32_t> Tunnels::find(const Uuid& chassis, const Uuid& encap) const {
    if (!encap.is_zero()) {
        if (const auto it = by_encap_.find({chassis, encap}); it != by_encap_.end()) {
            return it->second;
        }
    }
    const auto it = by_chassis_.find(chassis);
    return it == by_chassis_.end() ? std::nullopt : std::optional(it->second);
}

std::vector<uint32_t> Tunnels::all_to(const Uuid& chassis) const {
    std::vector<uint32_t> out;
    for (auto it = by_encap_.lower_bound({chassis, Uuid{}});
         it != by_encap_.end() && it->first.first == chassis; ++it) {
        out.push_back(it->second);
    }
    std::sort(out.begin(), out.end());
    return out;
}

const std::string& Tunnels::name(uint32_t index) const {
    static const std::string kNone;
    return index < names_.size() ? names_[index] : kNone;
}

}  // namespace sluice::physical
