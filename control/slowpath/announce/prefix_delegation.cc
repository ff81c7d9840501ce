// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/announce/prefix_delegation.h"

#include <algorithm>
#include <charconv>

#include "control/slowpath/services/dhcp6_wire.h"
#include "control/slowpath/services/packet.h"

namespace sluice::announce {
namespace {

using namespace services::dhcp6;
using namespace wire;
using services::kUdpLen;

constexpr uint16_t kClientPort = 546;
constexpr uint16_t kServerPort = 547;
constexpr uint8_t kHopLimit = 255;
constexpr size_t kIaPrefixLen = 25;
constexpr Mac kServersMac{{0x33, 0x33, 0, 1, 0, 2}};
constexpr Ip6 kServers{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2}};

void put_client_id(const Mac& mac, Writer* out) {
    out->u16(kOptClientId).u16(10).u16(kDuidLinkLayer).u16(kHardwareEthernet).mac(mac);
}

// Ethernet, IPv6 and UDP around a DHCPv6 message.
std::vector<uint8_t> wrap(const PrefixClientConfig& from, const Mac& to_mac, const Ip6& to,
                          Bytes message) {
    services::Layers at;
    at.network = kEthLen;
    at.transport = kEthLen + kIp6Len;
    at.ip6 = true;
    at.protocol = services::kUdp;
    Writer out;
    out.ethernet(to_mac, from.mac, kEthIp6).u32(0x60000000).u16(0).u8(services::kUdp);
    out.u8(kHopLimit).ip6(from.address).ip6(to);
    out.u16(kClientPort).u16(kServerPort).u16(0).u16(0).bytes(message);
    std::vector<uint8_t> frame = out.take();
    at.end = frame.size();
    services::finish_udp(&frame, at, kUdpLen + message.size());
    return frame;
}

int64_t after(int64_t now_ms, uint32_t seconds) {
    return seconds == kForever ? INT64_MAX : now_ms + int64_t{seconds} * 1000;
}

}  // namespace

/// What matters of a server's message.
struct PrefixDelegation::Message {
    uint8_t type = 0;
    uint32_t xid = 0;
    Mac from_mac, to_mac;
    Ip6 from, to;
    std::vector<uint8_t> server_id;
    std::vector<uint8_t> client_id;
    uint32_t iaid = 0;
    uint32_t t1 = 0;
    uint32_t t2 = 0;
    std::optional<Prefix> prefix;  ///< unset, too, when the server refuses
    uint32_t preferred_s = 0;
    uint32_t valid_s = 0;
    std::vector<uint8_t> prefix_option;  ///< value of the IA prefix option
};

std::string to_string(const Prefix& prefix) {
    return std::to_string(prefix.iaid) + ':' + sluice::to_string(prefix.address) + '/' +
           std::to_string(prefix.length);
}

std::optional<Prefix> parse_pd_list(std::string_view text) {
    Prefix out;
    const size_t colon = text.find(':');
    const auto rest =
        colon == std::string_view::npos ? std::nullopt : parse_ip6_prefix(text.substr(colon + 1));
    if (!rest ||
        std::from_chars(text.data(), text.data() + colon, out.iaid).ptr != text.data() + colon) {
        return std::nullopt;
    }
    out.address = rest->address;
    out.length = static_cast<uint8_t>(rest->length);
    return out;
}

void PrefixDelegation::configure(const std::vector<PrefixClientConfig>& clients, int64_t now_ms) {
    std::erase_if(clients_, [&](const auto& entry) {
        return std::none_of(clients.begin(), clients.end(), [&](const PrefixClientConfig& config) {
            return config.name == entry.first;
        });
    });
    for (const PrefixClientConfig& config : clients) {
        const auto [it, is_new] = clients_.try_emplace(config.name);
        Client& client = it->second;
        client.config = config;
        if (is_new) {
            client.due_ms = now_ms + random_() % kPaceMs;
            client.prefix = config.known;
            client.iaid = config.known ? config.known->iaid : 0;
        }
    }
}

void PrefixDelegation::grow_old(Client* client, int64_t now_ms) {
    if (client->state == State::kDone && now_ms > client->renew_ms) {
        client->state = State::kRenew;
    }
    if (client->state == State::kRenew && now_ms > client->rebind_ms) {
        client->state = State::kRebind;
        client->server_id.clear();
    }
    if (client->state == State::kRebind && now_ms > client->end_ms) {
        client->state = State::kSolicit;
    }
}

std::vector<Outgoing> PrefixDelegation::due(int64_t now_ms) {
    std::vector<Outgoing> out;
    for (auto& [name, client] : clients_) {
        grow_old(&client, now_ms);
        if (now_ms < client.due_ms || client.state == State::kDone) {
            continue;
        }
        if (client.state == State::kRequest) {
            client.state = State::kSolicit;  // the server did not reply
        }
        out.push_back({Outgoing::Kind::kPrefix, client.config.datapath, client.config.port,
                       compose(&client)});
        client.due_ms = now_ms + random_() % kPaceMs;
    }
    return out;
}

