// SPDX-License-Identifier: Apache-2.0
// Ports on devices that the kernel goes on using: what they are to hand over, and who resolves.
#include "control/steering.h"

#include <catch2/catch.hpp>

#include "control/vswitch/wanted_ports.h"

using namespace sluice;
using physical::IpAddress;
using physical::parse_address;
using physical::UnderlayModel;

namespace {

IpAddress ip(const char* text) {
    return *parse_address(text);
}

/// Port 3 is eth0, which the kernel has with two addresses.
UnderlayModel shared_port(bool kernel_is_host) {
    UnderlayModel model;
    physical::Device device{"eth0", "br-a", "eth0", 3, 0x02aa00000001, 1500};
    device.kernel_is_host = kernel_is_host;
    model.set_devices({device});
    physical::KernelState kernel;
    kernel.addresses = {{"eth0", *physical::parse_prefix("10.0.0.1/24")},
                        {"eth0", *physical::parse_prefix("10.0.0.7/24")},
                        {"eth0", *physical::parse_prefix("fd00::1/64")}};
    model.set_kernel(kernel);
    return model;
}

}  // namespace

TEST_CASE("tunnel packets for encap addresses of the device are steered") {
    UnderlayModel model = shared_port(true);
    model.set_tunnel_ports({6090, 4789, 0});
    PortEntry entry;
    const std::optional<Underlay> underlay = model.underlay_of(3);
    REQUIRE(underlay);
    entry.underlay = &*underlay;
    const Steering s = steering_of(&entry, {ip("10.0.0.7"), ip("10.9.9.9"), ip("fd00::1")});
    CHECK(s.geneve_port == 6090);
    CHECK(s.vxlan_port == 4789);
    CHECK(s.stt_port == 0);
    CHECK(s.ip4 == std::vector<Ip4>{*parse_ip4("10.0.0.7")});
    CHECK(s.ip6 == std::vector<Ip6>{*parse_ip6("fd00::1")});
    CHECK(s.vlans.empty());
    CHECK_FALSE(s.untagged);
    CHECK(steering_of(&entry, {}).ip4.empty());
    CHECK(steering_of(nullptr, {ip("10.0.0.7")}) == Steering());
}

TEST_CASE("frames of localnet ports are steered") {
    EntryPoint point{};
    const std::vector<const EntryPoint*> list = {&point};
    PortEntry entry;
    entry.tagged = FlatMap<uint16_t, const std::vector<const EntryPoint*>*>(
        std::vector<std::pair<uint16_t, const std::vector<const EntryPoint*>*>>{
            {uint16_t{30}, &list}, {uint16_t{7}, &list}});
    CHECK(steering_of(&entry, {}).vlans == std::vector<uint16_t>{7, 30});
    CHECK_FALSE(steering_of(&entry, {}).untagged);
    entry.untagged = list;
    CHECK(steering_of(&entry, {}).untagged);
    CHECK(steering_of(&entry, {}).geneve_port == 0);
}

TEST_CASE("where the kernel is the host it resolves next hops") {
    UnderlayModel model = shared_port(true);
    model.begin_round();
    CHECK(model.resolve(ip("10.0.0.2"), {}).state == Tunnel::State::kUnresolved);
    CHECK(model.wanted(0).empty());  // nobody answers us there
    CHECK(model.kernel_hops() == UnderlayModel::KernelHops{{{"eth0", ip("10.0.0.2")}, false}});
    CHECK_FALSE(model.learned(3, ip("10.0.0.2"), *parse_mac("02:00:00:00:00:02"), 0));
    CHECK(model.underlay_of(3)->exception == kKernelIsHost);

    physical::KernelState kernel;
    kernel.addresses = {{"eth0", *physical::parse_prefix("10.0.0.1/24")}};
    kernel.neighbors = {{"eth0", ip("10.0.0.2"), *parse_mac("02:00:00:00:00:02")}};
    model.set_kernel(kernel);
    model.begin_round();
    const Tunnel::State state = model.resolve(ip("10.0.0.2"), {}).state;
    CHECK(state == Tunnel::State::kReady);
    CHECK(model.kernel_hops() == UnderlayModel::KernelHops{{{"eth0", ip("10.0.0.2")}, true}});
    model.begin_round();
    CHECK(model.kernel_hops().empty());

    UnderlayModel own = shared_port(false);
    own.resolve(ip("10.0.0.2"), {});
    CHECK(own.wanted(0).size() == 1);
    CHECK(own.kernel_hops().empty());
    CHECK(own.underlay_of(3)->exception == kNoPort);
}

TEST_CASE("type afxdp shares the device, and its bridge has no local interface") {
    vswitch::Contents contents;
    vswitch::Bridge bridge;
    bridge.name = "br-phys";
    bridge.other_config = {{"hwaddr", "02:aa:00:00:00:01"}};
    bridge.interfaces = {{random_uuid(), "br-phys", "internal", {}, {}, {}, 0},
                         {random_uuid(),
                          "eth1",
                          "afxdp",
                          {{"n_rxq", "2"}, {"xdp-mode", "native"}, {"use-need-wakeup", "true"}},
                          {},
                          *parse_mac("02:bb:00:00:00:01"),
                          3000}};
    contents.bridges = {bridge};
    const vswitch::WantedPorts wanted =
        wanted_ports(&contents, vswitch::make_settings({}, {}, "hv1"), {}, false);
    REQUIRE(wanted.ports.size() == 1);
    const vswitch::WantedPort& port = wanted.ports[0];
    CHECK(to_string(port.spec) == "eth1=af_xdp,iface=eth1,mtu=3000,n_rxq=2,xdp-mode=native");
    CHECK(port.is_shared);
    CHECK(port.kernel_name == "eth1");
    CHECK(port.mac.is_zero());  // the NIC has the one that the kernel answers with

    ConfiguredPort configured;
    configured.spec = *parse_port_spec("up0=af_xdp,iface=eth2");
    configured.underlay = true;
    const auto option =
        wanted_ports(nullptr, vswitch::make_settings({}, {}, "hv1"), {configured}, false);
    REQUIRE(option.ports.size() == 1);
    CHECK(option.ports[0].is_shared);
    CHECK(option.ports[0].kernel_name == "eth2");
}
