// SPDX-License-Identifier: Apache-2.0
#include "pmd/ethdev.h"

#include <fmt/format.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <cstring>

#include "lib/base/log.h"

SLUICE_LOG_MODULE(ethdev);

namespace sluice::pmd {
namespace {

constexpr uint64_t kWantedTx = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
                               RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO |
                               RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
constexpr uint64_t kWantedRx =
    RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
constexpr uint64_t kWantedRss = RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP;

unsigned ethdevs_in_use() {
    unsigned n = 0;
    for (uint16_t i = 0; i < RTE_MAX_ETHPORTS; ++i) {
        n += rte_eth_dev_is_valid_port(i);
    }
    return n;
}

uint32_t caps_of(uint64_t tx, uint64_t rx) {
    uint32_t caps = 0;
    const auto add = [&caps](bool is_there, PortCap cap) { caps |= is_there ? cap : 0u; };
    add(tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, kPortTxIp4Cksum);
    add(tx & RTE_ETH_TX_OFFLOAD_UDP_CKSUM, kPortTxUdpCksum);
    add(tx & RTE_ETH_TX_OFFLOAD_TCP_CKSUM, kPortTxTcpCksum);
    add(tx & RTE_ETH_TX_OFFLOAD_TCP_TSO, kPortTxTso);
    add(tx & RTE_ETH_TX_OFFLOAD_MULTI_SEGS, kPortTxMultiSeg);
    add((rx & kWantedRx) == kWantedRx, kPortRxCksum);
    add(rx & RTE_ETH_RX_OFFLOAD_SCATTER, kPortRxMultiSeg);
    return caps;
}

uint16_t mtu_of(uint16_t ethdev) {
    uint16_t mtu = 0;
    return rte_eth_dev_get_mtu(ethdev, &mtu) == 0 ? mtu : uint16_t{1500};
}

Error dpdk_error(const PortSpec& spec, const char* what, int code) {
    return Error{fmt::format("port {}: {}: {}", spec.name, what, rte_strerror(-code))};
}

}  // namespace

Result<std::unique_ptr<Device>> EthdevPort::open(const OpenContext& context,
                                                 const EthdevRequest& request) {
    std::unique_ptr<EthdevPort> port(new EthdevPort());
    Result<void> done = port->plug(context, request.devargs);
    if (done) {
        done = port->configure(context, request);
    }
    if (!done) {
        return done.error();
    }
    return std::unique_ptr<Device>(std::move(port));
}

Result<void> EthdevPort::plug(const OpenContext& context, const std::string& devargs) {
    const PortSpec& spec = context.spec;
    if (ethdevs_in_use() >= RTE_MAX_ETHPORTS) {
        return Error{fmt::format(
            "port {}: this DPDK holds at most {} ports of driver {} and its like, and all are in "
            "use: remove one, or use driver af_packet or tap, which do not count",
            spec.name, RTE_MAX_ETHPORTS, spec.driver)};
    }
    const std::string device = devargs.substr(0, devargs.find(','));
    uint16_t id = 0;
    if (rte_eth_dev_get_port_by_name(device.c_str(), &id) == 0) {
        return Error{
            fmt::format("port {}: device {} is in use by another port", spec.name, device)};
    }
    const int code = rte_dev_probe(devargs.c_str());
    if (code != 0) {
        return Error{fmt::format(
            "port {}: DPDK refuses device '{}': {}; see the EAL's lines on the console for why",
            spec.name, devargs, rte_strerror(-code))};
    }
    if (rte_eth_dev_get_port_by_name(device.c_str(), &ethdev_) != 0) {
        bool found = false;
        rte_dev_iterator it;
        RTE_ETH_FOREACH_MATCHING_DEV(id, device.c_str(), &it) {
            ethdev_ = id;
            found = true;
            rte_eth_iterator_cleanup(&it);
            break;
        }
        if (!found) {
            return Error{
                fmt::format("port {}: device {} is not a network device", spec.name, device)};
        }
    }
    is_plugged_ = true;
    return {};
}

Result<void> EthdevPort::configure(const OpenContext& context, const EthdevRequest& request) {
    const PortSpec& spec = context.spec;
    rte_eth_dev_info info;
    int code = rte_eth_dev_info_get(ethdev_, &info);
    if (code != 0) {
        return dpdk_error(spec, "asking the device", code);
    }
    if (request.n_rxq > info.max_rx_queues) {
        return Error{fmt::format("port {}: the device has {} receive queues, not {}", spec.name,
                                 info.max_rx_queues, request.n_rxq)};
    }
    const auto n_txq =
        static_cast<uint16_t>(std::min<unsigned>(context.n_workers, info.max_tx_queues));
    rte_eth_conf conf{};
    conf.txmode.offloads = info.tx_offload_capa & kWantedTx;
    conf.rxmode.offloads = info.rx_offload_capa & kWantedRx;
    if (request.n_rxq > 1) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads & kWantedRss;
    }
    if (context.mtu) {
        if (info.max_mtu && context.mtu > info.max_mtu) {
            return Error{fmt::format("port {}: mtu={} is above this device's largest, {}",
                                     spec.name, context.mtu, info.max_mtu)};
        }
        conf.rxmode.mtu = context.mtu;
    }
    const unsigned frame = (context.mtu ? context.mtu : 1500u) + RTE_ETHER_HDR_LEN + 8u;
    if (frame > context.pool_data_room) {
        conf.rxmode.offloads |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
    }
    if (request.has_lsc) {
        if (!(*info.dev_flags & RTE_ETH_DEV_INTR_LSC)) {
            return Error{fmt::format(
                "port {}: this device cannot interrupt when its link changes (dpdk-lsc-interrupt)",
                spec.name)};
        }
        conf.intr_conf.lsc = 1;
    }
    caps_ = caps_of(conf.txmode.offloads, conf.rxmode.offloads);
    code = rte_eth_dev_configure(ethdev_, request.n_rxq, n_txq, &conf);
    if (code != 0) {
        return dpdk_error(spec, "configuring the device", code);
    }
    const Result<void> queues = set_up_queues(context, request, n_txq);
    if (!queues) {
        return queues.error();
    }
    if (request.mac) {
        rte_ether_addr address;
        std::memcpy(address.addr_bytes, request.mac->bytes.data(), sizeof address.addr_bytes);
        code = rte_eth_dev_default_mac_addr_set(ethdev_, &address);
        if (code != 0) {
            return dpdk_error(spec, "setting the MAC address", code);
        }
    }
    if (Result<void> done = set_flow_control(spec, request); !done) {
        return done.error();
    }
    code = rte_eth_dev_start(ethdev_);
    if (code != 0) {
        return dpdk_error(spec, "starting the device", code);
    }
    code = rte_eth_promiscuous_enable(ethdev_);
    if (code != 0) {
        LOG_DBG("port {}: no promiscuous mode: {}", spec.name, rte_strerror(-code));
    }
    mtu_ = context.mtu ? context.mtu : mtu_of(ethdev_);
    return {};
}

