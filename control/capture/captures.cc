// SPDX-License-Identifier: Apache-2.0
#include "control/capture/captures.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/capture/describe.h"
#include "control/rpc/socket.h"
#include "lib/base/log.h"

SLUICE_LOG_MODULE(capture);

namespace sluice::capture {
namespace {

constexpr uint64_t kLeastBurst = 64;
constexpr uint32_t kMostRingKb = 1u << 20;
constexpr uint32_t kLargestFrame = 262144;

std::string what_of(const Request& r) {
    std::string text = r.filter;
    const auto add = [&text](const std::string& word) {
        text += (text.empty() ? "" : ", ") + word;
    };
    for (const std::string& port : r.ports) {
        add("port " + port);
    }
    for (const std::string& port : r.logical_ports) {
        add("logical port " + port);
    }
    if (!r.datapath.empty()) {
        add("datapath " + r.datapath);
    }
    for (const uint8_t direction : {kCaptureRx, kCaptureTx, kCaptureDrop}) {
        if (r.directions != kCaptureAll && (r.directions & direction)) {
            add(direction_name(direction));
        }
    }
    return text.empty() ? "everything" : text;
}

Result<void> check(const Request& r) {
    if (r.directions == 0 || (r.directions & ~kCaptureAll)) {
        return Error{"no direction: rx, tx and drop are known"};
    }
    if (r.snaplen == 0 || r.snaplen > kLargestFrame) {
        return Error{fmt::format("snaplen {}: expected 1 to {}", r.snaplen, kLargestFrame)};
    }
    if (r.sample == 0) {
        return Error{"sample 0: expected 1 (every packet) or more"};
    }
    const bool is_power = (r.ring_kb & (r.ring_kb - 1)) == 0;
    if (!is_power || r.ring_kb < 64 || r.ring_kb > kMostRingKb) {
        return Error{fmt::format("ring of {} kB: expected a power of two from 64 to {}", r.ring_kb,
                                 kMostRingKb)};
    }
    if (uint64_t{r.ring_kb} * 1024 < uint64_t{r.snaplen} * 2) {
        return Error{fmt::format("ring of {} kB: too small for two packets of snaplen {}",
                                 r.ring_kb, r.snaplen)};
    }
    return {};
}

}  // namespace

struct Captures::Running {
    Request request;
    std::shared_ptr<const Filter> filter;
    std::shared_ptr<CaptureTap> tap;
    CaptureSpec spec;
    bool is_ending = false;
    std::unique_ptr<Session> session;
};

Captures::Captures(EventLoop& loop, Hooks hooks) : loop_(loop), hooks_(std::move(hooks)) {}

Captures::~Captures() {
    loop_.cancel_timer(timer_);
    hooks_.publish(nullptr);
    running_.clear();
}

std::shared_ptr<const Names> Captures::names() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return names_;
}

void Captures::set_names(std::shared_ptr<const Names> names) {
    const std::lock_guard<std::mutex> lock(mutex_);
    names_ = std::move(names);
}

Result<CaptureSpec> Captures::resolve(const Request& r, const Filter& filter,
                                      bool must_exist) const {
    const std::shared_ptr<const Names> known = names();
    CaptureSpec spec;
    spec.directions = r.directions;
    spec.snaplen = r.snaplen;
    spec.sample = r.sample;
    if (r.rate) {
        spec.cycles_per_packet = std::max<uint64_t>(hooks_.tsc_hz / r.rate, 1);
        spec.burst_cycles = spec.cycles_per_packet * std::max(r.rate / 100, kLeastBurst);
    }
    spec.filter = filter.code();
    spec.any_port = r.ports.empty();
    for (const std::string& wanted : r.ports) {
        bool found = false;
        for (const auto& [id, port] : known->ports) {
            if (port.name == wanted) {
                spec.ports.set(id);
                found = true;
            }
        }
        if (!found && must_exist) {
            return Error{wanted + ": no such port; see sluicectl ports"};
        }
    }
    for (const std::string& wanted : r.logical_ports) {
        const size_t before = spec.logical.size();
        for (const auto& [key, port] : known->logical_ports) {
            if (port.name == wanted) {
                spec.logical.push_back(key);
            }
        }
        if (spec.logical.size() == before && must_exist) {
            return Error{wanted + ": no such logical port here; see sluicectl datapaths"};
        }
    }
    if (!r.logical_ports.empty() && spec.logical.empty()) {
        spec.logical.push_back(0);  // gone meanwhile: nothing has key 0
    }
    for (const auto& [key, datapath] : known->datapaths) {
        if (!r.datapath.empty() && (r.datapath == datapath.name || r.datapath == datapath.uuid ||
                                    r.datapath == std::to_string(key))) {
            spec.datapath = key;
        }
    }
    if (!r.datapath.empty() && !spec.datapath) {
        if (must_exist) {
            return Error{r.datapath + ": no such datapath here; see sluicectl datapaths"};
        }
        spec.datapath = ~0u;
    }
    return spec;
}

