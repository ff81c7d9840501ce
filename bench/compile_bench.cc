// SPDX-License-Identifier: Apache-2.0
// How long the compiler takes over every datapath of a Southbound database file, from scratch and
// again with one table changed; what vanished, and which forms the tables took.
//
//     compile_bench FILE.db [ROUNDS]
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>

#include "control/compile/compile.h"
#include "control/ovsdb/db_file.h"
#include "lib/program/table.h"

using namespace sluice;

namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// Reads columns by name; rows of one table.
class TableReader {
public:
    TableReader(const ovsdb::Replica& replica, const char* table)
        : replica_(replica), table_(replica.table_index(table)) {}

    template <typename F>
    void each(F&& f) const {
        if (table_) {
            for (const auto& [uuid, row] : replica_.rows(*table_)) {
                f(*row);
            }
        }
    }
    const ovsdb::Datum& get(const ovsdb::Row& row, const char* column) const {
        static const ovsdb::Datum empty;
        const auto at = replica_.column_index(*table_, column);
        return at ? row[*at] : empty;
    }

private:
    const ovsdb::Replica& replica_;
    std::optional<uint32_t> table_;
};

struct Datapath final : compile::Names {
    int64_t key = 0;
    std::map<std::string, uint32_t, std::less<>> ports;
    std::vector<const compile::Flow*> flows;
    const std::map<std::string, std::vector<std::string>, std::less<>>* sets = nullptr;
    const std::map<std::string, std::vector<std::string>, std::less<>>* groups = nullptr;

    std::optional<uint32_t> port_key(std::string_view name) const override {
        const auto at = ports.find(name);
        return at == ports.end() ? std::nullopt : std::optional<uint32_t>(at->second);
    }
    const std::vector<std::string>* address_set(std::string_view name) const override {
        const auto at = sets->find(name);
        return at == sets->end() ? nullptr : &at->second;
    }
    const std::vector<std::string>* port_group(std::string_view name) const override {
        // The Southbound keeps one row for each datapath: KEY_NAME.
        const auto at = groups->find(fmt::format("{}_{}", key, name));
        return at == groups->end() ? nullptr : &at->second;
    }
    bool is_chassis_resident(std::string_view) const override { return true; }
    const std::string* template_var(std::string_view) const override { return nullptr; }
    bool inport_possible(uint32_t) const override { return true; }
};

struct Database {
    std::vector<std::unique_ptr<compile::Flow>> flows;
    std::map<Uuid, Datapath> datapaths;
    std::map<std::string, std::vector<std::string>, std::less<>> sets;
    std::map<std::string, std::vector<std::string>, std::less<>> groups;
};

std::vector<std::string> strings(const ovsdb::Datum& datum) {
    std::vector<std::string> out;
    for (size_t i = 0; i < datum.size(); ++i) {
        out.push_back(datum.key(i).string());
    }
    return out;
}

void load_names(const ovsdb::Replica& replica, Database* out) {
    for (const char* table : {"Port_Binding", "Multicast_Group"}) {
        const TableReader reader(replica, table);
        const char* name = table[0] == 'P' ? "logical_port" : "name";
        reader.each([&](const ovsdb::Row& row) {
            out->datapaths[reader.get(row, "datapath").key(0).uuid()]
                .ports[reader.get(row, name).key(0).string()] =
                static_cast<uint32_t>(reader.get(row, "tunnel_key").integer());
        });
    }
    const TableReader bindings(replica, "Datapath_Binding");
    bindings.each([&](const ovsdb::Row& row) {
        out->datapaths[row.uuid].key = bindings.get(row, "tunnel_key").integer();
    });
    const TableReader sets(replica, "Address_Set");
    sets.each([&](const ovsdb::Row& row) {
        out->sets[sets.get(row, "name").key(0).string()] = strings(sets.get(row, "addresses"));
    });
    const TableReader groups(replica, "Port_Group");
    groups.each([&](const ovsdb::Row& row) {
        out->groups[groups.get(row, "name").key(0).string()] = strings(groups.get(row, "ports"));
    });
}

