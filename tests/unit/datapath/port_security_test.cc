// SPDX-License-Identifier: Apache-2.0
// Port security against the OpenFlow tables that ovn-controller 23.03 makes for the same ports:
//   p1 02:00:00:00:00:01 10.0.0.1 10.0.1.5/24 10.0.2.0/24      p2 02:00:00:00:00:02 fd00::2
//   fd00:1::/64 p3 02:00:00:00:00:03                                       p4
//   02:00:00:00:00:04 10.0.0.4 fd00::4
// The .inc file is what "ovs-ofctl dump-flows br-int" prints of tables 73 to 75, actions shortened.
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <sstream>

#include "datapath/walk.h"
#include "lib/net/addr.h"

using namespace sluice;

namespace {

const char* const kFlows[] = {
#include "tests/unit/datapath/port_security_flows.inc"
};

struct Flow {
    int table = 0;
    int priority = 0;
    std::map<std::string, std::string> match;
    std::string action;
};

std::vector<Flow> read_flows() {
    std::vector<Flow> flows;
    for (const std::string line : kFlows) {
        Flow flow;
        const size_t space = line.find(' ');
        flow.action = line.substr(space + 1);
        std::stringstream words(line.substr(0, space));
        for (std::string word; std::getline(words, word, ',');) {
            const size_t eq = word.find('=');
            const std::string key = word.substr(0, eq);
            const std::string value = eq == std::string::npos ? "" : word.substr(eq + 1);
            if (key == "table") {
                flow.table = std::stoi(value);
            } else if (key == "priority") {
                flow.priority = std::stoi(value);
            } else {
                flow.match[key] = value;
            }
        }
        flows.push_back(flow);
    }
    return flows;
}

std::vector<uint8_t> ip6_bytes(const State& s, unsigned slot) {
    std::vector<uint8_t> out;
    for (unsigned i = 0; i < 16; ++i) {
        out.push_back(static_cast<uint8_t>(s.w[slot + i / 4] >> (24 - i % 4 * 8)));
    }
    return out;
}

bool ip6_matches(const State& s, unsigned slot, const std::string& text) {
    const auto prefix = parse_ip6_prefix(text);
    REQUIRE(prefix);
    const auto have = ip6_bytes(s, slot);
    for (unsigned bit = 0; bit < prefix->length; ++bit) {
        if ((have[bit / 8] ^ prefix->address.bytes[bit / 8]) >> (7 - bit % 8) & 1) {
            return false;
        }
    }
    return true;
}

bool ip4_matches(uint32_t have, const std::string& text) {
    const auto prefix = parse_ip4_prefix(text);
    REQUIRE(prefix);
    return prefix->length == 0 || (have ^ prefix->address.value) >> (32 - prefix->length) == 0;
}

bool mac_matches(const State& s, unsigned slot, const std::string& text) {
    return s.mac(slot) == parse_mac(text)->to_u64();
}

bool term_matches(const State& s, const std::string& key, const std::string& value) {
    const uint32_t type = s.w[kSlotEthType];
    const uint32_t proto = s.w[kSlotIpProto];
    if (key == "arp") {
        return type == 0x806;
    } else if (key == "ip") {
        return type == 0x800;
    } else if (key == "ipv6") {
        return type == 0x86dd;
    } else if (key == "icmp6") {
        return type == 0x86dd && proto == 58;
    } else if (key == "udp") {
        return type == 0x800 && proto == 17;
    } else if (key == "reg14") {
        return s.w[kSlotInport] == std::stoul(value, nullptr, 16);
    } else if (key == "reg15") {
        return s.w[kSlotOutport] == std::stoul(value, nullptr, 16);
    } else if (key == "dl_src") {
        return mac_matches(s, kSlotEthSrc, value);
    } else if (key == "dl_dst") {
        return mac_matches(s, kSlotEthDst, value);
    } else if (key == "nw_src") {
        return ip4_matches(s.w[kSlotIp4Src], value);
    } else if (key == "nw_dst") {
        return ip4_matches(s.w[kSlotIp4Dst], value);
    } else if (key == "ipv6_src") {
        return ip6_matches(s, kSlotIp6Src, value);
    } else if (key == "ipv6_dst") {
        return ip6_matches(s, kSlotIp6Dst, value);
    } else if (key == "nw_ttl") {
        return s.w[kSlotIpTtl] == std::stoul(value);
    } else if (key == "icmp_type" || key == "tp_src") {
        return s.w[kSlotL4Src] == std::stoul(value);
    } else if (key == "icmp_code" || key == "tp_dst") {
        return s.w[kSlotL4Dst] == std::stoul(value);
    } else if (key == "nd_sll") {
        return mac_matches(s, kSlotNdSll, value);
    } else if (key == "nd_tll") {
        return mac_matches(s, kSlotNdTll, value);
    } else if (key == "nd_target") {
        return ip6_matches(s, kSlotNdTarget, value);
    } else if (key == "arp_spa") {
        return ip4_matches(s.w[kSlotArpSpa], value);
    } else if (key == "arp_sha") {
        return mac_matches(s, kSlotArpSha, value);
    }
    FAIL("term " << key);
    return false;
}

bool reference_violates(const std::vector<Flow>& flows, const State& s, int table) {
    const Flow* best = nullptr;
    for (const Flow& flow : flows) {
        if (flow.table == table && (!best || flow.priority > best->priority) &&
            std::all_of(flow.match.begin(), flow.match.end(),
                        [&](const auto& m) { return term_matches(s, m.first, m.second); })) {
            best = &flow;
        }
    }
    if (!best) {
        return false;
    }
    return best->action == "go 74" ? reference_violates(flows, s, 74) : best->action == "fail";
}

PortSecurity security(uint64_t mac, const std::vector<std::string>& addresses) {
    PortSecurity::Entry entry;
    entry.mac = mac;
    for (const std::string& text : addresses) {
        if (const auto v4 = parse_ip4_prefix(text)) {
            const uint32_t mask = v4->length ? ~0u << (32 - v4->length) : 0;
            entry.ip4.push_back({v4->address.value, mask});
        } else {
            const auto v6 = parse_ip6_prefix(text);
            Ip6 mask;
            for (unsigned i = 0; i < v6->length; ++i) {
                mask.bytes[i / 8] |= static_cast<uint8_t>(0x80 >> i % 8);
            }
            entry.ip6.push_back({v6->address, mask});
        }
    }
    return PortSecurity{{entry}};
}

class Dice {
public:
    template <typename T>
    T of(std::initializer_list<T> list) {
        return *(list.begin() + rng_() % list.size());
    }
    uint64_t mac() { return 0x020000000000 + of<uint64_t>({0, 1, 2, 3, 4, 9}); }
    uint32_t ip4() {
        return parse_ip4(of<const char*>({"10.0.0.1", "10.0.1.5", "10.0.1.6", "10.0.1.255",
                                          "10.0.2.7", "10.0.2.255", "10.0.0.4", "0.0.0.0",
                                          "255.255.255.255", "224.0.0.5", "10.0.0.255"}))
            ->value;
    }
    void ip6(State* s, unsigned slot) {
        const auto ip = parse_ip6(
            of<const char*>({"fd00::2", "fd00:1::5", "fd00:2::5", "fd00::4", "fe80::ff:fe00:2",
                             "fe80::ff:fe00:4", "fe80::ff:fe00:3", "::", "ff02::1", "ff05::1"}));
        for (unsigned i = 0; i < 16; ++i) {
            s->w[slot + i / 4] |= static_cast<uint32_t>(ip->bytes[i]) << (24 - i % 4 * 8);
        }
    }
    State packet() {
        State s{};
        s.w[kSlotInport] = s.w[kSlotOutport] = of<uint32_t>({1, 2, 3, 4});
        const uint64_t own = 0x020000000000 + s.w[kSlotInport];
        s.set_mac(kSlotEthSrc, of<uint64_t>({own, own, own, mac()}));
        s.set_mac(kSlotEthDst, of<uint64_t>({own, own, own, mac(), 0xffffffffffff}));
        s.w[kSlotEthType] = of<uint32_t>({0x800, 0x806, 0x86dd, 0x86dd, 0x8035, 0x88cc});
        if (s.w[kSlotEthType] == 0x800) {
            s.w[kSlotIp4Src] = ip4();
            s.w[kSlotIp4Dst] = ip4();
            s.w[kSlotIpTtl] = 64;
            s.w[kSlotIpProto] = of<uint32_t>({17, 6});
            s.w[kSlotL4Src] = of<uint32_t>({68, 67});
            s.w[kSlotL4Dst] = of<uint32_t>({67, 68});
        } else if (s.w[kSlotEthType] == 0x86dd) {
            ip6(&s, kSlotIp6Src);
            ip6(&s, kSlotIp6Dst);
            s.w[kSlotIpProto] = of<uint32_t>({58, 58, 58, 17});
            s.w[kSlotIpTtl] = of<uint32_t>({255, 255, 64});
            s.w[kSlotL4Src] = of<uint32_t>({131, 135, 136, 143, 128});
            s.w[kSlotL4Dst] = of<uint32_t>({0, 0, 0, 1});
            if (s.w[kSlotIpProto] == 58 && (s.w[kSlotL4Src] | 7) == 143 && !s.w[kSlotL4Dst]) {
                ip6(&s, kSlotNdTarget);
                s.set_mac(kSlotNdSll, of<uint64_t>({0, own, mac()}));
                s.set_mac(kSlotNdTll, of<uint64_t>({0, own, mac()}));
            }
        } else if (s.w[kSlotEthType] == 0x806) {
            s.w[kSlotArpSpa] = ip4();
            s.set_mac(kSlotArpSha, of<uint64_t>({own, own, mac()}));
        }
        return s;
    }

private:
    std::mt19937 rng_{7};
};

}  // namespace

