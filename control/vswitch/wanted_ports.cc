// SPDX-License-Identifier: Apache-2.0
#include "control/vswitch/wanted_ports.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "control/vswitch/wanted_bond.h"

namespace sluice::vswitch {
namespace {

constexpr int64_t kLocalOfport = 65534;         // OFPP_LOCAL
constexpr int64_t kFirstPassiveOfport = 40000;  // above every PortId + 1

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> list) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

bool is_passive(const Interface& interface, const Bridge& bridge) {
    if (interface.name == bridge.name) {
        return true;
    }
    return is_one_of(interface.type, {"patch", "geneve", "vxlan", "stt", "gre", "erspan", "lisp",
                                      "ip6gre", "ip6erspan", "bareudp", "gtpu", "srv6"});
}

void fill_dpdk(const Interface& interface, WantedPort* out) {
    const std::string& devargs = sb::get(interface.options, "dpdk-devargs");
    if (devargs.empty()) {
        out->error = "type dpdk needs options:dpdk-devargs (a PCI address or net_...)";
        return;
    }
    out->spec.driver = devargs.starts_with("net_") || devargs.starts_with("eth_") ? "vdev" : "pci";
    out->spec.args["devargs"] = devargs;
    constexpr std::pair<const char*, const char*> kOptions[] = {
        {"n_rxq", "queues"},
        {"n_rxq_desc", "rx_desc"},
        {"n_txq_desc", "tx_desc"},
        {"dpdk-lsc-interrupt", "lsc_interrupt"},
        {"rx-flow-ctrl", "rx_flow_ctrl"},
        {"tx-flow-ctrl", "tx_flow_ctrl"},
        {"flow-ctrl-autoneg", "flow_ctrl_autoneg"},
        {"dpdk-vf-mac", "mac"},
    };
    for (const auto& [option, argument] : kOptions) {
        if (const std::string& value = sb::get(interface.options, option); !value.empty()) {
            out->spec.args[argument] = value;
        }
    }
    if (const std::string& way = sb::get(interface.options, "rx-steering");
        !way.empty() && way != "rss") {
        out->error = fmt::format("options:rx-steering={} is not supported, only rss", way);
    }
}

/// Where `type=dpdkvhostuser` has its sockets: other_config:vhost-sock-dir below Open vSwitch's
/// folder.
std::string vhost_socket(const Interface& interface, const Contents& contents) {
    const char* rundir = std::getenv("OVS_RUNDIR");
    const std::string& folder = sb::get(contents.other_config, "vhost-sock-dir");
    return fmt::format("{}/{}{}{}", rundir ? rundir : "/var/run/openvswitch", folder,
                       folder.empty() ? "" : "/", interface.name);
}

void fill_vhost(const Interface& interface, const Contents& contents, WantedPort* out) {
    const bool is_client = interface.type == "dpdkvhostuserclient";
    const std::string& path = sb::get(interface.options, "vhost-server-path");
    if (is_client && path.empty()) {
        out->error = "type dpdkvhostuserclient needs options:vhost-server-path (QEMU's socket)";
        return;
    }
    out->spec.driver = "vhost";
    out->spec.args["mode"] = is_client ? "client" : "server";
    out->spec.args["path"] = is_client ? path : vhost_socket(interface, contents);
    if (const std::string& queues = sb::get(interface.options, "n_rxq"); !queues.empty()) {
        out->spec.args["queues"] = queues;
    }
    if (sb::get(contents.other_config, "userspace-tso-enable") == "false") {
        out->spec.args["tso"] = "no";
    }
    if (sb::get(contents.other_config, "vhost-iommu-support") == "true") {
        out->spec.args["iommu"] = "yes";
    }
}

void fill_spec(const Interface& interface, const Contents& contents, bool system_is_dummy,
               WantedPort* out) {
    const std::string& type = interface.type;
    const bool is_system = is_one_of(type, {"", "system"});
    out->spec.name = interface.name;
    if (type == "dummy" || (system_is_dummy && (is_system || type == "internal"))) {
        out->spec.driver = "dummy";
        out->spec.args.insert(interface.options.begin(), interface.options.end());
    } else if (is_system) {
        out->spec.driver = "af_packet";
        out->spec.args.insert(interface.options.begin(), interface.options.end());
        out->spec.args.try_emplace("iface", interface.name);
        out->kernel_name = out->spec.arg("iface");
    } else if (is_one_of(type, {"afxdp", "afxdp-nonpmd"})) {
        out->spec.driver = "af_xdp";
        out->spec.args.insert(interface.options.begin(), interface.options.end());
        out->spec.args.erase("use-need-wakeup");  // always, where the kernel can
        out->spec.args.try_emplace("iface", interface.name);
        out->kernel_name = out->spec.arg("iface");
        out->is_shared = true;
        out->mac = Mac{};
    } else if (is_one_of(type, {"internal", "tap"})) {
        out->spec.driver = "tap";
        out->spec.args["iface"] = interface.name;
        out->kernel_name = interface.name;
    } else if (type == "dpdk") {
        fill_dpdk(interface, out);
    } else if (is_one_of(type, {"dpdkvhostuserclient", "dpdkvhostuser"})) {
        fill_vhost(interface, contents, out);
    } else if (is_one_of(type, {"memif", "pcap", "null"})) {
        out->spec.driver = type;
        out->spec.args.insert(interface.options.begin(), interface.options.end());
    } else {
        out->error = fmt::format("interface type \"{}\" is not supported", type);
    }
    if (interface.mac && !is_one_of(out->spec.driver, {"af_packet", "af_xdp", "pcap"})) {
        out->spec.args["mac"] = to_string(*interface.mac);
    }
    if (interface.mtu_request != 0) {
        out->spec.args["mtu"] = std::to_string(interface.mtu_request);
    }
}

WantedPort from_interface(const Interface& interface, const Bridge& bridge,
                          const Contents& contents, const Settings& settings,
                          bool system_is_dummy) {
    WantedPort out;
    out.bridge = bridge.name;
    out.interface = interface.uuid;
    out.is_integration = bridge.name == settings.bridge;
    out.rxq_affinity = sb::get(interface.other_config, "pmd-rxq-affinity");
    out.is_egress = sb::get(interface.external_ids, "ovn-egress-iface") == "true";
    if (out.is_integration) {
        out.iface_id = sb::get(interface.external_ids, "iface-id");
        out.encap_ip = sb::get(interface.external_ids, "encap-ip");
        out.mirror_id = sb::get(interface.external_ids, "mirror-id");
    } else if (const auto mac = parse_mac(sb::get(bridge.other_config, "hwaddr"))) {
        out.mac = *mac;
    }
    fill_spec(interface, contents, system_is_dummy, &out);
    return out;
}

bool has_shared_port(const Bridge& bridge) {
    return std::any_of(bridge.interfaces.begin(), bridge.interfaces.end(), [](const auto& i) {
        return is_one_of(i.type, {"afxdp", "afxdp-nonpmd"});
    });
}

WantedPort local_interface(const Bridge& bridge) {
    WantedPort out;
    out.bridge = bridge.name;
    out.spec = {bridge.name, "tap", {{"iface", bridge.name}, {"up", "0"}}};
    out.kernel_name = bridge.name;
    out.is_exception = true;
    return out;
}

WantedPort from_option(const ConfiguredPort& configured) {
    WantedPort out;
    out.spec = configured.spec;
    out.iface_id = configured.iface_id;
    out.physnet = configured.physnet;
    out.is_integration = !configured.underlay && configured.physnet.empty();
    out.is_shared = configured.spec.driver == "af_xdp";
    if (is_one_of(configured.spec.driver, {"af_packet", "af_xdp", "tap"})) {
        out.kernel_name = configured.spec.arg("iface");
        if (out.kernel_name.empty()) {
            out.kernel_name = configured.spec.name;
        }
    }
    return out;
}

/// The Port row of an interface if that is a bond.
const BridgePort* bond_of(const Bridge& bridge, const Interface& interface) {
    for (const BridgePort& port : bridge.ports) {
        if (port.name == interface.port) {
            return port.is_bond() ? &port : nullptr;
        }
    }
    return nullptr;
}

WantedPort wanted_bond(const BridgePort& port, const Bridge& bridge, const Contents& contents,
                       const Settings& settings, bool system_is_dummy) {
    std::vector<const Interface*> interfaces;
    std::vector<WantedPort> members;
    for (const Interface& interface : bridge.interfaces) {
        if (interface.port == port.name) {
            interfaces.push_back(&interface);
            members.push_back(
                from_interface(interface, bridge, contents, settings, system_is_dummy));
            if (is_passive(interface, bridge)) {
                members.back().error = "only devices can be in a bond";
            }
        }
    }
    return joined_port(port, bridge, interfaces, members);
}

}  // namespace

