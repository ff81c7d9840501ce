// SPDX-License-Identifier: Apache-2.0
// The raw form: against OVN's own results, and against a naive evaluator of what was written.
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "control/compile/expr.h"
#include "control/compile/print.h"

using namespace sluice::lang;

namespace {

const SymbolTable& table() {
    return SymbolTable::of(Dialect::kMain);
}

Expr parse(const std::string& text) {
    auto parsed = parse_match(text, table());
    if (!parsed) {
        FAIL(format_error("test", "match", text, parsed.error()));
    }
    return *std::move(parsed);
}

using Values = std::map<const Symbol*, U128>;

bool compare(const Compare& node, const Values& values) {
    const auto found = values.find(node.field.symbol);
    const U128 all = found == values.end() ? 0 : found->second;
    const U128 value = (all >> node.field.ofs) & low_bits(node.field.width);
    bool any = false;
    for (const Constant& constant : node.set.values) {
        const auto& c = std::get<Integer>(constant);
        switch (node.op) {
        case RelOp::kEq:
        case RelOp::kNe: any = any || (value & c.mask) == c.value; break;
        case RelOp::kLt: any = value < c.value; break;
        case RelOp::kLe: any = value <= c.value; break;
        case RelOp::kGt: any = value > c.value; break;
        case RelOp::kGe: any = value >= c.value; break;
        }
    }
    if (node.implicit) {
        return value != 0;
    }
    return node.op == RelOp::kNe ? !any : any;
}

bool evaluate(const Expr& expr, const Values& values);

/// What was written, as ovn-sb(5) words it: a name's prerequisites hold wherever it is tested.
bool compare_written(const Compare& node, const Values& values, bool negated) {
    const Symbol& symbol = *node.field.symbol;
    if (symbol.kind == SymbolKind::kPredicate) {
        const bool truth = evaluate(*symbol.expansion_expr, values);
        const auto& c = std::get<Integer>(node.set.values[0]);
        return (node.implicit ? truth : (truth == (c.value != 0)) == (node.op == RelOp::kEq)) !=
               negated;
    }
    const bool holds = symbol.prerequisites.empty() ||
                       evaluate(*parse_match(symbol.prerequisites, table()), values);
    return holds && compare(node, values) != negated;
}

bool evaluate_written(const Expr& expr, const Values& values, bool negated) {
    if (const auto* constant = std::get_if<Bool>(&expr.node)) {
        return constant->value != negated;
    }
    if (const auto* no = std::get_if<Not>(&expr.node)) {
        return evaluate_written(no->terms[0], values, !negated);
    }
    if (const auto* node = std::get_if<Compare>(&expr.node)) {
        return compare_written(*node, values, negated);
    }
    const auto* all = std::get_if<And>(&expr.node);
    const auto& terms = all != nullptr ? all->terms : std::get<Or>(expr.node).terms;
    const bool every = (all != nullptr) != negated;
    for (const Expr& term : terms) {
        if (evaluate_written(term, values, negated) != every) {
            return !every;
        }
    }
    return every;
}

bool evaluate(const Expr& expr, const Values& values) {
    return evaluate_written(expr, values, false);
}

/// The raw form, which must hold nothing but comparisons, && and ||.
bool evaluate_raw(const Expr& expr, const Values& values) {
    if (const auto* constant = std::get_if<Bool>(&expr.node)) {
        return constant->value;
    }
    if (const auto* node = std::get_if<Compare>(&expr.node)) {
        REQUIRE(node->field.symbol->kind != SymbolKind::kPredicate);
        REQUIRE_FALSE(node->implicit);
        return compare(*node, values);
    }
    const auto* all = std::get_if<And>(&expr.node);
    REQUIRE((all != nullptr || std::holds_alternative<Or>(expr.node)));
    const auto& terms = all != nullptr ? all->terms : std::get<Or>(expr.node).terms;
    REQUIRE(terms.size() >= 2);
    bool result = all != nullptr;
    for (const Expr& term : terms) {
        REQUIRE(term.node.index() != expr.node.index());
        REQUIRE_FALSE(std::holds_alternative<Bool>(term.node));
        const bool holds = evaluate_raw(term, values);
        result = all != nullptr ? result && holds : result || holds;
    }
    return result;
}

constexpr const char* kAtoms[] = {
    "vlan.pcp == 3",
    "vlan.pcp",
    "vlan.present",
    "!vlan.present",
    "vlan.pcp > 2",
    "1 < vlan.pcp < 6",
    "ip.frag[0]",
    "ip.first_frag",
    "!ip.first_frag",
    "ip.is_frag == 0",
    "ip.later_frag != 1",
    "ip4.mcast",
    "!ip4.mcast",
    "tcp.dst == {1, 2}",
    "tcp.dst != {1, 2}",
    "tcp.dst <= 2",
    "udp.dst == 2/2",
    "udp.dst != 2/2",
    "ct.new",
    "!ct.new",
    "ct.est == 0",
    "ct.trk",
    "1",
    "0",
    "eth.mcast",
    "ip4.dst[28..31] != 0xe",
    "reg0[0..1] != {0, 1}",
    "reg0[1]",
};

std::string random_text(std::mt19937& random, unsigned depth) {
    const unsigned kind = depth == 0 ? 0 : random() % 4;
    if (kind == 0) {
        std::string atom = kAtoms[random() % std::size(kAtoms)];
        return atom == "vlan.pcp" ? "!vlan.pcp" : atom;
    }
    if (kind == 1) {
        return "!(" + random_text(random, depth - 1) + ")";
    }
    std::string out;
    for (unsigned i = 0; i < 2 + random() % 2; ++i) {
        out += out.empty() ? "(" : kind == 2 ? ") && (" : ") || (";
        out += random_text(random, depth - 1);
    }
    return out + ")";
}

Values random_packet(std::mt19937& random) {
    auto symbol = [](const char* name) { return table().find(name); };
    Values values;
    const U128 types[] = {0x800, 0x86dd, 0x806};
    const U128 protocols[] = {6, 17, 1};
    values[symbol("eth.type")] = types[random() % 3];
    values[symbol("ip.proto")] = protocols[random() % 3];
    values[symbol("vlan.tci")] = random() & 0xffff;
    values[symbol("ip.frag")] = random() % 4;
    values[symbol("eth.dst")] = random() % 2 == 0 ? U128{1} << 40 : 0;
    values[symbol("ip4.dst")] = random() % 2 == 0 ? 0xe0000001u : 0x0a000001u;
    // Names of the same storage hold the same bits.
    const U128 port = random() % 4;
    for (const char* name : {"tcp.dst", "udp.dst"}) {
        values[symbol(name)] = port;
    }
    const U128 state = random() & 0xff;
    for (unsigned bit = 0; bit < 8; ++bit) {
        const char* names[] = {"ct.new", "ct.est", "ct.rel",  "ct.rpl",
                               "ct.inv", "ct.trk", "ct.snat", "ct.dnat"};
        values[symbol(names[bit])] = (state >> bit) & 1;
    }
    values[symbol("eth.mcast")] = values[symbol("eth.dst")] >> 40 & 1;
    values[symbol("vlan.pcp")] = values[symbol("vlan.tci")] >> 13;
    values[symbol("reg0")] = random() % 4;
    return values;
}

}  // namespace

