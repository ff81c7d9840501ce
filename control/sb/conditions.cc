// SPDX-License-Identifier: Apache-2.0
#include "control/sb/conditions.h"

namespace sluice::sb {
namespace {

using ovsdb::Clause;
using ovsdb::Condition;
using ovsdb::Datum;

constexpr Table kConditional[] = {kPortBinding,      kMulticastGroup,
                                  kLogicalFlow,      kMacBinding,
                                  kStaticMacBinding, kFdb,
                                  kLoadBalancer,     kDns,
                                  kIpMulticast,      kIgmpGroup,
                                  kControllerEvent};

std::vector<Clause> port_clauses(const Interest& interest, const Mirror& mirror) {
    std::vector<Clause> clauses;
    for (const char* type : {"patch", "chassisredirect", "external"}) {
        clauses.push_back({"type", "==", Datum(type)});
    }
    for (const char* option : {"l3gateway-chassis", "l2gateway-chassis"}) {
        clauses.push_back({"options", "includes", Datum::string_map({{option, interest.chassis}})});
    }
    if (const Chassis* self = mirror.chassis_by_name(interest.chassis)) {
        const Datum uuid = ovsdb::uuid_set({self->uuid});
        clauses.push_back({"chassis", "==", uuid});
        clauses.push_back({"additional_chassis", "includes", uuid});
        clauses.push_back({"requested_chassis", "==", uuid});
        clauses.push_back({"requested_additional_chassis", "includes", uuid});
    }
    for (const std::string& name : interest.iface_ids) {
        clauses.push_back({"logical_port", "==", Datum(name)});
        clauses.push_back({"parent_port", "==", Datum(name)});
    }
    return clauses;
}

}  // namespace

std::map<Table, Condition> conditions(const Interest& interest, const Mirror& mirror) {
    std::map<Table, Condition> out;
    for (const Table table : kConditional) {
        out[table] = interest.everything ? Condition::all() : Condition::none();
    }
    if (interest.everything) {
        return out;
    }
    out[kPortBinding].clauses = port_clauses(interest, mirror);
    if (const Chassis* self = mirror.chassis_by_name(interest.chassis)) {
        out[kControllerEvent].clauses.push_back({"chassis", "==", ovsdb::uuid_set({self->uuid})});
    }
    std::set<Uuid> groups;
    for (const Uuid& datapath : interest.datapaths) {
        const Datum uuid = ovsdb::uuid_set({datapath});
        for (const Table table : {kPortBinding, kMulticastGroup, kMacBinding, kStaticMacBinding}) {
            out[table].clauses.push_back({"datapath", "==", uuid});
        }
        for (const Table table : {kIpMulticast, kIgmpGroup}) {
            out[table].clauses.push_back({"datapath", "==", uuid});
        }
        out[kLogicalFlow].clauses.push_back({"logical_datapath", "==", uuid});
        out[kLoadBalancer].clauses.push_back({"datapaths", "includes", uuid});
        out[kDns].clauses.push_back({"datapaths", "includes", uuid});
        groups.insert(mirror.groups_with(datapath).begin(), mirror.groups_with(datapath).end());
        if (const DatapathBinding* row = mirror.datapaths.find(datapath)) {
            out[kFdb].clauses.push_back({"dp_key", "==", Datum(int64_t{row->tunnel_key})});
        }
    }
    for (const Uuid& group : groups) {
        const Datum uuid = ovsdb::uuid_set({group});
        out[kLogicalFlow].clauses.push_back({"logical_dp_group", "==", uuid});
        for (const char* column : {"datapath_group", "ls_datapath_group", "lr_datapath_group"}) {
            out[kLoadBalancer].clauses.push_back({column, "==", uuid});
        }
    }
    return out;
}

}  // namespace sluice::sb
