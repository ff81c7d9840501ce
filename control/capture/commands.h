// SPDX-License-Identifier: Apache-2.0
// Commands of the socket about captures, for `sluicectl capture`:
//
//   capture/start SOCKET [NAME=VALUE]...   packets as pcapng to the unix socket; answers the number
//   capture/stop ID
//   capture/list                           a table; sluice/captures is the same in JSON
//
// NAME is filter, port (may repeat), logical-port (may repeat), datapath, direction (rx, tx, drop,
// joined by commas), snaplen, count, sample, rate or ring-kb.
// Threads: control.
#pragma once

#include "control/capture/captures.h"
#include "control/rpc/server.h"

namespace sluice::capture {

Result<Request> parse_request(const rpc::Args& args);
void add_commands(rpc::Server& server, Captures& captures);

}  // namespace sluice::capture
