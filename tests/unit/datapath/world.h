// SPDX-License-Identifier: Apache-2.0
// World: pipelines written by hand and a worker that runs on them, frames in, frames out.
//
// World describes datapaths, rules, ports and entries; publish() makes a fresh immutable Pipeline
// of it. Masks and generations are worked out here the way the contracts in lib/program ask control
// to.
#pragma once

#include <rte_mbuf.h>

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "datapath/conntrack/conntrack.h"
#include "datapath/worker.h"
#include "lib/program/capture.h"
#include "lib/program/pipeline.h"
#include "lib/program/ports.h"
#include "lib/program/table.h"
#include "tests/support/eal.h"
#include "tests/support/packet_builder.h"

namespace sluice::test {

inline Test eq(unsigned slot, uint32_t value, uint32_t mask = ~0u) {
    return Test{Test::kEqual, static_cast<uint8_t>(slot), 0, 0, mask, value & mask, 0};
}
inline Instr op(Op what, unsigned a = 0, unsigned b = 0, unsigned c = 0, uint32_t d = 0,
                uint32_t e = 0, uint32_t f = 0, const void* p = nullptr) {
    return Instr{
        what, static_cast<uint8_t>(a), static_cast<uint8_t>(b), static_cast<uint8_t>(c), d, e, f,
        p};
}
inline Instr next(unsigned side, unsigned table) {
    return op(Op::kNext, side, 0, 0, table);
}
inline Instr load(unsigned slot, uint32_t value, uint32_t mask = ~0u) {
    return op(Op::kLoad, slot, 0, 0, value & mask, mask);
}
inline Instr output() {
    return op(Op::kOutput);
}
std::vector<Instr> load_mac(unsigned slot, uint64_t mac);

struct Row {
    std::vector<Test> tests;
    std::vector<Instr> code;
    uint32_t flow;
};

struct DatapathModel {
    uint32_t key = 0;
    uint64_t generation = 0;
    bool is_switch = true;
    uint16_t dnat_zone = 0;
    uint16_t snat_zone = 0;
    uint16_t common_zone = 0;
    std::shared_ptr<const LbHairpins> hairpins;
    std::map<std::pair<unsigned, unsigned>, std::vector<Row>> tables;  ///< by side and number
    std::map<uint32_t, LogicalPort> ports;
    std::map<uint32_t, Group> groups;
    Neighbors neighbors;
    std::shared_ptr<const Evpn> evpn;
};

struct EntryModel {
    EntryPoint entry{};
    PortId port = 0;
    int vid = -1;  ///< -1: untagged list
};

struct RampModel {
    uint32_t vni = 0;
    Ip6 remote{};
    EntryPoint entry{};
};

class World {
public:
    /// A datapath of this tunnel key; its index counts up. Both pipelines start empty (no_match).
    DatapathModel& datapath(uint32_t key);
    LogicalPort& port(DatapathModel& dp, uint32_t key, Reach reach);
    LogicalPort& vif(DatapathModel& dp, uint32_t key, PortId port, uint16_t vlan = 0);
    void patch(DatapathModel& a, uint32_t a_key, DatapathModel& b, uint32_t b_key);
    EntryModel& entry(PortId port, DatapathModel& dp, uint32_t inport, int vid = -1);
    /// Adds a rule; its flow id is returned.
    uint32_t rule(DatapathModel& dp, unsigned side, unsigned table, std::vector<Test> tests,
                  std::vector<Instr> code);
    /// Table 0: eth.dst of each VIF -> its port; egress table 0: output.
    void l2_switch(DatapathModel& dp, const std::map<uint32_t, uint64_t>& macs);
    uint32_t tunnel(const Tunnel& tunnel);

    std::vector<std::unique_ptr<DatapathModel>> datapaths;
    std::vector<std::unique_ptr<EntryModel>> entries;
    std::map<PortId, Underlay> underlays;
    std::map<PortId, PortId> forwards;  ///< the kernel's legs and their ports
    std::vector<Tunnel> tunnels;
    std::vector<std::pair<uint64_t, uint32_t>> tunnels_from;
    std::vector<RampModel> ramps;
    std::vector<uint32_t> pkt_lens;
    std::vector<std::shared_ptr<const MeterSpec>> meters;
    std::vector<std::shared_ptr<const MirrorSink>> mirrors;
    std::vector<std::shared_ptr<const TunnelSet>> tunnel_sets;
    std::set<PortId> no_tags;  ///< localnet: untagged entries take untagged frames only
    uint64_t physical_generation = 0;
    uint64_t sequence = 0;
    uint32_t flows = 0;
    bool legacy_geneve_rx = true;

    /// The Pipeline of publish ++sequence; touched(dp) marks what changed for it.
    std::unique_ptr<const Pipeline> build();
    void touch(DatapathModel& dp) { dp.generation = sequence + 1; }

private:
    SlotMask reads_from(const DatapathModel& start) const;
};

/// What the bits that a rule's tests and code look at are.
SlotMask reads_of(const Row& row);

/// A worker on in-memory ports: frames sent to port i are in sent[i]. Its connection table is
/// small, takes fragments of any size, and is the same in every Lab that sees the same packets.
class Lab {
public:
    explicit Lab(uint32_t cache_entries = 1024, unsigned n_ports = 8, uint16_t mtu = 1500);
    ~Lab();
    void publish(World& world);
    void send(PortId port, const Bytes& frame);
    void send(PortId port, const std::vector<Bytes>& frames);
    /// Frames sent to `port` since the last call.
    std::vector<Bytes> take(PortId port);
    /// Everything sent and nothing else: {port, frame} in order per port.
    std::map<PortId, std::vector<Bytes>> take_all();
    std::vector<Bytes> take_punts();
    uint64_t drops(Drop reason) const { return counters->get(reason); }
    uint64_t count(Counter counter) const { return counters->get(counter); }
    uint64_t flow_packets(uint32_t flow);
    /// Time passes, and what is over goes.
    void wait_ms(uint64_t ms);
    /// Packets of the pools that are in use.
    unsigned in_use() const;

    RcuDomain rcu;
    Published<Pipeline> pipeline{rcu};
    Published<PortTable> ports{rcu};
    Published<CaptureSet> capture{rcu};
    std::unique_ptr<WorkerCounters> counters = std::make_unique<WorkerCounters>();
    std::unique_ptr<Conntrack> conntrack;
    std::unique_ptr<Mailbox> mailbox;
    std::unique_ptr<Worker> worker;
    bool tx_stuck = false;  ///< ports take nothing
    uint64_t now_ms = 1000;
    std::vector<std::unique_ptr<std::pair<Lab*, std::vector<Bytes>>>> sent;
};

rte_mbuf* to_mbuf(const Bytes& frame);
/// Same in segments of these lengths; the rest in a last one.
rte_mbuf* to_mbuf(const Bytes& frame, const std::vector<uint16_t>& lengths);
Bytes to_bytes(const rte_mbuf* m);

}  // namespace sluice::test
