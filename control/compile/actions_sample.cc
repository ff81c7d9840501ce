// SPDX-License-Identifier: Apache-2.0
#include "control/compile/actions_parser.h"
#include "control/compile/lex_number.h"

namespace sluice::lang {

namespace {

std::optional<IpAddress> read_address(std::string_view text) {
    if (auto v4 = parse_ipv4(text)) {
        return IpAddress{false, *v4, {}};
    }
    if (auto v6 = parse_ipv6(text)) {
        return IpAddress{true, *v6, {}};
    }
    return std::nullopt;
}

std::optional<uint16_t> read_port(std::string_view text) {
    unsigned value = 0;
    if (text.empty() || text.size() > 5) {
        return std::nullopt;
    }
    for (char c : text) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (value == 0 || value > 0xffff) {
        return std::nullopt;
    }
    return static_cast<uint16_t>(value);
}

}  // namespace

std::optional<Endpoint> parse_endpoint(std::string_view text) {
    std::string_view address = text;
    std::string_view port;
    bool has_port = false;
    if (text.starts_with('[')) {
        const size_t close = text.find(']');
        if (close == std::string_view::npos) {
            return std::nullopt;
        }
        address = text.substr(1, close - 1);
        const std::string_view rest = text.substr(close + 1);
        if (!rest.empty() && rest[0] != ':') {
            return std::nullopt;
        }
        has_port = !rest.empty();
        port = has_port ? rest.substr(1) : rest;
    } else if (text.find('.') != std::string_view::npos && text.find(':') == text.rfind(':') &&
               text.find(':') != std::string_view::npos) {
        address = text.substr(0, text.find(':'));
        port = text.substr(text.find(':') + 1);
        has_port = true;
    }
    const auto ip = read_address(address);
    if (!ip || (text.starts_with('[') && !ip->v6)) {
        return std::nullopt;
    }
    Endpoint out{*ip, 0};
    if (has_port) {
        const auto number = read_port(port);
        if (!number) {
            return std::nullopt;
        }
        out.port = *number;
    }
    return out;
}

bool ActionParser::sample(Sample& node) {
    const Span start = cursor_.now().span;
    if (!cursor_.expect(Tok::kLParen)) {
        return false;
    }
    while (!cursor_.match(Tok::kRParen)) {
        if (!sample_argument(node)) {
            return false;
        }
        cursor_.match(Tok::kComma);
    }
    if (node.probability == 0) {
        cursor_.fail(cursor_.since(start), "Probability must be greater than zero.");
        return false;
    }
    return true;
}

bool ActionParser::sample_argument(Sample& node) {
    const std::string key(cursor_.at(Tok::kId) ? cursor_.now().text : "");
    if (key != "probability" && key != "collector_set" && key != "obs_domain" &&
        key != "obs_point") {
        cursor_.syntax_error("unknown argument.");
        return false;
    }
    cursor_.advance();
    if (!cursor_.expect(Tok::kAssign)) {
        return false;
    }
    if (key == "probability") {
        const auto value = uint16("probability");
        node.probability = value.value_or(0);
        return value.has_value();
    }
    if (key == "obs_point") {
        return sample_point(node);
    }
    const Span where = cursor_.now().span;
    const auto value = uint32(key.c_str());
    if (!value) {
        return false;
    }
    if (key == "collector_set") {
        node.collector_set = *value;
        return true;
    }
    if (*value > 0xff) {
        cursor_.fail(where, "obs_domain must be 8-bit long.");
        return false;
    }
    node.obs_domain = static_cast<uint8_t>(*value);
    return true;
}

/// A number, a 32-bit field, or @cookie (23.03) and $cookie (later): bits of the flow's UUID.
bool ActionParser::sample_point(Sample& node) {
    constexpr unsigned kPointBits = 32;
    const Token& token = cursor_.now();
    if ((token.type == Tok::kPortGroup || token.type == Tok::kAddressSet) &&
        token.text == "cookie") {
        node.use_cookie = true;
        cursor_.advance();
        return true;
    }
    if (token.type == Tok::kInteger) {
        const Span where = token.span;
        const auto value = uint32("obs_point");
        if (!value) {
            return false;
        }
        node.obs_point = Number{*value, where};
        return true;
    }
    FieldUse from;
    if (!field_of(from, kPointBits)) {
        return false;
    }
    node.obs_point = from;
    return true;
}

std::optional<L4Proto> ActionParser::l4_proto() {
    if (cursor_.match_id("tcp")) {
        return L4Proto::kTcp;
    }
    if (cursor_.match_id("udp")) {
        return L4Proto::kUdp;
    }
    if (cursor_.match_id("sctp")) {
        return L4Proto::kSctp;
    }
    cursor_.syntax_error("invalid protocol.");
    return std::nullopt;
}

/// commit_ecmp_nh(ipv6 = BOOL, proto = PROTO)
bool ActionParser::commit_ecmp_nh(CommitEcmpNh& node) {
    if (!cursor_.expect(Tok::kLParen)) {
        return false;
    }
    if (!cursor_.match_id("ipv6")) {
        cursor_.syntax_error("invalid parameter.");
        return false;
    }
    if (!cursor_.expect(Tok::kAssign)) {
        return false;
    }
    const Token& token = cursor_.now();
    const std::string word = token.type == Tok::kString ? unescape(token.text)
                             : token.type == Tok::kId   ? std::string(token.text)
                                                        : "";
    if (word != "true" && word != "false") {
        cursor_.syntax_error("invalid protocol family.");
        return false;
    }
    node.ipv6 = word == "true";
    cursor_.advance();
    if (!cursor_.expect(Tok::kComma)) {
        return false;
    }
    if (!cursor_.match_id("proto")) {
        cursor_.syntax_error("invalid parameter.");
        return false;
    }
    const auto proto = cursor_.expect(Tok::kAssign) ? l4_proto() : std::nullopt;
    node.proto = proto.value_or(L4Proto::kTcp);
    return proto.has_value() && cursor_.expect(Tok::kRParen);
}

/// NAME = "ADDRESS:PORT"
bool ActionParser::endpoint(Endpoint& out, const char* name) {
    if (!cursor_.match_id(name)) {
        cursor_.syntax_error("invalid parameter.");
        return false;
    }
    if (!cursor_.expect(Tok::kAssign)) {
        return false;
    }
    const auto text = string("string");
    if (!text) {
        return false;
    }
    const auto parsed = parse_endpoint(text->text);
    if (!parsed) {
        cursor_.fail(text->span,
                     "Invalid load balancer " + std::string(name) + " '" + text->text + "'.");
        return false;
    }
    out = *parsed;
    out.address.span = text->span;
    return cursor_.expect(Tok::kComma);
}

/// commit_lb_aff(vip = "...", backend = "...", [proto = PROTO,] timeout = SECONDS)
bool ActionParser::commit_lb_aff(CommitLbAff& node) {
    if (!cursor_.expect(Tok::kLParen) || !endpoint(node.vip, "vip") ||
        !endpoint(node.backend, "backend")) {
        return false;
    }
    if (node.vip.address.v6 != node.backend.address.v6) {
        cursor_.fail(node.backend.address.span, "Invalid protocol family.");
        return false;
    }
    if (cursor_.match_id("proto")) {
        if (!cursor_.expect(Tok::kAssign)) {
            return false;
        }
        node.proto = l4_proto();
        if (!node.proto || !cursor_.expect(Tok::kComma)) {
            return false;
        }
    }
    if (!cursor_.match_id("timeout")) {
        cursor_.syntax_error("invalid parameter.");
        return false;
    }
    const auto timeout = cursor_.expect(Tok::kAssign) ? uint16("affinity timeout") : std::nullopt;
    node.timeout_s = timeout.value_or(0);
    return timeout.has_value() && cursor_.expect(Tok::kRParen);
}

}  // namespace sluice::lang
