// SPDX-License-Identifier: Apache-2.0
// What a traced walk tells: one typed record per step, to be formatted elsewhere.
//
// Tracing is for people and never on the hot path: Worker::set_trace() makes a worker walk with
// the tracing instantiation and without cache. Records hold ids and a copy of the State; whoever
// prints them has the pipeline for names.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/program/action.h"
#include "lib/program/key.h"
#include "lib/program/pipeline.h"
#include "lib/stats/counters.h"

namespace sluice {

struct TraceRecord {
    enum class Kind : uint8_t {
        kReceive,    ///< port: where; key: as parsed
        kDecap,      ///< datapath key, inport, outport as the tunnel header said; key: inner
        kEnter,      ///< entered a pipeline: datapath, side, inport
        kTable,      ///< looked up: datapath, side, table; rule (null: no match)
        kCode,       ///< one instruction of the rule is about to run: instr
        kReplicate,  ///< output to a group: outport; count: copies
        kDeliver,    ///< to the egress pipeline of local outport
        kMirror,     ///< a copy to a mirror: number in `target`
        kTunnel,     ///< to another chassis: tunnel index in `target`, outport
        kOutput,     ///< out of physical port `port`
        kReenter,    ///< over a patch port into datapath/inport
        kDrop,       ///< reason
        kPunt,       ///< handed to the slow path
        kFrame,      ///< apply is done: `frame` holds the bytes handed to `port`
    };
    Kind kind;
    uint8_t side = 0;
    uint8_t table = 0;
    Drop reason = Drop::k_none;
    uint16_t depth = 0;     ///< nesting, for indentation
    uint16_t port = 0;      ///< PortId
    uint32_t datapath = 0;  ///< index in Pipeline::datapaths, or key for kDecap
    uint32_t inport = 0;
    uint32_t outport = 0;
    uint32_t target = 0;
    uint32_t count = 0;
    uint32_t flow = kNoFlow;
    const Rule* rule = nullptr;    ///< valid while the pipeline lives
    const Instr* instr = nullptr;  ///< same
    State state{};                 ///< before the step
    PacketKey key{};               ///< kReceive, kDecap
    std::vector<uint8_t> frame;    ///< kFrame
};

struct Trace {
    std::vector<TraceRecord> records;
    size_t limit = SIZE_MAX;  ///< more are not kept
    bool is_full = false;     ///< there were more
};

}  // namespace sluice
