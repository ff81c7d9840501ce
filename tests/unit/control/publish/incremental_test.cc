// SPDX-License-Identifier: Apache-2.0
// After any sequence of changes the pipeline equals one built from nothing.
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "control/publish.h"
#include "tests/unit/control/publish/describe.h"
#include "tests/unit/control/publish/samples.h"

using namespace sluice;

namespace {

using ovsdb::Datum;
using ovsdb::RowPtr;

/// A Southbound that changes at random: rows go, come back, and take columns from their kin.
class World {
public:
    World(const std::string& path, unsigned seed) : file_(control_lab::load(path)), random_(seed) {
        for (uint32_t table = 0; table < sb::kTableCount; ++table) {
            for (const auto& [uuid, row] : file_.replica->rows(table)) {
                rows_[table][uuid] = row;
            }
        }
        mirror.apply(file_.contents);
        for (const auto& [uuid, port] : mirror.ports.rows()) {
            if (port->type == sb::PortType::kVif) {
                names_.push_back(port->logical_port);
            }
        }
        std::sort(names_.begin(), names_.end());
        const sb::Chassis* self = mirror.chassis_by_name("hv1");
        inputs.identity = {"hv1", "hv1"};
        inputs.encap.chassis = "hv1";
        for (const Uuid& uuid : self->encaps) {
            const sb::Encap* encap = mirror.encaps.find(uuid);
            inputs.encap.types.push_back(encap->type);
            inputs.encap.ips.push_back(*physical::parse_address(encap->ip));
        }
        for (const auto& [uuid, port] : mirror.ports.rows()) {
            if (port->type == sb::PortType::kVif && port->chassis == self->uuid) {
                plug(port->logical_port);
            }
        }
    }

    /// Some changes, as one update.
    void step() {
        const unsigned count = 1 + random_() % 4;
        for (unsigned i = 0; i < count; ++i) {
            switch (random_() % 8) {
            case 0: plug(pick(names_)); break;
            case 1: inputs.attachments.vifs.erase(pick(names_)); break;
            case 2: bring_back(); break;
            case 3: remove(); break;
            default: modify(); break;
            }
        }
        ovsdb::Update update;
        update.changes = std::exchange(pending_, {});
        mirror.apply(update);
    }

    sb::Mirror mirror;
    BuildInputs inputs;
    std::string trail;

private:
    template <typename T>
    const T& pick(const std::vector<T>& list) {
        return list[random_() % list.size()];
    }
    RowPtr pick_row(uint32_t* table) {
        // Flows are most rows; every table shall have its turn.
        for (;;) {
            *table = random_() % sb::kTableCount;
            if (*table == sb::kChassis && random_() % 4 != 0) {
                continue;
            }
            const auto& rows = rows_[*table];
            if (!rows.empty()) {
                auto it = rows.begin();
                std::advance(it, random_() % rows.size());
                return it->second;
            }
        }
    }
    void put(uint32_t table, const Uuid& uuid, const RowPtr& row) {
        const auto it = rows_[table].find(uuid);
        pending_.push_back({table, uuid, it == rows_[table].end() ? nullptr : it->second, row, 0});
        trail +=
            file_.replica->spec(table).name + (row ? " put " : " remove ") + to_string(uuid) + "\n";
        if (row) {
            rows_[table][uuid] = row;
        } else {
            rows_[table].erase(uuid);
        }
    }
    void plug(const std::string& name) {
        const auto [it, is_new] =
            port_ids_.try_emplace(name, static_cast<PortId>(port_ids_.size() + 1));
        inputs.attachments.vifs[name] = {it->second, name, ""};
        trail += "plug " + name + "\n";
    }
    void remove() {
        uint32_t table = 0;
        const RowPtr row = pick_row(&table);
        gone_.emplace_back(table, row);
        put(table, row->uuid, nullptr);
    }
    void bring_back() {
        if (!gone_.empty()) {
            const size_t at = random_() % gone_.size();
            const auto [table, row] = gone_[at];
            gone_.erase(gone_.begin() + static_cast<ptrdiff_t>(at));
            put(table, row->uuid, row);
        }
    }
    /// One column takes the value another row of the table has; keys and names do so rarely.
    void modify() {
        uint32_t table = 0;
        const RowPtr row = pick_row(&table);
        auto it = rows_[table].begin();
        std::advance(it, random_() % rows_[table].size());
        const size_t column = random_() % row->columns.size();
        const bool is_identity = table != sb::kLogicalFlow && column == 0;
        const bool is_key = (table == sb::kPortBinding && (column == 2 || column == 3)) ||
                            (table == sb::kMulticastGroup && column == 2);
        if (is_identity || is_key) {
            return;  // unique in every database there can be
        }
        auto next = std::make_shared<ovsdb::Row>(*row);
        next->columns[column] = it->second->columns[column];
        trail += file_.replica->spec(table).columns[column] + " " +
                 row->columns[column].to_string() + " -> " + next->columns[column].to_string() +
                 "\n";
        put(table, row->uuid, next);
    }

