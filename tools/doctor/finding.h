// SPDX-License-Identifier: Apache-2.0
// Finding: one thing that is not as it should be, what it costs, and what mends it.
//
// Made by host_checks.h (the machine) and node_checks.h (the running daemon), told by sluicectl
// doctor and sluiced --check. `check` is stable, for programs; the other texts are for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::doctor {

enum class Severity : uint8_t {
    kNote,      ///< worth knowing
    kWarning,   ///< costs speed, or will cost packets
    kCritical,  ///< packets are lost now, or something does not work at all
};
const char* to_string(Severity severity);

struct Finding {
    Severity severity = Severity::kNote;
    std::string check;    ///< rx_lost, worker_busy, hugepages ...
    std::string subject;  ///< port eth1, worker 0 on core 2, drop no_mbuf ...
    std::string text;     ///< what is the matter
    std::string cost;     ///< what it costs
    std::string mend;     ///< a command, or what to change; "" when nothing has to be done
    double weight = 0;    ///< packets a second that it is about: orders findings of one severity
};

struct Diagnosis {
    std::vector<Finding> findings;     ///< worst first
    std::vector<std::string> checked;  ///< what was looked at, found good or not
    double seconds = 0;                ///< of counters that were compared; 0: none
};

/// Worst first, equal ones by what they are about.
void sort_findings(Diagnosis* diagnosis);
/// "port eth1: ..." of the worst finding that holds packets up; "" when there is none.
std::string bottleneck_of(const Diagnosis& diagnosis);

std::string to_json(const Diagnosis& diagnosis);
std::string to_text(const Diagnosis& diagnosis, bool colour);
/// 0 nothing to do, 3 warnings, 4 critical findings. 1 and 2 are sluicectl's own.
int exit_status_of(const Diagnosis& diagnosis);

}  // namespace sluice::doctor
