// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/outbox.h"

namespace sluice {

bool Outbox::add(const Learned& learned) {
    bool post = false;
    {
        const std::lock_guard lock(mutex_);
        if (closed_ || waiting_.size() >= kMax) {
            return false;
        }
        waiting_.push_back(learned);
        post = !posted_;
        posted_ = true;
    }
    if (post) {
        control_loop_->post([self = shared_from_this()] { self->deliver(); });
    }
    return true;
}

void Outbox::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    waiting_.clear();
}

void Outbox::deliver() {
    std::vector<Learned> batch;
    {
        const std::lock_guard lock(mutex_);
        batch.swap(waiting_);
        posted_ = false;
    }
    for (const Learned& learned : batch) {
        call(learned);
    }
}

void Outbox::call(const Learned& learned) const {
    const auto run = [](const auto& sink, auto&&... args) {
        if (sink) {
            sink(args...);
        }
    };
    const auto port = static_cast<PortId>(learned.port);
    switch (learned.kind) {
    case Learned::Kind::kPutArp:
        run(sinks_.put_arp, learned.datapath, learned.port, learned.ip4, learned.mac);
        break;
    case Learned::Kind::kPutNd:
        run(sinks_.put_nd, learned.datapath, learned.port, learned.ip6, learned.mac);
        break;
    case Learned::Kind::kPutFdb:
        run(sinks_.put_fdb, learned.datapath, learned.port, learned.mac);
        break;
    case Learned::Kind::kFdbUse:
        run(sinks_.fdb_use, learned.datapath, learned.port, learned.mac);
        break;
    case Learned::Kind::kMacUse4:
        run(sinks_.mac_use4, learned.datapath, learned.port, learned.ip4, learned.mac);
        break;
    case Learned::Kind::kMacUse6:
        run(sinks_.mac_use6, learned.datapath, learned.port, learned.ip6, learned.mac);
        break;
    case Learned::Kind::kNeighbor4: run(sinks_.neighbor4, port, learned.ip4, learned.mac); break;
    case Learned::Kind::kNeighbor6: run(sinks_.neighbor6, port, learned.ip6, learned.mac); break;
    case Learned::Kind::kTunnelWanted: run(sinks_.tunnel_wanted, learned.port); break;
    case Learned::Kind::kActivated: run(sinks_.activated, learned.datapath, learned.port); break;
    }
}

}  // namespace sluice
