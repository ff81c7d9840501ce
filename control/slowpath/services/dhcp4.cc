// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/services/dhcp4.h"

#include <algorithm>

namespace sluice::services {
namespace {

using namespace wire;

enum : uint8_t { kRequestOp = 1, kReplyOp = 2 };
enum : uint8_t {
    kDiscover = 1,
    kOffer = 2,
    kRequest = 3,
    kDecline = 4,
    kAck = 5,
    kNak = 6,
    kRelease = 7,
    kInform = 8,
};
enum : uint8_t {
    kOptPad = 0,
    kOptNetmask = 1,
    kOptRequestedIp = 50,
    kOptLeaseTime = 51,
    kOptType = 53,
    kOptServerId = 54,
    kOptT1 = 58,
    kOptT2 = 59,
    kOptBootFile = 67,
    kOptEtherboot = 175,
    kOptNextServer = 253,
    kOptBootFileAlt = 254,
    kOptEnd = 255,
};
// Offsets in the header.
constexpr size_t kFlags = 10;
constexpr size_t kCiaddr = 12;
constexpr size_t kYiaddr = 16;
constexpr size_t kSiaddr = 20;
constexpr uint16_t kBroadcastFlag = 0x8000;

void take_option(Dhcp4Message* out, uint8_t code, Bytes value) {
    const auto address = [&] { return Ip4{load32(value, 0)}; };
    if (code == kOptType && value.size() == 1) {
        out->type = value[0];
    } else if (code == kOptRequestedIp && value.size() == 4) {
        out->requested = address();
    } else if (code == kOptServerId && value.size() == 4) {
        out->server_id = address();
    } else if (code == kOptNetmask && value.size() == 4) {
        out->netmask = address();
    } else if (code == kOptEtherboot) {
        out->is_ipxe = true;
    }
}

// What of the offer a reply of this kind contains.
std::vector<Dhcp4Option> choose_options(const Dhcp4Offer& offer, uint8_t asked, bool is_ipxe) {
    std::vector<Dhcp4Option> out = offer.options;
    if (asked == kInform) {  // RFC 2131, 4.3.5: no lease times, nothing about the address
        std::erase_if(out, [](const Dhcp4Option& o) {
            return o.code == kOptNetmask || o.code == kOptLeaseTime || o.code == kOptT1 ||
                   o.code == kOptT2;
        });
    }
    const auto has = [&](uint8_t code) {
        return std::any_of(out.begin(), out.end(),
                           [=](const Dhcp4Option& o) { return o.code == code; });
    };
    if (has(kOptBootFileAlt)) {
        if (has(kOptBootFile)) {
            std::erase_if(out, [=](const Dhcp4Option& o) {
                return o.code == (is_ipxe ? kOptBootFileAlt : kOptBootFile);
            });
        }
        for (Dhcp4Option& o : out) {
            o.code = o.code == kOptBootFileAlt ? uint8_t{kOptBootFile} : o.code;
        }
    }
    return out;
}

// The kind of reply; 0: none.
uint8_t reply_type(const Dhcp4Message& message, Ip4 wanted, Ip4 offered) {
    switch (message.type) {
    case kDiscover: return kOffer;
    case kRequest: return wanted == offered ? kAck : kNak;
    case kInform: return kAck;
    default: return 0;
    }
}

}  // namespace

std::optional<Dhcp4Message> parse_dhcp4(Bytes payload) {
    if (payload.size() < kDhcp4HeaderLen + 4 || load32(payload, kDhcp4HeaderLen) != kDhcp4Cookie) {
        return std::nullopt;
    }
    Dhcp4Message out;
    out.header = payload.first(kDhcp4HeaderLen);
    Bytes rest = payload.subspan(kDhcp4HeaderLen + 4);
    while (!rest.empty() && rest[0] != kOptEnd) {
        if (rest[0] == kOptPad) {
            rest = rest.subspan(1);
            continue;
        }
        if (rest.size() < 2 || rest.size() < size_t{2} + rest[1]) {
            break;
        }
        take_option(&out, rest[0], rest.subspan(2, rest[1]));
        rest = rest.subspan(size_t{2} + rest[1]);
    }
    return out;
}

Answer answer_dhcp4(Bytes request, const Dhcp4Offer& offer, bool modern) {
    const auto at = find_udp(request);
    if (!at || at->ip6) {
        return Answer::refused(Refusal::kMalformed, "no UDP over IPv4");
    }
    const auto message = parse_dhcp4(udp_payload(request, *at));
    if (!message || message->header[0] != kRequestOp || message->type == 0 ||
        (modern && !is_ethernet(*message))) {
        return Answer::refused(Refusal::kMalformed, "no DHCP request");
    }
    Ip4 wanted{load32(message->header, kCiaddr)};
    if (message->requested && (!modern || message->requested->value != 0)) {
        wanted = *message->requested;
    }
    const uint8_t type = reply_type(*message, wanted, offer.address);
    if (type == 0 || offer.options.empty()) {
        return Answer::refused(Refusal::kNotForUs, "no message that is answered");
    }
    const auto options = type == kNak ? std::vector<Dhcp4Option>()
                                      : choose_options(offer, message->type, message->is_ipxe);
    Writer out = start_answer(request, *at, kUdpLen + kDhcp4HeaderLen);
    out.u32(kDhcp4Cookie).u8(kOptType).u8(1).u8(type);
    uint32_t next_server = load32(message->header, kSiaddr);
    for (const Dhcp4Option& option : options) {
        out.u8(option.code).u8(static_cast<uint8_t>(option.value.size())).bytes(option.value);
        if (option.code == kOptNextServer && option.value.size() >= 4) {
            next_server = load32(option.value, 0);
        }
    }
    out.u32(0).u8(kOptEnd).u32(0);  // padded before and after the end, as OVN does
    std::vector<uint8_t> frame = out.take();
    uint8_t* dhcp = frame.data() + at->transport + kUdpLen;
    dhcp[0] = kReplyOp;
    put32(dhcp + kYiaddr, type == kNak || message->type == kInform ? 0 : offer.address.value);
    if (message->type != kInform) {
        put32(dhcp + kSiaddr, type == kNak ? 0 : next_server);
    }
    const bool is_broadcast = (load16(message->header, kFlags) & kBroadcastFlag) != 0;
    put32(frame.data() + at->network + 16, is_broadcast ? 0xffffffff : offer.address.value);
    finish_udp(&frame, *at, frame.size() - at->transport);
    return {Refusal::kNone, std::move(frame),
            type == kOffer ? "DHCPOFFER" : (type == kAck ? "DHCPACK" : "DHCPNAK")};
}

}  // namespace sluice::services
