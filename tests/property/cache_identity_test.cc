// SPDX-License-Identifier: Apache-2.0
// The flow cache changes nothing but speed: random pipelines, random packets and random publishes
// give the same frames, counters and connections without a cache, with one, and with one far too
// small.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <random>
#include <string>

#include "lib/net/wire.h"
#include "lib/program/ct_args.h"
#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr PortId kUplink = 7;
constexpr uint32_t kGroup = 32768;
constexpr unsigned kPool = 60;

/// A SelectGroup as it lies in memory: total, count, then {id, end} three times.
alignas(SelectGroup) const uint32_t kSelect[] = {10, 3, 1, 2, 2, 7, 3, 10};

/// What conntrack steps of random rules point at.
struct CtObjects {
    CtCommitArgs plain, marks, restore, source, destination, zero, six;
    CtLbArgs balance;
    CtObjects() {
        marks.marks.mark = 1;
        marks.marks.mark_mask = 3;
        restore.nat.kind = CtNat::kRestore;
        zero.nat.kind = CtNat::kSrc;
        source.nat.kind = CtNat::kSrc;
        source.nat.low[3] = source.nat.high[3] = 9;
        destination.nat.kind = CtNat::kDst;
        destination.nat.low[3] = destination.nat.high[3] = 2;
        destination.nat.port_low = destination.nat.port_high = 3;
        six = source;
        six.nat.is_v6 = true;
        six.nat.low[0] = six.nat.high[0] = 0xfd000000;
        balance.backends = {{{0, 0, 0, 1}, 1}, {{0, 0, 0, 3}, 0}};
        balance.marks.mark = balance.marks.mark_mask = 2;
    }
};
const CtObjects kCt;

/// A place in State that rules test and write, with values likely to meet.
struct Place {
    unsigned slot;
    uint32_t mask;
    bool header;
};
const Place kPlaces[] = {
    {kSlotEthDst, 0xffff, true},     {kSlotEthDst + 1, ~0u, true},
    {kSlotEthSrc + 1, ~0u, true},    {kSlotVlanTci, 0x1fff, false},
    {kSlotIpTtl, 0xff, true},        {kSlotIpDscp, 0xfc, true},
    {kSlotIpDscp, 0x3, true},        {kSlotIp4Src, ~0u, true},
    {kSlotIp4Dst, ~0u, true},        {kSlotIp4Dst, 0xff, true},
    {kSlotIp6Src + 3, ~0u, true},    {kSlotIp6Dst + 3, 0xffff, true},
    {kSlotL4Src, 0xffff, true},      {kSlotL4Dst, 0xffff, true},
    {kSlotArpOp, 0xffff, true},      {kSlotArpSpa, ~0u, true},
    {kSlotArpTpa, ~0u, true},        {kSlotArpSha + 1, ~0u, true},
    {kSlotNdTarget + 3, ~0u, true},  {kSlotXxreg0, ~0u, false},
    {kSlotXxreg0 + 1, 0xf, false},   {kSlotFlags, flag::kLoopback, false},
    {kSlotPktMark, ~0u, false},      {kSlotEthType, 0xffff, false},
    {kSlotIpProto, 0xff, false},     {kSlotIpFrag, 3, false},
    {kSlotTcpFlags, 0xfff, false},   {kSlotInport, ~0u, false},
    {kSlotNdSll + 1, ~0u, true},     {kSlotCtState, 0xff, false},
    {kSlotCtState, ct::kNew, false}, {kSlotCtState, ct::kEst | ct::kRpl, false},
    {kSlotCtMark, 3, false},
};

class Maker {
public:
    explicit Maker(uint64_t seed) : rng_(seed) {}

    unsigned below(unsigned n) { return static_cast<unsigned>(rng_() % n); }
    bool chance(unsigned percent) { return below(100) < percent; }

    uint32_t value(unsigned slot) {
        switch (slot) {
        case kSlotEthType: return below(2) ? 0x800 : below(2) ? 0x86dd : 0x806;
        case kSlotIpProto: return below(2) ? 17 : 6;
        case kSlotIpFrag: return below(2);
        case kSlotEthDst: return below(2) ? 0x0200 : 0x0300;
        case kSlotVlanTci: return below(2) ? 0 : 0x1005;
        case kSlotIpTtl: return below(3);
        case kSlotIpDscp: return below(2) ? 0x28 : 3;
        default: return below(4);
        }
    }

