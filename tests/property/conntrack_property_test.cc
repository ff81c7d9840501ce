// SPDX-License-Identifier: Apache-2.0
// Conntrack against a naive model: random packets, commits, NAT, time and flushes in a small world.
#include <catch2/catch.hpp>
#include <random>

#include "lib/program/state.h"
#include "tests/property/conntrack_model.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr uint32_t kNatBits = ct::kSnat | ct::kDnat;

class Twins {
public:
    explicit Twins(unsigned seed) : rng_(seed) {
        ConntrackConfig config;
        config.max_connections = 4096;
        config.seed = seed;
        config.workers = 2;
        real_ = Conntrack::create(config).value();
        real_->set_zone_limit(2, 25);
    }

    void step() {
        const unsigned what = any(1000);
        if (what < 4) {
            flush();
        } else if (what < 40) {
            pass_time();
        }
        draw();
        if (any(100) < 60) {
            look();
        } else {
            commit();
        }
    }
    void check_all() {
        real_->dump({}, [&](const CtEntry&) {});
        REQUIRE(real_->stats().used == model_.all().size());
    }
    uint64_t nats = 0, natted = 0, related = 0, reopened = 0, limited = 0, exhausted = 0;

private:
    unsigned any(unsigned n) { return std::uniform_int_distribution<unsigned>(0, n - 1)(rng_); }
    template <typename T>
    T pick(std::initializer_list<T> values) {
        return *(values.begin() + any(static_cast<unsigned>(values.size())));
    }

    void address(uint32_t* words) {
        if (tuple_.is_v6) {
            words[0] = 0xfd000000;
        }
        words[3] = (tuple_.is_v6 ? 0 : 0x0a000000) + 1 + any(4);
    }

    void draw() {
        tuple_ = CtTuple{};
        facts_ = PacketFacts{};
        tuple_.zone = static_cast<uint16_t>(1 + any(2));
        tuple_.is_v6 = any(5) == 0;
        address(tuple_.src);
        address(tuple_.dst);
        tuple_.proto = pick<uint8_t>({6, 6, 6, 6, 17, 17, 1, 132, 50});
        tuple_.src_port = pick<uint16_t>({80, 81, 700, 5000, 5001});
        tuple_.dst_port = pick<uint16_t>({80, 81, 5000});
        talk_again();
        facts_.is_valid = any(200) != 0;
        facts_.tcp_wscale = 0xff;
        if (tuple_.proto == 6) {
            draw_tcp();
        } else if (tuple_.proto == 1) {
            draw_icmp(&tuple_);
            facts_.icmp_type = tuple_.icmp_type;
            facts_.icmp_id = tuple_.src_port;
            if (any(3) == 0) {
                draw_error();
            }
        }
    }
    // Mostly the same few conversations, either way round.
    void talk_again() {
        if (any(4) == 0 || recent_.size() < 8) {
            recent_.push_back(tuple_);
            if (recent_.size() > 8) {
                recent_.erase(recent_.begin());
            }
            return;
        }
        tuple_ = recent_[any(8)];
        if (any(2)) {
            std::swap_ranges(tuple_.src, tuple_.src + 4, tuple_.dst);
            std::swap(tuple_.src_port, tuple_.dst_port);
        }
    }
    void draw_icmp(CtTuple* t) {
        t->proto = t->is_v6 ? 58 : 1;
        t->icmp_type = t->is_v6 ? pick<uint8_t>({128, 129}) : pick<uint8_t>({8, 0, 13, 14, 15, 16});
        t->src_port = t->dst_port = static_cast<uint16_t>(1 + any(3));
    }
    void draw_error() {
        facts_.has_inner = true;
        facts_.icmp_type = 3;
        CtTuple& in = facts_.inner;
        in = tuple_;
        in.zone = 0;
        std::copy_n(tuple_.dst, 4, in.src);
        address(in.dst);
        in.proto = pick<uint8_t>({6, 17, 1, 132});
        in.src_port = pick<uint16_t>({80, 81, 700, 5000, 5001});
        in.dst_port = pick<uint16_t>({80, 81, 5000});
        if (in.proto == 1) {
            draw_icmp(&in);
        }
        tuple_.src_port = tuple_.dst_port = 0;
        ++related;
    }
    void draw_tcp() {
        const auto a = std::pair(tuple_.src[3] << 16 | tuple_.src_port, tuple_.dst[3]);
        const auto b = std::pair(tuple_.dst[3] << 16 | tuple_.dst_port, tuple_.src[3]);
        facts_.tcp_flags =
            pick<uint16_t>({2, 2, 2, 18, 18, 16, 16, 16, 24, 17, 17, 4, 20, 1, 3, 0, 48});
        const bool syn = facts_.tcp_flags & 2;
        facts_.payload_len = syn ? 0 : pick<uint32_t>({0, 0, 1, 1000});
        facts_.tcp_seq =
            seq_[a] + (any(8) ? 0
                              : pick<uint32_t>({1, ~0u, 5000, 70000, 1u << 31, 67035, 67036, 67037,
                                                -67034u, -67035u, -67036u}));
        facts_.tcp_ack =
            facts_.tcp_flags & 16
                ? seq_[b] +
                      (any(8) ? 0 : pick<uint32_t>({1, ~0u, 70000, 67035, 67036, -67035u, -67036u}))
                : 0;
        facts_.tcp_window = pick<uint16_t>({0, 1, 1000, 65535});
        facts_.tcp_wscale = syn ? pick<uint8_t>({0xff, 0, 2, 7, 14, 15}) : uint8_t{0xff};
        if (any(5)) {
            seq_[a] = facts_.tcp_seq + facts_.payload_len + (syn ? 1 : 0) +
                      (facts_.tcp_flags & 1 ? 1 : 0);
        }
    }

