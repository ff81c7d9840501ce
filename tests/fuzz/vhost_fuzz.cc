// SPDX-License-Identifier: Apache-2.0
// A guest that means harm, and its QEMU: random virtio headers, rings and vhost-user messages.
//
//   vhost_fuzz [SECONDS [SEED]]       default: 8 seconds, seed 1
//
// Two ports stand side by side. Behind one a guest writes what the seed says into its shared
// memory: headers that ask for every offload at any offset, descriptors of any length, address and
// chain, tables of descriptors in descriptors, indices that jump; every few hundred steps it tells
// the port a random message or starts anew. Behind the other one an honest guest counts frames to
// and fro. What the hostile one gets through is looked at byte by byte, sent to the honest one's
// ring and back to its own. The program fails when the honest guest loses or sees a frame that is
// not its own, when packets are malformed chains, when a port is stuck for good, or when anything
// crashes; it is meant to run under AddressSanitizer, too.
#include <rte_mbuf.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "lib/base/check.h"
#include "pmd/ports.h"
#include "tests/support/vhost_guest.h"
#include "tests/unit/pmd/lab.h"

using namespace sluice;
using namespace sluice::lab;
using test::VhostGuest;
using test::VhostGuestOptions;
using test::VringDesc;

namespace {

constexpr unsigned kRing = 64;
constexpr unsigned kBuffer = 2048;
constexpr size_t kExtra = 1 << 20;
constexpr long kMostMemoryKb = 1 << 20;  ///< sanitizers included

struct Numbers {
    uint64_t frames = 0;  // from the hostile guest
    uint64_t large = 0;   // of them super-frames
    uint64_t messages = 0;
    uint64_t restarts = 0;
    uint64_t given_up = 0;
    uint64_t honest = 0;  // frames to and fro
};

class Fuzz {
public:
    explicit Fuzz(uint64_t seed) : random_(seed) {
        pmd::PortsSettings settings;
        (void)make_ports(1, 511);  // starts the EAL
        settings.n_workers = 1;
        settings.pool.n_mbufs = 8191;
        settings.super_frames = true;
        ports_ = std::make_unique<pmd::Ports>(settings);
        hostile_port_ = add(*ports_, "bad=vhost,mode=server,path=" + folder_.path + "/bad");
        honest_port_ = add(*ports_, "good=vhost,mode=server,path=" + folder_.path + "/good");
        SLUICE_CHECK(hostile_port_ != kNoPort && honest_port_ != kNoPort);
        honest_ = VhostGuest::connect({.path = folder_.path + "/good"});
        SLUICE_CHECK(honest_);
        SLUICE_CHECK(eventually([&] { return ports_->link_up(honest_port_); }));
        table_ = ports_->snapshot();
        start_hostile();
    }

    void run(double seconds) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
        for (uint64_t step = 0; std::chrono::steady_clock::now() < end; ++step) {
            harm();
            turn();
            if (step % 16 == 0) {
                be_honest();
            }
            const bool is_lost = !ports_->info(hostile_port_)->trouble.empty();
            if (is_lost || below(300) == 0) {
                numbers_.given_up += is_lost;
                misbehave_in_messages();
                restart();
            }
        }
        for (unsigned i = 0; i < 100; ++i) {
            be_honest();
        }
        SLUICE_CHECK(echoed_ == sent_);
        // The port still serves an honest guest.
        hostile_.reset();
        SLUICE_CHECK(eventually([&] { return !ports_->link_up(hostile_port_); }));
        hostile_ = VhostGuest::connect({.path = folder_.path + "/bad"});
        SLUICE_CHECK(hostile_ && eventually([&] { return ports_->link_up(hostile_port_); }));
        SLUICE_CHECK(hostile_->send(plain(77, 100)));
        SLUICE_CHECK(receive(*table_, hostile_port_, 1, 0x88b5).size() == 1);
        rusage used{};
        getrusage(RUSAGE_SELF, &used);
        SLUICE_CHECK(used.ru_maxrss < kMostMemoryKb);
    }
    const Numbers& numbers() const { return numbers_; }

private:
    uint64_t below(uint64_t n) { return random_() % n; }
    bool rarely(unsigned n) { return below(n) == 0; }

