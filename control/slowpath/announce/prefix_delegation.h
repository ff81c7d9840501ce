// SPDX-License-Identifier: Apache-2.0
// PrefixDelegation: DHCPv6 clients that ask for prefixes on behalf of router ports (RFC 8415).
//
// Every router port with `ipv6_prefix` has a client; it speaks through the router port with
// `ipv6_prefix_delegation`. SOLICIT goes out again and again, at random within three seconds, until
// a server advertises a prefix; its advertisement is turned into a REQUEST, the REPLY into a
// prefix. RENEW after T1, REBIND after T2, and when the prefix has expired all over again. A
// prefix that the database knows from an earlier life is asked for again.
// No I/O: due() and take() say what to send, take_learned() what the database should hear.
// Slow-path thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "control/slowpath/announce/announcements.h"
#include "lib/net/addr.h"

namespace sluice::announce {

struct Prefix {
    uint32_t iaid = 0;
    Ip6 address;
    uint8_t length = 0;
    bool operator==(const Prefix&) const = default;
};
/// "IAID:PREFIX/LENGTH", the form of Port_Binding options:ipv6_ra_pd_list.
std::string to_string(const Prefix& prefix);
std::optional<Prefix> parse_pd_list(std::string_view text);

struct PrefixClientConfig {
    std::string name;  ///< the router port that gets the prefix
    Mac client;        ///< its MAC: the client's identifier
    Mac mac;           ///< source of the packets: the delegating port
    Ip6 address;
    uint32_t datapath = 0;  ///< where they are injected: the delegating port's switch
    uint32_t port = 0;
    std::optional<Prefix> known;
    bool operator==(const PrefixClientConfig&) const = default;
};

struct LearnedPrefix {
    std::string name;
    Prefix prefix;
};

class PrefixDelegation {
public:
    using Random = std::function<uint32_t()>;
    static constexpr uint32_t kPaceMs = 3000;

    explicit PrefixDelegation(Random random) : random_(std::move(random)) {}

    void configure(const std::vector<PrefixClientConfig>& clients, int64_t now_ms);
    std::vector<Outgoing> due(int64_t now_ms);
    /// A server's message. The frame that answers it, to go where it came from; empty for none.
    std::vector<uint8_t> take(std::span<const uint8_t> frame, int64_t now_ms);
    std::vector<LearnedPrefix> take_learned() { return std::exchange(learned_, {}); }

private:
    enum class State : uint8_t { kSolicit, kRequest, kDone, kRenew, kRebind };
    struct Client {
        PrefixClientConfig config;
        State state = State::kSolicit;
        int64_t due_ms = 0;
        int64_t renew_ms = 0;  ///< T1, T2 and the end of the prefix, as times
        int64_t rebind_ms = 0;
        int64_t end_ms = 0;
        uint32_t iaid = 0;
        uint32_t xid = 0;
        std::optional<Prefix> prefix;
        std::vector<uint8_t> server_id;
        Mac server_mac;
        Ip6 server;
    };
    struct Message;

    void grow_old(Client* client, int64_t now_ms);
    std::vector<uint8_t> compose(Client* client);
    std::vector<uint8_t> request(Client* client, const Message& message);
    void accept(Client* client, const Message& message, int64_t now_ms);
    static std::optional<Message> parse(std::span<const uint8_t> frame);
    Client* find(const Message& message);

    Random random_;
    std::map<std::string, Client> clients_;
    std::vector<LearnedPrefix> learned_;
};

}  // namespace sluice::announce