void load_flows(const ovsdb::Replica& replica, Database* out) {
    std::map<Uuid, std::vector<Uuid>> dp_groups;
    const TableReader groups(replica, "Logical_DP_Group");
    groups.each([&](const ovsdb::Row& row) {
        const ovsdb::Datum& members = groups.get(row, "datapaths");
        for (size_t i = 0; i < members.size(); ++i) {
            dp_groups[row.uuid].push_back(members.key(i).uuid());
        }
    });
    const TableReader flows(replica, "Logical_Flow");
    flows.each([&](const ovsdb::Row& row) {
        auto flow = std::make_unique<compile::Flow>();
        flow->uuid = row.uuid;
        flow->id = static_cast<uint32_t>(out->flows.size());
        flow->side = flows.get(row, "pipeline").key(0).string() == "ingress" ? kIngress : kEgress;
        flow->table = static_cast<uint8_t>(flows.get(row, "table_id").integer());
        flow->priority = static_cast<uint16_t>(flows.get(row, "priority").integer());
        flow->match = std::make_shared<const std::string>(flows.get(row, "match").key(0).string());
        flow->actions =
            std::make_shared<const std::string>(flows.get(row, "actions").key(0).string());
        const ovsdb::Datum& datapath = flows.get(row, "logical_datapath");
        const ovsdb::Datum& group = flows.get(row, "logical_dp_group");
        if (!datapath.empty()) {
            out->datapaths[datapath.key(0).uuid()].flows.push_back(flow.get());
        }
        if (!group.empty()) {
            for (const Uuid& member : dp_groups[group.key(0).uuid()]) {
                out->datapaths[member].flows.push_back(flow.get());
            }
        }
        out->flows.push_back(std::move(flow));
    });
    for (auto& [uuid, datapath] : out->datapaths) {
        datapath.sets = &out->sets;
        datapath.groups = &out->groups;
    }
}

compile::DatapathInput input_of(const Datapath& datapath) {
    compile::DatapathInput input;
    input.names = &datapath;
    input.flows = datapath.flows;
    return input;
}

void report(const Database& database, const std::map<Uuid, compile::Compiled>& results) {
    size_t flow_refs = 0;
    size_t logical_tables = 0;
    size_t live = 0;
    size_t rows = 0;
    size_t bytes = 0;
    size_t errors = 0;
    std::set<const Table*> distinct;
    std::map<Form, std::pair<size_t, size_t>> forms;
    for (const auto& [uuid, compiled] : results) {
        std::set<std::pair<unsigned, unsigned>> named;
        const Datapath& datapath = database.datapaths.at(uuid);
        flow_refs += datapath.flows.size();
        for (const compile::Flow* flow : datapath.flows) {
            named.emplace(flow->side, flow->table);
        }
        logical_tables += named.size();
        for (unsigned side = 0; side < 2; ++side) {
            std::set<const Table*> own;
            for (const auto& [s, table] : named) {
                const Table* t = compiled.tables[s][table];
                if (s == side && t->content_hash != 0 && own.insert(t).second) {
                    ++live;
                    rows += t->n_rows;
                    distinct.insert(t);
                }
            }
        }
        errors += compiled.errors.size();
    }
    for (const Table* table : distinct) {
        bytes += table->bytes;
        for (uint32_t i = 0; i < table->n_segments; ++i) {
            auto& [segments, of_rows] = forms[table->segments[i].form];
            ++segments;
            of_rows += table->segments[i].rows;
        }
    }
    fmt::print("{} flows, {} datapaths, {} flow uses; logical tables {} -> {} live, {} rows left\n",
               database.flows.size(), results.size(), flow_refs, logical_tables, live, rows);
    if (errors != 0) {
        fmt::print("{} flow uses have errors\n", errors);
    }
    fmt::print("{} distinct tables, {} KB:", distinct.size(), bytes / 1024);
    for (const auto& [form, counts] : forms) {
        fmt::print(" {} {} ({} rows)", counts.first, form_name(form), counts.second);
    }
    fmt::print("\nbitmaps by {}\n", first_row_name());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        fmt::print(stderr, "usage: compile_bench FILE.db [ROUNDS]\n");
        return 2;
    }
    const auto file = ovsdb::read_db_file(argv[1], {});
    if (!file) {
        fmt::print(stderr, "{}\n", file.error().message);
        return 1;
    }
    Database database;
    load_names(*file->replica, &database);
    load_flows(*file->replica, &database);
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
    std::vector<double> scratch;
    std::vector<double> again;
    std::vector<double> increments;
    for (int round = 0; round < rounds; ++round) {
        compile::Compiler compiler;
        std::map<Uuid, compile::Compiled> results;
        auto start = Clock::now();
        for (const auto& [uuid, datapath] : database.datapaths) {
            results[uuid] = compiler.compile(input_of(datapath));
        }
        scratch.push_back(ms_since(start));
        start = Clock::now();
        for (const auto& [uuid, datapath] : database.datapaths) {
            results[uuid] = compiler.compile(input_of(datapath));
        }
        again.push_back(ms_since(start));
        for (const auto& [uuid, datapath] : database.datapaths) {
            compile::DatapathInput input = input_of(datapath);
            const compile::Compiled previous = std::move(results[uuid]);
            input.previous = &previous;
            input.dirty_tables[0] = 1u << 8;
            start = Clock::now();
            results[uuid] = compiler.compile(input);
            increments.push_back(ms_since(start));
        }
        if (round == 0) {
            report(database, results);
        }
    }
    const auto median = [](std::vector<double>& v) {
        std::sort(v.begin(), v.end());
        return v[v.size() / 2];
    };
    fmt::print(
        "from scratch {:.2f} ms, parsed already {:.2f} ms, one table of one datapath "
        "{:.3f} ms (worst {:.3f})\n",
        median(scratch), median(again), median(increments), increments.back());
    return 0;
}
