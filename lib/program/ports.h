// SPDX-License-Identifier: Apache-2.0
// The port table: the seam between drivers, workers and whoever plugs ports.
//
// What. pmd/ opens devices and fills the table; workers poll and send through it; control and the
// tools add, remove and ask through PortControl. Neither pmd nor datapath knows the other.
//
// Design. A worker needs three things of a port: a function to call per burst, its context, and a
// few numbers. They are plain values in a PortTable, an immutable snapshot that the composer
// publishes by RCU. Nothing virtual and no reference count is on a worker's way: one indirect call
// per burst. Names, statistics and everything that may block stay behind PortControl.
//
// Coming and going. add() makes the port part of the next snapshot(). remove() leaves it out of
// the next snapshot() and hands back a Retire closure: the device stays open, so a worker still on
// the old table may go on calling it. The composer publishes the new table, waits for the grace
// period, then calls the closure, which stops and closes the device and frees the PortId for reuse.
//   auto retire = control.remove(id);  publish(control.snapshot());  synchronize();  (*retire)();
// A queue changes its worker the same way: move_queues() leaves it out of the next snapshot(), its
// closure gives it to the new worker, and the snapshot() after that has it polled again. What
// arrives between waits in the device.
//
// Waiting. A queue whose device can tell by a descriptor that packets came names it; a worker all
// of whose queues do may sleep until one of them speaks. A descriptor lives as long as its queue.
//
// Threads. PortControl: the control thread only. PortTable: built by control, then read by every
// worker and never written. rx queue q is polled by the one worker that the snapshot names, and two
// tables in use at once never name two. tx[w] is called by worker w alone; a driver whose device
// has fewer queues than there are workers locks inside.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/limits.h"
#include "lib/base/result.h"
#include "lib/net/addr.h"
#include "lib/stats/counters.h"

struct rte_mbuf;
struct rte_mempool;

namespace sluice {

using PortId = uint16_t;
inline constexpr PortId kNoPort = 0xffff;
inline constexpr unsigned kMaxPorts = limits::kMaxPorts;
inline constexpr unsigned kMaxPortBurst = 64;  ///< most packets in one rx_burst or tx_burst call

/// What a port does by itself. Where a bit is missing, software does it before tx.
enum PortCap : uint32_t {
    kPortTxIp4Cksum = 1u << 0,    ///< honours RTE_MBUF_F_TX_IP_CKSUM
    kPortTxUdpCksum = 1u << 1,    ///< honours RTE_MBUF_F_TX_UDP_CKSUM
    kPortTxTcpCksum = 1u << 2,    ///< honours RTE_MBUF_F_TX_TCP_CKSUM
    kPortTxTso = 1u << 3,         ///< honours RTE_MBUF_F_TX_TCP_SEG
    kPortTxMultiSeg = 1u << 4,    ///< takes chained mbufs
    kPortTxOuterCksum = 1u << 5,  ///< honours RTE_MBUF_F_TX_OUTER_IP_CKSUM and _OUTER_UDP_CKSUM
    kPortTxTunnelTso = 1u << 6,   ///< honours TCP_SEG inside Geneve and VXLAN
    kPortRxCksum = 1u << 7,       ///< RTE_MBUF_F_RX_{IP,L4}_CKSUM_* are meaningful on receive
    kPortRxMultiSeg = 1u << 8,    ///< may hand up chained mbufs (frames above the data room)
};

/// Reads or sends up to n packets. rx: returns how many were filled in; the caller owns them.
/// tx: returns how many of the first were taken; the caller still owns the rest.
/// Frames are whole Ethernet frames without FCS; VLAN tags are in the bytes, never beside them.
/// On receive every checksum that the sender left partial has been completed and every oversized
/// (GSO) frame has been cut to wire size, but for plain TCP where the table's owner takes
/// super-frames: those come whole with RTE_MBUF_F_TX_TCP_SEG and tso_segsz, and what their checksum
/// field says means nothing (datapath/super_frame.h).
using BurstFn = uint16_t (*)(void* queue_ctx, rte_mbuf** pkts, uint16_t n);

/// What a receive queue cost so far: its worker adds, control reads.
struct alignas(64) RxLoad {
    std::atomic<uint64_t> cycles{0};  ///< from receiving its packets to sending them
    std::atomic<uint64_t> packets{0};
};

/// One receive queue in a worker's polling list.
struct RxQueue {
    BurstFn burst = nullptr;
    void* ctx = nullptr;
    PortId port = kNoPort;
    uint16_t queue = 0;
    int wait_fd = -1;        ///< becomes readable when packets come; -1: only polling tells
    RxLoad* load = nullptr;  ///< null: nobody counts