    VhostGuestOptions hostile_options() {
        using namespace test::virtio_net;
        VhostGuestOptions options{.path = folder_.path + "/bad"};
        options.ring = kRing;
        options.buffer = kBuffer;
        options.extra_memory = kExtra;
        options.features = kVersion1;
        for (const uint64_t bit : {kMergeable, kIndirect, kOffloads, kGuestCsum | kGuestTso4}) {
            options.features |= rarely(3) ? 0 : bit;
        }
        return options;
    }
    void start_hostile() {
        hostile_ = VhostGuest::connect(hostile_options());
        SLUICE_CHECK(hostile_);
        SLUICE_CHECK(eventually([&] { return ports_->link_up(hostile_port_); }));
    }
    void restart() {
        hostile_.reset();
        SLUICE_CHECK(eventually([&] {
            turn();
            return !ports_->link_up(hostile_port_);
        }));
        start_hostile();
        ++numbers_.restarts;
    }

    // ---- what the guest does to its memory
    uint64_t address(size_t* room) {
        const size_t size = hostile_->memory().size();
        const size_t at = below(size);
        *room = size - at;
        switch (below(24)) {
        case 0: return random_();
        case 1: return VhostGuest::kPhysical - below(4096);
        case 2: return VhostGuest::kPhysical + size - below(64);
        case 3: return ~uint64_t{0} - below(4096);
        default: return VhostGuest::kPhysical + at;
        }
    }
    uint32_t length(size_t room) {
        switch (below(12)) {
        case 0: return static_cast<uint32_t>(random_());
        case 1: return 0;
        case 2: return static_cast<uint32_t>(below(16));
        case 3: return 0xffffffffu - static_cast<uint32_t>(below(64));
        case 4: return static_cast<uint32_t>(below(70000));
        default: return static_cast<uint32_t>(std::min<size_t>(below(4000) + 1, room));
        }
    }
    /// A frame that looks like one, more or less, with a header that asks for anything.
    void write_frame(size_t at) {
        const std::span<uint8_t> memory = hostile_->memory();
        std::vector<uint8_t> bytes(12 + 14 + 40 + 60 + below(200));
        for (uint8_t& b : bytes) {
            b = static_cast<uint8_t>(random_());
        }
        bytes[0] = static_cast<uint8_t>(rarely(4) ? random_() : below(4));
        static constexpr uint8_t kTypes[] = {0, 1, 4, 1, 4, 3, 5, 0x81, 0x84};
        bytes[1] = rarely(8) ? bytes[1] : kTypes[below(sizeof kTypes)];
        const auto small = [&](size_t i, uint64_t most) {
            const uint64_t v = rarely(5) ? random_() : below(most);
            bytes[i] = static_cast<uint8_t>(v);
            bytes[i + 1] = static_cast<uint8_t>(v >> 8);
        };
        small(2, 200);
        small(4, 3000);
        small(6, 80);
        small(8, 20);
        uint8_t* frame = &bytes[12];
        size_t l3 = 14;
        for (unsigned tags = rarely(4) ? static_cast<unsigned>(below(6)) : 0; tags > 0; --tags) {
            frame[l3 - 2] = 0x81;
            frame[l3 - 1] = 0x00;
            l3 += 4;
        }
        const bool v6 = rarely(3);
        frame[l3 - 2] = v6 ? 0x86 : 0x08;
        frame[l3 - 1] = v6 ? 0xdd : 0x00;
        frame[l3] = static_cast<uint8_t>(v6 ? 0x60 : 0x40 | (rarely(4) ? below(16) : 5));
        static constexpr uint8_t kProtocols[] = {6, 6, 6, 17, 0, 43, 44, 60};
        frame[l3 + (v6 ? 6 : 9)] = kProtocols[below(sizeof kProtocols)];
        if (!v6 && !rarely(4)) {
            frame[l3 + 6] = frame[l3 + 7] = 0;
        }
        const size_t l4 = l3 + (v6 ? 40 : (frame[l3] & 15u) * 4u);
        if (12 + l4 + 14 < bytes.size() && !rarely(4)) {
            frame[l4 + 12] = static_cast<uint8_t>(below(16) << 4);
        }
        const size_t n = std::min(bytes.size(), memory.size() - at);
        std::memcpy(&memory[at], bytes.data(), n);
    }
    /// TCP of one descriptor that may be cut: what an honest guest sends.
    uint16_t large_frame(VhostGuest::Ring& ring) {
        const auto slot = static_cast<unsigned>(below(kRing));
        const size_t at = ring.buffers + size_t{slot} * kBuffer;
        uint8_t* header = &hostile_->memory()[at];
        std::memset(header, 0, 12 + 54);
        header[0] = header[1] = 1;
        header[2] = 54;
        header[4] = static_cast<uint8_t>(below(200) + 1);
        header[6] = 34;
        header[8] = 16;
        const size_t payload = below(1800) + 1;
        uint8_t* frame = header + 12;
        std::memcpy(frame, plain(0).data(), 12);
        frame[12] = 8;
        frame[14] = 0x45;
        frame[16] = static_cast<uint8_t>((40 + payload) >> 8);
        frame[17] = static_cast<uint8_t>(40 + payload);
        frame[23] = 6;
        frame[46] = 0x50;
        frame[47] = 0x10;
        ring.desc[slot] = {VhostGuest::kPhysical + at, static_cast<uint32_t>(12 + 54 + payload), 0,
                           0};
        return static_cast<uint16_t>(slot);
    }
    VringDesc any_descriptor(unsigned of) {
        size_t room = 0;
        VringDesc d{};
        d.address = address(&room);
        d.length = length(room);
        d.flags = static_cast<uint16_t>(rarely(8) ? random_() : rarely(3) ? 1 : 0);
        d.next = static_cast<uint16_t>(rarely(8) ? random_() : below(of));
        return d;
    }
    /// A chain that can be read, of some length, up to 64 KB.
    uint16_t good_chain(VhostGuest::Ring& ring) {
        const auto pieces = static_cast<unsigned>(rarely(3) ? below(kRing - 2) + 1 : below(3) + 1);
        const auto first = static_cast<unsigned>(below(kRing - pieces));
        for (unsigned i = 0; i < pieces; ++i) {
            const size_t at = ring.buffers + size_t{first + i} * kBuffer;
            ring.desc[first + i] = {VhostGuest::kPhysical + at,
                                    static_cast<uint32_t>(rarely(4) ? below(kBuffer) + 1 : kBuffer),
                                    i + 1 < pieces ? uint16_t{1} : uint16_t{0},
                                    static_cast<uint16_t>(first + i + 1)};
        }
        write_frame(ring.buffers + size_t{first} * kBuffer);
        return static_cast<uint16_t>(first);
    }
    uint16_t indirect(VhostGuest::Ring& ring) {
        const std::span<uint8_t> memory = hostile_->memory();
        const auto n = static_cast<unsigned>(below(40) + 1);
        const size_t at = (memory.size() - kExtra + below(kExtra - 16 * 64)) & ~size_t{15};
        for (unsigned i = 0; i < n; ++i) {
            VringDesc d = any_descriptor(n + 1);
            if (!rarely(6)) {
                d.address = VhostGuest::kPhysical + ring.buffers + below(kRing) * kBuffer;
                d.length = static_cast<uint32_t>(below(kBuffer) + 1);
                d.flags = i + 1 < n ? 1 : 0;
                d.next = static_cast<uint16_t>(i + 1);
            }
            std::memcpy(&memory[at + 16 * i], &d, sizeof d);
        }
        const auto slot = static_cast<uint16_t>(below(kRing));
        ring.desc[slot] = {VhostGuest::kPhysical + at, rarely(6) ? length(kExtra) : 16 * n, 4, 0};
        return slot;
    }
    void harm() {
        const auto i = static_cast<unsigned>(rarely(6) ? 0 : 1);
        VhostGuest::Ring& ring = hostile_->ring(i);
        switch (below(16)) {
        case 0: {
            const auto slot = static_cast<uint16_t>(below(kRing));
            ring.desc[slot] = any_descriptor(kRing);
            hostile_->offer(i, slot);
            break;
        }
        case 1: hostile_->offer(i, static_cast<uint16_t>(random_())); break;
        case 2:
            ring.next_avail = static_cast<uint16_t>(ring.next_avail + below(rarely(4) ? 65536 : 8));
            hostile_->offer(i, static_cast<uint16_t>(below(kRing)));
            break;
        case 3: hostile_->offer(1, indirect(ring)); break;
        case 4:
            hostile_->memory()[below(hostile_->memory().size())] = static_cast<uint8_t>(random_());
            break;
        case 5: ring.avail[0] = static_cast<uint16_t>(random_()); break;
        case 6: ring.used[2 + below(2)] = static_cast<uint8_t>(random_()); break;
        case 7: hostile_->offer(1, large_frame(hostile_->ring(1))); break;
        default: hostile_->offer(1, good_chain(hostile_->ring(1))); break;
        }
    }