    void world(World* w) {
        tracks_ = chance(50);
        for (unsigned& place : read_) {
            place = below(std::size(kPlaces));
        }
        const unsigned n = 1 + below(3);
        for (unsigned i = 0; i < n; ++i) {
            w->datapath(10 + i);
        }
        for (unsigned i = 0; i < n; ++i) {
            DatapathModel& dp = *w->datapaths[i];
            dp.is_switch = chance(50);
            dp.dnat_zone = static_cast<uint16_t>(20 + below(2));
            dp.snat_zone = static_cast<uint16_t>(21 + below(2));
            w->vif(dp, 1, static_cast<PortId>(2 * i)).ct_zone = 1;
            w->vif(dp, 2, static_cast<PortId>(2 * i + 1), chance(30) ? 5 : 0).ct_zone =
                static_cast<uint16_t>(below(3));
            w->entry(static_cast<PortId>(2 * i), dp, 1);
            w->entry(static_cast<PortId>(2 * i + 1), dp, 2, chance(30) ? 5 : -1);
            if (i > 0) {
                w->patch(dp, 3, *w->datapaths[i - 1], 4);
            }
            Tunnel t{};
            const Bytes header = PacketBuilder().eth(1, 2).ip4(1, 2).udp(0, 6081).raw(Bytes(16));
            std::copy(header.begin(), header.end(), t.header);
            t.header_len = static_cast<uint8_t>(header.size());
            t.l3_ofs = 14;
            t.l4_ofs = 34;
            t.csum = chance(50);
            t.port = kUplink;
            t.df = true;
            t.tos_inherit = chance(50);
            t.src_port_range = 1000;
            w->port(dp, 5, Reach::kTunnel).tunnel = w->tunnel(t);
            dp.groups[kGroup] = Group{kGroup, {}, {1, 2}, {0}, {}};
            if (dp.ports.count(3)) {
                dp.groups[kGroup].here = {3};
            }
            dp.neighbors.ip4[{1, 2}] = 0x020000000001;
            dp.neighbors.fdb[0x020000000001] = 2;
            rules(w, dp);
        }
        w->underlays[kUplink] = Underlay{0, {{ip(192, 0, 2, 2), 24}}, {}, 6081, false};
        w->pkt_lens = {80, 120};
    }

    /// Replaces the rules of `dp`.
    void rules(World* w, DatapathModel& dp) {
        dp.tables.clear();
        for (unsigned side = 0; side < 2; ++side) {
            for (unsigned table = 0; table < 3; ++table) {
                const unsigned n = 1 + below(4);
                for (unsigned i = 0; i < n; ++i) {
                    std::vector<Test> tests;
                    for (unsigned t = 1 + below(2); t > 0; --t) {
                        const Place& p = read_place();
                        tests.push_back(eq(p.slot, value(p.slot), p.mask));
                    }
                    if (i + 1 == n && chance(95)) {
                        tests.clear();
                    }
                    w->rule(dp, side, table, tests, code(side, table, 0));
                }
            }
        }
    }

    std::vector<Instr> code(unsigned side, unsigned table, unsigned depth) {
        std::vector<Instr> out;
        for (unsigned n = below(4); n > 0; --n) {
            action(&out, side, table, depth);
        }
        if (chance(5)) {
            return out;
        }
        if (table < 2 && chance(70)) {
            out.push_back(next(side, table + 1));
        } else {
            if (side == kIngress) {
                out.push_back(load(kSlotOutport, chance(15)   ? kGroup
                                                 : chance(70) ? 1 + below(2)
                                                              : 3 + below(4)));
            }
            out.push_back(output());
        }
        return out;
    }

