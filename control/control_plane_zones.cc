// SPDX-License-Identifier: Apache-2.0
// Conntrack zones in a round of the control plane: remembered, emptied before reuse, limited.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>

#include "control/control_plane_impl.h"
#include "lib/base/log.h"
#include "lib/json/json.h"
#include "lib/json/writer.h"

namespace sluice {
namespace {

SLUICE_LOG_MODULE(ct_zones);

sb::StringMap read_zones(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    sb::StringMap zones;
    if (!file || text.str().empty()) {
        return zones;  // the first start
    }
    const auto document = json::Document::parse(text.str());
    if (!document || !document->root().is_object()) {
        LOG_WARN("{}: not a file of zones; ignored", path);
        return zones;
    }
    for (const auto& member : document->root().object()) {
        zones[std::string(member.name)] = member.value.str();
    }
    return zones;
}

/// All or nothing: the file before stays until the new one is whole.
bool write_zones(const std::string& path, const sb::StringMap& zones) {
    json::Writer writer;
    writer.begin_object();
    for (const auto& [key, value] : zones) {
        writer.member(key).value(value);
    }
    writer.end_object();
    const std::string draft = path + ".new";
    std::ofstream file(draft, std::ios::trunc);
    file << writer.text() << '\n';
    file.close();
    return file && std::rename(draft.c_str(), path.c_str()) == 0;
}

}  // namespace

void ControlPlane::Impl::restore_zones() {
    if (are_zones_restored) {
        return;
    }
    are_zones_restored = true;
    if (ovs) {
        if (const vswitch::Bridge* bridge = contents()->bridge(settings.bridge)) {
            builder.zones().restore(bridge->external_ids);
        }
    } else if (!options.zones_file.empty()) {
        kept_zones = read_zones(options.zones_file);
        builder.zones().restore(kept_zones);
    }
}

void ControlPlane::Impl::empty_assigned_zones() {
    for (const uint16_t zone : builder.zones().take_assigned()) {
        if (hooks.conntrack) {
            CtFilter filter;
            filter.zone = zone;
            hooks.conntrack->flush(filter);
        }
    }
    if (const size_t waiting = builder.zones().waiting(); waiting > 0) {
        LOG_WARN_RL("{} ports or datapaths have no conntrack zone: the range is used up", waiting);
    }
    if (!hooks.conntrack) {
        return;
    }
    // 0 asks for no limit, where the table takes it for the default one.
    const auto limit_of = [](uint32_t limit) {
        return limit == 0 ? std::numeric_limits<uint32_t>::max() : limit;
    };
    const std::map<uint16_t, uint32_t>& limits = builder.zones().limits();
    for (const auto& [zone, limit] : zone_limits) {
        if (!limits.contains(zone)) {
            hooks.conntrack->set_zone_limit(zone, 0);
        }
    }
    for (const auto& [zone, limit] : limits) {
        const auto known = zone_limits.find(zone);
        if (known == zone_limits.end() || known->second != limit) {
            hooks.conntrack->set_zone_limit(zone, limit_of(limit));
        }
    }
    zone_limits = limits;
}

/// To be called after the pipeline that no longer uses them was published.
void ControlPlane::Impl::drain_released() {
    auto zones = builder.zones().take_released();
    auto backends = builder.take_stale_backends();
    if (zones.empty() && backends.empty()) {
        return;
    }
    auto drain = [this, zones = std::move(zones), backends = std::move(backends),
                  still = std::weak_ptr<bool>(alive)] {
        if (still.expired()) {
            return;
        }
        for (const uint16_t zone : zones) {
            if (hooks.conntrack && builder.zones().user_of(zone).empty()) {
                CtFilter filter;
                filter.zone = zone;
                hooks.conntrack->flush(filter);
            }
        }
        for (const CtFilter& filter : backends) {
            if (const size_t count = hooks.conntrack ? hooks.conntrack->flush(filter) : 0) {
                LOG_INFO("flushed {} connections to a removed backend", count);
            }
        }
        builder.zones().give_back(zones);
        if (builder.zones().waiting() > 0) {
            schedule();
        }
    };
    if (hooks.after_grace) {
        hooks.after_grace(std::move(drain));
    } else {
        drain();
    }
}

void ControlPlane::Impl::keep_zones() {
    if (!are_zones_restored) {
        return;
    }
    const sb::StringMap now = builder.zones().external_ids();
    if (ovs) {
        ovs->keep_zones(settings.bridge, now);
    } else if (!options.zones_file.empty() && now != kept_zones) {
        kept_zones = now;
        if (!write_zones(options.zones_file, now)) {
            LOG_WARN_RL("{}: cannot be written; zones will be others after a restart",
                        options.zones_file);
        }
    }
}

std::vector<ZoneStatus> ControlPlane::zones() const {
    std::vector<ZoneStatus> list;
    const chassis::CtZones& zones = impl_->builder.zones();
    for (const auto& [user, zone] : zones.zones()) {
        const auto limit = zones.limits().find(zone);
        list.push_back(
            {user, zone,
             limit == zones.limits().end() ? std::nullopt : std::optional(limit->second)});
    }
    return list;
}

}  // namespace sluice
