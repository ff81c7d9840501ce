// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/slowpath.h"

#include <pthread.h>
#include <rte_mbuf.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "control/slowpath/budget.h"
#include "control/slowpath/buffered.h"
#include "control/slowpath/host.h"
#include "control/slowpath/outbox.h"
#include "control/slowpath/resolver.h"
#include "lib/base/log.h"
#include "lib/mailbox/mailbox.h"
#include "lib/program/packet_meta.h"
#include "lib/program/pipeline.h"
#include "lib/rcu/published.h"
#include "lib/stats/counters.h"

SLUICE_LOG_MODULE(slowpath);

namespace sluice {
namespace {

using C = SlowPathCounter;

constexpr unsigned kTake = 32;             // from a ring at once
constexpr unsigned kRoundPerWorker = 256;  // of one kind, before timers get their turn
constexpr int64_t kRestlessMs = 100;       // without work, until it sleeps longer
constexpr int64_t kSleepMs = 10;
constexpr size_t kMaxFrame = 65535 + 64;
constexpr size_t kReasons = 32;
constexpr int kPriority = -10;

Recent::Key key_of(const Message& m) {
    Recent::Key key{uint64_t(m.kind) << 32 | m.datapath, m.port, m.mac};
    std::memcpy(&key[3], m.ip, sizeof m.ip);
    return key;
}

Recent::Key key_of(PortId port, const Neighbor& n) {
    Recent::Key key{uint64_t{1} << 63 | uint64_t{n.ip6} << 62, port, n.mac.to_u64()};
    if (n.ip6) {
        std::memcpy(&key[3], n.addr6.bytes.data(), 16);
    } else {
        key[3] = n.addr4.value;
    }
    return key;
}

Learned learned_of(const Message& m) {
    Learned out;
    out.datapath = m.datapath;
    out.port = m.port;
    out.mac = Mac::from_u64(m.mac);
    switch (m.kind) {
    case Message::Kind::kPutArp:
    case Message::Kind::kMacUse4:
        out.kind =
            m.kind == Message::Kind::kPutArp ? Learned::Kind::kPutArp : Learned::Kind::kMacUse4;
        out.ip4 = Ip4{uint32_t{m.ip[0]} << 24 | uint32_t{m.ip[1]} << 16 | uint32_t{m.ip[2]} << 8 |
                      m.ip[3]};
        break;
    case Message::Kind::kPutNd:
    case Message::Kind::kMacUse6:
        out.kind =
            m.kind == Message::Kind::kPutNd ? Learned::Kind::kPutNd : Learned::Kind::kMacUse6;
        std::memcpy(out.ip6.bytes.data(), m.ip, 16);
        break;
    case Message::Kind::kPutFdb: out.kind = Learned::Kind::kPutFdb; break;
    case Message::Kind::kFdbUse: out.kind = Learned::Kind::kFdbUse; break;
    case Message::Kind::kTunnelMiss: out.kind = Learned::Kind::kTunnelWanted; break;
    }
    return out;
}

// An mbuf, chained if need be, with these bytes; null when the pool is empty.
rte_mbuf* to_mbuf(rte_mempool* pool, std::span<const uint8_t> frame) {
    rte_mbuf* head = rte_pktmbuf_alloc(pool);
    rte_mbuf* tail = head;
    while (tail) {
        const auto n =
            static_cast<uint16_t>(std::min<size_t>(frame.size(), rte_pktmbuf_tailroom(tail)));
        std::memcpy(rte_pktmbuf_mtod(tail, uint8_t*), frame.data(), n);
        tail->data_len = n;
        head->pkt_len += n;
        frame = frame.subspan(n);
        if (frame.empty()) {
            return head;
        }
        tail->next = rte_pktmbuf_alloc(pool);
        head->nb_segs += tail->next ? 1 : 0;
        tail = tail->next;
    }
    rte_pktmbuf_free(head);
    return nullptr;
}

/// Who pays for a punt: a logical port, the host at the other end of a tunnel, a port.
uint64_t payer_of(const PuntMeta& meta) {
    if (meta.datapath()) {
        return uint64_t{meta.datapath()} << 32 | meta.inport();
    }
    if (meta.reason == PuntReason::kTunnelBfd) {
        const uint32_t* source = meta.logical + TunnelBfdWords::kSource;
        return (uint64_t{3} << 62 | uint64_t{source[0] ^ source[1] ^ source[2]} << 20) ^ source[3];
    }
    return uint64_t{1} << 63 | meta.port;
}

}  // namespace

struct SlowPath::Impl {
    Impl(SlowPath& owner, SlowPathConfig config_in, SlowPathSinks sinks)
        : self(owner),
          config(std::move(config_in)),
          outbox(std::make_shared<Outbox>(config.control_loop, std::move(sinks))),
          punt_budget(config.punts_per_s, config.punt_burst),
          learn_budget(config.learns_per_s, config.learn_burst),
          recent(config.dedup_ms) {}

