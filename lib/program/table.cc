// SPDX-License-Identifier: Apache-2.0
#include "lib/program/table.h"

#include <emmintrin.h>

namespace sluice {

const char* form_name(Form form) {
    switch (form) {
    case Form::kConst: return "const";
    case Form::kLinear: return "linear";
    case Form::kHash: return "hash";
    case Form::kLpm: return "lpm";
    case Form::kDirect: return "direct";
    case Form::kBitmap: return "bitmap";
    }
    return "?";
}

int first_row_plain(const uint32_t* const* rows, unsigned n_rows, unsigned n_blocks,
                    const Block* pool) {
    for (unsigned b = 0; b < n_blocks; ++b) {
        for (unsigned w = 0; w < kBlockRows / 64; ++w) {
            uint64_t bits = ~uint64_t{0};
            for (unsigned i = 0; i < n_rows && bits != 0; ++i) {
                bits &= pool[rows[i][b]].bits[w];
            }
            if (bits != 0) {
                return static_cast<int>(b * kBlockRows + w * 64) + __builtin_ctzll(bits);
            }
        }
    }
    return -1;
}

namespace {

/// True when one of the blocks is the empty one.
inline bool any_empty(const uint32_t* const* rows, unsigned n_rows, unsigned b) {
    for (unsigned i = 0; i < n_rows; ++i) {
        if (rows[i][b] == 0) {
            return true;
        }
    }
    return false;
}

inline int first_bit(const uint64_t* bits, unsigned b) {
    for (unsigned w = 0; w < kBlockRows / 64; ++w) {
        if (bits[w] != 0) {
            return static_cast<int>(b * kBlockRows + w * 64) + __builtin_ctzll(bits[w]);
        }
    }
    return -1;
}

}  // namespace

int first_row_sse2(const uint32_t* const* rows, unsigned n_rows, unsigned n_blocks,
                   const Block* pool) {
    for (unsigned b = 0; b < n_blocks; ++b) {
        if (any_empty(rows, n_rows, b)) {
            continue;
        }
        __m128i acc[4];
        for (__m128i& a : acc) {
            a = _mm_set1_epi32(-1);
        }
        for (unsigned i = 0; i < n_rows; ++i) {
            const auto* from = reinterpret_cast<const __m128i*>(pool[rows[i][b]].bits);
            for (unsigned w = 0; w < 4; ++w) {
                acc[w] = _mm_and_si128(acc[w], _mm_load_si128(from + w));
            }
        }
        alignas(16) uint64_t bits[kBlockRows / 64];
        for (unsigned w = 0; w < 4; ++w) {
            _mm_store_si128(reinterpret_cast<__m128i*>(bits) + w, acc[w]);
        }
        const int row = first_bit(bits, b);
        if (row >= 0) {
            return row;
        }
    }
    return -1;
}

bool cpu_has_avx2() {
    return __builtin_cpu_supports("avx2");
}
bool cpu_has_avx512() {
    return __builtin_cpu_supports("avx512f");
}

namespace {

FirstRowFn choose() {
    __builtin_cpu_init();
    if (cpu_has_avx512()) {
        return first_row_avx512;
    }
    return cpu_has_avx2() ? first_row_avx2 : first_row_sse2;
}

}  // namespace

const FirstRowFn first_row = choose();

const char* first_row_name() {
    if (first_row == first_row_avx512) {
        return "avx512";
    }
    return first_row == first_row_avx2 ? "avx2" : "sse2";
}

}  // namespace sluice
