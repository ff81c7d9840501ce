// SPDX-License-Identifier: Apache-2.0
#include "pmd/vdevs.h"

#include <fmt/format.h>
#include <unistd.h>

#include "pmd/ethdev.h"

namespace sluice::pmd {
namespace {

constexpr unsigned kDefaultDesc = 512;
constexpr unsigned kMostDesc = 16384;
constexpr unsigned kMostQueues = 64;

/// "net_null_p7,size=64": the port's number keeps device names apart.
Result<std::string> devargs_of(const OpenContext& context, std::string_view device,
                               std::span<const std::string_view> keys) {
    std::string text = fmt::format("{}_p{}", device, context.id);
    for (const std::string_view key : keys) {
        const std::string& value = context.spec.arg(std::string(key));
        if (value.find_first_of(",=") != std::string::npos) {
            return Error{fmt::format("port {}: {}={}: DPDK allows no ',' and no '=' in a value",
                                     context.spec.name, key, value)};
        }
        if (!value.empty()) {
            text += fmt::format(",{}={}", key, value);
        }
    }
    return text;
}

Result<std::unique_ptr<Device>> open_raw(const OpenContext& context, std::string_view example) {
    const PortSpec& spec = context.spec;
    EthdevRequest request;
    request.devargs = spec.arg("devargs");
    if (request.devargs.empty()) {
        return Error{fmt::format("port {}: driver {} needs devargs=, for example devargs={}",
                                 spec.name, spec.driver, example)};
    }
    const Result<unsigned> queues = number_arg(spec, "queues", 1, 1, kMostQueues);
    const Result<unsigned> desc = number_arg(spec, "rx_desc", kDefaultDesc, 32, kMostDesc);
    const Result<unsigned> tx_desc = number_arg(spec, "tx_desc", kDefaultDesc, 32, kMostDesc);
    const Result<std::optional<Mac>> mac = mac_arg(spec, "mac");
    if (!queues || !desc || !tx_desc || !mac) {
        return !queues    ? queues.error()
               : !desc    ? desc.error()
               : !tx_desc ? tx_desc.error()
                          : mac.error();
    }
    const std::pair<const char*, bool*> flags[] = {{"lsc_interrupt", &request.has_lsc},
                                                   {"rx_flow_ctrl", &request.rx_pauses},
                                                   {"tx_flow_ctrl", &request.tx_pauses},
                                                   {"flow_ctrl_autoneg", &request.pause_autoneg}};
    for (const auto& [key, value] : flags) {
        const Result<bool> flag = flag_arg(spec, key, false);
        if (!flag) {
            return flag.error();
        }
        *value = *flag;
    }
    request.n_tx_desc = static_cast<uint16_t>(*tx_desc);
    request.n_rxq = static_cast<uint16_t>(*queues);
    request.n_desc = static_cast<uint16_t>(*desc);
    request.mac = *mac;
    return EthdevPort::open(context, request);
}

unsigned raw_mbufs(const PortSpec& spec) {
    const Result<unsigned> queues = number_arg(spec, "queues", 1, 1, kMostQueues);
    const Result<unsigned> desc = number_arg(spec, "rx_desc", kDefaultDesc, 32, kMostDesc);
    // A wrong number is told by open().
    return queues && desc ? *queues * (*desc + 128) : kEthdevMbufs;
}

}  // namespace

Result<std::unique_ptr<Device>> NullDriver::open(const OpenContext& context) {
    constexpr std::string_view keys[] = {"size", "copy", "no-rx"};
    const Result<std::string> devargs = devargs_of(context, "net_null", keys);
    const Result<std::optional<Mac>> mac = mac_arg(context.spec, "mac");
    if (!devargs || !mac) {
        return devargs ? mac.error() : devargs.error();
    }
    return EthdevPort::open(context, {.devargs = *devargs, .mac = *mac});
}

Result<std::unique_ptr<Device>> PcapDriver::open(const OpenContext& context) {
    const PortSpec& spec = context.spec;
    const std::string& file = spec.arg("rx_pcap");
    if (!file.empty() && access(file.c_str(), R_OK) != 0) {
        return Error{
            fmt::format("port {}: cannot read rx_pcap={}: {}", spec.name, file, errno_text(errno))};
    }
    bool has_any = false;
    for (const std::string_view key : kArgs) {
        has_any = has_any || !spec.arg(std::string(key)).empty();
    }
    if (!has_any) {
        return Error{fmt::format("port {}: driver pcap needs rx_pcap=FILE, tx_pcap=FILE or both",
                                 spec.name)};
    }
    const Result<std::string> devargs = devargs_of(context, "net_pcap", kArgs);
    if (!devargs) {
        return devargs.error();
    }
    return EthdevPort::open(context, {.devargs = *devargs});
}

Result<std::unique_ptr<Device>> MemifDriver::open(const OpenContext& context) {
    Result<std::string> devargs = devargs_of(context, "net_memif", kArgs);
    if (!devargs) {
        return devargs.error();
    }
    // DPDK takes the path for an abstract socket's name by default, which VPP does not.
    const PortSpec& spec = context.spec;
    if (spec.arg("socket-abstract").empty() && spec.arg("socket").starts_with('/')) {
        devargs.value() += ",socket-abstract=no";
    }
    return EthdevPort::open(context, {.devargs = *devargs});
}

unsigned PciDriver::mbufs_held(const PortSpec& spec) {
    return raw_mbufs(spec);
}
Result<std::unique_ptr<Device>> PciDriver::open(const OpenContext& context) {
    return open_raw(context, "0000:01:00.0");
}

unsigned VdevDriver::mbufs_held(const PortSpec& spec) {
    return raw_mbufs(spec);
}
Result<std::unique_ptr<Device>> VdevDriver::open(const OpenContext& context) {
    return open_raw(context, "net_null0");
}

}  // namespace sluice::pmd
