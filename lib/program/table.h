// SPDX-License-Identifier: Apache-2.0
// Table: one compiled logical table, the classifier that a walk runs.
//
// What. A table is a short sequence of segments in priority order; the first hit wins. Each segment
// has the form that fits its rows (Form). Const, Linear, Hash, Lpm and Direct end in a List of
// candidates in priority order, whose remaining conditions are checked one by one; Bitmap needs no
// candidates: every dimension turns its field into a bitmap of rows, the bitmaps are AND'ed and
// the first set bit is the row.
// Why. A new flow costs one walk, not an upcall, so a lookup has to be cheap for every packet and
// its cost must not follow the number of distinct masks: there is no search over masks anywhere.
// Design. Everything a lookup touches lies in one block of memory that the builder
// (lib/program/table_build.h) lays out; pointers go into that block, rules and code included.
// Bitmaps are cut into blocks of 512 rows and equal blocks are stored once, block 0 being the empty
// one, so that ten thousand classes over ten thousand rows stay small and empty blocks are skipped
// without being loaded.
// Threads. Immutable once built; any number of readers. datapath/classify.h is the lookup.
#pragma once

#include <nmmintrin.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/program/action.h"
#include "lib/program/state.h"

namespace sluice {

using U128 = unsigned __int128;

enum class Form : uint8_t { kConst, kLinear, kHash, kLpm, kDirect, kBitmap };
const char* form_name(Form form);

/// Bits of a State as one number: slots [slot, slot + slots) joined, most significant first,
/// shifted right by `shift`, cut to `bits`.
struct Slice {
    uint8_t slot;
    uint8_t slots;
    uint8_t shift;
    uint8_t bits;
    bool operator==(const Slice&) const = default;
};
static_assert(sizeof(Slice) == 4);

/// A set of numbers as the boundaries at which membership flips: a number is in it if an odd
/// count of boundaries is less or equal to it. Element type by Slice::slots: uint32_t, uint64_t,
/// else U128.
struct RangeSet {
    Slice slice;
    uint32_t n_bounds;
    const void* bounds;
};

/// A condition that is left to check on a candidate.
struct Test {
    enum Kind : uint8_t {
        kEqual,  ///< (w[slot] & mask) == low
        kRange,  ///< ((w[slot] & mask) >> shift) - low <= high (unsigned: high is hi - lo)
        kSet,    ///< in Table::sets[low]
    };
    Kind kind;
    uint8_t slot;
    uint8_t shift;
    uint8_t pad;
    uint32_t mask;
    uint32_t low;
    uint32_t high;
};
static_assert(sizeof(Test) == 16);

struct Candidate {
    const Rule* rule;
    const Test* tests;
    uint32_t n_tests;
    uint32_t row;  ///< in the table's priority order
};
static_assert(sizeof(Candidate) == 24);

struct List {
    const Candidate* first;
    uint32_t count;
    uint32_t pad;
};
static_assert(sizeof(List) == 16);

struct HashWord {
    uint32_t slot;
    uint32_t mask;
};
inline constexpr unsigned kMaxHashWords = 12;

/// The one hash of HashSegment, for the builder and the lookup.
inline uint32_t hash_words(const uint32_t* words, unsigned n) {
    uint64_t h = 0x2545f491u;
    for (unsigned i = 0; i < n; ++i) {
        h = _mm_crc32_u32(static_cast<uint32_t>(h), words[i]);
    }
    return static_cast<uint32_t>((h * 0x9e3779b97f4a7c15ull) >> 32);
}

struct HashBucket {
    uint32_t hash;
    uint32_t entry;  ///< index + 1; 0 ends the probe
};

inline constexpr unsigned kBlockRows = 512;
struct alignas(64) Block {
    uint64_t bits[kBlockRows / 64];
};

inline constexpr unsigned kMaxDimensions = 32;

/// Turns one field into the row of block numbers of the field's class.
struct Dimension {
    enum Kind : uint8_t {
        kIndex,   ///< slice value < n_bounds indexes `classes`, larger ones use classes[n_bounds]
        kSearch,  ///< count of boundaries <= slice value indexes `classes`
    };
    Kind kind;
    uint8_t pad[3];
    Slice slice;
    uint32_t n_bounds;
    uint32_t pad2;
    const void* bounds;         ///< as RangeSet::bounds
    const uint32_t* classes;    ///< position -> class
    const uint32_t* block_ids;  ///< class * n_blocks + block -> index in the pool
};
static_assert(sizeof(Dimension) == 40);

struct ConstSegment {
    const Rule* rule;
};
struct LinearSegment {
    List rows;
};
struct HashSegment {
    const HashWord* words;
    uint32_t n_words;
    uint32_t bucket_mask;
    const HashBucket* buckets;
    const uint32_t* keys;  ///< n_words for each entry
    const List* lists;     ///< of entry + 1; lists[0] is for keys that are not there
};
struct LpmSegment {
    Slice slice;
    uint32_t n_bounds;
    const void* bounds;  ///< ascending; element type as RangeSet::bounds
    const List* lists;   ///< n_bounds + 1
};
struct DirectSegment {
    uint32_t slot;
    uint32_t mask;
    uint32_t shift;
    uint32_t count;
    const List* lists;  ///< count + 1; the last is for numbers >= count
};
struct BitmapSegment {
    const Dimension* dimensions;
    uint32_t n_dimensions;
    uint32_t n_blocks;
    const Block* pool;
    const Rule* const* rules;  ///< by row of the segment
};

struct alignas(64) Segment {
    Form form;
    uint32_t rows;
    union {
        ConstSegment constant;
        LinearSegment linear;
        HashSegment hash;
        LpmSegment lpm;
        DirectSegment direct;
        BitmapSegment bitmap;
    };
};
static_assert(sizeof(Segment) == 64);

class alignas(64) Table {
public:
    const Segment* segments = nullptr;
    uint32_t n_segments = 0;
    uint32_t n_rows = 0;
    const RangeSet* sets = nullptr;
    size_t bytes = 0;  ///< of the whole block
    /// Form of each segment, its rows and why it was chosen: one line each, for people.
    std::string_view description;
    uint64_t content_hash = 0;

    Table() = default;
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;
};
static_assert(sizeof(Table) == 64);

/// The first row that is set in all of `n_rows` rows of block numbers, or -1. `rows[i]` has
/// `n_blocks` indices into `pool`; index 0 means an empty block.
using FirstRowFn = int (*)(const uint32_t* const* rows, unsigned n_rows, unsigned n_blocks,
                           const Block* pool);
int first_row_plain(const uint32_t* const* rows, unsigned n_rows, unsigned n_blocks,
                    const Block* pool);
int first_row_sse2(const uint32_t* const* rows, unsigned n_rows, unsigned n_blocks,
                   const Block* pool);
/// Only on CPUs that have it: cpu_has_avx2(), cpu_has_avx512().
int first_row_avx2(const uint32_t* const* rows, unsigned n_rows, unsigned n_blocks,
                   const Block* pool);
int first_row_avx512(const uint32_t* const* rows, unsigned n_rows, unsigned n_blocks,
                     const Block* pool);
bool cpu_has_avx2();
bool cpu_has_avx512();
/// The best of them for this CPU, chosen before main() starts.
extern const FirstRowFn first_row;
const char* first_row_name();

}  // namespace sluice
