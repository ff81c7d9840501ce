// SPDX-License-Identifier: Apache-2.0
// Hairpins: what a datapath's load balancers say about packets balanced to their own sender
// (lib/program/load_balancer.h).
//
// Increments. The table is cut into shards by address. Where only Load_Balancer rows changed, the
// shards that hold something of theirs are made anew and the rest are those of the part before;
// anything else (groups, options, template variables, a table that outgrew its shards) makes the
// whole. How many shards there are follows from how much there is, so both ways give the same.
// Threads: control.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/physical/load_balancers.h"
#include "control/physical/view.h"
#include "lib/program/load_balancer.h"

namespace sluice::physical {

/// The hairpins of a datapath, or of all that have the same load balancers.
struct HairpinsPart {
    LbHairpins table;
    size_t n_entries = 0;
    size_t n_vips = 0;
    std::vector<std::string> errors;
};

/// A row as read_balancer() has it; errors are of the row.
struct ReadBalancer {
    std::shared_ptr<const sb::LoadBalancer> row;
    Balancer balancer;
    std::vector<std::string> errors;
};

/// Makes the hairpins of datapaths. Rows are read once while they last, and in one round of builds
/// the datapaths with the same load balancers get one part.
class HairpinTables {
public:
    /// Rows may have changed since the last build; template variables have if `all_anew`. If
    /// `only_rows`, parts of the round before are what their datapaths had then, and nothing but
    /// Load_Balancer rows changed since: those that the mirror tells.
    void start_round(bool all_anew, bool only_rows);
    /// Null when the datapath has no load balancer. Sessions of `before` go on; `before` itself
    /// when it would be equal.
    std::shared_ptr<const HairpinsPart> build(const View& view, const Uuid& datapath,
                                              const std::shared_ptr<const HairpinsPart>& before);

private:
    std::shared_ptr<HairpinsPart> empty_part(const View& view) const;
    std::shared_ptr<const HairpinsPart> make(const View& view,
                                             const std::vector<const sb::UuidSet*>& sources,
                                             const HairpinsPart* before);
    std::shared_ptr<const HairpinsPart> change(const View& view, const Uuid& datapath,
                                               const HairpinsPart& before);
    const ReadBalancer& read(const View& view, const Uuid& uuid);
    void forget_gone(const sb::Mirror& mirror);

    bool only_rows_ = false;
    std::unordered_map<Uuid, ReadBalancer> read_;
    /// By the datapath's own balancers and its groups that have some, and by the part before.
    std::map<std::pair<std::vector<Uuid>, const HairpinsPart*>, std::shared_ptr<const HairpinsPart>>
        round_;
};
/// One datapath, with nothing kept for others.
std::shared_ptr<const HairpinsPart> build_hairpins(const View& view, const Uuid& datapath,
                                                   const HairpinsPart* before);
bool equal(const HairpinsPart& a, const HairpinsPart& b);

}  // namespace sluice::physical
