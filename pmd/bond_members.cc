// SPDX-License-Identifier: Apache-2.0
#include "pmd/bond_members.h"

#include <algorithm>

namespace sluice::pmd {
namespace {

/// Less than this in one interval is not worth moving (as Open vSwitch).
constexpr uint64_t kWorthBytes = 100'000;

}  // namespace

std::string_view name_of(BondMode mode) {
    switch (mode) {
    case BondMode::kActiveBackup: return "active-backup";
    case BondMode::kBalanceSlb: return "balance-slb";
    case BondMode::kBalanceTcp: return "balance-tcp";
    }
    return "";
}

BondMembers::BondMembers(const BondRules& rules, unsigned n_members)
    : rules_(rules), members_(n_members) {
    buckets_.fill(kNoMember);
}

void BondMembers::follow(Member& member, int64_t now_ms) const {
    const bool should = member.is_up && (member.is_ready || is_fallen_back());
    if (should == member.is_enabled) {
        member.change_ms = kNever;
        return;
    }
    if (member.change_ms == kNever) {
        // LACP has waited by itself.
        const bool is_delayed = status_ != LacpStatus::kNegotiated;
        const int64_t delay = should ? rules_.updelay_ms : rules_.downdelay_ms;
        member.change_ms = now_ms + (is_delayed ? delay : 0);
    }
    if (now_ms >= member.change_ms) {
        member.is_enabled = should;
        member.change_ms = kNever;
    }
}

uint8_t BondMembers::choose() const {
    const auto is_enabled = [&](size_t i) { return members_[i].is_enabled; };
    if (rules_.primary >= 0 && is_enabled(static_cast<size_t>(rules_.primary))) {
        return static_cast<uint8_t>(rules_.primary);
    }
    if (active_ != kNoMember && is_enabled(active_)) {
        return active_;
    }
    uint8_t soonest = kNoMember;
    for (size_t i = 0; i < members_.size(); ++i) {
        if (is_enabled(i)) {
            return static_cast<uint8_t>(i);
        }
        const Member& m = members_[i];
        const bool comes = m.is_up && (m.is_ready || is_fallen_back());
        if (comes && (soonest == kNoMember || m.change_ms < members_[soonest].change_ms)) {
            soonest = static_cast<uint8_t>(i);
        }
    }
    return soonest;
}

bool BondMembers::run(int64_t now_ms) {
    for (Member& member : members_) {
        follow(member, now_ms);
    }
    const uint8_t next = choose();
    if (next != kNoMember && !members_[next].is_enabled) {
        members_[next].is_enabled = true;  // no use in waiting while nobody works
        members_[next].change_ms = kNever;
    }
    const bool is_other = next != active_;
    active_ = next;
    place_buckets();
    return is_other;
}

void BondMembers::place_buckets() {
    unsigned turn = 0;
    const auto next_enabled = [&] {
        for (size_t i = 0; i < members_.size(); ++i) {
            const unsigned m = turn++ % static_cast<unsigned>(members_.size());
            if (members_[m].is_enabled) {
                return static_cast<uint8_t>(m);
            }
        }
        return kNoMember;
    };
    std::array<unsigned, kMostMembers> count{};
    for (uint8_t& bucket : buckets_) {
        if (bucket == kNoMember || !members_[bucket].is_enabled) {
            bucket = next_enabled();
        }
        if (bucket != kNoMember) {
            ++count[bucket];
        }
    }
    // One that comes (back) gets its share at once: new flows need not wait for rebalance().
    for (size_t i = 0; i < members_.size(); ++i) {
        const auto n = static_cast<unsigned>(std::count_if(
            members_.begin(), members_.end(), [](const Member& m) { return m.is_enabled; }));
        if (!members_[i].is_enabled || count[i]) {
            continue;
        }
        for (unsigned b = 0; b < kBondBuckets && count[i] < kBondBuckets / n; ++b) {
            if (count[buckets_[b]] > kBondBuckets / n) {
                --count[buckets_[b]];
                ++count[i];
                buckets_[b] = static_cast<uint8_t>(i);
            }
        }
    }
}

unsigned BondMembers::rebalance(const Loads& bytes) {
    std::array<uint64_t, kMostMembers> load{};
    for (unsigned b = 0; b < kBondBuckets; ++b) {
        if (buckets_[b] != kNoMember) {
            load[buckets_[b]] += bytes[b];
        }
    }
    unsigned moved = 0;
    Loads left = bytes;
    while (moved < kBondBuckets) {
        int most = -1;
        int least = -1;
        for (int i = 0; i < static_cast<int>(members_.size()); ++i) {
            const auto at = static_cast<size_t>(i);
            if (members_[at].is_enabled) {
                most = most < 0 || load[at] > load[static_cast<size_t>(most)] ? i : most;
                least = least < 0 || load[at] < load[static_cast<size_t>(least)] ? i : least;
            }
        }
        if (most < 0 || most == least) {
            break;
        }
        uint64_t& from = load[static_cast<size_t>(most)];
        uint64_t& to = load[static_cast<size_t>(least)];
        const uint64_t gap = from - to;
        if (gap < to / 32 || gap < kWorthBytes) {
            break;
        }
        // The bucket that leaves the smallest gap; each moves once.
        int best = -1;
        uint64_t best_gap = gap - gap / 10;  // moving has to be worth it
        for (unsigned b = 0; b < kBondBuckets; ++b) {
            const uint64_t twice = 2 * left[b];
            const uint64_t gap_then = twice > gap ? twice - gap : gap - twice;
            if (buckets_[b] == most && left[b] && gap_then < best_gap) {
                best = static_cast<int>(b);
                best_gap = gap_then;
            }
        }
        if (best < 0) {
            break;
        }
        const auto bucket = static_cast<size_t>(best);
        from -= left[bucket];
        to += left[bucket];
        left[bucket] = 0;
        buckets_[bucket] = static_cast<uint8_t>(least);
        ++moved;
    }
    return moved;
}

bool BondMembers::is_fallen_back() const {
    return rules_.falls_back && status_ == LacpStatus::kConfigured;
}

bool BondMembers::spreads() const {
    return rules_.mode == BondMode::kBalanceSlb
               ? !is_fallen_back()
               : rules_.mode == BondMode::kBalanceTcp && status_ == LacpStatus::kNegotiated;
}

bool BondMembers::is_shut() const {
    return (status_ == LacpStatus::kConfigured && !rules_.falls_back) ||
           (rules_.mode == BondMode::kBalanceTcp && status_ == LacpStatus::kOff);
}

}  // namespace sluice::pmd
