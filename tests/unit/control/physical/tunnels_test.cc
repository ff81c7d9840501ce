// SPDX-License-Identifier: Apache-2.0
// Which tunnels there are: types, addresses, zones and options, as ovn-sb(5) and
// ovn-controller(8) have them.
#include "control/physical/tunnels.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "control/ovsdb/transaction.h"

using namespace sluice;
using namespace sluice::physical;

namespace {

using Columns = std::map<std::string, ovsdb::Datum>;
using Options = std::vector<std::pair<std::string, std::string>>;

ovsdb::Datum to_datum(const Options& options) {
    std::vector<ovsdb::Datum::Pair> pairs;
    for (const auto& [key, value] : options) {
        pairs.emplace_back(key, value);
    }
    return ovsdb::Datum::map(std::move(pairs));
}

Uuid uuid(uint8_t n) {
    Uuid u;
    u.bytes[0] = n;
    return u;
}

IpAddress ip(const char* text) {
    return *parse_address(text);
}

/// We are hv1 with 192.168.0.1 and .11; others are what a test says.
struct World {
    sb::Mirror mirror;
    UnderlayModel underlay;
    Tunnels tunnels;
    EncapSettings settings;
    bool has_index_change = false;

    World() {
        underlay.set_devices({{"up0", "br-a", "eth0", 3, 0x02aa00000001, 1500}});
        for (const char* own : {"192.168.0.1/24", "192.168.0.11/24", "fd00::1/64"}) {
            REQUIRE(underlay.add_address("up0", own).ok());
        }
        settings.chassis = "hv1";
        settings.types = {"geneve"};
        settings.ips = {ip("192.168.0.1")};
    }
    void put(sb::Table table, uint8_t id, const Columns& columns) {
        const auto spec = sb::table_specs()[table];
        auto row = std::make_shared<ovsdb::Row>();
        row->uuid = uuid(id);
        for (const std::string& name : spec.columns) {
            const auto it = columns.find(name);
            row->columns.push_back(it == columns.end() ? ovsdb::Datum() : it->second);
        }
        ovsdb::Update change;
        change.changes.push_back({table, row->uuid, nullptr, row, ~0ull});
        mirror.apply(change);
    }
    void encap(uint8_t id, const char* type, const char* ip, const Options& options = {}) {
        put(sb::kEncap, id,
            {{"type", ovsdb::Datum(type)},
             {"ip", ovsdb::Datum(ip)},
             {"options", to_datum(options)}});
    }
    void chassis(uint8_t id, const char* name, const std::vector<uint8_t>& encaps,
                 const std::vector<std::string>& zones = {}, const Options& config = {}) {
        std::vector<Uuid> uuids;
        for (const uint8_t encap : encaps) {
            uuids.push_back(uuid(encap));
        }
        put(sb::kChassis, id,
            {{"name", ovsdb::Datum(name)},
             {"encaps", ovsdb::uuid_set(uuids)},
             {"transport_zones", ovsdb::string_set(zones)},
             {"other_config", to_datum(config)}});
    }
    bool update() { return tunnels.update(mirror, settings, &underlay, &has_index_change); }
    /// The tunnel to a chassis, or null.
    const Tunnel* to(uint8_t chassis, uint8_t encap = 0) const {
        const auto index = tunnels.find(uuid(chassis), encap ? uuid(encap) : Uuid{});
        return index ? tunnels.list()[*index].get() : nullptr;
    }
};

unsigned target_port(const Tunnel& t) {
    return t.header[t.l4_ofs + 2] * 256u + t.header[t.l4_ofs + 3];
}

/// Last byte of the outer IPv4 source or destination.
unsigned from(const Tunnel& t) {
    return t.header[t.l3_ofs + 15];
}
unsigned to(const Tunnel& t) {
    return t.header[t.l3_ofs + 19];
}

}  // namespace

TEST_CASE("the best type that both sides speak is used", "[tunnels]") {
    // ovn-controller: geneve, then stt, then vxlan.
    const struct {
        std::vector<std::string> ours;
        std::vector<const char*> theirs;
        int want;  // a TunnelType, -1: none
    } cases[] = {
        {{"geneve"}, {"geneve"}, 0},         {{"vxlan", "geneve"}, {"vxlan", "geneve", "stt"}, 0},
        {{"geneve", "vxlan"}, {"vxlan"}, 1}, {{"vxlan", "stt"}, {"vxlan", "stt", "geneve"}, 2},
        {{"vxlan"}, {"geneve", "vxlan"}, 1}, {{"stt"}, {"stt"}, 2},
        {{"vxlan"}, {"geneve", "stt"}, -1},
    };
    for (const auto& c : cases) {
        World w;
        w.settings.types = c.ours;
        std::vector<uint8_t> ids;
        for (const char* type : c.theirs) {
            ids.push_back(static_cast<uint8_t>(50 + ids.size()));
            w.encap(ids.back(), type, "192.168.0.2");
        }
        w.chassis(1, "hv2", ids);
        w.update();
        const Tunnel* t = w.to(1);
        REQUIRE((t != nullptr) == (c.want >= 0));
        if (t) {
            CHECK(static_cast<int>(t->type) == c.want);
            // Whatever encap a port names: its address counts.
            for (const uint8_t id : ids) {
                CHECK(w.to(1, id) == t);
            }
        }
    }
}

