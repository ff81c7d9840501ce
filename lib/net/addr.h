// SPDX-License-Identifier: Apache-2.0
// Value types for addresses and identifiers: Mac, Ip4, Ip6, Uuid.
//
// Mac, Ip6 and Uuid keep bytes in network order; Ip4 is a host-order integer because it is
// compared and incremented. Text forms are those ovn-sb(5) uses. No allocation outside to_string.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

struct Mac {
    std::array<uint8_t, 6> bytes{};
    auto operator<=>(const Mac&) const = default;
    /// The address as a number: first byte on the wire is the most significant.
    uint64_t to_u64() const {
        uint64_t v = 0;
        for (const uint8_t b : bytes) {
            v = v << 8 | b;
        }
        return v;
    }
    static Mac from_u64(uint64_t v) {
        Mac m;
        for (int i = 5; i >= 0; --i) {
            m.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(v);
            v >>= 8;
        }
        return m;
    }
    bool is_multicast() const { return bytes[0] & 1; }
    bool is_zero() const { return *this == Mac{}; }
};

struct Ip4 {
    uint32_t value = 0;  ///< host order
    auto operator<=>(const Ip4&) const = default;
};

struct Ip6 {
    std::array<uint8_t, 16> bytes{};
    auto operator<=>(const Ip6&) const = default;
};

struct Uuid {
    std::array<uint8_t, 16> bytes{};
    auto operator<=>(const Uuid&) const = default;
    bool is_zero() const { return *this == Uuid{}; }
};

std::optional<Mac> parse_mac(std::string_view text);
std::optional<Ip4> parse_ip4(std::string_view text);
std::optional<Ip6> parse_ip6(std::string_view text);
std::optional<Uuid> parse_uuid(std::string_view text);
/// "10.0.0.1" or "10.0.0.1/24"; without a length 32.
struct Ip4Prefix {
    Ip4 address;
    unsigned length = 32;
};
struct Ip6Prefix {
    Ip6 address;
    unsigned length = 128;
};
std::optional<Ip4Prefix> parse_ip4_prefix(std::string_view text);
std::optional<Ip6Prefix> parse_ip6_prefix(std::string_view text);

std::string to_string(const Mac& mac);
std::string to_string(const Ip4& ip);
std::string to_string(const Ip6& ip);
std::string to_string(const Uuid& uuid);

Uuid random_uuid();

}  // namespace sluice

template <>
struct std::hash<sluice::Uuid> {
    size_t operator()(const sluice::Uuid& uuid) const noexcept {
        size_t v;
        std::memcpy(&v, uuid.bytes.data(), sizeof v);  // random (version 4), so any part will do
        return v;
    }
};
template <>
struct std::hash<sluice::Mac> {
    size_t operator()(const sluice::Mac& mac) const noexcept {
        return std::hash<uint64_t>()(mac.to_u64());
    }
};
