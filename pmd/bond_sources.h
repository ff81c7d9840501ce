// SPDX-License-Identifier: Apache-2.0
// BondSources: which source addresses (MAC and VLAN) were sent through a bond lately.
//
// A switch learns where these are from what they send, so when the active member changes somebody
// has to send for them; and a frame that comes in with one of them as its source is our own, led
// back by the switch over another member.
// Design. A table of words, each an address with the epoch that it was last seen in; after four of
// them it is forgotten: 300 s as Open vSwitch's MAC table, unless told otherwise. Two addresses
// with the same place: the later one stays. Threads: workers add and ask, the bond's thread reads
// all; relaxed loads and stores, a word is true by itself.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace sluice::pmd {

class BondSources {
public:
    static constexpr unsigned kSize = 4096;
    static constexpr int64_t kEpochMs = 75'000;
    static constexpr unsigned kEpochs = 4;

    explicit BondSources(int64_t epoch_ms = kEpochMs) : epoch_ms_(epoch_ms) {}

    /// An address as it stands in the table: MAC, VLAN (0: untagged).
    static uint64_t key_of(uint64_t mac, uint16_t vlan) { return mac << 12 | (vlan & 0xfff); }

    void add(uint64_t key) {
        std::atomic<uint64_t>& word = words_[place_of(key)];
        const uint64_t wanted = key << 4 | epoch_.load(std::memory_order_relaxed);
        if (word.load(std::memory_order_relaxed) != wanted) {
            word.store(wanted, std::memory_order_relaxed);
        }
    }
    bool contains(uint64_t key) const {
        const uint64_t word = words_[place_of(key)].load(std::memory_order_relaxed);
        return word >> 4 == key && is_young(word);
    }
    void forget(uint64_t key) {
        std::atomic<uint64_t>& word = words_[place_of(key)];
        if (word.load(std::memory_order_relaxed) >> 4 == key) {
            word.store(0, std::memory_order_relaxed);
        }
    }
    /// The bond's thread.
    void set_time(int64_t now_ms) {
        epoch_.store(static_cast<uint64_t>(now_ms / epoch_ms_) & 15, std::memory_order_relaxed);
    }
    template <typename Fn>
    void for_each(Fn fn) const {
        for (const std::atomic<uint64_t>& slot : words_) {
            const uint64_t word = slot.load(std::memory_order_relaxed);
            if (word && is_young(word)) {
                fn(word >> 16, static_cast<uint16_t>(word >> 4 & 0xfff));
            }
        }
    }

private:
    static size_t place_of(uint64_t key) { return key * 0x9e3779b97f4a7c15ull >> 52; }
    bool is_young(uint64_t word) const {
        return ((epoch_.load(std::memory_order_relaxed) - word) & 15) < kEpochs;
    }

    const int64_t epoch_ms_;
    std::atomic<uint64_t> epoch_{0};
    std::array<std::atomic<uint64_t>, kSize> words_{};
};
static_assert(BondSources::kSize == 1u << (64 - 52));

}  // namespace sluice::pmd
