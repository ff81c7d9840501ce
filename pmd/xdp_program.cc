// SPDX-License-Identifier: Apache-2.0
#include "pmd/xdp_program.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include "lib/base/log.h"
#include "pmd/driver.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#include <steer.skel.h>  // made by bpftool at build time
#pragma GCC diagnostic pop

SLUICE_LOG_MODULE(xdp);

namespace sluice::pmd {
namespace {

constexpr const char* kKindNames[STEER_KINDS] = {
    "steered_geneve",   "steered_vxlan", "steered_stt",     "steered_tagged",
    "steered_untagged", "kernel",        "kernel_fragment", "kernel_no_socket"};

/// libbpf speaks through us: its own words to stderr help nobody.
int log_libbpf(libbpf_print_level level, const char* format, va_list args) {
    if (level != LIBBPF_DEBUG) {
        char text[512];
        std::vsnprintf(text, sizeof text, format, args);
        text[std::strcspn(text, "\n")] = '\0';
        LOG_DBG("libbpf: {}", text);
    }
    return 0;
}

struct Attached {
    uint32_t id = 0;  // 0: none
    uint32_t flags = 0;
};

/// The program on a device and how it is attached.
Result<Attached> attached_to(int ifindex, const std::string& name) {
    bpf_xdp_query_opts query{};
    query.sz = sizeof query;
    if (const int error = bpf_xdp_query(ifindex, 0, &query); error < 0) {
        return Error{fmt::format("asking for the XDP program of {}: {}", name, errno_text(-error))};
    }
    if (query.drv_prog_id) {
        return Attached{query.drv_prog_id, XDP_FLAGS_DRV_MODE};
    }
    if (query.skb_prog_id) {
        return Attached{query.skb_prog_id, XDP_FLAGS_SKB_MODE};
    }
    if (query.hw_prog_id) {
        return Attached{query.hw_prog_id, XDP_FLAGS_HW_MODE};
    }
    return Attached{};
}

std::string program_name(int fd) {
    bpf_prog_info info{};
    uint32_t length = sizeof info;
    return bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info.name : "?";
}

const char* mode_name(uint32_t flags) {
    return flags & XDP_FLAGS_SKB_MODE  ? "generic"
           : flags & XDP_FLAGS_HW_MODE ? "offloaded"
                                       : "native";
}

/// A descriptor of the program that is attached, if its name is ours.
Result<int> our_program(const Attached& attached, const std::string& device) {
    const int fd = bpf_prog_get_fd_by_id(attached.id);
    if (fd < 0) {
        return Error{fmt::format("looking at the XDP program {} of {}: {}", attached.id, device,
                                 errno_text(-fd))};
    }
    const std::string whose = program_name(fd);
    if (whose == STEER_PROGRAM_NAME) {
        return fd;
    }
    close(fd);
    return Error{fmt::format(
        "{} has an XDP program of somebody else: \"{}\" (id {}, {} mode). If nobody needs it, take "
        "it off by \"ip link set dev {} {} off\"; else use type system (af_packet) here",
        device, whose, attached.id, mode_name(attached.flags), device,
        attached.flags & XDP_FLAGS_SKB_MODE ? "xdpgeneric" : "xdp")};
}

steer_address key_of(const Ip4& ip) {
    steer_address key{};
    key.bytes[10] = key.bytes[11] = 0xff;
    const uint32_t wire = htonl(ip.value);
    std::memcpy(&key.bytes[12], &wire, 4);
    return key;
}

steer_address key_of(const Ip6& ip) {
    steer_address key{};
    std::memcpy(key.bytes, ip.bytes.data(), sizeof key.bytes);
    return key;
}

template <typename Key>
struct ByBytes {
    bool operator()(const Key& a, const Key& b) const { return std::memcmp(&a, &b, sizeof a) < 0; }
};
template <typename Key>
using Entries = std::map<Key, uint32_t, ByBytes<Key>>;

Entries<steer_listen> ports_of(const Steering& s) {
    Entries<steer_listen> entries;
    const auto add = [&](uint16_t port, uint8_t protocol, steer_kind kind) {
        if (port != 0) {
            entries[steer_listen{htons(port), protocol, 0}] = kind;
        }
    };
    add(s.geneve_port, IPPROTO_UDP, STEER_GENEVE);
    add(s.vxlan_port, IPPROTO_UDP, STEER_VXLAN);
    add(s.stt_port, IPPROTO_TCP, STEER_STT);
    return entries;
}

Entries<steer_address> addresses_of(const Steering& s) {
    Entries<steer_address> entries;
    for (const Ip4& ip : s.ip4) {
        entries[key_of(ip)] = 1;
    }
    for (const Ip6& ip : s.ip6) {
        entries[key_of(ip)] = 1;
    }
    return entries;
}

/// The map becomes `wanted`; false when something had no room.
template <typename Key>
bool bring_in_line(int map, const Entries<Key>& wanted) {
    std::vector<Key> there;
    Key key{};
    for (const Key* last = nullptr; bpf_map_get_next_key(map, last, &key) == 0;
         last = &there.back()) {
        there.push_back(key);
    }
    for (const Key& known : there) {
        if (!wanted.contains(known)) {
            bpf_map_delete_elem(map, &known);
        }
    }
    bool has_room = true;
    for (const auto& [entry, value] : wanted) {
        has_room = bpf_map_update_elem(map, &entry, &value, BPF_ANY) == 0 && has_room;
    }
    return has_room;
}

}  // namespace

const char* steer_kind_name(unsigned kind) {
    return kind < STEER_KINDS ? kKindNames[kind] : "?";
}

Result<void> XdpProgram::check_free(int ifindex, const std::string& name) {
    const Result<Attached> there = attached_to(ifindex, name);
    if (!there) {
        return there.error();
    }
    if (there->id != 0) {
        const Result<int> ours = our_program(*there, name);
        if (!ours) {
            return ours.error();
        }
        close(*ours);
    }
    return {};
}

Result<std::unique_ptr<XdpProgram>> XdpProgram::load() {
    libbpf_set_print(log_libbpf);
    std::unique_ptr<XdpProgram> program(new XdpProgram());
    // Kernels before 5.18 know no frames in pieces.
    for (const bool in_pieces : {true, false}) {
        program->skeleton_ = steer_skeleton__open();
        if (!program->skeleton_) {
            break;
        }
        if (!in_pieces) {
            bpf_program__set_flags(program->skeleton_->progs.sluice_steer, 0);
        }
        if (steer_skeleton__load(program->skeleton_) == 0) {
            return program;
        }
        const int error = errno;
        steer_skeleton__destroy(program->skeleton_);
        program->skeleton_ = nullptr;
        errno = error;
        if (error == EPERM || error == EACCES) {
            return Error{
                "loading the steering program: not permitted; run as root or with CAP_BPF "
                "and CAP_NET_ADMIN"};
        }
    }
    return Error{fmt::format("loading the steering program: {}", errno_text(errno))};
}

XdpProgram::~XdpProgram() {
    if (ifindex_ != 0) {
        bpf_xdp_attach_opts options{};
        options.sz = sizeof options;
        options.old_prog_fd = program_fd();
        const int error =
            bpf_xdp_detach(ifindex_, native_ ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE, &options);
        if (error < 0 && error != -ENODEV) {
            LOG_WARN("the steering program is no longer on {}: {}", name_, errno_text(-error));
        }
    }
    steer_skeleton__destroy(skeleton_);
}

int XdpProgram::program_fd() const {
    return bpf_program__fd(skeleton_->progs.sluice_steer);
}

/// Program `id` is on the device: ours to replace, or an Error.
Result<void> XdpProgram::take_place_of(uint32_t id, uint32_t flags, uint32_t flags_there) {
    const Result<int> known = our_program(Attached{id, flags_there}, name_);
    if (!known) {
        return known.error();
    }
    const int there = *known;
    bpf_xdp_attach_opts options{};
    options.sz = sizeof options;
    options.old_prog_fd = there;
    int error = 0;
    if (flags == flags_there) {
        error = bpf_xdp_attach(ifindex_, program_fd(), flags | XDP_FLAGS_REPLACE, &options);
    } else if ((error = bpf_xdp_detach(ifindex_, flags_there, &options)) == 0) {
        error = bpf_xdp_attach(ifindex_, program_fd(), flags, nullptr);
    }
    close(there);
    if (error < 0) {
        return Error{
            fmt::format("replacing the XDP program {} of {}: {}", id, name_, errno_text(-error))};
    }
    LOG_WARN(
        "{} still had the steering program (id {}, {} mode) of a sluiced that did not end well: "
        "replaced",
        name_, id, mode_name(flags_there));
    return {};
}

Result<void> XdpProgram::attach(int ifindex, const std::string& name, bool native) {
    const uint32_t flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
    const Result<Attached> there = attached_to(ifindex, name);
    if (!there) {
        return there.error();
    }
    ifindex_ = ifindex;
    name_ = name;
    native_ = native;
    Result<void> done;
    if (there->id != 0) {
        done = take_place_of(there->id, flags, there->flags);
    } else if (const int error = bpf_xdp_attach(ifindex, program_fd(),
                                                flags | XDP_FLAGS_UPDATE_IF_NOEXIST, nullptr);
               error < 0) {
        done = Error{fmt::format("attaching the steering program to {} in {} mode: {}", name,
                                 mode_name(flags), errno_text(-error))};
    }
    if (!done) {
        ifindex_ = 0;
    }
    return done;
}

bool XdpProgram::is_attached() const {
    const Result<Attached> there = attached_to(ifindex_, name_);
    bpf_prog_info info{};
    uint32_t length = sizeof info;
    return ifindex_ != 0 && there && there->id != 0 &&
           bpf_obj_get_info_by_fd(program_fd(), &info, &length) == 0 && info.id == there->id;
}

Result<void> XdpProgram::set_socket(unsigned queue, int fd) {
    if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.steer_xsks), &queue, &fd, BPF_ANY) != 0) {
        return Error{fmt::format("queue {}: handing its socket to the steering program: {}", queue,
                                 errno_text(errno))};
    }
    return {};
}

