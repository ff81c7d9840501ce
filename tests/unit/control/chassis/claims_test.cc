// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/control/chassis/ovn_lab.h"

using namespace control_lab;
using namespace sluice;

namespace {

struct Lab {
    explicit Lab(const ovsdb_lab::Argv& topology) { central.nb(topology); }

    std::unique_ptr<Hypervisor> start(const std::string& name, const std::string& ip) {
        auto hv = std::make_unique<Hypervisor>(&central, &loop, name, ip);
        until(&loop, [&] { return hv->vs({"list-br"}).find("br-int") != std::string::npos; });
        until(&loop, [&] { return central.sb_get("Chassis", "name", name, "name") == name; });
        return hv;
    }
    std::string port(const std::string& name, const std::string& column) const {
        return central.sb_get("Port_Binding", "logical_port", name, column);
    }
    std::string chassis_of(const std::string& name) const {
        const std::string uuid = port(name, "chassis");
        return uuid.empty() ? "" : central.sb_get("Chassis", "_uuid", uuid, "name");
    }
    void wait_owner(const std::string& name, const std::string& chassis) {
        until(&loop, [&] { return chassis_of(name) == chassis; });
    }
    void sync() {
        run_beside(&loop, &central.lab,
                   {"ovn-nbctl", "-t", "20", "--db=unix:" + central.lab.path("nb.sock"),
                    "--wait=hv", "sync"});
    }

    EventLoop loop;
    Central central;
};

const PortEntry* entry_of(const Hypervisor& hv, const std::string& port) {
    const PortId id = hv.ports.find(port);
    return hv.pipeline && id < hv.pipeline->entries.size() ? hv.pipeline->entries[id] : nullptr;
}

const LogicalPort* logical(const Hypervisor& hv, const std::string& name) {
    for (const Datapath* datapath : hv.pipeline->datapaths) {
        const LogicalPort* found = nullptr;
        if (datapath) {
            datapath->ports.for_each([&](uint32_t key, const LogicalPort* port) {
                found = hv.control->logical_port_name(datapath->key, key) == name ? port : found;
            });
        }
        if (found) {
            return found;
        }
    }
    return nullptr;
}

}  // namespace

TEST_CASE("the life cycle of a VIF") {
    Lab lab({"ls-add", "s", "--", "lsp-add", "s", "lp1", "--", "lsp-add", "s", "lp2"});
    auto hv = lab.start("hv1", "192.168.0.1");
    hv->ports.rx_packets = 7;
    // With waiting: the interface has a number when ovs-vsctl comes back.
    run_beside(&lab.loop, &lab.central.lab,
               {"ovs-vsctl", "-t", "20", "--db=" + hv->options.ovs_remote, "add-port", "br-int",
                "v1", "--", "set", "Interface", "v1", "external_ids:iface-id=lp1"});
    CHECK(hv->interface("v1", "ofport") != "[]");
    CHECK(hv->interface("v1", "error") == "[]");
    CHECK(hv->interface("v1", "link_state") == "up");
    lab.wait_owner("lp1", "hv1");
    until(&lab.loop, [&] { return lab.port("lp1", "up") == "true"; });
    until(&lab.loop, [&] {
        return hv->interface("v1", "external_ids").find("ovn-installed=\"true\"") !=
               std::string::npos;
    });
    until(&lab.loop, [&] {
        return lab.central.nb({"get", "Logical_Switch_Port", "lp1", "up"}) == "true\n";
    });
    REQUIRE(entry_of(*hv, "v1"));
    CHECK(entry_of(*hv, "v1")->untagged.size() == 1);
    CHECK(logical(*hv, "lp1")->reach == Reach::kVif);
    CHECK(logical(*hv, "lp2")->reach == Reach::kUnbound);
    until(&lab.loop, [&] {
        return hv->interface("v1", "statistics").find("rx_packets=7") != std::string::npos;
    });

    // Another logical port on the same interface.
    hv->vs({"set", "Interface", "v1", "external_ids:iface-id=lp2"});
    lab.wait_owner("lp2", "hv1");
    lab.wait_owner("lp1", "");
    CHECK(lab.port("lp1", "up") == "false");

    hv->vs({"del-port", "br-int", "v1"});
    lab.wait_owner("lp2", "");
    CHECK(lab.port("lp2", "up") == "false");
    CHECK(hv->ports.find("v1") == kNoPort);
    CHECK(hv->ports.retired == 1);
    CHECK(hv->control->status().local_datapaths == 0);
}

