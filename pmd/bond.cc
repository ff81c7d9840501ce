// SPDX-License-Identifier: Apache-2.0
#include "pmd/bond.h"

#include <fmt/format.h>
#include <pthread.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "lib/base/log.h"
#include "lib/net/wire.h"

SLUICE_LOG_MODULE(bond);

namespace sluice::pmd {
namespace {

constexpr size_t kLeastFrame = 60;

/// "I am `mac`, who am I?", asked of all: what a switch learns the place of an address from.
std::vector<uint8_t> rarp(uint64_t mac, uint16_t vlan) {
    std::vector<uint8_t> frame(kLeastFrame);
    uint8_t* at = frame.data();
    wire::put48(at, 0xffffffffffffull);
    wire::put48(at + 6, mac);
    at += 12;
    if (vlan) {
        wire::put16(at, wire::kTypeVlan);
        wire::put16(at + 2, vlan);
        at += 4;
    }
    wire::put16(at, wire::kTypeRarp);
    at += 2;
    constexpr uint8_t kHead[] = {0, 1, 8, 0, 6, 4, 0, 3};  // Ethernet, IPv4, reverse request
    std::memcpy(at, kHead, sizeof kHead);
    wire::put48(at + 8, mac);
    wire::put48(at + 18, mac);
    return frame;
}

}  // namespace

int64_t BondPort::now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

BondPort::~BondPort() {
    if (thread_.joinable()) {
        {
            const std::lock_guard lock(mutex_);
            is_stopping_ = true;
        }
        wake_.notify_one();
        thread_.join();
    }
    for (size_t place = 0; place < members_.size(); ++place) {
        clear(place);
    }
}

void BondPort::run() {
    pthread_setname_np(pthread_self(), "sluice-bond");
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(detect_ms_),
                           [this] { return is_stopping_; })) {
        lock.unlock();
        {
            const std::lock_guard turn_lock(turn_mutex_);
            turn(now_ms());
        }
        lock.lock();
    }
}

void BondPort::turn(int64_t now) {
    switch_.sources.set_time(now);
    switch_.announced.set_time(now);
    look_at_links();
    take_control_frames(now);
    if (has_lacp()) {
        run_lacp(now);
    }
    follow(rules_.run(now));
    rebalance(now);
    write_report();
}

void BondPort::look_at_links() {
    for (unsigned i = 0; i < members_.size(); ++i) {
        Member& member = members_[i];
        const bool is_up = member.device && member.device->link_up();
        const bool is_used = member.stage == Member::Stage::kUsed;
        if (is_up != member.is_up) {
            member.is_up = is_up;
            ++member.link_resets;
            LOG_INFO("member {}: link is {}", member.spec.name, is_up ? "up" : "down");
        }
        rules_.set_link(i, is_up && is_used);
        lacp_.set_link(i, is_up && is_used && has_lacp());
    }
}

void BondPort::take_control_frames(int64_t now) {
    for (unsigned i = 0; i < members_.size(); ++i) {
        Member& member = members_[i];
        void* packet = nullptr;
        while (member.device && rte_ring_sc_dequeue(member.control.get(), &packet) == 0) {
            auto* const m = static_cast<rte_mbuf*>(packet);
            const std::span<const uint8_t> frame(rte_pktmbuf_mtod(m, const uint8_t*), m->data_len);
            if (const std::optional<Lacpdu> pdu = parse_lacpdu(frame)) {
                ++member.rx_pdus;
                if (has_lacp()) {
                    lacp_.receive(i, *pdu, now);
                }
            } else if (const auto answer = marker_response(frame, member.mac)) {
                send(i, *answer);
            } else {
                ++member.rx_bad;
            }
            rte_pktmbuf_free(m);
        }
    }
}

void BondPort::run_lacp(int64_t now) {
    lacp_.tick(now);
    rules_.set_status(lacp_.is_negotiated() ? LacpStatus::kNegotiated : LacpStatus::kConfigured);
    for (unsigned i = 0; i < members_.size(); ++i) {
        const std::optional<Lacpdu> pdu = lacp_.take(i, now);
        if (pdu && members_[i].stage == Member::Stage::kUsed) {
            members_[i].tx_pdus += send(i, build_lacpdu(*pdu, members_[i].mac));
        }
        rules_.set_lacp(i, lacp_.is_distributing(i));
    }
}

