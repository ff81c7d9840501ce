// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>

#include "control/compile/actions_parser.h"

namespace sluice::lang {

namespace {

enum class Value : uint8_t { kString, kNumber, kEthernet, kIpv6 };

/// Options of a router advertisement: put_nd_ra_opts().
struct RaOption {
    std::string_view name;
    Value value;
};
constexpr RaOption kRaOptions[] = {
    {"addr_mode", Value::kString},
    {"mtu", Value::kNumber},
    {"slla", Value::kEthernet},
    {"prefix", Value::kIpv6},
    {"router_preference", Value::kString},
    {"route_info", Value::kString},
    {"rdnss", Value::kIpv6},
    {"dnssl", Value::kString},
};

bool is_uuid(std::string_view text) {
    if (text.size() != 36) {
        return false;
    }
    for (size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !std::isxdigit(static_cast<unsigned char>(text[i]))) {
            return false;
        }
    }
    return true;
}

const Option* find_option(const std::vector<Option>& options, std::string_view name) {
    const auto found = std::find_if(options.begin(), options.end(),
                                    [name](const Option& o) { return o.name == name; });
    return found == options.end() ? nullptr : &*found;
}

}  // namespace

/// NAME = VALUE; `what` names the kind of option.
std::optional<Option> ActionParser::option(const char* what) {
    if (!cursor_.at(Tok::kId)) {
        cursor_.syntax_error(std::string("expecting ") + what + " option name.");
        return std::nullopt;
    }
    Option option;
    option.name = std::string(cursor_.now().text);
    option.name_span = cursor_.now().span;
    cursor_.advance();
    if (!cursor_.expect(Tok::kAssign)) {
        return std::nullopt;
    }
    auto value = parse_constant_set(cursor_);
    if (!value) {
        return std::nullopt;
    }
    option.value = *std::move(value);
    return option;
}

bool ActionParser::options(Options& node, const FieldUse& dst, const char* what) {
    constexpr unsigned kBit = 1;
    node.dst = dst;
    if (!open_result(dst, kBit)) {
        return false;
    }
    while (!cursor_.match(Tok::kRParen)) {
        auto one = option(what);
        if (!one) {
            return false;
        }
        node.options.push_back(*std::move(one));
        cursor_.match(Tok::kComma);
    }
    return true;
}

bool ActionParser::put_dhcp_opts(PutDhcpv4Opts& node, const FieldUse& dst) {
    const Span start = cursor_.now().span;
    if (!options(node, dst, "DHCPv4")) {
        return false;
    }
    const Option* offer = find_option(node.options, "offerip");
    if (offer == nullptr) {
        cursor_.fail(cursor_.since(start), "put_dhcp_opts requires offerip to be specified.");
        return false;
    }
    if (std::holds_alternative<String>(offer->value.values[0])) {
        cursor_.fail(offer->value.span, "DHCPv4 option offerip requires numeric value.");
        return false;
    }
    return true;
}

bool ActionParser::check_ra_option(const Option& option) {
    const auto found = std::find_if(std::begin(kRaOptions), std::end(kRaOptions),
                                    [&](const RaOption& o) { return o.name == option.name; });
    if (found == std::end(kRaOptions)) {
        cursor_.fail(option.name_span,
                     "Syntax error at `" + option.name + "' expecting IPv6 ND RA option name.");
        return false;
    }
    const Constant& value = option.value.values[0];
    if (std::holds_alternative<TemplateName>(value)) {
        return true;
    }
    const auto* number = std::get_if<Integer>(&value);
    const auto* text = std::get_if<String>(&value);
    if (found->value == Value::kString ? text == nullptr : number == nullptr) {
        cursor_.fail(option.value.span,
                     "IPv6 ND RA option " + option.name + " requires " +
                         (found->value == Value::kString ? "string" : "numeric") + " value.");
        return false;
    }
    bool good = true;
    if (option.name == "addr_mode") {
        good = text->text == "slaac" || text->text == "dhcpv6_stateful" ||
               text->text == "dhcpv6_stateless";
    } else if (found->value == Value::kNumber) {
        good = number->format == Format::kDecimal;
    } else if (found->value == Value::kEthernet) {
        good = number->format == Format::kEthernet;
    } else if (found->value == Value::kIpv6) {
        good = number->format == Format::kIpv6 && (option.name != "prefix" || number->masked);
    }
    if (!good) {
        cursor_.fail(option.value.span, "Invalid value for \"" + option.name + "\" option.");
    }
    return good;
}

