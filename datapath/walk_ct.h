// SPDX-License-Identifier: Apache-2.0
// CtTrail: what conntrack has made of a packet so far, on one path of its walk.
//
// What. State has the ct_* words that flows look at; this is what Open vSwitch keeps in a packet's
// metadata beside them: the zone and the state of the last step, the connection found, and values
// in the packet's bytes for which State has no words (ICMP identifiers, the packet that an ICMP
// error quotes, ports of later fragments), so that several translations add up.
// Design. A step never changes a trail, it leaves the next one: copies of a packet go back to the
// trail that they started from. All of a walk's trails lie in the Walker, unused ones untouched.
// CtReplay: the fragments of one packet are walked one by one, but conntrack is asked once, by the
// first; the others are told the same, as in Open vSwitch, where conntrack sees the whole packet.
// What a shortcut has asked before it gave up is told to the walk in the same way (shortcut.h).
// Threads. The worker's own.
#pragma once

#include <cstdint>

#include "datapath/conntrack/conntrack.h"
#include "lib/program/action.h"
#include "lib/program/state.h"

namespace sluice {

struct CtTrail {
    CtView view;         ///< of the last step
    uint32_t state = 0;  ///< ct_state with NAT; 0: not tracked, or no longer (ct_clear)
    uint16_t zone = 0;
    bool known = false;  ///< the next step of the zone need not look: `view` is its answer too
    bool shown = false;  ///< flows saw the answer. After a commit they see an untracked packet, and
                         ///< Open vSwitch leaves out the ct_clear of such: what it knows stays

    /// Addresses and ports that the packet has and flows do not see yet: what a step that does not
    /// recirculate has translated is read again by the next that does.
    struct Unseen {
        uint16_t slot;
        uint32_t value;
    };
    uint8_t n_unseen = 0;
    Unseen unseen[10];

    bool ports_changed = false;  ///< of a fragment
    bool id_changed = false;
    bool inner_changed = false;
    uint16_t icmp_id = 0;
    uint16_t ports[2] = {};  ///< source and destination, of fragments, whose State has none
    CtTuple inner;           ///< the quoted packet as it reads now, zone 0

    /// State as the packet is.
    void show(State* s) const {
        for (unsigned i = 0; i < n_unseen; ++i) {
            s->w[unseen[i].slot] = unseen[i].value;
        }
    }
    bool changes_bytes() const { return ports_changed || id_changed || inner_changed; }
};

/// What a step asks for.
struct CtRequest {
    Op op;
    uint16_t zone;
    bool nat;                    ///< translate as the connection says
    bool recirculates;           ///< flows see the answer; else they see an untracked packet
    const CtCommitArgs* commit;  ///< null: only look
};

/// What a step did to a program that is to be cached.
struct CtAnswer {
    bool cacheable;
    bool depends;  ///< on the connection in the trail's view
};
/// Asks the table for one step. Afterwards the trail's view and state are the packet's, NAT not yet
/// applied. `tuple` is the packet's as it is now.
CtAnswer ask_conntrack(Conntrack& table, CtTuple tuple, const PacketFacts& facts,
                       const CtRequest& request, uint32_t bytes, uint64_t now_ms, CtTrail* trail);

struct CtReplay {
    static constexpr unsigned kMaxSteps = 16;
    struct Step {
        Op op;
        bool nat;
        bool recirculates;
        bool commits;
        uint16_t zone;
        CtCommitArgs args;  ///< when it commits
        CtAnswer answer;
        CtTrail trail;  ///< as the table's answer left it

        void note(const CtRequest& request) {
            op = request.op;
            nat = request.nat;
            recirculates = request.recirculates;
            commits = request.commit != nullptr;
            zone = request.zone;
            if (request.commit) {
                args = *request.commit;
            }
        }
    };
    unsigned count = 0;
    unsigned told = 0;     ///< the walk is told so many steps, what follows is asked
    bool records = false;  ///< the walk writes what it asked behind them
    Step steps[kMaxSteps];
};

}  // namespace sluice
