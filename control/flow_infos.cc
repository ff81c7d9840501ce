// SPDX-License-Identifier: Apache-2.0
#include "control/flow_infos.h"

namespace sluice {

void FlowInfoTable::set(uint32_t id, std::shared_ptr<const FlowInfo> info) {
    if (id / kChunk >= chunks_.size()) {
        chunks_.resize(id / kChunk + 1);
    }
    std::shared_ptr<Chunk>& chunk = chunks_[id / kChunk];
    if (!chunk) {
        chunk = std::make_shared<Chunk>();
    } else if (chunk.use_count() > 1) {
        chunk = std::make_shared<Chunk>(*chunk);
    }
    plain_[id] = std::shared_ptr<const FlowInfo>(std::shared_ptr<const void>(), info.get());
    (*chunk)[id % kChunk] = std::move(info);
    published_.reset();
}

FlowInfos FlowInfoTable::list() {
    if (!published_) {
        const auto next = std::make_shared<Published>();
        next->infos = plain_;
        next->owners.assign(chunks_.begin(), chunks_.end());
        published_ = {next, &next->infos};
    }
    return published_;
}

}  // namespace sluice