    void action(std::vector<Instr>* out, unsigned side, unsigned table, unsigned depth) {
        const Place& a = kPlaces[below(std::size(kPlaces))];
        const Place& b = read_place();
        switch (below(16)) {
        case 0:
        case 1:
        case 2:
        case 3:
            if (a.header || a.slot < kSlotCtState) {
                const uint32_t mask = chance(30) ? a.mask & static_cast<uint32_t>(rng_()) : a.mask;
                if (a.slot != kSlotInport && mask) {
                    out->push_back(load(a.slot, value(a.slot), mask));
                }
            }
            break;
        case 4:
            if (a.header && a.mask >= 0xff) {
                out->push_back(op(Op::kMove, a.slot, b.slot, 0, 0, 8));
            }
            break;
        case 5:
            if (a.header && b.header && a.mask >= 0xff && b.mask >= 0xff) {
                out->push_back(op(Op::kExchange, a.slot, b.slot, 0, 0, 8));
            }
            break;
        case 6:
            if (chance(30)) {
                out->push_back(op(Op::kDecTtl));
            }
            break;
        case 7:
            if (depth < 2) {
                const std::vector<Instr> body = code(side, table, depth + 1);
                const bool clone = chance(90);
                out->push_back(op(clone ? Op::kClone : Op::kTransform, clone ? 0 : below(4), 0, 0,
                                  static_cast<uint32_t>(body.size())));
                out->insert(out->end(), body.begin(), body.end());
            }
            break;
        case 8: out->push_back(op(Op::kGetArp, kSlotInport, kSlotIp4Dst)); break;
        case 9: out->push_back(op(Op::kPutArp, kSlotInport, kSlotArpSpa, kSlotArpSha)); break;
        case 10:
            out->push_back(op(Op::kCheckPktLarger, 0, 0, 0, chance(50) ? 80 : 120, kSlotXxreg0, 0));
            break;
        case 11: out->push_back(op(Op::kSelect, kSlotXxreg0, 0, 0, 0, 4, 0, kSelect)); break;
        case 12:
            out->push_back(op(Op::kPush, 0, b.slot, 0, 0, 8));
            out->push_back(op(Op::kPop, kSlotXxreg0 + 1, 0, 0, 0, 8));
            break;
        case 13: track(out, side, table); break;
        default: out->push_back(op(Op::kGetFdb, kSlotXxreg0, kSlotEthDst)); break;
        }
    }

    /// A step of conntrack, most often followed by the next table, as the compiler does it.
    void track(std::vector<Instr>* out, unsigned side, unsigned table) {
        if (!tracks_) {
            return;
        }
        const CtCommitArgs* const args[] = {&kCt.plain,  &kCt.marks,       &kCt.restore, &kCt.zero,
                                            &kCt.source, &kCt.destination, &kCt.six};
        const unsigned zone = below(3);
        switch (below(8)) {
        case 0:
        case 1:
        case 2: out->push_back(op(Op::kCtNext, zone, chance(60))); break;
        case 3:
        case 4:
        case 5:
            out->push_back(
                op(Op::kCtCommit, zone, chance(60), 0, 0, 0, 0, args[below(std::size(args))]));
            break;
        case 6: out->push_back(op(Op::kCtLb, zone, 0, 0, 0, 0, 0, &kCt.balance)); break;
        default: out->push_back(op(Op::kCtClear)); break;
        }
        if (table < 2 && chance(60)) {
            out->push_back(next(side, table + 1));
        }
    }

    Bytes frame() {
        PacketBuilder b;
        const uint64_t src = 0x020000000000 + below(4);
        const uint64_t dst = (chance(80) ? 0x020000000000 : 0x030000000000) + below(4);
        b.eth(src, dst, 0x88cc);
        if (chance(25)) {
            b.vlan(chance(70) ? 5 : 6, static_cast<uint8_t>(below(2)));
        }
        const unsigned kind = below(10);
        if (kind == 0) {
            return b.arp(static_cast<uint16_t>(1 + below(2)), 0x020000000000 + below(3), below(4),
                         0, below(4));
        }
        if (kind == 1) {
            return b.payload(30);
        }
        const bool v6 = kind < 5;
        if (v6) {
            b.ip6(ip6(0xfd00, below(4)), ip6(0xfd00, below(4)));
        } else {
            b.ip4(below(4), below(4), 17);
        }
        b.ttl(static_cast<uint8_t>(chance(90) ? 1 + below(3) : 255)).tos(below(2) ? 0x28 : 3);
        switch (below(8)) {
        case 0:
            b.tcp(static_cast<uint16_t>(below(4)), static_cast<uint16_t>(below(4)),
                  chance(70)   ? 0x10
                  : chance(50) ? 2
                               : 1);
            break;
        case 1:
            if (v6) {
                b.ttl(255).icmp(static_cast<uint8_t>(135 + below(2)), 0, 0);
                b.raw(ip6(0xfd00, below(4)))
                    .raw(from_hex("010102000000000" + std::to_string(below(4))));
                return b.bytes();
            }
            b.icmp(8, 0);
            break;
        case 2:
            if (v6) {
                b.ext(44, from_hex("00001100000007"));
            } else {
                b.frag(static_cast<uint16_t>(below(2)), true);
            }
            break;
        default:
            b.udp(static_cast<uint16_t>(chance(20) ? 0 : 1 + below(3)),
                  static_cast<uint16_t>(1 + below(3)));
            break;
        }
        return b.payload(20 + below(4) * 30);
    }

