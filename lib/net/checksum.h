// SPDX-License-Identifier: Apache-2.0
// Internet checksums (RFC 1071) and their incremental update (RFC 1624, equation 3).
//
// Values are 16-bit words as they lie in memory: one's complement sums do not care about byte
// order as long as everything is loaded the same way. Changed bytes must start at an even offset
// of what the checksum covers and are given in pairs.
#pragma once

#include <emmintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sluice::checksum {

constexpr uint16_t fold(uint64_t sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(sum);
}

/// Sum of 16-bit words; an odd last byte counts as if followed by zero.
inline uint64_t sum(const void* data, size_t len, uint64_t start = 0) {
    const auto* p = static_cast<const uint8_t*>(data);
    uint64_t s = start;
    if (len >= 32) {
        // 32-bit words into 64-bit lanes: no carry is lost below 2^32 words.
        const __m128i zero = _mm_setzero_si128();
        __m128i low = zero;
        __m128i high = zero;
        for (; len >= 16; len -= 16, p += 16) {
            const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
            low = _mm_add_epi64(low, _mm_unpacklo_epi32(v, zero));
            high = _mm_add_epi64(high, _mm_unpackhi_epi32(v, zero));
        }
        low = _mm_add_epi64(low, high);
        s += static_cast<uint64_t>(_mm_cvtsi128_si64(low)) +
             static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(low, low)));
    }
    for (; len >= 4; len -= 4, p += 4) {
        uint32_t v;
        std::memcpy(&v, p, 4);
        s += v;
    }
    if (len >= 2) {
        uint16_t v;
        std::memcpy(&v, p, 2);
        s += v;
        p += 2;
        len -= 2;
    }
    if (len) {
        uint16_t v = 0;
        std::memcpy(&v, p, 1);
        s += v;
    }
    return s;
}

/// The checksum of `len` bytes whose checksum field is zero.
inline uint16_t of(const void* data, size_t len) {
    return static_cast<uint16_t>(~fold(sum(data, len)));
}

/// True when a header that includes its checksum is intact.
inline bool good(const void* data, size_t len) {
    return fold(sum(data, len)) == 0xffff;
}

/// What `checksum` becomes when `len` (even) bytes `before` turn into `after`.
inline uint16_t update(uint16_t checksum, const void* before, const void* after, size_t len) {
    const auto* from = static_cast<const uint8_t*>(before);
    const auto* to = static_cast<const uint8_t*>(after);
    uint64_t s = static_cast<uint16_t>(~checksum);
    for (size_t i = 0; i < len; i += 2) {
        uint16_t a;
        uint16_t b;
        std::memcpy(&a, from + i, 2);
        std::memcpy(&b, to + i, 2);
        s += static_cast<uint16_t>(~a);
        s += b;
    }
    return static_cast<uint16_t>(~fold(s));
}

}  // namespace sluice::checksum
