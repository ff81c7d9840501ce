// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/services/services.h"

#include "control/compile/punt_args.h"
#include "control/slowpath/services/dhcp4.h"
#include "control/slowpath/services/dhcp6.h"
#include "control/slowpath/services/dhcp_relay.h"
#include "control/slowpath/services/dns.h"
#include "control/slowpath/services/router_advertisement.h"
#include "lib/base/log.h"
#include "lib/program/punt.h"

SLUICE_LOG_MODULE(services);

namespace sluice {
namespace {

using services::Answer;
using services::Refusal;

constexpr PuntReason kReasons[] = {PuntReason::kDhcp4,        PuntReason::kDhcp6,
                                   PuntReason::kNdRa,         PuntReason::kDns,
                                   PuntReason::kDhcpRelayReq, PuntReason::kDhcpRelayResp};

const Answer kNoArguments = Answer::refused(Refusal::kBadArgument, "the action is gone");
const Answer kBadArguments =
    Answer::refused(Refusal::kBadArgument, "an option is unknown or cannot be encoded");

Ip4 to_ip4(const lang::IpAddress& address) {
    return Ip4{static_cast<uint32_t>(address.value)};
}

const std::vector<std::shared_ptr<const DnsZone>>& zones_of(const ServiceTables& tables,
                                                            uint32_t datapath) {
    static const std::vector<std::shared_ptr<const DnsZone>> kNone;
    const auto found = tables.dns.find(datapath);
    return found == tables.dns.end() ? kNone : found->second;
}

}  // namespace

Services::Services(SlowPath* slow_path)
    : slow_path_(slow_path), tables_(std::make_shared<const ServiceTables>()) {
    for (const PuntReason reason : kReasons) {
        slow_path_->set_handler(reason, [this](const Punt& punt) { handle(punt); });
    }
}

Services::~Services() = default;

void Services::set_tables(std::shared_ptr<const ServiceTables> tables) {
    tables_.store(std::move(tables));
}

Answer Services::answer(const Punt& punt, const ServiceTables& tables) const {
    const auto args = compile::PuntArgsTable::instance().find(punt.meta.args);
    if (!args) {
        return kNoArguments;
    }
    using namespace services;
    if (const auto* dhcp = std::get_if<lang::PutDhcpv4Opts>(&args->node)) {
        const auto offer = encode_dhcp4(*dhcp, tables.options4());
        return offer ? answer_dhcp4(punt.frame, *offer, tables.modern) : kBadArguments;
    }
    if (const auto* dhcp6 = std::get_if<lang::PutDhcpv6Opts>(&args->node)) {
        const auto offer = encode_dhcp6(*dhcp6, tables.options6());
        return offer ? answer_dhcp6(punt.frame, *offer, tables.modern) : kBadArguments;
    }
    if (const auto* ra = std::get_if<lang::PutNdRaOpts>(&args->node)) {
        const auto message = encode_advertisement(*ra);
        return message ? answer_solicitation(punt.frame, *message) : kBadArguments;
    }
    if (const auto* request = std::get_if<lang::DhcpRelayReqChk>(&args->node)) {
        return relay_dhcp_request(punt.frame, to_ip4(request->relay));
    }
    if (const auto* response = std::get_if<lang::DhcpRelayRespChk>(&args->node)) {
        return relay_dhcp_response(punt.frame, to_ip4(response->relay), to_ip4(response->server));
    }
    return std::holds_alternative<lang::DnsLookup>(args->node)
               ? answer_dns(punt.frame, zones_of(tables, punt.meta.datapath()), tables.modern)
               : kNoArguments;
}

void Services::handle(const Punt& punt) {
    using C = SlowPathCounter;
    const auto tables = tables_.load();
    Answer out = answer(punt, *tables);
    switch (out.refusal) {
    case Refusal::kNone: slow_path_->count(C::k_service_answers); break;
    case Refusal::kNotForUs: slow_path_->count(C::k_service_passed); break;
    case Refusal::kMalformed: slow_path_->count(C::k_service_malformed); break;
    case Refusal::kBadArgument: slow_path_->count(C::k_service_bad_action); break;
    }
    if (out.refusal == Refusal::kBadArgument) {
        LOG_WARN_RL("datapath {} port {}: {}; the packet goes on unanswered", punt.meta.datapath(),
                    punt.meta.inport(), out.what);
    } else {
        LOG_DBG("datapath {} port {}: {}", punt.meta.datapath(), punt.meta.inport(), out.what);
    }
    PuntMeta meta = punt.meta;
    meta.set_result(out.refusal == Refusal::kNone);
    Injection injection;
    injection.kind = InjectKind::kResume;
    injection.resume = &meta;
    injection.frame = out.refusal == Refusal::kNone
                          ? std::move(out.frame)
                          : std::vector<uint8_t>(punt.frame.begin(), punt.frame.end());
    slow_path_->send(injection, punt.worker);
}

}  // namespace sluice
