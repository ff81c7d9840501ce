// SPDX-License-Identifier: Apache-2.0
// Finishes what a Linux peer left undone: partial checksums and oversized (GSO) frames.
//
// A namespace or VM behind a veth, tap or virtio ring sends TCP as the stack likes it: up to 64 KB
// in one "frame", with only the pseudo-header summed into the checksum, and says so in a
// virtio_net_hdr beside the frame. On a real wire the NIC would cut and sum. Here the receiving
// driver does, so the rest of the program sees only frames that could have come off a wire, and
// nobody has to turn offloads off with ethtool. The kernel takes an 802.1Q tag out of the bytes as
// well; it is put back.
//
// RxFrame turns one such frame into mbufs one at a time, as the worker asks for them: a 64 KB frame
// needs no queue of segments. In the other direction make_vnet_tx() says in a virtio_net_hdr what
// an mbuf's ol_flags ask for.
//
// Where the ports' owner takes super-frames (datapath/super_frame.h), plain TCP is not cut: it
// comes as one mbuf chain that says so.
//
// What is cut: TCP over IPv4 and IPv6, UDP (USO), also inside Geneve or VXLAN when the kernel at
// the far end encapsulated before cutting. What it cannot cut is dropped and counted as an error.
// Threads: one worker per object; no allocation besides mbufs.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>

struct rte_mbuf;
struct rte_mempool;

namespace sluice::pmd {

/// struct virtio_net_hdr (linux/virtio_net.h is no C++), in our byte order.
struct VnetHeader {
    uint8_t flags = 0;
    uint8_t gso_type = 0;
    uint16_t hdr_len = 0;
    uint16_t gso_size = 0;
    uint16_t csum_start = 0;   // from here to the end is summed,
    uint16_t csum_offset = 0;  // and the sum goes here, counted from csum_start
};
static_assert(sizeof(VnetHeader) == 10);
inline constexpr uint8_t kVnetNeedsCsum = 1;
inline constexpr uint8_t kVnetDataValid = 2;
inline constexpr uint8_t kVnetGsoNone = 0;
inline constexpr uint8_t kVnetGsoTcp4 = 1;
inline constexpr uint8_t kVnetGsoTcp6 = 4;
inline constexpr uint8_t kVnetGsoUdpL4 = 5;
inline constexpr uint8_t kVnetGsoEcn = 0x80;
/// Most header bytes in front of the payload of a frame to be cut: outer, tunnel, inner.
inline constexpr size_t kMaxGsoHeaders = 256;
/// Largest frame a Linux peer hands over: 64 KB of IP packet and its L2 header.
inline constexpr size_t kMaxGsoFrame = 65535 + 64;

/// What stands beside a received frame.
struct RxHints {
    VnetHeader vnet;
    bool has_tag = false;  ///< the kernel took the outer VLAN tag out
    uint16_t tpid = 0;     ///< host order
    uint16_t tci = 0;      ///< host order
};

enum class RxStep : uint8_t {
    kPacket,     ///< one more mbuf
    kNone,       ///< nothing left of the frame
    kNoBuffer,   ///< the pool is empty; what is left of the frame is lost
    kMalformed,  ///< hints and bytes contradict each other; the frame is lost
};

/// Source of the mbufs that one received frame becomes.
class RxFrame {
public:
    /// The bytes must stay for as long as active().
    void start(const uint8_t* frame, size_t length, const RxHints& hints);
    /// From the next frame on: plain TCP comes uncut.
    void keep_super_frames(bool keep) { keeps_super_ = keep; }
    RxStep next(rte_mempool* pool, rte_mbuf** packet);
    /// Whether there is more to come.
    bool active() const { return active_; }

private:
    struct Layer {
        uint16_t l3;  // offset of an IP header
        uint16_t l4;  // offset of what it carries
        bool is_ip6;
        bool udp_summed;  // an outer UDP header with a checksum
    };
    RxStep next_whole(rte_mempool* pool, rte_mbuf** packet);
    RxStep next_segment(rte_mempool* pool, rte_mbuf** packet);
    RxStep next_super(rte_mempool* pool, rte_mbuf** packet);
    bool is_super() const;
    bool parse_layers();
    bool read_layer(size_t ether, size_t end, Layer* layer, uint8_t* protocol) const;
    bool enter_tunnel(size_t end, Layer* outer, size_t* ether) const;
    void write_headers(uint8_t* headers, const uint8_t* payload, size_t payload_length, bool last);

    const uint8_t* frame_ = nullptr;
    size_t length_ = 0;
    RxHints hints_;
    bool active_ = false;
    bool is_gso_ = false;
    bool is_parsed_ = false;
    bool keeps_super_ = false;
    // Of a frame being cut: the headers with the tag put back, and how far we are.
    std::array<uint8_t, kMaxGsoHeaders + 4> headers_;
    size_t headers_length_ = 0;  // with the tag
    size_t offset_ = 0;          // of the next payload byte in frame_
    uint32_t index_ = 0;         // of the next segment
    std::array<Layer, 2> layers_;
    unsigned n_layers_ = 0;
};

/// What the kernel must be told about an mbuf on transmit. If `headers` is not used up by a copy
/// of the frame's first bytes (copied == 0), the mbuf goes as it is; otherwise the first `copied`
/// bytes of the mbuf are to be replaced by those in `headers`.
struct VnetTx {
    VnetHeader vnet;
    uint16_t copied;
    std::array<uint8_t, 192> headers;
};
/// False if the flags cannot be honoured (headers beyond the first segment).
bool make_vnet_tx(const rte_mbuf* m, VnetTx* out);

}  // namespace sluice::pmd
