// SPDX-License-Identifier: Apache-2.0
// The real walk on compiled ingress pipelines against the naive evaluator, and the promise the
// flow cache lives on: what is not in `reads` makes no difference.
#include <arpa/inet.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <catch2/catch.hpp>

#include "datapath/stages.h"
#include "datapath/trace.h"
#include "datapath/walk_env.h"
#include "lib/program/table.h"
#include "tests/property/compile_random.h"
#include "tests/property/compile_run.h"

using namespace sluice;
using namespace sluice::testing;
using oracle::Event;

namespace {

constexpr uint64_t kSeed = 77001;
constexpr unsigned kTables = 5;

size_t scaled(size_t n) {
    const char* percent = std::getenv("SLUICE_PROPERTY_SCALE");
    return percent != nullptr ? n * std::strtoul(percent, nullptr, 10) / 100 : n;
}

struct Ingress {
    std::vector<std::unique_ptr<RandomFlow>> flows;
    std::vector<oracle::Flow> judged;

    explicit Ingress(Random* random) {
        uint32_t id = 0;
        for (unsigned table = 0; table < kTables; ++table) {
            for (unsigned i = random->below(8); i > 0; --i) {
                add(make_flow(0, table, random->below(4) * 10 + 1, id++, random->bits(),
                              random->match(1 + random->below(2)),
                              random->actions(0, table, kTables)));
            }
            add(make_flow(0, table, 0, id++, random->bits(), "1",
                          table + 1 < kTables ? "next;" : "output;"));
        }
    }
    void add(std::unique_ptr<RandomFlow> flow) {
        if (flow != nullptr) {
            judged.push_back(flow->judged);
            flows.push_back(std::move(flow));
        }
    }
    compile::DatapathInput input(const compile::Names* names) const {
        compile::DatapathInput in;
        in.names = names;
        for (const auto& flow : flows) {
            in.flows.push_back(&flow->flow);
        }
        return in;
    }
};

void put_mac(uint64_t mac, uint8_t* out) {
    for (unsigned i = 0; i < 6; ++i) {
        out[i] = static_cast<uint8_t>(mac >> 8 * (5 - i));
    }
}
void put_wide(oracle::Wide v, uint8_t* out) {
    for (unsigned i = 0; i < 8; ++i) {
        out[i] = static_cast<uint8_t>(v.hi >> 8 * (7 - i));
        out[8 + i] = static_cast<uint8_t>(v.lo >> 8 * (7 - i));
    }
}
void put_ip4(uint64_t ip, uint8_t* out) {
    const uint32_t be = htonl(static_cast<uint32_t>(ip));
    std::memcpy(out, &be, sizeof be);
}

/// The parts of `p` that a frame of its protocol has, as the parser would give them.
PacketKey key_of(oracle::Packet p) {
    PacketKey key;
    std::memset(&key, 0, sizeof key);
    put_mac(p["eth.dst"].lo, key.eth_dst);
    put_mac(p["eth.src"].lo, key.eth_src);
    const auto type = static_cast<uint16_t>(p["eth.type"].lo);
    key.eth_type = htons(type);
    key.vlan_tci = htons(static_cast<uint16_t>(p["vlan.tci"].lo));
    key.pkt_len = static_cast<uint32_t>(p["length"].lo);
    key.pkt_mark = static_cast<uint32_t>(p["pkt.mark"].lo);
    if (type == 0x806 || type == 0x8035) {
        key.kinds = kind::kArp;
        key.l4_src = htons(static_cast<uint16_t>(p["arp.op"].lo));
        put_ip4(p["arp.spa"].lo, key.ip_src);
        put_ip4(p["arp.tpa"].lo, key.ip_dst);
        put_mac(p["arp.sha"].lo, key.ip_src + 4);
        put_mac(p["arp.tha"].lo, key.ip_dst + 4);
        return key;
    }
    if (type != 0x800 && type != 0x86dd) {
        return key;
    }
    key.kinds = type == 0x800 ? kind::kIp4 : kind::kIp6;
    key.ip_proto = static_cast<uint8_t>(p["ip.proto"].lo);
    key.ip_ttl = static_cast<uint8_t>(p["ip.ttl"].lo);
    key.ip_tos = static_cast<uint8_t>(p["ip.dscp"].lo << 2 | p["ip.ecn"].lo);
    key.ip_frag = static_cast<uint8_t>(p["ip.frag"].lo);
    key.l4_src = htons(static_cast<uint16_t>(p["l4.src"].lo));
    key.l4_dst = htons(static_cast<uint16_t>(p["l4.dst"].lo));
    key.tcp_flags = htons(static_cast<uint16_t>(p["tcp.flags"].lo));
    if (type == 0x800) {
        put_ip4(p["ip4.src"].lo, key.ip_src);
        put_ip4(p["ip4.dst"].lo, key.ip_dst);
        return key;
    }
    put_wide(p["ip6.src"], key.ip_src);
    put_wide(p["ip6.dst"], key.ip_dst);
    key.ip6_label = htonl(static_cast<uint32_t>(p["ip6.label"].lo));
    if (key.ip_proto == 58 && (p["l4.src"].lo == 135 || p["l4.src"].lo == 136)) {
        key.kinds |= kind::kNd;
        put_wide(p["nd.target"], key.nd_target);
        put_mac(p["nd.sll"].lo, key.nd_sll);
        put_mac(p["nd.tll"].lo, key.nd_tll);
    }
    return key;
}

/// A pipeline of one datapath without ports: outputs end in a drop that is not compared.
struct OneDatapath {
    Datapath datapath;
    Pipeline pipeline;
    std::unique_ptr<ProgramBuffer> buffer = std::make_unique<ProgramBuffer>();
    std::unique_ptr<WorkerCounters> counters = std::make_unique<WorkerCounters>();