    std::pair<PortId, Bytes> arrival() {
        if (chance(20)) {
            Bytes data = from_hex("0240655800000a00 0102800100010002");
            data[6] = static_cast<uint8_t>(10 + below(3));
            data[13] = static_cast<uint8_t>(1 + below(3));
            data[15] = static_cast<uint8_t>(1 + below(5));
            if (chance(10)) {
                data[14] = 0x80;
                data[15] = 0;
            }
            return {kUplink, PacketBuilder()
                                 .eth(1, 2)
                                 .ip4(1, ip(192, 0, 2, 2))
                                 .tos(static_cast<uint8_t>(below(4)))
                                 .udp(static_cast<uint16_t>(below(9)), 6081)
                                 .raw(data)
                                 .raw(frame())};
        }
        return {static_cast<PortId>(below(6)), frame()};
    }

private:
    /// A world looks at few of the places that it writes, so that its keys have gaps.
    const Place& read_place() { return kPlaces[read_[below(std::size(read_))]]; }

    std::mt19937_64 rng_;
    bool tracks_ = false;
    unsigned read_[5] = {};
};

bool is_cache_counter(Counter c) {
    return c == Counter::k_cache_hit || c == Counter::k_cache_miss ||
           c == Counter::k_cache_bypass || c == Counter::k_cache_stale ||
           c == Counter::k_cache_shortcut || c == Counter::k_cache_ct_changed ||
           c == Counter::k_cache_evict || c == Counter::k_walk_tables || c == Counter::k_polls ||
           c == Counter::k_idle_polls || c == Counter::k_busy_cycles;
}

void check_counters(Lab& a, Lab& b, uint32_t flows) {
    for (unsigned i = 0; i < static_cast<unsigned>(Counter::kCount); ++i) {
        const auto c = static_cast<Counter>(i);
        if (!is_cache_counter(c)) {
            CAPTURE(counter_name(c));
            CHECK(a.count(c) == b.count(c));
        }
    }
    for (unsigned i = 0; i < static_cast<unsigned>(Drop::kCount); ++i) {
        CAPTURE(drop_name(static_cast<Drop>(i)));
        CHECK(a.drops(static_cast<Drop>(i)) == b.drops(static_cast<Drop>(i)));
    }
    for (Lab* lab : {&a, &b}) {
        lab->worker->request_flush();
        lab->worker->run_once();
        CHECK(lab->worker->flush_done());
    }
    for (uint32_t flow = 0; flow < flows; ++flow) {
        uint64_t pa, ba, pb, bb;
        a.counters->flows.read(flow, &pa, &ba);
        b.counters->flows.read(flow, &pb, &bb);
        if (pa != pb || ba != bb) {
            CAPTURE(flow);
            CHECK(pa == pb);
            CHECK(ba == bb);
        }
    }
}

