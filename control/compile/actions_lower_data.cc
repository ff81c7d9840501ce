// SPDX-License-Identifier: Apache-2.0
#include "control/compile/actions_lower_data.h"

#include <algorithm>

#include "control/compile/actions_lower.h"

namespace sluice::compile {

namespace {

struct Piece {
    uint8_t dst_slot;
    uint8_t dst_bit;
    uint8_t src_slot;
    uint8_t src_bit;
    unsigned width;
};

/// Runs of bits that lie in one slot on both sides, from the low end.
std::vector<Piece> split(const FieldRef& dst, const FieldRef& src) {
    std::vector<Piece> out;
    const unsigned width = std::min(dst.width, src.width);
    for (unsigned i = 0; i < width;) {
        const BitLocation d = locate(dst.id, dst.ofs + i);
        const BitLocation s = locate(src.id, src.ofs + i);
        const unsigned w = std::min({width - i, 32u - d.bit, 32u - s.bit});
        out.push_back({d.slot, d.bit, s.slot, s.bit, w});
        i += w;
    }
    return out;
}

Instr move_instr(Op op, const Piece& p) {
    Instr i{op};
    i.a = p.dst_slot;
    i.b = p.src_slot;
    i.c = p.dst_bit;
    i.d = p.src_bit;
    i.e = p.width;
    return i;
}

/// The words of a value on the stack: [ofs, ofs + width), low end first.
std::vector<FieldRef> words_of(const FieldRef& field) {
    std::vector<FieldRef> out;
    for (unsigned i = 0; i < field.width; i += 32) {
        out.push_back({field.id, static_cast<uint16_t>(field.ofs + i),
                       static_cast<uint16_t>(std::min(32u, field.width - i))});
    }
    return out;
}

}  // namespace

void DataLowering::load(const FieldRef& dst, U128 value, U128 mask) {
    for (unsigned i = 0; i < dst.width;) {
        const BitLocation at = locate(dst.id, dst.ofs + i);
        const unsigned w = std::min<unsigned>(dst.width - i, 32u - at.bit);
        const auto bits = static_cast<uint32_t>(mask >> i & ones(w));
        if (bits != 0) {
            Instr instr{Op::kLoad};
            instr.a = at.slot;
            instr.d = (static_cast<uint32_t>(value >> i) & bits) << at.bit;
            instr.e = bits << at.bit;
            out_.push_back(instr);
        }
        i += w;
    }
}

void DataLowering::pieces(Op op, const FieldRef& dst, const FieldRef& src, bool from_low) {
    std::vector<Piece> list = split(dst, src);
    if (!from_low) {
        std::reverse(list.begin(), list.end());
    }
    for (const Piece& p : list) {
        out_.push_back(move_instr(op, p));
    }
}

void DataLowering::move(const FieldRef& dst, const FieldRef& src) {
    if (dst == src) {
        return;
    }
    pieces(Op::kMove, dst, src, !overlaps(dst, src) || dst.ofs < src.ofs);
}

void DataLowering::exchange(const FieldRef& a, const FieldRef& b) {
    if (a == b) {
        return;
    }
    if (!overlaps(a, b)) {
        pieces(Op::kExchange, a, b, true);
        return;
    }
    // OVN goes over the stack, so the left side's write is the last.
    push(b);
    push(a);
    pop(b);
    pop(a);
}

void DataLowering::move_in(const FieldRef& dst, unsigned slot) {
    unsigned at = 0;
    for (unsigned i = 0; i < dst.width;) {
        const BitLocation d = locate(dst.id, dst.ofs + i);
        const unsigned w = std::min<unsigned>(dst.width - i, 32u - d.bit);
        out_.push_back(move_instr(
            Op::kMove, {d.slot, d.bit, static_cast<uint8_t>(slot), static_cast<uint8_t>(at), w}));
        i += w;
        at += w;
    }
}

void DataLowering::move_out(const FieldRef& src, unsigned slot) {
    unsigned at = 0;
    for (unsigned i = 0; i < src.width;) {
        const BitLocation s = locate(src.id, src.ofs + i);
        const unsigned w = std::min<unsigned>(src.width - i, 32u - s.bit);
        out_.push_back(move_instr(
            Op::kMove, {static_cast<uint8_t>(slot), static_cast<uint8_t>(at), s.slot, s.bit, w}));
        i += w;
        at += w;
    }
}

void DataLowering::push(const FieldRef& field) {
    std::vector<FieldRef> words = words_of(field);
    std::reverse(words.begin(), words.end());
    for (const FieldRef& word : words) {
        const BitLocation at = locate(word.id, word.ofs);
        Instr instr{Op::kPush};
        instr.b = at.slot;
        instr.d = at.bit;
        instr.e = word.width;
        if (at.bit + word.width > 32u) {
            move_out(word, kScratchSlot);
            instr.b = kScratchSlot;
            instr.d = 0;
        }
        out_.push_back(instr);
    }
    widths_.push_back(static_cast<unsigned>(words.size()));
}

void DataLowering::pop(const FieldRef& field) {
    const std::vector<FieldRef> words = words_of(field);
    size_t there = words.size();
    if (!widths_.empty()) {
        there = widths_.back();
        widths_.pop_back();
    }
    for (size_t i = 0; i < std::max(words.size(), there); ++i) {
        if (i >= there) {
            load(words[i], 0, ones(words[i].width));
            continue;
        }
        const bool wanted = i < words.size();
        const BitLocation at = wanted ? locate(words[i].id, words[i].ofs)
                                      : BitLocation{static_cast<uint8_t>(kScratchSlot), 0};
        Instr instr{Op::kPop};
        instr.a = at.slot;
        instr.c = at.bit;
        instr.e = wanted ? words[i].width : 32;
        const bool straddles = at.bit + instr.e > 32u;
        if (straddles) {
            instr.a = kScratchSlot;
            instr.c = 0;
        }
        out_.push_back(instr);
        if (straddles) {
            move_in(words[i], kScratchSlot);
        }
    }
}

}  // namespace sluice::compile
