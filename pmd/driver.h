// SPDX-License-Identifier: Apache-2.0
// What a driver is: how a kind of port is opened, asked and closed.
//
// A driver is a type that satisfies the concept Driver: a name, the arguments it understands (any
// other is refused, so that a typing error is never ignored), and open(), which brings a port up as
// a Device or says why not. Bring-up and questions live in NAME.cc; the two functions that
// workers call per burst live in NAME_burst.cc and are handed out as plain pointers in
// rx_queues() and tx_queues().
//
// Threads. Everything here runs on the control thread except the burst functions. The destructor is
// the close: it runs after the grace period, when no worker can be inside a burst.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/net/addr.h"
#include "lib/program/ports.h"
#include "lib/program/steering.h"

namespace sluice::pmd {

/// What open() gets beside the spec.
struct OpenContext {
    const PortSpec& spec;
    PortId id;
    unsigned n_workers;       ///< tx_queues() must have this many entries
    rte_mempool* pool;        ///< where received packets come from
    unsigned pool_data_room;  ///< bytes of one mbuf behind its headroom
    uint16_t mtu;             ///< the mtu= argument, or 0: the device's own
    bool super_frames;        ///< the owner takes TCP uncut (lib/program/ports.h, BurstFn)
};

/// An open port. One per PortId.
class Device {
public:
    virtual ~Device() = default;
    virtual std::span<const RxQueue> rx_queues() const = 0;
    virtual std::span<const TxQueue> tx_queues() const = 0;  ///< one per worker
    virtual uint32_t caps() const = 0;                       ///< PortCap bits
    virtual Mac mac() const = 0;
    virtual uint16_t mtu() const = 0;
    virtual Result<void> set_mtu(uint16_t mtu) = 0;
    virtual bool link_up() const = 0;
    /// The device under the port was deleted or taken away by somebody else.
    virtual bool is_gone() const { return false; }
    virtual PortStats stats() const = 0;
    /// Why nothing is taken from the peer any more; empty: all is well.
    virtual std::string trouble() const { return {}; }
    /// Of the memory that the device is near to; -1: unknown, or no matter.
    virtual int numa_node() const { return -1; }
    virtual std::optional<BondReport> bond() const;
    /// Becomes what another spec of its name asks for, without being closed. An Error: it cannot,
    /// and has to be closed and opened anew. Queues that go are used until the closure is called.
    virtual Result<Retire> change(const OpenContext&);
    /// Something of what its spec asks for is missing: change() to the same spec tries again.
    virtual bool is_partial() const { return false; }
    virtual std::vector<NamedCount> named_counts() const { return {}; }
    /// What a device that the kernel goes on using is to hand to us. Others hand over all there is.
    virtual Result<void> steer(const Steering&) { return {}; }
};

template <typename D>
concept Driver = requires(const OpenContext& context) {
    { D::kName } -> std::convertible_to<std::string_view>;
    { D::kArgs } -> std::convertible_to<std::span<const std::string_view>>;
    { D::mbufs_held(context.spec) } -> std::convertible_to<unsigned>;  // books pool space
    { D::open(context) } -> std::same_as<Result<std::unique_ptr<Device>>>;
};

/// Arguments every driver takes: mtu is read by the registry, iface-id by whoever binds the port to
/// a logical one.
inline constexpr std::string_view kCommonArgs[] = {"mtu", "iface-id"};

/// Opens the device that context.spec names, with whatever driver (pmd/ports.cc knows them all).
Result<std::unique_ptr<Device>> open_device(const OpenContext& context);
/// Packet buffers that it can hold, 0 for a driver that there is not.
unsigned mbufs_held(const PortSpec& spec);

/// The number in args[key], fallback if absent, an Error outside [least, most].
Result<unsigned> number_arg(const PortSpec& spec, const std::string& key, unsigned fallback,
                            unsigned least, unsigned most);
/// "1", "yes", "true", "on" or their opposites; fallback if absent.
Result<bool> flag_arg(const PortSpec& spec, const std::string& key, bool fallback);
/// The MAC in args[key], or nothing if absent.
Result<std::optional<Mac>> mac_arg(const PortSpec& spec, const std::string& key);
/// An Error unless every key is one of `known` or kCommonArgs; "x.*" is every key that begins "x.".
Result<void> check_args(const PortSpec& spec, std::span<const std::string_view> known);

/// Text of errno, for errors.
std::string errno_text(int error_number);

}  // namespace sluice::pmd
