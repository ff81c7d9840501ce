// SPDX-License-Identifier: Apache-2.0
#include "lib/base/event_loop.h"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

using sluice::EventLoop;
using sluice::Io;

namespace {

struct Pair {
    int fds[2];
    Pair() { REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0); }
    ~Pair() {
        close(fds[0]);
        close(fds[1]);
    }
};

void turn_until(EventLoop* loop, const bool& done) {
    for (int i = 0; i < 10000 && !done; ++i) {
        loop->run_once(1);
    }
    REQUIRE(done);
}

}  // namespace

TEST_CASE("timers run by deadline, once or again, until cancelled") {
    EventLoop loop;
    std::vector<std::string> order;
    bool done = false;
    loop.add_timer(20, [&] { order.push_back("late"); });
    loop.add_timer(0, [&] { order.push_back("early"); });
    const EventLoop::TimerId never = loop.add_timer(5, [&] { order.push_back("never"); });
    loop.cancel_timer(never);
    loop.cancel_timer(never);
    loop.cancel_timer(0);
    int ticks = 0;
    EventLoop::TimerId periodic = 0;
    periodic = loop.add_periodic(1, [&] {
        if (++ticks == 3) {
            loop.cancel_timer(periodic);
            loop.add_timer(40, [&] { done = true; });
        }
    });
    turn_until(&loop, done);
    CHECK(order == std::vector<std::string>{"early", "late"});
    CHECK(ticks == 3);
}

TEST_CASE("a timer that re-arms itself at once does not starve descriptors") {
    EventLoop loop;
    const Pair pair;
    bool read = false;
    std::function<void()> again = [&] { loop.add_timer(0, again); };
    loop.add_timer(0, again);
    REQUIRE(loop.add_fd(pair.fds[0], Io::kRead, [&](uint32_t) { read = true; }).ok());
    REQUIRE(write(pair.fds[1], "x", 1) == 1);
    turn_until(&loop, read);
}

TEST_CASE("a timer may cancel its neighbours in the same turn") {
    EventLoop loop;
    int ran = 0;
    std::vector<EventLoop::TimerId> ids;
    for (int i = 0; i < 4; ++i) {
        ids.push_back(loop.add_timer(0, [&] {
            ++ran;
            for (const EventLoop::TimerId id : ids) {
                loop.cancel_timer(id);
            }
        }));
    }
    for (int i = 0; i < 5; ++i) {
        loop.run_once(1);
    }
    CHECK(ran == 1);
}

TEST_CASE("events follow what is watched") {
    EventLoop loop;
    const Pair pair;
    uint32_t seen = 0;
    REQUIRE(loop.add_fd(pair.fds[0], Io::kWrite, [&](uint32_t ready) { seen |= ready; }).ok());
    CHECK_FALSE(loop.add_fd(pair.fds[0], Io::kRead, [](uint32_t) {}).ok());
    loop.run_once(0);
    CHECK(seen == Io::kWrite);
    seen = 0;
    loop.modify_fd(pair.fds[0], Io::kRead);
    CHECK_FALSE(loop.run_once(0));
    REQUIRE(write(pair.fds[1], "x", 1) == 1);
    loop.run_once(0);
    CHECK(seen == Io::kRead);
    seen = 0;
    shutdown(pair.fds[1], SHUT_RDWR);
    loop.run_once(0);
    CHECK((seen & Io::kError) != 0);
    loop.remove_fd(pair.fds[0]);
    CHECK_FALSE(loop.run_once(0));
}

TEST_CASE("an event collected for a removed descriptor is not delivered to its successor") {
    EventLoop loop;
    const Pair a;
    const Pair b;
    REQUIRE(write(a.fds[1], "x", 1) == 1);
    REQUIRE(write(b.fds[1], "x", 1) == 1);
    int old_calls = 0;
    int new_calls = 0;
    const auto swap_other = [&](int own, int other) {
        return [&loop, &old_calls, &new_calls, own, other](uint32_t) {
            ++old_calls;
            loop.remove_fd(own);
            loop.remove_fd(other);
            REQUIRE(loop.add_fd(other, 0, [&new_calls](uint32_t) { ++new_calls; }).ok());
        };
    };
    REQUIRE(loop.add_fd(a.fds[0], Io::kRead, swap_other(a.fds[0], b.fds[0])).ok());
    REQUIRE(loop.add_fd(b.fds[0], Io::kRead, swap_other(b.fds[0], a.fds[0])).ok());
    loop.run_once(10);
    CHECK(old_calls == 1);
    CHECK(new_calls == 0);
}

TEST_CASE("post and stop work from another thread, in order") {
    EventLoop loop;
    std::vector<int> got;
    std::thread poster([&] {
        for (int i = 0; i < 1000; ++i) {
            loop.post([&got, i] { got.push_back(i); });
        }
        loop.stop();
    });
    loop.run();
    poster.join();
    while (loop.run_once(0)) {
    }
    REQUIRE(got.size() == 1000);
    for (int i = 0; i < 1000; ++i) {
        CHECK(got[static_cast<size_t>(i)] == i);
    }
}