TEST_CASE("annotation agrees with OVN's") {
    // Left: a match; right: what `ovstest test-ovn annotate-expr` makes of it, with OVN's
    // subfields spelled as sluice prints them.
    const std::pair<const char*, const char*> cases[] = {
        {"ip4.src == 1.2.3.4", "ip4.src == 1.2.3.4 && eth.type == 0x800"},
        {"ip4.src != 1.2.3.4", "ip4.src != 1.2.3.4 && eth.type == 0x800"},
        {"ip.proto == 123", "ip.proto == 123 && (eth.type == 0x800 || eth.type == 0x86dd)"},
        {"ip.proto == {123, 234}",
         "ip.proto == {123, 234} && (eth.type == 0x800 || eth.type == 0x86dd)"},
        {"tcp.dst == 1 || (tcp.dst >= 2 && tcp.dst <= 3)",
         "(tcp.dst == 1 || (tcp.dst >= 2 && tcp.dst <= 3)) && ip.proto == 6 && (eth.type == "
         "0x800 || eth.type == 0x86dd)"},
        {"ip", "eth.type == 0x800 || eth.type == 0x86dd"},
        {"ip == 1", "eth.type == 0x800 || eth.type == 0x86dd"},
        {"ip[0] == 1", "eth.type == 0x800 || eth.type == 0x86dd"},
        {"vlan.present", "vlan.tci[12] == 1"},
        {"!vlan.present", "vlan.tci[12] == 0"},
        {"!vlan.pcp", "vlan.pcp == 0 && vlan.tci[12] == 1"},
        {"!reg0 && !reg1", "reg0 == 0 && reg1 == 0"},
        {"ip.first_frag",
         "ip.frag[0] == 1 && (eth.type == 0x800 || eth.type == 0x86dd) && (ip.frag[1] == 0 || "
         "(eth.type != 0x800 && eth.type != 0x86dd))"},
        {"!ip.first_frag",
         "ip.frag[0] == 0 || (eth.type != 0x800 && eth.type != 0x86dd) || (ip.frag[1] == 1 && "
         "(eth.type == 0x800 || eth.type == 0x86dd))"},
        {"ip.later_frag", "ip.frag[1] == 1 && (eth.type == 0x800 || eth.type == 0x86dd)"},
        {"!ct.new", "ct.new == 0 && ct.trk == 1"},
        {"!(tcp.dst == 80)",
         "tcp.dst != 80 && ip.proto == 6 && (eth.type == 0x800 || eth.type == 0x86dd)"},
        {"!is_chassis_resident(\"p\")", "!is_chassis_resident(\"p\")"},
        {"!(is_chassis_resident(\"p\") || ct.trk)", "!is_chassis_resident(\"p\") && ct.trk == 0"},
        {"inport == {\"a\", @pg}", "inport == {\"a\", @pg}"},
        {"!(ip4.src == $as)", "ip4.src != $as && eth.type == 0x800"},
        {"1 || ip4", "1"},
        {"0 || reg0[2]", "reg0[2] == 1"},
        {"!1", "0"},
    };
    for (const auto& [text, expected] : cases) {
        INFO(text);
        CHECK(print(annotate(parse(text))) == expected);
    }
}

