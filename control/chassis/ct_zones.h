// SPDX-License-Identifier: Apache-2.0
// CtZones: which conntrack zone every local port and datapath works in.
//
// What. As ovn-controller numbers them: one zone a logical port that is here (VIF, container,
// localport, localnet, gateway ports), two a local datapath (DNAT, SNAT); a router may ask for a
// number of its SNAT zone (snat-ct-zone), and whoever had it by chance moves. Numbers are kept
// under ovn-controller's names, "ct-zone-PORT" and "ct-zone-UUID_dnat", so that a node can change
// between the two and back; names with the datapath's name in the UUID's place (OVN 24.03 and
// newer) are understood and kept.
//
// Reuse. A zone has to be empty before it gets another owner. Who applies the result therefore
// flushes what take_assigned() names before the pipeline that uses it is published, and what
// take_released() names after no worker knows the old owner any more; until give_back() such a
// number is not given out again.
//
// Threads: control.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/chassis/attachments.h"
#include "control/chassis/binding.h"
#include "control/sb/mirror.h"

namespace sluice::chassis {

/// Who has to have zones.
struct ZoneUsers {
    struct Port {
        Uuid datapath;
        std::optional<uint32_t> limit;  ///< ct-zone-limit of the port, else of its datapath
    };
    struct Datapath {
        std::string name;
        std::optional<uint16_t> snat;  ///< snat-ct-zone
        std::optional<uint32_t> limit;
    };
    std::map<std::string, Port> ports;  ///< by name
    std::map<Uuid, Datapath> datapaths;
};
ZoneUsers zone_users(const sb::Mirror& mirror, const Attachments& attachments,
                     const BindingPlan& plan, const std::set<Uuid>& local);

/// external_ids:ct-zone-range: numbers to give to whom asks for none.
struct ZoneRange {
    uint16_t first = 1;
    uint16_t last = 65535;
    bool operator==(const ZoneRange&) const = default;
};

class CtZones {
public:
    /// Adopts what was written before. `external_ids` may hold other keys.
    void restore(const sb::StringMap& external_ids);
    /// Gives every user its zones. Without `may_release` those who are not among the users keep
    /// theirs: the database has not told everything yet. Returns the datapaths of which a zone of
    /// their own or of a port has changed.
    std::set<Uuid> update(const ZoneUsers& users, const ZoneRange& range, bool may_release = true);

    /// 0: none.
    uint16_t of_port(const std::string& name) const;
    uint16_t dnat(const Uuid& datapath) const { return of_datapath(datapath).dnat; }
    uint16_t snat(const Uuid& datapath) const { return of_datapath(datapath).snat; }
    /// By user, as in the database but for the prefix.
    const std::map<std::string, uint16_t>& zones() const { return zones_; }
    /// "ct-zone-..." keys as the bridge is to have them.
    sb::StringMap external_ids() const;
    /// The other way: who has a zone, "" if nobody.
    std::string user_of(uint16_t zone) const;
    /// Connections in a zone at most, where somebody said so.
    const std::map<uint16_t, uint32_t>& limits() const { return limits_; }

    std::vector<uint16_t> take_assigned() { return std::exchange(assigned_, {}); }
    std::vector<uint16_t> take_released() { return std::exchange(released_, {}); }
    void give_back(const std::vector<uint16_t>& zones);
    /// Users that got none: the range is used up, or what is free is not empty yet.
    size_t waiting() const { return waiting_; }

private:
    struct Pair {
        uint16_t dnat = 0;
        uint16_t snat = 0;
        bool operator==(const Pair&) const = default;
    };
    struct Want {
        Uuid datapath;
        std::optional<uint16_t> number;
        std::optional<uint32_t> limit;
    };
    using Wants = std::map<std::string, Want>;

    Wants wants_of(const ZoneUsers& users);
    Pair of_datapath(const Uuid& datapath) const;
    bool is_used(uint16_t zone) const { return owners_.contains(zone); }
    void put(const std::string& user, uint16_t zone);
    void release(const std::string& user);
    void release_strangers(const Wants& wants, const ZoneRange& range, bool may_release);
    void give_requested(const Wants& wants);
    void part_shared(const Wants& wants);
    void give_free(const Wants& wants, const ZoneRange& range);

    std::map<std::string, uint16_t> zones_;             ///< by user
    std::map<uint16_t, std::set<std::string>> owners_;  ///< several only by request
    std::map<Uuid, std::pair<std::string, std::string>> datapath_users_;  ///< dnat, snat
    std::map<uint16_t, uint32_t> limits_;
    std::set<uint16_t> draining_;
    std::vector<uint16_t> assigned_;
    std::vector<uint16_t> released_;
    size_t waiting_ = 0;
};

}  // namespace sluice::chassis
