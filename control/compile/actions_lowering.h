// SPDX-License-Identifier: Apache-2.0
// ActionLowering: the compiler of one action list, spread over files by concern.
//
// actions_lower.cc has the frame, data and lookups; actions_lower_ct.cc connection tracking and
// load balancing; actions_lower_punt.cc what the slow path carries out and what replaces the
// packet. Internal to lower_actions().
#pragma once

#include <optional>
#include <string>

#include "control/compile/actions_lower.h"
#include "control/compile/actions_lower_data.h"
#include "control/compile/print.h"
#include "control/compile/punt_args.h"
#include "lib/program/ct_args.h"
#include "lib/program/punt.h"
#include "lib/stats/counters.h"

namespace sluice::compile {

class ActionLowering {
public:
    ActionLowering(PipelineSide side, unsigned table, Binder* binder)
        : side_(side), table_(table), binder_(binder), data_(&code_.instrs) {}

    lang::Parsed<Code> run(const lang::ActionList& list) {
        block(list);
        check_resumes();
        if (failed_) {
            return *failed_;
        }
        return std::move(code_);
    }

private:
    void block(const lang::ActionList& list);
    Instr& emit(Op op) {
        code_.instrs.push_back(Instr{op});
        return code_.instrs.back();
    }
    void drop(Drop why) { emit(Op::kDrop).a = static_cast<uint8_t>(why); }
    void fail(const char* message, lang::Span span) {
        if (!failed_) {
            failed_ = lang::Diagnostic{message, span};
        }
    }
    /// First slot of an operand that has to start and end with its slots.
    uint8_t whole(const lang::FieldUse& use);
    void result_bit(Instr* instr, const lang::FieldUse& use) {
        const FieldRef dst = use.raw();
        const BitLocation at = locate(dst.id, dst.ofs);
        instr->e = at.slot;
        instr->f = at.bit;
    }
    void nested(Instr head, const lang::ActionList& body);
    void transform(Transform what, const lang::ActionList& body) {
        Instr head{Op::kTransform};
        head.a = static_cast<uint8_t>(what);
        nested(head, body);
    }

    void lower(const lang::Output&) { emit(Op::kOutput); }
    void lower(const lang::Next& node);
    void lower(const lang::Load& node);
    void lower(const lang::Move& node) { data_.move(node.dst.raw(), node.src.raw()); }
    void lower(const lang::Push& node) { data_.push(node.field.raw()); }
    void lower(const lang::Pop& node) { data_.pop(node.field.raw()); }
    void lower(const lang::Exchange& node) { data_.exchange(node.dst.raw(), node.src.raw()); }
    void lower(const lang::DecTtl&) { emit(Op::kDecTtl); }
    void lower(const lang::Select& node);
    void lower(const lang::Clone& node) { nested(Instr{Op::kClone}, node.body); }
    void lower(const lang::NdNa& node) { transform(Transform::kNdNa, node.body); }
    void lower(const lang::NdNaRouter& node) { transform(Transform::kNdNaRouter, node.body); }
    void lower(const lang::GetArp& node) { get(Op::kGetArp, node); }
    void lower(const lang::GetNd& node) { get(Op::kGetNd, node); }
    void lower(const lang::PutArp& node) { put(Op::kPutArp, node); }
    void lower(const lang::PutNd& node) { put(Op::kPutNd, node); }
    void lower(const lang::LookupArp& node) { test(Op::kLookupArp, node); }
    void lower(const lang::LookupNd& node) { test(Op::kLookupNd, node); }
    void lower(const lang::LookupArpIp& node) { test_ip(Op::kLookupArpIp, node); }
    void lower(const lang::LookupNdIp& node) { test_ip(Op::kLookupNdIp, node); }
    void lower(const lang::SetQueue& node) { emit(Op::kSetQueue).d = node.queue; }
    void lower(const lang::SetMeter& node);
    void lower(const lang::CheckPktLarger& node);
    void lower(const lang::PutFdb& node);
    void lower(const lang::GetFdb& node);
    void lower(const lang::LookupFdb& node);
    void lower(const lang::CheckInPortSec& node) {
        result_bit(&emit(Op::kCheckInPortSec), node.dst);
    }
    void lower(const lang::CheckOutPortSec& node) {
        result_bit(&emit(Op::kCheckOutPortSec), node.dst);
    }
    void lower(const lang::MacCacheUse&) { emit(Op::kMacCacheUse); }