TEST_CASE("headers of VXLAN and STT, and what fits into each tunnel", "[tunnels]") {
    NextHop hop;
    hop.state = Tunnel::State::kReady;
    hop.mtu = 1500;
    hop.src = ip("192.0.2.1");
    const auto make = [&](TunnelType type, const char* remote) {
        hop.src = ip(std::strchr(remote, ':') ? "fd00::1" : "192.0.2.1");
        return build_tunnel({}, hop, ip(remote), true, 0, type);
    };
    // Outer IP, UDP, VXLAN (RFC 7348); outer IP, TCP header, STT header (draft-davie-stt-08).
    const Tunnel vxlan = make(TunnelType::kVxlan, "192.0.2.2");
    CHECK(vxlan.header_len == 14 + 20 + 8 + 8);
    CHECK(vxlan.room == 1500 - 36);
    CHECK(target_port(vxlan) == 4789);
    const uint8_t tail[] = {0, 0, 0x12, 0xb5, 0, 0, 0, 0, 0x08, 0, 0, 0, 0, 0, 0, 0};
    CHECK(std::memcmp(vxlan.header + vxlan.l4_ofs, tail, sizeof tail) == 0);
    CHECK(make(TunnelType::kVxlan, "fd00::2").room == 1500 - 56);
    CHECK(make(TunnelType::kGeneve, "192.0.2.2").room == 1500 - 44);
    CHECK(make(TunnelType::kGeneve, "fd00::2").room == 1500 - 64);
    const Tunnel stt = make(TunnelType::kStt, "192.0.2.2");
    CHECK(stt.header_len == 14 + 20 + 20 + 18);
    CHECK(stt.header[stt.l3_ofs + 9] == 6);
    CHECK(target_port(stt) == 7471);
    CHECK(stt.header[stt.l4_ofs + 12] == 0x50);
    CHECK(stt.room == 65535 - 58);  // cut into segments: only the whole must be an IP packet
    const Tunnel stt6 = make(TunnelType::kStt, "fd00::2");
    CHECK(stt6.header_len == 14 + 40 + 20 + 18);
    CHECK(stt6.header[stt6.l3_ofs + 6] == 6);
    hop.mtu = 30;
    CHECK(make(TunnelType::kVxlan, "192.0.2.2").room == 0);
}

TEST_CASE("options of the receiver's row: checksum and port", "[tunnels]") {
    World w;
    w.settings.types = {"geneve", "vxlan"};
    w.encap(50, "geneve", "192.168.0.2", {{"csum", "true"}, {"dst_port", "6082"}});
    w.encap(51, "vxlan", "192.168.0.3", {{"csum", "false"}, {"dst_port", "many"}});
    w.chassis(1, "hv2", {50});
    w.chassis(2, "hv3", {51});
    w.update();
    CHECK(w.to(1)->csum);
    CHECK(target_port(*w.to(1)) == 6082);
    CHECK_FALSE(w.to(2)->csum);
    CHECK(target_port(*w.to(2)) == 4789);
}

TEST_CASE("several addresses of a chassis: a port's encap picks one, else its default",
          "[tunnels]") {
    World w;
    w.encap(50, "geneve", "192.168.0.2");
    w.encap(51, "geneve", "192.168.0.3", {{"is_default", "true"}});
    w.chassis(1, "hv2", {50, 51});
    w.update();
    CHECK(to(*w.to(1, 50)) == 2);
    CHECK(to(*w.to(1, 51)) == 3);
    CHECK(to(*w.to(1)) == 3);
    CHECK(to(*w.to(1, 99)) == 3);  // an encap of nobody
    w.encap(51, "geneve", "192.168.0.3");
    CHECK(w.update());
    CHECK(w.has_index_change);
    CHECK(to(*w.to(1)) == 2);
    CHECK(w.tunnels.all_to(uuid(1)).size() == 2);
}

