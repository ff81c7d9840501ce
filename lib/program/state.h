// SPDX-License-Identifier: Apache-2.0
// The state a walk works on: packet header fields and logical fields as 80 host-order words.
//
// The compiler lowers every match to (slot, mask, value) tests and every action to writes of
// slots; the walk runs them on one State and never on packet bytes. Wide fields take consecutive
// slots, most significant first, so xxreg0 is reg0..reg3 as ovn-sb(5) lays them out. Fields of
// protocols the packet does not have are zero. One State is 320 bytes on a worker's stack.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

inline constexpr unsigned kSlots = 80;

enum class FieldLevel : uint8_t { kNominal, kOrdinal, kString };

enum class FieldId : uint8_t {
#define SLUICE_FIELD(id, name, slot, shift, bits, level) k##id,
#include "lib/program/fields.def"
#undef SLUICE_FIELD
    kCount
};

struct FieldInfo {
    const char* name;  ///< OVN's name, "" when the language cannot name it
    uint8_t slot;      ///< first (most significant) slot
    uint8_t shift;     ///< of the least significant bit in the last slot
    uint8_t bits;
    FieldLevel level;
    constexpr unsigned slots() const { return (shift + bits + 31u) / 32u; }
    constexpr unsigned last_slot() const { return slot + slots() - 1u; }
};

inline constexpr FieldInfo kFields[] = {
#define SLUICE_FIELD(id, name, slot, shift, bits, level) \
    {name, slot, shift, bits, FieldLevel::level},
#include "lib/program/fields.def"
#undef SLUICE_FIELD
};

constexpr const FieldInfo& field_info(FieldId id) {
    return kFields[static_cast<size_t>(id)];
}

/// First slots by name, for code that reads a State directly.
enum Slot : uint8_t {
#define SLUICE_FIELD(id, name, slot, shift, bits, level) kSlot##id = slot,
#include "lib/program/fields.def"
#undef SLUICE_FIELD
};

/// Where one bit of a field lives: bit `ofs` counted from the field's least significant bit.
struct BitLocation {
    uint8_t slot;
    uint8_t bit;
};
constexpr BitLocation locate(FieldId id, unsigned ofs) {
    const FieldInfo& f = field_info(id);
    const unsigned bit = f.shift + ofs;
    return {static_cast<uint8_t>(f.last_slot() - bit / 32u), static_cast<uint8_t>(bit % 32u)};
}

struct alignas(64) State {
    uint32_t w[kSlots];

    uint64_t mac(unsigned slot) const { return static_cast<uint64_t>(w[slot]) << 32 | w[slot + 1]; }
    void set_mac(unsigned slot, uint64_t mac) {
        w[slot] = static_cast<uint32_t>(mac >> 32) & 0xffffu;
        w[slot + 1] = static_cast<uint32_t>(mac);
    }
};
static_assert(sizeof(State) == 320);

/// The spare slot of State: scratch space of compiled moves; in a SlotMask `uses` bits.
inline constexpr unsigned kSlotUses = kSlots - 1;
namespace uses {
inline constexpr uint32_t kConntrack = 1u << 0;  ///< asks the connection table
}  // namespace uses

/// Bits of a State that some code looks at; the union over a pipeline gives its cache key mask.
struct SlotMask {
    uint32_t w[kSlots] = {};
    SlotMask& operator|=(const SlotMask& other) {
        for (unsigned i = 0; i < kSlots; ++i) {
            w[i] |= other.w[i];
        }
        return *this;
    }
    bool operator==(const SlotMask&) const = default;
};

/// Logical flags (ovn-sb(5) "flags"), bit numbers as OVN's parser defines them.
namespace flag {
inline constexpr uint32_t kLoopback = 1u << 0;
inline constexpr uint32_t kFromRamp = 1u << 1;   ///< from a VTEP gateway: not into tunnels again
inline constexpr uint32_t kLocalOnly = 1u << 4;  ///< does not leave by a localnet port
inline constexpr uint32_t kFromLocalnet = 1u << 15;
inline constexpr uint32_t kTunnelRx = 1u << 16;
inline constexpr uint32_t kFromCtrl = 1u << 19;
}  // namespace flag

/// ct_state bits as ovn-sb(5) numbers them.
namespace ct {
inline constexpr uint32_t kNew = 1u << 0;
inline constexpr uint32_t kEst = 1u << 1;
inline constexpr uint32_t kRel = 1u << 2;
inline constexpr uint32_t kRpl = 1u << 3;
inline constexpr uint32_t kInv = 1u << 4;
inline constexpr uint32_t kTrk = 1u << 5;
inline constexpr uint32_t kSnat = 1u << 6;
inline constexpr uint32_t kDnat = 1u << 7;
}  // namespace ct

/// CtProto, CtTpSrc, CtTpDst lie beside ct_state and the others and are forgotten with them.
inline constexpr unsigned kCtOriginalWords = kSlotCtTpDst - kSlotCtProto + 1;

/// First multicast group key; smaller non-zero keys are ports (ovn-sb(5) Multicast_Group).
inline constexpr uint32_t kFirstGroupKey = 32768;

}  // namespace sluice
