// SPDX-License-Identifier: Apache-2.0
// PipelineBuilder: from the mirror and what is plugged in to the next Pipeline to publish.
//
// Increments. update() asks the mirror what changed, derives the plan of bindings, the tunnels and
// the local datapaths anew (cheap, linear in ports), and from the differences decides per datapath
// which tables to compile and which of ports, groups and neighbours to build again. A part that
// comes out equal to the one before is dropped for the old one, so generations move only where
// forwarding differs. What did not change is shared with the pipeline before.
// Oracle. A new builder on the same mirror must describe the same pipeline (describe.h, a property
// test): nothing here may depend on the way that led to a state.
// Threads: control. The pipeline handed out is immutable.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/chassis/binding.h"
#include "control/chassis/ct_zones.h"
#include "control/compile/compile.h"
#include "control/flow_store.h"
#include "control/physical/entries.h"
#include "control/physical/hairpins.h"
#include "control/physical/load_balancers.h"
#include "control/physical/mirrors.h"
#include "control/physical/names.h"
#include "control/physical/tunnel_sets.h"
#include "control/physical/tunnels.h"
#include "control/physical/underlay.h"
#include "control/physical/view.h"
#include "control/sb/mirror.h"
#include "lib/program/pipeline.h"

namespace sluice {

struct BuildInputs {
    chassis::Identity identity;
    chassis::Attachments attachments;
    physical::EncapSettings encap;
    chassis::ZoneRange zone_range;
    /// The mirror has all there is about what is local: who is not in it is gone.
    bool is_complete = true;
    /// Chassis whose BFD over a tunnel is up.
    std::set<std::string> live;
};

class PipelineBuilder {
public:
    PipelineBuilder(const sb::Mirror* mirror, physical::UnderlayModel* underlay);
    ~PipelineBuilder();

    /// The next pipeline, or null when nothing that workers see changed. The caller makes the
    /// mirror forget its changes afterwards.
    std::unique_ptr<const Pipeline> update(const BuildInputs& inputs);
    /// The next update() starts from nothing (indices of datapaths and tunnels are kept): for a
    /// mirror whose contents were replaced without telling the changes.
    void forget() { is_fresh_ = true; }
    /// The next update() compiles and builds every datapath anew; flows keep their ids.
    void rebuild();

    /// Tells `listener` every compiler pass over `datapath` from now on; null: nobody.
    void listen(const Uuid& datapath, compile::PassListener* listener) {
        listened_ = datapath;
        listener_ = listener;
    }

    const chassis::BindingPlan& plan() const { return plan_; }
    const physical::Tunnels& tunnels() const { return tunnels_; }
    const physical::Mirrors& mirrors() const { return mirrors_; }
    const std::set<Uuid>& local_datapaths() const { return local_; }
    /// For restore() before the first update(), and to apply what updates took and released.
    chassis::CtZones& zones() { return zones_; }
    const chassis::CtZones& zones() const { return zones_; }
    /// Connections to load-balancer backends that are no more, once.
    std::vector<CtFilter> take_stale_backends() { return backends_.take(); }
    FlowStore& flows() { return flows_; }
    const FlowStore& flows() const { return flows_; }
    /// By flow UUID: the texts of flows that did not compile.
    std::map<Uuid, std::string> flow_errors() const;
    /// Texts about ports: bad port_security, refused bindings.
    std::vector<std::string> port_errors() const;

private:
    struct Local {
        uint32_t index = 0;
        std::shared_ptr<const sb::DatapathBinding> row;
        physical::Signature signature;
        std::shared_ptr<const compile::Compiled> compiled;
        std::shared_ptr<const physical::PortsPart> ports;
        std::shared_ptr<const physical::GroupsPart> groups;
        std::shared_ptr<const Neighbors> neighbors;
        std::shared_ptr<const physical::HairpinsPart> hairpins;
        std::shared_ptr<const Datapath> built;
        // What has to be done in this round.
        bool is_dirty_ports = true;
        bool is_dirty_groups = true;
        bool is_dirty_neighbors = true;
        bool is_dirty_hairpins = true;
        bool is_changed = true;
        bool is_secured = false;       ///< any port has port security, as of the last compile
        bool is_security_new = false;  ///< that has changed since
        TableBits dirty_tables;        ///< to compile
        TableBits renamed_tables;      ///< of those: names may mean something else

        void rename(const TableBits& bits) {
            dirty_tables |= bits;
            renamed_tables |= bits;
        }
    };

    physical::View view(const BuildInputs& inputs) const;
    void choose_dialect();
    void plan_round(const BuildInputs& inputs);
    bool is_place_same(const BuildInputs& inputs, const chassis::BindingPlan& before) const;
    void update_local_datapaths(const BuildInputs& inputs);
    void update_zones(const BuildInputs& inputs);
    void update_backends(const BuildInputs& inputs);
    void mark_balancers(const BuildInputs& inputs);
    void mark_claims(const chassis::BindingPlan& before);
    void mark_attachments(const BuildInputs& inputs);
    void mark_port_rows();
    void mark_other_rows();
    void mark_names(const BuildInputs& inputs);
    void mark_port_group(const physical::View& now, const std::string& row_name);
    void mark_name(NameKind kind, const std::string& name);
    void mark_port(const sb::PortBinding* port);
    void mark_all_ports();
    void mark_datapath(const Uuid& datapath, bool ports, bool groups, bool neighbors);
    void rebuild_physical(const physical::View& view, const Uuid& datapath, Local* local);
    void refresh_signature(const physical::View& view, const Uuid& datapath, Local* local);
    void compile_dirty(const physical::View& view);
    bool update_masks();
    bool update_lengths();
    bool update_meters();
    bool update_entries(const physical::View& view);
    void build_datapaths();
    std::unique_ptr<const Pipeline> assemble();

    const sb::Mirror* mirror_;
    physical::UnderlayModel* underlay_;
    compile::Compiler compiler_;
    lang::Dialect dialect_ = lang::Dialect::k2303;  ///< what compiler_ starts with
    Uuid listened_;
    compile::PassListener* listener_ = nullptr;
    FlowStore flows_;
    physical::Tunnels tunnels_;
    physical::TunnelSets tunnel_sets_;
    physical::Mirrors mirrors_;
    physical::EntryIds entry_ids_;
    chassis::BindingPlan plan_;
    chassis::CtZones zones_;
    physical::BackendWatch backends_;
    physical::HairpinTables hairpins_;
    BuildInputs inputs_;  ///< of the last update
    std::set<Uuid> local_;
    std::map<Uuid, Local> locals_;
    std::unordered_map<Uuid, uint32_t> index_;
    std::vector<bool> index_used_;
    std::vector<std::shared_ptr<const KeyMasks>> masks_;  ///< by datapath index
    std::shared_ptr<const KeyMasks> tunnel_masks_;
    std::vector<uint32_t> lengths_;
    std::vector<std::shared_ptr<const MeterSpec>> meters_;  ///< by index of MeterNames
    std::shared_ptr<const physical::EntriesPart> entries_;
    uint64_t sequence_ = 0;
    uint64_t round_ = 0;  ///< calls of update()
    uint64_t physical_generation_ = 0;
    bool is_fresh_ = true;
    bool is_tunnels_changed_ = false;
    bool is_structure_changed_ = false;  ///< a datapath came or went
};

}  // namespace sluice
