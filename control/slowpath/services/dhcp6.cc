// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/services/dhcp6.h"

#include <algorithm>
#include <cstring>

#include "control/slowpath/services/dhcp6_wire.h"
#include "control/slowpath/services/names.h"

namespace sluice::services {
namespace {

using namespace dhcp6;
using namespace wire;

constexpr uint16_t kOptBootFileAlt = 254;  // of the action only
constexpr size_t kIaAddrLen = 24;
constexpr uint16_t kStatusSuccess = 0;
constexpr uint16_t kStatusNoBinding = 3;
// Flags of the client FQDN option (RFC 4704).
constexpr uint8_t kFqdnServerUpdates = 1;
constexpr uint8_t kFqdnOverridden = 2;
constexpr uint8_t kFqdnNoUpdates = 4;

struct Request {
    uint8_t type = 0;
    std::optional<Bytes> client_id;
    std::optional<Bytes> server_id;
    std::optional<Bytes> ia_na;  ///< its value
    uint32_t iaid = 0;
    bool is_ipxe = false;
    std::optional<uint8_t> fqdn_flags;
};

Request parse(Bytes payload) {
    Request out;
    out.type = payload[0];
    for_each_option(payload.subspan(kHeaderLen), [&](uint16_t code, Bytes value) {
        if (code == kOptClientId) {
            out.client_id = value;
        } else if (code == kOptServerId) {
            out.server_id = value;
        } else if (code == kOptIaNa && value.size() >= kIaLen) {
            out.ia_na = value;
            out.iaid = load32(value, 0);
        } else if (code == kOptUserClass && value.size() >= 6) {
            out.is_ipxe |= std::memcmp(value.data() + 2, "iPXE", 4) == 0;
        } else if (code == kOptFqdn && !value.empty()) {
            out.fqdn_flags = value[0];
        }
    });
    return out;
}

uint8_t reply_type(uint8_t asked, bool modern) {
    switch (asked) {
    case kSolicit: return kAdvertise;
    case kRequest:
    case kConfirm:
    case kDecline:
    case kInformation: return kReply;
    case kRenew:
    case kRebind:
    case kRelease: return modern ? uint8_t{kReply} : uint8_t{0};
    default: return 0;
    }
}

const Dhcp6Option* find(const Dhcp6Offer& offer, uint16_t code) {
    const auto found = std::find_if(offer.begin(), offer.end(),
                                    [=](const Dhcp6Option& o) { return o.code == code; });
    return found == offer.end() ? nullptr : &*found;
}

std::vector<uint8_t> duid_of(Bytes mac) {
    Writer out;
    out.u16(kDuidLinkLayer).u16(kHardwareEthernet).bytes(mac);
    return out.take();
}

void put_status(uint16_t status, Writer* out) {
    out->u16(kOptStatus).u16(2).u16(status);
}

void put_address(Bytes address, uint32_t lifetime, Writer* out) {
    out->u16(kOptIaAddr).u16(kIaAddrLen).bytes(address).u32(lifetime).u32(lifetime);
}

// The address of the offer; those others that a renewing client still has get lifetime 0.
void put_ia_na(const Request& request, Bytes address, Writer* out) {
    const size_t at = out->size();
    out->u16(kOptIaNa).u16(0).u32(request.iaid).u32(kForever).u32(kForever);
    put_address(address, kForever, out);
    if (request.type == kRenew || request.type == kRebind) {
        for_each_option(request.ia_na->subspan(kIaLen), [&](uint16_t code, Bytes value) {
            if (code == kOptIaAddr && value.size() >= kIaAddrLen &&
                !std::equal(address.begin(), address.end(), value.begin())) {
                put_address(value.first(16), 0, out);
            }
        });
    }
    out->patch16(at + 2, static_cast<uint16_t>(out->size() - at - kOptionLen));
}

void put_offered(const Request& request, const Dhcp6Option& option, Writer* out) {
    switch (option.code) {
    case kOptServerId: put_option(kOptServerId, duid_of(option.value), out); break;
    case kOptIaAddr:
        if (request.iaid != 0) {
            put_ia_na(request, option.value, out);
        }
        break;
    case kOptDomainSearch:  // one label that says it is all of the text: what OVN sends
        out->u16(kOptDomainSearch).u16(static_cast<uint16_t>(option.value.size() + 2));
        out->u8(static_cast<uint8_t>(option.value.size())).bytes(option.value).u8(0);
        break;
    case kOptBootFileUrl:
    case kOptBootFileAlt:
        if (request.is_ipxe == (option.code == kOptBootFileUrl)) {
            put_option(kOptBootFileUrl, option.value, out);
        }
        break;
    case kOptFqdn:
        if (request.fqdn_flags) {
            const bool asked = (*request.fqdn_flags & kFqdnServerUpdates) != 0;
            out->u16(kOptFqdn).u16(static_cast<uint16_t>(option.value.size() + 1));
            out->u8(asked ? kFqdnNoUpdates | kFqdnOverridden : kFqdnNoUpdates);
            out->bytes(option.value);
        }
        break;
    default: put_option(option.code, option.value, out); break;
    }
}

// A RENEW is for the server that it names, a REBIND for any (RFC 8415, 16.8 and 16.9), which stays
// silent when it has no address to give (18.3.5).
bool is_for_us(const Request& request, const Dhcp6Offer& offer) {
    if (request.type == kRebind) {
        return !request.server_id && find(offer, kOptIaAddr);
    }
    if (request.type != kRenew) {
        return true;
    }
    const Dhcp6Option* server = find(offer, kOptServerId);
    if (!server || !request.server_id) {
        return false;
    }
    const auto duid = duid_of(server->value);
    return std::equal(duid.begin(), duid.end(), request.server_id->begin(),
                      request.server_id->end());
}

void put_answer(const Request& request, const Dhcp6Offer& offer, Writer* out) {
    if (request.type == kRelease) {
        if (const Dhcp6Option* server = find(offer, kOptServerId)) {
            put_offered(request, *server, out);
        }
        put_status(kStatusSuccess, out);
        return;
    }
    for (const Dhcp6Option& option : offer) {
        put_offered(request, option, out);
    }
    if (request.type == kRenew && !find(offer, kOptIaAddr)) {
        out->u16(kOptIaNa).u16(kIaLen + kOptionLen + 2).u32(request.iaid).u32(0).u32(0);
        put_status(kStatusNoBinding, out);
    }
}

bool put_numbers(DhcpType type, const std::vector<lang::Constant>& values, Writer* out) {
    const size_t bytes = type == DhcpType::kMac ? 6 : 16;
    for (const lang::Constant& value : values) {
        const auto* number = std::get_if<lang::Integer>(&value);
        if (!number) {
            return false;
        }
        for (size_t i = bytes; i-- > 0;) {
            out->u8(static_cast<uint8_t>(number->value >> (8 * i)));
        }
    }
    return true;
}

bool put_value(DhcpType type, const std::vector<lang::Constant>& values, Writer* out) {
    if (type == DhcpType::kIp6 || type == DhcpType::kMac) {
        return (type == DhcpType::kIp6 || values.size() == 1) && put_numbers(type, values, out);
    }
    const auto* text = std::get_if<lang::String>(&values.front());
    if (!text || (type != DhcpType::kString && type != DhcpType::kDomain)) {
        return false;
    }
    if (type == DhcpType::kString) {
        out->bytes({reinterpret_cast<const uint8_t*>(text->text.data()), text->text.size()});
        return true;
    }
    const auto name = encode_name(text->text);
    out->bytes(name ? *name : std::vector<uint8_t>());
    return name.has_value();
}

bool is_right_size(uint16_t code, size_t size) {
    return (code != kOptServerId || size == 6) && (code != kOptIaAddr || size == 16) &&
           (code != kOptDomainSearch || size < 256) && size < 1024;
}

}  // namespace

std::optional<Dhcp6Offer> encode_dhcp6(const lang::PutDhcpv6Opts& action,
                                       const DhcpOptionTable& table) {
    Dhcp6Offer out;
    for (const lang::Option& option : action.options) {
        const auto info = table.find(option.name);
        Writer value;
        if (info == table.end() || option.value.values.empty() ||
            !put_value(info->second.type, option.value.values, &value) ||
            !is_right_size(info->second.code, value.size())) {
            return std::nullopt;
        }
        out.push_back({info->second.code, value.take()});
    }
    return out;
}

Answer answer_dhcp6(Bytes request, const Dhcp6Offer& offer, bool modern) {
    const auto at = find_udp(request);
    if (!at || !at->ip6) {
        return Answer::refused(Refusal::kMalformed, "no UDP over IPv6");
    }
    const size_t length =
        std::min<size_t>(load16(request, at->transport + 4), at->end - at->transport);
    if (length < kUdpLen + kHeaderLen) {
        return Answer::refused(Refusal::kMalformed, "too short for DHCPv6");
    }
    const Bytes payload = request.subspan(at->transport + kUdpLen, length - kUdpLen);
    const uint8_t type = reply_type(payload[0], modern);
    if (type == 0 || offer.empty()) {
        return Answer::refused(Refusal::kNotForUs, "no message that is answered");
    }
    const Request asked = parse(payload);
    if (!asked.client_id || (asked.iaid == 0 && asked.type != kInformation)) {
        return Answer::refused(Refusal::kMalformed, "no client identifier or no IA_NA");
    }
    if (!is_for_us(asked, offer)) {
        return Answer::refused(Refusal::kNotForUs, "for another server");
    }
    Writer out = start_answer(request, *at, kUdpLen + kHeaderLen);
    put_option(kOptClientId, *asked.client_id, &out);
    put_answer(asked, offer, &out);
    std::vector<uint8_t> frame = out.take();
    frame[at->transport + kUdpLen] = type;
    finish_udp(&frame, *at, frame.size() - at->transport);
    return {Refusal::kNone, std::move(frame),
            type == kAdvertise ? "DHCPv6 ADVERTISE" : "DHCPv6 REPLY"};
}

}  // namespace sluice::services
