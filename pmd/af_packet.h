// SPDX-License-Identifier: Apache-2.0
// af_packet: an existing kernel network device (veth, NIC, bridge) through packet sockets.
//
// Why not DPDK's net_af_packet: it stops at 1518 bytes, sees frames whose checksum a veth peer left
// partial or that the peer's stack made 64 KB large without knowing, and spends one of the 32
// ethdevs of Debian's build per port. Here:
//  - receive is a TPACKET_V2 ring with PACKET_VNET_HDR (pmd/vnet.h finishes checksums,
//    cuts GSO frames and puts the VLAN tag back). Looking at an empty ring costs one load. A frame
//    larger than a ring slot also waits whole in the socket's queue (PACKET_COPY_THRESH), from
//    where one recv() per such frame fetches it, so slots stay small and 64 KB frames pass.
//    TPACKET_V3 would pack better but holds frames back until a block is full or a timer of
//    milliseconds runs out.
//  - transmit is one sendmmsg() per burst, with the same header, so TX checksum and TSO are real
//    capabilities: the peer's kernel gets what its own stack would have sent.
//
// The kernel goes on seeing what arrives on the device: an underlay can be shared with the host's
// own stack; the host end of a VM's veth should carry no address. Where the host's addresses are
// on a bridge's local interface (a tap), the device itself is to refuse them (rp_filter=1).
// Checksums of tagged frames are handled in both directions.
#pragma once

#include <memory>
#include <vector>

#include "pmd/counters.h"
#include "pmd/driver.h"
#include "pmd/netdev.h"
#include "pmd/vnet.h"

namespace sluice::pmd {

/// One receive socket. Bring-up writes all; afterwards its worker alone reads and writes it,
/// except counters (worker writes, control reads).
struct AfPacketRx {
    int fd = -1;
    uint8_t* ring = nullptr;
    size_t ring_bytes = 0;
    uint32_t frame_size = 0;
    uint32_t n_frames = 0;
    uint32_t head = 0;        // next slot to look at
    bool holds_slot = false;  // `frame` points into slot `head`
    rte_mempool* pool = nullptr;
    RxFrame frame;
    std::vector<uint8_t> large;  // where recv() puts what is larger than a slot
    QueueCounters counters;
};

/// One worker's way out. The socket is shared: sending on it is safe from many threads.
struct AfPacketTx {
    int fd = -1;
    QueueCounters counters;
};

uint16_t af_packet_rx_burst(void* queue, rte_mbuf** pkts, uint16_t n);
uint16_t af_packet_tx_burst(void* queue, rte_mbuf** pkts, uint16_t n);

class AfPacketPort final : public Device {
public:
    static constexpr std::string_view kName = "af_packet";
    static constexpr std::string_view kArgs[] = {"iface",      "queues",       "frames",
                                                 "frame_size", "qdisc_bypass", "copies"};
    static unsigned mbufs_held(const PortSpec&) { return 256; }
    static Result<std::unique_ptr<Device>> open(const OpenContext& context);
    ~AfPacketPort() override;

    std::span<const RxQueue> rx_queues() const override { return rx_queues_; }
    std::span<const TxQueue> tx_queues() const override { return tx_queues_; }
    uint32_t caps() const override;
    Mac mac() const override;
    uint16_t mtu() const override;
    Result<void> set_mtu(uint16_t mtu) override;
    bool link_up() const override { return netdev_->is_running(); }
    bool is_gone() const override { return !netdev_->name(); }
    PortStats stats() const override;
    /// With copies=1: whether multicast and broadcast are received, and whether the device is to
    /// take frames for others (for whoever receives them); at first neither.
    void set_listening(bool listens, bool promiscuous);

private:
    AfPacketPort() = default;
    Result<void> open_tx(const OpenContext& context);
    bool set_promiscuous(int fd, bool promiscuous);
    Result<void> open_rx(const OpenContext& context, unsigned n_frames, unsigned frame_size);

    int tx_fd_ = -1;
    int fanout_ = -1;  // group that all receive sockets join, if several
    bool is_for_copies_ = false;
    bool is_promiscuous_ = false;
    std::unique_ptr<Netdev> netdev_;
    std::vector<std::unique_ptr<AfPacketRx>> rx_;
    std::vector<std::unique_ptr<AfPacketTx>> tx_;
    std::vector<RxQueue> rx_queues_;
    std::vector<TxQueue> tx_queues_;
    mutable uint64_t kernel_drops_ = 0;  // PACKET_STATISTICS resets at each reading
};

}  // namespace sluice::pmd
