// SPDX-License-Identifier: Apache-2.0
// The syntax tree of a logical flow's match and actions, as ovn-sb(5) Logical_Flow defines them.
//
// What: Expr is a match, ActionList a row's actions. Both are plain values: copy, move, compare
// with equal() (structure only, never positions). Every node knows where it stood in the text. Why
// like this: the tree keeps what was written. Sets stay sets, $address_sets, @port_groups and
// ^templates stay names, `!` stays where it stood; annotate() (expr.h) makes the raw form that has
// no prerequisites, predicates or negations left, only comparisons of storage fields. Actions: one
// struct per kind, in std::variant; kinds with the same operands derive from the same base, so that
// a pass can treat them together (`if constexpr (std::is_base_of_v<Block, T>)`). No invariants
// beyond the parser's: what parse_match() and parse_actions() return is well formed, types and
// widths checked. Symbols point into a SymbolTable, which lives for ever.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "control/compile/symbols.h"

namespace sluice::lang {

using U128 = unsigned __int128;

/// Bytes [ofs, ofs + len) of the source text.
struct Span {
    uint32_t ofs = 0;
    uint32_t len = 0;
};

// ---- operands ---------------------------------------------------------------------------------

/// How a constant was written: decides how it prints, never what it means.
enum class Format : uint8_t { kDecimal, kHex, kEthernet, kIpv4, kIpv6 };

struct Integer {
    U128 value = 0;
    U128 mask = 0;        ///< not masked: every bit of the field it is compared with or stored to
    bool masked = false;  ///< written as value/mask; then value has no bits outside mask
    Format format = Format::kDecimal;
    Span span;
};

struct String {
    std::string text;  ///< unescaped
    Span span;
};

struct AddressSetName {
    std::string name;  ///< without `$`
    Span span;
};

struct PortGroupName {
    std::string name;  ///< without `@`
    Span span;
};

/// A Chassis_Template_Var that was not substituted before parsing (substitute_templates()).
struct TemplateName {
    std::string name;  ///< without `^`
    Span span;
};

using Constant = std::variant<Integer, String, AddressSetName, PortGroupName, TemplateName>;

struct ConstantSet {
    std::vector<Constant> values;
    bool in_curlies = false;
    Span span;
};

/// Numbers of `width` ones; all of them for 128.
constexpr U128 low_bits(unsigned width) {
    return width >= 128 ? ~U128{0} : (U128{1} << width) - 1;
}

/// `name`, `name[bit]` or `name[low..high]`: bits [ofs, ofs + width) of the symbol.
struct FieldUse {
    const Symbol* symbol = nullptr;
    uint16_t ofs = 0;
    uint16_t width = 0;  ///< 0 for strings
    Span span;

    bool is_string() const { return symbol->is_string; }
    /// The same bits as storage. Not for predicates and write-only fields.
    FieldRef raw() const {
        const FieldRef& s = symbol->storage;
        return symbol->is_string ? s : FieldRef{s.id, static_cast<uint16_t>(s.ofs + ofs), width};
    }
};

// ---- match ------------------------------------------------------------------------------------

enum class RelOp : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe };

/// `==` is true when the field equals any member, `!=` when it equals none; other operators have
/// exactly one unmasked number. A name alone (`ip4`) is `name != 0` with `implicit` set. Numbers
/// are as written: relative to the bits that `field` names, not to their storage.
struct Compare {
    FieldUse field;
    RelOp op = RelOp::kEq;
    ConstantSet set;
    bool implicit = false;
};

struct Bool {
    bool value = false;
};

/// is_chassis_resident("port"). `negated` only after annotate(); as written it is a Not around.
struct IsResident {
    String port;
    bool negated = false;
};

struct And {
    std::vector<Expr> terms;  ///< two or more
};

struct Or {
    std::vector<Expr> terms;  ///< two or more
};

struct Not {
    std::vector<Expr> terms;  ///< exactly one
};

struct Expr {
    std::variant<Bool, Compare, IsResident, And, Or, Not> node;
    Span span;
};

// ---- actions ----------------------------------------------------------------------------------

struct Action;
struct ActionList {
    std::vector<Action> actions;  ///< empty: drop
    bool explicit_drop = false;   ///< written as `drop;`
};

struct Number {
    uint64_t value = 0;
    Span span;
};

struct IpAddress {
    bool v6 = false;
    U128 value = 0;
    Span span;
};

enum class Pipeline : uint8_t { kIngress, kEgress };
enum class Zone : uint8_t { kDefault, kDnat, kSnat };

