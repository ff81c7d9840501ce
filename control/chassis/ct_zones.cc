// SPDX-License-Identifier: Apache-2.0
#include "control/chassis/ct_zones.h"

#include <algorithm>
#include <charconv>

namespace sluice::chassis {
namespace {

using sb::PortBinding;
using sb::PortType;

constexpr std::string_view kPrefix = "ct-zone-";

template <typename T>
std::optional<T> number_of(const std::string& text) {
    T value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    return ec == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                 : std::nullopt;
}

}  // namespace

ZoneUsers zone_users(const sb::Mirror& mirror, const Attachments& attachments,
                     const BindingPlan& plan, const std::set<Uuid>& local) {
    ZoneUsers users;
    for (const Uuid& datapath : local) {
        const sb::DatapathBinding* row = mirror.datapaths.find(datapath);
        ZoneUsers::Datapath& own = users.datapaths[datapath];
        own.name = row->name();
        own.snat = number_of<uint16_t>(sb::get(row->external_ids, "snat-ct-zone"));
        own.limit = number_of<uint32_t>(sb::get(row->external_ids, "ct-zone-limit"));
    }
    const auto add = [&](const PortBinding* port) {
        const auto datapath = port ? users.datapaths.find(port->datapath) : users.datapaths.end();
        if (datapath != users.datapaths.end()) {
            auto limit = number_of<uint32_t>(port->option("ct-zone-limit"));
            users.ports[port->logical_port] = {port->datapath,
                                               limit ? limit : datapath->second.limit};
        }
    };
    // Most ports are those of other chassis.
    for (const auto& [uuid, claim] : plan.claims) {
        const PortBinding* port = mirror.ports.find(uuid);
        add(port && port->type != PortType::kLocalport ? port : nullptr);
    }
    for (const Uuid& uuid : mirror.ports_of_type(PortType::kLocalnet)) {
        add(mirror.ports.find(uuid));
    }
    for (const Uuid& uuid : mirror.ports_of_type(PortType::kLocalport)) {
        const PortBinding* port = mirror.ports.find(uuid);
        add(attachments.vif(port->logical_port) ? port : nullptr);
    }
    return users;
}

void CtZones::restore(const sb::StringMap& external_ids) {
    for (const auto& [key, value] : external_ids) {
        const auto zone = number_of<uint16_t>(value);
        if (key.starts_with(kPrefix) && key.size() > kPrefix.size() && zone) {
            put(key.substr(kPrefix.size()), *zone);
        }
    }
}

std::set<Uuid> CtZones::update(const ZoneUsers& users, const ZoneRange& range, bool may_release) {
    const auto before = zones_;
    const auto pairs_before = datapath_users_;
    const Wants wants = wants_of(users);
    release_strangers(wants, range, may_release);
    give_requested(wants);
    part_shared(wants);
    give_free(wants, range);
    limits_.clear();
    std::set<Uuid> changed;
    for (const auto& [user, want] : wants) {
        const auto now = zones_.find(user);
        const auto then = before.find(user);
        if ((now == zones_.end() ? 0 : now->second) != (then == before.end() ? 0 : then->second)) {
            changed.insert(want.datapath);
        }
        if (now != zones_.end() && want.limit) {
            limits_[now->second] = *want.limit;
        }
    }
    for (const auto& [datapath, names] : datapath_users_) {
        const auto then = pairs_before.find(datapath);
        if (then == pairs_before.end() || then->second != names) {
            changed.insert(datapath);
        }
    }
    return changed;
}

/// Everybody under the name that is or will be in the database.
CtZones::Wants CtZones::wants_of(const ZoneUsers& users) {
    Wants wants;
    for (const auto& [name, port] : users.ports) {
        wants[name] = {port.datapath, std::nullopt, port.limit};
    }
    datapath_users_.clear();
    const auto name_for = [&](const Uuid& uuid, const std::string& name, const char* suffix) {
        const std::string by_uuid = to_string(uuid) + suffix;
        const std::string by_name = name + suffix;
        const bool is_by_name = !zones_.contains(by_uuid) && !name.empty() &&
                                zones_.contains(by_name) && !wants.contains(by_name);
        return is_by_name ? by_name : by_uuid;
    };
    for (const auto& [uuid, datapath] : users.datapaths) {
        auto& [dnat, snat] = datapath_users_[uuid];
        dnat = name_for(uuid, datapath.name, "_dnat");
        snat = name_for(uuid, datapath.name, "_snat");
        wants[dnat] = {uuid, std::nullopt, datapath.limit};
        wants[snat] = {uuid, datapath.snat, datapath.limit};
    }
    return wants;
}

void CtZones::put(const std::string& user, uint16_t zone) {
    zones_[user] = zone;
    owners_[zone].insert(user);
}

void CtZones::release(const std::string& user) {
    const auto it = zones_.find(user);
    const uint16_t zone = it->second;
    zones_.erase(it);
    auto& owners = owners_[zone];
    owners.erase(user);
    if (owners.empty()) {
        owners_.erase(zone);
        draining_.insert(zone);
        released_.push_back(zone);
    }
}

void CtZones::release_strangers(const Wants& wants, const ZoneRange& range, bool may_release) {
    const std::map<std::string, uint16_t> all = zones_;
    for (const auto& [user, zone] : all) {
        const auto want = wants.find(user);
        if (want == wants.end()) {
            if (may_release) {
                release(user);
            }
        } else if (!want->second.number && (zone < range.first || zone > range.last)) {
            release(user);
        }
    }
}

void CtZones::give_requested(const Wants& wants) {
    for (const auto& [user, want] : wants) {
        if (!want.number) {
            continue;
        }
        const auto it = zones_.find(user);
        if (it != zones_.end() && it->second == *want.number) {
            continue;
        }
        if (it != zones_.end()) {
            release(user);
        }
        put(user, *want.number);
        assigned_.push_back(*want.number);
    }
}

/// A zone of several is for those who asked for it; without such the first keeps it.
void CtZones::part_shared(const Wants& wants) {
    const auto all = owners_;
    for (const auto& [zone, owners] : all) {
        const auto asked = [&, number = zone](const std::string& user) {
            const auto want = wants.find(user);
            return want != wants.end() && want->second.number == number;
        };
        bool is_taken = std::any_of(owners.begin(), owners.end(), asked);
        for (const std::string& user : owners) {
            if (asked(user)) {
                continue;
            }
            if (is_taken) {
                release(user);
            }
            is_taken = true;
        }
    }
}

void CtZones::give_free(const Wants& wants, const ZoneRange& range) {
    waiting_ = 0;
    uint32_t next = std::max<uint32_t>(range.first, 1);
    for (const auto& [user, want] : wants) {
        if (zones_.contains(user)) {
            continue;
        }
        const auto is_busy = [&](uint32_t zone) {
            return is_used(static_cast<uint16_t>(zone)) ||
                   draining_.contains(static_cast<uint16_t>(zone));
        };
        while (next <= range.last && is_busy(next)) {
            ++next;
        }
        if (next > range.last) {
            ++waiting_;
            continue;
        }
        put(user, static_cast<uint16_t>(next));
        assigned_.push_back(static_cast<uint16_t>(next));
    }
}

uint16_t CtZones::of_port(const std::string& name) const {
    const auto it = zones_.find(name);
    return it == zones_.end() ? uint16_t{0} : it->second;
}

CtZones::Pair CtZones::of_datapath(const Uuid& datapath) const {
    const auto it = datapath_users_.find(datapath);
    return it == datapath_users_.end()
               ? Pair{}
               : Pair{of_port(it->second.first), of_port(it->second.second)};
}

sb::StringMap CtZones::external_ids() const {
    sb::StringMap out;
    for (const auto& [user, zone] : zones_) {
        out[std::string(kPrefix) + user] = std::to_string(zone);
    }
    return out;
}

std::string CtZones::user_of(uint16_t zone) const {
    const auto it = owners_.find(zone);
    return it == owners_.end() ? std::string() : *it->second.begin();
}

void CtZones::give_back(const std::vector<uint16_t>& zones) {
    for (const uint16_t zone : zones) {
        draining_.erase(zone);
    }
}

}  // namespace sluice::chassis
