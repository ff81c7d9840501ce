// SPDX-License-Identifier: Apache-2.0
#include "lib/json/scanner.h"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

using sluice::json::Scanner;

namespace {

// The messages in `stream` when it arrives in pieces of `piece` bytes.
std::vector<std::string> split(std::string_view stream, size_t piece) {
    Scanner scanner;
    std::vector<std::string> messages;
    std::string current;
    while (!stream.empty()) {
        std::string_view part = stream.substr(0, piece);
        const Scanner::Step step = scanner.feed(part);
        REQUIRE(step.state != Scanner::State::kBad);
        current.append(part.substr(0, step.used));
        stream.remove_prefix(step.used);
        if (step.state == Scanner::State::kDone) {
            messages.push_back(current.substr(current.find_first_not_of(" \n\t\r")));
            current.clear();
        }
    }
    CHECK(scanner.idle());
    return messages;
}

}  // namespace

TEST_CASE("messages are found whatever the pieces") {
    const std::vector<std::string> messages = {
        R"({"id":1,"params":["}{][\"\\",{"a":[[]]}]})",
        R"([])",
        R"({})",
        R"({"s":"ends with a backslash \\"})",
        R"(["\\\\\"]"])",
        "[\"" + std::string(100, 'x') + "\\\"" + std::string(40, '}') + "\"]"};
    std::string stream;
    for (const std::string& message : messages) {
        stream += message;
    }
    std::string spaced;
    for (const std::string& message : messages) {
        spaced += " \n" + message + "\t";
    }
    for (size_t piece = 1; piece < stream.size() + 1; ++piece) {
        INFO(piece);
        CHECK(split(stream, piece) == messages);
        CHECK(split(spaced, piece) == messages);
    }
}

TEST_CASE("something else than a message is told at its byte") {
    Scanner scanner;
    auto step = scanner.feed("  hello");
    CHECK(step.state == Scanner::State::kBad);
    CHECK(step.used == 2);
    Scanner closing;
    step = closing.feed("[1]]");
    CHECK(step.state == Scanner::State::kDone);
    CHECK(step.used == 3);
    CHECK(closing.feed("]").state == Scanner::State::kBad);
}