    uint16_t rx(rte_mbuf** pkts, uint16_t n) const { return burst(ctx, pkts, n); }
};

/// One worker's way out through a port.
struct TxQueue {
    BurstFn burst = nullptr;
    void* ctx = nullptr;

    uint16_t tx(rte_mbuf** pkts, uint16_t n) const { return burst(ctx, pkts, n); }
};

/// The part of a port that workers read: one cache line.
struct alignas(64) Port {
    PortId id = kNoPort;  ///< kNoPort: nothing here
    uint16_t mtu = 0;     ///< largest L3 packet; a frame may be 14 (+ 4 per VLAN tag) bytes more
    uint16_t n_rxq = 0;
    uint16_t n_txq = 0;           ///< how many entries tx has: one per worker
    uint32_t caps = 0;            ///< PortCap bits
    Mac mac;                      ///< the port's own address; zero where the notion has no sense
    const TxQueue* tx = nullptr;  ///< tx[worker]
    rte_mempool* pool = nullptr;  ///< pool its received packets come from

    explicit operator bool() const { return id != kNoPort; }
    bool has(uint32_t cap_bits) const { return (caps & cap_bits) == cap_bits; }
};
static_assert(sizeof(Port) == 64);

/// A queue of a port's way out, for set_queue(). Ports whose device has none get them in software.
struct PortQueue {
    uint32_t id = 0;          ///< 0 is never a queue: packets that go straight through
    uint64_t min_bps = 0;     ///< guaranteed bit/s, 0: nothing
    uint64_t max_bps = 0;     ///< bit/s, 0: no limit
    uint64_t burst_bits = 0;  ///< that may leave at once
    bool operator==(const PortQueue&) const = default;
};

/// Immutable snapshot of all ports and of who polls what.
class PortTable {
public:
    /// One port as its driver describes it; tx has one entry per worker.
    struct Entry {
        Port port;
        std::vector<RxQueue> rx;
        std::vector<TxQueue> tx;
        std::vector<uint16_t> rx_worker;  ///< which worker polls rx[i]
        bool is_shaped = false;           ///< see shaped()
    };
    PortTable(std::vector<Entry> entries, unsigned n_workers);
    PortTable(const PortTable&) = delete;
    PortTable& operator=(const PortTable&) = delete;

    /// The port, or one that is false. Any value of id is allowed.
    const Port& operator[](PortId id) const { return id < ports_.size() ? ports_[id] : kNone; }
    /// What worker w has to poll.
    std::span<const RxQueue> rx_queues(unsigned worker) const {
        return worker < polls_.size() ? std::span<const RxQueue>(polls_[worker])
                                      : std::span<const RxQueue>();
    }
    /// Indexed by PortId, with holes.
    std::span<const Port> ports() const { return ports_; }
    unsigned n_workers() const { return static_cast<unsigned>(polls_.size()); }
    /// No other table of this process has the same.
    uint64_t version() const { return version_; }
    /// Ports that hold packets back: every worker calls their tx once a turn, also with none.
    std::span<const PortId> shaped() const { return shaped_; }

private:
    static const Port kNone;
    const uint64_t version_;
    std::vector<Port> ports_;
    std::vector<TxQueue> tx_;                  // what Port::tx points into
    std::vector<std::vector<RxQueue>> polls_;  // by worker
    std::vector<PortId> shaped_;
};

/// How a port is asked for: by configuration, command line or an Interface row.
struct PortSpec {
    std::string name;    ///< unique among ports; what people see
    std::string driver;  ///< af_packet, tap, pcap, null, memif, pci, vdev, dummy
    std::map<std::string, std::string> args;