    // ---- what its QEMU says
    void misbehave_in_messages() {
        const unsigned n = static_cast<unsigned>(below(6));
        for (unsigned i = 0; i < n; ++i) {
            std::vector<uint8_t> payload(rarely(4) ? below(300) : 8 * below(6));
            for (uint8_t& b : payload) {
                b = static_cast<uint8_t>(rarely(2) ? random_() : below(4));
            }
            int fds[3] = {hostile_->memory_fd(), hostile_->ring(0).kick, hostile_->ring(1).call};
            const auto n_fds = rarely(3) ? below(4) : 0;
            const auto request = static_cast<uint32_t>(rarely(10) ? random_() : below(44));
            const uint32_t flags =
                rarely(6) ? static_cast<uint32_t>(random_()) : test::vhost_user::kVersion;
            ++numbers_.messages;
            if (!hostile_->tell(request, payload, std::span(fds, n_fds), flags)) {
                break;
            }
            turn();
        }
    }

    // ---- the port's side
    void look_at(rte_mbuf* m) {
        uint32_t length = 0;
        unsigned pieces = 0;
        uint8_t sum = 0;
        for (const rte_mbuf* s = m; s; s = s->next, ++pieces) {
            SLUICE_CHECK(s->data_off + s->data_len <= s->buf_len);
            const auto* p = rte_pktmbuf_mtod(s, const uint8_t*);
            for (uint16_t i = 0; i < s->data_len; ++i) {
                sum = static_cast<uint8_t>(sum + p[i]);
            }
            length += s->data_len;
        }
        sink_ = sum;
        SLUICE_CHECK(pieces == m->nb_segs && length == m->pkt_len);
        ++numbers_.frames;
        if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) {
            ++numbers_.large;
            SLUICE_CHECK(m->tso_segsz > 0 && m->pkt_len > m->tso_segsz);
        }
    }
    /// Sends with the offloads that a super-frame asks for, as the datapath would.
    static void ask_for_cutting(rte_mbuf* m) {
        if (!(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)) {
            return;
        }
        m->l2_len = 14;
        m->l3_len = 20;
        m->l4_len = 20;
        m->ol_flags |= RTE_MBUF_F_TX_IPV4;
    }
    void turn() {
        for (const RxQueue& queue : table_->rx_queues(0)) {
            rte_mbuf* pkts[kMaxPortBurst];
            const uint16_t n = queue.rx(pkts, 32);
            for (uint16_t i = 0; i < n; ++i) {
                if (queue.port == hostile_port_) {
                    look_at(pkts[i]);
                    ask_for_cutting(pkts[i]);
                }
            }
            // All go back to where they came from; nothing of the hostile one to the honest one.
            const uint16_t sent = n ? (*table_)[queue.port].tx[0].tx(pkts, n) : uint16_t{0};
            rte_pktmbuf_free_bulk(pkts + sent, static_cast<unsigned>(n - sent));
        }
    }
    void be_honest() {
        while (sent_ - echoed_ < 8 && honest_->send(plain(sent_, 300))) {
            ++sent_;
        }
        turn();
        while (const auto frame = honest_->receive()) {
            SLUICE_CHECK(*frame == plain(echoed_, 300));
            ++echoed_;
            ++numbers_.honest;
        }
    }

    TempDir folder_;
    std::mt19937_64 random_;
    std::unique_ptr<pmd::Ports> ports_;
    std::unique_ptr<const PortTable> table_;
    PortId hostile_port_ = kNoPort;
    PortId honest_port_ = kNoPort;
    std::unique_ptr<VhostGuest> hostile_;
    std::unique_ptr<VhostGuest> honest_;
    uint32_t sent_ = 0;
    uint32_t echoed_ = 0;
    Numbers numbers_;
    volatile uint8_t sink_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    const double seconds = argc > 1 ? std::atof(argv[1]) : 8;
    const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    Fuzz fuzz(seed);
    fuzz.run(seconds);
    const Numbers& n = fuzz.numbers();
    std::printf(
        "seed %lu: %lu frames got through (%lu large), given up %lu times, %lu restarts, "
        "%lu messages; the honest guest had %lu frames echoed\n",
        seed, n.frames, n.large, n.given_up, n.restarts, n.messages, n.honest);
    // A fuzzer that nothing gets past would prove nothing.
    return n.frames > 100 && n.large > 0 && n.honest > 100 ? 0 : 1;
}
