// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/announce/announcements.h"

#include <algorithm>

#include "control/slowpath/wire.h"

namespace sluice::announce {
namespace {

constexpr int64_t kNever = INT64_MAX;
constexpr uint16_t kEthRarp = 0x8035;
constexpr uint16_t kArpRequest = 1;
constexpr uint16_t kRarpRequest = 3;

template <typename Map, typename Configs>
void forget_others(Map* known, const Configs& wanted) {
    std::erase_if(*known, [&](const auto& entry) {
        return std::none_of(wanted.begin(), wanted.end(),
                            [&](const auto& config) { return config.name == entry.first; });
    });
}

}  // namespace

std::vector<uint8_t> garp_frame(const Mac& mac, Ip4 ip) {
    const bool is_arp = ip.value != 0;
    wire::Writer out;
    out.ethernet(wire::kBroadcast, mac, is_arp ? wire::kEthArp : kEthRarp);
    out.u16(1).u16(wire::kEthIp4).u8(6).u8(4).u16(is_arp ? kArpRequest : kRarpRequest);
    out.mac(mac).u32(ip.value).mac(is_arp ? Mac() : mac).u32(ip.value);
    return out.take();
}

int64_t Announcements::next_advertisement(const RouterConfig& config, int64_t now_ms) {
    const int64_t min_ms = std::max<int64_t>(config.min_interval_s, 0) * 1000;
    const int64_t span_ms = std::max<int64_t>(config.max_interval_s * 1000 - min_ms, 1);
    return now_ms + min_ms + random_() % span_ms;
}

void Announcements::configure(const std::vector<GarpConfig>& garps,
                              const std::vector<RouterConfig>& routers, int64_t longest_s,
                              int64_t now_ms) {
    longest_s_ = longest_s;
    forget_others(&garps_, garps);
    for (const GarpConfig& config : garps) {
        const auto [it, is_new] = garps_.try_emplace(config.name);
        Garp& garp = it->second;
        if (is_new || garp.config.mac != config.mac || garp.config.ip != config.ip) {
            garp.due_ms = now_ms + kFirstMs;
            garp.backoff_s = 1;
        }
        garp.config = config;
    }
    forget_others(&routers_, routers);
    for (const RouterConfig& config : routers) {
        const auto [it, is_new] = routers_.try_emplace(config.name);
        Router& router = it->second;
        if (is_new || router.config.min_interval_s != config.min_interval_s ||
            router.config.max_interval_s != config.max_interval_s) {
            router.due_ms = next_advertisement(config, now_ms);
        }
        router.config = config;
    }
}

std::vector<Outgoing> Announcements::due(int64_t now_ms) {
    std::vector<Outgoing> out;
    for (auto& [name, garp] : garps_) {
        if (now_ms < garp.due_ms) {
            continue;
        }
        const GarpConfig& c = garp.config;
        out.push_back({Outgoing::Kind::kGarp, c.datapath, c.port, garp_frame(c.mac, c.ip)});
        const int64_t most_s = longest_s_ > 0 ? longest_s_ : kLastBackoffS;
        if (garp.backoff_s < most_s) {
            garp.backoff_s = std::min(2 * garp.backoff_s, most_s);
            garp.due_ms = now_ms + garp.backoff_s * 1000;
        } else {
            garp.due_ms = longest_s_ > 0 ? now_ms + longest_s_ * 1000 : kNever;
        }
    }
    for (auto& [name, router] : routers_) {
        if (now_ms >= router.due_ms) {
            const RouterConfig& c = router.config;
            out.push_back({Outgoing::Kind::kAdvertisement, c.datapath, c.port, c.frame});
            router.due_ms = next_advertisement(c, now_ms);
        }
    }
    return out;
}

}  // namespace sluice::announce
