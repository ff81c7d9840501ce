// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/pmd/lab.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "lib/base/check.h"
#include "tests/support/eal.h"

namespace sluice::lab {

namespace {
uint16_t be16(const Bytes& b, size_t at) {
    return static_cast<uint16_t>(b[at] << 8 | b[at + 1]);
}
void put16(Bytes& b, size_t at, uint16_t v) {
    b[at] = static_cast<uint8_t>(v >> 8);
    b[at + 1] = static_cast<uint8_t>(v);
}
}  // namespace

std::unique_ptr<pmd::Ports> make_ports(unsigned n_workers, unsigned n_mbufs) {
    cpu_set_t before;
    sched_getaffinity(0, sizeof before, &before);
    test_pool();
    sched_setaffinity(0, sizeof before, &before);  // the EAL pins us, and our children with us
    pmd::PortsSettings settings;
    settings.n_workers = n_workers;
    settings.pool.n_mbufs = n_mbufs;
    return std::make_unique<pmd::Ports>(settings);
}

bool enter_private_network() {
    static const bool entered = unshare(CLONE_NEWNET) == 0 && run("ip link set lo up");
    return entered;
}

bool run(const std::string& command) {
    return std::system(("( " + command + " ) >/dev/null 2>&1").c_str()) == 0;
}

std::string read_output(const std::string& command) {
    std::string text;
    FILE* pipe = popen(command.c_str(), "r");
    SLUICE_CHECK(pipe);
    std::array<char, 4096> buffer;
    while (const size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) {
        text.append(buffer.data(), n);
    }
    pclose(pipe);
    return text;
}

PortSpec spec(const std::string& text) {
    Result<PortSpec> parsed = parse_port_spec(text);
    SLUICE_CHECK(parsed.ok());
    return *parsed;
}

PortId add(pmd::Ports& ports, const std::string& text) {
    const Result<PortId> id = ports.add(spec(text));
    if (!id) {
        std::fprintf(stderr, "%s\n", id.error().message.c_str());
        return kNoPort;
    }
    return *id;
}

void remove(pmd::Ports& ports, PortId id) {
    const Result<Retire> retire = ports.remove(id);
    SLUICE_CHECK(retire.ok());
    (*retire)();
}

TempDir::TempDir() {
    char name[] = "/tmp/sluice-pmd-XXXXXX";
    SLUICE_CHECK(mkdtemp(name));
    path = name;
}

TempDir::~TempDir() {
    run("rm -rf " + path);
}

Bytes udp4(const Bytes& payload, uint16_t source, uint16_t destination) {
    Bytes f = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
    const Bytes ip = {0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
    f.insert(f.end(), ip.begin(), ip.end());
    f.resize(42);
    f.insert(f.end(), payload.begin(), payload.end());
    put16(f, 16, static_cast<uint16_t>(f.size() - 14));
    put16(f, 24, rfc1071(Bytes(f.begin() + 14, f.begin() + 34)));
    put16(f, 34, source);
    put16(f, 36, destination);
    put16(f, 38, static_cast<uint16_t>(8 + payload.size()));
    Bytes summed(f.begin() + 26, f.end());
    const Bytes pseudo = {0, 17, f[38], f[39]};
    summed.insert(summed.begin(), pseudo.begin(), pseudo.end());
    const uint16_t sum = rfc1071(summed);
    put16(f, 40, sum ? sum : 0xffff);
    return f;
}

Bytes plain(uint32_t number, size_t length) {
    Bytes f = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};
    f.resize(length);
    for (size_t i = 14; i < length; ++i) {
        f[i] = static_cast<uint8_t>(number >> (8 * (i % 4)) ^ i);
    }
    return f;
}

Bytes with_tag(const Bytes& frame, uint16_t tpid, uint16_t tci) {
    Bytes f = frame;
    Bytes tag(4);
    put16(tag, 0, tpid);
    put16(tag, 2, tci);
    f.insert(f.begin() + 12, tag.begin(), tag.end());
    return f;
}

uint16_t rfc1071(const Bytes& bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
        sum += i % 2 ? bytes[i] : static_cast<uint32_t>(bytes[i] << 8);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<uint16_t>(~sum);
}

bool checksums_hold(const Bytes& f, size_t ether_at) {
    size_t at = ether_at + 12;
    while (be16(f, at) == 0x8100 || be16(f, at) == 0x88a8) {
        at += 4;
    }
    const uint16_t type = be16(f, at);
    at += 2;
    size_t end = 0;
    uint8_t protocol = 0;
    size_t l4 = 0;
    Bytes summed;
    if (type == 0x0800) {
        l4 = at + (f[at] & 15u) * 4u;
        if (rfc1071(Bytes(f.begin() + static_cast<long>(at), f.begin() + static_cast<long>(l4)))) {
            return false;
        }
        end = at + be16(f, at + 2);
        protocol = f[at + 9];
        summed.assign(f.begin() + static_cast<long>(at) + 12,
                      f.begin() + static_cast<long>(at) + 20);
    } else if (type == 0x86dd) {
        l4 = at + 40;
        end = l4 + be16(f, at + 4);
        protocol = f[at + 6];
        summed.assign(f.begin() + static_cast<long>(at) + 8,
                      f.begin() + static_cast<long>(at) + 40);
    } else {
        return true;
    }
    if (end > f.size() || (protocol != 6 && protocol != 17)) {
        return protocol != 6 && protocol != 17;
    }
    const size_t length = end - l4;
    summed.insert(summed.end(),
                  {0, protocol, static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length)});
    summed.insert(summed.end(), f.begin() + static_cast<long>(l4),
                  f.begin() + static_cast<long>(end));
    const bool is_udp = protocol == 17;
    if (is_udp && be16(f, l4 + 4) != length) {
        return false;
    }
    if (!(is_udp && be16(f, l4 + 6) == 0) && rfc1071(summed) != 0) {
        return false;
    }
    if (is_udp && be16(f, l4 + 2) == 6081) {
        return checksums_hold(f, l4 + 16 + (f[l4 + 8] & 63u) * 4u);
    }
    if (is_udp && be16(f, l4 + 2) == 4789) {
        return checksums_hold(f, l4 + 16);
    }
    return true;
}

