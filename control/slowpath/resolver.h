// SPDX-License-Identifier: Apache-2.0
// Resolver: whom to solicit when. Announcer: which of our addresses to announce when.
//
// Both are told the complete wanted state and keep what time adds to it. No I/O: they return what
// is due. Slow-path thread.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "control/control_plane.h"
#include "lib/net/addr.h"
#include "lib/program/pipeline.h"

namespace sluice {

/// Solicits at once, three times a second apart, then ever less often, up to kSlowestMs. An answer
/// ends it for kAnsweredMs, in which control should take the request off the list.
class Resolver {
public:
    static constexpr size_t kMax = 4096;
    static constexpr int64_t kFirstMs = 1000;
    static constexpr unsigned kFastTries = 3;
    static constexpr int64_t kSlowestMs = 30000;
    static constexpr int64_t kAnsweredMs = 5000;

    void set(const std::vector<ResolveRequest>& wanted, int64_t now_ms);
    void answered(PortId port, const Ip4& ip, int64_t now_ms);
    void answered(PortId port, const Ip6& ip, int64_t now_ms);
    bool wants(PortId port, const Ip4& ip) const;
    bool wants(PortId port, const Ip6& ip) const;
    std::vector<ResolveRequest> due(int64_t now_ms);

private:
    using Key = std::tuple<PortId, bool, Ip6>;
    struct Entry {
        ResolveRequest request;
        unsigned tries = 0;
        int64_t due_ms = 0;
    };
    static Key key_of(PortId port, const Ip4& ip);
    static Key key_of(const ResolveRequest& request);

    std::map<Key, Entry> entries_;
    int64_t next_ms_ = INT64_MAX;  ///< earliest due_ms
};

/// Announces each address of an underlay port twice (RFC 5227, 2.3) when it appears or moves to
/// another MAC address.
class Announcer {
public:
    static constexpr unsigned kTimes = 2;
    static constexpr int64_t kPauseMs = 2000;

    struct Frame {
        PortId port;
        std::vector<uint8_t> bytes;
    };

    /// Looks at the pipeline when it is newer than the last one seen.
    void look(const Pipeline& pipeline, int64_t now_ms);
    std::vector<Frame> due(int64_t now_ms);

private:
    using Key = std::tuple<PortId, uint64_t, bool, Ip6>;  ///< port, MAC, is IPv6, address
    struct Entry {
        unsigned left = kTimes;
        int64_t due_ms = 0;
    };
    uint64_t sequence_ = 0;
    std::map<Key, Entry> entries_;
    int64_t next_ms_ = INT64_MAX;
};

}  // namespace sluice
