// SPDX-License-Identifier: Apache-2.0
// Bfd: sessions of Bidirectional Forwarding Detection (RFC 5880, 5881), asynchronous mode.
//
// BfdSession is the protocol of one session and knows neither addresses nor packets around its 24
// bytes: it takes control messages and times and says what to send when. It serves every user of
// BFD: static routes (class Bfd below, from SB BFD rows) and tunnels (tunnel_bfd.h).
// `strict` takes every MUST of RFC 5880; without it a session behaves as ovn-controller's, which
// sends and announces min_tx from the start (6.8.3 wants a second until up) and no diagnostics.
//
// Demand mode is honoured when the peer asks for it, never asked for. No authentication: messages
// with it are refused (6.8.6). Threads: the slow path's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "control/slowpath/watch/headers.h"

namespace sluice::watch {

enum class BfdState : uint8_t { kAdminDown, kDown, kInit, kUp };  ///< as on the wire
const char* to_string(BfdState state);

/// A BFD control packet without authentication.
struct BfdMessage {
    static constexpr size_t kLen = 24;
    uint8_t diag = 0;
    BfdState state = BfdState::kDown;
    bool poll = false;
    bool final = false;
    bool demand = false;
    uint8_t mult = 0;
    uint32_t my_disc = 0;
    uint32_t your_disc = 0;
    uint32_t min_tx_us = 0;
    uint32_t min_rx_us = 0;

    /// Nothing for packets that RFC 5880 6.8.6 wants discarded.
    static std::optional<BfdMessage> parse(std::span<const uint8_t> bytes);
    std::vector<uint8_t> bytes() const;
};

struct BfdParams {
    uint32_t disc = 0;  ///< ours, not 0
    uint32_t min_tx_ms = 1000;
    uint32_t min_rx_ms = 1000;
    uint8_t mult = 5;
    bool strict = true;
    bool operator==(const BfdParams&) const = default;
};

class BfdSession {
public:
    /// `random(n)` gives a number below n.
    BfdSession(const BfdParams& params, BfdState state, int64_t now_ms);

    /// New parameters of the same session; a change of times is negotiated by poll (6.8.3).
    void set_params(const BfdParams& params);
    void set_admin_down(bool down);
    /// A message for this session. Answers a poll by return.
    std::optional<BfdMessage> take(const BfdMessage& message, int64_t now_ms);
    /// Notices silence, and gives the message that is due. `jitter` is below 2^16.
    std::optional<BfdMessage> run(int64_t now_ms, uint32_t jitter);
    int64_t next_ms() const;
    /// Silence is not judged before, because the fault may have been ours; it is after twice the
    /// time at the latest.
    void wait_until(int64_t ms) { judge_ms_ = ms; }
    BfdState state() const { return state_; }
    BfdState remote_state() const { return remote_state_; }
    uint32_t remote_disc() const { return remote_disc_; }
    uint8_t diag() const { return diag_; }
    uint32_t tx_interval_ms() const;
    int64_t detection_ms() const { return detection_ms_; }
    const BfdParams& params() const { return params_; }

private:
    static constexpr int64_t kFirstDetectionMs = 30'000;

    void go(BfdState state, uint8_t diag);
    BfdMessage message() const;
    bool sends() const;
    int64_t silence_ends_ms() const;

    BfdParams params_;
    BfdState state_;
    uint8_t diag_ = 0;
    BfdState remote_state_ = BfdState::kDown;
    uint32_t remote_disc_ = 0;
    uint32_t remote_min_rx_ms_ = 1;  // 6.8.1
    bool remote_demand_ = false;
    bool polling_ = false;
    int64_t detection_ms_ = kFirstDetectionMs;
    int64_t heard_ms_;
    int64_t tx_ms_;
    int64_t judge_ms_ = INT64_MIN;
};

/// One static route's session, from its SB BFD row. Addresses are IPv4-mapped where IPv4.
struct BfdConfig {
    Uuid row;
    uint32_t datapath = 0;
    uint32_t port = 0;  ///< the router port's key
    Mac src_mac;
    Ip6 src_ip;
    Ip6 dst_ip;
    uint16_t src_port = 0;
    BfdParams params;
    bool admin_down = false;
    bool operator==(const BfdConfig&) const = default;
};

struct BfdStatus {
    Uuid row;
    BfdState state;
    bool operator==(const BfdStatus&) const = default;
};

class Bfd {
public:
    struct Packet {
        uint32_t datapath;
        uint32_t port;  ///< it enters the router's ingress as if from here
        std::vector<uint8_t> frame;
    };
    explicit Bfd(std::function<uint32_t()> random) : random_(std::move(random)) {}

    /// The complete list. True when states() changed.
    bool configure(const std::vector<BfdConfig>& sessions, int64_t now_ms);
    struct Outcome {
        bool known = false;    ///< a session took it
        bool changed = false;  ///< states() differs
    };
    /// A packet that handle_bfd_msg() caught.
    Outcome take(std::span<const uint8_t> frame, const Headers& headers, int64_t now_ms,
                 std::vector<Packet>* packets);
    /// True when states() changed.
    bool run(int64_t now_ms, std::vector<Packet>* packets);
    int64_t next_ms() const;
    std::vector<BfdStatus> states() const;

private:
    struct Peer {
        BfdConfig config;
        BfdSession session;
    };
    static Packet packet(const BfdConfig& config, const BfdMessage& message);

    std::function<uint32_t()> random_;
    std::map<Uuid, Peer> peers_;  ///< by row
};

}  // namespace sluice::watch
