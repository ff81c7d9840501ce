// SPDX-License-Identifier: Apache-2.0
#include "control/compile/meter_names.h"

#include <algorithm>

namespace sluice::compile {

MeterNames& MeterNames::instance() {
    static MeterNames names;
    return names;
}

std::shared_ptr<const MeterName> MeterNames::intern(const std::string& name) {
    auto& place = by_name_[name];
    if (auto known = place.lock()) {
        return known;
    }
    const auto hole = std::find_if(by_index_.begin(), by_index_.end(),
                                   [](const auto& entry) { return entry.expired(); });
    auto made = std::make_shared<MeterName>();
    made->index = static_cast<uint32_t>(hole - by_index_.begin());
    made->id = next_id_++;
    made->name = name;
    place = made;
    if (hole == by_index_.end()) {
        by_index_.push_back(made);
    } else {
        *hole = made;
        std::erase_if(by_name_, [](const auto& entry) { return entry.second.expired(); });
    }
    return made;
}

std::vector<std::shared_ptr<const MeterName>> MeterNames::list() const {
    std::vector<std::shared_ptr<const MeterName>> all;
    for (const auto& entry : by_index_) {
        all.push_back(entry.lock());
    }
    return all;
}

}  // namespace sluice::compile
