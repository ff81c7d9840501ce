// SPDX-License-Identifier: Apache-2.0
// What the slow path is to announce here, from the Southbound rows: a pure function.
//
// On switches with a localnet port whose network is mapped here: VIFs bound here by their first
// address, and NAT addresses of l3gateway and patch ports (Port_Binding.nat_addresses) as far as
// the port they are resident on is here. Router ports with `ipv6_ra_send_periodic` on local
// datapaths; router ports with `ipv6_prefix` behind a delegating one that is active here.
// Threads: control.
#pragma once

#include <map>
#include <set>
#include <string>

#include "control/chassis/binding.h"
#include "control/ovsdb/client.h"
#include "control/slowpath/announce/config.h"

namespace sluice::chassis {

/// `physnets`: networks that a bridge here serves.
announce::Config announce_config(const sb::Mirror& mirror, const BindingPlan& plan,
                                 const std::set<Uuid>& local,
                                 const std::set<std::string>& physnets);

/// A MAC binding that an announcement would teach other routers on the same switch, which do not
/// hear it: it enters the pipeline behind their ports.
struct LocalLesson {
    uint32_t datapath = 0;
    uint32_t port = 0;
    Ip4 ip;
    Mac mac;
};
std::vector<LocalLesson> lessons_of(const sb::Mirror& mirror, const announce::GarpConfig& garp);

/// Writes prefixes that were delegated: Port_Binding options:ipv6_ra_pd_list.
class DelegatedPrefixes {
public:
    void take(const std::string& port, const std::string& list) { wanted_[port] = list; }
    /// Another session: what was under way in the old one is forgotten.
    void attach(ovsdb::Client* client);
    /// Writes what the mirror does not say yet; `on_done` follows.
    void reconcile(const sb::Mirror& mirror, const std::function<void()>& on_done);

private:
    ovsdb::Client* client_ = nullptr;
    std::map<std::string, std::string> wanted_;
    bool is_busy_ = false;
    uint64_t session_ = 0;
};

}  // namespace sluice::chassis
