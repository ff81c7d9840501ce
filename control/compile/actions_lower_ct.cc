// SPDX-License-Identifier: Apache-2.0
// Connection tracking and load balancing.
#include "control/compile/actions_lowering.h"
