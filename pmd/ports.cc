// SPDX-License-Identifier: Apache-2.0
#include "pmd/ports.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/log.h"
#include "pmd/af_packet.h"
#include "pmd/af_xdp.h"
#include "pmd/bond.h"
#include "pmd/dummy.h"
#include "pmd/tap.h"
#include "pmd/vdevs.h"
#include "pmd/vhost.h"

SLUICE_LOG_MODULE(ports);

namespace sluice::pmd {
namespace {

struct DriverEntry {
    std::string_view name;
    std::span<const std::string_view> args;
    unsigned (*mbufs_held)(const PortSpec&);
    Result<std::unique_ptr<Device>> (*open)(const OpenContext&);
};

template <Driver D>
constexpr DriverEntry entry() {
    return {D::kName, D::kArgs, D::mbufs_held, D::open};
}

constexpr DriverEntry kDrivers[] = {
    entry<BondPort>(),    entry<AfPacketPort>(), entry<AfXdpPort>(),  entry<DummyPort>(),
    entry<MemifDriver>(), entry<NullDriver>(),   entry<PcapDriver>(), entry<PciDriver>(),
    entry<TapPort>(),     entry<VdevDriver>(),   entry<VhostPort>(),
};

Result<const DriverEntry*> find_driver(const PortSpec& spec) {
    const auto* found =
        std::ranges::find_if(kDrivers, [&](const DriverEntry& d) { return d.name == spec.driver; });
    if (found == std::end(kDrivers)) {
        return Error{fmt::format("port {}: there is no driver '{}'; drivers are {}", spec.name,
                                 spec.driver, fmt::join(Ports::drivers(), ", "))};
    }
    return found;
}

Error no_port(PortId id) {
    return Error{fmt::format("there is no port {}", id)};
}

}  // namespace

Result<std::unique_ptr<Device>> open_device(const OpenContext& context) {
    const Result<const DriverEntry*> driver = find_driver(context.spec);
    if (!driver) {
        return driver.error();
    }
    if (Result<void> known = check_args(context.spec, (*driver)->args); !known) {
        return known.error();
    }
    return (*driver)->open(context);
}

unsigned mbufs_held(const PortSpec& spec) {
    const Result<const DriverEntry*> driver = find_driver(spec);
    return driver ? (*driver)->mbufs_held(spec) : 0;
}

Ports::Ports(PortsSettings settings)
    : settings_(std::move(settings)),
      pools_(settings_.pool),
      slots_(kMaxPorts),
      spots_(settings_.n_workers) {
    SLUICE_CHECK(settings_.n_workers > 0);
    for (size_t w = 0; w < std::min(settings_.cores.size(), spots_.size()); ++w) {
        spots_[w] = {static_cast<int>(settings_.cores[w]), node_of_core(settings_.cores[w])};
    }
}

Ports::~Ports() {
    // Devices first: they still hold packets of the pools.
    slots_.clear();
}

std::vector<std::string_view> Ports::drivers() {
    std::vector<std::string_view> names;
    for (const DriverEntry& d : kDrivers) {
        names.push_back(d.name);
    }
    return names;
}

const Ports::Slot* Ports::slot(PortId id) const {
    const bool is_there = id < slots_.size() && slots_[id].device && !slots_[id].is_retiring;
    return is_there ? &slots_[id] : nullptr;
}

PortId Ports::free_id() const {
    for (size_t i = 0; i < slots_.size(); ++i) {
        if (!slots_[i].device) {
            return static_cast<PortId>(i);
        }
    }
    return kNoPort;
}

Result<PortId> Ports::add(const PortSpec& spec) {
    if (spec.name.empty()) {
        return Error{"a port needs a name"};
    }
    if (find(spec.name) != kNoPort) {
        return Error{fmt::format(
            "there is a port '{}' already: remove it first or choose another name", spec.name)};
    }
    const Result<const DriverEntry*> driver = find_driver(spec);
    if (!driver) {
        return driver.error();
    }
    const Result<unsigned> mtu = number_arg(spec, "mtu", 0, 68, 65535);
    if (!mtu) {
        return mtu.error();
    }
    const PortId id = free_id();
    if (id == kNoPort) {
        return Error{fmt::format("port {}: all {} ports are in use", spec.name, kMaxPorts)};
    }
    const Result<Pools::Booking> booking = pools_.book((*driver)->mbufs_held(spec));
    if (!booking) {
        return booking.error().with_context("port " + spec.name);
    }
    const OpenContext context{spec,
                              id,
                              settings_.n_workers,
                              booking->pool,
                              pools_.data_room(),
                              static_cast<uint16_t>(*mtu),
                              settings_.super_frames};
    Result<std::unique_ptr<Device>> device = open_device(context);
    if (!device) {
        pools_.give_back(*booking);
        return device.error();
    }
    Slot& slot = slots_[id];
    slot = Slot{.device = std::move(*device), .spec = spec, .booking = *booking};
    SLUICE_CHECK(slot.device->tx_queues().size() == settings_.n_workers);
    slot.work_before = work_of_workers(id);
    assign_workers(slot);
    LOG_INFO("port {} ({}) is open: {}", id, spec.name, to_string(spec));
    return id;
}

Result<Retire> Ports::remove(PortId id) {
    if (!slot(id)) {
        return no_port(id);
    }
    slots_[id].is_retiring = true;
    needs_placing_ = true;
    return Retire([this, id] { retire(id); });
}

void Ports::retire(PortId id) {
    Slot& slot = slots_[id];
    SLUICE_CHECK(slot.device && slot.is_retiring);
    const std::string name = slot.spec.name;
    slot.shaper.reset();
    slot.device.reset();
    pools_.give_back(slot.booking);
    for (const Pools::Booking& booking : slot.more_bookings) {
        pools_.give_back(booking);
    }
    slot = Slot{};
    LOG_INFO("port {} ({}) is closed", id, name);
}

Result<Retire> Ports::change(PortId id, const PortSpec& spec) {
    if (!slot(id)) {
        return no_port(id);
    }
    Slot& s = slots_[id];
    const Result<const DriverEntry*> driver = find_driver(spec);
    if (!driver || spec.driver != s.spec.driver || spec.arg("mtu") != s.spec.arg("mtu")) {
        return Error{fmt::format("port {} cannot become {}", s.spec.name, to_string(spec))};
    }
    if (Result<void> known = check_args(spec, (*driver)->args); !known) {
        return known.error();
    }
    unsigned booked = s.booking.n_mbufs;
    for (const Pools::Booking& booking : s.more_bookings) {
        booked += booking.n_mbufs;
    }
    rte_mempool* pool = s.more_bookings.empty() ? s.booking.pool : s.more_bookings.back().pool;
    if (const unsigned held = (*driver)->mbufs_held(spec); held > booked) {
        const Result<Pools::Booking> more = pools_.book(held - booked);
        if (!more) {
            return more.error().with_context("port " + spec.name);
        }
        s.more_bookings.push_back(*more);
        pool = more->pool;
    }
    const OpenContext context{spec,
                              id,
                              settings_.n_workers,
                              pool,
                              pools_.data_room(),
                              static_cast<uint16_t>(*number_arg(spec, "mtu", 0, 0, 65535)),
                              settings_.super_frames};
    const auto queues = s.device->rx_queues();
    const std::vector<RxQueue> before(queues.begin(), queues.end());
    Result<Retire> changed = s.device->change(context);
    if (!changed) {
        return changed;
    }
    s.spec = spec;
    if (!*changed) {
        return changed;
    }
    Retire loads = follow_queues(id, before);
    return Retire([device = std::move(*changed), loads = std::move(loads)] {
        device();
        loads();
    });
}

bool Ports::is_partial(PortId id) const {
    const Slot* s = slot(id);
    return s && s->device->is_partial();
}

bool Ports::is_gone(PortId id) const {
    const Slot* s = slot(id);
    return s && s->device->is_gone();
}

void Ports::hold(PortId id) {
    if (slot(id)) {
        slots_[id].is_held = true;
    }
}

bool Ports::end_holds() {
    bool ended = false;
    for (Slot& s : slots_) {
        ended |= std::exchange(s.is_held, false);
    }
    return ended;
}

std::unique_ptr<const PortTable> Ports::snapshot() const {
    std::vector<PortTable::Entry> entries;
    for (const PortId id : list()) {
        const Slot& s = slots_[id];
        PortTable::Entry& e = entries.emplace_back();
        e.port.id = id;
        e.port.mtu = s.device->mtu();
        e.port.caps = s.device->caps();
        e.port.mac = s.device->mac();
        e.port.pool = s.booking.pool;
        if (!s.is_held) {
            e.rx.assign(s.device->rx_queues().begin(), s.device->rx_queues().end());
            e.rx_worker = s.rx_worker;
            for (size_t q = 0; q < e.rx.size(); ++q) {
                e.rx[q].load = s.loads[q].get();
                e.rx_worker[q] = s.is_moving[q] ? kNoWorker : e.rx_worker[q];
            }
        }
        e.tx.assign(s.device->tx_queues().begin(), s.device->tx_queues().end());
        for (unsigned w = 0; s.shaper && w < e.tx.size(); ++w) {
            e.tx[w] = s.shaper->queue(w);
        }
        e.is_shaped = s.shaper != nullptr;
    }
    return std::make_unique<const PortTable>(std::move(entries), settings_.n_workers);
}

PortId Ports::find(std::string_view name) const {
    for (const PortId id : list()) {
        if (slots_[id].spec.name == name) {
            return id;
        }
    }
    return kNoPort;
}

std::vector<PortId> Ports::list() const {
    std::vector<PortId> ids;
    for (size_t i = 0; i < slots_.size(); ++i) {
        if (slot(static_cast<PortId>(i))) {
            ids.push_back(static_cast<PortId>(i));
        }
    }
    return ids;
}

Result<PortInfo> Ports::info(PortId id) const {
    const Slot* s = slot(id);
    if (!s) {
        return no_port(id);
    }
    return PortInfo{.id = id,
                    .spec = s->spec,
                    .mac = s->device->mac(),
                    .mtu = s->device->mtu(),
                    .n_rxq = static_cast<uint16_t>(s->device->rx_queues().size()),
                    .caps = s->device->caps(),
                    .link_up = s->device->link_up(),
                    .trouble = s->device->trouble(),
                    .rx_worker = s->rx_worker,
                    .rx = places(*s),
                    .numa_node = s->device->numa_node(),
                    .counts = s->device->named_counts()};
}

Result<PortStats> Ports::stats(PortId id) const {
    const Slot* s = slot(id);
    if (!s) {
        return no_port(id);
    }
    PortStats stats = s->device->stats();
    stats.tx_dropped += s->shaper ? s->shaper->dropped() : 0;
    const auto work = work_of_workers(id);
    for (size_t i = 0; i < kPortWorks; ++i) {
        stats.work[i] += work[i] - s->work_before[i];
    }
    return stats;
}

std::array<uint64_t, kPortWorks> Ports::work_of_workers(PortId id) const {
    std::array<uint64_t, kPortWorks> work{};
    for (const WorkerCounters* counters : counters_) {
        for (size_t i = 0; i < kPortWorks; ++i) {
            work[i] += counters->ports[id][i].get();
        }
    }
    return work;
}

Result<Retire> Ports::set_queues(PortId id, std::vector<PortQueue> queues) {
    if (!slot(id)) {
        return no_port(id);
    }
    Slot& s = slots_[id];
    const bool same = s.shaper ? s.shaper->queues() == queues : queues.empty();
    if (same) {
        return Retire();
    }
    std::shared_ptr<Shaper> before = std::move(s.shaper);
    if (!queues.empty()) {
        const auto inner = s.device->tx_queues();
        s.shaper = std::make_shared<Shaper>(std::vector<TxQueue>(inner.begin(), inner.end()),
                                            std::move(queues));
    }
    return Retire([before] {});
}

Result<void> Ports::steer(PortId id, const Steering& steering) {
    return slot(id) ? slots_[id].device->steer(steering) : Result<void>(no_port(id));
}

bool Ports::link_up(PortId id) const {
    const Slot* s = slot(id);
    return s && s->device->link_up();
}

Mac Ports::mac(PortId id) const {
    const Slot* s = slot(id);
    return s ? s->device->mac() : Mac{};
}

uint16_t Ports::mtu(PortId id) const {
    const Slot* s = slot(id);
    return s ? s->device->mtu() : uint16_t{0};
}

Result<void> Ports::set_mtu(PortId id, uint16_t mtu) {
    const Slot* s = slot(id);
    if (!s) {
        return no_port(id);
    }
    return s->device->set_mtu(mtu);
}

DummyPort* Ports::dummy(PortId id) const {
    const Slot* s = slot(id);
    return s ? dynamic_cast<DummyPort*>(s->device.get()) : nullptr;
}

}  // namespace sluice::pmd
