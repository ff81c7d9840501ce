// SPDX-License-Identifier: Apache-2.0
// Internet checksums of payload: as checksum.h, for hundreds of bytes and more.
//
// A pass over the payload costs more than everything else that is done to a packet of wire size,
// so it is made with the widest registers that pay (32 bytes: 64 are no faster, as the sum is
// bound by what is loaded), and where bytes are copied anyway they are summed on the way: the copy
// is then as good as free. Chosen once, by the processor.
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::checksum {

using SumFn = uint64_t (*)(const void* data, size_t len);
using CopyFn = uint64_t (*)(void* to, const void* from, size_t len);

/// Sum of 16-bit words; an odd last byte counts as if followed by zero. Not folded.
extern const SumFn sum_payload;
/// Copies, and returns the sum of what it copied.
extern const CopyFn copy_payload;

// The ways to choose from. The wide ones only on processors that have AVX2.
uint64_t sum_payload_sse2(const void* data, size_t len);
uint64_t copy_payload_sse2(void* to, const void* from, size_t len);
uint64_t sum_payload_avx2(const void* data, size_t len);
uint64_t copy_payload_avx2(void* to, const void* from, size_t len);

}  // namespace sluice::checksum
