// SPDX-License-Identifier: Apache-2.0
// Actions that remember or recall something, choose by hash, and those of EVPN.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "control/compile/actions_lowering.h"
#include "lib/net/wire.h"

namespace sluice::compile {

namespace {

void store(const lang::IpAddress& ip, uint32_t words[4]) {
    for (unsigned i = 0; i < 4; ++i) {
        words[i] = static_cast<uint32_t>(ip.value >> 32 * (3 - i));
    }
}

uint8_t number_of(lang::L4Proto proto) {
    switch (proto) {
    case lang::L4Proto::kTcp: return wire::kProtoTcp;
    case lang::L4Proto::kUdp: return wire::kProtoUdp;
    case lang::L4Proto::kSctp: return wire::kProtoSctp;
    }
    return 0;
}

uint16_t hash_bit(std::string_view field) {
    using namespace select_hash;
    static constexpr std::pair<std::string_view, uint16_t> kNames[] = {
        {"eth_src", kEthSrc},   {"dl_src", kEthSrc},    {"eth_dst", kEthDst}, {"dl_dst", kEthDst},
        {"ip_proto", kIpProto}, {"nw_proto", kIpProto}, {"ip_src", kIpSrc},   {"nw_src", kIpSrc},
        {"ipv6_src", kIpSrc},   {"ip_dst", kIpDst},     {"nw_dst", kIpDst},   {"ipv6_dst", kIpDst},
        {"tp_src", kL4Src},     {"tcp_src", kL4Src},    {"udp_src", kL4Src},  {"sctp_src", kL4Src},
        {"tp_dst", kL4Dst},     {"tcp_dst", kL4Dst},    {"udp_dst", kL4Dst},  {"sctp_dst", kL4Dst}};
    for (const auto& [name, bit] : kNames) {
        if (name == field) {
            return bit;
        }
    }
    return 0;
}

/// FwdGroupArgs with their ports behind them, in one piece.
std::shared_ptr<const void> make_group(const std::vector<uint32_t>& ports) {
    auto words = std::make_shared<std::vector<uint32_t>>();
    static_assert(sizeof(FwdGroupArgs) == sizeof(uint32_t));
    words->push_back(static_cast<uint32_t>(ports.size()));
    words->insert(words->end(), ports.begin(), ports.end());
    return {words, words->data()};
}

}  // namespace

uint16_t ActionLowering::hash_bits(const std::vector<std::string>& fields) {
    uint16_t bits = 0;
    for (const std::string& field : fields) {
        bits = static_cast<uint16_t>(bits | hash_bit(field));
    }
    return bits;
}

void ActionLowering::lower(const lang::CommitLbAff& node) {
    LbAffinityArgs args;
    args.is_v6 = node.vip.address.v6;
    args.proto = node.proto ? number_of(*node.proto) : 0;
    args.vip_port = node.vip.port;
    args.backend_port = node.backend.port;
    args.timeout_s = node.timeout_s;
    store(node.vip.address, args.vip);
    store(node.backend.address, args.backend);
    const std::string text = "affinity " + lang::print(lang::Action{node, {}});
    args.lease = LbLease::take();
    const auto kept = ArgPool::instance().intern(text, args);
    code_.keep.push_back(kept);
    emit(Op::kCommitLbAff).p = kept.get();
}

void ActionLowering::lower(const lang::CommitEcmpNh& node) {
    Instr& i = emit(Op::kCommitEcmpNh);
    i.a = node.ipv6 ? 1 : 0;
    i.b = number_of(node.proto);
}

/// The choice, and as in OVN the output that goes with it.
void ActionLowering::lower(const lang::FwdGroup& node) {
    std::vector<uint32_t> ports;
    for (const lang::String& child : node.child_ports) {
        const auto key = binder_->port_key(child.text);
        if (!key) {
            return;  // OVN makes nothing of a group with a port that it does not know
        }
        ports.push_back(*key);
    }
    const std::string text = fmt::format("fwd_group {}", fmt::join(ports, " "));
    const auto kept = ArgPool::instance().intern_made(text, [&] { return make_group(ports); });
    code_.keep.push_back(kept);
    Instr& i = emit(Op::kFwdGroup);
    i.a = node.liveness ? 1 : 0;
    i.p = kept.get();
    emit(Op::kOutput);
}

void ActionLowering::lower(const lang::GetRemoteFdb& node) {
    Instr i{Op::kGetRemoteFdb};
    i.a = whole(node.dst);
    i.b = whole(node.mac);
    code_.instrs.push_back(i);
}

void ActionLowering::lower(const lang::ChkEvpnArp& node) {
    Instr i{Op::kChkEvpnArp};
    i.b = whole(node.ip);
    i.c = node.ip.raw().width == 128 ? 1 : 0;
    result_bit(&i, node.dst);
    code_.instrs.push_back(i);
}

}  // namespace sluice::compile
