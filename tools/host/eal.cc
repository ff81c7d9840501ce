// SPDX-License-Identifier: Apache-2.0
#include "tools/host/eal.h"

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <unistd.h>

#include <fstream>

namespace sluice {
namespace {

/// Free hugepages of any size; an EAL failure for want of them is worth a sentence of its own.
bool hugepages_free() {
    for (const char* size : {"2048", "1048576"}) {
        std::ifstream file(
            fmt::format("/sys/kernel/mm/hugepages/hugepages-{}kB/free_hugepages", size));
        unsigned long pages = 0;
        if (file >> pages && pages > 0) {
            return true;
        }
    }
    return false;
}

}  // namespace

Result<void> start_eal(const EalConfig& config) {
    if (config.huge && !hugepages_free()) {
        return Error{
            "no free hugepages: reserve some (echo 512 > /proc/sys/vm/nr_hugepages) or run without "
            "--huge"};
    }
    std::vector<std::string> words = {config.program,
                                      fmt::format("--file-prefix={}_{}", config.program, getpid()),
                                      "--no-telemetry", "-m", std::to_string(config.memory_mb),
                                      // Workers are threads of ours; EAL needs the main one only.
                                      "--lcores", "0@0"};
    if (!config.cores.empty()) {
        words.back() = fmt::format("0@{}", config.cores.front());
    } else {
        // Unpinned: every core the process may run on.
        const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        words.back() = cpus > 1 ? fmt::format("0@(0-{})", cpus - 1) : "0@0";
    }
    words.push_back(config.huge ? "--in-memory" : "--no-huge");
    if (!config.pci) {
        words.emplace_back("--no-pci");
    }
    if (config.quiet) {
        words.emplace_back("--log-level=*:4");
    }
    words.insert(words.end(), config.extra.begin(), config.extra.end());
    // EAL keeps pointers into argv: they must outlive it.
    static std::vector<std::string> kept;
    static std::vector<char*> argv;
    kept = std::move(words);
    argv.clear();
    for (std::string& word : kept) {
        argv.push_back(word.data());
    }
    if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
        return Error{fmt::format("DPDK did not start: {} (memory {} MB, {})",
                                 rte_strerror(rte_errno), config.memory_mb,
                                 config.huge ? "hugepages" : "no hugepages")};
    }
    return {};
}

void stop_eal() {
    rte_eal_cleanup();
}

}  // namespace sluice
