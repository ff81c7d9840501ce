// SPDX-License-Identifier: Apache-2.0
// TunnelBfd: BFD over the tunnels to the chassis of HA groups, as Open vSwitch runs it.
//
// What. A session a tunnel (RFC 5880, asynchronous mode, strict: bfd.h). Its messages are UDP over
// IPv4 link-local addresses in Ethernet frames that go through the tunnel with key 0; the bytes are
// those of Open vSwitch, which takes everything but TTL and port as given. The state is written to
// the tunnel's TunnelLife at once, where workers read it; states() is what control is told.
// Time. Deadlines are judged only after everything that waited was taken in, and not for a while
// after this thread itself had stood still: a host that was paused has missed its peers' messages
// through no fault of theirs.
// Threads: the slow path's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/slowpath/watch/bfd.h"
#include "lib/program/tunnel.h"

namespace sluice::watch {

struct TunnelBfdConfig {
    uint32_t tunnel = 0;  ///< index in Pipeline::tunnels
    std::string name;     ///< of the tunnel
    std::string chassis;  ///< at its other end
    TunnelType type = TunnelType::kGeneve;
    Ip6 remote;  ///< IPv4-mapped where IPv4
    Ip6 local;
    uint32_t min_tx_ms = 100;
    uint32_t min_rx_ms = 1000;
    uint8_t mult = 3;
    std::shared_ptr<TunnelLife> life;  ///< tells apart two meanings of an index, too
    bool operator==(const TunnelBfdConfig&) const = default;
};

struct TunnelBfdStatus {
    uint32_t tunnel = 0;
    std::string name;
    std::string chassis;
    BfdState state = BfdState::kDown;
    BfdState remote_state = BfdState::kDown;
    uint8_t diag = 0;
    uint32_t disc = 0;
    uint32_t remote_disc = 0;
    uint32_t tx_ms = 0;         ///< interval in force
    uint32_t detection_ms = 0;  ///< silence that means down
    uint64_t flaps = 0;         ///< times it went up or down
    bool operator==(const TunnelBfdStatus&) const = default;
};

class TunnelBfd {
public:
    /// A pause of the thread that is longer than this delays judgement by as much again.
    static constexpr int64_t kPauseMs = 40;
    static constexpr int64_t kMaxGraceMs = 500;

    struct Packet {
        uint32_t tunnel;
        std::vector<uint8_t> frame;
    };
    struct Outcome {
        bool known = false;    ///< a session took it
        bool changed = false;  ///< states() differs
    };
    /// The outer header's addresses and type.
    struct Ends {
        TunnelType type;
        Ip6 source;
        Ip6 target;
    };

    explicit TunnelBfd(std::function<uint32_t()> random) : random_(std::move(random)) {}
    ~TunnelBfd();
    TunnelBfd(const TunnelBfd&) = delete;
    TunnelBfd& operator=(const TunnelBfd&) = delete;

    /// The complete list. True when states() changed.
    bool configure(const std::vector<TunnelBfdConfig>& tunnels, int64_t now_ms);
    /// An inner frame that came with key 0.
    Outcome take(std::span<const uint8_t> frame, const Headers& headers, const Ends& ends,
                 int64_t now_ms, std::vector<Packet>* packets);
    /// To be called often, due or not, after what came in was given to take(). True when states()
    /// changed.
    bool run(int64_t now_ms, std::vector<Packet>* packets);
    std::vector<TunnelBfdStatus> states() const;

private:
    struct Peer {
        TunnelBfdConfig config;
        BfdSession session;
        int64_t due_ms;
        uint64_t flaps = 0;
    };
    using Peers = std::map<uint32_t, Peer>;

    Peers::iterator find(const BfdMessage& message, const Ends& ends);
    void start(const TunnelBfdConfig& config, int64_t now_ms);
    void stop(Peers::iterator it);
    void schedule(Peers::iterator it);
    /// Writes what workers read. True when the state is another than before.
    static bool note(Peer* peer, BfdState before);
    uint32_t new_disc() const;
    static Packet packet(const TunnelBfdConfig& config, const BfdMessage& message);

    std::function<uint32_t()> random_;
    Peers peers_;                                 ///< by tunnel
    std::map<uint32_t, uint32_t> by_disc_;        ///< ours -> tunnel
    std::set<std::pair<int64_t, uint32_t>> due_;  ///< due_ms, tunnel
    int64_t seen_ms_ = -1;                        ///< last call of run()
    int64_t judge_ms_ = 0;                        ///< no session times out before
};

}  // namespace sluice::watch