TEST_CASE("port security decides as the reference's tables", "[port_security]") {
    const std::vector<Flow> flows = read_flows();
    REQUIRE(flows.size() > 80);
    const PortSecurity ports[] = {
        security(0x020000000001, {"10.0.0.1", "10.0.1.5/24", "10.0.2.0/24"}),
        security(0x020000000002, {"fd00::2", "fd00:1::/64"}),
        security(0x020000000003, {}),
        security(0x020000000004, {"10.0.0.4", "fd00::4"}),
    };
    Dice dice;
    unsigned failed_in = 0;
    unsigned failed_out = 0;
    for (unsigned i = 0; i < 30000; ++i) {
        const State s = dice.packet();
        const PortSecurity& port = ports[s.w[kSlotInport] - 1];
        const bool in = reference_violates(flows, s, 73);
        const bool out = reference_violates(flows, s, 75);
        failed_in += in;
        failed_out += out;
        if (violates_in(port, s) != in || violates_out(port, s) != out) {
            CAPTURE(i, s.w[kSlotInport], s.w[kSlotEthType], s.w[kSlotIpProto], s.w[kSlotL4Src],
                    s.w[kSlotL4Dst], s.w[kSlotIpTtl]);
            CHECK(violates_in(port, s) == in);
            CHECK(violates_out(port, s) == out);
        }
    }
    CHECK(failed_in > 3000);
    CHECK(failed_in < 29000);
    CHECK(failed_out > 3000);
    CHECK(failed_out < 29000);
}
