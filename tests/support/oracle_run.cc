// SPDX-License-Identifier: Apache-2.0
// The oracle's actions.
#include <stdexcept>

#include "tests/support/oracle.h"

namespace sluice::oracle {

namespace {

constexpr unsigned kMaxDepth = 90;

class Machine {
public:
    Machine(const std::vector<Flow>& flows, const World& world, const Packet& packet)
        : flows_(flows), world_(world), packet_(packet) {}

    void table(unsigned side, unsigned number) {
        const Flow* flow = best_match(flows_, side, number, packet_, world_);
        if (flow == nullptr) {
            event(Event::kNoMatch);
            return;
        }
        if (++depth_ > kMaxDepth) {
            throw std::runtime_error("oracle: flows go round");
        }
        list(flow->actions, *flow);
        --depth_;
    }
    std::vector<Event> take() { return std::move(events_); }

private:
    struct Saved {
        unsigned width;
        Wide value;
    };

    void event(Event::Kind kind, const std::string& why = "") {
        events_.push_back({kind, why, packet_});
    }

    static Place place(const lang::FieldUse& use) {
        Place p = place_of(use.symbol->name);
        if (!use.is_string()) {
            p.low += use.ofs;
            p.width = use.width;
        }
        return p;
    }
    Wide read(const lang::FieldUse& use) const { return read_bits(packet_, place(use)); }
    void write(const lang::FieldUse& use, Wide value) { write_bits(&packet_, place(use), value); }

    void list(const lang::ActionList& actions, const Flow& flow) {
        if (actions.actions.empty()) {
            event(Event::kDrop, "logical_flow");
        }
        for (const lang::Action& action : actions.actions) {
            if (!std::visit([&](const auto& node) { return act(node, flow); }, action.node)) {
                return;
            }
        }
    }

    // Each: false when the path ends.
    bool act(const lang::Output&, const Flow&) {
        event(Event::kOutput);
        return true;
    }
    bool act(const lang::Next& node, const Flow& flow) {
        unsigned side = flow.side;
        if (node.pipeline) {
            side = *node.pipeline == lang::Pipeline::kIngress ? 0 : 1;
        }
        table(side, node.table ? *node.table : flow.table + 1);
        return true;
    }
    bool act(const lang::Load& node, const Flow&) {
        if (const auto* number = std::get_if<lang::Integer>(&node.value)) {
            const auto wide = [](unsigned __int128 v) {
                return Wide{static_cast<uint64_t>(v >> 64), static_cast<uint64_t>(v)};
            };
            if (!number->masked) {
                write(node.dst, wide(number->value));
            } else {
                const Wide mask = wide(number->mask);
                write(node.dst, wide_or(wide_and(read(node.dst), wide_not(mask)),
                                        wide_and(wide(number->value), mask)));
            }
            return true;
        }
        const auto at = world_.ports.find(std::get<lang::String>(node.value).text);
        write(node.dst, {0, at == world_.ports.end() ? 0 : at->second});
        return true;
    }
    bool act(const lang::Move& node, const Flow&) {
        write(node.dst, read(node.src));
        return true;
    }
    bool act(const lang::Exchange& node, const Flow&) {
        const Wide left = read(node.dst);
        const Wide right = read(node.src);
        write(node.src, left);
        write(node.dst, right);
        return true;
    }
    bool act(const lang::Push& node, const Flow&) {
        stack_.push_back({place(node.field).width, read(node.field)});
        return true;
    }
    bool act(const lang::Pop& node, const Flow&) {
        if (!stack_.empty()) {
            write(node.field, stack_.back().value);
            stack_.pop_back();
        }
        return true;
    }
    bool act(const lang::DecTtl&, const Flow&) {
        const Wide ttl = packet_["ip.ttl"];
        if (ttl.lo <= 1) {
            event(Event::kTtl);
            return false;
        }
        packet_["ip.ttl"] = {0, ttl.lo - 1};
        return true;
    }
    bool act(const lang::Clone& node, const Flow& flow) {
        const Packet packet = packet_;
        const std::vector<Saved> stack = stack_;
        list(node.body, flow);
        packet_ = packet;
        stack_ = stack;
        return true;
    }
    bool act(const lang::CtClear&, const Flow&) {
        packet_["ct_state"] = {};
        packet_["ct_mark"] = {};
        packet_["ct_label"] = {};
        return true;
    }
    bool act(const lang::CheckPktLarger& node, const Flow&) {
        write(node.dst, {0, packet_["length"].lo > node.length});
        return true;
    }
    // Nothing is known of any neighbour.
    bool act(const lang::GetArp&, const Flow&) {
        packet_["eth.dst"] = {};
        return true;
    }
    bool act(const lang::LookupArp& node, const Flow&) {
        write(node.dst, {});
        return true;
    }
    bool act(const lang::GetFdb& node, const Flow&) {
        write(node.dst, {});
        return true;
    }
    template <typename T>
    bool act(const T&, const Flow&) {
        throw std::runtime_error("oracle: action it does not know");
    }

    const std::vector<Flow>& flows_;
    const World& world_;
    Packet packet_;
    std::vector<Saved> stack_;
    std::vector<Event> events_;
    unsigned depth_ = 0;
};

}  // namespace

const Flow* best_match(const std::vector<Flow>& flows, unsigned side, unsigned table,
                       const Packet& packet, const World& world) {
    const Flow* best = nullptr;
    for (const Flow& flow : flows) {
        if (flow.side != side || flow.table != table) {
            continue;
        }
        const bool wins = best == nullptr || flow.priority > best->priority ||
                          (flow.priority == best->priority && flow.uuid < best->uuid);
        if (!wins || !matches(flow.match, packet, world)) {
            continue;
        }
        bool allowed = true;
        for (const lang::Expr& prerequisite : flow.prerequisites) {
            allowed = allowed && matches(prerequisite, packet, world);
        }
        best = allowed ? &flow : best;
    }
    return best;
}

std::vector<Event> run(const std::vector<Flow>& flows, unsigned side, unsigned table,
                       const Packet& packet, const World& world) {
    Machine machine(flows, world, packet);
    machine.table(side, table);
    return machine.take();
}

}  // namespace sluice::oracle
