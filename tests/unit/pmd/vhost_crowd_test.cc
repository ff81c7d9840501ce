// SPDX-License-Identifier: Apache-2.0
// A hypervisor full of guests: many at once, coming and going, and such as mean harm.
#include <rte_mbuf.h>
#include <sys/resource.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "pmd/open_files.h"
#include "pmd/vhost.h"
#include "tests/support/vhost_guest.h"
#include "tests/unit/pmd/lab.h"

using namespace sluice;
using namespace sluice::lab;
using test::VhostGuest;
using test::VhostGuestOptions;

namespace {

unsigned number_from(const char* name, unsigned fallback) {
    const char* text = std::getenv(name);
    return text ? static_cast<unsigned>(std::atoi(text)) : fallback;
}

// What is no leak. AddressSanitizer keeps what was freed for a while; it finds leaks by itself.
#ifdef __SANITIZE_ADDRESS__
constexpr size_t kGrowth = 256u << 20;
#else
constexpr size_t kGrowth = 2u << 20;
#endif

/// Bytes of this process that are in memory.
size_t resident() {
    std::ifstream file("/proc/self/statm");
    size_t all = 0;
    size_t pages = 0;
    file >> all >> pages;
    return pages * 4096;
}

struct Crowd {
    TempDir folder;
    std::unique_ptr<pmd::Ports> ports = make_ports(1, 4095);
    std::unique_ptr<const PortTable> table;

    std::string path(unsigned n) const { return folder.path + "/" + std::to_string(n); }
    PortId plug(unsigned n, const std::string& words = "") {
        return add(*ports, "vm" + std::to_string(n) + "=vhost,mode=server,path=" + path(n) + words);
    }
    std::unique_ptr<VhostGuest> guest(unsigned n, const VhostGuestOptions& like = {}) const {
        VhostGuestOptions options = like;
        options.path = path(n);
        return VhostGuest::connect(options);
    }
    bool is_up(PortId id) const {
        return eventually([&] { return ports->link_up(id); });
    }
    void snapshot() { table = ports->snapshot(); }
    /// One turn of a worker that sends every packet back where it came from. Returns how many.
    unsigned echo(PortId id) const {
        unsigned n_all = 0;
        for (const RxQueue& queue : table->rx_queues(0)) {
            if (id != kNoPort && queue.port != id) {
                continue;
            }
            rte_mbuf* pkts[kMaxPortBurst];
            const uint16_t n = queue.rx(pkts, 32);
            const uint16_t sent = n ? (*table)[queue.port].tx[0].tx(pkts, n) : uint16_t{0};
            rte_pktmbuf_free_bulk(pkts + sent, static_cast<unsigned>(n - sent));
            n_all += n;
        }
        return n_all;
    }
    /// A frame goes to the port and comes back.
    bool answers(VhostGuest& guest, PortId id, uint32_t number) const {
        const Bytes frame = plain(number, 90);
        bool came = false;
        return guest.send(frame) && eventually([&] {
                   echo(id);
                   const std::optional<Bytes> got = guest.receive();
                   came |= got && *got == frame;
                   return came;
               });
    }
};

}  // namespace

