// SPDX-License-Identifier: Apache-2.0
#include "pmd/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <numeric>
#include <string>
#include <tuple>

namespace sluice::pmd {
namespace {

constexpr uint64_t kScale = 1024;

/// Load in parts of the whole, and a little for being there at all: idle queues are spread as well.
uint64_t weight_of(const QueueToPlace& queue, uint64_t total) {
    return 1 + (total ? queue.load * kScale / total : 0);
}

uint64_t total_of(std::span<const QueueToPlace> queues) {
    return std::accumulate(queues.begin(), queues.end(), uint64_t{0},
                           [](uint64_t sum, const QueueToPlace& q) { return sum + q.load; });
}

class Placer {
public:
    Placer(std::span<const QueueToPlace> queues, std::span<const WorkerSpot> workers,
           const PlacementPolicy& policy)
        : queues_(queues),
          workers_(workers),
          policy_(policy),
          total_(total_of(queues)),
          out_(queues.size(), kNoWorker),
          weight_(workers.size()),
          is_taken_(workers.size()) {}

    std::vector<uint16_t> place() {
        for (size_t q = 0; q < queues_.size(); ++q) {
            if (queues_[q].pinned < workers_.size()) {
                assign(q, queues_[q].pinned);
                is_taken_[queues_[q].pinned] = policy_.isolates;
            }
        }
        std::vector<size_t> order;
        for (size_t q = 0; q < queues_.size(); ++q) {
            if (out_[q] == kNoWorker) {
                order.push_back(q);
            }
        }
        if (policy_.mode != PlacementMode::kRoundRobin) {
            std::stable_sort(order.begin(), order.end(),
                             [&](size_t a, size_t b) { return queues_[a].load > queues_[b].load; });
        }
        for (const size_t q : order) {
            assign(q, worker_for(queues_[q]));
        }
        return std::move(out_);
    }

private:
    void assign(size_t queue, uint16_t worker) {
        out_[queue] = worker;
        weight_[worker] += weight_of(queues_[queue], total_);
    }

    /// On the device's node, not taken; else not taken; else any.
    std::vector<uint16_t> candidates(int node) const {
        for (const int strictness : {2, 1, 0}) {
            std::vector<uint16_t> list;
            for (size_t w = 0; w < workers_.size(); ++w) {
                const bool is_near = node < 0 || workers_[w].node < 0 || workers_[w].node == node;
                if ((strictness < 2 || is_near) && (strictness < 1 || !is_taken_[w])) {
                    list.push_back(static_cast<uint16_t>(w));
                }
            }
            if (!list.empty()) {
                return list;
            }
        }
        return {0};
    }

    uint16_t worker_for(const QueueToPlace& queue) {
        const std::vector<uint16_t> list = candidates(queue.node);
        if (policy_.mode == PlacementMode::kGroup) {
            return *std::min_element(list.begin(), list.end(), [&](uint16_t a, uint16_t b) {
                const bool a_moves = a != queue.current;
                const bool b_moves = b != queue.current;
                return std::tie(weight_[a], a_moves, a) < std::tie(weight_[b], b_moves, b);
            });
        }
        const unsigned turn = turns_[static_cast<size_t>(queue.node + 1) % turns_.size()]++;
        const auto n = static_cast<unsigned>(list.size());
        const bool is_back = policy_.mode == PlacementMode::kCycles && (turn / n) % 2;
        return list[is_back ? n - 1 - turn % n : turn % n];
    }

    std::span<const QueueToPlace> queues_;
    std::span<const WorkerSpot> workers_;
    const PlacementPolicy policy_;
    const uint64_t total_;
    std::vector<uint16_t> out_;
    std::vector<uint64_t> weight_;
    std::vector<bool> is_taken_;
    std::array<unsigned, 64> turns_{};  ///< by NUMA node
};

uint64_t busiest(std::span<const QueueToPlace> queues, const std::vector<uint16_t>& place,
                 size_t n_workers) {
    std::vector<uint64_t> weight(n_workers);
    const uint64_t total = total_of(queues);
    for (size_t q = 0; q < queues.size(); ++q) {
        weight[place[q]] += weight_of(queues[q], total);
    }
    return *std::max_element(weight.begin(), weight.end());
}

}  // namespace

std::vector<uint16_t> place_queues(std::span<const QueueToPlace> queues,
                                   std::span<const WorkerSpot> workers,
                                   const PlacementPolicy& policy) {
    return Placer(queues, workers, policy).place();
}

std::vector<uint16_t> place_queues_calmly(std::span<const QueueToPlace> queues,
                                          std::span<const WorkerSpot> workers,
                                          const PlacementPolicy& policy) {
    std::vector<uint16_t> plan = place_queues(queues, workers, policy);
    std::vector<uint16_t> now;
    std::vector<bool> is_isolated(workers.size());
    for (const QueueToPlace& queue : queues) {
        if (policy.isolates && queue.pinned < workers.size()) {
            is_isolated[queue.pinned] = true;
        }
    }
    for (const QueueToPlace& queue : queues) {
        const bool is_there = queue.current < workers.size();
        const bool is_pinned = queue.pinned < workers.size();
        const bool is_far = is_there && queue.node >= 0 && workers[queue.current].node >= 0 &&
                            workers[queue.current].node != queue.node;
        if (!is_there || is_far || (is_pinned && queue.pinned != queue.current) ||
            (!is_pinned && is_isolated[queue.current])) {
            return plan;  // where they are is wrong
        }
        now.push_back(queue.current);
    }
    if (queues.empty()) {
        return plan;
    }
    const uint64_t before = busiest(queues, now, workers.size());
    const uint64_t after = busiest(queues, plan, workers.size());
    return after * 5 <= before * 4 ? plan : now;
}

int node_of_core(unsigned core) {
    std::error_code error;
    const std::filesystem::directory_iterator folder(
        fmt::format("/sys/devices/system/cpu/cpu{}", core), error);
    for (const auto& entry : error ? std::filesystem::directory_iterator() : folder) {
        const std::string name = entry.path().filename();
        if (name.starts_with("node") && name.size() > 4 && isdigit(name[4])) {
            return std::stoi(name.substr(4));
        }
    }
    return -1;
}

}  // namespace sluice::pmd
