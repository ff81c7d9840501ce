// SPDX-License-Identifier: Apache-2.0
// What every program does with its command line: options with a text that teaches, errors that name
// the program and say where help is.
#pragma once

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>
#include <string_view>

#include "lib/base/result.h"

namespace sluice {

/// Reads the command line into `map` and the variables that `options` names. False: --help was
/// asked for and has been printed, `intro` first. `options` must have "help".
Result<bool> read_command_line(int argc, char** argv, const char* program, const char* intro,
                               const boost::program_options::options_description& options,
                               boost::program_options::variables_map* map);

/// main()'s exit status; an error goes to stderr with the program's name.
int exit_status(const char* program, const Result<void>& result);

}  // namespace sluice
