// SPDX-License-Identifier: Apache-2.0
// The values of put_dhcp_opts() as bytes.
#include <algorithm>
#include <bit>
#include <iterator>
#include <map>

#include "control/slowpath/services/dhcp4.h"
#include "control/slowpath/services/names.h"

namespace sluice::services {
namespace {

using wire::Writer;

constexpr uint8_t kOfferIp = 0;
constexpr uint8_t kBootFile = 67;
constexpr uint8_t kNextServer = 253;
constexpr uint8_t kBootFileAlt = 254;
constexpr size_t kMaxName = 255;
constexpr size_t kMaxLabel = 63;

const lang::Integer* number(const lang::Constant& value) {
    return std::get_if<lang::Integer>(&value);
}

uint32_t low32(const lang::Integer& value) {
    return static_cast<uint32_t>(value.value);
}

// RFC 3442: descriptors of (route, next hop) pairs.
void put_routes(const std::vector<lang::Constant>& values, Writer* out) {
    for (size_t i = 0; i + 1 < values.size(); i += 2) {
        const lang::Integer& route = *number(values[i]);
        const auto mask = static_cast<uint32_t>(route.mask);
        const unsigned length = route.masked ? static_cast<unsigned>(std::popcount(mask)) : 32;
        out->u8(static_cast<uint8_t>(length));
        for (unsigned octet = 0; octet < (length + 7) / 8; ++octet) {
            out->u8(static_cast<uint8_t>(low32(route) >> (24 - 8 * octet)));
        }
        out->u32(low32(*number(values[i + 1])));
    }
}

bool put_text(const lang::Constant& value, Writer* out) {
    const auto* text = std::get_if<lang::String>(&value);
    if (text) {
        out->bytes({reinterpret_cast<const uint8_t*>(text->text.data()), text->text.size()});
    }
    return text != nullptr;
}

bool put_value(DhcpType type, const std::vector<lang::Constant>& values, Writer* out) {
    const lang::Constant& first = values.front();
    if (type == DhcpType::kString || (type == DhcpType::kHostId && !number(first))) {
        return put_text(first, out);
    }
    if (type == DhcpType::kDomains) {
        const auto* text = std::get_if<lang::String>(&first);
        const auto list = text ? encode_search_list(text->text) : std::nullopt;
        if (list) {
            out->bytes(*list);
        }
        return list.has_value();
    }
    if (!std::all_of(values.begin(), values.end(), number)) {
        return false;
    }
    switch (type) {
    case DhcpType::kBool:
    case DhcpType::kUint8: out->u8(static_cast<uint8_t>(low32(*number(first)))); return true;
    case DhcpType::kUint16: out->u16(static_cast<uint16_t>(low32(*number(first)))); return true;
    case DhcpType::kUint32:
    case DhcpType::kHostId: out->u32(low32(*number(first))); return true;
    case DhcpType::kIp4:
        for (const lang::Constant& value : values) {
            out->u32(low32(*number(value)));
        }
        return true;
    case DhcpType::kStaticRoutes: put_routes(values, out); return true;
    default: return false;
    }
}

}  // namespace

std::optional<std::vector<uint8_t>> encode_search_list(const std::string& domains) {
    Writer out;
    std::map<std::vector<std::string>, size_t> known;  // suffix, where it starts
    for (const std::string& domain : split(domains, ',')) {
        std::vector<std::string> labels = split(domain, '.');
        if (domain.size() > kMaxName) {
            return std::nullopt;
        }
        bool is_pointer = false;
        while (!labels.empty() && !is_pointer) {
            const auto [suffix, is_new] = known.try_emplace(labels, out.size());
            if (!is_new) {
                out.u16(static_cast<uint16_t>(0xc000 | suffix->second));
                is_pointer = true;
                break;
            }
            if (labels.front().size() > kMaxLabel) {
                return std::nullopt;
            }
            out.u8(static_cast<uint8_t>(labels.front().size()));
            std::for_each(labels.front().begin(), labels.front().end(),
                          [&](char c) { out.u8(static_cast<uint8_t>(c)); });
            labels.erase(labels.begin());
        }
        if (!is_pointer) {
            out.u8(0);
        }
    }
    return out.take();
}

std::optional<Dhcp4Offer> encode_dhcp4(const lang::PutDhcpv4Opts& action,
                                       const DhcpOptionTable& table) {
    Dhcp4Offer out;
    bool has_offer = false;
    for (const lang::Option& option : action.options) {
        const auto info = table.find(option.name);
        if (info == table.end() || info->second.code > 254 || option.value.values.empty()) {
            return std::nullopt;
        }
        const auto code = static_cast<uint8_t>(info->second.code);
        Writer value;
        if (!put_value(info->second.type, option.value.values, &value) || value.size() > 255) {
            return std::nullopt;
        }
        if (code == kOfferIp && !has_offer) {  // a second one is an option like any other
            has_offer = true;
            const auto bytes = value.take();
            if (bytes.size() < 4) {
                return std::nullopt;
            }
            out.address = Ip4{wire::load32(bytes, 0)};
        } else {
            out.options.push_back({code, value.take()});
        }
    }
    const auto rank = [](const Dhcp4Option& o) {
        constexpr uint8_t kFirst[] = {kBootFile, kBootFileAlt, kNextServer};
        return std::find(std::begin(kFirst), std::end(kFirst), o.code) - std::begin(kFirst);
    };
    std::stable_sort(out.options.begin(), out.options.end(),
                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    return out;
}

}  // namespace sluice::services