    // actions_lower_punt.cc
    void punt(PuntReason reason, PuntKind kind, const lang::ActionNode& node,
              std::vector<uint32_t> port_keys = {}, uint32_t probability = 65536,
              const std::string& meter = {});
    void resume(PuntReason reason, const lang::FieldUse& result, const lang::ActionNode& node);
    void buffered(Transform what, bool v6, const lang::ActionList& body);
    void check_resumes();
    uint32_t key_of(const lang::String& port);
    void lower(const lang::Arp& node) { buffered(Transform::kArp, false, node.body); }
    void lower(const lang::NdNs& node) { buffered(Transform::kNdNs, true, node.body); }
    void lower(const lang::Icmp4& node) { transform(Transform::kIcmp4, node.body); }
    void lower(const lang::Icmp4Error& node) { transform(Transform::kIcmp4Error, node.body); }
    void lower(const lang::Icmp6& node) { transform(Transform::kIcmp6, node.body); }
    void lower(const lang::Icmp6Error& node) { transform(Transform::kIcmp6Error, node.body); }
    void lower(const lang::TcpReset& node) { transform(Transform::kTcpReset, node.body); }
    void lower(const lang::SctpAbort& node) { transform(Transform::kSctpAbort, node.body); }
    void lower(const lang::Reject& node) { transform(Transform::kReject, node.body); }
    void lower(const lang::PutDhcpv4Opts& n) { resume(PuntReason::kDhcp4, n.dst, n); }
    void lower(const lang::PutDhcpv6Opts& n) { resume(PuntReason::kDhcp6, n.dst, n); }
    void lower(const lang::PutNdRaOpts& n) { resume(PuntReason::kNdRa, n.dst, n); }
    void lower(const lang::DnsLookup& n) { resume(PuntReason::kDns, n.dst, n); }
    void lower(const lang::DhcpRelayReqChk& n) { resume(PuntReason::kDhcpRelayReq, n.dst, n); }
    void lower(const lang::DhcpRelayRespChk& n) { resume(PuntReason::kDhcpRelayResp, n.dst, n); }
    void lower(const lang::Dhcp6Reply& n) { punt(PuntReason::kDhcp6Reply, kPuntEnds, n); }
    void lower(const lang::Igmp& n) { punt(PuntReason::kIgmp, kPuntCopies, n); }
    void lower(const lang::BfdMsg& n) { punt(PuntReason::kBfd, kPuntCopies, n); }
    void lower(const lang::HandleSvcCheck& n) { punt(PuntReason::kSvcCheck, kPuntCopies, n); }
    void lower(const lang::BindVport& node);
    void lower(const lang::TriggerEvent& n) {
        punt(PuntReason::kEvent, kPuntCopies, n, {}, 65536, n.meter.value_or(""));
    }
    void lower(const lang::Log& n) {
        punt(PuntReason::kLog, kPuntCopies, n, {}, 65536, n.meter.value_or(""));
    }
    void lower(const lang::Sample& n);
    void lower(const lang::Mirror& node);
    void lower(const lang::OvnFieldLoad& node);
    void lower(const lang::OvnFieldMove& node);

    // actions_lower_memory.cc
    static uint16_t hash_bits(const std::vector<std::string>& fields);
    void lower(const lang::CommitLbAff& node);
    void lower(const lang::ChkLbAff& n) { result_bit(&emit(Op::kChkLbAff), n.dst); }
    void lower(const lang::CommitEcmpNh& node);
    void lower(const lang::ChkEcmpNh& n) { result_bit(&emit(Op::kChkEcmpNh), n.dst); }
    void lower(const lang::ChkEcmpNhMac& n) { result_bit(&emit(Op::kChkEcmpNhMac), n.dst); }
    void lower(const lang::FwdGroup& node);
    void lower(const lang::GetRemoteFdb& node);
    void lower(const lang::ChkEvpnArp& node);
    void lower(const lang::FloodRemote&) { emit(Op::kFloodRemote); }

