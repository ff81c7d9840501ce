// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "control/compile/ir.h"
#include "control/compile/optimize.h"

namespace sluice::compile {

namespace {

constexpr size_t kShownRanges = 6;

const char* op_name(Op op) {
    static constexpr const char* kNames[] = {
        "next",       "output",       "load",          "move",
        "exchange",   "push",         "pop",           "dec_ttl",
        "clone",      "transform",    "get_arp",       "get_nd",
        "lookup_arp", "lookup_nd",    "lookup_arp_ip", "lookup_nd_ip",
        "put_arp",    "put_nd",       "get_fdb",       "lookup_fdb",
        "put_fdb",    "check_in_sec", "check_out_sec", "check_pkt_larger",
        "select",     "set_queue",    "set_meter",     "ct_clear",
        "ct_next",    "ct_commit",    "ct_lb",         "ct_snat_to_vip",
        "ct_orig",    "chk_hairpin",  "chk_hp_reply",  "commit_lb_aff",
        "chk_lb_aff", "commit_ecmp",  "chk_ecmp",      "chk_ecmp_mac",
        "fwd_group",  "remote_fdb",   "evpn_arp",      "flood_remote",
        "buffer",     "mac_in_use",   "punt",          "drop"};
    static_assert(std::size(kNames) == static_cast<size_t>(Op::kDrop) + 1);
    return kNames[static_cast<size_t>(op)];
}

std::string number(U128 v) {
    const auto high = static_cast<uint64_t>(v >> 64);
    const auto low = static_cast<uint64_t>(v);
    return high != 0 ? fmt::format("{:#x}{:016x}", high, low) : fmt::format("{:#x}", low);
}

}  // namespace

std::string print(const Cond& cond) {
    const FieldInfo& info = field_info(cond.slice.id);
    const char* name = info.name[0] != 0                   ? info.name
                       : cond.slice.id == FieldId::kPktLen ? "(length)"
                                                           : "(hash)";
    std::string out = name;
    if (cond.slice.ofs != 0 || cond.slice.width != info.bits) {
        out += fmt::format("[{}..{}]", cond.slice.ofs, cond.slice.ofs + cond.slice.width - 1);
    }
    const auto& ranges = cond.values->ranges();
    out += ranges.size() > 1 ? " in {" : " in ";
    for (size_t i = 0; i < ranges.size(); ++i) {
        if (i == kShownRanges) {
            out += fmt::format(", ... {} ranges", ranges.size());
            break;
        }
        out += i != 0 ? ", " : "";
        out += number(ranges[i].lo);
        out += ranges[i].lo != ranges[i].hi ? ".." + number(ranges[i].hi) : "";
    }
    return out + (ranges.size() > 1 ? "}" : "");
}

std::string print(const Row& row) {
    std::string out;
    for (const Cond& cond : row.conds) {
        out += out.empty() ? "" : " && ";
        out += print(cond);
    }
    return out.empty() ? "1" : out;
}

std::string print(const LiveRow& live) {
    Row row;
    for (const LiveCond& cond : live.conds) {
        row.conds.push_back({cond.slice, ValueSetPtr(ValueSetPtr(), cond.values)});
    }
    return print(row);
}

std::string print(const Code& code) {
    std::string out;
    for (const Instr& i : code.instrs) {
        out += out.empty() ? "" : " ";
        out += op_name(i.op);
        out += fmt::format("({},{},{},{:#x},{:#x},{});", i.a, i.b, i.c, i.d, i.e, i.f);
    }
    return out;
}

}  // namespace sluice::compile