TEST_CASE("several addresses of ours: ports start where they ask to", "[tunnels]") {
    World w;
    w.encap(50, "geneve", "192.168.0.2");
    w.encap(51, "geneve", "fd00::2");
    w.chassis(1, "hv2", {50, 51});
    w.update();
    CHECK(w.tunnels.source("192.168.0.1") == 0);  // there is no choice
    CHECK(w.tunnels.from().empty());
    w.settings.ips = {ip("192.168.0.1"), ip("192.168.0.11"), ip("fd00::1")};
    w.settings.ip = ip("192.168.0.11");
    CHECK(w.update());
    CHECK(w.has_index_change);
    const uint32_t base = *w.tunnels.find(uuid(1), uuid(50));
    CHECK(from(*w.tunnels.list()[base]) == 11);
    CHECK(w.tunnels.source("192.168.0.1") == 1);
    CHECK(w.tunnels.source("192.168.0.11") == 2);
    CHECK(w.tunnels.source("192.168.0.77") == 0);
    CHECK(w.tunnels.source("") == 0);
    std::map<uint64_t, uint32_t> by_source;
    for (const auto& [key, index] : w.tunnels.from()) {
        by_source[key] = index;
    }
    const Tunnel* first = w.tunnels.list()[by_source.at(uint64_t{base} << 32 | 1)].get();
    CHECK(from(*first) == 1);
    CHECK(to(*first) == 2);
    CHECK(first->life == w.tunnels.list()[base]->life);
    CHECK_FALSE(by_source.contains(uint64_t{base} << 32 | 3));  // of the other family
    w.settings.ips = {ip("192.168.0.1")};
    w.settings.ip.reset();
    CHECK(w.update());
    CHECK(w.tunnels.from().empty());
    CHECK(from(*w.to(1, 50)) == 1);
    CHECK_FALSE(w.update());
}

TEST_CASE("transport zones and chassis of other availability zones", "[tunnels]") {
    World w;
    for (uint8_t n = 2; n < 6; ++n) {
        const std::string address = "192.168.0." + std::to_string(n);
        w.encap(static_cast<uint8_t>(50 + n), "geneve", address.c_str());
    }
    w.chassis(2, "hv2", {52});
    w.chassis(3, "hv3", {53}, {"tz1", "tz2"});
    w.chassis(4, "hv4", {54}, {"tz3"});
    w.chassis(5, "hv5", {55}, {}, {{"is-remote", "true"}});
    w.update();
    CHECK(w.to(2));
    CHECK_FALSE(w.to(3));
    CHECK_FALSE(w.to(4));
    CHECK_FALSE(w.to(5));
    w.settings.is_interconn = true;
    w.update();
    CHECK(w.to(5));
    w.settings.zones = {"tz2", "tz9"};
    w.update();
    CHECK_FALSE(w.to(2));
    CHECK(w.to(3));
    CHECK_FALSE(w.to(4));
    CHECK_FALSE(w.to(5));
}

TEST_CASE("STT where the database knows no stt", "[tunnels]") {
    World w;
    w.settings.prefers_stt = true;
    w.encap(50, "geneve", "192.168.0.2", {{"dst_port", "6082"}});
    w.encap(51, "vxlan", "192.168.0.2");
    w.encap(52, "geneve", "192.168.0.3");
    w.chassis(1, "hv2", {50, 51}, {}, {{"sluice-stt", "true"}});
    w.chassis(2, "hv3", {52});
    w.update();
    REQUIRE(w.to(1));
    CHECK(w.to(1)->type == TunnelType::kStt);
    CHECK(target_port(*w.to(1)) == 7471);
    CHECK(w.to(2)->type == TunnelType::kGeneve);
    w.settings.prefers_stt = false;
    CHECK(w.update());
    CHECK(w.to(1)->type == TunnelType::kGeneve);
}

TEST_CASE("where we listen", "[tunnels]") {
    World w;
    const auto side = [&] {
        w.update();
        return *w.underlay.underlay_of(3);
    };
    CHECK(side().geneve_port == 6081);
    CHECK(side().vxlan_port == 0);
    CHECK(side().stt_port == 0);
    w.settings.types = {"geneve", "vxlan", "stt"};
    CHECK(side().vxlan_port == 4789);
    CHECK(side().stt_port == 7471);
    w.encap(50, "vxlan", "192.168.0.1", {{"dst_port", "4790"}});
    w.encap(51, "geneve", "192.168.0.1", {{"dst_port", "6082"}});
    w.chassis(1, "hv1", {50, 51});
    CHECK(side().vxlan_port == 4790);
    CHECK(side().geneve_port == 6082);
}