TEST_CASE("containers go with their parent") {
    Lab lab({"ls-add", "s", "--", "lsp-add", "s", "lp1", "--", "ls-add", "t", "--", "lsp-add", "t",
             "c1", "lp1", "42"});
    auto hv = lab.start("hv1", "192.168.0.1");
    hv->plug("v1", "lp1");
    lab.wait_owner("c1", "hv1");
    lab.wait_owner("lp1", "hv1");
    lab.sync();
    const PortEntry* entry = entry_of(*hv, "v1");
    REQUIRE(entry);
    CHECK(entry->untagged.size() == 1);
    const auto* tagged = entry->tagged.find(42);
    REQUIRE(tagged);
    REQUIRE((*tagged)->size() == 1);
    CHECK((**tagged)[0]->strip_vlan);
    CHECK(logical(*hv, "c1")->vlan_tci == (0x1000 | 42));
    hv->vs({"del-port", "br-int", "v1"});
    lab.wait_owner("c1", "");
    lab.wait_owner("lp1", "");
}

TEST_CASE("requested-chassis keeps others away") {
    Lab lab({"ls-add", "s", "--", "lsp-add", "s", "lp1", "--", "lsp-set-options", "lp1",
             "requested-chassis=hv2"});
    auto hv1 = lab.start("hv1", "192.168.0.1");
    auto hv2 = lab.start("hv2", "192.168.0.2");
    hv1->plug("v1", "lp1");
    hv2->plug("v1", "lp1");
    lab.wait_owner("lp1", "hv2");
    lab.sync();
    CHECK(lab.chassis_of("lp1") == "hv2");
    // By host name, and the other way round.
    lab.central.nb({"lsp-set-options", "lp1", "requested-chassis=host-hv1"});
    lab.wait_owner("lp1", "hv1");
    // Main and additional.
    lab.central.nb({"lsp-set-options", "lp1", "requested-chassis=hv2,hv1"});
    lab.wait_owner("lp1", "hv2");
    until(&lab.loop, [&] {
        return lab.port("lp1", "additional_chassis") ==
               lab.central.sb_get("Chassis", "name", "hv1", "_uuid");
    });
    lab.central.nb({"lsp-set-options", "lp1", "requested-chassis=hv2"});
    until(&lab.loop, [&] { return lab.port("lp1", "additional_chassis").empty(); });
}

TEST_CASE("an iface-id in two places") {
    Lab lab({"ls-add", "s", "--", "lsp-add", "s", "lp1"});
    auto hv1 = lab.start("hv1", "192.168.0.1");
    // On one chassis the first keeps it.
    hv1->plug("zz", "lp1");
    lab.wait_owner("lp1", "hv1");
    hv1->plug("aa", "lp1");
    until(&lab.loop, [&] { return hv1->ports.find("aa") != kNoPort; });
    lab.sync();
    REQUIRE(logical(*hv1, "lp1"));
    CHECK(logical(*hv1, "lp1")->port == hv1->ports.find("zz"));
    hv1->vs({"del-port", "br-int", "zz"});
    until(&lab.loop, [&] { return logical(*hv1, "lp1")->port == hv1->ports.find("aa"); });
    CHECK(lab.chassis_of("lp1") == "hv1");
    // The later chassis takes it (a migration).
    auto hv2 = lab.start("hv2", "192.168.0.2");
    hv2->plug("v1", "lp1");
    lab.wait_owner("lp1", "hv2");
    // Until it goes here the two may take it from each other.
    hv1->vs({"del-port", "br-int", "aa"});
    lab.wait_owner("lp1", "hv2");
    lab.sync();
    CHECK(lab.chassis_of("lp1") == "hv2");
}

TEST_CASE("a port that cannot be opened says so and is tried again") {
    Lab lab({"ls-add", "s", "--", "lsp-add", "s", "lp1"});
    auto hv = lab.start("hv1", "192.168.0.1");
    hv->ports.missing = {"v1"};
    hv->plug("v1", "lp1");
    until(&lab.loop,
          [&] { return hv->interface("v1", "error").find("no such device") != std::string::npos; });
    CHECK(hv->interface("v1", "ofport") == "-1");
    CHECK(lab.chassis_of("lp1").empty());
    hv->ports.missing.clear();
    lab.wait_owner("lp1", "hv1");
    until(&lab.loop, [&] { return hv->interface("v1", "error") == "[]"; });
}

