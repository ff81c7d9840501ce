// SPDX-License-Identifier: Apache-2.0
#include "tools/sluice-trace/describe.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "lib/net/addr.h"

namespace sluice {
namespace {

class Describer {
public:
    Describer(const OfflineHost& host, const DescribeStyle& style)
        : host_(host), style_(style), pipeline_(*host.host->pipeline()) {}

    std::string line(const TraceRecord& r) const {
        const std::string indent(r.depth * 2u, ' ');
        const std::string text = body(r);
        return text.empty() ? text : indent + text;
    }

private:
    std::string paint(const char* code, const std::string& text) const {
        return style_.colour ? fmt::format("\033[{}m{}\033[0m", code, text) : text;
    }
    const Datapath* datapath(uint32_t index) const { return pipeline_.datapath(index); }
    std::string datapath_name(uint32_t index) const {
        const Datapath* d = datapath(index);
        return d ? d->name : fmt::format("datapath#{}", index);
    }
    std::string port(uint32_t index, uint32_t key) const {
        const Datapath* d = datapath(index);
        return d ? fmt::format("\"{}\"", host_.logical_port_name(d->key, key))
                 : std::to_string(key);
    }
    const FlowInfo* flow(uint32_t id) const {
        return pipeline_.flows && id < pipeline_.flows->size() ? (*pipeline_.flows)[id].get()
                                                               : nullptr;
    }
    static const char* side(const TraceRecord& r) {
        return r.side == kIngress ? "ingress" : "egress";
    }

    std::string table(const TraceRecord& r) const {
        if (!r.rule) {
            return fmt::format("{:>2}. no match", r.table);
        }
        const FlowInfo* info = flow(r.rule->flow);
        if (!info) {
            return fmt::format("{:>2}. (made by the compiler)", r.table);
        }
        return fmt::format("{:>2}. {}: {}, priority {}, uuid {}\n{:{}}{};", info->table,
                           paint("36", info->stage_name), *info->match, info->priority,
                           to_string(info->uuid).substr(0, 8), "", r.depth * 2u + 4,
                           strip(*info->actions));
    }
    static std::string strip(std::string text) {
        while (!text.empty() && (text.back() == ';' || text.back() == ' ')) {
            text.pop_back();
        }
        return text;
    }
    std::string tunnel(uint32_t index) const {
        return index < host_.offline.tunnel_names.size() ? host_.offline.tunnel_names[index]
                                                         : std::to_string(index);
    }

    std::string body(const TraceRecord& r) const {
        switch (r.kind) {
        case TraceRecord::Kind::kReceive:
            return fmt::format("{} on {}: {}", paint("1", "receive"), host_.port_name(r.port),
                               describe_key(r.key));
        case TraceRecord::Kind::kDecap:
            return fmt::format("decapsulate: datapath {} inport {} outport {}: {}", r.datapath,
                               r.inport, r.outport, describe_key(r.key));
        case TraceRecord::Kind::kEnter:
            return paint(
                "1",
                fmt::format("{}(dp=\"{}\", inport={}{})", side(r), datapath_name(r.datapath),
                            port(r.datapath, r.inport),
                            r.side == kEgress ? ", outport=" + port(r.datapath, r.outport) : ""));
        case TraceRecord::Kind::kTable: return table(r);
        case TraceRecord::Kind::kCode: return "";
        case TraceRecord::Kind::kReplicate:
            return fmt::format("replicate to {}: {} copies", port(r.datapath, r.outport), r.count);
        case TraceRecord::Kind::kDeliver:
            return fmt::format("output to {}, here", port(r.datapath, r.outport));
        case TraceRecord::Kind::kMirror: return fmt::format("copy to mirror {}", r.target);
        case TraceRecord::Kind::kTunnel:
            return paint("32", fmt::format("output to {}, by tunnel to chassis {}",
                                           port(r.datapath, r.outport), tunnel(r.target)));
        case TraceRecord::Kind::kOutput:
            return paint("32", fmt::format("output to port {}", host_.port_name(r.port)));
        case TraceRecord::Kind::kReenter:
            return fmt::format("cross to {} port {}", datapath_name(r.datapath),
                               port(r.datapath, r.inport));
        case TraceRecord::Kind::kDrop: return drop(r);
        case TraceRecord::Kind::kPunt: return "to the slow path";
        case TraceRecord::Kind::kFrame:
            return fmt::format("{} out of {}, {} bytes:\n{}", paint("1", "frame"),
                               host_.port_name(r.port), r.frame.size(), hex_dump(r.frame, "    "));
        }
        return "";
    }
    std::string drop(const TraceRecord& r) const {
        std::string text = fmt::format("drop: {} ({})", drop_name(r.reason), drop_help(r.reason));
        if (const FlowInfo* info = flow(r.flow)) {
            text += ", flow " + to_string(info->uuid);
        }
        return paint("31", text);
    }

