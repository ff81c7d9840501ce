// SPDX-License-Identifier: Apache-2.0
// Shortcuts change nothing but speed: connections that open by the way that others went leave the
// same frames, counters and connections behind as a walk does. Values are drawn from wide ranges,
// near the limits that rules compare with, so that most packets are new and intervals matter.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>
#include <string>

#include "lib/program/ct_args.h"
#include "tests/unit/datapath/ct_lab.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr uint32_t kVip = 0x1e000001;
constexpr uint32_t kNetA = 0x0a000000;
constexpr uint32_t kNetB = 0x0a000100;
constexpr unsigned kTables = 5;

struct Args {
    CtCommitArgs plain, marked, restore, source, ports, far, label;
    CtLbArgs balance;
    Args() {
        marked.marks.mark = 1;
        marked.marks.mark_mask = 3;
        label.marks.label[3] = label.marks.label_mask[3] = 5;
        restore.nat.kind = CtNat::kRestore;
        source = nat_to(CtNat::kSrc, ip(192, 0, 2, 9));
        ports = nat_to(CtNat::kSrc, ip(192, 0, 2, 10));
        ports.nat.port_low = 2000;
        ports.nat.port_high = 2003;
        far = nat_to(CtNat::kDst, kNetB + 7, 99);
        balance.backends = {
            {{0, 0, 0, kNetB + 1}, 8080}, {{0, 0, 0, kNetB + 2}, 0}, {{0, 0, 0, kNetB + 3}, 8082}};
        balance.marks.mark = balance.marks.mark_mask = 2;
    }
};
const Args kArgs;

Test range(unsigned slot, uint32_t low, uint32_t high) {
    return Test{Test::kRange, static_cast<uint8_t>(slot), 0, 0, ~0u, low, high - low};
}

class Maker {
public:
    explicit Maker(uint64_t seed) : rng_(seed) {
        for (uint16_t& limit : limits_) {
            limit = static_cast<uint16_t>(1 + below(3000));
        }
    }
    unsigned below(unsigned n) { return static_cast<unsigned>(rng_() % n); }
    bool chance(unsigned percent) { return below(100) < percent; }

    void rules(World* w, DatapathModel& dp) {
        dp.tables.clear();
        for (unsigned table = 0; table < kTables; ++table) {
            for (unsigned n = below(4); n > 0; --n) {
                w->rule(dp, kIngress, table, tests(table), code(table));
            }
            std::vector<Instr> rest;
            if (table == 0 && chance(70)) {
                rest.push_back(ct_next(zone(), chance(50)));
            }
            rest.push_back(last(table));
            w->rule(dp, kIngress, table, {}, rest);
        }
        w->rule(dp, kIngress, kTables, {eq(kSlotInport, 1)}, {load(kSlotOutport, 2), output()});
        w->rule(dp, kIngress, kTables, {eq(kSlotInport, 2)}, {load(kSlotOutport, 1), output()});
        if (chance(40)) {
            w->rule(dp, kEgress, 0, {state_is(ct::kNew, ct::kNew)},
                    {ct_commit(zone(), true, chance(50) ? kArgs.source : kArgs.plain),
                     next(kEgress, 1)});
        }
        w->rule(dp, kEgress, 0, {}, {output()});
        w->rule(dp, kEgress, 1, {}, {output()});
    }

