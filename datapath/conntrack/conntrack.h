// SPDX-License-Identifier: Apache-2.0
// Conntrack: the connection table of the data path, one for all workers.
//
// What. Connections by (zone, tuple) in both directions, with TCP state and window (RFC 9293, the
// checks of "Real Stateful TCP Packet Filtering in IP Filter"), UDP, ICMP, SCTP, NAT with port
// allocation, mark and label, timeouts, limits. The semantics a logical flow can see (ct_state,
// what is new, est, rel, inv, which packets are translated) are those of Open vSwitch's userspace
// conntrack, packet for packet; conformance tests compare.
//
// Design. A walk decides with live state and never sees bytes: what conntrack needs of them is
// collected once in PacketFacts. Every step is two calls: lookup() only looks and says what the
// packet is (its result can be asked again and compared: that is what a cached program does),
// touch() advances the connection's state and timeout for a packet that passes. commit() makes or
// changes a connection. So an established connection costs a cached program one touch and no second
// lookup. Connections live in an array allocated once (type-stable memory): a pointer is always
// readable, and `generation` says whether it is still the same connection. Two hash table entries
// lead to a connection, one a direction.
//
// Several steps of one packet, as Open vSwitch does them. A step in another zone than the step
// before starts from nothing. In the same zone: (1) when the step before had no NAT and its view
// had a connection, nothing is judged or counted again: keep ct_state, and hand that view to
// commit(), which then only writes mark and label; (2) else look again, with CtTuple::natted set
// when ct_state has snat or dnat from this zone, because the packet no longer reads as its
// connection's key does. touch() belongs to lookup() and review(); commit() does its own.
//
// Memory. Bounded by `max_connections` and `max_fragments_kb`, allocated at create(). A full table
// first drops connections that have not been answered (SYN_SENT, one-way UDP) or are closed, of
// those it looks at the one closest to its end, then refuses new ones (counted); live ones are
// never evicted. Hash. Keyed with `seed`, unknown to the network; chains are bounded. Time.
// `now_ms` is the caller's clock; a connection past its deadline does not exist for any call,
// whether or not sweep() has come by. touch() only stores the new deadline: the side array that
// sweep() reads is brought up to date by sweep() itself, or when a deadline comes nearer.
//
// Threads. lookup() and review() by any worker, lock-free. touch() by any worker: spins on the
// connection's own byte for a few stores. commit() by any worker: takes the spin locks of the two
// shards for the few stores that link an entry (never held across packets). sweep(): each worker
// sweeps its share of the table. ConntrackControl: control thread.
#pragma once

#include <cstdint>
#include <memory>

#include "lib/base/result.h"
#include "lib/program/conntrack_control.h"
#include "lib/program/ct_args.h"

struct rte_mbuf;