Result<void> EthdevPort::set_flow_control(const PortSpec& spec,
                                          const EthdevRequest& request) const {
    if (!request.rx_pauses && !request.tx_pauses && !request.pause_autoneg) {
        return {};
    }
    rte_eth_fc_conf conf{};
    int code = rte_eth_dev_flow_ctrl_get(ethdev_, &conf);
    conf.mode = request.rx_pauses && request.tx_pauses ? RTE_ETH_FC_FULL
                : request.rx_pauses                    ? RTE_ETH_FC_RX_PAUSE
                : request.tx_pauses                    ? RTE_ETH_FC_TX_PAUSE
                                                       : RTE_ETH_FC_NONE;
    conf.autoneg = request.pause_autoneg;
    code = code ? code : rte_eth_dev_flow_ctrl_set(ethdev_, &conf);
    return code ? Result<void>(dpdk_error(spec, "setting flow control", code)) : Result<void>();
}

Result<void> EthdevPort::set_up_queues(const OpenContext& context, const EthdevRequest& request,
                                       uint16_t n_txq) {
    uint16_t n_rx_desc = request.n_desc;
    uint16_t n_tx_desc = request.n_tx_desc;
    int code = rte_eth_dev_adjust_nb_rx_tx_desc(ethdev_, &n_rx_desc, &n_tx_desc);
    if (code != 0) {
        return dpdk_error(context.spec, "sizing the rings", code);
    }
    const int socket = rte_eth_dev_socket_id(ethdev_);
    const auto node =
        socket < 0 ? static_cast<unsigned>(SOCKET_ID_ANY) : static_cast<unsigned>(socket);
    for (uint16_t q = 0; q < request.n_rxq; ++q) {
        code = rte_eth_rx_queue_setup(ethdev_, q, n_rx_desc, node, nullptr, context.pool);
        if (code != 0) {
            return dpdk_error(context.spec, "making a receive queue", code);
        }
        auto& rx = rx_.emplace_back(std::make_unique<EthdevQueue>());
        rx->port = ethdev_;
        rx->queue = q;
        rx_queues_.push_back({ethdev_rx_burst, rx.get()});
    }
    for (uint16_t q = 0; q < n_txq; ++q) {
        code = rte_eth_tx_queue_setup(ethdev_, q, n_tx_desc, node, nullptr);
        if (code != 0) {
            return dpdk_error(context.spec, "making a transmit queue", code);
        }
        locks_.push_back(std::make_unique<rte_spinlock_t>());
        rte_spinlock_init(locks_.back().get());
    }
    for (unsigned w = 0; w < context.n_workers; ++w) {
        auto& tx = tx_.emplace_back(std::make_unique<EthdevQueue>());
        tx->port = ethdev_;
        tx->queue = static_cast<uint16_t>(w % n_txq);
        const bool shared = context.n_workers > n_txq;
        tx->lock = shared ? locks_[tx->queue].get() : nullptr;
        tx_queues_.push_back({shared ? ethdev_tx_burst_shared : ethdev_tx_burst, tx.get()});
    }
    return {};
}

