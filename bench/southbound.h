// SPDX-License-Identifier: Apache-2.0
// Southbound databases of any size, for measuring the control plane.
//
// What. make_southbound() writes what northd 23.03 writes for a plain network: one distributed
// router, switches with VIFs behind it, load balancers in force on every switch, ACLs of port
// groups that span a few switches and compare with address sets. Every flow text has the shape of
// a flow that a real northd wrote; rows refer to each other as in a real database. One chassis,
// hv1, holds VIFs of the first switch and so, through the router, every datapath.
// The result is the text of one transaction of a database file. Same shape and seed: same text.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::bench {

struct NetworkShape {
    unsigned switches = 10;
    unsigned ports = 10;       ///< of each switch; the first 20 of switch 0 are on this chassis
    unsigned vips = 0;         ///< load balancers of one VIP, on all switches
    unsigned backends = 5;     ///< of each
    bool router_vips = false;  ///< the VIPs are in force on the router too
    unsigned acls = 0;         ///< two flows each
    unsigned acl_span = 3;     ///< switches that an ACL's port group spans
    unsigned sets = 30;        ///< address sets that the ACLs compare with in turn
    unsigned set_size = 10;    ///< addresses in each
    unsigned unequal = 0;      ///< of the ACLs: how many say `!= {n addresses}` with this n
    uint64_t seed = 1;
};

std::string make_southbound(const NetworkShape& shape);

}  // namespace sluice::bench
