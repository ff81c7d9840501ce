// SPDX-License-Identifier: Apache-2.0
#include "lib/net/payload_sum.h"

#include <emmintrin.h>

#include <cstring>

#include "lib/net/checksum.h"

namespace sluice::checksum {

uint64_t sum_payload_sse2(const void* data, size_t len) {
    return sum(data, len);
}

uint64_t copy_payload_sse2(void* to, const void* from, size_t len) {
    const auto* p = static_cast<const uint8_t*>(from);
    auto* q = static_cast<uint8_t*>(to);
    const __m128i zero = _mm_setzero_si128();
    __m128i low = zero;
    __m128i high = zero;
    for (; len >= 16; len -= 16, p += 16, q += 16) {
        const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(q), v);
        low = _mm_add_epi64(low, _mm_unpacklo_epi32(v, zero));
        high = _mm_add_epi64(high, _mm_unpackhi_epi32(v, zero));
    }
    low = _mm_add_epi64(low, high);
    std::memcpy(q, p, len);
    return sum(p, len,
               static_cast<uint64_t>(_mm_cvtsi128_si64(low)) +
                   static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(low, low))));
}

namespace {

bool is_wide() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

}  // namespace

const SumFn sum_payload = is_wide() ? sum_payload_avx2 : sum_payload_sse2;
const CopyFn copy_payload = is_wide() ? copy_payload_avx2 : copy_payload_sse2;

}  // namespace sluice::checksum
