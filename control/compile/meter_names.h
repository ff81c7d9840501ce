// SPDX-License-Identifier: Apache-2.0
// MeterNames: numbers for the names of meters that compiled code is behind.
//
// A flow's controller_meter, and meter= of log() and trigger_event(), name rows of the Meter table
// that may come later, change, or never exist: without the row nothing is limited, as in OVN. So
// code only holds a place in Pipeline::meters, and what is there follows the rows without any
// compilation.
// Threads: control.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace sluice::compile {

struct MeterName {
    uint32_t index = 0;  ///< place in Pipeline::meters; another name's when nobody holds this
    uint32_t id = 0;     ///< unique over the life of the process
    std::string name;
};

class MeterNames {
public:
    /// The name's place for as long as somebody holds it.
    std::shared_ptr<const MeterName> intern(const std::string& name);
    /// By index; null where nobody holds one.
    std::vector<std::shared_ptr<const MeterName>> list() const;

    /// The process's one table, as code is shared by all of it.
    static MeterNames& instance();

private:
    std::unordered_map<std::string, std::weak_ptr<const MeterName>> by_name_;
    std::vector<std::weak_ptr<const MeterName>> by_index_;
    uint32_t next_id_ = 1;
};

}  // namespace sluice::compile
