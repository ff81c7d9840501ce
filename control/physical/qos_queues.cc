// SPDX-License-Identifier: Apache-2.0
#include "control/physical/qos_queues.h"

#include <charconv>
#include <map>

namespace sluice::physical {

namespace {

uint64_t number(const sb::PortBinding& port, std::string_view key) {
    const std::string& text = port.option(key);
    uint64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() ? value : 0;
}

}  // namespace

std::vector<PortQueue> qos_queues(const sb::Mirror& mirror, const chassis::BindingPlan& plan,
                                  const std::set<Uuid>& local) {
    std::map<uint32_t, PortQueue> queues;
    const auto add = [&](const sb::PortBinding& port) {
        const PortQueue queue{static_cast<uint32_t>(number(port, "qdisc_queue_id")),
                              number(port, "qos_min_rate"), number(port, "qos_max_rate"),
                              number(port, "qos_burst")};
        if (queue.id != 0 && (queue.min_bps || queue.max_bps || queue.burst_bits)) {
            queues.emplace(queue.id, queue);
        }
    };
    for (const auto& [uuid, claim] : plan.claims) {
        if (const sb::PortBinding* port = mirror.ports.find(uuid)) {
            add(*port);
        }
    }
    for (const Uuid& uuid : mirror.ports_of_type(sb::PortType::kLocalnet)) {
        const sb::PortBinding* port = mirror.ports.find(uuid);
        if (local.contains(port->datapath)) {
            add(*port);
        }
    }
    std::vector<PortQueue> out;
    out.reserve(queues.size());
    for (const auto& [id, queue] : queues) {
        out.push_back(queue);
    }
    return out;
}

}  // namespace sluice::physical
