// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/ipfix.h"

#include <algorithm>

#include "control/slowpath/watch/ipfix_template.h"
#include "control/slowpath/wire.h"

namespace sluice::watch {
namespace {

using wire::Writer;

constexpr uint16_t kVersion = 10;
constexpr uint16_t kTemplateSet = 2;
// flowEndReason (RFC 5102, 5.11.3).
constexpr uint8_t kActiveTimeout = 2;
constexpr uint8_t kForcedEnd = 4;
constexpr uint8_t kLackOfResources = 5;

Writer begin_message(uint32_t export_s, uint32_t sequence, uint32_t domain) {
    Writer w;
    w.u16(kVersion).u16(0).u32(export_s).u32(sequence).u32(domain);
    return w;
}

std::vector<uint8_t> end_message(Writer* w) {
    w->patch16(2, static_cast<uint16_t>(w->size()));
    return w->take();
}

void put64(Writer* w, uint64_t v) {
    w->u32(static_cast<uint32_t>(v >> 32)).u32(static_cast<uint32_t>(v));
}

/// Start and end are told as distances back from the export time, so it is the next full second.
uint32_t export_second(int64_t wall_us) {
    return static_cast<uint32_t>((wall_us + 999'999) / 1'000'000);
}

}  // namespace

void Ipfix::configure(const std::vector<CollectorSet>& sets, int64_t now_ms, int64_t wall_us) {
    for (auto it = exporters_.begin(); it != exporters_.end();) {
        const auto same = std::find(sets.begin(), sets.end(), it->second.config);
        if (same != sets.end()) {
            ++it;
            continue;
        }
        expire(it->second, true, now_ms, wall_us);
        it = exporters_.erase(it);
    }
    for (const CollectorSet& set : sets) {
        exporters_.try_emplace(set.id).first->second.config = set;
    }
}

bool Ipfix::sample(const PacketSample& s, const Headers& h, int64_t now_ms, int64_t wall_us) {
    const auto it = exporters_.find(s.collector_set);
    if (it == exporters_.end()) {
        return false;
    }
    Exporter& e = it->second;
    const RecordShape shape = shape_of(h, !e.config.virtual_obs_id.empty());
    std::vector<uint8_t> key = flow_key(shape, h, s.obs_point);
    // Flows of different domains never add up: the domain is part of what tells them apart.
    for (unsigned i = 0; i < 4; ++i) {
        key.push_back(static_cast<uint8_t>(s.obs_domain >> (24 - 8 * i)));
    }
    const auto [place, is_new] = e.flows.try_emplace(std::move(key));
    Flow& flow = place->second;
    if (is_new) {
        flow.obs_domain = s.obs_domain;
        flow.template_id = shape.template_id();
        flow.born_ms = now_ms;
        flow.start_us = wall_us;
        flow.is_ip = shape.l3 != RecordShape::L3::kOther;
    }
    const size_t ip_len = s.frame_len - shape.ethernet_header();
    flow.end_us = wall_us;
    flow.packets += s.packets;
    flow.layer2_octets += uint64_t{s.packets} * s.frame_len;
    flow.octets += uint64_t{s.packets} * ip_len;
    flow.squares += uint64_t{s.packets} * ip_len * ip_len;
    flow.min_len = std::min<uint16_t>(flow.min_len, static_cast<uint16_t>(ip_len));
    flow.max_len = std::max<uint16_t>(flow.max_len, static_cast<uint16_t>(ip_len));
    expire(e, false, now_ms, wall_us);
    return true;
}

void Ipfix::expire(Exporter& e, bool all, int64_t now_ms, int64_t wall_us) {
    const size_t room = std::min<size_t>(e.config.max_flows, kMaxFlows);
    const int64_t age_ms = int64_t{e.config.active_timeout_s} * 1000;
    for (auto it = e.flows.begin(); it != e.flows.end();) {
        const bool is_old = now_ms - it->second.born_ms >= age_ms;
        const bool is_too_many = e.flows.size() > room;
        if (!all && !is_old && !is_too_many) {
            ++it;
            continue;
        }
        const uint8_t reason = all ? kForcedEnd : is_old ? kActiveTimeout : kLackOfResources;
        export_flow(e, it->first, it->second, reason, now_ms, wall_us);
        it = e.flows.erase(it);
    }
}

void Ipfix::export_flow(Exporter& e, const std::vector<uint8_t>& key, const Flow& flow,
                        uint8_t reason, int64_t now_ms, int64_t wall_us) {
    const uint32_t second = export_second(wall_us);
    const auto [place, is_first] = e.domains.try_emplace(flow.obs_domain);
    Exporter::Domain& domain = place->second;
    if (is_first || now_ms - domain.templates_ms >= kTemplateEveryMs) {
        domain.templates_ms = now_ms;
        for (const auto& records : template_records(!e.config.virtual_obs_id.empty())) {
            Writer w = begin_message(second, domain.sequence, flow.obs_domain);
            w.u16(kTemplateSet).u16(static_cast<uint16_t>(4 + records.size())).bytes(records);
            put(e, end_message(&w));
        }
    }
    Writer w = begin_message(second, domain.sequence, flow.obs_domain);
    const size_t set = w.size();
    w.u16(flow.template_id).u16(0);
    w.bytes(wire::Bytes(key).first(key.size() - 4));
    const std::string& name = e.config.virtual_obs_id;
    if (!name.empty()) {
        const size_t n = std::min<size_t>(name.size(), 254);
        w.u8(static_cast<uint8_t>(n));
        w.bytes({reinterpret_cast<const uint8_t*>(name.data()), n});
    }
    const int64_t export_us = int64_t{second} * 1'000'000;
    w.u32(static_cast<uint32_t>(export_us - flow.start_us));
    w.u32(static_cast<uint32_t>(export_us - flow.end_us));
    put64(&w, flow.packets);
    put64(&w, flow.layer2_octets);
    w.u8(reason);
    if (flow.is_ip) {
        put64(&w, flow.octets);
        put64(&w, flow.squares);
        put64(&w, flow.min_len);
        put64(&w, flow.max_len);
    }
    w.patch16(set + 2, static_cast<uint16_t>(w.size() - set));
    put(e, end_message(&w));
    ++domain.sequence;
    ++sent_;
}

void Ipfix::put(Exporter& e, const std::vector<uint8_t>& message) {
    for (const std::string& target : e.config.targets) {
        if (!send_(target, message)) {
            ++lost_;
        }
    }
}

void Ipfix::run(int64_t now_ms, int64_t wall_us) {
    for (auto& [id, e] : exporters_) {
        expire(e, false, now_ms, wall_us);
    }
}

int64_t Ipfix::next_ms() const {
    int64_t next = INT64_MAX;
    for (const auto& [id, e] : exporters_) {
        if (!e.flows.empty()) {
            int64_t oldest = INT64_MAX;
            for (const auto& [key, flow] : e.flows) {
                oldest = std::min(oldest, flow.born_ms);
            }
            next = std::min(next, oldest + int64_t{e.config.active_timeout_s} * 1000);
        }
    }
    return next;
}

}  // namespace sluice::watch
