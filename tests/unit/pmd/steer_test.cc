// SPDX-License-Identifier: Apache-2.0
// The steering program in the kernel, run over single frames (BPF_PROG_TEST_RUN): frames made by
// hand with the verdict that the rules in pmd/bpf/steer.bpf.c say, and many mutated ones against a
// second reading of those rules that shares no code with the program. Needs root.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <random>

#include "pmd/xdp_program.h"
#include "tests/unit/pmd/lab.h"

using namespace sluice;
using namespace sluice::lab;
using pmd::XdpProgram;

namespace {

const Mac kNic{{2, 0, 0, 0, 0, 2}};
const Bytes kOther4 = {10, 0, 0, 3};
const Bytes kOurs4 = {10, 0, 0, 2};
const Bytes kOurs6 = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
Bytes be(uint16_t v) {
    return {static_cast<uint8_t>(v >> 8), static_cast<uint8_t>(v)};
}

Bytes ether(const Bytes& type_and_rest, const Bytes& to = {2, 0, 0, 0, 0, 2}) {
    return to + Bytes{2, 0, 0, 0, 0, 1} + type_and_rest;
}
Bytes ports(uint16_t to) {
    return be(50000) + be(to) + Bytes(16);
}
/// From the EtherType on. `options`: words of IPv4 options.
Bytes ip4(const Bytes& to, uint8_t protocol, const Bytes& rest, uint8_t options = 0,
          uint16_t fragment = 0x4000) {
    return Bytes{8, 0, static_cast<uint8_t>(0x45 + options), 0, 0, 0, 0, 1} + be(fragment) +
           Bytes{64, protocol, 0, 0, 10, 0, 0, 1} + to + Bytes(options * 4u, 1) + rest;
}
Bytes ip6(const Bytes& to, uint8_t next, const Bytes& rest) {
    Bytes from = kOurs6;
    from[15] = 1;
    return Bytes{0x86, 0xdd, 0x60, 0, 0, 0, 0, 40, next, 64} + from + to + rest;
}
/// An IPv6 extension header of 8 + 8 * more bytes.
Bytes extension(uint8_t next, uint8_t more = 0) {
    return Bytes{next, more} + Bytes(6 + 8u * more);
}

std::unique_ptr<XdpProgram> load() {
    Result<std::unique_ptr<XdpProgram>> loaded = XdpProgram::load();
    REQUIRE(loaded);
    return std::move(*loaded);
}

struct Program {
    Program() : fd(socket(AF_XDP, SOCK_RAW, 0)), program(load()) {
        REQUIRE(fd >= 0);
        REQUIRE(program->set_socket(0, fd));
    }
    ~Program() { close(fd); }

    /// The kind that was counted; the verdict must fit it.
    int run(const Bytes& frame) const {
        const XdpProgram::Counts before = program->counts();
        bpf_test_run_opts options{};
        options.sz = sizeof options;
        options.data_in = frame.data();
        options.data_size_in = static_cast<uint32_t>(frame.size());
        REQUIRE(bpf_prog_test_run_opts(program->program_fd(), &options) == 0);
        const XdpProgram::Counts after = program->counts();
        int kind = -1;
        for (int k = 0; k < STEER_KINDS; ++k) {
            if (after[static_cast<size_t>(k)] != before[static_cast<size_t>(k)]) {
                REQUIRE(kind == -1);
                REQUIRE(after[static_cast<size_t>(k)] == before[static_cast<size_t>(k)] + 1);
                kind = k;
            }
        }
        const bool is_ours = kind >= 0 && kind < STEER_KERNEL;
        CHECK(options.retval == (is_ours ? XDP_REDIRECT : XDP_PASS));
        return kind;
    }

