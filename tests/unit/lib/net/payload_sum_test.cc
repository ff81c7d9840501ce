// SPDX-License-Identifier: Apache-2.0
#include "lib/net/payload_sum.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "lib/net/checksum.h"

using namespace sluice;

namespace {

using Bytes = std::vector<uint8_t>;

/// RFC 1071, word by word.
uint16_t naive(const uint8_t* p, size_t len) {
    uint32_t sum = 0;
    for (size_t i = 0; i < len; ++i) {
        sum += i % 2 ? uint32_t{p[i]} << 8 : p[i];  // words as a little-endian machine has them
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<uint16_t>(sum);
}

void check_sums(checksum::SumFn sum, const Bytes& bytes) {
    for (size_t from = 0; from < 3; ++from) {
        for (size_t len = 0; from + len <= bytes.size(); len += len < 200 ? 1 : 97) {
            CAPTURE(from, len);
            REQUIRE(checksum::fold(sum(&bytes[from], len)) == naive(&bytes[from], len));
        }
    }
}

void check_copies(checksum::CopyFn copy, const Bytes& bytes) {
    for (size_t from = 0; from < 3; ++from) {
        for (size_t len = 0; from + len < bytes.size(); len += len < 200 ? 1 : 97) {
            CAPTURE(from, len);
            Bytes to(bytes.size() + 64, 0xa5);
            REQUIRE(checksum::fold(copy(&to[7], &bytes[from], len)) == naive(&bytes[from], len));
            Bytes expected(bytes.size() + 64, 0xa5);
            std::copy_n(&bytes[from], len, &expected[7]);
            REQUIRE(to == expected);
        }
    }
}

}  // namespace

TEST_CASE("payload is summed and copied right at every length", "[checksum]") {
    Bytes random(3000);
    std::mt19937 any(7);
    std::generate(random.begin(), random.end(), [&] { return static_cast<uint8_t>(any()); });
    const Bytes full(3000, 0xff);  // every word carries
    for (const Bytes* bytes : std::array<const Bytes*, 2>{&random, &full}) {
        check_sums(checksum::sum_payload, *bytes);
        check_sums(checksum::sum_payload_sse2, *bytes);
        check_copies(checksum::copy_payload, *bytes);
        check_copies(checksum::copy_payload_sse2, *bytes);
        if (__builtin_cpu_supports("avx2")) {
            check_sums(checksum::sum_payload_avx2, *bytes);
            check_copies(checksum::copy_payload_avx2, *bytes);
        }
    }
}
