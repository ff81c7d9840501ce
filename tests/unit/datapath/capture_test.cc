// SPDX-License-Identifier: Apache-2.0
// Captures as workers make them: what is copied, where it is said to be, and what is left out.
// libpcap's own interpreter is what filters are held against.
#include <pcap/pcap.h>
#include <rte_cycles.h>

#include <catch2/catch.hpp>

#include "control/capture/filter.h"
#include "lib/program/capture.h"
#include "tests/unit/datapath/geneve_lab.h"

using namespace sluice;
using namespace sluice::test;

namespace {

struct Captured {
    CaptureRecord record;
    Bytes bytes;
};

/// A capture of a Lab's only worker.
struct Watcher {
    explicit Watcher(Lab& l, CaptureSpec s = {}, uint32_t ring = 1u << 16,
                     const std::string& filter = "")
        : lab(l), spec(std::move(s)), tap(std::make_shared<CaptureTap>()) {
        auto compiled = capture::Filter::compile(filter);
        REQUIRE(compiled.ok());
        spec.filter = (*compiled)->code();
        tap->lanes.push_back(std::make_unique<CaptureLane>(ring));
        auto set = std::make_unique<CaptureSet>();
        set->items.push_back({spec, tap, *compiled});
        lab.capture.swap(std::move(set));
    }
    std::vector<Captured> take() {
        std::vector<Captured> all;
        while (const CaptureRecord* r = lane().ring.front()) {
            const auto* p = reinterpret_cast<const uint8_t*>(r + 1);
            all.push_back({*r, Bytes(p, p + r->cap_len)});
            lane().ring.pop(*r);
        }
        return all;
    }
    CaptureLane& lane() { return *tap->lanes[0]; }

    Lab& lab;
    CaptureSpec spec;
    std::shared_ptr<CaptureTap> tap;
};

/// A switch of key 7: VIF 1 at port 0, VIF 2 at port 1, tag 5 of port 1 is container 3.
struct Net {
    World world;
    DatapathModel& ls = world.datapath(7);
    Lab lab;

    explicit Net(uint32_t cache = 1024) : lab(cache) {
        world.vif(ls, 1, 0);
        world.vif(ls, 2, 1);
        world.vif(ls, 3, 1, 0x1005);
        world.entry(0, ls, 1);
        world.entry(1, ls, 2);
        world.entry(1, ls, 3, 5).entry.strip_vlan = true;
        world.rule(ls, kEgress, 0, {}, {output()});
    }
    uint32_t run(std::vector<Instr> code) {
        const uint32_t flow = world.rule(ls, kIngress, 0, {}, std::move(code));
        lab.publish(world);
        return flow;
    }
    static Bytes packet(uint16_t port = 6, unsigned size = 10) {
        return PacketBuilder().eth(0xa, 0xb).ip4(3, 4).udp(5, port).payload(size).bytes();
    }
};

CaptureSpec of_directions(uint8_t directions) {
    CaptureSpec spec;
    spec.directions = directions;
    return spec;
}

/// What libpcap says of a frame.
bool pcap_takes(const std::string& expression, const Bytes& frame) {
    pcap_t* pcap = pcap_open_dead(DLT_EN10MB, 65535);
    bpf_program program;
    REQUIRE(pcap_compile(pcap, &program, expression.c_str(), 1, PCAP_NETMASK_UNKNOWN) == 0);
    pcap_pkthdr header{};
    header.len = header.caplen = static_cast<bpf_u_int32>(frame.size());
    const bool takes = pcap_offline_filter(&program, &header, frame.data()) != 0;
    pcap_freecode(&program);
    pcap_close(pcap);
    return takes;
}

}  // namespace