    int fd;
    std::unique_ptr<XdpProgram> program;
};

Steering everything() {
    Steering s;
    s.geneve_port = 6081;
    s.vxlan_port = 4789;
    s.stt_port = 7471;
    s.ip4 = {Ip4{0x0a000002}};
    Ip6 ip;
    std::copy(kOurs6.begin(), kOurs6.end(), ip.bytes.begin());
    s.ip6 = {ip};
    s.vlans = {7, 4094};
    return s;
}

/// The rules once more: a frame is cut into layers, then judged.
int judge(const Bytes& f, const Steering& s) {
    const auto word = [&](size_t at) { return f[at] << 8 | f[at + 1]; };
    size_t at = 12;
    if (word(12) == 0x8100 || word(12) == 0x88a8) {
        if (f.size() < 18) {
            return STEER_KERNEL;
        }
        const int vid = word(14) % 4096;
        if (vid != 0) {
            return std::count(s.vlans.begin(), s.vlans.end(), vid) ? STEER_TAGGED : STEER_KERNEL;
        }
    }
    const bool is_for_nic = std::equal(kNic.bytes.begin(), kNic.bytes.end(), f.begin());
    if (s.untagged && f[0] % 2 == 0 && !is_for_nic) {
        return STEER_UNTAGGED;
    }
    size_t l4 = 0;
    int protocol = 0;
    if (word(at) == 0x0800) {
        at += 2;
        if (f.size() < at + 20 || f[at] / 16 != 4 || f[at] % 16 < 5) {
            return STEER_KERNEL;
        }
        protocol = f[at + 9];
        const Bytes to(f.begin() + 30, f.begin() + 34);
        if (to != kOurs4 || (protocol != 17 && protocol != 6)) {
            return STEER_KERNEL;
        }
        if (word(at + 6) % 0x4000 != 0) {
            return STEER_FRAGMENT;
        }
        l4 = at + f[at] % 16 * 4u;
    } else if (word(at) == 0x86dd) {
        at += 2;
        if (f.size() < at + 40 || f[at] / 16 != 6) {
            return STEER_KERNEL;
        }
        if (Bytes(f.begin() + 38, f.begin() + 54) != kOurs6) {
            return STEER_KERNEL;
        }
        protocol = f[at + 6];
        l4 = at + 40;
        for (int i = 0; i < 4 && (protocol == 0 || protocol == 60); ++i) {
            if (f.size() < l4 + 2) {
                return STEER_KERNEL;
            }
            protocol = f[l4];
            l4 += 8u + 8u * f[l4 + 1];
        }
        if (protocol == 44) {
            return STEER_FRAGMENT;
        }
    }
    if (l4 == 0 || f.size() < l4 + 4) {
        return STEER_KERNEL;
    }
    const int port = word(l4 + 2);
    if (protocol == 17 && port == s.geneve_port) {
        return STEER_GENEVE;
    }
    if (protocol == 17 && port == s.vxlan_port) {
        return STEER_VXLAN;
    }
    return protocol == 6 && port == s.stt_port ? STEER_STT : STEER_KERNEL;
}

struct Case {
    const char* what;
    Bytes frame;
    int kind;
};

std::vector<Case> tunnel_cases() {
    const Bytes geneve = ports(6081);
    return {
        {"Geneve", ether(ip4(kOurs4, 17, geneve)), STEER_GENEVE},
        {"VXLAN", ether(ip4(kOurs4, 17, ports(4789))), STEER_VXLAN},
        {"STT", ether(ip4(kOurs4, 6, ports(7471))), STEER_STT},
        {"TCP to Geneve's port", ether(ip4(kOurs4, 6, geneve)), STEER_KERNEL},
        {"UDP to STT's port", ether(ip4(kOurs4, 17, ports(7471))), STEER_KERNEL},
        {"ssh", ether(ip4(kOurs4, 6, ports(22))), STEER_KERNEL},
        {"BGP", ether(ip4(kOurs4, 6, ports(179))), STEER_KERNEL},
        {"another UDP port", ether(ip4(kOurs4, 17, ports(6082))), STEER_KERNEL},
        {"Geneve to another address", ether(ip4(kOther4, 17, geneve)), STEER_KERNEL},
        {"ICMP", ether(ip4(kOurs4, 1, geneve)), STEER_KERNEL},
        {"IPv4 options", ether(ip4(kOurs4, 17, geneve, 10)), STEER_GENEVE},
        {"no version", ether(ip4(kOurs4, 17, geneve, 0xb0)), STEER_KERNEL},
        {"first fragment", ether(ip4(kOurs4, 17, geneve, 0, 0x2000)), STEER_FRAGMENT},
        {"later fragment", ether(ip4(kOurs4, 17, geneve, 0, 0x2010)), STEER_FRAGMENT},
        {"last fragment", ether(ip4(kOurs4, 17, geneve, 0, 0x0010)), STEER_FRAGMENT},
        {"fragment for another", ether(ip4(kOther4, 17, geneve, 0, 0x2000)), STEER_KERNEL},
        {"cut before the ports", ether(ip4(kOurs4, 17, {0xc3, 0x50, 0x17})), STEER_KERNEL},
        {"cut behind the ports", ether(ip4(kOurs4, 17, {0xc3, 0x50, 0x17, 0xc1})), STEER_GENEVE},
        {"Geneve over IPv6", ether(ip6(kOurs6, 17, geneve)), STEER_GENEVE},
        {"VXLAN over IPv6", ether(ip6(kOurs6, 17, ports(4789))), STEER_VXLAN},
        {"STT over IPv6", ether(ip6(kOurs6, 6, ports(7471))), STEER_STT},
        {"ND", ether(ip6(kOurs6, 58, geneve)), STEER_KERNEL},
        {"hop-by-hop options", ether(ip6(kOurs6, 0, extension(17) + geneve)), STEER_GENEVE},
        {"long ones", ether(ip6(kOurs6, 60, extension(17, 3) + geneve)), STEER_GENEVE},
        {"four headers",
         ether(ip6(kOurs6, 0,
                   extension(60) + extension(60, 1) + extension(60) + extension(17) + geneve)),
         STEER_GENEVE},
        {"a routing header", ether(ip6(kOurs6, 43, extension(17) + geneve)), STEER_KERNEL},
        {"IPv6 fragment", ether(ip6(kOurs6, 44, extension(17) + geneve)), STEER_FRAGMENT},
        {"ARP", ether(Bytes{8, 6} + Bytes(46), Bytes(6, 0xff)), STEER_KERNEL},
        {"nothing but a header", ether({0x88, 0xb5}), STEER_KERNEL},
        {"header of IPv4 only", ether({8, 0}), STEER_KERNEL},
        {"tag of a VLAN of ours", ether({0x81, 0, 0x60, 7, 8, 6}), STEER_TAGGED},
        {"802.1ad", ether({0x88, 0xa8, 0x0f, 0xfe, 0x81, 0}), STEER_TAGGED},
        {"tag of another", ether({0x81, 0, 0, 8, 8, 6}), STEER_KERNEL},
        {"cut tag", ether({0x81, 0, 0, 7}), STEER_KERNEL},
        {"Geneve in another VLAN", ether(Bytes{0x81, 0, 0, 8} + ip4(kOurs4, 17, geneve)),
         STEER_KERNEL},
        {"Geneve with VID 0", ether(Bytes{0x81, 0, 0xe0, 0} + ip4(kOurs4, 17, geneve)),
         STEER_KERNEL},
    };
}

bool can_run() {
    if (geteuid() == 0) {
        return true;
    }
    WARN("skipped: loading a program into the kernel needs root");
    return false;
}

}  // namespace

