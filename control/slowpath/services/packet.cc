// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/services/packet.h"

namespace sluice::services {
namespace {

using namespace wire;

constexpr uint16_t kTypeVlan = 0x8100;
constexpr uint16_t kTypeQinq = 0x88a8;
constexpr size_t kVlanLen = 4;
enum : uint8_t {
    kProtoHopOpts = 0,
    kProtoRouting = 43,
    kProtoFragment = 44,
    kProtoAh = 51,
    kProtoDstOpts = 60,
};

bool is_extension(uint8_t protocol) {
    return protocol == kProtoHopOpts || protocol == kProtoRouting || protocol == kProtoDstOpts ||
           protocol == kProtoAh || protocol == kProtoFragment;
}

std::optional<Layers> find_ip4(Bytes frame, Layers at) {
    const Bytes ip = frame.subspan(at.network);
    if (ip.size() < kIp4Len) {
        return std::nullopt;
    }
    const size_t header = (ip[0] & 0xfu) * 4u;
    const size_t total = load16(ip, 2);
    const bool is_later_fragment = (load16(ip, 6) & 0x1fff) != 0;
    if (ip[0] >> 4 != 4 || header < kIp4Len || total < header || total > ip.size() ||
        is_later_fragment) {
        return std::nullopt;
    }
    at.transport = at.network + header;
    at.end = at.network + total;
    at.protocol = ip[9];
    return at;
}

std::optional<Layers> find_ip6(Bytes frame, Layers at) {
    const Bytes ip = frame.subspan(at.network);
    if (ip.size() < kIp6Len || ip[0] >> 4 != 6 || kIp6Len + load16(ip, 4) > ip.size()) {
        return std::nullopt;
    }
    at.ip6 = true;
    at.transport = at.network + kIp6Len;
    at.end = at.transport + load16(ip, 4);
    at.protocol = ip[6];
    while (is_extension(at.protocol)) {
        if (at.end - at.transport < 8) {
            return std::nullopt;
        }
        const Bytes header = frame.subspan(at.transport);
        size_t length = (header[1] + size_t{1}) * 8;
        if (at.protocol == kProtoAh) {
            length = (header[1] + size_t{2}) * 4;
        } else if (at.protocol == kProtoFragment) {
            length = 8;
            if (load16(header, 2) >> 3 != 0) {
                return std::nullopt;
            }
        }
        if (at.end - at.transport < length) {
            return std::nullopt;
        }
        at.protocol = header[0];
        at.transport += length;
    }
    return at;
}

// Pseudo header and everything from the transport header on.
uint64_t sum_of(Bytes frame, const Layers& at) {
    const Bytes rest = frame.subspan(at.transport);
    const Bytes addresses =
        at.ip6 ? frame.subspan(at.network + 8, 32) : frame.subspan(at.network + 12, 8);
    return add(rest, add(addresses)) + rest.size() + at.protocol;
}

}  // namespace

std::optional<Layers> find_layers(Bytes frame) {
    Layers at;
    at.network = kEthLen;
    if (frame.size() < kEthLen) {
        return std::nullopt;
    }
    uint16_t type = load16(frame, 12);
    for (unsigned tags = 0; tags < 2 && (type == kTypeVlan || type == kTypeQinq); ++tags) {
        if (frame.size() < at.network + kVlanLen) {
            return std::nullopt;
        }
        type = load16(frame, at.network + 2);
        at.network += kVlanLen;
    }
    if (type == kEthIp4) {
        return find_ip4(frame, at);
    }
    return type == kEthIp6 ? find_ip6(frame, at) : std::nullopt;
}

std::optional<Layers> find_udp(Bytes frame) {
    auto at = find_layers(frame);
    if (!at || at->protocol != kUdp || at->end - at->transport < kUdpLen) {
        return std::nullopt;
    }
    return at;
}

Writer start_answer(Bytes request, const Layers& at, size_t length) {
    Writer out;
    out.bytes(request.first(at.transport + length));
    return out;
}

void finish_udp(std::vector<uint8_t>* frame, const Layers& at, size_t udp_length) {
    uint8_t* ip = frame->data() + at.network;
    uint8_t* udp = frame->data() + at.transport;
    put16(udp + 4, static_cast<uint32_t>(udp_length));
    put16(udp + 6, 0);
    if (at.ip6) {
        put16(ip + 4, static_cast<uint32_t>(at.transport - at.network - kIp6Len + udp_length));
        const uint16_t sum = fold(sum_of(*frame, at));
        put16(udp + 6, sum == 0 ? 0xffff : sum);
        return;
    }
    put16(ip + 2, static_cast<uint32_t>(at.transport - at.network + udp_length));
    put16(ip + 10, 0);
    put16(ip + 10, fold(add(Bytes(*frame).subspan(at.network, at.transport - at.network))));
}

void finish_icmp6(std::vector<uint8_t>* frame, const Layers& at) {
    uint8_t* icmp = frame->data() + at.transport;
    put16(frame->data() + at.network + 4,
          static_cast<uint32_t>(frame->size() - at.network - kIp6Len));
    put16(icmp + 2, 0);
    put16(icmp + 2, fold(sum_of(*frame, at)));
}

}  // namespace sluice::services
