// SPDX-License-Identifier: Apache-2.0
// The part of the registry that says who polls what.
#include <fmt/format.h>

#include <algorithm>

#include "lib/base/log.h"
#include "pmd/ports.h"

SLUICE_LOG_MODULE(placement);

namespace sluice::pmd {

/// Queues that come: each to a near worker with the fewest.
void Ports::assign_workers(Slot& slot) {
    const size_t n = slot.device->rx_queues().size();
    slot.loads.resize(n);
    for (std::unique_ptr<RxLoad>& load : slot.loads) {
        load = load ? std::move(load) : std::make_unique<RxLoad>();
    }
    slot.placed_cycles.resize(n, 0);
    slot.rx_worker.resize(n, kNoWorker);
    slot.is_moving.resize(n, false);
    needs_placing_ = true;
    std::vector<unsigned> n_polled(settings_.n_workers);
    for (const PortId id : list()) {
        for (const uint16_t worker : slots_[id].rx_worker) {
            n_polled[worker < settings_.n_workers ? worker : 0] += worker < settings_.n_workers;
        }
    }
    const int node = slot.device->numa_node();
    const auto is_far = [&](size_t w) {
        return node >= 0 && spots_[w].node >= 0 && spots_[w].node != node;
    };
    for (uint16_t& place : slot.rx_worker) {
        if (place != kNoWorker) {
            continue;
        }
        size_t best = 0;
        for (size_t w = 1; w < spots_.size(); ++w) {
            if (std::pair(is_far(w), n_polled[w]) < std::pair(is_far(best), n_polled[best])) {
                best = w;
            }
        }
        ++n_polled[best];
        place = static_cast<uint16_t>(best);
    }
}

/// Queues that the device still has stay with their workers. The closure frees what the others had.
Retire Ports::follow_queues(PortId id, const std::vector<RxQueue>& before) {
    Slot& s = slots_[id];
    const auto now = s.device->rx_queues();
    std::vector<uint16_t> workers(now.size(), kNoWorker);
    std::vector<bool> moving(now.size());
    std::vector<uint64_t> cycles(now.size());
    std::vector<std::unique_ptr<RxLoad>> loads(now.size());
    for (size_t q = 0; q < now.size(); ++q) {
        const auto same = std::ranges::find(before, now[q].ctx, &RxQueue::ctx);
        if (same != before.end()) {
            const auto old = static_cast<size_t>(same - before.begin());
            workers[q] = s.rx_worker[old];
            moving[q] = s.is_moving[old];
            cycles[q] = s.placed_cycles[old];
            loads[q] = std::move(s.loads[old]);
        }
    }
    const auto unused = std::make_shared<std::vector<std::unique_ptr<RxLoad>>>(
        std::exchange(s.loads, std::move(loads)));
    s.rx_worker = std::move(workers);
    s.is_moving = std::move(moving);
    s.placed_cycles = std::move(cycles);
    s.pins.clear();  // they named queues by number
    assign_workers(s);
    return [unused] { unused->clear(); };
}

Result<void> Ports::pin_queues(PortId id, const std::map<unsigned, unsigned>& core_of_queue) {
    if (!slot(id)) {
        return Error{fmt::format("there is no port {}", id)};
    }
    Slot& s = slots_[id];
    std::map<unsigned, uint16_t> pins;
    for (const auto& [queue, core] : core_of_queue) {
        const auto spot = std::find_if(spots_.begin(), spots_.end(), [&](const WorkerSpot& w) {
            return w.core == static_cast<int>(core);
        });
        if (queue >= s.rx_worker.size()) {
            return Error{fmt::format("port {}: there is no receive queue {} to run on core {}",
                                     s.spec.name, queue, core)};
        }
        if (spot == spots_.end()) {
            return Error{fmt::format("port {}: no worker runs on core {}, where queue {} is to be",
                                     s.spec.name, core, queue)};
        }
        pins[queue] = static_cast<uint16_t>(spot - spots_.begin());
    }
    needs_placing_ |= s.pins != pins;
    s.pins = std::move(pins);
    return {};
}

void Ports::set_placement(const PlacementPolicy& policy) {
    needs_placing_ |= !(policy == policy_);
    policy_ = policy;
}

Retire Ports::move_queues() {
    if (!std::exchange(needs_placing_, false)) {
        return {};
    }
    std::vector<QueueToPlace> queues;
    std::vector<std::pair<PortId, size_t>> names;
    for (const PortId id : list()) {
        Slot& s = slots_[id];
        for (size_t q = 0; q < s.rx_worker.size(); ++q) {
            const uint64_t cycles = s.loads[q]->cycles.load(std::memory_order_relaxed);
            const auto pin = s.pins.find(static_cast<unsigned>(q));
            queues.push_back({.load = cycles - s.placed_cycles[q],
                              .node = s.device->numa_node(),
                              .pinned = pin == s.pins.end() ? kNoWorker : pin->second,
                              .current = s.rx_worker[q]});
            s.placed_cycles[q] = cycles;
            names.emplace_back(id, q);
        }
    }
    const std::vector<uint16_t> plan = place_queues_calmly(queues, spots_, policy_);
    struct Move {
        PortId id;
        size_t queue;
        uint16_t worker;
    };
    std::vector<Move> moves;
    for (size_t i = 0; i < plan.size(); ++i) {
        const auto& [id, q] = names[i];
        if (plan[i] != slots_[id].rx_worker[q]) {
            LOG_INFO("port {}: queue {} goes from worker {} to worker {}", slots_[id].spec.name, q,
                     slots_[id].rx_worker[q], plan[i]);
            slots_[id].is_moving[q] = true;
            moves.push_back({id, q, plan[i]});
        }
    }
    if (moves.empty()) {
        return {};
    }
    return [this, moves] {
        for (const Move& move : moves) {
            Slot& s = slots_[move.id];
            if (s.device && move.queue < s.rx_worker.size()) {
                s.rx_worker[move.queue] = move.worker;
                s.is_moving[move.queue] = false;
            }
        }
    };
}

std::vector<QueuePlace> Ports::places(const Slot& slot) const {
    std::vector<QueuePlace> list;
    for (size_t q = 0; q < slot.rx_worker.size(); ++q) {
        list.push_back({.worker = slot.rx_worker[q],
                        .is_pinned = slot.pins.contains(static_cast<unsigned>(q)),
                        .cycles = slot.loads[q]->cycles.load(std::memory_order_relaxed),
                        .packets = slot.loads[q]->packets.load(std::memory_order_relaxed)});
    }
    return list;
}

std::optional<BondReport> Ports::bond(PortId id) const {
    const Slot* s = slot(id);
    return s ? s->device->bond() : std::nullopt;
}

}  // namespace sluice::pmd
