// SPDX-License-Identifier: Apache-2.0
#include "tests/support/oracle_tracker.h"

#include <algorithm>

namespace sluice::oracle {

namespace {

constexpr unsigned kNew = 1, kEst = 2, kRpl = 8, kInv = 16, kTrk = 32, kSnat = 64, kDnat = 128;
constexpr unsigned kTcp = 6, kUdp = 17;

bool is_echo(const Way& way) {
    return way.proto == (way.family == 4 ? 1u : 58u);
}
bool is_echo_request(const Way& way, unsigned icmp_type) {
    return icmp_type == (way.family == 4 ? 8u : 128u);
}

Way turned(const Way& way) {
    Way back = way;
    std::swap(back.from, back.to);
    return back;
}

uint64_t seconds(const Connection& c) {
    if (c.there.proto == kTcp) {
        return c.tcp[0] == 2 && c.tcp[1] == 2 ? 24 * 3600 : 30;
    }
    return c.answered ? 30 : 60;
}

}  // namespace

Connection* Tracker::find(const Way& way, bool* is_answer) {
    list_.remove_if([&](const Connection& c) { return now_ms >= c.until_ms; });
    for (Connection& c : list_) {
        if (c.there == way || c.back == way) {
            *is_answer = c.there != way;
            return &c;
        }
    }
    return nullptr;
}

Answer Tracker::judge(Connection* c, bool is_answer) {
    Answer out;
    out.connection = c;
    if (c->there.proto == kTcp) {
        unsigned& mine = c->tcp[is_answer];
        unsigned& other = c->tcp[!is_answer];
        mine = std::max(mine, 1u);
        other = other == 1 ? 2 : other;
        out.state = kTrk | kEst | (is_answer ? kRpl : 0);
    } else {
        c->answered = c->answered || is_answer;
        out.state = kTrk | (c->answered ? kEst : kNew) | (is_answer ? kRpl : 0);
    }
    c->until_ms = now_ms + 1000 * seconds(*c);
    if (c->nat != Connection::kNone) {
        out.nat_state = (c->nat == Connection::kSource) != is_answer ? kSnat : kDnat;
        out.translated = turned(is_answer ? c->there : c->back);
    }
    return out;
}

Answer Tracker::look(const Way& way, unsigned icmp_type) {
    bool is_answer = false;
    if (Connection* c = find(way, &is_answer)) {
        return judge(c, is_answer);
    }
    Answer out;
    out.state = kTrk | (is_echo(way) && !is_echo_request(way, icmp_type) ? kInv : kNew);
    return out;
}

void Tracker::mark(Connection* c, const Commit& what) {
    c->mark = (c->mark & ~what.mark_mask) | (what.mark & what.mark_mask);
    c->label = wide_or(wide_and(c->label, wide_not(what.label_mask)),
                       wide_and(what.label, what.label_mask));
}

Answer Tracker::commit(const Way& way, unsigned icmp_type, const Commit& what) {
    Answer out = look(way, icmp_type);
    if (out.connection) {
        mark(out.connection, what);
        return out;
    }
    if (out.state & kInv) {
        return out;
    }
    Connection c;
    c.there = way;
    c.back = turned(way);
    if (what.address) {
        c.nat = what.nat;
        Endpoint& changed = what.nat == Connection::kSource ? c.back.to : c.back.from;
        changed.address = *what.address;
        const bool has_ports = way.proto == kTcp || way.proto == kUdp;
        changed.port = what.port != 0 && has_ports ? what.port : changed.port;
    }
    bool is_answer = false;
    if (find(c.back, &is_answer)) {
        throw Undecided{};
    }
    c.tcp[0] = 1;
    mark(&c, what);
    c.until_ms = now_ms + 1000 * (way.proto == kTcp ? 30 : 60);
    list_.push_back(c);
    out.connection = &list_.back();
    if (c.nat != Connection::kNone) {
        out.nat_state = c.nat == Connection::kSource ? kSnat : kDnat;
        out.translated = turned(c.back);
    }
    return out;
}

}  // namespace sluice::oracle