    const OfflineHost& host_;
    DescribeStyle style_;
    const Pipeline& pipeline_;
};

std::string mac_text(const uint8_t* bytes) {
    Mac mac;
    std::copy_n(bytes, 6, mac.bytes.begin());
    return to_string(mac);
}

std::string ip4_text(const uint8_t* bytes) {
    return fmt::format("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
}

std::string ip6_text(const uint8_t* bytes) {
    Ip6 ip;
    std::copy_n(bytes, 16, ip.bytes.begin());
    return to_string(ip);
}

std::string describe_l4(const PacketKey& key) {
    const unsigned src = ntohs(key.l4_src);
    const unsigned dst = ntohs(key.l4_dst);
    switch (key.ip_proto) {
    case 6: return fmt::format(", tcp.src={}, tcp.dst={}", src, dst);
    case 17: return fmt::format(", udp.src={}, udp.dst={}", src, dst);
    case 132: return fmt::format(", sctp.src={}, sctp.dst={}", src, dst);
    case 1: return fmt::format(", icmp4.type={}, icmp4.code={}", src, dst);
    case 58: return fmt::format(", icmp6.type={}, icmp6.code={}", src, dst);
    default: return fmt::format(", ip.proto={}", key.ip_proto);
    }
}

}  // namespace

std::string describe_key(const PacketKey& key) {
    std::string text =
        fmt::format("eth.src={}, eth.dst={}", mac_text(key.eth_src), mac_text(key.eth_dst));
    if (key.vlan_tci) {
        text += fmt::format(", vlan.vid={}", ntohs(key.vlan_tci) & 0xfff);
    }
    if (key.kinds & kind::kArp) {
        return text + fmt::format(", arp.op={}, arp.spa={}, arp.tpa={}", ntohs(key.l4_src),
                                  ip4_text(key.ip_src), ip4_text(key.ip_dst));
    }
    if (key.kinds & kind::kIp4) {
        text += fmt::format(", ip4.src={}, ip4.dst={}, ip.ttl={}", ip4_text(key.ip_src),
                            ip4_text(key.ip_dst), key.ip_ttl);
    } else if (key.kinds & kind::kIp6) {
        text += fmt::format(", ip6.src={}, ip6.dst={}, ip.ttl={}", ip6_text(key.ip_src),
                            ip6_text(key.ip_dst), key.ip_ttl);
    } else {
        return text + fmt::format(", eth.type=0x{:04x}", ntohs(key.eth_type));
    }
    if (key.kinds & kind::kNd) {
        text += ", nd.target=" + ip6_text(key.nd_target);
    }
    return key.kinds & kind::kL4 ? text + describe_l4(key) : text;
}

std::string hex_dump(const std::vector<uint8_t>& bytes, const std::string& indent) {
    std::string text;
    for (size_t at = 0; at < bytes.size(); at += 16) {
        text += fmt::format("{}{:04x} ", indent, at);
        for (size_t i = at; i < std::min(at + 16, bytes.size()); ++i) {
            text += fmt::format(" {:02x}", bytes[i]);
        }
        text += at + 16 < bytes.size() ? "\n" : "";
    }
    return text;
}

std::vector<std::string> describe(const Trace& trace, const OfflineHost& host,
                                  const DescribeStyle& style) {
    const Describer describer(host, style);
    std::vector<std::string> lines;
    for (const TraceRecord& record : trace.records) {
        std::string line = describer.line(record);
        if (!line.empty()) {
            lines.push_back(std::move(line));
        }
    }
    return lines;
}

}  // namespace sluice
