// SPDX-License-Identifier: Apache-2.0
#include "pmd/finish_sums.h"

namespace sluice::pmd {
namespace {

constexpr uint16_t kIp4 = 0x0800;
constexpr uint16_t kIp6 = 0x86dd;
constexpr uint16_t kTeb = 0x6558;  // Geneve carries Ethernet
constexpr uint16_t kVxlanPort = 4789;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;

uint16_t get16(const uint8_t* p) {
    return static_cast<uint16_t>(p[0] << 8 | p[1]);
}

uint16_t fold(uint64_t sum) {
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<uint16_t>(sum);
}

uint64_t add(const uint8_t* bytes, size_t length) {
    uint64_t sum = 0;
    for (size_t i = 0; i + 1 < length; i += 2) {
        sum += get16(bytes + i);
    }
    return length % 2 ? sum + (uint64_t{bytes[length - 1]} << 8) : sum;
}

/// Where the layers of one frame are.
struct Layers {
    size_t l4 = 0;  // 0: nothing that we know
    size_t l4_length = 0;
    uint8_t protocol = 0;
    uint64_t pseudo = 0;
};

Layers find_layers(const uint8_t* frame, size_t length) {
    Layers out;
    size_t at = 12;
    while (at + 4 < length && (get16(frame + at) == 0x8100 || get16(frame + at) == 0x88a8)) {
        at += 4;
    }
    if (at + 2 + 20 > length) {
        return out;
    }
    const uint16_t type = get16(frame + at);
    const uint8_t* ip = frame + at + 2;
    const size_t left = length - at - 2;
    size_t header = 0;
    size_t total = 0;
    if (type == kIp4 && ip[0] >> 4 == 4) {
        header = (ip[0] & 15u) * 4u;
        total = get16(ip + 2);
        out.protocol = ip[9];
        out.pseudo = add(ip + 12, 8);
        if (header < 20 || (get16(ip + 6) & 0x3fff) != 0) {
            return out;
        }
    } else if (type == kIp6 && left >= 40) {
        header = 40;
        total = 40u + get16(ip + 4);
        out.protocol = ip[6];
        out.pseudo = add(ip + 8, 32);
    }
    if (header == 0 || total > left || total < header + (out.protocol == kUdp ? 8u : 20u)) {
        return out;
    }
    out.l4_length = total - header;
    out.pseudo += out.protocol + out.l4_length;
    out.l4 = at + 2 + header;
    return out;
}

/// Offset of the frame inside of a tunnel packet, counted from its UDP header; 0: there is none.
size_t inner_offset(const uint8_t* udp, size_t length) {
    if (length < 8 + 8 + 14) {
        return 0;
    }
    if (get16(udp + 2) == kVxlanPort) {
        return 16;
    }
    return get16(udp + 10) == kTeb ? 16 + (udp[8] & 63u) * 4u : 0;
}

bool finish_layer(uint8_t* frame, const Layers& layers) {
    if (layers.l4 == 0 || (layers.protocol != kUdp && layers.protocol != kTcp)) {
        return false;
    }
    uint8_t* l4 = frame + layers.l4;
    uint8_t* field = l4 + (layers.protocol == kUdp ? 6 : 16);
    if (get16(field) != fold(layers.pseudo)) {  // which is never 0, UDP's word for none
        return false;
    }
    // The field holds the pseudo header's sum: what is summed in its place.
    auto sum = static_cast<uint16_t>(~fold(add(l4, layers.l4_length)));
    sum = sum == 0 && layers.protocol == kUdp ? uint16_t{0xffff} : sum;
    field[0] = static_cast<uint8_t>(sum >> 8);
    field[1] = static_cast<uint8_t>(sum);
    return true;
}

}  // namespace

void finish_sums(uint8_t* frame, size_t length) {
    const Layers outer = find_layers(frame, length);
    if (finish_layer(frame, outer) || outer.l4 == 0 || outer.protocol != kUdp) {
        return;
    }
    const size_t offset = inner_offset(frame + outer.l4, outer.l4_length);
    if (offset == 0 || offset >= outer.l4_length) {
        return;
    }
    uint8_t* inner = frame + outer.l4 + offset;
    finish_layer(inner, find_layers(inner, outer.l4_length - offset));
}

}  // namespace sluice::pmd
