// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/services/router_advertisement.h"

#include <bit>
#include <string>

#include "control/slowpath/services/names.h"

namespace sluice::services {
namespace {

using namespace wire;

constexpr uint8_t kSolicitation = 133;
constexpr uint8_t kAdvertisement = 134;
constexpr uint8_t kHopLimit = 255;
constexpr size_t kFlags = 5;
constexpr uint8_t kManaged = 0x80;
constexpr uint8_t kOther = 0x40;
constexpr uint8_t kHigh = 0x08;
constexpr uint8_t kLow = 0x18;
constexpr uint8_t kOnLink = 0x80;
constexpr uint8_t kAutonomous = 0x40;
constexpr uint32_t kForever = 0xffffffff;
enum : uint8_t {
    kOptSource = 1,
    kOptPrefix = 3,
    kOptMtu = 5,
    kOptRoute = 24,
    kOptResolver = 25,
    kOptSearchList = 31,
};

uint8_t preference_of(std::string_view text) {
    return text == "HIGH" ? kHigh : (text == "LOW" ? kLow : uint8_t{0});
}

Ip6 to_ip6(lang::U128 value) {
    Ip6 out;
    for (size_t i = 16; i-- > 0; value >>= 8) {
        out.bytes[i] = static_cast<uint8_t>(value);
    }
    return out;
}

unsigned length_of(lang::U128 mask) {
    return static_cast<unsigned>(std::popcount(static_cast<uint64_t>(mask)) +
                                 std::popcount(static_cast<uint64_t>(mask >> 64)));
}

// One option of the action; false if its value is not of its kind.
bool put_option(const std::string& name, const lang::Constant& value, Advertisement* out) {
    const auto* number = std::get_if<lang::Integer>(&value);
    const auto* text = std::get_if<lang::String>(&value);
    if (number) {
        if (name == "slla") {
            out->source(Mac::from_u64(static_cast<uint64_t>(number->value)));
        } else if (name == "mtu") {
            out->mtu(static_cast<uint32_t>(number->value));
        } else if (name == "prefix") {
            out->prefix(to_ip6(number->value), length_of(number->mask));
        } else if (name == "rdnss") {
            out->resolver(to_ip6(number->value));
        } else {
            return false;
        }
        return true;
    }
    if (!text) {
        return false;
    }
    if (name == "addr_mode") {
        using Mode = Advertisement::Mode;
        out->mode(text->text == "dhcpv6_stateful"
                      ? Mode::kStateful
                      : (text->text == "dhcpv6_stateless" ? Mode::kStateless : Mode::kSlaac));
    } else if (name == "router_preference") {
        out->preference(text->text);
    } else if (name == "dnssl") {
        return out->search_list(text->text);
    } else if (name == "route_info") {
        return out->routes(text->text);
    } else {
        return false;
    }
    return true;
}

}  // namespace

Advertisement::Advertisement(uint16_t lifetime_s) {
    Writer out;
    out.u8(kAdvertisement).u8(0).u16(0).u8(kHopLimit).u8(0).u16(lifetime_s).u32(0).u32(0);
    bytes_ = out.take();
}

// Pads to a multiple of eight bytes and says how many eights there are.
void Advertisement::append(Writer option) {
    while (option.size() % 8 != 0) {
        option.u8(0);
    }
    std::vector<uint8_t> bytes = option.take();
    bytes[1] = static_cast<uint8_t>(bytes.size() / 8);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void Advertisement::mode(Mode mode) {
    bytes_[kFlags] |=
        mode == Mode::kStateful ? kManaged : (mode == Mode::kStateless ? kOther : uint8_t{0});
}

void Advertisement::preference(std::string_view text) {
    bytes_[kFlags] |= preference_of(text);
}

void Advertisement::source(const Mac& mac) {
    Writer out;
    out.u8(kOptSource).u8(0).mac(mac);
    append(std::move(out));
}

void Advertisement::mtu(uint32_t mtu) {
    Writer out;
    out.u8(kOptMtu).u8(0).u16(0).u32(mtu);
    append(std::move(out));
}

void Advertisement::prefix(const Ip6& prefix, unsigned length) {
    const bool is_managed = (bytes_[kFlags] & kManaged) != 0;
    Writer out;
    out.u8(kOptPrefix).u8(0).u8(static_cast<uint8_t>(length));
    out.u8(is_managed ? kOnLink : kOnLink | kAutonomous);
    out.u32(kForever).u32(kForever).u32(0).ip6(prefix);
    append(std::move(out));
}

void Advertisement::resolver(const Ip6& address) {
    Writer out;
    out.u8(kOptResolver).u8(0).u16(0).u32(kForever).ip6(address);
    append(std::move(out));
}

bool Advertisement::search_list(std::string_view domains) {
    Writer out;
    out.u8(kOptSearchList).u8(0).u16(0).u32(kForever);
    for (const std::string& domain : split(domains, ',')) {
        const auto name = encode_name(domain);
        if (!name || out.size() + name->size() > 255 * 8) {
            return false;
        }
        out.bytes(*name);
    }
    append(std::move(out));
    return true;
}

bool Advertisement::routes(std::string_view text) {
    for (const std::string& route : split(text, ',')) {
        const size_t dash = route.find('-');
        const auto prefix =
            dash == std::string::npos ? std::nullopt : parse_ip6_prefix(route.substr(dash + 1));
        if (!prefix) {
            return false;
        }
        Writer out;
        out.u8(kOptRoute).u8(0).u8(static_cast<uint8_t>(prefix->length));
        out.u8(preference_of(route.substr(0, dash))).u32(kForever);
        const size_t bytes = prefix->length == 0 ? 0 : (prefix->length <= 64 ? 8 : 16);
        out.bytes(Bytes(prefix->address.bytes).first(bytes));
        append(std::move(out));
    }
    return true;
}

std::optional<std::vector<uint8_t>> encode_advertisement(const lang::PutNdRaOpts& action) {
    Advertisement out;
    for (const lang::Option& option : action.options) {
        if (option.value.values.empty() ||
            !put_option(option.name, option.value.values.front(), &out)) {
            return std::nullopt;
        }
    }
    return out.take();
}

Answer answer_solicitation(Bytes request, Bytes advertisement) {
    const auto at = find_layers(request);
    if (!at || !at->ip6 || at->protocol != kIcmp6 || at->end - at->transport < 4 ||
        request[at->transport] != kSolicitation || request[at->transport + 1] != 0) {
        return Answer::refused(Refusal::kMalformed, "no router solicitation");
    }
    Writer out = start_answer(request, *at, 0);
    out.bytes(advertisement);
    std::vector<uint8_t> frame = out.take();
    finish_icmp6(&frame, *at);
    return {Refusal::kNone, std::move(frame), "router advertisement"};
}

}  // namespace sluice::services