std::vector<uint8_t> PrefixDelegation::compose(Client* client) {
    const bool has_server = !client->server_id.empty();
    if (!client->prefix) {
        client->iaid = random_() & 0xffff;
    }
    client->xid = random_() & 0xffffff;
    const uint32_t type = client->state == State::kRenew    ? kRenew
                          : client->state == State::kRebind ? kRebind
                                                            : kSolicit;
    Writer out;
    out.u32(type << 24 | client->xid);
    put_client_id(client->config.client, &out);
    if (has_server) {
        put_option(kOptServerId, client->server_id, &out);
    }
    const size_t inner = client->prefix ? kOptionLen + kIaPrefixLen : 0;
    out.u16(kOptIaPd).u16(static_cast<uint16_t>(kIaLen + inner));
    out.u32(client->iaid).u32(kForever).u32(kForever);
    if (client->prefix) {
        out.u16(kOptIaPrefix).u16(kIaPrefixLen).u32(kForever).u32(kForever);
        out.u8(client->prefix->length).ip6(client->prefix->address);
    }
    return wrap(client->config, has_server ? client->server_mac : kServersMac,
                has_server ? client->server : kServers, out.take());
}

std::optional<PrefixDelegation::Message> PrefixDelegation::parse(std::span<const uint8_t> frame) {
    const auto at = services::find_udp(frame);
    if (!at || !at->ip6 || at->end - at->transport < kUdpLen + kHeaderLen) {
        return std::nullopt;
    }
    const Bytes dhcp = services::udp_payload(frame, *at);
    Message out;
    out.type = dhcp[0];
    out.xid = load32(dhcp, 0) & 0xffffff;
    out.to_mac = load_mac(frame, 0);
    out.from_mac = load_mac(frame, 6);
    out.from = load_ip6(frame, at->network + 8);
    out.to = load_ip6(frame, at->network + 24);
    bool is_refused = false;
    const auto inside = [&](uint16_t code, Bytes value) {
        if (code == kOptStatus && value.size() >= 2 && load16(value, 0) != 0) {
            is_refused = true;
        } else if (code == kOptIaPrefix && value.size() >= kIaPrefixLen) {
            out.preferred_s = load32(value, 0);
            out.valid_s = load32(value, 4);
            out.prefix = Prefix{out.iaid, load_ip6(value, 9), value[8]};
            out.prefix_option.assign(value.begin(), value.end());
        }
    };
    const bool is_whole =
        for_each_option(dhcp.subspan(kHeaderLen), [&](uint16_t code, Bytes value) {
            if (code == kOptServerId) {
                out.server_id.assign(value.begin(), value.end());
            } else if (code == kOptClientId) {
                out.client_id.assign(value.begin(), value.end());
            } else if (code == kOptIaPd && value.size() >= kIaLen) {
                out.iaid = load32(value, 0);
                out.t1 = load32(value, 4);
                out.t2 = load32(value, 8);
                is_refused |= !for_each_option(value.subspan(kIaLen), inside);
            }
        });
    // RFC 8415, 21.21 and 21.22: times that contradict each other make the option void.
    if (is_refused || out.preferred_s > out.valid_s || (out.t1 > out.t2 && out.t2 > 0) ||
        (out.prefix && out.prefix->length > 128)) {
        out.prefix.reset();
    }
    return is_whole ? std::optional(std::move(out)) : std::nullopt;
}

PrefixDelegation::Client* PrefixDelegation::find(const Message& message) {
    const auto found = std::find_if(clients_.begin(), clients_.end(), [&](const auto& entry) {
        const Client& client = entry.second;
        return client.iaid == message.iaid && client.xid == message.xid &&
               client.config.address == message.to && client.config.mac == message.to_mac;
    });
    return found == clients_.end() ? nullptr : &found->second;
}

std::vector<uint8_t> PrefixDelegation::take(std::span<const uint8_t> frame, int64_t now_ms) {
    const auto message = parse(frame);
    Client* client =
        message && message->prefix && !message->server_id.empty() ? find(*message) : nullptr;
    if (!client) {
        return {};
    }
    if (message->type == kReply && client->state != State::kSolicit) {
        accept(client, *message, now_ms);
    } else if (message->type == kAdvertise && client->state == State::kSolicit) {
        client->state = State::kRequest;
        client->due_ms = now_ms + kPaceMs;
        return request(client, *message);
    }
    return {};
}

std::vector<uint8_t> PrefixDelegation::request(Client* client, const Message& message) {
    Writer out;
    out.u32(uint32_t{kRequest} << 24 | client->xid);
    put_client_id(client->config.client, &out);
    put_option(kOptServerId, message.server_id, &out);
    out.u16(kOptIaPd).u16(
        static_cast<uint16_t>(kIaLen + kOptionLen + message.prefix_option.size()));
    out.u32(message.iaid).u32(message.t1).u32(message.t2);
    put_option(kOptIaPrefix, message.prefix_option, &out);
    return wrap(client->config, message.from_mac, message.from, out.take());
}

void PrefixDelegation::accept(Client* client, const Message& message, int64_t now_ms) {
    const uint32_t preferred = message.preferred_s;
    const auto part = [&](unsigned percent) {  // what RFC 8415, 21.21 recommends for "0"
        return preferred == kForever ? kForever
                                     : static_cast<uint32_t>(uint64_t{preferred} * percent / 100);
    };
    client->state = State::kDone;
    client->prefix = message.prefix;
    client->server_id = message.server_id;
    client->server_mac = message.from_mac;
    client->server = message.from;
    client->renew_ms = after(now_ms, message.t1 ? message.t1 : part(50));
    client->rebind_ms = after(now_ms, message.t2 ? message.t2 : part(80));
    client->end_ms = after(now_ms, message.valid_s);
    client->due_ms = client->renew_ms;
    learned_.push_back({client->config.name, *message.prefix});
}

}  // namespace sluice::announce
