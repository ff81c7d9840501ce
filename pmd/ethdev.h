// SPDX-License-Identifier: Apache-2.0
// A port that is a DPDK ethdev: what net_* virtual devices and NICs have in common.
//
// The device is hot-plugged by its devargs, configured with what it offers (checksum, TSO, RSS,
// multi-segment) and unplugged on close. Debian's DPDK holds RTE_MAX_ETHPORTS (32) of them, so
// drivers that a hypervisor has many of (af_packet, tap, dummy) do not come this way.
// Where a device has fewer tx queues than there are workers, workers share with a lock inside.
#pragma once

#include <rte_spinlock.h>

#include <memory>
#include <string>
#include <vector>

#include "pmd/counters.h"
#include "pmd/driver.h"

namespace sluice::pmd {

/// One queue of an ethdev. Written by bring-up only, except `dropped`.
struct EthdevQueue {
    uint16_t port = 0;
    uint16_t queue = 0;
    rte_spinlock_t* lock = nullptr;  // only if several workers share the tx queue
    QueueCounters counters;          // only `dropped`: what the device did not take
};

uint16_t ethdev_rx_burst(void* queue, rte_mbuf** pkts, uint16_t n);
uint16_t ethdev_tx_burst(void* queue, rte_mbuf** pkts, uint16_t n);
uint16_t ethdev_tx_burst_shared(void* queue, rte_mbuf** pkts, uint16_t n);

/// What a driver on top of ethdev has to say.
struct EthdevRequest {
    std::string devargs;  ///< "net_null7,size=64" or "0000:01:00.0"
    uint16_t n_rxq = 1;
    uint16_t n_desc = 512;
    uint16_t n_tx_desc = 512;
    std::optional<Mac> mac;
    bool has_lsc = false;    ///< changes of the link by interrupt, not by asking
    bool rx_pauses = false;  ///< sends pause frames when its rings fill
    bool tx_pauses = false;  ///< obeys those of the peer
    bool pause_autoneg = false;
};

class EthdevPort final : public Device {
public:
    static Result<std::unique_ptr<Device>> open(const OpenContext& context,
                                                const EthdevRequest& request);
    ~EthdevPort() override;

    std::span<const RxQueue> rx_queues() const override { return rx_queues_; }
    std::span<const TxQueue> tx_queues() const override { return tx_queues_; }
    uint32_t caps() const override { return caps_; }
    Mac mac() const override;
    uint16_t mtu() const override { return mtu_; }
    Result<void> set_mtu(uint16_t mtu) override;
    bool link_up() const override;
    PortStats stats() const override;
    int numa_node() const override;

private:
    EthdevPort() = default;
    Result<void> plug(const OpenContext& context, const std::string& devargs);
    Result<void> configure(const OpenContext& context, const EthdevRequest& request);
    Result<void> set_flow_control(const PortSpec& spec, const EthdevRequest& request) const;
    Result<void> set_up_queues(const OpenContext& context, const EthdevRequest& request,
                               uint16_t n_txq);

    uint16_t ethdev_ = 0;
    bool is_plugged_ = false;
    uint16_t mtu_ = 1500;
    uint32_t caps_ = 0;
    std::vector<std::unique_ptr<EthdevQueue>> rx_;
    std::vector<std::unique_ptr<EthdevQueue>> tx_;
    std::vector<std::unique_ptr<rte_spinlock_t>> locks_;
    std::vector<RxQueue> rx_queues_;
    std::vector<TxQueue> tx_queues_;
};

}  // namespace sluice::pmd
