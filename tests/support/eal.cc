// SPDX-License-Identifier: Apache-2.0
#include "tests/support/eal.h"

#include <rte_eal.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/limits.h"

namespace sluice {
namespace {

rte_mempool* start() {
    const std::string prefix = "--file-prefix=sluice_test_" + std::to_string(getpid());
    std::vector<std::string> words = {"test",     "--no-huge", "-m",
                                      "128",      "--no-pci",  "--no-telemetry",
                                      "--lcores", "0@0",       "--log-level=lib.eal:4",
                                      prefix};
    std::vector<char*> argv;
    for (std::string& word : words) {
        argv.push_back(word.data());
    }
    SLUICE_CHECK(rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0);
    rte_mempool* pool = rte_pktmbuf_pool_create("test_pool", 8191, 0, limits::kMbufPrivSize,
                                                RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    SLUICE_CHECK(pool);
    return pool;
}

}  // namespace

rte_mempool* test_pool() {
    static rte_mempool* pool = start();
    return pool;
}

}  // namespace sluice
