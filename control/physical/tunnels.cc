// SPDX-License-Identifier: Apache-2.0
#include "control/physical/tunnels.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

namespace sluice::physical {
namespace {

constexpr uint16_t kGenevePort = 6081;
constexpr uint16_t kVxlanPort = 4789;
constexpr uint16_t kSttPort = 7471;
constexpr uint32_t kMaxOuter = 65535;  // an STT frame, cut or not, is one IP packet to its sender
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

void put_ip4(uint8_t* ip, const Tunnel& t, const IpAddress& src, const IpAddress& dst,
             uint8_t proto) {
    ip[0] = 0x45;
    ip[1] = t.tos;
    put16(ip + 6, t.df ? 0x4000 : 0);
    ip[8] = t.ttl;
    ip[9] = proto;
    std::memcpy(ip + 12, src.bytes.data(), 4);
    std::memcpy(ip + 16, dst.bytes.data(), 4);
}

void put_ip6(uint8_t* ip, const Tunnel& t, const IpAddress& src, const IpAddress& dst,
             uint8_t proto) {
    ip[0] = static_cast<uint8_t>(0x60 | t.tos >> 4);
    ip[1] = static_cast<uint8_t>(t.tos << 4);
    ip[6] = proto;
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

/// What stands between the outer IP header and the inner frame. Returns its length.
unsigned put_tunnel(uint8_t* at, const Tunnel& t, uint16_t target_port) {
    put16(at + 2, target_port);
    switch (t.type) {
    case TunnelType::kGeneve: put_geneve(at + 8, t.option); return 8 + 16;
    case TunnelType::kVxlan: at[8] = 0x08; return 8 + 8;
    case TunnelType::kStt: at[12] = 5 << 4; return 20 + 18;
    }
    return 0;
}

uint16_t standard_port(TunnelType type) {
    switch (type) {
    case TunnelType::kVxlan: return kVxlanPort;
    case TunnelType::kStt: return kSttPort;
    default: return kGenevePort;
    }
}

uint32_t room_of(const Tunnel& t) {
    const unsigned overhead = t.header_len - t.l3_ofs;
    const uint32_t outer = t.type == TunnelType::kStt ? kMaxOuter : t.mtu;
    if (outer == 0) {
        return ~0u;
    }
    return outer > overhead ? outer - overhead : 0;
}

/// Best first.
constexpr std::pair<const char*, TunnelType> kTypes[] = {
    {"geneve", TunnelType::kGeneve}, {"stt", TunnelType::kStt}, {"vxlan", TunnelType::kVxlan}};

bool has(const std::vector<std::string>& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

uint16_t port_option(const sb::Encap& encap) {
    const std::string& text = sb::get(encap.options, "dst_port");
    uint16_t port = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    return ec == std::errc() && end == text.data() + text.size() ? port : uint16_t{0};
}

std::vector<const sb::Encap*> encaps_of(const sb::Mirror& mirror, const sb::Chassis& chassis) {
    std::vector<const sb::Encap*> list;
    for (const Uuid& uuid : chassis.encaps) {
        if (const sb::Encap* encap = mirror.encaps.find(uuid)) {
            list.push_back(encap);
        }
    }
    return list;
}

/// The type to use towards a chassis, and the word for it in its encaps; null: none is common.
const std::pair<const char*, TunnelType>* common_type(const std::vector<const sb::Encap*>& theirs,
                                                      const std::vector<std::string>& ours) {
    for (const auto& type : kTypes) {
        const bool is_theirs =
            std::any_of(theirs.begin(), theirs.end(),
                        [&](const sb::Encap* encap) { return encap->type == type.first; });
        if (is_theirs && has(ours, type.first)) {
            return &type;
        }
    }
    return nullptr;
}

/// Where others send to us, by type; 0 for types that we do not speak.
void listen(const sb::Mirror& mirror, const EncapSettings& settings, UnderlayModel* underlay) {
    TunnelPorts ports;
    ports.vxlan = has(settings.types, "vxlan") ? kVxlanPort : uint16_t{0};
    ports.stt = has(settings.types, "stt") || settings.prefers_stt ? kSttPort : uint16_t{0};
    if (const sb::Chassis* self = mirror.chassis_by_name(settings.chassis)) {
        for (const sb::Encap* encap : encaps_of(mirror, *self)) {
            const uint16_t port = port_option(*encap);
            if (port != 0 && encap->type == "geneve") {
                ports.geneve = port;
            } else if (port != 0 && encap->type == "vxlan" && ports.vxlan != 0) {
                ports.vxlan = port;
            } else if (port != 0 && encap->type == "stt" && ports.stt != 0) {
                ports.stt = port;
            }
        }
    }
    underlay->set_tunnel_ports(ports);
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
           a.id == b.id && a.type == b.type && a.hops == b.hops && a.life == b.life;
}

/// The tunnel keeps its life.
std::shared_ptr<const Tunnel> with_life(const Tunnel& tunnel, std::shared_ptr<TunnelLife> life) {
    using Kept = std::pair<Tunnel, std::shared_ptr<TunnelLife>>;
    const auto kept = std::make_shared<const Kept>(tunnel, std::move(life));
    return {kept, &kept->first};
}

}  // namespace

Tunnel build_tunnel(const EncapSettings& settings, const NextHop& hop, const IpAddress& remote,
                    bool csum, uint32_t index, TunnelType type, uint16_t target_port) {
    Tunnel t{};
    t.type = type;
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
    t.hops = hop.ways;
    t.src_port_base = kSourcePortBase;
    t.src_port_range = kSourcePortRange;
    t.l3_ofs = 14;
    t.l4_ofs = static_cast<uint8_t>(14 + (t.ip6 ? 40 : 20));
    put_mac(t.header, hop.dst_mac);
    put_mac(t.header + 6, hop.src_mac);
    put16(t.header + 12, t.ip6 ? 0x86dd : 0x0800);
    const uint8_t proto = type == TunnelType::kStt ? 6 : 17;
    if (t.ip6) {
        put_ip6(t.header + t.l3_ofs, t, hop.src, remote, proto);
    } else {
        put_ip4(t.header + t.l3_ofs, t, hop.src, remote, proto);
    }
    const unsigned len =
        put_tunnel(t.header + t.l4_ofs, t, target_port ? target_port : standard_port(type));
    t.header_len = static_cast<uint8_t>(t.l4_ofs + len);
    t.room = room_of(t);
    return t;
}

std::vector<Tunnels::Wanted> Tunnels::wanted(const sb::Mirror& mirror,
                                             const EncapSettings& settings) const {
    std::vector<Wanted> list;
    for (const auto& [uuid, chassis] : mirror.chassis.rows()) {
        const bool is_far = sb::get_bool(chassis->other_config, "is-remote", false);
        if (chassis->name == settings.chassis || (is_far && !settings.is_interconn) ||
            !shares_zone(settings.zones, chassis->transport_zones)) {
            continue;
        }
        const auto encaps = encaps_of(mirror, *chassis);
        const bool by_option =
            settings.prefers_stt && sb::get_bool(chassis->other_config, "sluice-stt", false);
        const auto* type = by_option ? &kTypes[1] : common_type(encaps, settings.types);
        std::map<IpAddress, Wanted> ways;  // one to each address
        for (const sb::Encap* encap : type ? encaps : std::vector<const sb::Encap*>()) {
            const auto remote = parse_address(encap->ip);
            if (!remote || (!by_option && encap->type != type->first) ||
                std::find(settings.ips.begin(), settings.ips.end(), *remote) !=
                    settings.ips.end()) {
                continue;
            }
            ways.try_emplace(*remote, Wanted{fmt::format("{}@{}", chassis->name, encap->ip),
                                             type->second,
                                             *remote,
                                             sb::get_bool(encap->options, "csum", false),
                                             sb::get_bool(encap->options, "is_default", false),
                                             by_option ? uint16_t{0} : port_option(*encap),
                                             uuid,
                                             {}});
        }
        // A port's encap names an address: of the types there, the best is used.
        for (const sb::Encap* encap : encaps) {
            const auto remote = parse_address(encap->ip);
            const auto way = remote ? ways.find(*remote) : ways.end();
            if (way != ways.end()) {
                way->second.encaps.push_back(encap->uuid);
            }
        }
        for (auto& [remote, way] : ways) {
            list.push_back(std::move(way));
        }
    }
    std::sort(list.begin(), list.end(), [](const Wanted& a, const Wanted& b) {
        return std::tie(b.is_default, a.name) < std::tie(a.is_default, b.name);
    });
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

bool Tunnels::refresh(const Wanted& want, uint32_t index, uint32_t life,
                      const EncapSettings& settings, const std::vector<IpAddress>& own,
                      UnderlayModel* underlay) {
    const NextHop hop = underlay->resolve(want.remote, own);
    Tunnel tunnel =
        build_tunnel(settings, hop, want.remote, want.csum, index, want.type, want.target_port);
    tunnel.life = lives_[life].get();
    if (tunnels_[index] && equal(*tunnels_[index], tunnel)) {
        return false;
    }
    tunnels_[index] = with_life(tunnel, lives_[life]);
    return true;
}

bool Tunnels::drop_others(const std::set<std::string>& kept) {
    return std::erase_if(index_, [&](const auto& entry) {
               if (kept.contains(entry.first)) {
                   return false;
               }
               names_[entry.second].clear();
               tunnels_[entry.second].reset();
               return true;
           }) > 0;
}

bool Tunnels::update(const sb::Mirror& mirror, const EncapSettings& settings,
                     UnderlayModel* underlay, bool* has_index_change) {
    std::map<std::pair<Uuid, Uuid>, uint32_t> by_encap;
    std::map<Uuid, uint32_t> by_chassis;
    std::vector<std::pair<uint64_t, uint32_t>> from;
    underlay->begin_round();
    listen(mirror, settings, underlay);
    sources_ = settings.ips.size() > 1 ? settings.ips : std::vector<IpAddress>();
    const auto list = wanted(mirror, settings);
    const auto name_from = [](const Wanted& want, const IpAddress& source) {
        return want.name + " from " + to_string(source);
    };
    std::set<std::string> kept;
    for (const Wanted& want : list) {
        kept.insert(want.name);
        for (const IpAddress& source : sources_) {
            if (source.ip6 == want.remote.ip6) {
                kept.insert(name_from(want, source));
            }
        }
    }
    bool changed = drop_others(kept);
    const auto own = settings.ip ? std::vector<IpAddress>{*settings.ip} : settings.ips;
    for (const Wanted& want : list) {
        const uint32_t index = take_index(want.name);
        changed |= refresh(want, index, index, settings, own, underlay);
        for (size_t n = 0; n < sources_.size(); ++n) {
            if (sources_[n].ip6 == want.remote.ip6) {
                const uint32_t other = take_index(name_from(want, sources_[n]));
                changed |= refresh(want, other, index, settings, {sources_[n]}, underlay);
                from.emplace_back(uint64_t{index} << 32 | (n + 1), other);
            }
        }
        for (const Uuid& encap : want.encaps) {
            by_encap[{want.chassis, encap}] = index;
        }
        by_chassis.try_emplace(want.chassis, index);
    }
    *has_index_change = by_encap != by_encap_ || by_chassis != by_chassis_ || from != from_;
    by_encap_ = std::move(by_encap);
    by_chassis_ = std::move(by_chassis);
    from_ = std::move(from);
    return changed || *has_index_change;
}

uint16_t Tunnels::source(const std::string& ip) const {
    const auto address = ip.empty() ? std::nullopt : parse_address(ip);
    const auto it =
        address ? std::find(sources_.begin(), sources_.end(), *address) : sources_.end();
    return it == sources_.end() ? uint16_t{0} : static_cast<uint16_t>(it - sources_.begin() + 1);
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
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

const std::string& Tunnels::name(uint32_t index) const {
    static const std::string kNone;
    return index < names_.size() ? names_[index] : kNone;
}

}  // namespace sluice::physical
