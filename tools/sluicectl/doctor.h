// SPDX-License-Identifier: Apache-2.0
// sluicectl doctor: looks at the machine and at the running daemon, says what is wrong and what to
// do about it (tools/doctor).
#pragma once

#include "tools/sluicectl/options.h"

namespace sluice {

/// The exit status.
int run_doctor(const CtlOptions& options);

}  // namespace sluice
