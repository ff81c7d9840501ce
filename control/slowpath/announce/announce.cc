// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/announce/announce.h"

#include <random>

#include "lib/base/event_loop.h"
#include "lib/program/punt.h"

namespace sluice::announce {

struct Announce::State : std::enable_shared_from_this<State> {
    State(SlowPath& path, EventLoop& loop, Sink into)
        : slow_path(path), control_loop(loop), sink(std::move(into)) {}

    uint32_t random() { return static_cast<uint32_t>(generator()); }

    void tick(int64_t now_ms) {
        for (Outgoing& out : announcements.due(now_ms)) {
            send(std::move(out));
        }
        for (Outgoing& out : delegation.due(now_ms)) {
            send(std::move(out));
        }
    }

    void send(Outgoing out) {
        Injection injection;
        injection.kind = InjectKind::kIngress;
        injection.datapath = out.datapath;
        injection.inport = out.port;
        // Other hypervisors advertise for themselves.
        injection.flags = out.kind == Outgoing::Kind::kAdvertisement ? flag::kLocalOnly : 0;
        injection.frame = std::move(out.frame);
        slow_path.count(SlowPathCounter::k_announcements);
        slow_path.send(injection);
    }

    void take(const Punt& punt) {
        std::vector<uint8_t> answer = delegation.take(punt.frame, punt.now_ms);
        if (!answer.empty()) {
            Injection injection;
            injection.kind = InjectKind::kOutput;
            injection.datapath = punt.meta.datapath();
            injection.outport = punt.meta.inport();
            injection.frame = std::move(answer);
            slow_path.send(injection, punt.worker);
        }
        for (LearnedPrefix& learned : delegation.take_learned()) {
            control_loop.post([still = weak_from_this(), learned = std::move(learned)] {
                if (const auto state = still.lock()) {
                    state->sink(learned);
                }
            });
        }
    }

    SlowPath& slow_path;
    EventLoop& control_loop;
    Sink sink;
    std::mt19937 generator{std::random_device{}()};
    Announcements announcements{[this] { return random(); }};
    PrefixDelegation delegation{[this] { return random(); }};
};

Announce::Announce(SlowPath& slow_path, EventLoop& control_loop, Sink sink)
    : state_(std::make_shared<State>(slow_path, control_loop, std::move(sink))) {
    slow_path.set_handler(PuntReason::kDhcp6Reply,
                          [state = state_.get()](const Punt& punt) { state->take(punt); });
    slow_path.loop().add_periodic(kTickMs, [still = std::weak_ptr<State>(state_)] {
        if (const auto state = still.lock()) {
            state->tick(EventLoop::now_ms());
        }
    });
}

Announce::~Announce() = default;

void Announce::configure(std::shared_ptr<const Config> config) {
    state_->slow_path.loop().post(
        [still = std::weak_ptr<State>(state_), config = std::move(config)] {
            if (const auto state = still.lock()) {
                const int64_t now_ms = EventLoop::now_ms();
                state->announcements.configure(config->garps, config->routers,
                                               config->garp_longest_s, now_ms);
                state->delegation.configure(config->prefixes, now_ms);
            }
        });
}

}  // namespace sluice::announce
