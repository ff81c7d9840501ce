// SPDX-License-Identifier: Apache-2.0
#include "control/compile/actions_parser.h"

namespace sluice::lang {

namespace {

std::vector<std::string> split_at_commas(const std::string& text) {
    std::vector<std::string> parts(1);
    for (char c : text) {
        if (c == ',') {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

}  // namespace

/// `(dnat)` or `(snat)`.
bool ActionParser::zone_argument(Zone& zone, const char* action) {
    if (!cursor_.expect(Tok::kLParen)) {
        return false;
    }
    if (cursor_.match_id("dnat")) {
        zone = Zone::kDnat;
    } else if (cursor_.match_id("snat")) {
        zone = Zone::kSnat;
    } else {
        cursor_.fail(cursor_.now().span, std::string("\"") + action +
                                             "\" action accepts only \"dnat\" or \"snat\" "
                                             "parameter.");
        return false;
    }
    return cursor_.expect(Tok::kRParen);
}

bool ActionParser::optional_zone(Zone& zone, const char* action) {
    require("ip");
    if (!check_table(action, cursor_.now().span)) {
        return false;
    }
    return !cursor_.at(Tok::kLParen) || zone_argument(zone, action);
}

bool ActionParser::ct_commit_to_zone(CtCommitToZone& node) {
    require("ip");
    return zone_argument(node.zone, "ct_commit_to_zone");
}

ActionParser::Node ActionParser::ct_commit() {
    CtCommitV2 node;
    if (cursor_.at(Tok::kLParen)) {
        return ct_commit_v1();
    }
    if (cursor_.at(Tok::kLCurly)) {
        return block(node, "ip", true) ? Node(std::move(node)) : std::nullopt;
    }
    require("ip");
    return node;
}

/// ct_commit(ct_mark=VALUE[/MASK], ct_label=VALUE[/MASK])
ActionParser::Node ActionParser::ct_commit_v1() {
    require("ip");
    cursor_.advance();
    CtCommitV1 node;
    while (!cursor_.match(Tok::kRParen)) {
        const bool mark = cursor_.at_id("ct_mark");
        if (!mark && !cursor_.at_id("ct_label")) {
            cursor_.syntax_error("expecting parameter `ct_mark' or `ct_label'.");
            return std::nullopt;
        }
        const Symbol* symbol = symbols_.find(cursor_.now().text);
        cursor_.advance();
        if (!cursor_.expect(Tok::kAssign)) {
            return std::nullopt;
        }
        if (!cursor_.now().is_number()) {
            cursor_.syntax_error("expecting integer.");
            return std::nullopt;
        }
        auto constant = parse_constant(cursor_);
        if (!check_constant(cursor_, FieldUse{symbol, 0, symbol->width, {}}, *constant)) {
            return std::nullopt;
        }
        (mark ? node.mark : node.label) = std::get<Integer>(*constant);
        cursor_.match(Tok::kComma);
    }
    return node;
}

/// After the address: `, LOW[-HIGH]`.
bool ActionParser::port_range(Nat& node) {
    constexpr const char* kWhat = "Integer for port range";
    const auto low = uint16(kWhat);
    if (!low) {
        return false;
    }
    node.ports = PortRange{*low, *low};
    if (!cursor_.match(Tok::kHyphen)) {
        return true;
    }
    const Span where = cursor_.now().span;
    const auto high = uint16(kWhat);
    if (!high) {
        return false;
    }
    if (*high <= *low) {
        cursor_.fail(where, "Range high should be greater than range low.");
        return false;
    }
    node.ports->high = *high;
    return true;
}

bool ActionParser::nat(Nat& node, const char* action) {
    require("ip");
    if (!check_table(action, cursor_.now().span)) {
        return false;
    }
    if (!cursor_.match(Tok::kLParen)) {
        return true;
    }
    if (cursor_.at(Tok::kTemplate)) {
        node.address_template = TemplateName{std::string(cursor_.now().text), cursor_.now().span};
        cursor_.advance();
    } else {
        node.address = address("IPv4 or IPv6 address");
        if (!node.address) {
            return false;
        }
    }
    if (cursor_.match(Tok::kComma) && !port_range(node)) {
        return false;
    }
    return cursor_.expect(Tok::kRParen);
}

bool ActionParser::load_balance(LoadBalance& node, const char* action, bool with_port_names) {
    require("ip");
    if (!check_table(action, cursor_.now().span)) {
        return false;
    }
    if (!cursor_.match(Tok::kLParen) || cursor_.match(Tok::kRParen)) {
        return true;
    }
    if (!cursor_.match_id("backends")) {
        cursor_.syntax_error("expecting backends.");
        return false;
    }
    return cursor_.expect(Tok::kAssign) && backends(node, with_port_names) &&
           balance_options(node) && cursor_.expect(Tok::kRParen);
}

bool ActionParser::backends(LoadBalance& node, bool with_port_names) {
    while (!cursor_.at(Tok::kSemicolon) && !cursor_.at(Tok::kRParen)) {
        if (cursor_.at(Tok::kTemplate)) {
            node.backends.emplace_back(
                TemplateName{std::string(cursor_.now().text), cursor_.now().span});
            cursor_.advance();
        } else if (auto one = backend(with_port_names)) {
            node.backends.emplace_back(*std::move(one));
        } else {
            return false;
        }
        cursor_.match(Tok::kComma);
    }
    return true;
}

std::optional<Backend> ActionParser::backend(bool with_port_names) {
    Backend one;
    const Span start = cursor_.now().span;
    if (with_port_names) {
        one.port_name = string("logical port name");
        if (!one.port_name || !cursor_.expect(Tok::kColon)) {
            return std::nullopt;
        }
    }
    const bool bracketed = cursor_.match(Tok::kLSquare);
    if (bracketed && (!cursor_.at(Tok::kInteger) || cursor_.now().format != Format::kIpv6)) {
        cursor_.syntax_error("expecting IPv6 address.");
        return std::nullopt;
    }
    const auto ip = address("IP address");
    if (!ip || (bracketed && !cursor_.expect(Tok::kRSquare))) {
        return std::nullopt;
    }
    one.address = *ip;
    if ((bracketed || !ip->v6) && cursor_.match(Tok::kColon)) {
        const auto port = uint16("port number");
        if (!port) {
            return std::nullopt;
        }
        one.port = *port;
    }
    one.span = cursor_.since(start);
    return one;
}

/// `; hash_fields="..."` and `; skip_snat` or `; force_snat`.
bool ActionParser::balance_options(LoadBalance& node) {
    while (cursor_.match(Tok::kSemicolon)) {
        if (cursor_.match_id("hash_fields")) {
            if (!hash_fields(node.hash_fields)) {
                return false;
            }
        } else if (cursor_.match_id("skip_snat")) {
            node.flag = LbFlag::kSkipSnat;
        } else if (cursor_.match_id("force_snat")) {
            node.flag = LbFlag::kForceSnat;
        } else if (!cursor_.at(Tok::kRParen)) {
            cursor_.syntax_error("expecting hash_fields, skip_snat or force_snat.");
            return false;
        }
    }
    return true;
}

bool ActionParser::hash_fields(std::vector<std::string>& fields) {
    if (!cursor_.match(Tok::kAssign) || !cursor_.at(Tok::kString)) {
        cursor_.syntax_error("invalid hash_fields.");
        return false;
    }
    fields = split_at_commas(unescape(cursor_.now().text));
    cursor_.advance();
    return true;
}

/// select(ID[=WEIGHT], ...) or select(values=(ID[=WEIGHT], ...); hash_fields="...")
bool ActionParser::select(Select& node, const FieldUse& dst) {
    constexpr unsigned kMinBits = 16;
    if (!check_table("select", dst.span) || !open_result(dst, dst.width)) {
        return false;
    }
    if (dst.width < kMinBits) {
        cursor_.fail(dst.span, "Cannot use " + std::to_string(dst.width) + "-bit field " +
                                   dst.symbol->name +
                                   " for \"select\", which requires at least 16 bits.");
        return false;
    }
    node.dst = dst;
    const bool keyed = cursor_.match_id("values");
    if (keyed && (!cursor_.expect(Tok::kAssign) || !cursor_.expect(Tok::kLParen))) {
        return false;
    }
    if (!select_members(node) || !keyed) {
        return !cursor_.failed();
    }
    if (cursor_.match(Tok::kSemicolon)) {
        if (!cursor_.match_id("hash_fields")) {
            cursor_.syntax_error("expecting hash_fields.");
            return false;
        }
        if (!hash_fields(node.hash_fields)) {
            return false;
        }
    }
    return cursor_.expect(Tok::kRParen);
}

/// ID[=WEIGHT], ... up to and with the `)`.
bool ActionParser::select_members(Select& node) {
    Span closing = cursor_.now().span;
    while (!cursor_.match(Tok::kRParen)) {
        const auto id = uint16("id");
        if (!id) {
            return false;
        }
        Select::Member member;
        member.id = *id;
        if (cursor_.match(Tok::kAssign)) {
            const Span where = cursor_.now().span;
            const auto weight = uint16("weight");
            if (!weight) {
                return false;
            }
            if (*weight == 0) {
                cursor_.fail(where, "Weight can't be 0.");
                return false;
            }
            member.weight = *weight;
        }
        node.members.push_back(member);
        cursor_.match(Tok::kComma);
        closing = cursor_.now().span;
    }
    if (node.members.size() < 2) {
        cursor_.fail(closing, "Expecting at least 2 group members.");
        return false;
    }
    return true;
}

}  // namespace sluice::lang
