// SPDX-License-Identifier: Apache-2.0
#include "control/offline.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/unit/control/publish/samples.h"

using namespace sluice;

namespace {

struct TempFile {
    TempFile() {
        char name[] = "/tmp/offline_test.XXXXXX";
        const int fd = mkstemp(name);
        REQUIRE(fd >= 0);
        close(fd);
        path = name;
    }
    ~TempFile() { std::filesystem::remove(path); }
    std::string path;
};

}  // namespace

TEST_CASE("every sample database builds without an error") {
    for (const std::string& path : control_lab::sample_paths()) {
        INFO(path);
        TempFile file;
        std::ofstream(file.path, std::ios::binary) << control_lab::unpack(path);
        OfflineRequest request;
        request.db_file = file.path;
        request.chassis = "hv1";
        request.ports = {
            {"up", 0, Mac{{2, 0xaa, 0, 0, 0, 1}}, 1500, "", "phys", true, {"192.168.0.1/24"}}};
        auto built = build_pipeline(request);
        INFO((built ? std::string() : built.error().message));
        REQUIRE(built.ok());
        for (const std::string& error : built->errors) {
            UNSCOPED_INFO(error);
        }
        CHECK(built->errors.empty());
        CHECK(built->pipeline->by_key.size() > 0);
        CHECK(!built->bound_here.empty());

        // With ports for what is bound there, packets have a way in.
        uint16_t id = 1;
        for (const std::string& name : built->bound_here) {
            request.ports.push_back({name, id, {}, 1500, name, "", false, {}});
            ++id;
        }
        built = build_pipeline(request);
        REQUIRE(built.ok());
        CHECK(built->errors.empty());
        for (uint16_t port = 1; port < id; ++port) {
            REQUIRE(port < built->pipeline->entries.size());
            REQUIRE(built->pipeline->entries[port]);
            CHECK(built->pipeline->entries[port]->untagged.size() == 1);
        }
    }
}

TEST_CASE("a database without the chassis says which there are") {
    TempFile file;
    std::ofstream(file.path, std::ios::binary)
        << control_lab::unpack(control_lab::sample_paths().front());
    const auto built = build_pipeline({file.path, "nobody", {}, {}, {}, false});
    REQUIRE(!built.ok());
    CHECK(built.error().message.find("nobody") != std::string::npos);
    CHECK(built.error().message.find("hv1") != std::string::npos);
    CHECK(!build_pipeline({"/nonexistent.db", "hv1", {}, {}, {}, false}).ok());
}