    /// The value of args[key], or "" if absent.
    const std::string& arg(const std::string& key) const;
};
/// "vm1=af_packet,iface=veth1,mtu=9000". A key without '=' gets the value "1"; commas inside a
/// value are written "\,".
Result<PortSpec> parse_port_spec(std::string_view text);
std::string to_string(const PortSpec& spec);

struct PortStats {
    uint64_t rx_packets = 0;
    uint64_t rx_bytes = 0;
    uint64_t rx_dropped = 0;  ///< arrived but lost: no buffer, ring full
    uint64_t rx_errors = 0;   ///< arrived malformed
    uint64_t tx_packets = 0;
    uint64_t tx_bytes = 0;
    uint64_t tx_dropped = 0;                  ///< not taken by the device
    uint64_t tx_errors = 0;                   ///< refused by the device
    std::array<uint64_t, kPortWorks> work{};  ///< offloads: lib/stats/port_work.def
};

/// Where a receive queue is polled, and why there.
struct QueuePlace {
    uint16_t worker = 0;
    bool is_pinned = false;  ///< by configuration
    uint64_t cycles = 0;     ///< RxLoad
    uint64_t packets = 0;
};

/// How queues that nobody pinned find a worker: Open vSwitch's other_config:pmd-rxq-assign.
enum class PlacementMode : uint8_t {
    kRoundRobin,  ///< in turn, whatever they cost
    kCycles,      ///< in turn there and back, the dearest first
    kGroup,       ///< the dearest first, each to the worker with the least
};

struct PlacementPolicy {
    PlacementMode mode = PlacementMode::kGroup;
    bool isolates = true;  ///< a worker with pinned queues gets no others (pmd-rxq-isolate)
    bool operator==(const PlacementPolicy&) const = default;
};

struct BondReport;  // lib/program/bond_report.h

/// What a driver counts beside PortStats.
struct NamedCount {
    std::string name;
    uint64_t value = 0;
};

/// The cold side of a port, for people and for the database.
struct PortInfo {
    PortId id = kNoPort;
    PortSpec spec;
    Mac mac;
    uint16_t mtu = 0;
    uint16_t n_rxq = 0;
    uint32_t caps = 0;
    bool link_up = false;
    std::string trouble;  ///< why nothing is taken from the peer any more; empty: all is well
    std::vector<uint16_t> rx_worker;  ///< which worker polls queue i
    std::vector<QueuePlace> rx;       ///< the same with its reasons and its cost
    int numa_node = -1;               ///< of the device; -1: unknown, or no matter
    std::vector<NamedCount> counts;
};

/// Called exactly once, after the grace period: stops and closes the device.
using Retire = std::function<void()>;

/// Adds, removes and describes ports. Control thread only. Implemented by pmd/ports.h.
class PortControl {
public:
    virtual ~PortControl() = default;
    virtual Result<PortId> add(const PortSpec& spec) = 0;
    virtual Result<Retire> remove(PortId id) = 0;
    /// The port is sent to, but not yet polled: what arrives before a pipeline knows the port waits
    /// in the device.
    virtual void hold(PortId) {}
    /// Ends all holds. True when there were any: the next snapshot() polls them.
    virtual bool end_holds() { return false; }
    /// The table as it should be now. Valid until the Retire closures of ports in it are called.
    virtual std::unique_ptr<const PortTable> snapshot() const = 0;

    /// kNoPort if there is none of that name.
    virtual PortId find(std::string_view name) const = 0;
    virtual std::vector<PortId> list() const = 0;
    virtual Result<PortInfo> info(PortId id) const = 0;
    virtual Result<PortStats> stats(PortId id) const = 0;
    virtual bool link_up(PortId id) const = 0;
    virtual Mac mac(PortId id) const = 0;
    virtual uint16_t mtu(PortId id) const = 0;
    /// Shows in the next snapshot().
    virtual Result<void> set_mtu(PortId id, uint16_t mtu) = 0;
    /// All queues of a port; none: it has no queues any more. Shows in the next snapshot(); the
    /// closure is called when nobody uses the one before. Empty: nothing changed.
    virtual Result<Retire> set_queues(PortId id, std::vector<PortQueue> queues);

    /// Which core polls which receive queue, for queues that are not to be placed by themselves. A
    /// core that no worker runs on, or a queue that is not there, is an Error; nothing changes
    /// then.
    virtual Result<void> pin_queues(PortId id, const std::map<unsigned, unsigned>& core_of_queue);
    virtual void set_placement(const PlacementPolicy&) {}
    /// Places all queues anew by what is wanted now. Empty: all are where they belong. Else queues
    /// that move are in no snapshot() until the closure was called.
    virtual Retire move_queues() { return {}; }

    /// Nothing if the port is no bond.
    virtual std::optional<BondReport> bond(PortId id) const;

    /// The port becomes what another spec of its name asks for, without being closed: members of a
    /// bond come and go alone. Shows in the next snapshot(); the closure as for remove(), empty:
    /// nothing changed. An Error: remove it and add it anew.
    virtual Result<Retire> change(PortId id, const PortSpec& spec);
    /// Something of what its spec asks for is missing: change() to the same spec tries again.
    virtual bool is_partial(PortId) const { return false; }
    /// The device vanished under the port: remove it, add it when it is back.
    virtual bool is_gone(PortId) const { return false; }
};

}  // namespace sluice
