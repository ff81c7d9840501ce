// SPDX-License-Identifier: Apache-2.0
// HashPatch: a table made from another by a few rows more or less in its hash.
//
// What. A large table is a hash over exact words, and a change of one row of it is no reason to lay
// thousands of others out again. A patch copies the flat arrays of the hash (buckets, keys, lists),
// changes what there is to change, and points at the rows where they lie: in the table it started
// from and in blocks that TableBuilder::finish_lists() made. A lookup cannot tell the difference.
// Limits. Only keys that one row has, or none, are changed; a key that lost its row keeps its place
// with an empty list. Who patches many times lays the whole table out anew now and then.
// Threads: control; the tables are immutable as any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/program/table.h"

namespace sluice {

class HashPatch {
public:
    /// Segment `segment` of `from` is a hash with an empty list for keys that are not there.
    HashPatch(const Table& from, uint32_t segment);

    /// Takes the one row of the key away; false, and nothing done, when there is not just one.
    bool remove(const uint32_t* key);
    /// Gives a key that has no row these; false, and nothing done, when it has some.
    bool add(const uint32_t* key, const List& rows);
    /// `owners`: of all that the table points at, beside its own arrays.
    std::shared_ptr<const Table> finish(const std::string& description, uint32_t n_rows,
                                        uint64_t content_hash,
                                        std::vector<std::shared_ptr<const void>> owners);

private:
    /// The list of the key, null when it has no place.
    List* find(const uint32_t* key, uint32_t hash);
    void put_in_bucket(uint32_t hash, uint32_t entry);
    void grow();

    const Table& from_;
    const uint32_t segment_;
    const uint32_t n_words_;
    std::vector<HashBucket> buckets_;
    std::vector<uint32_t> keys_;
    std::vector<List> lists_;
};

}  // namespace sluice
