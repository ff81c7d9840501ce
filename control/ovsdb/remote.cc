// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/remote.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <charconv>

namespace sluice::ovsdb {

namespace {

bool is_address(const std::string& host) {
    in6_addr buffer{};
    return inet_pton(AF_INET, host.c_str(), &buffer) == 1 ||
           inet_pton(AF_INET6, host.c_str(), &buffer) == 1;
}

Result<void> parse_host_port(std::string_view rest, Remote* remote) {
    const Error bad{"remote \"" + remote->text +
                    "\": write tcp:ADDRESS:PORT, an IPv6 address in []"};
    std::string_view port;
    if (!rest.empty() && rest.front() == '[') {
        const size_t close = rest.find(']');
        if (close == std::string_view::npos) {
            return bad;
        }
        remote->host = std::string(rest.substr(1, close - 1));
        rest.remove_prefix(close + 1);
        if (!rest.empty() && rest.front() != ':') {
            return bad;
        }
        port = rest.empty() ? rest : rest.substr(1);
    } else {
        const size_t colon = rest.find(':');
        remote->host = std::string(rest.substr(0, colon));
        port = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
        if (port.find(':') != std::string_view::npos) {
            return bad;
        }
    }
    remote->port = kDefaultPort;
    if (!port.empty()) {
        const auto [end, code] =
            std::from_chars(port.data(), port.data() + port.size(), remote->port);
        if (code != std::errc{} || end != port.data() + port.size() || remote->port == 0) {
            return Error{"remote \"" + remote->text + "\": \"" + std::string(port) +
                         "\" is not a port"};
        }
    }
    if (!is_address(remote->host)) {
        return Error{"remote \"" + remote->text + "\": \"" + remote->host +
                     "\" is not an address (names are not resolved here: give the IP address)"};
    }
    return {};
}

}  // namespace

Result<Remote> parse_remote(std::string_view text) {
    Remote remote;
    remote.text = std::string(text);
    const size_t colon = text.find(':');
    const std::string_view scheme = text.substr(0, colon);
    const std::string_view rest =
        colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
    if (scheme == "unix") {
        remote.host = std::string(rest);
        if (rest.empty() || rest.size() >= sizeof(sockaddr_un::sun_path)) {
            return Error{"remote \"" + remote.text + "\": a socket path has 1 to 107 characters"};
        }
        return remote;
    }
    if (scheme == "tcp" || scheme == "ssl") {
        remote.kind = scheme == "tcp" ? Remote::Kind::kTcp : Remote::Kind::kSsl;
        const Result<void> parsed = parse_host_port(rest, &remote);
        return parsed ? Result<Remote>(remote) : parsed.error();
    }
    if (scheme == "punix" || scheme == "ptcp" || scheme == "pssl") {
        return Error{"remote \"" + remote.text +
                     "\": that is how a server listens; a client needs " +
                     std::string(scheme.substr(1)) + ":"};
    }
    return Error{"remote \"" + remote.text + "\": it must begin with unix:, tcp: or ssl:"};
}

Result<std::vector<Remote>> parse_remotes(std::string_view text) {
    std::vector<Remote> remotes;
    while (!text.empty()) {
        const size_t end = text.find_first_of(", ");
        const std::string_view word = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        if (word.empty()) {
            continue;
        }
        const Result<Remote> remote = parse_remote(word);
        if (!remote) {
            return remote.error();
        }
        remotes.push_back(*remote);
    }
    if (remotes.empty()) {
        return Error{"no remote given: name the database server, for example tcp:10.0.0.1:6642"};
    }
    return remotes;
}

}  // namespace sluice::ovsdb
