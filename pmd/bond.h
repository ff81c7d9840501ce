// SPDX-License-Identifier: Apache-2.0
// bond: several devices that are one port, as `ovs-vsctl add-bond` asks for.
//
// Why our own: DPDK's bond driver joins ethdevs only, which af_packet, tap and AF_XDP ports here
// are not; it decides on its own what a member is, knows neither balance-slb nor Open vSwitch's
// options, and its LACP wants to be called by every burst. Here a bond is a driver like any other:
// it opens its members by their own drivers, the pipeline sees one port, and no member is a port.
//
// What. active-backup; balance-slb (by source MAC and VLAN, with the rules that keep frames led
// back by the switch out); balance-tcp (by the outer 5-tuple, in which tunnels carry their flows'
// entropy), for which a LACP partner is needed. LACP as pmd/lacp.h has it; link states, delays, the
// active member and the hash's buckets as pmd/bond_members.h has them.
//
// Design. The bond's own thread wakes every 20 ms: reads the members' links, the LACPDUs that
// workers laid aside, runs the machines, and writes what follows from it into a few atomics
// (BondSwitch). Workers read those: one load a burst for the rule of a member on receive, one a
// packet for the bucket on transmit. It sends by a transmit queue of its own that each member has
// beyond those of the workers. When the active member changes (without LACP, where the switch needs
// telling), it sends a RARP for every source address that went out lately, as Open vSwitch does.
//
// Changes. A member has one of 16 places, by which workers, LACP and the buckets know it, and keeps
// it. change() brings the members in line with another spec: who goes is sent nothing more at once
// and closed after the grace period, who comes is used after it, the others notice nothing. A
// member whose device cannot be opened, or vanished, is missing; the bond works with the others
// and change() tries again. All other arguments but mac and mtu change in place; LACP begins anew
// when what the whole system says of itself does.
//
// Arguments: mode, lacp (off, active, passive), lacp-time (slow, fast), lacp-fallback-ab,
// system-id, system-priority, updelay, downdelay, rebalance (ms, 0 never), hash-basis, primary,
// all-members-active, detect-ms (how often links are looked at), mac, and for each member
//   member.NAME=DRIVER\,KEY=VALUE...   with lacp-port-id, lacp-port-priority, lacp-aggregation-key
// as further keys.
//
// Threads. Device's functions: control. The burst functions: workers. run(): the bond's thread,
// which touches Lacp, BondMembers and the members' devices under turn_mutex_, as change() does;
// what report() tells is copied under another one.
#pragma once

#include <rte_ring.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/program/bond_report.h"
#include "pmd/bond_members.h"
#include "pmd/bond_sources.h"
#include "pmd/bond_spec.h"
#include "pmd/counters.h"
#include "pmd/driver.h"
#include "pmd/dummy.h"
#include "pmd/lacp.h"

namespace sluice::pmd {

/// What a member may receive.
enum class BondRx : uint8_t {
    kNothing,
    kAll,
    kNotOurs,         ///< all but what we sent ourselves
    kNotOursUnicast,  ///< of that, what is for one address
};

/// What the bond's thread decides and workers follow.
struct BondSwitch {
    std::atomic<bool> spreads{false};        ///< by bucket, else by `active`
    std::atomic<uint8_t> active{kNoMember};  ///< kNoMember: nothing can be sent
    std::atomic<bool> notes_sources{true};   ///< somebody may have to be told where they are
    std::array<std::atomic<uint8_t>, kBondBuckets> buckets{};
    std::array<std::atomic<BondRx>, kMostMembers> rx{};
    BondSources sources;
    BondSources announced{1'500};  ///< by gratuitous ARP just now: that may come back to us
    std::atomic<bool> hashes_l4{false};
    std::atomic<uint32_t> basis{0};
};

/// A receive queue of a member.
struct BondRxQueue {
    RxQueue inner;
    BondSwitch* rules = nullptr;
    unsigned member = 0;
    rte_ring* control = nullptr;  ///< slow protocols' frames, for the bond's thread
    QueueCounters counters;       ///< only `dropped`: refused
};

/// A worker's way out.
struct BondTxQueue {
    BondSwitch* rules = nullptr;
    std::array<TxQueue, kMostMembers> inner{};                ///< by place; written while unused
    std::array<std::atomic<uint64_t>, kBondBuckets> bytes{};  ///< sent by bucket
    QueueCounters counters;  ///< only `dropped`: no member, or it took no more
};

/// Which bucket an address of balance-slb belongs to.
unsigned slb_bucket(uint32_t basis, uint64_t mac, uint16_t vlan);

uint16_t bond_rx_burst(void* queue, rte_mbuf** pkts, uint16_t n);
uint16_t bond_tx_burst(void* queue, rte_mbuf** pkts, uint16_t n);

class BondPort final : public Device {
public:
    static constexpr std::string_view kName = "bond";
    static constexpr std::string_view kArgs[] = {"mode",
                                                 "lacp",
                                                 "lacp-time",
                                                 "lacp-fallback-ab",
                                                 "system-id",
                                                 "system-priority",
                                                 "updelay",
                                                 "downdelay",
                                                 "rebalance",
                                                 "hash-basis",
                                                 "primary",
                                                 "detect-ms",
                                                 "mac",
                                                 "member.*",
                                                 "all-members-active"};
    static unsigned mbufs_held(const PortSpec& spec);
    static Result<std::unique_ptr<Device>> open(const OpenContext& context);
    ~BondPort() override;

