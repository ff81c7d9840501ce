// SPDX-License-Identifier: Apache-2.0
// Bringing DPDK's EAL up and down for every program of the project.
//
// Programs run without hugepages unless told otherwise, never probe PCI by themselves, and use a
// file prefix of their own, so several can run side by side. Main thread, once per process.
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.h"

namespace sluice {

struct EalConfig {
    std::string program = "sluice";
    unsigned memory_mb = 256;
    bool huge = false;
    bool pci = false;                ///< allow PCI devices to be attached later
    std::vector<unsigned> cores;     ///< main thread on the first free core, workers pinned by us
    std::vector<std::string> extra;  ///< passed through
    bool quiet = true;               ///< only warnings and errors of DPDK
};

Result<void> start_eal(const EalConfig& config);
void stop_eal();

}  // namespace sluice
