// SPDX-License-Identifier: Apache-2.0
// Plays a script of packets on Conntrack and prints what each became; conntrack_reference_test.py
// plays the same on Open vSwitch.
//
// Input, a line a packet:  NOW_MS FRAME_HEX STEP...
// STEP is ZONE:WHAT, where WHAT is comma-separated words: commit, nat, src=A[-B][:P[-Q]], dst=...,
// mark=V/M, label=V/M (the low 32 bits). Addresses are hexadecimal, 8 or 32 digits.
// Output, a line a packet:  STATE MARK LABEL TUPLE [INNER] of the packet after the last step.
#include <rte_mbuf.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>

#include "datapath/conntrack/conntrack.h"
#include "datapath/stages.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"
#include "tests/support/eal.h"
#include "tests/support/packet_builder.h"

using namespace sluice;

namespace {

uint32_t be32(const uint8_t* p) {
    return wire::get32(p);
}

CtTuple tuple_of(const PacketKey& key, const PacketFacts& facts) {
    CtTuple t{};
    t.is_v6 = key.kinds & kind::kIp6 ? 1 : 0;
    for (unsigned i = 0; i < 4; ++i) {
        t.src[i] = t.is_v6 ? be32(key.ip_src + 4 * i) : i == 3 ? be32(key.ip_src) : 0;
        t.dst[i] = t.is_v6 ? be32(key.ip_dst + 4 * i) : i == 3 ? be32(key.ip_dst) : 0;
    }
    t.proto = key.ip_proto;
    t.src_port = __builtin_bswap16(key.l4_src);
    t.dst_port = __builtin_bswap16(key.l4_dst);
    if (t.proto == (t.is_v6 ? 58 : 1)) {
        t.icmp_type = facts.icmp_type;
        t.icmp_code = facts.icmp_code;
        t.src_port = t.dst_port = facts.icmp_id;
    }
    return t;
}

void parse_address(const std::string& text, uint32_t* words, bool* is_v6) {
    *is_v6 = text.size() == 32;
    for (unsigned i = 0; i < text.size() / 8; ++i) {
        words[*is_v6 ? i : 3] =
            static_cast<uint32_t>(std::stoul(text.substr(8 * i, 8), nullptr, 16));
    }
}

void parse_range(const std::string& text, CtNat kind, CtNatRange* nat) {
    nat->kind = kind;
    const size_t colon = text.find(':');
    const std::string addresses = text.substr(0, colon);
    const size_t dash = addresses.find('-');
    parse_address(addresses.substr(0, dash), nat->low, &nat->is_v6);
    parse_address(dash == std::string::npos ? addresses : addresses.substr(dash + 1), nat->high,
                  &nat->is_v6);
    if (colon != std::string::npos) {
        const std::string ports = text.substr(colon + 1);
        const size_t split = ports.find('-');
        nat->port_low = static_cast<uint16_t>(std::stoul(ports.substr(0, split)));
        nat->port_high = split == std::string::npos
                             ? nat->port_low
                             : static_cast<uint16_t>(std::stoul(ports.substr(split + 1)));
    }
}

struct Step {
    bool commits = false;
    uint16_t zone = 0;
    CtCommitArgs args;
};

Step parse_step(const std::string& text) {
    Step step;
    const size_t colon = text.find(':');
    step.zone = static_cast<uint16_t>(std::stoul(text.substr(0, colon)));
    std::istringstream words(text.substr(colon + 1));
    for (std::string word; std::getline(words, word, ',');) {
        const std::string value = word.substr(std::min(word.find('=') + 1, word.size()));
        const size_t slash = value.find('/');
        if (word == "commit") {
            step.commits = true;
        } else if (word == "nat") {
            step.args.nat.kind = CtNat::kRestore;
        } else if (word.starts_with("src=")) {
            parse_range(value, CtNat::kSrc, &step.args.nat);
        } else if (word.starts_with("dst=")) {
            parse_range(value, CtNat::kDst, &step.args.nat);
        } else if (word.starts_with("mark=")) {
            step.args.marks.mark = static_cast<uint32_t>(std::stoul(value, nullptr, 0));
            step.args.marks.mark_mask =
                static_cast<uint32_t>(std::stoul(value.substr(slash + 1), nullptr, 0));
        } else if (word.starts_with("label=")) {
            step.args.marks.label[3] = static_cast<uint32_t>(std::stoul(value, nullptr, 0));
            step.args.marks.label_mask[3] =
                static_cast<uint32_t>(std::stoul(value.substr(slash + 1), nullptr, 0));
        }
    }
    return step;
}

/// A packet on its way through steps, as a walk keeps it.
struct Walker {
    Conntrack& ct;
    CtTuple tuple;  ///< as the packet reads now; of an error the outer one
    PacketFacts facts;
    uint32_t state = 0;
    uint16_t zone = 0;
    bool keeps_view = false;  ///< of the step before, which had no NAT
    CtView view{};

