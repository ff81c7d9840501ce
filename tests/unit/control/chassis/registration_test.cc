// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/control/chassis/ovn_lab.h"

using namespace control_lab;
using sluice::EventLoop;

TEST_CASE("a chassis registers as ovn-controller would") {
    EventLoop loop;
    Central central;
    Hypervisor hv(&central, &loop, "hv1", "192.168.0.1");
    until(&loop, [&] { return central.sb_get("Chassis_Private", "name", "hv1", "name") == "hv1"; });
    CHECK(central.sb_get("Chassis", "name", "hv1", "hostname") == "host-hv1");
    const std::string encap = central.sb_get("Chassis", "name", "hv1", "encaps");
    CHECK(central.sb_get("Encap", "_uuid", encap, "type") == "geneve");
    CHECK(central.sb_get("Encap", "_uuid", encap, "ip") == "192.168.0.1");
    CHECK(central.sb_get("Encap", "_uuid", encap, "options") == "csum=true");
    CHECK(central.sb_get("Encap", "_uuid", encap, "chassis_name") == "hv1");
    CHECK(central.sb_get("Chassis_Private", "name", "hv1", "chassis") ==
          central.sb_get("Chassis", "name", "hv1", "_uuid"));
    const std::string config = central.sb_get("Chassis", "name", "hv1", "other_config");
    for (const char* flag : {"port-up-notif=true", "ct-no-masked-label=true",
                             "mac-binding-timestamp=true", "ovn-monitor-all=false"}) {
        CHECK(config.find(flag) != std::string::npos);
    }
    // The integration bridge is there, and ovs-vsctl that waits comes back.
    until(&loop, [&] { return hv.vs({"list-br"}).find("br-int") != std::string::npos; });
    CHECK(hv.vs({"get-fail-mode", "br-int"}) == "secure\n");
    run_beside(&loop, &central.lab,
               {"ovs-vsctl", "-t", "20", "--db=" + hv.options.ovs_remote, "add-br", "br-more"});
    // So does ovn-nbctl that waits for hypervisors.
    for (int i = 0; i < 3; ++i) {
        run_beside(&loop, &central.lab,
                   {"ovn-nbctl", "-t", "20", "--db=unix:" + central.lab.path("nb.sock"),
                    "--wait=hv", "sync"});
    }
    CHECK(hv.control->status().nb_cfg == 3);
    CHECK(central.sb_get("Chassis_Private", "name", "hv1", "nb_cfg_timestamp").size() == 13);

    // What changes in external_ids changes the rows.
    hv.vs({"set", "Open_vSwitch", ".", "external_ids:ovn-encap-csum=false",
           "external_ids:ovn-bridge-mappings=phys:br-phys", "external_ids:hostname=other",
           "external_ids:ovn-encap-ip=192.168.0.9"});
    until(&loop, [&] {
        const std::string now = central.sb_get("Chassis", "name", "hv1", "encaps");
        return central.sb_get("Encap", "_uuid", now, "ip") == "192.168.0.9" &&
               central.sb_get("Encap", "_uuid", now, "options") == "csum=false";
    });
    CHECK(central.sb_get("Chassis", "name", "hv1", "hostname") == "other");
    CHECK(central.sb_get("Chassis", "name", "hv1", "other_config")
              .find("ovn-bridge-mappings=phys:br-phys") != std::string::npos);
    CHECK(central.sb({"--bare", "--columns=ip", "list", "Encap"}) == "192.168.0.9\n");
}

TEST_CASE("settings of one chassis override the common ones") {
    EventLoop loop;
    Central central;
    Hypervisor hv(&central, &loop, "hv1", "192.168.0.1");
    hv.vs({"set", "Open_vSwitch", ".", "external_ids:ovn-encap-ip-hv1=192.168.0.7",
           "external_ids:ovn-encap-ip-hv2=192.168.0.8"});
    until(&loop, [&] {
        return central.sb({"--bare", "--columns=ip", "list", "Encap"}) == "192.168.0.7\n";
    });
}

TEST_CASE("several encaps: one for each type and address, and which address is the default") {
    EventLoop loop;
    Central central;
    Hypervisor hv(&central, &loop, "hv1", "192.168.0.1");
    hv.vs({"set", "Open_vSwitch", ".", "external_ids:ovn-encap-type=geneve,vxlan",
           "external_ids:ovn-encap-ip=\"192.168.0.7,192.168.0.8\"",
           "external_ids:ovn-encap-ip-default=192.168.0.8"});
    const auto rows = [&](const char* address) {
        return central.sb(
            {"--bare", "--columns=type,options", "find", "Encap", "ip=" + std::string(address)});
    };
    until(&loop, [&] { return rows("192.168.0.8").find("is_default=true") != std::string::npos; });
    for (const char* type : {"geneve", "vxlan"}) {
        CHECK(rows("192.168.0.7").find(type) != std::string::npos);
        CHECK(rows("192.168.0.8").find(type) != std::string::npos);
    }
    CHECK(rows("192.168.0.7").find("is_default") == std::string::npos);
}

TEST_CASE("a chassis left behind with our address is replaced") {
    EventLoop loop;
    Central central;
    central.sb({"chassis-add", "old", "geneve", "192.168.0.1"});
    Hypervisor hv(&central, &loop, "hv1", "192.168.0.1");
    until(&loop, [&] { return central.sb_get("Chassis", "name", "hv1", "name") == "hv1"; });
    CHECK(central.sb_get("Chassis", "name", "old", "name").empty());
}

TEST_CASE("exit removes the chassis, exit --restart keeps it") {
    EventLoop loop;
    Central central;
    central.nb({"ls-add", "s", "--", "lsp-add", "s", "lp1"});
    Hypervisor hv(&central, &loop, "hv1", "192.168.0.1");
    until(&loop, [&] { return hv.vs({"list-br"}).find("br-int") != std::string::npos; });
    hv.plug("v1", "lp1");
    until(&loop,
          [&] { return central.sb_get("Port_Binding", "logical_port", "lp1", "up") == "true"; });
    bool is_done = false;
    hv.control->shutdown(true, [&] { is_done = true; });
    until(&loop, [&] { return is_done; });
    CHECK(central.sb_get("Chassis", "name", "hv1", "name") == "hv1");
    CHECK(central.sb_get("Port_Binding", "logical_port", "lp1", "up") == "true");
    hv.control.reset();
    hv.make_control();
    run_beside(
        &loop, &central.lab,
        {"ovn-nbctl", "-t", "20", "--db=unix:" + central.lab.path("nb.sock"), "--wait=hv", "sync"});
    is_done = false;
    hv.control->shutdown(false, [&] { is_done = true; });
    until(&loop, [&] { return is_done; });
    CHECK(central.sb_get("Chassis", "name", "hv1", "name").empty());
    CHECK(central.sb_get("Chassis_Private", "name", "hv1", "name").empty());
    CHECK(central.sb_get("Port_Binding", "logical_port", "lp1", "chassis").empty());
    CHECK(central.sb_get("Port_Binding", "logical_port", "lp1", "up") == "false");
}
