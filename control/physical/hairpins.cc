// SPDX-License-Identifier: Apache-2.0
#include "control/physical/hairpins.h"

#include <algorithm>
#include <bit>
#include <tuple>

namespace sluice::physical {
namespace {

constexpr size_t kEntriesPerShard = 64;

struct Entry {
    uint64_t key;  ///< of the backend
    LbHairpin hairpin;
    std::shared_ptr<LbSession> session;
};
struct Vip {
    uint64_t key;
    LbVip vip;
};

/// What one or more balancers come to.
struct Rows {
    std::vector<Entry> entries;
    std::vector<Vip> vips;
};

void add_balancer(const Balancer& balancer, bool in_registers, Rows* out) {
    for (const auto& [vip, backends] : balancer.vips) {
        const auto& snat = vip.ip.ip6 ? balancer.snat6 : balancer.snat4;
        LbVip row;
        row.is_v6 = vip.ip.ip6;
        row.in_registers = in_registers || balancer.notes_vip;
        row.proto = balancer.proto;
        row.port = vip.port;
        row.has_own_snat = snat.has_value();
        to_words(vip.ip, row.vip);
        to_words(snat.value_or(vip.ip), row.snat);
        out->vips.push_back({LbHairpins::key(row.vip), row});
        for (const Endpoint& backend : backends) {
            LbHairpin h;
            h.is_v6 = row.is_v6;
            h.in_registers = row.in_registers;
            h.proto = row.proto;
            h.vip_port = row.port;
            h.backend_port = backend.port;
            std::copy(row.vip, row.vip + 4, h.vip);
            std::copy(row.snat, row.snat + 4, h.snat);
            to_words(backend.ip, h.backend);
            out->entries.push_back({LbHairpins::key(h.backend), h, nullptr});
        }
    }
}

auto order_of(const Entry& entry) {
    const LbHairpin& h = entry.hairpin;
    return std::tuple(entry.key, h.backend_port == 0, h.backend_port, h.proto, h.vip_port,
                      std::to_array(h.backend), std::to_array(h.vip), std::to_array(h.snat),
                      h.is_v6, h.in_registers);
}

/// An address of its own (hairpin_snat_ip) comes before a VIP, a VIP with a port before one
/// without: the priorities of ovn-controller's table.
auto order_of(const Vip& vip) {
    const LbVip& v = vip.vip;
    return std::tuple(vip.key, !v.has_own_snat, v.port == 0, v.port, v.proto, std::to_array(v.vip),
                      std::to_array(v.snat), v.is_v6, v.in_registers);
}

/// Only the key takes part in most comparisons.
struct ComesFirst {
    template <typename Row>
    bool operator()(const Row& a, const Row& b) const {
        return a.key != b.key ? a.key < b.key : order_of(a) < order_of(b);
    }
};

/// Hairpin packets of both leave the same trace.
bool same_session(const LbHairpin& a, const LbHairpin& b) {
    return a.backend_port == b.backend_port && (a.backend_port == 0 || a.proto == b.proto) &&
           a.is_v6 == b.is_v6 && std::equal(a.backend, a.backend + 4, b.backend) &&
           std::equal(a.snat, a.snat + 4, b.snat);
}

std::shared_ptr<LbSession> known_session(const LbHairpins& table, const Entry& entry) {
    const LbHairpins::Shard& shard = table.shard(entry.key);
    const LbHairpins::Range* range = shard.by_backend.find(entry.key);
    for (uint32_t i = range ? range->begin : 0; range && i < range->end; ++i) {
        if (same_session(shard.entries[i], entry.hairpin)) {
            return shard.sessions[i];
        }
    }
    return nullptr;
}

template <typename Row>
FlatMap<uint64_t, LbHairpins::Range> ranges(const std::vector<Row>& rows) {
    std::vector<std::pair<uint64_t, LbHairpins::Range>> items;
    for (uint32_t i = 0; i < rows.size(); ++i) {
        if (items.empty() || items.back().first != rows[i].key) {
            items.emplace_back(rows[i].key, LbHairpins::Range{i, i});
        }
        items.back().second.end = i + 1;
    }
    return FlatMap<uint64_t, LbHairpins::Range>(items);
}

/// Entries without a session get that of their like here or in `before`, or a new one.
std::shared_ptr<const LbHairpins::Shard> make_shard(Rows rows, const LbHairpins* before) {
    std::sort(rows.entries.begin(), rows.entries.end(), ComesFirst());
    std::sort(rows.vips.begin(), rows.vips.end(), ComesFirst());
    auto shard = std::make_shared<LbHairpins::Shard>();
    shard->entries.reserve(rows.entries.size());
    shard->sessions.reserve(rows.entries.size());
    for (size_t i = 0; i < rows.entries.size(); ++i) {
        Entry& entry = rows.entries[i];
        for (size_t j = i; !entry.session && j-- > 0 && rows.entries[j].key == entry.key;) {
            if (same_session(rows.entries[j].hairpin, entry.hairpin)) {
                entry.session = rows.entries[j].session;
            }
        }
        if (!entry.session && before) {
            entry.session = known_session(*before, entry);
        }
        if (!entry.session) {
            entry.session = std::make_shared<LbSession>();
        }
        entry.hairpin.session = entry.session.get();
        shard->entries.push_back(entry.hairpin);
        shard->sessions.push_back(entry.session);
    }
    for (const Vip& vip : rows.vips) {
        shard->vips.push_back(vip.vip);
    }
    shard->by_backend = ranges(rows.entries);
    shard->by_vip = ranges(rows.vips);
    return shard;
}

size_t shards_for(size_t entries, size_t vips) {
    return std::bit_ceil(std::max<size_t>(std::max(entries, vips) / kEntriesPerShard, 1));
}

Rows rows_of(const LbHairpins::Shard& shard) {
    Rows rows;
    for (size_t i = 0; i < shard.entries.size(); ++i) {
        const LbHairpin& h = shard.entries[i];
        rows.entries.push_back({LbHairpins::key(h.backend), h, shard.sessions[i]});
    }
    for (const LbVip& v : shard.vips) {
        rows.vips.push_back({LbHairpins::key(v.vip), v});
    }
    return rows;
}

/// Takes one that is equal away; false when there is none.
template <typename Row>
bool take_away(const Row& row, std::vector<Row>* from) {
    const auto at = std::find_if(from->begin(), from->end(), [&](const Row& other) {
        return other.key == row.key && order_of(other) == order_of(row);
    });
    if (at == from->end()) {
        return false;
    }
    from->erase(at);
    return true;
}

/// Rows of balancers by the shards that they are in.
std::map<size_t, Rows> by_shard(Rows rows, size_t shards) {
    std::map<size_t, Rows> out;
    for (Entry& entry : rows.entries) {
        out[LbHairpins::shard_number(entry.key, shards)].entries.push_back(std::move(entry));
    }
    for (const Vip& vip : rows.vips) {
        out[LbHairpins::shard_number(vip.key, shards)].vips.push_back(vip);
    }
    return out;
}

bool equal(const LbHairpin& a, const LbHairpin& b) {
    return a.is_v6 == b.is_v6 && a.in_registers == b.in_registers && a.proto == b.proto &&
           a.vip_port == b.vip_port && a.backend_port == b.backend_port &&
           std::equal(a.vip, a.vip + 4, b.vip) && std::equal(a.backend, a.backend + 4, b.backend) &&
           std::equal(a.snat, a.snat + 4, b.snat) && a.session == b.session;
}

bool equal(const LbVip& a, const LbVip& b) {
    return a.is_v6 == b.is_v6 && a.in_registers == b.in_registers && a.proto == b.proto &&
           a.port == b.port && std::equal(a.vip, a.vip + 4, b.vip) &&
           std::equal(a.snat, a.snat + 4, b.snat);
}

bool equal(const std::shared_ptr<const LbHairpins::Shard>& a,
           const std::shared_ptr<const LbHairpins::Shard>& b) {
    const auto same = [](const auto& x, const auto& y) { return equal(x, y); };
    return a == b ||
           (std::equal(a->entries.begin(), a->entries.end(), b->entries.begin(), b->entries.end(),
                       same) &&
            std::equal(a->vips.begin(), a->vips.end(), b->vips.begin(), b->vips.end(), same));
}

bool is_in(const View& view, const Uuid& datapath, const sb::LoadBalancer& row) {
    return std::find(row.datapaths.begin(), row.datapaths.end(), datapath) != row.datapaths.end() ||
           std::any_of(row.groups.begin(), row.groups.end(), [&](const Uuid& group) {
               return view.mirror.groups_with(datapath).contains(group);
           });
}

/// Since OVN 24.03 northd notes the VIP of both families in reg4 and up, and says so.
bool is_consolidated(const View& view) {
    const sb::SbGlobal* global = view.mirror.global();
    return global && sb::get_bool(global->options, "register_consolidation", false);
}

}  // namespace

void HairpinTables::start_round(bool all_anew, bool only_rows) {
    round_.clear();
    only_rows_ = only_rows && !all_anew;
    if (all_anew) {
        read_.clear();
    }
}

const ReadBalancer& HairpinTables::read(const View& view, const Uuid& uuid) {
    const auto& row = view.mirror.load_balancers.rows().at(uuid);
    ReadBalancer& known = read_[uuid];
    if (known.row != row) {
        known.row = row;
        known.errors.clear();
        known.balancer =
            read_balancer(*row, view.mirror.template_var(view.identity.name), &known.errors);
    }
    return known;
}

void HairpinTables::forget_gone(const sb::Mirror& mirror) {
    if (read_.size() > 2 * mirror.load_balancers.size()) {
        std::erase_if(read_, [&](const auto& item) {
            return mirror.load_balancers.find(item.first) == nullptr;
        });
    }
}

std::shared_ptr<const HairpinsPart> HairpinTables::build(
    const View& view, const Uuid& datapath, const std::shared_ptr<const HairpinsPart>& before) {
    const std::vector<const sb::UuidSet*> sources = view.mirror.balancer_sources(datapath);
    if (sources.empty()) {
        return nullptr;
    }
    const auto [place, is_new] =
        round_.try_emplace(std::pair(view.mirror.balancer_key(datapath), before.get()));
    if (is_new) {
        auto made = before && only_rows_ ? change(view, datapath, *before) : nullptr;
        if (!made) {
            made = make(view, sources, before.get());
        }
        if (before && equal(*before, *made)) {
            place->second = before;
        } else {
            place->second = std::move(made);
        }
        forget_gone(view.mirror);
    }
    return place->second;
}

std::shared_ptr<HairpinsPart> HairpinTables::empty_part(const View& view) const {
    const sb::SbGlobal* global = view.mirror.global();
    auto part = std::make_shared<HairpinsPart>();
    part->table.vip4_slot = is_consolidated(view) ? kSlotXxreg1 : kSlotXxreg0 + 1;
    part->table.natted_in_mark =
        !global || sb::get_bool(global->options, "lb_hairpin_use_ct_mark", true);
    return part;
}

std::shared_ptr<const HairpinsPart> HairpinTables::make(
    const View& view, const std::vector<const sb::UuidSet*>& sources, const HairpinsPart* before) {
    auto part = empty_part(view);
    const bool in_registers = is_consolidated(view);
    const bool may_repeat = sources.size() > 1;
    Rows all;
    sb::UuidSet seen;
    for (const sb::UuidSet* source : sources) {
        for (const Uuid& uuid : *source) {
            if (may_repeat && !seen.insert(uuid).second) {
                continue;
            }
            const ReadBalancer& one = read(view, uuid);
            add_balancer(one.balancer, in_registers, &all);
            part->errors.insert(part->errors.end(), one.errors.begin(), one.errors.end());
        }
    }
    part->n_entries = all.entries.size();
    part->n_vips = all.vips.size();
    std::vector<Rows> shards(shards_for(part->n_entries, part->n_vips));
    for (Entry& entry : all.entries) {
        shards[LbHairpins::shard_number(entry.key, shards.size())].entries.push_back(
            std::move(entry));
    }
    for (const Vip& vip : all.vips) {
        shards[LbHairpins::shard_number(vip.key, shards.size())].vips.push_back(vip);
    }
    part->table.shards.clear();
    for (Rows& rows : shards) {
        part->table.shards.push_back(
            make_shard(std::move(rows), before ? &before->table : nullptr));
    }
    return part;
}

/// `before` with what the changed rows make of it; null when all of it has to be made.
std::shared_ptr<const HairpinsPart> HairpinTables::change(const View& view, const Uuid& datapath,
                                                          const HairpinsPart& before) {
    auto part = empty_part(view);
    if (!before.errors.empty() || part->table.vip4_slot != before.table.vip4_slot ||
        part->table.natted_in_mark != before.table.natted_in_mark) {
        return nullptr;
    }
    const bool in_registers = is_consolidated(view);
    Rows gone;
    Rows come;
    std::vector<std::string> errors;
    for (const auto& [uuid, change] : view.mirror.load_balancers.changes()) {
        if (change.before && is_in(view, datapath, *change.before)) {
            add_balancer(read_balancer(*change.before, view.mirror.template_var(view.identity.name),
                                       &errors),
                         in_registers, &gone);
        }
        if (change.after && is_in(view, datapath, *change.after)) {
            const ReadBalancer& one = read(view, uuid);
            add_balancer(one.balancer, in_registers, &come);
            errors.insert(errors.end(), one.errors.begin(), one.errors.end());
        }
    }
    part->n_entries = before.n_entries + come.entries.size() - gone.entries.size();
    part->n_vips = before.n_vips + come.vips.size() - gone.vips.size();
    const size_t n = before.table.shards.size();
    if (!errors.empty() || shards_for(part->n_entries, part->n_vips) != n) {
        return nullptr;
    }
    part->table.shards = before.table.shards;
    std::map<size_t, Rows> going = by_shard(std::move(gone), n);
    std::map<size_t, Rows> coming = by_shard(std::move(come), n);
    for (const auto& [number, rows] : going) {
        coming[number];
    }
    for (auto& [number, more] : coming) {
        Rows rows = rows_of(*before.table.shards[number]);
        for (const Entry& entry : going[number].entries) {
            if (!take_away(entry, &rows.entries)) {
                return nullptr;
            }
        }
        for (const Vip& vip : going[number].vips) {
            if (!take_away(vip, &rows.vips)) {
                return nullptr;
            }
        }
        rows.entries.insert(rows.entries.end(), more.entries.begin(), more.entries.end());
        rows.vips.insert(rows.vips.end(), more.vips.begin(), more.vips.end());
        part->table.shards[number] = make_shard(std::move(rows), &before.table);
    }
    return part;
}

std::shared_ptr<const HairpinsPart> build_hairpins(const View& view, const Uuid& datapath,
                                                   const HairpinsPart* before) {
    return HairpinTables().build(view, datapath, {std::shared_ptr<const void>(), before});
}

bool equal(const HairpinsPart& a, const HairpinsPart& b) {
    const auto same = [](const auto& x, const auto& y) { return equal(x, y); };
    return &a == &b || (a.table.vip4_slot == b.table.vip4_slot &&
                        a.table.natted_in_mark == b.table.natted_in_mark && a.errors == b.errors &&
                        std::equal(a.table.shards.begin(), a.table.shards.end(),
                                   b.table.shards.begin(), b.table.shards.end(), same));
}

}  // namespace sluice::physical
