// SPDX-License-Identifier: Apache-2.0
// Pcapng: the blocks of a capture file, written and taken apart.
//
// Format: draft-ietf-opsawg-pcapng. Little endian, one section, time in nanoseconds. Every block is
// its type, its length, its body and its length again, so a stream of blocks can be cut into files
// by whoever reads it: a file needs the section header and the interface blocks in front.
// Threads: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::pcapng {

enum class BlockType : uint32_t {
    kSection = 0x0a0d0d0a,
    kInterface = 1,
    kStatistics = 5,
    kPacket = 6,
};

enum class Way : uint8_t { kUnknown = 0, kInbound = 1, kOutbound = 2 };  ///< of epb_flags

struct Packet {
    uint32_t interface = 0;
    uint64_t time_ns = 0;  ///< since 1970
    std::span<const uint8_t> bytes;
    uint32_t orig_len = 0;
    Way way = Way::kUnknown;
    uint64_t lost_before = 0;  ///< packets of the interface lost since the one before
    std::string_view comment;
};

void append_section(std::string* out, std::string_view application, std::string_view comment);
void append_interface(std::string* out, std::string_view name, std::string_view description,
                      uint32_t snaplen, std::string_view filter);
void append_packet(std::string* out, const Packet& packet);
/// At the end: packets received and lost on an interface since the start.
void append_statistics(std::string* out, uint32_t interface, uint64_t time_ns, uint64_t received,
                       uint64_t lost, std::string_view comment);

/// The first block of `data`, if it is all there: a view of its bytes. `bad` is set when no block
/// can start like this.
std::optional<std::string_view> first_block(std::string_view data, bool* bad);
BlockType type_of(std::string_view block);
/// Options of a packet, interface or statistics block: the text of option `code`, "" if absent.
std::string_view option_of(std::string_view block, uint16_t code);
inline constexpr uint16_t kComment = 1;
inline constexpr uint16_t kInterfaceName = 2;

/// The fixed part of a packet block.
struct PacketView {
    uint32_t interface;
    uint64_t time_ns;
    uint32_t cap_len;
    uint32_t orig_len;
    Way way;
};
PacketView packet_of(std::string_view block);

}  // namespace sluice::pcapng
