// SPDX-License-Identifier: Apache-2.0
#include "lib/rcu/published.h"

#include <rte_rcu_qsbr.h>
#include <sched.h>

#include <cstdlib>
#include <utility>

namespace sluice {

RcuDomain::RcuDomain() {
    const size_t size = rte_rcu_qsbr_get_memsize(kMaxReaders);
    qsbr_ = static_cast<rte_rcu_qsbr*>(std::aligned_alloc(64, (size + 63) / 64 * 64));
    SLUICE_CHECK(qsbr_ && rte_rcu_qsbr_init(qsbr_, kMaxReaders) == 0);
}

RcuDomain::~RcuDomain() {
    for (Retired& retired : retired_) {
        retired.free_it();  // readers are gone when the domain goes
    }
    std::free(qsbr_);
}

void RcuDomain::register_reader(unsigned id) {
    SLUICE_CHECK(rte_rcu_qsbr_thread_register(qsbr_, id) == 0);
}

void RcuDomain::unregister_reader(unsigned id) {
    SLUICE_CHECK(rte_rcu_qsbr_thread_unregister(qsbr_, id) == 0);
}

void RcuDomain::online(unsigned id) {
    rte_rcu_qsbr_thread_online(qsbr_, id);
}

void RcuDomain::offline(unsigned id) {
    rte_rcu_qsbr_thread_offline(qsbr_, id);
}

void RcuDomain::quiescent(unsigned id) {
    rte_rcu_qsbr_quiescent(qsbr_, id);
}

uint64_t RcuDomain::start_grace() {
    return rte_rcu_qsbr_start(qsbr_);
}

bool RcuDomain::is_past(uint64_t token) const {
    return rte_rcu_qsbr_check(qsbr_, token, false) == 1;
}

void RcuDomain::retire(std::function<void()> free_it) {
    retired_.push_back(Retired{start_grace(), std::move(free_it)});
}

size_t RcuDomain::reclaim() {
    while (!retired_.empty() && is_past(retired_.front().token)) {
        const std::function<void()> free_it = std::move(retired_.front().free_it);
        retired_.pop_front();
        free_it();
    }
    return retired_.size();
}

void RcuDomain::synchronize() {
    const uint64_t token = start_grace();
    while (!is_past(token)) {
        sched_yield();
    }
    reclaim();
}

}  // namespace sluice
