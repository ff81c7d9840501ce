// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/buffered.h"

#include <catch2/catch.hpp>

#include "lib/program/pipeline.h"

namespace sluice {
namespace {

using Kept = HeldPackets::Kept;

constexpr uint32_t kDatapath = 5;
constexpr uint32_t kLan = 2;
constexpr uint32_t kWan = 3;
constexpr uint32_t kRedirect = 4;   // chassisredirect of kWan, active here
constexpr uint32_t kElsewhere = 6;  // ... of another chassis
constexpr uint32_t kHop = 0x0a000005;
constexpr uint64_t kMac = 0x020304050607;

std::vector<uint8_t> frame(uint16_t type, uint8_t number, size_t size = 60, bool tagged = false) {
    std::vector<uint8_t> out(size);
    size_t at = 12;
    if (tagged) {
        out[at] = 0x81;
        at += 4;
    }
    out[at] = static_cast<uint8_t>(type >> 8);
    out[at + 1] = static_cast<uint8_t>(type);
    out.back() = number;
    return out;
}

PuntMeta meta(uint32_t outport, std::array<uint32_t, 4> hop, uint32_t datapath = kDatapath) {
    PuntMeta m{};
    m.logical[kSlotDatapath] = datapath;
    m.logical[kSlotOutport] = outport;
    for (unsigned i = 0; i < 4; ++i) {
        m.logical[kSlotXxreg0 + i] = hop[i];
    }
    return m;
}

/// A router with bindings that a test adds.
struct Router {
    Router() {
        for (const auto& [key, reach] : {std::pair{kLan, Reach::kPatch},
                                         {kWan, Reach::kPatch},
                                         {kRedirect, Reach::kRedirect},
                                         {kElsewhere, Reach::kTunnel}}) {
            LogicalPort& port = ports[key];
            port.key = key;
            port.reach = reach;
            port.via_key = kWan;
        }
        datapath.key = kDatapath;
        std::vector<std::pair<uint32_t, const LogicalPort*>> list;
        for (const auto& [key, port] : ports) {
            list.emplace_back(key, &port);
        }
        datapath.ports = FlatMap<uint32_t, const LogicalPort*>(list);
        publish();
    }
    void publish() {
        datapath.neighbors = std::make_shared<const Neighbors>(neighbors);
        pipeline.by_key = FlatMap<uint32_t, const Datapath*>({{kDatapath, &datapath}});
        ++pipeline.sequence;
    }
    std::map<uint32_t, LogicalPort> ports;
    Neighbors neighbors;
    Datapath datapath;
    Pipeline pipeline;
};

std::vector<int> numbers(const std::vector<HeldPackets::Packet>& packets) {
    std::vector<int> out;
    for (const auto& packet : packets) {
        out.push_back(packet.frame.back());
        CHECK(Mac::from_u64(kMac).bytes ==
              std::array<uint8_t, 6>{packet.frame[0], packet.frame[1], packet.frame[2],
                                     packet.frame[3], packet.frame[4], packet.frame[5]});
    }
    return out;
}

TEST_CASE("the last three packets wait for their next hop", "[held]") {
    Router router;
    HeldPackets held;
    for (uint8_t i = 1; i <= 5; ++i) {
        CHECK(held.keep(frame(0x0800, i), meta(kLan, {kHop, 9, 9, 9}), i, 1000) ==
              (i <= 3 ? Kept::kYes : Kept::kInsteadOfOldest));
    }
    CHECK(held.ready(router.pipeline, 1000).empty());
    router.neighbors.ip4[{kWan, kHop}] = 1;      // another port's
    router.neighbors.ip4[{kLan, kHop + 1}] = 1;  // another address
    router.publish();
    CHECK(held.ready(router.pipeline, 1000).empty());
    router.neighbors.ip4[{kLan, kHop}] = kMac;
    CHECK(held.ready(router.pipeline, 1000).empty());  // not published
    router.publish();
    const auto out = held.ready(router.pipeline, 1000);
    CHECK(numbers(out) == std::vector<int>{3, 4, 5});
    CHECK(out[0].worker == 3);
    CHECK(out[0].meta.outport() == kLan);
    CHECK(held.ready(router.pipeline, 1000).empty());
    CHECK(held.bytes() == 0);
    // What comes when the answer is there already leaves at the next look.
    held.keep(frame(0x0800, 9, 60, true), meta(kLan, {kHop}), 0, 1000);
    CHECK(numbers(held.ready(router.pipeline, 1000)) == std::vector<int>{9});
}

TEST_CASE("IPv6 next hops and chassisredirect ports", "[held]") {
    Router router;
    HeldPackets held;
    const std::array<uint32_t, 4> hop{0xfe800000, 0, 0, 0x51};
    held.keep(frame(0x86dd, 1), meta(kLan, hop), 0, 0);
    held.keep(frame(0x86dd, 2), meta(kRedirect, hop), 0, 0);
    held.keep(frame(0x86dd, 3), meta(kElsewhere, hop), 0, 0);
    held.keep(frame(0x86dd, 4), meta(kLan, hop, kDatapath + 1), 0, 0);
    Ip6 address;
    address.bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x51};
    router.neighbors.ip6[{kWan, address}] = kMac;
    router.publish();
    CHECK(numbers(held.ready(router.pipeline, 1000)) == std::vector<int>{2, 3});
    router.neighbors.ip6[{kLan, address}] = kMac;
    router.publish();
    CHECK(numbers(held.ready(router.pipeline, 1000)) == std::vector<int>{1});
}

TEST_CASE("nothing is held for ever, nor without bounds", "[held]") {
    Router router;
    HeldPackets held;
    CHECK(held.keep(frame(0x0806, 1), meta(kLan, {kHop}), 0, 0) == Kept::kNoIp);
    CHECK(held.keep(std::vector<uint8_t>(9), meta(kLan, {kHop}), 0, 0) == Kept::kNoIp);
    for (uint32_t i = 0; i < HeldPackets::kHops; ++i) {
        CHECK(held.keep(frame(0x0800, 1), meta(kLan, {i}), 0, i) == Kept::kYes);
    }
    CHECK(held.keep(frame(0x0800, 1), meta(kLan, {5000}), 0, 999) == Kept::kNoRoom);
    CHECK(held.keep(frame(0x0800, 2), meta(kLan, {0}), 0, 999) == Kept::kYes);  // holds on to it
    CHECK(held.expire(10000) == 0);
    CHECK(held.expire(10500) == 499);
    CHECK(held.expire(10500) == 0);
    CHECK(held.expire(20000) == 502);
    CHECK(held.bytes() == 0);
    CHECK(held.expire(INT64_MAX) == 0);
    size_t total = 0;
    for (uint32_t i = 0; held.keep(frame(0x0800, 1, 9000), meta(kLan, {i}), 0, 0) == Kept::kYes;
         ++i) {
        total += 9000;
    }
    CHECK(held.bytes() == total);
    CHECK(total <= HeldPackets::kBytes);
    CHECK(total + 9000 > HeldPackets::kBytes);
}

TEST_CASE("a packet does not wait for a binding that flows did not want", "[held]") {
    Router router;
    HeldPackets held;
    router.neighbors.ip4[{kLan, kHop}] = 1;
    router.publish();
    CHECK(held.ready(router.pipeline, 1000).empty());
    // Long after: whoever sent it here has seen the binding.
    const int64_t later = 1000 + HeldPackets::kSettleMs;
    held.keep(frame(0x0800, 1), meta(kLan, {kHop}), 0, later);
    CHECK(held.ready(router.pipeline, later).empty());
    router.publish();  // something else
    CHECK(held.ready(router.pipeline, later + 1).empty());
    // Just after a publish: it may have come before the binding.
    held.keep(frame(0x0800, 2), meta(kLan, {kHop}), 0, later + 2);
    CHECK(held.ready(router.pipeline, later + 2).size() == 1);
    CHECK(held.ready(router.pipeline, later + 600).empty());
    router.neighbors.ip4[{kLan, kHop}] = kMac;
    router.publish();
    CHECK(numbers(held.ready(router.pipeline, later + 600)) == std::vector<int>{1});
    CHECK(held.bytes() == 0);
}

}  // namespace
}  // namespace sluice
