// SPDX-License-Identifier: Apache-2.0
// Stateful pipelines: the real walk and the real connection table against the naive evaluator and
// the naive tracker, over sequences of packets that answer one another while time goes on.
#include <cstring>
#include <deque>
#include <memory>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "datapath/conntrack/conntrack.h"
#include "tests/property/compile_random.h"
#include "tests/property/walk_lab.h"
#include "tests/support/oracle_tracker.h"
#include "tests/support/scale.h"

using namespace sluice;
using namespace sluice::testing;
using oracle::Event;

namespace {

constexpr uint64_t kSeed = 88001;
constexpr unsigned kTables = 7;
constexpr unsigned kPacketsPerWorld = 250;
constexpr uint16_t kDnatZone = 200;
constexpr uint16_t kSnatZone = 201;

using Strings = std::vector<std::string>;

/// Tables that northd could have written: look, decide, balance, translate, commit, forward.
struct StatefulFlows {
    std::vector<std::unique_ptr<RandomFlow>> flows;
    std::vector<oracle::Flow> judged;
    bool is_switch;
    bool v6;

    StatefulFlows(Random* random, uint32_t* id)
        : is_switch(random->one_in(2)), v6(random->one_in(3)) {
        random_ = random;
        for (unsigned table = 0; table < kTables; ++table) {
            for (unsigned i = random->below(5); i > 0; --i) {
                add(table, random->below(4) * 10 + 1, match(), actions(table), id);
            }
            if (table == 0 && !random->one_in(4)) {
                add(table, 5, "ip", "ct_next;", id);
            }
            add(table, 0, "1", table + 1 < kTables ? "next;" : "output;", id);
        }
    }

    compile::DatapathInput input(const compile::Names* names) const {
        compile::DatapathInput in;
        in.names = names;
        in.is_switch = is_switch;
        for (const auto& flow : flows) {
            in.flows.push_back(&flow->flow);
        }
        return in;
    }

private:
    void add(unsigned table, unsigned priority, const std::string& match,
             const std::string& actions, uint32_t* id) {
        auto flow = make_flow(0, table, priority, (*id)++, random_->bits(), match, actions);
        if (flow != nullptr) {
            judged.push_back(flow->judged);
            flows.push_back(std::move(flow));
        }
    }
    std::string ip(unsigned host) const {
        return v6 ? fmt::format("fd00::{:x}", host) : fmt::format("10.0.0.{}", host);
    }
    std::string match() {
        static const Strings kStates = {"ct.trk",
                                        "ct.new",
                                        "ct.est",
                                        "ct.est && ct.rpl",
                                        "ct.inv",
                                        "!ct.new && ct.est",
                                        "ct.snat",
                                        "ct.dnat",
                                        "ct_mark == 3",
                                        "ct_mark.blocked",
                                        "ct_mark.natted == 1",
                                        "ct_label.label == 9",
                                        "ct_state == 0x21",
                                        "!ct.trk"};
        static const Strings kPlain = {"ip",
                                       "udp",
                                       "tcp",
                                       "udp.dst == 53",
                                       "reg0[1] == 1",
                                       "1",
                                       "icmp4.type == 8",
                                       "tcp.dst < 2000"};
        std::string out = random_->pick(random_->one_in(3) ? kPlain : kStates);
        switch (random_->below(4)) {
        case 0:
            return fmt::format("{} && ip{}.{} == {}", out, v6 ? 6 : 4,
                               random_->one_in(2) ? "src" : "dst", ip(random_->below(8)));
        case 1: return fmt::format("{} && inport == \"p{}\"", out, random_->below(4));
        default: return out;
        }
    }
    std::string target(unsigned host) const { return ip(host); }
    /// Each zone translates in one table only; looking twice after NAT is judged elsewhere.
    std::string actions(unsigned table) {
        static const Strings kCommits = {
            "ct_commit; next;",
            "ct_commit { ct_mark = 3; }; next;",
            "ct_commit { ct_mark.blocked = 1; }; next;",
            "ct_commit { ct_mark.blocked = 0; }; next;",
            "ct_commit { ct_mark.blocked = 0; ct_label.label = 9; }; next;",
            "ct_commit { ct_label = 7; }; output;"};
        const bool first = random_->one_in(2);
        switch (table) {
        case 0: return first ? "ct_next;" : "reg0[1] = 1; ct_next;";
        case 1:
            if (is_switch && first) {
                return random_->pick(kCommits);
            }
            return random_->one_in(5) ? "drop;" : "reg0[1] = 1; next;";
        case 2:
            if (is_switch) {
                return first ? "ct_lb_mark;" : balance();
            }
            return first ? "ct_snat;" : "next;";
        case 3:
            if (is_switch) {
                return random_->one_in(3) ? "ct_next;" : "ct_clear; next;";
            }
            return router_dnat(first);
        case 4: return random_->one_in(3) ? "clone { ct_clear; output; }; next;" : "next;";
        case 5:
            return is_switch ? "next;"
                   : first   ? fmt::format("ct_snat({});", target(99))
                             : "ct_snat;";
        default: return random_->one_in(6) ? "drop;" : "output;";
        }
    }
    std::string balance() {
        const std::string backend = target(5 + random_->below(2));
        return v6 ? fmt::format("ct_lb_mark(backends=[{}]:8{});", backend, random_->below(3))
                  : fmt::format("ct_lb_mark(backends={}:8{});", backend, random_->below(3));
    }
    std::string router_dnat(bool first) {
        switch (random_->below(4)) {
        case 0: return "ct_dnat;";
        case 1: return fmt::format("ct_dnat({});", target(5 + random_->below(2)));
        case 2: return first ? "ct_lb_mark;" : balance();
        default: return "ct_commit_nat;";
        }
    }