    // actions_lower_ct.cc
    void ct_look(uint8_t zone, bool nat);
    Instr& ct_commit(uint8_t zone, bool recirculates, const CtCommitArgs& args);
    void ct_nat(CtZone zone, CtNat kind, const lang::Nat& node, lang::Span span);
    void ct_original(CtOriginal what, unsigned width, const lang::FieldUse& dst);
    void balance(const lang::LoadBalance& node, bool in_mark, bool only_local);
    void lower(const lang::CtClear&) { emit(Op::kCtClear); }
    void lower(const lang::CtNext& node);
    void lower(const lang::CtCommitV1& node);
    void lower(const lang::CtCommitV2& node);
    void lower(const lang::CtCommitToZone& node);
    void lower(const lang::CtCommitNat& node);
    void lower(const lang::CtDnat& node) { ct_nat(CtZone::kDnat, CtNat::kDst, node, {}); }
    void lower(const lang::CtSnat& node) { ct_nat(CtZone::kSnat, CtNat::kSrc, node, {}); }
    void lower(const lang::CtDnatInCzone& n) { ct_nat(CtZone::kCommon, CtNat::kDst, n, {}); }
    void lower(const lang::CtSnatInCzone& n) { ct_nat(CtZone::kCommon, CtNat::kSrc, n, {}); }
    void lower(const lang::CtLb& node) { balance(node, false, false); }
    void lower(const lang::CtLbMark& node) { balance(node, true, false); }
    void lower(const lang::CtLbMarkLocal& node) { balance(node, true, true); }
    void lower(const lang::CtSnatToVip& node);
    void lower(const lang::CtStateSave& node);
    void lower(const lang::CtOrigNwDst& n) { ct_original(CtOriginal::kIp4Dst, 32, n.dst); }
    void lower(const lang::CtOrigIp6Dst& n) { ct_original(CtOriginal::kIp6Dst, 128, n.dst); }
    void lower(const lang::CtOrigTpDst& n) { ct_original(CtOriginal::kL4Dst, 16, n.dst); }
    void lower(const lang::CtOrigProto& n) { ct_original(CtOriginal::kProto, 8, n.dst); }
    void lower(const lang::ChkLbHairpin& n) { result_bit(&emit(Op::kChkLbHairpin), n.dst); }
    void lower(const lang::ChkLbHairpinReply& n) {
        result_bit(&emit(Op::kChkLbHairpinReply), n.dst);
    }

    void get(Op op, const lang::MacLookup& node) {
        Instr i{op};
        i.a = whole(node.port);
        i.b = whole(node.ip);
        code_.instrs.push_back(i);
    }
    void put(Op op, const lang::MacStore& node) {
        Instr i{op};
        i.a = whole(node.port);
        i.b = whole(node.ip);
        i.c = whole(node.mac);
        code_.instrs.push_back(i);
    }
    void test(Op op, const lang::MacTest& node) {
        Instr i{op};
        i.a = whole(node.port);
        i.b = whole(node.ip);
        i.c = whole(node.mac);
        result_bit(&i, node.dst);
        code_.instrs.push_back(i);
    }
    void test_ip(Op op, const lang::IpTest& node) {
        Instr i{op};
        i.a = whole(node.port);
        i.b = whole(node.ip);
        result_bit(&i, node.dst);
        code_.instrs.push_back(i);
    }

    PipelineSide side_;
    unsigned table_;
    Binder* binder_;
    Code code_;
    DataLowering data_;
    std::optional<lang::Diagnostic> failed_;
    const lang::Next* held_next_ = nullptr;  ///< after arp{} or nd_ns{}: where the packet goes on
    std::vector<std::pair<size_t, lang::Span>> resumes_;  ///< kPunt instructions that come back
};

}  // namespace sluice::compile
