// SPDX-License-Identifier: Apache-2.0
// CtNet: a switch and a router with connection tracking, for tests of the walk's ct steps.
//
// A (port 0, zone 1) and B (port 1, zone 2) are VIFs of one datapath; what its tables do is the
// test's. Expected frames are built from scratch, checksums included.
#pragma once

#include <vector>

#include "lib/program/ct_args.h"
#include "tests/unit/datapath/world.h"

namespace sluice::test {

inline const uint32_t kA = ip(10, 0, 0, 1);
inline const uint32_t kB = ip(10, 0, 0, 2);

struct CtNet {
    World world;
    DatapathModel& dp = world.datapath(7);
    Lab lab;
    explicit CtNet(bool is_switch = true, uint32_t cache = 1024) : lab(cache) {
        dp.is_switch = is_switch;
        dp.dnat_zone = 11;
        dp.snat_zone = 12;
        world.vif(dp, 1, 0).ct_zone = 1;
        world.vif(dp, 2, 1).ct_zone = 2;
        world.entry(0, dp, 1);
        world.entry(1, dp, 2);
        world.rule(dp, kEgress, 0, {}, {output()});
    }
    void rule(unsigned table, std::vector<Test> tests, std::vector<Instr> code) {
        world.rule(dp, kIngress, table, std::move(tests), std::move(code));
    }
    /// Table `table`: to the other port.
    void cross(unsigned table) {
        rule(table, {eq(kSlotInport, 1)}, {load(kSlotOutport, 2), output()});
        rule(table, {eq(kSlotInport, 2)}, {load(kSlotOutport, 1), output()});
    }
    void publish() { lab.publish(world); }
    /// What comes out of the other port for a frame that enters at `from`.
    std::vector<Bytes> pass(PortId from, const Bytes& frame) {
        lab.send(from, frame);
        return lab.take(static_cast<PortId>(1 - from));
    }
};

inline Instr ct_next(CtZone zone, bool nat = false) {
    return op(Op::kCtNext, static_cast<unsigned>(zone), nat);
}
inline Instr ct_commit(CtZone zone, bool recirculates, const CtCommitArgs& args, unsigned n = 0) {
    return op(Op::kCtCommit, static_cast<unsigned>(zone), recirculates, 0, n, 0, 0, &args);
}
inline CtCommitArgs nat_to(CtNat kind, uint32_t address, uint16_t port = 0) {
    CtCommitArgs args;
    args.nat.kind = kind;
    args.nat.low[3] = args.nat.high[3] = address;
    args.nat.port_low = args.nat.port_high = port;
    return args;
}
inline Test state_is(uint32_t bits, uint32_t mask) {
    return eq(kSlotCtState, bits, mask);
}

}  // namespace sluice::test