TEST_CASE("what is ours is redirected, all else is the kernel's", "[steer]") {
    if (!can_run()) {
        return;
    }
    const Program p;
    CHECK(p.run(tunnel_cases()[0].frame) == STEER_KERNEL);  // nothing is ours before it is said
    REQUIRE(p.program->steer(everything(), kNic));
    for (const Case& c : tunnel_cases()) {
        INFO(c.what);
        CHECK(p.run(c.frame) == c.kind);
        CHECK(judge(c.frame, everything()) == c.kind);
    }
}

TEST_CASE("untagged localnet ports get other hosts' unicast", "[steer]") {
    if (!can_run()) {
        return;
    }
    const Program p;
    Steering s = everything();
    s.untagged = true;
    REQUIRE(p.program->steer(s, kNic));
    const Bytes other = {2, 0, 0, 0, 0, 9};
    CHECK(p.run(ether({0x88, 0xb5}, other)) == STEER_UNTAGGED);
    CHECK(p.run(ether({0x81, 0, 0, 0, 0x88, 0xb5}, other)) == STEER_UNTAGGED);
    CHECK(p.run(ether({0x81, 0, 0, 9, 0x88, 0xb5}, other)) == STEER_KERNEL);
    CHECK(p.run(ether({0x88, 0xb5})) == STEER_KERNEL);
    CHECK(p.run(ether({8, 6}, Bytes(6, 0xff))) == STEER_KERNEL);
    CHECK(p.run(ether(ip4(kOurs4, 17, ports(6081)))) == STEER_GENEVE);
    // The NIC's address changes.
    REQUIRE(p.program->steer(s, Mac{{2, 0, 0, 0, 0, 9}}));
    CHECK(p.run(ether({0x88, 0xb5}, other)) == STEER_KERNEL);
    CHECK(p.run(ether({0x88, 0xb5})) == STEER_UNTAGGED);
}

