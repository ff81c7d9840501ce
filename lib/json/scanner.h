// SPDX-License-Identifier: Apache-2.0
// Scanner: finds where a top-level JSON object or array ends while its bytes still arrive.
//
// JSON-RPC over a stream has no frames: messages follow each other directly. The scanner looks at
// each byte once, whatever the pieces they come in, and knows just strings, escapes and depth;
// the parser judges the rest.
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice::json {

class Scanner {
public:
    enum class State { kMore, kDone, kBad };

    struct Step {
        State state;
        size_t used;  ///< bytes taken from the piece: white space, then the message up to its end
    };

    /// Continues with the next piece. kDone: the message ends after `used` bytes; the scanner is
    /// ready for the next message. kBad: at byte `used` something other than { or [ begins.
    Step feed(std::string_view piece);

    /// Between messages (no byte but white space since the last).
    bool idle() const { return depth_ == 0; }

private:
    size_t depth_ = 0;
    bool in_string_ = false;
    bool escaped_ = false;
};

}  // namespace sluice::json
