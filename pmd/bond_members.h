// SPDX-License-Identifier: Apache-2.0
// BondMembers: which members of a bond carry traffic, which one is active, and which of the hash's
// buckets goes where. Open vSwitch's rules, without a clock or a device.
//
//  - A member is enabled while its link is up and LACP (where it is on) says so; a change has to
//    last for updelay or downdelay before it counts. With nobody enabled, the first that could be
//    is enabled at once.
//  - The active member stays until it is disabled; the primary one takes over when it is enabled.
//  - 256 buckets; those of a disabled member go to the enabled ones in turn. rebalance() moves
//    buckets from the most to the least loaded member while that evens the load out.
// Threads: one.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice::pmd {

enum class BondMode : uint8_t { kActiveBackup, kBalanceSlb, kBalanceTcp };
enum class LacpStatus : uint8_t { kOff, kConfigured, kNegotiated };

std::string_view name_of(BondMode mode);

inline constexpr unsigned kBondBuckets = 256;
inline constexpr unsigned kMostMembers = 16;
inline constexpr uint8_t kNoMember = 0xff;

struct BondRules {
    BondMode mode = BondMode::kActiveBackup;
    int64_t updelay_ms = 0;
    int64_t downdelay_ms = 0;
    bool falls_back = false;  ///< lacp-fallback-ab: active-backup while no partner answers
    int primary = -1;
    bool all_receive = false;  ///< balance-slb: multicast by every member, not by the active alone
};

class BondMembers {
public:
    using Loads = std::array<uint64_t, kBondBuckets>;

    BondMembers(const BondRules& rules, unsigned n_members);

    void set_rules(const BondRules& rules) { rules_ = rules; }
    const BondRules& rules() const { return rules_; }
    /// Its device goes now.
    void forget(unsigned member) { members_[member] = Member{}; }
    void set_link(unsigned member, bool is_up) { members_[member].is_up = is_up; }
    /// `is_ready`: LACP lets this member carry traffic (without LACP: true).
    void set_lacp(unsigned member, bool is_ready) { members_[member].is_ready = is_ready; }
    void set_status(LacpStatus status) { status_ = status; }
    /// Follows what was set. True when the active member is another one.
    bool run(int64_t now_ms);
    /// Bytes that each bucket sent since the last call. How many buckets moved.
    unsigned rebalance(const Loads& bytes);

    LacpStatus status() const { return status_; }
    /// No partner answers, and the bond is to work all the same.
    bool is_fallen_back() const;
    bool is_enabled(unsigned member) const { return members_[member].is_enabled; }
    uint8_t active() const { return active_; }
    /// kNoMember when nobody is enabled.
    uint8_t member_of(unsigned bucket) const { return buckets_[bucket]; }
    /// Packets are spread by hash; else all take the active member (or none).
    bool spreads() const;
    /// Nothing may be sent or received: balance-tcp or LACP without a partner.
    bool is_shut() const;

private:
    static constexpr int64_t kNever = INT64_MAX;
    struct Member {
        bool is_up = false;
        bool is_ready = true;
        bool is_enabled = false;
        int64_t change_ms = kNever;  ///< when the change counts
    };
    void follow(Member& member, int64_t now_ms) const;
    uint8_t choose() const;
    void place_buckets();

    BondRules rules_;
    std::vector<Member> members_;
    LacpStatus status_ = LacpStatus::kOff;
    uint8_t active_ = kNoMember;
    std::array<uint8_t, kBondBuckets> buckets_;
};

}  // namespace sluice::pmd
