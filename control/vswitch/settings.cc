// SPDX-License-Identifier: Apache-2.0
#include "control/vswitch/settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace sluice::vswitch {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> words;
    for (size_t start = 0; start <= text.size();) {
        const size_t end = std::min(text.find(separator, start), text.size());
        if (end > start) {
            words.push_back(text.substr(start, end - start));
        }
        start = end + 1;
    }
    return words;
}

std::string own_hostname() {
    char name[256] = {};
    return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

class Reader {
public:
    Reader(const sb::StringMap& external_ids, const std::map<std::string, std::string>& overrides)
        : external_ids_(external_ids), overrides_(overrides) {}
    void set_chassis(const std::string& name) { chassis_ = name; }

    std::string get(const std::string& key, const std::string& otherwise = "") const {
        if (const auto it = overrides_.find(key); it != overrides_.end()) {
            return it->second;
        }
        for (const std::string& name : {key + "-" + chassis_, key}) {
            if (const auto it = external_ids_.find(name); it != external_ids_.end()) {
                return it->second;
            }
        }
        return otherwise;
    }
    bool get_bool(const std::string& key, bool otherwise) const {
        const std::string value = get(key, otherwise ? "true" : "false");
        return value == "true" || value == "1";
    }

private:
    const sb::StringMap& external_ids_;
    const std::map<std::string, std::string>& overrides_;
    std::string chassis_;
};

void read_encap(const Reader& reader, Settings* out) {
    out->encap_types = split(reader.get("ovn-encap-type"), ',');
    out->encap_ips = split(reader.get("ovn-encap-ip"), ',');
    out->encap_csum = reader.get_bool("ovn-encap-csum", true) ? "true" : "false";
    physical::EncapSettings& encap = out->encap;
    encap.chassis = out->chassis;
    encap.types = out->encap_types;
    encap.zones = out->transport_zones;
    for (const std::string& text : out->encap_ips) {
        if (const auto ip = physical::parse_address(text)) {
            encap.ips.push_back(*ip);
        } else {
            out->problems.push_back(fmt::format("ovn-encap-ip: \"{}\" is not an IP address", text));
        }
    }
    out->encap_ip_default = reader.get("ovn-encap-ip-default");
    if (!out->encap_ip_default.empty()) {
        encap.ip = physical::parse_address(out->encap_ip_default);
        if (!encap.ip ||
            std::find(encap.ips.begin(), encap.ips.end(), *encap.ip) == encap.ips.end()) {
            out->problems.push_back(fmt::format(
                "ovn-encap-ip-default: \"{}\" is not in ovn-encap-ip", out->encap_ip_default));
            encap.ip.reset();
            out->encap_ip_default.clear();
        }
    }
    encap.is_interconn = reader.get_bool("ovn-is-interconn", false);
    encap.prefers_stt = reader.get_bool("sluice-stt", false);
    for (const std::string& type : out->encap_types) {
        if (type != "geneve" && type != "stt" && type != "vxlan") {
            out->problems.push_back(
                fmt::format("ovn-encap-type: \"{}\" is none of geneve, stt, vxlan", type));
        }
    }
    encap.df = reader.get_bool("ovn-encap-df_default", true);
    const std::string tos = reader.get("ovn-encap-tos", "none");
    if (tos == "inherit") {
        encap.tos_inherit = true;
    } else if (tos != "none") {
        unsigned value = 0;
        const bool is_hex = tos.starts_with("0x");
        const char* start = tos.data() + (is_hex ? 2 : 0);
        const auto [end, ec] =
            std::from_chars(start, tos.data() + tos.size(), value, is_hex ? 16 : 10);
        if (ec != std::errc() || end != tos.data() + tos.size() || value > 255) {
            out->problems.push_back(
                fmt::format("ovn-encap-tos: expected inherit or 0..255, found \"{}\"", tos));
        } else {
            encap.tos = static_cast<uint8_t>(value);
        }
    }
}

void read_mappings(const Reader& reader, Settings* out) {
    for (const std::string& pair : split(reader.get("ovn-bridge-mappings"), ',')) {
        const size_t colon = pair.find(':');
        if (colon == std::string::npos || colon == 0 || colon + 1 == pair.size()) {
            out->problems.push_back(
                fmt::format("ovn-bridge-mappings: expected NETWORK:BRIDGE, found \"{}\"", pair));
        } else {
            out->bridge_mappings[pair.substr(0, colon)] = pair.substr(colon + 1);
        }
    }
}

/// "MIN-MAX", as ovn-controller of OVN 24.09 and newer has it.
void read_zone_range(const Reader& reader, Settings* out) {
    const std::string text = reader.get("ct-zone-range");
    if (text.empty()) {
        return;
    }
    chassis::ZoneRange range;
    const char* const end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, range.first);
    auto last = first;
    if (first.ec == std::errc() && first.ptr != end && *first.ptr == '-') {
        last = std::from_chars(first.ptr + 1, end, range.last);
    }
    if (last.ec != std::errc() || last.ptr != end || range.first == 0 || range.last < range.first) {
        out->problems.push_back(
            fmt::format("ct-zone-range: expected MIN-MAX within 1-65535, found \"{}\"", text));
        return;
    }
    out->zone_range = range;
}