    Random* random_;
};

/// Packets between a few hosts, answers to what was let out, and repeats.
class Traffic {
public:
    Traffic(Random* random, bool v6) : random_(random), v6_(v6) {}

    oracle::Packet next() {
        if (!out_.empty() && random_->one_in(2)) {
            return random_->one_in(4) ? repeat() : answer();
        }
        return fresh();
    }
    void sent(const oracle::Packet& packet) { remember(&in_, packet); }
    void came_out(const oracle::Packet& packet) { remember(&out_, packet); }

private:
    static void remember(std::deque<oracle::Packet>* to, const oracle::Packet& packet) {
        to->push_back(packet);
        if (to->size() > 12) {
            to->pop_front();
        }
    }
    oracle::Packet repeat() { return in_[random_->below(static_cast<unsigned>(in_.size()))]; }
    oracle::Packet answer() {
        oracle::Packet p = out_[random_->below(static_cast<unsigned>(out_.size()))];
        std::swap(p["ip4.src"], p["ip4.dst"]);
        std::swap(p["ip6.src"], p["ip6.dst"]);
        if (p["ip.proto"].lo == 6 || p["ip.proto"].lo == 17) {
            std::swap(p["l4.src"], p["l4.dst"]);
        } else if (p["l4.src"].lo == 8 || p["l4.src"].lo == 0) {
            p["l4.src"].lo ^= 8;
        } else {
            p["l4.src"].lo ^= 1;  // 128, 129
        }
        p["inport"] = {0, 1 + random_->below(3)};
        enter(&p);
        return p;
    }
    oracle::Packet fresh() {
        oracle::Packet p;
        const unsigned from = random_->below(5);
        const unsigned to = 5 + random_->below(3);
        const oracle::Wide six{0xfd00000000000000ull, 0};
        p["eth.type"] = {0, v6_ ? 0x86ddu : 0x800u};
        p["eth.src"] = {0, 0x0a0000000000ull + from};
        p["eth.dst"] = {0, 0x0a0000000100ull + to};
        p[v6_ ? "ip6.src" : "ip4.src"] =
            v6_ ? oracle::Wide{six.hi, from} : oracle::Wide{0, 0x0a000000u + from};
        p[v6_ ? "ip6.dst" : "ip4.dst"] =
            v6_ ? oracle::Wide{six.hi, to} : oracle::Wide{0, 0x0a000000u + to};
        p["ip.ttl"] = {0, 64};
        p["length"] = {0, 100};
        p["inport"] = {0, 1 + from % 3};
        const unsigned kind = random_->below(5);
        p["ip.proto"] = {0, kind < 2 ? 17u : kind < 4 ? 6u : v6_ ? 58u : 1u};
        // Ports say who speaks to whom, so that translations never collide.
        p["l4.src"] = {0, kind < 4 ? 1000 + 10 * from + to : v6_ ? 128u : 8u};
        p["l4.dst"] = {0, kind == 0 ? 53u : kind < 4 ? 80u : 0u};
        p["tcp.flags"] = {0, kind == 2 || kind == 3 ? 0x10u : 0u};
        enter(&p);
        return p;
    }
    static void enter(oracle::Packet* p) {
        for (const char* logical : {"outport", "remote_outport", "flags", "xxreg0", "xxreg1",
                                    "xreg4", "ct_state", "ct_mark", "ct_label"}) {
            (*p)[logical] = {};
        }
    }