Result<unsigned> Captures::start(const Request& request) {
    if (const Result<void> checked = check(request); !checked) {
        return checked.error();
    }
    if (running_.size() >= kMaxCaptures) {
        return Error{fmt::format("{} captures run already: stop one of them", running_.size())};
    }
    auto running = std::make_unique<Running>();
    running->request = request;
    Result<std::shared_ptr<const Filter>> filter = Filter::compile(request.filter);
    if (!filter) {
        return filter.error();
    }
    running->filter = *filter;
    version_ = hooks_.version();
    set_names(std::make_shared<const Names>(hooks_.names()));
    Result<CaptureSpec> spec = resolve(request, **filter, true);
    if (!spec) {
        return spec.error();
    }
    running->spec = *spec;
    running->tap = std::make_shared<CaptureTap>();
    for (unsigned i = 0; i < hooks_.workers; ++i) {
        running->tap->lanes.push_back(std::make_unique<CaptureLane>(request.ring_kb * 1024));
    }
    const Result<int> fd = rpc::connect_unix(request.socket);
    if (!fd) {
        return fd.error().with_context("where packets go");
    }
    const unsigned id = next_id_++;
    SessionConfig config;
    config.fd = *fd;
    config.tap = running->tap;
    config.tsc_hz = hooks_.tsc_hz;
    config.snaplen = request.snaplen;
    config.count = request.count;
    config.filter = request.filter;
    config.application = hooks_.application;
    SessionHooks hooks;
    const std::weak_ptr<int> alive = alive_;
    hooks.names = [this] { return names(); };
    const auto later = [this, alive](auto what) {
        loop_.post([alive, what] {
            if (!alive.expired()) {
                what();
            }
        });
    };
    hooks.wants_end = [this, later, id] { later([this, id] { end(id); }); };
    hooks.has_ended = [this, later, id] { later([this, id] { forget(id); }); };
    running->session = std::make_unique<Session>(std::move(config), std::move(hooks));
    LOG_INFO("capture {} of {} starts", id, what_of(request));
    running_[id] = std::move(running);
    publish();
    if (!timer_) {
        timer_ = loop_.add_periodic(kRefreshMs, [this] { refresh(); });
    }
    return id;
}

Result<void> Captures::stop(unsigned id) {
    if (!running_.count(id)) {
        return Error{fmt::format("no capture {}; see capture/list", id)};
    }
    end(id);
    return {};
}

void Captures::end(unsigned id) {
    const auto at = running_.find(id);
    if (at == running_.end() || at->second->is_ending) {
        return;
    }
    at->second->is_ending = true;
    publish();
    const std::weak_ptr<int> alive = alive_;
    hooks_.after_grace([this, alive, id] {
        if (!alive.expired() && running_.count(id)) {
            running_[id]->session->finish();
        }
    });
}

void Captures::forget(unsigned id) {
    const auto at = running_.find(id);
    if (at == running_.end()) {
        return;
    }
    const SessionStats s = at->second->session->stats();
    LOG_INFO("capture {} ended: {} packets written, {} lost in full rings, {} over the rate", id,
             s.written, s.ring_full, s.over_rate);
    const bool was_published = !at->second->is_ending;
    running_.erase(at);
    if (was_published) {
        publish();
    }
    if (running_.empty()) {
        loop_.cancel_timer(timer_);
        timer_ = 0;
    }
}

void Captures::publish() {
    auto set = std::make_unique<CaptureSet>();
    for (const auto& [id, running] : running_) {
        if (!running->is_ending) {
            set->items.push_back({running->spec, running->tap, running->filter});
        }
    }
    hooks_.publish(set->items.empty() ? nullptr : std::move(set));
}

/// Names and numbers as they are now.
void Captures::refresh() {
    const uint64_t version = hooks_.version();
    if (version == version_) {
        return;
    }
    version_ = version;
    set_names(std::make_shared<const Names>(hooks_.names()));
    for (const auto& [id, running] : running_) {
        running->spec = *resolve(running->request, *running->filter, false);
    }
    publish();
}

std::vector<Status> Captures::list() const {
    std::vector<Status> list;
    for (const auto& [id, running] : running_) {
        list.push_back({id, what_of(running->request), running->is_ending ? "ending" : "running",
                        running->session->stats()});
    }
    return list;
}

}  // namespace sluice::capture
