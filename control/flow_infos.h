// SPDX-License-Identifier: Apache-2.0
// FlowInfoTable: what is to be known of logical flows, by id, as one immutable object a publish.
//
// The published form is a plain vector (lib/program/pipeline.h), so that a reader indexes it. To
// count half a million references up and down for each publish would cost more than most changes.
// So the vector's elements own nothing, copying them copies plain words, and what they point at is
// owned by chunks of ids that the published object keeps; a chunk that changes is copied first.
// Threads: control changes; what was published is immutable.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "lib/program/pipeline.h"

namespace sluice {

using FlowInfos = std::shared_ptr<const std::vector<std::shared_ptr<const FlowInfo>>>;

class FlowInfoTable {
public:
    size_t size() const { return plain_.size(); }
    const FlowInfo* operator[](uint32_t id) const { return plain_[id].get(); }
    uint32_t add() {
        plain_.emplace_back();
        return static_cast<uint32_t>(plain_.size() - 1);
    }
    /// Null: the id is out of use.
    void set(uint32_t id, std::shared_ptr<const FlowInfo> info);
    /// Of all ids; a new object only when something changed.
    FlowInfos list();

private:
    static constexpr size_t kChunk = 256;
    using Chunk = std::array<std::shared_ptr<const FlowInfo>, kChunk>;
    struct Published {
        std::vector<std::shared_ptr<const FlowInfo>> infos;
        std::vector<std::shared_ptr<const Chunk>> owners;
    };

    std::vector<std::shared_ptr<const FlowInfo>> plain_;  ///< without ownership
    std::vector<std::shared_ptr<Chunk>> chunks_;
    FlowInfos published_;
};

}  // namespace sluice
