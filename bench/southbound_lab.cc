// SPDX-License-Identifier: Apache-2.0
#include "bench/southbound_lab.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/chassis/announce_config.h"
#include "control/chassis/watch_config.h"
#include "control/ovsdb/db_file.h"
#include "control/physical/qos_queues.h"
#include "control/sb/conditions.h"
#include "lib/json/json.h"

namespace sluice::bench {
namespace {

using ovsdb::Datum;
using ovsdb::Row;
using ovsdb::RowPtr;

// Columns, as sb::table_specs() orders them.
enum PortColumn { kPortName = 0, kPortKey = 3, kPortChassis = 7, kPortMac = 18 };
enum FlowColumn { kFlowMatch = 5, kFlowActions = 6 };

bool is_part_of_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

/// Where `word` stands in `text` as a word of its own.
size_t find_word(std::string_view text, std::string_view word, size_t from) {
    for (size_t at = text.find(word, from); at != text.npos; at = text.find(word, at + 1)) {
        const size_t end = at + word.size();
        if ((at == 0 || !is_part_of_word(text[at - 1])) &&
            (end == text.size() || !is_part_of_word(text[end]))) {
            return at;
        }
    }
    return text.npos;
}

std::string replaced(std::string text,
                     const std::vector<std::pair<std::string, std::string>>& replacements) {
    for (const auto& [from, to] : replacements) {
        for (size_t at = find_word(text, from, 0); at != text.npos;
             at = find_word(text, from, at + to.size())) {
            text.replace(at, from.size(), to);
        }
    }
    return text;
}

std::shared_ptr<Row> copy_of(const RowPtr& row, const Uuid& uuid) {
    auto copy = std::make_shared<Row>(*row);
    copy->uuid = uuid;
    return copy;
}

}  // namespace

SouthboundLab::SouthboundLab(const ovsdb::Schema& schema)
    : replica_(std::make_unique<ovsdb::Replica>(sb::table_specs())),
      builder_(std::make_unique<PipelineBuilder>(&mirror_, &underlay_)) {
    (void)replica_->bind(schema);
    underlay_.set_devices({{"up", "", "", 0, 0x02aa00000001, 1500}});
    (void)underlay_.add_address("up", "172.16.0.1/16");
    (void)underlay_.set_neighbor("up", "172.16.0.2", "02:bb:00:00:00:02");
}

Result<void> SouthboundLab::read(std::string text) {
    const auto document = json::Document::parse(std::move(text));
    if (!document) {
        return document.error();
    }
    const auto changes = replica_->apply_file_record(document->root(), true);
    return changes ? Result<void>() : Result<void>(changes.error());
}

void SouthboundLab::take(ovsdb::DbFile file) {
    replica_ = std::move(file.replica);
}

void SouthboundLab::fill_mirror() {
    ovsdb::Update update;
    for (uint32_t table = 0; table < sb::kTableCount; ++table) {
        for (const auto& [uuid, row] : replica_->rows(table)) {
            update.changes.push_back({table, uuid, nullptr, row, ~ovsdb::ColumnSet{0}});
        }
    }
    mirror_.apply(update);
}

void SouthboundLab::become(const std::string& chassis) {
    inputs_.identity = {chassis, chassis};
    inputs_.encap.chassis = chassis;
    const sb::Chassis* self = mirror_.chassis_by_name(chassis);
    for (const Uuid& uuid : self ? self->encaps : std::vector<Uuid>()) {
        const sb::Encap* encap = mirror_.encaps.find(uuid);
        inputs_.encap.types.push_back(encap->type);
        inputs_.encap.ips.push_back(*physical::parse_address(encap->ip));
    }
    PortId next = 1;
    for (const auto& [uuid, port] : mirror_.ports.rows()) {
        if (self && port->chassis == self->uuid && port->type == sb::PortType::kVif) {
            inputs_.attachments.vifs[port->logical_port] = {next++, port->logical_port, ""};
        }
    }
}

Uuid SouthboundLab::new_uuid() {
    return *parse_uuid(fmt::format("7f000000-0000-4000-8000-{:012x}", ++changes_));
}

RowPtr SouthboundLab::row(uint32_t table, const Uuid& uuid) const {
    const auto it = newer_.find(uuid);
    return it == newer_.end() ? replica_->find(table, uuid) : it->second;
}

void SouthboundLab::put(Rows* rows, uint32_t table, std::shared_ptr<Row> next) {
    const Uuid uuid = next->uuid;
    rows->push_back({table, uuid, row(table, uuid), next, ~ovsdb::ColumnSet{0}});
    newer_[uuid] = std::move(next);
}

void SouthboundLab::copy_flows(Rows* rows, const std::vector<std::string>& containing,
                               const Replacements& replacements) {
    std::vector<Uuid> found;
    for (const auto& [uuid, flow] : mirror_.flows.rows()) {
        const bool has_any =
            std::any_of(containing.begin(), containing.end(), [&](const std::string& word) {
                return find_word(*flow->match, word, 0) != std::string::npos ||
                       find_word(*flow->actions, word, 0) != std::string::npos;
            });
        if (has_any) {
            found.push_back(uuid);
        }
    }
    for (const Uuid& uuid : found) {
        auto copy = copy_of(row(sb::kLogicalFlow, uuid), new_uuid());
        for (const size_t column : {kFlowMatch, kFlowActions}) {
            copy->columns[column] = Datum(replaced(copy->columns[column].string(), replacements));
        }
        put(rows, sb::kLogicalFlow, std::move(copy));
    }
}

SouthboundLab::Rows SouthboundLab::add_address() {
    const sb::AddressSet* largest = nullptr;
    for (const auto& [uuid, set] : mirror_.address_sets.rows()) {
        const bool is_larger =
            !largest || set->addresses.size() > largest->addresses.size() ||
            (set->addresses.size() == largest->addresses.size() && set->name < largest->name);
        largest = is_larger ? set.get() : largest;
    }
    Rows rows;
    if (largest) {
        std::vector<std::string> members = largest->addresses;
        ++changes_;
        members.push_back(fmt::format("198.18.{}.{}", changes_ / 250, changes_ % 250 + 1));
        auto next = copy_of(row(sb::kAddressSet, largest->uuid), largest->uuid);
        next->columns[1] = ovsdb::string_set(members);
        put(&rows, sb::kAddressSet, std::move(next));
    }
    return rows;
}

SouthboundLab::Rows SouthboundLab::add_acl() {
    const sb::LogicalFlow* acl = nullptr;
    for (const auto& [uuid, flow] : mirror_.flows.rows()) {
        const bool is_acl = (flow->stage_name == "ls_in_acl" || flow->stage_name == "ls_out_acl") &&
                            flow->match->find('@') != std::string::npos;
        if (is_acl && (!acl || flow->uuid < acl->uuid)) {
            acl = flow.get();
        }
    }
    Rows rows;
    if (acl) {
        auto next = copy_of(row(sb::kLogicalFlow, acl->uuid), new_uuid());
        next->columns[kFlowMatch] =
            Datum(fmt::format("({}) && ip.ttl != {}", *acl->match, changes_ % 256));
        put(&rows, sb::kLogicalFlow, std::move(next));
    }
    return rows;
}

const sb::LoadBalancer* SouthboundLab::any_balancer() const {
    const sb::LoadBalancer* found = nullptr;
    for (const auto& [uuid, row] : mirror_.load_balancers.rows()) {
        if (row->vips.size() == 1 && (!found || row->name < found->name)) {
            found = row.get();
        }
    }
    return found;
}

SouthboundLab::Rows SouthboundLab::add_vip() {
    Rows rows;
    if (const sb::LoadBalancer* balancer = any_balancer()) {
        const std::string vip = balancer->vips.begin()->first;
        const std::string ip = vip.substr(0, vip.find(':'));
        auto next = copy_of(row(sb::kLoadBalancer, balancer->uuid), new_uuid());
        const Replacements change{
            {ip, fmt::format("198.19.{}.{}", changes_ / 250, changes_ % 250 + 1)}};
        next->columns[0] = Datum(fmt::format("new-lb{}", changes_));
        const std::string new_vip = replaced(vip, change);
        next->columns[2] = Datum::string_map({{new_vip, balancer->vips.begin()->second}});
        put(&rows, sb::kLoadBalancer, std::move(next));
        copy_flows(&rows, {ip}, change);
    }
    return rows;
}

SouthboundLab::Rows SouthboundLab::change_backend() {
    Rows rows;
    if (const sb::LoadBalancer* balancer = any_balancer()) {
        const auto& [vip, backends] = *balancer->vips.begin();
        const std::string first = backends.substr(0, backends.find(','));
        const std::string ip = first.substr(0, first.find(':'));
        ++changes_;
        const Replacements change{
            {ip, fmt::format("198.20.{}.{}", changes_ / 250, changes_ % 250 + 1)}};
        auto next = copy_of(row(sb::kLoadBalancer, balancer->uuid), balancer->uuid);
        next->columns[2] = Datum::string_map({{vip, replaced(backends, change)}});
        for (const auto& [uuid, flow] : mirror_.flows.rows()) {
            if (flow->actions->find(backends) != std::string::npos) {
                auto copy = copy_of(row(sb::kLogicalFlow, uuid), uuid);
                copy->columns[kFlowActions] = Datum(replaced(*flow->actions, change));
                put(&rows, sb::kLogicalFlow, std::move(copy));
            }
        }
        put(&rows, sb::kLoadBalancer, std::move(next));
    }
    return rows;
}

SouthboundLab::Rows SouthboundLab::add_port() {
    const sb::PortBinding* model = nullptr;
    for (const auto& [name, vif] : inputs_.attachments.vifs) {
        model = mirror_.port(name);
        if (model) {
            break;
        }
    }
    Rows rows;
    if (!model || model->mac.empty()) {
        return rows;
    }
    const std::string& addresses = model->mac.front();
    const std::string mac = addresses.substr(0, addresses.find(' '));
    const std::string ip = addresses.substr(mac.size() + 1);
    auto next = copy_of(row(sb::kPortBinding, model->uuid), new_uuid());
    const std::string name = fmt::format("new-port-{}", changes_);
    const unsigned n = changes_;
    const Replacements change{
        {model->logical_port, name},
        {mac, fmt::format("06:00:00:00:{:02x}:{:02x}", n / 256 % 256, n % 256)},
        {ip, fmt::format("198.21.{}.{}", n / 250, n % 250 + 1)}};
    next->columns[kPortName] = Datum(name);
    next->columns[kPortKey] = Datum(int64_t{20000} + changes_);
    next->columns[kPortChassis] = Datum();
    next->columns[kPortMac] = Datum(replaced(addresses, change));
    const Uuid uuid = next->uuid;
    put(&rows, sb::kPortBinding, std::move(next));
    for (const Uuid& group : mirror_.groups_of(model->datapath)) {
        std::vector<Uuid> members = mirror_.multicast_groups.find(group)->ports;
        members.push_back(uuid);
        auto flood = copy_of(row(sb::kMulticastGroup, group), group);
        flood->columns[3] = ovsdb::uuid_set(members);
        put(&rows, sb::kMulticastGroup, std::move(flood));
    }
    copy_flows(&rows, {model->logical_port, mac, ip}, change);
    inputs_.attachments.vifs[name] = {static_cast<PortId>(1000 + changes_ % 20000), name, ""};
    return rows;
}

SouthboundLab::Rows SouthboundLab::add_mac_binding() {
    const sb::PortBinding* port = nullptr;
    for (const auto& [uuid, row] : mirror_.ports.rows()) {
        const bool is_router = row->type == sb::PortType::kPatch && row->mac.size() == 1 &&
                               row->mac.front() != "router";
        if (is_router && (!port || row->logical_port < port->logical_port)) {
            port = row.get();
        }
    }
    Rows rows;
    if (port) {
        auto next = std::make_shared<Row>();
        next->uuid = new_uuid();
        next->columns = {ovsdb::uuid_set({port->datapath}), Datum(port->logical_port),
                         Datum(fmt::format("198.22.{}.{}", changes_ / 250, changes_ % 250 + 1)),
                         Datum("02:00:00:00:00:99"), Datum(int64_t{1})};
        put(&rows, sb::kMacBinding, std::move(next));
    }
    return rows;
}

void SouthboundLab::apply(const Rows& rows) {
    ovsdb::Update update;
    update.changes = rows;
    mirror_.apply(update);
    auto next = builder_->update(inputs_);
    mirror_.forget_changes();
    if (next) {
        pipeline_ = std::move(next);
    }
}

void SouthboundLab::rest_of_round() {
    const auto& plan = builder_->plan();
    const auto& local = builder_->local_datapaths();
    (void)builder_->flow_errors();
    (void)builder_->port_errors();
    (void)physical::qos_queues(mirror_, plan, local);
    (void)chassis::watch_config(mirror_, plan, local, inputs_.identity);
    (void)chassis::announce_config(mirror_, plan, local, {});
    sb::Interest interest;
    interest.chassis = inputs_.identity.name;
    for (const auto& [name, vif] : inputs_.attachments.vifs) {
        interest.iface_ids.insert(name);
    }
    interest.datapaths = local;
    (void)sb::conditions(interest, mirror_);
}

}  // namespace sluice::bench
