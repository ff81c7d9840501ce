// SPDX-License-Identifier: Apache-2.0
// The answering services, request by request, and what they do with garbage.
#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "control/compile/actions.h"
#include "control/slowpath/services/dhcp4.h"
#include "control/slowpath/services/dhcp6.h"
#include "control/slowpath/services/dhcp_relay.h"
#include "control/slowpath/services/dns.h"
#include "control/slowpath/services/names.h"
#include "control/slowpath/services/router_advertisement.h"
#include "tests/unit/control/slowpath/services_vectors.h"

namespace sluice::services {
namespace {

using Frame = std::vector<uint8_t>;

Frame hex(const std::string& text) {
    Frame out;
    for (size_t i = 0; i + 1 < text.size(); i += 2) {
        out.push_back(static_cast<uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
    }
    return out;
}

std::string text(const Frame& bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (const uint8_t b : bytes) {
        out += kDigits[b >> 4];
        out += kDigits[b & 15];
    }
    return out;
}

/// The first action of a flow's text.
template <typename Node>
Node parse(const std::string& actions) {
    const auto parsed =
        lang::parse_actions(actions, lang::SymbolTable::of(lang::Dialect::kMain), {});
    REQUIRE(parsed.ok());
    return std::get<Node>(parsed->list.actions.front().node);
}

Dhcp4Offer offer4(const std::string& options) {
    const auto offer =
        encode_dhcp4(parse<lang::PutDhcpv4Opts>("reg0[3] = put_dhcp_opts(offerip = 10.0.1.11, " +
                                                options + "); next;"),
                     builtin_dhcp4_options());
    REQUIRE(offer.has_value());
    return *offer;
}

Dhcp6Offer offer6(const std::string& options) {
    const auto offer = encode_dhcp6(
        parse<lang::PutDhcpv6Opts>("reg0[3] = put_dhcpv6_opts(" + options + "); next;"),
        builtin_dhcp6_options());
    REQUIRE(offer.has_value());
    return *offer;
}

std::string value_of(const Dhcp4Offer& offer, uint8_t code) {
    for (const Dhcp4Option& option : offer.options) {
        if (option.code == code) {
            return text(option.value);
        }
    }
    return "none";
}

const std::string kFull = "ia_addr = fd01::11, server_id = 00:00:00:00:ff:01";
const std::string kOrdered = "server_id = 00:00:00:00:ff:01, ia_addr = fd01::11";

std::vector<std::shared_ptr<const DnsZone>> zones(bool owned = false) {
    auto zone = std::make_shared<DnsZone>();
    zone->records = {{"web.example.org", "10.0.1.80"}};
    zone->owned = owned;
    return {zone};
}

TEST_CASE("DHCPv4 offers, refuses and stays silent", "[services]") {
    const Dhcp4Offer offer = offer4("lease_time = 3600, router = 10.0.1.254");
    CHECK(text(answer_dhcp4(hex(vectors::kDiscover), offer, false).frame) == vectors::kOffer);
    CHECK(text(answer_dhcp4(hex(vectors::kRequestOther), offer, false).frame) == vectors::kNak);
    Frame release = hex(vectors::kDiscover);
    release[release.size() - 2] = 7;
    CHECK(answer_dhcp4(release, offer, false).refusal == Refusal::kNotForUs);
    Frame token_ring = hex(vectors::kDiscover);
    token_ring[14 + 20 + 8 + 1] = 6;
    CHECK(answer_dhcp4(token_ring, offer, false).refusal == Refusal::kNone);
    CHECK(answer_dhcp4(token_ring, offer, true).refusal == Refusal::kMalformed);
}

TEST_CASE("DHCPv4 options by type", "[services]") {
    const Dhcp4Offer offer = offer4(
        "mtu = 1400, tcp_ttl = 64, dns_server = {8.8.8.8, 7.7.7.7}, domain_name = \"ovn.org\", "
        "ip_forward_enable = 1, tftp_server = 10.0.0.9, "
        "classless_static_route = {30.0.0.0/24, 10.0.0.4, 0.0.0.0/0, 10.0.0.1, 10.128.0.0/9, "
        "10.0.0.5}, domain_search_list = \"eng.apple.com,marketing.apple.com\"");
    CHECK(value_of(offer, 26) == "0578");
    CHECK(value_of(offer, 37) == "40");
    CHECK(value_of(offer, 6) == "0808080807070707");
    CHECK(value_of(offer, 15) == "6f766e2e6f7267");
    CHECK(value_of(offer, 19) == "01");
    CHECK(value_of(offer, 66) == "0a000009");
    CHECK(value_of(offer, 121) == "181e00000a000004000a000001090a800a000005");
    // The example of RFC 3397, section 2.
    CHECK(value_of(offer, 119) == "03656e67056170706c6503636f6d00096d61726b6574696e67c004");
    const auto bad = parse<lang::PutDhcpv4Opts>(
        "reg0[3] = put_dhcp_opts(offerip = 10.0.1.11, nonsense = 1); next;");
    CHECK_FALSE(encode_dhcp4(bad, builtin_dhcp4_options()).has_value());
    const auto mixed = parse<lang::PutDhcpv4Opts>(
        "reg0[3] = put_dhcp_opts(offerip = 10.0.1.11, mtu = \"x\"); next;");
    CHECK_FALSE(encode_dhcp4(mixed, builtin_dhcp4_options()).has_value());
    CHECK_FALSE(encode_search_list(std::string(64, 'x') + ".org").has_value());
}

TEST_CASE("A relay adds itself and hands answers on", "[services]") {
    const Ip4 relay = *parse_ip4("10.0.0.254");
    const Ip4 server = *parse_ip4("10.0.1.1");
    CHECK(text(relay_dhcp_request(hex(vectors::kRelayIn), relay).frame) == vectors::kRelayOut);
    CHECK(relay_dhcp_request(hex(vectors::kRelayOut), relay).refusal == Refusal::kNotForUs);
    const auto response = [&](const char* in, Ip4 from) {
        return relay_dhcp_response(hex(in), relay, from);
    };
    CHECK(text(response(vectors::kRelayAckIn, server).frame) == vectors::kRelayAckOut);
    CHECK(text(response(vectors::kRelayAllIn, server).frame) == vectors::kRelayAllOut);
    CHECK(response(vectors::kRelayAckIn, Ip4{1}).refusal == Refusal::kNotForUs);
    CHECK(response(vectors::kRelayStrayIn, server).refusal == Refusal::kNotForUs);
    CHECK(response(vectors::kRelayOut, server).refusal == Refusal::kMalformed);
    const Answer other = relay_dhcp_response(hex(vectors::kRelayAckIn), Ip4{2}, server);
    CHECK(other.refusal == Refusal::kNotForUs);
}

TEST_CASE("DHCPv6 as OVN 23.03 and as newer ones answer it", "[services]") {
    const Dhcp6Offer offer = offer6(kOrdered);
    const auto answer = [&](const char* in, bool modern) {
        return text(answer_dhcp6(hex(in), offer, modern).frame);
    };
    CHECK(answer(vectors::kSolicit, false) == vectors::kAdvertise);
    CHECK(answer(vectors::kSolicit, true) == vectors::kAdvertise);
    CHECK(answer(vectors::kRenew, true) == vectors::kRenewReply);
    CHECK(answer(vectors::kRebind, true) == vectors::kRebindReply);
    CHECK(answer(vectors::kRelease, true) == vectors::kReleaseReply);
    CHECK(answer(vectors::kRenewOther, true).empty());
    for (const char* in : {vectors::kRenew, vectors::kRebind, vectors::kRelease}) {
        CHECK(answer_dhcp6(hex(in), offer, false).refusal == Refusal::kNotForUs);
    }
    // Without an address to give, a renewing client hears that there is no binding.
    const Dhcp6Offer stateless = offer6("server_id = 00:00:00:00:ff:01");
    const std::string none = text(answer_dhcp6(hex(vectors::kRenew), stateless, true).frame);
    CHECK(
        none.ends_with("000300120000000700000000"
                       "00000000"
                       "000d00020003"));
    CHECK(answer_dhcp6(hex(vectors::kRebind), stateless, true).refusal == Refusal::kNotForUs);
}

TEST_CASE("DNS as OVN 23.03 and as newer ones answer it", "[services]") {
    CHECK(text(answer_dns(hex(vectors::kQuery), zones(), false).frame) == vectors::kAnswer);
    CHECK(text(answer_dns(hex(vectors::kQuery), zones(), true).frame) == vectors::kAnswer);
    CHECK(answer_dns(hex(vectors::kQueryEdns), zones(), false).refusal == Refusal::kNotForUs);
    CHECK(text(answer_dns(hex(vectors::kQueryEdns), zones(), true).frame) == vectors::kAnswer);
    CHECK(answer_dns(hex(vectors::kQuery6), zones(true), false).refusal == Refusal::kNotForUs);
    CHECK(answer_dns(hex(vectors::kQuery6), zones(), true).refusal == Refusal::kNotForUs);
    CHECK(text(answer_dns(hex(vectors::kQuery6), zones(true), true).frame) == vectors::kNoData);
    CHECK(answer_dns(hex(vectors::kQuery), {}, false).refusal == Refusal::kNotForUs);
    CHECK(answer_dns(hex(vectors::kAnswer), zones(), false).refusal == Refusal::kNotForUs);
    CHECK(parse_dns_addresses("10.0.0.1, 10.0.0.2").v4.size() == 1);
    CHECK(parse_dns_addresses("10.0.0.1/24 fd00::1 10.0.0.3").v4.size() == 2);
    CHECK(parse_dns_addresses("x 10.0.0.1").v4.empty());
}

TEST_CASE("A solicitation becomes the advertisement", "[services]") {
    const auto message = encode_advertisement(parse<lang::PutNdRaOpts>(
        "reg0[5] = put_nd_ra_opts(addr_mode = \"dhcpv6_stateless\", router_preference = \"HIGH\", "
        "slla = 00:00:00:00:ff:01, mtu = 1450, rdnss = fd01::53, dnssl = \"example.org,a.b\", "
        "route_info = \"LOW-fd05::/48\", prefix = fd01::/64); next;"));
    REQUIRE(message.has_value());
    CHECK(text(answer_solicitation(hex(vectors::kSolicitation), *message).frame) ==
          vectors::kAdvertisement);
    const Answer again = answer_solicitation(hex(vectors::kAdvertisement), *message);
    CHECK(again.refusal == Refusal::kMalformed);
}

TEST_CASE("Names", "[services]") {
    CHECK(text(*encode_name("www.ovn.org")) == "03777777036f766e036f726700");
    CHECK(text(*encode_name("www.ovn.org.")) == "03777777036f766e036f726700");
    CHECK(text(*encode_name("")) == "00");
    CHECK_FALSE(encode_name(std::string(64, 'a')).has_value());
    CHECK_FALSE(encode_name(std::string(300, '.') + std::string(63, 'a') + "." +
                            std::string(63, 'a') + "." + std::string(63, 'a') + "." +
                            std::string(63, 'a'))
                    .has_value());
}

// Every cut and a good many bit flips of every request: answered or refused, and an answer's frame
// is never longer than IP can say. What is read beyond the end shows under the sanitisers.
TEST_CASE("Garbage is refused, not believed", "[services]") {
    const Dhcp4Offer four = offer4("lease_time = 3600");
    const Dhcp6Offer six = offer6(kFull + ", domain_search = \"x.org\"");
    const Frame advertisement = Advertisement().take();
    const auto feed = [&](const Frame& frame) {
        size_t answered = 0;
        for (const bool modern : {false, true}) {
            for (const Answer& answer :
                 {answer_dhcp4(frame, four, modern), answer_dhcp6(frame, six, modern),
                  answer_dns(frame, zones(modern), modern),
                  relay_dhcp_request(frame, Ip4{0x0a0000fe}),
                  relay_dhcp_response(frame, Ip4{0x0a0000fe}, Ip4{0x0a000101}),
                  answer_solicitation(frame, advertisement)}) {
                CHECK((answer.refusal == Refusal::kNone) == !answer.frame.empty());
                CHECK(answer.frame.size() <= frame.size() + 600);
                answered += answer.frame.empty() ? 0 : 1;
            }
        }
        return answered;
    };
    std::mt19937 random(7);
    for (const char* request :
         {vectors::kDiscover, vectors::kRequestOther, vectors::kRelayIn, vectors::kRelayAckIn,
          vectors::kSolicit, vectors::kRenew, vectors::kRelease, vectors::kQuery,
          vectors::kQueryEdns, vectors::kSolicitation}) {
        const Frame whole = hex(request);
        CHECK(feed(whole) > 0);
        for (size_t size = 0; size < whole.size(); ++size) {
            feed(Frame(whole.begin(), whole.begin() + static_cast<long>(size)));
        }
        for (unsigned round = 0; round < 2000; ++round) {
            Frame flipped = whole;
            for (unsigned flips = 1 + random() % 4; flips > 0; --flips) {
                flipped[random() % flipped.size()] ^= static_cast<uint8_t>(1u << random() % 8);
            }
            feed(flipped);
        }
    }
}

}  // namespace
}  // namespace sluice::services