EthdevPort::~EthdevPort() {
    if (!is_plugged_) {
        return;
    }
    rte_eth_dev_info info;
    const bool is_known = rte_eth_dev_info_get(ethdev_, &info) == 0;
    rte_eth_dev_stop(ethdev_);
    rte_eth_dev_close(ethdev_);
    if (is_known && rte_dev_remove(info.device) != 0) {
        LOG_WARN("device of port {} could not be unplugged: its name stays in use", ethdev_);
    }
}

Mac EthdevPort::mac() const {
    Mac mac;
    rte_ether_addr address;
    if (rte_eth_macaddr_get(ethdev_, &address) == 0) {
        std::memcpy(mac.bytes.data(), address.addr_bytes, sizeof address.addr_bytes);
    }
    return mac;
}

Result<void> EthdevPort::set_mtu(uint16_t mtu) {
    const int code = rte_eth_dev_set_mtu(ethdev_, mtu);
    if (code == -EBUSY) {
        return Error{fmt::format(
            "this device cannot change its MTU while it runs: remove the port and add it with "
            "mtu={}",
            mtu)};
    }
    if (code != 0 && code != -ENOTSUP) {
        return Error{fmt::format("the device refuses MTU {}: {}", mtu, rte_strerror(-code))};
    }
    mtu_ = mtu;  // ENOTSUP: a virtual device with no limit of its own
    return {};
}

int EthdevPort::numa_node() const {
    return rte_eth_dev_socket_id(ethdev_);
}

bool EthdevPort::link_up() const {
    rte_eth_link link;
    return rte_eth_link_get_nowait(ethdev_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

PortStats EthdevPort::stats() const {
    PortStats stats;
    rte_eth_stats device;
    if (rte_eth_stats_get(ethdev_, &device) == 0) {
        stats.rx_packets = device.ipackets;
        stats.rx_bytes = device.ibytes;
        stats.rx_dropped = device.imissed + device.rx_nombuf;
        stats.rx_errors = device.ierrors;
        stats.tx_packets = device.opackets;
        stats.tx_bytes = device.obytes;
        stats.tx_errors = device.oerrors;
    }
    for (const auto& tx : tx_) {
        stats.tx_dropped += tx->counters.dropped.load(std::memory_order_relaxed);
    }
    return stats;
}

}  // namespace sluice::pmd
