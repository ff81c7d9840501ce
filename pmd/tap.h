// SPDX-License-Identifier: Apache-2.0
// tap: a network device of the host's kernel, made and owned by this port.
//
// What ovs-vsctl knows as type=internal: the host's own leg in the virtual network. Our own and not
// DPDK's net_tap, because that takes one of 32 ethdevs and a signal handler per port, and hides
// from the host that it could send 64 KB frames. Here IFF_VNET_HDR hands them over and pmd/vnet.h
// cuts them; TSO and checksum towards the host are left to the kernel.
//
// A tap has no ring to look at: an empty poll is a read() that says EAGAIN, so an idle port is
// asked only every few microseconds.
//
// up=0 leaves it to the host's administrator to set the device up.
//
// The device may be moved to another network namespace (`ip link set vm1 netns vm1`): frames go on,
// and questions follow it there. It goes when the port goes, except a persistent one
// (`ip tuntap add`), to which the port merely attaches.
#pragma once

#include <memory>
#include <vector>

#include "pmd/counters.h"
#include "pmd/driver.h"
#include "pmd/netdev.h"
#include "pmd/vnet.h"

namespace sluice::pmd {

/// Bring-up writes all; then the receiving worker alone, except counters.
struct TapRx {
    int fd = -1;
    rte_mempool* pool = nullptr;
    uint64_t next_read = 0;    // in TSC cycles: when to ask an idle tap again
    uint64_t idle_cycles = 0;  // how long an idle tap is left alone after the first empty read,
    unsigned n_empty = 0;      // twice as long after each more in a row, up to 2^kMostDoublings
    static constexpr unsigned kMostDoublings = 3;
    RxFrame frame;  // reads from `bytes`
    std::vector<uint8_t> bytes;
    QueueCounters counters;
};

/// One worker's way out; writing to the shared descriptor is safe from many threads.
struct TapTx {
    int fd = -1;
    QueueCounters counters;
};

uint16_t tap_rx_burst(void* queue, rte_mbuf** pkts, uint16_t n);
uint16_t tap_tx_burst(void* queue, rte_mbuf** pkts, uint16_t n);

class TapPort final : public Device {
public:
    static constexpr std::string_view kName = "tap";
    static constexpr std::string_view kArgs[] = {"iface", "mac", "up"};
    static unsigned mbufs_held(const PortSpec&) { return 256; }
    static Result<std::unique_ptr<Device>> open(const OpenContext& context);
    ~TapPort() override;

    std::span<const RxQueue> rx_queues() const override { return {&rx_queue_, 1}; }
    std::span<const TxQueue> tx_queues() const override { return tx_queues_; }
    uint32_t caps() const override;
    Mac mac() const override;
    uint16_t mtu() const override;
    Result<void> set_mtu(uint16_t mtu) override;
    bool link_up() const override;
    bool is_gone() const override { return !netdev(); }
    PortStats stats() const override;

private:
    TapPort() = default;
    Result<void> make_device(const std::string& iface);
    Result<void> set_up(const OpenContext& context, const std::string& iface);

    /// The device where it is now; an Error if it is gone.
    Result<Netdev> netdev() const;
    Result<Netdev> follow(const std::string& iface) const;

    mutable int socket_ = -1;  // for questions; in the namespace where the device was last seen
    mutable std::unique_ptr<Netdev> netdev_;
    TapRx rx_;
    std::vector<std::unique_ptr<TapTx>> tx_;
    RxQueue rx_queue_;
    std::vector<TxQueue> tx_queues_;
};

}  // namespace sluice::pmd
