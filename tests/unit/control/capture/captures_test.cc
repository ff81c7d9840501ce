// SPDX-License-Identifier: Apache-2.0
// Captures from being asked for to the last block, with a worker played by the test.
#include <rte_cycles.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "control/capture/captures.h"
#include "control/capture/commands.h"
#include "control/capture/pcapng.h"
#include "control/rpc/socket.h"
#include "lib/rcu/published.h"
#include "tests/support/eal.h"
#include "tests/support/shell.h"

using namespace sluice;
using namespace sluice::capture;

namespace {

struct Rig {
    Rig() {
        test_pool();
        path = dir.path() + "/s";
        listener = *rpc::listen_unix(path);
        names.ports[4] = {"vm1", "tap"};
        names.datapaths[7] = {"sw0", "u7"};
        names.logical_ports[uint64_t{7} << 32 | 1] = {"lp1", 4};
        Hooks hooks;
        hooks.publish = [this](std::unique_ptr<const CaptureSet> set) {
            published.swap(std::move(set));
        };
        hooks.after_grace = [this](std::function<void()> then) { rcu.retire(std::move(then)); };
        hooks.names = [this] { return names; };
        hooks.version = [this] { return version; };
        hooks.tsc_hz = rte_get_tsc_hz();
        hooks.application = "test";
        captures = std::make_unique<Captures>(loop, std::move(hooks));
    }
    ~Rig() {
        captures.reset();
        rcu.synchronize();
        close(listener);
        if (peer >= 0) {
            close(peer);
        }
    }
    Result<unsigned> start(Request request = {}) {
        request.socket = path;
        Result<unsigned> id = captures->start(request);
        if (id) {
            peer = accept(listener, nullptr, nullptr);
        }
        return id;
    }
    /// As a worker does.
    bool put(uint16_t port, uint8_t byte) {
        const CaptureSet* set = published.get();
        if (!set) {
            return false;
        }
        CaptureLane& lane = *set->items.at(0).tap->lanes.at(0);
        CaptureRecord record{};
        record.size = sizeof record + 24;
        record.cap_len = 20;
        record.orig_len = 20;
        record.flow = kNoFlow;
        record.tsc = rte_rdtsc();
        record.datapath = 7;
        record.inport = 1;
        record.port = port;
        record.direction = kCaptureRx;
        uint8_t* to = lane.ring.reserve(record.size);
        if (!to) {
            lane.ring_full.add(1);
            return false;
        }
        std::memcpy(to, &record, sizeof record);
        std::memset(to + sizeof record, byte, 20);
        lane.ring.commit();
        lane.copied.add(1);
        return true;
    }
    /// Turns the loop until the daemon's end closed; all blocks by type.
    std::vector<std::string> blocks(pcapng::BlockType type) {
        std::string data;
        for (bool open = true; open;) {
            loop.run_once(1);
            rcu.reclaim();
            char chunk[4096];
            ssize_t n;
            while ((n = recv(peer, chunk, sizeof chunk, MSG_DONTWAIT)) > 0) {
                data.append(chunk, static_cast<size_t>(n));
            }
            open = n != 0;
        }
        while (!captures->list().empty()) {
            loop.run_once(1);
            rcu.reclaim();
        }
        std::vector<std::string> found;
        for (size_t at = 0; at < data.size();) {
            bool bad = false;
            const auto block = pcapng::first_block(std::string_view(data).substr(at), &bad);
            REQUIRE(block);
            if (pcapng::type_of(*block) == type) {
                found.emplace_back(*block);
            }
            at += block->size();
        }
        return found;
    }

    TempDir dir;
    std::string path;
    EventLoop loop;
    RcuDomain rcu;
    Published<CaptureSet> published{rcu};
    Names names;
    uint64_t version = 1;
    int listener = -1;
    int peer = -1;
    std::unique_ptr<Captures> captures;
};

}  // namespace

TEST_CASE("everything captured arrives, named, before the end that was asked for", "[captures]") {
    Rig rig;
    REQUIRE(rig.start().ok());
    for (uint8_t i = 0; i < 100; ++i) {
        REQUIRE(rig.put(4, i));
    }
    shutdown(rig.peer, SHUT_WR);
    const auto packets = rig.blocks(pcapng::BlockType::kPacket);
    REQUIRE(packets.size() == 100);
    CHECK(pcapng::option_of(packets[0], pcapng::kComment) == "rx datapath=sw0 inport=lp1");
    CHECK(static_cast<uint8_t>(packets[99][28]) == 99);
    CHECK(!rig.published.get());
}

