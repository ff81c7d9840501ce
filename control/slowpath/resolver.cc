// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/resolver.h"

#include <algorithm>

#include "control/slowpath/host.h"
#include "lib/program/steering.h"

namespace sluice {
namespace {

Ip6 widen(const Ip4& ip) {
    Ip6 out;
    for (unsigned i = 0; i < 4; ++i) {
        out.bytes[i] = static_cast<uint8_t>(ip.value >> (24 - 8 * i));
    }
    return out;
}

Ip4 narrow(const Ip6& ip) {
    return Ip4{uint32_t{ip.bytes[0]} << 24 | uint32_t{ip.bytes[1]} << 16 |
               uint32_t{ip.bytes[2]} << 8 | ip.bytes[3]};
}

int64_t pause_after(unsigned tries) {
    int64_t pause_ms = Resolver::kFirstMs;
    for (unsigned i = Resolver::kFastTries; i < tries && pause_ms < Resolver::kSlowestMs; ++i) {
        pause_ms *= 2;
    }
    return std::min(pause_ms, Resolver::kSlowestMs);
}

}  // namespace

Resolver::Key Resolver::key_of(PortId port, const Ip4& ip) {
    return {port, false, widen(ip)};
}

Resolver::Key Resolver::key_of(const ResolveRequest& request) {
    return request.ip6 ? Key{request.port, true, request.target6}
                       : key_of(request.port, request.target4);
}

void Resolver::set(const std::vector<ResolveRequest>& wanted, int64_t now_ms) {
    std::map<Key, Entry> next;
    for (const ResolveRequest& request : wanted) {
        if (next.size() >= kMax) {
            break;
        }
        const Key key = key_of(request);
        const auto old = entries_.find(key);
        Entry entry = old == entries_.end() ? Entry{request, 0, now_ms} : old->second;
        entry.request = request;
        next.emplace(key, entry);
    }
    entries_ = std::move(next);
    next_ms_ = entries_.empty() ? INT64_MAX : now_ms;
}

void Resolver::answered(PortId port, const Ip4& ip, int64_t now_ms) {
    if (const auto at = entries_.find(key_of(port, ip)); at != entries_.end()) {
        at->second.due_ms = now_ms + kAnsweredMs;
        at->second.tries = 0;
    }
}

void Resolver::answered(PortId port, const Ip6& ip, int64_t now_ms) {
    if (const auto at = entries_.find(Key{port, true, ip}); at != entries_.end()) {
        at->second.due_ms = now_ms + kAnsweredMs;
        at->second.tries = 0;
    }
}

bool Resolver::wants(PortId port, const Ip4& ip) const {
    return entries_.count(key_of(port, ip));
}

bool Resolver::wants(PortId port, const Ip6& ip) const {
    return entries_.count(Key{port, true, ip});
}

std::vector<ResolveRequest> Resolver::due(int64_t now_ms) {
    std::vector<ResolveRequest> out;
    if (now_ms < next_ms_) {
        return out;
    }
    next_ms_ = INT64_MAX;
    for (auto& [key, entry] : entries_) {
        if (entry.due_ms <= now_ms) {
            out.push_back(entry.request);
            entry.due_ms = now_ms + pause_after(++entry.tries);
        }
        next_ms_ = std::min(next_ms_, entry.due_ms);
    }
    return out;
}

void Announcer::look(const Pipeline& pipeline, int64_t now_ms) {
    if (pipeline.sequence == sequence_) {
        return;
    }
    sequence_ = pipeline.sequence;
    std::map<Key, Entry> next;
    const auto keep = [&](const Key& key) {
        const auto old = entries_.find(key);
        next.emplace(key, old == entries_.end() ? Entry{kTimes, now_ms} : old->second);
    };
    for (size_t port = 0; port < pipeline.entries.size(); ++port) {
        const PortEntry* entry = pipeline.entries[port];
        if (!entry || !entry->underlay || entry->underlay->exception == kKernelIsHost) {
            continue;
        }
        const Underlay& underlay = *entry->underlay;
        for (const Underlay::Address4& address : underlay.ip4) {
            keep({static_cast<PortId>(port), underlay.mac, false, widen(Ip4{address.ip})});
        }
        for (const Underlay::Address6& address : underlay.ip6) {
            keep({static_cast<PortId>(port), underlay.mac, true, address.ip});
        }
    }
    entries_ = std::move(next);
    next_ms_ = entries_.empty() ? INT64_MAX : now_ms;
}

std::vector<Announcer::Frame> Announcer::due(int64_t now_ms) {
    std::vector<Frame> out;
    if (now_ms < next_ms_) {
        return out;
    }
    next_ms_ = INT64_MAX;
    for (auto& [key, entry] : entries_) {
        if (entry.left == 0) {
            continue;
        }
        if (entry.due_ms <= now_ms) {
            const auto& [port, mac, ip6, ip] = key;
            out.push_back({port, ip6 ? nd_announcement(Mac::from_u64(mac), ip)
                                     : arp_announcement(Mac::from_u64(mac), narrow(ip))});
            --entry.left;
            entry.due_ms = now_ms + kPauseMs;
        }
        if (entry.left > 0) {
            next_ms_ = std::min(next_ms_, entry.due_ms);
        }
    }
    return out;
}

}  // namespace sluice