    void translate() {
        if (!view.has_nat) {
            return;
        }
        if (view.is_related) {
            std::copy_n(view.outer_src, 4, tuple.src);
            std::copy_n(view.outer_dst, 4, tuple.dst);
            const uint16_t none = facts.inner.zone;
            facts.inner = view.translated;
            facts.inner.zone = none;
            return;
        }
        tuple = view.translated;
        facts.icmp_id = view.translated.src_port;
    }

    void run(const Step& step, uint64_t now_ms, uint32_t bytes) {
        if (step.zone != zone) {
            state = 0;
            keeps_view = false;
        }
        const bool wants_nat = step.args.nat.kind != CtNat::kNone;
        constexpr uint32_t kNatBits = ct::kSnat | ct::kDnat;
        const uint32_t had = state & kNatBits;
        const bool known = keeps_view && view.conn;
        CtTuple asked = tuple;
        asked.zone = step.zone;
        asked.natted = had ? 1 : 0;
        if (known && !step.commits) {
            // Nothing is judged again; only NAT and the marks as they are now.
            CtView again;
            if (wants_nat && view.has_nat && !had) {
                state |= view.nat_state;
                translate();
            }
            ct.lookup(asked, facts, now_ms, &again);
            view.mark = again.conn ? again.mark : view.mark;
        } else if (known) {
            const uint32_t before = state;
            view.ct_state = before;
            ct.commit(asked, facts, step.args, now_ms, &view, bytes);
            state = view.ct_state;
            if (wants_nat && !had) {
                translate();
            }
        } else {
            view = CtView{};
            if (step.commits) {
                ct.commit(asked, facts, step.args, now_ms, &view, bytes);
                state = view.ct_state;
            } else {
                ct.lookup(asked, facts, now_ms, &view);
                ct.touch(view, facts, bytes, now_ms);
                state = view.ct_state | (wants_nat && view.has_nat ? view.nat_state : 0);
            }
            if (wants_nat) {
                translate();
            }
        }
        zone = step.zone;
        keeps_view = !wants_nat && view.conn && !view.reopens;
    }
};

void print(const CtTuple& t) {
    for (const uint32_t* a : {t.src, t.dst}) {
        if (t.is_v6) {
            std::printf(" %08x%08x%08x%08x", a[0], a[1], a[2], a[3]);
        } else {
            std::printf(" %08x", a[3]);
        }
    }
    const bool icmp = t.proto == (t.is_v6 ? 58 : 1);
    const bool ports = t.proto == 6 || t.proto == 17;
    std::printf(" %u %u %u", t.proto, ports || icmp ? t.src_port : 0,
                ports  ? t.dst_port
                : icmp ? t.icmp_type
                       : 0);
}

}  // namespace

int main() {
    rte_mempool* pool = test_pool();
    ConntrackConfig config;
    config.max_connections = 100000;
    auto ct = Conntrack::create(config);
    uint64_t swept = 0;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream in(line);
        uint64_t now_ms;
        std::string hex;
        in >> now_ms >> hex;
        const test::Bytes frame = test::from_hex(hex);
        rte_mbuf* m = rte_pktmbuf_alloc(pool);
        std::memcpy(rte_pktmbuf_append(m, static_cast<uint16_t>(frame.size())), frame.data(),
                    frame.size());
        PacketKey& key = meta_of(m).key;
        parse_packet(m, &key);
        Walker walker{**ct, {}, {}};
        read_facts(m, key, &walker.facts);
        walker.tuple = tuple_of(key, walker.facts);
        for (std::string word; in >> word;) {
            walker.run(parse_step(word), now_ms, m->pkt_len);
        }
        std::printf("%02x %08x %08x", walker.state, walker.view.mark, walker.view.label[3]);
        print(walker.tuple);
        if (walker.facts.has_inner) {
            print(walker.facts.inner);
        }
        std::printf("\n");
        rte_pktmbuf_free(m);
        if (now_ms > swept + 5000) {
            swept = now_ms;
            (*ct)->sweep(0, now_ms, 1000);
        }
    }
    return 0;
}
