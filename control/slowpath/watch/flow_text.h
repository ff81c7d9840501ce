// SPDX-License-Identifier: Apache-2.0
// Text about a packet as Open vSwitch writes it: "tcp,vlan_tci=0x0000,dl_src=...,tp_dst=80,...".
//
// ACL logs are read by programs, so the text is that of flow_format() to the letter, the order of
// fields and the names of TCP flags included.
#pragma once

#include <string>
#include <string_view>

#include "control/slowpath/watch/headers.h"

namespace sluice::watch {

std::string flow_text(const Headers& headers);
/// `text` in quotes, escaped as in JSON.
std::string quoted(std::string_view text);

}  // namespace sluice::watch
