// SPDX-License-Identifier: Apache-2.0
// FlatMap: a small immutable open-addressing hash map for published objects.
//
// Built once by the control thread from a list, then only read, by any number of workers. Keys are
// integers; probes are linear over a power-of-two table kept at most half full, so a miss costs
// one or two cache lines. Value must be trivially copyable.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace sluice {

template <typename Key, typename Value>
class FlatMap {
    static_assert(std::is_integral_v<Key> && std::is_trivially_copyable_v<Value>);

public:
    FlatMap() = default;
    explicit FlatMap(const std::vector<std::pair<Key, Value>>& items) {
        size_t size = 4;
        while (size < items.size() * 2 + 1) {
            size *= 2;
        }
        slots_.resize(size);
        for (const auto& [key, value] : items) {
            size_t i = home(key);
            while (slots_[i].used && slots_[i].key != key) {
                i = (i + 1) & (slots_.size() - 1);
            }
            count_ += !slots_[i].used;
            slots_[i] = Entry{value, key, true};
        }
    }

    /// The value of `key`, or null.
    const Value* find(Key key) const {
        if (slots_.empty()) {
            return nullptr;
        }
        for (size_t i = home(key);; i = (i + 1) & (slots_.size() - 1)) {
            if (!slots_[i].used) {
                return nullptr;
            }
            if (slots_[i].key == key) {
                return &slots_[i].value;
            }
        }
    }
    size_t size() const { return count_; }
    template <typename F>
    void for_each(F&& f) const {
        for (const Entry& entry : slots_) {
            if (entry.used) {
                f(entry.key, entry.value);
            }
        }
    }

private:
    struct Entry {
        Value value{};
        Key key{};
        bool used = false;
    };
    size_t home(Key key) const {
        const uint64_t mixed = static_cast<uint64_t>(key) * 0x9e3779b97f4a7c15ull;
        return (mixed >> 32) & (slots_.size() - 1);
    }
    std::vector<Entry> slots_;
    size_t count_ = 0;
};

}  // namespace sluice
