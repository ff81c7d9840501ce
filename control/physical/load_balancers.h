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
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/physical/underlay.h"
#include "control/physical/view.h"
#include "lib/program/conntrack_control.h"
#include "lib/program/load_balancer.h"

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

/// The hairpins of a datapath, or of all that have the same load balancers.
struct HairpinsPart {
    /// What a session is known by, beside the datapath: see LbSession.
    struct SessionKey {
        IpAddress backend;
        IpAddress snat;
        uint16_t port = 0;
        uint8_t proto = 0;  ///< 0 without a port
        auto operator<=>(const SessionKey&) const = default;
    };
    struct SessionHash {
        size_t operator()(const SessionKey& key) const;
    };
    LbHairpins table;
    std::unordered_map<SessionKey, std::shared_ptr<LbSession>, SessionHash> sessions;
    std::vector<std::string> errors;
};

/// A row as read_balancer() has it; errors are of the row.
struct ReadBalancer {
    std::shared_ptr<const sb::LoadBalancer> row;
    Balancer balancer;
    std::vector<std::string> errors;
};

/// Makes the hairpins of datapaths. Rows are read once while they last, and in one round of builds
/// the datapaths with the same load balancers get one part.
class HairpinTables {
public:
    /// Rows may have changed since the last build; template variables have if `all_anew`.
    void start_round(bool all_anew);
    /// Null when the datapath has no load balancer. Sessions of `before` go on; `before` itself
    /// when it would be equal.
    std::shared_ptr<const HairpinsPart> build(const View& view, const Uuid& datapath,
                                              const std::shared_ptr<const HairpinsPart>& before);

private:
    std::shared_ptr<const HairpinsPart> make(const View& view,
                                             const std::vector<const sb::UuidSet*>& sources,
                                             const HairpinsPart* before);
    const ReadBalancer& read(const View& view, const Uuid& uuid);
    void forget_gone(const sb::Mirror& mirror);

    std::unordered_map<Uuid, ReadBalancer> read_;
    /// By the datapath's own balancers and its groups that have some, and by the part before.
    std::map<std::pair<std::vector<Uuid>, const HairpinsPart*>, std::shared_ptr<const HairpinsPart>>
        round_;
};
/// One datapath, with nothing kept for others.
std::shared_ptr<const HairpinsPart> build_hairpins(const View& view, const Uuid& datapath,
                                                   const HairpinsPart* before);
bool equal(const HairpinsPart& a, const HairpinsPart& b);

/// Which backends connections may still lead to; says which do no more.
class BackendWatch {
public:
    /// `local`: datapaths that are here. Costs as much as there are load balancers.
    void update(const sb::Mirror& mirror, const std::set<Uuid>& local,
                const std::string& chassis_name);
    /// What to flush, once.
    std::vector<CtFilter> take() { return std::exchange(stale_, {}); }

private:
    std::set<Balanced> flushing_;
    std::vector<CtFilter> stale_;
};

}  // namespace sluice::physical
