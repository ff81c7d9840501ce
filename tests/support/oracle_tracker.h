// SPDX-License-Identifier: Apache-2.0
// A naive connection tracker for the oracle: a list that is searched from front to back.
//
// It knows what a logical flow can see of UDP, of ICMP echo, and of TCP segments that carry an ACK
// and no SYN, FIN or RST; windows, related errors and fragments have tests of their own. When NAT
// would have to choose (a port, because the wanted one is taken) it says so and gives up: what is
// chosen is not OVN's to say. It shares no code with datapath/conntrack.
#pragma once

#include <cstdint>
#include <list>
#include <optional>

#include "tests/support/oracle.h"

namespace sluice::oracle {

struct Endpoint {
    Wide address;
    unsigned port = 0;
    auto operator<=>(const Endpoint&) const = default;
};

/// One direction as a packet of it reads on arrival.
struct Way {
    unsigned zone = 0;
    unsigned family = 4;
    unsigned proto = 0;
    Endpoint from, to;
    auto operator<=>(const Way&) const = default;
};

struct Connection {
    Way there, back;  ///< what its first packet reads; what answers to it read
    enum Nat { kNone, kSource, kDestination } nat = kNone;
    bool answered = false;
    unsigned tcp[2] = {};  ///< each end: 0 silent, 1 has spoken, 2 was acknowledged
    bool twice = false;    ///< the first end has sent more than one packet
    uint64_t mark = 0;
    Wide label;
    uint64_t until_ms = 0;
};

struct Undecided {};  ///< thrown: the outcome is left to the implementation

/// What a commit asks for.
struct Commit {
    Connection::Nat nat = Connection::kNone;
    std::optional<Wide> address;
    unsigned port = 0;  ///< 0: as it is
    uint64_t mark = 0, mark_mask = 0;
    Wide label, label_mask;
};

/// What a packet is told.
struct Answer {
    unsigned state = 0;  ///< ct_state without NAT bits
    unsigned nat_state = 0;
    Connection* connection = nullptr;
    std::optional<Way> translated;
};

class Tracker {
public:
    uint64_t now_ms = 1000;

    /// `kind`: ICMP type of the packet, 0 for others.
    Answer look(const Way& way, unsigned icmp_type);
    Answer commit(const Way& way, unsigned icmp_type, const Commit& what);
    static void mark(Connection* connection, const Commit& what);
    size_t size() const { return list_.size(); }

private:
    Connection* find(const Way& way, bool* is_answer);
    Answer judge(Connection* connection, bool is_answer);
    std::list<Connection> list_;
};

}  // namespace sluice::oracle
