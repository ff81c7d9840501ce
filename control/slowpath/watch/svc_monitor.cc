// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/svc_monitor.h"

#include <algorithm>
#include <set>

#include "control/slowpath/watch/igmp.h"
#include "control/slowpath/wire.h"

namespace sluice::watch {
namespace {

using namespace wire;

constexpr uint16_t kSyn = 0x02;
constexpr uint16_t kRst = 0x04;
constexpr uint16_t kAck = 0x10;
constexpr size_t kTcpLen = 20;
constexpr size_t kUdpProbe = 8 + 8;  // header and eight zero bytes

/// Ethernet and IP, for a payload of `length`.
Writer to_service(const ServiceConfig& c, uint8_t proto, size_t length) {
    Writer w;
    if (is_mapped(c.ip)) {
        w.ethernet(c.port_mac, c.src_mac, kEthIp4);
        w.u8(0x45).u8(0).u16(static_cast<uint16_t>(kIp4Len + length)).u16(0).u16(0x4000);
        w.u8(63).u8(proto).u16(0);
        w.u32(unmapped(c.src_ip).value).u32(unmapped(c.ip).value);
        w.patch16(kEthLen + 10, fold(add(w.view(kEthLen))));
    } else {
        w.ethernet(c.port_mac, c.src_mac, kEthIp6);
        w.u32(0x60000000).u16(static_cast<uint16_t>(length)).u8(proto).u8(63);
        w.ip6(c.src_ip).ip6(c.ip);
    }
    return w;
}

uint64_t pseudo(const ServiceConfig& c, uint8_t proto, size_t length) {
    if (!is_mapped(c.ip)) {
        return pseudo6(c.src_ip, c.ip, length, proto);
    }
    Writer w;
    w.u32(unmapped(c.src_ip).value).u32(unmapped(c.ip).value);
    return add(w.view(0)) + proto + length;
}

std::vector<uint8_t> tcp_frame(const ServiceConfig& c, uint16_t src_port, uint16_t flags,
                               uint32_t seq, uint32_t ack) {
    Writer w = to_service(c, 6, kTcpLen);
    const size_t start = w.size();
    w.u16(src_port).u16(c.l4_port).u32(seq).u32(ack);
    w.u16(static_cast<uint16_t>(5 << 12 | flags)).u16(65160).u16(0).u16(0);
    w.patch16(start + 16, fold(add(w.view(start), pseudo(c, 6, kTcpLen))));
    return w.take();
}

std::vector<uint8_t> udp_frame(const ServiceConfig& c, uint16_t src_port) {
    Writer w = to_service(c, 17, kUdpProbe);
    const size_t start = w.size();
    w.u16(src_port).u16(c.l4_port).u16(kUdpProbe).u16(0).u32(0).u32(0);
    if (!is_mapped(c.ip)) {  // IPv6 has no UDP without a checksum
        const uint16_t sum = fold(add(w.view(start), pseudo(c, 17, kUdpProbe)));
        w.patch16(start + 6, sum ? sum : 0xffff);
    }
    return w.take();
}

}  // namespace

void ServiceMonitors::configure(const std::vector<ServiceConfig>& services) {
    std::set<Key> wanted;
    for (const ServiceConfig& c : services) {
        const Key key{c.datapath, c.port, c.ip, c.l4_port, c.udp};
        wanted.insert(key);
        monitors_[key].config = c;
    }
    std::erase_if(monitors_, [&](const auto& entry) { return !wanted.contains(entry.first); });
}

uint16_t ServiceMonitors::random_port() {
    return static_cast<uint16_t>(1024 + random_() % (65536 - 1024));
}

void ServiceMonitors::probe(Monitor& m, int64_t now_ms, std::vector<Probe>* probes) {
    const ServiceConfig& c = m.config;
    if (!c.udp) {
        m.seq = random_();
        m.src_port = random_port();
        probes->push_back({c.datapath, c.port, tcp_frame(c, m.src_port, kSyn, m.seq, 0)});
    } else {
        m.src_port = m.src_port ? m.src_port : random_port();
        probes->push_back({c.datapath, c.port, udp_frame(c, m.src_port)});
    }
    m.state = State::kWaiting;
    m.due_ms = now_ms + c.timeout_ms;
}

void ServiceMonitors::finish(Monitor& m, bool alive, int64_t now_ms) {
    m.state = alive ? State::kOnline : State::kOffline;
    ++(alive ? m.successes : m.failures);
    m.due_ms = now_ms + m.config.interval_ms;
}

bool ServiceMonitors::run(int64_t now_ms, std::vector<Probe>* probes) {
    bool changed = false;
    for (auto& [key, m] : monitors_) {
        if (m.state == State::kInit) {
            probe(m, now_ms, probes);
        } else if (m.state == State::kWaiting && now_ms > m.due_ms) {
            finish(m, m.config.udp, now_ms);
        }
        const auto before = m.online;
        if (m.state == State::kOnline && m.successes >= m.config.success_count) {
            m.online = true;
            m.successes = 0;
        } else if (m.state == State::kOffline && m.failures >= m.config.failure_count) {
            m.online = false;
            m.failures = 0;
        }
        changed |= before != m.online;
        if (m.state != State::kWaiting && now_ms >= m.due_ms) {
            probe(m, now_ms, probes);
        }
    }
    return changed;
}

int64_t ServiceMonitors::next_ms() const {
    int64_t next = INT64_MAX;
    for (const auto& [key, m] : monitors_) {
        next = std::min(next, m.state == State::kInit      ? 0
                              : m.state == State::kWaiting ? m.due_ms + 1
                                                           : m.due_ms);
    }
    return next;
}

std::vector<ServiceState> ServiceMonitors::states() const {
    std::vector<ServiceState> out;
    for (const auto& [key, m] : monitors_) {
        if (m.online) {
            out.push_back({m.config.row, *m.online});
        }
    }
    return out;
}

bool ServiceMonitors::take_tcp(Monitor& m, Bytes tcp, int64_t now_ms, std::vector<Probe>* probes) {
    const ServiceConfig& c = m.config;
    const uint32_t seq = load32(tcp, 4);
    const uint32_t ack = load32(tcp, 8);
    const uint16_t flags = load16(tcp, 12) & 0xfff;
    if (m.state != State::kWaiting || load16(tcp, 2) != m.src_port || ack != m.seq + 1) {
        return false;
    }
    if ((flags & (kSyn | kAck)) == (kSyn | kAck)) {
        finish(m, true, now_ms);
        probes->push_back(
            {c.datapath, c.port, tcp_frame(c, m.src_port, kRst | kAck, ack + 1, seq + 1)});
    } else if (flags & kRst) {
        finish(m, false, now_ms);
    }
    return true;
}

/// `icmp` quotes a probe of ours.
bool ServiceMonitors::take_unreachable(const Key& from, Bytes icmp, int64_t now_ms) {
    const size_t ip_len = is_mapped(from.ip) ? kIp4Len : kIp6Len;
    const size_t udp = 8 + ip_len;
    if (icmp.size() < udp + 4) {
        return false;
    }
    const size_t total = is_mapped(from.ip) ? load16(icmp, 8 + 2) - kIp4Len : load16(icmp, 8 + 4);
    if (total != kUdpProbe) {
        return false;
    }
    Key key = from;
    key.l4_port = load16(icmp, udp + 2);
    key.udp = true;
    const auto it = monitors_.find(key);
    if (it == monitors_.end() || load16(icmp, udp) != it->second.src_port ||
        it->second.state != State::kWaiting) {
        return false;
    }
    finish(it->second, false, now_ms);
    return true;
}

bool ServiceMonitors::take(uint32_t datapath, uint32_t port, Bytes frame, const Headers& h,
                           int64_t now_ms, std::vector<Probe>* probes) {
    if (h.l4 == 0 || h.is_frag) {
        return false;
    }
    const Bytes l4 = frame.subspan(h.l4, h.l4_len);
    const Ip6 from = h.is_ip4() ? mapped(h.ip4_src) : h.ip6_src;
    if (h.proto == 6 && l4.size() >= kTcpLen) {
        const auto it = monitors_.find({datapath, port, from, h.l4_src, false});
        return it != monitors_.end() && take_tcp(it->second, l4, now_ms, probes);
    }
    const bool unreachable = (h.is_ip4() && h.proto == 1 && h.l4_src == 3 && h.l4_dst == 3) ||
                             (h.is_ip6() && h.proto == 58 && h.l4_src == 1 && h.l4_dst == 4);
    return unreachable && take_unreachable({datapath, port, from, 0, true}, l4, now_ms);
}

}  // namespace sluice::watch
