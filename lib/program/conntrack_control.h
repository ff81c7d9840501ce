// SPDX-License-Identifier: Apache-2.0
// ConntrackControl: what control may ask of the connection table (datapath/conntrack/conntrack.h).
//
// flush, dump, limits and statistics for unixctl, zone reuse and removed load-balancer backends.
// Threads: control thread; the table is shared with workers, so a dump is a moving picture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

namespace sluice {

/// Every condition given must hold. Tuples are of the original direction before NAT; addresses as
/// in lib/program/ct_args.h.
struct CtFilter {
    struct Address {
        bool is_v6;
        uint32_t words[4];
    };
    std::optional<uint16_t> zone;
    std::optional<uint8_t> proto;
    std::optional<Address> src, dst;
    std::optional<uint16_t> src_port, dst_port;
    std::optional<Address> reply_src;  ///< who answers: the backend of a load balancer
    std::optional<uint16_t> reply_src_port;
    uint32_t mark = 0, mark_mask = 0;
    uint32_t label[4] = {}, label_mask[4] = {};
};

struct CtEntry {
    bool is_v6;
    uint8_t proto;
    uint8_t icmp_type, icmp_code;  ///< of the original direction
    uint16_t zone;
    uint16_t icmp_id;
    uint32_t src[4], dst[4];
    uint16_t src_port, dst_port;
    uint32_t reply_src[4], reply_dst[4];
    uint16_t reply_src_port, reply_dst_port;
    uint32_t mark;
    uint32_t label[4];
    const char* state;    ///< ESTABLISHED, SYN_SENT ... as `ovs-appctl dpctl/dump-conntrack` says
    uint32_t timeout_s;   ///< left
    uint64_t packets[2];  ///< original, reply
    uint64_t bytes[2];
};

struct CtStats {
    uint32_t capacity = 0;
    uint32_t used = 0;
    uint64_t created = 0;
    uint64_t expired = 0;
    uint64_t flushed = 0;
    uint64_t evicted = 0;  ///< unanswered ones that gave way
    uint64_t refused_full = 0;
    uint64_t refused_limit = 0;
    uint64_t nat_exhausted = 0;
    uint64_t invalid = 0;        ///< packets judged invalid
    uint64_t out_of_window = 0;  ///< of these: TCP outside its window
    uint64_t bad_checksum = 0;
    uint64_t longest_chain = 0;
    uint64_t memory_bytes = 0;
    uint32_t fragments = 0;  ///< held now
    uint32_t fragment_bytes = 0;
    uint64_t fragments_timed_out = 0;
    uint64_t fragments_refused = 0;  ///< memory bound or limit per packet reached
    uint64_t fragments_overlapping = 0;
};

class ConntrackControl {
public:
    virtual ~ConntrackControl() = default;
    /// Removes what matches; an empty filter is everything. Returns how many.
    virtual size_t flush(const CtFilter& filter) = 0;
    virtual void dump(const CtFilter& filter, const std::function<void(const CtEntry&)>& each) = 0;
    virtual CtStats stats() const = 0;
    /// Connections in the zone at most; 0: no limit.
    virtual void set_zone_limit(uint16_t zone, uint32_t limit) = 0;
    virtual void set_default_limit(uint32_t limit) = 0;
};

}  // namespace sluice
