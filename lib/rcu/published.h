// SPDX-License-Identifier: Apache-2.0
// Published<T>: one immutable object that readers follow and one writer swaps, RCU style.
//
// What. The writer (control thread) makes a complete new T and calls swap(). A reader holds a
// ReaderToken (one per thread), calls get() once per burst and quiescent() when it has let go of
// everything it read. Swapped-out objects are freed by the writer in reclaim(), after every
// registered, online reader passed a quiescent point.
// Why. rte_rcu_qsbr costs a reader half a nanosecond per burst and no shared write.
// Design. The pointer lives in one cache line of its own; the QSBR variable may be shared by
// several Published objects, so one quiescent() per loop serves all of them (RcuDomain).
// Threads. get(), quiescent(), online(), offline(): the reader's own thread. swap(), reclaim(),
// synchronize(), register/unregister: the writer's thread only. A pointer from get() must not be
// kept across quiescent(); Guard makes that visible in the code.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "lib/base/check.h"
#include "lib/base/limits.h"

struct rte_rcu_qsbr;

namespace sluice {

class RcuDomain {
public:
    RcuDomain();
    ~RcuDomain();
    RcuDomain(const RcuDomain&) = delete;
    RcuDomain& operator=(const RcuDomain&) = delete;

    /// Writer: admits reader `id` (below kMaxReaders); it starts offline.
    void register_reader(unsigned id);
    void unregister_reader(unsigned id);

    /// Reader `id`'s own thread. An offline reader holds nothing and delays nobody.
    void online(unsigned id);
    void offline(unsigned id);
    void quiescent(unsigned id);

    /// Writer: a token that is_past() reports once all readers were quiescent after this call.
    uint64_t start_grace();
    bool is_past(uint64_t token) const;
    /// Writer: runs `free_it` after a grace period, from a later reclaim().
    void retire(std::function<void()> free_it);
    /// Writer: frees what may be freed; returns how many objects still wait. Never blocks.
    size_t reclaim();
    /// Writer: waits for a whole grace period and frees everything. For shutdown and port removal.
    void synchronize();

    static constexpr unsigned kMaxReaders = limits::kMaxWorkers + 8;

private:
    struct Retired {
        uint64_t token;
        std::function<void()> free_it;
    };
    rte_rcu_qsbr* qsbr_;
    std::deque<Retired> retired_;  ///< writer only, oldest first
};

template <typename T>
class Published {
public:
    explicit Published(RcuDomain& domain) : domain_(domain) {}
    ~Published() { delete current_.load(std::memory_order_relaxed); }
    Published(const Published&) = delete;
    Published& operator=(const Published&) = delete;

    /// Reader: the object as of now; null before the first swap. Valid until the reader's next
    /// quiescent() or offline().
    const T* get() const { return current_.load(std::memory_order_acquire); }
    /// Writer: publishes `next`; the old object is freed after a grace period.
    void swap(std::unique_ptr<const T> next) {
        const T* old = current_.exchange(next.release(), std::memory_order_acq_rel);
        if (old) {
            domain_.retire([old] { delete old; });
        }
    }

private:
    RcuDomain& domain_;
    alignas(64) std::atomic<const T*> current_{nullptr};  ///< control writes, all readers read
};

}  // namespace sluice