BondRx BondPort::rx_rule(unsigned member) const {
    const bool is_active = rules_.active() == member;
    if (rules_.is_shut()) {
        return BondRx::kNothing;
    }
    if (rules_.status() == LacpStatus::kNegotiated) {
        return lacp_.is_collecting(member) ? BondRx::kAll : BondRx::kNothing;
    }
    if (rules_.spreads()) {
        const bool takes_all = is_active || rules_.rules().all_receive;
        return takes_all ? BondRx::kNotOurs : BondRx::kNotOursUnicast;
    }
    return is_active ? BondRx::kAll : BondRx::kNothing;
}

void BondPort::follow(bool is_other_active) {
    const bool is_shut = rules_.is_shut();
    const bool needs_telling = rules_.status() != LacpStatus::kNegotiated;
    for (unsigned i = 0; i < members_.size(); ++i) {
        switch_.rx[i].store(rx_rule(i), std::memory_order_relaxed);
    }
    for (unsigned b = 0; b < kBondBuckets; ++b) {
        switch_.buckets[b].store(rules_.member_of(b), std::memory_order_relaxed);
    }
    switch_.active.store(is_shut ? kNoMember : rules_.active(), std::memory_order_relaxed);
    switch_.spreads.store(rules_.spreads(), std::memory_order_relaxed);
    switch_.notes_sources.store(needs_telling, std::memory_order_relaxed);
    if (!is_other_active) {
        return;
    }
    const uint8_t active = rules_.active();
    LOG_INFO("active member is now {}", active == kNoMember ? "none" : members_[active].spec.name);
    if (active != kNoMember) {
        ++failovers_;
        if (needs_telling && !is_shut) {
            announce_sources();
        }
    }
}

void BondPort::rebalance(int64_t now) {
    if (!spec_.rebalance_ms || now < next_rebalance_ms_) {
        return;
    }
    next_rebalance_ms_ = now + spec_.rebalance_ms;
    BondMembers::Loads bytes{};
    for (unsigned b = 0; b < kBondBuckets; ++b) {
        uint64_t sum = 0;
        for (const auto& tx : tx_) {
            sum += tx->bytes[b].load(std::memory_order_relaxed);
        }
        bytes[b] = sum - std::exchange(seen_bytes_[b], sum);
    }
    if (rules_.spreads()) {
        if (const unsigned moved = rules_.rebalance(bytes)) {
            LOG_INFO("{} of {} buckets moved to even out the load", moved, kBondBuckets);
        }
    }
}

void BondPort::announce_sources() {
    switch_.sources.for_each([this](uint64_t mac, uint16_t vlan) {
        const uint8_t member = rules_.spreads()
                                   ? rules_.member_of(slb_bucket(switch_.basis.load(), mac, vlan))
                                   : rules_.active();
        if (member != kNoMember) {
            send(member, rarp(mac, vlan));
        }
    });
}

bool BondPort::send(unsigned member, const std::vector<uint8_t>& frame) {
    rte_mbuf* m = rte_pktmbuf_alloc(pool_);
    char* const at = m ? rte_pktmbuf_append(m, static_cast<uint16_t>(frame.size())) : nullptr;
    if (!at) {
        rte_pktmbuf_free(m);
        return false;
    }
    std::memcpy(at, frame.data(), frame.size());
    if (members_[member].device->tx_queues()[own_queue_].tx(&m, 1) == 1) {
        return true;
    }
    rte_pktmbuf_free(m);
    return false;
}

void BondPort::write_report() {
    BondReport report;
    report.mode = name_of(spec_.rules.mode);
    report.lacp = name_of(spec_.lacp);
    report.lacp_status = !has_lacp()                                  ? "off"
                         : rules_.status() == LacpStatus::kNegotiated ? "negotiated"
                                                                      : "configured";
    report.is_fallback = rules_.is_fallen_back();
    report.updelay_ms = static_cast<unsigned>(spec_.rules.updelay_ms);
    report.downdelay_ms = static_cast<unsigned>(spec_.rules.downdelay_ms);
    report.rebalance_ms = static_cast<unsigned>(spec_.rebalance_ms);
    report.failovers = failovers_;
    for (unsigned i = 0; i < members_.size(); ++i) {
        const Member& member = members_[i];
        if (!member.device) {
            continue;
        }
        BondMemberReport& out = report.members.emplace_back();
        out.name = member.spec.name;
        out.driver = member.spec.driver;
        out.mac = member.mac;
        out.link_up = member.is_up;
        out.is_enabled = rules_.is_enabled(i) && !rules_.is_shut();
        out.is_active = rules_.active() == i;
        out.link_resets = member.link_resets;
        for (unsigned b = 0; rules_.spreads() && b < kBondBuckets; ++b) {
            out.n_buckets += rules_.member_of(b) == i;
        }
        if (out.is_active) {
            report.active_mac = member.mac;
        }
        if (has_lacp()) {
            LacpMemberReport& lacp = out.lacp.emplace();
            lacp.receive = name_of(lacp_.receive_state(i));
            lacp.mux = name_of(lacp_.mux_state(i));
            lacp.is_attached = lacp_.is_distributing(i);
            lacp.actor = lacp_.actor(i);
            lacp.partner = lacp_.partner(i);
            lacp.rx_pdus = member.rx_pdus;
            lacp.rx_bad = member.rx_bad;
            lacp.tx_pdus = member.tx_pdus;
        }
    }
    const std::lock_guard lock(mutex_);
    report_ = std::move(report);
}

