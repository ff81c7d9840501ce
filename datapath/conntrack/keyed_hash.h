// SPDX-License-Identifier: Apache-2.0
// KeyedHash: a hash of a few words that the network chooses, which it cannot make collide.
//
// NH (Black, Halevi, Krawczyk, Krovetz, Rogaway: UMAC, CRYPTO 1999) with secret words: for any two
// inputs the chance over the secrets that they collide is about 2^-64. A second multiplication
// spreads the sum over all bits. Two to three multiplications a pair of words, no table.
// Threads: immutable.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

class KeyedHash {
public:
    static constexpr size_t kMaxWords = 8;

    explicit KeyedHash(uint64_t seed) {
        for (uint64_t& s : secret_) {  // splitmix64
            uint64_t z = seed += 0x9e3779b97f4a7c15ULL;
            z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
            z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
            s = z ^ z >> 31;
        }
    }

    template <size_t kWords>
    uint64_t of(const uint64_t (&w)[kWords]) const {
        static_assert(kWords <= kMaxWords);
        Wide sum = 0;
        for (size_t i = 0; i < kWords; i += 2) {
            const uint64_t second = i + 1 < kWords ? w[i + 1] + secret_[i + 1] : secret_[i + 1] | 1;
            sum += static_cast<Wide>(w[i] + secret_[i]) * second;
        }
        const Wide mixed = static_cast<Wide>(static_cast<uint64_t>(sum) ^ secret_[8]) *
                           ((static_cast<uint64_t>(sum >> 64) ^ secret_[9]) | 1);
        return static_cast<uint64_t>(mixed) ^ static_cast<uint64_t>(mixed >> 64);
    }
    /// Another number that nobody outside can foresee.
    uint64_t next(uint64_t previous) const {
        return (previous ^ secret_[10]) * 0x9e3779b97f4a7c15ULL + secret_[11];
    }

private:
    using Wide = unsigned __int128;
    uint64_t secret_[kMaxWords + 4];
};

}  // namespace sluice
