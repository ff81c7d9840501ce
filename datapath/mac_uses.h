// SPDX-License-Identifier: Apache-2.0
// MacUses: which uses of MAC bindings a worker has told about lately, so that it tells once a
// second.
//
// Direct-mapped: two bindings that share a place are told more often, never less.
// Threads. The worker's own.
#pragma once

#include <array>
#include <cstdint>

namespace sluice {

class MacUses {
public:
    /// `words`: a kMessage act (datapath/program.h). True when it is to be sent.
    bool is_news(const uint64_t* words, uint64_t now_ms) {
        uint64_t h = words[1];
        for (const unsigned i : {3u, 4u, 5u}) {
            h = (h ^ words[i]) * 0x9e3779b97f4a7c15ull;
            h ^= h >> 32;
        }
        Told& told = told_[h % told_.size()];
        if (told.hash == h && now_ms - told.at_ms < kPeriodMs) {
            return false;
        }
        told = {h, now_ms};
        return true;
    }

private:
    static constexpr uint64_t kPeriodMs = 1000;
    struct Told {
        uint64_t hash = 0;
        uint64_t at_ms = 0;
    };
    std::array<Told, 1024> told_{};
};

}  // namespace sluice