// Shapes shared by several kinds.
struct Plain {};  ///< no operands
struct Block {
    ActionList body;
};  ///< name { action; ... };
struct ResultAction {
    FieldUse dst;
};  ///< R = name();
struct FieldPair {
    FieldUse dst;
    FieldUse src;
};
struct MacLookup {
    FieldUse port;
    FieldUse ip;
};  ///< name(P, A);
struct MacStore {
    FieldUse port;
    FieldUse ip;
    FieldUse mac;
};  ///< name(P, A, E);
struct MacTest {
    FieldUse dst;
    FieldUse port;
    FieldUse ip;
    FieldUse mac;
};  ///< R = name(P, A, M);
struct IpTest {
    FieldUse dst;
    FieldUse port;
    FieldUse ip;
};  ///< R = name(P, A);

/// One `name = value` of put_dhcp_opts() and its like; names are resolved later.
struct Option {
    std::string name;
    Span name_span;
    ConstantSet value;
};
struct Options {
    FieldUse dst;
    std::vector<Option> options;
};

struct PortRange {
    uint16_t low = 0;
    uint16_t high = 0;  ///< equal to low when one port was given
};
/// No address: only undo the translation of known connections.
struct Nat {
    std::optional<IpAddress> address;
    std::optional<TemplateName> address_template;
    std::optional<PortRange> ports;
};

struct Backend {
    std::optional<String> port_name;  ///< ct_lb_mark_local: where the backend lives
    IpAddress address;
    uint16_t port = 0;  ///< 0: keep the packet's
    Span span;
};
enum class LbFlag : uint8_t { kNone, kSkipSnat, kForceSnat };
/// No backends: only undo the translation of known connections.
struct LoadBalance {
    std::vector<std::variant<Backend, TemplateName>> backends;
    std::vector<std::string> hash_fields;  ///< OpenFlow names: ip_src, tcp_dst ...
    LbFlag flag = LbFlag::kNone;
};

struct RelayCheck {
    FieldUse dst;
    IpAddress relay;
    IpAddress server;
};

