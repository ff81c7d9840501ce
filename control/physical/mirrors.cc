// SPDX-License-Identifier: Apache-2.0
#include "control/physical/mirrors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "lib/net/wire.h"

namespace sluice::physical {
namespace {

using namespace wire;

constexpr uint8_t kTtl = 64;
constexpr uint16_t kGreKey = 0x2000;       // RFC 2890
constexpr uint16_t kGreSequence = 0x1000;  // RFC 2890
constexpr uint16_t kTypeErspan = 0x88be;
constexpr uint16_t kErspanVersion = 0x1000;  // type II is version 1
constexpr int64_t kMaxSession = 1023;

uint8_t put_ip(const NextHop& hop, const IpAddress& remote, uint8_t* ip) {
    if (remote.ip6) {
        ip[0] = 0x60;
        ip[6] = kProtoGre;
        ip[7] = kTtl;
        std::memcpy(ip + 8, hop.src.bytes.data(), 16);
        std::memcpy(ip + 24, remote.bytes.data(), 16);
        return kIp6Len;
    }
    ip[0] = 0x45;
    put16(ip + 6, 0x4000);
    ip[8] = kTtl;
    ip[9] = kProtoGre;
    std::memcpy(ip + 12, hop.src.bytes.data(), 4);
    std::memcpy(ip + 16, remote.bytes.data(), 4);
    return kIp4MinLen;
}

uint8_t put_gre(MirrorSink::Type type, uint32_t index, uint8_t* gre) {
    if (type == MirrorSink::Type::kGre) {
        put16(gre, kGreKey);
        put16(gre + 2, kTypeTeb);
        put32(gre + 4, index);
        return 8;
    }
    put16(gre, kGreSequence);
    put16(gre + 2, kTypeErspan);
    put16(gre + 8, kErspanVersion);
    put16(gre + 10, index);
    put32(gre + 12, index);
    return 8 + kErspanLen;
}

/// A sink, or why there is none.
Result<MirrorSink> make_sink(const sb::MirrorRow& row, const chassis::Attachments& here,
                             const std::vector<IpAddress>& own, UnderlayModel* underlay) {
    if (row.type == "local") {
        MirrorSink sink{};
        sink.type = MirrorSink::Type::kLocal;
        const auto port = here.mirror_targets.find(row.sink);
        sink.is_ready = port != here.mirror_targets.end();
        sink.port = sink.is_ready ? port->second : kNoPort;
        return sink;
    }
    const auto remote = parse_address(row.sink);
    if (!remote) {
        return Error{fmt::format("sink \"{}\" is not an IP address", row.sink)};
    }
    const bool is_erspan = row.type == "erspan";
    if (row.index < 0 || row.index > (is_erspan ? kMaxSession : int64_t{0xffffffff})) {
        return Error{fmt::format("index {} does not fit {}", row.index, row.type)};
    }
    return build_mirror_sink(is_erspan ? MirrorSink::Type::kErspan : MirrorSink::Type::kGre,
                             static_cast<uint32_t>(row.index), underlay->resolve(*remote, own),
                             *remote);
}

bool equal(const MirrorSink& a, const MirrorSink& b) {
    return std::memcmp(a.header, b.header, sizeof a.header) == 0 && a.header_len == b.header_len &&
           a.type == b.type && a.ip6 == b.ip6 && a.is_ready == b.is_ready && a.port == b.port &&
           a.mtu == b.mtu;
}

/// Mirrors that ports of this chassis name, in the order of their names.
std::vector<const sb::MirrorRow*> wanted(const sb::Mirror& mirror, const chassis::BindingPlan& plan,
                                         std::vector<std::string>* errors) {
    std::set<std::pair<std::string, const sb::MirrorRow*>> found;
    for (const auto& [uuid, claim] : plan.claims) {
        const sb::PortBinding* port = mirror.ports.find(uuid);
        for (const Uuid& rule : port ? port->mirror_rules : std::vector<Uuid>()) {
            const sb::MirrorRow* row = mirror.mirrors.find(rule);
            if (row && row->type != "lport") {
                found.emplace(row->name, row);
            }
        }
    }
    std::vector<const sb::MirrorRow*> rows;
    for (const auto& [name, row] : found) {
        if (row->type != "gre" && row->type != "erspan" && row->type != "local") {
            errors->push_back(fmt::format("mirror {}: type \"{}\" is not known", name, row->type));
        } else if (rows.size() == kMaxMirrors) {
            errors->push_back(fmt::format("mirror {}: more than {} here", name, kMaxMirrors));
        } else {
            rows.push_back(row);
        }
    }
    return rows;
}

}  // namespace

MirrorSink build_mirror_sink(MirrorSink::Type type, uint32_t index, const NextHop& hop,
                             const IpAddress& remote) {
    MirrorSink sink{};
    sink.type = type;
    sink.ip6 = remote.ip6;
    sink.is_ready = hop.state == Tunnel::State::kReady;
    sink.port = hop.port;
    sink.mtu = hop.mtu;
    put48(sink.header, hop.dst_mac);
    put48(sink.header + 6, hop.src_mac);
    put16(sink.header + 12, remote.ip6 ? kTypeIp6 : kTypeIp4);
    const unsigned gre = kEthLen + put_ip(hop, remote, sink.header + kEthLen);
    sink.header_len = static_cast<uint8_t>(gre + put_gre(type, index, sink.header + gre));
    return sink;
}

uint32_t Mirrors::take_number() {
    std::set<uint32_t> used;
    for (const auto& [uuid, known] : known_) {
        used.insert(known.number);
    }
    uint32_t number = 0;
    while (used.contains(number)) {
        ++number;
    }
    if (number == sinks_.size()) {
        sinks_.push_back(nullptr);
    }
    return number;
}

bool Mirrors::update(const sb::Mirror& mirror, const chassis::BindingPlan& plan,
                     const chassis::Attachments& here, const std::vector<IpAddress>& own,
                     UnderlayModel* underlay, bool* has_port_change) {
    errors_.clear();
    std::map<Uuid, MirrorSink> sinks;
    std::map<Uuid, Known> before = known_;
    for (const sb::MirrorRow* row : wanted(mirror, plan, &errors_)) {
        if (auto sink = make_sink(*row, here, own, underlay)) {
            sinks.emplace(row->uuid, *sink);
        } else {
            errors_.push_back(fmt::format("mirror {}: {}", row->name, sink.error().message));
        }
    }
    const std::vector<chassis::Attachments::LocalMirror> had = std::exchange(local_, {});
    add_local(here.mirrors, &sinks);
    bool is_changed = false;
    std::erase_if(known_, [&](const auto& entry) {
        const bool is_gone = !sinks.contains(entry.first);
        if (is_gone) {
            sinks_[entry.second.number].reset();
            is_changed = true;
        }
        return is_gone;
    });
    for (auto& [uuid, sink] : sinks) {
        if (!known_.contains(uuid)) {
            known_[uuid].number = take_number();
        }
        Known& known = known_[uuid];
        if (const sb::MirrorRow* row = mirror.mirrors.find(uuid)) {
            known.in = row->filter == "from-lport" || row->filter == "both";
            known.out = row->filter == "to-lport" || row->filter == "both";
        }
        sink.sequence = sequence_.get();
        auto& slot = sinks_[known.number];
        if (!slot || !equal(*slot, sink)) {
            slot = std::make_shared<const MirrorSink>(sink);
            is_changed = true;
        }
    }
    *has_port_change = known_ != before || local_ != had;
    return is_changed || *has_port_change;
}

void Mirrors::add_local(const std::vector<chassis::Attachments::LocalMirror>& mirrors,
                        std::map<Uuid, MirrorSink>* sinks) {
    for (const auto& mirror : mirrors) {
        for (const std::string& error : mirror.errors) {
            errors_.push_back(fmt::format("mirror {}: {}", mirror.name, error));
        }
        if (mirror.is_refused) {
            continue;
        }
        if (sinks->size() == kMaxMirrors) {
            errors_.push_back(
                fmt::format("mirror {}: more than {} here", mirror.name, kMaxMirrors));
            continue;
        }
        MirrorSink sink{};
        sink.type = MirrorSink::Type::kLocal;
        sink.is_ready = mirror.output != kNoPort;
        sink.port = mirror.output;
        sinks->emplace(mirror.row, sink);
        local_.push_back(mirror);
    }
}

Mirrors::Bits Mirrors::of(const sb::PortBinding& port) const {
    Bits bits;
    for (const auto& mirror : local_) {
        const uint64_t bit = uint64_t{1} << known_.at(mirror.row).number;
        bits.in |= mirror.all || mirror.from.contains(port.logical_port) ? bit : 0;
        bits.out |= mirror.all || mirror.to.contains(port.logical_port) ? bit : 0;
    }
    for (const Uuid& rule : port.mirror_rules) {
        const auto it = known_.find(rule);
        if (it != known_.end()) {
            const uint64_t bit = uint64_t{1} << it->second.number;
            bits.in |= it->second.in ? bit : 0;
            bits.out |= it->second.out ? bit : 0;
        }
    }
    return bits;
}

std::shared_ptr<const MirrorSink> Mirrors::sink_of(const Uuid& row) const {
    const auto it = known_.find(row);
    return it == known_.end() ? nullptr : sinks_[it->second.number];
}

}  // namespace sluice::physical
