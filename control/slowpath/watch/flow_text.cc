// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/flow_text.h"

#include <fmt/format.h>

#include <iterator>

namespace sluice::watch {
namespace {

using Out = std::back_insert_iterator<std::string>;

constexpr const char* kTcpFlags[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"};

/// The word at the head of the line, "" when the type is told as dl_type. `proto_said`: the word
/// says the protocol too.
const char* kind_of(const Headers& h, bool* proto_said) {
    *proto_said = true;
    if (h.is_ip4() || h.is_ip6()) {
        switch (h.proto) {
        case 6: return h.is_ip4() ? "tcp" : "tcp6";
        case 17: return h.is_ip4() ? "udp" : "udp6";
        case 132: return h.is_ip4() ? "sctp" : "sctp6";
        case 1:
            if (h.is_ip4()) {
                return "icmp";
            }
            break;
        case 58:
            if (h.is_ip6()) {
                return "icmp6";
            }
            break;
        default: break;
        }
        *proto_said = false;
        return h.is_ip4() ? "ip" : "ipv6";
    }
    *proto_said = false;
    switch (h.eth_type) {
    case 0x0806: return "arp";
    case 0x8035: return "rarp";
    case 0x8847: return "mpls";
    case 0x8848: return "mplsm";
    default: return "";
    }
}

void add_tags(const Headers& h, Out out) {
    const char* number = "";
    for (const uint16_t tci : h.tci) {
        if (tci == 0) {
            fmt::format_to(out, "vlan_tci{}=0x0000,", number);
            return;
        }
        fmt::format_to(out, "dl_vlan{}={},dl_vlan_pcp{}={},", number, tci & 0xfff, number,
                       tci >> 13);
        number = "1";
    }
}

void add_addresses(const Headers& h, bool is_arp, Out out) {
    if (h.is_ip6()) {
        fmt::format_to(out, "ipv6_src={},ipv6_dst={},ipv6_label=0x{:05x},", to_string(h.ip6_src),
                       to_string(h.ip6_dst), h.ip6_label);
    } else if (h.is_ip4() || is_arp) {
        const char* prefix = is_arp ? "arp" : "nw";
        fmt::format_to(out, "{}_{}={},{}_{}={},", prefix, is_arp ? "spa" : "src",
                       to_string(h.ip4_src), prefix, is_arp ? "tpa" : "dst", to_string(h.ip4_dst));
    }
}

void add_mpls(const Headers& h, Out out) {
    for (size_t i = 0; i < h.n_mpls; ++i) {
        const uint32_t entry = h.mpls[i];
        if (i == 0) {
            fmt::format_to(out, "mpls_label={},mpls_tc={},mpls_ttl={},mpls_bos={},", entry >> 12,
                           entry >> 9 & 7, entry & 0xff, entry >> 8 & 1);
        } else {
            fmt::format_to(out, "mpls_lse{}={},", i, entry);
        }
    }
}

void add_tcp_flags(uint16_t flags, Out out) {
    if (flags == 0) {
        fmt::format_to(out, "tcp_flags=0,");
        return;
    }
    const char* between = "tcp_flags=";
    for (unsigned bit = 0; bit < 12; ++bit) {
        if (!(flags & 1u << bit)) {
            continue;
        }
        if (bit < std::size(kTcpFlags)) {
            fmt::format_to(out, "{}{}", between, kTcpFlags[bit]);
        } else {
            fmt::format_to(out, "{}[{:x}]", between, 1u << bit);
        }
        between = "|";
    }
    fmt::format_to(out, ",");
}

void add_l4(const Headers& h, Out out) {
    if (h.is_later_frag) {
        return;
    }
    const bool is_icmp = (h.is_ip4() && h.proto == 1) || (h.is_ip6() && h.proto == 58);
    // Open vSwitch reads and tells these whatever the version of IP is.
    const bool has_ports = h.proto == 6 || h.proto == 17 || h.proto == 132 || h.proto == 1 ||
                           h.proto == 2 || h.proto == 58;
    if (is_icmp) {
        fmt::format_to(out, "icmp_type={},icmp_code={},", h.l4_src, h.l4_dst);
        if (h.is_nd()) {
            fmt::format_to(out, "nd_target={},nd_sll={},nd_tll={},", to_string(h.nd_target),
                           to_string(h.nd_sll), to_string(h.nd_tll));
        }
    } else if (has_ports) {
        fmt::format_to(out, "tp_src={},tp_dst={},", h.l4_src, h.l4_dst);
    }
    if (h.proto == 6) {
        add_tcp_flags(h.tcp_flags, out);
    }
}

}  // namespace

std::string flow_text(const Headers& h) {
    std::string text;
    const Out out = std::back_inserter(text);
    bool proto_said = false;
    const char* kind = kind_of(h, &proto_said);
    if (*kind) {
        fmt::format_to(out, "{},", kind);
    }
    add_tags(h, out);
    fmt::format_to(out, "dl_src={},dl_dst={},", to_string(h.src), to_string(h.dst));
    if (!*kind) {
        fmt::format_to(out, "dl_type=0x{:04x},", h.eth_type);
    }
    const bool is_arp = h.eth_type == 0x0806 || h.eth_type == 0x8035;
    add_addresses(h, is_arp, out);
    if (is_arp) {
        fmt::format_to(out, "arp_op={},arp_sha={},arp_tha={},", h.proto, to_string(h.arp_sha),
                       to_string(h.arp_tha));
    } else if (h.is_ip()) {
        if (!proto_said) {
            fmt::format_to(out, "nw_proto={},", h.proto);
        }
        fmt::format_to(out, "nw_tos={},nw_ecn={},nw_ttl={},nw_frag={},", h.tos & 0xfc, h.tos & 3,
                       h.ttl,
                       h.is_later_frag ? "later"
                       : h.is_frag     ? "first"
                                       : "no");
        add_l4(h, out);
    } else {
        add_mpls(h, out);
    }
    text.pop_back();
    return text;
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        switch (c) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\b': out += "\\b"; break;
        case '\f': out += "\\f"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        default:
            if (static_cast<unsigned char>(c) < 0x20) {
                fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
            } else {
                out += c;
            }
        }
    }
    return out + '"';
}

}  // namespace sluice::watch
