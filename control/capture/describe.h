// SPDX-License-Identifier: Apache-2.0
// What a capture record's numbers are called, as the comment of its packet says it:
//   rx datapath=sw0 inport=vm1
//   tx datapath=sw1 outport=vm2 entered=sw0/vm1
//   drop datapath=sw0 inport=vm1 reason=logical_flow flow=UUID stage=ls_in_acl_eval priority=2001
// A number that has no name (any more) stays a number; what is not known is left out.
#pragma once

#include <string>

#include "control/capture/names.h"
#include "lib/program/capture.h"

namespace sluice::capture {

std::string describe(const CaptureRecord& record, const Names& names);
const char* direction_name(uint8_t direction);

}  // namespace sluice::capture
