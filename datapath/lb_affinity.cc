// SPDX-License-Identifier: Apache-2.0
#include "datapath/lb_affinity.h"

#include <algorithm>

namespace sluice {
namespace {

constexpr uint32_t kMsPerSecond = 1000;

std::array<uint32_t, 10> key_of(uint32_t datapath, bool is_v6, uint8_t proto, uint16_t port,
                                const uint32_t src[4], const uint32_t vip[4]) {
    std::array<uint32_t, 10> key;
    key[0] = datapath;
    key[1] = uint32_t{is_v6} << 24 | uint32_t{proto} << 16 | port;
    std::copy_n(src, 4, key.begin() + 2);
    std::copy_n(vip, 4, key.begin() + 6);
    return key;
}

}  // namespace

void LbAffinity::remember(const LbClient& client, const LbAffinityArgs& args, uint64_t now_ms) {
    const LbLease lease = args.lease ? *args.lease : LbLease{};
    std::array<uint32_t, 7> value;
    std::copy_n(args.backend, 4, value.begin());
    value[4] = args.backend_port;
    value[5] = lease.number();
    value[6] = lease.epoch();
    const uint8_t proto = args.vip_port ? args.proto : 0;
    table_.store(key_of(client.datapath, args.is_v6, proto, args.vip_port, client.src, args.vip),
                 value, now_ms, args.timeout_s * kMsPerSecond, 0);
}

bool LbAffinity::find(const LbClient& client, uint64_t now_ms, LbBackend* backend) {
    std::array<uint32_t, 7> value;
    const bool found =
        table_.find(key_of(client.datapath, client.is_v6, client.proto, client.port, client.src,
                           client.dst),
                    now_ms, &value) ||
        table_.find(key_of(client.datapath, client.is_v6, 0, 0, client.src, client.dst), now_ms,
                    &value);
    if (!found || !LbLease::is_held(value[5], value[6])) {
        return false;
    }
    std::copy_n(value.begin(), 4, backend->address);
    backend->port = static_cast<uint16_t>(value[4]);
    return true;
}

}  // namespace sluice