    explicit OneDatapath(const compile::Compiled& compiled) {
        datapath.tables = compiled.tables;
        datapath.neighbors = std::make_shared<const Neighbors>();
        pipeline.datapaths = {&datapath};
        buffer->flush = [](void*, ProgramBuffer*) {};
        buffer->owner = nullptr;
    }

    std::vector<Event> walk_ingress(const PacketKey& key, uint32_t inport, uint32_t flags) {
        Trace trace;
        buffer->reset();
        walk<true>(pipeline, key, {WalkStart::Kind::kIngress, &datapath, inport, 0, flags},
                   WalkEnv{}, buffer.get(), counters.get(), &trace);
        std::vector<Event> out;
        for (const TraceRecord& record : trace.records) {
            if (record.kind == TraceRecord::Kind::kCode && record.instr->op == Op::kOutput) {
                out.push_back({Event::kOutput, "", to_packet(record.state)});
            } else if (record.kind == TraceRecord::Kind::kDrop) {
                add_drop(record, &out);
            }
        }
        return out;
    }

private:
    static void add_drop(const TraceRecord& record, std::vector<Event>* out) {
        if (record.reason == Drop::k_no_match) {
            out->push_back({Event::kNoMatch, "", to_packet(record.state)});
        } else if (record.reason == Drop::k_ttl_expired) {
            out->push_back({Event::kTtl, "", to_packet(record.state)});
        } else if (record.reason == Drop::k_logical_flow) {
            out->push_back({Event::kDrop, "logical_flow", to_packet(record.state)});
        }
    }
};

}  // namespace

TEST_CASE("The real walk does what the evaluator does") {
    Random random(kSeed);
    const oracle::World world = random.world();
    const WorldNames names(&world);
    compile::Compiler compiler;
    size_t pairs = 0;
    size_t events = 0;
    for (unsigned made = 0; pairs < scaled(60000); ++made) {
        const Ingress flows(&random);
        const compile::Compiled compiled = compiler.compile(flows.input(&names));
        OneDatapath datapath(compiled);
        for (unsigned i = 0; i < 100; ++i, ++pairs) {
            oracle::Packet packet = random.packet(0);
            const PacketKey key = key_of(packet);
            const auto inport = static_cast<uint32_t>(packet["inport"].lo);
            const auto flags = static_cast<uint32_t>(packet["flags"].lo);
            State state;
            std::memset(&state, 0, sizeof state);
            expand_key(key, &state);
            state.w[kSlotInport] = inport;
            state.w[kSlotFlags] = flags;
            state.w[kSlotPktMark] = key.pkt_mark;
            const auto want = oracle::run(flows.judged, 0, 0, to_packet(state), world);
            const auto got = datapath.walk_ingress(key, inport, flags);
            events += want.size();
            if (got != want) {
                FAIL("pair " << pairs << ": " << got.size() << " events, want " << want.size());
            }
        }
        if (made % 64 == 0) {
            compiler.forget_unused();
        }
    }
    CHECK(events > pairs / 2);
}

TEST_CASE("Packets that agree on all that is read fare alike") {
    Random random(kSeed + 1);
    const oracle::World world = random.world();
    const WorldNames names(&world);
    compile::Compiler compiler;
    size_t different = 0;
    size_t pairs = 0;
    for (unsigned made = 0; pairs < scaled(60000); ++made) {
        const Ingress flows(&random);
        const compile::Compiled compiled = compiler.compile(flows.input(&names));
        for (unsigned i = 0; i < 100; ++i, ++pairs) {
            State a;
            State other;
            to_state(random.packet(0), &a);
            to_state(random.packet(0), &other);
            State b = a;
            for (unsigned slot = kSlotEthSrc; slot < kSlots; ++slot) {
                const uint32_t read = compiled.reads[0].w[slot];
                b.w[slot] = (a.w[slot] & read) | (other.w[slot] & ~read);
            }
            different += std::memcmp(&a, &b, sizeof a) != 0;
            const auto x = run_compiled(compiled, 0, 0, a);
            const auto y = run_compiled(compiled, 0, 0, b);
            REQUIRE(x.size() == y.size());
            for (size_t e = 0; e < x.size(); ++e) {
                REQUIRE(x[e].kind == y[e].kind);
                REQUIRE(x[e].why == y[e].why);
                State after_a;
                State after_b;
                to_state(x[e].packet, &after_a);
                to_state(y[e].packet, &after_b);
                for (unsigned slot = 0; slot < kSlots; ++slot) {
                    // Bits may differ only where the packets did from the start.
                    const uint32_t now = after_a.w[slot] ^ after_b.w[slot];
                    if ((now & ~(a.w[slot] ^ b.w[slot])) != 0) {
                        FAIL("pair " << pairs << ": slot " << slot << " differs in " << now);
                    }
                }
            }
        }
        if (made % 64 == 0) {
            compiler.forget_unused();
        }
    }
    CHECK(different > pairs / 2);
}
