// SPDX-License-Identifier: Apache-2.0
// The commands that every daemon of the Open vSwitch family has: vlog/*, coverage/show, exit.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "control/rpc/server.h"

namespace sluice::rpc {

struct Coverage {
    std::string name;
    uint64_t value;
};

struct BuiltinHooks {
    /// `exit` (restart false) and `exit --restart`. Called once; a second exit is told so.
    /// Answer the Reply when the work is done, just before the process ends.
    std::function<void(bool restart, Reply reply)> exit;
    /// Counters and drops for coverage/show; those with value 0 are not shown but counted.
    std::function<std::vector<Coverage>()> coverage;
};

/// vlog/set, vlog/list, vlog/reopen, vlog/close, coverage/show, exit [--restart].
void add_builtin_commands(Server& server, const BuiltinHooks& hooks);

}  // namespace sluice::rpc
