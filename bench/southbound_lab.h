// SPDX-License-Identifier: Apache-2.0
// A Southbound in memory and the part of the control plane that follows it: rows in, pipelines out.
//
// What. Takes the rows of a database file or of make_southbound(), and makes single changes of the
// kinds that people make: each is derived from rows that are there, by putting other names and
// addresses into copies of them, so that it works on any database. The change itself is made
// ready first; apply() is what the control plane then has to do.
// Threads: one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/ovsdb/db_file.h"
#include "control/publish.h"
#include "control/sb/mirror.h"

namespace sluice::bench {

class SouthboundLab {
public:
    /// Empty, with the types of `schema`.
    explicit SouthboundLab(const ovsdb::Schema& schema);

    /// One transaction of a database file, as text.
    Result<void> read(std::string text);
    /// Rows of a file that was read already.
    void take(ovsdb::DbFile file);
    /// Tells the mirror the rows; after read() or take().
    void fill_mirror();
    /// The VIFs that the rows bind to `chassis` are plugged in here.
    void become(const std::string& chassis);

    using Rows = std::vector<ovsdb::RowChange>;
    // Changes to the rows there are; empty when the database has nothing of the kind.
    Rows add_address();
    Rows add_acl();
    Rows add_vip();
    Rows change_backend();
    Rows add_port();
    Rows add_mac_binding();

    /// Rows to published pipeline.
    void apply(const Rows& rows);
    /// Everything else that a round of the control plane looks at, whatever changed.
    void rest_of_round();

    sb::Mirror& mirror() { return mirror_; }
    PipelineBuilder& builder() { return *builder_; }
    const Pipeline* pipeline() const { return pipeline_.get(); }

private:
    using Replacement = std::pair<std::string, std::string>;
    using Replacements = std::vector<Replacement>;

    Uuid new_uuid();
    ovsdb::RowPtr row(uint32_t table, const Uuid& uuid) const;
    void put(Rows* rows, uint32_t table, std::shared_ptr<ovsdb::Row> row);
    void copy_flows(Rows* rows, const std::vector<std::string>& containing,
                    const Replacements& replacements);
    const sb::LoadBalancer* any_balancer() const;

    std::unique_ptr<ovsdb::Replica> replica_;
    sb::Mirror mirror_;
    physical::UnderlayModel underlay_;
    std::unique_ptr<PipelineBuilder> builder_;
    BuildInputs inputs_;
    std::unique_ptr<const Pipeline> pipeline_;
    std::unordered_map<Uuid, ovsdb::RowPtr> newer_;  ///< rows changed since the file
    unsigned changes_ = 0;
};

}  // namespace sluice::bench
