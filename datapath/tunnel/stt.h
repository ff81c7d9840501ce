// SPDX-License-Identifier: Apache-2.0
// STT (draft-davie-stt-08): frames of up to 64 KB in what looks like TCP to network hardware.
//
// What. An STT frame is an 18-byte header and one Ethernet frame. It travels in segments: outer IP,
// 20 bytes that look like TCP, a slice of the frame. There is no connection, nothing is
// acknowledged or sent again; the sequence number says the frame's length and the slice's offset,
// the acknowledgement which frame it is. The 64-bit context ID has the logical coordinates.
//
// Sending. The whole STT frame becomes one outer packet; if that is longer than the path's MTU it
// is a TCP super-frame like any other (datapath/super_frame.h) and is cut by the device or, at the
// last moment, in software: what cutting does to TCP is exactly what STT wants of its segments. An
// inner TCP super-frame goes as it is, with flag P and its MSS; the one 802.1Q tag of the inner
// frame goes into the header's TCI.
//
// Receiving. A frame in one segment needs no state. Others wait in the worker's SttReassembly
// (stt_reassembly.h); the source port is the same for all segments of a frame, so RSS brings them
// to one worker. What is whole is judged and taken apart here: nothing of the STT header is
// believed before it fits the inner packet as parsed.
//
// Threads: the worker's own.
#pragma once

#include <cstdint>

#include "datapath/stages.h"

namespace sluice {

struct Tunnel;
struct Underlay;

/// Bytes that an STT tunnel's prebuilt header has behind the outer IP header: the TCP-like header
/// (ports and data offset filled in, the rest zero) and the STT header (zero).
inline constexpr unsigned kSttSegmentLen = 20;
inline constexpr unsigned kSttFrameLen = 18;

/// `coordinates`: datapath key << 32 | inport << 16 | outport. The tunnel is ready; its MTU has not
/// been looked at: a frame of any length up to 64 KB is sent. Takes the packet over.
void send_stt(WorkerCtx& ctx, rte_mbuf* m, const Tunnel& tunnel, uint64_t coordinates);

/// A packet for one of our addresses with the STT port, outer headers still there. kDropped also
/// when the segment was taken to wait for the others of its frame.
UnderlayVerdict receive_stt(WorkerCtx& ctx, rte_mbuf* m, const Underlay& underlay, Item* item);

}  // namespace sluice