    void count(C counter, uint64_t n = 1) { counters[static_cast<size_t>(counter)].add(n); }
    void run();
    void sleep();
    bool round(int64_t now_ms);
    bool drain_messages(Mailbox& box, int64_t now_ms);
    bool drain_punts(Mailbox& box, unsigned worker, const Pipeline* pipeline, int64_t now_ms);
    void handle(rte_mbuf* packet, unsigned worker, const Pipeline& pipeline, int64_t now_ms);
    void on_underlay(const Punt& punt);
    void on_unresolved(const Punt& punt);
    void send_resolved(const Pipeline& pipeline, int64_t now_ms);
    void learn(PortId port, const Neighbor& neighbor, int64_t now_ms);
    void hand_over(const Learned& learned);
    void on_time(const Pipeline& pipeline, int64_t now_ms);
    void send_to_port(PortId port, std::vector<uint8_t> frame, unsigned worker);

    SlowPath& self;
    SlowPathConfig config;
    EventLoop loop;
    std::shared_ptr<Outbox> outbox;
    Budget punt_budget;
    Budget learn_budget;
    Recent recent;
    Resolver resolver;
    std::optional<std::vector<ResolveRequest>> wanted;  ///< a new list, for the next round
    Announcer announcer;
    HeldPackets held;
    std::array<Handler, kReasons> handlers;
    std::function<void(int64_t now_ms)> deadlines;  ///< may be empty
    std::vector<uint8_t> scratch = std::vector<uint8_t>(kMaxFrame);
    /// Written by the slow-path thread, read by any.
    std::array<Cell, static_cast<size_t>(C::kCount)> counters;
    std::atomic<bool> stopping{false};  ///< control sets, the thread reads
    std::thread thread;
};

void SlowPath::Impl::run() {
    pthread_setname_np(pthread_self(), "slowpath");
    // Others wait for its messages; where that is not allowed it does without.
    static_cast<void>(setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kPriority));
    for (Mailbox* box : config.mailboxes) {
        Mailbox::Sleeper& sleeper = box->slow_path_sleeper();
        if (const Result<void> added =
                loop.add_fd(sleeper.fd(), Io::kRead, [&sleeper](uint32_t) { sleeper.drain(); });
            !added) {
            LOG_WARN("{}", added.error().message);  // then it looks when it wakes by itself
        }
    }
    int64_t worked_ms = EventLoop::now_ms();
    while (!stopping.load(std::memory_order_relaxed)) {
        const int64_t now_ms = EventLoop::now_ms();
        const bool worked = round(now_ms);
        worked_ms = worked ? now_ms : worked_ms;
        if (worked || now_ms - worked_ms < kRestlessMs) {
            loop.run_once(worked ? 0 : config.poll_ms);
        } else {
            sleep();
        }
    }
    for (Mailbox* box : config.mailboxes) {
        loop.remove_fd(box->slow_path_sleeper().fd());
    }
}

