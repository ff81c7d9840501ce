// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>

#include "control/compile/expr.h"

namespace sluice::lang {

namespace {

/// The name after a `^` at `ofs`; empty when none can start there.
std::string_view name_after(std::string_view text, size_t ofs) {
    size_t end = ofs + 1;
    auto continues = [&text](size_t i) {
        const auto c = static_cast<unsigned char>(text[i]);
        return std::isalpha(c) || c == '_' || c == '.';
    };
    if (end >= text.size() || !continues(end)) {
        return {};
    }
    while (end < text.size() &&
           (continues(end) || std::isdigit(static_cast<unsigned char>(text[end])))) {
        ++end;
    }
    return text.substr(ofs + 1, end - ofs - 1);
}

}  // namespace

std::string substitute_templates(std::string_view text,
                                 const std::map<std::string, std::string>& variables) {
    std::string out;
    size_t done = 0;
    for (size_t at = text.find('^'); at != std::string_view::npos; at = text.find('^', at + 1)) {
        const std::string_view name = name_after(text, at);
        const auto value = variables.find(std::string(name));
        if (name.empty() || value == variables.end()) {
            continue;
        }
        out += text.substr(done, at - done);
        out += value->second;
        done = at + 1 + name.size();
    }
    out += text.substr(done);
    return out;
}

std::vector<std::string> template_names(std::string_view text) {
    std::vector<std::string> names;
    for (size_t at = text.find('^'); at != std::string_view::npos; at = text.find('^', at + 1)) {
        std::string name(name_after(text, at));
        if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
            names.push_back(std::move(name));
        }
    }
    return names;
}

}  // namespace sluice::lang
