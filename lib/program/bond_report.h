// SPDX-License-Identifier: Apache-2.0
// BondReport: what a bond and its members are doing, for people and for the local database.
//
// Words are those of Open vSwitch (bond/show, lacp/show, column values), so that scripts that look
// for them go on working. Threads: a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/net/addr.h"
#include "lib/program/ports.h"

namespace sluice {

/// One side of a LACP conversation (IEEE 802.1AX, Actor and Partner information).
struct LacpSide {
    uint16_t system_priority = 0;
    Mac system;
    uint16_t key = 0;
    uint16_t port_priority = 0;
    uint16_t port = 0;
    uint8_t state = 0;  ///< bits: activity, timeout, aggregation, sync, collecting, ...
};

struct LacpMemberReport {
    std::string receive;       ///< state of the receive machine: current, expired, defaulted ...
    std::string mux;           ///< state of the mux machine: detached, waiting, attached, ...
    bool is_attached = false;  ///< selected, and the partner agrees
    LacpSide actor;
    LacpSide partner;
    uint64_t rx_pdus = 0;
    uint64_t rx_bad = 0;  ///< LACPDUs that were none
    uint64_t tx_pdus = 0;
};

struct BondMemberReport {
    std::string name;
    std::string driver;
    Mac mac;
    uint16_t mtu = 0;
    bool link_up = false;
    bool is_enabled = false;  ///< carries traffic
    bool is_active = false;   ///< takes what goes by one member only
    std::string error;        ///< why it is not there; empty: it is
    unsigned first_rxq = 0;   ///< of the bond's receive queues the first one that is its
    unsigned n_rxq = 0;
    unsigned n_buckets = 0;    ///< of the hash's 256 that go this way
    uint64_t link_resets = 0;  ///< how often the link came or went
    PortStats stats;
    std::optional<LacpMemberReport> lacp;
};

struct BondReport {
    std::string mode;          ///< active-backup, balance-slb, balance-tcp
    std::string lacp;          ///< off, active, passive
    std::string lacp_status;   ///< off, configured, negotiated
    bool is_fallback = false;  ///< no partner answers, and lacp-fallback-ab is on
    unsigned updelay_ms = 0;
    unsigned downdelay_ms = 0;
    unsigned rebalance_ms = 0;
    Mac active_mac;           ///< of the active member, zero without one
    uint64_t rx_refused = 0;  ///< frames on a member that may not receive them
    uint64_t failovers = 0;   ///< changes of the active member
    std::vector<BondMemberReport> members;
};

}  // namespace sluice