std::optional<BondReport> BondPort::bond() const {
    BondReport report;
    {
        const std::lock_guard lock(mutex_);
        report = report_;
    }
    for (const auto& rx : rx_) {
        report.rx_refused += rx->counters.dropped.load(std::memory_order_relaxed);
    }
    // Reports are by name: who came or went since the last turn of the thread is of control's.
    std::erase_if(report.members, [&](const BondMemberReport& m) {
        return !member_of(m.name) || missing_.contains(m.name);
    });
    unsigned n_rxq = 0;
    for (const Member& member : members_) {
        const auto row =
            std::ranges::find(report.members, member.spec.name, &BondMemberReport::name);
        if (!member.device || row == report.members.end()) {
            continue;
        }
        row->stats = member.device->stats();
        row->mtu = member.device->mtu();
        row->error = member.device->is_gone() ? "the device vanished" : "";
        row->first_rxq = n_rxq;
        row->n_rxq = static_cast<unsigned>(member.device->rx_queues().size());
        n_rxq += row->n_rxq;
    }
    for (const auto& [name, error] : missing_) {
        BondMemberReport& row = report.members.emplace_back();
        row.name = name;
        row.error = error;
    }
    std::ranges::sort(report.members, {}, &BondMemberReport::name);
    return report;
}

uint32_t BondPort::caps() const {
    uint32_t caps = UINT32_MAX;
    for (const Member& member : members_) {
        const bool counts = member.device && member.stage != Member::Stage::kGoing;
        caps &= counts ? member.device->caps() : UINT32_MAX;
    }
    return caps;
}

uint16_t BondPort::mtu() const {
    uint16_t least = UINT16_MAX;
    for (const Member& member : members_) {
        if (member.device && member.stage != Member::Stage::kGoing && !member.device->is_gone()) {
            least = std::min(least, member.device->mtu());
        }
    }
    return least;
}

Result<void> BondPort::set_mtu(uint16_t mtu) {
    for (const Member& member : members_) {
        const Result<void> set = member.device ? member.device->set_mtu(mtu) : Result<void>();
        if (!set) {
            return set.error().with_context("member " + member.spec.name);
        }
    }
    return {};
}

bool BondPort::link_up() const {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(report_.members,
                               [](const BondMemberReport& member) { return member.is_enabled; });
}

bool BondPort::is_gone() const {
    return std::ranges::all_of(members_,
                               [](const Member& m) { return !m.device || m.device->is_gone(); });
}

bool BondPort::is_partial() const {
    return !missing_.empty() || std::ranges::any_of(members_, [](const Member& m) {
        return m.device && m.device->is_gone();
    });
}

PortStats BondPort::stats() const {
    PortStats sum;
    for (const Member& member : members_) {
        const PortStats one = member.device ? member.device->stats() : PortStats();
        sum.rx_packets += one.rx_packets;
        sum.rx_bytes += one.rx_bytes;
        sum.rx_dropped += one.rx_dropped;
        sum.rx_errors += one.rx_errors;
        sum.tx_packets += one.tx_packets;
        sum.tx_bytes += one.tx_bytes;
        sum.tx_dropped += one.tx_dropped;
        sum.tx_errors += one.tx_errors;
    }
    for (const auto& rx : rx_) {
        sum.rx_dropped += rx->counters.dropped.load(std::memory_order_relaxed);
    }
    for (const auto& tx : tx_) {
        sum.tx_dropped += tx->counters.dropped.load(std::memory_order_relaxed);
    }
    return sum;
}

int BondPort::numa_node() const {
    std::optional<int> node;
    for (const Member& member : members_) {
        if (member.device) {
            const int own = member.device->numa_node();
            node = !node || *node == own ? own : -1;
        }
    }
    return node.value_or(-1);
}

}  // namespace sluice::pmd
