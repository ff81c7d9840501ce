// SPDX-License-Identifier: Apache-2.0
// Shortcuts: what walks of many packets have in common, so that the first packet of a connection
// need not be walked.
//
// What. The first packet of a connection never hits the cache: its 5-tuple is new, and what it does
// to the connection table cannot be kept under a key. But thousands of such packets go the same
// way. A shortcut is that way without the tables: which values the tables told apart (checks), what
// conntrack was asked (steps), and what became of the packet (a leaf).
// Design. A walk that opened a connection is taken down as it runs (trace.h and CtReplay), and
// Learner (shortcut_learn.h) works out for each field which values would have gone the same way:
// an interval, and bits that must be equal. Between two steps a walk depends on nothing else, so
// the shortcuts of an entry form a tree: a node is reached when what the step before answered and
// the checks agree. Steps are the very same calls that a walk makes, on the live table. When no
// child fits, nothing is lost: the rest is walked, and the walk is told what was asked already.
// What is dynamic is the connection's translation; a leaf applies what the last step left.
// Validity. A tree is dropped when anything that its walks crossed was published anew. Trees hold
// copies, no pointers into pipelines.
// Memory. One arena a worker, emptied when it is full. Learning costs about ten walks: it is
// rationed, so that traffic whose packets have nothing in common pays little.
// Threads. The worker's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "datapath/program_store.h"
#include "datapath/rewrite.h"
#include "datapath/trace.h"
#include "datapath/walk_ct.h"
#include "lib/program/key.h"
#include "lib/program/pipeline.h"
#include "lib/program/ports.h"

namespace sluice {

/// What checks look at: the packet's fields as it came in, then the answers of each step.
struct ShortcutValues {
    static constexpr unsigned kMaxSteps = 6;
    enum Answer : unsigned { kSrc, kDst, kSrcPort, kDstPort, kOriginalSrc, kOriginalDst, kAnswers };
    static constexpr unsigned kVars = kSlots + kMaxSteps * kAnswers;

    State s;
    uint32_t answers[kMaxSteps][kAnswers];

    static constexpr unsigned var_of(unsigned step, unsigned answer) {
        return kSlots + step * kAnswers + answer;
    }
};
static_assert(offsetof(ShortcutValues, answers) == kSlots * sizeof(uint32_t));

/// low <= value <= low + span, and it has these bits.
struct ShortcutCheck {
    uint32_t low;
    uint32_t span;
    uint32_t mask;
    uint32_t bits;
    uint32_t var;
    bool operator==(const ShortcutCheck&) const = default;

    bool passes(uint32_t v) const { return v - low <= span && (v & mask) == bits; }
};

/// What a step of conntrack said, as far as flows and later steps can see.
struct ShortcutOutcome {
    uint32_t state = 0;
    uint32_t mark = 0;
    uint32_t label[4] = {};
    uint8_t proto = 0;  ///< ct_proto: none for a packet that could not be read
    bool translates = false;
    bool is_known = false;  ///< a connection as it was: the next packet's program may be cached
    bool operator==(const ShortcutOutcome&) const = default;
};

struct ShortcutBackends {
    static constexpr unsigned kMax = 256;
    CtMarks marks;
    uint16_t hash_fields;
    bool is_v6;
    uint32_t count;
    CtLbArgs::Backend backends[];
};

struct ShortcutStep {
    Op op;
    bool nat;
    bool recirculates;
    bool commits;
    bool is_first;  ///< nothing is known of the packet: what was asked before is forgotten
    uint16_t zone;
    const CtCommitArgs* args;          ///< when it commits
    const ShortcutBackends* backends;  ///< kCtLb: chosen among these instead
};

struct ShortcutLeaf {
    CachedProgram::Form form;  ///< kAny: run the words, nothing was translated
    PortId port;
    bool is_rewritten;
    uint32_t n_words;  ///< of an encapsulation: its two
    Rewrite rewrite;   ///< what is the same for all; the translation is added
    CachedTrail* trail;
    const uint64_t* words;
};

struct ShortcutNode {
    ShortcutNode* sibling;
    ShortcutNode* child;
    ShortcutOutcome after;  ///< of the step that leads here
    const ShortcutCheck* checks;
    uint32_t n_checks;
    bool is_leaf;
    union {
        ShortcutStep step;
        ShortcutLeaf leaf;
    };
};

/// One walk, as Learner took it down.
struct ShortcutPath {
    static constexpr unsigned kMaxChecks = 48;
    struct Part {
        ShortcutOutcome after;
        unsigned n_checks = 0;
        ShortcutCheck checks[kMaxChecks];
        ShortcutStep step;  ///< of all parts but the last
    };
    unsigned n_parts = 0;
    Part parts[ShortcutValues::kMaxSteps + 1];
    const CtLbArgs* balancers[ShortcutValues::kMaxSteps];  ///< of kCtLb steps
    ShortcutLeaf leaf;                                     ///< words: the program's own
};

class Shortcuts {
public:
    static constexpr unsigned kRoots = 512;

