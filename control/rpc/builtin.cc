// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/builtin.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "lib/base/log.h"

namespace sluice::rpc {
namespace {

void add_log_commands(Server& server) {
    server.add("vlog/set", "[MODULE:][DESTINATION:]LEVEL...", 0, Server::kAnyNumber,
               [](const Args& args) -> Result<std::string> {
                   if (args.empty()) {
                       (void)log::set("ANY").ok();
                   }
                   for (const std::string& spec : args) {
                       if (const Result<void> set = log::set(spec); !set) {
                           return set.error();
                       }
                   }
                   return std::string();
               });
    server.add("vlog/list", "", 0, 0,
               [](const Args&) -> Result<std::string> { return log::list(); });
    server.add("vlog/reopen", "", 0, 0, [](const Args&) -> Result<std::string> {
        const Result<void> reopened = log::reopen_file();
        return reopened ? std::string() : reopened.error().message;
    });
    server.add("vlog/close", "", 0, 0, [](const Args&) -> Result<std::string> {
        log::close_file();
        return std::string();
    });
}

std::string coverage_text(std::vector<Coverage> rows) {
    std::sort(rows.begin(), rows.end(),
              [](const Coverage& a, const Coverage& b) { return a.name < b.name; });
    std::string text;
    unsigned silent = 0;
    for (const Coverage& row : rows) {
        if (row.value) {
            text += fmt::format("{:<32} total: {}\n", row.name, row.value);
        } else {
            ++silent;
        }
    }
    return text + fmt::format("{} events never hit\n", silent);
}

}  // namespace

void add_builtin_commands(Server& server, const BuiltinHooks& hooks) {
    add_log_commands(server);
    if (hooks.coverage) {
        server.add("coverage/show", "", 0, 0,
                   [coverage = hooks.coverage](const Args&) -> Result<std::string> {
                       return coverage_text(coverage());
                   });
    }
    if (hooks.exit) {
        server.add_async("exit", "[--restart]", 0, 1,
                         [exit = hooks.exit, exiting = std::make_shared<bool>(false)](
                             const Args& args, const Reply& reply) {
                             if (!args.empty() && args[0] != "--restart") {
                                 reply.error("exit: \"" + args[0] +
                                             "\" is not an argument; usage: exit [--restart]");
                             } else if (*exiting) {
                                 reply.ok("exiting already");
                             } else {
                                 *exiting = true;
                                 exit(!args.empty(), reply);
                             }
                         });
    }
}

}  // namespace sluice::rpc