// The capability flags say what northd may rely on: up is reported by us, ct_label is accessed as
// a whole, MAC_Binding rows carry timestamps, related traffic of load balancers is translated.
void read_other_config(const Reader& reader, Settings* out) {
    out->other_config = {
        {"ovn-bridge-mappings", reader.get("ovn-bridge-mappings")},
        {"ovn-chassis-mac-mappings", reader.get("ovn-chassis-mac-mappings")},
        {"ovn-cms-options", reader.get("ovn-cms-options")},
        {"ovn-monitor-all", out->monitor_all ? "true" : "false"},
        {"is-interconn", reader.get_bool("ovn-is-interconn", false) ? "true" : "false"},
        {"ovn-enable-lflow-cache", reader.get("ovn-enable-lflow-cache", "true")},
        {"ovn-limit-lflow-cache", reader.get("ovn-limit-lflow-cache")},
        {"ovn-memlimit-lflow-cache-kb", reader.get("ovn-memlimit-lflow-cache-kb")},
        {"ovn-trim-limit-lflow-cache", reader.get("ovn-trim-limit-lflow-cache")},
        {"ovn-trim-wmark-perc-lflow-cache", reader.get("ovn-trim-wmark-perc-lflow-cache")},
        {"ovn-trim-timeout-ms", reader.get("ovn-trim-timeout-ms")},
        {"port-up-notif", "true"},
        {"ct-no-masked-label", "true"},
        {"mac-binding-timestamp", "true"},
        {"ovn-ct-lb-related", "true"},
    };
    if (out->encap.prefers_stt) {
        out->other_config["sluice-stt"] = "true";
    }
}

}  // namespace

Settings make_settings(const sb::StringMap& external_ids,
                       const std::map<std::string, std::string>& overrides,
                       const std::string& chassis_override) {
    Settings out;
    Reader reader(external_ids, overrides);
    out.chassis = chassis_override.empty() ? reader.get("system-id") : chassis_override;
    reader.set_chassis(out.chassis);
    out.hostname = reader.get("hostname");
    if (out.hostname.empty()) {
        out.hostname = own_hostname();
    }
    out.sb_remote = reader.get("ovn-remote");
    out.bridge = reader.get("ovn-bridge", "br-int");
    out.bridge_datapath_type = reader.get("ovn-bridge-datapath-type");
    out.monitor_all = reader.get_bool("ovn-monitor-all", false);
    out.transport_zones = split(reader.get("ovn-transport-zones"), ',');
    std::sort(out.transport_zones.begin(), out.transport_zones.end());
    const std::string probe = reader.get("ovn-remote-probe-interval");
    if (!probe.empty()) {
        int64_t value = 0;
        const auto [end, ec] = std::from_chars(probe.data(), probe.data() + probe.size(), value);
        if (ec != std::errc() || end != probe.data() + probe.size() || value < 0) {
            out.problems.push_back(fmt::format(
                "ovn-remote-probe-interval: expected milliseconds, found \"{}\"", probe));
        } else {
            out.probe_interval_ms = value == 0 ? 0 : std::max<int64_t>(value, 1000);
        }
    }
    const std::string longest = reader.get("garp-max-timeout-sec", "0");
    const auto [end, ec] =
        std::from_chars(longest.data(), longest.data() + longest.size(), out.garp_longest_s);
    if (ec != std::errc() || end != longest.data() + longest.size() || out.garp_longest_s < 0) {
        out.problems.push_back(
            fmt::format("garp-max-timeout-sec: expected seconds, found \"{}\"", longest));
        out.garp_longest_s = 0;
    }
    read_encap(reader, &out);
    read_mappings(reader, &out);
    read_zone_range(reader, &out);
    read_other_config(reader, &out);
    return out;
}

}  // namespace sluice::vswitch