WantedPorts wanted_ports(const Contents* contents, const Settings& settings,
                         const std::vector<ConfiguredPort>& configured, bool system_is_dummy) {
    WantedPorts out;
    std::set<std::string> names;
    for (const ConfiguredPort& port : configured) {
        if (names.insert(port.spec.name).second) {
            out.ports.push_back(from_option(port));
        }
    }
    for (const Bridge& bridge : contents ? contents->bridges : std::vector<Bridge>()) {
        for (const BridgePort& port : bridge.ports) {
            if (port.is_bond() && names.insert(port.name).second) {
                out.ports.push_back(
                    wanted_bond(port, bridge, *contents, settings, system_is_dummy));
            }
        }
        for (const Interface& interface : bridge.interfaces) {
            if (bond_of(bridge, interface)) {
                continue;
            }
            if (is_passive(interface, bridge)) {
                const auto count = static_cast<int64_t>(out.passive.size());
                out.passive.emplace_back(interface.uuid, interface.name == bridge.name
                                                             ? kLocalOfport
                                                             : kFirstPassiveOfport + count);
                if (interface.name == bridge.name && bridge.name != settings.bridge &&
                    !system_is_dummy && bridge.interfaces.size() > 1 && !has_shared_port(bridge) &&
                    names.insert(bridge.name).second) {
                    out.ports.push_back(local_interface(bridge));
                }
                continue;
            }
            WantedPort port =
                from_interface(interface, bridge, *contents, settings, system_is_dummy);
            if (!names.insert(port.spec.name).second) {
                port.error = "another port has this name";
            }
            out.ports.push_back(std::move(port));
        }
    }
    std::stable_sort(
        out.ports.begin(), out.ports.end(),
        [](const WantedPort& a, const WantedPort& b) { return a.spec.name < b.spec.name; });
    return out;
}

}  // namespace sluice::vswitch