TEST_CASE("the raw form means what was written") {
    std::mt19937 random(20231106);
    unsigned checked = 0;
    for (unsigned i = 0; i < 3000; ++i) {
        const std::string text = random_text(random, 3);
        auto parsed = parse_match(text, table());
        if (!parsed) {
            continue;  // a nominal name came out negated
        }
        const Expr raw = annotate(*parsed);
        const Expr opposite = negate(raw);
        INFO(text);
        INFO(print(raw));
        for (unsigned j = 0; j < 40; ++j) {
            const Values packet = random_packet(random);
            const bool wanted = evaluate(*parsed, packet);
            REQUIRE(evaluate_raw(raw, packet) == wanted);
            REQUIRE(evaluate_raw(opposite, packet) != wanted);
        }
        ++checked;
    }
    CHECK(checked > 2000);
}

TEST_CASE("templates are replaced in the text") {
    const std::map<std::string, std::string> variables = {
        {"vip", "10.0.0.1"}, {"backends", "10.0.0.2:80,10.0.0.3:80"}, {"port", "80"}};
    CHECK(substitute_templates("ip4.dst == ^vip && tcp.dst == ^port", variables) ==
          "ip4.dst == 10.0.0.1 && tcp.dst == 80");
    CHECK(substitute_templates("ct_lb_mark(backends=^backends);", variables) ==
          "ct_lb_mark(backends=10.0.0.2:80,10.0.0.3:80);");
    CHECK(substitute_templates("\"^vip:^port\" ^unknown ^", variables) ==
          "\"10.0.0.1:80\" ^unknown ^");
    CHECK(template_names("^vip:^port ^vip ^ ^x1") == std::vector<std::string>{"vip", "port", "x1"});
}

TEST_CASE("a comparison resolves to bits of storage") {
    const Expr expr = annotate(parse("reg4[8..15] == 3"));
    const auto& compare = std::get<Compare>(expr.node);
    CHECK(compare.field.raw() == FieldRef{sluice::FieldId::kXxreg1, 104, 8});
    CHECK(std::get<Integer>(compare.set.values[0]).mask == 0xff);
    const Expr port = annotate(parse("inport == \"a\""));
    CHECK(std::get<Compare>(port.node).field.raw() == FieldRef{sluice::FieldId::kInport, 0, 32});
}
