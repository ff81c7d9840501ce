// SPDX-License-Identifier: Apache-2.0
#include "control/compile/optimize.h"

namespace sluice::compile {

namespace {

void clear_registers(Known* known) {
    for (unsigned slot = kSlotXxreg0; slot < kSlotXreg4 + 2u; ++slot) {
        known->set(slot, ~0u, 0);
    }
}

/// The smallest number >= lo that has `bits` where `known` is set, within `width` bits.
std::optional<U128> next_with(U128 lo, U128 known, U128 bits, unsigned width) {
    if ((lo & known) == bits) {
        return lo;
    }
    int raise = -1;  // lowest place, so far, where a free 0 of lo can become 1
    for (int i = static_cast<int>(width) - 1; i >= 0; --i) {
        const bool is_known = (known >> i & 1) != 0;
        const bool want = (bits >> i & 1) != 0;
        const bool have = (lo >> i & 1) != 0;
        if (!is_known) {
            raise = have ? raise : i;
        } else if (want && !have) {
            const U128 above = i + 1 >= 128 ? 0 : lo >> (i + 1) << (i + 1);
            return above | (bits & ones(static_cast<unsigned>(i) + 1));
        } else if (!want && have) {
            if (raise < 0) {
                return std::nullopt;
            }
            const U128 above = raise + 1 >= 128 ? 0 : lo >> (raise + 1) << (raise + 1);
            return above | U128{1} << raise | (bits & ones(static_cast<unsigned>(raise)));
        }
    }
    return std::nullopt;
}

}  // namespace

void Known::forget_all() {
    mask.fill(0);
    value.fill(0);
    inport_is_entry = false;
    outport_is_local = false;
}

void Known::join(const Known& other) {
    for (unsigned i = 0; i < kSlots; ++i) {
        mask[i] &= other.mask[i] & ~(value[i] ^ other.value[i]);
        value[i] &= mask[i];
    }
    inport_is_entry = inport_is_entry && other.inport_is_entry;
    outport_is_local = outport_is_local && other.outport_is_local;
}

void Known::slice(const FieldRef& field, U128* known, U128* bits) const {
    const Slice s = state_slice(field);
    U128 k = 0;
    U128 v = 0;
    for (unsigned i = 0; i < s.slots; ++i) {
        k = k << 32 | mask[s.slot + i];
        v = v << 32 | value[s.slot + i];
    }
    *known = k >> s.shift & ones(s.bits);
    *bits = v >> s.shift & ones(s.bits);
}

Known ingress_start() {
    Known known;
    clear_registers(&known);
    known.set(kSlotOutport, ~0u, 0);
    known.set(kSlotRemoteOutport, ~0u, 0);
    known.set(kSlotFlags, ~kEntryFlags, 0);
    known.inport_is_entry = true;
    return known;
}

Known egress_start(const Known* at_output) {
    Known known;
    clear_registers(&known);
    known.set(kSlotFlags, ~kEntryFlags, 0);
    known.outport_is_local = true;
    if (at_output != nullptr) {
        Known local = known;
        local.mask[kSlotFlags] = at_output->mask[kSlotFlags];
        local.value[kSlotFlags] = at_output->value[kSlotFlags];
        known.join(local);
    }
    return known;
}

bool possible(const ValueSet& values, U128 known, U128 bits) {
    for (const ValueRange& r : values.ranges()) {
        const auto v = next_with(r.lo, known, bits, 128);
        if (v && *v <= r.hi) {
            return true;
        }
    }
    return false;
}

}  // namespace sluice::compile
