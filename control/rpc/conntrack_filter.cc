// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/conntrack_filter.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>

#include "lib/net/addr.h"

namespace sluice::rpc {
namespace {

constexpr std::pair<uint8_t, const char*> kProtocols[] = {
    {IPPROTO_ICMP, "icmp"}, {IPPROTO_ICMPV6, "icmpv6"}, {IPPROTO_TCP, "tcp"},
    {IPPROTO_UDP, "udp"},   {IPPROTO_SCTP, "sctp"},     {IPPROTO_UDPLITE, "udplite"},
    {IPPROTO_DCCP, "dccp"}, {IPPROTO_IGMP, "igmp"},
};

template <typename T>
std::optional<T> number_of(std::string_view text, int base = 10) {
    T value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return ec == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                 : std::nullopt;
}

std::optional<CtFilter::Address> address_of(std::string_view text) {
    CtFilter::Address out{};
    if (const auto ip = parse_ip4(text)) {
        out.words[3] = ip->value;
        return out;
    }
    if (const auto ip = parse_ip6(text)) {
        out.is_v6 = true;
        for (unsigned i = 0; i < 16; ++i) {
            out.words[i / 4] = out.words[i / 4] << 8 | ip->bytes[i];
        }
        return out;
    }
    return std::nullopt;
}

std::optional<uint8_t> protocol_of(std::string_view text) {
    for (const auto& [number, name] : kProtocols) {
        if (text == name) {
            return number;
        }
    }
    return number_of<uint8_t>(text);
}

/// 128 bits as words, most significant first; "0x..." or decimal (64 bits).
bool wide_of(std::string_view text, uint32_t words[4]) {
    std::fill(words, words + 4, 0u);
    if (text.starts_with("0x")) {
        const std::string_view digits = text.substr(2);
        if (digits.empty() || digits.size() > 32) {
            return false;
        }
        for (const char c : digits) {
            const auto digit = number_of<uint32_t>(std::string_view(&c, 1), 16);
            if (!digit) {
                return false;
            }
            for (unsigned i = 0; i < 3; ++i) {
                words[i] = words[i] << 4 | words[i + 1] >> 28;
            }
            words[3] = words[3] << 4 | *digit;
        }
        return true;
    }
    const auto value = number_of<uint64_t>(text);
    words[2] = value ? static_cast<uint32_t>(*value >> 32) : 0;
    words[3] = value ? static_cast<uint32_t>(*value) : 0;
    return value.has_value();
}

bool masked_of(std::string_view text, uint32_t value[4], uint32_t mask[4]) {
    const size_t slash = text.find('/');
    std::fill(mask, mask + 4, ~0u);
    return wide_of(text.substr(0, slash), value) &&
           (slash == text.npos || wide_of(text.substr(slash + 1), mask));
}

/// "10.0.0.1:80", "[fd00::1]:80", or an address alone.
bool endpoint_of(std::string_view text, std::optional<CtFilter::Address>* ip,
                 std::optional<uint16_t>* port) {
    std::string_view host = text;
    std::string_view rest;
    if (text.starts_with('[')) {
        const size_t close = text.find(']');
        if (close == text.npos) {
            return false;
        }
        host = text.substr(1, close - 1);
        rest = text.substr(close + 1);
    } else if (const size_t colon = text.find(':');
               colon != text.npos && text.find(':', colon + 1) == text.npos) {
        host = text.substr(0, colon);
        rest = text.substr(colon);
    }
    *ip = address_of(host);
    if (!rest.empty()) {
        *port = rest[0] == ':' ? number_of<uint16_t>(rest.substr(1)) : std::nullopt;
        return *ip && *port;
    }
    return ip->has_value();
}

Error bad(std::string_view name, std::string_view value, const char* what) {
    return Error{fmt::format("{}: \"{}\" is not {}", name, value, what)};
}

template <typename F>
Result<void> for_each_field(std::string_view text, F&& each) {
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        const std::string_view field = text.substr(at, end - at);
        const size_t equals = field.find('=');
        if (equals == field.npos) {
            return Error{fmt::format("field {} missing value", field)};
        }
        Result<void> done = each(field.substr(0, equals), field.substr(equals + 1));
        if (!done) {
            return done;
        }
        at = end + 1;
    }
    return {};
}

std::string tuple_text(const CtEntry& e, bool reply) {
    const uint32_t* src = reply ? e.reply_src : e.src;
    const uint32_t* dst = reply ? e.reply_dst : e.dst;
    std::string text =
        fmt::format("src={},dst={}", ct_address(src, e.is_v6), ct_address(dst, e.is_v6));
    if (e.proto != IPPROTO_ICMP && e.proto != IPPROTO_ICMPV6) {
        return text + fmt::format(",sport={},dport={}", reply ? e.reply_src_port : e.src_port,
                                  reply ? e.reply_dst_port : e.dst_port);
    }
    // Types of requests and what answers them (RFC 792, RFC 4443).
    static constexpr std::pair<uint8_t, uint8_t> kAnswers4[] = {
        {8, 0}, {0, 8}, {13, 14}, {14, 13}, {15, 16}, {16, 15}, {17, 18}, {18, 17}};
    unsigned type = e.icmp_type;
    if (reply && e.proto == IPPROTO_ICMP) {
        const auto* it = std::find_if(std::begin(kAnswers4), std::end(kAnswers4),
                                      [&](const auto& pair) { return pair.first == e.icmp_type; });
        type = it == std::end(kAnswers4) ? type : it->second;
    } else if (reply && (type == 128 || type == 129)) {
        type ^= 1;
    }
    return text + fmt::format(",id={},type={},code={}", e.icmp_id, type, e.icmp_code);
}

std::string counters_text(const CtEntry& e, unsigned direction) {
    return e.packets[direction] == 0
               ? std::string()
               : fmt::format(",packets={},bytes={}", e.packets[direction], e.bytes[direction]);
}

}  // namespace

