// SPDX-License-Identifier: Apache-2.0
#include "control/capture/pcapng.h"

#include <algorithm>
#include <cstring>

namespace sluice::pcapng {
namespace {

constexpr uint32_t kByteOrder = 0x1a2b3c4d;
constexpr uint16_t kEthernet = 1;
constexpr size_t kFrame = 12;  ///< type and the two lengths
constexpr size_t kMaxBlock = 1u << 24;
constexpr size_t kMaxOption = 0xfff0;

constexpr uint16_t kEnd = 0;
constexpr uint16_t kApplication = 4;
constexpr uint16_t kDescription = 3;
constexpr uint16_t kTimeResolution = 9;
constexpr uint16_t kFilter = 11;
constexpr uint16_t kFlags = 2;
constexpr uint16_t kDropCount = 4;
constexpr uint16_t kReceived = 4;
constexpr uint16_t kDropped = 5;

template <typename T>
void put(std::string* out, T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out->append(bytes, sizeof value);
}

template <typename T>
T get(std::string_view data, size_t at) {
    T value{};
    if (at + sizeof value <= data.size()) {
        std::memcpy(&value, data.data() + at, sizeof value);
    }
    return value;
}

void pad(std::string* out, size_t written) {
    out->append((4 - written % 4) % 4, '\0');
}

void option(std::string* out, uint16_t code, std::string_view value) {
    value = value.substr(0, kMaxOption);
    put(out, code);
    put(out, static_cast<uint16_t>(value.size()));
    out->append(value);
    pad(out, value.size());
}

template <typename T>
void number(std::string* out, uint16_t code, T value) {
    std::string bytes;
    put(&bytes, value);
    option(out, code, bytes);
}

void text(std::string* out, uint16_t code, std::string_view value) {
    if (!value.empty()) {
        option(out, code, value);
    }
}

/// Starts a block; close() writes its lengths.
class Block {
public:
    Block(std::string* out, BlockType type) : out_(out), start_(out->size()) {
        put(out, static_cast<uint32_t>(type));
        put(out, uint32_t{0});
    }
    void close() {
        number_of_end();
        const auto length = static_cast<uint32_t>(out_->size() - start_ + 4);
        put(out_, length);
        std::memcpy(out_->data() + start_ + 4, &length, sizeof length);
    }

private:
    void number_of_end() {
        put(out_, kEnd);
        put(out_, uint16_t{0});
    }
    std::string* out_;
    size_t start_;
};

/// Where the options of a block start.
size_t options_at(std::string_view block) {
    switch (type_of(block)) {
    case BlockType::kSection: return 24;
    case BlockType::kInterface: return 16;
    case BlockType::kStatistics: return 20;
    case BlockType::kPacket: return 28 + (get<uint32_t>(block, 20) + size_t{3}) / 4 * 4;
    }
    return block.size();
}

}  // namespace

void append_section(std::string* out, std::string_view application, std::string_view comment) {
    Block block(out, BlockType::kSection);
    put(out, kByteOrder);
    put(out, uint16_t{1});
    put(out, uint16_t{0});
    put(out, int64_t{-1});
    text(out, kComment, comment);
    text(out, kApplication, application);
    block.close();
}

void append_interface(std::string* out, std::string_view name, std::string_view description,
                      uint32_t snaplen, std::string_view filter) {
    Block block(out, BlockType::kInterface);
    put(out, kEthernet);
    put(out, uint16_t{0});
    put(out, snaplen);
    text(out, kInterfaceName, name);
    text(out, kDescription, description);
    option(out, kTimeResolution, std::string_view("\x09", 1));
    if (!filter.empty()) {
        option(out, kFilter, std::string(1, '\0') + std::string(filter));
    }
    block.close();
}

void append_packet(std::string* out, const Packet& packet) {
    Block block(out, BlockType::kPacket);
    put(out, packet.interface);
    put(out, static_cast<uint32_t>(packet.time_ns >> 32));
    put(out, static_cast<uint32_t>(packet.time_ns));
    put(out, static_cast<uint32_t>(packet.bytes.size()));
    put(out, packet.orig_len);
    out->append(reinterpret_cast<const char*>(packet.bytes.data()), packet.bytes.size());
    pad(out, packet.bytes.size());
    text(out, kComment, packet.comment);
    number(out, kFlags, static_cast<uint32_t>(packet.way));
    if (packet.lost_before) {
        number(out, kDropCount, packet.lost_before);
    }
    block.close();
}

void append_statistics(std::string* out, uint32_t interface, uint64_t time_ns, uint64_t received,
                       uint64_t lost, std::string_view comment) {
    Block block(out, BlockType::kStatistics);
    put(out, interface);
    put(out, static_cast<uint32_t>(time_ns >> 32));
    put(out, static_cast<uint32_t>(time_ns));
    text(out, kComment, comment);
    number(out, kReceived, received);
    number(out, kDropped, lost);
    block.close();
}

std::optional<std::string_view> first_block(std::string_view data, bool* bad) {
    *bad = false;
    if (data.size() < 8) {
        return std::nullopt;
    }
    const uint32_t length = get<uint32_t>(data, 4);
    if (length < kFrame || length % 4 != 0 || length > kMaxBlock) {
        *bad = true;
        return std::nullopt;
    }
    if (data.size() < length) {
        return std::nullopt;
    }
    return data.substr(0, length);
}

BlockType type_of(std::string_view block) {
    return static_cast<BlockType>(get<uint32_t>(block, 0));
}

std::string_view option_of(std::string_view block, uint16_t code) {
    size_t at = options_at(block);
    const size_t end = block.size() < 4 ? 0 : block.size() - 4;
    while (at + 4 <= end) {
        const uint16_t found = get<uint16_t>(block, at);
        const uint16_t length = get<uint16_t>(block, at + 2);
        if (found == kEnd || at + 4 + length > end) {
            break;
        }
        if (found == code) {
            return block.substr(at + 4, length);
        }
        at += 4 + (length + size_t{3}) / 4 * 4;
    }
    return {};
}

PacketView packet_of(std::string_view block) {
    PacketView view{};
    view.interface = get<uint32_t>(block, 8);
    view.time_ns = uint64_t{get<uint32_t>(block, 12)} << 32 | get<uint32_t>(block, 16);
    view.cap_len = get<uint32_t>(block, 20);
    view.orig_len = get<uint32_t>(block, 24);
    view.way = static_cast<Way>(get<uint32_t>(option_of(block, kFlags), 0) & 3);
    return view;
}

}  // namespace sluice::pcapng
