// SPDX-License-Identifier: Apache-2.0
#include "control/chassis/liveness.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "control/slowpath/watch/igmp.h"
#include "lib/base/log.h"

namespace sluice::chassis {
namespace {

SLUICE_LOG_MODULE(liveness);

// Those of Open vSwitch.
constexpr int64_t kMinTxMs = 100;
constexpr int64_t kMinRxMs = 1000;
constexpr int64_t kMult = 3;
constexpr int64_t kMostMs = 60'000;

int64_t number(const sb::StringMap& options, std::string_view key, int64_t otherwise,
               int64_t most) {
    const std::string& text = sb::get(options, key);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty()) {
        return otherwise;
    }
    if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
        LOG_WARN_RL("{}=\"{}\" is none of 1 to {}; {} is used", key, text, most, otherwise);
        return otherwise;
    }
    return value;
}

/// From the prebuilt outer header, where it is network order.
Ip6 outer_address(const Tunnel& tunnel, bool is_source) {
    const uint8_t* l3 = tunnel.header + tunnel.l3_ofs;
    Ip6 ip;
    if (tunnel.ip6) {
        std::memcpy(ip.bytes.data(), l3 + (is_source ? 8 : 24), 16);
        return ip;
    }
    const uint8_t* p = l3 + (is_source ? 12 : 16);
    return watch::mapped(
        Ip4{uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | p[3]});
}

}  // namespace

std::set<Uuid> bfd_chassis(const sb::Mirror& mirror, const Uuid& self) {
    std::set<Uuid> out;
    for (const auto& [uuid, group] : mirror.ha_groups.rows()) {
        if (group->members.size() < 2) {
            continue;
        }
        std::set<Uuid> members;
        for (const Uuid& row : group->members) {
            const sb::HaChassis* member = mirror.ha_chassis.find(row);
            if (member && !member->chassis.is_zero()) {
                members.insert(member->chassis);
            }
        }
        const auto& refs = group->ref_chassis;
        const bool is_member = members.contains(self);
        if (is_member) {
            out.insert(refs.begin(), refs.end());
        }
        if (is_member || std::find(refs.begin(), refs.end(), self) != refs.end()) {
            out.insert(members.begin(), members.end());
        }
    }
    out.erase(self);
    std::erase_if(out, [&](const Uuid& uuid) {
        const sb::Chassis* row = mirror.chassis.find(uuid);
        return !row || sb::get_bool(row->other_config, "is-remote", false);
    });
    return out;
}

std::vector<watch::TunnelBfdConfig> tunnel_bfd_config(const sb::Mirror& mirror,
                                                      const physical::Tunnels& tunnels,
                                                      const std::string& self) {
    static const sb::StringMap kNone;
    std::vector<watch::TunnelBfdConfig> out;
    const sb::Chassis* us = mirror.chassis_by_name(self);
    const sb::SbGlobal* global = mirror.global();
    const sb::StringMap& options = global ? global->options : kNone;
    if (!us) {
        return out;
    }
    for (const Uuid& uuid : bfd_chassis(mirror, us->uuid)) {
        for (const uint32_t index : tunnels.all_to(uuid)) {
            const Tunnel* tunnel = tunnels.list().at(index).get();
            if (!tunnel) {
                continue;
            }
            watch::TunnelBfdConfig c;
            c.tunnel = index;
            c.name = tunnels.name(index);
            c.chassis = mirror.chassis.find(uuid)->name;
            c.type = tunnel->type;
            c.remote = outer_address(*tunnel, false);
            c.local = outer_address(*tunnel, true);
            c.min_tx_ms = static_cast<uint32_t>(number(options, "bfd-min-tx", kMinTxMs, kMostMs));
            c.min_rx_ms = static_cast<uint32_t>(number(options, "bfd-min-rx", kMinRxMs, kMostMs));
            c.mult = static_cast<uint8_t>(number(options, "bfd-mult", kMult, 255));
            c.life = tunnels.life(index);
            out.push_back(std::move(c));
        }
    }
    if (!out.empty() && !sb::get(options, "bfd-decay-min-rx").empty()) {
        static bool has_told = false;
        if (!std::exchange(has_told, true)) {
            LOG_WARN("bfd-decay-min-rx is not supported: intervals do not depend on traffic");
        }
    }
    std::sort(out.begin(), out.end(),
              [](const auto& a, const auto& b) { return a.tunnel < b.tunnel; });
    return out;
}

std::set<std::string> live_chassis(const std::vector<watch::TunnelBfdStatus>& tunnels) {
    std::set<std::string> out;
    for (const watch::TunnelBfdStatus& t : tunnels) {
        if (t.state == watch::BfdState::kUp) {
            out.insert(t.chassis);
        }
    }
    return out;
}

}  // namespace sluice::chassis
