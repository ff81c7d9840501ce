// SPDX-License-Identifier: Apache-2.0
#include "datapath/lb_hairpin.h"

#include <algorithm>

#include "datapath/conntrack/conntrack.h"

namespace sluice {
namespace {

constexpr uint32_t kEthIp4 = 0x0800;
constexpr uint32_t kEthIp6 = 0x86dd;
constexpr uint32_t kNatted = 2;  // ct_mark.natted, ct_label.natted

struct Address {
    uint32_t w[4];
    bool operator==(const uint32_t other[4]) const { return std::equal(w, w + 4, other); }
};

bool is_ip(const State& s) {
    return s.w[kSlotEthType] == kEthIp4 || s.w[kSlotEthType] == kEthIp6;
}

Address at(const State& s, unsigned slot4, unsigned slot6) {
    if (s.w[kSlotEthType] == kEthIp4) {
        return {{0, 0, 0, s.w[slot4]}};
    }
    return {{s.w[slot6], s.w[slot6 + 1], s.w[slot6 + 2], s.w[slot6 + 3]}};
}

bool same_family(bool is_v6, const State& s) {
    return is_v6 == (s.w[kSlotEthType] == kEthIp6);
}

uint8_t proto_of(const State& s) {
    return static_cast<uint8_t>(s.w[kSlotIpProto]);
}

/// What northd noted about where the packet was sent to.
struct Noted {
    Address vip;
    uint32_t port;
};
Noted noted_in_registers(const LbHairpins& table, const State& s) {
    return {at(s, table.vip4_slot, kSlotXxreg1), s.w[kSlotXxreg0 + 2] & 0xffffu};
}

/// The VIP of packets of northds that leave it to the connection.
bool connection_is(const State& s, const CtTuple* original, bool is_v6, const uint32_t vip[4]) {
    constexpr uint32_t kBits = ct::kTrk | ct::kDnat;
    return original && (s.w[kSlotCtState] & kBits) == kBits && original->is_v6 == is_v6 &&
           std::equal(vip, vip + 4, original->dst);
}

}  // namespace

const LbHairpin* chk_lb_hairpin(const LbHairpins* table, const State& s, const CtTuple* original) {
    if (!table || !is_ip(s)) {
        return nullptr;
    }
    const uint32_t marks = table->natted_in_mark ? s.w[kSlotCtMark] : s.w[kSlotCtLabel + 3];
    const Address src = at(s, kSlotIp4Src, kSlotIp6Src);
    const Address dst = at(s, kSlotIp4Dst, kSlotIp6Dst);
    if (!(marks & kNatted) || !(src == dst.w)) {
        return nullptr;
    }
    const uint64_t key = LbHairpins::key(dst.w);
    const LbHairpins::Shard& shard = table->shard(key);
    const LbHairpins::Range* range = shard.by_backend.find(key);
    const Noted noted = noted_in_registers(*table, s);
    for (uint32_t i = range ? range->begin : 0; range && i < range->end; ++i) {
        const LbHairpin& h = shard.entries[i];
        if (!same_family(h.is_v6, s) || !(dst == h.backend)) {
            continue;
        }
        const bool any_port = h.backend_port == 0;
        if (!any_port && (proto_of(s) != h.proto || s.w[kSlotL4Dst] != h.backend_port)) {
            continue;
        }
        const bool came_for_vip =
            h.in_registers ? noted.vip == h.vip && (any_port || noted.port == h.vip_port)
                           : connection_is(s, original, h.is_v6, h.vip) &&
                                 (any_port ||
                                  (original->proto == h.proto && original->dst_port == h.vip_port));
        if (came_for_vip) {
            return &h;
        }
    }
    return nullptr;
}

void open_hairpin_session(const LbHairpin& hairpin, const State& s, uint32_t datapath) {
    if (hairpin.session) {
        hairpin.session->set(datapath, proto_of(s));
    }
}

HairpinReply chk_lb_hairpin_reply(const LbHairpins* table, const State& s, uint32_t datapath) {
    if (!table || !is_ip(s)) {
        return HairpinReply::kNo;
    }
    const Address src = at(s, kSlotIp4Src, kSlotIp6Src);
    const Address dst = at(s, kSlotIp4Dst, kSlotIp6Dst);
    const uint64_t key = LbHairpins::key(src.w);
    const LbHairpins::Shard& shard = table->shard(key);
    const LbHairpins::Range* range = shard.by_backend.find(key);
    auto answer = HairpinReply::kNo;
    for (uint32_t i = range ? range->begin : 0; range && i < range->end; ++i) {
        const LbHairpin& h = shard.entries[i];
        if (!same_family(h.is_v6, s) || !(src == h.backend) || !(dst == h.snat)) {
            continue;
        }
        if (h.backend_port != 0 && (proto_of(s) != h.proto || s.w[kSlotL4Src] != h.backend_port)) {
            continue;
        }
        if (h.session && h.session->has(datapath, proto_of(s))) {
            return HairpinReply::kYes;
        }
        answer = HairpinReply::kNotYet;
    }
    return answer;
}

const LbVip* hairpin_vip(const LbHairpins* table, const State& s, const CtTuple* original) {
    if (!table || !is_ip(s)) {
        return nullptr;
    }
    const Noted noted = noted_in_registers(*table, s);
    const auto find = [&](const uint32_t address[4], bool in_registers) -> const LbVip* {
        const uint64_t key = LbHairpins::key(address);
        const LbHairpins::Shard& shard = table->shard(key);
        const LbHairpins::Range* range = shard.by_vip.find(key);
        for (uint32_t i = range ? range->begin : 0; range && i < range->end; ++i) {
            const LbVip& v = shard.vips[i];
            if (v.in_registers != in_registers || !same_family(v.is_v6, s) ||
                !std::equal(v.vip, v.vip + 4, address) || (v.port != 0 && proto_of(s) != v.proto)) {
                continue;
            }
            if (in_registers ? v.port == 0 || noted.port == v.port
                             : connection_is(s, original, v.is_v6, v.vip) &&
                                   (v.port == 0 ||
                                    (original->proto == v.proto && original->dst_port == v.port))) {
                return &v;
            }
        }
        return nullptr;
    };
    if (const LbVip* found = find(noted.vip.w, true)) {
        return found;
    }
    return original ? find(original->dst, false) : nullptr;
}

}  // namespace sluice