/// Until a worker or a timer has something, but not for long: there are also deadlines.
void SlowPath::Impl::sleep() {
    bool may_sleep = true;
    for (Mailbox* box : config.mailboxes) {
        may_sleep &= box->slow_path_sleeper().announce();
    }
    loop.run_once(may_sleep ? kSleepMs : 0);
    for (Mailbox* box : config.mailboxes) {
        box->slow_path_sleeper().end();
    }
}

bool SlowPath::Impl::round(int64_t now_ms) {
    config.rcu->online(config.reader_id);
    const Pipeline* pipeline = config.pipeline->get();
    bool worked = false;
    for (unsigned w = 0; w < config.mailboxes.size(); ++w) {
        Mailbox& box = *config.mailboxes[w];
        worked |= drain_messages(box, now_ms);
        worked |= drain_punts(box, w, pipeline, now_ms);
    }
    if (deadlines) {
        deadlines(now_ms);
    }
    if (pipeline) {
        on_time(*pipeline, now_ms);
    }
    config.rcu->offline(config.reader_id);
    return worked;
}

bool SlowPath::Impl::drain_messages(Mailbox& box, int64_t now_ms) {
    Message messages[kTake];
    unsigned total = 0;
    unsigned n = 0;
    while (total < kRoundPerWorker && (n = box.take_messages(messages, kTake)) > 0) {
        total += n;
        count(C::k_messages, n);
        for (unsigned i = 0; i < n; ++i) {
            const Message& m = messages[i];
            if (recent.said(key_of(m), now_ms)) {
                count(C::k_message_doubles);
            } else if (!learn_budget.take(uint64_t{m.datapath} << 32 | m.port, now_ms)) {
                count(C::k_learn_over_budget);
            } else {
                hand_over(learned_of(m));
            }
        }
    }
    return total > 0;
}

bool SlowPath::Impl::drain_punts(Mailbox& box, unsigned worker, const Pipeline* pipeline,
                                 int64_t now_ms) {
    rte_mbuf* packets[kTake];
    unsigned total = 0;
    unsigned n = 0;
    while (total < kRoundPerWorker && (n = box.take_punts(packets, kTake)) > 0) {
        total += n;
        count(C::k_punts, n);
        for (unsigned i = 0; i < n; ++i) {
            if (pipeline) {
                handle(packets[i], worker, *pipeline, now_ms);
            } else {
                count(C::k_punt_unhandled);
            }
        }
        rte_pktmbuf_free_bulk(packets, n);
    }
    return total > 0;
}

void SlowPath::Impl::handle(rte_mbuf* packet, unsigned worker, const Pipeline& pipeline,
                            int64_t now_ms) {
    const PuntMeta& meta = meta_of(packet).punt;
    if (!punt_budget.take(payer_of(meta), now_ms)) {
        count(C::k_punt_over_budget);
        return;
    }
    const auto reason = static_cast<size_t>(meta.reason);
    const void* bytes = packet->pkt_len <= scratch.size()
                            ? rte_pktmbuf_read(packet, 0, packet->pkt_len, scratch.data())
                            : nullptr;
    if (!bytes) {
        count(C::k_punt_malformed);
    } else if (reason >= kReasons || !handlers[reason]) {
        count(C::k_punt_unhandled);
    } else {
        handlers[reason](Punt{
            {static_cast<const uint8_t*>(bytes), packet->pkt_len}, meta, worker, pipeline, now_ms});
    }
}

