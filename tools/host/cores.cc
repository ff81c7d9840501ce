// SPDX-License-Identifier: Apache-2.0
#include "tools/host/cores.h"

#include <charconv>
#include <sstream>

namespace sluice {

Result<std::vector<unsigned>> parse_cores(const std::string& text) {
    std::vector<unsigned> cores;
    std::stringstream stream(text);
    for (std::string part; std::getline(stream, part, ',');) {
        const char* end = part.data() + part.size();
        unsigned first = 0;
        std::from_chars_result parsed = std::from_chars(part.data(), end, first);
        unsigned last = first;
        if (parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '-') {
            parsed = std::from_chars(parsed.ptr + 1, end, last);
        }
        if (parsed.ec != std::errc() || parsed.ptr != end || last < first || last >= 1024) {
            return Error{"--cores: expected a list like 1,3-5, found \"" + text + "\""};
        }
        for (unsigned core = first; core <= last; ++core) {
            cores.push_back(core);
        }
    }
    return cores;
}

}  // namespace sluice