    Random* random_;
    bool v6_;
    std::deque<oracle::Packet> in_;
    std::deque<oracle::Packet> out_;
};

PacketFacts facts_of(oracle::Packet p) {
    PacketFacts f{};
    f.is_valid = true;
    f.tcp_wscale = 0xff;
    f.tcp_flags = static_cast<uint16_t>(p["tcp.flags"].lo);
    f.tcp_window = 8192;
    f.tcp_seq = f.tcp_ack = 1000;
    f.icmp_type = static_cast<uint8_t>(p["l4.src"].lo);
    f.icmp_id = 7;
    return f;
}

/// One set of tables with a table of connections and traffic of its own.
class StatefulWorld {
public:
    StatefulWorld(Random* random, compile::Compiler* compiler, uint32_t* id)
        : random_(random),
          world_(random->world()),
          flows_(random, id),
          traffic_(random, flows_.v6) {
        world_.is_switch = flows_.is_switch;
        world_.dnat_zone = kDnatZone;
        world_.snat_zone = kSnatZone;
        const WorldNames names(&world_);
        const compile::Compiled compiled = compiler->compile(flows_.input(&names));
        REQUIRE(compiled.errors.empty());
        keep_ = compiled.keep;
        one_ = std::make_unique<OneDatapath>(compiled);
        one_->datapath.is_switch = flows_.is_switch;
        one_->datapath.dnat_zone = kDnatZone;
        one_->datapath.snat_zone = kSnatZone;
        std::vector<std::pair<uint32_t, const LogicalPort*>> ports;
        for (uint32_t key = 1; key < 4; ++key) {
            ports_.push_back(std::make_unique<LogicalPort>());
            ports_.back()->key = key;
            ports_.back()->ct_zone = static_cast<uint16_t>(100 + key);
            ports.emplace_back(key, ports_.back().get());
            world_.port_zones[key] = 100 + key;
        }
        one_->datapath.ports = FlatMap<uint32_t, const LogicalPort*>(ports);
        ConntrackConfig config;
        config.max_connections = 4096;
        config.max_fragments_kb = 64;
        config.seed = random->bits();
        auto made = Conntrack::create(config);
        REQUIRE(made);
        conntrack_ = std::move(*made);
    }

    /// Packets compared; fewer than asked when the outcome became the implementation's choice.
    unsigned run(unsigned packets) {
        unsigned n = 0;
        try {
            for (; n < packets; ++n) {
                one();
            }
        } catch (const oracle::Undecided&) {
        }
        return n;
    }

private:
    void one() {
        tracker_.now_ms += random_->one_in(8) ? random_->below(40000) : random_->below(50);
        const oracle::Packet packet = traffic_.next();
        oracle::Packet read = packet;
        const PacketKey key = key_of(packet);
        const auto inport = static_cast<uint32_t>(read["inport"].lo);
        const auto flags = static_cast<uint32_t>(read["flags"].lo);
        State state;
        std::memset(&state, 0, sizeof state);
        expand_key(key, &state);
        state.w[kSlotInport] = inport;
        const auto want = oracle::run(flows_.judged, 0, 0, to_packet(state), world_, &tracker_);
        const PacketFacts facts = facts_of(packet);
        WalkEnv env;
        env.conntrack = conntrack_.get();
        env.facts = &facts;
        env.now_ms = tracker_.now_ms;
        const auto got = one_->walk_ingress(key, inport, flags, env);
        if (got != want) {
            explain(want, got);
        }
        traffic_.sent(packet);
        for (const Event& event : want) {
            if (event.kind == Event::kOutput) {
                traffic_.came_out(event.packet);
            }
        }
    }

    void explain(const std::vector<Event>& want, const std::vector<Event>& got) const {
        std::string text;
        for (const auto& flow : flows_.flows) {
            text += fmt::format("{} {} {} -> {}\n", flow->flow.table, flow->flow.priority,
                                *flow->flow.match, *flow->flow.actions);
        }
        const auto list = [](const std::vector<Event>& events) {
            std::string out;
            for (const Event& event : events) {
                out += fmt::format("  {}:", static_cast<int>(event.kind));
                for (size_t i = 0; i < oracle::kStoreCount; ++i) {
                    const oracle::Wide v = event.packet.stores[i];
                    if (v.hi != 0 || v.lo != 0) {
                        out += fmt::format(" {}={:x}.{:x}", oracle::kStores[i], v.hi, v.lo);
                    }
                }
                out += '\n';
            }
            return out;
        };
        FAIL(text << "want\n" << list(want) << "got\n" << list(got));
    }

    Random* random_;
    oracle::World world_;
    StatefulFlows flows_;
    Traffic traffic_;
    oracle::Tracker tracker_;
    std::unique_ptr<Conntrack> conntrack_;
    std::unique_ptr<OneDatapath> one_;
    std::vector<std::unique_ptr<LogicalPort>> ports_;
    std::vector<std::shared_ptr<const void>> keep_;
};

}  // namespace

TEST_CASE("The real walk with the real table does what the naive ones do") {
    Random random(kSeed);
    compile::Compiler compiler;
    size_t pairs = 0;
    size_t worlds = 0;
    uint32_t id = 0;
    while (pairs < scaled(1000000)) {
        StatefulWorld world(&random, &compiler, &id);
        pairs += world.run(kPacketsPerWorld);
        if (++worlds % 64 == 0) {
            compiler.forget_unused();
        }
    }
    CHECK(pairs > worlds * kPacketsPerWorld / 2);
}
