// SPDX-License-Identifier: Apache-2.0
// Snooper: who listens to which multicast group, by switch, and who is a multicast router.
//
// Told what packets say and the complete configuration, it keeps memberships with their ages, a
// bounded table for each switch (the group heard of least recently makes room), and when a query
// of ours is due. The rules are those of ovn-controller, which are those of Open vSwitch: a port
// is a router for 180 seconds after a query, and its reports are not memberships.
//
// No I/O: it returns what to send. Threads: the slow path's.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <vector>

#include "control/slowpath/watch/igmp.h"

namespace sluice::watch {

/// One local switch, from its IP_Multicast row.
struct SnoopConfig {
    uint32_t datapath = 0;  ///< tunnel key
    bool enabled = false;
    uint32_t table_size = 2048;
    uint32_t idle_timeout_s = 300;
    uint32_t query_interval_s = 150;
    uint32_t seq_no = 0;  ///< a change means: forget everything
    bool querier4 = false;
    bool querier6 = false;
    Querier querier;
    // Multicast groups of the switch by what they are for; 0: it has none.
    uint32_t flood_key = 0;
    uint32_t mrouter_key = 0;
    uint32_t flood_l2_key = 0;
    bool operator==(const SnoopConfig&) const;
};

/// What belongs into IGMP_Group of one switch.
struct GroupState {
    uint32_t datapath = 0;
    bool routers = false;  ///< the ports are multicast routers; `group` has no meaning
    Ip6 group;
    const char* protocol = "";
    std::vector<uint32_t> ports;  ///< port keys, sorted
    bool operator==(const GroupState&) const = default;
};

class Snooper {
public:
    static constexpr int64_t kRouterIdleMs = 180'000;
    static constexpr int64_t kLookMs = 1000;  ///< how often ages are looked at

    struct Outcome {
        bool changed = false;  ///< groups() differs from before
        bool malformed = false;
        uint32_t forward_key = 0;  ///< the packet goes to this group of its switch, 0: nowhere
    };
    struct Query {
        uint32_t datapath;
        uint32_t flood_key;
        std::vector<uint8_t> frame;
    };

    /// The complete list. What is not on it is forgotten. True when groups() changed.
    bool configure(const std::vector<SnoopConfig>& switches, int64_t now_ms);
    Outcome take(uint32_t datapath, uint32_t port, std::span<const uint8_t> frame,
                 const Headers& headers, int64_t now_ms);
    /// Forgets what is too old and adds the queries that are due. True when groups() changed.
    bool run(int64_t now_ms, std::vector<Query>* queries);
    /// When run() has to come again; INT64_MAX: never.
    int64_t next_ms() const;
    /// By datapath and group. Every switch that snoops has an entry for its routers.
    std::vector<GroupState> groups() const;

private:
    using Recency = std::list<Ip6>;  ///< least recently heard of first
    struct Group {
        std::map<uint32_t, int64_t> expires_ms;  ///< by port
        const char* protocol = "";
        Recency::iterator recency;
    };
    struct Switch {
        SnoopConfig config;
        std::map<Ip6, Group> groups;
        Recency recency;
        std::map<uint32_t, int64_t> routers;  ///< port -> expires_ms
        int64_t query_ms = 0;
    };

    static bool join(Switch& sw, const Ip6& group, uint32_t port, const char* protocol,
                     int64_t now_ms);
    static bool leave(Switch& sw, const Ip6& group, uint32_t port);
    static void forget(Switch& sw, std::map<Ip6, Group>::iterator it);
    static bool expire(Switch& sw, int64_t now_ms);
    static void query(Switch& sw, int64_t now_ms, std::vector<Query>* queries);

    std::map<uint32_t, Switch> switches_;
    int64_t look_ms_ = 0;
};

}  // namespace sluice::watch