/// Every connection there, in the same state, with as many packets.
void check_connections(Lab& a, Lab& b) {
    const auto all = [](Lab& lab) {
        std::vector<std::string> out;
        lab.conntrack->dump({}, [&](const CtEntry& e) {
            std::string text = std::to_string(e.zone) + " " + std::to_string(e.proto) + " " +
                               e.state + " " + std::to_string(e.timeout_s);
            for (const uint64_t n : {e.packets[0], e.packets[1], e.bytes[0], e.bytes[1],
                                     uint64_t{e.mark}, uint64_t{e.src_port}, uint64_t{e.dst_port},
                                     uint64_t{e.reply_src_port}, uint64_t{e.reply_dst_port}}) {
                text += " " + std::to_string(n);
            }
            for (const uint32_t* words : {e.src, e.dst, e.reply_src, e.reply_dst}) {
                for (unsigned i = 0; i < 4; ++i) {
                    text += ":" + std::to_string(words[i]);
                }
            }
            out.push_back(text);
        });
        std::sort(out.begin(), out.end());
        return out;
    };
    CHECK(all(a) == all(b));
}

void drain(Lab& lab) {
    Message messages[64];
    while (lab.mailbox->take_messages(messages, 64)) {
    }
    lab.take_punts();
}

}  // namespace

TEST_CASE("frames and counters are the same with and without cache", "[cache][property]") {
    const char* text = std::getenv("SLUICE_PROPERTY_WORLDS");
    const unsigned worlds = text ? static_cast<unsigned>(std::atoi(text)) : 200;
    uint64_t packets = 0;
    uint64_t hits = 0;
    uint64_t tracked = 0;
    uint64_t ct_hits = 0;
    uint64_t sent = 0;
    for (unsigned seed = 1; seed <= worlds; ++seed) {
        CAPTURE(seed);
        Maker maker(seed);
        World world;
        maker.world(&world);
        Lab plain(0);
        Lab cached(1024);
        Lab tiny(8);
        const unsigned in_use = plain.in_use();
        // Most packets come again, some are new: near misses of what is cached.
        std::deque<std::pair<PortId, Bytes>> pool;
        for (unsigned i = 0; i < kPool; ++i) {
            pool.push_back(maker.arrival());
        }
        for (unsigned round = 0; round < 40; ++round) {
            if (round % 8 == 0) {
                if (round) {
                    DatapathModel& dp =
                        *world
                             .datapaths[maker.below(static_cast<unsigned>(world.datapaths.size()))];
                    maker.rules(&world, dp);
                    world.touch(dp);
                }
                for (Lab* lab : {&plain, &cached, &tiny}) {
                    lab->publish(world);
                }
            }
            const uint64_t pause = maker.chance(30) ? maker.below(40'000) : 0;
            for (Lab* lab : {&plain, &cached, &tiny}) {
                lab->wait_ms(pause);
            }
            std::map<PortId, std::vector<Bytes>> bursts;
            for (unsigned i = 0; i < 40; ++i) {
                const auto& [port, frame] = maker.chance(85) ? pool[maker.below(kPool)]
                                                             : pool.emplace_back(maker.arrival());
                bursts[port].push_back(frame);
            }
            for (const auto& [port, frames] : bursts) {
                packets += frames.size();
                for (Lab* lab : {&plain, &cached, &tiny}) {
                    lab->send(port, frames);
                }
                const auto want = plain.take_all();
                for (const auto& [out, list] : want) {
                    sent += list.size();
                }
                REQUIRE((cached.take_all() == want));
                REQUIRE((tiny.take_all() == want));
            }
            for (Lab* lab : {&plain, &cached, &tiny}) {
                drain(*lab);
            }
        }
        check_counters(plain, cached, world.flows);
        check_counters(plain, tiny, world.flows);
        check_connections(plain, cached);
        check_connections(plain, tiny);
        tracked += plain.conntrack->stats().created;
        ct_hits += plain.conntrack->stats().created ? cached.count(Counter::k_cache_hit) : 0;
        for (Lab* lab : {&plain, &cached, &tiny}) {
            lab->wait_ms(100'000'000);
            lab->wait_ms(2'000);
        }
        CHECK(plain.count(Counter::k_cache_hit) == 0);
        CHECK(plain.in_use() == in_use);
        hits += cached.count(Counter::k_cache_hit);
    }
    WARN(packets << " packets, " << hits << " hits, " << sent << " frames out");
    CHECK(packets >= worlds * 1600);
    CHECK(tracked > packets / 200);
    CHECK(ct_hits > packets / 50);
    CHECK(hits > packets / 10);
    CHECK(sent > packets / 8);
}
