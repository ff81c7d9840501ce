// SPDX-License-Identifier: Apache-2.0
// put_nd_ra_opts(): a solicitation becomes the advertisement of the router (RFC 4861, 4191, 8106).
// Pure functions. The periodic advertisements are made of the same pieces.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "control/compile/ast.h"
#include "control/slowpath/services/packet.h"

namespace sluice::services {

/// An advertisement's ICMPv6 message without checksum, option by option in the order of the calls.
class Advertisement {
public:
    enum class Mode : uint8_t { kSlaac, kStateful, kStateless };

    explicit Advertisement(uint16_t lifetime_s = 0xffff);
    void mode(Mode mode);
    void preference(std::string_view text);  ///< LOW, HIGH, else medium
    void source(const Mac& mac);
    void mtu(uint32_t mtu);
    /// After mode(): where addresses are managed, hosts make none of their own.
    void prefix(const Ip6& prefix, unsigned length);
    void resolver(const Ip6& address);
    /// Comma separated; false if one is too long.
    bool search_list(std::string_view domains);
    /// "HIGH-fd00::/64,LOW-fd01::/48"; false if one is malformed.
    bool routes(std::string_view text);
    std::vector<uint8_t> take() { return std::move(bytes_); }

private:
    void append(wire::Writer option);
    std::vector<uint8_t> bytes_;
};

/// The message that the action describes; nothing if it cannot be encoded.
std::optional<std::vector<uint8_t>> encode_advertisement(const lang::PutNdRaOpts& action);

Answer answer_solicitation(Bytes request, Bytes advertisement);

}  // namespace sluice::services
