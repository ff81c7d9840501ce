// SPDX-License-Identifier: Apache-2.0
#include "pmd/lacp.h"

#include <algorithm>
#include <tuple>

#include "lib/net/wire.h"

namespace sluice::pmd {
namespace {

constexpr size_t kEth = 14;
constexpr uint8_t kSubtypeLacp = 1;
constexpr uint8_t kSubtypeMarker = 2;
constexpr uint8_t kVersion = 1;
constexpr uint8_t kTlvActor = 1;
constexpr uint8_t kTlvPartner = 2;
constexpr uint8_t kTlvCollector = 3;
constexpr uint8_t kTlvMarker = 1;
constexpr uint8_t kTlvMarkerResponse = 2;
constexpr size_t kActorAt = kEth + 2;
constexpr size_t kPartnerAt = kActorAt + 20;
constexpr size_t kCollectorAt = kPartnerAt + 20;
constexpr size_t kLacpduLeast = kCollectorAt + 16;  // what follows is reserved

/// What a Partner_* field of a PDU must agree with to speak about this port.
auto identity(const LacpSide& side) {
    return std::tie(side.system_priority, side.system, side.key, side.port_priority, side.port);
}

bool differs(const LacpSide& a, const LacpSide& b, uint8_t state_bits) {
    return identity(a) != identity(b) || ((a.state ^ b.state) & state_bits);
}

LacpSide read_side(const uint8_t* at) {
    LacpSide side;
    side.system_priority = wire::get16(at + 2);
    std::copy_n(at + 4, 6, side.system.bytes.begin());
    side.key = wire::get16(at + 10);
    side.port_priority = wire::get16(at + 12);
    side.port = wire::get16(at + 14);
    side.state = at[16];
    return side;
}

void write_side(uint8_t* at, uint8_t type, const LacpSide& side) {
    at[0] = type;
    at[1] = 20;
    wire::put16(at + 2, side.system_priority);
    std::copy_n(side.system.bytes.begin(), 6, at + 4);
    wire::put16(at + 10, side.key);
    wire::put16(at + 12, side.port_priority);
    wire::put16(at + 14, side.port);
    at[16] = side.state;
}

void write_header(std::vector<uint8_t>* frame, const Mac& source, uint8_t subtype) {
    std::copy_n(kSlowProtocolsMac.bytes.begin(), 6, frame->begin());
    std::copy_n(source.bytes.begin(), 6, frame->begin() + 6);
    wire::put16(frame->data() + 12, kSlowProtocols);
    (*frame)[kEth] = subtype;
    (*frame)[kEth + 1] = kVersion;
}

bool is_slow(std::span<const uint8_t> frame, uint8_t subtype, size_t least) {
    return frame.size() >= least && wire::get16(frame.data() + 12) == kSlowProtocols &&
           frame[kEth] == subtype;
}

}  // namespace

std::optional<Lacpdu> parse_lacpdu(std::span<const uint8_t> frame) {
    // Newer versions begin with the same TLVs (clause 5.3.2: receivers ignore what they do not
    // know).
    if (!is_slow(frame, kSubtypeLacp, kLacpduLeast) || frame[kEth + 1] < kVersion ||
        frame[kActorAt] != kTlvActor || frame[kActorAt + 1] != 20 ||
        frame[kPartnerAt] != kTlvPartner || frame[kPartnerAt + 1] != 20) {
        return std::nullopt;
    }
    Lacpdu pdu;
    pdu.actor = read_side(&frame[kActorAt]);
    pdu.partner = read_side(&frame[kPartnerAt]);
    pdu.collector_max_delay = wire::get16(&frame[kCollectorAt + 2]);
    return pdu;
}

std::vector<uint8_t> build_lacpdu(const Lacpdu& pdu, const Mac& source) {
    std::vector<uint8_t> frame(kLacpduFrame);
    write_header(&frame, source, kSubtypeLacp);
    write_side(&frame[kActorAt], kTlvActor, pdu.actor);
    write_side(&frame[kPartnerAt], kTlvPartner, pdu.partner);
    frame[kCollectorAt] = kTlvCollector;
    frame[kCollectorAt + 1] = 16;
    wire::put16(&frame[kCollectorAt + 2], pdu.collector_max_delay);
    return frame;
}

std::optional<std::vector<uint8_t>> marker_response(std::span<const uint8_t> frame,
                                                    const Mac& source) {
    if (!is_slow(frame, kSubtypeMarker, kEth + 18) || frame[kEth + 2] != kTlvMarker) {
        return std::nullopt;
    }
    std::vector<uint8_t> answer(frame.begin(), frame.end());
    write_header(&answer, source, kSubtypeMarker);
    answer[kEth + 2] = kTlvMarkerResponse;
    return answer;
}

Lacp::Lacp(const LacpConfig& config) {
    for (const LacpConfig::Port& wanted : config.ports) {
        Port& port = ports_.emplace_back();
        port.actor.system = config.system;
        port.actor.system_priority = config.system_priority;
        port.actor.key = wanted.key;
        port.actor.port = wanted.port;
        port.actor.port_priority = wanted.priority;
        port.actor.state =
            static_cast<uint8_t>(kLacpAggregation | (config.is_active ? kLacpActivity : 0) |
                                 (config.is_fast ? kLacpShortTimeout : 0));
        port.sent_ms.fill(INT64_MIN / 2);
        record_default(port);
    }
}

void Lacp::set_port(unsigned index, const LacpConfig::Port& wanted) {
    Port& port = ports_[index];
    LacpSide& actor = port.actor;
    if (actor.port == wanted.port && actor.port_priority == wanted.priority &&
        actor.key == wanted.key) {
        return;
    }
    actor.port = wanted.port;
    actor.port_priority = wanted.priority;
    actor.key = wanted.key;
    port.is_selected = false;  // the partner knew another one
    port.needs_to_tell = true;
}

void Lacp::forget(unsigned index) {
    Port& port = ports_[index];
    port.receive = Receive::kPortDisabled;
    port.current_while_ms = kNever;
    port.is_selected = false;
    record_default(port);
}

void Lacp::set_link(unsigned port, bool is_up) {
    ports_[port].is_up = is_up;
}

/// recordDefault: nobody is known at the other end.
void Lacp::record_default(Port& port) {
    port.partner = LacpSide{};
    port.actor.state |= kLacpDefaulted;
}

/// recordPDU: what the partner says about itself, and whether it agrees about us.
void Lacp::record_pdu(Port& port, const Lacpdu& pdu) {
    port.partner = pdu.actor;
    port.actor.state &= static_cast<uint8_t>(~kLacpDefaulted);
    const bool agrees = !differs(pdu.partner, port.actor, kLacpAggregation) ||
                        !(pdu.actor.state & kLacpAggregation);
    const bool is_kept_alive =
        (pdu.actor.state & kLacpActivity) ||
        ((port.actor.state & kLacpActivity) && (pdu.partner.state & kLacpActivity));
    if (!agrees || !is_kept_alive) {
        port.partner.state &= static_cast<uint8_t>(~kLacpSync);
    }
}

void Lacp::receive(unsigned index, const Lacpdu& pdu, int64_t now_ms) {
    Port& port = ports_[index];
    if (!port.is_up) {
        return;
    }
    constexpr uint8_t kTold = kLacpActivity | kLacpShortTimeout | kLacpSync | kLacpAggregation;
    // CURRENT: update_Selected, update_NTT, recordPDU.
    if (differs(pdu.actor, port.partner, kLacpAggregation)) {
        port.is_selected = false;
    }
    if (differs(pdu.partner, port.actor, kTold)) {
        port.needs_to_tell = true;
    }
    record_pdu(port, pdu);
    port.actor.state &= static_cast<uint8_t>(~kLacpExpired);
    port.current_while_ms =
        now_ms + (port.actor.state & kLacpShortTimeout ? kShortTimeoutMs : kLongTimeoutMs);
    port.receive = Receive::kCurrent;
}

void Lacp::enter_expired(Port& port, int64_t now_ms) {
    port.receive = Receive::kExpired;
    port.partner.state &= static_cast<uint8_t>(~kLacpSync);
    port.partner.state |= kLacpShortTimeout;
    port.current_while_ms = now_ms + kShortTimeoutMs;
    port.actor.state |= kLacpExpired;
}

void Lacp::run_receive(Port& port, int64_t now_ms) {
    if (!port.is_up) {
        if (port.receive != Receive::kPortDisabled) {
            port.receive = Receive::kPortDisabled;
            port.current_while_ms = kNever;
        }
        port.partner.state &= static_cast<uint8_t>(~kLacpSync);
        return;
    }
    if (port.receive == Receive::kPortDisabled) {
        enter_expired(port, now_ms);
    } else if (now_ms >= port.current_while_ms) {
        if (port.receive == Receive::kCurrent) {
            enter_expired(port, now_ms);
        } else if (port.receive == Receive::kExpired) {
            port.receive = Receive::kDefaulted;
            port.current_while_ms = kNever;
            port.is_selected = false;  // update_Default_Selected: the default is nobody
            record_default(port);
            port.actor.state &= static_cast<uint8_t>(~kLacpExpired);
        }
    }
}

bool Lacp::may_aggregate(const Port& port) const {
    return port.is_up && !(port.actor.state & kLacpDefaulted) &&
           port.partner.system != port.actor.system;
}

bool Lacp::is_same_group(const Port& a, const Port& b) const {
    const auto group = [](const Port& p) {
        return std::tie(p.partner.system_priority, p.partner.system, p.partner.key, p.actor.key);
    };
    const bool both_aggregate = a.partner.state & b.partner.state & kLacpAggregation;
    return &a == &b || (both_aggregate && group(a) == group(b));
}

/// Selection Logic (5.4.14).
void Lacp::select() {
    const auto size_of = [&](const Port& lead) {
        return std::count_if(ports_.begin(), ports_.end(), [&](const Port& p) {
            return may_aggregate(p) && is_same_group(p, lead);
        });
    };
    // Who is in already goes on, under another lead if need be; else the largest group begins.
    const auto stays = [&](const Port& p) { return p.is_selected && may_aggregate(p); };
    if (lead_ < 0 || !stays(ports_[static_cast<unsigned>(lead_)])) {
        const auto heir = std::find_if(ports_.begin(), ports_.end(), stays);
        lead_ = heir == ports_.end() ? -1 : static_cast<int>(heir - ports_.begin());
        for (size_t i = 0; heir == ports_.end() && i < ports_.size(); ++i) {
            const bool is_better =
                lead_ < 0 || size_of(ports_[i]) > size_of(ports_[static_cast<unsigned>(lead_)]);
            if (may_aggregate(ports_[i]) && is_better) {
                lead_ = static_cast<int>(i);
            }
        }
    }
    for (Port& port : ports_) {
        // Who lost its selection has to pass DETACHED before it gets another.
        port.is_selected = lead_ >= 0 && may_aggregate(port) &&
                           (port.is_selected || port.mux == Mux::kDetached) &&
                           is_same_group(port, ports_[static_cast<unsigned>(lead_)]);
    }
}

/// Ready: nobody in the aggregation is still waiting for others to join.
bool Lacp::is_ready(int64_t now_ms) const {
    return std::all_of(ports_.begin(), ports_.end(), [&](const Port& port) {
        return port.mux != Mux::kWaiting || now_ms >= port.wait_while_ms;
    });
}

void Lacp::enter_mux(Port& port, Mux state, int64_t now_ms) {
    uint8_t on = 0;
    switch (state) {
    case Mux::kDetached: break;
    case Mux::kWaiting: port.wait_while_ms = now_ms + kAggregateWaitMs; break;
    case Mux::kAttached: on = kLacpSync; break;
    case Mux::kCollecting: on = kLacpSync | kLacpCollecting; break;
    case Mux::kDistributing: on = kLacpSync | kLacpCollecting | kLacpDistributing; break;
    }
    constexpr uint8_t kAll = kLacpSync | kLacpCollecting | kLacpDistributing;
    port.actor.state = static_cast<uint8_t>((port.actor.state & ~kAll) | on);
    port.needs_to_tell |= state != Mux::kWaiting;
    port.mux = state;
}

/// True when it moved.
bool Lacp::run_mux(Port& port, int64_t now_ms) {
    const bool is_in_sync = port.partner.state & kLacpSync;
    const bool collects = port.partner.state & kLacpCollecting;
    Mux next = port.mux;
    switch (port.mux) {
    case Mux::kDetached: next = port.is_selected ? Mux::kWaiting : next; break;
    case Mux::kWaiting:
        next = !port.is_selected ? Mux::kDetached : is_ready(now_ms) ? Mux::kAttached : next;
        break;
    case Mux::kAttached:
        next = !port.is_selected ? Mux::kDetached : is_in_sync ? Mux::kCollecting : next;
        break;
    case Mux::kCollecting:
        if (!port.is_selected || !is_in_sync) {
            next = Mux::kAttached;
        } else if (collects) {
            next = Mux::kDistributing;
        }
        break;
    case Mux::kDistributing:
        if (!port.is_selected || !is_in_sync || !collects) {
            next = Mux::kCollecting;
        }
        break;
    }
    if (next == port.mux) {
        return false;
    }
    enter_mux(port, next, now_ms);
    return true;
}

void Lacp::run_periodic(Port& port, int64_t now_ms) {
    const bool is_spoken = (port.actor.state | port.partner.state) & kLacpActivity;
    if (!port.is_up || !is_spoken) {
        port.periodic = Periodic::kNoPeriodic;
        port.periodic_ms = kNever;
        port.needs_to_tell = false;  // 5.4.16: no transmission from here
        return;
    }
    const bool is_fast = port.partner.state & kLacpShortTimeout;
    bool tells = false;
    if (port.periodic == Periodic::kNoPeriodic) {
        port.periodic = Periodic::kFast;
        port.periodic_ms = now_ms + kFastMs;
    }
    if (now_ms >= port.periodic_ms || (port.periodic == Periodic::kSlow && is_fast)) {
        tells = true;  // PERIODIC_TX
    }
    if (tells || (port.periodic == Periodic::kFast && !is_fast)) {
        port.periodic = is_fast ? Periodic::kFast : Periodic::kSlow;
        port.periodic_ms = now_ms + (is_fast ? kFastMs : kSlowMs);
    }
    port.needs_to_tell |= tells;
}

void Lacp::tick(int64_t now_ms) {
    for (Port& port : ports_) {
        run_receive(port, now_ms);
    }
    for (bool moved = true; moved;) {
        select();
        moved = false;
        for (Port& port : ports_) {
            moved |= run_mux(port, now_ms);
        }
    }
    for (Port& port : ports_) {
        run_periodic(port, now_ms);
    }
}

std::optional<Lacpdu> Lacp::take(unsigned index, int64_t now_ms) {
    Port& port = ports_[index];
    auto oldest = std::min_element(port.sent_ms.begin(), port.sent_ms.end());
    if (!port.needs_to_tell || now_ms - *oldest < kFastMs) {
        return std::nullopt;
    }
    *oldest = now_ms;
    port.needs_to_tell = false;
    return Lacpdu{port.actor, port.partner, 0};
}

bool Lacp::is_collecting(unsigned port) const {
    return ports_[port].actor.state & kLacpCollecting;
}

bool Lacp::is_distributing(unsigned port) const {
    return ports_[port].mux == Mux::kDistributing;
}

bool Lacp::is_negotiated() const {
    return lead_ >= 0;
}

std::string_view name_of(Lacp::Receive state) {
    switch (state) {
    case Lacp::Receive::kPortDisabled: return "disabled";
    case Lacp::Receive::kExpired: return "expired";
    case Lacp::Receive::kDefaulted: return "defaulted";
    case Lacp::Receive::kCurrent: return "current";
    }
    return "";
}

std::string_view name_of(Lacp::Mux state) {
    switch (state) {
    case Lacp::Mux::kDetached: return "detached";
    case Lacp::Mux::kWaiting: return "waiting";
    case Lacp::Mux::kAttached: return "attached";
    case Lacp::Mux::kCollecting: return "collecting";
    case Lacp::Mux::kDistributing: return "distributing";
    }
    return "";
}

}  // namespace sluice::pmd
