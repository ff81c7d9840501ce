// SPDX-License-Identifier: Apache-2.0
#include "pmd/driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "lib/program/bond_report.h"

namespace sluice::pmd {

std::optional<BondReport> Device::bond() const {
    return std::nullopt;
}

Result<Retire> Device::change(const OpenContext& context) {
    return Error{"port " + context.spec.name + " cannot be changed while it is open"};
}

Result<unsigned> number_arg(const PortSpec& spec, const std::string& key, unsigned fallback,
                            unsigned least, unsigned most) {
    const std::string& text = spec.arg(key);
    if (text.empty()) {
        return fallback;
    }
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
        return Error{fmt::format("port {}: {}={} is not a number from {} to {}", spec.name, key,
                                 text, least, most)};
    }
    return value;
}

Result<bool> flag_arg(const PortSpec& spec, const std::string& key, bool fallback) {
    const std::string& text = spec.arg(key);
    if (text.empty()) {
        return fallback;
    }
    if (text == "1" || text == "yes" || text == "true" || text == "on") {
        return true;
    }
    if (text == "0" || text == "no" || text == "false" || text == "off") {
        return false;
    }
    return Error{fmt::format("port {}: {}={} is neither yes nor no", spec.name, key, text)};
}

Result<std::optional<Mac>> mac_arg(const PortSpec& spec, const std::string& key) {
    const std::string& text = spec.arg(key);
    if (text.empty()) {
        return std::optional<Mac>();
    }
    const std::optional<Mac> mac = parse_mac(text);
    if (!mac || mac->is_multicast() || mac->is_zero()) {
        return Error{fmt::format(
            "port {}: {}={} is not a unicast Ethernet address such as 02:00:00:00:00:01", spec.name,
            key, text)};
    }
    return mac;
}

Result<void> check_args(const PortSpec& spec, std::span<const std::string_view> known) {
    for (const auto& [key, value] : spec.args) {
        const auto is_key = [&k = key](std::string_view word) {
            return word.ends_with('*') ? k.starts_with(word.substr(0, word.size() - 1)) : word == k;
        };
        if (!std::ranges::any_of(known, is_key) && !std::ranges::any_of(kCommonArgs, is_key)) {
            return Error{fmt::format("port {}: driver {} has no argument '{}'; it takes {}, {}",
                                     spec.name, spec.driver, key, fmt::join(known, ", "),
                                     fmt::join(kCommonArgs, ", "))};
        }
    }
    return {};
}

std::string errno_text(int error_number) {
    return std::strerror(error_number);  // control thread only
}

}  // namespace sluice::pmd
