// SPDX-License-Identifier: Apache-2.0
#include "control/compile/actions_parser.h"

namespace sluice::lang {

namespace {
constexpr unsigned kPortName = 0;
constexpr unsigned kBit = 1;
constexpr unsigned kMac = 48;
}  // namespace

bool ActionParser::mac_lookup(MacLookup& node, unsigned ip_bits) {
    return cursor_.expect(Tok::kLParen) && field_of(node.port, kPortName) &&
           cursor_.expect(Tok::kComma) && field_of(node.ip, ip_bits) &&
           cursor_.expect(Tok::kRParen);
}

bool ActionParser::mac_store(MacStore& node, unsigned ip_bits) {
    return cursor_.expect(Tok::kLParen) && field_of(node.port, kPortName) &&
           cursor_.expect(Tok::kComma) && field_of(node.ip, ip_bits) &&
           cursor_.expect(Tok::kComma) && field_of(node.mac, kMac) && cursor_.expect(Tok::kRParen);
}

bool ActionParser::mac_test(MacTest& node, const FieldUse& dst, unsigned ip_bits) {
    node.dst = dst;
    return open_result(dst, kBit) && field_of(node.port, kPortName) &&
           cursor_.expect(Tok::kComma) && field_of(node.ip, ip_bits) &&
           cursor_.expect(Tok::kComma) && field_of(node.mac, kMac) && cursor_.expect(Tok::kRParen);
}

bool ActionParser::ip_test(IpTest& node, const FieldUse& dst, unsigned ip_bits) {
    node.dst = dst;
    return open_result(dst, kBit) && field_of(node.port, kPortName) &&
           cursor_.expect(Tok::kComma) && field_of(node.ip, ip_bits) &&
           cursor_.expect(Tok::kRParen);
}

/// The result is a port: a port name's field, or its key in 32 bits.
bool ActionParser::fdb_lookup(FieldUse& dst_out, FieldUse& mac, const FieldUse& dst) {
    constexpr unsigned kPortKey = 32;
    dst_out = dst;
    return open_result(dst, dst.is_string() ? kPortName : kPortKey) && field_of(mac, kMac) &&
           cursor_.expect(Tok::kRParen);
}

bool ActionParser::put_fdb(PutFdb& node) {
    return cursor_.expect(Tok::kLParen) && field_of(node.port, kPortName) &&
           cursor_.expect(Tok::kComma) && field_of(node.mac, kMac) && cursor_.expect(Tok::kRParen);
}

bool ActionParser::lookup_fdb(LookupFdb& node, const FieldUse& dst) {
    node.dst = dst;
    return open_result(dst, kBit) && field_of(node.port, kPortName) &&
           cursor_.expect(Tok::kComma) && field_of(node.mac, kMac) && cursor_.expect(Tok::kRParen);
}

bool ActionParser::chk_evpn_arp(ChkEvpnArp& node, const FieldUse& dst) {
    constexpr unsigned kIpv4 = 32;
    constexpr unsigned kIpv6 = 128;
    node.dst = dst;
    if (!open_result(dst, kBit)) {
        return false;
    }
    const auto ip = field();
    if (!ip || !check_field(*ip, ip->width == kIpv6 ? kIpv6 : kIpv4, false)) {
        return false;
    }
    node.ip = *ip;
    return cursor_.expect(Tok::kRParen);
}

bool ActionParser::result(ResultAction& node, const FieldUse& dst, unsigned bits,
                          const char* name) {
    node.dst = dst;
    if (!open_result(dst, bits)) {
        return false;
    }
    if (!cursor_.match(Tok::kRParen)) {
        cursor_.fail(cursor_.now().span, std::string(name) + " doesn't take any parameters.");
        return false;
    }
    return true;
}

bool ActionParser::dns_lookup(DnsLookup& node, const FieldUse& dst) {
    require("udp");
    return result(node, dst, kBit, "dns_lookup");
}

bool ActionParser::check_pkt_larger(CheckPktLarger& node, const FieldUse& dst) {
    node.dst = dst;
    if (!open_result(dst, kBit)) {
        return false;
    }
    const auto length = uint16("packet length");
    if (!length) {
        return false;
    }
    node.length = *length;
    return cursor_.expect(Tok::kRParen);
}

bool ActionParser::relay_check(RelayCheck& node, const FieldUse& dst) {
    constexpr const char* kWhat = "IPv4 dhcp relay and server ips";
    node.dst = dst;
    if (!open_result(dst, kBit)) {
        return false;
    }
    for (IpAddress* out : {&node.relay, &node.server}) {
        if (cursor_.now().format != Format::kIpv4) {
            cursor_.syntax_error(std::string("expecting ") + kWhat + ".");
            return false;
        }
        const auto ip = address(kWhat);
        if (!ip || !cursor_.expect(out == &node.relay ? Tok::kComma : Tok::kRParen)) {
            return false;
        }
        *out = *ip;
    }
    return true;
}

}  // namespace sluice::lang
