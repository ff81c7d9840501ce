// SPDX-License-Identifier: Apache-2.0
// Tunnels: one per way to a remote chassis, with its prebuilt outer header.
//
// Every other chassis of our transport zones has one for each encap of the best type that both
// sides speak: geneve before stt before vxlan. A chassis without a common type has none and its
// ports are Reach::kNoTunnel. Where the Southbound knows no stt (OVN 25.09 and newer), two chassis
// that both say other_config:sluice-stt use STT between their encap addresses, whatever their type.
// With several addresses of our own there is one more tunnel for each of them, which the ports that
// ask for the address use (Interface external_ids:encap-ip).
// Indices stay while the tunnel exists and are reused afterwards: physical_generation of the
// pipeline guards caches.
// The receiver's Encap.options say whether we send outer checksums (csum) and to which port
// (dst_port); DSCP and DF come from our own external_ids, as with the reference.
// Threads: control.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/physical/underlay.h"
#include "control/sb/mirror.h"
#include "lib/program/tunnel.h"

namespace sluice::physical {

/// How we encapsulate, from external_ids (vswitch/settings.h) and options.
struct EncapSettings {
    std::string chassis;             ///< our name
    std::vector<std::string> types;  ///< in the order given
    std::vector<IpAddress> ips;      ///< in the order given
    std::optional<IpAddress> ip;     ///< ovn-encap-ip-default: what ports without a wish use
    std::vector<std::string> zones;  ///< ovn-transport-zones
    std::optional<uint8_t> tos;      ///< outer TOS byte; nullopt with tos_inherit false: 0
    bool tos_inherit = false;
    bool df = true;
    bool legacy_option = false;
    bool is_interconn = false;  ///< we may have tunnels to chassis of other zones
    bool prefers_stt = false;   ///< sluice-stt: STT with whoever says so, too
    bool operator==(const EncapSettings&) const = default;
};

class Tunnels {
public:
    /// Brings the list in line with the mirror and the underlay. True when a tunnel came, went or
    /// changed; `has_index_change` is set when indices did (ports have to be looked at again).
    bool update(const sb::Mirror& mirror, const EncapSettings& settings, UnderlayModel* underlay,
                bool* has_index_change);

    /// Tunnel towards a chassis; `encap` picks among several by its address, zero takes the one
    /// that the chassis calls its default, or the first.
    std::optional<uint32_t> find(const Uuid& chassis, const Uuid& encap) const;
    /// By index, null where one went away.
    const std::vector<std::shared_ptr<const Tunnel>>& list() const { return tunnels_; }
    /// "hv2@192.168.0.2", "" where one went away.
    const std::string& name(uint32_t index) const;
    /// Which of our addresses a port uses that asks for `ip`; 0: it need not care.
    uint16_t source(const std::string& ip) const;
    /// For Pipeline::tunnels_from.
    const std::vector<std::pair<uint64_t, uint32_t>>& from() const { return from_; }
    /// Of all encaps, ascending.
    std::vector<uint32_t> all_to(const Uuid& chassis) const;
    /// Whether its other end answers: the same object as long as the tunnel exists.
    const std::shared_ptr<TunnelLife>& life(uint32_t index) const { return lives_.at(index); }

private:
    struct Wanted {
        std::string name;
        TunnelType type;
        IpAddress remote;
        bool csum;
        bool is_default;  ///< the chassis' own choice
        uint16_t target_port;
        Uuid chassis;
        std::vector<Uuid> encaps;  ///< that lead here: of this address
    };
    std::vector<Wanted> wanted(const sb::Mirror& mirror, const EncapSettings& settings) const;
    uint32_t take_index(const std::string& name);
    /// Builds the tunnel again; true when it is another than before.
    bool refresh(const Wanted& want, uint32_t index, uint32_t life, const EncapSettings& settings,
                 const std::vector<IpAddress>& own, UnderlayModel* underlay);
    bool drop_others(const std::set<std::string>& kept);

    std::map<std::string, uint32_t> index_;  ///< by name
    std::vector<std::string> names_;
    std::vector<std::shared_ptr<const Tunnel>> tunnels_;
    std::vector<std::shared_ptr<TunnelLife>> lives_;
    std::map<std::pair<Uuid, Uuid>, uint32_t> by_encap_;
    std::map<Uuid, uint32_t> by_chassis_;
    std::vector<IpAddress> sources_;  ///< our addresses, when there are several
    std::vector<std::pair<uint64_t, uint32_t>> from_;
};

/// The outer header with all that does not differ between packets.
/// `target_port` 0: the type's own.
Tunnel build_tunnel(const EncapSettings& settings, const NextHop& hop, const IpAddress& remote,
                    bool csum, uint32_t index, TunnelType type = TunnelType::kGeneve,
                    uint16_t target_port = 0);

}  // namespace sluice::physical
