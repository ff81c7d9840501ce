// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/publish/samples.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "control/sb/tables.h"

namespace control_lab {

std::vector<std::string> sample_paths() {
    const char* folder = std::getenv("SLUICE_SB_SAMPLES");
    std::vector<std::string> paths;
    for (const auto& entry :
         std::filesystem::directory_iterator(folder ? folder : SLUICE_TEST_DATA "/sb")) {
        if (entry.path().string().ends_with(".sb.db.gz")) {
            paths.push_back(entry.path());
        }
    }
    std::sort(paths.begin(), paths.end());
    REQUIRE(!paths.empty());
    return paths;
}

std::string unpack(const std::string& path) {
    FILE* pipe = popen(("gzip -dc '" + path + "'").c_str(), "r");
    REQUIRE(pipe);
    std::string bytes;
    char buffer[65536];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
        bytes.append(buffer, n);
    }
    REQUIRE(pclose(pipe) == 0);
    return bytes;
}

sluice::ovsdb::DbFile load(const std::string& path) {
    auto file = sluice::ovsdb::read_db_bytes(unpack(path), sluice::sb::table_specs(), path);
    INFO((file ? std::string() : file.error().message));
    REQUIRE(file.ok());
    return std::move(file).value();
}

}  // namespace control_lab
