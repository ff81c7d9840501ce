// SPDX-License-Identifier: Apache-2.0
// vhost: a virtual machine's virtio-net device over vhost-user, on librte_vhost directly.
//
// Why not DPDK's net_vhost: it takes one of Debian's 32 ethdevs per virtual machine and offers no
// TSO; a hypervisor has hundreds of ports, and a guest hands over 64 KB at a time.
//
// What. The port is there from open() to close whether or not a guest is; its link is up while one
// is connected. As a client (what `type=dpdkvhostuserclient` means) it connects to the socket that
// the hypervisor's QEMU listens on, and again whenever that comes back, so that neither side has to
// be started first and either may be restarted alone. As a server (`type=dpdkvhostuser`) it
// listens; a socket that a dead process left is removed, one that somebody serves is not.
//
// Offloads. Checksum and TSO are negotiated both ways; UFO is not (no driver of today's guests
// needs it). From the guest: partial checksums are finished here, and TCP that the guest left
// uncut is handed up whole where the ports' owner takes it, else cut here (pmd/vnet.h). To the
// guest: what it negotiated goes as it is, the rest is finished here. Guest memory is hostile:
// librte_vhost copies each frame before anything looks at it, and nothing here believes an offset
// that the guest wrote; headers are read from the copy.
//
// Queues. A guest may enable any number of queue pairs. They are spread over the port's `queues`
// receive queues; worker w sends to enabled pair w modulo their number. The guest is told not to
// kick, as its queues are polled.
//
// Threads. The vhost library's thread calls new_device, destroy_device and vring_state_changed,
// which write VhostLink; workers read it. A worker marks itself busy, then looks at `vid`;
// destroy_device takes `vid` away, then waits for everybody who is busy: after that the library may
// unmap the guest's memory.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "pmd/counters.h"
#include "pmd/driver.h"
#include "pmd/vnet.h"

namespace sluice::pmd {

/// Pairs of queues that a guest can use here.
inline constexpr unsigned kMaxVhostPairs = 64;

/// What the library's thread says and workers read.
struct VhostLink {
    std::atomic<int> vid{-1};              // of the connected guest, -1: none
    std::atomic<uint64_t> features{0};     // negotiated
    std::atomic<uint64_t> to_guest{0};     // bit p: pair p takes packets
    std::atomic<uint64_t> from_guest{0};   // bit p: pair p has packets
    std::atomic<uint32_t> connections{0};  // guests so far
    /// What negotiation must not offer, before anybody connects: bring-up only.
    bool is_plain = false;
};

/// One receive queue. Bring-up writes all; then its worker alone, but for `busy` (worker writes,
/// the library's thread reads) and counters.
struct VhostRx {
    std::atomic<uint32_t> busy{0};
    const VhostLink* link = nullptr;
    uint64_t pairs = 0;        // bit p: pair p is ours
    unsigned next_pair = 0;    // where the next turn begins
    bool keeps_super = false;  // TCP goes up uncut
    rte_mempool* pool = nullptr;
    std::array<rte_mbuf*, kMaxPortBurst> waiting;  // taken from the guest, not handed up yet
    uint16_t n_waiting = 0;
    uint16_t first_waiting = 0;
    RxFrame frame;  // being cut; its bytes are in `bytes`
    std::vector<uint8_t> bytes;
    QueueCounters counters;
};

/// One worker's way to the guest. As VhostRx.
struct VhostTx {
    std::atomic<uint32_t> busy{0};
    const VhostLink* link = nullptr;
    unsigned worker = 0;
    rte_mempool* pool = nullptr;
    RxFrame frame;
    std::vector<uint8_t> bytes;
    QueueCounters counters;
};

uint16_t vhost_rx_burst(void* queue, rte_mbuf** pkts, uint16_t n);
uint16_t vhost_tx_burst(void* queue, rte_mbuf** pkts, uint16_t n);

class VhostPort final : public Device {
public:
    static constexpr std::string_view kName = "vhost";
    static constexpr std::string_view kArgs[] = {"path", "mode", "queues", "mac", "tso", "iommu"};
    static unsigned mbufs_held(const PortSpec&) { return 512; }
    static Result<std::unique_ptr<Device>> open(const OpenContext& context);
    ~VhostPort() override;

    std::span<const RxQueue> rx_queues() const override { return rx_queues_; }
    std::span<const TxQueue> tx_queues() const override { return tx_queues_; }
    uint32_t caps() const override;
    Mac mac() const override { return mac_; }
    uint16_t mtu() const override { return mtu_; }
    Result<void> set_mtu(uint16_t mtu) override;
    bool link_up() const override;
    PortStats stats() const override;

    // What the library's thread calls, by way of the socket's path.
    void connect(int vid);
    void disconnect();
    void set_ring(uint16_t virtqueue, bool is_enabled);

private:
    VhostPort() = default;
    Result<void> start(const PortSpec& spec, bool is_client, bool has_iommu);
    void make_queues(const OpenContext& context, unsigned n_queues);

    std::string path_;
    bool is_registered_ = false;
    Mac mac_;
    uint16_t mtu_ = 1500;
    VhostLink link_;
    std::vector<std::unique_ptr<VhostRx>> rx_;
    std::vector<std::unique_ptr<VhostTx>> tx_;
    std::vector<RxQueue> rx_queues_;
    std::vector<TxQueue> tx_queues_;
};

}  // namespace sluice::pmd
