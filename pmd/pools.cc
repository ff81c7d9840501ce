// SPDX-License-Identifier: Apache-2.0
#include "pmd/pools.h"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <atomic>

#include "lib/base/limits.h"
#include "lib/base/log.h"

SLUICE_LOG_MODULE(pmd);

namespace sluice::pmd {
namespace {
constexpr unsigned kCachePerLcore = 256;
std::atomic<unsigned> next_pool_number{0};
}  // namespace

Pools::Pools(PoolSettings settings) : settings_(std::move(settings)) {}

Pools::~Pools() {
    for (const Pool& p : pools_) {
        rte_mempool_free(p.pool);
    }
}

unsigned Pools::data_room() const {
    return settings_.data_room - RTE_PKTMBUF_HEADROOM;
}

std::vector<rte_mempool*> Pools::pools() const {
    std::vector<rte_mempool*> all;
    for (const Pool& p : pools_) {
        all.push_back(p.pool);
    }
    return all;
}

Result<Pools::Pool*> Pools::make() {
    const std::string name = fmt::format("{}-pool-{}", settings_.name_prefix, next_pool_number++);
    // A cache may hold at most 1/1.5 of the pool; a small pool (tests) does without much.
    const unsigned cache = std::min(kCachePerLcore, settings_.n_mbufs / 8);
    rte_mempool* pool = rte_pktmbuf_pool_create(
        name.c_str(), settings_.n_mbufs, cache, limits::kMbufPrivSize,
        static_cast<uint16_t>(settings_.data_room), static_cast<int>(rte_socket_id()));
    if (!pool) {
        return Error{fmt::format(
            "no memory for {} packet buffers of {} bytes ({}): give the EAL more (-m or hugepages) "
            "or ask for fewer or smaller buffers",
            settings_.n_mbufs, settings_.data_room, rte_strerror(rte_errno))};
    }
    LOG_INFO("{}: {} packet buffers of {} bytes", name, settings_.n_mbufs, settings_.data_room);
    return &pools_.emplace_back(Pool{pool, 0});
}

Result<Pools::Booking> Pools::book(unsigned n_mbufs) {
    Pool* found = nullptr;
    for (Pool& p : pools_) {
        if (p.booked + n_mbufs <= settings_.n_mbufs) {
            found = &p;
            break;
        }
    }
    if (!found && (pools_.empty() || settings_.grow)) {
        Result<Pool*> made = make();
        if (made) {
            found = *made;
        } else if (pools_.empty()) {
            return made.error();
        } else {
            LOG_WARN("from now on ports share the packet buffers there are: {}",
                     made.error().message);
            settings_.grow = false;
        }
    }
    if (!found) {
        found = &pools_.back();
    }
    found->booked += n_mbufs;
    return Booking{found->pool, n_mbufs};
}

void Pools::give_back(const Booking& booking) {
    for (Pool& p : pools_) {
        if (p.pool == booking.pool) {
            p.booked -= booking.n_mbufs;
        }
    }
}

}  // namespace sluice::pmd