TEST_CASE("tunnels to other chassis") {
    Lab lab({"ls-add", "s", "--", "lsp-add", "s", "lp1", "--", "lsp-add", "s", "lp2"});
    auto hv1 = lab.start("hv1", "192.168.0.1");
    auto hv2 = lab.start("hv2", "192.168.0.2");
    hv1->plug("v1", "lp1");
    hv2->plug("v1", "lp2");
    lab.wait_owner("lp1", "hv1");
    lab.wait_owner("lp2", "hv2");
    lab.sync();
    REQUIRE(logical(*hv1, "lp2"));
    REQUIRE(logical(*hv1, "lp2")->reach == Reach::kTunnel);
    const Tunnel* tunnel = hv1->pipeline->tunnels[logical(*hv1, "lp2")->tunnel];
    CHECK(hv1->control->tunnel_name(tunnel->id) == "hv2@192.168.0.2");
    CHECK(tunnel->state == Tunnel::State::kUnresolved);
    REQUIRE(hv1->resolving.size() == 1);
    CHECK(hv1->resolving[0].target4.value == 0xc0a80002);
    CHECK(hv1->resolving[0].src4.value == 0xc0a80001);
    CHECK(hv1->resolving[0].port == hv1->ports.find("uplink"));
    hv1->control->neighbor_learned(hv1->ports.find("uplink"), Ip4{0xc0a80002},
                                   *parse_mac("02:00:00:00:00:99"));
    until(&lab.loop, [&] {
        tunnel = hv1->pipeline->tunnels[logical(*hv1, "lp2")->tunnel];
        return tunnel->state == Tunnel::State::kReady;
    });
    CHECK(hv1->resolving.empty());
    const uint8_t start[] = {2, 0, 0, 0, 0, 0x99};
    CHECK(std::equal(start, start + 6, tunnel->header));
    const PortEntry* uplink = entry_of(*hv1, "uplink");
    REQUIRE(uplink);
    REQUIRE(uplink->underlay);
    CHECK(uplink->underlay->ip4.at(0).ip == 0xc0a80001);
}

TEST_CASE("what packets teach is written") {
    Lab lab({"ls-add",
             "s",
             "--",
             "lsp-add",
             "s",
             "lp1",
             "--",
             "lr-add",
             "r",
             "--",
             "lrp-add",
             "r",
             "r-s",
             "00:00:00:00:ff:01",
             "10.0.0.254/24",
             "--",
             "lsp-add",
             "s",
             "s-r",
             "--",
             "lsp-set-type",
             "s-r",
             "router",
             "--",
             "lsp-set-addresses",
             "s-r",
             "router",
             "--",
             "lsp-set-options",
             "s-r",
             "router-port=r-s"});
    auto hv = lab.start("hv1", "192.168.0.1");
    hv->plug("v1", "lp1");
    lab.wait_owner("lp1", "hv1");
    lab.sync();
    CHECK(hv->control->status().local_datapaths == 2);
    const uint32_t key = static_cast<uint32_t>(std::stoul(lab.central.sb_get(
        "Datapath_Binding", "_uuid", lab.port("r-s", "datapath"), "tunnel_key")));
    const auto port_key = static_cast<uint32_t>(std::stoul(lab.port("r-s", "tunnel_key")));
    const auto mac_of = [&](const std::string& ip) {
        return lab.central.sb_get("MAC_Binding", "ip", "\"" + ip + "\"", "mac");
    };
    const Mac first = *parse_mac("50:54:00:00:00:01");
    const Mac second = *parse_mac("50:54:00:00:00:02");
    for (int i = 0; i < 3; ++i) {
        hv->control->learn_mac(key, port_key, Ip4{0x0a000005}, first);
    }
    hv->control->learn_mac(key, port_key, *parse_ip6("fd00::5"), first);
    hv->control->learn_mac(key, 999, Ip4{0x0a000006}, first);  // no such port
    hv->control->learn_fdb(key, port_key, first);
    until(&lab.loop, [&] { return mac_of("10.0.0.5") == "50:54:00:00:00:01"; });
    CHECK(mac_of("fd00::5") == "50:54:00:00:00:01");
    CHECK(mac_of("10.0.0.6").empty());
    CHECK(lab.central.sb_get("FDB", "mac", "\"50:54:00:00:00:01\"", "port_key") ==
          std::to_string(port_key));
    CHECK(lab.central.sb_get("MAC_Binding", "ip", "10.0.0.5", "timestamp").size() == 13);
    until(&lab.loop, [&] {
        const Datapath* const* datapath = hv->pipeline->by_key.find(key);
        return datapath && (*datapath)->neighbors->ip4.contains({port_key, 0x0a000005});
    });
    hv->control->learn_mac(key, port_key, Ip4{0x0a000005}, second);
    until(&lab.loop, [&] { return mac_of("10.0.0.5") == "50:54:00:00:00:02"; });
}

TEST_CASE("an outage of the Southbound keeps what is there") {
    Lab lab({"ls-add", "s", "--", "lsp-add", "s", "lp1", "--", "lsp-add", "s", "lp2"});
    auto hv = lab.start("hv1", "192.168.0.1");
    hv->plug("v1", "lp1");
    lab.wait_owner("lp1", "hv1");
    lab.sync();
    lab.central.stop_southbound();
    until(&lab.loop, [&] { return hv->control->status().sb_state != "synced"; });
    const Pipeline* before = hv->pipeline;
    REQUIRE(entry_of(*hv, "v1"));
    hv->plug("v2", "lp2");  // plugged meanwhile
    until(&lab.loop, [&] { return hv->ports.find("v2") != kNoPort; });
    CHECK(entry_of(*hv, "v1")->untagged.size() == 1);
    CHECK(hv->pipeline->by_key.size() == before->by_key.size());
    lab.central.start_southbound();
    lab.wait_owner("lp2", "hv1");
    lab.sync();
}
