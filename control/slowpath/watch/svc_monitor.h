// SPDX-License-Identifier: Apache-2.0
// ServiceMonitors: asks the backends of load balancers whether they are alive.
//
// One monitor for each Service_Monitor row whose port is here. A TCP service gets a SYN and is
// alive when it answers SYN+ACK (which is reset), dead on RST or silence; a UDP service gets eight
// zero bytes and is dead on "port unreachable", alive on silence. The times and counts are those of
// ovn-controller: a check every `interval` after the last one ended, `timeout` to answer, `success`
// (`failure`) of them to become online (offline).
//
// No I/O: probes are handed out by run() and take(). Threads: the slow path's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "control/slowpath/watch/headers.h"

namespace sluice::watch {

/// One monitored service; addresses are IPv4-mapped where they are IPv4.
struct ServiceConfig {
    Uuid row;  ///< of Service_Monitor
    uint32_t datapath = 0;
    uint32_t port = 0;  ///< port key
    Ip6 ip;
    uint16_t l4_port = 0;
    bool udp = false;
    Mac port_mac;
    Mac src_mac;
    Ip6 src_ip;
    int64_t interval_ms = 5000;
    int64_t timeout_ms = 3000;
    int success_count = 1;
    int failure_count = 1;
    bool operator==(const ServiceConfig&) const = default;
};

struct ServiceState {
    Uuid row;
    bool online = false;
    bool operator==(const ServiceState&) const = default;
};

class ServiceMonitors {
public:
    struct Probe {
        uint32_t datapath;
        uint32_t port;
        std::vector<uint8_t> frame;
    };
    /// `random` gives ports and sequence numbers.
    explicit ServiceMonitors(std::function<uint32_t()> random) : random_(std::move(random)) {}

    void configure(const std::vector<ServiceConfig>& services);
    /// An answer that handle_svc_check() caught. False when no monitor waits for it.
    bool take(uint32_t datapath, uint32_t port, std::span<const uint8_t> frame,
              const Headers& headers, int64_t now_ms, std::vector<Probe>* probes);
    /// Sends what is due and notices silence. True when states() changed.
    bool run(int64_t now_ms, std::vector<Probe>* probes);
    int64_t next_ms() const;
    /// Services of which something is known.
    std::vector<ServiceState> states() const;

private:
    struct Key {
        uint32_t datapath;
        uint32_t port;
        Ip6 ip;
        uint16_t l4_port;
        bool udp;
        auto operator<=>(const Key&) const = default;
    };
    enum class State : uint8_t { kInit, kWaiting, kOnline, kOffline };
    struct Monitor {
        ServiceConfig config;
        State state = State::kInit;
        std::optional<bool> online;
        int successes = 0;
        int failures = 0;
        int64_t due_ms = 0;  ///< waiting: the answer; otherwise: the next check
        uint32_t seq = 0;
        uint16_t src_port = 0;
    };

    void probe(Monitor& m, int64_t now_ms, std::vector<Probe>* probes);
    void finish(Monitor& m, bool alive, int64_t now_ms);
    bool take_tcp(Monitor& m, std::span<const uint8_t> tcp, int64_t now_ms,
                  std::vector<Probe>* probes);
    bool take_unreachable(const Key& key, std::span<const uint8_t> icmp, int64_t now_ms);
    uint16_t random_port();

    std::function<uint32_t()> random_;
    std::map<Key, Monitor> monitors_;
};

}  // namespace sluice::watch
