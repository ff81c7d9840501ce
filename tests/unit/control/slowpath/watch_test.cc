// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/watch.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <sstream>

#include "control/compile/punt_args.h"
#include "control/slowpath/watch/events.h"
#include "lib/base/log.h"
#include "lib/mailbox/mailbox.h"
#include "lib/program/packet_meta.h"
#include "lib/program/pipeline.h"
#include "lib/rcu/published.h"
#include "tests/support/eal.h"
#include "tests/unit/control/slowpath/watch_frames.h"

namespace sluice::watch {
namespace {

constexpr uint32_t kSwitch = 7;

struct Sent {
    InjectKind kind;
    PuntMeta meta;
    Frame frame;
};

/// A slow path without a thread, with one worker's mailbox; the test is worker and control.
struct Bench {
    Bench() {
        rte_mempool* pool = test_pool();  // starts the EAL, too
        static unsigned worker = 200;
        auto made = Mailbox::create(worker++);
        REQUIRE(made.ok());
        mailbox = std::move(*made);
        rcu.register_reader(kReader);
        auto pipeline = std::make_unique<Pipeline>();
        pipeline->sequence = 1;
        auto flow = std::make_shared<FlowInfo>();
        flow->side = kEgress;
        flow->uuid = *parse_uuid("12345678-0000-4000-8000-000000000000");
        pipeline->flows = std::make_shared<std::vector<std::shared_ptr<const FlowInfo>>>(1, flow);
        published.swap(std::move(pipeline));
        SlowPathConfig config;
        config.mailboxes = {mailbox.get()};
        config.pipeline = &published;
        config.rcu = &rcu;
        config.reader_id = kReader;
        config.pool = pool;
        config.control_loop = &control;
        slow = std::make_unique<SlowPath>(config, SlowPathSinks{});
        watch = std::make_unique<Watch>(
            *slow, control, [this](const Report& report) { reports.push_back(report); });
    }
    void configure(Config config) {
        watch->configure(std::make_shared<const Config>(std::move(config)));
        poll();
    }
    void poll() {
        slow->poll_once(EventLoop::now_ms());
        while (control.run_once(0)) {
        }
    }
    PuntMeta meta(PuntReason reason, uint32_t args = 0) {
        PuntMeta m{};
        m.reason = reason;
        m.args = args;
        m.flow = 0;
        m.logical[kSlotDatapath] = kSwitch;
        m.logical[kSlotInport] = 3;
        return m;
    }
    void punt(const Frame& frame, const PuntMeta& meta) {
        rte_mbuf* m = rte_pktmbuf_alloc(test_pool());
        REQUIRE(m);
        std::memcpy(rte_pktmbuf_append(m, static_cast<uint16_t>(frame.size())), frame.data(),
                    frame.size());
        meta_of(m).punt = meta;
        REQUIRE(mailbox->punt(m));
        poll();
    }
    std::vector<Sent> sent() {
        std::vector<Sent> out;
        rte_mbuf* m = nullptr;
        while (mailbox->take_injected(&m, 1)) {
            const auto* data = rte_pktmbuf_mtod(m, const uint8_t*);
            out.push_back({meta_of(m).inject, meta_of(m).punt, Frame(data, data + m->data_len)});
            rte_pktmbuf_free(m);
        }
        return out;
    }
    std::shared_ptr<const compile::PuntArgs> action(const lang::ActionNode& node,
                                                    std::vector<uint32_t> ports = {}) {
        static int n = 0;
        return compile::PuntArgsTable::instance().intern("test " + std::to_string(n++), node,
                                                         std::move(ports));
    }

    static constexpr unsigned kReader = 1;
    std::unique_ptr<Mailbox> mailbox;
    RcuDomain rcu;
    Published<Pipeline> published{rcu};
    EventLoop control;
    std::unique_ptr<SlowPath> slow;
    std::unique_ptr<Watch> watch;
    std::vector<Report> reports;
};

SnoopConfig snooping() {
    SnoopConfig c;
    c.datapath = kSwitch;
    c.enabled = true;
    c.mrouter_key = 32770;
    c.flood_key = 32768;
    return c;
}

TEST_CASE("a report of a listener goes to the routers and to control") {
    Bench bench;
    bench.configure({{snooping()}, {}, {}, {}});
    REQUIRE(bench.reports.size() == 1);
    CHECK(bench.reports[0].groups->size() == 1);  // the routers, none yet
    const Frame frame = hex(kIgmp2Report);
    bench.punt(frame, bench.meta(PuntReason::kIgmp));
    const auto sent = bench.sent();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].kind == InjectKind::kOutput);
    CHECK(sent[0].meta.datapath() == kSwitch);
    CHECK(sent[0].meta.inport() == 3);
    CHECK(sent[0].meta.outport() == 32770);
    CHECK(sent[0].frame == frame);
    REQUIRE(bench.reports.size() == 2);
    REQUIRE(bench.reports[1].groups->size() == 2);
    CHECK(bench.reports[1].groups->at(1).ports == std::vector<uint32_t>{3});
    bench.punt(hex(kIgmpBadSum), bench.meta(PuntReason::kIgmp));
    CHECK(bench.sent().empty());
}