namespace sluice {

struct PacketKey;

/// One direction of a connection, host order; IPv4 addresses in word 3 with words 0..2 zero.
/// ICMP echo and its like: src_port = dst_port = identifier, `icmp_type` the request's or reply's
/// type as the packet has it. Other protocols than TCP and UDP have no ports here (Open vSwitch 3.1
/// tracks SCTP by its addresses): what is given is ignored.
struct CtTuple {
    uint32_t src[4];
    uint32_t dst[4];
    uint16_t src_port;
    uint16_t dst_port;
    uint16_t zone;
    uint8_t proto;
    uint8_t is_v6;
    uint8_t icmp_type;
    uint8_t icmp_code;
    uint8_t
        natted;  ///< 1: the packet's NAT in this zone was already applied (see above); not stored
    uint8_t pad;
};
static_assert(sizeof(CtTuple) == 44);

/// What conntrack needs to know of a packet's bytes; filled once per packet by read_facts().
struct PacketFacts {
    bool is_valid;       ///< a packet that can be tracked, checksums right: else ct_state is inv
    bool bad_checksum;   ///< that is why it is not valid
    bool is_duplicate;   ///< a fragment that came twice while its packet was not whole
    bool has_inner;      ///< ICMP error with a usable quoted packet: `inner` is filled
    uint8_t tcp_wscale;  ///< 0xff: no option; SYN packets only
    uint8_t icmp_type;
    uint8_t icmp_code;
    uint16_t icmp_id;
    uint16_t tcp_flags;
    uint16_t tcp_window;
    uint32_t tcp_seq;
    uint32_t tcp_ack;
    uint32_t payload_len;  ///< L4 payload
    uint32_t sctp_vtag;
    uint32_t sctp_init_tag;
    uint8_t sctp_chunk;  ///< type of the first chunk
    CtTuple inner;       ///< of the quoted packet as it was sent, zone 0
};
/// `key` is the parse of `m`. Fragments are not valid by themselves: FragTable (fragments.h) gives
/// the facts of the whole packet. Not valid either: ports 0, ICMP that neither asks nor answers nor
/// reports an error (ND, MLD ...).
void read_facts(const rte_mbuf* m, const PacketKey& key, PacketFacts* facts);

struct CtConn;  // datapath/conntrack/conn.h: the connection as stored

/// What lookup() says about a packet.
struct CtView {
    CtConn* conn = nullptr;   ///< null: no connection; with `reopens` the dead one
    uint32_t generation = 0;  ///< of conn; another number there means another connection
    uint32_t version = 0;     ///< of mark, label and NAT; changes when they do
    uint32_t ct_state = 0;   ///< ct:: bits (lib/program/state.h), ct::kTrk always set; without snat
                             ///< and dnat: `nat_state` is added by a step that asks for NAT. After
                             ///< commit() and for a natted tuple it is in already
    uint32_t nat_state = 0;  ///< ct::kSnat or ct::kDnat when has_nat
    uint32_t mark = 0;
    uint32_t label[4] = {};  ///< most significant first
    bool is_reply = false;
    bool is_related = false;  ///< ICMP error about the connection
    bool reopens = false;     ///< new, and touch() will remove the dead connection in `conn`
    bool has_nat =
        false;  ///< the connection has NAT: write `translated` when the step asks for it
                ///< (also of packets judged invalid, as Open vSwitch does). ICMP: the
                ///< identifier too. False for a natted tuple: it is done, unless it is inv
    /// The packet's tuple after NAT (is_related: the quoted packet's, as it must read after NAT;
    /// the outer addresses follow `outer`).
    CtTuple translated;
    uint32_t outer_src[4];  ///< is_related: outer addresses after NAT
    uint32_t outer_dst[4];
    CtTuple original;  ///< the connection's original direction before NAT (ct_nw_dst and so on)
};

enum class CtCommit : uint8_t {
    kDone,       ///< new connection, or an existing one changed
    kSame,       ///< connection existed and nothing had to change
    kFull,       ///< no memory for another connection (counted)
    kLimit,      ///< the zone's limit is reached (counted)
    kNoNatPort,  ///< NAT found no free address or port (counted)
    kInvalid,    ///< a packet that cannot open a connection: view says inv
    // After kFull, kLimit and kNoNatPort the view says new, without connection or NAT: the packet
    // goes on like that in Open vSwitch.
};

struct ConntrackConfig {
    uint32_t max_connections = 1u << 20;
    uint32_t max_fragments_kb = 16384;
    uint64_t seed = 0;
    unsigned workers = 1;              ///< that sweep and have a FragTable
    uint32_t min_fragment_ip4 = 1200;  ///< see FragTable
    uint32_t min_fragment_ip6 = 1280;
    bool tcp_loose = true;  ///< take up connections in the middle, as Open vSwitch does
};

class FragTable;

class Conntrack final : public ConntrackControl {
public:
    static Result<std::unique_ptr<Conntrack>> create(const ConntrackConfig& config);
    ~Conntrack() override;

    /// Pure. `tuple` is the packet's present one with its zone (for has_inner the outer one).
    void lookup(const CtTuple& tuple, const PacketFacts& facts, uint64_t now_ms,
                CtView* view) const;
    /// Has the memory fetched that lookup() reads first, and that commit() writes.
    void prefetch(const CtTuple& tuple) const;
    /// The same for a connection known already: what lookup() would say now, without hashing. False
    /// when it is another connection by now, has expired or is reopened, or when the packet (ICMP
    /// identifier, quoted packet) belongs to another one: look it up then. Leaves `translated`,
    /// `outer_*` and `original` alone: they never change for a generation.
    bool review(CtConn* conn, uint32_t generation, bool is_reply, const PacketFacts& facts,
                uint64_t now_ms, CtView* view) const;
    /// Advances state, window and timeout for a packet that lookup() or review() has just judged,
    /// once per judgement. A view without connection is fine: nothing happens.
    void touch(const CtView& view, const PacketFacts& facts, uint32_t bytes, uint64_t now_ms);
    /// Makes the connection (or changes mark and label of an existing one, whose NAT stays as it
    /// is). `view` comes in fresh, or as the step before left it, see (1) above. `view` is what the
    /// packet is now, translation included when args.nat.kind asks for any NAT.
    CtCommit commit(const CtTuple& tuple, const PacketFacts& facts, const CtCommitArgs& args,
                    uint64_t now_ms, CtView* view, uint32_t bytes = 0);
    /// commit() for a packet of which lookup() has just said, in `view`, that it has no connection.
    CtCommit open(const CtTuple& tuple, const PacketFacts& facts, const CtCommitArgs& args,
                  uint64_t now_ms, CtView* view, uint32_t bytes = 0);
    /// Removes expired connections, `budget` at most; returns how many. Each worker has its share
    /// of the table and comes around it once a second of `now_ms` if it calls often enough.
    unsigned sweep(unsigned worker, uint64_t now_ms, unsigned budget);
    /// The worker's own table of fragments that wait for the rest of their packet.
    FragTable& fragments(unsigned worker);

    // ConntrackControl, any time, control thread.
    size_t flush(const CtFilter& filter) override;
    void dump(const CtFilter& filter, const std::function<void(const CtEntry&)>& each) override;
    CtStats stats() const override;
    void set_zone_limit(uint16_t zone, uint32_t limit) override;
    void set_default_limit(uint32_t limit) override;

    struct Impl;

private:
    explicit Conntrack(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
