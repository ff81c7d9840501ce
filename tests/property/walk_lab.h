// SPDX-License-Identifier: Apache-2.0
// The real walk on packets of the oracle, giving the oracle's events.
#pragma once

#include <memory>
#include <vector>

#include "control/compile/compile.h"
#include "datapath/program.h"
#include "datapath/walk_env.h"
#include "lib/program/key.h"
#include "lib/program/pipeline.h"
#include "lib/stats/counters.h"
#include "tests/support/oracle.h"

namespace sluice::testing {

/// The parts of `p` that a frame of its protocol has, as the parser would give them.
PacketKey key_of(oracle::Packet p);

/// A pipeline of one datapath without reachable ports: outputs end in a drop that is not compared.
struct OneDatapath {
    Datapath datapath;
    Pipeline pipeline;

    explicit OneDatapath(const compile::Compiled& compiled);
    std::vector<oracle::Event> walk_ingress(const PacketKey& key, uint32_t inport, uint32_t flags,
                                            const WalkEnv& env = {});

private:
    std::unique_ptr<ProgramBuffer> buffer_ = std::make_unique<ProgramBuffer>();
    std::unique_ptr<WorkerCounters> counters_ = std::make_unique<WorkerCounters>();
};

}  // namespace sluice::testing
