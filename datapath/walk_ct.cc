// SPDX-License-Identifier: Apache-2.0
// Steps of a walk that ask the connection table.
#include "datapath/walk.h"

namespace sluice {

template <bool kTrace>
bool Walker<kTrace>::exec_ct(const Instr* i, unsigned side) {
    (void)i;
    (void)side;
    drop(Drop::k_no_conntrack);
    return false;
}

template bool Walker<false>::exec_ct(const Instr*, unsigned);
template bool Walker<true>::exec_ct(const Instr*, unsigned);

}  // namespace sluice
