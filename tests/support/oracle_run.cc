// SPDX-License-Identifier: Apache-2.0
// The oracle's actions.
#include <stdexcept>

#include "tests/support/oracle.h"
#include "tests/support/oracle_tracker.h"

namespace sluice::oracle {

namespace {

constexpr unsigned kMaxDepth = 90;

class Machine {
public:
    Machine(const std::vector<Flow>& flows, const World& world, const Packet& packet,
            Tracker* tracker)
        : flows_(flows), world_(world), packet_(packet), tracker_(tracker) {}

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
        const Track track = track_;
        list(node.body, flow);
        packet_ = packet;
        stack_ = stack;
        track_ = track;
        return true;
    }
    bool act(const lang::CtClear&, const Flow&) {
        track_ = {};
        show({}, {}, {});
        return true;
    }

    // Connection tracking, as ovn-sb(5) tells it and as Open vSwitch's ct() does it.
    struct Track {
        bool is_tracked = false;
        unsigned zone = 0;
        unsigned state = 0;
        Connection* known = nullptr;  ///< the zone's next step need not look again
    };
    enum class ZoneOf { kPort, kDnat, kSnat };

    void show(Wide state, Wide mark, Wide label) {
        packet_["ct_state"] = state;
        packet_["ct_mark"] = mark;
        packet_["ct_label"] = label;
    }
    unsigned zone(ZoneOf whose) const {
        if (whose == ZoneOf::kSnat) {
            return world_.snat_zone;
        }
        if (whose == ZoneOf::kDnat || !world_.is_switch) {
            return world_.dnat_zone;
        }
        Packet copy = packet_;
        const auto at = world_.port_zones.find(static_cast<uint32_t>(copy["inport"].lo));
        return at == world_.port_zones.end() ? 0 : at->second;
    }
    bool is_v4() { return packet_["eth.type"].lo == 0x800; }
    bool is_icmp() { return packet_["ip.proto"].lo == (is_v4() ? 1 : 58); }
    Way way(unsigned zone) {
        Way w;
        w.zone = zone;
        w.family = is_v4() ? 4 : 6;
        w.proto = static_cast<unsigned>(packet_["ip.proto"].lo);
        w.from.address = packet_[is_v4() ? "ip4.src" : "ip6.src"];
        w.to.address = packet_[is_v4() ? "ip4.dst" : "ip6.dst"];
        if (w.proto == 6 || w.proto == 17) {
            w.from.port = static_cast<unsigned>(packet_["l4.src"].lo);
            w.to.port = static_cast<unsigned>(packet_["l4.dst"].lo);
        }
        return w;
    }
    void become(const Way& w) {
        packet_[is_v4() ? "ip4.src" : "ip6.src"] = w.from.address;
        packet_[is_v4() ? "ip4.dst" : "ip6.dst"] = w.to.address;
        if (w.proto == 6 || w.proto == 17) {
            packet_["l4.src"] = {0, w.from.port};
            packet_["l4.dst"] = {0, w.to.port};
        }
    }

