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
// Arguments: mode, lacp (off, active, passive), lacp-time (slow, fast), lacp-fallback-ab,
// system-id, system-priority, updelay, downdelay, rebalance (ms, 0 never), hash-basis, primary,
// detect-ms (how often links are looked at), mac, and for each member
//   member.NAME=DRIVER\,KEY=VALUE...   with lacp-port-id, lacp-port-priority, lacp-aggregation-key
// as further keys.
//
// Threads. Device's functions: control. The burst functions: workers. run(): the bond's thread,
// which alone touches Lacp and BondMembers; what report() tells is copied under a mutex.
#pragma once

#include <rte_ring.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
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
    bool hashes_l4 = false;  ///< bring-up only
    uint32_t basis = 0;      ///< same
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
    std::vector<TxQueue> inner;                               ///< by member
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
    static constexpr std::string_view kArgs[] = {
        "mode",    "lacp",      "lacp-time", "lacp-fallback-ab", "system-id", "system-priority",
        "updelay", "downdelay", "rebalance", "hash-basis",       "primary",   "detect-ms",
        "mac",     "member.*"};
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

private:
    struct Member {
        std::string name;
        std::string driver;
        std::unique_ptr<Device> device;
        DummyRing control;  ///< workers put in, the bond's thread takes out
        Mac mac;
        bool is_up = false;  ///< the bond's thread
        uint64_t link_resets = 0;
        uint64_t rx_pdus = 0;
        uint64_t rx_bad = 0;
        uint64_t tx_pdus = 0;
    };

    explicit BondPort(BondSpec spec);
    Result<void> open_members(const OpenContext& context);
    void make_queues(const OpenContext& context);

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

    const BondSpec spec_;
    const bool has_lacp_;
    Mac mac_;
    rte_mempool* pool_ = nullptr;
    unsigned own_queue_ = 0;  ///< transmit queue of the bond's thread
    std::vector<Member> members_;
    BondSwitch switch_;
    std::vector<std::unique_ptr<BondRxQueue>> rx_;
    std::vector<std::unique_ptr<BondTxQueue>> tx_;
    std::vector<RxQueue> rx_queues_;
    std::vector<TxQueue> tx_queues_;

    // The bond's thread.
    Lacp lacp_;
    BondMembers rules_;
    int64_t next_rebalance_ms_ = 0;
    BondMembers::Loads seen_bytes_{};
    uint64_t failovers_ = 0;

    mutable std::mutex mutex_;  ///< guards what follows
    std::condition_variable wake_;
    bool is_stopping_ = false;  ///< control writes, the bond's thread reads
    BondReport report_;         ///< the other way; without statistics
    std::thread thread_;
};

}  // namespace sluice::pmd
