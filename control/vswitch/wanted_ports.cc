// SPDX-License-Identifier: Apache-2.0
#include "control/vswitch/wanted_ports.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>

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
    if (const std::string& queues = sb::get(interface.options, "n_rxq");
        !queues.empty() && out->spec.driver == "pci") {
        out->spec.args["queues"] = queues;
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
    if (interface.mac && out->spec.driver != "af_packet" && out->spec.driver != "pcap") {
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
    if (configured.spec.driver == "af_packet" || configured.spec.driver == "tap") {
        out.kernel_name = configured.spec.arg("iface");
        if (out.kernel_name.empty()) {
            out.kernel_name = configured.spec.name;
        }
    }
    return out;
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
        for (const Interface& interface : bridge.interfaces) {
            if (is_passive(interface, bridge)) {
                const auto count = static_cast<int64_t>(out.passive.size());
                out.passive.emplace_back(interface.uuid, interface.name == bridge.name
                                                             ? kLocalOfport
                                                             : kFirstPassiveOfport + count);
                if (interface.name == bridge.name && bridge.name != settings.bridge &&
                    !system_is_dummy && bridge.interfaces.size() > 1 &&
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
