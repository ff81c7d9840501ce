// SPDX-License-Identifier: Apache-2.0
// dummy: a port in memory, a driver like any other. Tests, conformance and replay run on it.
//
// What is injected is received by the worker; what the worker sends is kept for drain() and, if
// asked for, written to a pcap file and to a unix socket. The arguments are those of Open vSwitch's
// netdev-dummy where it has them:
//   tx_pcap=FILE   sent frames       rxq_pcap=FILE  received frames     pcap=FILE  both
//   stream=unix:PATH  both directions over a socket (see frame_stream.h)
//   drain=yes|no   keep sent frames for drain(); without it only if no file or socket is given
//   ring=N         how many frames wait in each direction (a power of two)
//
// Threads: inject, drain, set_link from control; the bursts from workers. Between them two
// lock-free rings.
#pragma once

#include <rte_ring.h>

#include <atomic>
#include <memory>
#include <vector>

#include "pmd/counters.h"
#include "pmd/driver.h"
#include "pmd/frame_stream.h"
#include "pmd/pcap_file.h"
#include "pmd/vnet.h"

namespace sluice::pmd {

struct DummyFree {
    void operator()(void* p) const { ::operator delete (p, std::align_val_t{RTE_CACHE_LINE_SIZE}); }
};
using DummyRing = std::unique_ptr<rte_ring, DummyFree>;

/// What the bursts work on.
struct DummyState {
    DummyRing in;   // control -> worker
    DummyRing out;  // workers -> control; empty pointer: drain is off
    std::vector<std::unique_ptr<PcapFile>> rx_files;
    std::vector<std::unique_ptr<PcapFile>> tx_files;
    PcapFile* both_file = nullptr;  // also in one of the lists
    std::unique_ptr<FrameStream> stream;
    rte_mempool* pool = nullptr;
    RxFrame frame;               // of the receiving worker
    std::vector<uint8_t> bytes;  // what `frame` reads
    QueueCounters rx_counters;
};
struct DummyTx {
    DummyState* state;
    QueueCounters counters;
};

uint16_t dummy_rx_burst(void* state, rte_mbuf** pkts, uint16_t n);
uint16_t dummy_tx_burst(void* tx, rte_mbuf** pkts, uint16_t n);

class DummyPort final : public Device {
public:
    static constexpr std::string_view kName = "dummy";
    static constexpr std::string_view kArgs[] = {"tx_pcap", "rxq_pcap", "pcap", "stream",
                                                 "drain",   "ring",     "mac"};
    static unsigned mbufs_held(const PortSpec&) { return 512; }
    static Result<std::unique_ptr<Device>> open(const OpenContext& context);
    ~DummyPort() override;

    /// Has the worker receive this frame.
    Result<void> inject(std::span<const uint8_t> frame);
    /// All frames sent since the last call, oldest first.
    std::vector<std::vector<uint8_t>> drain();
    void set_link(bool up) { link_up_ = up; }

    std::span<const RxQueue> rx_queues() const override { return {&rx_queue_, 1}; }
    std::span<const TxQueue> tx_queues() const override { return tx_queues_; }
    uint32_t caps() const override { return kPortTxMultiSeg | kPortRxMultiSeg; }
    Mac mac() const override { return mac_; }
    uint16_t mtu() const override { return mtu_; }
    Result<void> set_mtu(uint16_t mtu) override;
    bool link_up() const override;
    PortStats stats() const override;

private:
    DummyPort() = default;
    Result<void> open_files(const PortSpec& spec);

    DummyState state_;
    std::vector<std::unique_ptr<DummyTx>> tx_;
    RxQueue rx_queue_;
    std::vector<TxQueue> tx_queues_;
    Mac mac_;
    uint16_t mtu_ = 1500;
    std::atomic<bool> link_up_{true};  // a bond asks from its own thread
};

}  // namespace sluice::pmd