    Bytes frame() {
        const bool forth = chance(75);
        const uint32_t src = forth ? kNetA + 1 + below(6) : kNetB + 1 + below(6);
        const uint32_t dst = chance(20) ? kVip : forth ? kNetB + below(300) : kNetA + below(8);
        PacketBuilder b;
        b.eth(1 + below(2), 2).ip4(src, dst).ttl(static_cast<uint8_t>(60 + below(4)));
        const uint16_t sport = port();
        const uint16_t dport = port();
        if (chance(50)) {
            static const uint16_t kFlags[] = {2, 2, 2, 0x10, 0x12, 0x18, 0x11, 4, 0};
            b.tcp(sport, dport, kFlags[below(std::size(kFlags))]);
        } else {
            b.udp(sport, dport);
        }
        return b.payload(20 + below(3) * 40);
    }

private:
    Instr last(unsigned table) { return chance(4) ? op(Op::kDrop) : next(kIngress, table + 1); }
    CtZone zone() { return chance(60) ? CtZone::kDnat : CtZone::kSnat; }
    uint16_t port() {
        const unsigned near = limits_[below(std::size(limits_))] + below(5) - 2;
        return static_cast<uint16_t>(chance(40) ? near : 1 + below(4000));
    }
    std::vector<Test> tests(unsigned table) {
        std::vector<Test> out;
        for (unsigned n = 1 + below(2); n > 0; --n) {
            out.push_back(test());
        }
        if (table != 0 && chance(50)) {
            out.push_back(state_is(chance(70) ? ct::kNew : ct::kEst,
                                   chance(50) ? ct::kNew : ct::kNew | ct::kEst));
        }
        return out;
    }
    Test test() {
        const unsigned slot = chance(50) ? kSlotL4Dst : kSlotL4Src;
        const uint32_t a = limits_[below(std::size(limits_))];
        const uint32_t b = limits_[below(std::size(limits_))];
        switch (below(13)) {
        case 0: return range(slot, std::min(a, b), std::max(a, b));
        case 1: return eq(slot, a);
        case 2: return eq(slot, a, 0xfff0);
        case 3: return eq(slot, 1, 5);
        case 4: return eq(kSlotIp4Dst, kNetB + below(300), 0xffffffffu << below(8));
        case 5: return eq(kSlotIp4Src, kNetA + below(6), 0xffffffffu << below(4));
        case 6: return eq(kSlotIp4Dst, kVip);
        case 7: return range(kSlotXxreg0, kNetB + below(200), kNetB + 200 + below(100));
        case 8: return eq(kSlotXxreg0 + 1, below(3));
        case 9: return eq(kSlotCtMark, below(4), 3);
        case 10: return eq(kSlotIpTtl, 60 + below(4));
        case 11: return range(kSlotCtTpDst, a, 5000);
        default: return eq(kSlotIpProto, chance(50) ? 6 : 17);
        }
    }
    std::vector<Instr> code(unsigned table) {
        std::vector<Instr> out;
        for (unsigned n = below(3); n > 0; --n) {
            action(&out);
        }
        out.push_back(last(table));
        return out;
    }
    void action(std::vector<Instr>* out) {
        static const CtCommitArgs* const kCommits[] = {&kArgs.plain,  &kArgs.marked, &kArgs.restore,
                                                       &kArgs.source, &kArgs.ports,  &kArgs.far,
                                                       &kArgs.label};
        switch (below(14)) {
        case 0: out->push_back(op(Op::kMove, kSlotXxreg0, kSlotIp4Dst, 0, 0, 32)); break;
        case 1: out->push_back(op(Op::kMove, kSlotXxreg0 + 1, kSlotL4Src, 4, 0, 16)); break;
        case 2: out->push_back(load(kSlotXxreg0 + 1, below(3))); break;
        case 3: out->push_back(op(Op::kDecTtl)); break;
        case 4: out->push_back(load(kSlotEthDst + 1, 77)); break;
        case 5: out->push_back(op(Op::kMove, kSlotEthSrc + 1, kSlotEthDst + 1, 0, 0, 32)); break;
        case 6: out->push_back(op(Op::kCtClear)); break;
        case 7: out->push_back(ct_next(zone(), chance(60))); break;
        case 8:
            out->push_back(
                op(Op::kCtLb, static_cast<unsigned>(zone()), 0, 0, 0, 0, 0, &kArgs.balance));
            break;
        case 9:
            if (chance(30)) {
                out->push_back(load(kSlotL4Dst, 5, 0xffff));
            }
            break;
        default:
            out->push_back(ct_commit(zone(), chance(70), *kCommits[below(std::size(kCommits))]));
            break;
        }
    }

    std::mt19937_64 rng_;
    uint16_t limits_[4];
};

std::vector<std::string> connections_of(Lab& lab) {
    std::vector<std::string> out;
    lab.conntrack->dump({}, [&](const CtEntry& e) {
        std::string text = std::to_string(e.zone) + " " + std::to_string(e.proto) + " " + e.state;
        for (const uint64_t n :
             {uint64_t{e.timeout_s}, e.packets[0], e.packets[1], e.bytes[0], e.bytes[1],
              uint64_t{e.mark}, uint64_t{e.src_port}, uint64_t{e.dst_port}, uint64_t{e.src[3]},
              uint64_t{e.dst[3]}, uint64_t{e.reply_src_port}, uint64_t{e.reply_dst_port},
              uint64_t{e.reply_src[3]}, uint64_t{e.reply_dst[3]}}) {
            text += " " + std::to_string(n);
        }
        out.push_back(text);
    });
    std::sort(out.begin(), out.end());
    return out;
}

void check_flows(Lab& a, Lab& b, uint32_t flows) {
    for (Lab* lab : {&a, &b}) {
        lab->worker->request_flush();
        lab->worker->run_once();
    }
    for (unsigned i = 0; i < static_cast<unsigned>(Drop::kCount); ++i) {
        CAPTURE(drop_name(static_cast<Drop>(i)));
        CHECK(a.drops(static_cast<Drop>(i)) == b.drops(static_cast<Drop>(i)));
    }
    for (uint32_t flow = 0; flow < flows; ++flow) {
        CAPTURE(flow);
        CHECK(a.flow_packets(flow) == b.flow_packets(flow));
    }
}

}  // namespace

