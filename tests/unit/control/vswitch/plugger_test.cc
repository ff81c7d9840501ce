// SPDX-License-Identifier: Apache-2.0
// The plugger against ports in memory: what vanishes is closed and tried again, what can change
// while it is open is not closed.
#include "control/vswitch/plugger.h"

#include <catch2/catch.hpp>
#include <set>

using namespace sluice;
using vswitch::Plugger;
using vswitch::WantedPort;

namespace {

class Ports final : public PortControl {
public:
    Result<PortId> add(const PortSpec& spec) override {
        said.push_back("add " + spec.name);
        if (absent.contains(spec.name)) {
            return Error{"no network device"};
        }
        return next_id_++;
    }
    Result<Retire> remove(PortId id) override {
        said.push_back("remove " + std::to_string(id));
        return Retire([] {});
    }
    Result<Retire> change(PortId id, const PortSpec& spec) override {
        said.push_back("change " + std::to_string(id));
        if (spec.driver != "bond") {
            return Error{"cannot"};
        }
        return changes_need_grace ? Retire([] {}) : Retire();
    }
    bool is_gone(PortId id) const override { return gone.contains(id); }
    bool is_partial(PortId id) const override { return partial.contains(id); }
    std::unique_ptr<const PortTable> snapshot() const override { return nullptr; }
    PortId find(std::string_view) const override { return kNoPort; }
    std::vector<PortId> list() const override { return {}; }
    Result<PortInfo> info(PortId) const override { return Error{"not asked for"}; }
    Result<PortStats> stats(PortId) const override { return Error{"not asked for"}; }
    bool link_up(PortId) const override { return true; }
    Mac mac(PortId) const override { return {}; }
    uint16_t mtu(PortId) const override { return 1500; }
    Result<void> set_mtu(PortId, uint16_t) override { return {}; }

    std::vector<std::string> told() { return std::exchange(said, {}); }
    std::vector<std::string> said;
    std::set<std::string> absent;
    std::set<PortId> gone, partial;
    bool changes_need_grace = true;

private:
    PortId next_id_ = 1;
};

WantedPort wanted(const std::string& text) {
    WantedPort port;
    port.spec = *parse_port_spec(text);
    return port;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("a port whose device vanished is closed, and opened when it is back") {
    Ports ports;
    Plugger plugger(&ports);
    const auto round = [&](int64_t now_ms) {
        plugger.open({wanted("a=af_packet")}, now_ms);
        plugger.close();
        return ports.told();
    };
    CHECK(round(10'000) == Words{"add a"});
    CHECK(round(10'001).empty());
    ports.gone = {1};
    ports.absent = {"a"};
    CHECK(round(11'000) == Words{"remove 1"});
    ports.gone.clear();
    CHECK(plugger.id("a") == kNoPort);
    CHECK(round(11'001) == Words{"add a"});
    CHECK(plugger.error("a") == "no network device");
    ports.absent.clear();
    CHECK(round(11'001 + Plugger::kRetryMs) == Words{"add a"});
    CHECK(plugger.id("a") == 2);
}

TEST_CASE("a bond changes while it is open, others are opened anew") {
    Ports ports;
    Plugger plugger(&ports);
    REQUIRE(plugger.open({wanted("b=bond,member.x=dummy"), wanted("d=dummy")}, 10'000));
    plugger.close();
    ports.told();
    const auto next = [&](const char* bond, int64_t now_ms) {
        return plugger.open({wanted(bond), wanted("d=dummy")}, now_ms);
    };
    const char* const other = "b=bond,member.x=dummy,member.y=dummy";
    CHECK(next(other, 10'001));  // to be published
    CHECK(plugger.id("b") == 1);
    CHECK(plugger.has_replacements());
    CHECK(plugger.close().size() == 1);
    CHECK(ports.told() == Words{"change 1"});
    CHECK_FALSE(next(other, 10'002));
    CHECK(plugger.close().empty());
    CHECK(ports.told().empty());

    // What is missing is tried again, at once after a change and then now and then.
    ports.partial = {1};
    ports.changes_need_grace = false;
    CHECK_FALSE(next(other, 10'003));
    CHECK(ports.told() == Words{"change 1"});
    CHECK_FALSE(next(other, 10'004));
    CHECK(ports.told().empty());
    CHECK_FALSE(next(other, 10'003 + Plugger::kRetryMs));
    CHECK(ports.told() == Words{"change 1"});

    plugger.open({wanted(other), wanted("d=dummy,ring=64")}, 10'004 + Plugger::kRetryMs);
    CHECK(ports.told() == Words{"change 2"});
    plugger.close();
    CHECK(ports.told() == Words{"remove 2"});
}
