// SPDX-License-Identifier: Apache-2.0
#include "pmd/open_files.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

#include "lib/base/log.h"
#include "pmd/driver.h"

SLUICE_LOG_MODULE(files);

namespace sluice::pmd {
namespace {

/// What everything but such ports needs: databases, control sockets, devices, logs.
constexpr unsigned kOthers = 512;
unsigned n_booked = 0;

}  // namespace

Result<OpenFiles> OpenFiles::book(unsigned n) {
    const rlim_t need = rlim_t{kOthers} + n_booked + n;
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < need) {
        const rlimit before = limit;
        limit.rlim_cur = std::max(need, std::min(limit.rlim_max, 2 * need));
        limit.rlim_max = std::max(limit.rlim_max, limit.rlim_cur);
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return Error{fmt::format(
                "{} open files are needed with this port, the limit is {} and cannot be raised "
                "({}): set LimitNOFILE= of the service or 'ulimit -n' before it starts",
                need, before.rlim_max, errno_text(errno))};
        }
        LOG_INFO("limit of open files raised from {} to {}", before.rlim_cur, limit.rlim_cur);
    }
    n_booked += n;
    OpenFiles files;
    files.n_ = n;
    return files;
}

unsigned OpenFiles::booked() {
    return n_booked;
}

void OpenFiles::give_back() {
    n_booked -= n_;
    n_ = 0;
}

}  // namespace sluice::pmd
