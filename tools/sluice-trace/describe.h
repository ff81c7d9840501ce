// SPDX-License-Identifier: Apache-2.0
// Turns trace records into lines for people, with the names of the pipeline they came from.
#pragma once

#include <string>
#include <vector>

#include "datapath/trace.h"
#include "tools/host/offline_host.h"

namespace sluice {

struct DescribeStyle {
    bool colour = false;
    bool code = false;  ///< every instruction, not only the flows
};

/// One line per step, indented by nesting, in packet order.
std::vector<std::string> describe(const Trace& trace, const OfflineHost& host,
                                  const DescribeStyle& style);

/// Hex dump of a frame, 16 bytes a line.
std::string hex_dump(const std::vector<uint8_t>& bytes, const std::string& indent);

/// Fields of the packet as the language names them: "eth.src=..., ip4.dst=...".
std::string describe_key(const PacketKey& key);

}  // namespace sluice
