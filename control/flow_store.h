// SPDX-License-Identifier: Apache-2.0
// FlowStore: the logical flows of the local datapaths, their dense ids, and which names they use.
//
// What. A Logical_Flow row stands for one datapath or for a group of them. The store keeps flows by
// that *source*: each source in use has its flows sorted by logical table, once, however many
// datapaths it serves. A datapath's flows of a table are those of its sources, one after the other
// in priority order; datapaths with the same sources get the very same list, which is what lets the
// compiler share its work (compile.h). Lists are immutable: who changes one makes another.
// An index from names (ports, sets, groups ...) to the sources and tables that mention them says
// what to compile when a name changes its meaning.
// Costs. A change of one row costs what its list is long (a copy of pointers), whatever else there
// is. Ids. A row has an id while any local datapath uses it. Ids let go are retired: the owner
// hands them back by recycle() when no worker can count under them any more, with what was counted
// so far, which becomes the base of the next flow. A flow let go lives until the next update(),
// when everything that knew it by its address was compiled without it. Threads: control.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/compile/compile.h"
#include "control/flow_infos.h"
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
    FlowStore(const sb::Mirror* mirror, compile::Compiler* compiler)
        : mirror_(mirror), compiler_(compiler) {}

    void add_datapath(const Uuid& datapath);
    void remove_datapath(const Uuid& datapath);
    /// Takes the mirror's changes of Logical_Flow and Logical_DP_Group. Tables that gained or lost
    /// flows, by datapath.
    std::unordered_map<Uuid, TableBits> update();

    /// One logical table of a datapath; null: no flows.
    compile::FlowList flows_of(const Uuid& datapath, unsigned side, unsigned table) const;
    /// All flows, table by table.
    std::vector<const compile::Flow*> flows_of(const Uuid& datapath) const;
    /// Tables that (may) mention a name.
    TableBits mentions(const Uuid& datapath, NameKind kind, const std::string& name) const;
    /// The same for all datapaths that do, each at least once.
    void for_each_mention(NameKind kind, const std::string& name,
                          const std::function<void(const Uuid&, const TableBits&)>& f) const;

    /// For the pipeline; a new object only when something changed.
    FlowInfos list();
    uint32_t id_limit() const { return static_cast<uint32_t>(infos_.size()); }
    size_t size() const { return entries_.size(); }

    /// Ids that went out of use since the last call.
    std::vector<uint32_t> take_retired();
    void recycle(uint32_t id, uint64_t packets, uint64_t bytes);

private:
    struct Entry {
        std::shared_ptr<const sb::LogicalFlow> row;
        compile::Flow flow;
        uint32_t users = 0;  ///< sources
    };
    using RowPtr = std::shared_ptr<const sb::LogicalFlow>;
    using Place = uint16_t;  ///< side << 8 | table
    /// What says which flows: a datapath, or a datapath group.
    struct Source {
        std::vector<Uuid> users;  ///< local datapaths
        std::unordered_map<Uuid, std::shared_ptr<Entry>> flows;
        std::map<Place, compile::FlowList> lists;
    };
    /// Where the flows of one source mention a name, and how many do.
    struct Mention {
        const Source* source;
        std::vector<std::pair<Place, uint32_t>> places;
    };
    /// Flows of several sources in one list. Keeps them, so that their addresses mean them.
    struct Merged {
        std::vector<compile::FlowList> parts;
        std::vector<const compile::Flow*> flows;
    };
    using NameIndex = std::unordered_map<std::string, std::vector<Mention>>;
    struct Base {
        uint32_t id;
        uint64_t packets;
        uint64_t bytes;
    };

    static void view_texts(Entry* entry);
    std::shared_ptr<Entry> acquire(const RowPtr& row);
    void release(const std::shared_ptr<Entry>& entry);
    std::shared_ptr<Entry> make_entry(const std::shared_ptr<const sb::LogicalFlow>& row);
    /// The row, if it is in the database as a flow of this source; else null.
    const RowPtr& wanted(const Uuid& flow, const Uuid& source) const;
    void join(const Uuid& datapath, const Uuid& source, TableBits* dirty);
    void leave(const Uuid& datapath, const Uuid& source, TableBits* dirty);
    void fill(Source* source, const Uuid& uuid);
    void sync(Source* source, const Uuid& uuid, const sb::UuidSet& flows, TableBits* dirty);
    void note_names(const Source* source, const Entry& entry, bool add);
    void update_groups(std::unordered_map<Uuid, TableBits>* dirty);

    const sb::Mirror* mirror_;
    compile::Compiler* compiler_;
    std::unordered_map<Uuid, std::vector<Uuid>> datapaths_;  ///< to its sources
    std::unordered_map<Uuid, Source> sources_;
    std::unordered_map<Uuid, std::shared_ptr<Entry>> entries_;
    std::array<NameIndex, size_t(NameKind::kCount)> names_;
    mutable std::map<std::vector<const void*>, std::weak_ptr<const Merged>> merged_;
    mutable size_t sweep_merged_at_ = 1024;
    FlowInfoTable infos_;  ///< by id
    std::vector<Base> free_;
    std::vector<uint32_t> retired_;
    std::vector<std::shared_ptr<Entry>> released_;  ///< since update() began
};

}  // namespace sluice
