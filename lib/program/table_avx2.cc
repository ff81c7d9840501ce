// SPDX-License-Identifier: Apache-2.0
// Built with -mavx2; runs only where cpu_has_avx2(). No inline function of a shared header may be
// called here: the linker could keep this unit's copy for everybody.
#include <immintrin.h>

#include "lib/program/table.h"

namespace sluice {

int first_row_avx2(const uint32_t* const* rows, unsigned n_rows, unsigned n_blocks,
                   const Block* pool) {
    for (unsigned b = 0; b < n_blocks; ++b) {
        __m256i low = _mm256_set1_epi32(-1);
        __m256i high = low;
        unsigned i = 0;
        for (; i < n_rows; ++i) {
            const uint32_t id = rows[i][b];
            if (id == 0) {
                break;
            }
            const auto* from = reinterpret_cast<const __m256i*>(pool[id].bits);
            low = _mm256_and_si256(low, _mm256_load_si256(from));
            high = _mm256_and_si256(high, _mm256_load_si256(from + 1));
        }
        if (i < n_rows) {
            continue;
        }
        const __m256i zero = _mm256_setzero_si256();
        for (unsigned half = 0; half < 2; ++half) {
            const __m256i bits = half == 0 ? low : high;
            const auto empty =
                static_cast<unsigned>(_mm256_movemask_epi8(_mm256_cmpeq_epi64(bits, zero)));
            if (empty != 0xffffffffu) {
                const auto word = static_cast<unsigned>(__builtin_ctz(~empty)) / 8;
                alignas(32) uint64_t words[4];
                _mm256_store_si256(reinterpret_cast<__m256i*>(words), bits);
                return static_cast<int>(b * kBlockRows + half * 256 + word * 64) +
                       __builtin_ctzll(words[word]);
            }
        }
    }
    return -1;
}

}  // namespace sluice