TEST_CASE("a packet is captured as received and as sent, with where it was", "[capture]") {
    const uint32_t cache = GENERATE(0u, 1024u);
    Net net(cache);
    net.run({op(Op::kDecTtl), load(kSlotOutport, 2), output()});
    Watcher watcher(net.lab);
    for (int i = 0; i < 3; ++i) {
        net.lab.send(0, Net::packet());
        const auto sent = net.lab.take(1);
        const auto all = watcher.take();
        REQUIRE(all.size() == 2);
        CHECK(all[0].record.direction == kCaptureRx);
        CHECK(all[0].record.port == 0);
        CHECK(all[0].record.datapath == 7);
        CHECK(all[0].record.inport == 1);
        CHECK(all[0].record.outport == 0);
        CHECK(all[0].bytes == Net::packet());
        CHECK(all[1].record.direction == kCaptureTx);
        CHECK(all[1].record.port == 1);
        CHECK(all[1].record.datapath == 7);
        CHECK(all[1].record.inport == 0);
        CHECK(all[1].record.outport == 2);
        CHECK((all[1].record.entered >> 63) == 1);
        CHECK(std::vector<Bytes>{all[1].bytes} == sent);
    }
    net.lab.capture.swap(nullptr);
    net.lab.send(0, Net::packet());
    CHECK(watcher.take().empty());
    CHECK(net.lab.count(Counter::k_captured) == 6);
    net.lab.take(1);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("a container is told by its tag", "[capture]") {
    Net net;
    net.run({load(kSlotOutport, 3), output()});
    Watcher watcher(net.lab, of_directions(kCaptureTx | kCaptureRx));
    net.lab.send(0, Net::packet());
    net.lab.send(1, PacketBuilder().eth(0xa, 0xb).vlan(5).ip4(3, 4).udp(5, 6).bytes());
    const auto all = watcher.take();
    REQUIRE(all.size() >= 3);
    CHECK(all[1].record.outport == 3);
    CHECK(all[2].record.direction == kCaptureRx);
    CHECK(all[2].record.inport == 3);
}

TEST_CASE("a dropped packet names its drop and the logical flow", "[capture]") {
    const uint32_t cache = GENERATE(0u, 1024u);
    Net net(cache);
    const uint32_t flow = net.run({op(Op::kDrop)});
    Watcher watcher(net.lab, of_directions(kCaptureDrop));
    for (int i = 0; i < 3; ++i) {
        net.lab.send(0, Net::packet());
        const auto all = watcher.take();
        REQUIRE(all.size() == 1);
        CHECK(all[0].record.direction == kCaptureDrop);
        CHECK(all[0].record.reason == static_cast<uint8_t>(Drop::k_logical_flow));
        CHECK(all[0].record.flow == flow);
        CHECK(all[0].record.datapath == 7);
        CHECK(all[0].record.inport == 1);
        CHECK(all[0].record.port == 0);
        CHECK(all[0].bytes == Net::packet());
    }
    net.lab.send(0, Bytes(9, 1));  // a runt
    net.lab.send(5, Net::packet());
    const auto all = watcher.take();
    REQUIRE(all.size() == 2);
    CHECK(all[0].record.reason == static_cast<uint8_t>(Drop::k_runt_frame));
    CHECK(all[0].record.port == 0);
    CHECK(all[1].record.reason == static_cast<uint8_t>(Drop::k_port_no_entry));
    CHECK(all[1].record.port == 5);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("one copy sent, one dropped: the drop is captured whichever comes first", "[capture]") {
    const uint32_t cache = GENERATE(0u, 1024u);
    const bool drop_first = GENERATE(true, false);
    Net net(cache);
    net.ls.groups[40000].key = 40000;
    net.ls.groups[40000].local = {1, 2};  // 1 is where it came from: loopback drop
    if (drop_first) {
        net.run({load(kSlotOutport, 1), output(), load(kSlotOutport, 2), output()});
    } else {
        net.run({load(kSlotOutport, 2), output(), load(kSlotOutport, 1), output()});
    }
    Watcher watcher(net.lab, of_directions(kCaptureDrop | kCaptureTx));
    for (int i = 0; i < 2; ++i) {
        net.lab.send(0, Net::packet());
        auto all = watcher.take();
        REQUIRE(all.size() == 2);
        std::sort(all.begin(), all.end(), [](const Captured& a, const Captured& b) {
            return a.record.direction < b.record.direction;
        });
        CHECK(all[0].record.direction == kCaptureTx);
        CHECK(all[1].record.reason == static_cast<uint8_t>(Drop::k_loopback));
        CHECK(all[1].bytes == Net::packet());
    }
    CHECK(net.lab.take(1).size() == 2);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("a tunnel packet has the place that its header carries", "[capture]") {
    Receiver receiver;
    receiver.start();
    Watcher watcher(receiver.lab, of_directions(kCaptureRx));
    const Bytes frame = from_hex(kOuter) + from_hex(kInner);
    receiver.lab.send(kUplink, frame);
    const auto all = watcher.take();
    REQUIRE(all.size() == 1);
    CHECK(all[0].record.datapath == 3);
    CHECK(all[0].record.inport == 5);
    CHECK(all[0].record.outport == 9);
    CHECK(all[0].bytes == frame);
    SECTION("and is found by its logical port") {
        CaptureSpec spec = of_directions(kCaptureRx);
        spec.logical = {uint64_t{3} << 32 | 9};
        Watcher by_port(receiver.lab, spec);
        receiver.lab.send(kUplink, frame);
        CHECK(by_port.take().size() == 1);
        spec.logical = {uint64_t{3} << 32 | 8};
        Watcher by_other(receiver.lab, spec);
        receiver.lab.send(kUplink, frame);
        CHECK(by_other.take().empty());
    }
}

TEST_CASE("only what was asked for: port, datapath, logical port", "[capture]") {
    Net net;
    net.run({load(kSlotOutport, 2), output()});
    CaptureSpec spec;
    const auto count = [&] {
        Watcher watcher(net.lab, spec);
        net.lab.send(0, Net::packet());
        return watcher.take().size();
    };
    CHECK(count() == 2);
    spec.any_port = false;
    CHECK(count() == 0);
    spec.ports.set(1);
    CHECK(count() == 1);
    spec = {};
    spec.datapath = 7;
    CHECK(count() == 2);
    spec.datapath = 8;
    CHECK(count() == 0);
    spec = {};
    spec.logical = {uint64_t{7} << 32 | 2};
    CHECK(count() == 1);
}

TEST_CASE("filters say what libpcap's interpreter says", "[capture]") {
    const std::vector<std::string> expressions = {"udp",
                                                  "udp port 6",
                                                  "udp dst port 6 and host 0.0.0.4",
                                                  "tcp",
                                                  "not udp",
                                                  "ip6 or arp",
                                                  "vlan and udp",
                                                  "greater 200",
                                                  "ip6 and tcp port 80",
                                                  "ether[0] & 1 = 1",
                                                  "udp[8] = 2",
                                                  "icmp[icmptype] = icmp-echo",
                                                  "ip[6:2] & 0x1fff = 0 and ip[8] < 64",
                                                  "geneve and host 10.0.0.2"};
    const Bytes a = ip6(0xfd00, 1);
    const Bytes b = ip6(0xfd00, 2);
    std::vector<Bytes> frames = {
        Net::packet(6),
        Net::packet(7, 300),
        PacketBuilder().eth(1, 2).vlan(5).ip4(3, 4).udp(5, 6).payload(3).bytes(),
        PacketBuilder().eth(1, 0x010000000002).ip4(3, 4).ttl(9).tcp(80, 6).payload(3).bytes(),
        PacketBuilder().eth(1, 2).ip6(a, b).tcp(80, 6).payload(30).bytes(),
        PacketBuilder().eth(1, 2).arp(1, 1, 2, 3, 4).bytes(),
        PacketBuilder().eth(1, 2).ip4(3, 4).icmp(8, 0).payload(9).bytes(),
        PacketBuilder().eth(1, 2).ip4(3, 4).frag(9, true).udp(5, 6).payload(9).bytes(),
        from_hex(kOuter) + from_hex(kInner),
        Bytes(20, 0xff)};
    Net net;
    net.run({op(Op::kDrop)});
    unsigned taken = 0;
    for (const std::string& expression : expressions) {
        Watcher watcher(net.lab, of_directions(kCaptureRx), 1u << 16, expression);
        CAPTURE(expression);
        for (const Bytes& frame : frames) {
            CAPTURE(frame);
            for (const std::vector<uint16_t>& segments : {std::vector<uint16_t>{}, {15, 7}}) {
                rte_mbuf* m = to_mbuf(frame, segments);
                net.lab.worker->process_burst(&m, 1, 0);
                const bool takes = !watcher.take().empty();
                CHECK(takes == pcap_takes(expression, frame));
                taken += takes;
            }
        }
    }
    CHECK(taken > 20);
    const auto bad = capture::Filter::compile("host and");
    REQUIRE(!bad.ok());
    CHECK(bad.error().message.find("host and") != std::string::npos);
}

TEST_CASE("a filter keeps the others out of the ring", "[capture]") {
    Net net;
    net.run({load(kSlotOutport, 2), output()});
    Watcher watcher(net.lab, of_directions(kCaptureRx), 1u << 16, "udp dst port 9");
    net.lab.send(0, {Net::packet(6), Net::packet(9), Net::packet(10)});
    const auto all = watcher.take();
    REQUIRE(all.size() == 1);
    CHECK(all[0].bytes == Net::packet(9));
    CHECK(watcher.lane().seen.get() == 3);
}

TEST_CASE("a full ring loses packets by name and goes on when it is read", "[capture]") {
    Net net;
    net.run({load(kSlotOutport, 2), output()});
    Watcher watcher(net.lab, of_directions(kCaptureRx), 4096);
    uint64_t sent = 0;
    uint64_t read = 0;
    for (unsigned round = 0; round < 50; ++round) {
        std::vector<Bytes> frames;
        for (unsigned i = 0; i < 20; ++i, ++sent) {
            frames.push_back(Net::packet(static_cast<uint16_t>(sent), 200 + sent % 97));
        }
        net.lab.send(0, frames);
        const auto all = watcher.take();
        read += all.size();
        // What is there is whole and in order.
        REQUIRE(all.size() < frames.size());
        auto at = frames.begin();
        for (const Captured& one : all) {
            at = std::find(at, frames.end(), one.bytes);
            REQUIRE(at != frames.end());
            ++at;
        }
    }
    CHECK(read > 50 * 10);
    CHECK(watcher.lane().copied.get() == read);
    CHECK(watcher.lane().ring_full.get() == sent - read);
    CHECK(net.lab.count(Counter::k_capture_ring_full) == sent - read);
    CHECK(net.lab.take(1).size() == sent);  // traffic does not notice
}

TEST_CASE("rate, sample and snaplen bound what is copied", "[capture]") {
    Net net;
    net.run({load(kSlotOutport, 2), output()});
    CaptureSpec spec = of_directions(kCaptureRx);
    SECTION("rate: 100 a second, 5 at once") {
        spec.cycles_per_packet = rte_get_tsc_hz() / 100;
        spec.burst_cycles = 4 * spec.cycles_per_packet;
        Watcher watcher(net.lab, spec);
        net.lab.wait_ms(1000);
        net.lab.send(0, std::vector<Bytes>(20, Net::packet()));
        CHECK(watcher.take().size() == 5);
        net.lab.wait_ms(30);
        net.lab.send(0, std::vector<Bytes>(20, Net::packet()));
        CHECK(watcher.take().size() == 3);
        CHECK(watcher.lane().over_rate.get() == 32);
    }
    SECTION("every third") {
        spec.sample = 3;
        Watcher watcher(net.lab, spec);
        for (uint16_t i = 0; i < 9; ++i) {
            net.lab.send(0, Net::packet(i));
        }
        const auto all = watcher.take();
        REQUIRE(all.size() == 3);
        CHECK(all[0].bytes == Net::packet(0));
        CHECK(all[2].bytes == Net::packet(6));
        CHECK(watcher.lane().sampled_out.get() == 6);
    }
    SECTION("snaplen") {
        spec.snaplen = 33;
        Watcher watcher(net.lab, spec);
        net.lab.send(0, Net::packet());
        const auto all = watcher.take();
        REQUIRE(all.size() == 1);
        const Bytes whole = Net::packet();
        CHECK(all[0].bytes == Bytes(whole.begin(), whole.begin() + 33));
        CHECK(all[0].record.orig_len == whole.size());
    }
}
