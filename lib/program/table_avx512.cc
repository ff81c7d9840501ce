// SPDX-License-Identifier: Apache-2.0
// Built with -mavx512f; runs only where cpu_has_avx512(). See table_avx2.cc about inline functions.
#include <immintrin.h>

#include "lib/program/table.h"

namespace sluice {

int first_row_avx512(const uint32_t* const* rows, unsigned n_rows, unsigned n_blocks,
                     const Block* pool) {
    for (unsigned b = 0; b < n_blocks; ++b) {
        __m512i acc = _mm512_set1_epi32(-1);
        unsigned i = 0;
        for (; i < n_rows; ++i) {
            const uint32_t id = rows[i][b];
            if (id == 0) {
                break;
            }
            acc = _mm512_and_si512(acc, _mm512_load_si512(pool[id].bits));
        }
        const __mmask8 full =
            i < n_rows ? static_cast<__mmask8>(0) : _mm512_test_epi64_mask(acc, acc);
        if (full != 0) {
            const auto word = static_cast<unsigned>(__builtin_ctz(full));
            alignas(64) uint64_t words[8];
            _mm512_store_si512(words, acc);
            return static_cast<int>(b * kBlockRows + word * 64) + __builtin_ctzll(words[word]);
        }
    }
    return -1;
}

}  // namespace sluice
