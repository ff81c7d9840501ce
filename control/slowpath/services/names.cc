// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/services/names.h"

#include <utility>

namespace sluice::services {

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> out;
    std::string piece;
    for (const char c : text) {
        if (c != separator) {
            piece += c;
        } else if (!piece.empty()) {
            out.push_back(std::exchange(piece, ""));
        }
    }
    if (!piece.empty()) {
        out.push_back(std::move(piece));
    }
    return out;
}

std::optional<std::vector<uint8_t>> encode_name(std::string_view name) {
    std::vector<uint8_t> out;
    for (const std::string& label : split(name, '.')) {
        if (label.size() > 63) {
            return std::nullopt;
        }
        out.push_back(static_cast<uint8_t>(label.size()));
        out.insert(out.end(), label.begin(), label.end());
    }
    out.push_back(0);
    return out.size() > 255 ? std::nullopt : std::optional(std::move(out));
}

}  // namespace sluice::services
