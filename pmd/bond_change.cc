// SPDX-License-Identifier: Apache-2.0
// Bring-up of a bond, and how its members come and go.
#include <fmt/format.h>
#include <rte_mbuf.h>

#include <algorithm>

#include "lib/base/log.h"
#include "pmd/bond.h"

SLUICE_LOG_MODULE(bond);

namespace sluice::pmd {
namespace {

constexpr unsigned kControlRing = 64;

DummyRing make_ring() {
    const auto bytes = static_cast<size_t>(rte_ring_get_memsize(kControlRing));
    DummyRing ring(
        static_cast<rte_ring*>(::operator new (bytes, std::align_val_t{RTE_CACHE_LINE_SIZE})));
    SLUICE_CHECK(rte_ring_init(ring.get(), "bond", kControlRing, RING_F_SC_DEQ) == 0);
    return ring;
}

bool is_same_device(const PortSpec& a, const PortSpec& b) {
    return a.driver == b.driver && a.args == b.args;
}

}  // namespace

unsigned BondPort::mbufs_held(const PortSpec& spec) {
    const Result<BondSpec> parsed = parse_bond_spec(spec);
    unsigned sum = kControlRing;
    for (const BondSpec::Member& member :
         parsed ? parsed->members : std::vector<BondSpec::Member>()) {
        sum += pmd::mbufs_held(member.spec) + kControlRing;
    }
    return sum;
}

Result<std::unique_ptr<Device>> BondPort::open(const OpenContext& context) {
    Result<BondSpec> spec = parse_bond_spec(context.spec);
    if (!spec) {
        return spec.error();
    }
    std::unique_ptr<BondPort> port(new BondPort(std::move(*spec), context));
    std::vector<Member> opened;
    const auto found = port->open_missing(port->spec_, context, &opened);
    if (opened.empty()) {
        return Error{port->missing_.begin()->second}.with_context("port " + context.spec.name);
    }
    port->mac_ = port->spec_.mac.value_or(opened.front().mac);
    for (size_t i = 0; i < opened.size(); ++i) {
        opened[i].stage = Member::Stage::kUsed;
        port->put(found[i].first, std::move(opened[i]));
    }
    port->hand_out_rx();
    port->take_rules(port->spec_);
    port->lacp_ = Lacp(port->lacp_config());
    port->turn(now_ms());
    port->thread_ = std::thread([bond = port.get()] { bond->run(); });
    return std::unique_ptr<Device>(std::move(port));
}

BondPort::BondPort(BondSpec spec, const OpenContext& context)
    : spec_(std::move(spec)),
      id_(context.id),
      pool_(context.pool),
      own_queue_(context.n_workers),
      lacp_(LacpConfig{}),
      rules_(spec_.rules, kMostMembers),
      detect_ms_(spec_.detect_ms) {
    for (unsigned w = 0; w < context.n_workers; ++w) {
        auto& tx = tx_.emplace_back(std::make_unique<BondTxQueue>());
        tx->rules = &switch_;
        tx_queues_.push_back({bond_tx_burst, tx.get()});
    }
}

const BondPort::Member* BondPort::member_of(const std::string& name) const {
    const auto found = std::ranges::find_if(
        members_, [&](const Member& m) { return m.device && m.spec.name == name; });
    return found == members_.end() ? nullptr : &*found;
}

/// Opens what is wanted and not there; says which place each gets, and keeps why others did not.
std::vector<std::pair<size_t, BondSpec::Member>> BondPort::open_missing(
    const BondSpec& wanted, const OpenContext& context, std::vector<Member>* opened) {
    std::vector<std::pair<size_t, BondSpec::Member>> places;
    std::map<std::string, std::string> missing;
    size_t place = 0;
    for (const BondSpec::Member& member : wanted.members) {
        const std::string& name = member.spec.name;
        const Member* const there = member_of(name);
        if (there && there->stage != Member::Stage::kGoing) {
            continue;
        }
        while (place < members_.size() && members_[place].device) {
            ++place;
        }
        if (there || place == members_.size()) {
            missing[name] = "waits until what was there is closed";
            continue;
        }
        const OpenContext inner{member.spec,
                                static_cast<PortId>(0x8000u + place),
                                own_queue_ + 1,
                                context.pool,
                                context.pool_data_room,
                                context.mtu,
                                context.super_frames};
        Result<std::unique_ptr<Device>> device = open_device(inner);
        if (!device) {
            missing[name] = device.error().message;
            const auto known = missing_.find(name);
            if (known == missing_.end() || known->second != missing[name]) {
                LOG_WARN("{}: member {} cannot be opened: {}", context.spec.name, name,
                         missing[name]);
            }
            continue;
        }
        Member& out = opened->emplace_back();
        out.spec = member.spec;
        out.lacp = member.lacp;
        out.mac = (*device)->mac();
        out.device = std::move(*device);
        out.control = make_ring();
        places.emplace_back(place++, member);
    }
    missing_ = std::move(missing);
    return places;
}

/// Nobody uses the place yet.
void BondPort::put(size_t place, Member member) {
    for (size_t w = 0; w < tx_.size(); ++w) {
        tx_[w]->inner[place] = member.device->tx_queues()[w];
    }
    for (const RxQueue& inner : member.device->rx_queues()) {
        auto& rx = rx_.emplace_back(std::make_unique<BondRxQueue>());
        rx->inner = inner;
        rx->rules = &switch_;
        rx->member = static_cast<unsigned>(place);
        rx->control = member.control.get();
    }
    members_[place] = std::move(member);
}

/// Nobody uses the place any more.
void BondPort::clear(size_t place) {
    Member& member = members_[place];
    void* packet = nullptr;
    while (member.control && rte_ring_sc_dequeue(member.control.get(), &packet) == 0) {
        rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
    }
    std::erase_if(rx_, [&](const auto& rx) { return rx->member == place; });
    member = Member{};
}

/// In the order of places: bond() counts them the same way.
void BondPort::hand_out_rx() {
    rx_queues_.clear();
    std::ranges::stable_sort(rx_, {}, [](const auto& rx) { return rx->member; });
    for (const auto& rx : rx_) {
        if (members_[rx->member].device) {
            rx_queues_.push_back(
                {.burst = bond_rx_burst, .ctx = rx.get(), .wait_fd = rx->inner.wait_fd});
        }
    }
}

void BondPort::take_rules(const BondSpec& wanted) {
    BondRules rules = wanted.rules;
    for (size_t place = 0; place < members_.size(); ++place) {
        const Member& member = members_[place];
        if (member.device && !wanted.primary.empty() && member.spec.name == wanted.primary) {
            rules.primary = static_cast<int>(place);
        }
    }
    rules_.set_rules(rules);
    rules_.set_status(wanted.lacp == LacpMode::kOff ? LacpStatus::kOff : LacpStatus::kConfigured);
    switch_.hashes_l4 = rules.mode == BondMode::kBalanceTcp;
    switch_.basis = wanted.basis;
    for (unsigned place = 0; wanted.lacp == LacpMode::kOff && place < members_.size(); ++place) {
        rules_.set_lacp(place, true);
    }
}

LacpConfig::Port BondPort::lacp_port(size_t place) const {
    const unsigned first = id_ * kMostMembers % 65535u;
    LacpConfig::Port port = members_[place].lacp;
    port.port = port.port ? port.port : static_cast<uint16_t>((first + place) % 65535u + 1);
    port.key = port.key ? port.key : static_cast<uint16_t>(first + 1);
    return port;
}

LacpConfig BondPort::lacp_config() const {
    LacpConfig out;
    out.system = spec_.system.value_or(mac_);
    out.system_priority = spec_.system_priority;
    out.is_active = spec_.lacp == LacpMode::kActive;
    out.is_fast = spec_.is_fast;
    for (size_t place = 0; place < members_.size(); ++place) {
        out.ports.push_back(lacp_port(place));
    }
    return out;
}

/// Members that are wanted no more, in another form, or vanished; and how many stay.
std::vector<size_t> BondPort::mark_going(const BondSpec& wanted, size_t* n_left) {
    std::vector<size_t> going;
    for (size_t place = 0; place < members_.size(); ++place) {
        Member& member = members_[place];
        const auto found = std::ranges::find_if(wanted.members, [&](const BondSpec::Member& m) {
            return m.spec.name == member.spec.name && is_same_device(m.spec, member.spec);
        });
        if (member.device && (found == wanted.members.end() || member.device->is_gone())) {
            going.push_back(place);
            member.stage = Member::Stage::kGoing;
        }
        *n_left += member.device && member.stage != Member::Stage::kGoing;
    }
    return going;
}

/// What is left to do when every worker knows.
Retire BondPort::finish(const std::vector<size_t>& going, const std::vector<size_t>& coming) {
    return Retire([this, going, coming, alive = std::weak_ptr<int>(alive_)] {
        if (alive.expired()) {
            return;
        }
        const std::lock_guard turn_lock(turn_mutex_);
        std::ranges::for_each(going, [this](size_t place) { clear(place); });
        for (const size_t place : coming) {
            members_[place].stage = Member::Stage::kUsed;
        }
    });
}

Result<Retire> BondPort::change(const OpenContext& context) {
    Result<BondSpec> parsed = parse_bond_spec(context.spec);
    if (!parsed) {
        return parsed.error();
    }
    if (parsed->mac != spec_.mac) {
        return Error{"port " + context.spec.name + " changes its address"};
    }
    std::unique_lock lock(turn_mutex_);
    size_t n_left = 0;
    const std::vector<size_t> going = mark_going(*parsed, &n_left);
    lock.unlock();  // a device may take its time to open, LACP goes on meanwhile
    std::vector<Member> opened;
    const auto found = open_missing(*parsed, context, &opened);
    lock.lock();
    if (n_left + opened.size() == 0) {
        for (const size_t place : going) {
            members_[place].stage = Member::Stage::kUsed;
        }
        return Error{"port " + context.spec.name + " has no member left"};
    }
    for (const size_t place : going) {
        LOG_INFO("{}: member {} goes", context.spec.name, members_[place].spec.name);
        rules_.forget(static_cast<unsigned>(place));  // whatever downdelay says
    }
    const bool is_other_system = parsed->lacp != spec_.lacp || parsed->is_fast != spec_.is_fast ||
                                 parsed->system != spec_.system ||
                                 parsed->system_priority != spec_.system_priority;
    spec_ = std::move(*parsed);
    std::vector<size_t> coming;
    for (size_t i = 0; i < opened.size(); ++i) {
        LOG_INFO("{}: member {} comes", context.spec.name, opened[i].spec.name);
        coming.push_back(found[i].first);
        lacp_.forget(static_cast<unsigned>(found[i].first));
        put(found[i].first, std::move(opened[i]));
    }
    for (Member& member : members_) {
        for (const BondSpec::Member& wanted : spec_.members) {
            member.lacp = wanted.spec.name == member.spec.name ? wanted.lacp : member.lacp;
        }
    }
    take_rules(spec_);
    if (is_other_system) {
        lacp_ = Lacp(lacp_config());
    }
    for (unsigned place = 0; place < members_.size(); ++place) {
        lacp_.set_port(place, lacp_port(place));
    }
    {
        const std::lock_guard report_lock(mutex_);
        detect_ms_ = spec_.detect_ms;
    }
    turn(now_ms());
    hand_out_rx();
    std::erase_if(rx_queues_, [&](const RxQueue& queue) {
        return !std::ranges::all_of(going, [&](size_t place) {
            return static_cast<const BondRxQueue*>(queue.ctx)->member != place;
        });
    });
    if (going.empty() && coming.empty()) {
        return Retire();
    }
    return finish(going, coming);
}

}  // namespace sluice::pmd