std::optional<uint16_t> parse_zone(std::string_view text) {
    return number_of<uint16_t>(text);
}

std::string proto_name(uint8_t proto) {
    const auto* it = std::find_if(std::begin(kProtocols), std::end(kProtocols),
                                  [&](const auto& pair) { return pair.first == proto; });
    return it == std::end(kProtocols) ? std::to_string(proto) : it->second;
}

std::string ct_address(const uint32_t words[4], bool is_v6) {
    if (!is_v6) {
        return to_string(Ip4{words[3]});
    }
    Ip6 ip;
    for (unsigned i = 0; i < 16; ++i) {
        ip.bytes[i] = static_cast<uint8_t>(words[i / 4] >> (24 - 8 * (i % 4)));
    }
    return to_string(ip);
}

std::string ct_label_text(const uint32_t label[4]) {
    std::string text;
    for (unsigned i = 0; i < 4; ++i) {
        if (!text.empty()) {
            text += fmt::format("{:08x}", label[i]);
        } else if (label[i] != 0) {
            text = fmt::format("{:x}", label[i]);
        }
    }
    return text.empty() ? text : "0x" + text;
}

Result<void> add_filter_word(std::string_view word, const ZoneByName& zone_of, CtFilter* filter) {
    const size_t equals = word.find('=');
    if (equals == word.npos) {
        return Error{fmt::format("expected NAME=VALUE, found \"{}\"", word)};
    }
    const std::string_view name = word.substr(0, equals);
    const std::string_view value = word.substr(equals + 1);
    if (name == "zone") {
        filter->zone = number_of<uint16_t>(value);
        if (!filter->zone && zone_of) {
            filter->zone = zone_of(value);
        }
        return filter->zone ? Result<void>() : bad(name, value, "a zone or the name of its port");
    }
    if (name == "proto") {
        filter->proto = protocol_of(value);
        return filter->proto ? Result<void>() : bad(name, value, "a protocol");
    }
    if (name == "src" || name == "dst") {
        auto& slot = name == "src" ? filter->src : filter->dst;
        slot = address_of(value);
        return slot ? Result<void>() : bad(name, value, "an IP address");
    }
    if (name == "sport" || name == "dport") {
        auto& slot = name == "sport" ? filter->src_port : filter->dst_port;
        slot = number_of<uint16_t>(value);
        return slot ? Result<void>() : bad(name, value, "a port number");
    }
    if (name == "vip") {
        return endpoint_of(value, &filter->dst, &filter->dst_port)
                   ? Result<void>()
                   : bad(name, value, "IP or IP:PORT");
    }
    if (name == "backend") {
        return endpoint_of(value, &filter->reply_src, &filter->reply_src_port)
                   ? Result<void>()
                   : bad(name, value, "IP or IP:PORT");
    }
    if (name == "mark") {
        uint32_t number[4];
        uint32_t mask[4];
        if (!masked_of(value, number, mask) || number[2] != 0) {
            return bad(name, value, "VALUE or VALUE/MASK");
        }
        filter->mark = number[3];
        filter->mark_mask = mask[3];
        return {};
    }
    if (name == "label") {
        return masked_of(value, filter->label, filter->label_mask)
                   ? Result<void>()
                   : bad(name, value, "VALUE or VALUE/MASK");
    }
    return Error{
        fmt::format("there is no filter \"{}\"; there are zone, proto, src, dst, sport, "
                    "dport, vip, backend, mark and label",
                    name)};
}

