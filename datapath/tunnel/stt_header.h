// SPDX-License-Identifier: Apache-2.0
// The STT frame header: 18 bytes in front of the inner frame, flags counted from the lowest bit.
#pragma once

#include <cstdint>
#include <cstring>

#include "lib/base/limits.h"
#include "lib/net/wire.h"

namespace sluice {

struct SttHeader {
    static constexpr uint8_t kVerified = 0x01;  ///< C: the inner checksum is known to be right
    static constexpr uint8_t kPartial = 0x02;   ///< P: it holds the pseudo header's sum
    static constexpr uint8_t kIp4 = 0x04;       ///< V, means something with P
    static constexpr uint8_t kTcp = 0x08;       ///< T, same
    static constexpr unsigned kWorkerBits = 6;  ///< of a frame identifier: who sent it

    uint8_t version;
    uint8_t flags;
    uint8_t l4_offset;  ///< from the start of the inner frame
    uint16_t mss;
    uint16_t tci;  ///< 0x1000: there is a tag
    uint64_t context;
};
static_assert(1u << SttHeader::kWorkerBits >= limits::kMaxWorkers);

/// `coordinates`: datapath key << 32 | inport << 16 | outport.
constexpr uint64_t stt_context(uint64_t coordinates) {
    return (coordinates >> 16 & 0x7fff) << 40 | (coordinates & 0xffff) << 24 |
           (coordinates >> 32 & 0xffffff);
}

inline void write_stt_header(uint8_t* at, const SttHeader& h) {
    at[0] = h.version;
    at[1] = h.flags;
    at[2] = h.l4_offset;
    at[3] = 0;
    wire::put16(at + 4, h.mss);
    wire::put16(at + 6, h.tci);
    wire::put32(at + 8, static_cast<uint32_t>(h.context >> 32));
    wire::put32(at + 12, static_cast<uint32_t>(h.context));
    wire::put16(at + 16, 0);
}

inline SttHeader read_stt_header(const uint8_t* at) {
    return {at[0],
            at[1],
            at[2],
            wire::get16(at + 4),
            wire::get16(at + 6),
            uint64_t{wire::get32(at + 8)} << 32 | wire::get32(at + 12)};
}

}  // namespace sluice
