// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/snooping.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace sluice::watch {
namespace {

auto fields(const SnoopConfig& c) {
    return std::tuple(c.datapath, c.enabled, c.table_size, c.idle_timeout_s, c.query_interval_s,
                      c.seq_no, c.querier4, c.querier6, c.querier.eth_src, c.querier.ip4_src,
                      c.querier.ip6_src, c.querier.max_resp_s, c.flood_key, c.mrouter_key,
                      c.flood_l2_key);
}

}  // namespace

bool SnoopConfig::operator==(const SnoopConfig& other) const {
    return fields(*this) == fields(other);
}

bool Snooper::configure(const std::vector<SnoopConfig>& switches, int64_t now_ms) {
    bool changed = false;
    std::set<uint32_t> wanted;
    for (const SnoopConfig& config : switches) {
        if (!config.enabled) {
            continue;
        }
        wanted.insert(config.datapath);
        const auto [it, is_new] = switches_.try_emplace(config.datapath);
        Switch& sw = it->second;
        changed |= is_new;
        if (!is_new && sw.config.seq_no != config.seq_no) {
            sw.groups.clear();
            sw.recency.clear();
            sw.routers.clear();
            changed = true;
        }
        if (!is_new && sw.config.idle_timeout_s != config.idle_timeout_s) {
            const int64_t more_s = int64_t{config.idle_timeout_s} - sw.config.idle_timeout_s;
            for (auto& [group, entry] : sw.groups) {
                for (auto& [port, expires_ms] : entry.expires_ms) {
                    expires_ms += more_s * 1000;
                }
            }
        }
        const bool was_querier = sw.config.querier4 || sw.config.querier6;
        sw.query_ms = std::min(sw.query_ms, now_ms + int64_t{config.query_interval_s} * 1000);
        if (!was_querier) {
            sw.query_ms = now_ms;
        }
        sw.config = config;
        while (sw.groups.size() > config.table_size) {
            forget(sw, sw.groups.find(sw.recency.front()));
            changed = true;
        }
    }
    return std::erase_if(switches_,
                         [&](const auto& entry) { return !wanted.contains(entry.first); }) > 0 ||
           changed;
}

Snooper::Outcome Snooper::take(uint32_t datapath, uint32_t port, std::span<const uint8_t> frame,
                               const Headers& headers, int64_t now_ms) {
    Outcome out;
    const auto it = switches_.find(datapath);
    if (it == switches_.end()) {
        return out;
    }
    Switch& sw = it->second;
    const McastMessage message = read_mcast(frame, headers);
    switch (message.kind) {
    case McastMessage::Kind::kOther: break;
    case McastMessage::Kind::kMalformed: out.malformed = true; break;
    case McastMessage::Kind::kReport:
        for (const McastMessage::Change& change : message.changes) {
            out.changed |= change.leaves ? leave(sw, change.group, port)
                                         : join(sw, change.group, port, message.protocol, now_ms);
        }
        out.forward_key = sw.config.mrouter_key;
        break;
    case McastMessage::Kind::kQuery:
        if (message.from_router) {
            const auto [router, is_new] = sw.routers.try_emplace(port);
            router->second = now_ms + kRouterIdleMs;
            out.changed = is_new;
        }
        out.forward_key = sw.config.flood_l2_key;
        break;
    }
    return out;
}

bool Snooper::join(Switch& sw, const Ip6& group, uint32_t port, const char* protocol,
                   int64_t now_ms) {
    if (sw.routers.contains(port) || sw.config.table_size == 0) {
        return false;  // a router gets everything as it is
    }
    bool changed = false;
    auto it = sw.groups.find(group);
    if (it == sw.groups.end()) {
        if (sw.groups.size() >= sw.config.table_size) {
            forget(sw, sw.groups.find(sw.recency.front()));
        }
        it = sw.groups.try_emplace(group).first;
        it->second.recency = sw.recency.insert(sw.recency.end(), group);
        changed = true;
    } else {
        sw.recency.splice(sw.recency.end(), sw.recency, it->second.recency);
    }
    Group& entry = it->second;
    changed |= entry.protocol != protocol;
    entry.protocol = protocol;
    const auto [member, is_new] = entry.expires_ms.try_emplace(port);
    member->second = now_ms + int64_t{sw.config.idle_timeout_s} * 1000;
    return changed || is_new;
}

bool Snooper::leave(Switch& sw, const Ip6& group, uint32_t port) {
    const auto it = sw.groups.find(group);
    if (it == sw.groups.end() || it->second.expires_ms.erase(port) == 0) {
        return false;
    }
    return true;
}

void Snooper::forget(Switch& sw, std::map<Ip6, Group>::iterator it) {
    sw.recency.erase(it->second.recency);
    sw.groups.erase(it);
}

bool Snooper::expire(Switch& sw, int64_t now_ms) {
    const auto is_old = [now_ms](const auto& entry) { return entry.second <= now_ms; };
    bool changed = std::erase_if(sw.routers, is_old) > 0;
    for (auto it = sw.groups.begin(); it != sw.groups.end();) {
        const auto at = it++;
        if (std::erase_if(at->second.expires_ms, is_old) > 0) {
            changed = true;
            if (at->second.expires_ms.empty()) {
                forget(sw, at);
            }
        }
    }
    // One that all have left keeps its place until no other has been quiet for longer.
    while (!sw.recency.empty()) {
        const auto oldest = sw.groups.find(sw.recency.front());
        if (!oldest->second.expires_ms.empty()) {
            break;
        }
        forget(sw, oldest);
    }
    return changed;
}

void Snooper::query(Switch& sw, int64_t now_ms, std::vector<Query>* queries) {
    const SnoopConfig& c = sw.config;
    if ((!c.querier4 && !c.querier6) || now_ms < sw.query_ms) {
        return;
    }
    if (c.querier4) {
        queries->push_back({c.datapath, c.flood_key, igmp_query(c.querier)});
    }
    if (c.querier6) {
        queries->push_back({c.datapath, c.flood_key, mld_query(c.querier)});
    }
    sw.query_ms = now_ms + int64_t{std::max(c.query_interval_s, 1u)} * 1000;
}

bool Snooper::run(int64_t now_ms, std::vector<Query>* queries) {
    bool changed = false;
    const bool look = now_ms >= look_ms_;
    for (auto& [key, sw] : switches_) {
        changed |= look && expire(sw, now_ms);
        query(sw, now_ms, queries);
    }
    if (look) {
        look_ms_ = now_ms + kLookMs;
    }
    return changed;
}

int64_t Snooper::next_ms() const {
    int64_t next = INT64_MAX;
    for (const auto& [key, sw] : switches_) {
        if (sw.config.querier4 || sw.config.querier6) {
            next = std::min(next, sw.query_ms);
        }
        if (!sw.routers.empty() || !sw.groups.empty()) {
            next = std::min(next, look_ms_);
        }
    }
    return next;
}

std::vector<GroupState> Snooper::groups() const {
    std::vector<GroupState> out;
    const auto add = [&](const std::map<uint32_t, int64_t>& ports, GroupState state) {
        for (const auto& [port, expires_ms] : ports) {
            state.ports.push_back(port);
        }
        out.push_back(std::move(state));
    };
    for (const auto& [key, sw] : switches_) {
        add(sw.routers, {key, true, {}, "", {}});
        for (const auto& [group, entry] : sw.groups) {
            if (entry.expires_ms.empty()) {
                continue;
            }
            add(entry.expires_ms, {key, false, group, entry.protocol, {}});
        }
    }
    return out;
}

}  // namespace sluice::watch