TEST_CASE("hundreds of guests at once", "[vhost][crowd]") {
    const unsigned n_guests = number_from("SLUICE_CROWD", 256);
    Crowd crowd;
    const rlimit before = [] {
        rlimit limit{};
        getrlimit(RLIMIT_NOFILE, &limit);
        return limit;
    }();
    std::vector<PortId> ids;
    std::vector<std::unique_ptr<VhostGuest>> guests;
    for (unsigned n = 0; n < n_guests; ++n) {
        ids.push_back(crowd.plug(n));
        REQUIRE(ids.back() != kNoPort);
    }
    CHECK(pmd::OpenFiles::booked() >= 14 * n_guests);
    rlimit raised{};
    getrlimit(RLIMIT_NOFILE, &raised);
    CHECK(raised.rlim_cur >= std::max<rlim_t>(before.rlim_cur, 14 * n_guests));
    for (unsigned n = 0; n < n_guests; ++n) {
        guests.push_back(crowd.guest(n));
        REQUIRE(guests.back());
    }
    for (const PortId id : ids) {
        REQUIRE(crowd.is_up(id));
    }
    crowd.snapshot();
    for (unsigned round = 0; round < 3; ++round) {
        for (unsigned n = 0; n < n_guests; ++n) {
            REQUIRE(guests[n]->send(plain(round * 1000 + n)));
        }
        std::vector<bool> has(n_guests);
        unsigned missing = n_guests;
        CHECK(eventually([&] {
            crowd.echo(kNoPort);
            for (unsigned n = 0; n < n_guests; ++n) {
                const std::optional<Bytes> got = has[n] ? std::nullopt : guests[n]->receive();
                if (got) {
                    CHECK(*got == plain(round * 1000 + n));
                    has[n] = true;
                    --missing;
                }
            }
            return missing == 0;
        }));
    }
    for (const PortId id : ids) {
        CHECK(crowd.ports->stats(id)->rx_packets == 3);
        CHECK(crowd.ports->stats(id)->tx_packets == 3);
    }
    guests.clear();
    for (const PortId id : ids) {
        remove(*crowd.ports, id);
    }
    CHECK(pmd::OpenFiles::booked() == 0);
    CHECK(mbufs_in_use(*crowd.ports) == 0);
}

TEST_CASE("guests come and go beside others that lose nothing", "[vhost][crowd]") {
    const unsigned rounds = number_from("SLUICE_PLUGS", 100);
    Crowd crowd;
    const PortId steady = crowd.plug(0);
    const auto peer = crowd.guest(0);
    REQUIRE(peer);
    REQUIRE(crowd.is_up(steady));
    crowd.snapshot();
    // A worker echoes what the steady guest sends; what is plugged is not in its table.
    const std::unique_ptr<const PortTable> table = crowd.ports->snapshot();
    std::atomic<bool> stop{false};
    std::thread worker([&] {
        const RxQueue queue = table->rx_queues(0)[0];
        while (!stop.load()) {
            rte_mbuf* pkts[kMaxPortBurst];
            const uint16_t n = queue.rx(pkts, 32);
            const uint16_t sent = n ? (*table)[steady].tx[0].tx(pkts, n) : uint16_t{0};
            rte_pktmbuf_free_bulk(pkts + sent, static_cast<unsigned>(n - sent));
        }
    });
    uint32_t sent = 0;
    uint32_t got = 0;
    bool in_order = true;
    bool sends = true;
    const auto traffic = [&] {
        while (sends && sent - got < 16 && peer->send(plain(sent, 200))) {
            ++sent;
        }
        while (const std::optional<Bytes> frame = peer->receive()) {
            in_order &= *frame == plain(got++, 200);
        }
    };
    size_t memory = 0;
    unsigned files = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        const PortId id = crowd.plug(1);
        REQUIRE(id != kNoPort);
        traffic();
        auto guest = crowd.guest(1);
        REQUIRE(guest);
        REQUIRE(eventually([&] {
            traffic();
            return crowd.ports->link_up(id);
        }));
        guest->send(plain(round));  // left where it is: the port goes with it
        if (round % 2) {
            guest.reset();
        }
        remove(*crowd.ports, id);
        traffic();
        if (round == rounds / 3) {
            memory = resident();
            files = open_fds();
        }
    }
    sends = false;
    CHECK(eventually([&] {
        traffic();
        return got == sent;
    }));
    stop = true;
    worker.join();
    CHECK(in_order);
    CHECK(sent >= rounds);
    CHECK(crowd.ports->stats(steady)->tx_dropped == 0);
    CHECK(open_fds() <= files + 2);
    CHECK(resident() <= memory + kGrowth);
    CHECK(mbufs_in_use(*crowd.ports) == 0);
}

TEST_CASE("ports say so when no more files may be opened", "[vhost][crowd]") {
    if (geteuid() == 0) {
        // Root may raise any limit up to the kernel's own.
        auto files = pmd::OpenFiles::book(1u << 30);
        REQUIRE_FALSE(files);
        CHECK_THAT(files.error().message, Catch::Contains("LimitNOFILE"));
    }
    CHECK(pmd::OpenFiles::booked() == 0);
}

