// SPDX-License-Identifier: Apache-2.0
// Announcements: what is sent into logical switches on time, asked by nobody.
//
// Gratuitous ARP for what sits on a physical network here (ports without an address: RARP), one
// second after it came, then after 2, 4, 8 and 16 more; with a longest pause given, for ever at
// that pace. Router advertisements at random times between two bounds (RFC 4861, 6.2.1). Both are
// injected as if the logical port had sent them.
// Told the complete wanted state, it keeps what time adds. No I/O: due() says what to send now.
// Slow-path thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/net/addr.h"

namespace sluice::announce {

struct GarpConfig {
    std::string name;  ///< the port, or "PORT-ADDRESS"
    Mac mac;
    Ip4 ip;  ///< zero: RARP
    uint32_t datapath = 0;
    uint32_t port = 0;
    bool operator==(const GarpConfig&) const = default;
};

struct RouterConfig {
    std::string name;  ///< of the router port
    uint32_t datapath = 0;
    uint32_t port = 0;  ///< of the switch, towards the router
    int64_t min_interval_s = 200;
    int64_t max_interval_s = 600;
    std::vector<uint8_t> frame;
    bool operator==(const RouterConfig&) const = default;
};

struct Outgoing {
    enum class Kind : uint8_t { kGarp, kAdvertisement, kPrefix } kind{};
    uint32_t datapath = 0;
    uint32_t port = 0;
    std::vector<uint8_t> frame;
};

std::vector<uint8_t> garp_frame(const Mac& mac, Ip4 ip);

class Announcements {
public:
    using Random = std::function<uint32_t()>;
    static constexpr int64_t kFirstMs = 1000;
    static constexpr int64_t kLastBackoffS = 16;

    explicit Announcements(Random random) : random_(std::move(random)) {}

    /// `longest_s`: 0 to fall silent after the fifth ARP.
    void configure(const std::vector<GarpConfig>& garps, const std::vector<RouterConfig>& routers,
                   int64_t longest_s, int64_t now_ms);
    std::vector<Outgoing> due(int64_t now_ms);

private:
    struct Garp {
        GarpConfig config;
        int64_t due_ms = 0;
        int64_t backoff_s = 1;
    };
    struct Router {
        RouterConfig config;
        int64_t due_ms = 0;
    };
    int64_t next_advertisement(const RouterConfig& config, int64_t now_ms);

    Random random_;
    int64_t longest_s_ = 0;
    std::map<std::string, Garp> garps_;
    std::map<std::string, Router> routers_;
};

}  // namespace sluice::announce
