// SPDX-License-Identifier: Apache-2.0
// Which information elements an IPFIX record of a sampled packet has, by what the packet is.
//
// A record is: the key (that makes samples one flow), the virtual observation id if there is one,
// then the counters. Elements are IANA's; virtualObsID is VMware's (enterprise 6876), which Open
// vSwitch sends since no standard one says it. Threads: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "control/slowpath/watch/headers.h"

namespace sluice::watch {

struct RecordShape {
    enum class L3 : uint8_t { kOther, kIp4, kIp6 };
    enum class L4 : uint8_t { kOther, kPorts, kIcmp };
    bool vlan = false;
    L3 l3 = L3::kOther;
    L4 l4 = L4::kOther;
    bool virtual_obs = false;

    uint16_t template_id() const;
    size_t ethernet_header() const { return vlan ? 18 : 14; }
};

RecordShape shape_of(const Headers& headers, bool virtual_obs);
/// The first part of a data record.
std::vector<uint8_t> flow_key(const RecordShape& shape, const Headers& headers, uint32_t obs_point);
/// Bodies of template sets, each small enough for any path, that define every shape.
std::vector<std::vector<uint8_t>> template_records(bool virtual_obs);

}  // namespace sluice::watch
