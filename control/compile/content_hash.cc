// SPDX-License-Identifier: Apache-2.0
#include "control/compile/content_hash.h"

namespace sluice::compile {

namespace {

constexpr ContentHash kScale{0xbf58476d1ce4e5b9ull, 0x94d049bb133111ebull};

void add_code(const Code& code, ContentHash* hash) {
    hash->add(code.instrs.size());
    for (const Instr& i : code.instrs) {
        hash->add(static_cast<uint64_t>(i.op) << 32 | i.a << 16 | i.b << 8 | i.c);
        hash->add(uint64_t{i.d} << 32 | i.e);
        hash->add(i.f);
        hash->add(reinterpret_cast<uintptr_t>(i.p));
    }
    for (const auto& group : code.selects) {
        hash->add(group.size());
        for (const SelectGroup::Entry& entry : group) {
            hash->add(uint64_t{entry.id} << 32 | entry.end);
        }
    }
}

}  // namespace

ContentHash content_of(const LiveRow& row) {
    ContentHash hash;
    hash.add(row.conds.size());
    for (const LiveCond& cond : row.conds) {
        hash.add(static_cast<uint64_t>(cond.slice.id) << 32 | cond.slice.ofs << 16 |
                 cond.slice.width);
        hash.add(cond.values->hash());
        hash.add(cond.values->second_hash());
    }
    hash.add(row.flow->id);
    add_code(*row.flow->code, &hash);
    return hash;
}

void RowsHash::add(const ContentHash& row) {
    sum_ = {sum_.a * kScale.a + row.a, sum_.b * kScale.b + row.b};
    scale_ = {scale_.a * kScale.a, scale_.b * kScale.b};
}

void RowsHash::append(const RowsHash& next) {
    sum_ = {sum_.a * next.scale_.a + next.sum_.a, sum_.b * next.scale_.b + next.sum_.b};
    scale_ = {scale_.a * next.scale_.a, scale_.b * next.scale_.b};
}

ContentHash RowsHash::value() const {
    ContentHash out;
    out.add(sum_.a ^ scale_.b);
    out.add(sum_.b ^ scale_.a);
    return out;
}

}  // namespace sluice::compile
