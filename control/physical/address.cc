// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstring>

#include "control/physical/underlay.h"

namespace sluice::physical {

IpAddress to_address(const Ip4& ip) {
    IpAddress address;
    for (unsigned i = 0; i < 4; ++i) {
        address.bytes[i] = static_cast<uint8_t>(ip.value >> (24 - 8 * i));
    }
    return address;
}

IpAddress to_address(const Ip6& ip) {
    return {true, ip.bytes};
}

std::optional<IpAddress> parse_address(std::string_view text) {
    if (const auto ip = parse_ip4(text)) {
        return to_address(*ip);
    }
    if (const auto ip = parse_ip6(text)) {
        return to_address(*ip);
    }
    return std::nullopt;
}

std::string to_string(const IpAddress& address) {
    return address.ip6 ? sluice::to_string(address.v6()) : sluice::to_string(address.v4());
}

bool IpPrefix::contains(const IpAddress& other) const {
    if (other.ip6 != address.ip6) {
        return false;
    }
    const unsigned whole = length / 8;
    const unsigned rest = length % 8;
    if (std::memcmp(address.bytes.data(), other.bytes.data(), whole) != 0) {
        return false;
    }
    return rest == 0 || ((address.bytes[whole] ^ other.bytes[whole]) >> (8 - rest)) == 0;
}

std::optional<IpPrefix> parse_prefix(std::string_view text) {
    if (const auto prefix = parse_ip4_prefix(text)) {
        return IpPrefix{to_address(prefix->address), prefix->length};
    }
    if (const auto prefix = parse_ip6_prefix(text)) {
        return IpPrefix{to_address(prefix->address), prefix->length};
    }
    return std::nullopt;
}

std::string to_string(const IpPrefix& prefix) {
    return fmt::format("{}/{}", to_string(prefix.address), prefix.length);
}

}  // namespace sluice::physical
