// SPDX-License-Identifier: Apache-2.0
#include "control/vswitch/plugger.h"

#include <algorithm>
#include <utility>

#include "lib/base/log.h"

namespace sluice::vswitch {
namespace {

SLUICE_LOG_MODULE(plugger);

bool equal(const PortSpec& a, const PortSpec& b) {
    return a.driver == b.driver && a.args == b.args;
}

}  // namespace

/// An open port becomes what is wanted, if it can without being closed. True: it changed.
bool Plugger::follow(const WantedPort& wanted, Open* open, int64_t now_ms) {
    const std::string& name = wanted.spec.name;
    const bool is_other = !equal(wanted.spec, open->spec);
    const bool is_due = now_ms - open->tried_ms >= kRetryMs && ports_->is_partial(open->id);
    if (now_ms - open->seen_ms >= kLookMs) {
        open->seen_ms = now_ms;
        if (ports_->is_gone(open->id)) {
            LOG_WARN("port {}: its device vanished", name);
            stale_.push_back(name);
            return false;
        }
    }
    if (!is_other && !is_due) {
        return false;
    }
    open->tried_ms = now_ms;
    Result<Retire> changed = ports_->change(open->id, wanted.spec);
    if (!changed) {
        if (is_other) {
            stale_.push_back(name);
        }
        return false;
    }
    if (is_other) {
        LOG_INFO("port {} is now: {}", name, to_string(wanted.spec));
        open->spec = wanted.spec;
    }
    if (!*changed) {
        return false;
    }
    open->tried_ms = 0;  // what waited for something to go comes at once
    changes_.push_back(std::move(*changed));
    return true;
}

bool Plugger::open(std::vector<WantedPort> wanted, int64_t now_ms) {
    wanted_ = std::move(wanted);
    stale_.clear();
    std::map<std::string, std::string> errors;
    std::map<std::string, const WantedPort*> by_name;
    for (const WantedPort& port : wanted_) {
        by_name.try_emplace(port.spec.name, &port);
    }
    bool is_added = false;
    for (auto& [name, open] : open_) {
        const auto it = by_name.find(name);
        if (it == by_name.end() || !it->second->error.empty()) {
            stale_.push_back(name);
        } else {
            is_added |= follow(*it->second, &open, now_ms);
        }
    }
    for (const auto& [name, port] : by_name) {
        if (open_.contains(name)) {
            continue;
        }
        if (!port->error.empty()) {
            errors[name] = port->error;
            continue;
        }
        const auto known = errors_.find(name);
        if (known != errors_.end() && now_ms - tried_ms_[name] < kRetryMs) {
            errors[name] = known->second;
            continue;
        }
        const Result<PortId> added = ports_->add(port->spec);
        if (!added) {
            errors[name] = added.error().message;
            tried_ms_[name] = now_ms;
            if (known == errors_.end() || known->second != added.error().message) {
                LOG_WARN("port {} cannot be opened: {}", name, added.error().message);
            }
            continue;
        }
        LOG_INFO("port {} opened: {}", name, to_string(port->spec));
        ports_->hold(*added);
        open_[name] = {.spec = port->spec, .id = *added, .seen_ms = now_ms};
        is_added = true;
    }
    errors_ = std::move(errors);
    std::erase_if(tried_ms_, [&](const auto& entry) { return !errors_.contains(entry.first); });
    return is_added;
}

std::vector<Retire> Plugger::close() {
    std::vector<Retire> closures = std::exchange(changes_, {});
    for (const std::string& name : stale_) {
        const auto it = open_.find(name);
        Result<Retire> retire = ports_->remove(it->second.id);
        if (retire) {
            LOG_INFO("port {} closed", name);
            closures.push_back(std::move(*retire));
        } else {
            LOG_ERR("port {} cannot be closed: {}", name, retire.error().message);
        }
        open_.erase(it);
    }
    stale_.clear();
    return closures;
}

PortId Plugger::id(const std::string& name) const {
    const auto it = open_.find(name);
    return it == open_.end() || std::find(stale_.begin(), stale_.end(), name) != stale_.end()
               ? kNoPort
               : it->second.id;
}

const PortSpec* Plugger::open_spec(const std::string& name) const {
    const auto it = open_.find(name);
    return it == open_.end() ? nullptr : &it->second.spec;
}

bool Plugger::is_being_replaced(const std::string& name) const {
    return std::find(stale_.begin(), stale_.end(), name) != stale_.end() &&
           std::any_of(wanted_.begin(), wanted_.end(), [&](const WantedPort& port) {
               return port.spec.name == name && port.error.empty();
           });
}

const std::string& Plugger::error(const std::string& name) const {
    static const std::string kNone;
    const auto it = errors_.find(name);
    return it == errors_.end() ? kNone : it->second;
}

}  // namespace sluice::vswitch
