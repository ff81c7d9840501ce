// SPDX-License-Identifier: Apache-2.0
// The action parser's inside: one member function per form of action, spread over actions_*.cc.
//
// Only parse_actions() (actions.h) uses it. A form returns the node, or nothing after it told the
// cursor why. run_list() reads a list up to its end or its `}`; the parser's state around a nested
// list (scope, depth, prerequisites) is saved and restored by block().
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/compile/actions.h"
#include "control/compile/expr_operand.h"
#include "control/compile/lex.h"

namespace sluice::lang {

class ActionParser {
public:
    ActionParser(std::string_view text, const SymbolTable& symbols, const ActionContext& context)
        : cursor_(text), symbols_(symbols), context_(context) {}

    Parsed<ParsedActions> run();

private:
    using Node = std::optional<ActionNode>;
    struct Form {
        std::string_view name;
        Node (*parse)(ActionParser&);
    };
    struct ResultForm {
        std::string_view name;
        Node (*parse)(ActionParser&, const FieldUse& dst);
    };
    // actions_forms.cc: every kind's name.
    static const Form* find_form(std::string_view name);
    static const ResultForm* find_result_form(std::string_view name);

    // actions_parser.cc: lists, assignments, blocks.
    std::optional<ActionList> run_list(Tok end);
    std::optional<Action> action();
    Node assignment();
    Node load(const FieldUse& dst);
    Node move(const FieldUse& dst, bool exchange, Span op);
    bool block(Block& node, const char* prerequisite, bool commits = false);
    Node next();
    bool dec_ttl(DecTtl& node);
    bool push_or_pop(FieldUse& out, bool pop);
    const char* any_ip(const char* family) const;
    bool next_arguments(Next& next, Span& where);

    // actions_conntrack.cc
    bool zone_argument(Zone& zone, const char* action);
    Node ct_commit();
    Node ct_commit_v1();
    bool ct_commit_to_zone(CtCommitToZone& node);
    bool optional_zone(Zone& zone, const char* action);
    bool nat(Nat& node, const char* action);
    bool port_range(Nat& node);
    bool load_balance(LoadBalance& node, const char* action, bool with_port_names = false);
    bool backends(LoadBalance& node, bool with_port_names);
    bool balance_options(LoadBalance& node);
    std::optional<Backend> backend(bool with_port_names);
    bool select(Select& node, const FieldUse& dst);
    bool select_members(Select& node);
    bool hash_fields(std::vector<std::string>& fields);

    // actions_lookup.cc: tables learnt from traffic, and tests with a result.
    bool mac_lookup(MacLookup& node, unsigned ip_bits);
    bool mac_store(MacStore& node, unsigned ip_bits);
    bool mac_test(MacTest& node, const FieldUse& dst, unsigned ip_bits);
    bool ip_test(IpTest& node, const FieldUse& dst, unsigned ip_bits);
    bool fdb_lookup(FieldUse& dst_out, FieldUse& mac, const FieldUse& dst);
    bool put_fdb(PutFdb& node);
    bool lookup_fdb(LookupFdb& node, const FieldUse& dst);
    bool chk_evpn_arp(ChkEvpnArp& node, const FieldUse& dst);
    bool result(ResultAction& node, const FieldUse& dst, unsigned bits, const char* name);
    bool dns_lookup(DnsLookup& node, const FieldUse& dst);
    bool check_pkt_larger(CheckPktLarger& node, const FieldUse& dst);
    bool relay_check(RelayCheck& node, const FieldUse& dst);

    // actions_options.cc: lists of named options.
    bool options(Options& node, const FieldUse& dst, const char* what);
    std::optional<Option> option(const char* what);
    bool put_dhcp_opts(PutDhcpv4Opts& node, const FieldUse& dst);
    bool put_nd_ra_opts(PutNdRaOpts& node, const FieldUse& dst);
    bool check_ra_option(const Option& option);
    bool trigger_event(TriggerEvent& node);
    bool check_event_option(const Option& option);

    // actions_arguments.cc: kinds with their own argument lists.
    bool set_queue(SetQueue& node);
    bool set_meter(SetMeter& node);
    std::optional<uint64_t> kilobits();
    bool log(Log& node);
    bool log_argument(Log& node, bool& has_verdict);
    bool bind_vport(BindVport& node);
    bool handle_svc_check(HandleSvcCheck& node);
    bool fwd_group(FwdGroup& node);
    bool liveness(FwdGroup& node);
    bool mirror(Mirror& node);
    bool handle_bfd_msg(BfdMsg& node);

    // actions_sample.cc: sampling and what is remembered of a connection.
    bool sample(Sample& node);
    bool sample_argument(Sample& node);
    bool sample_point(Sample& node);
    bool commit_ecmp_nh(CommitEcmpNh& node);
    bool commit_lb_aff(CommitLbAff& node);
    bool endpoint(Endpoint& out, const char* name);
    std::optional<L4Proto> l4_proto();

    // actions_operand.cc
    std::optional<FieldUse> field();
    /// A field of `bits` bits, 0 for a port name.
    bool field_of(FieldUse& out, unsigned bits, bool write = false);
    bool check_field(const FieldUse& field, unsigned bits, bool write);
    bool check_writable(const FieldUse& field);
    bool check_readable(const FieldUse& field);
    std::optional<uint16_t> uint16(const char* what);
    std::optional<uint32_t> uint32(const char* what);
    std::optional<IpAddress> address(const char* expecting);
    std::optional<String> string(const char* expecting);
    /// The `(` of R = name(...), and R's type; 0 bits for a port name.
    bool open_result(const FieldUse& dst, unsigned bits);
    bool check_table(const char* action, Span where);
    unsigned tables(Pipeline pipeline) const;
    void require(Expr prerequisite);
    void require(const char* predicate);

    Cursor cursor_;
    const SymbolTable& symbols_;
    const ActionContext context_;
    std::vector<Expr> prerequisites_;
    unsigned depth_ = 0;
    bool in_ct_commit_ = false;
};

/// "10.0.0.1:80", "[fd00::1]:80", or an address alone.
std::optional<Endpoint> parse_endpoint(std::string_view text);

}  // namespace sluice::lang
