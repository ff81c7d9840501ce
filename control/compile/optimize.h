// SPDX-License-Identifier: Apache-2.0
// Optimise: what can reach a table of one datapath, and what is left of the table then.
//
// Forward propagation of known bits. Registers are 0 at the start of ingress and again at the start
// of egress; flags are 0 but for those an entry sets, and are kept from ingress to egress. Each row
// that can match adds what it says and what its code writes; a table is entered with the bits that
// all ways into it agree on. Rows that contradict the known bits go, conditions they imply go, rows
// under one without conditions go. In ingress, as long as nothing assigned inport, rows for ports
// that no packet can enter by on this chassis go as well; in egress those for ports of others.
// The analysis of a table is a pure function of its flows and its entry, which is what makes
// increments equal to a rebuild.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "control/compile/compile.h"
#include "control/compile/ir.h"

namespace sluice::compile {

/// Bits of a State that are the same for every packet at some point.
struct Known {
    std::array<uint32_t, kSlots> mask{};
    std::array<uint32_t, kSlots> value{};  ///< 0 outside mask
    bool inport_is_entry = false;          ///< nothing assigned inport since the packet entered
    bool outport_is_local = false;  ///< nor outport since it was put out to a port of this chassis

    void set(unsigned slot, uint32_t bits, uint32_t to) {
        mask[slot] |= bits;
        value[slot] = (value[slot] & ~bits) | (to & bits);
    }
    void forget(unsigned slot, uint32_t bits) {
        mask[slot] &= ~bits;
        value[slot] &= ~bits;
    }
    void forget_all();
    /// What both agree on.
    void join(const Known& other);
    bool operator==(const Known&) const = default;

    /// The known bits of a slice, from its low end.
    void slice(const FieldRef& field, U128* known, U128* bits) const;
};

Known ingress_start();
/// `at_output`: what ingress knows where it outputs; null when it never does.
Known egress_start(const Known* at_output);

/// Can a member of `values` have `bits` where `known` is set?
bool possible(const ValueSet& values, U128 known, U128 bits);

/// A flow of one table, bound to a datapath.
struct BoundFlow {
    Uuid uuid;
    uint32_t id = kNoFlow;
    uint16_t priority = 0;
    std::shared_ptr<const std::vector<Row>> rows;
    CodePtr code;
};

/// What is left of a row. The sets belong to the bound flows, or to the analysis.
struct LiveCond {
    FieldRef slice;
    const ValueSet* values;
};
struct LiveRow {
    std::span<const LiveCond> conds;
    const BoundFlow* flow;
};
std::string print(const LiveRow& row);

/// Conditions of all rows; they stay where they are put.
class LiveConds {
public:
    LiveConds() = default;
    LiveConds(LiveConds&&) = default;
    LiveConds& operator=(LiveConds&&) = default;

    std::span<const LiveCond> put(const std::vector<LiveCond>& conds) {
        if (chunks_.empty() || chunks_.back().size() + conds.size() > chunks_.back().capacity()) {
            chunks_.emplace_back().reserve(std::max(kChunk, conds.size()));
        }
        std::vector<LiveCond>& chunk = chunks_.back();
        const size_t at = chunk.size();
        chunk.insert(chunk.end(), conds.begin(), conds.end());
        return {chunk.data() + at, conds.size()};
    }
    void keep(ValueSetPtr set) { sets_.push_back(std::move(set)); }
    void clear() {
        chunks_ = {};
        sets_ = {};
    }

private:
    static constexpr size_t kChunk = 256;
    std::vector<std::vector<LiveCond>> chunks_;
    std::vector<ValueSetPtr> sets_;
};

/// Where packets go on, and what is known of them then.
struct Exits {
    struct Jump {
        uint8_t side;
        uint8_t table;
        Known known;
    };
    std::vector<Jump> jumps;         ///< one for each target
    std::optional<Known> at_output;  ///< joined over all `output` of ingress

    void jump(uint8_t side, uint8_t table, const Known& known);
    void output(const Known& known);
    /// As if the rows of both had been looked at as one.
    void join(const Exits& other);
    bool leads_to_the_same(const Exits& other) const;
};

/// What was found out about a run of a table's flows.
struct Findings {
    Exits exits;
    bool is_decided = false;  ///< its last row matches every packet that gets there
    /// Code of rows: all of it, so far, does nothing but go on in one table of the same side.
    bool only_goes_on = true;
    std::optional<uint8_t> goes_on_to;
    uint32_t rows = 0;        ///< left
    uint32_t impossible = 0;  ///< rows that cannot match
    uint32_t covered = 0;     ///< rows under one that always matches
    uint32_t implied = 0;     ///< conditions that always hold

    /// What comes next in the table. Nothing does after a decision.
    void append(const Findings& next);
    /// The table's only outcome is to go on there.
    std::optional<uint8_t> forward() const {
        return is_decided && only_goes_on ? goes_on_to : std::nullopt;
    }
};

struct Analysis {
    std::vector<LiveRow> rows;  ///< in priority order
    LiveConds conds;            ///< theirs
    Findings findings;
};

struct TableContext {
    PipelineSide side;
    const Names* names;
    bool port_security;  ///< some port has it; without, the checks are constant
};

/// `flows` in descending priority, ascending UUID; they outlive the analysis.
Analysis analyze(const std::vector<BoundFlow>& flows, const Known& in, const TableContext& context);

/// What conditions say about the kind of packet: eth.type and ip.proto, null when nothing.
struct KindConds {
    const ValueSet* type = nullptr;
    const ValueSet* proto = nullptr;
    bool operator==(const KindConds& other) const {
        const auto same = [](const ValueSet* a, const ValueSet* b) {
            return a == b || (a != nullptr && b != nullptr && *a == *b);
        };
        return same(type, other.type) && same(proto, other.proto);
    }
};
KindConds kind_conds(std::span<const LiveCond> conds);
/// A bit for each PacketClass that has packets which could meet them.
unsigned classes_of(const KindConds& conds);
/// Adds every bit of State that the row or the code looks at.
void add_reads(std::span<const LiveCond> conds, SlotMask* reads);
void add_reads(const Code& code, bool port_security, SlotMask* reads);
/// Lengths that the code compares the packet's with.
void add_pkt_lens(const Code& code, std::vector<uint32_t>* lens);

}  // namespace sluice::compile
