// SPDX-License-Identifier: Apache-2.0
// What the machine lacks for packets: hugepages, NUMA, IOMMU, governor, isolated cores, locked
// memory, kernel modules, clock source, and a daemon that is in the way.
//
// All by reading /proc and /sys, nothing is changed and no daemon is needed. A file that is not
// there (a container, a virtual machine without cpufreq) is no finding by itself.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/doctor/finding.h"

namespace sluice::doctor {

struct HostView {
    std::string root;                      ///< "" for this machine; tests give a tree of files
    std::string run_dir;                   ///< pidfiles of Open vSwitch
    std::vector<unsigned> cores;           ///< of workers; empty: not pinned
    std::vector<std::string> pci_devices;  ///< addresses in use or meant to be
    std::vector<std::pair<std::string, int>> node_of_port;  ///< NUMA nodes of a running daemon's
    bool wants_huge = false;   ///< --huge, or ports of type dpdk or vhost
    long own_memlock_kb = -1;  ///< RLIMIT_MEMLOCK; -1: no limit
    int daemon_pid = 0;        ///< a running sluiced: its limits count; 0: none
};

/// Adds to `diagnosis`; the caller sorts.
void check_host(const HostView& view, Diagnosis* diagnosis);

}  // namespace sluice::doctor
