// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/slowpath.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <string>

#include "lib/mailbox/mailbox.h"
#include "lib/program/packet_meta.h"
#include "lib/program/pipeline.h"
#include "lib/rcu/published.h"
#include "tests/support/eal.h"
#include "tests/unit/control/slowpath/vectors.h"

namespace sluice {
namespace {

using Frame = std::vector<uint8_t>;

Frame hex(const std::string& text) {
    Frame out;
    for (size_t i = 0; i + 1 < text.size(); i += 2) {
        out.push_back(static_cast<uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
    }
    return out;
}

constexpr PortId kUplink = 3;
constexpr unsigned kReader = 1;

/// A slow path with one worker's mailbox; the test is the worker and the control thread.
struct Bench {
    Bench() {
        pool = test_pool();
        static unsigned worker = 100;
        auto made = Mailbox::create(worker++);
        REQUIRE(made.ok());
        mailbox = std::move(*made);
        rcu.register_reader(kReader);
        underlay.mac = parse_mac("02:00:00:00:00:64")->to_u64();
        underlay.ip4 = {{parse_ip4("192.168.50.100")->value, 24}};
        entry.underlay = &underlay;
        auto pipeline = std::make_unique<Pipeline>();
        pipeline->sequence = 1;
        pipeline->entries = {nullptr, nullptr, nullptr, &entry};
        published.swap(std::move(pipeline));
        config.mailboxes = {mailbox.get()};
        config.pipeline = &published;
        config.rcu = &rcu;
        config.reader_id = kReader;
        config.pool = pool;
        config.control_loop = &control;
        sinks.put_arp = [this](uint32_t dp, uint32_t port, const Ip4& ip, const Mac& mac) {
            heard.push_back(fmt("put_arp", dp, port, to_string(ip), mac));
        };
        sinks.put_nd = [this](uint32_t dp, uint32_t port, const Ip6& ip, const Mac& mac) {
            heard.push_back(fmt("put_nd", dp, port, to_string(ip), mac));
        };
        sinks.put_fdb = [this](uint32_t dp, uint32_t port, const Mac& mac) {
            heard.push_back(fmt("put_fdb", dp, port, "", mac));
        };
        sinks.neighbor4 = [this](PortId port, const Ip4& ip, const Mac& mac) {
            heard.push_back(fmt("neighbor", 0, port, to_string(ip), mac));
        };
        sinks.tunnel_wanted = [this](uint32_t tunnel) {
            heard.push_back("tunnel " + std::to_string(tunnel));
        };
        slow = std::make_unique<SlowPath>(config, sinks);
    }
    static std::string fmt(const char* what, uint32_t dp, uint32_t port, const std::string& ip,
                           const Mac& mac) {
        return std::string(what) + " " + std::to_string(dp) + " " + std::to_string(port) + " " +
               ip + " " + to_string(mac);
    }
    void punt(const Frame& frame, PortId port = kUplink,
              PuntReason reason = PuntReason::kUnderlay) {
        rte_mbuf* m = rte_pktmbuf_alloc(pool);
        REQUIRE(m);
        size_t done = 0;  // in pieces of 1000, as a jumbo frame comes
        for (rte_mbuf* tail = m; done < frame.size();) {
            const size_t n = std::min<size_t>(1000, frame.size() - done);
            std::memcpy(rte_pktmbuf_mtod(tail, char*), frame.data() + done, n);
            tail->data_len = static_cast<uint16_t>(n);
            m->pkt_len += static_cast<uint32_t>(n);
            done += n;
            if (done < frame.size()) {
                tail->next = rte_pktmbuf_alloc(pool);
                ++m->nb_segs;
                tail = tail->next;
            }
        }
        meta_of(m).punt = PuntMeta{};
        meta_of(m).punt.reason = reason;
        meta_of(m).punt.port = port;
        REQUIRE(mailbox->punt(m));
    }
    std::vector<Frame> injected() {
        std::vector<Frame> out;
        rte_mbuf* m = nullptr;
        while (mailbox->take_injected(&m, 1)) {
            CHECK(meta_of(m).inject == InjectKind::kToPort);
            CHECK(meta_of(m).punt.port == kUplink);
            Frame frame(m->pkt_len);
            const void* bytes = rte_pktmbuf_read(m, 0, m->pkt_len, frame.data());
            if (bytes != frame.data()) {
                std::memcpy(frame.data(), bytes, frame.size());
            }
            out.push_back(frame);
            rte_pktmbuf_free(m);
        }
        return out;
    }
    uint64_t stat(const std::string& name) const {
        for (const SlowPath::Stat& stat : slow->stats()) {
            if (name == stat.name) {
                return stat.value;
            }
        }
        FAIL("no counter " << name);
        return 0;
    }
    /// Polls until the announcements of the start are over.
    int64_t settle() {
        slow->poll_once(1000);
        slow->poll_once(100000);
        injected();
        return 200000;
    }
    std::vector<std::string> delivered() {
        while (control.run_once(0)) {
        }
        return std::exchange(heard, {});
    }

    rte_mempool* pool;
    std::unique_ptr<Mailbox> mailbox;
    RcuDomain rcu;
    Published<Pipeline> published{rcu};
    Underlay underlay;
    PortEntry entry;
    EventLoop control;
    SlowPathConfig config;
    SlowPathSinks sinks;
    std::unique_ptr<SlowPath> slow;
    std::vector<std::string> heard;
};

Message message(Message::Kind kind, uint32_t port, uint64_t mac) {
    Message m{};
    m.kind = kind;
    m.datapath = 7;
    m.port = port;
    m.mac = mac;
    const uint8_t ip[16] = {10, 0, 0, 1};
    std::memcpy(m.ip, ip, sizeof ip);
    return m;
}

TEST_CASE("the encapsulation address is announced at the start") {
    Bench bench;
    bench.slow->poll_once(1000);
    const std::vector<Frame> frames = bench.injected();
    REQUIRE(frames.size() == 1);
    CHECK(frames[0] == hex(vectors::kOurAnnouncement));
    CHECK(bench.stat("announcements") == 1);
}

TEST_CASE("a punted ARP request comes back as a reply and its sender goes to control") {
    Bench bench;
    const unsigned before = rte_mempool_avail_count(bench.pool);
    const int64_t now = bench.settle();
    bench.punt(hex(vectors::kArpRequest));
    CHECK(bench.slow->poll_once(now));
    CHECK(bench.injected() == std::vector<Frame>{hex(vectors::kArpReply)});
    CHECK(bench.delivered() ==
          std::vector<std::string>{"neighbor 0 3 192.168.50.101 0c:42:a1:00:00:07"});
    bench.punt(hex(vectors::kArpRequest));
    bench.slow->poll_once(now + 10);
    CHECK(bench.injected().size() == 1);
    CHECK(bench.delivered().empty());  // said a moment ago
    CHECK(bench.stat("message_doubles") == 1);
    CHECK(rte_mempool_avail_count(bench.pool) == before);
}

TEST_CASE("a jumbo ping in several segments is answered whole") {
    Bench bench;
    const int64_t now = bench.settle();
    Frame ping = hex(vectors::kEchoRequest);
    ping.resize(9000, 0x5a);
    const auto sum = [&](size_t from, size_t to, size_t field) {
        ping[field] = ping[field + 1] = 0;
        uint32_t total = 0;
        for (size_t i = from; i < to; ++i) {
            total += (i - from) % 2 ? ping[i] : uint32_t{ping[i]} << 8;
        }
        while (total >> 16) {
            total = (total & 0xffff) + (total >> 16);
        }
        ping[field] = static_cast<uint8_t>(~total >> 8);
        ping[field + 1] = static_cast<uint8_t>(~total);
    };
    ping[16] = static_cast<uint8_t>((9000 - 14) >> 8);
    ping[17] = static_cast<uint8_t>(9000 - 14);
    sum(14, 34, 24);
    sum(34, 9000, 36);
    bench.punt(ping);
    bench.slow->poll_once(now);
    const std::vector<Frame> out = bench.injected();
    REQUIRE(out.size() == 1);
    REQUIRE(out[0].size() == 9000);
    CHECK(std::equal(out[0].begin() + 42, out[0].end(), ping.begin() + 42));
    CHECK(bench.stat("echo_replies") == 1);
}

TEST_CASE("learn messages reach control once") {
    Bench bench;
    const int64_t now = bench.settle();
    for (int i = 0; i < 100; ++i) {
        REQUIRE(bench.mailbox->send(message(Message::Kind::kPutArp, 5, 0x020000000001)));
        REQUIRE(bench.mailbox->send(message(Message::Kind::kPutFdb, 6, 0x020000000002)));
        REQUIRE(bench.mailbox->send(message(Message::Kind::kPutNd, 6, 0x020000000003)));
        REQUIRE(bench.mailbox->send(message(Message::Kind::kTunnelMiss, 9, 0)));
    }
    while (bench.slow->poll_once(now)) {
    }
    CHECK(bench.delivered() == std::vector<std::string>{"put_arp 7 5 10.0.0.1 02:00:00:00:00:01",
                                                        "put_fdb 7 6  02:00:00:00:00:02",
                                                        "put_nd 7 6 a00:1:: 02:00:00:00:00:03",
                                                        "tunnel 9"});
    CHECK(bench.stat("messages") == 400);
    CHECK(bench.stat("message_doubles") == 396);
    // A station that moved says something new at once.
    REQUIRE(bench.mailbox->send(message(Message::Kind::kPutFdb, 8, 0x020000000002)));
    bench.slow->poll_once(now + 1);
    CHECK(bench.delivered().size() == 1);
    // And the same again, later.
    REQUIRE(bench.mailbox->send(message(Message::Kind::kPutArp, 5, 0x020000000001)));
    bench.slow->poll_once(now + 5000);
    CHECK(bench.delivered().size() == 1);
}

TEST_CASE("a port that floods is held to its budget, others are not") {
    Bench bench;
    const int64_t now = bench.settle();
    for (unsigned i = 0; i < 600; ++i) {
        bench.punt(hex(vectors::kArpOther), 2);  // not an underlay port
    }
    bench.punt(hex(vectors::kArpRequest));
    while (bench.slow->poll_once(now)) {
    }
    CHECK(bench.stat("punt_over_budget") == 600 - bench.config.punt_burst);
    CHECK(bench.stat("punt_unhandled") == bench.config.punt_burst);
    CHECK(bench.stat("arp_replies") == 1);
    bench.injected();
}

TEST_CASE("what control has no room for is counted, not kept") {
    Bench bench;
    const int64_t now = bench.settle();
    uint64_t sent = 0;
    for (uint32_t port = 0; port < 70000; ++port) {
        while (!bench.mailbox->send(message(Message::Kind::kPutFdb, port, port))) {
            bench.slow->poll_once(now);
        }
        ++sent;
    }
    while (bench.slow->poll_once(now)) {
    }
    CHECK(bench.stat("learned") + bench.stat("learn_lost") + bench.stat("learn_over_budget") ==
          sent);
    CHECK(bench.stat("learn_lost") > 0);
    CHECK(bench.delivered().size() == bench.stat("learned"));
}

TEST_CASE("next hops are solicited until control drops them, and answers are never held back") {
    Bench bench;
    const int64_t now = bench.settle();
    ResolveRequest request{};
    request.port = kUplink;
    request.src_mac = bench.underlay.mac;
    request.src4 = *parse_ip4("192.168.50.100");
    request.target4 = *parse_ip4("192.168.50.101");
    bench.slow->resolve({request});
    bench.slow->poll_once(now);
    bench.slow->poll_once(now);
    CHECK(bench.injected() == std::vector<Frame>{hex(vectors::kOurRequest)});
    bench.slow->poll_once(now + 1000);
    CHECK(bench.injected().size() == 1);
    for (int i = 0; i < 3; ++i) {
        bench.punt(hex(vectors::kArpAnswer));
    }
    bench.slow->poll_once(now + 1001);
    CHECK(bench.delivered().size() == 3);
    bench.slow->poll_once(now + 2500);
    CHECK(bench.injected().empty());
    bench.slow->resolve({});
    bench.slow->poll_once(now + 20000);
    bench.slow->poll_once(now + 20001);
    CHECK(bench.injected().empty());
}

TEST_CASE("the thread answers by itself, handlers and injections run on it, stop ends it all") {
    Bench bench;
    std::atomic<bool> called{false};
    bench.slow->set_handler(static_cast<PuntReason>(31), [&](const Punt&) { called = true; });
    bench.slow->start();
    bench.punt(Frame(60), kUplink, static_cast<PuntReason>(31));
    bench.punt(hex(vectors::kArpRequest));
    Injection injection;
    injection.port = kUplink;
    injection.frame = Frame(60, 0x11);
    bench.slow->inject(injection);
    std::map<Frame, int> seen;
    const int64_t end = EventLoop::now_ms() + 30000;
    while ((!called || seen.size() < 3) && EventLoop::now_ms() < end) {
        for (const Frame& frame : bench.injected()) {
            ++seen[frame];
        }
    }
    CHECK(called);
    CHECK(seen.count(hex(vectors::kArpReply)));
    CHECK(seen.count(hex(vectors::kOurAnnouncement)));
    CHECK(seen.count(Frame(60, 0x11)));
    bench.slow->stop();
    CHECK(bench.delivered().empty());  // no sink after stop()
}

}  // namespace
}  // namespace sluice
