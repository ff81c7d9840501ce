// SPDX-License-Identifier: Apache-2.0
// af_xdp: a NIC that the kernel goes on using; only what is ours comes to us.
//
// What. The steering program (pmd/xdp_program.h) gives tunnel packets for our encap addresses and
// frames of localnet ports to AF_XDP sockets (pmd/xdp_socket.h), one on each receive queue of the
// device. All else goes on into the kernel, which keeps the NIC's addresses, ARP and ND, ssh and
// BGP. What is ours is told by Ports::steer(), at any time; before the first time nothing is.
//
// Why not DPDK's net_af_xdp. That of 22.11 opens the program object by itself and attaches it with
// empty maps, so that addresses and ports could only be written by looking its maps up from
// outside; the map of sockets must have one fixed name; it refuses the second queue of a veth
// ("Failed to init internals"); a frame above 3560 bytes is lost; it spends one of the 32 ethdevs.
//
// Queues. Frames of a queue without a socket would go to the kernel, which has nobody listening: so
// every receive queue of the device is bound unless `queues` says fewer, and then start-up says
// which are not and what that loses. Each frame is copied once between the kernel's memory and an
// mbuf: on a zero-copy NIC the only copy, elsewhere the second.
//
// Localnet. Frames of a VLAN of ours all come by AF_XDP. Of untagged frames those to other unicast
// addresses than the NIC's do; multicast, which the kernel needs as well, is seen through a packet
// socket (one receive queue more). Host and localnet ports of one NIC therefore do not hear each
// other: what the host sends leaves by the wire. Device and wire must leave tags in the bytes:
// reception of VLAN tags by the NIC is turned off when a VLAN is served.
//
// A veth peer's kernel hands over frames whose checksums a NIC was to finish, and AF_XDP has no
// word for that: at a veth they are recognised and finished (finish_sums.h). In generic mode the
// peer may also hand over 64 KB for a NIC to cut, which nothing here can tell from a large frame:
// "ethtool -K PEER tso off gso off" there. In native mode the kernel sees to that.
//
// Modes: xdp-mode as with Open vSwitch: native-with-zerocopy, native, generic; best-effort takes
// the best of these that works.
#pragma once

#include <memory>
#include <vector>

#include "pmd/af_packet.h"
#include "pmd/counters.h"
#include "pmd/driver.h"
#include "pmd/netdev.h"
#include "pmd/xdp_program.h"
#include "pmd/xdp_socket.h"

namespace sluice::pmd {

/// One socket's receive side. Its worker alone reads and writes it, counters excepted.
struct AfXdpRx {
    XdpSocket* socket = nullptr;
    rte_mempool* pool = nullptr;
    rte_mbuf* head = nullptr;  // of a frame whose pieces have not all come
    rte_mbuf* tail = nullptr;
    bool is_skipping = false;  // the rest of a frame that found no buffer
    bool is_veth = false;      // finishes what the peer left to a NIC
    QueueCounters counters;
};

/// One worker's way out.
struct AfXdpTx {
    XdpSocket* socket = nullptr;
    bool is_shared = false;  // with other workers: lock
    QueueCounters counters;
};

uint16_t af_xdp_rx_burst(void* queue, rte_mbuf** pkts, uint16_t n);
uint16_t af_xdp_tx_burst(void* queue, rte_mbuf** pkts, uint16_t n);

class AfXdpPort final : public Device {
public:
    static constexpr std::string_view kName = "af_xdp";
    static constexpr std::string_view kArgs[] = {"iface", "queues", "n_rxq", "xdp-mode", "frames"};
    static unsigned mbufs_held(const PortSpec&) { return 256; }
    static Result<std::unique_ptr<Device>> open(const OpenContext& context);
    ~AfXdpPort() override;

    std::span<const RxQueue> rx_queues() const override { return rx_queues_; }
    std::span<const TxQueue> tx_queues() const override { return tx_queues_; }
    uint32_t caps() const override { return kPortTxMultiSeg | kPortRxMultiSeg; }
    Mac mac() const override;
    uint16_t mtu() const override;
    Result<void> set_mtu(uint16_t mtu) override;
    bool link_up() const override { return netdev_->is_running(); }
    bool is_gone() const override { return !netdev_->name(); }
    PortStats stats() const override;
    std::vector<NamedCount> named_counts() const override;
    Result<void> steer(const Steering& steering) override;

private:
    struct Mode {
        bool native;
        XdpSocketSettings::Copy copy;
    };
    AfXdpPort() = default;
    Result<void> find_device(const OpenContext& context, const std::string& iface);
    Result<void> open_queues(const OpenContext& context, XdpSocketSettings::Copy copy);
    Result<void> attach(const std::vector<Mode>& modes);
    Result<void> open_copies(const OpenContext& context);
    void hand_out_queues(const OpenContext& context);
    void prepare_for_tags() const;

    std::string iface_;
    int control_fd_ = -1;
    std::unique_ptr<Netdev> netdev_;
    std::unique_ptr<XdpProgram> program_;
    std::vector<std::unique_ptr<XdpSocket>> sockets_;
    std::unique_ptr<AfPacketPort> copies_;  // of multicast, for untagged localnet ports
    std::vector<std::unique_ptr<AfXdpRx>> rx_;
    std::vector<std::unique_ptr<AfXdpTx>> tx_;
    std::vector<RxQueue> rx_queues_;
    std::vector<TxQueue> tx_queues_;
};

}  // namespace sluice::pmd
