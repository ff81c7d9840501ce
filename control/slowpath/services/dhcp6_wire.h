// SPDX-License-Identifier: Apache-2.0
// DHCPv6 on the wire (RFC 8415), as our server and our client of delegated prefixes share it:
// message types, option codes and the walk over options.
#pragma once

#include "control/slowpath/wire.h"

namespace sluice::services::dhcp6 {

enum Message : uint8_t {
    kSolicit = 1,
    kAdvertise = 2,
    kRequest = 3,
    kConfirm = 4,
    kRenew = 5,
    kRebind = 6,
    kReply = 7,
    kRelease = 8,
    kDecline = 9,
    kInformation = 11,
};
enum Option : uint16_t {
    kOptClientId = 1,
    kOptServerId = 2,
    kOptIaNa = 3,
    kOptIaAddr = 5,
    kOptStatus = 13,
    kOptUserClass = 15,
    kOptDnsServer = 23,
    kOptDomainSearch = 24,
    kOptIaPd = 25,
    kOptIaPrefix = 26,
    kOptFqdn = 39,
    kOptBootFileUrl = 59,
};
inline constexpr uint16_t kDuidLinkLayer = 3;
inline constexpr uint16_t kHardwareEthernet = 1;
inline constexpr size_t kHeaderLen = 4;  ///< type and transaction
inline constexpr size_t kOptionLen = 4;  ///< code and length
inline constexpr size_t kIaLen = 12;     ///< IAID, T1, T2 of IA_NA and IA_PD
inline constexpr uint32_t kForever = 0xffffffff;

/// Calls `take(code, value)` for every option that is there in full. False when one was not.
template <typename Take>
bool for_each_option(wire::Bytes options, Take take) {
    while (!options.empty()) {
        if (options.size() < kOptionLen || options.size() - kOptionLen < wire::load16(options, 2)) {
            return false;
        }
        const size_t length = wire::load16(options, 2);
        take(wire::load16(options, 0), options.subspan(kOptionLen, length));
        options = options.subspan(kOptionLen + length);
    }
    return true;
}

inline void put_option(uint16_t code, wire::Bytes value, wire::Writer* out) {
    out->u16(code).u16(static_cast<uint16_t>(value.size())).bytes(value);
}

}  // namespace sluice::services::dhcp6
