// SPDX-License-Identifier: Apache-2.0
#include "control/compile/actions_parser.h"

namespace sluice::lang {

namespace {

constexpr uint32_t kMaxQueue = 61440;
constexpr size_t kMaxLogName = 63;

struct VerdictName {
    std::string_view name;
    Verdict value;
};
constexpr VerdictName kVerdicts[] = {{"allow", Verdict::kAllow},
                                     {"drop", Verdict::kDrop},
                                     {"reject", Verdict::kReject},
                                     {"pass", Verdict::kPass}};

struct SeverityName {
    std::string_view name;
    Severity value;
};
constexpr SeverityName kSeverities[] = {{"alert", Severity::kAlert},
                                        {"warning", Severity::kWarning},
                                        {"notice", Severity::kNotice},
                                        {"info", Severity::kInfo},
                                        {"debug", Severity::kDebug}};

}  // namespace

bool ActionParser::set_queue(SetQueue& node) {
    if (!cursor_.expect(Tok::kLParen)) {
        return false;
    }
    const Span where = cursor_.now().span;
    const auto queue = cursor_.expect_small_integer("small integer");
    if (!queue) {
        return false;
    }
    if (*queue > kMaxQueue) {
        cursor_.fail(where, "Queue ID " + std::to_string(*queue) +
                                " for set_queue is not in valid range 0 to 61440.");
        return false;
    }
    node.queue = static_cast<uint16_t>(*queue);
    return cursor_.expect(Tok::kRParen);
}

std::optional<uint64_t> ActionParser::kilobits() {
    if (!cursor_.at(Tok::kInteger) || cursor_.now().format != Format::kDecimal) {
        cursor_.syntax_error("expecting integer.");
        return std::nullopt;
    }
    const auto value = static_cast<uint64_t>(cursor_.now().value);
    cursor_.advance();
    return value;
}

bool ActionParser::set_meter(SetMeter& node) {
    if (!cursor_.expect(Tok::kLParen)) {
        return false;
    }
    const Span where = cursor_.now().span;
    const auto rate = kilobits();
    if (!rate) {
        return false;
    }
    if (*rate == 0) {
        cursor_.fail(where, "Rate 0 for set_meter is not valid.");
        return false;
    }
    node.rate_kbps = *rate;
    if (cursor_.match(Tok::kComma)) {
        node.burst_kbps = kilobits();
        if (!node.burst_kbps) {
            return false;
        }
    }
    return cursor_.expect(Tok::kRParen);
}

bool ActionParser::log(Log& node) {
    bool has_verdict = false;
    if (cursor_.match(Tok::kLParen)) {
        while (!cursor_.match(Tok::kRParen)) {
            if (!log_argument(node, has_verdict)) {
                return false;
            }
            cursor_.match(Tok::kComma);
        }
    }
    if (!has_verdict) {
        cursor_.syntax_error("expecting verdict.");
    }
    return has_verdict;
}

bool ActionParser::log_argument(Log& node, bool& has_verdict) {
    const std::string key(cursor_.at(Tok::kId) ? cursor_.now().text : "");
    if (key != "verdict" && key != "severity" && key != "name" && key != "meter") {
        cursor_.syntax_error("expecting name, severity, verdict or meter.");
        return false;
    }
    cursor_.advance();
    if (!cursor_.expect(Tok::kAssign)) {
        return false;
    }
    if (key == "verdict" || key == "severity") {
        if (!cursor_.at(Tok::kId)) {
            cursor_.syntax_error("expecting " + key + ".");
            return false;
        }
        bool known = false;
        for (const VerdictName& v : kVerdicts) {
            if (key == "verdict" && v.name == cursor_.now().text) {
                node.verdict = v.value;
                has_verdict = known = true;
            }
        }
        for (const SeverityName& s : kSeverities) {
            if (key == "severity" && s.name == cursor_.now().text) {
                node.severity = s.value;
                known = true;
            }
        }
        if (!known) {
            cursor_.syntax_error("unknown " + key + ".");
            return false;
        }
        cursor_.advance();
        return true;
    }
    auto value = string("string");
    if (!value) {
        return false;
    }
    if (key == "name" && value->text.size() > kMaxLogName) {
        cursor_.fail(value->span, "Name must be shorter than 64 characters.");
        return false;
    }
    (key == "name" ? node.name : node.meter) = value->text;
    return true;
}

bool ActionParser::bind_vport(BindVport& node) {
    if (!cursor_.expect(Tok::kLParen)) {
        return false;
    }
    const auto vport = string("port name string");
    if (!vport) {
        return false;
    }
    node.vport = *vport;
    return cursor_.expect(Tok::kComma) && field_of(node.parent, 0) && cursor_.expect(Tok::kRParen);
}

bool ActionParser::handle_svc_check(HandleSvcCheck& node) {
    return cursor_.expect(Tok::kLParen) && field_of(node.port, 0) && cursor_.expect(Tok::kRParen);
}

/// liveness=true, "true", false or "false"
bool ActionParser::liveness(FwdGroup& node) {
    if (!cursor_.expect(Tok::kAssign)) {
        return false;
    }
    const Token& token = cursor_.now();
    const std::string word = token.type == Tok::kString ? unescape(token.text)
                             : token.type == Tok::kId   ? std::string(token.text)
                                                        : "";
    if (word != "true" && word != "false") {
        cursor_.syntax_error("expecting true or false.");
        return false;
    }
    node.liveness = word == "true";
    cursor_.advance();
    return cursor_.expect(Tok::kComma);
}

bool ActionParser::fwd_group(FwdGroup& node) {
    if (!cursor_.expect(Tok::kLParen) || (cursor_.match_id("liveness") && !liveness(node))) {
        return false;
    }
    if (!cursor_.match_id("childports")) {
        cursor_.syntax_error("expecting childports.");
        return false;
    }
    if (!cursor_.expect(Tok::kAssign)) {
        return false;
    }
    while (!cursor_.match(Tok::kRParen)) {
        auto port = string("logical switch port");
        if (!port) {
            return false;
        }
        node.child_ports.push_back(*std::move(port));
        cursor_.match(Tok::kComma);
    }
    return true;
}

bool ActionParser::mirror(Mirror& node) {
    if (!cursor_.expect(Tok::kLParen)) {
        return false;
    }
    const auto port = string("port name string");
    if (!port) {
        return false;
    }
    node.port = *port;
    return cursor_.expect(Tok::kRParen);
}

bool ActionParser::handle_bfd_msg(BfdMsg&) {
    return cursor_.expect(Tok::kLParen) && cursor_.expect(Tok::kRParen);
}

}  // namespace sluice::lang
