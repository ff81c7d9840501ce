// SPDX-License-Identifier: Apache-2.0
// Checks for bugs (never for bad input) and marks for hot and cold functions.
//
// SLUICE_CHECK stays in every build; SLUICE_DCHECK only in debug builds. Both abort: a broken
// invariant in a forwarding process is worse than a restart.
#pragma once

#include <cstdio>
#include <cstdlib>

#define SLUICE_LIKELY(x) __builtin_expect(!!(x), 1)
#define SLUICE_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define SLUICE_HOT __attribute__((hot))
#define SLUICE_COLD __attribute__((cold, noinline))
#define SLUICE_INLINE inline __attribute__((always_inline))

namespace sluice {

[[noreturn]] SLUICE_COLD inline void check_failed(const char* expr, const char* file, int line) {
    std::fprintf(stderr, "sluice: %s:%d: check failed: %s\n", file, line, expr);
    std::abort();
}

}  // namespace sluice

#define SLUICE_CHECK(expr)                                     \
    do {                                                       \
        if (SLUICE_UNLIKELY(!(expr))) {                        \
            ::sluice::check_failed(#expr, __FILE__, __LINE__); \
        }                                                      \
    } while (0)

#ifdef NDEBUG
#define SLUICE_DCHECK(expr) \
    do {                    \
    } while (0)
#else
#define SLUICE_DCHECK(expr) SLUICE_CHECK(expr)
#endif
