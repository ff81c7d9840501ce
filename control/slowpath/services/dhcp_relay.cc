// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/services/dhcp_relay.h"

#include <array>
#include <cstring>

#include "control/slowpath/services/dhcp4.h"

namespace sluice::services {
namespace {

using namespace wire;

constexpr size_t kHops = 3;
constexpr size_t kFlags = 10;
constexpr size_t kYiaddr = 16;
constexpr size_t kGiaddr = 24;
constexpr size_t kChaddr = 28;
constexpr uint8_t kRequestOp = 1;
constexpr uint8_t kReplyOp = 2;
constexpr uint8_t kOffer = 2;
constexpr uint8_t kAck = 5;

// RFC 1624 for an even-sized field at an even offset of what the checksum covers.
void replace(uint8_t* checksum, uint8_t* field, Bytes value, bool is_optional) {
    const uint16_t old = load16(Bytes(checksum, 2), 0);
    uint64_t sum = static_cast<uint16_t>(~old);
    for (size_t i = 0; i < value.size(); i += 2) {
        sum += static_cast<uint16_t>(~load16(Bytes(field, value.size()), i));
    }
    sum = add(value, sum);
    std::memcpy(field, value.data(), value.size());
    if (old != 0 || !is_optional) {
        put16(checksum, fold(sum));
    }
}

struct Parts {
    Layers at;
    Dhcp4Message message;
};

std::optional<Parts> parse(Bytes frame, uint8_t op) {
    const auto at = find_udp(frame);
    const auto message =
        at && !at->ip6 ? parse_dhcp4(udp_payload(frame, *at)) : std::optional<Dhcp4Message>();
    if (!message || message->header[0] != op || message->type == 0 || !is_ethernet(*message)) {
        return std::nullopt;
    }
    return Parts{*at, *message};
}

std::array<uint8_t, 4> bytes_of(uint32_t v) {
    std::array<uint8_t, 4> out{};
    put32(out.data(), v);
    return out;
}

}  // namespace

Answer relay_dhcp_request(Bytes request, Ip4 relay) {
    const auto parts = parse(request, kRequestOp);
    if (!parts) {
        return Answer::refused(Refusal::kMalformed, "no DHCP request to relay");
    }
    if (load32(parts->message.header, kGiaddr) != 0) {
        return Answer::refused(Refusal::kNotForUs, "request comes from another relay");
    }
    const Layers& at = parts->at;
    std::vector<uint8_t> frame(request.begin(), request.begin() + static_cast<long>(at.end));
    uint8_t* udp = frame.data() + at.transport;
    uint8_t* dhcp = udp + kUdpLen;
    const std::array<uint8_t, 2> hops = {dhcp[kHops - 1], static_cast<uint8_t>(dhcp[kHops] + 1)};
    replace(udp + 6, dhcp + kHops - 1, hops, true);
    replace(udp + 6, dhcp + kGiaddr, bytes_of(relay.value), true);
    return {Refusal::kNone, std::move(frame), "DHCP request relayed"};
}

Answer relay_dhcp_response(Bytes response, Ip4 relay, Ip4 server) {
    const auto parts = parse(response, kReplyOp);
    if (!parts) {
        return Answer::refused(Refusal::kMalformed, "no DHCP response to relay");
    }
    const Dhcp4Message& message = parts->message;
    const uint32_t given = load32(message.header, kYiaddr);
    const bool is_lease = message.type == kOffer || message.type == kAck;
    if (load32(message.header, kGiaddr) != relay.value || message.server_id != server) {
        return Answer::refused(Refusal::kNotForUs, "response of another relay or server");
    }
    if (is_lease && ((given ^ relay.value) & message.netmask.value) != 0) {
        return Answer::refused(Refusal::kNotForUs, "address outside of the relay's subnet");
    }
    const Layers& at = parts->at;
    std::vector<uint8_t> frame(response.begin(), response.begin() + static_cast<long>(at.end));
    uint8_t* ip = frame.data() + at.network;
    uint8_t* udp = frame.data() + at.transport;
    std::memcpy(frame.data(), message.header.data() + kChaddr, 6);
    const bool is_broadcast = (load16(message.header, kFlags) & 0x8000) != 0;
    const auto to = bytes_of(is_broadcast ? 0xffffffff : given);
    std::array<uint8_t, 4> before{};
    std::memcpy(before.data(), ip + 16, 4);
    replace(ip + 10, ip + 16, to, false);
    std::memcpy(ip + 16, before.data(), 4);
    replace(udp + 6, ip + 16, to, true);  // the pseudo header has it too
    return {Refusal::kNone, std::move(frame), "DHCP response relayed"};
}

}  // namespace sluice::services