TEST_CASE("queries go to the local ports of the switch, and to no tunnel or localnet") {
    Bench bench;
    SnoopConfig c = snooping();
    c.querier4 = true;
    bench.configure({{c}, {}, {}, {}});
    const auto sent = bench.sent();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].kind == InjectKind::kOutputLocal);
    CHECK(sent[0].meta.outport() == 32768);
    CHECK(sent[0].meta.inport() == 0);
    CHECK(sent[0].meta.flags() == flag::kLocalOnly);
}

TEST_CASE("BFD packets enter the router by the session's port, and its state is told") {
    Bench bench;
    BfdConfig c;
    c.row = Uuid{{5}};
    c.datapath = 2;
    c.port = 4;
    c.src_mac = *parse_mac("00:00:00:00:ff:01");
    c.src_ip = mapped(*parse_ip4("10.0.0.1"));
    c.dst_ip = mapped(*parse_ip4("10.0.0.2"));
    c.params = {7, 1000, 1000, 5, false};
    bench.configure({{}, {}, {c}, {}});
    const auto sent = bench.sent();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].kind == InjectKind::kIngress);
    CHECK(sent[0].meta.datapath() == 2);
    CHECK(sent[0].meta.inport() == 4);
    REQUIRE(bench.reports.size() == 1);
    CHECK(bench.reports[0].bfd == std::vector<BfdStatus>{{c.row, BfdState::kDown}});
}

lang::String text(const char* value) {
    return {value, {}};
}

TEST_CASE("events are told once while control has not looked") {
    Bench bench;
    lang::TriggerEvent event;
    event.event = "empty_lb_backends";
    for (const auto& [name, value] :
         {std::pair("vip", "10.0.0.10:80"), {"protocol", "tcp"}, {"load_balancer", "uuid"}}) {
        event.options.push_back({name, {}, {{text(value)}, false, {}}});
    }
    const auto args = bench.action(event);
    const PuntMeta meta = bench.meta(PuntReason::kEvent, args->id);
    bench.punt(hex(kIgmp2Report), meta);
    REQUIRE(bench.reports.size() == 1);
    REQUIRE(bench.reports[0].events.size() == 1);
    CHECK(bench.reports[0].events[0].type == "empty_lb_backends");
    CHECK(bench.reports[0].events[0].info ==
          std::map<std::string, std::string>{
              {"vip", "10.0.0.10:80"}, {"protocol", "tcp"}, {"load_balancer", "uuid"}});
    bench.punt(hex(kIgmp2Report), bench.meta(PuntReason::kEvent, 999999));  // code that is gone
    CHECK(bench.reports.size() == 1);
}

TEST_CASE("a virtual port is claimed for the port its packet came from") {
    Bench bench;
    const auto args = bench.action(lang::BindVport{}, {9, kSlotInport});
    bench.punt(hex(kIgmp2Report), bench.meta(PuntReason::kBindVport, args->id));
    REQUIRE(bench.reports.size() == 1);
    CHECK(bench.reports[0].vports == std::vector<VportClaim>{{kSwitch, 9, 3}});
    const auto unknown = bench.action(lang::BindVport{}, {0, kSlotInport});
    bench.punt(hex(kIgmp2Report), bench.meta(PuntReason::kBindVport, unknown->id));
    CHECK(bench.reports.size() == 1);
}

TEST_CASE("a flow of the egress pipeline logs to-lport") {
    const std::string path = "/tmp/watch_test." + std::to_string(getpid()) + ".log";
    REQUIRE(log::open_file(path).ok());
    Bench bench;
    lang::Log action;
    action.name = "web";
    const auto args = bench.action(action);
    bench.punt(hex(kIgmp2Report), bench.meta(PuntReason::kLog, args->id));
    log::close_file();
    std::stringstream all;
    all << std::ifstream(path).rdbuf();
    unlink(path.c_str());
    CHECK_THAT(all.str(), Catch::Contains("|acl_log|INFO|name=\"web\", verdict=allow, "
                                          "severity=info, direction=to-lport: ip,vlan_tci=0x0000"));
}

TEST_CASE("observation points are numbers, fields or the flow's cookie") {
    PuntMeta meta{};
    meta.logical[kSlotDatapath] = 0x3;
    meta.logical[kSlotXxreg0 + 1] = 0xabcd1234;
    lang::Sample sample;
    sample.probability = 65535;
    sample.collector_set = 4;
    sample.obs_domain = 0x12;
    PacketSample out = sample_of(sample, meta, 0x55);
    CHECK(out.obs_domain == 0x12000003);
    CHECK(out.packets == 1);
    CHECK(out.obs_point == 0);
    sample.use_cookie = true;
    CHECK(sample_of(sample, meta, 0x55).obs_point == 0x55);
    sample.use_cookie = false;
    sample.obs_point = lang::Number{99, {}};
    CHECK(sample_of(sample, meta, 0).obs_point == 99);
    lang::Symbol reg1;
    reg1.storage = {FieldId::kXxreg0, 64, 32};
    sample.obs_point = lang::FieldUse{&reg1, 0, 32, {}};
    CHECK(sample_of(sample, meta, 0).obs_point == 0xabcd1234);
    sample.probability = 6553;
    CHECK(sample_of(sample, meta, 0).packets == 10);
}

}  // namespace
}  // namespace sluice::watch
