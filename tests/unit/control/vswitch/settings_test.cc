// SPDX-License-Identifier: Apache-2.0
#include "control/vswitch/settings.h"

#include <catch2/catch.hpp>

#include "control/vswitch/plugger.h"
#include "control/vswitch/wanted_ports.h"

using namespace sluice;
using namespace sluice::vswitch;

TEST_CASE("external_ids as ovn-controller(8) lists them") {
    const Settings s = make_settings({{"system-id", "hv1"},
                                      {"hostname", "host"},
                                      {"ovn-remote", "ssl:10.0.0.1:6642"},
                                      {"ovn-encap-type", "geneve,vxlan"},
                                      {"ovn-encap-ip", "10.0.0.9,fd00::9"},
                                      {"ovn-bridge", "br-ovn"},
                                      {"ovn-bridge-mappings", "a:br-a,b:br-b"},
                                      {"ovn-encap-csum", "false"},
                                      {"ovn-encap-tos", "inherit"},
                                      {"ovn-encap-df_default", "false"},
                                      {"ovn-remote-probe-interval", "500"},
                                      {"ovn-transport-zones", "z2,z1"},
                                      {"ovn-monitor-all", "true"}},
                                     {}, "");
    CHECK(s.chassis == "hv1");
    CHECK(s.hostname == "host");
    CHECK(s.sb_remote == "ssl:10.0.0.1:6642");
    CHECK(s.encap_types == std::vector<std::string>{"geneve", "vxlan"});
    CHECK(s.encap.ips.size() == 2);
    CHECK(s.bridge == "br-ovn");
    CHECK(s.bridge_mappings.at("b") == "br-b");
    CHECK(s.encap_csum == "false");
    CHECK(s.encap.tos_inherit);
    CHECK_FALSE(s.encap.df);
    CHECK(s.probe_interval_ms == 1000);  // forced to at least that
    CHECK(s.transport_zones == std::vector<std::string>{"z1", "z2"});
    CHECK(s.monitor_all);
    CHECK(s.other_config.at("ovn-bridge-mappings") == "a:br-a,b:br-b");
    CHECK(s.problems.empty());
}

TEST_CASE("several tunnel addresses and STT by option") {
    const auto with = [](const char* address) {
        return make_settings({{"system-id", "hv1"},
                              {"ovn-encap-type", "geneve"},
                              {"ovn-encap-ip", "10.0.0.1,10.0.0.2"},
                              {"ovn-encap-ip-default", address},
                              {"ovn-is-interconn", "true"},
                              {"sluice-stt", "true"}},
                             {}, "");
    };
    const Settings s = with("10.0.0.2");
    CHECK(s.problems.empty());
    CHECK(s.encap.ip == physical::parse_address("10.0.0.2"));
    CHECK(s.encap_ip_default == "10.0.0.2");
    CHECK(s.encap.is_interconn);
    CHECK(s.encap.prefers_stt);
    CHECK(s.other_config.at("sluice-stt") == "true");
    for (const char* bad : {"10.0.0.3", "nowhere"}) {
        const Settings refused = with(bad);
        CHECK(refused.problems.size() == 1);
        CHECK_FALSE(refused.encap.ip);
        CHECK(refused.encap_ip_default.empty());
    }
    CHECK_FALSE(make_settings({}, {}, "").other_config.contains("sluice-stt"));
}

TEST_CASE("defaults and whose word counts") {
    const Settings none = make_settings({}, {}, "");
    CHECK(none.chassis.empty());
    CHECK(none.bridge == "br-int");
    CHECK(none.encap_csum == "true");
    CHECK(none.encap.df);
    CHECK_FALSE(none.encap.tos_inherit);
    CHECK(none.probe_interval_ms == 5000);
    CHECK_FALSE(none.hostname.empty());
    CHECK(none.problems.empty());
    const sb::StringMap ids = {{"system-id", "hv1"},
                               {"ovn-encap-ip", "10.0.0.1"},
                               {"ovn-encap-ip-hv1", "10.0.0.2"},
                               {"ovn-encap-ip-hv9", "10.0.0.9"}};
    CHECK(make_settings(ids, {}, "").encap_ips == std::vector<std::string>{"10.0.0.2"});
    CHECK(make_settings(ids, {}, "hv9").encap_ips == std::vector<std::string>{"10.0.0.9"});
    CHECK(make_settings(ids, {{"ovn-encap-ip", "10.0.0.3"}}, "").encap_ips ==
          std::vector<std::string>{"10.0.0.3"});
}

TEST_CASE("bad settings are told") {
    const Settings s = make_settings({{"ovn-encap-type", "gre"},
                                      {"ovn-encap-ip", "10.0.0"},
                                      {"ovn-bridge-mappings", "phys"},
                                      {"ovn-encap-tos", "256"},
                                      {"ovn-remote-probe-interval", "soon"}},
                                     {}, "hv1");
    CHECK(s.problems.size() == 5);
}