void SlowPath::Impl::on_underlay(const Punt& punt) {
    const PortId port = punt.meta.port;
    const PortEntry* entry =
        port < punt.pipeline.entries.size() ? punt.pipeline.entries[port] : nullptr;
    if (!entry || !entry->underlay) {
        count(C::k_punt_unhandled);
        return;
    }
    HostAnswer out = answer(punt.frame, *entry->underlay);
    if (out.conflict) {
        count(C::k_address_conflicts);
        LOG_WARN_RL("another host on underlay port {} uses one of our addresses (its MAC is {})",
                    port,
                    to_string(Mac{{punt.frame[6], punt.frame[7], punt.frame[8], punt.frame[9],
                                   punt.frame[10], punt.frame[11]}}));
    }
    if (out.learned) {
        learn(port, *out.learned, punt.now_ms);
    }
    using Kind = HostAnswer::Kind;
    switch (out.kind) {
    case Kind::kNotOurs: count(C::k_punt_unhandled); return;
    case Kind::kMalformed: count(C::k_punt_malformed); return;
    case Kind::kSeen: return;
    case Kind::kArpReply: count(C::k_arp_replies); break;
    case Kind::kNdReply: count(C::k_nd_replies); break;
    case Kind::kEchoReply: count(C::k_echo_replies); break;
    }
    if (entry->underlay->exception == kNoPort) {  // else the kernel answers
        send_to_port(port, std::move(out.reply), punt.worker);
    }
}

void SlowPath::Impl::on_unresolved(const Punt& punt) {
    using Kept = HeldPackets::Kept;
    switch (held.keep(punt.frame, punt.meta, punt.worker, punt.now_ms)) {
    case Kept::kYes: count(C::k_held); return;
    case Kept::kInsteadOfOldest: count(C::k_held); break;
    case Kept::kNoRoom: break;
    case Kept::kNoIp: count(C::k_punt_malformed); return;
    }
    count(C::k_held_dropped);
}

void SlowPath::Impl::send_resolved(const Pipeline& pipeline, int64_t now_ms) {
    for (HeldPackets::Packet& packet : held.ready(pipeline, now_ms)) {
        Injection injection;
        // Newer flows go on in a table of their own (kBuffer with a place), older ones are output.
        injection.kind = packet.meta.result_slot ? InjectKind::kResume : InjectKind::kOutput;
        injection.frame = std::move(packet.frame);
        injection.resume = &packet.meta;
        self.send(injection, packet.worker);
        count(C::k_held_sent);
    }
    count(C::k_held_dropped, held.expire(now_ms));
}

void SlowPath::Impl::learn(PortId port, const Neighbor& neighbor, int64_t now_ms) {
    const bool asked =
        neighbor.ip6 ? resolver.wants(port, neighbor.addr6) : resolver.wants(port, neighbor.addr4);
    // What control waits for is never held back.
    if (recent.said(key_of(port, neighbor), now_ms) && !asked) {
        count(C::k_message_doubles);
        return;
    }
    Learned out;
    out.kind = neighbor.ip6 ? Learned::Kind::kNeighbor6 : Learned::Kind::kNeighbor4;
    out.port = port;
    out.ip4 = neighbor.addr4;
    out.ip6 = neighbor.addr6;
    out.mac = neighbor.mac;
    hand_over(out);
    if (neighbor.ip6) {
        resolver.answered(port, neighbor.addr6, now_ms);
    } else {
        resolver.answered(port, neighbor.addr4, now_ms);
    }
}

void SlowPath::Impl::hand_over(const Learned& learned) {
    count(outbox->add(learned) ? C::k_learned : C::k_learn_lost);
}

void SlowPath::Impl::on_time(const Pipeline& pipeline, int64_t now_ms) {
    send_resolved(pipeline, now_ms);
    if (config.announce) {
        announcer.look(pipeline, now_ms);
    }
    for (Announcer::Frame& frame : announcer.due(now_ms)) {
        count(C::k_announcements);
        send_to_port(frame.port, std::move(frame.bytes), 0);
    }
    if (wanted) {
        resolver.set(*wanted, now_ms);
        wanted.reset();
    }
    for (const ResolveRequest& r : resolver.due(now_ms)) {
        const Mac src = Mac::from_u64(r.src_mac);
        count(C::k_solicitations);
        send_to_port(
            r.port,
            r.ip6 ? nd_solicitation(src, r.src6, r.target6) : arp_request(src, r.src4, r.target4),
            0);
    }
}

