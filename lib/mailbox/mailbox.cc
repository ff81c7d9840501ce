// SPDX-License-Identifier: Apache-2.0
#include "lib/mailbox/mailbox.h"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

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
    return box;
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
    return rte_ring_sp_enqueue(is_urgent ? urgent_ : punt_, packet) == 0;
}

bool Mailbox::send(const Message& message) {
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
    return rte_ring_sp_enqueue(inject_, packet) == 0;
}

}  // namespace sluice
