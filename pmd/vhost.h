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
// Offloads. Checksum and TSO are negotiated both ways (tso=no: not TSO, for guests that are slower
// with it; then nothing is joined for them); UFO is not (no driver of today's guests
// needs it). From the guest: partial checksums are finished here, and TCP that the guest left
// uncut is handed up whole where the ports' owner takes it, else cut here (pmd/vnet.h). To the
// guest: what it negotiated goes as it is, the rest is finished here. Guest memory is hostile:
// librte_vhost copies each frame before anything looks at it, and nothing here believes an offset
// that the guest wrote; headers are read from the copy. The library skips what it cannot copy; that
// is counted as errors. A ring that it cannot get past (descriptors in a loop, out of the guest's
// memory, an index that claims more than the ring has) would look like an idle guest: such a guest
// is given up, which says why in PortInfo::trouble and counts guest_faults, until it starts anew.
// The library notes the descriptors that one call uses in an array of the ring's size, but believes
// an index that claims more: so no call is given more packets than the ring has descriptors, and
// with mergeable buffers, where a packet may use the whole ring, each packet is a call. Packed
// rings are not offered.
//
// QEMU may say what concerns a network device (anything else ends the connection), and is believed
// as far as the library checks what it says: a hypervisor that takes memory away under the mapping
// (ftruncate) ends the process, as it ends every vhost-user backend.
//
// Queues. A guest may enable any number of queue pairs. They are spread over the port's `queues`
// receive queues; worker w sends to enabled pair w modulo their number. The guest is told not to
// kick, as its queues are polled.
//
// Many of them. A port costs two queues' bookkeeping, its share of a pool and a handful of open
// files (pmd/open_files.h); the library serves 1024 sockets, of which a server's port takes two.
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
#include "pmd/open_files.h"
#include "pmd/vnet.h"

namespace sluice::pmd {

/// Pairs of queues that a guest can use here.
inline constexpr unsigned kMaxVhostPairs = 64;

/// Why a guest was given up.
enum class VhostFault : uint8_t { kNone, kUnreadable, kIndex };
const char* vhost_fault_text(VhostFault fault);

/// What the library's thread says and workers read.
struct VhostLink {
    std::atomic<int> vid{-1};                          // of the connected guest, -1: none
    std::atomic<uint64_t> features{0};                 // negotiated
    std::atomic<uint64_t> to_guest{0};                 // bit p: pair p takes packets
    std::atomic<uint64_t> from_guest{0};               // bit p: pair p has packets
    std::atomic<uint32_t> connections{0};              // guests so far
    std::atomic<VhostFault> fault{VhostFault::kNone};  // a worker says it
    std::atomic<uint64_t> faults{0};                   // so far
    std::array<std::atomic<uint32_t>, 2 * kMaxVhostPairs> size{};  // descriptors of each ring
    /// What negotiation must not offer, before anybody connects: bring-up only.
    bool is_plain = false;
};

/// Where a frame that has to be in one piece is put together. Untouched memory costs nothing.
using FrameBytes = std::unique_ptr<uint8_t[]>;

/// What a worker remembers of a ring from the guest.
struct VhostRing {
    uint16_t seen = 0;           // descriptors consumed so far, as the library counts
    uint16_t empty = 0;          // turns without a frame
    uint16_t stuck = 0;          // times in a row that there was something and nothing came
    bool is_new = true;          // seen says nothing yet
    uint32_t longest = 1 << 16;  // bytes of the longest frame that the last call brought
};

/// One receive queue. Bring-up writes all; then its worker alone, but for `busy` (worker writes,
/// the library's thread reads) and counters.
struct VhostRx {
    std::atomic<uint32_t> busy{0};
    VhostLink* link = nullptr;
    uint64_t pairs = 0;        // bit p: pair p is ours
    unsigned next_pair = 0;    // where the next turn begins
    bool keeps_super = false;  // TCP goes up uncut
    rte_mempool* pool = nullptr;
    std::array<rte_mbuf*, kMaxPortBurst> waiting;  // taken from the guest, not handed up yet
    uint16_t n_waiting = 0;
    uint16_t first_waiting = 0;
    RxFrame frame;  // being cut; its bytes are in `bytes`
    FrameBytes bytes;
    std::array<VhostRing, kMaxVhostPairs> rings;
    uint32_t connection = 0;  // that `rings` is about
    QueueCounters counters;
    std::atomic<uint64_t> soft_checksum{0};
    std::atomic<uint64_t> soft_cut{0};
};

/// One worker's way to the guest. As VhostRx.
struct VhostTx {
    std::atomic<uint32_t> busy{0};
    const VhostLink* link = nullptr;
    unsigned worker = 0;
    rte_mempool* pool = nullptr;
    RxFrame frame;
    FrameBytes bytes;
    QueueCounters counters;
    std::atomic<uint64_t> soft_checksum{0};
    std::atomic<uint64_t> soft_cut{0};
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
    std::string trouble() const override;

    // What the library's thread calls, by way of the socket's path.
    void connect(int vid);
    void disconnect();
    void set_ring(int vid, uint16_t virtqueue, bool is_enabled);

private:
    VhostPort() = default;
    Result<void> start(const PortSpec& spec, bool is_client, bool has_iommu);
    void learn_size(int vid, uint16_t virtqueue);
    void make_queues(const OpenContext& context, unsigned n_queues);

    std::string path_;
    bool is_registered_ = false;
    OpenFiles files_;
    Mac mac_;
    uint16_t mtu_ = 1500;
    VhostLink link_;
    std::vector<std::unique_ptr<VhostRx>> rx_;
    std::vector<std::unique_ptr<VhostTx>> tx_;
    std::vector<RxQueue> rx_queues_;
    std::vector<TxQueue> tx_queues_;
};

}  // namespace sluice::pmd
