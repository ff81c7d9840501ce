// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstring>

#include "control/slowpath/watch/ipfix.h"

namespace sluice::watch {
namespace {

constexpr uint16_t kDefaultPort = 4739;

/// "A.B.C.D[:PORT]", "[IPv6][:PORT]" or an IPv6 address alone. False: not an address.
bool parse_target(std::string_view text, sockaddr_storage* out, socklen_t* length) {
    uint16_t port = kDefaultPort;
    std::string_view host = text;
    std::string_view tail;
    if (text.starts_with('[')) {
        const size_t end = text.find(']');
        if (end == std::string_view::npos) {
            return false;
        }
        host = text.substr(1, end - 1);
        tail = text.substr(end + 1);
    } else if (const size_t colon = text.find(':');
               colon != std::string_view::npos && colon == text.rfind(':')) {
        host = text.substr(0, colon);
        tail = text.substr(colon);
    }
    if (!tail.empty()) {
        const auto [end, error] = std::from_chars(tail.data() + 1, tail.data() + tail.size(), port);
        if (tail[0] != ':' || error != std::errc() || end != tail.data() + tail.size()) {
            return false;
        }
    }
    *out = {};
    if (const auto ip4 = parse_ip4(host)) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port);
        in.sin_addr.s_addr = htonl(ip4->value);
        std::memcpy(out, &in, sizeof in);
        *length = sizeof in;
        return true;
    }
    if (const auto ip6 = parse_ip6(host)) {
        sockaddr_in6 in{};
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(port);
        std::memcpy(&in.sin6_addr, ip6->bytes.data(), 16);
        std::memcpy(out, &in, sizeof in);
        *length = sizeof in;
        return true;
    }
    return false;
}

}  // namespace

UdpSender::~UdpSender() {
    for (const int fd : {fd4_, fd6_}) {
        if (fd >= 0) {
            close(fd);
        }
    }
}

bool UdpSender::send(const std::string& target, const std::vector<uint8_t>& message) {
    sockaddr_storage address;
    socklen_t length = 0;
    if (!parse_target(target, &address, &length)) {
        return false;
    }
    int& fd = address.ss_family == AF_INET ? fd4_ : fd6_;
    if (fd < 0) {
        fd = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    return fd >= 0 && sendto(fd, message.data(), message.size(), MSG_DONTWAIT,
                             reinterpret_cast<const sockaddr*>(&address),
                             length) == static_cast<ssize_t>(message.size());
}

}  // namespace sluice::watch