namespace {

/// A port, its guest that means harm, and one that does not.
struct Hostile : Crowd {
    PortId id = plug(1);
    PortId other = plug(2);
    std::unique_ptr<VhostGuest> guest = Crowd::guest(1);
    std::unique_ptr<VhostGuest> innocent = Crowd::guest(2);
    Hostile() {
        REQUIRE(guest);
        REQUIRE(innocent);
        REQUIRE(is_up(id));
        REQUIRE(is_up(other));
        snapshot();
        REQUIRE(answers(*guest, id, 1));
    }
    std::string trouble() const { return ports->info(id)->trouble; }
    uint64_t faults() const {
        return ports->stats(id)->work[static_cast<size_t>(PortWork::k_guest_faults)];
    }
    void expect_given_up(const char* reason) {
        CHECK(eventually([&] {
            for (unsigned i = 0; i < 1000; ++i) {
                echo(id);
            }
            return !trouble().empty();
        }));
        CHECK_THAT(trouble(), Catch::Contains(reason));
        CHECK(faults() == 1);
        CHECK(answers(*innocent, other, 2));
        // Nothing more is taken, and nothing sent.
        guest->offer(1, 0);
        CHECK(echo(id) == 0);
        CHECK_FALSE(send(*table, id, plain(3)));
        // It starts anew.
        guest.reset();
        CHECK(eventually([&] { return !ports->link_up(id); }));
        CHECK(trouble().empty());
        guest = Crowd::guest(1);
        REQUIRE(guest);
        REQUIRE(is_up(id));
        CHECK(answers(*guest, id, 4));
        CHECK(faults() == 1);
    }
};

}  // namespace

TEST_CASE("a guest whose ring cannot be read is given up", "[vhost][hostile]") {
    Hostile lab;
    auto& ring = lab.guest->ring(1);
    SECTION("a loop") {
        ring.desc[5] = {VhostGuest::kPhysical + ring.buffers, 64, 1, 6};
        ring.desc[6] = {VhostGuest::kPhysical + ring.buffers, 64, 1, 5};
        lab.guest->offer(1, 5);
        lab.expect_given_up("ring_unreadable");
    }
    SECTION("an address outside of its memory") {
        ring.desc[5] = {0x123456789000, 64, 0, 0};
        lab.guest->offer(1, 5);
        lab.expect_given_up("ring_unreadable");
    }
    SECTION("a descriptor that is not there") {
        ring.desc[5] = {VhostGuest::kPhysical + ring.buffers, 64, 1, 60000};
        lab.guest->offer(1, 5);
        lab.expect_given_up("ring_unreadable");
    }
}

TEST_CASE("a guest that is idle, or slow, is not given up", "[vhost][hostile]") {
    Hostile lab;
    for (unsigned i = 0; i < 20'000; ++i) {
        lab.echo(kNoPort);
    }
    CHECK(lab.trouble().empty());
    for (uint32_t n = 0; n < 200; ++n) {
        REQUIRE(lab.answers(*lab.guest, lab.id, n));
        for (unsigned i = 0; i < 200; ++i) {
            lab.echo(lab.id);
        }
    }
    CHECK(lab.trouble().empty());
    CHECK(lab.faults() == 0);
}

TEST_CASE("frames that the library cannot take are counted", "[vhost][hostile]") {
    Hostile lab;
    // Shorter than a virtio header.
    auto& ring = lab.guest->ring(1);
    ring.desc[9] = {VhostGuest::kPhysical + ring.buffers, 4, 0, 0};
    lab.guest->offer(1, 9);
    for (unsigned i = 0; i < 1000; ++i) {
        lab.echo(lab.id);
    }
    CHECK((lab.ports->stats(lab.id)->rx_errors > 0 || !lab.trouble().empty()));
    CHECK(lab.answers(*lab.innocent, lab.other, 2));
}