bool ActionParser::put_nd_ra_opts(PutNdRaOpts& node, const FieldUse& dst) {
    const Span start = cursor_.now().span;
    require("ip6");
    if (!options(node, dst, "IPv6 ND RA") ||
        !std::all_of(node.options.begin(), node.options.end(),
                     [this](const Option& o) { return check_ra_option(o); })) {
        return false;
    }
    if (find_option(node.options, "slla") == nullptr) {
        cursor_.fail(cursor_.since(start), "slla option not present.");
        return false;
    }
    const Option* mode = find_option(node.options, "addr_mode");
    const auto* text = mode == nullptr ? nullptr : std::get_if<String>(&mode->value.values[0]);
    if (text != nullptr && text->text != "dhcpv6_stateful" &&
        find_option(node.options, "prefix") == nullptr) {
        cursor_.fail(cursor_.since(start),
                     "prefix option needs to be set when address mode is "
                     "slaac/dhcpv6_stateless.");
        return false;
    }
    return true;
}

bool ActionParser::check_event_option(const Option& option) {
    const bool known =
        option.name == "vip" || option.name == "protocol" || option.name == "load_balancer";
    if (!known) {
        cursor_.fail(option.name_span, "Syntax error at `" + option.name +
                                           "' expecting empty_lb_backends option name.");
        return false;
    }
    const auto* text = std::get_if<String>(&option.value.values[0]);
    if (text == nullptr) {
        cursor_.fail(option.value.span,
                     "empty_lb_backends option " + option.name + " requires string value.");
        return false;
    }
    if (option.name == "vip" && !parse_endpoint(text->text)) {
        cursor_.fail(text->span, "Invalid load balancer VIP '" + text->text + "'.");
        return false;
    }
    if (option.name == "protocol" && text->text != "tcp" && text->text != "udp" &&
        text->text != "sctp") {
        cursor_.fail(text->span,
                     "Load balancer protocol '" + text->text + "' is not 'tcp', 'udp', or 'sctp'.");
        return false;
    }
    if (option.name == "load_balancer" && !is_uuid(text->text)) {
        cursor_.fail(text->span, "Load balancer '" + text->text + "' is not a UUID.");
        return false;
    }
    return true;
}

/// trigger_event(event = "NAME", [meter = "METER",] OPTION = VALUE, ...)
bool ActionParser::trigger_event(TriggerEvent& node) {
    if (!cursor_.expect(Tok::kLParen)) {
        return false;
    }
    if (!cursor_.match_id("event")) {
        cursor_.syntax_error("expecting `event' option.");
        return false;
    }
    if (!cursor_.expect(Tok::kAssign)) {
        return false;
    }
    const auto event = string("event name");
    if (!event) {
        return false;
    }
    if (event->text != "empty_lb_backends") {
        cursor_.fail(event->span, "Unknown event '" + event->text + "'.");
        return false;
    }
    node.event = event->text;
    cursor_.match(Tok::kComma);
    while (!cursor_.match(Tok::kRParen)) {
        if (cursor_.at_id("meter")) {
            cursor_.advance();
            auto meter = cursor_.expect(Tok::kAssign) ? string("string") : std::nullopt;
            if (!meter) {
                return false;
            }
            node.meter = meter->text;
        } else {
            auto one = option("empty_lb_backends");
            if (!one || !check_event_option(*one)) {
                return false;
            }
            node.options.push_back(*std::move(one));
        }
        cursor_.match(Tok::kComma);
    }
    return true;
}

}  // namespace sluice::lang
