// SPDX-License-Identifier: Apache-2.0
#include "lib/program/ports.h"

#include <algorithm>

#include "lib/base/check.h"
#include "lib/program/bond_report.h"

namespace sluice {

namespace {

std::atomic<uint64_t> last_version{0};

}  // namespace

const Port PortTable::kNone{};

PortTable::PortTable(std::vector<Entry> entries, unsigned n_workers)
    : version_(last_version.fetch_add(1) + 1), polls_(n_workers) {
    size_t n_ids = 0;
    size_t n_tx = 0;
    for (const Entry& entry : entries) {
        SLUICE_CHECK(entry.port.id < kMaxPorts);
        n_ids = std::max<size_t>(n_ids, entry.port.id + 1u);
        n_tx += entry.tx.size();
    }
    ports_.resize(n_ids);
    tx_.reserve(n_tx);  // Port::tx points into it: it must not move below
    for (Entry& entry : entries) {
        Port& port = ports_[entry.port.id];
        SLUICE_CHECK(!port && entry.rx.size() == entry.rx_worker.size());
        port = entry.port;
        port.n_rxq = static_cast<uint16_t>(entry.rx.size());
        port.n_txq = static_cast<uint16_t>(entry.tx.size());
        port.tx = tx_.data() + tx_.size();
        tx_.insert(tx_.end(), entry.tx.begin(), entry.tx.end());
        if (entry.is_shaped) {
            shaped_.push_back(port.id);
        }
        for (size_t i = 0; i < entry.rx.size(); ++i) {
            if (entry.rx_worker[i] < n_workers) {
                RxQueue queue = entry.rx[i];
                queue.port = port.id;
                queue.queue = static_cast<uint16_t>(i);
                polls_[entry.rx_worker[i]].push_back(queue);
            }
        }
    }
}

// Who overrides it keeps the queues.
// NOLINTNEXTLINE(performance-unnecessary-value-param)
Result<Retire> PortControl::set_queues(PortId, std::vector<PortQueue> queues) {
    if (queues.empty()) {
        return Retire();
    }
    return Error{"this port has no queues"};
}

Result<void> PortControl::pin_queues(PortId, const std::map<unsigned, unsigned>& core_of_queue) {
    if (core_of_queue.empty()) {
        return {};
    }
    return Error{"queues of this port cannot be pinned"};
}

Result<Retire> PortControl::change(PortId, const PortSpec& spec) {
    return Error{"port " + spec.name + " cannot be changed while it is open"};
}

std::optional<BondReport> PortControl::bond(PortId) const {
    return std::nullopt;
}

const std::string& PortSpec::arg(const std::string& key) const {
    static const std::string none;
    const auto it = args.find(key);
    return it == args.end() ? none : it->second;
}

Result<PortSpec> parse_port_spec(std::string_view text) {
    const auto wrong = [&](const std::string& why) {
        return Error{"port '" + std::string(text) + "': " + why +
                     "; write NAME=DRIVER[,KEY=VALUE...], for example vm1=af_packet,iface=veth1"};
    };
    std::vector<std::string> words(1);
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ',') {
            words.back() += text[++i];
        } else if (text[i] == ',') {
            words.emplace_back();
        } else {
            words.back() += text[i];
        }
    }
    PortSpec spec;
    const size_t eq = words[0].find('=');
    if (eq == std::string::npos || eq == 0 || eq + 1 == words[0].size()) {
        return wrong("no name or no driver");
    }
    spec.name = words[0].substr(0, eq);
    spec.driver = words[0].substr(eq + 1);
    for (size_t i = 1; i < words.size(); ++i) {
        const size_t at = words[i].find('=');
        const std::string key = words[i].substr(0, at);
        if (key.empty()) {
            return wrong("an argument has no name");
        }
        const std::string value = at == std::string::npos ? "1" : words[i].substr(at + 1);
        if (!spec.args.emplace(key, value).second) {
            return wrong("'" + key + "' is given twice");
        }
    }
    return spec;
}

std::string to_string(const PortSpec& spec) {
    std::string text = spec.name + "=" + spec.driver;
    for (const auto& [key, value] : spec.args) {
        text += "," + key + "=";
        for (const char c : value) {
            text += c == ',' ? "\\," : std::string(1, c);
        }
    }
    return text;
}

}  // namespace sluice
