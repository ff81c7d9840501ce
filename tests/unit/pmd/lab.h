// SPDX-License-Identifier: Apache-2.0
// What the driver tests stand on: a private network namespace for the process, veth pairs, raw
// sockets as peers, and a plain second opinion on checksums that shares nothing with the drivers.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/program/ports.h"
#include "pmd/ports.h"

namespace sluice::lab {

/// How long a test waits for what must come.
inline constexpr std::chrono::milliseconds kPatience{10'000};

using Bytes = std::vector<uint8_t>;

/// Starts the EAL (once) and returns a registry with pools small enough for a test.
std::unique_ptr<pmd::Ports> make_ports(unsigned n_workers = 1, unsigned n_mbufs = 2047);
/// Moves the process into a network namespace of its own (once). False without root: skip.
bool enter_private_network();
/// Runs a shell command; false if it fails.
bool run(const std::string& command);
std::string read_output(const std::string& command);

PortSpec spec(const std::string& text);
PortId add(pmd::Ports& ports, const std::string& text);
void remove(pmd::Ports& ports, PortId id);

/// A directory that goes away with the object.
struct TempDir {
    TempDir();
    ~TempDir();
    std::string path;
};

/// Frames as bytes. Checksums are right unless said otherwise.
Bytes udp4(const Bytes& payload, uint16_t source = 1000, uint16_t destination = 2000);
/// A frame that no kernel produces or answers by itself: EtherType 0x88b5 and a counter.
Bytes plain(uint32_t number, size_t length = 60);
Bytes with_tag(const Bytes& frame, uint16_t tpid, uint16_t tci);

/// RFC 1071 in the slowest way.
uint16_t rfc1071(const Bytes& bytes);
/// True if every IP, UDP and TCP checksum of the frame (tags and Geneve/VXLAN inside allowed)
/// holds.
bool checksums_hold(const Bytes& frame, size_t ether_at = 0);

rte_mbuf* to_mbuf(rte_mempool* pool, const Bytes& frame);
Bytes to_bytes(const rte_mbuf* m);
/// Polls until `want` frames with EtherType (innermost of tags) came, or patience ends.
std::vector<Bytes> receive(const PortTable& table, PortId id, size_t want, uint16_t ethertype,
                           std::chrono::milliseconds patience = kPatience);
/// Waits for what the kernel does in its own time, such as a change of link state.
bool eventually(const std::function<bool()>& condition);
/// Sends one frame; true if taken.
bool send(const PortTable& table, PortId id, const Bytes& frame);
unsigned mbufs_in_use(const pmd::Ports& ports);
unsigned open_fds();

/// A raw packet socket on a device: what a kernel peer sends and sees.
class RawPeer {
public:
    explicit RawPeer(const std::string& iface);
    ~RawPeer();
    bool send(const Bytes& frame) const;
    /// The next frame with this EtherType, its VLAN tag put back; nothing when patience ends.
    std::optional<Bytes> receive(uint16_t ethertype) const;

private:
    int fd_;
};

uint16_t ethertype_of(const Bytes& frame);

}  // namespace sluice::lab