    void same(const ModelView& m, const CtView& r, bool wants_nat) {
        const uint32_t nat = wants_nat && !tuple_.natted ? m.nat_state : 0;
        CAPTURE(tuple_.proto, tuple_.zone, tuple_.src[3], tuple_.dst[3], tuple_.src_port,
                tuple_.dst_port, facts_.tcp_flags, facts_.has_inner);
        REQUIRE(r.ct_state == (m.state | nat));
        REQUIRE(r.reopens == m.reopens);
        if (m.conn < 0 || m.reopens) {
            REQUIRE((m.reopens || r.conn == nullptr));
            return;
        }
        REQUIRE(r.conn != nullptr);
        const auto known = twins_.find(m.conn);
        REQUIRE((known != twins_.end() && known->second == std::pair(r.conn, r.generation)));
        const ModelConn& c = model_.at(m.conn);
        REQUIRE(r.mark == c.mark);
        REQUIRE(std::equal(r.label, r.label + 4, c.label.begin()));
        REQUIRE(r.is_reply == m.reply);
        REQUIRE(r.has_nat == (c.nat && (!tuple_.natted || (m.state & ct::kInv))));
        REQUIRE(model_key(r.translated) == model_.translated(m, facts_.has_inner));
        REQUIRE(model_key(r.original) == c.key[0]);
        if (facts_.has_inner && c.nat) {
            check_outer(m, r, c);
        }
    }
    void check_outer(const ModelView& m, const CtView& r, const ModelConn& c) {
        // Toward the translated side the source is hidden, toward the other the destination
        // restored.
        const bool source = (c.nat == 1) == !m.reply;
        const ModelKey now = model_.translated(m, true);
        for (unsigned i = 0; i < 4; ++i) {
            REQUIRE(r.outer_src[i] == (source ? now[4 + i] : tuple_.src[i]));
            REQUIRE(r.outer_dst[i] == (source ? tuple_.dst[i] : now[i]));
        }
    }

    void look() {
        CtView r;
        real_->lookup(tuple_, facts_, now_, &r);
        ModelView m = model_.lookup(tuple_, facts_, now_);
        same(m, r, false);
        reopened += m.reopens;
        review(m, r);
        if (any(10)) {
            real_->touch(r, facts_, 100, now_);
            model_.touch(m, facts_, now_);
        }
        if (m.conn >= 0 && !m.reopens && !facts_.has_inner && model_.at(m.conn).nat && any(2)) {
            ++natted;
            tuple_ = r.translated;
            tuple_.natted = 1;
            real_->lookup(tuple_, facts_, now_, &r);
            same(model_.lookup(tuple_, facts_, now_), r, false);
        }
    }
    void review(const ModelView& m, const CtView& r) {
        if (m.conn < 0) {
            return;
        }
        CtView again;
        const bool ok = real_->review(r.conn, r.generation, r.is_reply, facts_, now_, &again);
        REQUIRE(ok == !m.reopens);
        if (ok) {
            REQUIRE(again.ct_state == r.ct_state);
            REQUIRE(again.mark == r.mark);
            REQUIRE(again.version == r.version);
            REQUIRE(again.nat_state == r.nat_state);
        }
        REQUIRE_FALSE(real_->review(r.conn, r.generation + 2, r.is_reply, facts_, now_, &again));
        REQUIRE_FALSE(
            real_->review(r.conn, r.generation, r.is_reply, facts_, now_ + 90000000, &again));
    }

