// SPDX-License-Identifier: Apache-2.0
#include "control/compile/punt_args.h"

#include <algorithm>
#include <utility>

namespace sluice::compile {

PuntArgsTable& PuntArgsTable::instance() {
    static PuntArgsTable table;
    return table;
}

std::shared_ptr<const PuntArgs> PuntArgsTable::intern(const std::string& text,
                                                      const lang::ActionNode& node,
                                                      std::vector<uint32_t> port_keys) {
    std::string key = text;
    for (const uint32_t port : port_keys) {
        key += '\n' + std::to_string(port);
    }
    const std::lock_guard lock(mutex_);
    if (const auto found = by_text_.find(key); found != by_text_.end()) {
        if (auto args = by_id_[found->second].lock()) {
            return args;
        }
        by_id_.erase(found->second);
        by_text_.erase(found);
    }
    if (by_text_.size() >= sweep_at_) {
        forget_dead();
    }
    auto args = std::make_shared<PuntArgs>();
    args->id = next_id_++;
    args->node = node;
    args->port_keys = std::move(port_keys);
    by_id_[args->id] = args;
    by_text_[std::move(key)] = args->id;
    return args;
}

std::shared_ptr<const PuntArgs> PuntArgsTable::find(uint32_t id) const {
    const std::lock_guard lock(mutex_);
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second.lock();
}

size_t PuntArgsTable::size() const {
    const std::lock_guard lock(mutex_);
    return by_id_.size();
}

void PuntArgsTable::forget_dead() {
    for (auto i = by_text_.begin(); i != by_text_.end();) {
        if (by_id_[i->second].expired()) {
            by_id_.erase(i->second);
            i = by_text_.erase(i);
        } else {
            ++i;
        }
    }
    sweep_at_ = std::max<size_t>(1024, 2 * by_text_.size());
}

ArgPool& ArgPool::instance() {
    static thread_local ArgPool pool;
    return pool;
}

void ArgPool::forget_dead() {
    std::erase_if(by_text_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max<size_t>(1024, 2 * by_text_.size());
}

std::shared_ptr<const PuntSpec> intern_punt_spec(const PuntSpec& spec) {
    return ArgPool::instance().intern(
        "punt " + std::to_string(spec.probability) + " " + std::to_string(spec.meter), spec);
}

}  // namespace sluice::compile