    ovsdb::DbFile file_;
    std::mt19937 random_;
    std::map<uint32_t, std::map<Uuid, RowPtr>> rows_;
    std::vector<std::pair<uint32_t, RowPtr>> gone_;
    std::vector<ovsdb::RowChange> pending_;
    std::vector<std::string> names_;
    std::map<std::string, PortId> port_ids_;
};

std::string text_of(const Pipeline& pipeline, const PipelineBuilder& builder, bool with_hashes) {
    return control_lab::describe(
        pipeline, {[&](uint32_t index) { return builder.tunnels().name(index); }, with_hashes});
}

/// Device and addresses by which tunnels leave.
void give_underlay(physical::UnderlayModel* underlay) {
    underlay->set_devices({{"up", "", "", 0, 0x02aa00000001, 1500}});
    REQUIRE(underlay->add_address("up", "192.168.0.1/16").ok());
    REQUIRE(underlay->set_neighbor("up", "192.168.0.2", "02:bb:00:00:00:02").ok());
}

void walk(const std::string& path, unsigned seed, unsigned steps) {
    World world(path, seed);
    physical::UnderlayModel underlay;
    give_underlay(&underlay);
    PipelineBuilder builder(&world.mirror, &underlay);
    std::unique_ptr<const Pipeline> pipeline = builder.update(world.inputs);
    REQUIRE(pipeline);
    world.mirror.forget_changes();
    for (unsigned i = 0; i < steps; ++i) {
        world.trail.clear();
        world.step();
        if (auto next = builder.update(world.inputs)) {
            CHECK(next->sequence == pipeline->sequence + 1);
            pipeline = std::move(next);
        }
        PipelineBuilder fresh(&world.mirror, &underlay);
        const auto expected = fresh.update(world.inputs);
        world.mirror.forget_changes();
        INFO(path << " seed " << seed << " step " << i << "\n" << world.trail);
        const std::string difference = control_lab::difference(text_of(*expected, fresh, false),
                                                               text_of(*pipeline, builder, false));
        INFO(difference);
        REQUIRE(difference.empty());
        if (i % 8 == 7) {
            const std::string before = text_of(*pipeline, builder, true);
            builder.rebuild();
            if (auto next = builder.update(world.inputs)) {
                pipeline = std::move(next);
            }
            REQUIRE(control_lab::difference(before, text_of(*pipeline, builder, true)).empty());
        }
    }
}

}  // namespace

TEST_CASE("increments lead to what a rebuild gives") {
    for (const std::string& path : control_lab::sample_paths()) {
        for (unsigned seed = 1; seed <= 2; ++seed) {
            walk(path, seed, 40);
        }
    }
}

TEST_CASE("what does not change forwarding publishes nothing") {
    World world(control_lab::sample_paths().front(), 1);
    physical::UnderlayModel underlay;
    give_underlay(&underlay);
    PipelineBuilder builder(&world.mirror, &underlay);
    REQUIRE(builder.update(world.inputs));
    world.mirror.forget_changes();
    CHECK(builder.update(world.inputs) == nullptr);
}