Result<void> XdpProgram::steer(const Steering& steering, const Mac& mac) {
    if (is_told_ && steering == steering_ && mac == mac_) {
        return {};
    }
    const bool has_room =
        bring_in_line(bpf_map__fd(skeleton_->maps.steer_ports), ports_of(steering)) &&
        bring_in_line(bpf_map__fd(skeleton_->maps.steer_addrs), addresses_of(steering));
    const int vlans = bpf_map__fd(skeleton_->maps.steer_vlans);
    const auto set_vlans = [&](const std::vector<uint16_t>& list, uint32_t value) {
        for (const uint32_t vid : list) {
            bpf_map_update_elem(vlans, &vid, &value, BPF_ANY);
        }
    };
    std::vector<uint16_t> gone;
    std::ranges::copy_if(steering_.vlans, std::back_inserter(gone), [&](uint16_t vid) {
        return std::ranges::find(steering.vlans, vid) == steering.vlans.end();
    });
    set_vlans(gone, 0);
    set_vlans(steering.vlans, 1);
    steer_device device{};
    std::memcpy(device.mac, mac.bytes.data(), sizeof device.mac);
    device.takes_untagged = steering.untagged;
    const uint32_t zero = 0;
    bpf_map_update_elem(bpf_map__fd(skeleton_->maps.steer_device), &zero, &device, BPF_ANY);
    steering_ = steering;
    mac_ = mac;
    is_told_ = has_room;
    if (!has_room) {
        return Error{
            fmt::format("steering on {}: more than {} addresses", name_, STEER_MAX_ADDRESSES)};
    }
    return {};
}

XdpProgram::Counts XdpProgram::counts() const {
    Counts sums{};
    const int n_cpus = libbpf_num_possible_cpus();
    std::vector<uint64_t> by_cpu(n_cpus > 0 ? static_cast<size_t>(n_cpus) : 1);
    for (uint32_t kind = 0; kind < STEER_KINDS; ++kind) {
        if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.steer_counts), &kind, by_cpu.data()) ==
            0) {
            for (const uint64_t n : by_cpu) {
                sums[kind] += n;
            }
        }
    }
    return sums;
}

}  // namespace sluice::pmd
