// SPDX-License-Identifier: Apache-2.0
// Two hosts' own TCP stacks talk through two of our ports, with every offload that Linux has by
// default: af_packet on veths, with VLAN devices, with IPv6, and a tap. Every frame on the way must
// be of wire size and its checksums must hold. Needs root.
#include <arpa/inet.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "tests/unit/pmd/lab.h"

using namespace sluice;
using namespace sluice::lab;

namespace {

constexpr size_t kTransfer = 8u << 20;

/// A thread in a network namespace of its own: the stand-in for a VM.
class Guest {
public:
    Guest() : thread_([this] { work(); }) {
        run_here([] {});
    }
    ~Guest() {
        {
            const std::lock_guard guard(mutex_);
            stop_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    /// Runs a task in the namespace and waits for it.
    void run_here(const std::function<void()>& task) {
        start(task);
        wait();
    }
    void start(std::function<void()> task) {
        const std::lock_guard guard(mutex_);
        task_ = std::move(task);
        changed_.notify_all();
    }
    void wait() {
        std::unique_lock guard(mutex_);
        changed_.wait(guard, [this] { return !task_; });
    }
    pid_t tid() const { return tid_; }
    bool is_private() const { return is_private_; }

private:
    void work() {
        is_private_ = unshare(CLONE_NEWNET) == 0;
        tid_ = gettid();
        std::unique_lock guard(mutex_);
        for (;;) {
            changed_.wait(guard, [this] { return stop_ || task_; });
            if (stop_) {
                return;
            }
            guard.unlock();
            task_();
            guard.lock();
            task_ = nullptr;
            changed_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::function<void()> task_;
    bool stop_ = false;
    std::atomic<pid_t> tid_{0};
    std::atomic<bool> is_private_{false};
    std::thread thread_;
};

uint8_t pattern(size_t i) {
    return static_cast<uint8_t>(i ^ i >> 8 ^ i >> 16);
}

sockaddr_in6 address(const std::string& text) {
    sockaddr_in6 a{};
    a.sin6_family = AF_INET6;
    a.sin6_port = htons(5001);
    inet_pton(AF_INET6, text.c_str(), &a.sin6_addr);  // IPv4 as ::ffff:10.0.0.1
    return a;
}

/// A TCP connection that would wait for ever gives up instead.
void give_patience(int fd) {
    const timeval patience{20, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

int listen_here(const std::string& at) {
    const int fd = socket(AF_INET6, SOCK_STREAM, 0);
    const sockaddr_in6 a = address(at);
    give_patience(fd);
    if (bind(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a) < 0 || listen(fd, 1) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/// How many of the bytes came as they were sent.
size_t receive_all(int listener) {
    const int fd = accept(listener, nullptr, nullptr);
    give_patience(fd);
    std::vector<uint8_t> buffer(1 << 16);
    size_t good = 0;
    for (ssize_t n; (n = recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
        for (ssize_t i = 0; i < n && buffer[static_cast<size_t>(i)] == pattern(good); ++i) {
            ++good;
        }
    }
    close(fd);
    return good;
}

void send_all(const std::string& to) {
    const int fd = socket(AF_INET6, SOCK_STREAM, 0);
    const sockaddr_in6 a = address(to);
    give_patience(fd);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0) {
        std::vector<uint8_t> buffer(1 << 16);
        for (size_t at = 0; at < kTransfer; at += buffer.size()) {
            for (size_t i = 0; i < buffer.size(); ++i) {
                buffer[i] = pattern(at + i);
            }
            if (send(fd, buffer.data(), buffer.size(), MSG_NOSIGNAL) < 0) {
                break;
            }
        }
    }
    close(fd);
}

struct Seen {
    size_t frames = 0;
    size_t largest = 0;
    size_t wrong_sums = 0;
};

/// A wire between two ports until `done`.
Seen forward(const PortTable& table, PortId a, PortId b, const std::atomic<bool>& done) {
    Seen seen;
    while (!done) {
        bool idle = true;
        for (const RxQueue& queue : table.rx_queues(0)) {
            rte_mbuf* pkts[32];
            const uint16_t n = queue.rx(pkts, 32);
            idle = idle && n == 0;
            for (uint16_t i = 0; i < n; ++i) {
                const Bytes frame = to_bytes(pkts[i]);
                ++seen.frames;
                seen.largest = std::max(seen.largest, frame.size());
                seen.wrong_sums += !checksums_hold(frame);
            }
            const PortId other = queue.port == a ? b : a;
            const uint16_t sent = n ? table[other].tx[0].tx(pkts, n) : uint16_t{0};
            rte_pktmbuf_free_bulk(pkts + sent, static_cast<unsigned>(n - sent));
        }
        if (idle) {
            usleep(50);  // a shared core: let the peers run
        }
    }
    return seen;
}

/// One transfer from `client` to `server`'s address, forwarded by this thread.
void check_transfer(const PortTable& table, PortId a, PortId b, Guest& client,
                    const std::function<void(std::function<void()>)>& on_server,
                    const std::string& to, size_t largest) {
    std::atomic<int> listener{-1};
    std::atomic<size_t> good{0};
    std::atomic<bool> done{false};
    on_server([&] { listener = listen_here(to); });
    REQUIRE(listener >= 0);
    // A listening socket stays in its namespace, so any thread may accept.
    std::thread receiver([&] {
        good = receive_all(listener);
        done = true;
    });
    client.start([&] { send_all(to); });
    const Seen seen = forward(table, a, b, done);
    receiver.join();
    client.wait();
    close(listener);
    CHECK(good == kTransfer);
    CHECK(seen.largest <= largest);
    CHECK(seen.wrong_sums == 0);
    CHECK(seen.frames > kTransfer / largest);
}

bool can_make_tap() {
    if (!enter_private_network() || access("/dev/net/tun", R_OK | W_OK) != 0) {
        WARN("skipped: making a tap needs root and /dev/net/tun");
        return false;
    }
    return true;
}

}  // namespace

TEST_CASE("two namespaces talk TCP through two af_packet ports", "[af_packet][tcp]") {
    const unsigned mtu = GENERATE(1500u, 9000u);
    if (!enter_private_network()) {
        WARN("skipped: making a network namespace needs root");
        return;
    }
    Guest one;
    Guest two;
    REQUIRE((one.is_private() && two.is_private()));
    unsigned number = 0;
    bool has_vlan = true;  // not every kernel can make VLAN devices
    for (Guest* guest : {&one, &two}) {
        const std::string n = std::to_string(++number);
        const std::string m = " mtu " + std::to_string(mtu);
        REQUIRE(run("ip link add g" + n + m + " type veth peer name e" + n + m + " netns " +
                    std::to_string(guest->tid())));
        guest->run_here([&] {
            CHECK(run("ip link set e" + n + " up && ip addr add 10.0.0." + n + "/24 dev e" + n +
                      " && ip addr add fd00::" + n + "/64 dev e" + n + " nodad"));
            has_vlan = has_vlan && run("ip link add link e" + n +
                                       " name v type vlan id 100 && ip link set v up && "
                                       "ip addr add 10.0.1." +
                                       n + "/24 dev v");
        });
    }
    if (!has_vlan) {
        WARN("skipped: TCP over VLAN devices; this kernel has none");
    }
    {
        auto ports = make_ports(1, 4095);
        const PortId a = add(*ports, "a=af_packet,iface=g1");
        const PortId b = add(*ports, "b=af_packet,iface=g2");
        REQUIRE((a != kNoPort && b != kNoPort));
        const auto table = ports->snapshot();
        const auto on_two = [&](const std::function<void()>& task) { two.run_here(task); };
        check_transfer(*table, a, b, one, on_two, "::ffff:10.0.0.2", mtu + 14);
        if (has_vlan) {
            check_transfer(*table, a, b, one, on_two, "::ffff:10.0.1.2", mtu + 18);
        }
        check_transfer(*table, a, b, one, on_two, "fd00::2", mtu + 14);
        CHECK(mbufs_in_use(*ports) == 0);
        for (const PortId id : {a, b}) {
            CHECK(ports->stats(id)->rx_errors == 0);
            CHECK(ports->stats(id)->tx_errors == 0);
        }
    }
    CHECK(run("ip link del g1"));
    CHECK(run("ip link del g2"));
}

TEST_CASE("a tap is the host's leg: TCP to a namespace and back", "[tap][tcp]") {
    if (!can_make_tap()) {
        return;
    }
    Guest guest;
    REQUIRE(run("ip link add g1 type veth peer name e1 netns " + std::to_string(guest.tid())));
    // The kernel sees what arrives on g1, too; it would answer ARP for tap0's address there.
    REQUIRE(run("echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore"));
    guest.run_here([&] { CHECK(run("ip link set e1 up && ip addr add 10.0.0.1/24 dev e1")); });
    auto ports = make_ports(1, 4095);
    const PortId t = add(*ports, "tap0=tap,mac=02:00:00:00:00:77,mtu=1400");
    const PortId b = add(*ports, "b=af_packet,iface=g1");
    REQUIRE((t != kNoPort && b != kNoPort));
    CHECK(eventually([&] { return ports->link_up(t); }));
    CHECK_THAT(read_output("ip link show tap0"),
               Catch::Contains("02:00:00:00:00:77") && Catch::Contains("mtu 1400"));
    REQUIRE(run("ip addr add 10.0.0.2/24 dev tap0"));
    const auto table = ports->snapshot();
    CHECK((*table)[t].mac == *parse_mac("02:00:00:00:00:77"));
    const auto here = [](const std::function<void()>& task) { task(); };
    check_transfer(*table, t, b, guest, here, "::ffff:10.0.0.2", 1514);

    // The other way, so that the tap's own frames are cut too.
    std::atomic<int> listener{-1};
    std::atomic<size_t> good{0};
    std::atomic<bool> done{false};
    guest.run_here([&] { listener = listen_here("::ffff:10.0.0.1"); });
    std::thread receiver([&] {
        good = receive_all(listener);
        done = true;
    });
    std::thread sender([&] { send_all("::ffff:10.0.0.1"); });
    const Seen seen = forward(*table, t, b, done);
    receiver.join();
    sender.join();
    close(listener);
    CHECK(good == kTransfer);
    CHECK(seen.largest <= 1414);
    CHECK(seen.wrong_sums == 0);

    for (const PortId id : {t, b}) {
        CHECK(ports->stats(id)->rx_errors + ports->stats(id)->tx_errors == 0);
        remove(*ports, id);
    }
    CHECK(mbufs_in_use(*ports) == 0);
    CHECK(run("ip link del g1"));
}

TEST_CASE("a tap keeps tags, follows into a namespace and leaves nothing behind", "[tap]") {
    if (!can_make_tap()) {
        return;
    }
    Guest guest;
    REQUIRE(run("ip link add g1 type veth peer name e1"));
    auto ports = make_ports();
    const unsigned fds = open_fds();
    const PortId t = add(*ports, "tap0=tap,mac=02:00:00:00:00:77,mtu=1400");
    REQUIRE(t != kNoPort);
    const auto table = ports->snapshot();
    {
        const RawPeer host("tap0");
        for (const Bytes& frame : {plain(1), plain(2, 1414), with_tag(plain(3), 0x8100, 0x6005),
                                   with_tag(with_tag(plain(4), 0x8100, 5), 0x88a8, 9)}) {
            REQUIRE(host.send(frame));
            CHECK(receive(*table, t, 1, 0x88b5) == std::vector<Bytes>{frame});
            REQUIRE(send(*table, t, frame));
            CHECK(host.receive(0x88b5) == std::optional<Bytes>(frame));
        }
    }

    const Result<PortId> busy = ports->add(spec("again=tap,iface=tap0"));
    REQUIRE_FALSE(busy.ok());
    CHECK_THAT(busy.error().message, Catch::Contains("another program holds"));
    const Result<PortId> no_tap = ports->add(spec("again=tap,iface=g1"));
    REQUIRE_FALSE(no_tap.ok());
    CHECK_THAT(no_tap.error().message, Catch::Contains("is no tap"));
    // Moved to another namespace, as is done with type=internal ports; even under another name.
    REQUIRE(run("ip link set tap0 netns " + std::to_string(guest.tid()) + " name vm1"));
    CHECK(eventually([&] { return !ports->link_up(t); }));
    guest.run_here([&] { CHECK(run("ip link set vm1 up mtu 1300")); });
    CHECK(eventually([&] { return ports->link_up(t); }));
    CHECK(ports->mtu(t) == 1300);
    CHECK(ports->mac(t) == *parse_mac("02:00:00:00:00:77"));
    REQUIRE(ports->set_mtu(t, 1350).ok());
    guest.run_here([&] {
        CHECK_THAT(read_output("ip link show vm1"), Catch::Contains("mtu 1350"));
        const RawPeer moved("vm1");
        REQUIRE(moved.send(plain(1)));
        CHECK(receive(*table, t, 1, 0x88b5).size() == 1);
        CHECK_FALSE(ports->is_gone(t));
        CHECK(run("ip link del vm1"));
    });
    CHECK(ports->is_gone(t));
    remove(*ports, t);
    CHECK_FALSE(run("ip link show tap0"));
    for (int i = 0; i < 100; ++i) {
        const PortId id = add(*ports, "tap0=tap");
        REQUIRE(id != kNoPort);
        CHECK(send(*ports->snapshot(), id, plain(1)));
        remove(*ports, id);
    }
    CHECK(open_fds() == fds);
    CHECK(mbufs_in_use(*ports) == 0);
    CHECK(run("ip link del g1"));
}
