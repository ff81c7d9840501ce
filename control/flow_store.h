// SPDX-License-Identifier: Apache-2.0
// FlowStore: the logical flows of the local datapaths, their dense ids, and which names they use.
//
// A Logical_Flow row may stand for one datapath or a group of them; the store keeps one object
// per row however many datapaths it serves, and per datapath the set of its flows and an index
// from names (ports, sets, groups ...) to the tables that mention them.
// Ids. A row has an id while any local datapath uses it. Ids let go are retired: the owner hands
// them back by recycle() when no worker can count under them any more, with what was counted so
// far, which becomes the base of the next flow.
// Threads: control.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "control/compile/compile.h"
#include "control/sb/mirror.h"

namespace sluice {

/// Logical tables of one datapath: bit n of side s.
struct TableBits {
    std::array<uint64_t, 2> bits{};
    void set(unsigned side, unsigned table) { bits[side] |= uint64_t{1} << table; }
    bool any() const { return (bits[0] | bits[1]) != 0; }
    TableBits& operator|=(const TableBits& other) {
        bits[0] |= other.bits[0];
        bits[1] |= other.bits[1];
        return *this;
    }
};

enum class NameKind : uint8_t { kPort, kAddressSet, kPortGroup, kResident, kTemplateVar, kCount };

class FlowStore {
public:
    using FlowList = std::shared_ptr<const std::vector<std::shared_ptr<const FlowInfo>>>;

    FlowStore(const sb::Mirror* mirror, compile::Compiler* compiler)
        : mirror_(mirror), compiler_(compiler) {}

    void add_datapath(const Uuid& datapath);
    void remove_datapath(const Uuid& datapath);
    /// Takes the mirror's changes of Logical_Flow and Logical_DP_Group. Tables that gained or lost
    /// flows, by datapath.
    std::unordered_map<Uuid, TableBits> update();

    /// All flows, in an order that depends on their contents alone.
    std::vector<const compile::Flow*> flows_of(const Uuid& datapath) const;
    /// Tables that (may) mention a name.
    TableBits mentions(const Uuid& datapath, NameKind kind, const std::string& name) const;

    /// For the pipeline; a new object only when something changed.
    FlowList list();
    uint32_t id_limit() const { return static_cast<uint32_t>(infos_.size()); }
    size_t size() const { return entries_.size(); }

    /// Ids that went out of use since the last call.
    std::vector<uint32_t> take_retired();
    void recycle(uint32_t id, uint64_t packets, uint64_t bytes);

private:
    struct Entry {
        std::shared_ptr<const sb::LogicalFlow> row;
        compile::Flow flow;
        compile::References references;
        uint32_t users = 0;
    };
    struct PerDatapath {
        std::unordered_map<Uuid, std::shared_ptr<Entry>> flows;
        std::array<std::unordered_map<std::string, TableBits>, size_t(NameKind::kCount)> names;
    };
    struct Base {
        uint32_t id;
        uint64_t packets;
        uint64_t bytes;
    };

    std::shared_ptr<Entry> acquire(const Uuid& flow);
    void release(const std::shared_ptr<Entry>& entry);
    std::shared_ptr<Entry> make_entry(const std::shared_ptr<const sb::LogicalFlow>& row);
    bool belongs(const sb::LogicalFlow& row, const Uuid& datapath) const;
    void add(PerDatapath* datapath, const Uuid& flow, TableBits* dirty);
    void remove(PerDatapath* datapath, const Uuid& flow, TableBits* dirty);
    void touch_row(const sb::LogicalFlow* row,
                   std::unordered_map<Uuid, sb::UuidSet>* touched) const;
    void set_info(uint32_t id, std::shared_ptr<const FlowInfo> info);

    const sb::Mirror* mirror_;
    compile::Compiler* compiler_;
    std::unordered_map<Uuid, PerDatapath> datapaths_;
    std::unordered_map<Uuid, std::shared_ptr<Entry>> entries_;
    std::vector<std::shared_ptr<const FlowInfo>> infos_;  ///< by id
    FlowList published_;
    std::vector<Base> free_;
    std::vector<uint32_t> retired_;
};

}  // namespace sluice
