// SPDX-License-Identifier: Apache-2.0
// The compiler's face to the rest of control: logical flows in, classifier tables out.
//
// What. A Compiler keeps parsed flows (the parse of a text is done once, however many datapaths
// share it) and compiles one datapath at a time: bind names, normalise matches, optimise over the
// tables of the datapath, lower every table to the form that fits (lib/program/table.h).
// Sharing. A list of flows that names nothing means the same everywhere: what is bound, analysed
// and lowered for one datapath is taken over by the next that has the same list and is entered by
// the same known bits. Fifteen thousand VIPs on a hundred switches are worked on once. Increments.
// The caller says which (side, table) of a datapath changed; unchanged tables of the previous
// result are shared, unless what flows into them (known register bits) changed. A full rebuild (no
// previous result) gives an equal result: a property test holds us to it. Within a table that
// changed, chunks of flows are taken over (chunk.h): a Flow's address means the flow, so who lets
// one go keeps it until its tables were compiled without it. Large tables are patched
// (lower_patch.h) instead of being lowered anew. Errors. A flow that does
// not parse or bind never takes others down: it becomes a rule that drops with malformed_flow under
// its own priority (with a match that parsed) or is left out, and is reported in `errors` with
// UUID, column and caret. Threads: the control thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/compile/symbols.h"
#include "lib/base/limits.h"
#include "lib/net/addr.h"
#include "lib/program/pipeline.h"

namespace sluice::compile {

/// Flag bits that may be set when a packet enters a pipeline (EntryPoint::flags, tunnels, injected
/// packets); all others are known to be 0 there. Besides the named ones OVN's LOCAL_ONLY,
/// NESTED_CONTAINER, LOCALPORT and OVERRIDE_LOCAL_ONLY.
inline constexpr uint32_t kEntryFlags = flag::kLoopback | flag::kFromRamp | 1u << 4 | 1u << 5 |
                                        1u << 10 | flag::kFromLocalnet | flag::kTunnelRx |
                                        1u << 18 | flag::kFromCtrl;

struct ParsedFlow;  // compile_parse.h

/// One Logical_Flow row.
struct Flow {
    Uuid uuid;
    uint32_t id = kNoFlow;  ///< dense, given by the caller; index into flow counters
    PipelineSide side = kIngress;
    uint8_t table = 0;
    uint16_t priority = 0;
    std::shared_ptr<const std::string> match;
    std::shared_ptr<const std::string> actions;
    std::string_view stage_name;  ///< what is viewed outlives the flow
    bool by_connection = false;   ///< ports of the match are the connection's (acl_ct_translation)
    std::string_view controller_meter;  ///< limits what goes to the slow path; "": none
    /// The compiler's own: what the texts say, once it has looked at them.
    mutable std::shared_ptr<ParsedFlow> parsed;
};

/// Flows of one logical table in descending priority, ascending UUID. Datapaths that have the very
/// same list share what is made of it, as far as names allow.
using FlowList = std::shared_ptr<const std::vector<const Flow*>>;
/// The flows of one datapath by logical table.
struct FlowTables {
    virtual ~FlowTables() = default;
    virtual FlowList flows(unsigned side, unsigned table) const = 0;  ///< null: none
};

/// What names mean in one datapath on this chassis. Implemented by control/physical.
class Names {
public:
    virtual ~Names() = default;
    /// Tunnel key of a port or multicast group of this datapath; nullopt when there is none.
    virtual std::optional<uint32_t> port_key(std::string_view name) const = 0;
    /// Text elements of $name, null when unknown. `$pg_ip4` names are address sets too.
    virtual const std::vector<std::string>* address_set(std::string_view name) const = 0;
    /// Port names of @name, null when unknown. Ports of other datapaths are in it too.
    virtual const std::vector<std::string>* port_group(std::string_view name) const = 0;
    virtual bool is_chassis_resident(std::string_view port) const = 0;
    /// Chassis_Template_Var value, null when unknown.
    virtual const std::string* template_var(std::string_view name) const = 0;
    /// Whether a packet can enter this datapath's ingress with this inport key here. Flows for
    /// other inports are dead on this chassis.
    virtual bool inport_possible(uint32_t key) const = 0;
    /// Whether the egress pipeline is ever run for this outport here. It is not for ports of other
    /// chassis: their packets leave before it.
    virtual bool outport_possible(uint32_t) const { return true; }
    /// Whether any port of the datapath has port security. When none has, the checks are known
    /// to pass and what they look at stays out of the cache key.
    virtual bool port_security_in_use() const { return true; }
};

/// Names a flow depends on, so that the caller knows what to recompile when one changes.
struct References {
    std::vector<std::string> address_sets;
    std::vector<std::string> port_groups;
    std::vector<std::string> ports;           ///< inport/outport names compared or assigned
    std::vector<std::string> resident_ports;  ///< is_chassis_resident arguments
    std::vector<std::string> template_vars;
};

struct FlowError {
    Uuid uuid;
    std::string text;  ///< several lines: what, where, the source with a caret
};

/// A datapath's compiled logical flows, ready to be put into a Datapath.
struct Compiled {
    std::array<std::array<const Table*, limits::kMaxTables>, 2> tables{};
    ClassReads reads[2] = {};
    std::vector<uint32_t> pkt_lens;
    std::vector<FlowError> errors;
    std::vector<std::shared_ptr<const void>> keep;
    std::shared_ptr<const void> memo;  ///< the compiler's own, for the next increment
};

struct DatapathInput {
    bool is_switch = true;
    const Names* names = nullptr;
    std::vector<const Flow*> flows;      ///< all flows of the datapath, any order ...
    const FlowTables* tables = nullptr;  ///< ... or, if not null, this
    const Compiled* previous = nullptr;  ///< null: compile everything
    uint64_t round = 0;  ///< calls with the same number (but 0) see the same address sets
    std::array<uint64_t, 2> dirty_tables{};  ///< bit n: table n of that side changed
    /// Of those: tables in which a name may mean something else. In the others only flows came or
    /// went, and what is made of the flows that stay is taken over.
    std::array<uint64_t, 2> renamed_tables{~uint64_t{0}, ~uint64_t{0}};
};

/// Text of every pass over one datapath, for `sluice-trace --passes`.
struct PassListener {
    virtual ~PassListener() = default;
    virtual void pass(std::string_view name, std::string_view text) = 0;
};

class Compiler {
public:
    Compiler();
    ~Compiler();

    /// Which OVN wrote the flows; 23.03 until told. Results made before are not to be reused.
    void set_dialect(lang::Dialect dialect);
    /// What the flow's texts name, as far as they parse; names within the values of template
    /// variables are not among them. Cheap after the first call; good while the flow is.
    const References& references(const Flow& flow);
    Compiled compile(const DatapathInput& input, PassListener* listener = nullptr);
    /// Drops what is kept in case that it is asked for again.
    void forget_unused();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::compile