    bool init();
    bool enabled() const { return arena_ != nullptr; }
    /// The tree for packets like this one, or null. Only whole IPv4 TCP and UDP packets have one.
    const ShortcutNode* find(const PacketKey& key, const Pipeline& pipeline, ProgramStore* programs,
                             WorkerCounters* counters);
    /// Whether the walk that comes is to be taken down. Called for packets that must be walked.
    bool may_learn(const PacketKey& key);
    /// A packet took a shortcut.
    void was_useful() {
        credit_ += credit_ < kMaxCredit;
        cost_ = kLearnCost;
    }
    /// A walk that was taken down led to nothing: the next one comes later.
    void was_useless() { cost_ = cost_ < kMaxCost ? cost_ * 2 : kMaxCost; }
    void add(const PacketKey& key, const Pipeline& pipeline, const ShortcutPath& path,
             const ProgramBuffer& program, ProgramStore* programs, WorkerCounters* counters);
    void clear(ProgramStore* programs, WorkerCounters* counters);
    size_t bytes_used() const { return used_; }

    // What a walk is taken down with.
    Trace trace;
    ShortcutPath path;

private:
    struct Root {
        uint64_t context = 0;
        uint64_t checked = 0;  ///< pipeline sequence it was last found good for
        uint64_t born = 0;
        ShortcutNode* first = nullptr;
        uint32_t crossed[limits::kMaxCrossed] = {};
        uint8_t n_crossed = 0;
        uint8_t kinds = 0;
        uint8_t proto = 0;
    };
    static constexpr size_t kArenaBytes = size_t{2} << 20;
    static constexpr unsigned kTraceRecords = 1024;
    static constexpr unsigned kMaxChildren = 64;
    static constexpr unsigned kLearnCost = 32;  ///< packets that pay for one walk taken down
    static constexpr unsigned kMaxCost = 4096;
    static constexpr unsigned kMaxCredit = 64 * kLearnCost;

    static unsigned root_of(const PacketKey& key);
    static bool still_good(Root* root, const Pipeline& pipeline);
    void drop(Root* root, ProgramStore* programs, WorkerCounters* counters);
    static void release(const ShortcutNode* node, ProgramStore* programs, WorkerCounters* counters);
    bool cross(Root* root, const ProgramBuffer& program);
    void* take(size_t bytes);
    template <typename T>
    T* keep(const T* from, size_t n);
    bool keep_step(const CtLbArgs* balancer, ShortcutStep* step);
    ShortcutNode* make(const ShortcutPath& path, unsigned part, const ProgramBuffer& program,
                       const Pipeline& pipeline, ProgramStore* programs, WorkerCounters* counters);

    std::unique_ptr<Root[]> roots_;
    std::unique_ptr<uint8_t[]> arena_;
    size_t used_ = 0;
    bool is_full_ = false;  ///< the arena had no room
    unsigned credit_ = kMaxCredit;
    unsigned cost_ = kLearnCost;
};

struct WorkerCtx;
struct Item;

enum class Shortcut : uint8_t {
    kNone,     ///< nothing was done
    kTaken,    ///< the packet is on its way
    kStopped,  ///< walk on: `replay` has the steps that were done
};
/// Fetches what the steps of the packet's shortcut will look at in the connection table.
void foresee_shortcut(WorkerCtx& ctx, const Item& item);
/// Tries the shortcuts that there are for a packet without cached program.
Shortcut take_shortcut(WorkerCtx& ctx, const Item& item, CtReplay* replay);

}  // namespace sluice
