// SPDX-License-Identifier: Apache-2.0
// A guest with TSO for bench/run tso: a source of TCP that costs next to nothing, and a sink that
// looks at what it gets.
//
//   tso_guest SOCKET STATUS send PAYLOAD SEGMENT | tso_guest SOCKET STATUS receive PAYLOAD SEGMENT
//
// It listens on SOCKET, where a vhost-user port connects as client, and shares STATUS, a file of
// 64-bit words (struct Status), with whoever measures. The source has a few frames of PAYLOAD bytes
// in its memory, one stretch of a TCP stream, which it offers again and again; in the other mode
// it offers the same stretch in packets of SEGMENT bytes with all checksums, as a guest without
// offloads would. The byte at offset o of the stretch is pattern(o), so the sink can tell.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tests/support/vhost_guest.h"

using sluice::test::VhostGuest;
using sluice::test::VhostGuestOptions;
namespace virtio_net = sluice::test::virtio_net;

namespace {

enum Mode : uint64_t { kQuiet = 0, kLarge = 1, kSmall = 2 };

/// Words that both processes see.
struct Status {
    std::atomic<uint64_t> is_up;
    std::atomic<uint64_t> mode;     // wanted, by whoever measures
    std::atomic<uint64_t> frames;   // offered and taken, or received
    std::atomic<uint64_t> bytes;    // of TCP payload
    std::atomic<uint64_t> checked;  // frames whose every byte was compared
    std::atomic<uint64_t> bad;      // frames that were not as they should be
    std::atomic<uint64_t> longest;  // frame
};

constexpr unsigned kRing = 1024;
constexpr unsigned kLargeFrames = 8;
constexpr size_t kHeaders = 54;
volatile std::sig_atomic_t stop = 0;

/// One process writes.
void bump(std::atomic<uint64_t>& word, uint64_t by) {
    word.store(word.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

uint8_t pattern(size_t o) {
    return static_cast<uint8_t>(o * 7 + (o >> 8) * 13 + 1);
}

void put16(uint8_t* p, size_t v) {
    p[0] = static_cast<uint8_t>(v >> 8);
    p[1] = static_cast<uint8_t>(v);
}
size_t get16(const uint8_t* p) {
    return size_t{p[0]} << 8 | p[1];
}

uint32_t words(const uint8_t* p, size_t n, uint32_t sum = 0) {
    for (size_t i = 0; i < n; ++i) {
        sum += i % 2 ? p[i] : uint32_t{p[i]} << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/// Ethernet, IPv4 and TCP in front of `n` bytes of the stretch from offset `from` on.
void write_headers(uint8_t* f, size_t from, size_t n, size_t id, bool is_whole) {
    static constexpr uint8_t kEthernet[] = {2, 0, 0, 0, 1, 2, 2, 0, 0, 0, 1, 1, 8, 0};
    static constexpr uint8_t kIp[] = {0x45, 0, 0,  0, 0, 0, 0x40, 0, 64, 6,
                                      0,    0, 10, 0, 0, 1, 10,   0, 0,  2};
    std::memset(f, 0, kHeaders);
    std::memcpy(f, kEthernet, sizeof kEthernet);
    uint8_t* ip = f + 14;
    std::memcpy(ip, kIp, sizeof kIp);
    put16(ip + 2, 40 + n);
    put16(ip + 4, id & 0xffff);
    put16(ip + 10, 0xffff ^ words(ip, 20));
    uint8_t* tcp = ip + 20;
    put16(tcp, 4000);
    put16(tcp + 2, 80);
    put16(tcp + 4, from >> 16);
    put16(tcp + 6, from & 0xffff);
    tcp[11] = 1;
    tcp[12] = 0x50;
    tcp[13] = 0x10;
    put16(tcp + 14, 0xffff);
    const uint32_t pseudo = words(ip + 12, 8, static_cast<uint32_t>(6 + 20 + n));
    put16(tcp + 16, is_whole ? 0xffff ^ words(tcp, 20 + n, pseudo) : pseudo);
}

class Source {
public:
    Source(VhostGuest& guest, Status& status, size_t payload, size_t segment)
        : guest_(guest), status_(status), payload_(payload), segment_(segment) {
        uint8_t* memory = guest.memory().data();
        size_t at = guest.memory().size() - room(payload, segment);
        for (unsigned i = 0; i < kLargeFrames; ++i) {
            at = add(memory, at, i * payload, payload, i * 64, false);
        }
        const size_t all = kLargeFrames * payload;
        for (size_t from = 0; from < all && n_descs_ < kRing; from += segment) {
            at = add(memory, at, from, std::min(segment, all - from), from / segment, true);
        }
    }
    static size_t room(size_t payload, size_t segment) {
        return kLargeFrames * (payload + 128) + kRing * (segment + 128);
    }
    void turn() {
        VhostGuest::Ring& ring = guest_.ring(1);
        uint16_t used;
        std::memcpy(&used, ring.used + 2, sizeof used);
        account(static_cast<uint16_t>(used - seen_));
        seen_ = used;
        const uint64_t wanted = status_.mode.load(std::memory_order_relaxed);
        if (wanted != mode_ && seen_ != ring.next_avail) {
            return;  // what is under way goes first
        }
        mode_ = wanted;
        if (mode_ == kQuiet) {
            usleep(100);
            return;
        }
        const unsigned first = mode_ == kLarge ? 0 : kLargeFrames;
        const unsigned n = mode_ == kLarge ? kLargeFrames : n_descs_ - kLargeFrames;
        // Large frames: no more at once than a real guest's ring of 256 has.
        const unsigned depth = mode_ == kLarge ? 128 : kRing / 2;
        bool is_new = false;
        while (static_cast<uint16_t>(ring.next_avail - seen_) < depth) {
            ring.avail[2 + ring.next_avail++ % ring.size] =
                static_cast<uint16_t>(first + turn_++ % n);
            is_new = true;
        }
        if (is_new) {
            guest_.publish(1);
        }
    }

private:
    size_t add(uint8_t* memory, size_t at, size_t from, size_t n, size_t id, bool is_whole) {
        uint8_t* header = memory + at;
        std::memset(header, 0, virtio_net::kHeader);
        if (!is_whole) {
            header[0] = 1;  // the checksum is partial, from 34 on, its field at 16
            header[1] = 1;  // to be cut as TCP over IPv4
            std::memcpy(header + 2, "\x36\x00", 2);
            header[4] = static_cast<uint8_t>(segment_);
            header[5] = static_cast<uint8_t>(segment_ >> 8);
            header[6] = 34;
            header[8] = 16;
        }
        uint8_t* frame = header + virtio_net::kHeader;
        for (size_t i = 0; i < n; ++i) {
            frame[kHeaders + i] = pattern(from + i);
        }
        write_headers(frame, from, n, id, is_whole);
        guest_.ring(1).desc[n_descs_++] = {
            VhostGuest::kPhysical + at, static_cast<uint32_t>(virtio_net::kHeader + kHeaders + n),
            0, 0};
        return (at + virtio_net::kHeader + kHeaders + n + 63) & ~size_t{63};
    }
    void account(unsigned n) {
        bump(status_.frames, n);
        bump(status_.bytes, n * (mode_ == kLarge ? payload_ : segment_));
    }

    VhostGuest& guest_;
    Status& status_;
    size_t payload_;
    size_t segment_;
    uint64_t mode_ = kQuiet;
    unsigned n_descs_ = 0;
    uint16_t seen_ = 0;
    size_t turn_ = 0;
};

class Sink {
public:
    Sink(VhostGuest& guest, Status& status, unsigned buffer)
        : guest_(guest), status_(status), buffer_(buffer) {}
    void turn() {
        VhostGuest::Ring& ring = guest_.ring(0);
        uint16_t used;
        std::memcpy(&used, ring.used + 2, sizeof used);
        std::atomic_thread_fence(std::memory_order_acquire);
        bool is_new = false;
        while (ring.seen_used != used) {
            take(ring);
            is_new = true;
        }
        if (is_new) {
            guest_.publish(0);
        }
    }

private:
    struct Piece {
        const uint8_t* at;
        size_t n;
    };
    void take(VhostGuest::Ring& ring) {
        n_pieces_ = 0;
        size_t length = 0;
        unsigned left = 1;
        for (bool is_first = true; left > 0 && n_pieces_ < kMost; --left, is_first = false) {
            uint32_t e[2];
            std::memcpy(e, ring.used + 4 + 8 * (ring.seen_used++ % ring.size), sizeof e);
            const uint8_t* at =
                guest_.memory().data() + ring.buffers + size_t{e[0] % ring.size} * buffer_;
            if (is_first) {
                left = std::max<unsigned>(at[10] | at[11] << 8, 1);
            }
            pieces_[n_pieces_++] = {at, std::min<size_t>(e[1], buffer_)};
            length += e[1];
            ring.avail[2 + ring.next_avail++ % ring.size] = static_cast<uint16_t>(e[0]);
        }
        judge(length);
    }
    void judge(size_t length) {
        const uint8_t* header = pieces_[0].at;
        const uint8_t* f = header + virtio_net::kHeader;
        const size_t frame = length - virtio_net::kHeader;
        bump(status_.frames, 1);
        const bool is_ours = frame > kHeaders && get16(f + 12) == 0x0800 && f[23] == 6 &&
                             get16(f + 16) + 14 == frame;
        if (!is_ours) {
            return;  // what a switch says for itself
        }
        bump(status_.bytes, frame - kHeaders);
        if (frame > status_.longest.load(std::memory_order_relaxed)) {
            status_.longest.store(frame, std::memory_order_relaxed);
        }
        // By bytes, so that large frames and small ones cost the sink the same; it must not be what
        // limits.
        unchecked_ += frame;
        if (unchecked_ >= kCheckEvery) {
            unchecked_ = 0;
            bump(status_.checked, 1);
            bump(status_.bad, is_wrong(frame, header));
        }
    }
    bool is_wrong(size_t frame, const uint8_t* header) {
        whole_.clear();
        for (unsigned i = 0; i < n_pieces_; ++i) {
            whole_.insert(whole_.end(), pieces_[i].at, pieces_[i].at + pieces_[i].n);
        }
        const uint8_t* f = whole_.data() + virtio_net::kHeader;
        const uint8_t* ip = f + 14;
        const uint8_t* tcp = ip + 20;
        const size_t from = get16(tcp + 4) << 16 | get16(tcp + 6);
        bool wrong = words(ip, 20) != 0xffff;
        for (size_t i = 0; i < frame - kHeaders; ++i) {
            wrong |= f[kHeaders + i] != pattern(from + i);
        }
        const uint32_t pseudo = words(ip + 12, 8, static_cast<uint32_t>(6 + frame - 34));
        const bool is_partial = header[0] & 1;
        const bool is_verified = header[0] & 2;
        // librte_vhost leaves the length out of a large frame's sum; guests do not look at it
        // there.
        const uint32_t without_length = words(ip + 12, 8, 6);
        const bool right = is_partial
                               ? get16(tcp + 16) == pseudo || get16(tcp + 16) == without_length
                               : words(tcp, frame - 34, pseudo) == 0xffff;
        return wrong || (!right && !is_verified);
    }

    static constexpr unsigned kMost = 64;
    static constexpr size_t kCheckEvery = 4 << 20;
    size_t unchecked_ = kCheckEvery;
    VhostGuest& guest_;
    Status& status_;
    unsigned buffer_;
    std::array<Piece, kMost> pieces_{};
    unsigned n_pieces_ = 0;
    std::vector<uint8_t> whole_;
};

Status* share(const char* path) {
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(Status)) != 0) {
        return nullptr;
    }
    void* at = mmap(nullptr, sizeof(Status), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return at == MAP_FAILED ? nullptr : static_cast<Status*>(at);
}

}  // namespace

int main(int argc, char** argv) {
    Status* status = argc == 6 ? share(argv[2]) : nullptr;
    if (!status) {
        std::fprintf(stderr, "usage: tso_guest SOCKET STATUS send|receive PAYLOAD SEGMENT\n");
        return 2;
    }
    std::signal(SIGTERM, [](int) { stop = 1; });
    const bool sends = std::strcmp(argv[3], "send") == 0;
    const auto payload = static_cast<size_t>(std::atol(argv[4]));
    const auto segment = static_cast<size_t>(std::atol(argv[5]));
    VhostGuestOptions options;
    options.path = argv[1];
    options.listens = true;
    options.ring = kRing;
    options.buffer = sends ? 64 : 2048;
    options.features |= virtio_net::kOffloads;
    options.extra_memory = sends ? Source::room(payload, segment) : 0;
    options.patience_ms = 300'000;
    const auto guest = VhostGuest::connect(options);
    if (!guest) {
        std::fprintf(stderr, "tso_guest: no port came to %s\n", argv[1]);
        return 1;
    }
    for (unsigned ring = 0; ring < 2; ++ring) {
        guest->ring(ring).avail[0] = 1;  // no interrupts: we poll
    }
    status->is_up.store(1);
    if (sends) {
        Source source(*guest, *status, payload, segment);
        while (!stop) {
            source.turn();
        }
    } else {
        Sink sink(*guest, *status, options.buffer);
        while (!stop) {
            sink.turn();
        }
    }
    return 0;
}
