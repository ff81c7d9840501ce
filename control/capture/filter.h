// SPDX-License-Identifier: Apache-2.0
// Filters of captures: an expression of pcap-filter(7), made into what workers run.
//
// libpcap compiles it; what it refuses is an error for the user, never a filter that passes
// everything.
// Threads: control. The filter itself is run by workers; they must be done with it before it goes.
#pragma once

#include <memory>
#include <string>

#include "lib/base/result.h"
#include "lib/program/capture.h"

namespace sluice::capture {

class Filter {
public:
    /// `expression` "" takes everything.
    static Result<std::shared_ptr<const Filter>> compile(const std::string& expression);
    ~Filter();
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;

    CaptureFilter code() const;

private:
    struct Program;
    explicit Filter(std::unique_ptr<Program> program);
    std::unique_ptr<Program> program_;
};

}  // namespace sluice::capture
