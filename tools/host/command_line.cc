// SPDX-License-Identifier: Apache-2.0
#include "tools/host/command_line.h"

#include <fmt/format.h>

#include <boost/program_options/parsers.hpp>
#include <iostream>
#include <string>

namespace sluice {

namespace po = boost::program_options;

Result<bool> read_command_line(int argc, char** argv, const char* program, const char* intro,
                               const po::options_description& options, po::variables_map* map) {
    try {
        po::store(po::parse_command_line(argc, argv, options), *map);
        if (map->count("help")) {
            std::cout << intro << options;
            return false;
        }
        po::notify(*map);
    } catch (const po::error& error) {
        return Error{std::string(error.what()) + "; see " + program + " --help"};
    }
    return true;
}

int exit_status(const char* program, const Result<void>& result) {
    if (!result) {
        fmt::print(stderr, "{}: {}\n", program, result.error().message);
        return 1;
    }
    return 0;
}

}  // namespace sluice