rte_mbuf* to_mbuf(rte_mempool* pool, const Bytes& frame) {
    rte_mbuf* head = rte_pktmbuf_alloc(pool);
    SLUICE_CHECK(head);
    rte_mbuf* tail = head;
    for (size_t at = 0; at < frame.size();) {
        if (rte_pktmbuf_tailroom(tail) == 0) {
            rte_mbuf* more = rte_pktmbuf_alloc(pool);
            SLUICE_CHECK(more && rte_pktmbuf_chain(head, more) == 0);
            tail = more;
        }
        const size_t n = std::min<size_t>(rte_pktmbuf_tailroom(tail), frame.size() - at);
        std::memcpy(rte_pktmbuf_append(tail, static_cast<uint16_t>(n)), &frame[at], n);
        if (tail != head) {
            head->pkt_len += static_cast<uint32_t>(n);
        }
        at += n;
    }
    return head;
}

Bytes to_bytes(const rte_mbuf* m) {
    Bytes bytes;
    for (; m; m = m->next) {
        const auto* at = rte_pktmbuf_mtod(m, const uint8_t*);
        bytes.insert(bytes.end(), at, at + m->data_len);
    }
    return bytes;
}

uint16_t ethertype_of(const Bytes& frame) {
    size_t at = 12;
    while (at + 6 <= frame.size() && (be16(frame, at) == 0x8100 || be16(frame, at) == 0x88a8)) {
        at += 4;
    }
    return be16(frame, at);
}

std::vector<Bytes> receive(const PortTable& table, PortId id, size_t want, uint16_t ethertype,
                           std::chrono::milliseconds patience) {
    std::vector<Bytes> frames;
    const auto end = std::chrono::steady_clock::now() + patience;
    while (frames.size() < want && std::chrono::steady_clock::now() < end) {
        for (unsigned w = 0; w < table.n_workers(); ++w) {
            for (const RxQueue& queue : table.rx_queues(w)) {
                if (queue.port != id) {
                    continue;
                }
                rte_mbuf* pkts[kMaxPortBurst];
                const uint16_t n = queue.rx(pkts, 32);
                for (uint16_t i = 0; i < n; ++i) {
                    Bytes frame = to_bytes(pkts[i]);
                    if (ethertype_of(frame) == ethertype) {
                        frames.push_back(std::move(frame));
                    }
                }
                rte_pktmbuf_free_bulk(pkts, n);
            }
        }
    }
    return frames;
}

bool eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition() && std::chrono::steady_clock::now() < end) {
        usleep(1000);
    }
    return condition();
}

bool send(const PortTable& table, PortId id, const Bytes& frame) {
    rte_mbuf* m = to_mbuf(table[id].pool, frame);
    if (table[id].tx[0].tx(&m, 1) == 1) {
        return true;
    }
    rte_pktmbuf_free(m);
    return false;
}

unsigned mbufs_in_use(const pmd::Ports& ports) {
    unsigned n = 0;
    for (const rte_mempool* pool : ports.pools().pools()) {
        n += rte_mempool_in_use_count(pool);
    }
    return n;
}

unsigned open_fds() {
    unsigned n = 0;
    DIR* dir = opendir("/proc/self/fd");
    while (readdir(dir)) {
        ++n;
    }
    closedir(dir);
    return n;
}

RawPeer::RawPeer(const std::string& iface) : fd_(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))) {
    SLUICE_CHECK(fd_ >= 0);
    const int one = 1;
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(iface.c_str()));
    setsockopt(fd_, SOL_PACKET, PACKET_AUXDATA, &one, sizeof one);
    setsockopt(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
    SLUICE_CHECK(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

RawPeer::~RawPeer() {
    close(fd_);
}

bool RawPeer::send(const Bytes& frame) const {
    return ::send(fd_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
}

std::optional<Bytes> RawPeer::receive(uint16_t ethertype) const {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < end) {
        pollfd waiting{fd_, POLLIN, 0};
        if (poll(&waiting, 1, 100) <= 0) {
            continue;
        }
        Bytes frame(70000);
        iovec v{frame.data(), frame.size()};
        alignas(cmsghdr) char control[256];
        msghdr message{};
        message.msg_iov = &v;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        const ssize_t n = recvmsg(fd_, &message, 0);
        if (n < 14) {
            continue;
        }
        frame.resize(static_cast<size_t>(n));
        for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
            tpacket_auxdata aux;
            std::memcpy(&aux, CMSG_DATA(c), sizeof aux);
            if (c->cmsg_type == PACKET_AUXDATA && (aux.tp_status & TP_STATUS_VLAN_VALID)) {
                frame = with_tag(frame, aux.tp_vlan_tpid, aux.tp_vlan_tci);
            }
        }
        if (ethertype_of(frame) == ethertype) {
            return frame;
        }
    }
    return std::nullopt;
}

}  // namespace sluice::lab
