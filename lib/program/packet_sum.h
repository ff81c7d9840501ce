// SPDX-License-Identifier: Apache-2.0
// The Internet checksum's sum over a packet of any number of segments.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <cstdint>

#include "lib/net/checksum.h"
#include "lib/net/payload_sum.h"

namespace sluice {

/// Sums `len` bytes from `offset` on: folded, not complemented. False: the packet ends before.
inline bool sum_packet(const rte_mbuf* m, uint32_t offset, uint32_t len, uint16_t* sum) {
    if (uint64_t{offset} + len > m->pkt_len) {
        return false;
    }
    uint64_t all = 0;
    bool is_odd = false;  // the next byte is the second of a word
    for (; len > 0; m = m->next) {
        if (offset >= m->data_len) {
            offset -= m->data_len;
            continue;
        }
        const uint32_t n = std::min<uint32_t>(len, m->data_len - offset);
        const uint16_t part = checksum::fold(
            checksum::sum_payload(rte_pktmbuf_mtod_offset(m, const uint8_t*, offset), n));
        all += is_odd ? __builtin_bswap16(part) : part;
        is_odd ^= n & 1;
        len -= n;
        offset = 0;
    }
    *sum = checksum::fold(all);
    return true;
}

}  // namespace sluice
