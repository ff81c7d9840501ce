// SPDX-License-Identifier: Apache-2.0
// Finishes checksums that a veth peer left to a NIC, where nothing beside the frame says so.
//
// A kernel that sends into a veth writes the sum of the pseudo header into the checksum field and
// leaves the rest to the NIC that it takes the veth for. Packet sockets and taps are told
// (pmd/vnet.h), AF_XDP is not. But the field then has exactly that value, which a finished checksum
// has once in 65536 frames; and finishing such a one gives it its own value again if the frame is
// undamaged, which in memory it is. So nothing can become wrong that was right.
//
// Of Geneve and VXLAN both layers are looked at: the outer UDP, or what is inside when the sender's
// kernel encapsulated (its outer checksum holds once the inner one is finished).
// Threads: pure, on worker threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::pmd {

/// The frame, whole and contiguous. Leaves alone whatever it does not understand.
void finish_sums(uint8_t* frame, size_t length);

}  // namespace sluice::pmd
