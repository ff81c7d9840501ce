// SPDX-License-Identifier: Apache-2.0
#include "pmd/dummy.h"

#include <fmt/format.h>
#include <rte_mbuf.h>
#include <sys/un.h>

#include <bit>
#include <new>

namespace sluice::pmd {
namespace {

constexpr unsigned kDefaultRing = 1024;

/// A ring for exactly `size` (a power of two) elements: DPDK rounds size + 1 up.
DummyRing make_ring(unsigned size, unsigned flags) {
    const auto bytes = static_cast<size_t>(rte_ring_get_memsize(2 * size));
    void* memory = ::operator new (bytes, std::align_val_t{RTE_CACHE_LINE_SIZE});
    DummyRing ring(static_cast<rte_ring*>(memory));
    rte_ring_init(ring.get(), "dummy", size, flags | RING_F_EXACT_SZ);
    return ring;
}

void free_all(rte_ring* ring) {
    void* m = nullptr;
    while (ring && rte_ring_dequeue(ring, &m) == 0) {
        rte_pktmbuf_free(static_cast<rte_mbuf*>(m));
    }
}

Result<std::unique_ptr<FrameStream>> open_stream(const PortSpec& spec) {
    const std::string& where = spec.arg("stream");
    constexpr std::string_view kScheme = "unix:";
    if (where.compare(0, kScheme.size(), kScheme) != 0 || where.size() == kScheme.size() ||
        where.size() - kScheme.size() >= sizeof(sockaddr_un::sun_path)) {
        return Error{
            fmt::format("port {}: stream={}: write stream=unix:PATH with a path of at most "
                        "{} characters",
                        spec.name, where, sizeof(sockaddr_un::sun_path) - 1)};
    }
    return std::make_unique<FrameStream>(where.substr(kScheme.size()));
}

}  // namespace

Result<std::unique_ptr<Device>> DummyPort::open(const OpenContext& context) {
    const PortSpec& spec = context.spec;
    const Result<std::optional<Mac>> mac = mac_arg(spec, "mac");
    if (!mac) {
        return mac.error();
    }
    const Result<unsigned> ring = number_arg(spec, "ring", kDefaultRing, 2, 1u << 16);
    if (!ring) {
        return ring.error();
    }
    if (!std::has_single_bit(*ring)) {
        return Error{fmt::format("port {}: ring must be a power of two", spec.name)};
    }
    std::unique_ptr<DummyPort> port(new DummyPort());
    const Result<void> opened = port->open_files(spec);
    if (!opened) {
        return opened.error();
    }
    DummyState& state = port->state_;
    const bool has_sink = state.stream || !state.tx_files.empty();
    const Result<bool> drain = flag_arg(spec, "drain", !has_sink);
    if (!drain) {
        return drain.error();
    }
    state.in = make_ring(*ring, RING_F_SC_DEQ);
    if (*drain) {
        state.out = make_ring(*ring, RING_F_SC_DEQ);
    }
    state.pool = context.pool;
    state.bytes.resize(kMaxGsoFrame);
    // A locally administered address that tells the port.
    port->mac_ = *mac ? **mac : Mac::from_u64(0x020000000000u + context.id + 1u);
    port->mtu_ = context.mtu ? context.mtu : uint16_t{1500};
    port->rx_queue_ = {dummy_rx_burst, &state};
    for (unsigned w = 0; w < context.n_workers; ++w) {
        auto& tx = port->tx_.emplace_back(std::make_unique<DummyTx>());
        tx->state = &state;
        port->tx_queues_.push_back({dummy_tx_burst, tx.get()});
    }
    return std::unique_ptr<Device>(std::move(port));
}

Result<void> DummyPort::open_files(const PortSpec& spec) {
    const struct {
        const char* key;
        bool rx;
        bool tx;
    } kinds[] = {{"tx_pcap", false, true}, {"rxq_pcap", true, false}, {"pcap", true, true}};
    for (const auto& kind : kinds) {
        const std::string& path = spec.arg(kind.key);
        if (path.empty()) {
            continue;
        }
        Result<std::unique_ptr<PcapFile>> file = PcapFile::open(path);
        if (!file) {
            return file.error().with_context("port " + spec.name);
        }
        if (kind.rx && kind.tx) {
            state_.both_file = file->get();
        }
        (kind.tx ? state_.tx_files : state_.rx_files).push_back(std::move(*file));
    }
    if (!spec.arg("stream").empty()) {
        Result<std::unique_ptr<FrameStream>> stream = open_stream(spec);
        if (!stream) {
            return stream.error();
        }
        state_.stream = std::move(*stream);
    }
    return {};
}

DummyPort::~DummyPort() {
    free_all(state_.in.get());
    free_all(state_.out.get());
}

Result<void> DummyPort::inject(std::span<const uint8_t> bytes) {
    RxFrame frame;
    frame.start(bytes.data(), bytes.size(), RxHints{});
    rte_mbuf* m = nullptr;
    switch (frame.next(state_.pool, &m)) {
    case RxStep::kPacket: break;
    case RxStep::kNoBuffer: return Error{"no packet buffer is free: drain what was sent"};
    default: return Error{fmt::format("{} bytes are no Ethernet frame", bytes.size())};
    }
    if (rte_ring_enqueue(state_.in.get(), m) != 0) {
        rte_pktmbuf_free(m);
        return Error{"the worker has not taken what was injected before: try again later"};
    }
    return {};
}

std::vector<std::vector<uint8_t>> DummyPort::drain() {
    std::vector<std::vector<uint8_t>> frames;
    void* p = nullptr;
    while (state_.out && rte_ring_dequeue(state_.out.get(), &p) == 0) {
        auto* m = static_cast<rte_mbuf*>(p);
        std::vector<uint8_t>& frame = frames.emplace_back();
        frame.reserve(m->pkt_len);
        for (const rte_mbuf* seg = m; seg; seg = seg->next) {
            const auto* at = rte_pktmbuf_mtod(seg, const uint8_t*);
            frame.insert(frame.end(), at, at + seg->data_len);
        }
        rte_pktmbuf_free(m);
    }
    return frames;
}

Result<void> DummyPort::set_mtu(uint16_t mtu) {
    mtu_ = mtu;
    return {};
}

bool DummyPort::link_up() const {
    return link_up_ && (!state_.stream || state_.stream->is_connected());
}

PortStats DummyPort::stats() const {
    PortStats stats;
    state_.rx_counters.add_rx_to(stats);
    for (const auto& tx : tx_) {
        tx->counters.add_tx_to(stats);
    }
    return stats;
}

}  // namespace sluice::pmd