    CtCommitArgs draw_args() {
        CtCommitArgs args;
        if (any(3) == 0) {
            args.marks.mark = any(256);
            args.marks.mark_mask = pick<uint32_t>({0xff, 0x0f, 0xf0});
            args.marks.mark &= args.marks.mark_mask;
            args.marks.label[any(4)] = 5;
            std::copy_n(args.marks.label, 4, args.marks.label_mask);
        }
        CtNatRange& nat = args.nat;
        nat.kind =
            pick<CtNat>({CtNat::kNone, CtNat::kNone, CtNat::kRestore, CtNat::kSrc, CtNat::kDst});
        if (nat.kind == CtNat::kSrc || nat.kind == CtNat::kDst) {
            nat.is_v6 = tuple_.is_v6;
            if (any(8)) {
                const uint32_t base = nat.is_v6 ? 0u : 0x0a000000u;
                nat.low[0] = nat.high[0] = nat.is_v6 ? 0xfd000000 : 0;
                nat.low[3] = base + pick<uint32_t>({1, 2, 9});
                nat.high[3] = nat.low[3] + any(2);
            }
            if (any(2)) {
                nat.port_low = pick<uint16_t>({80, 6000});
                nat.port_high = static_cast<uint16_t>(nat.port_low + any(3));
            }
        }
        return args;
    }

    void commit() {
        const CtCommitArgs args = draw_args();
        const bool wants_nat = args.nat.kind != CtNat::kNone;
        ModelView m = model_.lookup(tuple_, facts_, now_);
        CtView r;
        const CtCommit result = real_->commit(tuple_, facts_, args, now_, &r, 60);
        if (m.reopens) {
            ++reopened;
            model_.touch(m, facts_, now_);
            m = model_.lookup(tuple_, facts_, now_);
        }
        if (m.conn >= 0) {
            REQUIRE((result == CtCommit::kDone || result == CtCommit::kSame));
            REQUIRE(write(m.conn, args.marks) == (result == CtCommit::kDone));
            same(m, r, wants_nat);
            model_.touch(m, facts_, now_);
            return;
        }
        REQUIRE(r.ct_state == (m.state | (result == CtCommit::kDone ? r.nat_state : 0)));
        if (m.state & ct::kInv) {
            REQUIRE(result == CtCommit::kInvalid);
        } else if (tuple_.zone == 2 && model_.count(2, now_) >= 25) {
            REQUIRE(result == CtCommit::kLimit);
            ++limited;
        } else {
            made(args, result, r);
        }
    }
    bool write(int conn, const CtMarks& marks) {
        ModelConn& c = model_.at(conn);
        const ModelConn before = c;
        c.mark = (c.mark & ~marks.mark_mask) | marks.mark;
        for (unsigned i = 0; i < 4; ++i) {
            c.label[i] = (c.label[i] & ~marks.label_mask[i]) | marks.label[i];
        }
        return c.mark != before.mark || c.label != before.label;
    }

