// SPDX-License-Identifier: Apache-2.0
// SlowPath: the thread for packets that take thought and for things that must happen on time.
//
// What. It drains what the workers put into their mailboxes. Punted packets go to a handler by
// reason; learn messages, freed of doubles, go to the control thread. On underlay ports it is the
// host: answers ARP, ND and ping for the addresses of the published pipeline, announces them when
// they appear, learns neighbours, and solicits next hops that control asks for (RFC 826, 4861,
// 5227).
//
// Why a thread. Control may compile for seconds; an ARP reply or a BFD packet cannot wait.
//
// Design. Workers make no system call for a packet, so while there is work this thread polls the
// rings every poll_ms and sleeps in its EventLoop between; when there was none for a while it
// sleeps longer, and the first packet wakes it (lib/mailbox/mailbox.h). Protocols are pure
// functions from bytes to bytes (arp.h, nd.h, echo.h) that know neither rings nor mbufs. Every port
// has a token bucket for its punts, so a port that floods starves only itself. Everything is
// bounded: buckets, the memory of recent messages, solicitations, and what waits for control; what
// exceeds a bound is counted. BFD of tunnels has a ring and a budget of its own, so that no storm
// on the underlay takes gateways for dead.
//
// Threads. Between start() and stop() the mailboxes' slow-path ends and the RCU reader belong to
// this thread. resolve(), inject() and stats() may be called from any thread. Sinks run on the
// control thread (EventLoop::post), in batches; after stop() none runs any more. set_handler(),
// start() and stop(): the control thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "control/control_plane.h"
#include "lib/base/event_loop.h"
#include "lib/net/addr.h"
#include "lib/program/ports.h"

struct rte_mempool;