namespace {

Contents switch_with(std::vector<Interface> interfaces) {
    Contents contents;
    Bridge bridge;
    bridge.name = "br-int";
    bridge.interfaces = std::move(interfaces);
    Bridge phys;
    phys.name = "br-phys";
    phys.other_config = {{"hwaddr", "02:aa:00:00:00:01"}};
    phys.interfaces = {{random_uuid(), "eth0", "", {}, {}, {}, 0},
                       {random_uuid(), "br-phys", "internal", {}, {}, {}, 0}};
    contents.bridges = {bridge, phys};
    return contents;
}

const WantedPort& port(const WantedPorts& wanted, const std::string& name) {
    for (const WantedPort& p : wanted.ports) {
        if (p.spec.name == name) {
            return p;
        }
    }
    FAIL("no port " << name);
    return wanted.ports.front();
}

}  // namespace

TEST_CASE("what interface types become") {
    const Contents contents = switch_with({
        {random_uuid(), "vm1", "", {}, {{"iface-id", "lp1"}, {"encap-ip", "10.0.0.1"}}, {}, 9000},
        {random_uuid(), "tap1", "internal", {}, {}, parse_mac("02:00:00:00:00:01"), 0},
        {random_uuid(),
         "d0",
         "dpdk",
         {{"dpdk-devargs", "0000:01:00.0"}, {"n_rxq", "4"}},
         {},
         {},
         0},
        {random_uuid(), "d1", "dpdk", {{"dpdk-devargs", "net_null0"}}, {}, {}, 0},
        {random_uuid(), "d2", "dpdk", {}, {}, {}, 0},
        {random_uuid(), "vh", "dpdkvhostuserclient", {}, {}, {}, 0},
        {random_uuid(),
         "vc",
         "dpdkvhostuserclient",
         {{"vhost-server-path", "/run/vm.sock"}, {"n_rxq", "2"}},
         {},
         {},
         0},
        {random_uuid(), "vs", "dpdkvhostuser", {}, {}, {}, 0},
        {random_uuid(), "gre0", "nosuch", {}, {}, {}, 0},
        {random_uuid(), "m0", "memif", {{"role", "server"}}, {}, {}, 0},
        {random_uuid(), "gen", "geneve", {}, {}, {}, 0},
        {random_uuid(), "br-int", "internal", {}, {}, {}, 0},
    });
    const WantedPorts wanted = wanted_ports(&contents, make_settings({}, {}, "hv1"), {}, false);
    CHECK(wanted.ports.size() == 12);
    CHECK(wanted.passive.size() == 3);
    const WantedPort& vm = port(wanted, "vm1");
    CHECK(to_string(vm.spec) == "vm1=af_packet,iface=vm1,mtu=9000");
    CHECK(vm.iface_id == "lp1");
    CHECK(vm.encap_ip == "10.0.0.1");
    CHECK(vm.is_integration);
    CHECK(port(wanted, "tap1").spec.driver == "tap");
    CHECK(port(wanted, "tap1").spec.arg("mac") == "02:00:00:00:00:01");
    CHECK(to_string(port(wanted, "d0").spec) == "d0=pci,devargs=0000:01:00.0,queues=4");
    CHECK(port(wanted, "d1").spec.driver == "vdev");
    CHECK(port(wanted, "d2").error.find("dpdk-devargs") != std::string::npos);
    CHECK(port(wanted, "vh").error.find("vhost-server-path") != std::string::npos);
    CHECK(to_string(port(wanted, "vc").spec) == "vc=vhost,mode=client,path=/run/vm.sock,queues=2");
    CHECK(port(wanted, "vs").spec.arg("path").ends_with("/vs"));
    CHECK(port(wanted, "vs").spec.arg("mode") == "server");
    CHECK(port(wanted, "gre0").error.find("not supported") != std::string::npos);
    CHECK(port(wanted, "m0").spec.arg("role") == "server");
    CHECK(to_string(port(wanted, "eth0").mac) == "02:aa:00:00:00:01");
    CHECK_FALSE(port(wanted, "eth0").is_integration);
    // The local interface of a bridge with a port is the kernel's leg; its row is reported as
    // before.
    CHECK(port(wanted, "br-phys").is_exception);
    CHECK(to_string(port(wanted, "br-phys").spec) == "br-phys=tap,iface=br-phys,up=0");
    CHECK(port(wanted, "br-phys").interface.is_zero());

    const WantedPorts dummy = wanted_ports(&contents, make_settings({}, {}, "hv1"), {}, true);
    CHECK(port(dummy, "vm1").spec.driver == "dummy");
    CHECK(port(dummy, "tap1").spec.driver == "dummy");
    CHECK(port(dummy, "d1").spec.driver == "vdev");
    CHECK(dummy.ports.size() == 11);  // in memory there is no kernel
}

TEST_CASE("names are unique and options come first") {
    const Contents contents = switch_with({{random_uuid(), "eth0", "", {}, {}, {}, 0}});
    ConfiguredPort configured;
    configured.spec = *parse_port_spec("eth0=null");
    configured.underlay = true;
    const WantedPorts wanted =
        wanted_ports(&contents, make_settings({}, {}, "hv1"), {configured}, false);
    REQUIRE(wanted.ports.size() == 4);
    CHECK(wanted.ports[0].spec.name == "br-phys");
    CHECK(wanted.ports[1].spec.driver == "null");
    CHECK(wanted.ports[1].error.empty());
    CHECK_FALSE(wanted.ports[2].error.empty());
    CHECK_FALSE(wanted.ports[3].error.empty());
}
