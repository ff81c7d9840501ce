// SPDX-License-Identifier: Apache-2.0
// Load balancers as rows describe them: VIPs and their backends, for hairpins and for flushing.
//
// Logical flows balance by themselves; what is left for a chassis to do with Load_Balancer rows is
// to know packets that were balanced to their own sender (lib/program/load_balancer.h), and to
// forget connections to backends that are gone when options:ct_flush asks for it.
// Threads: control.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/physical/underlay.h"
#include "control/physical/view.h"
#include "lib/program/conntrack_control.h"

namespace sluice::physical {

struct Endpoint {
    IpAddress ip;
    uint16_t port = 0;  ///< 0: none
    auto operator<=>(const Endpoint&) const = default;
};
/// "10.0.0.1:80", "[fd00::1]:80", "10.0.0.1", "fd00::1".
std::optional<Endpoint> parse_endpoint(std::string_view text);

/// One (VIP, backend) of a load balancer.
struct Balanced {
    uint8_t proto = 0;
    Endpoint vip;
    Endpoint backend;
    auto operator<=>(const Balanced&) const = default;
};

struct Balancer {
    uint8_t proto = 0;
    std::vector<std::pair<Endpoint, std::vector<Endpoint>>> vips;
    std::optional<IpAddress> snat4, snat6;  ///< options:hairpin_snat_ip
    bool is_flushing = false;               ///< options:ct_flush
    bool notes_vip = false;                 ///< options:hairpin_orig_tuple: the VIP is in registers
};
/// The row with this chassis' template variables put in. What does not parse is left out and told.
Balancer read_balancer(const sb::LoadBalancer& row, const sb::TemplateVar* variables,
                       std::vector<std::string>* errors);

/// Words as State has them: IPv4 in the last, the others 0.
void to_words(const IpAddress& ip, uint32_t words[4]);

/// Which backends connections may still lead to; says which do no more.
class BackendWatch {
public:
    /// `local`: datapaths that are here. Costs as much as there are load balancers, unless
    /// `only_rows`: nothing changed but the rows that the mirror tells, and none asks for flushing.
    void update(const sb::Mirror& mirror, const std::set<Uuid>& local,
                const std::string& chassis_name, bool only_rows = false);
    /// What to flush, once.
    std::vector<CtFilter> take() { return std::exchange(stale_, {}); }

private:
    bool is_asked_ = true;  ///< by some row, as of the last time that all were looked at
    std::set<Balanced> flushing_;
    std::vector<CtFilter> stale_;
};

}  // namespace sluice::physical
