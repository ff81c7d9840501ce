// SPDX-License-Identifier: Apache-2.0
// What holds a running node up: the reports of its daemon at two moments, compared.
//
// The bottleneck is the finding that loses or delays most packets: a receive ring that overflows
// because its worker has no cycles left names the port, the queues, the worker and the core; a
// device that does not take what it is given names the port; everything else is a drop with a name,
// with the logical flow where one decided.
// Pure functions of the reports.
#pragma once

#include "control/rpc/conntrack_report.h"
#include "control/rpc/reports.h"
#include "tools/doctor/finding.h"

namespace sluice::doctor {

/// All reports of one moment.
struct NodeSample {
    rpc::StatusReport status;
    rpc::PortReport ports;
    rpc::TunnelReport tunnels;
    rpc::DropReport drops;
    rpc::CacheReport cache;
    rpc::CounterReport counters;
    rpc::ConntrackStatsReport conntrack;
};

/// `seconds` lie between the two. Adds to `diagnosis`; the caller sorts.
void check_node(const NodeSample& before, const NodeSample& after, double seconds,
                Diagnosis* diagnosis);

}  // namespace sluice::doctor
