// SPDX-License-Identifier: Apache-2.0
#include "lib/net/addr.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/random.h>

#include <charconv>

#include "lib/base/check.h"

namespace sluice {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = static_cast<char>(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Splits "addr/len"; false when len is not a number in [0, max].
bool split_prefix(std::string_view text, unsigned max, std::string_view* address,
                  unsigned* length) {
    const size_t slash = text.find('/');
    *address = text.substr(0, slash);
    *length = max;
    if (slash == std::string_view::npos) {
        return true;
    }
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), *length);
    return ec == std::errc() && end == digits.data() + digits.size() && *length <= max;
}

}  // namespace

std::optional<Mac> parse_mac(std::string_view text) {
    if (text.size() != 17) {
        return std::nullopt;
    }
    Mac mac;
    for (size_t i = 0; i < 6; ++i) {
        const int high = hex_digit(text[i * 3]);
        const int low = hex_digit(text[i * 3 + 1]);
        if (high < 0 || low < 0 || (i < 5 && text[i * 3 + 2] != ':')) {
            return std::nullopt;
        }
        mac.bytes[i] = static_cast<uint8_t>(high << 4 | low);
    }
    return mac;
}

std::optional<Ip4> parse_ip4(std::string_view text) {
    in_addr address;
    if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) {
        return std::nullopt;
    }
    return Ip4{ntohl(address.s_addr)};
}

std::optional<Ip6> parse_ip6(std::string_view text) {
    Ip6 ip;
    if (inet_pton(AF_INET6, std::string(text).c_str(), ip.bytes.data()) != 1) {
        return std::nullopt;
    }
    return ip;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
    if (text.size() != 36) {
        return std::nullopt;
    }
    Uuid uuid;
    size_t out = 0;
    for (size_t i = 0; i < 36;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i++] != '-') {
                return std::nullopt;
            }
            continue;
        }
        const int high = hex_digit(text[i]);
        const int low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) {
            return std::nullopt;
        }
        uuid.bytes[out++] = static_cast<uint8_t>(high << 4 | low);
        i += 2;
    }
    return uuid;
}

std::optional<Ip4Prefix> parse_ip4_prefix(std::string_view text) {
    std::string_view address;
    Ip4Prefix prefix;
    if (!split_prefix(text, 32, &address, &prefix.length)) {
        return std::nullopt;
    }
    const auto ip = parse_ip4(address);
    if (!ip) {
        return std::nullopt;
    }
    prefix.address = *ip;
    return prefix;
}

std::optional<Ip6Prefix> parse_ip6_prefix(std::string_view text) {
    std::string_view address;
    Ip6Prefix prefix;
    if (!split_prefix(text, 128, &address, &prefix.length)) {
        return std::nullopt;
    }
    const auto ip = parse_ip6(address);
    if (!ip) {
        return std::nullopt;
    }
    prefix.address = *ip;
    return prefix;
}

std::string to_string(const Mac& mac) {
    const auto& b = mac.bytes;
    return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", b[0], b[1], b[2], b[3], b[4],
                       b[5]);
}

std::string to_string(const Ip4& ip) {
    return fmt::format("{}.{}.{}.{}", ip.value >> 24, ip.value >> 16 & 255, ip.value >> 8 & 255,
                       ip.value & 255);
}

std::string to_string(const Ip6& ip) {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, ip.bytes.data(), text, sizeof text);
    return text;
}

std::string to_string(const Uuid& uuid) {
    std::string text;
    for (size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            text += '-';
        }
        text += fmt::format("{:02x}", uuid.bytes[i]);
    }
    return text;
}

Uuid random_uuid() {
    Uuid uuid;
    SLUICE_CHECK(getrandom(uuid.bytes.data(), uuid.bytes.size(), 0) == 16);
    uuid.bytes[6] = static_cast<uint8_t>((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = static_cast<uint8_t>((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

}  // namespace sluice