namespace sluice {

enum class InjectKind : uint8_t;  // lib/program/packet_meta.h
enum class PuntReason : uint8_t;
struct PuntMeta;
class Mailbox;
class RcuDomain;
struct Pipeline;
template <typename T>
class Published;

/// Where things learnt go; ControlPlane has a method for each. Any may be empty.
struct SlowPathSinks {
    std::function<void(uint32_t datapath, uint32_t port, const Ip4& ip, const Mac& mac)> put_arp;
    std::function<void(uint32_t datapath, uint32_t port, const Ip6& ip, const Mac& mac)> put_nd;
    std::function<void(uint32_t datapath, uint32_t port, const Mac& mac)> put_fdb;
    /// A MAC binding is in use (mac_cache_use).
    std::function<void(uint32_t datapath, uint32_t port, const Ip4& ip, const Mac& mac)> mac_use4;
    std::function<void(uint32_t datapath, uint32_t port, const Ip6& ip, const Mac& mac)> mac_use6;
    /// An FDB row is in use where they age.
    std::function<void(uint32_t datapath, uint32_t port, const Mac& mac)> fdb_use;
    std::function<void(PortId port, const Ip4& ip, const Mac& mac)> neighbor4;
    std::function<void(PortId port, const Ip6& ip, const Mac& mac)> neighbor6;
    std::function<void(uint32_t tunnel)> tunnel_wanted;
    /// A port that waited for its activation on this chassis has announced itself.
    std::function<void(uint32_t datapath, uint32_t port)> activated;
};

struct SlowPathConfig {
    std::vector<Mailbox*> mailboxes;  ///< by worker
    const Published<Pipeline>* pipeline = nullptr;
    RcuDomain* rcu = nullptr;
    unsigned reader_id = 0;  ///< registered by the composer before start()
    rte_mempool* pool = nullptr;
    EventLoop* control_loop = nullptr;  ///< sinks run there
    unsigned poll_ms = 1;
    unsigned punts_per_s = 1000;  ///< per port
    unsigned punt_burst = 500;
    unsigned learns_per_s = 2000;  ///< new things learnt, per logical port
    unsigned learn_burst = 4000;
    bool announce = true;      ///< our underlay addresses, when they appear
    unsigned dedup_ms = 1000;  ///< the same message is passed on once in this time
};

/// A packet for the workers.
struct Injection {
    InjectKind kind{};      ///< kToPort unless told otherwise
    PortId port = kNoPort;  ///< kToPort, kFromPort
    uint32_t datapath = 0;  ///< tunnel key: kIngress, kOutput
    uint32_t inport = 0;
    uint32_t outport = 0;
    uint32_t flags = 0;
    std::vector<uint8_t> frame;
    /// kResume: the punt that is answered. kOutput: in place of the keys and flags above, with
    /// mark.
    const PuntMeta* resume = nullptr;  ///< read during send()
};

/// A punted packet in the hands of a handler.
struct Punt {
    std::span<const uint8_t> frame;  ///< all of it, contiguous
    const PuntMeta& meta;
    unsigned worker;           ///< whose mailbox it came through
    const Pipeline& pipeline;  ///< valid during the call
    int64_t now_ms;
};

#define SLUICE_SLOWPATH_COUNTERS(X)                                             \
    X(punts, "packets taken from workers")                                      \
    X(punt_over_budget, "punted packets dropped: port above its rate")          \
    X(punt_unhandled, "punted packets no handler wanted")                       \
    X(punt_malformed, "punted packets dropped: malformed or bad checksum")      \
    X(messages, "learn messages taken from workers")                            \
    X(message_doubles, "learn messages dropped: said a moment ago")             \
    X(learn_over_budget, "learn messages dropped: logical port above its rate") \
    X(learned, "things handed to control")                                      \
    X(learn_lost, "things dropped: control has too many waiting")               \
    X(arp_replies, "ARP requests answered")                                     \
    X(nd_replies, "neighbour solicitations answered")                           \
    X(echo_replies, "pings answered")                                           \
    X(solicitations, "ARP requests and neighbour solicitations sent")           \
    X(announcements, "gratuitous ARP and unsolicited neighbour advertisements") \
    X(held, "packets kept until their next hop is known")                       \
    X(held_sent, "kept packets sent on")                                        \
    X(held_dropped, "kept packets dropped: too many, or nobody answered")       \
    X(service_answers, "DHCP, DNS and router solicitations answered")           \
    X(service_passed, "service requests let pass: not for us, or not known")    \
    X(service_malformed, "service requests let pass: malformed")                \
    X(service_bad_action, "service requests let pass: action not understood")   \
    X(address_conflicts, "another host claims one of our addresses")            \
    X(injected, "packets handed to workers")                                    \
    X(inject_full, "packets dropped: worker's ring full")                       \
    X(inject_no_mbuf, "packets dropped: out of packet buffers")

enum class SlowPathCounter : uint8_t {
#define SLUICE_SLOWPATH_ENUM(name, help) k_##name,
    SLUICE_SLOWPATH_COUNTERS(SLUICE_SLOWPATH_ENUM)
#undef SLUICE_SLOWPATH_ENUM
        kCount
};

class SlowPath {
public:
    using Handler = std::function<void(const Punt&)>;

    struct Stat {
        const char* name;
        const char* help;
        uint64_t value;
    };

    SlowPath(SlowPathConfig config, SlowPathSinks sinks);
    ~SlowPath();
    SlowPath(const SlowPath&) = delete;
    SlowPath& operator=(const SlowPath&) = delete;

    /// Before start(): who handles punts of this reason. kUnderlay and kBuffer have theirs from the
    /// start.
    /// It runs on the slow-path thread and may call send().
    void set_handler(PuntReason reason, Handler handler);
    /// Before start(): called in every round, about every poll_ms, after all that waited in the
    /// rings was handled. For deadlines that must not be judged before.
    void set_deadlines(std::function<void(int64_t now_ms)> judge);

    void start();
    /// Joins the thread; what waits in the rings stays there.
    void stop();

    /// The complete list of what is to be solicited now (ControlHooks::resolve). What was on the
    /// list before keeps its backoff.
    void resolve(std::vector<ResolveRequest> wanted);
    /// Hands a packet to a worker, soon.
    void inject(Injection injection);
    std::vector<Stat> stats() const;

    /// Slow-path thread: its loop, for timers of handlers, and a packet out at once.
    EventLoop& loop();
    void send(const Injection& injection, unsigned worker = 0);
    void count(SlowPathCounter counter, uint64_t n = 1);

    /// One round of the thread's loop without sleeping, for tests that start no thread: true when
    /// there was something to do.
    bool poll_once(int64_t now_ms);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