    // A new connection: what it was translated to must have been free and allowed.
    void made(const CtCommitArgs& args, CtCommit result, const CtView& r) {
        const int nat = args.nat.kind == CtNat::kSrc ? 1 : args.nat.kind == CtNat::kDst ? 2 : 0;
        const ModelKey plain = model_reverse(model_key(tuple_));
        if (result == CtCommit::kNoNatPort) {
            ++exhausted;
            REQUIRE(nat != 0);
            REQUIRE(nothing_free(args.nat, nat, plain));
            return;
        }
        REQUIRE(result == CtCommit::kDone);
        const ModelKey reverse = model_reverse(model_key(r.translated));
        if (nat == 0) {
            REQUIRE(reverse == plain);
        } else {
            ++nats;
            REQUIRE_FALSE(model_.is_taken(reverse, now_));
            check_choice(args.nat, nat, plain, reverse);
        }
        const int id = model_.create(tuple_, facts_, nat, reverse, now_);
        write(id, args.marks);
        twins_[id] = {r.conn, r.generation};
        REQUIRE(r.mark == model_.at(id).mark);
    }
    bool has_ports() const { return tuple_.proto == 6 || tuple_.proto == 17; }
    // With one address, and a range of ports that is tried to its end.
    bool nothing_free(const CtNatRange& range, int nat, ModelKey reverse) {
        if (range.low[3] != range.high[3]) {
            return true;  // which of the addresses is the hash's choice
        }
        if (range.low[3]) {
            std::copy_n(range.low, 4, reverse.begin() + (nat == 1 ? 4 : 0));
        }
        if (!has_ports()) {
            return model_.is_taken(reverse, now_);
        }
        if (nat == 2 || !range.port_low) {
            return false;
        }
        bool free = false;
        for (uint32_t p = range.port_low; p <= range.port_high; ++p) {
            reverse[9] = p;
            free = free || !model_.is_taken(reverse, now_);
        }
        return !free;
    }
    void check_choice(const CtNatRange& range, int nat, const ModelKey& plain,
                      const ModelKey& reverse) {
        const unsigned at = nat == 1 ? 4 : 0;  // whose address changed
        const uint32_t low = range.low[3] ? range.low[3] : plain[at + 3];
        const uint32_t high = range.low[3] ? range.high[3] : plain[at + 3];
        REQUIRE((reverse[at + 3] >= low && reverse[at + 3] <= high));
        for (unsigned i = 0; i < 4; ++i) {
            REQUIRE(reverse[4 - at + i] == plain[4 - at + i]);
        }
        ModelKey own = reverse;
        if (!has_ports()) {
            own[8] = plain[8];
            REQUIRE((reverse == own || model_.is_taken(own, now_)));
            return;
        }
        if (nat == 1 && range.port_low) {
            REQUIRE((reverse[9] >= range.port_low && reverse[9] <= range.port_high));
            REQUIRE(reverse[8] == plain[8]);
            return;
        }
        if (nat == 2 && range.port_low) {
            REQUIRE((reverse[8] >= range.port_low && reverse[8] <= range.port_high));
        } else {
            REQUIRE(reverse[8] == plain[8]);
        }
        // The packet's own source port, or the first free one after it.
        own[9] = plain[9];
        while (own[9] != reverse[9]) {
            REQUIRE(model_.is_taken(own, now_));
            own[9] = own[9] == 511 ? 1 : own[9] == 1023 ? 600 : own[9] + 1;
        }
    }

    void pass_time() {
        now_ += pick<uint64_t>({1000, 5000, 20000, 31000, 46000, 61000, 901000});
        for (unsigned worker = 0; worker < 2; ++worker) {
            real_->sweep(worker, now_, 100000);
        }
        model_.expire(now_);
        check_all();
    }
    void flush() {
        CtFilter filter;
        filter.zone = static_cast<uint16_t>(1 + any(2));
        filter.src_port = pick<uint16_t>({80, 5000});
        if (any(2)) {
            filter.mark_mask = 1;
            filter.mark = 1;
        }
        const size_t before = model_.all().size();
        std::erase_if(model_.all(), [&](const auto& item) {
            const ModelConn& c = item.second;
            const bool has =
                c.key[0][10] == 6 || c.key[0][10] == 17 || c.key[0][10] == 1 || c.key[0][10] == 58;
            return c.key[0][12] == *filter.zone && has && c.key[0][8] == *filter.src_port &&
                   (c.mark & filter.mark_mask) == filter.mark;
        });
        REQUIRE(real_->flush(filter) == before - model_.all().size());
    }

    std::mt19937 rng_;
    std::unique_ptr<Conntrack> real_;
    ConntrackModel model_;
    std::map<int, std::pair<CtConn*, uint32_t>> twins_;
    std::map<std::pair<uint32_t, uint32_t>, uint32_t> seq_;
    std::vector<CtTuple> recent_;
    CtTuple tuple_{};
    PacketFacts facts_{};
    uint64_t now_ = 1000000;
};

}  // namespace

TEST_CASE("conntrack is what the naive model says", "[conntrack]") {
    uint64_t nats = 0, natted = 0, related = 0, reopened = 0, limited = 0, exhausted = 0;
    for (unsigned seed = 1; seed <= 10; ++seed) {
        Twins twins(seed);
        for (unsigned n = 0; n < 100000; ++n) {
            twins.step();
        }
        twins.check_all();
        nats += twins.nats;
        natted += twins.natted;
        related += twins.related;
        reopened += twins.reopened;
        limited += twins.limited;
        exhausted += twins.exhausted;
    }
    // The world must have been one where these happen.
    CHECK(nats > 10000);
    CHECK(natted > 1000);
    CHECK(related > 10000);
    CHECK(reopened > 100);
    CHECK(limited > 1000);
    CHECK(exhausted > 100);
}
