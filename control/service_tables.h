// SPDX-License-Identifier: Apache-2.0
// From rows of the mirror to the tables that the answering services use.
// Threads: control; what is made is immutable.
#pragma once

#include <memory>

#include "control/sb/mirror.h"
#include "control/slowpath/services/tables.h"

namespace sluice {

/// A row came, went or changed since Mirror::forget_changes() that make_service_tables() reads.
bool service_tables_changed(const sb::Mirror& mirror);
std::shared_ptr<const ServiceTables> make_service_tables(const sb::Mirror& mirror);

}  // namespace sluice
