// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/bfd.h"

#include <algorithm>
#include <set>

#include "control/slowpath/watch/igmp.h"
#include "control/slowpath/wire.h"

namespace sluice::watch {
namespace {

using namespace wire;

constexpr uint16_t kControlPort = 3784;  // RFC 5881, 4
constexpr uint32_t kSlowMs = 1000;

// Flags of the second byte.
constexpr uint8_t kMultipoint = 1 << 0;
constexpr uint8_t kDemand = 1 << 1;
constexpr uint8_t kAuth = 1 << 2;
constexpr uint8_t kFinal = 1 << 4;
constexpr uint8_t kPoll = 1 << 5;

enum Diag : uint8_t { kNoDiag = 0, kTimeExpired = 1, kNeighborDown = 3, kAdministratively = 7 };

}  // namespace

const char* to_string(BfdState state) {
    switch (state) {
    case BfdState::kAdminDown: return "admin_down";
    case BfdState::kDown: return "down";
    case BfdState::kInit: return "init";
    case BfdState::kUp: return "up";
    }
    return "";
}

std::optional<BfdMessage> BfdMessage::parse(Bytes b) {
    if (b.size() < kLen || b[0] >> 5 != 1 || b[3] < kLen || b[3] > b.size() || b[2] == 0) {
        return std::nullopt;
    }
    const uint8_t flags = b[1] & 0x3f;
    BfdMessage m;
    m.diag = b[0] & 0x1f;
    m.state = static_cast<BfdState>(b[1] >> 6);
    m.poll = flags & kPoll;
    m.final = flags & kFinal;
    m.demand = flags & kDemand;
    m.mult = b[2];
    m.my_disc = load32(b, 4);
    m.your_disc = load32(b, 8);
    m.min_tx_us = load32(b, 12);
    m.min_rx_us = load32(b, 16);
    const bool needs_disc = m.state == BfdState::kInit || m.state == BfdState::kUp;
    if (flags & (kMultipoint | kAuth) || m.my_disc == 0 || (m.poll && m.final) ||
        (needs_disc && m.your_disc == 0)) {
        return std::nullopt;
    }
    return m;
}

std::vector<uint8_t> BfdMessage::bytes() const {
    Writer w;
    w.u8(static_cast<uint8_t>(1 << 5 | diag));
    w.u8(static_cast<uint8_t>(static_cast<unsigned>(state) << 6 | (poll ? kPoll : 0) |
                              (final ? kFinal : 0) | (demand ? kDemand : 0)));
    w.u8(mult).u8(kLen).u32(my_disc).u32(your_disc).u32(min_tx_us).u32(min_rx_us).u32(0);
    return w.take();
}

BfdSession::BfdSession(const BfdParams& params, BfdState state, int64_t now_ms)
    : params_(params), state_(state), heard_ms_(now_ms), tx_ms_(now_ms) {}

void BfdSession::set_params(const BfdParams& params) {
    const bool times =
        params.min_tx_ms != params_.min_tx_ms || params.min_rx_ms != params_.min_rx_ms;
    params_ = params;
    polling_ |= times && params.strict && state_ == BfdState::kUp;
}

void BfdSession::set_admin_down(bool down) {
    if (down == (state_ == BfdState::kAdminDown)) {
        return;
    }
    go(down ? BfdState::kAdminDown : BfdState::kDown, down ? kAdministratively : kNoDiag);
    remote_disc_ = 0;
}

void BfdSession::go(BfdState state, uint8_t diag) {
    state_ = state;
    diag_ = diag;
    if (state != BfdState::kUp) {
        polling_ = false;
        remote_demand_ = false;
    }
}

std::optional<BfdMessage> BfdSession::take(const BfdMessage& m, int64_t now_ms) {
    if (state_ == BfdState::kAdminDown) {
        return std::nullopt;
    }
    remote_disc_ = m.my_disc;
    remote_state_ = m.state;
    remote_min_rx_ms_ = m.min_rx_us / 1000;
    detection_ms_ = int64_t{m.mult} * std::max(m.min_tx_us / 1000, params_.min_rx_ms);
    heard_ms_ = now_ms;
    polling_ &= !m.final;
    const BfdState before = state_;
    const bool peer_is_down = m.state == BfdState::kAdminDown || m.state == BfdState::kDown;
    switch (state_) {
    case BfdState::kDown:
        if (m.state == BfdState::kDown) {
            go(BfdState::kInit, diag_);
        } else if (m.state == BfdState::kInit) {
            go(BfdState::kUp, kNoDiag);
        }
        break;
    case BfdState::kInit:
        if (m.state == BfdState::kInit || m.state == BfdState::kUp) {
            go(BfdState::kUp, kNoDiag);
        } else if (m.state == BfdState::kAdminDown) {
            go(BfdState::kDown, kNeighborDown);
        }
        break;
    case BfdState::kUp:
        if (peer_is_down) {
            go(BfdState::kDown, kNeighborDown);
        }
        break;
    case BfdState::kAdminDown: break;
    }
    if (params_.strict && state_ != before) {
        tx_ms_ = now_ms;  // 6.8.7: changes are told between the periodic messages
        polling_ = state_ == BfdState::kUp && params_.min_tx_ms < kSlowMs;
    }
    remote_demand_ = m.demand && state_ == BfdState::kUp && m.state == BfdState::kUp;
    if (!m.poll) {
        return std::nullopt;
    }
    BfdMessage answer = message();
    answer.poll = false;
    answer.final = true;
    return answer;
}

BfdMessage BfdSession::message() const {
    BfdMessage m;
    m.state = state_;
    m.diag = params_.strict ? diag_ : uint8_t{kNoDiag};
    m.poll = polling_;
    m.mult = params_.mult;
    m.my_disc = params_.disc;
    m.your_disc = remote_disc_;
    const bool slow = params_.strict && state_ != BfdState::kUp;
    m.min_tx_us = (slow ? std::max(params_.min_tx_ms, kSlowMs) : params_.min_tx_ms) * 1000;
    m.min_rx_us = params_.min_rx_ms * 1000;
    return m;
}

uint32_t BfdSession::tx_interval_ms() const {
    const bool slow = params_.strict && state_ != BfdState::kUp;
    return std::max({params_.min_tx_ms, remote_min_rx_ms_, slow ? kSlowMs : 0});
}

bool BfdSession::sends() const {
    return state_ != BfdState::kAdminDown && remote_min_rx_ms_ != 0 &&
           (!remote_demand_ || polling_);
}

std::optional<BfdMessage> BfdSession::run(int64_t now_ms, uint32_t jitter) {
    if (now_ms >= silence_ends_ms()) {
        go(BfdState::kDown, kTimeExpired);
        tx_ms_ = params_.strict ? now_ms : tx_ms_;
        remote_disc_ = 0;  // 6.8.1
        remote_min_rx_ms_ = std::max(remote_min_rx_ms_, 1u);
    }
    if (!sends() || now_ms < tx_ms_) {
        return std::nullopt;
    }
    // Up to a quarter less (6.8.7), of which 10 % always where a lost packet is the limit.
    const uint32_t interval = tx_interval_ms();
    const uint32_t least = params_.strict && params_.mult == 1 ? interval / 10 : 0;
    const uint32_t range = interval / 4 - least;
    tx_ms_ = now_ms + interval - least - (uint64_t{range} * (jitter & 0xffff) >> 16);
    return message();
}

int64_t BfdSession::silence_ends_ms() const {
    const bool expects = state_ == BfdState::kInit || state_ == BfdState::kUp;
    if (!expects || detection_ms_ == 0) {
        return INT64_MAX;
    }
    return std::clamp(judge_ms_, heard_ms_ + detection_ms_, heard_ms_ + 2 * detection_ms_);
}

int64_t BfdSession::next_ms() const {
    return std::min(sends() ? tx_ms_ : INT64_MAX, silence_ends_ms());
}

bool Bfd::configure(const std::vector<BfdConfig>& sessions, int64_t now_ms) {
    bool changed = false;
    std::set<Uuid> wanted;
    for (const BfdConfig& c : sessions) {
        wanted.insert(c.row);
        auto it = peers_.find(c.row);
        const bool is_same = it != peers_.end() && it->second.config.params.disc == c.params.disc &&
                             it->second.config.dst_ip == c.dst_ip;
        if (!is_same) {
            const BfdState first = c.admin_down ? BfdState::kAdminDown : BfdState::kDown;
            peers_.insert_or_assign(c.row, Peer{c, BfdSession(c.params, first, now_ms)});
            changed = true;
            continue;
        }
        const BfdState before = it->second.session.state();
        it->second.config = c;
        it->second.session.set_params(c.params);
        it->second.session.set_admin_down(c.admin_down);
        changed |= before != it->second.session.state();
    }
    return std::erase_if(peers_, [&](const auto& entry) { return !wanted.contains(entry.first); }) >
               0 ||
           changed;
}

Bfd::Packet Bfd::packet(const BfdConfig& c, const BfdMessage& message) {
    constexpr size_t kLength = 8 + BfdMessage::kLen;
    Writer w;
    if (is_mapped(c.src_ip)) {
        w.ethernet(kBroadcast, c.src_mac, kEthIp4);
        w.u8(0x45).u8(0).u16(kIp4Len + kLength).u16(0).u16(0x4000).u8(255).u8(17).u16(0);
        w.u32(unmapped(c.src_ip).value).u32(unmapped(c.dst_ip).value);
        w.patch16(kEthLen + 10, fold(add(w.view(kEthLen))));
    } else {
        w.ethernet(kBroadcast, c.src_mac, kEthIp6);
        w.u32(0x60000000).u16(kLength).u8(17).u8(255).ip6(c.src_ip).ip6(c.dst_ip);
    }
    const size_t start = w.size();
    w.u16(c.src_port).u16(kControlPort).u16(kLength).u16(0).bytes(message.bytes());
    if (!is_mapped(c.src_ip)) {
        const uint16_t sum = fold(add(w.view(start), pseudo6(c.src_ip, c.dst_ip, kLength, 17)));
        w.patch16(start + 6, sum ? sum : 0xffff);
    }
    return {c.datapath, c.port, w.take()};
}

Bfd::Outcome Bfd::take(Bytes frame, const Headers& h, int64_t now_ms,
                       std::vector<Packet>* packets) {
    if (h.l4 == 0 || h.is_frag || h.proto != 17 || h.l4_dst != kControlPort) {
        return {};
    }
    const auto message = BfdMessage::parse(frame.subspan(h.l4 + 8, h.l4_len - 8));
    if (!message) {
        return {};
    }
    const Ip6 from = h.is_ip4() ? mapped(h.ip4_src) : h.ip6_src;
    for (auto& [row, peer] : peers_) {
        // A peer that does not know our discriminator yet is told by its address (5881, 4).
        const bool is_ours =
            peer.config.dst_ip == from &&
            (message->your_disc == peer.config.params.disc || message->your_disc == 0);
        if (!is_ours) {
            continue;
        }
        const BfdState before = peer.session.state();
        if (const auto answer = peer.session.take(*message, now_ms)) {
            packets->push_back(packet(peer.config, *answer));
        }
        return {true, before != peer.session.state()};
    }
    return {};
}

bool Bfd::run(int64_t now_ms, std::vector<Packet>* packets) {
    bool changed = false;
    for (auto& [row, peer] : peers_) {
        const BfdState before = peer.session.state();
        if (const auto due = peer.session.run(now_ms, random_())) {
            packets->push_back(packet(peer.config, *due));
        }
        changed |= before != peer.session.state();
    }
    return changed;
}

int64_t Bfd::next_ms() const {
    int64_t next = INT64_MAX;
    for (const auto& [row, peer] : peers_) {
        next = std::min(next, peer.session.next_ms());
    }
    return next;
}

std::vector<BfdStatus> Bfd::states() const {
    std::vector<BfdStatus> out;
    for (const auto& [row, peer] : peers_) {
        out.push_back({row, peer.session.state()});
    }
    return out;
}

}  // namespace sluice::watch
