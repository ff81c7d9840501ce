// SPDX-License-Identifier: Apache-2.0
#include "lib/program/table_patch.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "lib/base/check.h"

namespace sluice {

HashPatch::HashPatch(const Table& from, uint32_t segment)
    : from_(from), segment_(segment), n_words_(from.segments[segment].hash.n_words) {
    const Segment& s = from.segments[segment];
    SLUICE_CHECK(s.form == Form::kHash && s.hash.lists[0].count == 0);
    // `rows` of a hash counts its keys.
    buckets_.assign(s.hash.buckets, s.hash.buckets + s.hash.bucket_mask + 1);
    keys_.assign(s.hash.keys, s.hash.keys + size_t{s.rows} * n_words_);
    lists_.assign(s.hash.lists, s.hash.lists + s.rows + 1);
}

List* HashPatch::find(const uint32_t* key, uint32_t hash) {
    const size_t mask = buckets_.size() - 1;
    for (size_t at = hash & mask; buckets_[at].entry != 0; at = (at + 1) & mask) {
        const uint32_t entry = buckets_[at].entry;
        if (buckets_[at].hash == hash &&
            std::equal(key, key + n_words_, keys_.data() + size_t{entry - 1} * n_words_)) {
            return &lists_[entry];
        }
    }
    return nullptr;
}

void HashPatch::put_in_bucket(uint32_t hash, uint32_t entry) {
    const size_t mask = buckets_.size() - 1;
    size_t at = hash & mask;
    while (buckets_[at].entry != 0) {
        at = (at + 1) & mask;
    }
    buckets_[at] = {hash, entry};
}

/// Keeps the buckets at most half full.
void HashPatch::grow() {
    if (lists_.size() * 2 < buckets_.size()) {
        return;
    }
    std::vector<HashBucket> before(buckets_.size() * 2);
    before.swap(buckets_);
    for (const HashBucket& bucket : before) {
        if (bucket.entry != 0) {
            put_in_bucket(bucket.hash, bucket.entry);
        }
    }
}

bool HashPatch::remove(const uint32_t* key) {
    List* list = find(key, hash_words(key, n_words_));
    if (list == nullptr || list->count != 1) {
        return false;
    }
    *list = lists_[0];
    return true;
}

bool HashPatch::add(const uint32_t* key, const List& rows) {
    const uint32_t hash = hash_words(key, n_words_);
    if (List* list = find(key, hash)) {
        if (list->count != 0) {
            return false;
        }
        *list = rows;
        return true;
    }
    lists_.push_back(rows);
    keys_.insert(keys_.end(), key, key + n_words_);
    grow();
    put_in_bucket(hash, static_cast<uint32_t>(lists_.size() - 1));
    return true;
}

std::shared_ptr<const Table> HashPatch::finish(const std::string& description, uint32_t n_rows,
                                               uint64_t content_hash,
                                               std::vector<std::shared_ptr<const void>> owners) {
    const auto lines = [](size_t bytes) { return (bytes + 63) & ~size_t{63}; };
    const size_t segments_at = sizeof(Table);
    const size_t buckets_at = segments_at + from_.n_segments * sizeof(Segment);
    const size_t keys_at = buckets_at + lines(buckets_.size() * sizeof(HashBucket));
    const size_t lists_at = keys_at + lines(keys_.size() * sizeof(uint32_t));
    const size_t text_at = lists_at + lines(lists_.size() * sizeof(List));
    const size_t size = text_at + description.size();
    auto* block = static_cast<std::byte*>(::operator new (size, std::align_val_t{64}));
    const auto put = [&](size_t at, const void* data, size_t bytes) {
        std::memcpy(block + at, data, bytes);
        return block + at;
    };
    auto* segments = reinterpret_cast<Segment*>(
        put(segments_at, from_.segments, from_.n_segments * sizeof(Segment)));
    Segment& s = segments[segment_];
    s.rows = static_cast<uint32_t>(lists_.size() - 1);
    s.hash.bucket_mask = static_cast<uint32_t>(buckets_.size() - 1);
    s.hash.buckets = reinterpret_cast<const HashBucket*>(
        put(buckets_at, buckets_.data(), buckets_.size() * sizeof(HashBucket)));
    s.hash.keys = reinterpret_cast<const uint32_t*>(
        put(keys_at, keys_.data(), keys_.size() * sizeof(uint32_t)));
    s.hash.lists =
        reinterpret_cast<const List*>(put(lists_at, lists_.data(), lists_.size() * sizeof(List)));
    auto* table = new (block) Table;
    table->segments = segments;
    table->n_segments = from_.n_segments;
    table->n_rows = n_rows;
    table->sets = from_.sets;
    table->bytes = size;
    table->description = {
        reinterpret_cast<const char*>(put(text_at, description.data(), description.size())),
        description.size()};
    table->content_hash = content_hash;
    return {table, [keep = std::move(owners)](const Table* t) {
                ::operator delete (const_cast<Table*>(t), std::align_val_t{64});
            }};
}

}  // namespace sluice
