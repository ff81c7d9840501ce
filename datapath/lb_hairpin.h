// SPDX-License-Identifier: Apache-2.0
// Hairpins of load balancers: what chk_lb_hairpin() and its kin answer for a packet.
//
// The comparisons are those of ovn-controller's tables for the three (see
// lib/program/load_balancer.h): a hairpin packet has been balanced (natted), goes from a backend to
// itself, and came for the VIP; its answer comes from the backend's port to where the hairpin
// packet said it came from.
//
// Caching. The answers depend on State, on the published table, and on sessions: a walk that got
// kNotYet must not be cached, for the next packet may find a session. kYes and kNo stay.
// Threads: workers.
#pragma once

#include <cstdint>

#include "lib/program/load_balancer.h"
#include "lib/program/state.h"

namespace sluice {

struct CtTuple;  // datapath/conntrack/conntrack.h

/// What chk_lb_hairpin() found: null is 0. `original` is the original direction of the connection
/// that the last step found (CtView::original), null without one. Any table may be null.
const LbHairpin* chk_lb_hairpin(const LbHairpins* table, const State& s, const CtTuple* original);

/// To be called when it was 1: answers are known from now on, in the datapath with this key.
void open_hairpin_session(const LbHairpin& hairpin, const State& s, uint32_t datapath);

enum class HairpinReply : uint8_t {
    kNo,
    kNotYet,  ///< would be one if a hairpin packet had been seen: 0 for this packet
    kYes,
};
HairpinReply chk_lb_hairpin_reply(const LbHairpins* table, const State& s, uint32_t datapath);

/// ct_snat_to_vip: where to find the source address to commit; null: the action does nothing.
const LbVip* hairpin_vip(const LbHairpins* table, const State& s, const CtTuple* original);

}  // namespace sluice
