// SPDX-License-Identifier: Apache-2.0
// Built with -mavx2; runs only where there is AVX2. No inline function of a shared header may be
// called here: the linker could keep this unit's copy for everybody.
#include <immintrin.h>

#include "lib/net/payload_sum.h"

namespace sluice::checksum {
namespace {

/// Copies if asked to. 32-bit words into 64-bit lanes: no carry is lost below 2^32 words.
template <bool kCopies>
inline uint64_t pass(uint8_t* to, const uint8_t* from, size_t len) {
    const __m256i mask = _mm256_set1_epi64x(0xffffffff);
    __m256i low = _mm256_setzero_si256();
    __m256i high = low;
    for (; len >= 32; len -= 32, from += 32) {
        const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
        if constexpr (kCopies) {
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v);
            to += 32;
        }
        low = _mm256_add_epi64(low, _mm256_and_si256(v, mask));
        high = _mm256_add_epi64(high, _mm256_srli_epi64(v, 32));
    }
    low = _mm256_add_epi64(low, high);
    const __m128i half =
        _mm_add_epi64(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    auto sum = static_cast<uint64_t>(_mm_extract_epi64(half, 0)) +
               static_cast<uint64_t>(_mm_extract_epi64(half, 1));
    while (len >= 4) {
        uint32_t v;
        __builtin_memcpy(&v, from, 4);
        if constexpr (kCopies) {
            __builtin_memcpy(to, &v, 4);
            to += 4;
        }
        sum += v;
        from += 4;
        len -= 4;
    }
    uint32_t last = 0;
    __builtin_memcpy(&last, from, len);
    if constexpr (kCopies) {
        __builtin_memcpy(to, &last, len);
    }
    return sum + last;
}

}  // namespace

uint64_t sum_payload_avx2(const void* data, size_t len) {
    return pass<false>(nullptr, static_cast<const uint8_t*>(data), len);
}

uint64_t copy_payload_avx2(void* to, const void* from, size_t len) {
    return pass<true>(static_cast<uint8_t*>(to), static_cast<const uint8_t*>(from), len);
}

}  // namespace sluice::checksum