void SlowPath::Impl::send_to_port(PortId port, std::vector<uint8_t> frame, unsigned worker) {
    Injection injection;
    injection.kind = InjectKind::kToPort;
    injection.port = port;
    injection.frame = std::move(frame);
    self.send(injection, worker);
}

SlowPath::SlowPath(SlowPathConfig config, SlowPathSinks sinks)
    : impl_(std::make_unique<Impl>(*this, std::move(config), std::move(sinks))) {
    SLUICE_CHECK(impl_->config.pipeline && impl_->config.rcu && impl_->config.pool &&
                 impl_->config.control_loop && !impl_->config.mailboxes.empty());
    set_handler(PuntReason::kUnderlay,
                [impl = impl_.get()](const Punt& punt) { impl->on_underlay(punt); });
    set_handler(PuntReason::kBuffer,
                [impl = impl_.get()](const Punt& punt) { impl->on_unresolved(punt); });
    set_handler(PuntReason::kActivation, [impl = impl_.get()](const Punt& punt) {
        Learned out{};
        out.kind = Learned::Kind::kActivated;
        out.datapath = punt.meta.datapath();
        out.port = punt.meta.inport();
        impl->hand_over(out);
    });
}

SlowPath::~SlowPath() {
    stop();
}

void SlowPath::set_handler(PuntReason reason, Handler handler) {
    impl_->handlers.at(static_cast<size_t>(reason)) = std::move(handler);
}

void SlowPath::set_deadlines(std::function<void(int64_t now_ms)> judge) {
    impl_->deadlines = std::move(judge);
}

void SlowPath::start() {
    impl_->stopping = false;
    impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void SlowPath::stop() {
    if (impl_->thread.joinable()) {
        impl_->stopping = true;
        impl_->loop.post([] {});
        impl_->thread.join();
    }
    impl_->outbox->close();
}

void SlowPath::resolve(std::vector<ResolveRequest> wanted) {
    impl_->loop.post([impl = impl_.get(), wanted = std::move(wanted)] { impl->wanted = wanted; });
}

void SlowPath::inject(Injection injection) {
    impl_->loop.post([this, injection = std::move(injection)] { send(injection); });
}

std::vector<SlowPath::Stat> SlowPath::stats() const {
    std::vector<Stat> out;
    const auto add = [&](const char* name, const char* help) {
        out.push_back({name, help, impl_->counters[out.size()].get()});
    };
#define SLUICE_SLOWPATH_ADD(name, help) add(#name, help);
    SLUICE_SLOWPATH_COUNTERS(SLUICE_SLOWPATH_ADD)
#undef SLUICE_SLOWPATH_ADD
    return out;
}

EventLoop& SlowPath::loop() {
    return impl_->loop;
}

void SlowPath::send(const Injection& injection, unsigned worker) {
    rte_mbuf* packet = to_mbuf(impl_->config.pool, injection.frame);
    if (!packet) {
        count(C::k_inject_no_mbuf);
        return;
    }
    PacketMeta& meta = meta_of(packet);
    meta.inject = injection.kind;
    if (injection.resume) {
        meta.punt = *injection.resume;
    } else {
        meta.punt = PuntMeta{};
        meta.punt.port = injection.port;
        meta.punt.logical[kSlotDatapath] = injection.datapath;
        meta.punt.logical[kSlotInport] = injection.inport;
        meta.punt.logical[kSlotOutport] = injection.outport;
        meta.punt.logical[kSlotFlags] = injection.flags;
        meta.punt.flow = kNoFlow;
    }
    if (impl_->config.mailboxes.at(worker)->inject(packet)) {
        count(C::k_injected);
    } else {
        rte_pktmbuf_free(packet);
        count(C::k_inject_full);
    }
}

void SlowPath::count(SlowPathCounter counter, uint64_t n) {
    impl_->count(counter, n);
}

bool SlowPath::poll_once(int64_t now_ms) {
    const bool ran = impl_->loop.run_once(0);
    return impl_->round(now_ms) || ran;
}

}  // namespace sluice
