// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/tunnel_bfd.h"

#include <algorithm>

#include "control/slowpath/wire.h"
#include "lib/base/log.h"

SLUICE_LOG_MODULE(tunnel_bfd);

namespace sluice::watch {
namespace {

using namespace wire;

constexpr uint16_t kControlPort = 3784;  // RFC 5881, 4
constexpr uint16_t kSourcePort = 49152;
constexpr uint8_t kTtl = 255;
constexpr uint8_t kInternetControl = 0xc0;  // precedence
constexpr size_t kUdpLength = 8 + BfdMessage::kLen;
// Those of Open vSwitch, when nobody sets others.
constexpr Mac kPeerMac{{0x00, 0x23, 0x20, 0x00, 0x00, 0x01}};
constexpr uint32_t kOurIp = 0xa9fe0101;   // 169.254.1.1
constexpr uint32_t kPeerIp = 0xa9fe0100;  // 169.254.1.0

/// Every host has its own, and it is locally administered.
Mac own_mac(uint32_t disc) {
    return {{0x02, 0x23, static_cast<uint8_t>(disc >> 24), static_cast<uint8_t>(disc >> 16),
             static_cast<uint8_t>(disc >> 8), static_cast<uint8_t>(disc)}};
}

}  // namespace

TunnelBfd::~TunnelBfd() {
    while (!peers_.empty()) {
        stop(peers_.begin());
    }
}

uint32_t TunnelBfd::new_disc() const {
    uint32_t disc = random_();
    while (disc == 0 || by_disc_.contains(disc)) {
        ++disc;
    }
    return disc;
}

void TunnelBfd::schedule(Peers::iterator it) {
    const int64_t next_ms = it->second.session.next_ms();
    if (next_ms == it->second.due_ms) {
        return;
    }
    due_.erase({it->second.due_ms, it->first});
    it->second.due_ms = next_ms;
    due_.insert({next_ms, it->first});
}

bool TunnelBfd::note(Peer* peer, BfdState before) {
    const BfdState state = peer->session.state();
    const bool is_up = state == BfdState::kUp;
    peer->config.life->state.store(is_up ? TunnelLife::State::kUp : TunnelLife::State::kDown,
                                   std::memory_order_relaxed);
    if (state == before) {
        return false;
    }
    if (is_up || before == BfdState::kUp) {
        ++peer->flaps;
        LOG_INFO("{}: BFD {} (diagnostic {})", peer->config.name, to_string(state),
                 peer->session.diag());
    }
    return true;
}

void TunnelBfd::start(const TunnelBfdConfig& config, int64_t now_ms) {
    const uint32_t disc = new_disc();
    const BfdParams params{disc, config.min_tx_ms, config.min_rx_ms, config.mult, true};
    const auto it =
        peers_
            .insert_or_assign(config.tunnel,
                              Peer{config, BfdSession(params, BfdState::kDown, now_ms), INT64_MIN})
            .first;
    by_disc_[disc] = config.tunnel;
    note(&it->second, BfdState::kDown);
    schedule(it);
}

void TunnelBfd::stop(Peers::iterator it) {
    it->second.config.life->state.store(TunnelLife::State::kUnwatched, std::memory_order_relaxed);
    by_disc_.erase(it->second.session.params().disc);
    due_.erase({it->second.due_ms, it->first});
    peers_.erase(it);
}

bool TunnelBfd::configure(const std::vector<TunnelBfdConfig>& tunnels, int64_t now_ms) {
    bool changed = false;
    std::set<uint32_t> wanted;
    for (const TunnelBfdConfig& c : tunnels) {
        wanted.insert(c.tunnel);
    }
    for (auto it = peers_.begin(); it != peers_.end();) {
        const auto next = std::next(it);
        if (!wanted.contains(it->first)) {
            stop(it);
            changed = true;
        }
        it = next;
    }
    for (const TunnelBfdConfig& c : tunnels) {
        const auto it = peers_.find(c.tunnel);
        const bool is_same = it != peers_.end() && it->second.config.life == c.life &&
                             it->second.config.remote == c.remote &&
                             it->second.config.local == c.local && it->second.config.type == c.type;
        if (!is_same) {
            if (it != peers_.end()) {
                stop(it);
            }
            start(c, now_ms);
            changed = true;
            continue;
        }
        it->second.config = c;
        it->second.session.set_params(
            {it->second.session.params().disc, c.min_tx_ms, c.min_rx_ms, c.mult, true});
        schedule(it);
    }
    return changed;
}

TunnelBfd::Packet TunnelBfd::packet(const TunnelBfdConfig& config, const BfdMessage& message) {
    Writer w;
    w.ethernet(kPeerMac, own_mac(message.my_disc), kEthIp4);
    w.u8(0x45).u8(kInternetControl).u16(kIp4Len + kUdpLength).u32(0).u8(kTtl).u8(17).u16(0);
    w.u32(kOurIp).u32(kPeerIp);
    w.patch16(kEthLen + 10, fold(add(w.view(kEthLen))));
    w.u16(kSourcePort).u16(kControlPort).u16(kUdpLength).u16(0).bytes(message.bytes());
    return {config.tunnel, w.take()};
}

/// By our discriminator; a peer that does not know it yet is told by its address (RFC 5881, 4).
TunnelBfd::Peers::iterator TunnelBfd::find(const BfdMessage& message, const Ends& ends) {
    const auto is_from = [&](const Peer& peer) {
        return peer.config.type == ends.type && peer.config.remote == ends.source;
    };
    if (message.your_disc != 0) {
        const auto known = by_disc_.find(message.your_disc);
        const auto it = known == by_disc_.end() ? peers_.end() : peers_.find(known->second);
        return it != peers_.end() && is_from(it->second) ? it : peers_.end();
    }
    auto found = peers_.end();
    for (auto it = peers_.begin(); it != peers_.end(); ++it) {
        const bool is_exact = it->second.config.local == ends.target;
        if (is_from(it->second) && (is_exact || found == peers_.end())) {
            found = it;
        }
    }
    return found;
}

TunnelBfd::Outcome TunnelBfd::take(Bytes frame, const Headers& h, const Ends& ends, int64_t now_ms,
                                   std::vector<Packet>* packets) {
    const bool is_control = h.l4 != 0 && !h.is_frag && h.proto == 17 && h.l4_dst == kControlPort &&
                            h.ttl == kTtl && h.l4_len >= 8;
    const auto message = is_control ? BfdMessage::parse(frame.subspan(h.l4 + 8, h.l4_len - 8))
                                    : std::optional<BfdMessage>();
    const auto it = message ? find(*message, ends) : peers_.end();
    if (it == peers_.end()) {
        return {};
    }
    Peer& peer = it->second;
    const BfdState before = peer.session.state();
    const int64_t detection_ms = peer.session.detection_ms();
    if (const auto answer = peer.session.take(*message, now_ms)) {
        packets->push_back(packet(peer.config, *answer));
    }
    schedule(it);
    return {true, note(&peer, before) || peer.session.detection_ms() != detection_ms};
}

bool TunnelBfd::run(int64_t now_ms, std::vector<Packet>* packets) {
    const int64_t pause_ms = seen_ms_ < 0 ? 0 : now_ms - seen_ms_;
    seen_ms_ = now_ms;
    if (pause_ms > kPauseMs && !peers_.empty()) {
        judge_ms_ = now_ms + std::min(pause_ms, kMaxGraceMs);
    }
    bool changed = false;
    while (!due_.empty() && due_.begin()->first <= now_ms) {
        const auto it = peers_.find(due_.begin()->second);
        Peer& peer = it->second;
        const BfdState before = peer.session.state();
        if (now_ms < judge_ms_) {
            peer.session.wait_until(judge_ms_);
        }
        if (const auto due = peer.session.run(now_ms, random_())) {
            packets->push_back(packet(peer.config, *due));
        }
        changed |= note(&peer, before);
        schedule(it);
        if (it->second.due_ms <= now_ms) {
            break;  // its time does not move: the next round goes on
        }
    }
    return changed;
}

std::vector<TunnelBfdStatus> TunnelBfd::states() const {
    std::vector<TunnelBfdStatus> out;
    for (const auto& [tunnel, peer] : peers_) {
        const BfdSession& s = peer.session;
        out.push_back({tunnel, peer.config.name, peer.config.chassis, s.state(), s.remote_state(),
                       s.diag(), s.params().disc, s.remote_disc(), s.tx_interval_ms(),
                       static_cast<uint32_t>(s.detection_ms()), peer.flaps});
    }
    return out;
}

}  // namespace sluice::watch