    /// One ct(): `commit` null only looks; `translates` is ct(nat); `goes_on` is ct(table=...).
    bool step(ZoneOf whose, const Commit* commit, bool translates, bool goes_on, const Flow& flow) {
        const unsigned z = zone(whose);
        const bool again = track_.is_tracked && track_.zone == z;
        if (again && (track_.state & 0xc0) != 0) {
            throw Undecided{};  // looked at after NAT in the same zone: tested elsewhere
        }
        const unsigned type = is_icmp() ? static_cast<unsigned>(packet_["l4.src"].lo) : 0;
        Answer answer;
        if (again && track_.known != nullptr) {
            answer.state = track_.state;
            answer.connection = track_.known;
            if (commit != nullptr) {
                Tracker::mark(track_.known, *commit);
            }
            if (track_.known->nat != Connection::kNone) {
                throw Undecided{};
            }
        } else {
            answer = commit != nullptr ? tracker_->commit(way(z), type, *commit)
                                       : tracker_->look(way(z), type);
        }
        track_ = {true, z, answer.state, translates ? nullptr : answer.connection};
        if (translates && answer.translated) {
            become(*answer.translated);
            track_.state |= answer.nat_state;
        }
        if (!goes_on) {
            show({}, {}, {});
            return true;
        }
        const Connection* c = answer.connection;
        show({0, track_.state}, {0, c ? c->mark : 0}, c ? c->label : Wide{});
        table(flow.side, flow.table + 1);
        return true;
    }
    bool nat(ZoneOf whose, Connection::Nat kind, const lang::Nat& node, const Flow& flow) {
        if (!node.address) {
            return step(whose, nullptr, true, true, flow);
        }
        Commit commit;
        commit.nat = kind;
        commit.address = wide(node.address->value);
        commit.port = node.ports ? node.ports->low : 0;
        return step(whose, &commit, true, true, flow);
    }
    static Wide wide(unsigned __int128 v) {
        return {static_cast<uint64_t>(v >> 64), static_cast<uint64_t>(v)};
    }

    bool act(const lang::CtNext&, const Flow& flow) {
        return step(ZoneOf::kPort, nullptr, false, true, flow);
    }
    bool act(const lang::CtDnat& n, const Flow& f) {
        return nat(ZoneOf::kDnat, Connection::kDestination, n, f);
    }
    bool act(const lang::CtSnat& n, const Flow& f) {
        return nat(ZoneOf::kSnat, Connection::kSource, n, f);
    }
    bool act(const lang::CtDnatInCzone& n, const Flow& f) {
        return nat(ZoneOf::kDnat, Connection::kDestination, n, f);
    }
    bool act(const lang::CtSnatInCzone& n, const Flow& f) {
        return nat(ZoneOf::kDnat, Connection::kSource, n, f);
    }
    bool act(const lang::CtCommitNat&, const Flow& flow) {
        const Commit commit;
        return step(ZoneOf::kPort, &commit, true, true, flow);
    }
    bool act(const lang::CtLbMark& node, const Flow& flow) {
        if (node.backends.empty()) {
            return step(ZoneOf::kPort, nullptr, true, true, flow);
        }
        const auto& backend = std::get<lang::Backend>(node.backends.at(0));
        Commit commit;
        commit.nat = Connection::kDestination;
        commit.address = wide(backend.address.value);
        commit.port = backend.port;
        commit.mark = commit.mark_mask = 2;
        return step(ZoneOf::kPort, &commit, true, true, flow);
    }
    bool act(const lang::CtCommitV2& node, const Flow& flow) {
        // The block writes the connection's mark and label, seen as if they were the packet's.
        const Packet before = packet_;
        Commit commit;
        for (const lang::Action& action : node.body.actions) {
            const auto& load = std::get<lang::Load>(action.node);
            act(load, flow);
            const Place at = place(load.dst);
            const bool is_mark = at.store == store_index("ct_mark");
            const Wide bits = wide_left(wide_ones(at.width), at.low);
            if (is_mark) {
                commit.mark_mask |= bits.lo;
            } else {
                commit.label_mask = wide_or(commit.label_mask, bits);
            }
        }
        commit.mark = packet_["ct_mark"].lo;
        commit.label = packet_["ct_label"];
        packet_ = before;
        // OVN asks for a NAT that changes nothing: source address as it is.
        commit.nat = Connection::kSource;
        commit.address = packet_[is_v4() ? "ip4.src" : "ip6.src"];
        return step(ZoneOf::kPort, &commit, true, false, flow);
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
    Tracker* tracker_;
    Track track_;
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
                       const Packet& packet, const World& world, Tracker* tracker) {
    Machine machine(flows, world, packet, tracker);
    machine.table(side, table);
    return machine.take();
}

}  // namespace sluice::oracle
