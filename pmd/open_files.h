// SPDX-License-Identifier: Apache-2.0
// Sees to it that the process may open as many files as its ports need.
//
// A virtual machine's port holds a socket or two, an event descriptor for each direction of each
// ring and one for each region of the guest's memory: a few hundred ports are beyond the usual
// limit of 1024, and librte_vhost answers the lack of a descriptor in the middle of a guest's start
// with a closed connection. So a port books its share when it opens, the limit is raised as far as
// it has to be, and where that is not allowed the port says so instead.
// Threads: control thread only.
#pragma once

#include <utility>

#include "lib/base/result.h"

namespace sluice::pmd {

class OpenFiles {
public:
    OpenFiles() = default;
    ~OpenFiles() { give_back(); }
    OpenFiles(OpenFiles&& other) noexcept : n_(std::exchange(other.n_, 0)) {}
    OpenFiles& operator=(OpenFiles&& other) noexcept {
        give_back();
        n_ = std::exchange(other.n_, 0);
        return *this;
    }

    /// Makes sure of n more.
    static Result<OpenFiles> book(unsigned n);
    /// Booked by all.
    static unsigned booked();

private:
    void give_back();
    unsigned n_ = 0;
};

}  // namespace sluice::pmd
