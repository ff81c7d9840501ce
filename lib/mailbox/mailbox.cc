// SPDX-License-Identifier: Apache-2.0
#include "lib/mailbox/mailbox.h"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/limits.h"

namespace sluice {
namespace {

constexpr unsigned kUrgentRing = 1024;

}  // namespace

Result<std::unique_ptr<Mailbox>> Mailbox::create(unsigned worker) {
    std::unique_ptr<Mailbox> box(new Mailbox);
    constexpr unsigned kFlags = RING_F_SP_ENQ | RING_F_SC_DEQ;
    const auto name = [&](const char* what) { return fmt::format("sluice_{}_{}", what, worker); };
    box->punt_ = rte_ring_create(name("punt").c_str(), limits::kPuntRing, SOCKET_ID_ANY, kFlags);
    box->urgent_ = rte_ring_create(name("urgent").c_str(), kUrgentRing, SOCKET_ID_ANY, kFlags);
    box->inject_ =
        rte_ring_create(name("inject").c_str(), limits::kInjectRing, SOCKET_ID_ANY, kFlags);
    box->messages_ = rte_ring_create_elem(name("message").c_str(), sizeof(Message),
                                          limits::kMessageRing, SOCKET_ID_ANY, kFlags);
    if (!box->punt_ || !box->urgent_ || !box->inject_ || !box->messages_) {
        return Error{fmt::format("cannot create the mailbox of worker {}: {}", worker,
                                 rte_strerror(rte_errno))};
    }
    if (!box->worker_sleeper_.open() || !box->slow_path_sleeper_.open()) {
        return Error{
            fmt::format("cannot create the mailbox of worker {}: no descriptor is left", worker)};
    }
    return box;
}

bool Mailbox::Sleeper::open() {
    fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd_ >= 0;
}

Mailbox::Sleeper::~Sleeper() {
    if (fd_ >= 0) {
        close(fd_);
    }
}

// Exchanges only: each takes over what the one before it published, and no fence is needed, which
// TSan does not know.

bool Mailbox::Sleeper::announce() {
    if (state_.exchange(State::kAsleep, std::memory_order_acq_rel) != State::kCalled) {
        return true;
    }
    end();
    return false;
}

void Mailbox::Sleeper::end() {
    state_.exchange(State::kAwake, std::memory_order_acq_rel);
}

void Mailbox::Sleeper::drain() {
    uint64_t value = 0;
    [[maybe_unused]] const ssize_t got = read(fd_, &value, sizeof value);
}

void Mailbox::Sleeper::wake() {
    if (state_.exchange(State::kCalled, std::memory_order_acq_rel) == State::kAsleep) {
        const uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof one);
    }
}

Mailbox::~Mailbox() {
    void* packet;
    for (rte_ring* ring : {punt_, urgent_, inject_}) {
        while (ring && rte_ring_sc_dequeue(ring, &packet) == 0) {
            rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
        }
        rte_ring_free(ring);
    }
    rte_ring_free(messages_);
}

bool Mailbox::punt(rte_mbuf* packet) {
    const bool is_urgent = meta_of(packet).punt.reason == PuntReason::kTunnelBfd;
    has_sent_ = true;
    return rte_ring_sp_enqueue(is_urgent ? urgent_ : punt_, packet) == 0;
}

bool Mailbox::send(const Message& message) {
    has_sent_ = true;
    return rte_ring_sp_enqueue_elem(messages_, const_cast<Message*>(&message), sizeof message) == 0;
}

unsigned Mailbox::take_injected(rte_mbuf** packets, unsigned max) {
    return rte_ring_sc_dequeue_burst(inject_, reinterpret_cast<void**>(packets), max, nullptr);
}

unsigned Mailbox::take_punts(rte_mbuf** packets, unsigned max) {
    auto** slots = reinterpret_cast<void**>(packets);
    const unsigned n = rte_ring_sc_dequeue_burst(urgent_, slots, max, nullptr);
    return n + rte_ring_sc_dequeue_burst(punt_, slots + n, max - n, nullptr);
}

unsigned Mailbox::take_messages(Message* messages, unsigned max) {
    return rte_ring_sc_dequeue_burst_elem(messages_, messages, sizeof *messages, max, nullptr);
}

bool Mailbox::inject(rte_mbuf* packet) {
    const bool is_in = rte_ring_sp_enqueue(inject_, packet) == 0;
    worker_sleeper_.wake();
    return is_in;
}

}  // namespace sluice
