// SPDX-License-Identifier: Apache-2.0
// XdpProgram: the steering program (pmd/bpf/steer.bpf.c) on one network device.
//
// What. load() brings the program and its maps into the kernel, attach() puts it on the device,
// steer() writes what is ours into the maps while packets pass, counts() says how frames were
// split. The program is compiled by clang at build time and carried inside of the binary (skeleton
// header by bpftool); libbpf loads it.
//
// Whose program. A device has room for one. The kernel remembers a program's name: ours is
// "sluice_steer". One of that name on the device was left by a sluiced that did not end well, and
// is replaced in one step, without the reset of the NIC's rings that taking it off and putting one
// on costs on many drivers. Its sockets are gone with their process, so until then it has passed
// everything to the kernel. Any other name is somebody else's: an error that says whose, and
// nothing is touched. That no living sluiced serves the device is known before, because its queues
// can be bound only once. The attachment is deliberately not a bpf_link, which would go with the
// process: a crash must not reset the NIC under ssh and BGP.
//
// Taking it off is always said with the program that we expect there, so nobody else's can go.
//
// Threads: control. The program runs in the kernel at any time and sees each map entry change on
// its own: an address or port that comes is steered from that moment, one that goes is the
// kernel's.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/result.h"
#include "lib/net/addr.h"
#include "lib/program/steering.h"
#include "pmd/bpf/steer.h"

struct steer_skeleton;  // the skeleton

namespace sluice::pmd {

class XdpProgram {
public:
    using Counts = std::array<uint64_t, STEER_KINDS>;

    /// An Error when the device has a program that is not ours.
    static Result<void> check_free(int ifindex, const std::string& name);
    static Result<std::unique_ptr<XdpProgram>> load();
    /// Takes it off the device again.
    ~XdpProgram();
    XdpProgram(const XdpProgram&) = delete;
    XdpProgram& operator=(const XdpProgram&) = delete;

    /// On the device `name`, in the driver if `native`, else in the kernel's generic receive path.
    Result<void> attach(int ifindex, const std::string& name, bool native);
    bool is_native() const { return native_; }
    /// Whether it is where attach() put it.
    bool is_attached() const;
    /// Frames of this receive queue go to this AF_XDP socket. It leaves the map when it is closed.
    Result<void> set_socket(unsigned queue, int fd);
    /// `mac`: the device's own address. Errors name what had no room.
    Result<void> steer(const Steering& steering, const Mac& mac);
    const Steering& steering() const { return steering_; }
    /// Sum over CPUs since load(), by steer_kind.
    Counts counts() const;
    int program_fd() const;

private:
    XdpProgram() = default;
    Result<void> take_place_of(uint32_t id, uint32_t flags, uint32_t flags_there);

    steer_skeleton* skeleton_ = nullptr;
    int ifindex_ = 0;  // 0: attached nowhere
    std::string name_;
    bool native_ = false;
    bool is_told_ = false;  // steering_ and mac_ are in the maps
    Steering steering_;
    Mac mac_;
};

/// Name of a steer_kind in counters: "steered_geneve", "kernel" ...
const char* steer_kind_name(unsigned kind);

}  // namespace sluice::pmd