TEST_CASE("a capture ends after as many packets as were asked for", "[captures]") {
    Rig rig;
    Request request;
    request.count = 3;
    REQUIRE(rig.start(request).ok());
    for (uint8_t i = 0; i < 10; ++i) {
        rig.put(4, i);
    }
    CHECK(rig.blocks(pcapng::BlockType::kPacket).size() == 3);
}

TEST_CASE("stop ends it, and what was lost is told", "[captures]") {
    Rig rig;
    const auto id = rig.start();
    REQUIRE(id.ok());
    rig.put(4, 1);
    rig.published.get()->items.at(0).tap->lanes[0]->ring_full.add(5);
    REQUIRE(rig.captures->stop(*id).ok());
    const auto statistics = rig.blocks(pcapng::BlockType::kStatistics);
    REQUIRE(statistics.size() == 1);
    CHECK(pcapng::option_of(statistics[0], pcapng::kComment) ==
          "seen=0 written=1 sampled_out=0 over_rate=0 ring_full=5");
    CHECK(!rig.captures->stop(*id).ok());
}

TEST_CASE("a reader that dies ends its capture", "[captures]") {
    Rig rig;
    REQUIRE(rig.start().ok());
    close(rig.peer);
    rig.peer = -1;
    while (!rig.captures->list().empty()) {
        rig.loop.run_once(1);
        rig.rcu.reclaim();
        rig.put(4, 1);
    }
    CHECK(!rig.published.get());
}

TEST_CASE("a port that comes back under another number is captured still", "[captures]") {
    Rig rig;
    Request request;
    request.ports = {"vm1"};
    request.logical_ports = {"lp1"};
    request.datapath = "sw0";
    REQUIRE(rig.start(request).ok());
    const auto spec = [&] { return rig.published.get()->items.at(0).spec; };
    CHECK(spec().ports.count() == 1);
    CHECK(spec().ports[4]);
    CHECK(spec().datapath == 7);
    CHECK(spec().logical == std::vector<uint64_t>{uint64_t{7} << 32 | 1});
    rig.names.ports.clear();
    rig.names.ports[9] = {"vm1", "tap"};
    ++rig.version;
    while (!spec().ports[9]) {
        rig.loop.run_once(10);
        rig.rcu.reclaim();
    }
    CHECK(!spec().ports[4]);
    rig.names.ports.clear();
    rig.names.logical_ports.clear();
    ++rig.version;
    while (spec().ports.any()) {
        rig.loop.run_once(10);
        rig.rcu.reclaim();
    }
    CHECK(!spec().any_port);
    CHECK(!spec().logical.empty());  // nothing, and not everything
}

TEST_CASE("what cannot be captured is refused with its reason", "[captures]") {
    Rig rig;
    const auto refused = [&](const std::vector<std::string>& words, const std::string& reason) {
        rpc::Args args{rig.path};
        args.insert(args.end(), words.begin(), words.end());
        const auto request = parse_request(args);
        const std::string found = !request ? request.error().message : [&] {
            const auto id = rig.captures->start(*request);
            return id ? "started" : id.error().message;
        }();
        CHECK_THAT(found, Catch::Contains(reason));
    };
    refused({"port=vm9"}, "vm9: no such port");
    refused({"logical-port=lp9"}, "lp9: no such logical port here");
    refused({"datapath=sw9"}, "sw9: no such datapath here");
    refused({"filter=host and"}, "filter \"host and\"");
    refused({"direction=rx,up"}, "expected rx, tx or drop, found \"up\"");
    refused({"snaplen=x"}, "snaplen=x: expected a number");
    refused({"snaplen=0"}, "snaplen 0");
    refused({"ring-kb=100"}, "power of two");
    refused({"colour=red"}, "colour: not known");
    refused({"colour"}, "expected NAME=VALUE");
    CHECK(rig.captures->list().empty());
}

TEST_CASE("a capture ends in the midst of traffic", "[captures]") {
    Rig rig;
    REQUIRE(rig.start().ok());
    shutdown(rig.peer, SHUT_WR);
    while (!rig.captures->list().empty()) {
        for (unsigned i = 0; i < 1000; ++i) {
            rig.put(4, 1);  // as many as the ring takes, until nobody asks any more
        }
        rig.loop.run_once(0);
        rig.rcu.reclaim();
        char chunk[1 << 16];
        while (recv(rig.peer, chunk, sizeof chunk, MSG_DONTWAIT) > 0) {
        }
    }
    CHECK(!rig.published.get());
}
