// SPDX-License-Identifier: Apache-2.0
// LACP: the state machines of IEEE 802.1AX-2008 clause 5.4 for one aggregation of ports.
//
// What. Per port the Receive, Periodic Transmission, Mux (independent control) and Transmit
// machines with the standard's names, timers and tables; for the aggregation one Selection Logic.
// Nothing here reads a clock, a socket or a packet buffer: time and events come in, LACPDUs come
// out. Design.
//  - One aggregator. Ports whose partners are the same system with the same key, and may aggregate,
//    form a group; one group is selected and stays so while any of its ports has a partner, else
//    the largest one is. Ports of other groups stay unselected: a bond is never split between
//    switches.
//  - A port without a partner is not used (as with Open vSwitch; the bond's owner may fall back to
//    active-backup). A partner that is this very system is none: a cable led back.
//  - Independent control: it is distributed only after the partner said that it collects, so that
//    the first packets over a new member are not lost.
// Threads: one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "lib/net/addr.h"
#include "lib/program/bond_report.h"

namespace sluice::pmd {

inline constexpr uint16_t kSlowProtocols = 0x8809;  ///< EtherType
inline constexpr Mac kSlowProtocolsMac{{0x01, 0x80, 0xc2, 0x00, 0x00, 0x02}};
inline constexpr size_t kLacpduFrame = 124;  ///< bytes with Ethernet header, without FCS

/// Bits of Actor_State and Partner_State.
enum LacpState : uint8_t {
    kLacpActivity = 0x01,
    kLacpShortTimeout = 0x02,
    kLacpAggregation = 0x04,
    kLacpSync = 0x08,
    kLacpCollecting = 0x10,
    kLacpDistributing = 0x20,
    kLacpDefaulted = 0x40,
    kLacpExpired = 0x80,
};

struct Lacpdu {
    LacpSide actor;
    LacpSide partner;
    uint16_t collector_max_delay = 0;
};

/// Nothing if it is no LACPDU that can be believed.
std::optional<Lacpdu> parse_lacpdu(std::span<const uint8_t> frame);
std::vector<uint8_t> build_lacpdu(const Lacpdu& pdu, const Mac& source);
/// The answer to a Marker PDU (clause 5.5), nothing for other frames.
std::optional<std::vector<uint8_t>> marker_response(std::span<const uint8_t> frame,
                                                    const Mac& source);

struct LacpConfig {
    Mac system;
    uint16_t system_priority = 65534;
    bool is_active = true;  ///< speaks first
    bool is_fast = false;   ///< wants LACPDUs every second
    struct Port {
        uint16_t port = 1;
        uint16_t priority = 65535;
        uint16_t key = 0;
    };
    std::vector<Port> ports;
};

class Lacp {
public:
    static constexpr int64_t kFastMs = 1000;
    static constexpr int64_t kSlowMs = 30000;
    static constexpr int64_t kShortTimeoutMs = 3 * kFastMs;
    static constexpr int64_t kLongTimeoutMs = 3 * kSlowMs;
    static constexpr int64_t kAggregateWaitMs = 2000;
    static constexpr unsigned kMostPerFast = 3;  ///< LACPDUs in kFastMs

    enum class Receive : uint8_t { kPortDisabled, kExpired, kDefaulted, kCurrent };
    enum class Periodic : uint8_t { kNoPeriodic, kFast, kSlow };
    enum class Mux : uint8_t { kDetached, kWaiting, kAttached, kCollecting, kDistributing };

    explicit Lacp(const LacpConfig& config);

    /// Another device or identity in the place of a port: begins anew where that is another one.
    void set_port(unsigned port, const LacpConfig::Port& wanted);
    /// Another device is in its place: what its partner said was not said to that one.
    void forget(unsigned port);
    /// What happened; tick() lets the machines follow.
    void set_link(unsigned port, bool is_up);
    void receive(unsigned port, const Lacpdu& pdu, int64_t now_ms);
    /// Timers, selection and machines, until nothing changes any more.
    void tick(int64_t now_ms);
    /// What the port has to say now, once; nothing if nothing.
    std::optional<Lacpdu> take(unsigned port, int64_t now_ms);

    bool is_collecting(unsigned port) const;
    bool is_distributing(unsigned port) const;
    /// Some port has a partner that answers.
    bool is_negotiated() const;

    Receive receive_state(unsigned port) const { return ports_[port].receive; }
    Periodic periodic_state(unsigned port) const { return ports_[port].periodic; }
    Mux mux_state(unsigned port) const { return ports_[port].mux; }
    bool is_selected(unsigned port) const { return ports_[port].is_selected; }
    const LacpSide& actor(unsigned port) const { return ports_[port].actor; }
    const LacpSide& partner(unsigned port) const { return ports_[port].partner; }

private:
    static constexpr int64_t kNever = INT64_MAX;
    struct Port {
        LacpSide actor;
        LacpSide partner;
        bool is_up = false;
        bool is_selected = false;
        bool needs_to_tell = false;  ///< NTT
        Receive receive = Receive::kPortDisabled;
        Periodic periodic = Periodic::kNoPeriodic;
        Mux mux = Mux::kDetached;
        int64_t current_while_ms = kNever;
        int64_t periodic_ms = kNever;
        int64_t wait_while_ms = kNever;
        std::array<int64_t, kMostPerFast> sent_ms{};
    };

    void record_default(Port& port);
    void record_pdu(Port& port, const Lacpdu& pdu);
    void enter_expired(Port& port, int64_t now_ms);
    void run_receive(Port& port, int64_t now_ms);
    void run_periodic(Port& port, int64_t now_ms);
    bool run_mux(Port& port, int64_t now_ms);
    void enter_mux(Port& port, Mux state, int64_t now_ms);
    bool is_ready(int64_t now_ms) const;
    bool may_aggregate(const Port& port) const;
    bool is_same_group(const Port& a, const Port& b) const;
    void select();

    std::vector<Port> ports_;
    int lead_ = -1;  ///< a port of the selected group
};

std::string_view name_of(Lacp::Receive state);
std::string_view name_of(Lacp::Mux state);

}  // namespace sluice::pmd
