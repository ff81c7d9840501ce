// SPDX-License-Identifier: Apache-2.0
// Mirrors of the local database, as `ovs-vsctl -- --id=@m create Mirror ... -- set Bridge br-int
// mirrors=@m` makes them.
//
// A Mirror of the integration bridge copies what VIFs send (select_src_port, or select_all) and
// what they are sent (select_dst_port) to another port of that bridge, whole. What else the table
// can say has no meaning without a switch's VLANs or for tunnels and is refused in words: other
// bridges, select_vlan, output_vlan, snaplen, ports that are no VIFs.
// Threads: values.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "control/chassis/attachments.h"
#include "control/vswitch/database.h"
#include "control/vswitch/settings.h"
#include "control/vswitch/wanted_ports.h"

namespace sluice::vswitch {

/// `id_of`: PortId of an open port by name, kNoPort of others.
std::vector<chassis::Attachments::LocalMirror> local_mirrors(
    const Contents& contents, const Settings& settings, const std::vector<WantedPort>& wanted,
    const std::function<PortId(const std::string&)>& id_of);

}  // namespace sluice::vswitch