Result<void> add_dpctl_tuple(std::string_view text, CtFilter* filter) {
    return for_each_field(text, [&](std::string_view name, std::string_view value) -> Result<void> {
        const bool is_source = name == "ct_nw_src" || name == "ct_ipv6_src";
        if (is_source || name == "ct_nw_dst" || name == "ct_ipv6_dst") {
            auto& slot = is_source ? filter->src : filter->dst;
            slot = address_of(value);
            return slot ? Result<void>() : Error{fmt::format("failed to parse field {}", name)};
        }
        if (name == "ct_nw_proto") {
            filter->proto = number_of<uint8_t>(value);
            return filter->proto ? Result<void>() : Error{"failed to parse ct_nw_proto"};
        }
        if (name == "ct_tp_src" || name == "ct_tp_dst" || name == "icmp_id") {
            auto& slot = name == "ct_tp_dst" ? filter->dst_port : filter->src_port;
            slot = number_of<uint16_t>(value);
            return slot ? Result<void>() : Error{fmt::format("failed to parse {}", name)};
        }
        if (name == "icmp_type" || name == "icmp_code") {
            return number_of<uint8_t>(value) ? Result<void>()
                                             : Error{fmt::format("failed to parse {}", name)};
        }
        return Error{fmt::format("invalid conntrack tuple field: {}", name)};
    });
}

Result<void> add_dpctl_reply(std::string_view text, CtFilter* filter) {
    CtFilter reply;
    if (Result<void> read = add_dpctl_tuple(text, &reply); !read) {
        return read;
    }
    filter->reply_src = reply.src;
    filter->reply_src_port = reply.src_port;
    if (reply.proto) {
        filter->proto = reply.proto;
    }
    return {};
}

std::string dpctl_entry(const CtEntry& e, bool more, bool statistics) {
    const auto counters = [&](unsigned direction) {
        return statistics ? counters_text(e, direction) : std::string();
    };
    std::string line =
        fmt::format("{},orig=({}{}),reply=({}{})", proto_name(e.proto), tuple_text(e, false),
                    counters(0), tuple_text(e, true), counters(1));
    if (more) {
        line += ",id=0";
    }
    if (e.zone != 0) {
        line += fmt::format(",zone={}", e.zone);
    }
    if (more) {
        line += ",status=0";
    }
    if (statistics) {
        line += fmt::format(",timeout={}", e.timeout_s);
    }
    if (e.mark != 0) {
        line += fmt::format(",mark={}", e.mark);
    }
    if (const std::string label = ct_label_text(e.label); !label.empty()) {
        line += ",labels=" + label;
    }
    if (e.proto == IPPROTO_TCP && e.state && e.state[0]) {
        line += fmt::format(",protoinfo=(state={})", e.state);
    }
    return line;
}

}  // namespace sluice::rpc
