// SPDX-License-Identifier: Apache-2.0
#include "datapath/tunnel/geneve.h"

#include "lib/net/wire.h"

namespace sluice {
namespace {

using namespace wire;

enum class Option : uint8_t { kOvn, kSkip, kCritical };

Option kind_of(const uint8_t* option, bool legacy) {
    const uint16_t option_class = get16(option);
    const uint8_t type = option[2];
    if (option_class == kOptClassOvn && type == kOptTypeOvn) {
        return Option::kOvn;
    }
    if (legacy && option_class == kOptClassLegacy && type == kOptTypeLegacy) {
        return Option::kOvn;
    }
    return type & 0x80 ? Option::kCritical : Option::kSkip;
}

}  // namespace

Drop parse_geneve(const uint8_t* data, uint32_t len, bool legacy, GeneveHeader* out) {
    if (len < kGeneveLen) {
        return Drop::k_geneve_truncated;
    }
    if (data[0] >> 6 != 0) {
        return Drop::k_geneve_version;
    }
    const uint32_t options = (data[0] & 0x3fu) * 4;
    if (kGeneveLen + options > len) {
        return Drop::k_geneve_truncated;
    }
    if (data[1] & kGeneveOam) {
        return Drop::k_geneve_oam;
    }
    if (get16(data + 2) != kTypeTeb) {
        return Drop::k_geneve_protocol;
    }
    // The sums first: a bad option area is not used at all.
    const uint8_t* const begin = data + kGeneveLen;
    const uint8_t* const end = begin + options;
    for (const uint8_t* p = begin; p != end;) {
        const uint32_t left = static_cast<uint32_t>(end - p);
        const uint32_t size = left < 4 ? ~0u : 4 + (p[3] & 0x1fu) * 4;
        if (size > left) {
            return Drop::k_geneve_option_length;
        }
        p += size;
    }
    const uint8_t* ovn = nullptr;
    for (const uint8_t* p = begin; p != end; p += 4 + (p[3] & 0x1fu) * 4) {
        const Option option = kind_of(p, legacy);
        if (option == Option::kCritical) {
            return Drop::k_geneve_critical_option;
        }
        if (option == Option::kOvn) {
            if ((p[3] & 0x1f) != 1) {
                return Drop::k_geneve_ovn_option;
            }
            ovn = p + 4;
        }
    }
    out->length = kGeneveLen + options;
    out->vni = get24(data + 4);
    if (!ovn && out->vni != 0) {
        return Drop::k_geneve_ovn_option;
    }
    out->inport = ovn ? get16(ovn) & 0x7fff : 0;
    out->outport = ovn ? get16(ovn + 2) : 0;
    return Drop::k_none;
}

bool decapsulate_ecn(uint8_t outer, uint8_t inner, uint8_t* result) {
    constexpr uint8_t kNotEct = 0;
    constexpr uint8_t kEct1 = 1;
    constexpr uint8_t kEct0 = 2;
    constexpr uint8_t kCe = 3;
    outer &= 3;
    inner &= 3;
    *result = inner;
    if (outer == kCe) {
        *result = kCe;
        return inner != kNotEct;
    }
    if (outer == kEct1 && inner == kEct0) {
        *result = kEct1;
    }
    return true;
}

}  // namespace sluice
