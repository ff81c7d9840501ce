// SPDX-License-Identifier: Apache-2.0
// Ipfix: exports samples of packets as IPFIX over UDP (RFC 7011), as `sample()` asks for.
//
// What. A collector set (Flow_Sample_Collector_Set of the local database) names collectors and how
// long flows are gathered. Samples of one flow (addresses, ports, observation point ...) add up in
// a bounded cache; a record goes out when the flow is cache_active_timeout old or room is needed,
// with the default settings at once. Templates go out first and every ten minutes, because UDP
// loses. There is one template for each combination of layer 2, 3 and 4 that packets have, with the
// information elements that Open vSwitch sends for a flow sample.
//
// Bounded: the cache by cache_max_flows and kMaxFlows, what waits for the network by the socket's
// own buffer: a record that does not fit is lost and counted, its sequence number is not reused.
//
// Threads: the slow path's. Sending is a function given in, so that tests see the bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "control/slowpath/watch/headers.h"

namespace sluice::watch {

struct CollectorSet {
    uint32_t id = 0;
    std::vector<std::string> targets;  ///< "192.0.2.1:4739", "[2001:db8::1]:4739"
    uint32_t active_timeout_s = 0;
    uint32_t max_flows = 0;
    std::string virtual_obs_id;  ///< sent with every record when not ""
    bool operator==(const CollectorSet&) const = default;
};

struct PacketSample {
    uint32_t collector_set = 0;
    uint32_t obs_domain = 0;
    uint32_t obs_point = 0;
    uint32_t packets = 1;  ///< that it stands for
    size_t frame_len = 0;
};

class Ipfix {
public:
    static constexpr size_t kMaxFlows = 65536;
    static constexpr int64_t kTemplateEveryMs = 600'000;

    /// `target` of a set gets `message`. False: it could not be sent.
    using Send =
        std::function<bool(const std::string& target, const std::vector<uint8_t>& message)>;
    explicit Ipfix(Send send) : send_(std::move(send)) {}

    /// The complete list. A set that changes exports what it has first.
    void configure(const std::vector<CollectorSet>& sets, int64_t now_ms, int64_t wall_us);
    /// False when no such collector set is configured.
    bool sample(const PacketSample& sample, const Headers& headers, int64_t now_ms,
                int64_t wall_us);
    /// Exports what is old enough.
    void run(int64_t now_ms, int64_t wall_us);
    int64_t next_ms() const;
    uint64_t sent() const { return sent_; }
    uint64_t lost() const { return lost_; }

private:
    struct Flow {
        uint32_t obs_domain;
        uint16_t template_id;
        int64_t born_ms;
        int64_t start_us, end_us;
        uint64_t packets = 0;
        uint64_t layer2_octets = 0;
        uint64_t octets = 0;
        uint64_t squares = 0;
        uint16_t min_len = 0xffff;
        uint16_t max_len = 0;
        bool is_ip;
    };
    struct Exporter {
        CollectorSet config;
        struct Domain {
            uint32_t sequence = 0;     ///< data records sent so far
            int64_t templates_ms = 0;  ///< when they were sent last
        };
        std::map<uint32_t, Domain> domains;          ///< by observation domain
        std::map<std::vector<uint8_t>, Flow> flows;  ///< by flow key
    };

    void expire(Exporter& e, bool all, int64_t now_ms, int64_t wall_us);
    void export_flow(Exporter& e, const std::vector<uint8_t>& key, const Flow& flow, uint8_t reason,
                     int64_t now_ms, int64_t wall_us);
    void put(Exporter& e, const std::vector<uint8_t>& message);

    Send send_;
    std::map<uint32_t, Exporter> exporters_;  ///< by set
    uint64_t sent_ = 0;
    uint64_t lost_ = 0;
};

/// Sends datagrams to "address:port" (default port 4739) without ever waiting.
class UdpSender {
public:
    UdpSender() = default;
    ~UdpSender();
    UdpSender(const UdpSender&) = delete;
    UdpSender& operator=(const UdpSender&) = delete;
    bool send(const std::string& target, const std::vector<uint8_t>& message);

private:
    int fd4_ = -1;
    int fd6_ = -1;
};

}  // namespace sluice::watch
