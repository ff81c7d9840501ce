// SPDX-License-Identifier: Apache-2.0
#include "control/physical/port_security.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::physical {
namespace {

std::vector<std::string_view> words(std::string_view text) {
    constexpr std::string_view kSeparators = " \t,";
    std::vector<std::string_view> out;
    for (size_t at = 0;;) {
        at = text.find_first_not_of(kSeparators, at);
        if (at == std::string_view::npos) {
            return out;
        }
        const size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
        out.push_back(text.substr(at, end - at));
        at = end;
    }
}

Ip6 mask6(unsigned length) {
    Ip6 mask;
    for (unsigned i = 0; i < length; ++i) {
        mask.bytes[i / 8] = static_cast<uint8_t>(mask.bytes[i / 8] | (0x80u >> (i % 8)));
    }
    return mask;
}

/// False when the address does not parse.
bool add_address(std::string_view word, PortSecurity::Entry* entry) {
    if (const auto prefix = parse_ip4_prefix(word)) {
        const uint32_t mask = prefix->length == 0 ? 0 : ~uint32_t{0} << (32 - prefix->length);
        entry->ip4.push_back({prefix->address.value, mask});
        return true;
    }
    if (const auto prefix = parse_ip6_prefix(word)) {
        entry->ip6.push_back({prefix->address, mask6(prefix->length)});
        return true;
    }
    return false;
}

}  // namespace

std::unique_ptr<const PortSecurity> parse_port_security(const std::vector<std::string>& entries,
                                                        std::vector<std::string>* errors) {
    auto security = std::make_unique<PortSecurity>();
    for (const std::string& text : entries) {
        const auto parts = words(text);
        const auto mac = parts.empty() ? std::nullopt : parse_mac(parts[0]);
        if (!mac) {
            errors->push_back(fmt::format("port_security \"{}\" does not begin with a MAC", text));
            continue;
        }
        PortSecurity::Entry entry{mac->to_u64(), {}, {}};
        for (size_t i = 1; i < parts.size(); ++i) {
            if (!add_address(parts[i], &entry)) {
                // As the reference does: what follows a bad address is not looked at.
                errors->push_back(fmt::format("port_security \"{}\": {} is no address", text,
                                              std::string(parts[i])));
                break;
            }
        }
        security->entries.push_back(std::move(entry));
    }
    return security->entries.empty() ? nullptr : std::move(security);
}

}  // namespace sluice::physical