TEST_CASE("what is steered changes live", "[steer]") {
    if (!can_run()) {
        return;
    }
    const Program p;
    Steering s = everything();
    REQUIRE(p.program->steer(s, kNic));
    s.geneve_port = 6082;
    s.stt_port = 0;
    s.ip4 = {Ip4{0x0a000003}};
    s.vlans = {8, 4094};
    REQUIRE(p.program->steer(s, kNic));
    CHECK(p.run(ether(ip4(kOurs4, 17, ports(6082)))) == STEER_KERNEL);
    CHECK(p.run(ether(ip4(kOther4, 17, ports(6082)))) == STEER_GENEVE);
    CHECK(p.run(ether(ip4(kOther4, 17, ports(6081)))) == STEER_KERNEL);
    CHECK(p.run(ether(ip4(kOther4, 6, ports(7471)))) == STEER_KERNEL);
    CHECK(p.run(ether(ip6(kOurs6, 17, ports(6082)))) == STEER_GENEVE);
    CHECK(p.run(ether({0x81, 0, 0, 7, 8, 6})) == STEER_KERNEL);
    CHECK(p.run(ether({0x81, 0, 0, 8, 8, 6})) == STEER_TAGGED);
    CHECK(p.run(ether({0x81, 0, 0xf, 0xfe, 8, 6})) == STEER_TAGGED);
    REQUIRE(p.program->steer(Steering(), kNic));
    CHECK(p.run(ether(ip4(kOther4, 17, ports(6082)))) == STEER_KERNEL);
    // More addresses than there is room for: said, and the rest goes on.
    s.ip4.clear();
    for (uint32_t i = 0; i <= STEER_MAX_ADDRESSES; ++i) {
        s.ip4.push_back(Ip4{0x0a000002 + i});
    }
    CHECK(!p.program->steer(s, kNic));
}

TEST_CASE("a queue without a socket leaves its frames to the kernel and counts", "[steer]") {
    if (!can_run()) {
        return;
    }
    const auto program = load();
    REQUIRE(program->steer(everything(), kNic));
    const Bytes frame = ether(ip4(kOurs4, 17, ports(6081)));
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = static_cast<uint32_t>(frame.size());
    REQUIRE(bpf_prog_test_run_opts(program->program_fd(), &options) == 0);
    CHECK(options.retval == XDP_PASS);
    CHECK(program->counts()[STEER_NO_SOCKET] == 1);
    CHECK(program->counts()[STEER_GENEVE] == 0);
}

TEST_CASE("mutated frames get the verdict of a second reading of the rules", "[steer]") {
    if (!can_run()) {
        return;
    }
    const Program p;
    std::mt19937 random(20);
    const std::vector<Case> cases = tunnel_cases();
    std::array<unsigned, STEER_KINDS> seen{};
    for (unsigned round = 0; round < 4000; ++round) {
        Steering s = everything();
        s.untagged = round % 8 == 7;
        REQUIRE(p.program->steer(s, kNic));
        Bytes frame = cases[random() % cases.size()].frame;
        for (unsigned n = random() % 4; n > 0; --n) {
            frame[random() % frame.size()] = static_cast<uint8_t>(random());
        }
        if (random() % 4 == 0) {
            frame.resize(14 + random() % (frame.size() - 13));
        }
        const int kind = p.run(frame);
        INFO("round " << round);
        REQUIRE(kind == judge(frame, s));
        ++seen[static_cast<size_t>(kind)];
    }
    for (const int kind : {STEER_GENEVE, STEER_VXLAN, STEER_STT, STEER_TAGGED, STEER_UNTAGGED,
                           STEER_KERNEL, STEER_FRAGMENT}) {
        CHECK(seen[static_cast<size_t>(kind)] > 0);
    }
}
