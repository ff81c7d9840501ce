// SPDX-License-Identifier: Apache-2.0
// Path MTU discovery: who sends more than a tunnel carries is told how much it does carry.
//
// The answer is an ICMP "fragmentation needed" or "packet too big" with the largest inner IP packet
// that the tunnel takes, from the address that the sender sent to. It is made before the packet is
// edited, so it quotes what the sender sent: not translated, not balanced; and it goes back the way
// the packet came, past the logical pipelines: to the port, through the tunnel or to the VTEP
// gateway that it came from. RFC 1812 section 4.3.2.7 and RFC 4443 section 2.4 say what is not
// answered: errors, later fragments, group addresses; and that there is a limit.
// Threads: the worker's own.
#pragma once

#include <cstdint>

#include "datapath/program.h"

struct rte_mbuf;

namespace sluice {

struct WorkerCtx;

/// Answers the packet if `program` would put it into a tunnel that is too small for it. The packet
/// is still as received; ctx.long_start says where it came from.
void tell_too_big(WorkerCtx& ctx, rte_mbuf* m, const ProgramView& program);

}  // namespace sluice