    std::span<const RxQueue> rx_queues() const override { return rx_queues_; }
    std::span<const TxQueue> tx_queues() const override { return tx_queues_; }
    uint32_t caps() const override;
    Mac mac() const override { return mac_; }
    uint16_t mtu() const override;
    Result<void> set_mtu(uint16_t mtu) override;
    bool link_up() const override;
    bool is_gone() const override;
    PortStats stats() const override;
    int numa_node() const override;
    std::optional<BondReport> bond() const override;
    Result<Retire> change(const OpenContext& context) override;
    bool is_partial() const override;

private:
    /// What stands in a place; without a device: nothing.
    struct Member {
        PortSpec spec;
        LacpConfig::Port lacp;
        std::unique_ptr<Device> device;
        enum class Stage : uint8_t { kComing, kUsed, kGoing } stage = Stage::kComing;
        DummyRing control;  ///< workers put in, the bond's thread takes out
        Mac mac;
        bool is_up = false;  ///< the bond's thread
        uint64_t link_resets = 0;
        uint64_t rx_pdus = 0;
        uint64_t rx_bad = 0;
        uint64_t tx_pdus = 0;
    };

    BondPort(BondSpec spec, const OpenContext& context);
    const Member* member_of(const std::string& name) const;
    std::vector<std::pair<size_t, BondSpec::Member>> open_missing(const BondSpec& wanted,
                                                                  const OpenContext& context,
                                                                  std::vector<Member>* opened);
    std::vector<size_t> mark_going(const BondSpec& wanted, size_t* n_left);
    Retire finish(const std::vector<size_t>& going, const std::vector<size_t>& coming);
    void put(size_t place, Member member);
    void clear(size_t place);
    void hand_out_rx();
    void take_rules(const BondSpec& wanted);
    LacpConfig lacp_config() const;
    LacpConfig::Port lacp_port(size_t place) const;

    static int64_t now_ms();
    void run();
    void turn(int64_t now_ms);
    void look_at_links();
    void take_control_frames(int64_t now_ms);
    void run_lacp(int64_t now_ms);
    void follow(bool is_other_active);
    void rebalance(int64_t now_ms);
    void announce_sources();
    BondRx rx_rule(unsigned member) const;
    bool send(unsigned member, const std::vector<uint8_t>& frame);
    void write_report();

    bool has_lacp() const { return spec_.lacp != LacpMode::kOff; }

    BondSpec spec_;
    const PortId id_;
    Mac mac_;
    rte_mempool* const pool_;
    const unsigned own_queue_;  ///< transmit queue of the bond's thread
    std::array<Member, kMostMembers> members_;
    std::map<std::string, std::string> missing_;  ///< member to why; control
    BondSwitch switch_;
    std::vector<std::unique_ptr<BondRxQueue>> rx_;
    std::vector<std::unique_ptr<BondTxQueue>> tx_;
    std::vector<RxQueue> rx_queues_;
    std::vector<TxQueue> tx_queues_;

    std::mutex turn_mutex_;  ///< guards what follows, spec_ and members_
    Lacp lacp_;
    BondMembers rules_;
    int64_t next_rebalance_ms_ = 0;
    BondMembers::Loads seen_bytes_{};
    uint64_t failovers_ = 0;

    mutable std::mutex mutex_;  ///< guards what follows
    std::condition_variable wake_;
    bool is_stopping_ = false;  ///< control writes, the bond's thread reads
    int64_t detect_ms_;         ///< same
    BondReport report_;         ///< the other way; without statistics
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);  ///< for closures
    std::thread thread_;
};

}  // namespace sluice::pmd