TEST_CASE("shortcuts leave what walks leave", "[shortcut][property]") {
    const char* text = std::getenv("SLUICE_PROPERTY_WORLDS");
    const unsigned worlds = text ? static_cast<unsigned>(std::atoi(text)) : 150;
    uint64_t packets = 0;
    uint64_t taken = 0;
    uint64_t created = 0;
    for (unsigned seed = 1; seed <= worlds; ++seed) {
        CAPTURE(seed);
        Maker maker(seed);
        CtNet plain(seed % 2, 0);
        CtNet quick(seed % 2, 1024);
        std::vector<std::pair<PortId, Bytes>> seen;
        for (unsigned round = 0; round < 30; ++round) {
            if (round % 10 == 0) {
                Maker copy = maker;
                maker.rules(&plain.world, plain.dp);
                copy.rules(&quick.world, quick.dp);
                for (CtNet* net : {&plain, &quick}) {
                    net->world.touch(net->dp);
                    net->publish();
                }
            }
            const uint64_t pause = maker.chance(20) ? maker.below(40'000) : 0;
            std::map<PortId, std::vector<Bytes>> bursts;
            for (unsigned i = 0; i < 40; ++i, ++packets) {
                if (!seen.empty() && maker.chance(25)) {
                    const auto& [port, frame] =
                        seen[maker.below(static_cast<unsigned>(seen.size()))];
                    bursts[port].push_back(frame);
                } else {
                    const auto port = static_cast<PortId>(maker.below(4) == 0);
                    seen.emplace_back(port, maker.frame());
                    bursts[port].push_back(seen.back().second);
                }
            }
            for (CtNet* net : {&plain, &quick}) {
                net->lab.wait_ms(pause);
                for (const auto& [port, frames] : bursts) {
                    net->lab.send(port, frames);
                }
            }
            REQUIRE((quick.lab.take_all() == plain.lab.take_all()));
            REQUIRE(connections_of(quick.lab) == connections_of(plain.lab));
        }
        check_flows(plain.lab, quick.lab, plain.world.flows);
        CHECK(plain.lab.count(Counter::k_cache_shortcut) == 0);
        taken += quick.lab.count(Counter::k_cache_shortcut);
        created += quick.lab.conntrack->stats().created;
    }
    WARN(packets << " packets, " << taken << " by shortcut, " << created << " connections");
    CHECK(created > packets / 10);
    CHECK(taken > packets / 60);
}

TEST_CASE("a backend's way is learnt once for all connections to it", "[shortcut]") {
    CtNet net(false);
    net.rule(0, {eq(kSlotIp4Dst, kVip)},
             {op(Op::kCtLb, static_cast<unsigned>(CtZone::kDnat), 0, 0, 0, 0, 0, &kArgs.balance),
              next(kIngress, 1)});
    net.rule(1, {eq(kSlotIp4Dst, kNetB + 1)}, {load(kSlotIpTtl, 1, 0xff), next(kIngress, 2)});
    net.rule(1, {eq(kSlotIp4Dst, kNetB + 2)}, {load(kSlotIpTtl, 2, 0xff), next(kIngress, 2)});
    net.rule(1, {eq(kSlotIp4Dst, kNetB + 3)}, {load(kSlotIpTtl, 3, 0xff), next(kIngress, 2)});
    net.cross(2);
    net.publish();
    unsigned of[4] = {};
    for (uint16_t port = 1000; port < 1300; ++port) {
        const Bytes ask = PacketBuilder().eth(1, 2).ip4(kA, kVip).tcp(port, 80, 2);
        const auto out = net.pass(0, ask);
        REQUIRE(out.size() == 1);
        const unsigned to = out[0][33];
        REQUIRE(to >= 1);
        REQUIRE(to <= 3);
        const uint16_t where = kArgs.balance.backends[to - 1].port;
        const auto ttl = static_cast<uint8_t>(to);
        const uint16_t dport = where ? where : uint16_t{80};
        CHECK(out[0] ==
              PacketBuilder().eth(1, 2).ip4(kA, kNetB + to).ttl(ttl).tcp(port, dport, 2).bytes());
        ++of[to];
    }
    CHECK(std::min({of[1], of[2], of[3]}) > 50);
    CHECK(net.lab.count(Counter::k_cache_shortcut) == 297);
    CHECK(net.lab.conntrack->stats().used == 300);
    // What a publish changes is walked again.
    net.dp.tables.erase({kIngress, 1});
    net.rule(1, {}, {load(kSlotIpTtl, 9, 0xff), next(kIngress, 2)});
    net.world.touch(net.dp);
    net.publish();
    for (uint16_t port = 2000; port < 2050; ++port) {
        const auto out = net.pass(0, PacketBuilder().eth(1, 2).ip4(kA, kVip).tcp(port, 80, 2));
        REQUIRE(out.size() == 1);
        CHECK(out[0][22] == 9);
    }
}