// Kinds, in the order of OVN's list.
struct Output : Plain {};
struct Next {
    std::optional<Pipeline> pipeline;  ///< unset: the flow's own
    std::optional<unsigned> table;     ///< unset: the one after the flow's
};
struct Load {
    FieldUse dst;
    Constant value;
};
struct Move : FieldPair {};
struct Push {
    FieldUse field;
};
struct Pop {
    FieldUse field;
};
struct Exchange : FieldPair {};
struct DecTtl : Plain {};
struct CtNext {
    Zone zone = Zone::kDefault;
};
struct CtCommitV1 {  ///< ct_commit(ct_mark=..., ct_label=...)
    std::optional<Integer> mark;
    std::optional<Integer> label;
};
struct CtCommitV2 : Block {};
struct CtCommitToZone {
    Zone zone = Zone::kDefault;
};
struct CtDnat : Nat {};
struct CtSnat : Nat {};
struct CtDnatInCzone : Nat {};
struct CtSnatInCzone : Nat {};
struct CtLb : LoadBalance {};
struct CtLbMark : LoadBalance {};
struct CtLbMarkLocal : LoadBalance {};
struct Select {
    struct Member {
        uint16_t id = 0;
        uint16_t weight = 100;
    };
    FieldUse dst;
    std::vector<Member> members;
    std::vector<std::string> hash_fields;
};
struct CtClear : Plain {};
struct CtCommitNat {
    Zone zone = Zone::kDefault;
};
struct Clone : Block {};
struct Arp : Block {};
struct Icmp4 : Block {};
struct Icmp4Error : Block {};
struct Icmp6 : Block {};
struct Igmp : Plain {};
struct TcpReset : Block {};
struct NdNa : Block {};
struct NdNaRouter : Block {};
struct GetArp : MacLookup {};
struct PutArp : MacStore {};
struct LookupArp : MacTest {};
struct LookupArpIp : IpTest {};
struct GetNd : MacLookup {};
struct PutNd : MacStore {};
struct LookupNd : MacTest {};
struct LookupNdIp : IpTest {};
struct PutDhcpv4Opts : Options {};
struct PutDhcpv6Opts : Options {};
struct DhcpRelayReqChk : RelayCheck {};
struct DhcpRelayRespChk : RelayCheck {};
struct SetQueue {
    uint16_t queue = 0;
};
struct DnsLookup : ResultAction {};
enum class Verdict : uint8_t { kAllow, kDrop, kReject, kPass };
enum class Severity : uint8_t { kAlert, kWarning, kNotice, kInfo, kDebug };
struct Log {
    std::optional<std::string> name;
    Verdict verdict = Verdict::kAllow;
    Severity severity = Severity::kInfo;
    std::optional<std::string> meter;
};
struct PutNdRaOpts : Options {};
struct NdNs : Block {};
struct SetMeter {
    uint64_t rate_kbps = 0;
    std::optional<uint64_t> burst_kbps;
};
struct OvnFieldLoad {
    FieldUse dst;
    Integer value;
};
struct OvnFieldMove {
    FieldUse dst;
    FieldUse src;
};  ///< icmp4.inner_ip4.src = field
struct CheckPktLarger {
    FieldUse dst;
    uint16_t length = 0;
};
struct TriggerEvent {
    std::string event;  ///< "empty_lb_backends"
    std::optional<std::string> meter;
    std::vector<Option> options;
};
struct BindVport {
    String vport;
    FieldUse parent;
};
struct HandleSvcCheck {
    FieldUse port;
};
struct FwdGroup {
    bool liveness = false;
    std::vector<String> child_ports;
};
struct Dhcp6Reply : Plain {};
struct Icmp6Error : Block {};
struct Reject : Block {};
struct ChkLbHairpin : ResultAction {};
struct ChkLbHairpinReply : ResultAction {};
struct CtSnatToVip : Plain {};
struct BfdMsg : Plain {};
struct SctpAbort : Block {};
struct PutFdb {
    FieldUse port;
    FieldUse mac;
};
struct GetFdb {
    FieldUse dst;
    FieldUse mac;
};
struct GetRemoteFdb {
    FieldUse dst;
    FieldUse mac;
};
struct LookupFdb {
    FieldUse dst;
    FieldUse port;
    FieldUse mac;
};
struct CheckInPortSec : ResultAction {};
struct CheckOutPortSec : ResultAction {};
struct ChkEcmpNhMac : ResultAction {};
struct ChkEcmpNh : ResultAction {};
struct Endpoint {
    IpAddress address;
    uint16_t port = 0;  ///< 0: none was written
};
enum class L4Proto : uint8_t { kTcp, kUdp, kSctp };
struct CommitEcmpNh {
    bool ipv6 = false;
    L4Proto proto = L4Proto::kTcp;
};
struct CommitLbAff {
    Endpoint vip;
    Endpoint backend;
    std::optional<L4Proto> proto;
    uint16_t timeout_s = 0;
};
struct ChkLbAff : ResultAction {};
struct Sample {
    uint16_t probability = 0;
    uint32_t collector_set = 0;
    uint8_t obs_domain = 0;
    /// A number, a register, or (`use_cookie`) the first 32 bits of the flow's UUID.
    std::optional<std::variant<Number, FieldUse>> obs_point;
    bool use_cookie = false;
};
struct MacCacheUse : Plain {};
struct CtOrigNwDst : ResultAction {};
struct CtOrigIp6Dst : ResultAction {};
struct CtOrigTpDst : ResultAction {};
struct CtOrigProto : ResultAction {};
struct FloodRemote : Plain {};
struct CtStateSave : ResultAction {};
struct Mirror {
    String port;
};
struct ChkEvpnArp {  ///< R = chk_evpn_arp(A): A is IPv4 or IPv6
    FieldUse dst;
    FieldUse ip;
};

using ActionNode =
    std::variant<Output, Next, Load, Move, Push, Pop, Exchange, DecTtl, CtNext, CtCommitV1,
                 CtCommitV2, CtCommitToZone, CtDnat, CtSnat, CtDnatInCzone, CtSnatInCzone, CtLb,
                 CtLbMark, CtLbMarkLocal, Select, CtClear, CtCommitNat, Clone, Arp, Icmp4,
                 Icmp4Error, Icmp6, Igmp, TcpReset, NdNa, NdNaRouter, GetArp, PutArp, LookupArp,
                 LookupArpIp, GetNd, PutNd, LookupNd, LookupNdIp, PutDhcpv4Opts, PutDhcpv6Opts,
                 DhcpRelayReqChk, DhcpRelayRespChk, SetQueue, DnsLookup, Log, PutNdRaOpts, NdNs,
                 SetMeter, OvnFieldLoad, OvnFieldMove, CheckPktLarger, TriggerEvent, BindVport,
                 HandleSvcCheck, FwdGroup, Dhcp6Reply, Icmp6Error, Reject, ChkLbHairpin,
                 ChkLbHairpinReply, CtSnatToVip, BfdMsg, SctpAbort, PutFdb, GetFdb, GetRemoteFdb,
                 LookupFdb, CheckInPortSec, CheckOutPortSec, CommitEcmpNh, ChkEcmpNhMac, ChkEcmpNh,
                 CommitLbAff, ChkLbAff, Sample, MacCacheUse, CtOrigNwDst, CtOrigIp6Dst, CtOrigTpDst,
                 CtOrigProto, FloodRemote, CtStateSave, Mirror, ChkEvpnArp>;

struct Action {
    ActionNode node;
    Span span;
};

}  // namespace sluice::lang
